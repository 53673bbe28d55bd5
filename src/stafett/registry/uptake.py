"""What may be published of patients treated, by product, period, country and region.

All lines are guarded together (`suppression`): a region beside its country, and a year beside its
halves and quarters where both are entered, else a hidden quarter were the year less the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from stafett.registry.adoption import Uptake
from stafett.registry.disclosure import Shown
from stafett.registry.suppression import Sum, protect

HALVES = {"H1": ("Q1", "Q2"), "H2": ("Q3", "Q4")}
WHOLES = (("H1", "H2"), ("Q1", "Q2", "Q3", "Q4"))  # what a year is the sum of


class Line(msgspec.Struct, frozen=True):
    """Patients treated with a product in a country in a period, by region.

    `per_million` are of the rounded counts, so that they tell no more than these.
    """

    product: str
    country: str
    period: str
    parts: dict[str, Shown]
    total: Shown
    per_million: dict[str, float | None]
    made_up: bool


class _Cell(NamedTuple):
    """One count. `region` is "" for the country."""

    product: str
    country: str
    region: str
    period: str


def lines(entries: Iterable[Uptake]) -> list[Line]:
    """Return what may be published, ordered by product, country and period.

    Where two entries are of the same region and period the last one counts.
    """
    of = {_Cell(e.product, e.country, e.region, e.period): e for e in entries}
    counts = {cell: entry.patients for cell, entry in of.items()}
    groups: dict[_Cell, list[_Cell]] = {}
    for cell in of:
        groups.setdefault(cell._replace(region=""), []).append(cell)
    counts |= {whole: sum(counts[c] for c in parts) for whole, parts in groups.items()}
    sums = [Sum(whole, tuple(parts)) for whole, parts in groups.items()]
    shown = protect(counts, [*sums, *_periods(counts)])
    return [_line(whole, groups[whole], of, shown) for whole in sorted(groups)]


def _line(
    whole: _Cell, parts: list[_Cell], of: Mapping[_Cell, Uptake], shown: Mapping[_Cell, Shown]
) -> Line:
    rates = {c.region: _rate(shown[c], of[c].population) for c in parts}
    made_up = any(of[c].made_up for c in parts)
    told = {c.region: shown[c] for c in parts}
    return Line(whole.product, whole.country, whole.period, told, shown[whole], rates, made_up)


def _rate(shown: Shown, population: int) -> float | None:
    return None if shown.value is None else round(shown.value * 1_000_000 / population, 1)


def _periods(counts: Mapping[_Cell, int]) -> list[Sum]:
    """Return the sums of parts of a year that are entered and hold.

    One that does not hold (another source, a late correction) computes nothing.
    """
    found = []
    for whole in counts:
        year, _, part = whole.period.partition("-")
        ways = WHOLES if not part else (HALVES[part],) if part in HALVES else ()
        for way in ways:
            parts = tuple(whole._replace(period=f"{year}-{p}") for p in way)
            if all(p in counts for p in parts) and counts[whole] == sum(counts[p] for p in parts):
                found.append(Sum(whole, parts))
    return found
