"""What each step does, by networks small enough to work out by hand."""

from __future__ import annotations

import math
import tracemalloc
from types import SimpleNamespace

import pytest

from stafett.simulation import (
    ROWS,
    Builder,
    Constant,
    Exponential,
    Horizon,
    Hours,
    ModelError,
    Plan,
    simulate,
)

ALL = Horizon(math.inf, arrivals_until=100.0)


def leaving_times(b: Builder, horizon: Horizon = ALL) -> list[tuple[float, str]]:
    """(time, outcome) of each entity, in order of time."""
    model = b.build()
    _, log = simulate(model, horizon, 1, log=True)
    assert log is not None
    return [
        (round(float(t), 9), model.outcomes[int(v)])
        for t, v, k in zip(log.time, log.value, log.kind, strict=True)
        if ROWS[k] == "leave"
    ]


def test_work_waits_for_opening_hours() -> None:
    """Who comes at night is served in the morning; after the week's last opening, next week."""
    b = Builder()
    b.calendar("days", Hours(((0.25, 0.75), (1.25, 1.75)), period=7.0))
    b.label("in")
    b.until("days")
    b.end("out")
    b.source("all", Constant(0.5), "in")
    times = [t for t, _ in leaving_times(b, Horizon(math.inf, arrivals_until=2.0))]
    assert times == [0.5, 1.25, 1.5, 7.25]


def test_a_place_lost_is_not_taken_from_who_holds_it() -> None:
    """Capacity falls to 0 while one is served: they finish, the next waits for it to rise."""
    b = Builder()
    b.resource("bed", Plan(((0.0, 1), (1.5, 0), (5.0, 1))))
    b.label("in")
    b.seize("wait", "bed")
    b.delay("stay", Constant(1.0))
    b.release("bed")
    b.end("out")
    b.source("all", Constant(1.0), "in")
    assert [t for t, _ in leaving_times(b, Horizon(math.inf, arrivals_until=2.0))] == [2.0, 6.0]


def test_a_batch_goes_when_full_or_when_its_first_has_waited_long_enough() -> None:
    """Three a van, or after 2.5 whatever there is."""
    b = Builder()
    b.label("in")
    b.batch("van", 3, at_most=Constant(2.5))
    b.end("gone")
    b.source("bags", Constant(1.0), "in")
    times = [t for t, _ in leaving_times(b, Horizon(math.inf, arrivals_until=5.0))]
    assert times == [3.0, 3.0, 3.0, 6.5, 6.5]


def test_retries_are_counted_and_end() -> None:
    """A step that always fails is tried three times."""
    b = Builder()
    b.attribute("tries")
    b.label("in")
    b.delay("try", Constant(1.0))
    b.branch("fails", [(1.0, "failed")])
    b.end("never")
    b.label("failed")
    b.retry("tries", 3, "in", "gave up")
    b.label("gave up")
    b.end("gave up")
    b.source("all", Constant(100.0), "in")
    assert leaving_times(b) == [(103.0, "gave up")]


def test_what_has_a_shelf_life_expires_in_a_queue_and_on_the_road() -> None:
    """The deadline ends a wait and a delay at its very moment."""
    b = Builder()
    b.attribute("expires", math.inf)
    b.resource("dock", 1)
    b.label("in")
    b.stamp("expires", later=3.5)
    b.seize("wait", "dock", deadline=("expires", "spoilt in the queue"))
    b.delay("unload", Constant(3.0))
    b.release("dock")
    b.delay("drive", Constant(0.25), deadline=("expires", "spoilt on the road"))
    b.delay("the last mile", Constant(0.5), deadline=("expires", "spoilt on the road"))
    b.end("in time")
    for place in ("spoilt in the queue", "spoilt on the road"):
        b.label(place)
        b.end(place)
    b.source("bags", Constant(1.0), "in")
    assert leaving_times(b, Horizon(math.inf, arrivals_until=3.0)) == [
        (4.5, "spoilt on the road"),
        (6.5, "spoilt in the queue"),
        (7.0, "spoilt on the road"),
    ]


def test_latent_faults_are_found_where_theory_says(q: SimpleNamespace) -> None:
    """P(made at 1, found at j) = p (1 - d1)...(1 - d(j-1)) dj, the rest is never seen."""
    p, sense = 0.3, (0.2, 0.5, 0.4)
    b = Builder()
    b.attribute("worst")
    b.fault("typo", 1.0)
    b.fault("swap", 9.0)
    b.label("in")
    b.expose("write", [(p, "typo"), (0.1, "swap")])
    for j, d in enumerate(sense):
        b.inspect(f"check {j}", {"typo": (d, None), "swap": (0.0, "out")}, keep="worst")
    b.label("out")
    b.end("out")
    b.source("forms", Constant(1.0), "in")
    sums = q.replicate(b.build(), Horizon(2_000.5))
    missed = p
    for j, d in enumerate(sense):
        q.agrees(sums, lambda s, j=j: s.found[j, 0] / 2000, missed * d)
        missed *= 1 - d
    q.agrees(sums, lambda s: s.kept[0] / 2000, missed)
    q.agrees(sums, lambda s: s.kept[1] / 2000, 0.1)
    assert all(s.made[0] == s.found[:, 0].sum() + s.kept[0] for s in sums)


def test_odds_tilt_a_probability(q: SimpleNamespace) -> None:
    """Odds of 3 make 0.5 into 0.75, for a branch and for faults."""
    b = Builder()
    b.attribute("odds", 3.0)
    b.fault("typo")
    b.label("in")
    b.expose("write", [(0.5, "typo")], odds="odds")
    b.branch("luck", [(0.5, "good"), (0.25, "bad")], odds="odds")
    b.end("else")
    for name in ("good", "bad"):
        b.label(name)
        b.end(name)
    b.source("all", Constant(1.0), "in")
    sums = q.replicate(b.build(), Horizon(2_000.5))
    q.agrees(sums, lambda s: s.made[0] / 2000, 0.75)
    q.agrees(sums, lambda s: s.ended[1] / 2000, 0.75)
    q.agrees(sums, lambda s: s.ended[2] / 2000, 0.125)


def test_odds_outside_hours_tilt_a_fault(q: SimpleNamespace) -> None:
    """Open half of each day, odds of 3 while closed: 0.5 within, 0.75 outside."""
    b = Builder()
    b.fault("day")
    b.fault("night")
    b.calendar("open", Hours(((0.0, 0.5),), period=1.0))
    b.label("in")
    b.expose("by day", [(0.5, "day")], outside=("open", 3.0))
    b.delay("until the evening", Constant(0.5))
    b.expose("by night", [(0.5, "night")], outside=("open", 3.0))
    b.end("out")
    b.source("forms", Constant(1.0), "in")
    s, _ = simulate(b.build(), Horizon(20_000.5), 1)
    for made, p in zip(s.made, (0.5, 0.75), strict=True):
        assert abs(made - 20_000 * p) < 3.5 * math.sqrt(20_000 * p * (1 - p))


def test_medians_and_tails_come_from_the_histogram() -> None:
    """Quantiles of an exponential within a hundredth, without keeping the sojourns."""
    b = Builder()
    b.attribute("came")
    b.label("in")
    b.stamp("came")
    b.delay("stay", Exponential(10.0))
    b.tally("stay", "came", since=True)
    b.end("out")
    b.source("all", Constant(0.01), "in")
    s, _ = simulate(b.build(), Horizon(2_000.0), 4)
    for p in (0.05, 0.5, 0.95):
        assert float(s.quantile(0, p)) == pytest.approx(-10 * math.log(1 - p), rel=0.02)


def test_memory_does_not_grow_with_the_number_of_entities(q: SimpleNamespace) -> None:
    """Ten times the customers, the same peak: slots and stale events are used again."""
    model = q.station(2, Exponential(1.0), Exponential(0.7), patience=Exponential(50.0))

    def peak(until: float) -> int:
        tracemalloc.start()
        simulate(model, Horizon(until), 1)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(100.0)
    assert peak(100_000.0) < 1.5 * peak(10_000.0)


def test_the_log_has_a_row_for_each_enqueue_and_discharge() -> None:
    """So that a wait is charged to the queue, and not to the step before."""
    b = Builder()
    b.resource("bed", 1)
    b.label("in")
    b.seize("wait", "bed")
    b.delay("stay", Constant(3.0))
    b.release("bed")
    b.end("out")
    b.source("all", Constant(1.0), "in")
    _, log = simulate(b.build(), Horizon(math.inf, arrivals_until=2.0), 1, log=True)
    assert log is not None
    second = [
        (float(t), ROWS[k]) for t, e, k in zip(log.time, log.entity, log.kind, strict=True) if e
    ]
    assert second == [
        (2.0, "arrive"), (2.0, "enqueue"), (4.0, "start"), (4.0, "begin"), (7.0, "finish"),
        (7.0, "discharge"), (7.0, "leave"),
    ]  # fmt: skip


def test_a_network_that_cannot_run_says_which_step() -> None:
    """Going round in no time, releasing what is not held, leaving with a place, negative time."""

    def broken(kind: str) -> Builder:
        b = Builder()
        b.attribute("x", -1.0)
        b.resource("bed", 1)
        b.label("in")
        if kind == "round":
            b.branch("for ever", [(1.0, "in")])
        if kind == "release":
            b.release("bed")
        if kind == "leave":
            b.seize("wait", "bed")
        if kind == "negative":
            b.delay("backwards", "x")
        b.end("out")
        b.source("all", Constant(1.0), "in")
        return b

    for kind, words in {
        "round": "for ever.*without time",
        "release": "release bed.*not hold",
        "leave": "end out.*still holds",
        "negative": "backwards.*negative",
    }.items():
        with pytest.raises(ModelError, match=words):
            simulate(broken(kind).build(), ALL, 1)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda b: b.branch("b", [(0.7, "in"), (0.7, "in")]), "no probabilities"),
        (lambda b: b.branch("b", [(0.5, "nowhere")]), "no such label"),
        (lambda b: b.seize("s", "bed", patience=Constant(1.0)), "where do they go"),
        (lambda b: b.seize("s", "bed", priority=9), "priority 9"),
        (lambda b: b.delay("d", "hope"), "no attribute 'hope'"),
        (lambda b: (b.delay("d", Constant(1)), b.delay("d", Constant(1))), "names must differ"),
        (lambda b: b.resource("r", Plan(((1.0, 2),))), "start at 0"),
        (lambda b: b.resource("r", -1), "below 0"),
        (lambda b: b.calendar("c", Hours(((2.0, 1.0),))), "in order"),
        (lambda b: b.label("in"), "used twice"),
        (lambda b: b.batch("b", 0), "at least one"),
        (lambda b: b.source("s", Exponential(-1.0), "in"), "above 0"),
    ],
)
def test_a_network_with_a_mistake_is_refused(write, words: str) -> None:
    """Each with a message that names the thing."""
    b = Builder()
    b.resource("bed", 1)
    b.label("in")
    with pytest.raises(ValueError, match=words):
        write(b)
        b.end("out")
        b.source("all", Constant(1.0), "in")
        b.build()


def test_a_horizon_that_never_comes_is_refused() -> None:
    """Neither end nor end of arrivals; or an end before counting begins."""
    with pytest.raises(ValueError, match="ever end"):
        Horizon(math.inf)
    with pytest.raises(ValueError, match="before counting"):
        Horizon(10.0, warmup=20.0)


def test_a_seed_outside_the_key_is_refused() -> None:
    """Seeds are 32-bit words."""
    b = Builder()
    b.label("in")
    b.end("out")
    b.source("all", Constant(1.0), "in")
    with pytest.raises(ValueError, match="seed -1"):
        simulate(b.build(), ALL, -1)
