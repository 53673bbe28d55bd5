"""Top-level resources: which steps, places, dispositions, types and EPCs the store has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from stafett.exchange import cbv
from stafett.exchange.epcis_facts import EPC_LISTS, digest
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.gs1link import canonical
from stafett.exchange.problem import Finding, Problem

# Resource in the URL -> (kind in exchange.name, vocabulary of its bare words, query parameter).
RESOURCES: Final = {
    "eventTypes": ("eventType", "", "eventType"),
    "bizSteps": ("bizStep", "bizStep", "EQ_bizStep"),
    "dispositions": ("disposition", "disposition", "EQ_disposition"),
    "readPoints": ("readPoint", "", "EQ_readPoint"),
    "bizLocations": ("bizLocation", "", "EQ_bizLocation"),
    "epcs": ("epc", "", "MATCH_anyEPC"),
}
_SCAN: Final = 500  # events looked at to find one page of EPCs


Owners = Sequence[str] | None


class Listing:
    """Lists over one store, of what `owners` captured (None: everybody)."""

    def __init__(self, store: EpcisStore) -> None:
        self.store = store

    async def members(
        self, resource: str, limit: int, after: str | None, owners: Owners = None
    ) -> tuple[list[str], str | None]:
        """Give one page of a resource's members and the token of the next page."""
        kind, vocabulary, _ = RESOURCES[resource]
        if kind == "epc":
            return await self._epcs(limit, after, owners)
        async with self.store.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT DISTINCT value FROM exchange.name WHERE kind = %s AND value > %s"
                " AND (%s::text[] IS NULL OR owner = ANY(%s)) ORDER BY value LIMIT %s",
                [kind, after or "", _list(owners), _list(owners), limit + 1],
            )
            values = [row[0] for row in await cursor.fetchall()]
        if kind == "eventType" and after is None:
            values = [*cbv.EVENT_TYPES, *(v for v in values if v not in cbv.EVENT_TYPES)]
        token = values[limit - 1] if len(values) > limit else None
        shown = values[:limit]
        return [cbv.bare_word(vocabulary, v) if vocabulary else v for v in shown], token

    async def require(self, resource: str, value: str, owners: Owners = None) -> None:
        """Raise `Problem` 404 unless the store has seen the resource."""
        kind, vocabulary, _ = RESOURCES[resource]
        if kind == "epc":
            links = canonical(value)
            keys = [UUID(bytes=digest(f"{name}={links}")) for name in
                    ("epc", "parentID", "inputEPC", "outputEPC")]  # fmt: skip
            statement = (
                "SELECT 1 FROM exchange.epcis_event WHERE keys && %s"
                " AND (%s::text[] IS NULL OR owner = ANY(%s)) LIMIT 1"
            )
            values: list[Any] = [keys, _list(owners), _list(owners)]
        else:
            full = cbv.web_uri(vocabulary, value) if vocabulary else canonical(value)
            statement = (
                "SELECT 1 FROM exchange.name WHERE kind = %s AND value = %s"
                " AND (%s::text[] IS NULL OR owner = ANY(%s)) LIMIT 1"
            )
            values = [kind, full, _list(owners), _list(owners)]
        async with self.store.pool.connection() as connection:
            cursor = await connection.execute(statement.encode(), values, prepare=False)
            found = await cursor.fetchone()
        if found is None and not (kind == "eventType" and value in cbv.EVENT_TYPES):
            raise Problem(404, "NoSuchResourceException", f"no captured event names {value!r}")

    async def _epcs(
        self, limit: int, after: str | None, owners: Owners
    ) -> tuple[list[str], str | None]:
        """Give EPCs in the order in which they were first captured.

        The token is the last event that was told whole, and how many of the next one were.
        """
        seq, told = _position(after)
        found: list[str] = []
        async with self.store.pool.connection() as connection:
            while len(found) < limit:
                cursor = await connection.execute(
                    "SELECT seq, body FROM exchange.epcis_event WHERE seq > %s"
                    " AND (%s::text[] IS NULL OR owner = ANY(%s)) ORDER BY seq LIMIT %s",
                    [seq, _list(owners), _list(owners), min(_SCAN, limit)],
                )
                rows = await cursor.fetchall()
                if not rows:
                    return found, None
                for number, body in rows:
                    for n, epc in enumerate(_epcs_of(msgspec.json.decode(body))):
                        if n < told:
                            continue
                        if len(found) == limit:
                            return found, f"{number - 1}.{n}"
                        key = UUID(bytes=digest(epc[0]))
                        cursor = await connection.execute(
                            "SELECT 1 FROM exchange.epcis_event WHERE keys @> %s AND seq < %s"
                            " AND (%s::text[] IS NULL OR owner = ANY(%s)) LIMIT 1",
                            [[key], number, _list(owners), _list(owners)],
                            prepare=False,
                        )
                        if await cursor.fetchone() is None and epc[1] not in found:
                            found.append(epc[1])
                    seq, told = number, 0
                    if len(found) == limit:
                        return found, str(seq)
        return found, str(seq)


def _list(owners: Owners) -> list[str] | None:
    return None if owners is None else list(owners)


def _epcs_of(event: dict[str, Any]) -> list[tuple[str, str]]:
    out = [
        (f"{name}={canonical(epc)}", canonical(epc))
        for field, name in EPC_LISTS.items()
        for epc in event.get(field, ())
    ]
    if "parentID" in event:
        link = canonical(event["parentID"])
        out.append((f"parentID={link}", link))
    return out


def _position(token: str | None) -> tuple[int, int]:
    if token is None:
        return 0, 0
    seq, _, told = token.partition(".")
    if any(not n.isascii() or not n.isdigit() or len(n) > 18 for n in (seq, told or "0")):
        why = "nextPageToken is none of this server"
        raise Problem(400, "QueryParameterException", why, [Finding("/nextPageToken", why)])
    return int(seq), int(told or "0")
