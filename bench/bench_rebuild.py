"""Rebuilding every read model from the ledger, beside a bare read of the same events.

Whole journeys (order to traceability, faults among them) are appended, then a new process image
(empty caches, no kept rows) makes the board from the record: each event is decoded, the journey's
state is evolved, the row is made. The limit in the same run: reading and decoding the same events
in order and doing nothing with them. Then a restart that finds its rows kept.

    python bench/bench_rebuild.py [--events 100000]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from stafett.journey.event import to_json
from stafett.journey.script import Fault, play
from stafett.ledger import Author, Draft, Ledger, Submission
from stafett.ledger.database import database
from stafett.service.board import BATCH
from stafett.service.kept import KeptRows
from stafett.service.tower import Tower

START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)


async def fill(tower: Tower, wanted: int) -> int:
    """Append whole journeys until there are `wanted` events."""
    pinned = tower.library.current()["autologous-car-t"]
    net = tower.library.net(pinned.sha256, None)
    stories = [play(net, START, seed=1), play(net, START, seed=2, faults=(Fault("UNKNOWN"),))]
    size, number = 0, 0
    head = {"pinned": pinned.sha256, "pseudonym": "P-BENCH"}
    waiting = []
    while size < wanted:
        story = stories[number % len(stories)]
        journey = f"CHA999926{number:06d}"
        drafts = []
        for event in story.events:
            body = to_json(event)
            if body["type"] == "JourneyOpened":
                body = {**body, "journey": journey, "coi": journey}
            drafts.append(Draft(str(body["type"]), {**head, "event": body}, event.occurred_at))
        submission = Submission(
            journey,
            0,
            drafts,
            sorted(set(story.cast.parties.values())),
            Author("university-hospital"),
            f"bench.{number}",
            b"bench",
        )
        waiting.append(asyncio.create_task(tower.ledger.append(submission)))
        if len(waiting) == 16:
            await asyncio.gather(*waiting)
            waiting.clear()
        size += len(drafts)
        number += 1
    await asyncio.gather(*waiting)
    print(f"{size} events of {number} journeys appended")
    return size


async def bare(url: str) -> float:
    """Return seconds to read and decode every event."""
    async with Ledger(url) as ledger:
        start, after = time.perf_counter(), 0
        while events := await ledger.read(after, BATCH):
            after = events[-1].position
        return time.perf_counter() - start


async def begin(url: str, folder: Path, *, kept: bool) -> tuple[float, Tower]:
    """Return seconds until a new tower's board has every row; without `kept`, from the record."""
    tower = Tower(url, folder)
    await tower.pool.open(wait=True)
    await tower.ledger.open()
    await tower.library.open()
    if not kept:
        await KeptRows(tower.pool).clear()
    start = time.perf_counter()
    await tower.board.start()
    await tower.board.ready.wait()
    took = time.perf_counter() - start
    await tower.board.close()
    await tower.ledger.close()
    await tower.pool.close()
    return took, tower


async def run(url: str, folder: Path, wanted: int) -> None:
    """Fill, then measure."""
    tower = Tower(url, folder)
    async with tower:
        size = await fill(tower, wanted)
    limit = await bare(url)
    took, made = await begin(url, folder, kept=False)
    again, kept = await begin(url, folder, kept=True)
    assert made.board.rows == kept.board.rows
    print(f"bare read and decode   {size / limit:10.0f} events/s   ({limit:.2f} s)")
    print(f"rebuilt from nothing   {size / took:10.0f} events/s   ({took:.2f} s)")
    print(f"ratio                  {limit / took:10.2f}")
    print(f"restart on kept rows   {again * 1000:10.0f} ms for {len(kept.board.rows)} journeys")


def main() -> None:
    """Run the comparison."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=100_000)
    wanted = options.parse_args().events
    with tempfile.TemporaryDirectory() as name, database(Path(name) / "pg") as server:
        asyncio.run(run(server.url, Path(name) / "tower", wanted))


if __name__ == "__main__":
    main()
