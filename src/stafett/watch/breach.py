"""Breaches: what the protocol's own conditions say of a door, a shock, a tilt, a silence. Pure.

Temperature is judged by `judgement` itself: it needs the sensor's quality and what is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from stafett.protocol.model import Condition
from stafett.watch.excursion import exposure, undecided
from stafett.watch.finding import Finding
from stafett.watch.reading import Array
from stafett.watch.series import Series

# What a condition is of -> (the channel it is read from, the finding it makes).
CHANNELS: Final = {
    "tilt": ("tilt_deg", "side"),
    "shock": ("shock_g", "shock"),
    "door": ("door", "door"),
}
OPEN: Final = 0.5  # a door's channel is 0 or 1


def breaches(
    cut: Series, conditions: tuple[Condition, ...], *, gap_s: float, start: float, end: float,
    decided: Mapping[str, float], stored: bool = False, now: float | None = None,
) -> list[Finding]:  # fmt: skip
    """Return each condition that is passed, with its deviation.

    `decided`: when a person has judged what is of that deviation; only what came later counts.
    `stored`: the logger is read as a file when it has arrived (at `end`, where that is before
    `now`): what it has not said yet is no silence, until its file is overdue.
    """
    found = []
    for one in conditions:
        before = decided.get(one.deviation)
        since = start if before is None else max(start, before)
        if one.of in CHANNELS:
            breach = _beyond(cut, one, gap_s, start, end, before)
        elif since >= end:
            continue
        elif one.of == "silence":
            if stored:
                breach = _unread(cut.times, one, since, end, end if now is None else now)
            else:
                breach = _silence(cut.times, one, since, end)
        else:
            continue
        if breach is not None:
            found.append(breach)
    return found


def _beyond(
    cut: Series, one: Condition, gap_s: float, start: float, end: float, decided: float | None
) -> Finding | None:
    channel, kind = CHANNELS[one.of]
    high = OPEN if one.max is None else one.max
    times, values = cut.times, cut.of(channel)
    if decided is not None:
        times, values, start = undecided(
            times, values, cut.came, decided, low=None, high=high, start=start
        )
    if not len(times) or start >= end:
        return None
    outside = exposure(times, values, low=None, high=high, gap_s=gap_s, start=start, end=end)
    if not outside.outside:
        return None
    longest = max(outside.outside, key=lambda s: s.end - s.start)
    most = max(s.worst for s in outside.outside)
    if one.at_most is None and one.in_all is None:
        first, last = outside.outside[0], outside.outside[-1]
        return Finding(kind, "alarm", first.start, last.end, most, one.deviation)
    if one.at_most is not None and longest.end - longest.start > one.at_most.seconds:
        return Finding(kind, "alarm", longest.start, longest.end, most, one.deviation)
    if one.in_all is not None and outside.least_s > one.in_all.seconds:
        first, last = outside.outside[0], outside.outside[-1]
        return Finding(kind, "alarm", first.start, last.end, most, one.deviation)
    return None


def _silence(times: Array, one: Condition, start: float, end: float) -> Finding | None:
    assert one.at_most is not None
    inside = times[(times > start) & (times < end)]
    edges = np.concatenate([[start], inside, [end]])
    lengths = np.diff(edges)
    at = int(np.argmax(lengths))
    if lengths[at] <= one.at_most.seconds:
        return None
    kind = "silent" if at == len(lengths) - 1 else "gap"
    since, until = float(edges[at]), float(edges[at + 1])
    return Finding(kind, "alarm", since, until, until - since, one.deviation)


def _unread(times: Array, one: Condition, start: float, end: float, now: float) -> Finding | None:
    """Silence of a logger that stores: gaps in what was read; the rest when it is overdue."""
    assert one.at_most is not None
    inside = times[(times > start) & (times < end)]
    overdue = now > end + one.at_most.seconds
    if not len(inside):
        return Finding("unread", "alarm", end, now, now - end, one.deviation) if overdue else None
    if overdue:
        return _silence(times, one, start, end)
    lengths = np.diff(inside, prepend=start)
    at = int(np.argmax(lengths))
    if lengths[at] <= one.at_most.seconds:
        return None
    until = float(inside[at])
    return Finding("gap", "alarm", until - lengths[at], until, float(lengths[at]), one.deviation)
