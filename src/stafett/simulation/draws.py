"""Draws: a distribution's row, a uniform's key, a number.

Each is called with arrays by the plain twin and with pointers by the loop.
"""

# Elements of arrays are Any to mypy; compiled, they are what the signature says.
# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stafett.simulation.compiled import called, compiled
from stafett.simulation.distributions import (
    CHOICE,
    CONSTANT,
    EMPIRICAL,
    ERLANG,
    EXPONENTIAL,
    LOGNORMAL,
    TRIANGULAR,
    UNIFORM,
    WEIBULL,
)
from stafett.simulation.elementary import exp, log, normal_quantile
from stafett.simulation.philox import uniform
from stafett.simulation.pointers import row
from stafett.simulation.tables import FOR_ARRIVAL

DRAW_BITS = np.uint64(24)
PARAMETERS = 5  # columns of a distribution


@called
def draw(
    dists: NDArray[np.float64],
    points: NDArray[np.float64],
    dist: int,
    k0: np.uint64,
    k1: np.uint64,
    entity: np.uint64,
    attempt: np.uint64,
    step: np.uint64,
    purpose: np.uint64,
) -> float:
    """One value of distribution `dist` for the given key."""
    d = row(dists, dist, PARAMETERS)
    if int(d[0]) == CONSTANT:
        return d[1]
    u = uniform(k0, k1, entity, attempt, step, purpose)
    if int(d[0]) == ERLANG:
        total = log(u)
        for i in range(1, int(d[1])):
            extra = purpose | (np.uint64(i) << DRAW_BITS)
            total += log(uniform(k0, k1, entity, attempt, step, extra))
        return -d[2] * total / d[1]
    return quantile(d, points, u)


@compiled
def quantile(d: NDArray[np.float64], points: NDArray[np.float64], u: float) -> float:
    """The value of the distribution with row `d` at `u`. Erlang's has no formula: see `draw`."""
    kind = int(d[0])
    p0 = d[1]
    p1 = d[2]
    p2 = d[3]
    shift = d[4]
    if kind == CONSTANT:
        return p0
    if kind == EXPONENTIAL:
        return shift - p0 * log(u)
    if kind == UNIFORM:
        return p0 + (p1 - p0) * u
    if kind == TRIANGULAR:
        cut = (p1 - p0) / (p2 - p0)
        if u < cut:
            return p0 + math.sqrt(u * (p2 - p0) * (p1 - p0))
        return p2 - math.sqrt((1.0 - u) * (p2 - p0) * (p2 - p1))
    if kind == LOGNORMAL:
        return shift + exp(p0 + p1 * normal_quantile(u))
    if kind == WEIBULL:
        return p1 * exp(log(-log(u)) / p0)
    off = int(p0)
    n = int(p1)
    if kind == EMPIRICAL:
        x = u * (n - 1)
        i = int(x)
        low = points[off + i]
        return low + (x - i) * (points[off + i + 1] - low)
    if kind == CHOICE:
        for i in range(n - 1):
            if u < points[off + i]:
                return float(i)
        return float(n - 1)
    return math.nan


@compiled
def tilt(p: float, odds: float) -> float:
    """The probability whose odds are `odds` times those of `p`."""
    return odds * p / (1.0 - p + odds * p)


@compiled
def pick(
    tables: NDArray[np.int32], cum: NDArray[np.float64], table: int, odds: float, u: float
) -> int:
    """Index into `goto` chosen by `u`, or -1 for none.

    A branch tilts the first entry, faults tilt all of them together: the caller passes `odds` = 1
    for no tilt. Here the tilt is on the total; see `pick_first` for the other.
    """
    off, n = row(tables, table, 2)[0], row(tables, table, 2)[1]
    total = cum[off + n - 1]
    if odds != 1.0:
        tilted = tilt(total, odds)
        if u >= tilted:
            return -1
        u = u * (total / tilted)
    for i in range(n):
        if u < cum[off + i]:
            return int(off + i)
    return -1


@compiled
def pick_first(
    tables: NDArray[np.int32], cum: NDArray[np.float64], table: int, odds: float, u: float
) -> int:
    """As `pick`, with the tilt on the first entry; the others share what remains."""
    off, n = row(tables, table, 2)[0], row(tables, table, 2)[1]
    if odds != 1.0:
        first = cum[off]
        tilted = tilt(first, odds)
        if u < tilted:
            return int(off)
        u = first + (u - tilted) * ((1.0 - first) / (1.0 - tilted))
    for i in range(n):
        if u < cum[off + i]:
            return int(off + i)
    return -1


@called
def next_arrival(
    dists: NDArray[np.float64],
    points: NDArray[np.float64],
    sources: NDArray[np.int32],
    rate_at: NDArray[np.float64],
    rates: NDArray[np.float64],
    rate_period: NDArray[np.float64],
    source: int,
    now: float,
    k0: np.uint64,
    k1: np.uint64,
    index: np.uint64,
) -> float:
    """Time of arrival number `index` of `source`, the one before it having come at `now`."""
    key = np.uint64(FOR_ARRIVAL)
    dist = row(sources, source, 4)[0]
    if dist >= 0:
        return now + draw(dists, points, dist, k0, k1, index, np.uint64(0), np.uint64(source), key)
    u = uniform(k0, k1, index, np.uint64(0), np.uint64(source), key)
    return walk(sources, rate_at, rates, rate_period, source, now, u)


@called
def walk(
    sources: NDArray[np.int32],
    rate_at: NDArray[np.float64],
    rates: NDArray[np.float64],
    rate_period: NDArray[np.float64],
    source: int,
    now: float,
    u: float,
) -> float:
    """The next arrival after `now` of a Poisson process whose rate is constant by pieces.

    A unit exponential is walked through the pieces (exact, one draw an arrival). Infinite when no
    rate is left.
    """
    off, n = row(sources, source, 4)[2], row(sources, source, 4)[3]
    period = rate_period[source]
    need = -log(u)
    base = 0.0 if period == math.inf else math.floor(now / period) * period
    t = now
    i = n - 1
    while i > 0 and base + rate_at[off + i] > t:
        i -= 1
    idle = 0
    while True:
        if i + 1 < n:
            end = base + rate_at[off + i + 1]
        else:
            end = base + period
        rate = rates[off + i]
        if rate > 0.0:
            idle = 0
            if end == math.inf or need <= (end - t) * rate:
                return t + need / rate
            need -= (end - t) * rate
        else:
            idle += 1
            if end == math.inf or idle > n:
                return math.inf
        t = end
        i += 1
        if i == n:
            i = 0
            base = end


@compiled
def next_open(
    hours: NDArray[np.int32],
    opens: NDArray[np.float64],
    closes: NDArray[np.float64],
    hours_period: NDArray[np.float64],
    calendar: int,
    t: float,
) -> float:
    """The first time not before `t` at which the calendar is open; infinite if there is none."""
    off, n = row(hours, calendar, 2)[0], row(hours, calendar, 2)[1]
    period = hours_period[calendar]
    base = 0.0 if period == math.inf else math.floor(t / period) * period
    for _ in range(2):
        for i in range(n):
            if t < base + closes[off + i]:
                return max(t, base + opens[off + i])
        if period == math.inf:
            return math.inf
        base += period
    return math.inf


@compiled
def is_open(
    hours: NDArray[np.int32],
    opens: NDArray[np.float64],
    closes: NDArray[np.float64],
    hours_period: NDArray[np.float64],
    calendar: int,
    t: float,
) -> bool:
    """Whether the calendar is open at `t`."""
    off, n = row(hours, calendar, 2)[0], row(hours, calendar, 2)[1]
    period = hours_period[calendar]
    base = 0.0 if period == math.inf else math.floor(t / period) * period
    for i in range(off, off + n):
        if t < base + closes[i]:
            return t >= base + opens[i]
    return False
