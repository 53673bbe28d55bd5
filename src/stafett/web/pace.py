"""How many acts of one asker are taken a minute: a page gone wild, or a person's stolen session,
must not take the tower from everybody else.

Three kinds of asker, each with its own limit: a person at the pages, a program (bearer token), and
an address that nobody is signed in at. A minute's acts may come at once, a station that was offline
has many; then they are taken at an even pace. What only reads is not counted. A logger with its own
key has a limit of its own (stafett.service.intake), a wrong sign-in too (stafett.service.throttle).
The counts are this process's: with several, each takes its share.
"""

from __future__ import annotations

import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import HTTPConnection

from stafett.web.problem import Part, Problem

PER_MINUTE = {"person": 600, "program": 30_000, "address": 1_200}
MINUTE_S = 60.0
KEPT = 50_000  # askers; whoever acted longest ago is forgotten first


class Pace:
    """Acts a minute of each asker (the generic cell rate algorithm: one number an asker).

    `per_minute` 0 is no limit.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = MINUTE_S / per_minute if per_minute else 0.0
        self._clock = clock
        self._paid: OrderedDict[str, float] = OrderedDict()  # until when an asker's acts are spread

    def wait_s(self, asker: str) -> float:
        """Take an act of `asker` and return 0; or take none, and return how long to wait."""
        if not self._every_s:
            return 0.0
        now = self._clock()
        paid = max(self._paid.get(asker, now), now)
        wait = paid + self._every_s - now - MINUTE_S
        if wait > 1e-9:
            return wait
        self._paid[asker] = paid + self._every_s
        self._paid.move_to_end(asker)
        if len(self._paid) > KEPT:
            self._paid.popitem(last=False)
        return 0.0


class Paces:
    """The pace of each kind of asker. One instance per process."""

    def __init__(self, per_minute: dict[str, int] | None = None) -> None:
        self.per_minute = {**PER_MINUTE, **(per_minute or {})}
        self._paces = {kind: Pace(count) for kind, count in self.per_minute.items()}

    def take(self, request: HTTPConnection, person: str | None) -> None:
        """Count an act; raise Problem 429 where there were too many."""
        kind, asker = "address", request.client.host if request.client else ""
        if person is not None:
            kind, asker = ("program" if "authorization" in request.headers else "person"), person
        wait = self._paces[kind].wait_s(asker)
        if wait:
            seconds = math.ceil(wait)
            count = self.per_minute[kind]
            raise Problem(
                429,
                "too-many",
                "Too many acts at once",
                Part("", f"{count} a minute are taken", f"wait {seconds} s, then send it again"),
                headers={"Retry-After": str(seconds)},
            )


def configured() -> Paces:
    """Read `STAFETT_PER_MINUTE`, as `person=600 program=30000 address=1200`. Raises ValueError."""
    found: dict[str, int] = {}
    for part in os.environ.get("STAFETT_PER_MINUTE", "").split():
        kind, _, count = part.partition("=")
        if kind not in PER_MINUTE or not (count.isascii() and count.isdigit()):
            raise ValueError(
                f"STAFETT_PER_MINUTE: {part!r} is not one of {', '.join(PER_MINUTE)}=N"
            )
        found[kind] = int(count)
    return Paces(found)
