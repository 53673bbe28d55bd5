"""The kernel against exact results of queueing theory, |z| < 3.5 over 20 replications."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from stafett.simulation import (
    Builder,
    Constant,
    Exponential,
    Horizon,
    Rates,
)
from stafett.simulation.exact import Case, cases, verdicts

LONG = Horizon(until=21_000, warmup=1_000)


@pytest.mark.parametrize("case", [*cases()], ids=lambda case: case.name)
def test_the_kernel_gives_what_theory_says(case: Case) -> None:
    """M/M/c, M/G/1, three kinds of patience, Erlang B, Jackson, tandem, priorities: each figure."""
    for v in verdicts(case):
        said = f"exact {v.exact:.5f}, simulated {v.mean:.5f} ({v.low:.5f} to {v.high:.5f})"
        assert v.agrees, f"{v.what}: {said}, z = {v.z:.2f}"


def mdc_queue(c: int, load: float) -> float:
    """Mean queue of M/D/c: N(t+1) = max(N(t)-c, 0) + Poisson(load), solved to its fixed point."""
    size = 400
    k = np.arange(size)
    log_p = k * math.log(load) - load - np.array([math.lgamma(i + 1) for i in k])
    poisson = np.exp(log_p)
    p = np.zeros(size)
    p[0] = 1.0
    for _ in range(20_000):
        after = np.concatenate([[p[: c + 1].sum()], p[c + 1 :], np.zeros(c)])
        new = np.convolve(after, poisson)[:size]
        if np.abs(new - p).max() < 1e-13:
            break
        p = new
    return float((np.maximum(k - c, 0) * p).sum())


@pytest.mark.parametrize(("c", "load"), [(1, 0.8), (4, 3.2)])
def test_mdc_waits_as_crommelin_says(q: SimpleNamespace, c: int, load: float) -> None:
    """M/D/c: the mean wait is that of the exact discrete recursion (Crommelin 1932)."""
    sums = q.replicate(q.station(c, Constant(1.0), Exponential(1 / load)), LONG)
    q.agrees(sums, lambda s: s.waited[1, 1] / s.waited[1, 0], mdc_queue(c, load) / load)


def forked(waits: bool) -> Builder:
    """Two ways at once, through a queue each or none."""
    b = Builder()
    b.attribute("came")
    for way in ("left", "right"):
        b.resource(way, 1)
    b.label("in")
    b.stamp("came")
    b.fork("split", ["left", "right"])
    b.tally("sojourn", "came", since=True)
    b.end("done")
    for way in ("left", "right"):
        b.label(way)
        if waits:
            b.seize(f"wait {way}", way)
        b.delay(f"serve {way}", Exponential(1.0))
        if waits:
            b.release(way)
        b.join()
    b.source("jobs", Exponential(1 / 0.6), "in")
    return b


def test_fork_join(q: SimpleNamespace) -> None:
    """Two M/M/1 queues in parallel: mean sojourn (12-rho)/8 of one queue's (Flatto and Hahn)."""
    sums = q.replicate(forked(True).build(), LONG)
    q.agrees(sums, q.mean_wait, (12 - 0.6) / 8 / (1 - 0.6))


def test_fork_without_queues_takes_the_longer(q: SimpleNamespace) -> None:
    """The maximum of two unit exponentials has mean 1.5 and mean square 3.5."""
    sums = q.replicate(forked(False).build(), Horizon(5_000))
    q.agrees(sums, q.mean_wait, 1.5)
    q.agrees(sums, q.second_wait, 3.5)


def test_arrivals_that_change_with_time(q: SimpleNamespace) -> None:
    """M(t)/M/inf: the number present at t is Poisson with mean the integral of l(s)exp(s-t)."""
    b = Builder()
    b.label("in")
    b.delay("stay", Exponential(1.0))
    b.end("gone")
    b.source("guests", Rates(((0.0, 40.0), (2.0, 0.0), (3.0, 10.0)), period=5.0), "in")
    model, t = b.build(), 8.5
    steps = [(0, 2, 40.0), (3, 5, 10.0), (5, 7, 40.0), (8, 8.5, 10.0)]
    mean = sum(r * (math.exp(hi - t) - math.exp(lo - t)) for lo, hi, r in steps)
    sums = q.replicate(model, Horizon(t), n=400)
    q.agrees(sums, lambda s: s.open, mean)
    q.agrees(sums, lambda s: (s.open - mean) ** 2, mean)
    q.agrees(sums, lambda s: s.arrivals[0], 40 * 4 + 10 * 2 + 10 * 0.5)


def test_a_capacity_that_is_away_half_of_the_time(q: SimpleNamespace) -> None:
    """A fluid check: with a day on and a day off, unit work at rate 0.3 keeps 0.3 places busy."""
    from stafett.simulation import Plan

    b = Builder()
    b.resource("server", Plan(((0.0, 1), (1.0, 0)), period=2.0))
    b.label("in")
    b.seize("wait", "server")
    b.delay("serve", Exponential(0.1))
    b.release("server")
    b.end("done")
    b.source("jobs", Exponential(1 / 3.0), "in")
    sums = q.replicate(b.build(), LONG)
    q.agrees(sums, lambda s: s.area[0, 0] / s.span, 0.3)
    assert all(s.area[0, 2] / s.span == pytest.approx(0.5, abs=1e-4) for s in sums)
    assert all(s.open < 60 for s in sums)


def test_littles_law_is_exact_on_an_emptied_system(q: SimpleNamespace) -> None:
    """Run until all have left: the time integral of the number inside is the sum of sojourns."""
    model = q.station(2, Exponential(1.0), Exponential(0.6))
    for s in q.replicate(model, Horizon(math.inf, arrivals_until=2_000), n=3):
        assert s.open == 0
        assert s.system == pytest.approx(s.tally[1, 1], rel=1e-6)


def test_nobody_is_lost_or_made(q: SimpleNamespace) -> None:
    """Arrivals = served + lost + still inside, and inside = waiting + in service."""
    model = q.station(2, Exponential(1.0), Exponential(0.4), patience=Exponential(1.5))
    for s in q.replicate(model, Horizon(3_000), n=5):
        assert 0 <= s.open < 40
        assert s.arrivals.sum() == s.ended.sum() + s.open
        assert s.reneged[1, 0] == s.ended[1]
        assert s.system == pytest.approx(s.area[0, 0] + s.area[0, 1], rel=1e-9)
