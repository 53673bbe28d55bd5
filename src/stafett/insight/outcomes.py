"""Outcomes whose variation is split into layers, and the sources of it that a log holds.

A source is found by the name of a column: of the row, of the case (``case:``), or of the event at
which a handoff was received. What a log does not hold is told, and so is what it holds in part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from stafett.eventlog import EventLog
from stafett.eventlog.columns import ALIASES, plain
from stafett.insight.chapters import OUTCOMES
from stafett.insight.hours import WorkingHours
from stafett.insight.interfaces import handoff_rows
from stafett.insight.layers import LAYERS, Factor, NotIdentifiableError
from stafett.insight.sites import site

MINUTE = 1 / 60  # added to hours before the logarithm, so that none is a number
SHIFT_H = 8
OFTEN = 20  # a kind of work with fewer rows is put together with others
RARE = 3  # so many of the rarer answer a kind of work needs to be allowed for by itself
MOST_MISSING = 0.5  # a source that is missing in more rows than this is left out
# Words for severity in use, mildest first; several words may mean the same grade.
GRADES = (
    ("none", "negligible"), ("minor", "low", "mild"), ("moderate", "medium"), ("major", "high"),
    ("severe", "serious"), ("critical",), ("catastrophic", "fatal"),
)  # fmt: skip
# Source -> the columns in which it may stand, beside `ALIASES`; written as `plain` writes them.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "operator": ("operator", "person", *ALIASES["resource"]),
    "starting material": ("material", *ALIASES["material"]),
    "site": ("site", *ALIASES["site"]),
    "protocol version": ("version", *ALIASES["version"]),
}
OWN = ("person", "resource", "material", "centre", "version")  # of our own logs, or roles
LAYER = {
    "patient": "biological",
    "starting material": "biological",
    "operator": "operational",
    "shift": "operational",
    "receiving team": "operational",
    "team": "operational",
    "pair": "institutional",
    "organisation": "institutional",
    "site": "institutional",
    "protocol version": "institutional",
}


class NotInLogError(ValueError):
    """The log does not hold the outcome; the message says what is missing, in words."""


@dataclass(frozen=True)
class Measured:
    """An outcome as a table (``y``, ``kind`` and one column per factor) and how to fit it.

    `graded`: 0, 1, … on the scale of log odds, `grades` their names; else a linear model. `what`
    is what one row is. `notes` say what the log does not hold.
    """

    outcome: str
    table: pl.DataFrame
    factors: list[Factor]
    what: str
    graded: bool = False
    grades: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ("kind",)
    notes: tuple[str, ...] = field(default=())


def measured(log: EventLog, outcome: str, hours: WorkingHours) -> Measured:
    """Lay `outcome` out as a table.

    Raises:
        NotInLogError: the log does not hold it.
        NotIdentifiableError: it is the same everywhere.
    """
    found = _MAKERS[outcome](log, hours)
    assert found.outcome == outcome
    return found


def held(log: EventLog, hours: WorkingHours) -> list[str]:
    """Return those of `OUTCOMES` that `log` holds."""
    out = []
    for name in OUTCOMES:
        try:
            measured(log, name, hours)
        except NotInLogError:
            continue
        except NotIdentifiableError:
            pass  # it is there, though it does not vary
        out.append(name)
    return out


def _dwell(log: EventLog, hours: WorkingHours) -> Measured:
    rows = handoff_rows(log, hours)
    if rows.is_empty():
        raise NotInLogError("the log shows no handoff")
    rows = rows.with_columns(y=(pl.col("dwell_h") + MINUTE).log(), kind=_towards())
    return _laid_out(log, rows, "dwell", "handoffs")


def _duration(log: EventLog, hours: WorkingHours) -> Measured:
    rows = log.steps.filter(pl.col("end").is_not_null())
    lasted = (pl.col("end") - pl.col("start")) / pl.duration(hours=1)
    rows = rows.with_columns(y=lasted)
    if not (rows["y"] > 0).any():
        raise NotInLogError("no step of it has both a start and an end")
    rows = rows.with_columns(y=(pl.col("y") + MINUTE).log(), kind=pl.col("activity"))
    return _laid_out(log, rows, "step_duration", "steps")


def _viability(log: EventLog, hours: WorkingHours) -> Measured:
    name = _column(log, ALIASES["viability"])
    if name is None:
        raise NotInLogError("no column of it is called viability")
    number = pl.col(name).cast(pl.String).str.strip_chars(" %").cast(pl.Float64, strict=False)
    rows = log.frame.with_columns(y=number, kind=pl.col("activity"))
    rows = rows.filter(pl.col("y").is_not_null())
    if rows.is_empty():
        raise NotInLogError("its viability holds no number")
    return _laid_out(log, rows, "viability", "measurements")


def _right(log: EventLog, hours: WorkingHours) -> Measured:
    """Handoffs; in a log in which only steps have outcomes, steps."""
    judged = ~pl.col("outcome").cast(pl.String).is_in(["open", "withdrawn"])
    rows, what = handoff_rows(log, hours).filter(judged), "handoffs"
    if rows.is_empty():
        rows, what = log.steps.filter(judged), "steps"
    if rows.is_empty():
        raise NotInLogError("no outcome of a handoff or a step is recorded in it")
    kind = _towards() if what == "handoffs" else pl.col("activity")
    right = (pl.col("outcome").cast(pl.String) == "ok").cast(pl.Float64)
    rows = rows.with_columns(y=right, kind=kind)
    if rows["y"].n_unique() == 1:
        same = "right" if rows["y"][0] else "wrong"
        raise NotIdentifiableError(
            f"all {rows.height:,} {what} with an outcome are {same} first time: what does not vary"
            " has no shares"
        )
    # Where nothing ever failed (or all did) the effect of the kind has no finite estimate, and
    # such rows say nothing of what varies: leaving them out changes no other estimate.
    varies = rows.filter(pl.col("y").n_unique().over("kind") > 1)
    found = _laid_out(log, varies, "right_first_time", what, graded=("wrong", "right"))
    if lost := rows.height - varies.height:
        note = (
            f"{lost:,} of {rows.height:,} {what} are of a kind that always had the same outcome:"
            " they tell nothing of what varies and are left out."
        )
        return _noted(found, note)
    return found


def _severity(log: EventLog, hours: WorkingHours) -> Measured:
    name = _column(log, ALIASES["severity"])
    if name is None:
        raise NotInLogError("no column of it is called severity")
    text = pl.col(name).cast(pl.String).str.strip_chars().str.to_lowercase()
    rows = log.frame.with_columns(kind=pl.lit("deviation"), grade=text)
    rows = rows.filter(pl.col("grade").is_not_null() & (pl.col("grade") != ""))
    if rows.is_empty():
        raise NotInLogError("no severity is recorded in it")
    order = _grades(rows["grade"].unique().to_list())
    names = sorted(order, key=lambda grade: order[grade])
    ranks = sorted(set(order.values()))
    rows = rows.with_columns(
        y=pl.col("grade").replace_strict(
            {grade: float(ranks.index(order[grade])) for grade in names}, return_dtype=pl.Float64
        )
    )
    return _laid_out(log, rows, "severity", "deviations", graded=tuple(names))


_MAKERS: dict[str, Callable[[EventLog, WorkingHours], Measured]] = {
    "dwell": _dwell,
    "step_duration": _duration,
    "viability": _viability,
    "right_first_time": _right,
    "severity": _severity,
}
assert tuple(_MAKERS) == OUTCOMES


def _grades(words: list[str]) -> dict[str, float]:
    """Return each word's place in the order of severity."""
    known = {word: float(i) for i, same in enumerate(GRADES) for word in same}
    if all(word in known for word in words):
        return {word: known[word] for word in words}
    try:
        return {word: float(word) for word in words}
    except ValueError:
        strange = next(word for word in words if word not in known)
        raise NotInLogError(
            f"its severity {strange!r} is neither a number nor one of"
            f" {', '.join(word for same in GRADES for word in same)}"
        ) from None


def _towards() -> pl.Expr:
    return pl.col("activity").cast(pl.String).str.split(" → ").list.last()


def _column(log: EventLog, names: tuple[str, ...]) -> str | None:
    """Return the attribute that bears one of `names`, the most telling first."""
    by_plain = {plain(name.removeprefix("case:")): name for name in reversed(log.attributes)}
    return next((by_plain[name] for name in names if name in by_plain), None)


def _laid_out(
    log: EventLog, rows: pl.DataFrame, outcome: str, what: str, graded: tuple[str, ...] = ()
) -> Measured:
    """Add the sources of variability to `rows` (``y``, ``kind`` and columns of the log)."""
    notes: list[str] = []
    clock = pl.col("enqueue").dt.convert_time_zone(log.zone) if log.zone else pl.col("enqueue")
    week = pl.when(clock.dt.weekday() > 5).then(pl.lit("weekend")).otherwise(pl.lit("weekday"))
    giver, receiver = (pl.col(side).cast(pl.String) for side in ("giver", "receiver"))
    handed = what == "handoffs"
    team = "receiving team" if handed else "team"
    # Where a site is the whole name of a group, organisation and team are the same grouping: that
    # is found and said when the design is built.
    sources: dict[str, pl.Expr] = {
        "patient": pl.col("case").cast(pl.String),
        "shift": pl.concat_str([week, (clock.dt.hour() // SHIFT_H).cast(pl.String)], separator=" "),
        team: receiver,
    }
    if handed:
        sources["pair"] = pl.concat_str([giver, receiver], separator=" → ")
    sources["organisation"] = site(receiver)
    absent, joined = [], rows
    for source, names in COLUMNS.items():
        column = _column(log, names)
        if column is None:
            absent.append(source)
            continue
        if plain(column.removeprefix("case:")) not in (plain(source), *OWN):
            notes.append(f"{source} is read from the column {column!r}.")
        joined = _with_attribute(log, joined, column, source)
        sources[source] = pl.col(f"@{source}")
    table = joined.select(
        "y", _common(graded).alias("kind"), *(e.alias(n) for n, e in sources.items())
    )
    for source in [s for s in sources if s != "patient"]:
        missing = table[source].null_count() / max(1, table.height)
        if missing > MOST_MISSING:
            table = table.drop(source)
            notes.append(
                f"{source} is missing in {missing:.0%} of the rows: it is left out of the split."
            )
    if absent:
        notes.append(f"Not in this log, so no part of the split: {', '.join(absent)}.")
    factors = [Factor(name, LAYER[name]) for name in sources if name in table.columns]
    factors.sort(key=lambda factor: LAYERS.index(factor.layer))
    covariates = ("kind",) if table["kind"].n_unique() > 1 else ()
    return Measured(
        outcome, table, factors, what, bool(graded), graded, covariates, tuple(notes)
    )  # fmt: skip


def _common(graded: tuple[str, ...]) -> pl.Expr:
    """Keep the kinds of work that are common, and put the others together."""
    kind = pl.col("kind").cast(pl.String)
    common = pl.len().over(kind) >= OFTEN
    if graded:
        ones = (pl.col("y") > 0).sum().over(kind)
        common &= (ones >= RARE) & (pl.len().over(kind) - ones >= RARE)
    return pl.when(common).then(kind).otherwise(pl.lit("other"))


def _with_attribute(log: EventLog, rows: pl.DataFrame, column: str, source: str) -> pl.DataFrame:
    """Add ``@source``: the row's own value, else that of the event at which it was received."""
    text = pl.col(column).cast(pl.String)
    if column in rows.columns:
        value = text
    else:
        # Handoffs, without the columns of the source. One that was derived from events bears the
        # row of the receiving event, whose attributes stand on that step.
        key = ["row", "case"]
        mine = log.handoffs.select(*key, text.alias("@own")).unique(key, keep="first")
        there = log.steps.select(*key, text.alias("@there")).unique(key, keep="first")
        for part in (mine, there):
            rows = rows.join(part, on=key, how="left", maintain_order="left")
        value = pl.coalesce("@own", "@there")
    named = pl.when(value.str.strip_chars() != "").then(value).alias(f"@{source}")
    return rows.with_columns(named).drop("@own", "@there", strict=False)


def _noted(found: Measured, note: str) -> Measured:
    return replace(found, notes=(note, *found.notes))
