"""The kernel against exact results of queueing theory, |z| < 3.5 over 20 replications."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad

from stafett.simulation import (
    Builder,
    Constant,
    Erlang,
    Exponential,
    Horizon,
    Lognormal,
    Rates,
    Uniform,
    Weibull,
)
from stafett.simulation.distributions import Distribution

LONG = Horizon(until=21_000, warmup=1_000)


def lost_share(s) -> float:
    """Share of those counted who left unserved."""
    return float(s.ended[1] / s.ended.sum())


@pytest.mark.parametrize(("c", "load"), [(1, 0.7), (3, 2.4), (10, 8.5)])
def test_mmc_waits_as_erlang_says(q: SimpleNamespace, c: int, load: float) -> None:
    """M/M/c: mean and mean square of the wait follow Erlang C."""
    sums = q.replicate(q.station(c, Exponential(1.0), Exponential(1 / load)), LONG)
    p = q.erlang_c(c, load)
    q.agrees(sums, lambda s: s.waited[1, 1] / s.waited[1, 0], p / (c - load))
    q.agrees(sums, lambda s: s.waited[1, 2] / s.waited[1, 0], 2 * p / (c - load) ** 2)
    q.agrees(sums, lambda s: s.area[0, 0] / s.span, load)


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


@pytest.mark.parametrize(
    ("service", "m2", "m3"),
    [
        (Uniform(0.0, 2.0), 4 / 3, 2.0),
        (Erlang(3, 1.0), 4 / 3, 60 / 27),
        (Lognormal(math.exp(-0.125), 0.5), math.exp(0.25), math.exp(0.75)),
        (Weibull(2.0, 2 / math.sqrt(math.pi)), 4 / math.pi, (4 / math.pi) ** 1.5 * math.gamma(2.5)),
    ],
)
def test_pollaczek_khinchine(
    q: SimpleNamespace, service: Distribution, m2: float, m3: float
) -> None:
    """M/G/1: mean and mean square of the wait follow Pollaczek and Khinchine."""
    rate = 0.7
    assert service.mean() == pytest.approx(1.0)
    sums = q.replicate(q.station(1, service, Exponential(1 / rate)), LONG)
    mean = rate * m2 / (2 * (1 - rate))
    second = 2 * mean**2 + rate * m3 / (3 * (1 - rate))
    q.agrees(sums, lambda s: s.waited[1, 1] / s.waited[1, 0], mean)
    q.agrees(sums, lambda s: s.waited[1, 2] / s.waited[1, 0], second)


def abandoning(c: int, rate: float, survives) -> float:
    """P(abandon) in M/M/c+G with mean service 1 (Zeltyn and Mandelbaum 2005, section 2)."""

    def inner(x: float) -> float:
        return quad(survives, 0, x, limit=200)[0]

    j = quad(lambda x: math.exp(rate * inner(x) - c * x), 0, 12, limit=400, points=[1.0])[0]
    eps = quad(lambda t: math.exp(-t) * (1 + t / rate) ** (c - 1), 0, math.inf)[0]
    return (1 + (rate - c) * j) / (eps + rate * j)


@pytest.mark.parametrize(
    ("patience", "survives"),
    [
        (Exponential(2.0), lambda x: math.exp(-x / 2)),
        (Constant(1.0), lambda x: float(x < 1.0)),
        (Weibull(2.0, 1.5), lambda x: math.exp(-((x / 1.5) ** 2))),
    ],
    ids=["exponential (Erlang A)", "deterministic", "Weibull"],
)
def test_impatient_customers_leave_as_theory_says(q, patience, survives) -> None:
    """M/M/3+G: the share that abandons, for three kinds of patience, above full load."""
    sums = q.replicate(
        q.station(3, Exponential(1.0), Exponential(1 / 3.3), patience=patience),
        Horizon(until=8_000, warmup=200),
    )
    q.agrees(sums, lost_share, abandoning(3, 3.3, survives))


def test_erlang_b(q: SimpleNamespace) -> None:
    """No patience at all: the share turned away is Erlang's B, whatever the service."""
    c, load = 4, 3.0
    b = load**c / math.factorial(c) / sum(load**k / math.factorial(k) for k in range(c + 1))
    for service in (Exponential(1.0), Constant(1.0)):
        model = q.station(c, service, Exponential(1 / load), patience=Constant(0.0))
        q.agrees(q.replicate(model, Horizon(8_000, 100)), lost_share, b)


def test_jackson_network_with_feedback(q: SimpleNamespace) -> None:
    """Two stations, one in four sent back: each holds what a lone M/M/1 with its flow would."""
    b = Builder()
    b.resource("one", 1)
    b.resource("two", 1)
    b.label("in")
    for name, mean in (("one", 0.5), ("two", 0.4)):
        b.seize(f"wait {name}", name)
        b.delay(f"serve {name}", Exponential(mean))
        b.release(name)
    b.branch("good?", [(0.25, "in")])
    b.end("done")
    b.source("jobs", Exponential(1.0), "in")
    sums = q.replicate(b.build(), LONG)
    flow = 1 / 0.75
    for r, mean in enumerate((0.5, 0.4)):
        load = flow * mean
        q.agrees(sums, lambda s, r=r: s.area[r, :2].sum() / s.span, load / (1 - load))
        q.agrees(sums, lambda s, r=r: s.waited[3 * r, 0] / s.span, flow)


def test_tandem_queues(q: SimpleNamespace) -> None:
    """M/M/1 twice: the whole sojourn is a sum of independent exponentials (Burke, Reich)."""
    b = Builder()
    b.attribute("came")
    b.resource("one", 1)
    b.resource("two", 1)
    b.label("in")
    b.stamp("came")
    for name, mean in (("one", 1.0), ("two", 0.8)):
        b.seize(f"wait {name}", name)
        b.delay(f"serve {name}", Exponential(mean))
        b.release(name)
    b.tally("sojourn", "came", since=True)
    b.end("done")
    b.source("jobs", Exponential(1 / 0.6), "in")
    sums = q.replicate(b.build(), LONG)
    a, c = 1 / (1 - 0.6), 1 / (1.25 - 0.6)
    q.agrees(sums, q.mean_wait, a + c)
    q.agrees(sums, q.second_wait, 2 * a * a + 2 * c * c + 2 * a * c)


def test_two_priority_classes(q: SimpleNamespace) -> None:
    """M/G/1, non-pre-emptive: each class waits as Cobham says."""
    b = Builder()
    b.resource("server", 1)
    for level, name in enumerate(("urgent", "other")):
        b.label(name)
        b.seize(f"{name} waits", "server", priority=level)
        b.delay(f"{name} is served", Erlang(2, 1.0))
        b.release("server")
        b.end(name)
        b.source(name, Exponential(1 / (0.3, 0.5)[level]), name)
    sums = q.replicate(b.build(), LONG)
    residual = 0.8 * 1.5 / 2
    q.agrees(sums, lambda s: s.waited[0, 1] / s.waited[0, 0], residual / 0.7)
    q.agrees(sums, lambda s: s.waited[4, 1] / s.waited[4, 0], residual / (0.7 * 0.2))


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
