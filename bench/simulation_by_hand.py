"""The vein-to-vein model as a loop written for it alone: what the general kernel is held against.

No tables, no keys, no statistics but the mean; numba's own sequential generator.
"""

from __future__ import annotations

import math

import numba
import numpy as np


@numba.njit(cache=True)
def triangular(a: float, m: float, b: float) -> float:
    u = np.random.random()
    cut = (m - a) / (b - a)
    if u < cut:
        return a + math.sqrt(u * (b - a) * (m - a))
    return b - math.sqrt((1 - u) * (b - a) * (b - m))


@numba.njit(cache=True)
def put(ht, hp, n, t, p):
    i = n
    while i > 0 and ht[(i - 1) >> 1] > t:
        ht[i] = ht[(i - 1) >> 1]
        hp[i] = hp[(i - 1) >> 1]
        i = (i - 1) >> 1
    ht[i] = t
    hp[i] = p


@numba.njit(cache=True)
def take(ht, hp, n):
    t, p = ht[n - 1], hp[n - 1]
    n -= 1
    i = 0
    while 2 * i + 1 < n:
        c = 2 * i + 1
        if c + 1 < n and ht[c + 1] < ht[c]:
            c += 1
        if t <= ht[c]:
            break
        ht[i] = ht[c]
        hp[i] = hp[c]
        i = c
    ht[i] = t
    hp[i] = p


@numba.njit(cache=True)
def by_hand(until: float, seed: int) -> tuple[int, float]:
    """(journeys finished, mean vein-to-vein days of those after the warm-up)."""
    np.random.seed(seed)
    room = 4096
    ht, hp = np.zeros(room), np.zeros(room, np.int64)
    born = np.zeros(room)
    unused = np.arange(room)
    spare = room
    places = np.array([2, 14, 14])
    queue = np.zeros((3, room), np.int64)
    first, last = np.zeros(3, np.int64), np.zeros(3, np.int64)
    n = 0
    put(ht, hp, n, np.random.exponential(1.0), -1)
    n += 1
    done, total, count = 0, 0.0, 0
    while ht[0] <= until:
        t, p = ht[0], hp[0]
        take(ht, hp, n)
        n -= 1
        start = -1  # which resource is asked for
        free = -1  # which resource has a place again
        who = p >> 2
        if p < 0:
            put(ht, hp, n, t + np.random.exponential(1.0), -1)
            n += 1
            spare -= 1
            who = unused[spare]
            start = 0
        elif p & 3 == 0:  # collected; on to the plant
            free = 0
            born[who] = t
            put(ht, hp, n, t + triangular(1.0, 1.5, 2.0), who * 4 + 3)
            n += 1
        elif p & 3 == 3:  # at the plant, or at the hospital (negative birth: made)
            start = 1 if born[who] >= 0 else 2
        elif p & 3 == 1:  # made; control, then on or again
            free = 1
            later = t + triangular(5.0, 6.0, 7.0)
            if np.random.random() >= 0.08:
                later += triangular(1.0, 1.5, 2.0)
                born[who] = -born[who]
            put(ht, hp, n, later, who * 4 + 3)
            n += 1
        else:  # leaves the bed
            free = 2
            done += 1
            unused[spare] = who
            spare += 1
        if start >= 0:
            if places[start] > 0:
                places[start] -= 1
            else:
                queue[start, last[start] % room] = who
                last[start] += 1
                start = -1
        elif free >= 0:
            if last[free] > first[free]:
                who = queue[free, first[free] % room]
                first[free] += 1
                start = free
            else:
                places[free] += 1
        if start == 0:
            later = t + 1.0
        elif start == 1:
            later = t + math.exp(math.log(9.0) + 0.2 * np.random.standard_normal())
        elif start == 2:
            if t > 2000.0:
                total += t + born[who]
                count += 1
            later = t + np.random.exponential(10.0)
        if start >= 0:
            put(ht, hp, n, later, who * 4 + start)
            n += 1
    return done, total / max(count, 1)
