"""Figures on control: is the dearest interface changing, which teams differ beyond chance?"""

from __future__ import annotations

import numpy as np
import polars as pl

from stafett.eventlog import EventLog
from stafett.insight.control import (
    ALL,
    CHANCE,
    ControlError,
    cusum,
    in_words,
    p_chart,
    xmr,
)
from stafett.insight.funnel import funnel
from stafett.insight.hours import WorkingHours
from stafett.insight.interfaces import FAILED, handoff_rows
from stafett.insight.pictures.series import control_chart, cusum_picture, funnel_picture
from stafett.insight.pictures.svg import Figure
from stafett.insight.report.basis import basis
from stafett.insight.report.rare_figures import between, counted, judged_handoffs, rate

FEWEST_POINTS, FEWEST_TRIALS, SHRINK = 8, 10, 20
BY_ALL = ("control-dwell", "control-failures", "control-rate", "control-between")


def control_figures(log: EventLog, hours: WorkingHours) -> tuple[list[Figure], list[str]]:
    """Return the control charts and the funnel that the log allows, and notes."""
    rows = handoff_rows(log, hours).with_columns(pl.col("giver", "receiver").cast(pl.String))
    rows = rows.filter(pl.col("giver").is_not_null() & pl.col("receiver").is_not_null())
    if rows.is_empty():
        return [], ["Control: the log shows no handoff to chart."]
    figures: list[Figure] = []
    notes: list[str] = []
    for part in (_dwell, _failures, rate, between, counted, _cusum, _slow):
        try:
            figures += part(log, rows)
        except ControlError as error:
            notes.append(f"Control: {error}.")
    if any(figure.key in BY_ALL for figure in figures):
        notes.append(
            "Control: the charts apply all eight of Nelson's rules; by chance alone about one point"
            f" in {CHANCE} completes one of them. So a signal is asked about before it is believed."
        )
    if not figures:
        notes.append("Control: too few handoffs for a chart.")
    return figures, notes


def _dwell(log: EventLog, rows: pl.DataFrame) -> list[Figure]:
    dearest = rows.group_by("giver", "receiver").agg(pl.col("dwell_h").sum(), pl.len().alias("n"))
    giver, receiver = dearest.sort("dwell_h", "giver", descending=[True, False]).row(0)[:2]
    mine = rows.filter((pl.col("giver") == giver) & (pl.col("receiver") == receiver))
    weeks = by_period(mine, pl.col("dwell_h").median().alias("median_h"))
    if weeks.height < FEWEST_POINTS:
        raise ControlError(
            f"{giver} → {receiver} has {weeks.height} periods with handoffs; {FEWEST_POINTS} are"
            " needed"
        )
    chart = xmr(weeks["median_h"].to_numpy(), ALL, floor=0.0)
    table = weeks.with_columns(
        pl.Series("centre", chart.centre),
        pl.Series("lower", chart.lower),
        pl.Series("upper", chart.upper),
        pl.Series("signal", in_words(chart.signals, weeks.height)),
    )
    svg = control_chart(
        chart, weeks["period"].to_list(), title="XmR chart of median dwell", unit="median hours"
    )
    return [
        Figure(
            "control-dwell",
            f"Is {giver} → {receiver} changing?",
            chart.sentence(),
            basis(log, mine.height, "handoffs"),
            svg,
            table,
        )
    ]


def by_period(rows: pl.DataFrame, value: pl.Expr) -> pl.DataFrame:
    """Sum up by week, or by month where weeks would be more than sixty."""
    span = (rows["end"].max() - rows["end"].min()).days  # type: ignore[operator, union-attr]
    every, fmt = ("1w", "%d %b %y") if span <= 420 else ("1mo", "%b %Y")
    return (
        rows.sort("end")
        .group_by_dynamic("end", every=every)
        .agg(value, pl.len().alias("n"))
        .with_columns(pl.col("end").dt.strftime(fmt).alias("period"))
        .drop("end")
    )


def _failures(log: EventLog, rows: pl.DataFrame) -> list[Figure]:
    judged = rows.filter(pl.col("outcome").is_not_null())
    if judged.is_empty():
        return []
    failed = pl.col("outcome").cast(pl.String).is_in(FAILED).sum().alias("failed")
    table = by_period(judged, failed)
    if table.height < FEWEST_POINTS:
        raise ControlError(
            f"outcomes are recorded in {table.height} periods; {FEWEST_POINTS} are needed for a"
            " chart"
        )
    chart = p_chart(table["failed"].to_list(), table["n"].to_list(), ALL)
    svg = control_chart(
        chart, table["period"].to_list(), title="p chart of failed handoffs", unit="share failed"
    )
    table = table.with_columns(pl.Series("signal", in_words(chart.signals, table.height)))
    return [
        Figure(
            "control-failures",
            "Are failed handoffs changing?",
            chart.sentence(),
            basis(log, judged.height, "handoffs"),
            svg,
            table,
        )
    ]


def _cusum(log: EventLog, rows: pl.DataFrame) -> list[Figure]:
    """Failures beside what was to be expected of each handoff: its kind, and out of hours or not.

    The expectation is the share failed among the first half of the handoffs of the same kind, drawn
    towards the share of all; watched is the second half.
    """
    judged = judged_handoffs(rows)
    half = judged.height // 2
    learnt, watched = judged.head(half), judged.tail(judged.height - half)
    count = int(learnt["bad"].sum())
    if judged.is_empty() or not judged["bad"].any():
        return []
    if count < FEWEST_POINTS:
        raise ControlError(
            f"{count} failures in the first half of the handoffs are too few to say what is to be"
            " expected of the second (CUSUM)"
        )
    covariates = ["activity", "outside"]
    learnt, watched = (
        part.with_columns((pl.col("out_h") > 0).alias("outside")) for part in (learnt, watched)
    )
    mean = count / half
    expected = learnt.group_by(covariates).agg(
        ((pl.col("bad").sum() + SHRINK * mean) / (pl.len() + SHRINK)).alias("expected")
    )
    watched = watched.join(expected, on=covariates, how="left", maintain_order="left")
    watched = watched.with_columns(pl.col("expected").fill_null(mean).clip(1e-4, 1 - 1e-4))
    found = cusum(watched["bad"].to_list(), watched["expected"].to_list())
    times = watched["end"].dt.strftime("%d %b %y").to_list()
    sentence = (
        f"{int(watched['bad'].sum())} failures where {watched['expected'].sum():.1f} were to be"
        " expected of handoffs of these kinds and hours. "
        + (
            f"The path crossed its limit {len(found.crossings)} times, first on"
            f" {times[found.crossings[0]]}: a review is due."
            if found.crossings
            else "The path stayed below its limit: no sign that the odds of failing have doubled."
        )
    )
    table = watched.select(
        pl.Series("date", times), "activity", "outside", "bad", "expected",
        pl.Series("path", found.path),
    )  # fmt: skip
    return [
        Figure(
            "control-cusum",
            "Failures beside expectation (risk-adjusted CUSUM)",
            sentence,
            basis(log, watched.height, "handoffs in the second half"),
            cusum_picture(found, times, np.asarray(watched["bad"])),
            table,
        )
    ]


def _slow(log: EventLog, rows: pl.DataFrame) -> list[Figure]:
    # Slow for its kind: beyond the ninth decile of the same passage from activity to activity.
    often = rows.filter(pl.len().over("activity") >= FEWEST_TRIALS)
    slow = often.with_columns(
        (pl.col("dwell_h") > pl.col("dwell_h").quantile(0.9).over("activity")).alias("slow")
    )
    units = (
        slow.group_by("receiver")
        .agg(pl.col("slow").sum().alias("events"), pl.len().alias("trials"))
        .filter(pl.col("trials") >= FEWEST_TRIALS)
        .sort("receiver")
    )
    if units.height < 3:
        raise ControlError(
            f"{units.height} receiving groups have at least {FEWEST_TRIALS} handoffs; a funnel"
            " needs three"
        )
    found = funnel(
        units["receiver"].to_list(), units["events"].to_list(), units["trials"].to_list()
    )
    table = units.with_columns(
        (pl.col("events") / pl.col("trials")).alias("share_slow"),
        pl.Series("z", found.z),
        pl.Series("low_998", found.outer[0]),
        pl.Series("high_998", found.outer[1]),
    )
    svg = funnel_picture(
        found,
        title="Funnel of slow handoffs",
        unit="handoffs received; height: share slower than the ninth decile of their kind",
    )
    return [
        Figure(
            "funnel",
            "Slow handoffs by receiving group",
            found.sentence(),
            basis(log, int(units["trials"].sum()), "handoffs"),
            svg,
            table,
        )
    ]
