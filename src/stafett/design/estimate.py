"""Means over replications with their intervals, single and paired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval (Student's t over independent replications)."""

    mean: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0

    def __format__(self, spec: str) -> str:
        spec = spec or ".2f"
        return f"{self.mean:{spec}} ({self.low:{spec}} to {self.high:{spec}})"


def _student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit  # loads slowly; a page only shows what was estimated

    return float(stdtrit(freedom, 0.975))


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and interval; replications without a value (nobody infused) are left out."""
    x = np.array([v for v in values if not math.isnan(v)])
    if len(x) == 0:
        return Estimate(math.nan, math.nan, math.nan)
    mean = float(x.mean())
    if len(x) == 1:
        return Estimate(mean, -math.inf, math.inf)
    half = float(_student(len(x) - 1) * x.std(ddof=1) / math.sqrt(len(x)))
    return Estimate(mean, mean - half, mean + half)


def central(values: Sequence[float]) -> Estimate:
    """Mean, and the range of 95 % of the values: what is not known, not what is not yet counted.

    For replications whose assumptions were drawn: the width does not shrink with more of them.
    """
    x = np.array([v for v in values if not math.isnan(v)])
    if len(x) == 0:
        return Estimate(math.nan, math.nan, math.nan)
    low, high = np.quantile(x, (0.025, 0.975))
    return Estimate(float(x.mean()), float(low), float(high))


def summary(values: Sequence[float], assumptions: str) -> Estimate:
    """`estimate` if assumptions are fixed, `central` if they were drawn."""
    return central(values) if assumptions == "sampled" else estimate(values)


def paired(after: Sequence[float], before: Sequence[float], assumptions: str) -> Estimate:
    """The paired difference, summarised as the plan asks."""
    return summary([a - b for a, b in zip(after, before, strict=True)], assumptions)


def without_luck(fixed: Estimate, drawn: Estimate, n: int) -> Estimate:
    """The range of draws less what chance alone makes of a replication.

    `fixed`: the same figure over `n` replications with nothing drawn. Deviations are scaled by
    sqrt(1 - V(luck) / V(drawn)); the error of the mean itself stays in.
    """
    t = _student(max(1, n - 1))
    error = (fixed.high - fixed.low) / 2
    luck = error / t * math.sqrt(n)
    width = (drawn.high - drawn.low) / (2 * 1.96)
    if not (math.isfinite(luck) and width > 0):
        return drawn
    scale = math.sqrt(max(0.0, 1 - (luck / width) ** 2))
    below = math.hypot(scale * (drawn.mean - drawn.low), error)
    above = math.hypot(scale * (drawn.high - drawn.mean), error)
    return Estimate(drawn.mean, drawn.mean - below, drawn.mean + above)


def difference(after: Sequence[float], before: Sequence[float]) -> Estimate:
    """The paired difference, replication by replication: their luck was the same."""
    return estimate([a - b for a, b in zip(after, before, strict=True)])
