"""Exchange: durable EPCIS capture against bare COPY of the same bytes, queries, judging.

    python bench/bench_exchange.py [--events 1000000] [--folder DIR] [--capture]

Everything runs on one embedded PostgreSQL with fsync on, in this run. The peer of a capture is a
bare table with one bytea column that gets the same event bytes in batches of the same size, one
transaction each; the peer of reading is `json.loads`.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import random
import statistics
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from stafett.exchange import epcis
from stafett.exchange.epcis_query import read_query
from stafett.exchange.epcis_rows import EVENT_COLUMNS, events_copy, numbers_copy
from stafett.exchange.epcis_store import EpcisStore, prepare
from stafett.exchange.ocel import OcelEvent, OcelObject, writer
from stafett.exchange.xes import write_xes
from stafett.ledger.binarycopy import HEADER, TRAILER, data
from stafett.ledger.schema import migrate
from stafett.ledger.server import Server

SEED = 20261123
BATCH = 100
STEPS = ["collecting", "shipping", "receiving", "storing", "inspecting", "accepting", "dispensing"]


def event(number: int, dice: random.Random) -> dict[str, Any]:
    """Make one event of a vein-to-vein journey; every tenth carries a temperature."""
    journey = number // 25
    minute = number // 4
    out: dict[str, Any] = {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:{uuid.UUID(int=dice.getrandbits(128))}",
        "eventTime": f"2026-{minute // 40320 % 12 + 1:02d}-{minute // 1440 % 28 + 1:02d}"
        f"T{minute // 60 % 24:02d}:{minute % 60:02d}:{dice.randrange(60):02d}.000+01:00",
        "eventTimeZoneOffset": "+01:00",
        "action": "OBSERVE",
        "epcList": [f"urn:epc:id:sgtin:9529004.067890.DP{journey}{c}" for c in "AB"],
        "bizStep": STEPS[number % len(STEPS)],
        "disposition": "in_transit",
        "readPoint": {"id": f"urn:epc:id:sgln:9529004.{journey % 90000:05d}.LN2"},
        "bizLocation": {"id": f"urn:epc:id:sgln:9529004.{journey % 500:05d}.0"},
        "bizTransactionList": [
            {"type": "po", "bizTransaction": f"urn:epcglobal:cbv:bt:9529001000006:ORD-{journey}"}
        ],
        "sourceList": [{"type": "possessing_party", "source": "urn:epc:id:pgln:9529012.00000"}],
        "destinationList": [
            {"type": "possessing_party", "destination": "urn:epc:id:pgln:9529003.00000"}
        ],
        "ct:coi": f"https://ns.example.org/coi/CH{journey}",
    }
    if number % 10 == 0:
        value = round(dice.gauss(5, 2), 2)
        out["sensorElementList"] = [
            {"sensorReport": [{"type": "Temperature", "value": value, "uom": "CEL"}]}
        ]
    return out


def documents(count: int) -> list[bytes]:
    """Make documents of 100 events each, as bytes."""
    dice = random.Random(SEED)
    context = [epcis.CONTEXT_URI, {"ct": "https://ns.example.org/celltherapy/"}]
    out = []
    for start in range(0, count, BATCH):
        events = [event(n, dice) for n in range(start, start + BATCH)]
        out.append(
            msgspec.json.encode(epcis.document(events, context, created="2026-11-23T08:00:00Z"))
        )
    return out


async def capture(url: str, docs: list[bytes], senders: int = 1) -> float:
    """Judge and capture each document in a transaction of its own; give events per second.

    Each of `senders` sends its next document when the one before is durable; one process takes
    them all, and reads one sender's document while the database works on another's.
    """
    async with EpcisStore(url) as store:
        start = time.perf_counter()
        waiting = iter(docs)

        async def send() -> None:
            for doc in waiting:
                await store.capture(epcis.read(doc), owner="bench")

        await asyncio.gather(*(send() for _ in range(senders)))
        return len(docs) * BATCH / (time.perf_counter() - start)


def indexed(url: str, docs: list[bytes]) -> float:
    """Copy the very rows that a capture writes, made beforehand, into the same indexed tables."""
    batches = []
    first = 1
    for doc in docs:
        rows, _ = prepare(epcis.read(doc))
        events = events_copy(rows, first, "bench", uuid.UUID(int=1), 1_800_000_000_000_000)
        batches.append((events, numbers_copy(rows, first)))
        first += len(rows)
    statement = f"COPY exchange.epcis_event ({EVENT_COLUMNS}) FROM STDIN (FORMAT binary)"
    with psycopg.connect(url, autocommit=True) as connection:
        start = time.perf_counter()
        for events, numbers in batches:
            with connection.transaction():
                with connection.cursor().copy(statement) as out:
                    out.write(events)
                with connection.cursor().copy(
                    "COPY exchange.epcis_number (name, value, seq) FROM STDIN (FORMAT binary)"
                ) as out:
                    out.write(numbers or b"")
        return len(docs) * BATCH / (time.perf_counter() - start)


def bare(url: str, docs: list[bytes]) -> float:
    """Copy the same event bytes into one column, one durable transaction a batch."""
    batches = []
    for doc in docs:
        events = msgspec.json.decode(doc)["epcisBody"]["eventList"]
        rows = b"".join(b"\0\1" + data(msgspec.json.encode(e)) for e in events)
        batches.append(HEADER + rows + TRAILER)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bare (body bytea)")
        start = time.perf_counter()
        for batch in batches:
            with (
                connection.transaction(),
                connection.cursor().copy("COPY bare FROM STDIN (FORMAT binary)") as out,
            ):
                out.write(batch)
        return len(docs) * BATCH / (time.perf_counter() - start)


async def queries(url: str, size: int) -> None:
    """Time the first page of the filters that the examples use."""
    dice = random.Random(SEED)

    def one(kind: str) -> dict[str, Any]:
        journey = dice.randrange(size // 25)
        return {
            "one EPC": {"MATCH_epc": [f"urn:epc:id:sgtin:9529004.067890.DP{journey}A"]},
            "EPC and step": {
                "MATCH_anyEPC": [f"urn:epc:id:sgtin:9529004.067890.DP{journey}A"],
                "EQ_bizStep": ["shipping"],
            },
            "chain of identity": {"EQ_ct:coi": [f"https://ns.example.org/coi/CH{journey}"]},
            "place, newest 30": {
                "EQ_bizLocation": [f"urn:epc:id:sgln:9529004.{journey % 500:05d}.0"],
                "orderBy": "eventTime",
            },
            "step, first page": {"EQ_bizStep": ["storing"]},
            "temperature above 12 °C": {"GE_value_CEL": 12, "EQ_bizStep": ["storing"]},
            "one hour": {
                "GE_eventTime": f"2026-03-{journey % 28 + 1:02d}T10:00:00Z",
                "LT_eventTime": f"2026-03-{journey % 28 + 1:02d}T11:00:00Z",
            },
            "order number": {
                "EQ_bizTransaction_po": [f"urn:epcglobal:cbv:bt:9529001000006:ORD-{journey}"]
            },
        }[kind]

    kinds = ["one EPC", "EPC and step", "chain of identity", "place, newest 30",
             "step, first page", "temperature above 12 °C", "one hour", "order number"]  # fmt: skip
    async with EpcisStore(url) as store:
        for kind in kinds:
            spent, found = [], 0
            for _ in range(60):
                query = read_query(one(kind), store.names)
                start = time.perf_counter()
                found += len((await store.query(query, limit=30)).events)
                spent.append((time.perf_counter() - start) * 1e3)
            spent.sort()
            p95 = spent[int(len(spent) * 0.95)]
            print(
                f"  {kind:26s} p50 {statistics.median(spent):7.2f} ms   p95 {p95:7.2f} ms"
                f"   {found / 60:5.1f} events a page"
            )


def judging(docs: list[bytes]) -> None:
    """Compare reading and judging with merely parsing."""
    docs = docs[:200]
    start = time.perf_counter()
    for doc in docs:
        epcis.read(doc)
    ours = len(docs) * BATCH / (time.perf_counter() - start)
    start = time.perf_counter()
    for doc in docs:
        json.loads(doc)
    peer = len(docs) * BATCH / (time.perf_counter() - start)
    broken = copy.deepcopy(msgspec.json.decode(docs[0]))
    broken["epcisBody"]["eventList"][50]["bizStep"] = "transforming"
    start = time.perf_counter()
    try:
        epcis.judge(broken)
        raise SystemExit("a wrong document was taken")
    except epcis.Problem as refused:
        wrong = (time.perf_counter() - start) * 1e3
        place = refused.findings[0].pointer
    print(f"judging: {ours:,.0f} events/s; json.loads alone {peer:,.0f}/s; ratio {ours / peer:.2f}")
    print(f"  a wrong document of {BATCH} events is refused in {wrong:.1f} ms, at {place}")


def mining(folder: Path, count: int = 200_000) -> None:
    """Write OCEL 2.0 and XES, against a bare dump of the same events as JSON lines."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    events = [
        OcelEvent(
            str(n), STEPS[n % 7], start + timedelta(minutes=n), {"temperature": 4.5, "n": n},
            ((f"j{n // 25}", "journey"), (f"o{n % 5}", "organisation")),
        )
        for n in range(count)
    ]  # fmt: skip
    begun = time.perf_counter()
    encode = msgspec.json.Encoder().encode
    with (folder / "dump.jsonl").open("wb") as out:
        for e in events:
            out.write(encode(e) + b"\n")
    bare_rate = count / (time.perf_counter() - begun)
    rates = []
    for name in ("o.json", "o.xml", "o.sqlite"):
        begun = time.perf_counter()
        with writer(folder / name) as sink:
            for n in range(0, count, 25):
                sink.object(OcelObject(f"j{n // 25}", "journey"))
            for n in range(5):
                sink.object(OcelObject(f"o{n}", "organisation"))
            for e in events:
                sink.event(e)
        rates.append(count / (time.perf_counter() - begun))
    begun = time.perf_counter()
    write_xes(
        folder / "o.xes",
        (
            (str(c), [{"concept:name": e.type, "time:timestamp": e.time, "n": e.attributes["n"]}
                      for e in events[c : c + 25]])
            for c in range(0, count, 25)
        ),
    )  # fmt: skip
    rates.append(count / (time.perf_counter() - begun))
    print(f"export: bare dump {bare_rate:,.0f} events/s")
    for name, rate in zip(("OCEL JSON", "OCEL XML", "OCEL SQLite", "XES"), rates, strict=True):
        print(f"  {name:12s} {rate:,.0f} events/s; ratio {rate / bare_rate:.2f}")


def main() -> None:
    """Run all parts."""
    options = argparse.ArgumentParser()
    options.add_argument("--events", type=int, default=200_000)
    options.add_argument("--folder", type=Path)
    options.add_argument("--capture", action="store_true", help="only this part")
    chosen = options.parse_args()
    docs = documents(chosen.events)
    print(f"seed {SEED}; {chosen.events:,} events of {len(docs[0]) // BATCH} bytes, by {BATCH}")
    if not chosen.capture:
        judging(docs)
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            mining(Path(folder))
    with (
        tempfile.TemporaryDirectory(dir=chosen.folder) as folder,
        Server(Path(folder) / "pg", {"shared_buffers": "256MB"}) as server,
    ):
        migrate(server.url)
        with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE peer TEMPLATE stafett")
        bare(server.url, docs[:50])
        quarter = len(docs) // 4
        slices = [docs[quarter * n : quarter * (n + 1)] for n in range(3)] + [docs[quarter * 3 :]]
        for name, part, senders in zip(
            ("an empty", "the growing", "the growing", "the growing"), slices, (1, 4, 1, 4),
            strict=True,
        ):  # fmt: skip
            ours = asyncio.run(capture(server.url, part, senders))
            peer = bare(server.url, part)
            print(
                f"capture into {name} store, {senders} at a time: {ours:,.0f} events/s durable,"
                " one process"
            )
            print(
                f"  bare COPY of the same bytes, no index: {peer:,.0f}/s; ratio {ours / peer:.2f}"
            )
        peer = indexed(server.url_of("peer"), slices[0])
        print(f"  COPY of the ready-made rows into an empty indexed store: {peer:,.0f}/s")
        if chosen.capture:
            return
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE exchange.epcis_event, exchange.epcis_number")
        print(f"queries over {chosen.events:,} events, first page of 30:")
        asyncio.run(queries(server.url, chosen.events))


if __name__ == "__main__":
    main()
