"""Durations, patience and marks: distributions as values, with their exact moments.

Each draw is the quantile function of one uniform (Erlang: of `shape` of them), so a scenario that
is a little slower moves every draw a little, and paired comparisons stay paired. Time has no unit
here; the caller's networks use days.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

CONSTANT, EXPONENTIAL, UNIFORM, TRIANGULAR, LOGNORMAL, WEIBULL, ERLANG, EMPIRICAL, CHOICE = range(9)


@dataclass(frozen=True)
class Constant:
    """Always `value`."""

    value: float

    def mean(self) -> float:
        """Expected value."""
        return self.value


@dataclass(frozen=True)
class Exponential:
    """Memoryless with mean `average` (above 0), after a fixed `shift`."""

    average: float
    shift: float = 0.0

    def mean(self) -> float:
        """Expected value."""
        return self.shift + self.average


@dataclass(frozen=True)
class Uniform:
    """Between `low` and `high`."""

    low: float
    high: float

    def mean(self) -> float:
        """Expected value."""
        return (self.low + self.high) / 2


@dataclass(frozen=True)
class Triangular:
    """Between `low` and `high` with its peak at `mode`."""

    low: float
    mode: float
    high: float

    def mean(self) -> float:
        """Expected value."""
        return (self.low + self.mode + self.high) / 3


@dataclass(frozen=True)
class Lognormal:
    """exp(N(log `median`, `sigma`²)), after a fixed `shift`."""

    median: float
    sigma: float
    shift: float = 0.0

    def mean(self) -> float:
        """Expected value."""
        return self.shift + self.median * math.exp(self.sigma**2 / 2)


@dataclass(frozen=True)
class Weibull:
    """P(X > x) = exp(-(x/`scale`)^`shape`)."""

    shape: float
    scale: float

    def mean(self) -> float:
        """Expected value."""
        return self.scale * math.gamma(1 + 1 / self.shape)


@dataclass(frozen=True)
class Erlang:
    """The sum of `shape` exponentials (1 to 255) with mean `average` in all."""

    shape: int
    average: float

    def mean(self) -> float:
        """Expected value."""
        return self.average


@dataclass(frozen=True)
class Empirical:
    """The quantile function through equally spaced `points` (the first at 0, the last at 1)."""

    points: tuple[float, ...]

    def mean(self) -> float:
        """Expected value of the piecewise linear quantile function."""
        p = self.points
        return sum((a + b) / 2 for a, b in itertools.pairwise(p)) / (len(p) - 1)


@dataclass(frozen=True)
class Choice:
    """The whole number i with probability `weights[i]` / sum(weights)."""

    weights: tuple[float, ...]

    def mean(self) -> float:
        """Expected index."""
        return sum(i * w for i, w in enumerate(self.weights)) / sum(self.weights)


Distribution = (
    Constant
    | Exponential
    | Uniform
    | Triangular
    | Lognormal
    | Weibull
    | Erlang
    | Empirical
    | Choice
)


def check(d: Distribution) -> None:
    """Refuse parameters that describe no distribution, saying which and why."""

    def need(fine: bool, why: str) -> None:
        if not fine:
            raise ValueError(f"{d}: {why}")

    numbers: list[float] = []
    for value in vars(d).values():
        numbers += value if isinstance(value, tuple) else [value]
    need(all(math.isfinite(v) for v in numbers), "every parameter must be a finite number")
    match d:
        case Exponential() | Erlang():
            need(d.average > 0, "the mean must be above 0")
            if isinstance(d, Erlang):
                need(1 <= d.shape <= 255, "the shape must be 1 to 255")
        case Uniform():
            need(d.low <= d.high, "low must not exceed high")
        case Triangular():
            need(d.low <= d.mode <= d.high and d.low < d.high, "must be low <= mode <= high")
        case Lognormal():
            need(d.median > 0 and d.sigma >= 0, "the median must be above 0 and sigma not below")
        case Weibull():
            need(d.shape > 0 and d.scale > 0, "shape and scale must be above 0")
        case Empirical():
            need(len(d.points) >= 2, "at least two quantiles are needed")
            need(list(d.points) == sorted(d.points), "the quantiles must not fall")
        case Choice():
            need(
                bool(d.weights) and min(d.weights) >= 0 and sum(d.weights) > 0,
                "the weights must not be negative and must add up to more than 0",
            )


def row(d: Distribution, points: list[float]) -> tuple[float, float, float, float, float]:
    """The row (kind, p0, p1, p2, shift) that the kernel reads; long tables go into `points`."""
    check(d)
    match d:
        case Constant():
            return CONSTANT, d.value, 0, 0, 0
        case Exponential():
            return EXPONENTIAL, d.average, 0, 0, d.shift
        case Uniform():
            return UNIFORM, d.low, d.high, 0, 0
        case Triangular():
            return TRIANGULAR, d.low, d.mode, d.high, 0
        case Lognormal():
            return LOGNORMAL, math.log(d.median), d.sigma, 0, d.shift
        case Weibull():
            return WEIBULL, d.shape, d.scale, 0, 0
        case Erlang():
            return ERLANG, d.shape, d.average, 0, 0
        case Empirical():
            points.extend(d.points)
            return EMPIRICAL, len(points) - len(d.points), len(d.points), 0, 0
        case Choice():
            total, run = sum(d.weights), 0.0
            for w in d.weights:
                run += w
                points.append(run / total)
            return CHOICE, len(points) - len(d.weights), len(d.weights), 0, 0
