"""The audit of reads: who looked at which journey, document or vault entry, and when.

One line per person and thing within WINDOW_S: a page that refreshes itself is one look. An
organisation's auditor sees the looks of its own people by name, and that (not who) of which other
organisation looked at the journeys it takes part in. EU GMP Annex 11, 12; GDPR article 32.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime

import msgspec

from stafett.service import sql
from stafett.service.accounts import Person

WINDOW_S = 600.0
KEPT = 100_000


class Look(msgspec.Struct, frozen=True):
    """One look; `person` is "" where it is another organisation's business who it was.

    `journey` is the one that what was looked at belongs to, if any.
    """

    id: int
    at: datetime
    person: str
    organisation: str
    what: str
    journey: str = ""


class Readings:
    """The looks kept in PostgreSQL; rows are only ever added."""

    def __init__(self, pool: sql.Pool) -> None:
        self._pool = pool
        self._latest: dict[tuple[str, str], float] = {}

    async def note(self, person: Person, kind: str, name: str, journey: str = "") -> None:
        """Note that `person` looks at something, before it is shown to them.

        `journey` is the one it belongs to; a journey belongs to itself.
        """
        what = f"{kind} {name}"
        journey = journey or (name if kind == "journey" else "")
        now = time.monotonic()
        seen = (person.id, f"{what} {journey}")
        before = self._latest.get(seen)
        if before is not None and now - before < WINDOW_S:
            return
        await sql.done(
            self._pool,
            "INSERT INTO service.reading (person, organisation, what, journey)"
            " VALUES (%s, %s, %s, NULLIF(%s, ''))",
            (person.id, person.organisation, what[:300], journey[:300]),
        )
        if len(self._latest) >= KEPT:
            self._latest.clear()
        self._latest[seen] = now

    async def note_journeys(self, person: Person, journeys: Iterable[str]) -> None:
        """Note that `person` looks at each of these journeys: in one transaction."""
        now = time.monotonic()
        before = {j: self._latest.get((person.id, f"journey {j} {j}")) for j in journeys}
        new = sorted(j for j, t in before.items() if t is None or now - t >= WINDOW_S)
        if not new:
            return
        await sql.done(
            self._pool,
            "INSERT INTO service.reading (person, organisation, what, journey)"
            " SELECT %s, %s, left('journey ' || j, 300), left(j, 300) FROM unnest(%s::text[]) j",
            (person.id, person.organisation, new),
        )
        if len(self._latest) >= KEPT:
            self._latest.clear()
        self._latest.update({(person.id, f"journey {j} {j}"): now for j in new})

    async def of(
        self,
        organisation: str,
        shared: frozenset[str],
        *,
        person: str = "",
        journey: str = "",
        before: int | None = None,
        limit: int = 200,
    ) -> list[Look]:
        """Return looks, the latest first: own people's, and at the `shared` journeys everybody's.

        `person` and `journey` narrow it; `before` is the id to go on from.
        """
        seen = [f"journey {name}" for name in shared]
        found = await sql.rows(
            self._pool,
            "SELECT id, at, CASE WHEN organisation = %s THEN person ELSE '' END, organisation,"
            " what, COALESCE(journey, '') FROM service.reading"
            " WHERE (organisation = %s OR what = ANY(%s) OR journey = ANY(%s))"
            " AND (%s = '' OR (person = %s AND organisation = %s))"
            " AND (%s = '' OR what = %s OR journey = %s) AND (%s::bigint IS NULL OR id < %s)"
            " ORDER BY id DESC LIMIT %s",
            (
                organisation, organisation, seen, list(shared), person, person, organisation,
                journey, f"journey {journey}", journey, before, before, limit,
            ),
        )  # fmt: skip
        return [Look(*row) for row in found]
