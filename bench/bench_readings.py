"""Readings over MQTT into the database and the ledger, against COPY of the same chunks.

Broker (Mosquitto), database and intake on this machine. Every chunk is counted afterwards: rows and
leaves. Then single readings, each a row and a leaf like any chunk, beside a null consumer that
takes them from the same broker and does nothing with them: the limit of the broker itself.

Loggers publish for `--seconds` (10) or until all chunks are sent; each wait has an end of its own,
so that the figures of a slow machine are of what did come, and are printed too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import aiomqtt
import numpy as np
import psycopg
from psycopg_pool import AsyncConnectionPool

from broker import free_port, mosquitto
from stafett.ledger import Ledger
from stafett.ledger.schema import migrate
from stafett.ledger.server import Server
from stafett.service.intake import Intake
from stafett.service.loggers import Id, Loggers, topic
from stafett.service.mqtt import Subscriber
from stafett.service.tower import _as_service
from stafett.watch.reading import encode

AIM = 100_000.0  # readings a second over MQTT (issue 5)
LOGGERS, CHUNKS, READINGS = 100, 20, 600
SINGLES = 5_000
DRAIN_S = 15.0  # for what the broker has taken and the intake has not
START_S = 10.0


def made(readings: int = READINGS, first: int = 0) -> list[tuple[Id, int, bytes]]:
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
        for n in range(first, first + CHUNKS)
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
                    (day.date(), *id, n, sha, day, day, day, READINGS, "mqtt", data)
                )  # fmt: skip
        connection.commit()
        return time.perf_counter() - began


async def publish(
    port: int, messages: list[tuple[str, bytes]], connections: int, seconds: float
) -> int:
    """Publish for at most `seconds`; return how many the broker has acknowledged."""
    acknowledged = 0
    until = time.perf_counter() + seconds

    async def some(mine: list[tuple[str, bytes]]) -> None:
        async with aiomqtt.Client(
            "127.0.0.1", port, username="bench", password="bench", max_inflight_messages=100
        ) as client:
            client.pending_calls_threshold = 1_000  # they are meant to be under way
            todo = iter(mine)

            async def one() -> None:
                nonlocal acknowledged
                for where, data in todo:
                    left = until - time.perf_counter()
                    if left <= 0:
                        return
                    await client.publish(where, data, qos=1, timeout=left + DRAIN_S)
                    acknowledged += 1

            await asyncio.gather(*(one() for _ in range(50)))

    await asyncio.gather(*(some(messages[i::connections]) for i in range(connections)))
    return acknowledged


async def singles(port: int, seconds: float) -> float:
    """Return how many single readings a second a consumer gets that does nothing."""
    seen = 0
    async with aiomqtt.Client("127.0.0.1", port, username="bench", password="bench") as client:
        await client.subscribe("single/#", qos=1)
        payload = b"x" * 24
        began = last = time.perf_counter()
        sending = asyncio.create_task(publish(port, [("single/a", payload)] * SINGLES, 2, seconds))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds + DRAIN_S):
                async for _ in client.messages:
                    seen += 1
                    last = time.perf_counter()
                    if seen == SINGLES or (sending.done() and seen >= sending.result()):
                        break
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
    return seen / max(last - began, 1e-9)


class Taken(NamedTuple):
    """Chunks: acknowledged by the broker, taken in; seconds: wall and CPU."""

    acknowledged: int
    taken: int
    wall_s: float
    cpu_s: float


async def ingest(url: str, port: int, chunks: list[tuple[Id, int, bytes]], seconds: float) -> Taken:
    pooled = AsyncConnectionPool(url, open=False, configure=_as_service)
    async with pooled as pool, Ledger(url) as ledger:
        intake = Intake(pool, ledger, Loggers(pool))
        await intake.start()
        subscriber = Subscriber(url, f"mqtt://stafett:stafett@127.0.0.1:{port}", intake)
        await subscriber.start()
        try:
            await asyncio.wait_for(subscriber.listening.wait(), START_S)
            began, cpu = time.perf_counter(), time.process_time()
            messages = [(topic(id), data) for id, _, data in chunks]
            acknowledged = await publish(port, messages, 2, seconds)
            until = time.perf_counter() + DRAIN_S
            while intake.chunks < acknowledged and time.perf_counter() < until:
                await asyncio.sleep(0.01)
            took, used = time.perf_counter() - began, time.process_time() - cpu
            return Taken(acknowledged, intake.chunks, took, used)
        finally:
            await subscriber.close()
            await intake.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long loggers publish")
    seconds = parser.parse_args().seconds
    chunks = made()
    with tempfile.TemporaryDirectory() as name, Server(Path(name) / "pg") as server:
        Path(name).chmod(0o755)
        migrate(server.url)
        with psycopg.connect(server.url) as connection:
            connection.execute(
                "INSERT INTO service.organisation VALUES ('bench', 'B', 'courier', 'SE', 'UTC')"
            )
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO watch.logger (organisation, number, key_hash, registered_by)"
                    " VALUES ('bench', %s, '', 'bench')",
                    [(f"L{k}",) for k in range(LOGGERS)],
                )
        port = free_port()
        with mosquitto(Path(name) / "broker", port):
            done = asyncio.run(ingest(server.url, port, chunks, seconds))
            copy_s = copied(server.url, chunks[: done.taken]) if done.taken else 0.0
            alone = asyncio.run(ingest(server.url, port, made(1, CHUNKS), seconds))
            single = asyncio.run(singles(port, seconds / 2))
        with psycopg.connect(server.url) as connection:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM watch.chunk),"
                " (SELECT count(*) FROM ledger.event WHERE kind = 'ReadingsStored')"
            ).fetchone()
    assert row is not None
    rows, leaves = row
    lost = max(done.acknowledged + alone.acknowledged - rows, 0)
    print(f"{done.acknowledged} of {len(chunks)} chunks of {READINGS} readings, acknowledged to"
          f" {LOGGERS} loggers in {seconds:g} s")  # fmt: skip
    whole = "none lost" if rows == leaves and not lost else f"{lost} not taken in yet"
    print(f"  rows {rows}, leaves {leaves}: {whole}")
    if not done.taken:
        raise SystemExit("  no chunk came within the time: there is no figure")
    rate, copy_rate = done.taken / done.wall_s, done.taken / copy_s
    print(f"  MQTT to row and leaf: {rate * READINGS:,.0f} readings/s, {rate:,.0f} chunks/s"
          f" ({done.cpu_s:.1f} s CPU in this process, publishers included)")  # fmt: skip
    print(f"  COPY of the same:     {copy_rate * READINGS:,.0f} readings/s;"
          f" ours is {rate / copy_rate:.3f} of it")  # fmt: skip
    ours = alone.taken / alone.wall_s
    print(
        f"  single readings, a row and a leaf each: {ours:,.0f}/s; through the broker to a null"
        f" consumer {single:,.0f}/s: {ours / single:.2f} of the broker's limit;"
        f" in chunks {rate * READINGS / single:,.0f} times as many"
    )
    print(f"  aim: {rate * READINGS / AIM:.2f} of {AIM:,.0f} readings/s over MQTT")


if __name__ == "__main__":
    main()
