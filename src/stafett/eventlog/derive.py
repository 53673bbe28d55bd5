"""From plain events to the table: a change of group between consecutive events is a handoff.

An event names its case, its activity, its time and, if it can, the group that did it. Its step
runs from its start (or, where only one time is recorded, happens at that time). Between two
consecutive events of a case, the time from the end of the first to the start of the second is the
dwell of a handoff when the group changes, and waiting inside the group when it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from stafett.eventlog.problems import LogUnreadableError, Problem
from stafett.eventlog.table import KIND, OUTCOMES, SCHEMA, EventLog, validated
from stafett.eventlog.times import check_zone, parse_times

NO_GROUP = ("", "?", "na", "n/a", "nan", "null", "none", "unknown", "-", "empty")
WORDS_FOR_OUTCOMES = {
    "pass": "ok", "passed": "ok", "accept": "ok", "accepted": "ok", "success": "ok", "true": "ok",
    "accepted with deviation": "deviation", "accept_with_deviation": "deviation",
    "accepted_with_deviation": "deviation", "mismatch": "deviation", "refuse": "refused",
    "rejected": "refused", "quarantine": "quarantined", "reworked": "rework", "loss": "lost",
    "fail": "failed", "failure": "failed", "false": "failed", "error": "failed",
    "censored": "withdrawn", "died": "withdrawn", "cancelled": "withdrawn",
}  # fmt: skip
TIMES = ("enqueue", "start", "end")
TEXT = ("outcome", "detected_at", "deviation", "origin")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a reader is to treat what it finds. `without` are activities that it leaves out."""

    zone: str | None = None
    time_format: str | None = None
    skip_bad: bool = False
    without: tuple[str, ...] = ()


AS_IT_IS = Reading()


def log_from_events(
    events: pl.DataFrame,
    columns: Mapping[str, str],
    reading: Reading = AS_IT_IS,
    *,
    source: str = "",
    skipped: tuple[Problem, ...] = (),
    notes: tuple[str, ...] = (),
) -> EventLog:
    """Build the table from events (one row each, text columns) and the roles of their columns.

    `events` may carry an Int64 column ``row``, the place of each event in its source. Columns with
    no role stay as attributes of the step; those whose name begins with ``case:`` also of handoffs.

    Raises:
        LogUnreadableError: broken rows (unless skipped), or nothing left to read.
    """
    check_zone(reading.zone)
    remarks = list(notes)
    frame = events if "row" in events.columns else events.with_row_index("row", offset=1)
    frame = frame.with_columns(pl.col("row").cast(pl.Int64))
    frame, unzoned = _with_roles(frame, columns, reading)
    frame, bad = _without_broken(frame, reading)
    if frame.is_empty():
        raise LogUnreadableError(bad or "the log has no events", "Nothing is left to read.")
    frame = _without_activities(frame, reading.without, remarks)
    if unzoned:
        remarks.append(_about_zone(unzoned, reading.zone))
    if "kind" in frame.columns:
        table, worse = _given_table(frame, reading)
    else:
        table, worse = _derived(frame, remarks, reading)
    table = _known_outcomes(table, remarks)
    table, invalid = validated(table, skip_bad=reading.skip_bad)
    problems = (*skipped, *bad, *worse, *invalid)
    if problems:
        remarks.append(
            f"{len(problems):,} broken row{'s' * (len(problems) > 1)} of "
            f"{events.height + len(skipped):,} left out; the first: {problems[0]}."
        )
    return EventLog(table, source, reading.zone, tuple(remarks), problems)


def _with_roles(
    frame: pl.DataFrame, columns: Mapping[str, str], reading: Reading
) -> tuple[pl.DataFrame, int]:
    """Rename the columns to their roles, read the times, clean the groups."""
    unzoned = 0
    new: list[pl.Series | pl.Expr] = []
    for role, column in columns.items():
        if role in TIMES:
            times = parse_times(frame[column], zone=reading.zone, fmt=reading.time_format)
            unzoned = max(unzoned, times.without_zone)
            new.append(times.values.alias(f"@{role}"))
            new.append(
                (times.values.is_null() & (frame[column].cast(pl.String) != "")).alias(
                    f"@bad_{role}"
                )
            )
            new.append(frame[column].alias(f"@text_{role}"))
        else:
            text = pl.col(column).cast(pl.String)
            if role in ("group", "giver", "receiver"):
                text = pl.when(~text.str.strip_chars().str.to_lowercase().is_in(NO_GROUP)).then(
                    text
                )
            else:
                text = pl.when(text != "").then(text)
            new.append(text.alias(f"@{role}"))
    used = set(columns.values())
    frame = frame.with_columns(new)
    # An attribute may bear the name of a role that another column plays: keep it, told apart.
    plain = {
        c: f"{c} (source)"
        for c in frame.columns
        if c in {*SCHEMA, "group", *columns} - {"row"} and c not in used
    }
    frame = frame.drop([c for c in used if c in frame.columns]).rename(plain)
    return frame.rename({f"@{role}": role for role in columns}), unzoned


def _without_activities(
    frame: pl.DataFrame, names: tuple[str, ...], remarks: list[str]
) -> pl.DataFrame:
    """Leave activities out, before neighbours are read: what stood around them stands together."""
    for name in names:
        kept = frame.filter((pl.col("activity") != name).fill_null(True))
        if kept.height == frame.height:
            raise LogUnreadableError(f"there is no activity {name!r} to leave out")
        if kept.is_empty():
            raise LogUnreadableError(f"without {name!r} nothing is left to read")
        remarks.append(f"{name}: {frame.height - kept.height:,} events left out, as asked.")
        frame = kept
    return frame


def _without_broken(frame: pl.DataFrame, reading: Reading) -> tuple[pl.DataFrame, list[Problem]]:
    """Leave out the rows without case, activity or readable time, or refuse."""
    times = [role for role in ("end", "start", "enqueue") if role in frame.columns]
    needed = next(role for role in times)
    tests: list[tuple[pl.Expr, str]] = [
        (pl.col("case").is_null(), "no case is named"),
        (pl.col("activity").is_null(), "no activity is named"),
        *[
            (pl.col(f"@bad_{role}").fill_null(False), f"its {role} time cannot be read: ")
            for role in times
        ],
    ]
    if "kind" not in frame.columns:
        missing = pl.col(needed).is_null() & ~pl.any_horizontal(
            [pl.col(f"@bad_{r}").fill_null(False) for r in times]
        )
        if needed == "end" and "start" in frame.columns:
            missing = missing & pl.col("start").is_null()
        tests.append((missing, "it has no time"))
    helpers = [c for c in frame.columns if c.startswith(("@bad_", "@text_"))]
    broken = pl.any_horizontal([test for test, _ in tests])
    rows = frame.filter(broken)
    problems: list[Problem] = []
    if rows.height:
        for test, reason in tests:
            for found in rows.filter(test).iter_rows(named=True):
                text = reason
                if "cannot be read" in reason:
                    text += repr(found[f"@text_{reason.split()[1]}"])
                problems.append(Problem(text, found["row"]))
        problems.sort(key=lambda problem: problem.row or 0)
        if not reading.skip_bad:
            hint = "Mend these rows, or leave them out with --skip-bad (they will be counted)."
            if rows.height == frame.height and all("cannot be read" in p.reason for p in problems):
                hint = (
                    "No time of the log can be read: say how they are written with --time-format, "
                    "for example '%d/%m/%Y %H:%M'."
                )
            raise LogUnreadableError(problems, hint)
        frame = frame.filter(~broken)
    return frame.drop(helpers), problems


def _about_zone(unzoned: int, zone: str | None) -> str:
    if zone is not None:
        return f"{unzoned:,} times named no zone; they were read as {zone}, as stated."
    return (
        f"{unzoned:,} times name no time zone and none was stated: durations across a change to or "
        "from daylight saving may be wrong by an hour, and hours of the day are those written. "
        "State the zone with --zone."
    )


def _given_table(frame: pl.DataFrame, reading: Reading) -> tuple[pl.DataFrame, list[Problem]]:
    """Take a file that already has steps and handoffs (column kind)."""
    known = pl.col("kind").is_in(["step", "handoff"]).fill_null(False)
    problems = [
        Problem(f"its kind is {kind!r}, neither step nor handoff", row)
        for kind, row in frame.filter(~known).select("kind", "row").iter_rows()
    ]
    if problems and not reading.skip_bad:
        raise LogUnreadableError(problems)
    frame = frame.filter(known).with_columns(pl.col("kind").cast(KIND))
    if "group" in frame.columns:
        for side in ("giver", "receiver"):
            have = [pl.col(side)] if side in frame.columns else []
            group = pl.when(pl.col("kind") == "step").then(pl.col("group"))
            frame = frame.with_columns(pl.coalesce(*have, group).alias(side))
        frame = frame.drop("group")
    if "start" not in frame.columns:
        frame = frame.with_columns(
            pl.coalesce([c for c in ("enqueue", "end") if c in frame.columns]).alias("start")
        )
    return frame.sort("case", "start", "row", maintain_order=True), problems


def _derived(
    frame: pl.DataFrame, remarks: list[str], reading: Reading
) -> tuple[pl.DataFrame, list[Problem]]:
    """Derive steps and handoffs from events."""
    if "lifecycle" in frame.columns:
        frame = _paired(frame, remarks)
    for role in ("start", "end"):
        if role not in frame.columns:
            frame = frame.with_columns(pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias(role))
    if frame["start"].null_count() == frame.height:
        remarks.append(
            "The log records one time per event: the work of a step cannot be told from the wait "
            "before it, so the dwell of a handoff includes the receiver's first step."
        )
    frame = frame.with_columns(pl.coalesce("start", "end").alias("start"))
    problems: list[Problem] = []
    reversed_rows = frame.filter(pl.col("end") < pl.col("start"))["row"]
    if reversed_rows.len():
        problems = [Problem("it ends before it starts", row) for row in reversed_rows]
        if not reading.skip_bad:
            raise LogUnreadableError(
                problems, "Mend these rows, or leave them out with --skip-bad."
            )
        frame = frame.filter((pl.col("end") >= pl.col("start")).fill_null(True))
    frame = _ordered(frame, remarks)
    if "group" not in frame.columns:
        remarks.append(
            "The log names no groups, so no handoff can be seen in it. If a column says who did "
            "the work, state it: --column group=NAME."
        )
        frame = frame.with_columns(pl.lit(None, dtype=pl.Categorical).alias("group"))
    elif without := frame["group"].null_count():
        remarks.append(
            f"{without:,} of {frame.height:,} events name no group: handoffs beside them cannot "
            "be seen and are not counted."
        )
    return _steps_and_handoffs(frame, remarks), problems


def _paired(frame: pl.DataFrame, remarks: list[str]) -> pl.DataFrame:
    """Join the start (and schedule) and the completion of the same work into one row."""
    life = pl.col("lifecycle").str.to_lowercase()
    if not frame.select(life.is_in(["start", "schedule"]).any()).item():
        return frame
    time = "end" if "end" in frame.columns else "start"
    key = ["case", "activity", *(["resource"] if "resource" in frame.columns else [])]
    frame = frame.sort(time, "row").with_columns(
        life.alias("@life"), pl.int_range(pl.len()).over([*key, life]).alias("@nth")
    )
    other = frame.filter(~pl.col("@life").is_in(["start", "schedule", "complete"]))
    complete = frame.filter(pl.col("@life") == "complete")
    on = [*key, "@nth"]
    for word, role in (("start", "start"), ("schedule", "enqueue")):
        begun = frame.filter(pl.col("@life") == word).select(*on, pl.col(time).alias(f"@{role}"))
        complete = complete.join(begun, on=on, how="left", nulls_equal=True)
        have = [pl.col(role)] if role in complete.columns and role != time else []
        complete = complete.with_columns(pl.coalesce(*have, pl.col(f"@{role}")).alias(role)).drop(
            f"@{role}"
        )
    starts = frame.filter(pl.col("@life") == "start")
    open_ = starts.join(complete.select(on), on=on, how="anti", nulls_equal=True).with_columns(
        pl.col(time).alias("start"), pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias("end"),
        pl.lit("open").alias("outcome"),
    )  # fmt: skip
    if open_.height:
        remarks.append(f"{open_.height:,} pieces of work were begun and not completed in the log.")
    if other.height:
        remarks.append(f"{other.height:,} events of other life-cycle stages were left aside.")
    return pl.concat([complete, open_], how="diagonal").drop("@life", "@nth", "lifecycle")


def _ordered(frame: pl.DataFrame, remarks: list[str]) -> pl.DataFrame:
    """Order by case (as they appear), time and row; say what was out of order or tied."""
    names = [
        c
        for c in ("case", "activity", "group", "outcome", "detected_at", "deviation", "origin")
        if c in frame.columns
    ]
    frame = frame.with_columns(pl.col(names).cast(pl.Categorical))
    frame = frame.with_columns(pl.col("row").min().over("case").alias("@case"))
    by_row = frame.sort("@case", "row")
    same = pl.col("@case") == pl.col("@case").shift(1)
    back = by_row.select((same & (pl.col("start") < pl.col("start").shift(1))).sum()).item()
    frame = frame.sort("@case", "start", "row") if back else by_row
    tied = frame.select((same & (pl.col("start") == pl.col("start").shift(1))).sum()).item()
    if back:
        remarks.append(
            f"{back:,} events stand before an earlier event of their case; ordered by time."
        )
    if tied:
        remarks.append(
            f"{tied:,} events bear the same time as the event before them; the order of the file "
            "decides between them."
        )
    return frame


def _steps_and_handoffs(frame: pl.DataFrame, remarks: list[str]) -> pl.DataFrame:
    """One row per step, and one before it wherever the group changed."""
    same = (pl.col("@case") == pl.col("@case").shift(1)).fill_null(False)
    before = pl.coalesce(pl.col("end"), pl.col("start")).shift(1)
    change = (same & (pl.col("group") != pl.col("group").shift(1))).fill_null(False)
    recorded = (
        pl.col("enqueue")
        if "enqueue" in frame.columns
        else pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    )
    frame = frame.with_columns(
        change.alias("@change"),
        pl.when(same).then(before).alias("@before"),
        pl.col("group").shift(1).alias("@giver"),
        pl.col("activity").shift(1).alias("@from"),
        pl.when(recorded.is_not_null())
        .then(pl.min_horizontal(recorded, "start"))
        .alias("@recorded"),
    )
    overlapping = frame.select(
        (pl.col("@change") & (pl.col("start") < pl.col("@before"))).sum()
    ).item()
    if overlapping:
        remarks.append(
            f"At {overlapping:,} handoffs the receiver began before the giver had finished; "
            "their dwell is taken as none."
        )
    waited = pl.when(~pl.col("@change")).then(pl.min_horizontal("@before", "start"))
    steps = frame.with_columns(
        pl.lit("step", dtype=KIND).alias("kind"),
        pl.col("group").alias("giver"),
        pl.col("group").alias("receiver"),
        pl.coalesce("@recorded", waited, "start").alias("enqueue"),
        pl.int_range(1, 2 * pl.len() + 1, 2).alias("@seq"),
    ).drop("group", "@case", "@change", "@before", "@giver", "@from", "@recorded")
    taken = pl.coalesce("@recorded", "start")
    shared = [c for c in frame.columns if c.startswith("case:")]
    pairs = pl.concat_str(
        [pl.col("@from").cast(pl.String), pl.lit(" → "), pl.col("activity").cast(pl.String)]
    )
    handoffs = (
        frame.with_columns(pl.int_range(0, 2 * pl.len(), 2).alias("@seq"))
        .filter(pl.col("@change"))
        .select(
            "case",
            pairs.cast(pl.Categorical).alias("activity"),
            pl.lit("handoff", dtype=KIND).alias("kind"),
            pl.col("@giver").alias("giver"),
            pl.col("group").alias("receiver"),
            pl.min_horizontal("@before", taken).alias("enqueue"),
            pl.min_horizontal("@before", taken).alias("start"),
            taken.alias("end"),
            "row",
            "@seq",
            *shared,
        )
    )
    return pl.concat([steps, handoffs], how="diagonal").sort("@seq").drop("@seq")


def _known_outcomes(frame: pl.DataFrame, remarks: list[str]) -> pl.DataFrame:
    """Translate the usual words for outcomes; what is not understood counts as not recorded."""
    if "outcome" not in frame.columns:
        return frame
    words = frame.group_by(pl.col("outcome").cast(pl.String)).len().drop_nulls().iter_rows()
    known: dict[str, str] = {}
    for word, count in words:
        lower = word.strip().lower()
        outcome = lower if lower in OUTCOMES else WORDS_FOR_OUTCOMES.get(lower)
        if outcome is None:
            remarks.append(
                f"The outcome {word!r} ({count:,} rows) is not understood: counted as not recorded."
            )
        else:
            known[word] = outcome
    return frame.with_columns(
        pl.col("outcome")
        .cast(pl.String)
        .replace_strict(known, default=None, return_dtype=pl.String)
        .alias("outcome")
    )
