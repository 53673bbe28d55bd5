"""A random vector of the null space of many short sums, exactly: what is zero in it is determined.

Sums among published counts are sparse: thousands of them, each of a few counts, each count in two
or three. Gauss's elimination with Markowitz's choice of pivots (1957: the rarest column, the
shortest row) keeps them so, where a singular value decomposition of the whole takes minutes.
Arithmetic is modulo the prime 2^61 - 1: no rounding, and a coordinate that is free comes out as
zero once in 10^18.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from heapq import heapify, heappop, heappush

PRIME = 2**61 - 1
SEED = 1  # the same counts hide the same neighbours on every server


def null_vector(rows: Iterable[Mapping[Hashable, int]]) -> dict[Hashable, int]:
    """Return numbers (modulo PRIME) at which each of `rows` is zero, otherwise drawn at random.

    A row maps names to coefficients. A name is 0 in the answer if it is 0 in every solution.
    """
    left = {n: dict(row) for n, row in enumerate(rows) if row}
    within: dict[Hashable, set[int]] = defaultdict(set)  # name -> rows that it is in
    for n, row in left.items():
        for name in row:
            within[name].add(n)
    order = {name: k for k, name in enumerate(within)}
    queue = [(len(rows_), order[name], name) for name, rows_ in within.items()]
    heapify(queue)
    solved: list[tuple[Hashable, dict[Hashable, int]]] = []
    while queue:
        many, _, name = heappop(queue)
        inside = within[name]
        if many != len(inside):
            if inside:
                heappush(queue, (len(inside), order[name], name))
            continue
        if not inside:
            continue
        chosen = min(inside, key=lambda n: (len(left[n]), n))
        pivot = left.pop(chosen)
        for other in pivot:
            within[other].discard(chosen)
        for n in sorted(inside):
            _subtract(left[n], pivot, name, n, within)
            if not left[n]:
                del left[n]
        solved.append((name, pivot))
    return _back(solved, order)


def _subtract(
    row: dict[Hashable, int],
    pivot: Mapping[Hashable, int],
    name: Hashable,
    n: int,
    within: dict[Hashable, set[int]],
) -> None:
    """Take as much of `pivot` from the row `n` as leaves no `name` in it."""
    factor = row[name] * pow(pivot[name], -1, PRIME) % PRIME
    for other, value in pivot.items():
        new = (row.get(other, 0) - factor * value) % PRIME
        if new:
            row[other] = new
            within[other].add(n)
        elif other in row:
            del row[other]
            within[other].discard(n)


def _back(
    solved: list[tuple[Hashable, dict[Hashable, int]]], names: Iterable[Hashable]
) -> dict[Hashable, int]:
    """Draw what is free and compute the others from it, the last that was eliminated first."""
    draw = random.Random(SEED)
    bound = {name for name, _ in solved}
    found = {name: draw.randrange(1, PRIME) for name in names if name not in bound}
    for name, row in reversed(solved):
        rest = sum(value * found[other] for other, value in row.items() if other != name)
        found[name] = -rest * pow(row[name], -1, PRIME) % PRIME
    return found
