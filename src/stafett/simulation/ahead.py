"""Draws made ahead of time, for eight entities at once.

A draw is a function of what it is for, so it can be made before it is asked for. When a second one
of eight neighbours (by number) comes to an operation, or a first whose eight predecessors' draws
were made, the first draws of all eight are made there: with vector instructions, in little more
than the time of one. The values are those that `draw` would give, to the last bit. They lie in
lines of eight, a few lines an operation; a line is used again for other neighbours, so what was
made may be lost, and is made again.
"""

# Elements of arrays are Any to mypy; compiled, they are what the signature says.
# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stafett.simulation.compiled import called, inlined
from stafett.simulation.distributions import EXPONENTIAL, LOGNORMAL, TRIANGULAR
from stafett.simulation.draws import PARAMETERS, draw, quantile
from stafett.simulation.elementary import (
    CENTRE,
    FAR,
    WITHIN,
    central,
    log,
    normal_quantile,
    tail,
    within,
)
from stafett.simulation.philox import uniform
from stafett.simulation.pointers import row
from stafett.simulation.run import Run
from stafett.simulation.state import LINES, NEIGHBOURS, State
from stafett.simulation.tables import Tables

MADE = np.uint64(1)  # in a line's key: its draws are there
ONE = np.uint64(1)
TWO = np.uint64(2)
LANE_BITS = np.uint64(8)
NUMBER_BITS = np.uint64(30)
SHIFT = np.uint64(3)
PLACE = np.uint64(NEIGHBOURS - 1)
FIRST = np.uint64(0)


@inlined
def first_draw(
    R: Run, S: State, T: Tables, a: int, number: np.uint64, step: np.uint64, purpose: np.uint64
) -> float:
    """The first draw of an entity at an operation or source that has lines number `a`."""
    block = number >> SHIFT
    key = ((((purpose >> LANE_BITS) << NUMBER_BITS) | block) << ONE) | MADE
    i = a * LINES + int(block & np.uint64(LINES - 1))
    line = row(S.line, i, NEIGHBOURS)
    if S.line_key[i] == key:
        return line[int(number & PLACE)]
    dist = S.line_dist[a]
    before = a * LINES + int((block - ONE) & np.uint64(LINES - 1))
    if S.line_key[i] == key - MADE or S.line_key[before] == key - TWO:
        first = block << SHIFT
        make(line, S.spare, R.neighbours, T.dists, T.points, dist, R.k0, R.k1, first, step, purpose)
        S.line_key[i] = key
        return line[int(number & PLACE)]
    S.line_key[i] = key - MADE
    return draw(T.dists, T.points, dist, R.k0, R.k1, number, FIRST, step, purpose)


@called
def make(
    line: NDArray[np.float64],
    spare: NDArray[np.float64],
    n: int,
    dists: NDArray[np.float64],
    points: NDArray[np.float64],
    dist: int,
    k0: np.uint64,
    k1: np.uint64,
    first: np.uint64,
    step: np.uint64,
    purpose: np.uint64,
) -> None:
    """The draws of `n` entities from number `first` on.

    `n` must not be a constant: the compiler would lay the loops out instead of using vectors.
    """
    for i in range(n):
        line[i] = uniform(k0, k1, first + np.uint64(i), FIRST, step, purpose)
    d = row(dists, dist, PARAMETERS)
    kind = int(d[0])
    p0 = d[1]
    p1 = d[2]
    p2 = d[3]
    shift = d[4]
    if kind == EXPONENTIAL:
        for i in range(n):
            line[i] = shift - p0 * log(line[i])
    elif kind == TRIANGULAR:
        cut = (p1 - p0) / (p2 - p0)
        for i in range(n):
            u = line[i]
            low = p0 + math.sqrt(u * (p2 - p0) * (p1 - p0))
            high = p2 - math.sqrt((1.0 - u) * (p2 - p0) * (p2 - p1))
            line[i] = low if u < cut else high
    elif kind == LOGNORMAL:
        normals(line, spare, n)
        wide = 0
        for i in range(n):
            x = p0 + p1 * spare[i]
            wide |= int(abs(x) > WITHIN)
            spare[i] = shift + within(x)
        for i in range(n):
            line[i] = quantile(d, points, line[i]) if wide else spare[i]
    else:
        for i in range(n):
            line[i] = quantile(d, points, line[i])


@inlined
def normals(line: NDArray[np.float64], spare: NDArray[np.float64], n: int) -> None:
    """Standard normals for uniforms: the middle for all; where one is outside, the tail too."""
    outside = 0
    for i in range(n):
        q = line[i] - 0.5
        outside |= int(abs(q) > CENTRE)
        spare[i] = central(q)
    if outside:
        far = 0
        for i in range(n):
            u = line[i]
            q = u - 0.5
            r = math.sqrt(-log(u if q < 0.0 else 1.0 - u))
            far |= int(r > FAR)
            z = tail(r)
            z = -z if q < 0.0 else z
            spare[i] = z if abs(q) > CENTRE else spare[i]
        if far:
            for i in range(n):
                spare[i] = normal_quantile(line[i])
