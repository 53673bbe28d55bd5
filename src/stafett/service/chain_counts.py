"""The whole chain in exact counts, by where each journey belongs: what `system` publishes from.

A journey belongs to the place of the clinic that answers for it when it opens (the protocol's
owner), and to that place alone. Counted over the record and the board; nothing here is published.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

from stafett.registry.place import UNKNOWN, Place
from stafett.service import sql
from stafett.service.board import Board
from stafett.service.journeys import Journeys
from stafett.service.library import Library
from stafett.service.row import Row
from stafett.watch.ownership import between_hands

# `%s::text IS NULL OR ...`: of all journeys, or of those that one organisation takes part in.
OPENED: LiteralString = """
WITH opened AS (
  SELECT stream, convert_from(leaf, 'UTF8')::jsonb #>> '{body,event,protocol}' AS protocol,
    convert_from(leaf, 'UTF8')::jsonb #> '{body,event,parties}' AS parties
  FROM ledger.event_store WHERE kind = 'JourneyOpened')
"""
MEMBER: LiteralString = """
(%s::text IS NULL OR EXISTS (SELECT FROM jsonb_each_text(parties) AS p WHERE p.value = %s))
"""
CLOSED: LiteralString = (
    OPENED
    + """, closed AS (
  SELECT stream, kind, organisation,
    convert_from(leaf, 'UTF8')::jsonb #> '{body,event}' AS event
  FROM ledger.event_store
  WHERE kind IN ('Accepted', 'Quarantined', 'Refused')
    AND recorded_at >= %s AND recorded_at < %s)
SELECT protocol, parties, event ->> 'handoff', organisation,
  count(*) FILTER (WHERE (event ->> 'round')::int = 1),
  count(*) FILTER (WHERE (event ->> 'round')::int = 1 AND kind = 'Accepted'
                   AND NOT coalesce((event ->> 'with_deviation')::boolean, false))
FROM closed JOIN opened USING (stream) WHERE """
    + MEMBER
    + " GROUP BY 1, 2, 3, 4"
)
ENDED: LiteralString = (
    OPENED
    + """
SELECT protocol, parties, count(*), count(*) FILTER (
  WHERE (convert_from(leaf, 'UTF8')::jsonb #>> '{body,event,treated}')::boolean)
FROM ledger.event_store JOIN opened USING (stream)
WHERE kind = 'JourneyEnded' AND recorded_at >= %s AND recorded_at < %s AND """
    + MEMBER
    + " GROUP BY 1, 2"
)
PARTIES: LiteralString = """
SELECT stream, convert_from(leaf, 'UTF8')::jsonb #> '{body,event,parties}'
FROM ledger.event_store WHERE kind = 'JourneyOpened' AND stream = ANY(%s)
"""
Act = tuple[str, str]  # protocol and activity
Cell = tuple[Act, Place]


@dataclass
class Counts:
    """Exact counts by act and by the one place of each journey. `rows` are the open ones.

    `received` are the first attempts (all, good) by the organisation that answered.
    """

    rows: dict[Cell, list[Row]] = field(default_factory=lambda: defaultdict(list))
    passed: Counter[Cell] = field(default_factory=Counter)
    good: Counter[Cell] = field(default_factory=Counter)
    received: dict[tuple[Act, Place, str], tuple[int, int]] = field(default_factory=dict)
    deviations: Counter[Cell] = field(default_factory=Counter)
    between_h: dict[Cell, list[float]] = field(default_factory=lambda: defaultdict(list))
    ended: Counter[Place] = field(default_factory=Counter)
    treated: Counter[Place] = field(default_factory=Counter)


NONE: Act = ("", "")  # an open journey with nothing to do next


class Counting:
    """Counts the chain. Keeps where each journey belongs: that never changes."""

    def __init__(self, pool: sql.Pool, board: Board, journeys: Journeys, library: Library) -> None:
        self._pool, self._board = pool, board
        self._journeys, self._library = journeys, library
        self._clinics: dict[str, str] = {}

    async def count(
        self,
        since: datetime,
        until: datetime,
        now: datetime,
        places: Mapping[str, Place],
        organisation: str | None,
    ) -> Counts:
        """Count what was closed in [since, until) and what is open now (of `organisation`)."""
        found = Counts()
        whose = (since, until, organisation, organisation)
        for protocol, parties, handoff, by, first, good in await sql.rows(
            self._pool, CLOSED, whose
        ):
            cell = ((protocol, handoff), self._place(protocol, parties, places))
            found.passed[cell] += first
            found.good[cell] += good
            before = found.received.get((*cell, by), (0, 0))
            found.received[(*cell, by)] = (before[0] + first, before[1] + good)
        for protocol, parties, ended, treated in await sql.rows(self._pool, ENDED, whose):
            place = self._place(protocol, parties, places)
            found.ended[place] += ended
            found.treated[place] += treated
        rows = [row for row in self._board.rows.values() if row.status != "ended"]
        if organisation is not None:
            rows = [row for row in rows if organisation in row.parties]
        await self._open(found, rows, now, places, until == now)
        return found

    async def _open(
        self, found: Counts, rows: list[Row], now: datetime, places: Mapping[str, Place], live: bool
    ) -> None:
        await self._learn(rows)
        for n, row in enumerate(rows):
            place = places.get(self._clinics.get(row.journey, ""), UNKNOWN)
            act = (row.protocol, row.next.activity) if row.next else NONE
            found.rows[act, place].append(row)
            one = self._journeys.known(row.journey)
            if one is None:
                continue
            for stretch in between_hands(one.net, one.state, now):
                cell = ((one.state.protocol, stretch.handoff), place)
                found.between_h[cell].append(stretch.length.total_seconds() / 3600)
            for raised in one.state.open_deviations() if live and row.deviations else ():
                # Where it began, or where nobody has said yet, where it was found.
                where = raised.originated or raised.detected
                if where in one.net.protocol.handoffs:
                    found.deviations[(one.state.protocol, where), place] += 1
            if n % 50 == 49:
                await asyncio.sleep(0)

    async def _learn(self, rows: Iterable[Row]) -> None:
        """Read which clinic opened the journeys that are new here."""
        new = {row.journey: row.protocol.partition(" ")[0] for row in rows}
        new = {name: protocol for name, protocol in new.items() if name not in self._clinics}
        if len(self._clinics) > 200_000:
            self._clinics.clear()
        for stream, parties in await sql.rows(self._pool, PARTIES, (list(new),)) if new else ():
            if new[stream] in self._library.current():  # else it is read again, once it is known
                self._clinics[stream] = self._clinic(new[stream], parties)

    def _clinic(self, protocol: str, parties: Mapping[str, str]) -> str:
        pinned = self._library.current().get(protocol)
        return parties.get(pinned.document.bind().owner, "") if pinned else ""

    def _place(self, protocol: str, parties: Any, places: Mapping[str, Place]) -> Place:
        return places.get(self._clinic(protocol, parties), UNKNOWN)
