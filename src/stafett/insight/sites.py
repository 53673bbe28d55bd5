"""Sites: who stands behind a group's name, and what may be told of others.

A group is written ``organisation / role`` in a ledger and ``centre: role`` in a simulation; in a
foreign log the group is its own site.
"""

from __future__ import annotations

import polars as pl

from stafett.eventlog import EventLog
from stafett.insight.hours import WorkingHours
from stafett.insight.interfaces import handoff_rows

LEAST_JOURNEYS = 10
"""An aggregate over others is shown from so many of their journeys on. An assumption of ours:
common thresholds for small numbers in health statistics lie between 5 and 11."""


def site(group: str | pl.Expr) -> pl.Expr:
    """Return the site of a column of groups."""
    column = pl.col(group) if isinstance(group, str) else group
    return column.cast(pl.String).str.split(" / ").list.first().str.split(": ").list.first()


def sites(log: EventLog) -> list[str]:
    """Return the sites that hand over or take over in `log`, sorted."""
    both = pl.concat(
        [log.handoffs.select(site(side).alias("site")) for side in ("giver", "receiver")]
    )
    return list(both["site"].drop_nulls().unique().sort())


def beside_all(
    own: EventLog, everyone: EventLog, hours: WorkingHours, least: int = LEAST_JOURNEYS
) -> pl.DataFrame:
    """Set each interface of `own` beside the same interface in all journeys.

    Returns ``interface``, ``journeys``, ``median_h``, ``right_first_time`` of the own journeys, and
    ``others``, ``others_median_h``, ``others_right`` of journeys of which `own` knows nothing, null
    where those are fewer than `least`: who subtracts what it knows then learns of no single one.
    """
    mine = handoff_rows(own, hours)
    known = mine["case"].cast(pl.String).unique()
    theirs = handoff_rows(everyone, hours).filter(
        ~pl.col("case").cast(pl.String).is_in(known.implode())
    )
    table = _summed(mine)
    others = _summed(theirs).rename(
        {"journeys": "others", "median_h": "others_median_h", "right_first_time": "others_right"}
    )
    joined = table.join(others, on="interface", how="left", maintain_order="left")
    enough = pl.col("others") >= least
    hidden = [pl.when(enough).then(pl.col(c)).alias(c) for c in others.columns[1:]]
    return joined.with_columns(hidden)


def _summed(rows: pl.DataFrame) -> pl.DataFrame:
    return (
        rows.group_by(pl.col("activity").cast(pl.String).alias("interface"))
        .agg(
            pl.col("case").n_unique().alias("journeys"),
            pl.col("dwell_h").median().alias("median_h"),
            (pl.col("outcome").cast(pl.String) == "ok").mean().alias("right_first_time"),
        )
        .sort("interface")
    )
