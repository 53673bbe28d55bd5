"""Graded outcomes and yes-or-no ones: a cumulative logistic mixed model.

P(y ≤ j) = F(α_j − η), η = Xβ + Zb, F the logistic function: with two grades this is the logistic
mixed model of `layers.binary`. For each θ (standard deviations of the factors) the effects, β and
the cuts α are found together by Newton's method, and the criterion is Laplace's approximation
there, as lme4's glmer does with nAGQ = 0: K numbers are searched for instead of K + p, which is
what makes refits affordable. Model: Agresti, Analysis of Ordinal Categorical Data, 2nd ed. 2010,
10.1; derivatives of its likelihood: Christensen, cumulative link models, 2018, appendix A.

Laplace's approximation understates levels that were seen a few times. So shares come from
`graded_shares`, which simulates from the fit and fits again: the same draws give the intervals and
say how much of the variation the method gives back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg, optimize, special

from stafett.insight.layers.binary import LOGISTIC_VARIANCE, SEPARATED, BiasCheck
from stafett.insight.layers.design import Codes, Design, Floats, NotIdentifiableError
from stafett.insight.layers.reml import Blocks, Factorised
from stafett.insight.layers.shares import Share, layer_members, share_of

NONE = 1e-2  # the least standard deviation in logits that is looked at
SMALL = 0.03  # one below this counts as none: a share of a few in ten thousand
SEEN = 0.2
SMALLEST_P = 1e-300


@dataclass(frozen=True)
class GradedFit:
    """A fitted model; `sd` (K,) in logits, `cuts` (J−1,) rising, `beta` without an intercept."""

    design: Design
    sd: Floats
    cuts: Floats
    beta: Floats
    deviance: float
    notes: tuple[str, ...] = ()

    @property
    def variances(self) -> Floats:
        """Variances of the factors and, last, of the latent residual (π²/3), (K+1,)."""
        return np.append(self.sd**2, LOGISTIC_VARIANCE)


class _Graded:
    """The criterion of one design as a function of θ; modes, cuts and β are a warm start."""

    def __init__(self, design: Design) -> None:
        self.design, self.blocks = design, Blocks(design.codes, design.levels)
        self.x = design.x[:, 1:]  # the cuts take the place of an intercept
        self.sizes = (design.levels[self.blocks.first], int(self.blocks.offsets[-1]))
        self.set_outcome(design.y)

    def set_outcome(self, y: Floats) -> None:
        """Take other grades (n,), 0..J−1, on the same design."""
        self.grade: Codes = y.astype(np.int64)
        self.count = int(self.grade.max()) + 1
        share = np.cumsum(np.bincount(self.grade, minlength=self.count))[:-1] / len(y)
        start = special.logit(np.clip(share, 1e-6, 1 - 1e-6))
        self.fixed = np.concatenate([start, np.zeros(self.x.shape[1])])
        self.u = (np.zeros(self.sizes[0]), np.zeros(self.sizes[1]))
        self.warm = self.cold = (self.u, self.fixed)

    def spread(self, theta: Floats, u: tuple[Floats, Floats]) -> Floats:
        """Return Zb (n,)."""
        b = self.blocks
        return np.asarray(b.z1 @ (theta[b.first] * u[0]) + b.zr @ (b.spread(theta) * u[1]))

    def ends(self, theta: Floats, fixed: Floats, u: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        """Return F at the upper and at the lower cut of each row's grade."""
        eta = self.x @ fixed[self.count - 1 :] + self.spread(theta, u)
        cuts = np.concatenate([[-np.inf], fixed[: self.count - 1], [np.inf]])
        return special.expit(cuts[self.grade + 1] - eta), special.expit(cuts[self.grade] - eta)

    def penalised(self, theta: Floats, fixed: Floats, u: tuple[Floats, Floats]) -> float:
        """Return −2 log likelihood with the penalty on the effects; infinite for crossed cuts."""
        if (np.diff(fixed[: self.count - 1]) <= 0).any():
            return float("inf")
        high, low = self.ends(theta, fixed, u)
        p = np.maximum(high - low, SMALLEST_P)
        return float(-2 * np.log(p).sum() + u[0] @ u[0] + u[1] @ u[1])

    def __call__(self, theta: Floats) -> float:
        """Return the deviance at `theta`, and leave the mode behind."""
        # The mode of the last θ, or none at all, whichever fits better at this one: after a long
        # step of the search the old mode can be where the likelihood is flat to rounding.
        value, u, fixed = min(
            ((self.penalised(theta, start, u), u, start) for u, start in (self.warm, self.cold)),
            key=lambda candidate: candidate[0],
        )
        f: Factorised | None = None
        for _ in range(60):
            high, low = self.ends(theta, fixed, u)
            f, one, rest, move, gain = self._newton(theta, u, high, low)
            if gain < 1e-9:
                break
            size = 1.0
            while True:
                trial = (u[0] + size * one, u[1] + size * rest)
                moved = fixed + size * move
                new = self.penalised(theta, moved, trial)
                if new <= value + 1e-12 * abs(value) or size < 1e-8:
                    break
                size /= 2
            if new > value + 1e-12 * abs(value):
                break
            u, fixed, value = trial, moved, new
        assert f is not None
        self.u, self.fixed = u, fixed
        self.warm = (u, fixed)
        return value + f.log_det

    def _newton(
        self, theta: Floats, u: tuple[Floats, Floats], high: Floats, low: Floats
    ) -> tuple[Factorised, Floats, Floats, Floats, float]:
        """Return the factor of M, the step in the effects and in the fixed part, and its gain."""
        b, n, cuts = self.blocks, len(high), self.count - 1
        p = np.maximum(high - low, SMALLEST_P)
        fh, fl = high * (1 - high), low * (1 - low)
        weight = np.maximum(fh + fl, 1e-12)
        slope = high + low - 1  # of the log likelihood in η
        f = Factorised(b, b.cross(weight), theta)
        # Second derivatives in η and the fixed part, (n, g); and in the fixed part alone.
        rows = np.arange(n)
        upper, lower = self.grade < cuts, self.grade > 0
        mixed = np.zeros((n, cuts))
        mixed[rows[upper], self.grade[upper]] += fh[upper]
        mixed[rows[lower], self.grade[lower] - 1] += fl[lower]
        mixed = np.column_stack([mixed, -weight[:, None] * self.x])
        up, down = fh / p, fl / p
        own = np.zeros((cuts, cuts))
        hh, ll = up * (1 - 2 * high) - up**2, -down * (1 - 2 * low) - down**2
        np.add.at(own, (self.grade[upper], self.grade[upper]), hh[upper])
        np.add.at(own, (self.grade[lower] - 1, self.grade[lower] - 1), ll[lower])
        both = upper & lower
        for i, j in ((0, -1), (-1, 0)):
            np.add.at(own, (self.grade[both] + i, self.grade[both] + j), (up * down)[both])
        gradient = np.concatenate(
            [
                np.bincount(self.grade[upper], up[upper], cuts)
                - np.bincount(self.grade[lower] - 1, down[lower], cuts),
                self.x.T @ slope,
            ]
        )
        across = mixed[:, :cuts].T @ self.x
        curve = -np.block([[own, across], [across.T, -(self.x.T * weight) @ self.x]])
        tr = b.spread(theta)
        g1 = theta[b.first] * (b.z1.T @ slope) - u[0]
        gr = tr * (b.zr.T @ slope) - u[1]
        c1 = -theta[b.first] * (b.z1.T @ mixed)
        cr = -tr[:, None] * (b.zr.T @ mixed)
        s1, sr = f.solve(np.column_stack([g1, c1]), np.column_stack([gr, cr]))
        schur = curve - c1.T @ s1[:, 1:] - cr.T @ sr[:, 1:]
        move = linalg.solve(
            schur + 1e-10 * np.eye(len(schur)), gradient - c1.T @ s1[:, 0] - cr.T @ sr[:, 0],
            assume_a="sym",
        )  # fmt: skip
        one, rest = s1[:, 0] - s1[:, 1:] @ move, sr[:, 0] - sr[:, 1:] @ move
        return f, one, rest, move, float(g1 @ one + gr @ rest + gradient @ move)


def fit_graded(design: Design, *, start: Floats | None = None) -> GradedFit:
    """Fit grades 0..J−1 (whole numbers; 0 and 1 for yes-or-no), each of which occurs.

    Raises:
        NotIdentifiableError: other values, or perfect separation.
    """
    grades = np.unique(design.y)
    if not np.array_equal(grades, np.arange(len(grades))):
        raise NotIdentifiableError("the outcome is not graded 0, 1, … with every grade occurring")
    return _fit(_Graded(design), np.full(len(design.factors), 0.7) if start is None else start)


def _fit(graded: _Graded, start: Floats, *, quick: bool = False) -> GradedFit:
    design = graded.design
    near = 0.05 / len(design.y)  # relative: a tenth or so of a unit of deviance
    # Over log θ, where the criterion is rounder and a first step of the search is no leap.
    best = optimize.minimize(
        lambda z: graded(np.exp(z)), np.log(np.clip(start, 0.1, None)), method="L-BFGS-B",
        bounds=[(np.log(NONE / 2), np.log(25.0))] * len(start),
        options={
            "ftol": near if quick else 1e-7, "gtol": 0.05 if quick else 1e-3,
            "maxiter": 20 if quick else 60, "eps": 1e-4,
        },
    )  # fmt: skip
    sd = np.where(np.exp(best.x) < SMALL, 0.0, np.exp(best.x))
    if float(sd.max()) > SEPARATED:
        name = design.factors[int(sd.argmax())].name
        raise NotIdentifiableError(
            f"within most levels of {name} the outcome never varies (perfect separation): its "
            "variation has no finite estimate"
        )
    deviance = graded(sd)
    if float(np.abs(graded.fixed).max()) > SEPARATED:
        raise NotIdentifiableError(
            "a kind of work or a grade is told exactly by what is allowed for (perfect"
            " separation): its effect has no finite estimate"
        )
    cuts = graded.count - 1
    notes = [
        f"{f.name} ({f.layer}) is estimated as none: the data show no more variation "
        "between its levels than chance gives."
        for f, s in zip(design.factors, sd, strict=True)
        if s == 0
    ]
    return GradedFit(
        design, sd, graded.fixed[:cuts], graded.fixed[cuts:], deviance, (*design.notes, *notes)
    )


def graded_shares(
    fitted: GradedFit,
    *,
    draws: int = 40,
    seed: int = 1,
    level: float = 0.95,
    also: Mapping[str, Sequence[int]] | None = None,
) -> tuple[list[Share], BiasCheck]:
    """Return the layers' shares on the scale of logits with bootstrap intervals, and their bias.

    `also` names further sets of variances to be shared out. Bias is told of factors whose standard
    deviation is at least `SEEN` logits: below, simulated draws end at zero and far above in turn.

    Draws in which a grade did not occur, or that cannot be fitted, are drawn again.
    """
    rng = np.random.default_rng(seed)
    graded = _Graded(fitted.design)
    members = {**layer_members(fitted), **(also or {})}
    found: list[Floats] = []
    shares: list[list[float]] = []
    for _ in range(3 * draws):
        if len(found) == draws:
            break
        y = simulate(fitted, rng)
        if len(np.unique(y)) != len(fitted.cuts) + 1:
            continue
        graded.set_outcome(y)
        try:
            again = replace(_fit(graded, fitted.sd, quick=True), design=fitted.design)
        except NotIdentifiableError:
            continue
        found.append(again.sd)
        shares.append([share_of(again, indices) for indices in members.values()])
    if len(found) < draws:
        raise NotIdentifiableError(
            "data simulated from the fit cannot be fitted again: the outcome is too rare for its"
            " variation to be split"
        )
    tail = (1 - level) / 2
    low, high = np.quantile(np.array(shares), [tail, 1 - tail], axis=0)
    mean = np.mean(found, axis=0)
    ratio = {
        f.name: float(m / s)
        for f, m, s in zip(fitted.design.factors, mean, fitted.sd, strict=True)
        if s >= SEEN
    }
    out = []
    for i, (name, indices) in enumerate(members.items()):
        value = share_of(fitted, indices)
        out.append(Share(name, value, min(value, float(low[i])), max(value, float(high[i]))))
    return out, BiasCheck(ratio, draws)


def simulate(fitted: GradedFit, rng: np.random.Generator) -> Floats:
    """Draw grades (n,) from the fitted model."""
    design = fitted.design
    eta = design.x[:, 1:] @ fitted.beta
    for codes, sd, q in zip(design.codes, fitted.sd, design.levels, strict=True):
        eta = eta + rng.normal(0, sd, q)[codes]
    latent = eta + rng.logistic(0, 1, design.n)
    return np.asarray(np.searchsorted(fitted.cuts, latent), dtype=np.float64)
