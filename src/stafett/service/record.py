"""A journey's record as people read it: each event with its place, time and author."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import msgspec

from stafett.ledger import Ledger
from stafett.ledger.author import PASSKEY, Keys
from stafett.service.signatures import Checked, check, line, passkey_over

SEALED_S = 2.0


class Entry(msgspec.Struct, frozen=True):
    """One event. `position` is its place in the whole record, `version` in the journey."""

    position: int
    version: int
    kind: str
    occurred_at: datetime
    recorded_at: datetime
    organisation: str
    person: str | None
    event: dict[str, Any]
    leaf_hash: str
    passkey_over: str = ""
    """SHA-256 of the event's own bytes, where a person's passkey signed those."""


class Record:
    """Reading the ledger for an organisation, under the database's row-level security."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._sealed, self._looked = 0, 0.0

    async def sealed(self) -> int:
        """Return how much of the record the newest signed checkpoint covers (0: nothing yet).

        Looked up at most every SEALED_S seconds, however many ask.
        """
        now = time.monotonic()
        if now - self._looked > SEALED_S:
            self._looked = now
            self._sealed = await self._ledger.sealed_size()
        return self._sealed

    async def signatures(self, journey: str, organisation: str) -> list[Checked]:
        """Return the journey's signatures that `organisation` may read, each checked again."""
        found = await self._ledger.stream(journey, organisation=organisation)
        by_passkey = any((e.signature or {}).get("alg") == PASSKEY for e in found)
        keys = await self._ledger.keys() if by_passkey else Keys()
        return check(journey, [line(e.position, msgspec.json.decode(e.leaf), keys) for e in found])

    async def entries(self, journey: str, organisation: str, after: int = 0) -> list[Entry]:
        """Return the journey's events beyond version `after` that `organisation` may read."""
        found = await self._ledger.stream(journey, after, organisation=organisation)
        return [
            Entry(
                event.position,
                event.version,
                event.kind,
                event.occurred_at,
                event.recorded_at,
                event.author.organisation,
                event.author.person,
                event.body["event"],
                event.leaf_hash.hex(),
                passkey_over(msgspec.json.decode(event.leaf))
                if (event.signature or {}).get("alg") == PASSKEY
                else "",
            )
            for event in found
        ]
