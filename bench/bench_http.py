"""Commands acknowledged durable through HTTP, against the raw limit of the same PostgreSQL.

16 clients answer checks on journeys picked from 10,000 open ones, each command durable before it is
acknowledged. The limit: 16 connections that each insert single rows, one durable commit each, into
the same server, in the same run. Prints both rates, their ratio and the latency beside it.

    python bench/bench_http.py [--journeys 10000] [--seconds 15]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from site_ import Site, serving
from stafett.cli.serve import steady
from stafett.ledger.database import database
from stafett.service import demo

CLIENTS = 16


def raw_limit(url: str, seconds: float) -> float:
    """Return single-row durable inserts per second by CLIENTS connections."""

    async def one(connection: psycopg.AsyncConnection, until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            await connection.execute("INSERT INTO bench_raw (body) VALUES (%s)", ["x" * 600])
            done += 1
        return done

    async def run() -> float:
        connections = [
            await psycopg.AsyncConnection.connect(url, autocommit=True) for _ in range(CLIENTS)
        ]
        await connections[0].execute(
            "CREATE TABLE IF NOT EXISTS bench_raw (id bigserial PRIMARY KEY, body text)"
        )
        start = time.perf_counter()
        counts = await asyncio.gather(*(one(c, start + seconds) for c in connections))
        took = time.perf_counter() - start
        for connection in connections:
            await connection.close()
        return sum(counts) / took

    return asyncio.run(run())


def clients(base: str, token: str, journeys: list[str], seconds: float, out: object) -> None:
    """Let CLIENTS connections answer one check of each journey in turn; report the latencies.

    One process writes HTTP/1.1 by hand on 16 keep-alive connections: a full HTTP client library
    would take as much of the two cores as the server that is being measured.
    """
    body: dict[str, object] = {"role": "referring_clinic"}
    command = {
        "type": "Answer",
        "activity": "H01",
        "side": "release",
        "method": "seen",
    }
    headers = {"Authorization": f"Bearer {token}"}
    path = f"{base}/api/journeys/{journeys[0]}/stations/H01/release"
    view = httpx.get(path, headers=headers, timeout=60).json()
    checks = [
        {"check": check["id"], "value": check["choices"][0]["id"]}
        for check in view["checks"]
        if check["kind"] == "choice" and check["people"] == 1
    ]
    latencies: list[float] = []
    host, port = base.removeprefix("http://").split(":")

    async def one(mine: list[str], until: float) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for check in checks:
            for journey in mine:
                now = time.perf_counter()
                if now > until:
                    break
                moment = datetime.now(UTC).isoformat()
                act = {**command, **check, "occurred_at": moment}
                ask = {**body, "key": uuid.uuid4().hex, "command": act}
                data = json.dumps(ask).encode()
                head = (
                    f"POST /api/journeys/{journey}/commands HTTP/1.1\r\nHost: {host}\r\n"
                    f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(data)}\r\n\r\n"
                )
                writer.write(head.encode() + data)
                answer = await reader.readuntil(b"\r\n\r\n")
                length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                content = await reader.readexactly(length)
                assert b" 200 " in answer[:20], content
                latencies.append(time.perf_counter() - now)
        writer.close()

    async def run() -> None:
        until = time.perf_counter() + seconds
        share = len(journeys) // CLIENTS
        await asyncio.gather(
            *(one(journeys[i * share : (i + 1) * share], until) for i in range(CLIENTS))
        )

    start = time.perf_counter()
    asyncio.run(run())
    out.put((latencies, time.perf_counter() - start))  # type: ignore[attr-defined]


async def fill(site: Site, number: int) -> list[str]:
    """Open `number` journeys straight through the use case."""
    from stafett.service.request import Order

    person = next(p for p in site.people if p.login == "treating-clinic-1")
    found: list[str] = []

    async def some(count: int) -> None:
        for _ in range(count):
            order = Order(
                key=uuid.uuid4().hex,
                role="treating_clinic",
                protocol="autologous-car-t",
                network=demo.NETWORK,
                wristband=uuid.uuid4().hex,
            )
            found.append((await site.tower.journeys.order(person, order)).journey)

    await asyncio.gather(*(some(number // 32) for _ in range(32)))
    return found


def main() -> None:
    """Run the comparison."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--journeys", type=int, default=10_000)
    options.add_argument("--seconds", type=float, default=15)
    chosen = options.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        database(Path(folder) / "pg") as server,
        serving(server.url, Path(folder) / "tower") as site,
    ):
        started = time.perf_counter()
        journeys = site.inside(fill(site, chosen.journeys))
        print(f"{len(journeys)} open journeys in {time.perf_counter() - started:.0f} s")
        steady()
        limit = raw_limit(server.url, chosen.seconds / 3)
        token = site.token("referring-clinic-1")
        context = multiprocessing.get_context("spawn")
        out = context.Queue()
        process = context.Process(
            target=clients, args=(site.base, token, journeys, chosen.seconds, out)
        )
        process.start()
        before = time.process_time()
        latencies, took = out.get()
        busy = time.process_time() - before
        process.join()
        after = raw_limit(server.url, chosen.seconds / 3)
    limit = (limit + after) / 2
    latencies.sort()
    rate = len(latencies) / took
    p50 = statistics.median(latencies) * 1000
    p99 = latencies[int(len(latencies) * 0.99)] * 1000
    print(f"cores {os.cpu_count()}, clients {CLIENTS} (on the same cores)")
    print(f"raw single-row durable inserts    {limit:10.0f} /s")
    print(f"commands acknowledged over HTTP   {rate:10.0f} /s   p50 {p50:.1f} ms  p99 {p99:.1f} ms")
    each = busy / len(latencies) * 1000
    print(f"CPU of the server                 {each:10.2f} ms a command, all threads")
    print(f"ratio                             {rate / limit:10.2f}   (aim at first: 0.35)")


if __name__ == "__main__":
    main()
