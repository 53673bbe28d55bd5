"""How right the forecasts were on the journeys of an organisation, protocol by protocol.

Worked out when somebody asks, beside the loop, and kept for a while: it changes with each finished
journey, and by little.
"""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Final

import anyio.to_thread
import msgspec

from stafett.service.accounts import Person
from stafett.service.board import Board, Row
from stafett.service.journeys import Journeys
from stafett.watch import calibration, course, prediction
from stafett.watch.course import Progress
from stafett.watch.hindcast import LEAST, Hindcast, hindcast
from stafett.watch.plan import Plan, plan_of

KEPT_S: Final = 600.0
MOST: Final = 1000  # journeys of a protocol: the latest ones


class Group(msgspec.Struct, frozen=True):
    """Forecasts of about one probability: how many, their mean, how often it happened (95 %)."""

    n: int
    said: float
    happened: float
    low: float
    high: float


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of held-out journeys against what happened. Shares from 0 to 1.

    `learnt` journeys were learnt from, `held` were asked about in `questions`. `brier` is the
    score, `usual_brier` that of saying each deadline's usual share, `skill` the part saved. The
    held-out journeys opened from `since` to `until`.
    """

    learnt: int
    held: int
    questions: int
    late: float
    brier: float
    usual_brier: float
    skill: float
    since: datetime
    until: datetime
    bins: tuple[Group, ...]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One protocol and product: how many journeys are finished, and the score if they suffice."""

    protocol: str
    product: str
    finished: int
    needed: int
    score: Score | None


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """The same of simulated journeys of one network, by `bench/bench_prediction.py`."""

    network: str
    days: float
    seed: int
    learnt: int
    held: int
    questions: int
    late: float
    brier: float
    usual_brier: float
    skill: float
    bins: tuple[Group, ...]


@cache
def simulated() -> Simulated:
    """Return how right the forecasts were on simulated journeys that were held out."""
    data = (files("stafett.catalogue") / "simulated_forecasts.json").read_bytes()
    return msgspec.json.decode(data, type=Simulated)


class Hindcasts:
    """The records of each organisation. One instance per process."""

    def __init__(self, board: Board, journeys: Journeys) -> None:
        self._board, self._journeys = board, journeys
        self._known: dict[str, tuple[float, list[Record]]] = {}

    async def of(self, person: Person) -> list[Record]:
        """Return the records of the person's organisation, the most journeys first."""
        known = self._known.get(person.organisation)
        if known is not None and time.monotonic() - known[0] < KEPT_S:
            return known[1]
        groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self._board.of(person.organisation):
            groups[row.protocol, row.product].append(row)
        found = [await self._record(*key, rows) for key, rows in groups.items()]
        found.sort(key=lambda one: (-one.finished, one.protocol, one.product))
        if any(one.score for one in found):  # without one it costs nothing
            self._known[person.organisation] = (time.monotonic(), found)
        return found

    async def _record(self, protocol: str, product: str, rows: list[Row]) -> Record:
        plan: Plan | None = None
        pinned = ""
        finished: list[Progress] = []
        going: list[Progress] = []
        now = datetime.now(UTC)
        for row in sorted(rows, key=lambda one: -one.position)[:MOST]:
            live = await self._journeys.live(row.journey)
            if live is None or (plan is not None and live.pinned != pinned):
                continue
            if plan is None:
                plan, pinned = plan_of(live.net), live.pinned
            (finished if live.state.ended_at else going).append(
                course.progress(live.net, live.state, now)
            )
        found = None
        if plan is not None:
            found = await anyio.to_thread.run_sync(hindcast, plan, finished, going)
        return Record(
            protocol=protocol,
            product=product,
            finished=len(finished),
            needed=2 * LEAST,
            score=None if found is None or not found.said else score(found),
        )


def score(found: Hindcast) -> Score:
    """Return the scores of what was said."""
    brier = calibration.brier(found.said, found.happened)
    usual = calibration.brier(found.usual, found.happened)
    return Score(
        learnt=found.learnt,
        held=found.held,
        questions=len(found.said),
        late=sum(found.happened) / len(found.happened),
        brier=brier,
        usual_brier=usual,
        skill=calibration.skill(brier, usual) if usual else 0.0,
        since=prediction.moment(found.since),
        until=prediction.moment(found.until),
        bins=tuple(Group(*b) for b in calibration.reliability(found.said, found.happened)),
    )
