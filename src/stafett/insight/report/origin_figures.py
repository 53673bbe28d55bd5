"""Figures on origin: where lateness and defects were seen, and where they began."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

import numpy as np
import polars as pl

from stafett.eventlog import EventLog
from stafett.insight.origin import (
    ReplayError,
    SlackTrace,
    journeys_from_table,
    latent_origin,
    prepare,
    shapley,
    slack_trace,
    units_differ,
)
from stafett.insight.pictures.bars import Bar, interval_bars
from stafett.insight.pictures.heat import heat_map
from stafett.insight.pictures.svg import Figure, cut, number
from stafett.insight.report.basis import basis

MOST_CELLS, MOST_STAGES = 14, 14
FEWEST_DEFECTS = 20
MOST_REPEATED = 0.2
SURE = 0.01  # units must differ beyond this much chance before origins are estimated from them
MOST_REPLAYED = 400_000


def origin_figures(
    log: EventLog, budget_h: float | None, seed: int
) -> tuple[list[Figure], list[str]]:
    """Return the figures of the three tiers as far as the log allows them, and notes."""
    traced = slack_trace(log, budget_h=budget_h)
    notes = [f"Slack tracing: {note}" for note in traced.notes]
    figures = [_slack(log, traced)] if traced.matrix.height else []
    if not figures:
        notes.append("Slack tracing: no journey was late.")
    for figure, more in (_recorded(log), _latent(log, seed), _replayed(log, seed)):
        figures += figure
        notes += more
    return figures, notes


def _slack(log: EventLog, traced: SlackTrace) -> Figure:
    late = traced.journeys.filter(pl.col("late_h") > 1e-9)
    began = (
        traced.matrix.group_by("began_at").agg(pl.col("hours").sum()).sort("hours", descending=True)
    )
    seen = (
        traced.matrix.group_by("detected_at")
        .agg(pl.col("hours").sum())
        .sort("hours", descending=True)
    )
    rows, columns = (
        seen["detected_at"][:MOST_CELLS].to_list(),
        began["began_at"][:MOST_CELLS].to_list(),
    )
    values = {
        (d, b): n
        for d, b, n in traced.matrix.select("detected_at", "began_at", "hours").iter_rows()
        if d in rows and b in columns and n >= 0.5
    }
    sentence = (
        f"{late.height:,} of {traced.journeys.height:,} journeys were late; {traced.upstream:.0%}"
        " of that began before the point where it was seen. Most hours of lateness began at"
        f" {began['began_at'][0]} ({number(began['hours'][0])} h)."
    )
    stated = not any("No budget was stated" in note for note in traced.notes)
    headline = (
        f"{late.height:,} of {traced.journeys.height:,} journeys were late;"
        f" {traced.upstream:.0%} of that lateness began before the point where it was seen."
        if stated and late.height
        else ""
    )
    svg = heat_map(
        rows,
        columns,
        values,
        title="Lateness: detected at by began at",
        row_title="detected at",
        column_title="began at",
        unit="hours late",
    )
    return Figure(
        "origin-slack",
        "Where lateness was seen, and where it began",
        sentence,
        basis(log, traced.journeys.height, "journeys"),
        svg,
        traced.matrix,
        headline,
    )


def _latent(log: EventLog, seed: int) -> tuple[list[Figure], list[str]]:
    found = log.frame.filter(pl.col("detected_at").is_not_null())
    if found["case"].n_unique() < FEWEST_DEFECTS:
        return [], [
            "Latent origin: the log records where trouble was detected for"
            f" {found['case'].n_unique()} journeys; {FEWEST_DEFECTS} are the fewest that are worth"
            " estimating from."
        ]
    each = found.group_by("case").len()["len"]
    if (many := float((each > 1).sum()) / max(1, len(each))) > MOST_REPEATED:
        return [], [
            f"Latent origin: no estimate. {many:.0%} of the journeys with a finding have several,"
            " and the method takes a journey to have one defect that is carried on."
        ]
    detected = found["detected_at"].cast(pl.String).value_counts().sort("count", descending=True)
    stages = _stages(log, detected["detected_at"].to_list())
    known = found.filter(pl.col("detected_at").cast(pl.String).is_in(stages))
    defects = known.group_by(pl.col("case").cast(pl.String)).agg(
        pl.col("detected_at").cast(pl.String).first()
    )
    units = (
        log.frame.filter(pl.col("activity").cast(pl.String).is_in(stages))
        .group_by(
            pl.col("case").cast(pl.String), pl.col("activity").cast(pl.String), maintain_order=True
        )
        .agg(pl.col("giver").cast(pl.String).first())
        .pivot("activity", index="case", values="giver")
    )
    table = units.join(defects, on="case", how="left", maintain_order="left")
    # Without the recorded causes: which are missing is no chance (obvious ones are recorded), and
    # taking it for chance understates what is hidden. They have a figure of their own.
    journeys = replace(
        journeys_from_table(table, stages), cause=np.full(table.height, -1, np.int64)
    )
    if (p := units_differ(journeys)) > SURE:
        return [], [
            "Latent origin: no estimate. Defects are as frequent with one unit (site, team) as with"
            f" another (p = {number(p)}), so nothing in this log tells where they began, except"
            " the recorded causes."
        ]
    try:
        result = latent_origin(journeys, seed=seed)
    except ValueError as error:
        return [], [f"Latent origin: {error}"]
    values = {
        (d, b): float(result.matrix[i, j])
        for i, d in enumerate(stages)
        for j, b in enumerate(stages)
        if result.matrix[i, j] >= 0.05
    }
    top = int(result.began.argmax())
    sentence = (
        f"{result.upstream:.0%} of the defects (95 % interval {result.upstream_low:.0%} to"
        f" {result.upstream_high:.0%}) began before the stage where they surfaced."
        f" {stages[top]} shows {result.seen[top]:.0%} of them and began {result.began[top]:.0%} (95"
        f" % interval {result.low[top]:.0%} to {result.high[top]:.0%})."
    )
    answer = pl.DataFrame(
        {
            "stage": stages,
            "surfaced": result.seen,
            "began": result.began,
            "low": result.low,
            "high": result.high,
        }
    )
    svg = heat_map(
        stages,
        stages,
        values,
        title="Defects: detected at by began at",
        row_title="detected at",
        column_title="began at",
        unit="journeys, expected",
    )
    figure = Figure(
        "origin-latent",
        "Where defects surfaced, and where they began (estimated)",
        sentence,
        basis(log, table.height, "journeys"),
        svg,
        answer,
        f"{result.upstream:.0%} of the defects (95 % interval {result.upstream_low:.0%} to"
        f" {result.upstream_high:.0%}) began before the stage where they were found.",
    )
    return [figure], [f"Latent origin: {note}" for note in result.notes]


def _recorded(log: EventLog) -> tuple[list[Figure], list[str]]:
    """What the recorded causes say, and what they leave open, without any model."""
    found = log.frame.filter(pl.col("detected_at").is_not_null()).select(
        pl.col("detected_at", "origin").cast(pl.String)
    )
    known = found.drop_nulls("origin")
    if known.height < FEWEST_DEFECTS:
        return [], [f"Recorded causes: {known.height} of {found.height} findings name one."]
    table = (
        known.group_by("detected_at", "origin")
        .len("findings")
        .sort("findings", "detected_at", "origin", descending=[True, False, False])
    )
    elsewhere = int((known["origin"] != known["detected_at"]).sum())
    n, open_ = found.height, found.height - known.height
    low, high = elsewhere / n, (elsewhere + open_) / n
    sentence = (
        f"{known.height:,} of {n:,} findings name their cause; {elsewhere:,} of these began before"
        f" the place where they were found. So between {low:.0%} (if no other did) and {high:.0%}"
        " (if every one without a recorded cause did) of all findings began upstream."
    )
    if "true_origin" in log.frame.columns:
        truth = log.frame.filter(pl.col("detected_at").is_not_null()).select(
            (pl.col("true_origin") != pl.col("detected_at").cast(pl.String)).mean()
        )
        sentence += f" This log is simulated: the truth is {truth.item():.0%}."
    names = log.frame["activity"].cast(pl.String).unique(maintain_order=True).to_list()
    seen = [a for a in names if a in set(table["detected_at"]) | set(table["origin"])][:MOST_CELLS]
    values = {(d, o): float(c) for d, o, c in table.iter_rows() if d in seen and o in seen}
    svg = heat_map(
        seen, seen, values, title="Findings: detected at by recorded cause",
        row_title="detected at", column_title="began at", unit="findings",
    )  # fmt: skip
    headline = (
        f"Between {low:.0%} and {high:.0%} of {n:,} findings began before the place where they were"
        " found, depending on those without a recorded cause."
    )
    figure = Figure(
        "origin-recorded",
        "Where findings began, by their recorded causes",
        sentence,
        basis(log, n, "findings"),
        svg,
        table,
        headline,
    )
    return [figure], []


def _stages(log: EventLog, detected: list[str]) -> list[str]:
    """Return the stages to choose from, in their usual order: where trouble was found or is said
    to have begun, and the commonest steps before."""
    rank = pl.int_range(pl.len()).over("case")
    order = (
        log.frame.with_columns(rank.alias("rank"))
        .group_by(pl.col("activity").cast(pl.String))
        .agg(pl.col("rank").median(), pl.len().alias("n"))
    )
    named = log.frame["origin"].cast(pl.String).drop_nulls().unique().sort().to_list()
    common = log.steps["activity"].cast(pl.String).value_counts(sort=True)["activity"].to_list()
    wanted = list(dict.fromkeys([*detected, *named, *common[:4]]))[:MOST_STAGES]
    kept = order.filter(pl.col("activity").is_in(wanted)).sort("rank", "activity")
    return list(kept["activity"])


def _replayed(log: EventLog, seed: int) -> tuple[list[Figure], list[str]]:
    if log.handoffs.is_empty():
        return [], ["Replay: the log shows no handoff that could be repaired."]
    if log.frame.height > MOST_REPLAYED:
        return [], [
            f"Replay: left out beyond {MOST_REPLAYED:,} rows; take a sample of cases in time."
        ]
    try:
        result = shapley(prepare(log, seed=seed), orders=16, seed=seed)
    except ReplayError as error:
        return [], [f"Replay: {error}"]
    top = result.contributions[:15]
    # A single journey has no spread to tell: it is drawn without an interval, and the notes say so.
    margin = [1.96 * c.error if isfinite(c.error) else 0.0 for c in top]
    bars = [
        Bar(c.interface, c.hours, c.hours - m, c.hours + m)
        for c, m in zip(top, margin, strict=True)
    ]
    saved = result.hours - result.best
    sentence = (
        f"Repairing the {len(result.contributions)} interfaces with most dwell would shorten the"
        f" mean journey from {number(result.hours)} to {number(result.best)} hours;"
        f" {cut(top[0].interface)} alone accounts for {number(top[0].hours)} of the {number(saved)}"
        " saved. The replay gives the log back exactly."
    )
    table = pl.DataFrame(
        {
            "interface": [c.interface for c in result.contributions],
            "hours_saved": [c.hours for c in result.contributions],
            "standard_error": [c.error for c in result.contributions],
            "more_completed": [c.completed for c in result.contributions],
        }
    )
    figure = Figure(
        "origin-replay",
        "What repairing each interface would save",
        sentence,
        basis(log, result.journeys, "journeys"),
        interval_bars(
            bars,
            title="Shapley shares by counterfactual replay",
            unit="hours per journey, 95 % interval",
        ),
        table,
        f"Repairing the {len(result.contributions)} costliest interfaces would shorten the mean"
        f" journey from {number(result.hours)} to {number(result.best)} hours, by replay of the log"
        f" itself; most by {cut(top[0].interface, 60)}: {number(top[0].hours)} hours (95 % interval"
        f" {number(top[0].hours - margin[0])} to {number(top[0].hours + margin[0])}).",
    )
    notes = [f"Replay assumes: {text}" for text in result.assumptions]
    if result.journeys < 2:
        notes.append("Replay: one journey has no spread, so no interval can be told.")
    return [figure], notes
