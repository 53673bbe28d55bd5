"""Forecasts held against what happened: asked again with what was known before."""

from __future__ import annotations

import random

import pytest

from stafett.watch import calibration
from stafett.watch.course import Progress, as_of
from stafett.watch.curve import Target
from stafett.watch.hindcast import ASKED_AT, LEAST, hindcast
from stafett.watch.plan import Limit, Plan

HOUR, DAY = 3600.0, 86400.0
LIMIT = Limit("b", "a", 3 * HOUR)
TARGETS = {"a": Target(HOUR, 2 * HOUR), "b": Target(HOUR, 3 * HOUR)}
PLAN = Plan(("a", "b"), {"a": (), "b": ("a",)}, TARGETS, (LIMIT,), frozenset({"b"}))


def journeys(many: int, slower: float = 1.0) -> list[Progress]:
    """Return finished journeys, one a day; the later half takes `slower` times as long."""
    chance, found = random.Random(3), []
    for n in range(many):
        length = chance.lognormvariate(8.9, 0.6) * (slower if n >= many // 2 else 1.0)
        opened = n * DAY
        done = {"a": opened + HOUR, "b": opened + HOUR + length}
        found.append(Progress(opened, done, done["b"]))
    return found


def test_of_too_few_journeys_nothing_is_said() -> None:
    """Twenty are needed on each side of the cut."""
    assert hindcast(PLAN, journeys(2 * LEAST - 1)) is None
    assert hindcast(PLAN, journeys(2 * LEAST)) is not None


def test_what_stays_as_it_was_is_foretold_rightly() -> None:
    """Within the intervals in nearly every group, and better than the usual share."""
    found = hindcast(PLAN, journeys(400))
    assert found is not None
    assert (found.learnt, found.held) == (200, 200)
    score = calibration.brier(found.said, found.happened)
    assert score < calibration.brier(found.usual, found.happened)
    bins = calibration.reliability(found.said, found.happened, 5)
    assert sum(not b.low <= b.said <= b.high for b in bins) <= 1


def test_what_has_become_slower_shows() -> None:
    """Learnt from quick journeys, lateness is said too seldom of slow ones."""
    found = hindcast(PLAN, journeys(400, slower=2.0))
    assert found is not None
    said = sum(found.said) / len(found.said)
    assert said + 0.1 < sum(found.happened) / len(found.happened)


def test_nothing_of_the_later_half_is_learnt_from() -> None:
    """Change what happened after the cut, and what is said of its first questions stays."""
    quick, slow = hindcast(PLAN, journeys(60)), hindcast(PLAN, journeys(60, slower=3.0))
    assert quick is not None
    assert slow is not None
    assert quick.said[0] == slow.said[0]
    assert set(quick.usual) == set(slow.usual)


def test_a_deadline_is_asked_about_only_while_it_is_open() -> None:
    """A journey that was done after a fifth of the time is asked about once."""
    early = [Progress(n * DAY, {"a": n * DAY, "b": n * DAY + 0.2 * LIMIT.seconds}, n * DAY + HOUR)
             for n in range(2 * LEAST)]  # fmt: skip
    found = hindcast(PLAN, early)
    assert found is not None
    assert len(found.said) == found.held == LEAST
    assert ASKED_AT[0] < 0.2 < ASKED_AT[1]


@pytest.mark.parametrize(("now", "known"), [(0.5, set()), (1.0, {"a"}), (99.0, {"a", "b"})])
def test_a_journey_as_it_was_knows_nothing_of_later(now: float, known: set[str]) -> None:
    """Done is what was done by then."""
    one = Progress(0.0, {"a": HOUR, "b": 2 * HOUR}, 2 * HOUR)
    assert set(as_of(one, now * HOUR).done) == known
