"""What goes into the background process of learning and what comes out: plain, can be pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date


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


@dataclass(frozen=True)
class Task:
    """Which log, seen by whom, cut to what.

    `source` is ``record``, ``simulated:NETWORK`` or ``log:ID``; of the record, `organisation` sees
    its own journeys up to `position`. `order` is the protocol's activities, each
    with those that it comes after; `outcome` is what the layers split; `names` what groups are
    called where figures show them.
    """

    url: str
    source: str
    organisation: str
    position: int = 0
    protocol: str | None = None
    since: date | None = None
    until: date | None = None
    site: str | None = None
    order: tuple[tuple[str, tuple[str, ...]], ...] = ()
    outcome: str = "dwell"
    names: Names = NOBODY


@dataclass(frozen=True)
class Drawn:
    """A figure as it is shown and handed out; `rows` are the first of its table, as text."""

    key: str
    title: str
    sentence: str
    basis: str
    headline: str
    svg: str
    csv: bytes
    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[tuple[str, bool], ...], ...]
    height: int


@dataclass(frozen=True)
class Made:
    """A chapter: its figures and notes, or in `problem` why there is none."""

    figures: tuple[Drawn, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class About:
    """What a log is, and what its reader noticed.

    `quick` says that half its handoffs took less than half a minute each: a record that was played
    faster than life, whose hours are too small to read.
    """

    source: str
    facts: dict[str, str]
    notes: tuple[str, ...]
    sites: tuple[str, ...]
    activities: tuple[str, ...]
    quick: bool = False


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
