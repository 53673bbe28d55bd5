"""Means over replications with their intervals, single and paired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


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


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and interval; replications without a value (nobody infused) are left out."""
    x = np.array([v for v in values if not math.isnan(v)])
    if len(x) == 0:
        return Estimate(math.nan, math.nan, math.nan)
    mean = float(x.mean())
    if len(x) == 1:
        return Estimate(mean, -math.inf, math.inf)
    half = float(stdtrit(len(x) - 1, 0.975) * x.std(ddof=1) / math.sqrt(len(x)))
    return Estimate(mean, mean - half, mean + half)


def difference(after: Sequence[float], before: Sequence[float]) -> Estimate:
    """The paired difference, replication by replication: their luck was the same."""
    return estimate([a - b for a, b in zip(after, before, strict=True)])
