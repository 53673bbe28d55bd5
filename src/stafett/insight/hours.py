"""Working hours on the clock: how much of a stretch of time lies outside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

HOUR = 3_600_000_000  # microseconds
DAY, WEEK = 24 * HOUR, 7 * 24 * HOUR
MONDAY = 4 * DAY  # 1970-01-05 was the first Monday

Micros = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """Opening and closing hour (local clock) and the number of working days from Monday.

    The default, Monday to Friday 7 to 18, is an assumption: state your own.
    """

    opens: int = 7
    closes: int = 18
    days: int = 5

    def worked(self, clock: Micros) -> Micros:
        """Return working µs from the first Monday of 1970 to `clock` (local µs)."""
        since = clock - MONDAY
        weeks, within = np.divmod(since, WEEK)
        day, time = np.divmod(within, DAY)
        length = (self.closes - self.opens) * HOUR
        full = np.minimum(day, self.days) * length
        today = np.clip(time - self.opens * HOUR, 0, length)
        return np.asarray(weeks * self.days * length + full + np.where(day < self.days, today, 0))

    def sentence(self) -> str:
        """Say in words what counts as working hours."""
        names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        return (
            f"{names[0]} to {names[self.days - 1]}, {self.opens} to {self.closes} o'clock (assumed)"
        )


def out_of_hours(
    start: pl.Series, end: pl.Series, hours: WorkingHours, zone: str | None
) -> npt.NDArray[np.float64]:
    """Return the hours (n,) between `start` and `end` (UTC) that lie outside working hours.

    The clock is that of `zone`; None reads the times as they stand.
    """
    ends = []
    for side in (start, end):
        local = side.dt.convert_time_zone(zone) if zone else side
        ends.append(local.dt.replace_time_zone(None).dt.timestamp("us").fill_null(0).to_numpy())
    begun, done = ends
    outside = (done - begun) - (hours.worked(done) - hours.worked(begun))
    hours_out: npt.NDArray[np.float64] = np.maximum(outside / HOUR, 0.0)
    return hours_out
