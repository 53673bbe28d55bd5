"""The kernel against exact results of queueing theory: what `stafett design verify` prints.

Each case is a small network with what theory says of it. It is simulated 20 times with a fixed
seed of its own; the mean must lie within 3.5 standard errors of the exact value. By chance one in
two thousand does not; since seeds are fixed, the answer is the same on every machine.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from stafett.simulation.build import Builder
from stafett.simulation.distributions import (
    Constant,
    Distribution,
    Erlang,
    Exponential,
    Lognormal,
    Uniform,
    Weibull,
)
from stafett.simulation.replication import Horizon, Sums, simulate
from stafett.simulation.tables import Model

LIMIT = 3.5
REPLICATIONS = 20
STUDENT = 2.093  # 97.5 % quantile of Student's t with 19 degrees of freedom
LONG = Horizon(until=21_000, warmup=1_000)


@dataclass(frozen=True)
class Claim:
    """A figure of a network: how it is read from a replication, and its exact value."""

    what: str
    exact: float
    read: Callable[[Sums], float]


@dataclass(frozen=True)
class Case:
    """A network with what theory says of it, and whose theory it is."""

    name: str
    source: str
    model: Model
    horizon: Horizon
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Verdict:
    """A claim simulated: mean with its 95 % interval, and how many standard errors it is off."""

    case: str
    source: str
    what: str
    exact: float
    mean: float
    low: float
    high: float
    z: float

    @property
    def agrees(self) -> bool:
        """Whether the simulation may be said to give the exact value."""
        return abs(self.z) < LIMIT


def verdicts(case: Case) -> list[Verdict]:
    """Simulate a case and hold each claim against it."""
    seed = zlib.crc32(case.name.encode())  # else all cases would share their luck
    sums = [simulate(case.model, case.horizon, seed, r)[0] for r in range(REPLICATIONS)]
    found = []
    for claim in case.claims:
        x = np.array([claim.read(s) for s in sums])
        mean, error = float(x.mean()), float(x.std(ddof=1)) / math.sqrt(len(x))
        half = STUDENT * error
        z = (mean - claim.exact) / error
        found.append(
            Verdict(case.name, case.source, claim.what, claim.exact, mean, mean - half,
                    mean + half, z)
        )  # fmt: skip
    return found


def cases() -> Iterator[Case]:
    """Every case; a model is made when it is asked for."""
    for c, load in ((1, 0.7), (3, 2.4), (10, 8.5)):
        yield _mmc(c, load)
    for name, service, m2, m3 in (
        ("uniform", Uniform(0.0, 2.0), 4 / 3, 2.0),
        ("Erlang-3", Erlang(3, 1.0), 4 / 3, 60 / 27),
        ("lognormal", Lognormal(math.exp(-0.125), 0.5), math.exp(0.25), math.exp(0.75)),
        ("Weibull", Weibull(2.0, 2 / math.sqrt(math.pi)), 4 / math.pi,
         (4 / math.pi) ** 1.5 * math.gamma(2.5)),
    ):  # fmt: skip
        yield _mg1(name, service, m2, m3)
    for name, patience, survives in (
        ("exponential", Exponential(2.0), lambda x: math.exp(-x / 2)),
        ("deterministic", Constant(1.0), lambda x: float(x < 1.0)),
        ("Weibull", Weibull(2.0, 1.5), lambda x: math.exp(-((x / 1.5) ** 2))),
    ):
        yield _impatient(name, patience, survives)
    yield _erlang_b(4, 3.0)
    yield _jackson()
    yield _tandem()
    yield _priorities()


def station(
    capacity: int,
    service: Distribution,
    every: Distribution,
    *,
    patience: Distribution | None = None,
    lifo: bool = False,
) -> Model:
    """G/G/c, with impatience if asked for; tallies: wait, sojourn."""
    b = Builder()
    b.attribute("came")
    b.resource("server", capacity, lifo=lifo)
    b.label("in")
    b.stamp("came")
    if patience is None:
        b.seize("queue", "server")
    else:
        b.seize("queue", "server", patience=patience, otherwise="lost")
    b.tally("wait", "came", since=True)
    b.delay("service", service)
    b.release("server")
    b.tally("sojourn", "came", since=True)
    b.end("served")
    if patience is not None:
        b.label("lost")
        b.end("lost")
    b.source("customers", every, "in")
    return b.build()


def erlang_c(c: int, a: float) -> float:
    """P(wait) in M/M/c with offered load a."""
    below = sum(a**k / math.factorial(k) for k in range(c))
    top = a**c / math.factorial(c) * c / (c - a)
    return top / (below + top)


def mean_wait(s: Sums) -> float:
    """Mean of the first tally."""
    return float(s.tally[0, 1] / s.tally[0, 0])


def second_wait(s: Sums) -> float:
    """Mean square of the first tally."""
    return float(s.tally[0, 2] / s.tally[0, 0])


def _waited(row: int, power: int) -> Callable[[Sums], float]:
    return lambda s: float(s.waited[row, power] / s.waited[row, 0])


def _mmc(c: int, load: float) -> Case:
    p = erlang_c(c, load)
    claims = (
        Claim("mean wait", p / (c - load), _waited(1, 1)),
        Claim("mean square of the wait", 2 * p / (c - load) ** 2, _waited(1, 2)),
        Claim("servers busy", load, lambda s: float(s.area[0, 0] / s.span)),
    )
    model = station(c, Exponential(1.0), Exponential(1 / load))
    return Case(f"M/M/{c}, load {load / c:.0%}", "Erlang C", model, LONG, claims)


def _mg1(name: str, service: Distribution, m2: float, m3: float) -> Case:
    """Service of mean 1 with moments `m2`, `m3`, at 70 % load."""
    rate = 0.7
    mean = rate * m2 / (2 * (1 - rate))
    claims = (
        Claim("mean wait", mean, _waited(1, 1)),
        Claim("mean square of the wait", 2 * mean**2 + rate * m3 / (3 * (1 - rate)),
              _waited(1, 2)),
    )  # fmt: skip
    model = station(1, service, Exponential(1 / rate))
    return Case(f"M/G/1, {name} service", "Pollaczek, Khinchine", model, LONG, claims)


def abandoning(c: int, rate: float, survives: Callable[[float], float]) -> float:
    """P(abandon) in M/M/c+G with mean service 1 (Zeltyn and Mandelbaum 2005, section 2)."""
    from scipy.integrate import quad  # loads slowly, and only this asks for it

    def inner(x: float) -> float:
        return float(quad(survives, 0, x, limit=200)[0])

    j = quad(lambda x: math.exp(rate * inner(x) - c * x), 0, 12, limit=400, points=[1.0])[0]
    eps = quad(lambda t: math.exp(-t) * (1 + t / rate) ** (c - 1), 0, math.inf)[0]
    return float((1 + (rate - c) * j) / (eps + rate * j))


def _left(s: Sums) -> float:
    return float(s.ended[1] / s.ended.sum())


def _impatient(name: str, patience: Distribution, survives: Callable[[float], float]) -> Case:
    exact = abandoning(3, 3.3, survives)
    model = station(3, Exponential(1.0), Exponential(1 / 3.3), patience=patience)
    horizon = Horizon(until=8_000, warmup=200)
    claims = (Claim("share that leaves", exact, _left),)
    return Case(f"M/M/3, {name} patience, load 110 %", "Zeltyn, Mandelbaum 2005", model, horizon,
                claims)  # fmt: skip


def _erlang_b(c: int, load: float) -> Case:
    share = load**c / math.factorial(c) / sum(load**k / math.factorial(k) for k in range(c + 1))
    model = station(c, Constant(1.0), Exponential(1 / load), patience=Constant(0.0))
    claims = (Claim("share turned away", share, _left),)
    return Case(f"M/D/{c} without a queue", "Erlang B", model, Horizon(8_000, 100), claims)


def _jackson() -> Case:
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
    claims, flow = [], 1 / 0.75
    for r, (name, mean) in enumerate((("first", 0.5), ("second", 0.4))):
        load = flow * mean

        def held(s: Sums, r: int = r) -> float:
            return float(s.area[r, :2].sum() / s.span)

        def passed(s: Sums, r: int = r) -> float:
            return float(s.waited[3 * r, 0] / s.span)

        claims.append(Claim(f"jobs at the {name} station", load / (1 - load), held))
        claims.append(Claim(f"flow through the {name} station", flow, passed))
    return Case("two stations with feedback", "Jackson", b.build(), LONG, tuple(claims))


def _tandem() -> Case:
    """M/M/1 twice: the whole sojourn is a sum of independent exponentials."""
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
    x, y = 1 / (1 - 0.6), 1 / (1.25 - 0.6)
    claims = (
        Claim("mean sojourn", x + y, mean_wait),
        Claim("mean square of the sojourn", 2 * x * x + 2 * y * y + 2 * x * y, second_wait),
    )
    return Case("two queues in tandem", "Burke, Reich", b.build(), LONG, claims)


def _priorities() -> Case:
    """M/G/1 with two classes, non-pre-emptive."""
    b = Builder()
    b.resource("server", 1)
    for level, name in enumerate(("urgent", "other")):
        b.label(name)
        b.seize(f"{name} waits", "server", priority=level)
        b.delay(f"{name} is served", Erlang(2, 1.0))
        b.release("server")
        b.end(name)
        b.source(name, Exponential(1 / (0.3, 0.5)[level]), name)
    residual = 0.8 * 1.5 / 2
    claims = (
        Claim("mean wait, urgent", residual / 0.7, _waited(0, 1)),
        Claim("mean wait, other", residual / (0.7 * 0.2), _waited(4, 1)),
    )
    return Case("M/G/1 with two priorities", "Cobham", b.build(), LONG, claims)
