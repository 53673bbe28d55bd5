"""A binary heap on three arrays, ordered by time, then rank. The caller keeps the length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stafett.simulation.compiled import compiled

Times = NDArray[np.float64]
Ranks = NDArray[np.int64]
Payloads = NDArray[np.int64]


@compiled
def push(ht: Times, hr: Ranks, hp: Payloads, n: int, t: float, r: int, p: int) -> None:
    """Put (t, r, p) into the heap of length `n`; it then has n + 1."""
    i = n
    while i > 0:
        up = (i - 1) >> 1
        if ht[up] < t or (ht[up] == t and hr[up] < r):
            break
        ht[i] = ht[up]
        hr[i] = hr[up]
        hp[i] = hp[up]
        i = up
    ht[i] = t
    hr[i] = r
    hp[i] = p


@compiled
def pop(ht: Times, hr: Ranks, hp: Payloads, n: int) -> None:
    """Take the first away from the heap of length `n`; it then has n - 1."""
    n -= 1
    replace(ht, hr, hp, n, ht[n], hr[n], hp[n])


@compiled
def replace(ht: Times, hr: Ranks, hp: Payloads, n: int, t: float, r: int, p: int) -> None:
    """Put (t, r, p) into the heap of length `n` in the place of the first."""
    i = 0
    child = 1
    while child < n:
        # Without a jump: which child comes first cannot be foretold.
        other = min(child + 1, n - 1)
        first = (ht[other] < ht[child]) | ((ht[other] == ht[child]) & (hr[other] < hr[child]))
        child += int(first)
        if t < ht[child] or (t == ht[child] and r < hr[child]):
            break
        ht[i] = ht[child]
        hr[i] = hr[child]
        hp[i] = hp[child]
        i = child
        child = 2 * i + 1
    ht[i] = t
    hr[i] = r
    hp[i] = p
