"""Booking under contention beside bare inserts; replanning a week beside the naive plan.

    .venv/bin/python bench/bench_capacity.py [--connections 8] [--chains 200] [--suites 20] \
        [--journeys 500] [--limit 20]

Booking: `--chains` chains of six links are asked for at once over `--connections` connections, on a
network with room for all; each is searched, inserted whole and told to the record. The limit in the
same run is bare single-row inserts, one transaction each, by as many connections. Replanning: a
quarter of the suites is down for a week.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import msgspec
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from small_network import MONDAY, booking, opened, person, resource
from stafett.capacity.board import Board, Job
from stafett.capacity.booking import Chain
from stafett.capacity.calendar import DAY_S, Change, moment, seconds
from stafett.capacity.chain import templates
from stafett.capacity.replan import greedy, solve
from stafett.capacity.search import Blocked, earliest
from stafett.ledger.schema import migrate
from stafett.ledger.server import Server
from stafett.service.refusal import No

TEMPLATE = templates()["autologous-car-t"]
NAMES = ("chair", "van", "suite", "qc", "bed")
WHERE = {
    "apheresis": ["chair"], "pickup": ["van"], "manufacture": ["suite"],
    "quality-control": ["qc"], "return": ["van"], "bed": ["bed"],
}  # fmt: skip


async def bare(url: str, connections: int, count: int) -> float:
    """Return single-row inserts per second, a transaction each."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE bare (id bigserial PRIMARY KEY, x text)")

    async def one(n: int) -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            for k in range(n):
                await connection.execute("INSERT INTO bare (x) VALUES (%s)", (f"row {k}",))

    began = time.perf_counter()
    await asyncio.gather(*(one(count // connections) for _ in range(connections)))
    return count // connections * connections / (time.perf_counter() - began)


async def book(url: str, connections: int, count: int) -> None:
    hospital = person("hospital")
    async with opened(url, connections, units=50) as bookings:
        gate = asyncio.Semaphore(connections)

        async def one(n: int) -> Chain | No:
            async with gate:
                try:
                    asked = booking(n, begin=MONDAY, end=MONDAY + timedelta(days=90))
                    chain: Chain = await bookings.book(hospital, asked)
                    return chain
                except No as no:
                    return no

        began, cpu = time.perf_counter(), time.process_time()
        got = await asyncio.gather(*(one(n) for n in range(count)))
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        won = sum(isinstance(g, Chain) for g in got)
        limit = await bare(url, connections, 2000)
        rate = won / took
        print(f"booking: {won} of {count} chains of 6 links, all wanting the same earliest slots")
        print(
            f"  {rate:.0f} chains/s over {connections} connections, {cpu / max(won, 1) * 1e3:.1f}"
            f" ms of this process's CPU each"
        )
        print(f"  bare single-row inserts {limit:.0f}/s; a chain costs {limit / rate:.0f} of them,"
              f" {limit / rate / 6:.1f} for each link")  # fmt: skip


def replan(suites: int, journeys: int, limit_s: float) -> None:
    draw = random.Random(1)
    resources = [resource(n, units=suites if n == "suite" else 200) for n in NAMES]
    empty, begin = Board(resources, (), WHERE), seconds(MONDAY)
    jobs = []
    for n in range(journeys):
        first = begin + round(n * 7 * 24 / suites * 1.1) * 3600
        found = earliest(TEMPLATE, empty.of(TEMPLATE), first, first + 90 * DAY_S)
        assert not isinstance(found, Blocked)
        empty.put(found)
        job = Job(f"chain-{n:04}", TEMPLATE, tuple(found), draw.choices((1, 2, 3), (1, 3, 6))[0])
        days = {1: 7, 2: 14, 3: 60}[job.urgency]
        jobs.append(with_deadline(job, found[-1].begins + days * DAY_S))
    at = jobs[journeys // 3].slots[2].begins
    change = Change(moment(at), moment(at + 7 * DAY_S), suites - suites // 4, "down")
    down = [
        msgspec.structs.replace(r, changes=(change,)) if r.id == "suite" else r for r in resources
    ]
    now = at - 21 * DAY_S
    plain = greedy(jobs, Board(down, jobs, WHERE), now)
    plan = solve(jobs, Board(down, jobs, WHERE), now, limit_s)
    print(f"replan: {suites} suites, {journeys} journeys, {suites // 4} suites down for a week")
    for one in (plain, plan):
        room = sum(m.why == "room" for m in one.moves)
        print(
            f"  {one.method:7} {one.seconds:6.2f} s  moved {len(one.moves)} ({room} for room),"
            f" unplaced {len(one.unplaced)}, cost {one.cost}"
            + (
                f", bound {one.bound}, gap {one.gap:.1%}, places {one.considered}"
                if one.method != "greedy"
                else ""
            )
        )
    if plain.cost:
        print(f"  cost of the solver's plan is {plan.cost / plain.cost:.2f} of the greedy one's"
              f" ({len(plan.moves)} moves beside {len(plain.moves)})")  # fmt: skip


def with_deadline(job: Job, deadline: int) -> Job:
    return Job(job.chain, job.template, job.slots, job.urgency, deadline)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--chains", type=int, default=200)
    parser.add_argument("--suites", type=int, default=20)
    parser.add_argument("--journeys", type=int, default=500)
    parser.add_argument("--limit", type=float, default=20.0)
    asked = parser.parse_args()
    replan(asked.suites, asked.journeys, asked.limit)
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "db") as server:
        migrate(server.url)
        asyncio.run(book(server.url, asked.connections, asked.chains))


if __name__ == "__main__":
    main()
