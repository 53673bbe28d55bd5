"""How often an interface errs and how much its receivers see, where the origin is partly unknown.

An error made at handoff i is seen there with chance h, and, if missed, at each later handoff with
chance l. Of N_i passages with relative rates w_i and M_ij passages of j by journeys that came
through i before, the expected findings at j with origin i are

    N_i w_i r h  (j = i),     M_ij w_i r (1 - h) (1 - l)^(k-1) l  (j the k-th handoff after i),

and a finding whose cause is not recorded is a sum over the origins that it can have. Three figures
for each kind of error (r, h, l), one Poisson likelihood; the shape of the findings over the
distance from their origin tells rate and detection apart, so no anchor is needed. What an order of
one path leaves out (repetition, load, several errors at once) is taken out in `fit` by fitting a
simulation of the answer in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from stafett.design.calibrate.durations import hessian

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Findings:
    """Counts of one kind of error over J handoffs in their order.

    `weight` (J,): sum over passages of the relative rate; `reach` (J, J): share of those that came
    through i and later passed j; `known` (J, J): findings at j (second) with recorded origin i;
    `unknown` (J,): findings at j whose origin is not recorded.
    """

    weight: Floats
    reach: Floats
    known: Floats
    unknown: Floats
    recorded: float  # share of late findings whose origin is recorded


@dataclass(frozen=True)
class Detection:
    """Estimates on their scales: log rate, logit here, logit later; `covariance` of these."""

    theta: Floats
    covariance: Floats
    findings: int

    @property
    def values(self) -> tuple[float, float, float]:
        """Rate per handoff (relative rate 1), chance of finding here, and later."""
        r, h, d = self.theta
        return math.exp(r), float(expit(h)), float(expit(d))


def expected(theta: Floats, f: Findings) -> tuple[Floats, Floats]:
    """Expected findings by (origin, place), recorded and not."""
    rate, here, later = math.exp(theta[0]), float(expit(theta[1])), float(expit(theta[2]))
    j = len(f.weight)
    gap = np.arange(j)[None, :] - np.arange(j)[:, None]
    chance = np.where(
        gap == 0, here, np.where(gap > 0, (1 - here) * (1 - later) ** (gap - 1.0) * later, 0.0)
    )
    all_ = rate * f.weight[:, None] * f.reach * chance
    share = np.where(gap == 0, 1.0, f.recorded)
    return all_ * share, (all_ * (1 - share)).sum(axis=0)


def fit(f: Findings) -> Detection:
    """Maximum likelihood, held by a weak prior (a logit of 0, standard deviation 2).

    Raises ValueError when fewer than five errors were found.
    """
    found = int(f.known.sum() + f.unknown.sum())
    if found < 5:
        raise ValueError(f"{found} findings: too few for rate and detection")

    def negative(theta: Floats) -> float:
        known, unknown = expected(theta, f)
        upper = np.triu(np.ones_like(known)) > 0
        a, n = known[upper] + 1e-12, f.known[upper]
        b, m = unknown + 1e-12, f.unknown
        prior = ((theta[1:] / 2) ** 2).sum() / 2
        return float(a.sum() - (n * np.log(a)).sum() + b.sum() - (m * np.log(b)).sum() + prior)

    total = max(float(f.weight.sum()), 1e-9)
    start = np.array([math.log(1.3 * found / total), logit(0.6), logit(0.2)])
    best = min(
        (minimize(negative, start + d, method="L-BFGS-B", bounds=[(-20, 3), (-6, 6), (-6, 6)])
         for d in (np.zeros(3), np.array([0.5, -1.0, -0.5]))),
        key=lambda m: m.fun,
    )  # fmt: skip
    return Detection(best.x, np.linalg.pinv(hessian(negative, best.x)).astype(np.float64), found)
