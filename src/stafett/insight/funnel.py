"""Funnels: units of unequal size beside one another, with limits that small units are owed.

Exact binomial limits with Spiegelhalter's interpolation and, where the units differ by more than
chance, limits widened by the winsorised over-dispersion: D. J. Spiegelhalter, Stat. Med. 24, 2005.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from stafett.insight.control import ControlError

Floats = npt.NDArray[np.float64]
FEWEST = 10  # with fewer units an outlier cannot be told from over-dispersion


@dataclass(frozen=True)
class Funnel:
    """Units' proportions (n,) around a target, with limits at 95 % and 99.8 % (n,) each.

    `phi` is the over-dispersion (1: none); `z` are standardised by it; `beyond` are the indices of
    units outside the 99.8 % limits after widening.
    """

    names: tuple[str, ...]
    events: Floats
    trials: Floats
    target: float
    phi: float
    z: Floats
    inner: tuple[Floats, Floats]
    outer: tuple[Floats, Floats]
    beyond: tuple[int, ...]

    def sentence(self) -> str:
        """Say in words what the funnel shows."""
        widened = (
            f" Limits are widened by {np.sqrt(self.phi):.2f} because units differ more than chance."
            if self.phi > 1
            else ""
        )
        if not self.beyond:
            return f"None of {len(self.names)} units lies outside what its size explains.{widened}"
        names = ", ".join(self.names[i] for i in self.beyond)
        return f"Of {len(self.names)} units, outside what their size explains: {names}.{widened}"


def funnel(
    names: Sequence[str],
    events: Sequence[int],
    trials: Sequence[int],
    *,
    target: float | None = None,
) -> Funnel:
    """Compare units' proportions with `target` (default: all together).

    Raises:
        ControlError: a unit without trials or with more events than trials.
    """
    k, n = np.asarray(events, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    if not len(n) or (n <= 0).any() or (k < 0).any() or (k > n).any():
        raise ControlError("each unit needs at least one trial and no more events than trials")
    theta = float(k.sum() / n.sum()) if target is None else target
    se = np.sqrt(theta * (1 - theta) / n)
    raw = np.divide(k / n - theta, se, out=np.zeros_like(n), where=se > 0)
    phi = over_dispersion(raw)
    inner = exact_limits(theta, n, 0.95)
    outer = exact_limits(theta, n, 0.998)
    if phi > 1:
        wide = float(np.sqrt(phi))
        inner = (theta + (inner[0] - theta) * wide, theta + (inner[1] - theta) * wide)
        outer = (theta + (outer[0] - theta) * wide, theta + (outer[1] - theta) * wide)
        inner = (np.clip(inner[0], 0, 1), np.clip(inner[1], 0, 1))
        outer = (np.clip(outer[0], 0, 1), np.clip(outer[1], 0, 1))
    p = k / n
    beyond = np.nonzero((p < outer[0]) | (p > outer[1]))[0]
    return Funnel(
        tuple(names),
        k,
        n,
        theta,
        phi,
        raw / np.sqrt(phi),
        inner,
        outer,
        tuple(int(i) for i in beyond),
    )


def exact_limits(theta: float, trials: Floats, level: float) -> tuple[Floats, Floats]:
    """Return the interpolated binomial limits (n,), (n,) of a proportion at `level`."""
    ends = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        r = stats.binom.ppf(tail, trials, theta)
        above, mass = stats.binom.cdf(r, trials, theta), stats.binom.pmf(r, trials, theta)
        part = np.divide(above - tail, mass, out=np.zeros_like(r), where=mass > 0)
        ends.append(np.clip((r - part) / trials, 0, 1))
    return ends[0], ends[1]


def over_dispersion(z: Floats, winsorise: float = 0.1) -> float:
    """Return φ ≥ 1 from standardised units; φ = 1 unless it exceeds its chance range.

    The outer tenth on each side is pulled in first, so that true outliers don't widen the limits.
    """
    if len(z) < FEWEST:
        return 1.0
    low, high = np.quantile(z, [winsorise, 1 - winsorise])
    phi = float((np.clip(z, low, high) ** 2).mean())
    chance = 1 + 2 * np.sqrt(2 / len(z))
    return phi if phi > chance else 1.0
