"""Figures on layers: how much of an outcome's variation lies with patients, teams, institutions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from stafett.eventlog import EventLog
from stafett.insight.chapters import OUTCOMES
from stafett.insight.hours import WorkingHours
from stafett.insight.layers import (
    Fit,
    boundary_tests,
    design,
    fit,
    layer_shares,
    profile_share,
)
from stafett.insight.layers.design import NotIdentifiableError
from stafett.insight.layers.ordered import GradedFit, fit_graded, graded_shares
from stafett.insight.outcomes import Measured, NotInLogError, held, measured
from stafett.insight.pictures.bars import Bar, forest, layer_bar
from stafett.insight.pictures.svg import Figure
from stafett.insight.report.basis import basis

MOST_ROWS, MOST_GRADED = 60_000, 4_000  # a graded fit is made anew for each simulated draw
FEWEST_ROWS = 30
DRAWS = 30
# Outcome -> what varies, in words, and what is said to depend on somebody.
WORDS = {
    "dwell": ("(log) dwell", "How long a handoff takes"),
    "step_duration": ("(log) duration of a step", "How long a step takes"),
    "viability": ("viability", "Viability"),
    "right_first_time": (
        "right first time (on the scale of log odds)", "Whether work is right first time",
    ),
    "severity": ("severity (on the scale of log odds)", "How severe a deviation is"),
}  # fmt: skip
assert tuple(WORDS) == OUTCOMES


def layer_figures(
    log: EventLog, hours: WorkingHours, outcome: str = "dwell", seed: int = 1
) -> tuple[list[Figure], list[str]]:
    """Return the figures on the layers of `outcome` (one of `OUTCOMES`), and notes."""
    others = [WORDS[name][0] for name in held(log, hours) if name != outcome]
    notes = [f"Layers: this log also holds {', '.join(others)}."] if others else []
    try:
        found = measured(log, outcome, hours)
    except NotInLogError as error:
        return [], [f"Layers: {WORDS[outcome][0]} is not in this log: {error}.", *notes]
    except NotIdentifiableError as error:
        return [], [f"Layers: {error}.", *notes]
    rows = found.table.height
    if rows < FEWEST_ROWS:
        few = f"Layers: {rows} {found.what} are too few to split their variation."
        return [], [few, *notes]
    table, sampled = _sample(found)
    notes = [*sampled, *notes]
    try:
        model = design(table, "y", found.factors, found.covariates)
        figures, more = (
            _graded(log, found, fit_graded(model), seed)
            if found.graded
            else _linear(log, found, fit(model))
        )
    except NotIdentifiableError as error:
        said = str(error).replace("'y'", f"'{WORDS[outcome][0]}'")
        return [], [f"Layers: {said}", *(f"Layers: {note}" for note in found.notes), *notes]
    notes += [f"Layers: {note}" for note in (*found.notes, *more)]
    notes.append(
        "Layers: the biological share is all that stays with a case: the patient, and whatever"
        " circumstances the case keeps throughout."
    )
    if found.covariates:
        notes.append(
            "Layers: the kind of step towards which the handoff goes is allowed for and is no part"
            " of any share."
            if found.what == "handoffs"
            else "Layers: the kind of step is allowed for and is no part of any share."
        )
    return figures, notes


def _sample(found: Measured) -> tuple[pl.DataFrame, list[str]]:
    """Keep whole cases, evenly chosen, up to what the method takes."""
    most = MOST_GRADED if found.graded else MOST_ROWS
    table = found.table
    if table.height <= most:
        return table, []
    cases = table["patient"].unique().sort()
    kept = cases.gather_every(table.height // most + 1)
    note = f"Layers were fitted to {len(kept):,} of {len(cases):,} cases (evenly chosen)."
    return table.filter(pl.col("patient").is_in(kept.implode())), [note]


def _linear(log: EventLog, found: Measured, fitted: Fit) -> tuple[list[Figure], list[str]]:
    bars = [Bar(s.name, s.share, s.low, s.high) for s in layer_shares(fitted)]
    tests = {t.name: t.p for t in boundary_tests(fitted)}
    people = _people(fitted)
    span = profile_share(fitted, people) if people else None
    unit = "sd_log_hours" if found.outcome in ("dwell", "step_duration") else "sd"
    table = _sources(fitted, unit).with_columns(
        pl.Series("p_no_variation", [*(tests[f.name] for f in fitted.design.factors), None])
    )
    notes = list(fitted.notes)
    if fitted.max_gradient > 1e-2 * max(1.0, abs(fitted.criterion) * 1e-4):
        notes.append(
            f"the search ended with a gradient of {fitted.max_gradient:.2g}; the shares are"
            " not to be trusted to the last digit."
        )
    how = "95 % profile intervals"
    figures = [_shares(log, found, fitted.design.n, bars, table, how, span)]
    return [*figures, *_estimates(log, found, fitted)], notes


def _graded(
    log: EventLog, found: Measured, fitted: GradedFit, seed: int
) -> tuple[list[Figure], list[str]]:
    people = _people(fitted)
    shares, check = graded_shares(
        fitted, draws=DRAWS, seed=seed, also={"people": people} if people else None
    )
    bars = [Bar(s.name, s.share, s.low, s.high) for s in shares if s.name != "people"]
    span = next(((s.low, s.high) for s in shares if s.name == "people"), None)
    biased = any(ratio <= 0.9 for ratio in check.ratio.values())
    if biased:
        span = None  # no headline from shares that are not to be quoted
    how = f"95 % intervals from {DRAWS} simulated refits"
    notes = [*fitted.notes, *([] if biased else [check.sentence()])]
    if len(found.grades) > 2:
        notes.append(f"The grades of severity, mildest first: {', '.join(found.grades)}.")
    notes.append(
        "The rest of a graded outcome has a variance of 3.29 (π²/3) on the scale of log odds by"
        " definition; intervals are those of the method, with its bias."
    )
    table = _sources(fitted, "sd_log_odds").with_columns(
        pl.Series(
            "given_back", [*(check.ratio.get(f.name) for f in fitted.design.factors), None],
            dtype=pl.Float64,
        )
    )  # fmt: skip
    figure = _shares(log, found, fitted.design.n, bars, table, how, span)
    if biased:  # said where the share is read, not at the end
        figure = replace(figure, sentence=f"{figure.sentence} {check.sentence()}")
    return [figure], notes


def _people(fitted: Fit | GradedFit) -> list[int]:
    """Return the variances that teams and institutions contribute."""
    return [k for k, f in enumerate(fitted.design.factors) if f.layer != "biological"]


def _sources(fitted: Fit | GradedFit, unit: str) -> pl.DataFrame:
    factors = fitted.design.factors
    return pl.DataFrame(
        {
            "source": [*(f.name for f in factors), "residual"],
            "layer": [*(f.layer for f in factors), "unexplained"],
            "levels": [*fitted.design.levels, fitted.design.n],
            unit: fitted.variances**0.5,
            "share": fitted.variances / fitted.variances.sum(),
        }
    )


def _shares(
    log: EventLog,
    found: Measured,
    n: int,
    bars: list[Bar],
    table: pl.DataFrame,
    how: str,
    span: tuple[float, float] | None,
) -> Figure:
    varies, depends = WORDS[found.outcome]
    row = found.what.removesuffix("s")
    by_name = {bar.name: bar for bar in bars}
    layers = [bar for bar in bars if bar.name != "unexplained"]
    parts = ", ".join(f"{b.name} {b.value:.0%} ({b.low:.0%} to {b.high:.0%})" for b in layers)
    other = sum(bar.value for bar in layers if bar.name != "biological")
    biology = by_name["biological"].value if "biological" in by_name else 0.0
    sentence = (
        f"Of the variation in {varies}: {parts}; the rest differs from one {row} to the next."
    )
    headline = ""
    if span is not None and "biological" in by_name:
        patient = by_name["biological"]
        theirs = f"({other:.0%} of the variation, 95 % interval {span[0]:.0%} to {span[1]:.0%})"
        own = f"({biology:.0%}, {patient.low:.0%} to {patient.high:.0%})"
        if span[0] > patient.high or span[1] < patient.low:
            more = "more" if other > biology else "less"
            sentence += (
                f" What teams and institutions contribute is {more} than what stays with the"
                " patient."
            )
            headline = (
                f"{depends} depends {more} on teams and institutions {theirs} than on the patient"
                f" {own}."
            )
        else:
            sentence += (
                " Whether teams and institutions contribute more than what stays with the patient"
                " cannot be told from this log."
            )
    usual = found.outcome == "dwell"
    return Figure(
        "layers" if usual else f"layers-{found.outcome.replace('_', '-')}",
        "Shares of the layers" if usual else f"Shares of the layers: {varies}",
        sentence,
        basis(log, n, found.what),
        layer_bar(
            bars,
            title=f"Shares of the variation of {'dwell' if usual else varies} by layer, {how}",
        ),
        table,
        headline,
    )


def _estimates(log: EventLog, found: Measured, fitted: Fit) -> list[Figure]:
    """The usual dwell of receiving teams and of sites, drawn towards the usual of all."""
    if found.outcome != "dwell":
        return []
    names = [f.name for f in fitted.design.factors]
    place = "site" if "site" in names else "organisation"
    units = (("receiving team", "team", "Receiving teams"), (place, "site", "Sites"))
    return [
        _shrunken(log, fitted, names.index(name), one, many)
        for name, one, many in units
        if name in names and fitted.sd[names.index(name)] > 0
    ]


def _shrunken(log: EventLog, fitted: Fit, k: int, one: str, many: str) -> Figure:
    effect, spread = fitted.estimates()[k]
    name = fitted.design.factors[k].name.replace(" ", "_")
    table = pl.DataFrame(
        {
            name: list(fitted.design.labels[k]),
            "handoffs": np.bincount(fitted.design.codes[k], minlength=len(effect)),
            "times_usual": np.exp(effect),
            "low": np.exp(effect - 1.96 * spread),
            "high": np.exp(effect + 1.96 * spread),
        }
    ).sort("times_usual", descending=True)
    bars = [
        Bar(unit, value, low, high)
        for unit, value, low, high in table.select(name, "times_usual", "low", "high").iter_rows()
    ]
    sure = [bar.name for bar in bars if bar.low > 1]
    sentence = (
        f"Longer than usual beyond doubt at: {', '.join(sure)}."
        if sure
        else (
            f"No {one}'s dwell is longer than usual beyond doubt: differences between them may be"
            " chance."
        )
    )
    sentence += (
        f" Estimates of {one}s seen seldom are pulled towards the usual, so that small ones aren't"
        " shamed by noise."
    )
    return Figure(
        f"{one}s",
        f"{many}, shrunken estimates",
        sentence,
        basis(log, fitted.design.n, "handoffs"),
        forest(
            bars[:30],
            title=many,
            unit="times the usual dwell, 95 % interval",
            centre=1.0,
        ),
        table,
    )
