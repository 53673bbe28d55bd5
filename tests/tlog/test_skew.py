"""How far out a clock is: only what others prove is said."""

from __future__ import annotations

import itertools

import pytest

from stafett.ledger.skew import BLOCK_S, WARN_S, Bounds, agreed, bounds, judge

RIGHT, AHEAD, BEHIND = Bounds(-1.2, 0.1), Bounds(59.0, 60.1), Bounds(-61.0, -59.9)


def test_a_slow_answer_widens_the_bounds_and_proves_no_skew() -> None:
    """Ten seconds under way: the other looked at its clock at any moment of them."""
    found = bounds(100.0, 104.0, 110.0)
    assert found == Bounds(-5.0, 6.0)
    assert found is not None and found.proven == 0.0


def test_whole_seconds_are_no_skew() -> None:
    """A witness tells whole seconds: it may be almost one later than it says."""
    found = bounds(100.9, 100.0, 100.95)
    assert found is not None and found.proven == 0.0


def test_an_answer_during_which_our_clock_was_set_back_proves_nothing() -> None:
    """It ended before it began."""
    assert bounds(100.0, 50.0, 40.0) is None


@pytest.mark.parametrize("true", [-3600.0, -7.0, 7.0, 3600.0])
@pytest.mark.parametrize("way", [0.0, 0.3, 4.0])
def test_the_truth_is_always_within_the_bounds(true: float, way: float) -> None:
    """However the round trip is divided, and wherever in the second they looked."""
    for share, fraction in itertools.product((0.0, 0.5, 1.0), (0.0, 0.4, 0.999)):
        looked = 1e6 + share * way + fraction  # by our clock
        found = bounds(1e6 + fraction, float(int(looked - true)), 1e6 + fraction + way)
        assert found is not None and found.least <= true <= found.most


@pytest.mark.parametrize(
    ("others", "state", "ahead"),
    [
        ([], "unknown", 0.0),
        ([RIGHT], "unknown", 0.0),
        ([AHEAD], "unsure", 59.0),
        ([RIGHT, RIGHT], "good", 0.0),
        ([AHEAD, AHEAD], "out", 59.0),
        ([BEHIND, BEHIND], "out", -59.9),
        ([AHEAD, RIGHT], "unsure", 59.0),
        ([AHEAD, BEHIND], "unsure", -59.9),
        ([AHEAD, RIGHT, RIGHT], "good", 0.0),
        ([AHEAD, AHEAD, RIGHT], "out", 59.0),
        ([AHEAD, Bounds(3600.0, 3601.0), RIGHT], "out", 59.0),
        ([AHEAD, AHEAD, RIGHT, RIGHT], "unsure", 59.0),
    ],
)
def test_a_strict_majority_of_at_least_two_decides(
    others: list[Bounds], state: str, ahead: float
) -> None:
    """One wrong clock among the others neither raises an alarm nor hides one."""
    for order in itertools.permutations(others):
        assert judge(order)[0] == state
    assert judge(others)[1] == pytest.approx(ahead) or state == "unsure"


def test_what_is_said_is_the_least_that_the_majority_proves() -> None:
    """Of three that say 5, 59 and 3600, two prove 59."""
    assert agreed([Bounds(5, 6), AHEAD, Bounds(3600, 3601)]) == 59.0


def test_a_clock_that_is_said_to_be_out_must_come_nearer_to_be_right_again() -> None:
    """At the edge it does not go to and fro."""
    edge = [Bounds(2.0, 3.0)] * 2
    assert WARN_S > 2.0
    assert judge(edge)[0] == "good"
    assert judge(edge, was_out=True)[0] == "out"
    assert BLOCK_S > WARN_S
