"""Readings over MQTT into the database and the ledger, against COPY of the same chunks.

Broker (Mosquitto), database and intake on this machine. Every chunk is counted afterwards: rows and
leaves. The null consumer takes single readings from the same broker and does nothing with them.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt
import numpy as np
import psycopg
from psycopg_pool import AsyncConnectionPool

from stafett.ledger import Ledger
from stafett.ledger.schema import migrate
from stafett.ledger.server import Server
from stafett.service.intake import Intake
from stafett.service.loggers import Id, Loggers, seal, topic
from stafett.service.mqtt import Subscriber, broker_files
from stafett.service.tower import _as_service
from stafett.watch.reading import encode

LOGGERS, CHUNKS, READINGS = 100, 10, 600
SINGLES = 5_000
PATIENCE_S = 300


def made() -> list[tuple[Id, int, bytes]]:
    now = time.time()
    chance = np.random.default_rng(1)
    return [
        (
            Id("bench", f"L{k}"),
            n,
            encode(
                n, now - 1e6 + n * READINGS, 1.0,
                {"temperature_c": chance.normal(-150, 1, READINGS)}, now,
            ),
        )
        for n in range(CHUNKS)
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


async def publish(port: int, messages: list[tuple[str, bytes]], connections: int) -> None:
    async def some(mine: list[tuple[str, bytes]]) -> None:
        async with aiomqtt.Client(
            "127.0.0.1", port, username="bench", password="bench", max_inflight_messages=100
        ) as client:
            at = asyncio.Semaphore(100)

            async def one(where: str, data: bytes) -> None:
                async with at:
                    await client.publish(where, data, qos=1, timeout=120)

            await asyncio.gather(*(one(*m) for m in mine))

    await asyncio.gather(*(some(messages[i::connections]) for i in range(connections)))


async def singles(port: int) -> float:
    """Return how many single readings a second a consumer gets that does nothing."""
    seen = 0
    async with aiomqtt.Client("127.0.0.1", port, username="bench", password="bench") as client:
        await client.subscribe("single/#", qos=1)
        payload = b"x" * 24
        began = time.perf_counter()
        sending = asyncio.create_task(publish(port, [("single/a", payload)] * SINGLES, 2))
        async for _ in client.messages:
            seen += 1
            if seen == SINGLES:
                break
        took = time.perf_counter() - began
        await sending
    return SINGLES / took


async def ingest(url: str, port: int, chunks: list[tuple[Id, int, bytes]]) -> tuple[float, float]:
    pooled = AsyncConnectionPool(url, open=False, configure=_as_service)
    async with pooled as pool, Ledger(url) as ledger:
        intake = Intake(pool, ledger, Loggers(pool))
        await intake.start()
        subscriber = Subscriber(url, f"mqtt://stafett:stafett@127.0.0.1:{port}", intake)
        await subscriber.start()
        await subscriber.listening.wait()
        began, cpu = time.perf_counter(), time.process_time()
        await publish(port, [(topic(id), data) for id, _, data in chunks], 2)
        while intake.chunks < len(chunks):
            if time.perf_counter() - began > PATIENCE_S:
                raise SystemExit(f"only {intake.chunks} of {len(chunks)} chunks came in time")
            await asyncio.sleep(0.01)
        took, used = time.perf_counter() - began, time.process_time() - cpu
        await subscriber.close()
        await intake.close()
    return took, used


def main() -> None:
    chunks = made()
    readings = len(chunks) * READINGS
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
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        folder = Path(name) / "broker"
        folder.mkdir()
        lines = [f"bench:{seal('bench')}"]
        files = broker_files(lines, f"stafett:{seal('stafett')}", port, str(folder))
        files["acl"] = "user stafett\ntopic readwrite #\nuser bench\ntopic readwrite #\n"
        files["mosquitto.conf"] += "user root\n" if os.geteuid() == 0 else ""
        for file, text in files.items():
            (folder / file).write_text(text)
            (folder / file).chmod(0o600)
        command = ["mosquitto", "-c", str(folder / "mosquitto.conf")]
        broker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            copy_s = copied(server.url, chunks)
            took, used = asyncio.run(ingest(server.url, port, chunks))
            single = asyncio.run(singles(port))
        finally:
            broker.terminate()
            broker.wait()
        with psycopg.connect(server.url) as connection:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM watch.chunk),"
                " (SELECT count(*) FROM ledger.event WHERE kind = 'ReadingsStored')"
            ).fetchone()
    assert row is not None
    print(f"{len(chunks)} chunks of {READINGS} readings from {LOGGERS} loggers")
    print(
        f"  rows {row[0]}, leaves {row[1]}: {'none lost' if row == (len(chunks),) * 2 else 'LOST'}"
    )
    print(f"  MQTT to row and leaf: {readings / took:,.0f} readings/s, {len(chunks) / took:,.0f}"
          f" chunks/s ({used:.1f} s CPU in this process, publishers included)")  # fmt: skip
    print(f"  COPY of the same:     {readings / copy_s:,.0f} readings/s ({took / copy_s:.0f} x)")
    print(f"  single readings through the broker to a null consumer: {single:,.0f}/s")


if __name__ == "__main__":
    main()
