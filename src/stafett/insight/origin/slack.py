"""Tier one: slack tracing. Which delay used up whose margin, journey by journey.

Every journey begins with its slack: the budget minus the usual time of what it has to go through.
A segment that takes longer than usual takes the difference out of the slack; one that is quicker
pays back, to all outstanding delays in proportion. The journey is *late* from the segment at which
the slack is gone (there it is detected); it began to be late wherever the delays still outstanding
at the end arose. The shares of one journey sum exactly to its lateness.

What it cannot see is congestion: a loss that takes somebody else's place in a queue is booked on
the queue. That is what the third tier (replay) is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from stafett.eventlog import EventLog

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SlackTrace:
    """What slack tracing found.

    `segments`: one row per segment with ``case``, ``activity``, ``kind``, ``hours``, ``usual_h``,
    ``delay_h``, ``margin_before_h``, ``margin_after_h`` and ``lateness_h``, its share of the
    journey's lateness. `journeys`: ``case``, ``elapsed_h``, ``budget_h``, ``late_h``,
    ``detected_at`` (null when in time). `matrix`: ``detected_at``, ``began_at``, ``hours``,
    ``journeys`` (expected number, whole journeys split by their shares).
    """

    segments: pl.DataFrame
    journeys: pl.DataFrame
    matrix: pl.DataFrame
    notes: tuple[str, ...]

    @property
    def upstream(self) -> float:
        """The share of late journeys that began before the segment at which they were detected."""
        total = float(self.matrix["journeys"].sum())
        own = float(
            self.matrix.filter(pl.col("detected_at") == pl.col("began_at"))["journeys"].sum()
        )
        return 1 - own / total if total else 0.0


def slack_trace(
    log: EventLog,
    *,
    usual: Mapping[str, float] | None = None,
    budget_h: float | None = None,
) -> SlackTrace:
    """Trace the slack of every finished journey.

    `usual` gives the usual hours of an activity (waiting before it included); by default the
    median in the log. `budget_h` is the hours a journey may take in all; by default the ninth
    decile of the log, which by construction makes one journey in ten late.
    """
    segments = _segments(log)
    notes = []
    medians = segments.group_by("activity").agg(pl.col("hours").median().alias("usual_h"))
    if usual is None:
        notes.append("The usual time of each segment is its median in this log.")
    else:
        stated = pl.DataFrame({"activity": list(usual), "stated": list(usual.values())})
        medians = medians.join(stated, on="activity", how="left").select(
            "activity", pl.coalesce("stated", "usual_h").alias("usual_h")
        )
    segments = segments.join(medians, on="activity", how="left", maintain_order="left")
    starts = _starts(segments)
    elapsed = np.add.reduceat(segments["hours"].to_numpy(), starts) if len(starts) else np.empty(0)
    if budget_h is None:
        budget_h = float(np.quantile(elapsed, 0.9)) if len(elapsed) else 0.0
        notes.append(
            f"No budget was stated: a journey counts as late beyond {budget_h:,.1f} h, the ninth "
            "decile of this log."
        )
    delay = (segments["hours"] - segments["usual_h"]).to_numpy()
    usual_total = (
        np.add.reduceat(segments["usual_h"].to_numpy(), starts) if len(starts) else elapsed
    )
    slack = budget_h - usual_total
    before, late, detected = trace(delay, np.append(starts, len(delay)), slack)
    segments = segments.with_columns(
        pl.Series("delay_h", delay),
        pl.Series("margin_before_h", before),
        pl.Series("margin_after_h", before - delay),
        pl.Series("lateness_h", late),
    )
    cases = segments["case"].gather(starts)
    names = segments["activity"]
    where = [names[int(i)] if i >= 0 else None for i in detected]
    journeys = pl.DataFrame(
        {
            "case": cases,
            "elapsed_h": elapsed,
            "budget_h": np.full(len(elapsed), budget_h),
            "late_h": np.maximum(elapsed - budget_h, 0),
            "detected_at": pl.Series(where, dtype=pl.String),
        }
    )
    return SlackTrace(segments, journeys, _matrix(segments, journeys), tuple(notes))


def _segments(log: EventLog) -> pl.DataFrame:
    """Return, per case in order, each row's hours from its predecessor's end to its own."""
    frame = log.frame.select("case", "activity", "kind", "enqueue", "end").filter(
        pl.col("end").is_not_null()
    )
    case = pl.col("case")
    new = (case != case.shift(1)).fill_null(True)
    frame = frame.with_columns(new.cum_sum().alias("@journey"))
    so_far = pl.col("end").cum_max().over("@journey")
    frame = frame.with_columns(so_far.alias("@end"))
    previous = pl.when(new).then(pl.col("enqueue")).otherwise(pl.col("@end").shift(1))
    hours = (pl.col("@end") - previous).dt.total_microseconds() / 3.6e9
    return frame.with_columns(
        hours.alias("hours"), case.cast(pl.String), pl.col("activity").cast(pl.String)
    ).drop("@end", "enqueue", "end")


def _starts(segments: pl.DataFrame) -> Ints:
    """Return the index of the first segment of each journey."""
    journey = segments["@journey"].to_numpy()
    if not len(journey):
        return np.empty(0, np.int64)
    return np.concatenate([[0], np.nonzero(np.diff(journey))[0] + 1]).astype(np.int64)


@numba.njit(cache=True)
def trace(
    delay: Floats, ends: Ints, slack: Floats
) -> tuple[Floats, Floats, Ints]:  # pragma: no cover
    """Trace delays (m,) of journeys delimited by `ends` (n+1,) against their `slack` (n,).

    Returns the margin before each segment (m,), each segment's share of the final lateness (m,)
    and the index of the segment at which the journey ran out of slack for good, or −1 (n,).
    """
    before = np.empty_like(delay)
    late = np.zeros_like(delay)
    detected = np.full(len(slack), -1, np.int64)
    for j in range(len(slack)):
        margin = slack[j]
        owed = 0.0
        first, last = ends[j], ends[j + 1]
        for i in range(first, last):
            before[i] = margin
            was = margin
            margin -= delay[i]
            if delay[i] > 0:
                late[i] = delay[i]
                owed += delay[i]
            elif owed > 0:
                keep = max(0.0, owed + delay[i]) / owed
                for m in range(first, i):
                    late[m] *= keep
                owed *= keep
            if was >= 0 and margin < 0:
                detected[j] = i
            elif margin >= 0:
                detected[j] = -1
        if margin < 0 and owed > 0:
            if detected[j] < 0:
                # It began without slack (more steps than the budget allows): the first is where.
                detected[j] = first
            share = -margin / owed
            for m in range(first, last):
                late[m] *= share
        else:
            detected[j] = first if margin < 0 else -1
            for m in range(first, last):
                late[m] = 0.0
            if margin < 0:
                late[first] = -margin
    return before, late, detected


def _matrix(segments: pl.DataFrame, journeys: pl.DataFrame) -> pl.DataFrame:
    """Sum the journeys' shares: where lateness was detected against where it began."""
    late = journeys.filter(pl.col("late_h") > 1e-9).select("case", "late_h", "detected_at")
    return (
        segments.filter(pl.col("lateness_h") > 0)
        .join(late, on="case", how="inner")
        .group_by("detected_at", pl.col("activity").alias("began_at"))
        .agg(
            pl.col("lateness_h").sum().alias("hours"),
            (pl.col("lateness_h") / pl.col("late_h")).sum().alias("journeys"),
        )
        .sort("hours", descending=True)
    )
