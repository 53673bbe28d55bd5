"""Control charts: published limits, Nelson's rules one by one, CUSUM and funnels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stafett.insight.control import (
    ALL,
    CHANCE,
    ControlError,
    cusum,
    g_chart,
    nelson,
    p_chart,
    t_chart,
    u_chart,
    xmr,
)
from stafett.insight.funnel import exact_limits, funnel


def test_xmr_limits() -> None:
    """Limits are the mean ± 2.66 times the mean moving range, worked by hand."""
    chart = xmr([10, 12, 11, 13, 9])
    assert chart.centre[0] == 11
    assert chart.upper[0] == pytest.approx(11 + 2.66 * (2 + 1 + 2 + 4) / 4)
    assert chart.lower[0] == pytest.approx(11 - 2.66 * (2 + 1 + 2 + 4) / 4)
    assert chart.signals == () and "chance" in chart.sentence()


def test_an_outlier_calls_for_a_review() -> None:
    """One point far out is a signal by rule 1, told in words."""
    chart = xmr([10, 11, 10, 11, 10, 11, 10, 11, 30, 10, 11])
    assert [(s.index, s.rule) for s in chart.signals] == [(8, 1)]
    assert chart.sentence() == "1 of 11 points calls for a review: one point beyond the limits."


RULE_EXAMPLES = {
    1: [0.0, 3.1],
    2: [0.1] * 9,
    3: [-0.5, -0.3, -0.1, 0.1, 0.3, 0.5],
    4: [0.5, -0.5] * 7,
    5: [0.0, 2.1, 2.2],
    6: [1.1, 1.2, 0.5, 1.1, 1.2],
    7: [0.5, -0.5, 0.2] * 5,
    8: [1.5, -1.5, 1.2, -1.2, 1.5, -1.5, 1.2, -1.2],
}


@pytest.mark.parametrize("rule", RULE_EXAMPLES)
def test_each_rule_fires_on_its_example_at_the_last_point(rule: int) -> None:
    """The example completes the rule with its last point and not one point earlier."""
    z = np.array(RULE_EXAMPLES[rule])
    assert [s.index for s in nelson(z, [rule])] == [len(z) - 1]
    assert nelson(z[:-1], [rule]) == ()


def test_false_alarms_are_as_rare_as_promised() -> None:
    """On chance alone rule 1 fires about 2.7 times in a thousand (seed 1)."""
    z = np.random.default_rng(1).normal(size=100_000)
    assert len(nelson(z, [1])) / 1e5 == pytest.approx(0.0027, abs=0.0005)


def test_p_limits_follow_the_size_of_the_group() -> None:
    """A larger group has narrower limits; limits stay within 0 and 1."""
    chart = p_chart([2, 20], [10, 100])
    assert chart.upper[0] == pytest.approx(0.2 + 3 * np.sqrt(0.2 * 0.8 / 10))
    assert chart.upper[1] < chart.upper[0] and chart.lower[0] == 0


def test_u_limits() -> None:
    """A rate per exposure carries three Poisson errors."""
    chart = u_chart([4, 9], [2.0, 3.0])
    assert chart.centre[0] == pytest.approx(13 / 5)
    assert chart.upper[1] == pytest.approx(2.6 + 3 * np.sqrt(2.6 / 3))


def test_t_chart_sees_events_crowd() -> None:
    """Rare events that suddenly come close together are a signal; exponential gaps are not."""
    calm = np.random.default_rng(3).exponential(30, 40)
    assert not [s for s in t_chart(calm).signals if s.rule == 1]
    assert t_chart([*calm, *[0.5] * 9], rules=(2,)).signals


def test_g_limits_are_geometric() -> None:
    """The upper limit cuts off 0.00135 of the geometric distribution."""
    chart = g_chart([50] * 20)
    p = 1 / 51
    assert (1 - p) ** (chart.upper[0] + 1) == pytest.approx(0.00135)


def test_cusum_catches_a_doubled_odds() -> None:
    """After the risk doubles the path crosses; before, it does not (seed 5)."""
    rng = np.random.default_rng(5)
    good, bad = rng.random(300) < 0.05, rng.random(300) < 0.15
    found = cusum([*good, *bad], 0.05)
    assert found.crossings and found.crossings[0] >= 300


def test_cusum_forgives_the_sick() -> None:
    """The same failures weigh less where they were expected."""
    failed = [1, 0, 1, 0, 1, 0]
    assert cusum(failed, 0.4).path[-1] < cusum(failed, 0.05).path[-1]


def test_exact_limits_hold_their_level() -> None:
    """At whole counts the interpolated limits agree with the binomial distribution."""
    low, high = exact_limits(0.2, np.array([50.0]), 0.95)
    assert stats.binom.cdf(np.floor(high[0] * 50), 50, 0.2) <= 0.98
    assert stats.binom.cdf(np.ceil(high[0] * 50), 50, 0.2) >= 0.975
    assert 0 < low[0] < 0.2 < high[0] < 0.4


def test_a_small_unit_is_not_shamed() -> None:
    """3 of 5 may be chance where 30 of 50 is not."""
    found = funnel(["small", "large", "rest"], [3, 30, 200], [5, 50, 1000])
    assert [found.names[i] for i in found.beyond] == ["large"]
    assert "large" in found.sentence()


def test_over_dispersion_widens_the_limits() -> None:
    """When all units differ more than chance, the limits widen and say so (seed 2)."""
    rng = np.random.default_rng(2)
    trials = np.full(40, 200)
    events = rng.binomial(trials, np.clip(rng.normal(0.3, 0.08, 40), 0.05, 0.6))
    found = funnel([f"u{i}" for i in range(40)], list(events), list(trials))
    assert found.phi > 2 and "widened" in found.sentence()
    assert len(found.beyond) <= 1


def test_a_cusum_worked_by_hand() -> None:
    """Odds ratio 2: a failure adds log 2 − log(1 + p), a success takes log(1 + p); least is 0."""
    found = cusum([0, 1, 1, 0, 1], [0.1, 0.1, 0.5, 0.5, 0.2], limit=0.85)
    first = np.log(2) - np.log(1.1)
    second = first + np.log(2) - np.log(1.5)
    third = 0.0  # after a crossing it begins anew, and a success takes nothing from nothing
    last = third + np.log(2) - np.log(1.2)
    assert found.path == pytest.approx([0.0, first, second, third, last])
    assert second > 0.85 > last and found.crossings == (2,)


def test_all_eight_rules_signal_as_often_by_chance_as_is_said() -> None:
    """One point in `CHANCE` completes some rule, to within a tenth (seed 4)."""
    z = np.random.default_rng(4).normal(size=200_000)
    found = len({s.index for s in nelson(z, ALL)})
    assert len(z) / found == pytest.approx(CHANCE, rel=0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: xmr([1.0, 2.0]), "too few"),
        (lambda: xmr([1.0, float("nan"), 2.0]), "missing"),
        (lambda: p_chart([3, 1], [2, 2]), "no more events than trials"),
        (lambda: funnel(["a"], [1], [0]), "at least one trial"),
        (lambda: t_chart([1, -2, 3]), "negative"),
        (lambda: cusum([1], [1.0]), "not between 0 and 1"),
    ],
)
def test_what_cannot_be_charted_is_said(call, message: str) -> None:  # type: ignore[no-untyped-def]
    """Each wrong input has its sentence."""
    with pytest.raises(ControlError, match=message):
        call()
