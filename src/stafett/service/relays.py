"""What the record is still to be told: told at once where that is possible, and again until it is.

What changes a table of its own writes what the record is to say of it in the same transaction (an
outbox); the key of such a line is its number, so that it is in the record once, however often it is
told. Where the ledger is away, or an organisation's key, the line waits here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from stafett.ledger import Ledger, NotAcknowledged, Receipt, Submission
from stafett.ledger.event import Refused
from stafett.ledger.tending import AWAY, Tended, said
from stafett.service.author_keys import KeyLost
from stafett.service.todo import Todo

log = logging.getLogger(__name__)
EVERY_S: Final = 5.0

# Tells what waits, and returns how many still do.
Relay = Callable[[], Awaitable[int]]


class StillWaits(Exception):
    """Not all could be told: it is tried again."""


class Relays:
    """The outboxes of one process; several processes may tell the same."""

    def __init__(self, ways: Mapping[str, Relay]) -> None:
        self._ways = ways
        self._todo = Todo("the record could not be told of", EVERY_S)
        self.todos = (self._todo,)
        self.tended = (Tended("what the record is still to be told", self._run),)

    async def _run(self) -> None:
        while True:
            self._todo.add(name for name in self._ways if name not in self._todo.failing)
            await self._todo.work_off(self._tell)
            await asyncio.sleep(EVERY_S)

    async def _tell(self, name: str) -> None:
        left = await self._ways[name]()
        if left:
            raise StillWaits(f"{left} of them")


async def tell(
    ledger: Ledger,
    waiting: Sequence[tuple[int, Submission]],
    told: Callable[[int, Receipt], Awaitable[object]],
) -> int:
    """Put what waits into the ledger, in order; return how many still wait.

    What cannot be told for one organisation (its key is lost, or the ledger refuses it as it
    stands) holds up what comes after it of the same, and nothing of anybody else's.
    """
    left = len(waiting)
    stuck: set[str] = set()
    try:
        for id_, submission in waiting:
            if submission.author.organisation in stuck:
                continue
            try:
                receipt = await ledger.append(submission)
            except (KeyLost, Refused) as why:
                stuck.add(submission.author.organisation)
                log.error("%s cannot be told to the record: %s", submission.key, said(why))
                continue
            await told(id_, receipt)
            left -= 1
    except (NotAcknowledged, *AWAY) as why:
        log.warning("%d lines wait for the record: %s", left, said(why))
    return left


async def at_once(relay: Relay) -> None:
    """Tell what waits, as far as that is possible: what it is about is durable already."""
    try:
        await relay()
    except AWAY as why:
        log.warning("the record is told later: %s", said(why))
