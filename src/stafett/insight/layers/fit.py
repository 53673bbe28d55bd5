"""Fitting a linear mixed model from two starts; the gradient at the end is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from stafett.insight.layers.design import Design, Floats, NotIdentifiableError
from stafett.insight.layers.reml import Factorised, Reml, Solved

FAR = 4.0  # the second start: so many times the first
SMALLEST, LARGEST = 1e-4, 1e4
TOLERANCE = 3e-4
NONE = 0.05  # a θ below this is also tried at exactly zero


@dataclass(frozen=True)
class Fit:
    """A fitted model; `sd` (K,) and `residual_sd` in units of the outcome, `theta` their ratio.

    `max_gradient` is the largest |∂criterion/∂θ_k| at the end (at a bound only what points inwards
    counts): far from zero means that the optimum was not reached.
    """

    design: Design
    theta: Floats
    criterion: float
    max_gradient: float
    residual_sd: float
    beta: Floats
    beta_se: Floats
    notes: tuple[str, ...] = ()

    @property
    def sd(self) -> Floats:
        """Standard deviations of the factors, (K,)."""
        return self.theta * self.residual_sd

    @property
    def variances(self) -> Floats:
        """Variances of the factors and, last, of the residual, (K+1,)."""
        return np.append(self.sd**2, self.residual_sd**2)

    def estimates(self) -> list[tuple[Floats, Floats]]:
        """Return for each factor the shrunken effects (q,) and their conditional SDs (q,).

        Shrunken towards zero by how little each level was seen (best linear unbiased prediction);
        conditional on the fitted variances.
        """
        reml = Reml(self.design)
        solved = reml.at(self.theta, gradient=False)
        inverse = Factorised(reml.blocks, reml.cross, self.theta).inverse_diagonal()
        out: list[tuple[Floats, Floats]] = []
        for k in range(len(self.theta)):
            if k == reml.blocks.first:
                u, v = solved.spherical[0], inverse[0]
            else:
                i = reml.blocks.rest.index(k)
                part = slice(int(reml.blocks.offsets[i]), int(reml.blocks.offsets[i + 1]))
                u, v = solved.spherical[1][part], inverse[1][part]
            out.append((self.theta[k] * u, self.sd[k] * np.sqrt(np.maximum(v, 0))))
        return out


def fit(design: Design, *, reml: Reml | None = None, start: Floats | None = None) -> Fit:
    """Fit by restricted maximum likelihood.

    The search starts from the moments and from far off; `start` (K,) replaces both (for refits
    near a known optimum).

    Raises:
        NotIdentifiableError: no residual, so that the ratios of variances have no bound.
    """
    reml = reml or Reml(design)
    if start is not None:
        theta, solved = minimise(reml, np.clip(start, 0.05, None))
    else:
        near = moments(design, reml)
        theta, solved = minimise(reml, near)
        # The second start only has to show whether it leads elsewhere: it is run coarsely, and
        # left as soon as it comes where the first one ended. From above, where the criterion is
        # steep: from below the search creeps (27 evaluations against 6 on 100,000 rows).
        other, found = minimise(reml, FAR * near, tolerance=1e-1, known=theta)
        if found.criterion < solved.criterion - 1e-2:
            theta, solved = minimise(reml, other)
    theta, solved = _with_zeros(reml, theta, solved)
    if theta.max() > 0.99 * LARGEST:
        raise NotIdentifiableError(
            f"the rows of each level of {design.factors[int(theta.argmax())].name} all have the"
            " same outcome: nothing is left over against which to tell sources of variability"
        )
    slope = np.where((theta <= 0) & (solved.gradient > 0), 0, solved.gradient)
    notes = [
        f"{factor.name} ({factor.layer}) is estimated as none: the data show no more variation "
        "between its levels than chance gives."
        for factor, value in zip(design.factors, theta, strict=True)
        if value == 0
    ]
    return Fit(
        design,
        theta,
        solved.criterion,
        float(np.abs(slope).max()),
        float(np.sqrt(solved.r2 / (reml.n - reml.p))),
        solved.beta,
        np.sqrt(np.diag(solved.beta_covariance)),
        (*design.notes, *notes),
    )


def moments(design: Design, reml: Reml) -> Floats:
    """Return a θ (K,) to start from: one-way analyses of variance, each factor by itself.

    Searle, Casella and McCulloch, Variance Components, 1992, 3.5. What the other factors do counts
    as noise, so it is a start and no answer.
    """
    rest = design.y - reml.q @ reml.ols
    n, total = len(rest), float(rest @ rest)
    found = np.empty(len(design.factors))
    for k, (codes, levels) in enumerate(zip(design.codes, design.levels, strict=True)):
        count = np.bincount(codes, minlength=levels)
        sums = np.bincount(codes, rest, levels)
        between = float((sums**2 / np.maximum(count, 1)).sum())
        within = (total - between) / max(1, n - levels)
        size = (n - float((count.astype(float) ** 2).sum()) / n) / max(1, levels - 1)
        found[k] = (between / max(1, levels - 1) - within) / size
    variance = total / n
    left = max(variance - found.clip(0).sum(), 0.1 * variance)
    theta: Floats = np.sqrt(found.clip(0) / left).clip(2 * NONE, 1 / (2 * NONE))
    return theta


def minimise(
    reml: Reml,
    start: Floats,
    fixed: Sequence[int] = (),
    tolerance: float = TOLERANCE,
    known: Floats | None = None,
) -> tuple[Floats, Solved]:
    """Minimise over θ > 0 from `start`; the factors in `fixed` stay where they are.

    The search is left when it comes within a standard error (in each factor) of `known`.

    The search runs over x_k = √(2q_k) log θ_k: log θ_k is known to about 1/√(2q_k) at best, so a
    unit of x is about a standard error, the curvature is near one for every factor, and
    `tolerance`, a bound on the gradient, is in standard errors.
    """
    theta = start.astype(float).copy()
    free = [k for k in range(len(theta)) if k not in fixed]
    last: list[Solved] = []
    if free:
        scale = np.sqrt(2.0 * np.array([reml.blocks.levels[k] for k in free]))

        def value(x: Floats) -> tuple[float, Floats]:
            theta[free] = np.exp(x / scale)
            solved = reml.at(theta)
            last[:] = [solved]
            return solved.criterion, solved.gradient[free] * theta[free] / scale

        goal = None if known is None else np.log(np.maximum(known[free], SMALLEST)) * scale

        def arrived(x: Floats) -> None:
            if goal is not None and np.abs(x - goal).max() < 1:
                raise StopIteration

        best = optimize.minimize(
            value, np.log(theta[free]) * scale, jac=True, method="L-BFGS-B", callback=arrived,
            bounds=[(s * np.log(SMALLEST), s * np.log(LARGEST)) for s in scale],
            options={"ftol": 1e-16, "gtol": tolerance, "maxiter": 200},
        )  # fmt: skip
        if last and np.array_equal(theta[free], np.exp(best.x / scale)):
            return theta, last[0]
        theta[free] = np.exp(best.x / scale)
    return theta, reml.at(theta)


def _with_zeros(reml: Reml, theta: Floats, solved: Solved) -> tuple[Floats, Solved]:
    """Where a θ is all but zero, take exactly zero if that is no worse (a singular fit)."""
    for k in np.argsort(theta):
        if not 0 < theta[k] < NONE:
            continue
        pinned = theta.copy()
        pinned[k] = 0
        zeros = [j for j in range(len(theta)) if pinned[j] == 0]
        pinned, again = minimise(reml, pinned, fixed=zeros)
        if again.criterion <= solved.criterion + 1e-6:
            theta, solved = pinned, again
    return theta, solved
