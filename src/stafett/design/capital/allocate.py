"""A budget spread over categories: the most patients for the money.

What a category gives is concave in what is spent on it: the upper hull of the simulated points at
none, half and whole effort; nothing beyond the whole was simulated, so nothing more is spent there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stafett.design.capital.map import Gain


@dataclass(frozen=True)
class Piece:
    """A stretch of spending with one return: patients for each thousand US dollars."""

    category: str
    room: float
    slope: float


@dataclass(frozen=True)
class Allocation:
    """Thousand US dollars a year by category, and patients treated more a year by it."""

    spent: dict[str, float]
    patients: float
    left: float


def pieces(gains: Mapping[str, Gain]) -> list[Piece]:
    """The concave return of each category; what does not help has none."""
    found = []
    for key, g in gains.items():
        price = float(np.mean(g.price))
        half, whole = float(np.mean(g.half)), float(np.mean(g.whole))
        if half > whole / 2 and half > 0:
            found.append(Piece(key, price / 2, half / (price / 2)))
            if whole > half:
                found.append(Piece(key, price / 2, (whole - half) / (price / 2)))
        elif whole > 0:  # whole places: half does little; the hull is one straight stretch
            found.append(Piece(key, price, whole / price))
    return found


def _check(budget: float) -> None:
    if not (np.isfinite(budget) and budget >= 0):
        raise ValueError(f"a budget of {budget:g}: it must be 0 or more")


def allocate(gains: Mapping[str, Gain], budget: float) -> Allocation:
    """The best allocation of `budget` (thousand US dollars a year), by linear programming."""
    _check(budget)
    parts = pieces(gains)
    spent = dict.fromkeys(gains, 0.0)
    if not parts:
        return Allocation(spent, 0.0, budget)
    from scipy.optimize import linprog  # loads slowly; a page only shows what was found

    found = linprog(
        [-p.slope for p in parts], A_ub=[[1.0] * len(parts)], b_ub=[budget],
        bounds=[(0.0, p.room) for p in parts], method="highs",
    )  # fmt: skip
    if not found.success:
        raise ValueError(f"no allocation was found: {found.message}")
    return _allocated(spent, parts, [float(x) for x in found.x], budget)


def greedy(gains: Mapping[str, Gain], budget: float) -> Allocation:
    """The same by taking the best stretch first: exact for concave returns."""
    _check(budget)
    parts = sorted(pieces(gains), key=lambda p: -p.slope)
    left, amounts = budget, []
    for p in parts:
        amounts.append(min(p.room, left))
        left -= amounts[-1]
    return _allocated(dict.fromkeys(gains, 0.0), parts, amounts, budget)


def _allocated(
    spent: dict[str, float], parts: list[Piece], amounts: list[float], budget: float
) -> Allocation:
    for p, x in zip(parts, amounts, strict=True):
        spent[p.category] += x
    patients = sum(p.slope * x for p, x in zip(parts, amounts, strict=True))
    return Allocation(spent, patients, budget - sum(amounts))
