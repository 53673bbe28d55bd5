"""FHIR resources follow the record: made of each journey anew once it has changed.

What a search needs is made before it is answered; the rest in between, for the versions that are
asked for at all, in a small part of the time. The rows are the database's, so that a process which
has just started, or one beside it, finds what another has made.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from stafett.exchange.fhir_keys import found_by
from stafett.exchange.fhir_parameters import Json
from stafett.exchange.fhir_store import FhirStore, Kept
from stafett.exchange.fhir_write import PSEUDONYM, Bundle, Version
from stafett.ledger import Event, Ledger
from stafett.service.board import Board
from stafett.service.library import Library
from stafett.service.row import Row

log = logging.getLogger(__name__)
AT_ONCE = 50  # journeys asked for and made between two notes of how far it is
REST = 19.0  # how many times as long as it worked it rests: a twentieth of one core
PAUSE_S = 2.0
MANY = 20  # journeys made at once that change what the planner should know
ASKED_S = 3600.0  # how often it is noted that a version is asked for


class FhirIndex:
    """The resources of every journey, as far as somebody asks for them. One per process."""

    def __init__(self, ledger: Ledger, board: Board, library: Library, store: FhirStore) -> None:
        self._ledger, self._board, self._library = ledger, board, library
        self.store = store
        self._position: dict[Version, int] = {}  # every journey is kept up to here
        self._asked: dict[Version, float] = {}
        self.made: Callable[[str], None] = lambda journey: None  # told of each that is made anew

    async def complete(self, version: Version, organisation: str, only: Iterable[str] = ()) -> None:
        """Make what an organisation's search needs: of every journey, or of `only` these."""
        await self._begin(version)
        rows = self._board.since(self._position[version], organisation)
        names = set(only)
        await self._make(version, [r for r in rows if not names or r.journey in names])

    async def _begin(self, version: Version) -> None:
        now = time.monotonic()
        if now - self._asked.get(version, -ASKED_S) >= ASKED_S:
            self._position[version] = await self.store.begin(version, await self._ledger.size())
            self._asked[version] = now

    async def _make(self, version: Version, rows: Sequence[Row]) -> None:
        """Make the resources of those of these journeys that are not kept as they are now."""
        if not rows:
            return
        known = await self.store.positions(version, [r.journey for r in rows])
        new = [row for row in rows if known.get(row.journey, 0) < row.position]
        for row in new:
            await self.store.keep(version, await self.made_of(version, row))
            self.made(row.journey)
        if len(new) >= MANY:
            await self.store.weigh()

    async def made_of(self, version: Version, row: Row) -> Kept:
        """Make a journey's resources from its record alone: no state of it need be in memory."""
        bundle, events = await self._empty(version, row)
        opened = events[0].body
        bundle.add([(e.version, e.body["event"]) for e in events])
        times = {e.version: e.recorded_at.isoformat() for e in events}
        for name, resource in bundle.resources.items():
            resource["meta"] = _meta(bundle.touched[name], times)
        about = {
            "patient": bundle.patient,
            "identifier": {"system": PSEUDONYM, "value": opened["pseudonym"]},
        }
        found = [found_by(one, about, row.parties) for one in bundle.resources.values()]
        return Kept(
            row.journey, row.opened, events[-1].position, row.parties, bundle.resources, found
        )

    async def versions(self, version: Version, row: Row, name: str) -> list[Json]:
        """Make one resource ("Type/id") of a journey as it was after each event that changed it."""
        bundle, events = await self._empty(version, row)
        times = {e.version: e.recorded_at.isoformat() for e in events}
        found: list[Json] = []
        for e in events:
            bundle.add([(e.version, e.body["event"])])
            if bundle.touched.get(name) == e.version:
                then = copy.deepcopy(bundle.resources[name])
                found.append({**then, "meta": _meta(e.version, times)})
        return found

    async def _empty(self, version: Version, row: Row) -> tuple[Bundle, list[Event]]:
        """Give a bundle that holds nothing yet, and the events to fill it with."""
        events = await self._ledger.stream(row.journey)
        opened = events[0].body
        await self._library.fetch(opened["pinned"])
        net = self._library.net(opened["pinned"], opened["event"].get("product"))
        giving = [n for n, s in net.protocol.steps.items() if s.kind == "administer"]
        return Bundle(row.journey, version, giving, pseudonym=opened["pseudonym"]), events

    # -- in between ----------------------------------------------------------------------------

    async def follow(self) -> None:
        """Make what has changed, for the versions that are asked for, for ever."""
        await self.store.clear(only_old=True)
        while True:
            worked = 0.0
            for version in tuple(self._asked):
                start = time.monotonic()
                await self.advance(version)
                worked += time.monotonic() - start
            await asyncio.sleep(max(PAUSE_S, REST * worked))

    async def advance(self, version: Version) -> bool:
        """Make the next journeys that changed, the longest ago first; say whether there were any.

        A journey that changes goes to the end, so whatever is before the last of these is kept.
        """
        reached = self._board.position
        rows = self._board.since(self._position[version], None)
        if len(rows) > AT_ONCE:
            rows, reached = rows[:AT_ONCE], rows[AT_ONCE - 1].position
        if reached <= self._position[version]:
            return False
        await self._make(version, rows)
        await self.store.reached(version, reached)
        self._position[version] = max(reached, self._position[version])
        return bool(rows)


def _meta(number: int, times: Mapping[int, str]) -> Json:
    return {"versionId": str(number), "lastUpdated": times[number]}
