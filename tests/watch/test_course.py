"""A journey that went back: its rounds, where it turned, and what was known at each moment."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stafett.watch.course import (
    Again,
    Progress,
    Return,
    as_of,
    could_begin,
    dones,
    returns,
    stretches,
)
from stafett.watch.curve import Seen, Target
from stafett.watch.plan import Plan

HOUR = timedelta(hours=1).total_seconds()
PLAN = Plan(
    ("a", "b", "c", "d"),
    {"a": (), "b": ("a",), "c": ("b",), "d": ("c",)},
    dict.fromkeys("abcd", Target(HOUR, 4 * HOUR)),
    (),
    frozenset(),
)
# a was done after one hour, b after two; c failed after three; b was done again after five.
WENT_BACK = Progress(
    0.0,
    {"a": HOUR, "b": 5 * HOUR, "c": 6 * HOUR, "d": 7 * HOUR},
    7 * HOUR,
    (Again("b", 2 * HOUR, 3 * HOUR), Again("c", None, 3 * HOUR), Again("d", None, 3 * HOUR)),
)


def test_each_round_is_a_stretch_of_its_own() -> None:
    """Also where it failed: that took as long as it took. What was never begun is none."""
    found = sorted((name, s.seconds / HOUR, s.whole) for name, s in stretches(PLAN, WENT_BACK))
    assert found == [
        ("a", 1, True), ("b", 1, True), ("b", 2, True), ("c", 1, True), ("c", 1, True),
        ("d", 1, True),
    ]  # fmt: skip


def test_it_turned_at_the_last_activity_that_could_be_under_way() -> None:
    """At c, not at d, which nobody could have begun; three hours until c was done after all."""
    (found,) = returns(PLAN, WENT_BACK)
    assert found == Return("c", frozenset("bcd"), Seen(3 * HOUR, whole=True))
    assert sorted(dones(PLAN, WENT_BACK)) == ["a", "b", "b", "c", "d"]


@pytest.mark.parametrize(
    ("hours", "done", "went_back"),
    [
        (1.5, {"a": 1.0}, False),
        (2.5, {"a": 1.0, "b": 2.0}, False),
        (3.5, {"a": 1.0}, True),
        (5.5, {"a": 1.0, "b": 5.0}, True),
        (6.5, {"a": 1.0, "b": 5.0, "c": 6.0}, True),
    ],
)
def test_what_was_known_at_a_moment_is_what_had_happened_by_then(
    hours: float, done: dict[str, float], went_back: bool
) -> None:
    """Before it went back, b was done; after that it was not, until it was done again."""
    then = as_of(WENT_BACK, hours * HOUR)
    assert {name: at / HOUR for name, at in then.done.items()} == done
    assert bool(then.again) == went_back
    assert then.now == hours * HOUR


def test_a_new_round_begins_when_the_journey_goes_back() -> None:
    """Not when what comes before it was done, long ago."""
    assert could_begin(PLAN, as_of(WENT_BACK, 3.5 * HOUR), "b") == 3 * HOUR
    assert could_begin(PLAN, as_of(WENT_BACK, 3.5 * HOUR), "c") is None


def test_one_that_is_still_on_its_way_again_is_a_loss_that_is_not_whole() -> None:
    """An hour and a half lost so far."""
    (found,) = returns(PLAN, as_of(WENT_BACK, 4.5 * HOUR))
    assert found.until == Seen(1.5 * HOUR, whole=False)


def test_one_that_goes_back_twice_is_two_losses() -> None:
    """Each until what it turned at was done after all; the first has the second in it."""
    twice = WENT_BACK._replace(
        done={"a": HOUR, "b": 8 * HOUR, "c": 9 * HOUR},
        now=9 * HOUR,
        again=(*WENT_BACK.again, Again("b", 5 * HOUR, 6 * HOUR), Again("c", None, 6 * HOUR)),
    )
    assert [(one.place, one.until) for one in returns(PLAN, twice)] == [
        ("c", Seen(6 * HOUR, whole=True)),
        ("c", Seen(3 * HOUR, whole=True)),
    ]
    assert as_of(twice, 5.5 * HOUR).done == {"a": HOUR, "b": 5 * HOUR}
