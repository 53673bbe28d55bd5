"""A binary heap on three arrays, ordered by time, then rank. The caller keeps the length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stafett.simulation.compiled import inlined

Times = NDArray[np.float64]
Ranks = NDArray[np.int64]
Payloads = NDArray[np.int64]


@inlined
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


@inlined
def pop(ht: Times, hr: Ranks, hp: Payloads, n: int) -> None:
    """Take the first away from the heap of length `n`; it then has n - 1."""
    n -= 1
    replace(ht, hr, hp, n, ht[n], hr[n], hp[n])


@inlined
def replace(ht: Times, hr: Ranks, hp: Payloads, n: int, t: float, r: int, p: int) -> None:
    """Put (t, r, p) into the heap of length `n` in the place of the first.

    To the bottom first, then up again (mostly a step or two): the way down has no jump that depends
    on `t`, so the processor goes it while `t` is still being reckoned.
    """
    i = 0
    child = 1
    while child + 1 < n:
        a = ht[child]
        b = ht[child + 1]
        first = b < a  # no jump: which comes first cannot be foretold
        if a == b:
            first = hr[child + 1] < hr[child]
        child += int(first)
        ht[i] = ht[child]
        hr[i] = hr[child]
        hp[i] = hp[child]
        i = child
        child = 2 * i + 1
    if child < n:
        ht[i] = ht[child]
        hr[i] = hr[child]
        hp[i] = hp[child]
        i = child
    push(ht, hr, hp, i, t, r, p)
