"""What changes with time and is known beforehand: capacities, opening hours, rates of arrival."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """A capacity that changes: `steps` of (time, capacity from then on), repeated each `period`.

    The first step is at time 0.
    """

    steps: tuple[tuple[float, int], ...]
    period: float = math.inf

    def check(self, who: str) -> None:
        """Raise ValueError, naming `who`, where the steps cannot be followed."""
        times = [at for at, _ in self.steps]
        if not times or times[0] != 0 or times != sorted(set(times)):
            raise ValueError(f"{who}: capacity steps must start at 0 and go forward")
        if times[-1] >= self.period:
            raise ValueError(f"{who}: a capacity step lies beyond its period")
        if min(c for _, c in self.steps) < 0:
            raise ValueError(f"{who}: a capacity is below 0")


@dataclass(frozen=True)
class Hours:
    """A calendar: (opens, closes) within each `period`, in order and apart."""

    open: tuple[tuple[float, float], ...]
    period: float = math.inf

    def check(self, who: str) -> None:
        """Raise ValueError, naming `who`, where the hours are none or out of order."""
        flat = [x for pair in self.open for x in pair]
        if not flat or flat != sorted(flat) or flat[0] < 0 or flat[-1] > self.period:
            raise ValueError(f"{who}: hours must lie in order within the period")


@dataclass(frozen=True)
class Rates:
    """Poisson arrivals at a rate constant by pieces: (from, rate), the first from 0."""

    steps: tuple[tuple[float, float], ...]
    period: float = math.inf
