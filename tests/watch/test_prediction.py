"""Remaining time and deadlines: learnt with censoring, and right about held-out journeys."""

from __future__ import annotations

import random

import numpy as np
import pytest

from stafett.journey.state import State
from stafett.protocol.net import Net
from stafett.watch import calibration, course
from stafett.watch.course import Again, Progress
from stafett.watch.curve import ENOUGH, Seen, Target, curve
from stafett.watch.plan import Limit, Plan, plan_of
from stafett.watch.prediction import learn, look_ahead, savings

HOUR = 3600.0
PLAN = Plan(
    order=("a", "b", "c"),
    before={"a": (), "b": ("a",), "c": ("b",)},
    targets=dict.fromkeys("abc", Target(HOUR, 4 * HOUR)),
    limits=(Limit("c", "a", 3 * HOUR),),
    handoffs=frozenset({"b"}),
)


def test_the_curve_is_kaplan_and_meiers() -> None:
    """The textbook case: 6, 7+, 10, 15+, 19 of five at risk."""
    seen = [
        Seen(t, whole=w) for t, w in ((6, True), (7, False), (10, True), (15, False), (19, True))
    ]
    many = seen * ENOUGH  # so that the targets weigh nothing; the curve is the same
    found = curve(many, Target(1, 2))
    expected = {6: 4 / 5, 7: 4 / 5, 10: 4 / 5 * 2 / 3, 15: 4 / 5 * 2 / 3, 19: 0.0}
    for at, left in expected.items():
        assert found.survival(at) == pytest.approx(left)


def test_without_a_record_the_targets_stand_in_and_fade() -> None:
    """No stretch seen: the median is the usual time. Twenty seen: the targets say nothing."""
    target = Target(HOUR, 4 * HOUR)
    assert curve([], target).quantile(0.5) == pytest.approx(HOUR)
    fast = [Seen(60.0 + i, whole=True) for i in range(ENOUGH)]
    assert curve(fast, target).survival(90.0) == 0.0


def test_a_length_drawn_is_never_shorter_than_what_has_passed() -> None:
    """Given that two hours have passed, it takes two hours at least, also beyond all seen."""
    seen = [Seen(x * HOUR, whole=True) for x in np.linspace(0.5, 3, 40)]
    found = curve(seen, Target(HOUR, 2 * HOUR))
    uniform = np.linspace(0.001, 0.999, 500)
    assert found.draw(uniform, 2 * HOUR).min() >= 2 * HOUR
    assert found.draw(uniform, 10 * HOUR).min() >= 10 * HOUR


def test_draws_have_the_curves_distribution() -> None:
    """The share of draws beyond a length is the curve's survival there."""
    chance = random.Random(5)
    seen = [Seen(chance.lognormvariate(8, 0.6), whole=True) for _ in range(400)]
    found = curve(seen, Target(HOUR, 2 * HOUR))
    drawn = found.draw((np.arange(20_000) + 0.5) / 20_000, 0.0)
    for share in (0.1, 0.5, 0.9):
        at = found.quantile(share)
        assert float((drawn > at).mean()) == pytest.approx(found.survival(at), abs=0.002)


def test_time_that_passes_without_news_makes_a_miss_likelier() -> None:
    """While `b` waits, the probability of missing rises, and after the limit it is one."""
    curves = learn(PLAN, [])
    said = [
        look_ahead(PLAN, curves, Progress(0, {"a": 0.0}, hours * HOUR)).deadlines[0].miss
        for hours in (0, 1, 2, 2.9, 3.1)
    ]
    assert said == sorted(said)
    assert said[-1] == 1.0


def test_the_interface_that_buys_most_time_is_named() -> None:
    """Only `b` is a handoff: shortening it helps, and never makes anything worse."""
    deadline = look_ahead(PLAN, learn(PLAN, []), Progress(0, {"a": 0.0}, HOUR)).deadlines[0]
    assert deadline.best == "b"
    assert 0 < deadline.gain <= deadline.miss


def test_a_built_in_journey_has_an_outlook_in_every_state(
    states: tuple[Net, list[State]],
) -> None:
    """From the first event to the last: what is left is never in the past."""
    net, every = states
    plan = plan_of(net)
    curves = learn(plan, [])
    for state in every[:: len(every) // 8]:
        at = course.progress(net, state, state.latest_at)
        outlook = look_ahead(plan, curves, at, draws=50)
        assert all(segment.low >= 0 for segment in outlook.segments)
        assert all(0 <= deadline.miss <= 1 for deadline in outlook.deadlines)
        assert not {segment.activity for segment in outlook.segments} & at.done.keys()


def test_two_activities_have_one_limit_the_shortest(states: tuple[Net, list[State]]) -> None:
    """A thawed product's deadline and its shelf life are one line on the page, not two."""
    limits = plan_of(states[0]).limits
    pairs = [(limit.name, limit.since) for limit in limits]
    assert len(pairs) == len(set(pairs))
    assert next(x for x in limits if (x.name, x.since) == ("H22", "THAW")).seconds == 1800


def test_probabilities_are_calibrated_on_held_out_journeys_and_beat_the_base_rate() -> None:
    """Two hundred journeys learnt from, six hundred others predicted, each asked about once: what
    was said lies in the 95 % interval of what happened, but for one bin of five at most."""
    seed = 20_260_302
    chance = random.Random(seed)

    def journey() -> list[float]:
        return [chance.lognormvariate(8.3, 0.6) for _ in range(3)]

    def until(lengths: list[float], now: float) -> Progress:
        ends = np.cumsum(lengths)
        done = {n: float(e) for n, e in zip("abc", ends, strict=True) if e <= now}
        return Progress(0.0, done, min(now, float(ends[-1])))

    curves = learn(PLAN, [until(journey(), 1e9) for _ in range(200)])
    said, happened = [], []
    for n in range(600):
        lengths = journey()
        late = lengths[1] + lengths[2] > PLAN.limits[0].seconds
        # Asked at fixed times: a moment chosen by how long it takes would tell how long it takes.
        now = lengths[0] + (0.2 * HOUR, HOUR, 2 * HOUR)[n % 3]
        if now >= sum(lengths):
            continue
        said.append(look_ahead(PLAN, curves, until(lengths, now)).deadlines[0].miss)
        happened.append(late)
    rate = sum(happened) / len(happened)
    score = calibration.brier(said, happened)
    assert score < 0.95 * calibration.brier([rate] * len(said), happened), f"seed {seed}"
    off = [b for b in calibration.reliability(said, happened, 5) if not b.low <= b.said <= b.high]
    assert len(off) <= 1, f"seed {seed}: {off}"


def test_what_buys_time_is_what_the_end_waits_for() -> None:
    """Half of the mean of `b` at its best tenth; nothing while a longer way runs beside it."""
    chance = random.Random(7)

    def past(beside: float) -> list[Progress]:
        found = []
        for _ in range(200):
            b = HOUR * (1 + chance.uniform(0.0, 10.0))
            done = {"a": 0.0, "b": b, "d": beside, "c": max(b, beside) + HOUR}
            found.append(Progress(0.0, done, 40 * HOUR))
        return found

    plan = Plan(
        order=("a", "b", "d", "c"),
        before={"a": (), "b": ("a",), "d": ("a",), "c": ("b", "d")},
        targets=dict.fromkeys("abcd", Target(HOUR, 4 * HOUR)),
        limits=(),
        handoffs=frozenset({"b"}),
    )
    at = Progress(0.0, {"a": 0.0}, 0.0)
    (alone,) = savings(plan, learn(plan, past(HOUR)), at)
    assert alone.handoff == "b"
    assert alone.seconds / HOUR == pytest.approx(4.1, abs=0.5)  # 6 hours on average, 2 at best
    assert savings(plan, learn(plan, past(12 * HOUR)), at) == ()


def again(chance: random.Random, share: float) -> Progress:
    """Return a finished journey; `share` of them go back from `c` to `b`, and again."""
    now = chance.lognormvariate(8.3, 0.6)
    done = {"a": now}
    afresh: list[Again] = []
    while True:
        now = done["b"] = now + chance.lognormvariate(8.3, 0.6)
        now += chance.lognormvariate(8.3, 0.6)
        if chance.random() >= share:
            done["c"] = now
            return Progress(0.0, done, now, tuple(afresh))
        afresh += [Again("b", done["b"], now), Again("c", None, now)]


def test_journeys_that_go_back_are_foretold_as_often_as_they_do() -> None:
    """A third goes back from `c` to `b`. What is said agrees with what happens; learnt from what
    is left at the end only, as if nobody had gone back, lateness would be said too seldom."""
    seed = 20_261_126
    chance = random.Random(seed)
    past = [again(chance, 1 / 3) for _ in range(400)]
    learnt = learn(PLAN, past)
    assert learnt.back.keys() == {"c"}
    assert learnt.back["c"].share == pytest.approx(1 / 3, abs=0.07), f"seed {seed}"
    blind = learn(PLAN, [one._replace(again=()) for one in past])
    said, without, happened = [], [], []
    limit = 4 * HOUR
    plan = PLAN._replace(limits=(Limit("c", "a", limit),))
    for n in range(900):
        one = again(chance, 1 / 3)
        now = course.as_of(one, one.done["a"] + (0.2 * HOUR, HOUR, 2 * HOUR)[n % 3])
        if "c" in now.done:
            continue
        said.append(look_ahead(plan, learnt, now).deadlines[0].miss)
        without.append(look_ahead(plan, blind, now._replace(again=())).deadlines[0].miss)
        happened.append(one.done["c"] - one.done["a"] > limit)
    off = [b for b in calibration.reliability(said, happened, 5) if not b.low <= b.said <= b.high]
    assert len(off) <= 1, f"seed {seed}: {off}"
    rate = sum(happened) / len(happened)
    assert abs(sum(said) / len(said) - rate) < 0.04, f"seed {seed}"
    assert calibration.brier(said, happened) < calibration.brier(without, happened)
