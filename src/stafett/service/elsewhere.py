"""One label, one patient: no label is bound that is on something of another journey.

Where labels are stuck and containers change, two patients' things may lie side by side, and both
people who scan may scan the same wrong one. Each journey alone would take it for its own.

Which journeys have had a label is read from the index of identifiers and, for what is newer than
that, from the record itself; whether it is on something now, from the journey. A house's own
number (`plain`) counts where whoever binds it takes part: another house may have the
same number. The numbers of ISBT 128, GS1 and the SEC are one in the world.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

from stafett.exchange.joins import KINDS, Joins, identifiers_of
from stafett.journey import borne
from stafett.journey.event import Event, IdentifierBound
from stafett.ledger import Ledger
from stafett.service.live import Live, Lives
from stafett.service.refusal import No, Reason

SHORTEST = 4  # characters; the index knows no shorter one
TITLE = "This label is another journey's"
REMEDY = (
    "set aside what bears it and call quality: two patients' things may be mixed up;"
    " then scan this patient's own label"
)
PAGE = 1000  # events read at once
MOST = 200_000  # labels in memory, newer than the index was; then it is asked anew


class Elsewhere:
    """Which labels are on something of another journey. One instance per process."""

    def __init__(self, ledger: Ledger, joins: Joins, lives: Lives) -> None:
        self._ledger, self._joins, self._lives = ledger, joins, lives
        self._at: int | None = None  # up to here the record was read
        self._newer: dict[str, set[str]] = {}  # label: journeys, of what the index may not have
        self._reading = asyncio.Lock()
        # Each as long as somebody holds it or waits for it: one that is let go is not made anew.
        self._alone: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def only_here(self, live: Live, made: tuple[Event, ...]) -> AsyncIterator[None]:
        """Go on while nobody else binds the label that `made` binds.

        Raises No where it is on something of another journey.
        """
        bound = [one for one in made if isinstance(one, IdentifierBound)]
        bound = [one for one in bound if borne.is_one_things(live.net, one)]
        if not bound:
            yield
            return
        (one,) = bound  # an answer binds one label
        async with self._alone.setdefault(one.value, asyncio.Lock()):
            await self._check(live, one)
            yield

    async def _check(self, live: Live, bound: IdentifierBound) -> None:
        label = bound.value
        if len(label) < SHORTEST:
            what = f"a label says at least {SHORTEST} characters"
            raise No("bad-value", what, Reason("value", what, "scan the label again"))
        plain = live.net.protocol.identifiers[bound.identifier].structure == "plain"
        for journey in sorted(await self._journeys(label) - {live.state.journey}):
            other = await self._lives.live(journey)
            if other is None:
                continue
            material = borne.bearer(other.net, other.state, label)
            takes_part = bound.by.organisation in other.state.parties.values()
            if material is None or (plain and not takes_part):
                continue
            what = "this label is on something of another journey"
            if takes_part:
                what = f"this label is on {material} of journey {journey}"
            raise No("label-elsewhere", TITLE, Reason("value", what, REMEDY))

    async def _journeys(self, label: str) -> set[str]:
        """Return every journey that has borne `label`, up to the last event of the record."""
        async with self._reading:
            if self._at is None or len(self._newer) > MOST:
                self._at, _ = await self._joins.journeys(label)
                self._newer.clear()
            size = self._ledger.known_size()
            while batch := await self._ledger.read(self._at, PAGE, kinds=KINDS):
                for event in batch:
                    for value in identifiers_of(event):
                        self._newer.setdefault(value, set()).add(event.stream)
                self._at = batch[-1].position
            self._at = max(self._at, size)
        return {*await self._joins.known(label), *self._newer.get(label, ())}
