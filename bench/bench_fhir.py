"""FHIR searches over whole journeys: the first ones of a new process, and p50/p95 once it runs.

Whole journeys (order to traceability, about 500 events each) are appended; then towers are opened
on them one after the other, as after a restart: each is asked every search once (the first look),
then, when what follows a start is done, many times with other values. A look at a journey for the
first time within ten minutes waits for its line in the audit of reads to be on disk.

    python bench/bench_fhir.py [--events 100000] [--rounds 40]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

from bench_rebuild import fill
from stafett.exchange.fhir_search import read_search
from stafett.ledger.database import database
from stafett.service.accounts import Person
from stafett.service.tower import Tower

SEED = 20261126
SETTLE_S = 8.0


def asked(dice: random.Random, journeys: int, since: str) -> dict[str, tuple[str, str, str]]:
    """Give the searches: name -> (type, parameter, value)."""
    journey = f"CHA999926{dice.randrange(journeys):06d}"
    return {
        "order by identifier": ("ServiceRequest", "identifier", journey),
        "products by identifier": ("BiologicallyDerivedProduct", "identifier", journey),
        "tasks by status, 50": ("Task", "status", "completed"),
        "orders, 50": ("ServiceRequest", "status", "active,completed,revoked"),
        "tasks of a status, counted": ("Task", "status", "completed#"),
        "what changed last": ("Provenance", "_lastUpdated", f"ge{since}"),
        "a status that none has": ("Task", "status", "on-hold"),
    }


async def look(tower: Tower, what: tuple[str, str, str]) -> tuple[float, int]:
    """Ask one search as a party of every journey; give milliseconds and how many there were."""
    row = next(iter(tower.board.rows.values()))
    person = Person("bench", "bench", "Bench", row.parties[0], ("treating_clinic",), ())
    kind, name, value = what
    given = [(name, value.rstrip("#"))]
    if value.endswith("#"):
        given.append(("_summary", "count"))
    start = time.perf_counter()
    found = await tower.outside.fhir.search(person, "R5", read_search(kind, given))
    return (time.perf_counter() - start) * 1e3, len(found.resources) or found.total or 0


async def run(url: str, folder: Path, wanted: int, rounds: int) -> None:
    """Fill, then measure."""
    async with Tower(url, folder) as tower:
        await fill(tower, wanted)
        await tower.board.caught_up(300)
        rows = sorted(tower.board.rows.values(), key=lambda r: r.changed)
        since = rows[-1].changed.isoformat()
        journeys = len(rows)
        spent, _ = await look(tower, ("Task", "status", "on-hold"))
        print(f"{journeys} journeys; the very first search of all {spent:9.1f} ms")
        async with tower.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT count(*), pg_total_relation_size('exchange.fhir_resource') / 1e6,"
                " pg_total_relation_size('ledger.event_store') / 1e6 FROM exchange.fhir_resource"
            )
            row = await cursor.fetchone()
            print("{} resources, {:.0f} MB; the events themselves {:.0f} MB".format(*row))
    for turn in ("after a restart", "after another"):
        async with Tower(url, folder) as tower:
            await tower.board.ready.wait()
            dice = random.Random(SEED)
            print(turn)
            first = {n: await look(tower, w) for n, w in asked(dice, journeys, since).items()}
            await asyncio.sleep(SETTLE_S)
            for name, (took, found) in first.items():
                later = []
                for _ in range(rounds):
                    later.append((await look(tower, asked(dice, journeys, since)[name]))[0])
                later.sort()
                print(
                    f"  {name:28s} first {took:9.1f} ms   then p50 {statistics.median(later):7.2f}"
                    f"   p95 {later[int(len(later) * 0.95)]:7.2f} ms   {found} found"
                )


def main() -> None:
    """Run the comparison."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=40)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name, database(Path(name) / "pg") as server:
        asyncio.run(run(server.url, Path(name) / "tower", chosen.events, chosen.rounds))


if __name__ == "__main__":
    main()
