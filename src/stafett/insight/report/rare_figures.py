"""What is rare: deviations per time at risk (u), time (T) and handoffs (g) between failures."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from stafett.eventlog import EventLog
from stafett.insight.control import ALL, Chart, ControlError, g_chart, in_words, t_chart, u_chart
from stafett.insight.interfaces import FAILED
from stafett.insight.pictures.series import control_chart
from stafett.insight.pictures.svg import Figure
from stafett.insight.report.basis import basis

FEWEST_POINTS = 8
MOST_WEEKS = 60  # a longer period is summed up in spans of four weeks
PER = 100  # journey-days to which a rate is told


def judged_handoffs(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the judged handoffs in order of time with ``bad``: lost, failed, refused and so on."""
    judged = rows.filter(pl.col("outcome").is_not_null()).sort("end")
    return judged.with_columns(pl.col("outcome").cast(pl.String).is_in(FAILED).alias("bad"))


def rate(log: EventLog, rows: pl.DataFrame) -> list[Figure]:
    """Deviations and failures for each hundred days that journeys were under way: a u chart.

    A journey is under way from its first row to its last; a deviation counts when its row ended.
    """
    found = pl.col("deviation").is_not_null() | pl.col("outcome").cast(pl.String).is_in(FAILED)
    events = log.frame.filter(found.fill_null(False) & pl.col("end").is_not_null())["end"]
    if not len(events):
        return []
    spans = log.frame.group_by("case").agg(
        pl.col("enqueue").min().alias("from"), pl.max_horizontal("end", "start").max().alias("to")
    )
    first, last = spans["from"].min(), spans["to"].max()
    assert isinstance(first, datetime) and isinstance(last, datetime)
    week = timedelta(weeks=1 if (last - first).days <= 7 * MOST_WEEKS else 4)
    monday = first.replace(hour=0, minute=0, second=0, microsecond=0)
    monday -= timedelta(days=monday.weekday())
    edges = [monday]
    while edges[-1] < last:
        edges.append(edges[-1] + week)
    at = np.array([edge.timestamp() for edge in edges])
    begin, end = (spans[c].dt.epoch("us").to_numpy() / 1e6 for c in ("from", "to"))
    days = [
        float(np.clip(np.minimum(end, b) - np.maximum(begin, a), 0, None).sum()) / 86_400
        for a, b in pairwise(at)
    ]
    counts, _ = np.histogram(events.dt.epoch("us").to_numpy() / 1e6, at)
    table = pl.DataFrame(
        {
            "period": [f"{edge:%d %b %y}" for edge in edges[:-1]],
            "deviations": counts,
            "journey_days": days,
        }
    ).filter(pl.col("journey_days") >= 1)
    if table.height < FEWEST_POINTS:
        raise ControlError(
            f"journeys were under way in {table.height} periods; {FEWEST_POINTS} are needed for a"
            " chart of deviations"
        )
    chart = u_chart(table["deviations"].to_list(), (table["journey_days"] / PER).to_list(), ALL)
    unit = f"deviations and failures per {PER} journey-days"
    table = table.with_columns(
        pl.Series("rate", chart.values),
        pl.Series("lower", chart.lower),
        pl.Series("upper", chart.upper),
        pl.Series("signal", in_words(chart.signals, table.height)),
    )
    return [
        Figure(
            "control-rate",
            "Are deviations becoming more or fewer?",
            chart.sentence(),
            basis(log, int(table["deviations"].sum()), "deviations and failures"),
            control_chart(
                chart, table["period"].to_list(), title="u chart of deviations", unit=unit
            ),
            table,
        )
    ]


def between(log: EventLog, rows: pl.DataFrame) -> list[Figure]:
    """The days between failed handoffs: what is rare is charted by how far apart it lies."""
    bad = judged_handoffs(rows).filter("bad")
    if bad.is_empty():
        return []
    if bad.height <= FEWEST_POINTS:
        raise ControlError(
            f"{bad.height} failed handoffs are too few for a chart of the time between them"
        )
    days = bad["end"].diff().dt.total_microseconds().drop_nulls() / 8.64e10
    chart = t_chart(days.to_list(), ALL)
    table, svg = _gaps(
        bad, chart, "days_since_last", days.to_list(), "T chart of failed handoffs", "days between"
    )
    return [
        Figure(
            "control-between",
            "Time between failed handoffs",
            chart.sentence(),
            basis(log, bad.height, "failed handoffs"),
            svg,
            table,
        )
    ]


def counted(log: EventLog, rows: pl.DataFrame) -> list[Figure]:
    """The handoffs that went well between two that failed, with exact geometric limits: a g chart.

    Beside the time between failures it tells whether there were more failures or only more work.
    """
    judged = judged_handoffs(rows).with_row_index("@place")
    bad = judged.filter("bad")
    if bad.height <= FEWEST_POINTS:
        return []  # `between` has said why
    well = (bad["@place"].cast(pl.Int64).diff().drop_nulls() - 1).to_list()
    chart = g_chart(well)
    table, svg = _gaps(
        bad, chart, "handoffs_since_last", well, "g chart of failed handoffs",
        "handoffs that went well between",
    )  # fmt: skip
    return [
        Figure(
            "control-counted",
            "Handoffs that went well between two that failed",
            chart.sentence(),
            basis(log, judged.height, "handoffs"),
            svg,
            table,
        )
    ]


def _gaps(
    bad: pl.DataFrame, chart: Chart, column: str, gaps: list[Any], title: str, unit: str
) -> tuple[pl.DataFrame, str]:
    """Return the table and the picture of the gaps before each failure but the first."""
    when = bad["end"][1:].dt.strftime("%d %b %y").to_list()
    table = pl.DataFrame(
        {
            "failed_on": when,
            column: gaps,
            "lower": chart.lower,
            "upper": chart.upper,
            "signal": in_words(chart.signals, len(when)),
        }
    )
    return table, control_chart(chart, when, title=title, unit=unit)
