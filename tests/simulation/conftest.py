"""Networks that several tests of the kernel use."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from stafett.simulation import Horizon, Model, Sums, simulate
from stafett.simulation.exact import LIMIT, erlang_c, mean_wait, second_wait, station


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
