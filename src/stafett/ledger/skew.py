"""How far a clock is from the clocks of others, as far as their answers prove it. Pure.

Somebody is asked at `sent` and has answered at `got`, both by our clock, and told the time `told`
of its own, in whole units of `grain`. Whenever in between it looked, our clock was ahead of it by
at least `sent - (told + grain)` and at most `got - told`: a slow answer makes the bounds wide and
never wrong. What is out is said only of what a strict majority of at least two others proves; one
wrong clock among them then neither raises an alarm nor hides one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

WARN_S: Final = 3.0  # so far out is said
CLEAR_S: Final = 1.5  # what was said holds until it is nearer than this
BLOCK_S: Final = 120.0  # the tolerance of the times that people state (journey.clock)
FEWEST: Final = 2  # others who must say the same

Verdict = Literal["good", "out", "unsure", "unknown"]


class Bounds(NamedTuple):
    """By how many seconds a clock is ahead of another's: at least, at most (negative: behind)."""

    least: float
    most: float

    def shifted(self, by: float) -> Bounds:
        """Return the bounds after the clock itself was set by `by` seconds."""
        return Bounds(self.least + by, self.most + by)

    def minus(self, other: Bounds) -> Bounds:
        """Return how far `other`'s clock is ahead, where self is ours against a third."""
        return Bounds(self.least - other.most, self.most - other.least)

    @property
    def proven(self) -> float:
        """How far out it surely is; 0 where it may be right."""
        return max(self.least, 0.0) + min(self.most, 0.0)


def bounds(sent: float, told: float, got: float, grain: float = 1.0) -> Bounds | None:
    """Return what one answer proves; None where our own clock was set meanwhile (POSIX seconds)."""
    return Bounds(sent - told - grain, got - told) if got >= sent else None


def agreed(others: Sequence[Bounds]) -> float:
    """Return the seconds by which a strict majority proves a clock ahead (negative: behind).

    0 where no majority of at least two proves anything.
    """
    if len(others) < FEWEST:
        return 0.0
    needed = _majority(len(others))
    ahead = sorted((one.least for one in others), reverse=True)[needed - 1]
    behind = sorted(one.most for one in others)[needed - 1]
    return max(ahead, 0.0) or min(behind, 0.0)


def judge(others: Sequence[Bounds], *, was_out: bool = False) -> tuple[Verdict, float]:
    """Return what can be said of a clock, and by how many seconds it is surely ahead.

    `unsure`: some prove it wrong and no majority does, so it may be theirs.
    """
    if not others:
        return "unknown", 0.0
    said = CLEAR_S if was_out else WARN_S
    out = agreed(others)
    if abs(out) >= said:
        return "out", out
    apart = [one.proven for one in others if abs(one.proven) >= said]
    if len(others) - len(apart) >= _majority(len(others)):
        return "good", 0.0  # who differs is alone with it
    return ("unsure", max(apart, key=abs)) if apart else ("unknown", 0.0)


def _majority(many: int) -> int:
    return max(many // 2 + 1, FEWEST)
