"""Names that something is to be looked at under: what fails stays, and is tried again.

A set that is swapped for an empty one loses what was not reached when a look fails; one name that
can never be looked at keeps all behind it waiting. Here a name leaves when its look has come to its
end, and no sooner; one that failed waits for a pause that grows, and the others are looked at.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from stafett.ledger.tending import AWAY, Trouble, said

log = logging.getLogger(__name__)
AGAIN_S: Final = 2.0  # after a look that failed; each time twice as long
LONGEST_S: Final = 60.0


class Todo:
    """What is to be looked at. `what` says in the log what could not be done with a name."""

    def __init__(self, what: str, again_s: float = AGAIN_S) -> None:
        self._what, self._again_s = what, again_s
        self._now: dict[str, None] = {}  # in the order they came
        self._later: dict[str, float] = {}  # the moment of each, by the monotonic clock
        self._heap: list[tuple[float, str]] = []
        self.failing: dict[str, int] = {}  # how many times in a row
        self.why = ""  # the last failure
        self._since: datetime | None = None

    def __bool__(self) -> bool:
        """Say whether anything is to be looked at now."""
        return bool(self._now) or self.left_s() == 0.0

    def add(self, names: Iterable[str]) -> None:
        """Look at these soon, also if they have failed, or are being looked at just now."""
        self._now.update(dict.fromkeys(names))

    def later(self, name: str, seconds: float) -> None:
        """Look at this one in so many seconds, if nothing else makes it be looked at before."""
        at = time.monotonic() + seconds
        if at < self._later.get(name, float("inf")):
            self._later[name] = at
            heapq.heappush(self._heap, (at, name))

    def left_s(self) -> float | None:
        """Return in how many seconds the next is to be looked at; None: there is none."""
        if self._now:
            return 0.0
        while self._heap and self._later.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # it was looked at before
        return max(0.0, self._heap[0][0] - time.monotonic()) if self._heap else None

    async def work_off(self, look: Callable[[str], Awaitable[object]]) -> None:
        """Look at each that is due now, one after the other. Never raises what a look raises."""
        for name in self._due():
            if name not in self._now:
                continue  # dropped, or looked at by somebody else meanwhile
            del self._now[name]
            try:
                await look(name)
            except Exception as failure:
                self._failed(name, failure)
            except BaseException:
                self._now[name] = None  # we are ending: whoever begins again finds it
                raise
            else:
                self.failing.pop(name, None)

    def _due(self) -> list[str]:
        while self._heap and self._heap[0][0] <= time.monotonic():
            at, name = heapq.heappop(self._heap)
            if self._later.get(name) == at:
                del self._later[name]
                self._now[name] = None
        for name in self._now:  # what is looked at now need not be looked at again
            self._later.pop(name, None)
        return list(self._now)

    @property
    def trouble(self) -> Trouble | None:
        """What cannot be looked at; None when all can."""
        if not self.failing:
            self._since = None
            return None
        times, since = max(self.failing.values()), self._since or datetime.now(UTC)
        return Trouble(self._what, since, times, f"{len(self.failing)} of them; {self.why}")

    def drop(self, name: str) -> None:
        """Look at this one no more."""
        self._now.pop(name, None)
        self._later.pop(name, None)
        self.failing.pop(name, None)

    def _failed(self, name: str, failure: Exception) -> None:
        if not self.failing:
            self._since = datetime.now(UTC)
        times = self.failing[name] = self.failing.get(name, 0) + 1
        self.why = f"{name}: {said(failure)}"
        if isinstance(failure, AWAY):
            log.warning("%s %s: %s; it is tried again", self._what, name, said(failure))
        elif times == 1:
            log.exception("%s %s; it is tried again", self._what, name)
        else:
            log.error("%s %s for the %d. time: %s", self._what, name, times, said(failure))
        # A database that was away is there again for all at once: nobody waits longer for that.
        grown = 1.0 if isinstance(failure, AWAY) else 2.0 ** min(times - 1, 20)
        self.later(name, min(self._again_s * grown, LONGEST_S))
