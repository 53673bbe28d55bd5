"""The compiled loop against its plain twin, fused against unfused, and wrong engines caught."""

from __future__ import annotations

import hashlib
import math
from types import SimpleNamespace

import numpy as np
import pytest

from stafett.simulation import (
    Builder,
    Choice,
    Constant,
    Empirical,
    Erlang,
    Exponential,
    Horizon,
    Hours,
    Lognormal,
    Model,
    Plan,
    Rates,
    Triangular,
    Uniform,
    Weibull,
    simulate,
)
from stafett.simulation.twin import Entity, Twin


def everything() -> Model:
    """A network in which every operation, mode and distribution occurs, with ties in time."""
    b = Builder()
    for name in ("came", "site", "frailty", "team", "shift", "tries", "load", "worst", "half"):
        b.attribute(name)
    b.attribute("dies", math.inf)
    b.fault("typo", 1.0)
    b.fault("swap", 3.0)
    b.fault("late", 2.0)
    b.block("nurse", [2, Plan(((0.0, 2), (0.375, 1)), period=1.0)])
    b.resource("suite", Plan(((0.0, 0), (2.0, 3), (30.0, 1), (33.0, 3))))
    b.resource("courier", 1, lifo=True)
    b.calendar("weekdays", Hours(tuple((d + 0.375, d + 0.625) for d in range(5)), period=7.0))
    b.label("in")
    b.stamp("came")
    b.draw("site", "site", Choice((2, 1)))
    b.draw("frailty", "frailty", Lognormal(1.0, 0.5))
    b.bucket("shift", 0.5)
    b.shared_draw("team", "team", Uniform(0.5, 2.0), group="site", second="shift")
    b.multiply("frailty", "team")
    b.draw("dies in", "dies", Weibull(1.5, 40.0))
    b.add("dies", "came")
    b.stamp("half", 20.0)
    b.minimum("dies", "half")
    b.invert("half", "frailty")
    b.until("weekdays", deadline=("dies", "dead"))
    b.seize("nurse?", "nurse", by="site", patience=Erlang(2, 3.0), otherwise="gave up",
            deadline=("dies", "dead"))  # fmt: skip
    b.delay("collect", [Constant(0.25), Triangular(0.1, 0.2, 0.6)], by="site", times="frailty")
    b.expose("label", [(0.2, "typo"), (0.1, "swap"), (0.05, "late")], odds="frailty",
             outside=("weekdays", 3.0))  # fmt: skip
    b.release("nurse", by="site")
    b.observe("load", "suite")
    b.label("make")
    b.batch("van", 3, at_most=Exponential(0.5))
    b.seize("van?", "courier", priority="site", deadline=("dies", "dead"))
    b.delay("drive", Constant(0.125))
    b.release("courier")
    b.inspect("goods in", {"typo": (0.5, None), "swap": (0.9, "dead"), "late": (0.3, "again")},
              keep="worst")  # fmt: skip
    b.seize("suite?", "suite", deadline=("dies", "dead"), priority=1)
    b.fork("make and test", ["grow", "test"])
    b.branch("worked?", [(0.2, "failed")], odds="load")
    b.release("suite")
    b.delay("ship", Empirical((0.5, 0.75, 2.0)), deadline=("dies", "dead"))
    b.copy("half", "came")
    b.delay("as long as team", "team")
    b.tally("journey", "half", since=True)
    b.tally("tries", "tries")
    b.end("treated")
    b.label("grow")
    b.delay("grow", Constant(1.0))
    b.expose("mix", [[(0.1, "swap")], [(0.3, "swap")]], by="site")
    b.join()
    b.label("test")
    b.seize("van2", "courier")
    b.delay("test", Uniform(0.5, 1.5))
    b.release("courier")
    b.join()
    b.label("failed")
    b.release("suite")
    b.label("again")
    b.retry("tries", 3, "make", "gave up")
    b.label("gave up")
    b.put("load", 9.0)
    b.end("gave up")
    b.label("dead")
    b.free()
    b.end("dead")
    b.source("urgent", Exponential(1.5), "in")
    b.source("planned", Constant(1.0), "in")
    b.source("seasonal", Rates(((0.0, 1.0), (5.0, 0.0), (9.0, 2.0)), period=10.0), "make")
    return b.build()


ROUND = 9  # decimals: sums in another order differ in the last bits


def test_the_twin_sees_the_same_rows() -> None:
    """Every row of the log, to the last bit, for a network that uses everything."""
    model = everything()
    for seed in range(6):
        horizon = Horizon(60.0, warmup=5.0, count_until=50.0)
        twin = Twin(model, horizon, seed, 7).run()
        sums, log = simulate(model, horizon, seed, 7, log=True)
        assert log is not None
        fast = list(zip(log.time, log.source, log.entity, log.lane, log.op, log.kind, log.value,
                        strict=True))  # fmt: skip
        slow = sorted((r for r in twin.log if r[0] <= 60.0), key=lambda r: r[:4])
        assert len(fast) > 500
        assert sorted(fast) == sorted(slow), f"seed {seed}"
        assert {n: int(k) for n, k in zip(model.outcomes, sums.ended, strict=True) if k} == dict(
            twin.outcomes
        )
        for k, name in enumerate(model.tallies):
            assert sums.tally[k, 0] == len(twin.tallies[name])
            assert sums.tally[k, 1] == pytest.approx(sum(twin.tallies[name]), abs=1e-3)
        assert sums.made.sum() == sum(twin.made.values())
        assert sums.found.sum() == sum(twin.found.values())
        assert sums.kept.sum() == sum(twin.kept.values())


def test_fused_and_unfused_runs_are_bit_identical() -> None:
    """Doing an entity's own steps ahead of time changes nothing, sums and log alike."""
    model = everything()
    for seed in range(10):
        horizon = Horizon(200.0, warmup=20.0)
        one, log_one = simulate(model, horizon, seed, log=True)
        two, log_two = simulate(model, horizon, seed, fused=False, log=True)
        assert one.events < two.events
        assert one.same_as(two), f"seed {seed}"
        assert log_one is not None and log_two is not None
        for name in vars(log_one):
            assert np.array_equal(getattr(log_one, name), getattr(log_two, name)), (seed, name)


def test_a_seed_keeps_its_meaning_from_release_to_release() -> None:
    """Every sum and every row of the log, as they were when this number was written down."""
    sums, log = simulate(everything(), Horizon(200.0, warmup=20.0), 20261126, 3, log=True)
    digest = hashlib.sha256()
    for part in (sums, log):
        for name, value in vars(part).items():
            if name != "events":
                digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
    assert digest.hexdigest()[:16] == "1d67ff6381bd15f6"


def test_logging_changes_nothing() -> None:
    """The same sums with the log and without it."""
    model = everything()
    with_log, _ = simulate(model, Horizon(300.0), 3, log=True)
    without, _ = simulate(model, Horizon(300.0), 3)
    assert with_log.same_as(without)


class LosesAPlace(Twin):
    """A wrong engine: one release in five hundred is forgotten."""

    def _give_back(self, e: Entity, r: int, op: int) -> None:
        super()._give_back(e, r, op)
        if e.number % 500 == 499:
            self.busy[r] += 1


@pytest.mark.parametrize(("engine", "wrong"), [(Twin, False), (LosesAPlace, True)])
def test_a_lost_release_does_not_pass_the_exact_results(
    q: SimpleNamespace, engine: type[Twin], wrong: bool
) -> None:
    """M/M/5 at load 4: the right twin agrees with Erlang C, the one that loses a place fails."""
    model = q.station(5, Exponential(1.0), Exponential(0.25))
    means = []
    for r in range(8):
        waits = engine(model, Horizon(450.0, warmup=50.0), 11, r).run().waits["queue"]
        means.append(np.mean(waits))
    error = np.std(means, ddof=1) / math.sqrt(len(means))
    z = abs(np.mean(means) - q.erlang_c(5, 4.0)) / error
    assert (z > q.LIMIT) == wrong, f"|z| = {z:.1f}"


def test_serving_the_last_first_does_not_pass_the_exact_results(q: SimpleNamespace) -> None:
    """M/M/2 at load 1.6, last come first served: the mean agrees, the mean square must not."""
    p = q.erlang_c(2, 1.6)
    for lifo in (False, True):
        model = q.station(2, Exponential(1.0), Exponential(1 / 1.6), lifo=lifo)
        sums = q.replicate(model, Horizon(21_000, warmup=1_000))
        q.agrees(sums, lambda s: s.waited[1, 1] / s.waited[1, 0], p / 0.4)
        z, _, _ = q.z_score(sums, lambda s: s.waited[1, 2] / s.waited[1, 0], 2 * p / 0.16)
        assert (abs(z) > 2 * q.LIMIT) == lifo, f"z = {z:.1f}"


def test_common_random_numbers_survive_a_change_of_events() -> None:
    """A second test at the start, and one patient's retries, leave all other draws alone."""

    def network(extra: bool) -> Model:
        b = Builder()
        b.attribute("x")
        b.label("in")
        if extra:
            b.delay("extra test", Exponential(2.0))
            b.branch("again?", [(0.5, "in")])
        b.draw("luck", "x", Uniform(0.0, 1.0))
        b.tally("luck", "x")
        b.end("done")
        b.source("patients", Exponential(1.0), "in")
        return b.build()

    one, _ = simulate(network(False), Horizon(math.inf, arrivals_until=500.0), 5)
    two, _ = simulate(network(True), Horizon(math.inf, arrivals_until=500.0), 5)
    assert np.array_equal(one.tally, two.tally)
    other, _ = simulate(network(True), Horizon(math.inf, arrivals_until=500.0), 6)
    assert not np.array_equal(one.tally, other.tally)


def test_replications_and_seeds_differ() -> None:
    """Neither the seed nor the replication is without effect."""
    model = everything()
    seen = {simulate(model, Horizon(50.0), s, r)[0].system for s in range(3) for r in range(3)}
    assert len(seen) == 9
