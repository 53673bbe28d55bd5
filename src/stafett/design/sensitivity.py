"""Which of the figures that nobody measured matter: screening (Morris) and shares (Sobol).

*Morris*, radial one-at-a-time design on Sobol points (Campolongo, Saltelli, Cariboni, 2011): each
factor is moved alone by half of its range; mu* is the mean absolute change of the figure
asked for, over a full range, sigma its standard deviation (interactions and curvature). *Sobol*:
first-order and total indices of the few factors that screening found, by `scipy.stats`. Every
evaluation runs the same patients, so that what differs is the factor and not the luck.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc, sobol_indices, uniform

from stafett.design.assumptions import at, factors
from stafett.design.experiment import Design, Plan, run
from stafett.design.reading import System
from stafett.simulation import Store

Floats = NDArray[np.float64]
EDGE = 0.02  # quantiles are drawn between EDGE and 1 - EDGE


@dataclass(frozen=True)
class Screened:
    """What one factor does: `mu_star` and `sigma` per full range, `mu` with its sign."""

    factor: str
    mu_star: float
    mu: float
    sigma: float
    error: float  # standard error of mu_star


@dataclass(frozen=True)
class Share:
    """Shares of the variance of the figure: `first` alone, `total` with all interactions."""

    factor: str
    first: float
    first_low: float
    first_high: float
    total: float
    total_low: float
    total_high: float


@dataclass(frozen=True)
class Sensitivity:
    """Factors by how much they move `measure` of one system; Sobol shares of the first few."""

    system: str
    measure: str
    screened: list[Screened]
    shares: list[Share]
    runs: int
    replications: int


class Asked:
    """Evaluates a figure at points of the unit cube over some factors."""

    def __init__(
        self, system: System, names: Sequence[str], measure: str, plan: Plan,
        *, executor: Executor | None, workers: int | None, store: Store | None,
        progress: Callable[[int], None],
    ) -> None:  # fmt: skip
        self.system, self.names, self.measure, self.plan = system, list(names), measure, plan
        self.options = {"executor": executor, "workers": workers, "store": store}
        self.progress = progress
        self.runs = 0

    def __call__(self, points: Floats) -> Floats:
        """The mean of the figure over the replications, for each row of `points`."""
        designs = {
            str(i): Design(at(self.system, dict(zip(self.names, map(float, u), strict=True))))
            for i, u in enumerate(points)
        }
        self.runs += len(designs)
        found = run(designs, self.plan, progress=self.progress, **self.options).whole()  # type: ignore[arg-type]
        return np.array([np.nanmean(found.values(n, self.measure)) for n in designs])


def points(dimensions: int, trajectories: int, seed: int) -> tuple[Floats, Floats]:
    """Base points and the values each coordinate is moved to: (trajectories, dimensions) each.

    Each coordinate moves by half of its range, up or down: a smaller step would divide the noise of
    the simulation by next to nothing.
    """
    sobol = qmc.Sobol(dimensions, seed=seed)
    base = sobol.random(2 ** math.ceil(math.log2(trajectories)))[:trajectories]
    moved = np.where(base < 0.5, base + 0.5, base - 0.5)
    inside = 1 - 2 * EDGE
    return EDGE + inside * base, EDGE + inside * moved


def screen(ask: Callable[[Floats], Floats], names: Sequence[str], trajectories: int, seed: int
           ) -> list[Screened]:  # fmt: skip
    """Elementary effects of each factor, the largest first."""
    base, other = points(len(names), trajectories, seed)
    rows = []
    for b, o in zip(base, other, strict=True):
        moved = np.repeat(b[None, :], len(names), axis=0)
        np.fill_diagonal(moved, o)
        rows.append(np.vstack([b[None, :], moved]))
    y = ask(np.vstack(rows)).reshape(trajectories, len(names) + 1)
    effects = (y[:, 1:] - y[:, :1]) / (other - base)
    size = np.abs(effects)
    root = math.sqrt(trajectories)
    found = [
        Screened(
            name, float(size[:, i].mean()), float(effects[:, i].mean()),
            float(effects[:, i].std(ddof=1)), float(size[:, i].std(ddof=1)) / root,
        )
        for i, name in enumerate(names)
    ]  # fmt: skip
    return sorted(found, key=lambda s: -s.mu_star)


def shares(ask: Callable[[Floats], Floats], names: Sequence[str], n: int, seed: int) -> list[Share]:
    """Sobol indices of a few factors with bootstrap intervals; `n` is a power of two."""
    found = sobol_indices(
        func=lambda x: ask(np.asarray(x).T),
        n=n,
        dists=[uniform(EDGE, 1 - 2 * EDGE)] * len(names),
        rng=np.random.default_rng(seed),
    )
    boot = found.bootstrap(n_resamples=200)
    first, total = boot.first_order.confidence_interval, boot.total_order.confidence_interval
    out = [
        Share(
            name, float(found.first_order[i]), float(first.low[i]), float(first.high[i]),
            float(found.total_order[i]), float(total.low[i]), float(total.high[i]),
        )
        for i, name in enumerate(names)
    ]  # fmt: skip
    return sorted(out, key=lambda s: -s.total)


def sensitivity(
    system: System,
    measure: str,
    plan: Plan,
    *,
    trajectories: int = 6,
    first: int = 6,
    n: int = 32,
    executor: Executor | None = None,
    workers: int | None = None,
    store: Store | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Sensitivity:
    """Screen every ranged factor of a system, then share out the variance of the `first` few.

    `first` = 0 leaves the second part out. Raises KeyboardInterrupt when stopped; with a `store`
    the next call goes on.
    """
    names = factors(system)
    options = {"executor": executor, "workers": workers, "store": store, "progress": progress}
    ask = Asked(system, names, measure, plan, **options)  # type: ignore[arg-type]
    screened = screen(ask, names, trajectories, plan.seed)
    runs, found = ask.runs, []
    if first:
        few = [s.factor for s in screened[:first]]
        again = Asked(system, few, measure, plan, **options)  # type: ignore[arg-type]
        found = shares(again, few, n, plan.seed)
        runs += again.runs
    return Sensitivity(system.name, measure, screened, found, runs, plan.replications)


def evaluations(system: System, trajectories: int, first: int, n: int) -> int:
    """How many designs `sensitivity` runs."""
    return trajectories * (len(factors(system)) + 1) + (n * (first + 2) if first else 0)
