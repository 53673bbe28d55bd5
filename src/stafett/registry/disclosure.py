"""Small numbers: what may be published of counts that stand for few patients.

The rules, in the words of statistical offices (primary and secondary suppression, controlled
rounding; Eurostat's and the UK Government Statistical Service's handbooks on disclosure control):

1. a count from 1 to MINIMUM - 1 is not shown ("<5");
2. where a total is shown beside its parts, what is hidden could be computed from it: the next
   smallest part is then not shown either, and at last the total (`registry.suppression`);
3. counts that are shown are rounded to BASE, totals by themselves and not as a sum of the rounded;
4. a rate is shown only when it rests on at least RATE_MINIMUM cases, with its interval.

MINIMUM 5, BASE 5 and RATE_MINIMUM 20 are this project's choice within what is usual (3 to 10); a
deployment answers to its own authority. Zero is shown: it stands for nobody.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

MINIMUM = 5
BASE = 5
RATE_MINIMUM = 20
Z = 1.959963984540054

Hidden = Literal["<5", "hidden"]


class Shown(msgspec.Struct, frozen=True):
    """A count as it may be published: a rounded number, or why it is not shown."""

    value: int | None
    why: Hidden | None = None

    def __str__(self) -> str:
        """Show it."""
        return str(self.value) if self.why is None else ("<5" if self.why == "<5" else "·")


class Rate(msgspec.Struct, frozen=True):
    """A proportion with its 95 % interval and the rounded number of cases that it rests on.

    `value` is None where it would tell a count from 1 to MINIMUM - 1 of either kind: the interval
    then covers every such count.
    """

    value: float | None
    low: float
    high: float
    cases: int


def rounded(count: int, base: int = BASE) -> int:
    """Return `count` rounded to the nearest multiple of `base`, halves up."""
    return math.floor(count / base + 0.5) * base


def one(count: int) -> Shown:
    """Return a count that stands alone. Raises ValueError for a negative one."""
    if count < 0:
        raise ValueError("a count cannot be negative")
    if 0 < count < MINIMUM:
        return Shown(None, "<5")
    return Shown(rounded(count))


def rate(successes: int, cases: int) -> Rate | None:
    """Return the proportion with its interval; None when it rests on too few cases.

    Raises ValueError unless 0 <= successes <= cases.
    """
    if not 0 <= successes <= cases:
        raise ValueError("successes must lie between 0 and cases")
    if cases < RATE_MINIMUM:
        return None
    about = rounded(cases)
    if 0 < successes < MINIMUM:
        return Rate(None, 0.0, wilson(MINIMUM - 1, cases)[1], about)
    if 0 < cases - successes < MINIMUM:
        return Rate(None, wilson(cases - MINIMUM + 1, cases)[0], 1.0, about)
    low, high = wilson(successes, cases)
    return Rate(round(successes / cases, 2), low, high, about)


def wilson(successes: int, cases: int) -> tuple[float, float]:
    """Return Wilson's 95 % score interval (Wilson 1927), to two decimals."""
    p, z2 = successes / cases, Z * Z
    spread = Z * math.sqrt(p * (1 - p) / cases + z2 / (4 * cases * cases))
    middle, scale = p + z2 / (2 * cases), 1 + z2 / cases
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return max(0.0, round(low, 2)), min(1.0, round(high, 2))
