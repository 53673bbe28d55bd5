"""Excursions: how long a limit was passed, at once and in all, with what is not known beside it.

A reading stands until the next one, but for no longer than `gap_s`; what is beyond is unknown, and
so is a reading that is not believed. The last reading stands for no time yet: one point is never an
excursion. Durations come as intervals: `least` is what was seen outside, `most` adds every moment
that is unknown.

The rule is the field's: "duration + sensor quality + cumulative profile", not "any single point",
and one telemetry point is not a disposition (handoff catalogue of this project, section 4).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stafett.watch.reading import Array


class Stretch(NamedTuple):
    """From `start` to `end`: outside the limits (`readings` of them, the worst `worst`)."""

    start: float
    end: float
    readings: int
    worst: float


class Exposure(NamedTuple):
    """All stretches outside, all gaps, and their sums in seconds.

    `degree_s` is the sum of (distance beyond the limit × time), in kelvin-seconds.
    """

    outside: tuple[Stretch, ...]
    gaps: tuple[tuple[float, float], ...]
    least_s: float
    most_s: float
    degree_s: float


def exposure(
    times: Array, values: Array, *, low: float | None, high: float | None, gap_s: float,
    start: float, end: float,
) -> Exposure:  # fmt: skip
    """Return the exposure between `start` and `end`. NaN is unknown; `times` rise within them."""
    if not len(times):
        gap = ((start, end),) if end - start > gap_s else ()
        unknown = sum(b - a for a, b in gap)
        return Exposure((), gap, 0.0, unknown, 0.0)
    lower = -np.inf if low is None else low
    upper = np.inf if high is None else high
    beyond = np.maximum(np.maximum(values - upper, lower - values), 0.0)
    known = ~np.isnan(values)
    out = known & (beyond > 0)
    spans = np.append(np.diff(times), 0.0)
    stands = np.where(known, np.minimum(spans, gap_s), 0.0)
    stands[-1] = 0.0
    gaps = _gaps(times, known, spans, stands, gap_s, start, end)
    outside = _stretches(times, values, beyond, out, spans, stands)
    least = float(stands[out].sum())
    unknown = sum(b - a for a, b in gaps)
    degree = float((beyond[out] * stands[out]).sum())
    return Exposure(tuple(outside), tuple(gaps), least, least + unknown, degree)


def undecided(
    times: Array, values: Array, came: Array, decided: float, *, low: float | None,
    high: float | None, start: float,
) -> tuple[Array, Array, float]:  # fmt: skip
    """Return the readings that a decision at `decided` was not about, and from when they count.

    A person decides on what is there. What came only after that (`came`), such as the file of a
    logger that was out of reach, was not judged, however early it was measured: it counts beside
    what was measured later, and what was known then counts as within the limits.
    """
    later = times > decided
    known = ~later & (came <= decided)
    if np.all(known | later):
        return times[later], values[later], max(start, decided)
    lower = -np.inf if low is None else low
    upper = np.inf if high is None else high
    return times, np.where(known, np.clip(values, lower, upper), values), start


def _gaps(
    times: Array, known: np.ndarray, spans: Array, stands: Array, gap_s: float, start: float,
    end: float,
) -> list[tuple[float, float]]:  # fmt: skip
    found: list[tuple[float, float]] = []
    if times[0] - start > gap_s:
        found.append((start, float(times[0])))
    for i in np.flatnonzero(spans - stands > 0):
        begin = float(times[i] + stands[i])
        until = float(times[i] + spans[i])
        if found and abs(found[-1][1] - begin) < 1e-9:
            found[-1] = (found[-1][0], until)
        else:
            found.append((begin, until))
    last = float(times[-1])
    if end - last > gap_s or (not known[-1] and end > last):
        if found and abs(found[-1][1] - last) < 1e-9:
            found[-1] = (found[-1][0], end)
        else:
            found.append((last, end))
    return found


def _stretches(
    times: Array, values: Array, beyond: Array, out: np.ndarray, spans: Array, stands: Array
) -> list[Stretch]:
    """Return the runs of readings outside; a gap between two of them ends a run."""
    index = np.flatnonzero(out)
    if not len(index):
        return []
    whole = stands[index[:-1]] >= spans[index[:-1]]
    breaks = np.flatnonzero((np.diff(index) > 1) | ~whole) + 1
    found = []
    for run in np.split(index, breaks):
        worst = run[int(np.argmax(beyond[run]))]
        ended = float(times[run[-1]] + stands[run[-1]])
        found.append(Stretch(float(times[run[0]]), ended, len(run), float(values[worst])))
    return found
