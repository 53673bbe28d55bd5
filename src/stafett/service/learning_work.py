"""What the background process of learning does: read a log, make one chapter of it.

Everything here runs in a process of its own at low priority (`service.learning`), so that no
analysis delays a scan. What goes in and out is plain and can be pickled.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
import psycopg

from stafett.design.compile import compile_system
from stafett.design.reading import load
from stafett.design.record import record
from stafett.eventlog import EventLog, LogUnreadableError, Reading, log_from_journeys, read_log
from stafett.insight.pictures.svg import Figure
from stafett.insight.registered import Trial
from stafett.insight.report.assemble import CHAPTERS, Options, facts
from stafett.insight.report.page import as_csv, cell
from stafett.insight.report.process_figures import usual_order
from stafett.insight.sites import sites
from stafett.ledger import leaf
from stafett.service.learnt import NOBODY, About, Drawn, Made, Task
from stafett.service.learnt_names import named, trial_named

BATCH = 5000
SHOWN = 12
QUICK_MS = 30_000  # no handoff between people takes less than half a minute
SIMULATED_DAYS = 2 * 365.0


def about(task: Task) -> About | str:
    """Say what the log of `task` is; a string says why it cannot be read."""
    try:
        log = _log(task)
    except LogUnreadableError as error:
        return str(error)
    handoffs = log.handoffs["activity"].cast(pl.String).unique().sort()
    took = (log.handoffs["end"] - log.handoffs["enqueue"]).dt.total_milliseconds().median()
    quick = isinstance(took, int | float) and took < QUICK_MS
    return About(log.source, facts(log), log.notes, tuple(sites(log)), tuple(handoffs), quick)


def chapter(task: Task, name: str, trials: tuple[Trial, ...] = ()) -> Made:
    """Make one chapter of the log of `task`."""
    try:
        log = _log(task)
    except LogUnreadableError as error:
        return Made(problem=str(error))
    log = named(log, task.names)
    trials = tuple(trial_named(trial, task.names) for trial in trials)
    after = dict(task.order)
    steps = [name for name in after if name in set(log.steps["activity"].cast(pl.String))]
    reference = usual_order(log, steps) if steps else None
    everyone = _everyone(task) if task.source == "record" and name == "interfaces" else None
    site = task.site and task.names.site(task.site)
    options = Options(
        reference, site=site, trials=trials, everyone=everyone, after=after, outcome=task.outcome,
    )  # fmt: skip
    figures, notes = CHAPTERS[name](log, options)
    return Made(tuple(drawn(f) for f in figures), tuple(notes))


def judged(data: bytes, name: str, zone: str | None) -> dict[str, str] | list[str]:
    """Read a foreign log: what it is, or what is wrong with it."""
    try:
        return facts(_foreign(data, name, zone))
    except LogUnreadableError as error:
        return [*(str(problem) for problem in error.problems[:10]), *filter(None, [error.hint])]


def drawn(figure: Figure) -> Drawn:
    """Lay a figure out for showing and handing out."""
    table = figure.table
    numeric = [dtype.is_numeric() for dtype in table.dtypes]
    names = [name.replace("_", " ") for name in table.columns]
    rows = tuple(
        tuple((cell(value), n) for value, n in zip(row, numeric, strict=True))
        for row in table.head(SHOWN).iter_rows()
    )
    return Drawn(
        figure.key, figure.title, figure.sentence, figure.basis, figure.headline, figure.svg,
        as_csv(figure), tuple(zip(names, numeric, strict=True)), rows, table.height,
    )  # fmt: skip


def _log(task: Task) -> EventLog:
    """Return the log of `task`, whatever is asked of it."""
    return _read(replace(task, outcome="dwell", site=None, names=NOBODY))


@lru_cache(maxsize=3)
def _read(task: Task) -> EventLog:
    kind, _, name = task.source.partition(":")
    match kind:
        case "simulated":
            log = record(compile_system(load(name)), SIMULATED_DAYS, 1)
        case "log":
            log = _kept(task.url, name, task.organisation)
        case _:
            log = _from_record(task.url, task.position, task.organisation, task.protocol)
    return _cut(log, task.since, task.until)


def _cut(log: EventLog, since: date | None, until: date | None) -> EventLog:
    """Keep the journeys that began from `since` to `until` (days in UTC, both included)."""
    if since is None and until is None:
        return log
    began = pl.col("enqueue").min().over("case")
    keep = pl.lit(True)
    if since is not None:
        keep &= began >= datetime.combine(since, datetime.min.time(), UTC)
    if until is not None:
        keep &= began < datetime.combine(until, datetime.min.time(), UTC) + timedelta(days=1)
    frame = log.frame.filter(keep)
    if frame.is_empty():
        raise LogUnreadableError("no journey began in this period: widen it")
    told = log.judgements.filter(pl.col("case").is_in(frame["case"].cast(pl.String).implode()))
    return replace(log, frame=frame, judgements=told)


def _from_record(
    url: str, position: int, organisation: str | None, protocol: str | None
) -> EventLog:
    """Read the record as `organisation` may see it (None: all of it, for aggregates)."""
    entries: list[tuple[int, dict[str, Any]]] = []
    kept: set[str] = set()
    with psycopg.connect(url) as connection:
        if organisation is None:
            connection.execute("SET LOCAL ROLE stafett_append")
        else:
            connection.execute("SET LOCAL ROLE stafett_read")
            connection.execute(
                "SELECT set_config('stafett.organisation', %s, true)", [organisation]
            )
        with connection.cursor("learning") as cursor:
            cursor.itersize = BATCH
            cursor.execute(
                "SELECT position, leaf, leaf_hash FROM ledger.event WHERE position <= %s"
                " ORDER BY position",
                [position],
            )
            for row in cursor:
                event = leaf.read(*row)
                body = event.body.get("event", event.body)
                if body.get("type") == "JourneyOpened" and protocol in (None, body.get("protocol")):
                    kept.add(event.stream)
                if event.stream in kept:
                    entries.append((event.position, {"stream": event.stream, "body": event.body}))
    if not entries:
        raise LogUnreadableError(
            "no journey of yours has begun"
            + (f" under the protocol {protocol}" if protocol else "")
        )
    return log_from_journeys(entries, source="the record", skip_bad=True)


def _everyone(task: Task) -> EventLog | None:
    try:
        log = _from_record(task.url, task.position, None, task.protocol)
        return named(_cut(log, task.since, task.until), task.names)
    except LogUnreadableError:
        return None


def _kept(url: str, name: str, organisation: str) -> EventLog:
    with psycopg.connect(url) as connection:
        connection.execute("SET LOCAL ROLE stafett_append")
        row = connection.execute(
            "SELECT bytes, name, zone FROM insight.log WHERE id = %s AND organisation = %s",
            [name, organisation],
        ).fetchone()
    if row is None:
        raise LogUnreadableError("there is no such log among those you have brought")
    return _foreign(bytes(row[0]), row[1], row[2])


def _foreign(data: bytes, name: str, zone: str | None) -> EventLog:
    with tempfile.TemporaryDirectory() as folder:
        # Only the ending of the name is used: it tells the format.
        plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)[-80:]
        path = Path(folder) / f"log-{plain}"
        path.write_bytes(data)
        log = read_log(path, reading=Reading(zone, None, False))
    return replace(log, source=name)
