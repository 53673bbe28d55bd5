"""Networks that several tests of the kernel use."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from stafett.simulation import Builder, Horizon, Model, Sums, simulate
from stafett.simulation.distributions import Distribution

LIMIT = 3.5  # a test fails by chance once in two thousand seeds; seeds are fixed


def station(
    capacity: int,
    service: Distribution,
    every: Distribution,
    *,
    patience: Distribution | None = None,
    lifo: bool = False,
) -> Model:
    """G/G/c, with impatience if asked for."""
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


def replicate(model: Model, horizon: Horizon, n: int = 20, seed: int = 20261123) -> list[Sums]:
    """`n` replications with a fixed seed."""
    return [simulate(model, horizon, seed, r)[0] for r in range(n)]


def z_score(
    sums: list[Sums], value: Callable[[Sums], float], exact: float
) -> tuple[float, float, float]:
    """(z, mean, standard error) of a statistic against its exact value, over replications."""
    x: NDArray[np.float64] = np.array([value(s) for s in sums])
    error = float(x.std(ddof=1)) / math.sqrt(len(x))
    return (float(x.mean()) - exact) / error, float(x.mean()), error


def agrees(sums: list[Sums], value: Callable[[Sums], float], exact: float) -> None:
    """Assert |z| < LIMIT, and show the figures if not."""
    z, mean, error = z_score(sums, value, exact)
    assert abs(z) < LIMIT, f"exact {exact:.5f}, simulated {mean:.5f} ± {error:.5f}, z = {z:.2f}"


def mean_wait(s: Sums) -> float:
    """Mean of the first tally."""
    return float(s.tally[0, 1] / s.tally[0, 0])


def second_wait(s: Sums) -> float:
    """Mean square of the first tally."""
    return float(s.tally[0, 2] / s.tally[0, 0])


def erlang_c(c: int, a: float) -> float:
    """P(wait) in M/M/c with offered load a."""
    below = sum(a**k / math.factorial(k) for k in range(c))
    top = a**c / math.factorial(c) * c / (c - a)
    return top / (below + top)


@pytest.fixture(scope="session")
def q() -> SimpleNamespace:
    """The helpers above (test modules cannot import one another)."""
    return SimpleNamespace(
        LIMIT=LIMIT,
        station=station,
        replicate=replicate,
        z_score=z_score,
        agrees=agrees,
        mean_wait=mean_wait,
        second_wait=second_wait,
        erlang_c=erlang_c,
    )
