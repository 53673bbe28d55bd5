"""Journeys as this process knows them: each is exactly what its events say.

States are kept in memory and can be thrown away at any time; the record has them all.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

import msgspec

from stafett.journey import event as events
from stafett.journey.evolve import evolve
from stafett.journey.silence import Silence, silences
from stafett.journey.state import State
from stafett.journey.tasks import Task, next_moves
from stafett.ledger import Event, Ledger
from stafett.protocol.net import Net
from stafett.service.library import Library
from stafett.watch.limits import Limit, first_unknown, limits

KEPT = 50_000  # states in memory


@dataclass(frozen=True)
class Live:
    """A journey as this process knows it: its net, its state, and the patient's pseudonym."""

    net: Net
    state: State
    pinned: str
    pseudonym: str

    @functools.cached_property
    def tasks(self) -> tuple[Task, ...]:
        """What can be done now: the board, the watch and the alerts all ask for it."""
        return tuple(next_moves(self.net, self.state))

    @functools.cached_property
    def limits(self) -> tuple[Limit, ...]:
        """Every limit that runs, the nearest first."""
        return tuple(limits(self.net, self.state, self.tasks))

    @functools.cached_property
    def silences(self) -> tuple[Silence, ...]:
        """Every silence that is not recorded yet, the nearest first."""
        return tuple(silences(self.net, self.state, self.tasks))

    @property
    def wake(self) -> datetime | None:
        """When the next limit passes, or silence begins, that the record does not know of."""
        late = first_unknown(self.state, self.limits)
        moments = [one.at for one in self.silences[:1]]
        return min([*moments, *([late] if late else [])], default=None)


class Body(msgspec.Struct, frozen=True):
    """What a leaf of the record holds: an event and, on a journey's first one, what it rests on."""

    event: events.Event
    pinned: str | None = None
    pseudonym: str | None = None


class Told(msgspec.Struct, frozen=True):
    """What a journey's state needs of a leaf."""

    recorded_at: datetime
    body: Body


# Straight from the stored bytes into the types, which is several times as fast as by plain values.
told = msgspec.json.Decoder(Told).decode


class Lives:
    """What this process knows of journeys; read from the record where it does not."""

    def __init__(self, ledger: Ledger, library: Library) -> None:
        self._ledger, self.library = ledger, library
        self._live: OrderedDict[str, Live] = OrderedDict()

    async def live(self, journey: str) -> Live | None:
        """Return a journey whoever asks, or None if there is none."""
        known = self._live.get(journey)
        if known is None:
            known = await self._load(journey)
        return known

    async def load(self, journey: str) -> Live:
        """Read a journey from the record. Raises KeyError if there is none."""
        live = await self._load(journey)
        if live is None:
            raise KeyError(journey)
        return live

    async def stream(self, journey: str) -> list[Event]:
        """Return a journey's events as they are recorded, whoever asks."""
        return await self._ledger.stream(journey)

    async def _load(self, journey: str) -> Live | None:
        live: Live | None = None
        for leaf in await self._ledger.leaves(journey):
            body = told(leaf).body
            if live is None:
                await self.library.fetch(body.pinned or "")
            live = self.follow(live, body)
        return None if live is None else self.keep(live)

    def follow(self, live: Live | None, body: Body) -> Live:
        """Return the journey after one event of the record."""
        event = body.event
        if live is None:
            assert isinstance(event, events.JourneyOpened)
            assert body.pinned is not None and body.pseudonym is not None
            net = self.library.net(body.pinned, event.product)
            return Live(net, evolve(net, None, event), body.pinned, body.pseudonym)
        return Live(live.net, evolve(live.net, live.state, event), live.pinned, live.pseudonym)

    def advance(self, stored: Event) -> Live | None:
        """Take in an event of the record, unless this process knows it already.

        Return None where its protocol or the events before it are not in memory: `load` then.
        """
        live = self._live.get(stored.stream)
        if live is None or live.state.position < stored.version:
            if stored.version > 1 and (live is None or live.state.position != stored.version - 1):
                return None
            if live is None and not self.library.knows(stored.body["pinned"]):
                return None
            live = self.follow(live, told(stored.leaf).body)
            self.keep(live)
        return live

    def forget(self) -> None:
        """Drop every state from memory; the record has them all."""
        self._live.clear()

    def keep(self, live: Live) -> Live:
        """Hold a journey in memory, as the one used last; return it as it is held.

        Whoever has read the record may come after somebody who has acted meanwhile: the journey
        does not go back for it.
        """
        known = self._live.get(live.state.journey)
        if known is not None and known.state.position > live.state.position:
            live = known
        self._live[live.state.journey] = live
        self._live.move_to_end(live.state.journey)
        while len(self._live) > KEPT:
            self._live.popitem(last=False)
        return live

    def drop(self, journey: str) -> None:
        """Drop one state from memory: the record has moved on without us."""
        self._live.pop(journey, None)

    def known(self, journey: str) -> Live | None:
        """Return a journey that is in memory, without reading the record."""
        return self._live.get(journey)
