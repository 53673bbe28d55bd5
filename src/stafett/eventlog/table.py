"""The one analytic table: what is learned and what is designed both read it.

One row is one piece of work on one case: a *step* inside one group, or a *handoff* between two.

====================  =========================================================================
case                  the journey (or trace) it belongs to
activity              the step's or the interface's name
kind                  ``step`` or ``handoff``
giver, receiver       who hands over, who takes over; on a step both are the group that did it;
                      null where the log does not say
enqueue               when the work could have begun (a handoff: when the giver was done)
start                 when it was begun (a handoff: when the receiver began to take over)
end                   when it was done; null while it is still open
outcome               one of `OUTCOMES`; null where the log does not record it
detected_at           the activity at which trouble with this row was found; null when none was
deviation             kind of deviation (DESIGN.md, Words); null when none was recorded
origin                the activity that a recorded cause code names; null when none was recorded
row                   row of the source, to cite it (a handoff: the row of the receiving event)
====================  =========================================================================

The rows of a case stand together, in its own order: what follows what is read off neighbours.
Times are UTC with microseconds; in a log without time zones they are the clock as written, and
`EventLog.zone` is None. Every further column is an attribute of the source, kept as text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

import polars as pl

from stafett.eventlog.problems import LogUnreadableError, Problem

STAMP = pl.Datetime("us", "UTC")
KIND = pl.Enum(["step", "handoff"])

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "case": pl.Categorical,
    "activity": pl.Categorical,
    "kind": KIND,
    "giver": pl.Categorical,
    "receiver": pl.Categorical,
    "enqueue": STAMP,
    "start": STAMP,
    "end": STAMP,
    "outcome": pl.Categorical,
    "detected_at": pl.Categorical,
    "deviation": pl.Categorical,
    "origin": pl.Categorical,
    "row": pl.Int64,
}

JUDGEMENTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "case": pl.String,
    "activity": pl.String,
    "check": pl.String,
    "unit": pl.String,
    "judge": pl.String,
    "answer": pl.String,
    "version": pl.String,
}

# What became of a piece of work. `ok` alone is "right first time".
OUTCOMES = (
    "ok",
    "deviation",
    "refused",
    "quarantined",
    "rework",
    "lost",
    "failed",
    "withdrawn",
    "open",
)


@dataclass(frozen=True)
class EventLog:
    """A validated table, with what its reader noticed and what it left out.

    `notes` are sentences for the reader of a report. `skipped` are the rows left out because they
    were broken (only when the caller asked to skip). `zone` is the IANA name of the zone in which
    clock hours are to be read, None when the log has none. `judgements` are what several were asked
    about the same thing (columns `JUDGEMENTS`): a unit is one check on one thing, at one passage.
    """

    frame: pl.DataFrame
    source: str = ""
    zone: str | None = None
    notes: tuple[str, ...] = ()
    skipped: tuple[Problem, ...] = field(default=())
    judgements: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=JUDGEMENTS))

    @property
    def steps(self) -> pl.DataFrame:
        """The rows of kind step."""
        return self.frame.filter(pl.col("kind") == "step")

    @property
    def handoffs(self) -> pl.DataFrame:
        """The rows of kind handoff."""
        return self.frame.filter(pl.col("kind") == "handoff")

    @property
    def cases(self) -> int:
        """The number of cases."""
        return self.frame["case"].n_unique()

    @property
    def period(self) -> tuple[datetime, datetime] | None:
        """The first start and the last end; None for an empty log."""
        first, last = self.frame["start"].min(), self.frame["end"].max()
        if not isinstance(first, datetime):
            return None
        return first, last if isinstance(last, datetime) else first

    @property
    def attributes(self) -> list[str]:
        """The columns that come from the source beyond the schema."""
        return [name for name in self.frame.columns if name not in SCHEMA]

    def with_notes(self, notes: Iterable[str]) -> EventLog:
        """Return the same log with further notes."""
        return replace(self, notes=(*self.notes, *notes))


def validated(frame: pl.DataFrame, *, skip_bad: bool = False) -> tuple[pl.DataFrame, list[Problem]]:
    """Return `frame` with the schema's columns and types, and the problems of the rows left out.

    Missing optional columns become null. Each case's rows are brought together at the place of its
    first row, in the order in which they came.

    Raises:
        LogUnreadableError: a required column (case, activity, kind, start) is missing, or rows
            break a rule and `skip_bad` is false.
    """
    missing = [name for name in ("case", "activity", "kind", "start") if name not in frame.columns]
    if missing:
        raise LogUnreadableError(f"the table has no column {', '.join(map(repr, missing))}")
    casts = []
    for name, dtype in SCHEMA.items():
        if name not in frame.columns:
            default = pl.int_range(pl.len(), dtype=pl.Int64) if name == "row" else pl.lit(None)
            casts.append(default.cast(dtype).alias(name))
        elif frame.schema[name] != dtype:
            casts.append(pl.col(name).cast(dtype))
    extra = [name for name in frame.columns if name not in SCHEMA]
    frame = frame.with_columns(casts).select([*SCHEMA, *extra])
    frame = frame.with_columns(pl.coalesce("enqueue", "start").alias("enqueue"))
    problems = _broken(frame)
    if problems and not skip_bad:
        raise LogUnreadableError(
            problems, "Mend these rows, or leave them out with --skip-bad (they will be counted)."
        )
    if problems:
        frame = frame.filter(~pl.any_horizontal([rule for rule, _ in _rules()]))
    return _together(frame), problems


def _together(frame: pl.DataFrame) -> pl.DataFrame:
    """Bring each case's rows together where a source (a simulation, a ledger) interleaves them."""
    runs = frame.select((pl.col("case") != pl.col("case").shift(1)).sum()).item() + 1
    if runs <= max(1, frame["case"].n_unique()):
        return frame
    numbered = frame.with_row_index("@place")
    return numbered.sort(pl.col("@place").min().over("case"), "@place").drop("@place")


def _rules() -> list[tuple[pl.Expr, str]]:
    known = pl.col("outcome").cast(pl.String).is_in(OUTCOMES) | pl.col("outcome").is_null()
    return [
        (pl.col("case").is_null(), "no case is named"),
        (pl.col("activity").is_null(), "no activity is named"),
        (pl.col("start").is_null(), "it has no time"),
        ((pl.col("end") < pl.col("start")).fill_null(False), "it ends before it starts"),
        (
            (pl.col("start") < pl.col("enqueue")).fill_null(False),
            "it starts before it could have begun (enqueue is later than start)",
        ),
        (
            (
                (pl.col("kind") == "handoff")
                & (pl.col("giver").cast(pl.String) == pl.col("receiver").cast(pl.String))
            ).fill_null(False),
            "a handoff whose giver and receiver are the same",
        ),
        (~known, f"its outcome is none of {', '.join(OUTCOMES)}"),
    ]


def _broken(frame: pl.DataFrame) -> list[Problem]:
    found = []
    for rule, reason in _rules():
        rows = frame.lazy().filter(rule).select("row").collect()["row"]
        found += [Problem(reason, row) for row in rows]
    return sorted(found, key=lambda problem: problem.row or 0)
