"""What comes long after the work: a return, a death, a follow-up call booked as if it were a step.

Such an activity ends journeys, weeks after what came before it. The time until it is no waiting of
anybody's; who does not know this reads it as the worst interface of all.
"""

from __future__ import annotations

import polars as pl

from stafett.eventlog import EventLog

# Assumptions of ours, for a remark only: nothing is left out because of them.
FEWEST, ALWAYS_LAST, LEAST_DAYS, TIMES_BEFORE = 10, 0.95, 7.0, 3.0


def afterwards(log: EventLog) -> list[tuple[str, int, float]]:
    """Return (activity, journeys that it ends, median days before it) of what comes long after."""
    steps = log.steps.select(
        pl.col("case"), pl.col("activity").cast(pl.String), pl.col("start", "end")
    ).filter(pl.col("end").is_not_null())
    at = pl.coalesce("start", "end")
    ranked = steps.sort("case", "end", maintain_order=True).with_columns(
        (pl.int_range(pl.len()).over("case") + 1 == pl.len().over("case")).alias("last"),
        (at - pl.col("end").shift().over("case")).dt.total_seconds().alias("gap"),
        (pl.col("end").shift().over("case") - at.min().over("case"))
        .dt.total_seconds()
        .alias("before"),
    )
    found = (
        ranked.group_by("activity")
        .agg(
            pl.col("last").mean().alias("share"),
            pl.col("last").sum().alias("n"),
            (pl.col("gap").filter("last").median() / 86_400).alias("days"),
            (pl.col("before").filter("last").median() / 86_400).alias("days_before"),
        )
        .filter(
            (pl.col("n") >= FEWEST)
            & (pl.col("share") >= ALWAYS_LAST)
            & (pl.col("days") >= LEAST_DAYS)
            & (pl.col("days") > TIMES_BEFORE * pl.col("days_before"))
        )
        .sort("n", descending=True)
    )
    return list(found.select("activity", "n", "days").iter_rows())


def remarks(log: EventLog) -> list[str]:
    """Say it in words, for who reads a report."""
    return [
        f"{activity} ends {n:,} journeys, half of them over {days:,.0f} days after what came"
        " before: it looks like something that happened later (a return, a death), not like work"
        " that waited. It is counted as waiting here; leave it out (--without) to see the rest."
        for activity, n, days in afterwards(log)
    ]
