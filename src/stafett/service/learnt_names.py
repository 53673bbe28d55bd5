"""Groups of the record by what people call them: for showing, after all is known by identifiers.

The record says ``university-hospital / treating_clinic``; a page says "Norra universitetssjukhuset
/ Treating clinic". Organisations and roles are renamed in the log just before figures are drawn;
what is asked and registered (a site, the starts of a trial) stays by identifier outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl
from msgspec import structs

from stafett.eventlog import EventLog
from stafett.insight.registered import Trial

GROUPS = ("giver", "receiver")


@dataclass(frozen=True)
class Names:
    """What organisations and roles are called, by their identifiers."""

    organisations: tuple[tuple[str, str], ...] = ()
    roles: tuple[tuple[str, str], ...] = ()

    def site(self, identifier: str) -> str:
        """Return what an organisation is called."""
        return _distinct(dict(self.organisations)).get(identifier, identifier)

    def group(self, identifier: str) -> str:
        """Return what a group ``organisation / role`` is called."""
        organisation, slash, role = identifier.partition(" / ")
        return f"{self.site(organisation)}{slash}{_distinct(dict(self.roles)).get(role, role)}"


NOBODY = Names()


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


def _distinct(names: Mapping[str, str]) -> dict[str, str]:
    """Two that are called the same keep their identifiers; so does what would be read apart."""
    count: dict[str, int] = {}
    for name in names.values():
        count[name] = count.get(name, 0) + 1
    return {
        key: name
        for key, name in names.items()
        if count[name] == 1 and " / " not in name and ": " not in name and " → " not in name
    }
