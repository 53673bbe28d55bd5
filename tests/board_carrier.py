"""Carries journeys as fast as it can until it is killed: `board_carrier.py URL FOLDER NAME`.

The journeys are interleaved, so that each is in the middle when the end comes. Each acknowledged
submission is one line on stdout: the position of its last event.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from stafett.journey.event import to_json
from stafett.journey.script import Fault, play
from stafett.ledger import Author, Draft, Submission
from stafett.service import board
from stafett.service.tower import Tower

START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
AT_ONCE = 5


def submissions(tower: Tower, journey: str, seed: int) -> Iterator[Submission]:
    """Yield a whole journey in small pieces, as people would make it."""
    pinned = tower.library.current()["autologous-car-t"]
    net = tower.library.net(pinned.sha256, None)
    faults = (Fault("UNKNOWN"),) if seed % 2 else ()
    story = play(net, START, seed=seed % 4, faults=faults)
    head = {"pinned": pinned.sha256, "pseudonym": "P-TEST"}
    audience = sorted(set(story.cast.parties.values()))
    for first in range(0, len(story.events), 4):
        drafts = []
        for event in story.events[first : first + 4]:
            body = to_json(event)
            if body["type"] == "JourneyOpened":
                body = {**body, "journey": journey, "coi": journey}
            drafts.append(Draft(str(body["type"]), {**head, "event": body}, event.occurred_at))
        key = f"{journey}.{first}"
        yield Submission(journey, first, drafts, audience, Author(audience[0]), key, key.encode())


async def main(url: str, folder: Path, name: str) -> None:
    """Carry for ever."""
    board.SAVE_S = 0.1
    tower = Tower(url, folder, cheap_hashing=True)
    async with tower:
        await tower.watch.close()

        async def carry(lane: int) -> None:
            count = 0
            while True:
                count += 1
                journey = f"{name}-{lane}-{count}"
                for submission in submissions(tower, journey, lane + count):
                    receipt = await tower.ledger.append(submission)
                    os.write(1, f"{receipt.positions[-1]}\n".encode())

        await asyncio.gather(*[carry(lane) for lane in range(AT_ONCE)])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
