"""Which readings can be believed: out of the sensor's range, single spikes, a stuck sensor.

What cannot be believed is unknown (NaN): it is neither an excursion nor "ok". The figures are
assumptions of this project, in `rules.Rules`; a data sheet's figures replace them per device.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stafett.watch.reading import Array


class Quality(NamedTuple):
    """`values` with NaN where a reading is not believed, and how many for which reason."""

    values: Array
    out_of_range: int
    spikes: int
    stuck: int


def believed(
    times: Array, values: Array, *, sensor: tuple[float, float], jump: float, stuck_s: float,
    stuck_readings: int,
) -> Quality:  # fmt: skip
    """Judge each reading of one channel.

    A spike is one reading that is more than `jump` away from both neighbours, to the same side,
    while the neighbours agree with one another. A sensor is stuck when it has told exactly the same
    for at least `stuck_s` seconds and `stuck_readings` readings; all of that run is doubted.
    """
    values = values.copy()
    out = (values < sensor[0]) | (values > sensor[1])
    values[out] = np.nan
    spikes = np.zeros(len(values), dtype=bool)
    if len(values) >= 3:
        before, here, after = values[:-2], values[1:-1], values[2:]
        one, other = here - before, here - after
        alone = (np.abs(one) > jump) & (np.abs(other) > jump) & (one * other > 0)
        spikes[1:-1] = alone & (np.abs(before - after) <= jump)
    stuck = _stuck(times, values, stuck_s, stuck_readings)
    values[spikes | stuck] = np.nan
    return Quality(values, int(out.sum()), int(spikes.sum()), int((stuck & ~spikes).sum()))


def _stuck(times: Array, values: Array, stuck_s: float, stuck_readings: int) -> np.ndarray:
    found = np.zeros(len(values), dtype=bool)
    if not len(values):
        return found
    new = np.concatenate([[True], values[1:] != values[:-1]])  # NaN differs from itself
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(values))
    for start, end in zip(starts, ends, strict=True):
        if end - start >= stuck_readings and times[end - 1] - times[start] >= stuck_s:
            found[start:end] = True
    return found
