"""What FHIR resources of each journey are found by: so that a search opens few journeys.

For every journey that was looked at, up to which event; the identifiers of its resources; the words
and references of every other parameter; and when the latest of them changed. A search passes over a
journey that cannot answer, and opens it where that is not known. Never more: an index that said no
to a journey that answers would hide a patient's record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from stafett.exchange.fhir_search import (
    Facet,
    Search,
    facets,
    identifiers,
    since,
    wanted_facets,
)
from stafett.exchange.fhir_write import Version

Json = dict[str, Any]


class _Known(NamedTuple):
    position: int
    facets: frozenset[Facet]
    latest: datetime


class FhirIndex:
    """The index of one process, in memory; about 100 bytes and its identifiers for a journey."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Version], _Known] = {}
        self._having: dict[tuple[Version, str], set[str]] = {}
        # Journeys that stand alike have the same words: each set of words is kept once.
        self._alike: dict[frozenset[Facet], frozenset[Facet]] = {}

    def knows(self, journey: str, version: Version, position: int) -> bool:
        """Say whether a journey was learnt as it is now."""
        known = self._known.get((journey, version))
        return known is not None and known.position == position

    def learn(
        self, journey: str, version: Version, position: int, resources: Iterable[Json],
        about: Mapping[str, str],
    ) -> None:  # fmt: skip
        """Note what a journey's resources are found by; `position` as its row on the board."""
        every = list(resources)
        for value in {v for one in every for v in identifiers(one)} | {about["identifier"]}:
            self._having.setdefault((version, value), set()).add(journey)
        found = frozenset(facet for one in every for facet in facets(one))
        changed = (datetime.fromisoformat(one["meta"]["lastUpdated"]) for one in every)
        latest = max(changed, default=datetime.min.replace(tzinfo=UTC))
        self._known[journey, version] = _Known(
            position, self._alike.setdefault(found, found), latest
        )

    def may_answer(self, journey: str, version: Version, position: int, asked: Search) -> bool:
        """Say False only where no resource of the journey, as it is now, answers to a search."""
        known = self._known.get((journey, version))
        if known is None or known.position != position:
            return True
        names = asked.identified()
        if names is not None and not any(
            journey in self._having.get((version, name), ()) for name in names
        ):
            return False
        if any(known.facets.isdisjoint(wanted) for wanted in wanted_facets(asked)):
            return False
        return all(known.latest >= low for low in since(asked))
