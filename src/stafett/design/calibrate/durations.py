"""Durations from a log, finished and unfinished: lognormal and Weibull by censored likelihood.

Both are location-scale in log time: log T = x·b + sigma·W, W normal (lognormal) or smallest
extreme value (Weibull); an unfinished piece of work (open, or cut short because the patient left)
counts with the chance of lasting longer. Intervals are Wald's on (b, log sigma). The fit is shown
by the largest distance between the fitted and the product-limit (Kaplan-Meier) distribution, held
against its 95th percentile for samples of this size (simulated: it does not depend on b or sigma).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr, ndtri

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Family = Literal["lognormal", "weibull"]
LEAST = 1e-5  # days: a second; shorter durations are taken as this


@dataclass(frozen=True)
class Durations:
    """Times in days; `ended` is false where only a lower bound is known."""

    days: Floats
    ended: Flags

    @property
    def n(self) -> int:
        """How many ended."""
        return int(self.ended.sum())


@dataclass(frozen=True)
class Lifetime:
    """A fitted family: `beta` and `sigma` as above, their covariance (last: of log sigma)."""

    family: Family
    beta: Floats
    sigma: float
    covariance: Floats
    loglik: float
    n: int
    censored: int

    @property
    def aic(self) -> float:
        """Akaike's criterion: less is better."""
        return 2 * (len(self.beta) + 1) - 2 * self.loglik

    def interval(self, k: int) -> tuple[float, float, float]:
        """exp(beta_k) with its 95 % interval."""
        half = 1.959964 * math.sqrt(max(0.0, float(self.covariance[k, k])))
        b = float(self.beta[k])
        return math.exp(b), math.exp(b - half), math.exp(b + half)

    def spread(self) -> tuple[float, float, float]:
        """Sigma with its 95 % interval."""
        half = 1.959964 * math.sqrt(max(0.0, float(self.covariance[-1, -1])))
        return self.sigma, self.sigma * math.exp(-half), self.sigma * math.exp(half)

    def cdf(self, days: Floats) -> Floats:
        """Distribution at `days`, for a fit without covariates."""
        z = (np.log(np.maximum(days, LEAST)) - self.beta[0]) / self.sigma
        return np.asarray(ndtr(z) if self.family == "lognormal" else -np.expm1(-np.exp(z)))

    def quantile(self, p: Floats) -> Floats:
        """Quantiles in days, for a fit without covariates."""
        w = ndtri(p) if self.family == "lognormal" else np.log(-np.log1p(-p))
        return np.asarray(np.exp(self.beta[0] + self.sigma * w))


def fit(times: Durations, family: Family = "lognormal", x: Floats | None = None) -> Lifetime:
    """Fit a family; `x` (n, k): covariates of log time, a column of ones if None.

    Raises ValueError when fewer than three pieces of work ended.
    """
    if times.n < 3:
        raise ValueError(f"{times.n} ended: too few for a distribution")
    y = np.log(np.maximum(times.days, LEAST))
    design = np.ones((len(y), 1)) if x is None else x
    ended = times.ended

    def negative(theta: Floats) -> float:
        z = (y - design @ theta[:-1]) * math.exp(-theta[-1])
        if family == "lognormal":
            done = -0.5 * z[ended] ** 2 - 0.9189385332046727
            still = log_ndtr(-z[~ended])
        else:
            e = np.exp(np.minimum(z, 50.0))
            done, still = z[ended] - e[ended], -e[~ended]
        return float(-(done.sum() - ended.sum() * theta[-1] + still.sum()))

    start = np.linalg.lstsq(design[ended], y[ended], rcond=None)[0]
    residual = y[ended] - design[ended] @ start
    theta = np.append(start, math.log(max(float(residual.std()), 1e-3)))
    found = minimize(negative, theta, method="BFGS")
    theta = found.x
    covariance = np.linalg.pinv(hessian(negative, theta)).astype(np.float64)
    return Lifetime(
        family, theta[:-1], math.exp(theta[-1]), covariance, -negative(theta),
        times.n, int((~ended).sum()),
    )  # fmt: skip


def hessian(f, at: Floats, step: float = 1e-3) -> Floats:  # type: ignore[no-untyped-def]
    """Second derivatives by central differences."""
    k = len(at)
    h = np.zeros((k, k))
    eye = np.eye(k) * step
    for i in range(k):
        for j in range(i, k):
            value = (
                f(at + eye[i] + eye[j]) - f(at + eye[i] - eye[j])
                - f(at - eye[i] + eye[j]) + f(at - eye[i] - eye[j])
            ) / (4 * step**2)  # fmt: skip
            h[i, j] = h[j, i] = value
    return h


def product_limit(times: Durations) -> tuple[Floats, Floats]:
    """Kaplan and Meier's distribution: times that ended, and the share ended by then."""
    order = np.lexsort((~times.ended, times.days))
    days, ended = times.days[order], times.ended[order]
    at_risk = np.arange(len(days), 0, -1)
    alive = np.cumprod(1 - ended / at_risk)
    return days[ended], np.asarray(1 - alive[ended], np.float64)


def distance(times: Durations, fitted: Lifetime) -> float:
    """The largest distance between the product-limit and the fitted distribution."""
    days, share = product_limit(times)
    if not len(days):
        return math.nan
    f = fitted.cdf(days)
    before = np.append(0.0, share[:-1])
    return float(max(np.abs(f - share).max(), np.abs(f - before).max()))


@cache
def critical(n: int, family: Family, draws: int = 400) -> float:
    """The 95th percentile of `distance` when the family is right and its two figures are fitted."""
    rng = np.random.default_rng(20_000 + n)
    found = []
    if n > 200:  # beyond, the statistic falls with the root of n
        return critical(200, family) * math.sqrt(200 / n)
    for _ in range(draws):
        if family == "lognormal":
            y = np.sort(rng.standard_normal(n))
            f = ndtr((y - y.mean()) / y.std())
        else:
            y = np.sort(np.log(rng.exponential(size=n)))
            sigma = max(y.std() * 0.7796968, 1e-6)  # moments: close to the likelihood's
            f = -np.expm1(-np.exp((y - y.mean() - 0.5772157 * sigma) / sigma))
        i = np.arange(1, n + 1)
        found.append(max(np.abs(f - i / n).max(), np.abs(f - (i - 1) / n).max()))
    return float(np.quantile(found, 0.95))


def quantiles(times: Durations, fitted: Lifetime, most: int = 40) -> list[tuple[float, float]]:
    """Points of a quantile-quantile plot: (fitted days, observed days)."""
    days, share = product_limit(times)
    keep = np.unique(np.linspace(0, len(days) - 1, min(most, len(days))).astype(int))
    inside = np.clip(share[keep] - 0.5 / max(1, len(days)), 1e-4, 1 - 1e-4)
    return [(float(a), float(b)) for a, b in zip(fitted.quantile(inside), days[keep], strict=True)]
