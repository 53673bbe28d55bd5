"""Groups of the record by what people call them: for showing, after all is known by identifiers.

The record says ``university-hospital / treating_clinic``; a page says "Norra universitetssjukhuset
/ Treating clinic". Organisations and roles are renamed in the log just before figures are drawn;
what is asked and registered (a site, the starts of a trial) stays by identifier outside.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl
from msgspec import structs

from stafett.eventlog import EventLog
from stafett.insight.registered import Trial
from stafett.service.learnt import Names

GROUPS = ("giver", "receiver")


def named(log: EventLog, names: Names) -> EventLog:
    """Return `log` with its groups by name."""
    if not names.organisations:
        return log
    told = {column: _renamed(log.frame[column], names) for column in GROUPS if column in log.frame}
    judgements = log.judgements
    if judgements.height:
        judgements = judgements.with_columns(_renamed(judgements["judge"], names))
    return replace(log, frame=log.frame.with_columns(**told), judgements=judgements)


def trial_named(trial: Trial, names: Names) -> Trial:
    """Return `trial` with its sites by name."""
    starts = {names.site(site): day for site, day in trial.starts.items()}
    return structs.replace(trial, starts=starts)


def _renamed(column: pl.Series, names: Names) -> pl.Series:
    values = column.cast(pl.String)
    known = {value: names.group(value) for value in values.drop_nulls().unique()}
    return values.replace(known).cast(column.dtype).alias(column.name)
