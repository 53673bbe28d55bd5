"""Captured events and journeys: joined by their identifiers, or visibly waiting for a match.

A journey is known by its chain-of-identity number, by the labels of its materials, by its order (as
a business transaction of type `po`, or of none) and by the patient's pseudonym, in each spelling
that a partner may use (element string, Digital Link, EPC URN, bare number). An event belongs to
every journey of which it names an identifier; one that names none waits, and is listed as waiting
until a journey appears. Nothing that was captured is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

import msgspec

from stafett.exchange import cbv
from stafett.exchange.epcis_facts import NAMED, NAMING, digest
from stafett.exchange.epcis_pages import Page, Stored
from stafett.exchange.epcis_query import ANY_EPC, OneOf, Query
from stafett.exchange.epcis_store import Connection, EpcisStore
from stafett.exchange.gs1link import canonical
from stafett.exchange.views import View
from stafett.exchange.withholding import withheld
from stafett.identity import scan
from stafett.identity.errors import IdentifierError
from stafett.identity.gs1 import Gs1
from stafett.ledger import Event, Ledger

# 2: pseudonyms, 3: orders, 4: extensions of any namespace; also of journeys that were read before.
CURSOR: Final = "joins/4"
# Events that bind an identifier, and how long they may wait to be joined, in seconds.
KINDS: Final = ("JourneyOpened", "MaterialCreated", "IdentifierBound")
PAUSE_S: Final = 0.2
# By which an event names an order; not every transaction that happens to bear the same text.
ORDERS: Final = tuple(
    f"bizTransaction.{kind}" for kind in ("", cbv.web_uri("bizTransaction", "po"))
)
_KINDS: Final = {scan.Kind.COI: "coi", scan.Kind.DIN: "din"}


def spellings(value: str) -> set[str]:
    """Give the URIs and texts that one identifier may be written as."""
    out = {value, canonical(value) if ":" in value else value}
    out |= {f"urn:stafett:{kind}:{quote(value, safe='')}" for kind in ("coi", "din", "text")}
    try:
        scanned = scan.read(value)
    except IdentifierError:
        return out
    for part in (scanned, *scanned.carries):
        out.add(part.canonical)
        if isinstance(part.value, Gs1):
            out.add(canonical(part.value.digital_link()))
        elif part.kind in _KINDS:
            out.add(f"urn:stafett:{_KINDS[part.kind]}:{quote(part.canonical, safe='')}")
    return out


class Joins:
    """Which captured event belongs to which journey."""

    def __init__(self, store: EpcisStore) -> None:
        self.store = store

    def keys(self, value: str) -> set[UUID]:
        """Give the digests under which an event that names an identifier is found."""
        return {UUID(bytes=digest(t)) for t in self._tokens([value])}

    async def register(self, journey: str, identifiers: Iterable[str]) -> None:
        """Say that a journey is known by these identifiers; again is no harm."""
        async with self.store.pool.connection() as connection:
            await self._register(connection, journey, identifiers)

    async def _register(
        self, connection: Connection, journey: str, identifiers: Iterable[str]
    ) -> None:
        await self._write(connection, [(journey, value) for value in set(identifiers) if value])

    async def _write(self, connection: Connection, known: Iterable[tuple[str, str]]) -> None:
        """Write journeys and their identifiers, in one statement: it costs far less than many."""
        rows = [(key, journey, value) for journey, value in known for key in self.keys(value)]
        if rows:
            keys, journeys, values = (list(column) for column in zip(*rows, strict=True))
            await connection.execute(
                "INSERT INTO exchange.subject (key, journey, identifier)"
                " SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING",
                (keys, journeys, values),
            )

    def spoken(self, value: str) -> frozenset[str]:
        """Give every way of writing an identifier: two are the same if they share one."""
        return frozenset(spellings(value)) if len(value) >= 4 else frozenset()

    async def journeys(self, value: str) -> tuple[int, list[str]]:
        """Give the journeys that an identifier belongs to, as of a position in the record."""
        async with self.store.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT position FROM exchange.cursor WHERE name = %s", [CURSOR]
            )
            row = await cursor.fetchone()
        return (row[0] if row else 0), await self.known(value)

    async def known(self, value: str) -> list[str]:
        """Give the journeys that an identifier is known to belong to by now."""
        async with self.store.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT DISTINCT journey FROM exchange.subject WHERE key = ANY(%s) ORDER BY 1",
                [list(self.keys(value))],
            )
            return [found[0] for found in await cursor.fetchall()]

    async def events(self, journey: str, *, limit: int = 100, token: str | None = None) -> Page:
        """Give the captured events that name one of a journey's identifiers."""
        async with self.store.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT DISTINCT identifier FROM exchange.subject WHERE journey = %s", [journey]
            )
            identifiers = [row[0] for row in await cursor.fetchall()]
        tokens = self._tokens(identifiers)
        query = Query((OneOf(frozenset(tokens)),), "eventTime", descending=False)
        return await self.store.query(query, limit=limit, token=token)

    async def withheld(self, events: Sequence[Stored], mine: Iterable[str]) -> list[Stored]:
        """Give events without the identifiers of journeys that are not among `mine`.

        An identifier that one of `mine` has too stays.
        """
        own = list(mine)
        async with self.store.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT DISTINCT s.identifier FROM exchange.epcis_event e, unnest(e.keys) AS named"
                " (key) JOIN exchange.subject s USING (key) WHERE e.seq = ANY(%s)"
                " AND NOT EXISTS (SELECT FROM exchange.subject o WHERE o.key = s.key"
                " AND o.journey = ANY(%s))",
                [[event.seq for event in events], own],
            )
            foreign = {text for row in await cursor.fetchall() for text in spellings(row[0])}
        if not foreign:
            return list(events)
        return [msgspec.structs.replace(one, event=withheld(one.event, foreign)) for one in events]

    def _tokens(self, identifiers: Iterable[str]) -> set[str]:
        # However many namespaces partners declare, an identifier has the same few tokens; those of
        # events from before `named` are of the namespaces that there were.
        fields = [f":{{{uri}}}{field}" for uri in self.store.early for field in NAMING]
        return {
            f"{name}={text}"
            for value in identifiers
            for text in spellings(value)
            for name in (*ANY_EPC, *ORDERS, NAMED, *fields)
        }

    async def waiting(
        self, *, limit: int = 100, after: int = 0, owner: str | None = None
    ) -> list[Stored]:
        """Give captured events that no journey is known for, oldest first, beyond `after`."""
        async with self.store.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT seq, record_time, context, body, owner FROM exchange.epcis_event e"
                " WHERE seq > %s AND (%s::text IS NULL OR owner = %s)"
                " AND NOT EXISTS (SELECT 1 FROM unnest(e.keys) AS named (key)"
                " JOIN exchange.subject USING (key)) ORDER BY seq LIMIT %s",
                [after, owner, owner, limit],
            )
            rows = await cursor.fetchall()
        return [
            Stored(
                seq, recorded, await self.store.context_of(context), msgspec.json.decode(body), by
            )
            for seq, recorded, context, body, by in rows
        ]

    async def follow(self, ledger: Ledger) -> None:
        """Register journeys as the ledger tells of them, for ever; go on where it stopped."""
        async with self.store.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT position FROM exchange.cursor WHERE name = %s", [CURSOR]
            )
            row = await cursor.fetchone()
        # What comes together is written together.
        async for batch in ledger.follow(row[0] if row else 0, kinds=KINDS, rest_s=PAUSE_S):
            known = {(e.stream, value): None for e in batch for value in identifiers_of(e)}
            async with self.store.pool.connection() as connection, connection.transaction():
                await self._write(connection, known)
                await connection.execute(
                    "INSERT INTO exchange.cursor VALUES (%s, %s) ON CONFLICT (name)"
                    " DO UPDATE SET position = greatest(exchange.cursor.position,"
                    " excluded.position)",
                    [CURSOR, batch[-1].position],
                )


def identifiers_of(event: Event) -> set[str]:
    """Give the identifiers that a ledger event binds to its journey."""
    body = event.body.get("event", event.body)
    if not isinstance(body, Mapping):
        return set()
    pseudonym = event.body.get("pseudonym")
    found = _identifiers(event.stream, body)
    return found | {pseudonym} if isinstance(pseudonym, str) else found


def _identifiers(journey: str, body: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    kind = body.get("type")
    if kind == "JourneyOpened":
        found |= {str(body.get("coi") or ""), View(journey).order("order")}
    if kind == "MaterialCreated":
        found.add(View(journey).lot(str(body["lot"])))
    if kind in ("JourneyOpened", "MaterialCreated"):
        found |= {str(v) for v in dict(body.get("identifiers") or {}).values()}
    if kind == "IdentifierBound" and body.get("material") != "patient":
        found.add(str(body["value"]))
    return {v for v in found if len(v) >= 4}  # shorter ones would join strangers
