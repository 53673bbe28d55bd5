"""Appends acknowledged per second, beside what the same PostgreSQL can do at all in the same run.

    python bench/bench_ledger.py [--seconds 3] [--submitters 1,16,64,256,1024]

Two limits, measured in the same run on the same server (fsync on):

* single-row commits: as many connections as submitters (at most 64), each committing one row of the
  same bytes to a plain table, in C through pgbench (so that no Python slows the limit down);
* COPY x1000: one connection, binary COPY of 1,000 prepared rows per durable transaction into a
  table with the ledger's columns and indexes.
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

from stafett.ledger import Author, Draft, Ledger, Submission
from stafett.ledger import binarycopy as copy
from stafett.ledger.leaf import leaf_hash
from stafett.ledger.schema import migrate
from stafett.ledger.server import Server

BODY = {
    "handoff": "H05",
    "material": "=A999926123456700",
    "scan": {"symbol": "DataMatrix", "value": "=A99992612345670", "matches": True},
    "seal": "intact",
    "temperature_c": 4,
    "note": "received at the cell laboratory, documents complete",
}
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
        audience=["hospital", "maker", "courier"],
        author=Author("hospital", "nurse-17"),
        key=f"client-7f3a-{n:012}",
        request_hash=leaf_hash(b"%d" % n),
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


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--submitters", default="1,16,64,256,1024")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "server") as server:
        migrate(server.url)
        with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE raw")
        copied = copies(server, given.seconds)
        print(f"machine: {os.cpu_count()} cores; one event a submission, {STREAMS:,} streams")
        print(f"limit: binary COPY x1000 {copied:,.0f} rows/s")
        print("submitters  appends/s   p50 ms   p99 ms   single-row/s   / single-row   / COPY")

        async def measure() -> None:
            first = 0
            async with Ledger(server.url) as ledger:
                await appends(ledger, 16, 0.5, 10**9)
                for submitters in map(int, given.submitters.split(",")):
                    gc.collect()
                    found = await appends(ledger, submitters, given.seconds, first)
                    first = int(found["next"])
                    single = await asyncio.to_thread(
                        single_rows, server, min(64, submitters), given.seconds
                    )
                    print(
                        f"{submitters:10} {found['rate']:10,.0f} {found['p50']:8.2f}"
                        f" {found['p99']:8.2f} {single:14,.0f} {found['rate'] / single:14.2f}"
                        f" {found['rate'] / copied:8.2f}",
                        flush=True,
                    )

        asyncio.run(measure())


if __name__ == "__main__":
    main()
