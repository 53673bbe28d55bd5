"""Wrong clocks: how far a device's clock is from ours, told from when its chunks arrived.

A chunk says when the device sent it (by its own clock); we know when it arrived (by ours). The lag
between them is the clock's error plus the time on the way, which is never negative, so the smallest
lag bounds the error from above (the minimum filter of NTP, RFC 5905 section 10). A clock that was
set in between is seen where a later chunk's readings begin before those of an earlier one ended, or
where the lag falls by more than TOLERANCE_S below what it was: from there a new estimate begins.
"""

from __future__ import annotations

from typing import Final, NamedTuple

# Assumption of this project: an error below this is left alone (one or two sampling intervals).
TOLERANCE_S: Final = 120.0


class Sent(NamedTuple):
    """One chunk's clock facts: seconds since 1970; `sent` None where the device does not tell."""

    sequence: int
    first: float
    last: float
    sent: float | None
    arrived: float


class Clock(NamedTuple):
    """What is added to each chunk's times (in the order given), and what was found.

    `offset` is the latest estimate (positive: the device is behind); None when no chunk tells.
    `steps` counts how often the clock was set while it ran.
    """

    added: tuple[float, ...]
    offset: float | None
    steps: int


def estimate(chunks: list[Sent]) -> Clock:
    """Return the correction of each chunk, given in the order of their sequence numbers."""
    added, steps = [0.0] * len(chunks), 0
    begin, latest = 0, None
    smallest: float | None = None
    ended: float | None = None
    for i, chunk in enumerate(chunks):
        lag = None if chunk.sent is None else chunk.arrived - chunk.sent
        again = i > 0 and chunk[:3] == chunks[i - 1][:3]  # sent once more: nothing went back
        back = ended is not None and chunk.first < ended - TOLERANCE_S and not again
        fell = lag is not None and smallest is not None and lag < smallest - TOLERANCE_S
        if i > begin and (back or fell):
            latest = _close(added, begin, i, smallest)
            begin, smallest, ended, steps = i, None, None, steps + 1
        if lag is not None:
            smallest = lag if smallest is None else min(smallest, lag)
        ended = chunk.last if ended is None else max(ended, chunk.last)
    if chunks:
        latest = _close(added, begin, len(chunks), smallest)
    return Clock(tuple(added), latest, steps)


def _close(added: list[float], begin: int, end: int, smallest: float | None) -> float | None:
    if smallest is not None and abs(smallest) > TOLERANCE_S:
        added[begin:end] = [smallest] * (end - begin)
    return smallest
