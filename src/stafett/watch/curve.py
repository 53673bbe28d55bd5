"""How long an activity takes: a survival curve from what was seen, censored stretches included.

E. L. Kaplan and P. Meier, J. Am. Stat. Assoc. 53 (1958) 457: an activity that is still under way
after three days says that it takes longer than three days, and is counted so. Until there is enough
of the record, the protocol's targets stand in for it with a weight that fades.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ENOUGH: Final = 20
"""From this many finished ones on, the protocol's targets have no weight. An assumption."""

# Where a target says how long at most, one in twenty is taken to be longer. An assumption.
OVER: Final = 0.05
POINTS: Final = 9
# What is longer than anything seen: the rest is this share of what has passed, on average.
TAIL: Final = 0.5


class Seen(NamedTuple):
    """One stretch of one activity, in seconds; `whole` says that it ended then."""

    seconds: float
    whole: bool


class Target(NamedTuple):
    """What the protocol plans, in seconds: the usual time and the longest permitted one."""

    usual: float
    at_most: float


class Curve(NamedTuple):
    """A distribution of lengths: probability `left[i]` of being longer than `at[i]` seconds."""

    at: Floats
    left: Floats
    finished: int

    def survival(self, seconds: float) -> float:
        """Return the probability that it takes longer than `seconds`."""
        i = int(np.searchsorted(self.at, seconds, side="right"))
        return 1.0 if i == 0 else float(self.left[i - 1])

    def quantile(self, share: float) -> float:
        """Return the length that a share of all stays within; the longest seen if none does."""
        found = np.flatnonzero(self.left <= 1 - share + 1e-12)
        return float(self.at[found[0]]) if len(found) else float(self.at[-1])

    def draw(self, uniform: Floats, elapsed: float) -> Floats:
        """Return whole lengths, given that `elapsed` seconds have passed, for uniform numbers."""
        here = self.survival(elapsed)
        level = uniform * here
        # The first length at which no more than `level` is left; none: beyond what was seen.
        i = np.searchsorted(-self.left, -level, side="left")
        beyond = i >= len(self.at)
        found = self.at[np.minimum(i, len(self.at) - 1)]
        longest = max(float(self.at[-1]), elapsed, 1.0)
        floor = float(self.left[-1])
        share = level / floor if floor > 0 else uniform
        tail = longest * (1 - TAIL * np.log(np.maximum(share, 1e-12)))
        return np.maximum(np.where(beyond, tail, found), elapsed)


def curve(seen: Sequence[Seen], target: Target) -> Curve:
    """Return the curve of an activity from what was seen of it and what is planned for it."""
    finished = sum(one.whole for one in seen)
    weight = max(0.0, 1 - finished / ENOUGH)
    lengths = [max(one.seconds, 0.0) for one in seen]
    whole = [one.whole for one in seen]
    weights = [1.0] * len(seen)
    if weight > 0 or not lengths:
        planned = _planned(target)
        lengths += planned
        whole += [True] * POINTS
        weights += [max(weight, 1e-9)] * POINTS
    order = np.lexsort((~np.array(whole), np.array(lengths)))
    at, done = np.array(lengths)[order], np.array(whole)[order]
    mass = np.array(weights)[order]
    at_risk = np.cumsum(mass[::-1])[::-1]
    factor = np.where(done, 1 - mass / at_risk, 1.0)
    left = np.cumprod(np.clip(factor, 0.0, 1.0))
    last = np.append(np.flatnonzero(np.diff(at) > 0), len(at) - 1)
    return Curve(at[last], left[last], finished)


def _planned(target: Target) -> list[float]:
    """Return lengths that stand for a plan: lognormal, the usual one in the middle."""
    normal = NormalDist()
    sigma = max(np.log(target.at_most / target.usual) / normal.inv_cdf(1 - OVER), 0.05)
    shares = [(i + 0.5) / POINTS for i in range(POINTS)]
    return [float(target.usual * np.exp(sigma * normal.inv_cdf(share))) for share in shares]
