"""Appends acknowledged per second, beside what the same PostgreSQL can do at all in the same run.

    python bench/bench_ledger.py [--seconds 3] [--submitters 1,16,64,256,1024]

Two limits, measured in the same run on the same server (fsync on):

* single-row commits: as many connections as submitters (at most 64), each committing one row of the
  same bytes to a plain table, in C through pgbench (so that no Python slows the limit down);
* COPY x1000: one connection, binary COPY of 1,000 prepared rows per durable transaction into a
  table with the ledger's columns and indexes.

Where other work runs beside it, rates say little: so the CPU of an event is printed too, of the
database's processes and of this one (the submitters' own work included).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import re
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import uvloop

from stafett.cli.serve import steady
from stafett.ledger import Author, Draft, Ledger, Submission
from stafett.ledger import binarycopy as copy
from stafett.ledger.author import Signer
from stafett.ledger.leaf import leaf_hash
from stafett.ledger.merkle import Frontier, inclusion_proof
from stafett.ledger.note import NoteSigner
from stafett.ledger.policy import parse_policy
from stafett.ledger.publish import Publisher
from stafett.ledger.schema import migrate
from stafett.ledger.scribe import grow
from stafett.ledger.server import Server
from stafett.ledger.witness_app import Witness
from stafett.ledger.witness_store import WitnessFolder

BODY = {
    "handoff": "H05",
    "material": "=A999926123456700",
    "scan": {"symbol": "DataMatrix", "value": "=A99992612345670", "matches": True},
    "seal": "intact",
    "temperature_c": 4,
    "note": "received at the cell laboratory, documents complete",
}
AUDIENCE, NURSE = ["hospital", "maker", "courier"], Author("hospital", "nurse-17")
STREAMS = 10_000
EVENT_COPY = (
    "COPY ledger.event_store (position, recorded_at, version, leaf_hash, leaf, occurred_at, kind,"
    " stream, organisation, person, audience) FROM STDIN (FORMAT BINARY)"
)


def submission(n: int) -> Submission:
    """Make the n-th submission: one event in one of 10,000 journeys."""
    return Submission(
        stream=f"journey-{n * 7919 % STREAMS:05}",
        expected_version=None,
        drafts=[Draft("handoff.accepted", BODY, datetime.now(UTC))],
        audience=AUDIENCE,
        author=NURSE,
        key=f"client-7f3a-{n:012}",
        request_hash=b"%032d" % n,
    )


async def appends(ledger: Ledger, submitters: int, seconds: float, first: int) -> dict[str, float]:
    """Append with so many submitters at once; return rate and latencies."""
    count = first
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def submit() -> None:
        nonlocal count
        while (began := time.perf_counter()) < end:
            count += 1
            await ledger.append(submission(count))
            taken.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*[submit() for _ in range(submitters)])
    passed = time.perf_counter() - began
    cuts = statistics.quantiles(taken, n=100)
    return {
        "rate": len(taken) / passed, "p50": cuts[49] * 1e3, "p99": cuts[98] * 1e3, "next": count,
    }  # fmt: skip


def cpu_of(server: Server) -> float:
    """Return the CPU seconds of the server's processes, those that have ended included."""
    tick = os.sysconf("SC_CLK_TCK")
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(folder.name) == server.pid:
            total += sum(map(int, fields[11:15]))  # its own, and its children's that have ended
        elif int(fields[1]) == server.pid:
            total += sum(map(int, fields[11:13]))
    return total / tick


def single_rows(server: Server, connections: int, seconds: float) -> float:
    """Return durable single-row commits per second over `connections` connections (pgbench)."""
    with psycopg.connect(server.url_of("raw"), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS single")
        connection.execute("CREATE TABLE single (n bigserial PRIMARY KEY, leaf bytea NOT NULL)")
    script = Path(tempfile.mkdtemp()) / "insert.sql"
    script.write_text(f"INSERT INTO single (leaf) VALUES ('{'x' * 420}');\n")
    done = subprocess.run(
        [
            server.bin / "pgbench", "--no-vacuum", "--protocol=prepared", f"--client={connections}",
            "--jobs=1", f"--time={max(1, round(seconds))}", f"--file={script}",
            server.url_of("raw"),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    script.unlink()
    return float(re.search(r"tps = ([0-9.]+)", done.stdout)[1])  # type: ignore[index]


def copies(server: Server, seconds: float) -> float:
    """Return rows per second of binary COPY x1000, each 1,000 a durable transaction."""
    migrate(server.url_of("raw"))
    now = datetime.now(UTC)
    leaf = b"x" * 420
    fixed = copy.timestamptz(now)
    tail = copy.timestamptz(now) + copy.text("handoff.accepted")
    names = copy.text("hospital") + copy.text("nurse-17")
    names += copy.texts(["courier", "hospital", "maker"])
    batches = []
    for batch in range(int(60 * seconds)):
        rows = [copy.HEADER]
        for n in range(batch * 1000 + 1, batch * 1000 + 1001):
            stream = copy.text(f"journey-{n * 7919 % STREAMS:05}")
            columns = (
                copy.int8(n), fixed, copy.int8(n), copy.data(leaf_hash(leaf)), copy.data(leaf),
                tail, stream, names,
            )  # fmt: skip
            rows.append(copy.row(columns, 11))
        batches.append(b"".join(rows) + copy.TRAILER)
    with psycopg.connect(server.url_of("raw"), autocommit=True) as connection:
        began = time.perf_counter()
        copied = 0
        for rows in batches:
            with connection.cursor().copy(EVENT_COPY) as writer:
                writer.write(rows)
            copied += 1
            if time.perf_counter() - began > seconds:
                break
        return copied * 1000 / (time.perf_counter() - began)


def tree_cost(events: int = 100_000, batch: int = 192) -> tuple[float, float]:
    """Return the CPU seconds an event of hashing its leaf, and of growing the tree by it.

    Leaves of the size and batches of about the size that 256 submitters make.
    """
    leaves = [b"%0420d" % n for n in range(events)]
    began = time.process_time()
    hashes = [leaf_hash(leaf) for leaf in leaves]
    hashed = time.process_time() - began
    frontier = Frontier()
    began = time.process_time()
    for first in range(0, events, batch):
        frontier, _ = grow(frontier, hashes[first : first + batch])
    return hashed / events, (time.process_time() - began) / events


async def signed_appends(url: str, seconds: float, first: int) -> dict[str, float]:
    """Append with 256 submitters, each event signed by its author and checked before it is taken.

    Signing is the author's work and done beforehand; what is measured is the checking.
    """
    signer = Signer("hospital", b"\x01" * 32)
    ready = [signer.sign(submission(first + n)) for n in range(int(4_000 * seconds))]
    taken: list[float] = []
    async with Ledger(url) as ledger:
        await ledger.append(signer.registration())
        waiting = iter(ready)

        async def submit() -> None:
            for one in waiting:
                began = time.perf_counter()
                await ledger.append(one)
                taken.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*[submit() for _ in range(256)])
        passed = time.perf_counter() - began
    cuts = statistics.quantiles(taken, n=100)
    return {"rate": len(taken) / passed, "p50": cuts[49] * 1e3, "p99": cuts[98] * 1e3}


async def checkpoints(url: str, folder: Path, seconds: float, first: int) -> dict[str, float]:
    """Sign and have five witnesses cosign, again and again, while 256 submitters append."""
    signer = NoteSigner("bench.example/log", b"\x01" * 32)
    witnesses = {}
    lines = [f"log {signer.vkey}"]
    for n in range(5):
        made = WitnessFolder.create(folder / f"w{n}", f"w{n}.example/w")
        made.trust(signer.vkey)
        witnesses[f"w{n}"] = Witness(made)
        lines.append(f"witness w{n} {made.cosigner().vkey} w{n}")
    lines += ["group g 3 w0 w1 w2 w3 w4", "quorum g", ""]

    def post(address: str, body: str) -> tuple[int, str]:
        answer = witnesses[address.split("/")[0]].add(body.encode())
        return answer.status, answer.body

    took: list[float] = []
    async with Ledger(url) as ledger:
        publisher = Publisher(ledger.pool, signer, parse_policy("\n".join(lines)), post)
        await publisher.publish()
        load = asyncio.create_task(appends(ledger, 256, seconds, first))
        while not load.done():
            began = time.perf_counter()
            published = await publisher.publish()
            took.append(time.perf_counter() - began)
            assert published.verdict.quorum
            await asyncio.sleep(0.1)
        rate = (await load)["rate"]
    took.sort()
    return {"rate": rate, "rounds": len(took), "p50": took[len(took) // 2], "worst": took[-1]}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--submitters", default="1,16,64,256,1024")
    options.add_argument("--peers", metavar="PYTHON", help="a Python that has ledger_peers.py's")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "server") as server:
        migrate(server.url)
        with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE raw")
            connection.execute("CREATE DATABASE signed")
        before = cpu_of(server)
        copied = copies(server, given.seconds)
        by_copy = (cpu_of(server) - before) / (copied * given.seconds)
        print(f"machine: {os.cpu_count()} cores; one event a submission, {STREAMS:,} streams")
        print(
            f"limit: binary COPY x1000 {copied:,.0f} rows/s,"
            f" {by_copy * 1e6:.0f} us CPU a row in the database"
        )
        print(
            "submitters  appends/s   p50 ms   p99 ms   single-row/s   / single-row   / COPY"
            "   CPU us/event: database, here; single-row"
        )

        async def measure() -> None:
            first = 0
            async with Ledger(server.url) as ledger:
                await appends(ledger, 16, 0.5, 10**9)
                spent = 0.0
                for submitters in map(int, given.submitters.split(",")):
                    gc.collect()
                    start, here = cpu_of(server), time.process_time()
                    found = await appends(ledger, submitters, given.seconds, first)
                    count, first = found["next"] - first, int(found["next"])
                    stop, here = cpu_of(server), time.process_time() - here
                    single = await asyncio.to_thread(
                        single_rows, server, min(64, submitters), given.seconds
                    )
                    if submitters == 256:
                        spent = (stop - start + here) / count
                    of_single = (cpu_of(server) - stop) / (single * given.seconds)
                    print(
                        f"{submitters:10} {found['rate']:10,.0f} {found['p50']:8.2f}"
                        f" {found['p99']:8.2f} {single:14,.0f} {found['rate'] / single:14.2f}"
                        f" {found['rate'] / copied:8.2f}"
                        f" {(stop - start) / count * 1e6:16.0f} {here / count * 1e6:9.0f}"
                        f" {of_single * 1e6:9.0f}",
                        flush=True,
                    )

            if spent:
                leaf, tree = tree_cost()
                print(
                    f"256, the tree of it: {tree * 1e6:.1f} us CPU an event, {tree / spent:.0%} of"
                    f" what an append costs (with its leaf's hash {(tree + leaf) / spent:.0%})"
                )
            signed = await signed_appends(server.url_of("signed"), given.seconds, 0)
            print(
                f"256, each signed by its author: {signed['rate']:,.0f} /s"
                f" (p50 {signed['p50']:.1f} ms, p99 {signed['p99']:.1f} ms)"
            )
            found = await checkpoints(server.url, Path(folder) / "w", given.seconds, 2 * 10**9)
            print(
                f"checkpoint with a round of 5 witnesses, under {found['rate']:,.0f} appends/s:"
                f" p50 {found['p50'] * 1e3:.0f} ms, worst {found['worst'] * 1e3:.0f} ms"
                f" ({found['rounds']:.0f} rounds)"
            )

        for name in ("raw", "signed"):
            migrate(server.url_of(name))
        steady()  # as the tower does
        uvloop.run(measure())
        if given.peers:
            peers(given.peers, server, given.seconds)


def peers(python: str, server: Server, seconds: float) -> None:
    """Run the peers on the same server, and our own tree beside pymerkle's."""
    with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE peer")
    with psycopg.connect(server.url_of("peer")) as connection:
        where = (connection.info.host, "peer", connection.info.user, str(seconds))
    script = str(Path(__file__).with_name("ledger_peers.py"))
    subprocess.run([python, script, "eventsourcing", *where], check=True)
    count = 20_000
    subprocess.run([python, script, "pymerkle", str(count)], check=True)
    began = time.process_time()
    hashes = [leaf_hash(b"%d" % number) for number in range(count)]
    stored: dict[tuple[int, int], bytes] = {}

    def keep(level: int, index: int, value: bytes) -> None:
        stored[level, index] = value

    Frontier().append(hashes, keep)
    appended = count / (time.process_time() - began)
    began = time.process_time()
    for number in range(200):
        inclusion_proof(number * (count // 200), count, lambda level, n: stored[level, n])
    proved = 200 / (time.process_time() - began)
    print(f"  stafett        {appended:,.0f} leaves/s, {proved:,.0f} inclusion proofs/s")


if __name__ == "__main__":
    main()
