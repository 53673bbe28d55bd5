"""Which share of the variability belongs to which layer, how sure that is, and whether it is any.

Intervals come from the profile of the REML criterion: the share is held fixed, all else is chosen
anew, and the shares that cost less than a χ² quantile form the interval. Where that is too slow,
or as a check, `bootstrap_shares` simulates from the fit and fits again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from stafett.insight.layers.design import LAYERS, Floats
from stafett.insight.layers.fit import Fit, fit, minimise
from stafett.insight.layers.reml import Reml

RESIDUAL = "unexplained"
EDGE = 1e-4  # shares beyond this are told as 0 or 1
STEEPEST = 300.0  # a larger θ leaves no digits in the criterion


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the total variance (0 to 1) of a layer, a factor or the unexplained rest."""

    name: str
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BoundaryTest:
    """Does a factor vary at all? `p` by the 50:50 mixture of χ²₀ and χ²₁ (Self and Liang 1987)."""

    name: str
    statistic: float
    p: float


def layer_members(fitted: Fit) -> dict[str, list[int]]:
    """Return for each layer present, and for the unexplained rest, the indices of its variances."""
    members = {
        layer: [k for k, f in enumerate(fitted.design.factors) if f.layer == layer]
        for layer in LAYERS
    }
    members[RESIDUAL] = [len(fitted.theta)]
    return {name: indices for name, indices in members.items() if indices}


def share_of(fitted: Fit, members: Sequence[int]) -> float:
    """Return the share of the variances `members` in the total."""
    variances = fitted.variances
    return float(variances[list(members)].sum() / variances.sum())


def profile_share(
    fitted: Fit, members: Sequence[int], *, level: float = 0.95, reml: Reml | None = None
) -> tuple[float, float]:
    """Return the profile interval of the share of `members` (indices into `Fit.variances`)."""
    reml = reml or Reml(fitted.design)
    profile = _Profile(reml, fitted, members)
    cut = float(stats.chi2.ppf(level, 1))
    estimate = min(max(share_of(fitted, members), EDGE), 1 - EDGE)

    def excess(x: float) -> float:
        return profile(1 / (1 + np.exp(-x))) - fitted.criterion - cut

    middle = float(np.log(estimate / (1 - estimate)))
    end = float(np.log(EDGE / (1 - EDGE)))
    low = _edge(excess, middle, end, 0.0)
    profile.restart()
    return low, _edge(excess, middle, -end, 1.0)


def _edge(excess: Callable[[float], float], middle: float, end: float, beyond: float) -> float:
    """Walk outwards in the logit of the share until the profile passes the cut."""
    inside, step = middle, 0.5 if end > middle else -0.5
    while True:
        outside = inside + step
        if (end - outside) * step <= 0:
            outside = end
        if excess(outside) > 0:
            root = optimize.brentq(excess, inside, outside, xtol=2e-3)
            return float(1 / (1 + np.exp(-root)))
        if outside == end:
            return beyond
        inside, step = outside, step * 1.7


class _Profile:
    """The criterion minimised with the share of one set of variances held fixed.

    Relative variances are share × softmax(a) inside the set and (1 − share) × softmax(b) outside,
    so that what remains is free of constraints.
    """

    def __init__(self, reml: Reml, fitted: Fit, members: Sequence[int]) -> None:
        self.reml = reml
        count = len(fitted.theta) + 1
        self.inside = np.isin(np.arange(count), list(members))
        self.initial = np.log(np.maximum(fitted.variances / fitted.variances.sum(), 1e-7))
        self.restart()

    def restart(self) -> None:
        """Begin again from the fit."""
        self.x = self.initial.copy()

    def __call__(self, share: float) -> float:
        sets = [(self.inside, np.log(share)), (~self.inside, np.log1p(-share))]

        def value(x: Floats) -> tuple[float, Floats]:
            log_u = np.empty_like(x)
            for members, total in sets:
                part = x[members] - x[members].max()
                log_u[members] = total + part - np.log(np.exp(part).sum())
            theta = np.minimum(np.exp(0.5 * (log_u[:-1] - log_u[-1])), STEEPEST)
            solved = self.reml.at(theta)
            slope = np.append(0.5 * theta * solved.gradient, 0.0)
            slope[-1] = -slope.sum()
            gradient = np.empty_like(x)
            for members, total in sets:
                weights = np.exp(log_u[members] - total)
                gradient[members] = slope[members] - weights * slope[members].sum()
            return solved.criterion, gradient

        if min(self.inside.sum(), (~self.inside).sum()) == 1 == len(self.x) - 1:
            return value(self.x)[0]
        best = optimize.minimize(
            value, self.x, jac=True, method="L-BFGS-B", bounds=[(-25, 25)] * len(self.x),
            options={"ftol": 1e-10, "gtol": 1e-4, "maxiter": 60},
        )  # fmt: skip
        self.x = best.x
        return float(best.fun)


def layer_shares(fitted: Fit, *, level: float = 0.95) -> list[Share]:
    """Return the share of each layer, and of the unexplained rest, with profile intervals."""
    reml = Reml(fitted.design)
    return [
        Share(
            name, share_of(fitted, members), *profile_share(fitted, members, level=level, reml=reml)
        )
        for name, members in layer_members(fitted).items()
    ]


def factor_shares(fitted: Fit, *, level: float = 0.95) -> list[Share]:
    """Return the share of each factor with profile intervals."""
    reml = Reml(fitted.design)
    return [
        Share(
            factor.name, share_of(fitted, [k]), *profile_share(fitted, [k], level=level, reml=reml)
        )
        for k, factor in enumerate(fitted.design.factors)
    ]


def bootstrap_shares(
    fitted: Fit, *, draws: int = 199, seed: int = 1, level: float = 0.95
) -> list[Share]:
    """Return the layers' shares with parametric-bootstrap (percentile) intervals."""
    rng = np.random.default_rng(seed)
    design, reml = fitted.design, Reml(fitted.design)
    members = layer_members(fitted)
    found = np.empty((draws, len(members)))
    for i in range(draws):
        reml.set_outcome(simulate(fitted, rng))
        again = fit(design, reml=reml, start=fitted.theta)
        found[i] = [share_of(again, indices) for indices in members.values()]
    tail = (1 - level) / 2
    low, high = np.quantile(found, [tail, 1 - tail], axis=0)
    return [
        Share(name, share_of(fitted, indices), float(low[i]), float(high[i]))
        for i, (name, indices) in enumerate(members.items())
    ]


def simulate(fitted: Fit, rng: np.random.Generator) -> Floats:
    """Draw an outcome (n,) from the fitted model."""
    design = fitted.design
    y = design.x @ fitted.beta + rng.normal(0, fitted.residual_sd, design.n)
    for codes, sd, q in zip(design.codes, fitted.sd, design.levels, strict=True):
        y += rng.normal(0, sd, q)[codes]
    return y


def boundary_tests(fitted: Fit) -> list[BoundaryTest]:
    """Test for each factor that its variance is zero, the edge of what is possible."""
    reml = Reml(fitted.design)
    out = []
    for k, factor in enumerate(fitted.design.factors):
        without = fitted.theta.copy()
        without[k] = 0
        zeros = [j for j in range(len(without)) if without[j] == 0]
        _, solved = minimise(reml, without, fixed=zeros)
        statistic = max(0.0, solved.criterion - fitted.criterion)
        p = 1.0 if statistic == 0 else 0.5 * float(stats.chi2.sf(statistic, 1))
        out.append(BoundaryTest(factor.name, statistic, p))
    return out
