"""Figures on agreement: which checks do giver and receiver, or sites, judge differently?"""

from __future__ import annotations

import polars as pl

from stafett.eventlog import EventLog
from stafett.insight.agreement import Agreement, AgreementError, krippendorff, wording_change
from stafett.insight.pictures.bars import Bar, forest
from stafett.insight.pictures.svg import Figure, number
from stafett.insight.report.basis import basis

FEWEST_UNITS = 10
# Answers that stand in an order: to be two apart is to differ more than to be one apart.
ORDERED = (("minor", "major", "critical"), ("none", "possible", "confirmed"))
Units = list[list[str | float | None]]


def agreement_figures(log: EventLog, seed: int) -> tuple[list[Figure], list[str]]:
    """Return Krippendorff's alpha by check, changes between versions, and notes."""
    if log.judgements.is_empty():
        return [], [
            "Agreement: this source records no judgements. A ledger does: each check that a person"
            " answers on both sides of a handoff."
        ]
    found: dict[str, Agreement] = {}
    scales: dict[str, str] = {}
    notes = []
    constant = few = 0
    for (activity, check), rows in log.judgements.group_by(
        "activity", "check", maintain_order=True
    ):
        units = _units(rows)
        if len(units) < FEWEST_UNITS:
            few += 1
            continue
        try:
            scale, order = scale_of(units)
            found[f"{activity} {check}"] = krippendorff(units, scale=scale, order=order, seed=seed)
            scales[f"{activity} {check}"] = scale
        except AgreementError:
            constant += 1
    if few:
        notes.append(
            f"Agreement: {few} checks were answered by two for fewer than {FEWEST_UNITS} things and"
            " are left out."
        )
    if constant:
        notes.append(
            f"Agreement: at {constant} checks every answer was the same; without variation"
            " agreement cannot be told from habit."
        )
    figures = [_alphas(log, found, scales)] if found else []
    changed = _changes(log, seed)
    if changed is not None:
        figures.append(changed)
    return figures, notes


def scale_of(units: Units) -> tuple[str, list[str | float] | None]:
    """Return the scale that answers are on and, of an ordinal one, their order.

    Numbers of three values or more and known orders are ordinal; all else is nominal.
    """
    answers = {value for unit in units for value in unit if value is not None}
    for order in ORDERED:
        if answers <= set(order) and len(answers) > 2:
            return "ordinal", [value for value in order if value in answers]
    try:
        numbers = sorted(answers, key=float)
    except ValueError:
        return "nominal", None
    return ("ordinal", numbers) if len(numbers) > 2 else ("nominal", None)


def _units(rows: pl.DataFrame) -> Units:
    grouped = rows.group_by("unit", maintain_order=True).agg(
        pl.col("answer"), pl.col("judge").n_unique()
    )
    return [list(answers) for answers in grouped.filter(pl.col("judge") > 1)["answer"]]


def _alphas(log: EventLog, found: dict[str, Agreement], scales: dict[str, str]) -> Figure:
    ranked = sorted(found.items(), key=lambda item: item[1].alpha)
    table = pl.DataFrame(
        {
            "check": [name for name, _ in ranked],
            "scale": [scales[name] for name, _ in ranked],
            "alpha": [a.alpha for _, a in ranked],
            "low": [a.low for _, a in ranked],
            "high": [a.high for _, a in ranked],
            "things_judged": [a.units for _, a in ranked],
            "commonest_disagreement": [
                f"{a.confusions[0][0]} / {a.confusions[0][1]}" if a.confusions else ""
                for _, a in ranked
            ],
        }
    )
    worst, most = ranked[0]
    sentence = (
        f"Least agreed upon is {worst}: alpha {number(most.alpha)} (95 % interval"
        f" {number(most.low)} to {number(most.high)}); 1 is agreement, 0 is chance. From 0.8 on"
        " judgements can be relied upon (Krippendorff 2004)."
    )
    bars = [Bar(name, a.alpha, a.low, a.high) for name, a in ranked[:30]]
    return Figure(
        "agreement",
        "Agreement between those who judge the same thing",
        sentence,
        basis(log, sum(a.units for a in found.values()), "things judged by two"),
        forest(
            bars, title="Krippendorff's alpha by check", unit="alpha, 95 % interval", centre=0.8
        ),
        table,
        sentence if most.high < 0.8 else "",
    )


def _changes(log: EventLog, seed: int) -> Figure | None:
    """Compare the last two versions of the protocol, for checks that both asked often enough."""
    versions = log.judgements["version"].drop_nulls().unique(maintain_order=True).to_list()
    if len(versions) < 2:
        return None
    before, after = versions[-2:]
    rows = []
    for (activity, check), asked in log.judgements.group_by(
        "activity", "check", maintain_order=True
    ):
        units = [_units(asked.filter(pl.col("version") == v)) for v in (before, after)]
        if min(map(len, units)) < FEWEST_UNITS:
            continue
        try:
            scale, order = scale_of([*units[0], *units[1]])
            change = wording_change(*units, scale=scale, order=order, seed=seed)
        except AgreementError:
            continue
        rows.append((f"{activity} {check}", change.difference, change.low, change.high))
    if not rows:
        return None
    table = pl.DataFrame(rows, schema=["check", "difference", "low", "high"], orient="row")
    sure = [name for name, _, low, high in rows if low > 0 or high < 0]
    told = f"Agreement changed beyond chance at: {', '.join(sure)}." if sure else (
        "At no check did agreement change beyond chance."
    )  # fmt: skip
    return Figure(
        "agreement-change",
        f"Agreement before and after version {after}",
        told,
        basis(log, len(rows), "checks"),
        forest(
            [Bar(*row) for row in rows], title="Change of alpha", unit="after less before",
            centre=0.0,
        ),
        table,
    )  # fmt: skip
