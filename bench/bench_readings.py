"""Readings over MQTT into the database and the ledger, against COPY of the same chunks.

Broker (Mosquitto), database and intake on this machine, loggers in a process of their own. Every
chunk is counted afterwards: rows, and what the leaves name. Then single readings, beside a
subscriber that takes the same messages from the same broker through the same reader of MQTT, with
the same assurance, and does nothing but acknowledge them: the limit of the broker itself. Both run
as the server does: on its loop, and looking for cyclic garbage as seldom.

Loggers publish for `--seconds` (10) or until all chunks are sent; each wait has an end of its own,
so that the figures of a slow machine are of what did come, and are printed too.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import multiprocessing
import statistics
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psycopg
import uvloop
from psycopg_pool import AsyncConnectionPool

from broker import free_port, mosquitto
from stafett.cli.serve import steady
from stafett.ledger import Ledger
from stafett.ledger.schema import migrate
from stafett.ledger.server import Server
from stafett.service.intake import Intake
from stafett.service.loggers import Id, Loggers, topic
from stafett.service.mqtt import Subscriber
from stafett.service.mqtt_wire import Message, _packet, _text, connected
from stafett.service.tower import _as_service
from stafett.watch.reading import encode

AIM = 100_000.0  # readings a second over MQTT (issue 5)
LOGGERS, CHUNKS, READINGS = 100, 20, 600
SINGLES = 200  # of each logger
WINDOW = 200  # messages under way of one connection
DRAIN_S = 15.0  # for what the broker has taken and the intake has not
START_S = 10.0


def made(
    readings: int = READINGS, first: int = 0, count: int = CHUNKS
) -> list[tuple[Id, int, bytes]]:
    """Make chunks of so many readings each, numbered from `first` at each logger."""
    now = time.time()
    chance = np.random.default_rng(1)
    return [
        (
            Id("bench", f"L{k}"),
            n,
            encode(
                n, now - 1e6 + n * readings, 1.0,
                {"temperature_c": chance.normal(-150, 1, readings)}, now,
            ),
        )
        for n in range(first, first + count)
        for k in range(LOGGERS)
    ]  # fmt: skip


def copied(url: str, chunks: list[tuple[Id, int, bytes]]) -> float:
    day = datetime.now(UTC)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE bench_copy (LIKE watch.chunk)")
        began = time.perf_counter()
        with connection.cursor().copy("COPY bench_copy FROM STDIN") as copy:
            for id, n, data in chunks:
                sha = hashlib.sha256(data).digest()
                copy.write_row(
                    (day.date(), *id, n, sha, day, day, day, READINGS, "mqtt", data, None)
                )  # fmt: skip
        connection.commit()
        return time.perf_counter() - began


async def publish(
    port: int, messages: list[tuple[str, bytes]], connections: int, seconds: float
) -> int:
    """Publish for at most `seconds`, QoS 1; return how many the broker has acknowledged."""
    until = time.perf_counter() + seconds
    parts = [messages[i::connections] for i in range(connections)]
    return sum(await asyncio.gather(*(_publish(port, some, until) for some in parts)))


async def _publish(port: int, messages: list[tuple[str, bytes]], until: float) -> int:
    """Publish through one connection, with bytes made before: so it costs next to nothing."""
    packets = [
        _packet(0x32, _text(where) + (1 + n % 65_535).to_bytes(2, "big") + data)
        for n, (where, data) in enumerate(messages)
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_packet(0x10, _text("MQTT") + b"\4\xc2\0\0" + _text("") + _text("bench") * 2))
    await reader.readexactly(4)
    acknowledged = sent = 0
    while acknowledged < sent or (sent < len(packets) and time.perf_counter() < until):
        if time.perf_counter() < until:
            some = packets[sent : acknowledged + WINDOW]
            writer.write(b"".join(some))
            sent += len(some)
        async with asyncio.timeout(DRAIN_S):
            acknowledged += len(await reader.readexactly(4)) // 4
    writer.close()
    return acknowledged


def published(
    pipe: Connection, port: int, messages: list[tuple[str, bytes]], seconds: float
) -> None:
    """Publish in a process of its own, as loggers do: what is measured has its own processor."""
    pipe.recv()
    pipe.send(asyncio.run(publish(port, messages, 2, seconds)))


class Publisher:
    """A process that publishes as soon as it is told to."""

    def __init__(self, port: int, messages: list[tuple[str, bytes]], seconds: float) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=published, args=(theirs, port, messages, seconds))
        self._process.start()

    def begin(self) -> None:
        """Let it publish."""
        self._pipe.send(None)

    async def acknowledged(self) -> int:
        """Return how many the broker has acknowledged, when it has ended."""
        while not self._pipe.poll():
            await asyncio.sleep(0.005)
        count: int = self._pipe.recv()
        self._process.join()
        return count


async def limit(port: int, chunks: list[tuple[Id, int, bytes]], seconds: float) -> float:
    """Return how many of the same messages a second a subscriber gets that only acknowledges.

    With the same reader of MQTT, the same QoS and the same persistent session as the intake's.
    """
    seen, last = 0, 0.0

    def heard(some: list[Message]) -> None:
        nonlocal seen, last
        seen, last = seen + len(some), time.perf_counter()
        link.send([one.mid for one in some])

    publisher = Publisher(port, [(f"limit/{topic(id)}", data) for id, _, data in chunks], seconds)
    async with connected(
        "127.0.0.1", port, heard, identifier="limit", user="bench", password="bench"
    ) as link:
        await link.subscribe("limit/stafett/1/+/readings")
        began = time.perf_counter()
        publisher.begin()
        count = await publisher.acknowledged()
        until = time.perf_counter() + DRAIN_S
        while seen < count and time.perf_counter() < until:
            await asyncio.sleep(0.01)
    return seen / max(last - began, 1e-9)


class Taken(NamedTuple):
    """Chunks: acknowledged by the broker, taken in; seconds: wall and CPU."""

    acknowledged: int
    taken: int
    wall_s: float
    cpu_s: float


async def ingest(url: str, port: int, chunks: list[tuple[Id, int, bytes]], seconds: float) -> Taken:
    publisher = Publisher(port, [(topic(id), data) for id, _, data in chunks], seconds)
    pooled = AsyncConnectionPool(url, open=False, configure=_as_service)
    async with pooled as pool, Ledger(url) as ledger:
        intake = Intake(pool, ledger, Loggers(pool))
        await intake.start()
        subscriber = Subscriber(url, f"mqtt://stafett:stafett@127.0.0.1:{port}", intake)
        await subscriber.start()
        try:
            await asyncio.wait_for(subscriber.listening.wait(), START_S)
            publisher.begin()
            began, cpu = time.perf_counter(), time.process_time()
            acknowledged = await publisher.acknowledged()
            until = time.perf_counter() + DRAIN_S
            while intake.chunks < acknowledged and time.perf_counter() < until:
                await asyncio.sleep(0.01)
            took, used = time.perf_counter() - began, time.process_time() - cpu
            return Taken(acknowledged, intake.chunks, took, used)
        finally:
            await subscriber.close()
            await intake.close()


def furnish(url: str) -> None:
    """Make the tables and register the loggers."""
    migrate(url)
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO service.organisation VALUES ('bench', 'B', 'courier', 'SE', 'UTC')"
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO watch.logger (organisation, number, key_hash, registered_by)"
                " VALUES ('bench', %s, '', 'bench')",
                [(f"L{k}",) for k in range(LOGGERS)],
            )


def recorded(url: str) -> tuple[int, int, int]:
    """Return how many rows there are, how many chunks the leaves name, and how many leaves."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM watch.chunk), coalesce(sum(coalesce("
            " jsonb_array_length(said -> 'chunks'), 1)), 0)::bigint, count(*) FROM"
            " (SELECT convert_from(leaf, 'UTF8')::jsonb #> '{body,readings}' AS said"
            " FROM ledger.event_store WHERE kind = 'ReadingsStored') AS leaf"
        ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def told(url: str, what: str, acknowledged: int, before: tuple[int, int, int]) -> None:
    """Say what became of all that the broker had acknowledged."""
    rows, named, leaves = (n - b for n, b in zip(recorded(url), before, strict=True))
    lost = max(acknowledged - rows, 0)
    whole = "none lost" if rows == named and not lost else f"{lost} not taken in yet"
    print(f"{acknowledged} {what}: rows {rows}, named by {leaves} leaves {named}: {whole}")


def in_chunks(url: str, port: int, seconds: float) -> None:
    """Measure chunks against COPY, and print it."""
    chunks = made()
    before = recorded(url)
    done = uvloop.run(ingest(url, port, chunks, seconds))
    told(url, f"chunks of {READINGS} readings acknowledged to {LOGGERS} loggers",
         done.acknowledged, before)  # fmt: skip
    if not done.taken:
        raise SystemExit("  no chunk came within the time: there is no figure")
    copy_s = copied(url, chunks[: done.taken])
    rate, copy_rate = done.taken / done.wall_s, done.taken / copy_s
    print(f"  MQTT to row and leaf: {rate * READINGS:,.0f} readings/s, {rate:,.0f} chunks/s"
          f" ({done.cpu_s:.1f} s CPU in the server's process)")  # fmt: skip
    print(f"  COPY of the same:     {copy_rate * READINGS:,.0f} readings/s;"
          f" ours is {rate / copy_rate:.3f} of it")  # fmt: skip
    print(f"  aim: {rate * READINGS / AIM:.2f} of {AIM:,.0f} readings/s over MQTT")


def single(url: str, port: int, seconds: float, rounds: int) -> None:
    """Measure single readings against a subscriber that does nothing, in turn, and print it."""
    ratios = []
    for n in range(rounds):
        chunks = made(1, CHUNKS + n * SINGLES, SINGLES)
        before = recorded(url)
        most = uvloop.run(limit(port, chunks, seconds))
        done = uvloop.run(ingest(url, port, chunks, seconds))
        told(url, "single readings acknowledged", done.acknowledged, before)
        ours = done.taken / done.wall_s
        ratios.append(ours / most)
        each = done.cpu_s / max(done.taken, 1) * 1e6
        print(
            f"  each a row, named in a leaf: {ours:,.0f}/s ({each:.0f} us CPU each in the server's"
            f" process); the broker to a subscriber that only acknowledges {most:,.0f}/s:"
            f" {ours / most:.2f} of it"
        )
    print(f"  aim: {statistics.median(ratios):.2f} of the broker's own limit"
          f" (median of {rounds})")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long loggers publish")
    parser.add_argument("--only", choices=["chunks", "single"], help="one of the two")
    parser.add_argument("--rounds", type=int, default=3, help="of single readings")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Server(Path(name) / "pg") as server:
        Path(name).chmod(0o755)
        furnish(server.url)
        steady()
        port = free_port()
        with mosquitto(Path(name) / "broker", port):
            if asked.only != "single":
                in_chunks(server.url, port, asked.seconds)
            if asked.only != "chunks":
                single(server.url, port, asked.seconds, asked.rounds)


if __name__ == "__main__":
    main()
