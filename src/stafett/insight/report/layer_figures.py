"""Figures on layers: how much of the variation of dwell lies with patients, teams, institutions."""

from __future__ import annotations

import numpy as np
import polars as pl

from stafett.eventlog import EventLog
from stafett.insight.hours import WorkingHours
from stafett.insight.interfaces import handoff_rows
from stafett.insight.layers import (
    Factor,
    Fit,
    boundary_tests,
    design,
    fit,
    layer_shares,
    profile_share,
)
from stafett.insight.layers.design import NotIdentifiableError
from stafett.insight.pictures.bars import Bar, forest, layer_bar
from stafett.insight.pictures.svg import Figure
from stafett.insight.report.basis import basis

MOST_ROWS = 60_000
FEWEST_ROWS = 30
SHIFT_H = 8
MINUTE = 1 / 60  # added to a dwell before the logarithm, so that none is a number


def layer_figures(log: EventLog, hours: WorkingHours) -> tuple[list[Figure], list[str]]:
    """Return the figures on the layers of the logarithm of dwell at handoffs, and notes."""
    rows = handoff_rows(log, hours)
    if rows.height < FEWEST_ROWS:
        return [], [f"Layers: {rows.height} handoffs are too few to split their variation."]
    notes = []
    if rows.height > MOST_ROWS:
        cases = rows["case"].cast(pl.String).unique().sort()
        kept = cases.gather_every(rows.height // MOST_ROWS + 1)
        rows = rows.filter(pl.col("case").cast(pl.String).is_in(kept.implode()))
        notes.append(
            f"Layers were fitted to {len(kept):,} of {len(cases):,} cases (evenly chosen)."
        )
    table, factors = _outcome(rows, log.zone)
    try:
        model = design(table, "log_dwell", factors, ["towards"])
        fitted = fit(model)
    except NotIdentifiableError as error:
        return [], [f"Layers: {error}"]
    bars = [Bar(s.name, s.share, s.low, s.high) for s in layer_shares(fitted)]
    tests = {t.name: t.p for t in boundary_tests(fitted)}
    figures = [_shares(log, fitted, bars, tests), *_estimates(log, fitted)]
    notes += [f"Layers: {note}" for note in fitted.notes]
    notes.append(
        "Layers: the biological share is all that stays with a case: the patient, and whatever"
        " circumstances the case keeps throughout. The kind of step towards which the handoff goes"
        " is allowed for and is no part of any share."
    )
    if fitted.max_gradient > 1e-2 * max(1.0, abs(fitted.criterion) * 1e-4):
        notes.append(
            f"Layers: the search ended with a gradient of {fitted.max_gradient:.2g}; the shares are"
            " not to be trusted to the last digit."
        )
    return figures, notes


def _outcome(rows: pl.DataFrame, zone: str | None) -> tuple[pl.DataFrame, list[Factor]]:
    """Return the table to fit and its sources of variability."""
    clock = pl.col("enqueue").dt.convert_time_zone(zone) if zone else pl.col("enqueue")
    week = pl.when(clock.dt.weekday() > 5).then(pl.lit("weekend")).otherwise(pl.lit("weekday"))
    towards = pl.col("activity").cast(pl.String).str.split(" → ").list.last()
    common = rows.with_columns(towards.alias("towards"))
    counts = common["towards"].value_counts().filter(pl.col("count") >= 20)["towards"]
    table = common.select(
        (pl.col("dwell_h") + MINUTE).log().alias("log_dwell"),
        pl.when(pl.col("towards").is_in(counts.implode()))
        .then("towards")
        .otherwise(pl.lit("other"))
        .alias("towards"),
        pl.col("case").cast(pl.String).alias("patient"),
        pl.concat_str([week, (clock.dt.hour() // SHIFT_H).cast(pl.String)], separator=" ").alias(
            "shift"
        ),
        pl.col("receiver").cast(pl.String).alias("receiving team"),
        pl.concat_str(
            [pl.col("giver").cast(pl.String), pl.col("receiver").cast(pl.String)], separator=" → "
        ).alias("pair"),
    )
    factors = [
        Factor("patient", "biological"),
        Factor("shift", "operational"),
        Factor("receiving team", "operational"),
        Factor("pair", "institutional"),
    ]
    return table, factors


def _shares(log: EventLog, fitted: Fit, bars: list[Bar], tests: dict[str, float]) -> Figure:
    by_name = {bar.name: bar for bar in bars}
    layers = [bar for bar in bars if bar.name != "unexplained"]
    parts = ", ".join(f"{b.name} {b.value:.0%} ({b.low:.0%} to {b.high:.0%})" for b in layers)
    other = sum(bar.value for bar in layers if bar.name != "biological")
    biology = by_name["biological"].value if "biological" in by_name else 0.0
    more = "more than" if other > biology else "less than"
    sentence = (
        f"Of the variation in (log) dwell: {parts}; the rest differs from one handoff to the next. "
        f"What teams and institutions contribute is {more} what stays with the patient."
    )
    people = [k for k, f in enumerate(fitted.design.factors) if f.layer != "biological"]
    headline = ""
    if people and "biological" in by_name:
        low, high = profile_share(fitted, people)
        patient = by_name["biological"]
        headline = (
            f"How long a handoff takes depends {'more' if other > biology else 'less'} on teams and"
            f" institutions ({other:.0%} of the variation, 95 % interval {low:.0%} to {high:.0%})"
            f" than on the patient ({biology:.0%}, {patient.low:.0%} to {patient.high:.0%})."
        )
    table = pl.DataFrame(
        {
            "source": [*(f.name for f in fitted.design.factors), "residual"],
            "layer": [*(f.layer for f in fitted.design.factors), "unexplained"],
            "levels": [*fitted.design.levels, fitted.design.n],
            "sd_log_hours": fitted.variances**0.5,
            "share": fitted.variances / fitted.variances.sum(),
            "p_no_variation": [*(tests[f.name] for f in fitted.design.factors), None],
        }
    )
    return Figure(
        "layers",
        "Shares of the layers",
        sentence,
        basis(log, fitted.design.n, "handoffs"),
        layer_bar(bars, title="Shares of the variation of dwell by layer, 95 % profile intervals"),
        table,
        headline,
    )


def _estimates(log: EventLog, fitted: Fit) -> list[Figure]:
    names = [f.name for f in fitted.design.factors]
    if "receiving team" not in names or fitted.sd[names.index("receiving team")] == 0:
        return []
    k = names.index("receiving team")
    effect, spread = fitted.estimates()[k]
    count = np.bincount(fitted.design.codes[k], minlength=len(effect))
    table = pl.DataFrame(
        {
            "receiving_team": list(fitted.design.labels[k]),
            "handoffs": count,
            "times_usual": np.exp(effect),
            "low": np.exp(effect - 1.96 * spread),
            "high": np.exp(effect + 1.96 * spread),
        }
    ).sort("times_usual", descending=True)
    bars = [
        Bar(name, value, low, high)
        for name, value, low, high in table.select(
            "receiving_team", "times_usual", "low", "high"
        ).iter_rows()
    ]
    sure = [bar.name for bar in bars if bar.low > 1]
    sentence = (
        f"Longer than usual beyond doubt at: {', '.join(sure)}."
        if sure
        else (
            "No team's dwell is longer than usual beyond doubt: differences between them may be"
            " chance."
        )
    )
    sentence += (
        " Estimates of teams seen seldom are pulled towards the usual, so that small ones aren't"
        " shamed by noise."
    )
    return [
        Figure(
            "teams",
            "Receiving teams, shrunken estimates",
            sentence,
            basis(log, fitted.design.n, "handoffs"),
            forest(
                bars[:30],
                title="Receiving teams",
                unit="times the usual dwell, 95 % interval",
                centre=1.0,
            ),
            table,
        )
    ]
