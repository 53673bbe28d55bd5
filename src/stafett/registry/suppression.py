"""Secondary suppression in tables that share figures: a country and its regions, and the whole.

Where the same journeys stand in several tables, as a region's page and the country's, what one
hides must not follow from the difference of others. So all the figures are hidden together:
`protect` takes the counts and the sums that hold among them, and hides until nobody can compute a
hidden one, not even who knows exactly every count that is shown (they are rounded besides), the
sums and these rules.

A hidden count is computed if it follows linearly from the sums (it has no part in their null
space), or if what is known of the hidden ones ("<5" lies between 1 and 4, another is 5 or more)
leaves it one value. What is thereby hidden is the smallest neighbour first (Hundepool et al.,
Statistical Disclosure Control, 2012, ch. 4).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from stafett.registry.disclosure import MINIMUM, Shown, one
from stafett.registry.elimination import null_vector

K = TypeVar("K", bound=Hashable)


class Sum(NamedTuple):
    """That `total` is the sum of `parts`; both are names of counts."""

    total: Hashable
    parts: tuple[Hashable, ...]


def protect(counts: Mapping[K, int], sums: Iterable[Sum]) -> dict[K, Shown]:
    """Return the counts as they may be published beside each other. Zeros are known to everybody.

    Raises ValueError for a sum that does not hold.
    """
    lines = [s for s in (_nonzero(s, counts) for s in sums) if s.parts]
    hidden = {name for name, n in counts.items() if 0 < n < MINIMUM}
    vague: set[Hashable] = set()  # hidden, and not said to be below MINIMUM or not
    of: dict[Hashable, list[Sum]] = defaultdict(list)  # the sums that a count is in
    for line in lines:
        for member in _members(line):
            of[member].append(line)
    settled: set[Hashable] = set()  # nothing is left to hide that could help them
    while told := _told(counts, lines, hidden, vague, settled):
        fresh = {n for n in (_neighbour(counts, of[name], hidden) for name in told) if n}
        if fresh:
            hidden |= fresh
            continue
        loose = {m for n in told for s in of[n] for m in _members(s) if m in hidden}
        if loose - vague:
            totals = {s.total for n in told for s in of[n]} & loose - vague
            vague |= totals or loose
        elif (further := _further(told, of, counts, hidden)) is not None:
            hidden.add(further)
        else:
            settled |= told
    return {
        name: Shown(None, "hidden" if name in vague or n >= MINIMUM else "<5")
        if name in hidden
        else one(n)
        for name, n in counts.items()
    }


def _nonzero(line: Sum, counts: Mapping[K, int]) -> Sum:
    known: Mapping[Hashable, int] = counts  # type: ignore[assignment]
    if known[line.total] != sum(known[p] for p in line.parts):
        raise ValueError(f"{line.total} is not the sum of its parts")
    return Sum(line.total, tuple(p for p in line.parts if known[p]))


def _members(line: Sum) -> set[Hashable]:
    return {line.total, *line.parts}


def _neighbour(counts: Mapping[K, int], with_it: Sequence[Sum], hidden: set[K]) -> K | None:
    """Return the smallest count still shown in the sums `with_it`, parts before totals."""
    for found in ({p for s in with_it for p in s.parts}, {s.total for s in with_it}):
        free: list[K] = [n for n in found if n not in hidden]  # type: ignore[misc]
        if free:
            return min(free, key=lambda n: (counts[n], str(n)))
    return None


def _further(
    told: set[Hashable],
    of: Mapping[Hashable, Sequence[Sum]],
    counts: Mapping[K, int],
    hidden: set[K],
) -> K | None:
    """Return the nearest count that is still shown beyond the sums of `told`; None if none is."""
    known: Mapping[Hashable, int] = counts  # type: ignore[assignment]
    near: set[Hashable] = set(told)
    while True:
        around = {m for n in near for s in of[n] for m in _members(s)}
        free = [m for m in around if m not in hidden and known[m]]
        if free:
            return min(free, key=lambda n: (known[n], str(n)))  # type: ignore[return-value]
        if around <= near:
            return None
        near |= around


def _told(
    counts: Mapping[K, int],
    lines: Sequence[Sum],
    hidden: set[K],
    vague: set[Hashable],
    settled: set[Hashable],
) -> set[Hashable]:
    """Return hidden counts that somebody could compute; none only if there is none to mind.

    What a single sum or the bounds tell comes first: it is found fast, and most goes with it.
    """
    parts = _components(lines, hidden)
    found = {name for _, rows in parts for row, _ in rows if len(row) == 1 for name in row}
    found -= settled
    if not found:
        for names, rows in parts:
            found |= _bounded(names, rows, counts, vague) - settled
    if not found:
        for names, rows in parts:
            found |= _linear(names, rows) - settled
    return found


Row = dict[Hashable, int]  # hidden name -> +1 (part) or -1 (total)


def _components(
    lines: Sequence[Sum], hidden: set[K]
) -> list[tuple[list[Hashable], list[tuple[Row, Sum]]]]:
    """Return groups of hidden counts that share sums, each with its sums."""
    rows: list[tuple[Row, Sum]] = []
    for line in lines:
        row: Row = {p: 1 for p in line.parts if p in hidden}
        if line.total in hidden:
            row[line.total] = row.get(line.total, 0) - 1
        row = {name: sign for name, sign in row.items() if sign}
        if row:
            rows.append((row, line))
    root: dict[Hashable, Hashable] = {}

    def find(name: Hashable) -> Hashable:
        while root.setdefault(name, name) != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for row, _ in rows:
        first, *others = row
        for other in others:
            root[find(other)] = find(first)
    groups: dict[Hashable, tuple[set[Hashable], list[tuple[Row, Sum]]]] = defaultdict(
        lambda: (set(), [])
    )
    for row, line in rows:
        names, own = groups[find(next(iter(row)))]
        names.update(row)
        own.append((row, line))
    return [(sorted(names, key=str), own) for names, own in groups.values()]


def _linear(names: list[Hashable], rows: list[tuple[Row, Sum]]) -> set[Hashable]:
    """Return what has one value in every solution of the sums."""
    nulls = null_vector([row for row, _ in rows])
    return {name for name in names if not nulls.get(name, 1)}


def _bounded(
    names: list[Hashable],
    rows: list[tuple[Row, Sum]],
    counts: Mapping[K, int],
    vague: set[Hashable],
) -> set[Hashable]:
    """Return what has one value left between what the sums allow it at least and at most."""
    known: Mapping[Hashable, int] = counts  # type: ignore[assignment]
    low: dict[Hashable, float] = {}
    high: dict[Hashable, float] = {}
    for name in names:
        small = known[name] < MINIMUM and name not in vague
        low[name] = 1 if small or name in vague else MINIMUM
        high[name] = MINIMUM - 1 if small else math.inf
    moved = True
    while moved:
        moved = False
        for row, _ in rows:
            # The hidden part of a sum is known: what is shown in it is taken as known exactly.
            right = sum(sign * known[name] for name, sign in row.items())
            least = [s * (low[n] if s > 0 else high[n]) for n, s in row.items()]
            most = [s * (high[n] if s > 0 else low[n]) for n, s in row.items()]
            for (name, sign), own_least, own_most in zip(row.items(), least, most, strict=True):
                ends = sorted(
                    (sign * (right - _without(most, own_most)),
                     sign * (right - _without(least, own_least)))
                )  # fmt: skip
                if ends[0] > low[name]:
                    low[name], moved = ends[0], True
                if ends[1] < high[name]:
                    high[name], moved = ends[1], True
    return {name for name in names if low[name] >= high[name]}


def _without(values: list[float], own: float) -> float:
    """Return the sum of all but one of `values`."""
    if not math.isinf(own):
        return sum(values) - own
    rest = list(values)
    rest.remove(own)
    return sum(rest)
