"""Work that goes on by itself: begun again when it ends, and seen when it fails.

A task of the event loop that dies of an exception says so to nobody: whatever it kept up to date
stands still from then on. So each piece of work that has to go on is `Tended`: it is begun again
after a pause, and its `trouble` says what it failed of, for as long as it has not gone on well for
a while. Whoever answers for the process (the tower's health) shows the troubles.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import msgspec
import psycopg

from stafett.ledger.ending import ended

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 5.0
STEADY_S: Final = 10.0  # work that has gone on for so long is well again
# The database or the machine is in the way, and no fault of this program: no traceback.
AWAY: Final = (psycopg.OperationalError, psycopg.InterfaceError, OSError)


class Trouble(msgspec.Struct, frozen=True):
    """What does not go on: since when, how many times it failed, and of what.

    `vital`: without it this process does not do what it is there for. `for_good`: it does not mend
    by itself.
    """

    name: str
    since: datetime
    times: int
    why: str
    vital: bool = False
    for_good: bool = False


class Tended:
    """One piece of work. `start()`, `end()`; in between it goes on, whatever happens."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        *,
        vital: bool = False,
        pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        """`work` goes on for ever, or until it is cancelled; it can be begun at any time."""
        self.name, self.vital = name, vital
        self._work, self._pause_s = work, pause_s
        self._task: asyncio.Task[None] | None = None
        self._trouble: Trouble | None = None
        self._begun: float | None = None  # None: between a failure and the next beginning

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._go_on(), name=self.name)

    async def end(self) -> None:
        """End for good."""
        await ended(self._task)
        self._task = None

    @property
    def trouble(self) -> Trouble | None:
        """What it fails of; None when it goes on well, or was never begun."""
        if self._trouble is not None and self._is_steady():
            self._trouble = None
        if self._task is not None and self._task.done() and self._trouble is None:
            self._failed("it has ended")
        return self._trouble

    def _is_steady(self) -> bool:
        return self._begun is not None and time.monotonic() - self._begun >= STEADY_S

    async def _go_on(self) -> None:
        pause = self._pause_s
        while True:
            self._begun = time.monotonic()
            try:
                await self._work()
                why = "it ended by itself"
                log.error("%s ended by itself; beginning again", self.name)
            except asyncio.CancelledError as cancelled:
                if _is_told_to_end():
                    raise
                # Something that it waited for was cancelled: that is no reason to end.
                log.exception("%s was interrupted; beginning again", self.name)
                why = said(cancelled)
            except AWAY as failure:
                why = said(failure)
                log.warning("%s stopped (%s); beginning again", self.name, why)
            except Exception as failure:
                why = said(failure)
                log.exception("%s failed; beginning again", self.name)
            if self._is_steady():
                self._trouble, pause = None, self._pause_s
            self._begun = None
            self._failed(why)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _failed(self, why: str) -> None:
        before = self._trouble
        since = before.since if before is not None else datetime.now(UTC)
        times = before.times + 1 if before is not None else 1
        self._trouble = Trouble(self.name, since, times, why, self.vital)


async def end_all(*pieces: Tended) -> None:
    """End them for good, all at once."""
    await asyncio.gather(*(piece.end() for piece in pieces))


def said(failure: BaseException) -> str:
    """Return a failure in one line: what it is, and what it says."""
    text = " ".join(str(failure).split())
    kind = type(failure).__name__
    return f"{kind}: {text}"[:300] if text else kind


def _is_told_to_end() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
