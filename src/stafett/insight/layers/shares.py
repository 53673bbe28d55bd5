"""Which share of the variability belongs to which layer, how sure that is, and whether it is any.

Intervals come from the profile of the REML criterion: the share is held fixed, all else is chosen
anew, and the shares that cost less than a χ² quantile form the interval. Where that is too slow,
or as a check, `bootstrap_shares` simulates from the fit and fits again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import optimize, stats

from stafett.insight.layers.design import LAYERS, Design, Floats
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


class Varied(Protocol):
    """A fitted model whose variances, the factors' and last the residual's, can be shared out."""

    @property
    def design(self) -> Design:
        """What was fitted."""

    @property
    def variances(self) -> Floats:
        """(K+1,)."""


def layer_members(fitted: Varied) -> dict[str, list[int]]:
    """Return for each layer present, and for the unexplained rest, the indices of its variances."""
    members = {
        layer: [k for k, f in enumerate(fitted.design.factors) if f.layer == layer]
        for layer in LAYERS
    }
    members[RESIDUAL] = [len(fitted.design.factors)]
    return {name: indices for name, indices in members.items() if indices}


def share_of(fitted: Varied, members: Sequence[int]) -> float:
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

    middle = float(np.log(estimate / (1 - estimate)))
    end = float(np.log((1 - EDGE) / EDGE))
    low = _edge(profile, fitted.criterion + cut, middle, -end, 0.0)
    return low, _edge(profile, fitted.criterion + cut, middle, end, 1.0)


def _edge(
    profile: _Profile, limit: float, middle: float, end: float, beyond: float, close: float = 0.02
) -> float:
    """Walk outwards in the logit of the share until the profile passes `limit`, then narrow down.

    Every minimisation begins where that of the outermost share still inside ended, so that a bad
    turn outside is not carried back. Narrows by the root of the rise over the minimum, which is
    nearly straight in the logit.
    """
    base, at = profile(middle, profile.initial)
    inside, below = middle, min(base, limit - close)
    base = below
    step = 0.5 if end > middle else -0.5
    while True:
        outside = inside + step
        if (end - outside) * step <= 0:
            outside = end
        above, x = profile(outside, at)
        if above > limit:
            break
        if outside == end:
            return beyond
        inside, below, at, step = outside, above, x, step * 1.7
    for _ in range(12):
        if min(above - limit, limit - below) < close:
            break
        near, far, want = (max(0.0, v - base) ** 0.5 for v in (below, above, limit))
        part = min(max((want - near) / (far - near) if far > near else 0.5, 0.05), 0.95)
        trial = inside + part * (outside - inside)
        value, x = profile(trial, at)
        if value > limit:
            outside, above = trial, value
        else:
            inside, below, at = trial, value, x
    root = outside if above - limit < limit - below else inside
    return float(1 / (1 + np.exp(-root)))


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

    def __call__(self, logit: float, start: Floats) -> tuple[float, Floats]:
        """Return the least criterion with the share held at `logit`, and where it was found."""
        share = 1 / (1 + np.exp(-logit))
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

        if min(self.inside.sum(), (~self.inside).sum()) == 1 == len(start) - 1:
            return value(start)[0], start
        best = optimize.minimize(
            value, start, jac=True, method="L-BFGS-B", bounds=[(-25, 25)] * len(start),
            options={"ftol": 1e-9, "gtol": 2e-2, "maxiter": 60},
        )  # fmt: skip
        return float(best.fun), np.asarray(best.x)


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
