"""What the record is told of capacity: written with what it tells of, and relayed to the ledger.

A line of `capacity.told` is in the same transaction as the change. It is put into the ledger at
once, or waits there while the ledger cannot be reached; its key is its number, so it is told once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from stafett.capacity.booking import Chain
from stafett.ledger import Author, Draft, Ledger, Receipt, Submission
from stafett.ledger.tending import AWAY, said
from stafett.service import relays, sql
from stafett.service.accounts import Person

log = logging.getLogger(__name__)


class SlotRecord:
    """The way from the tables of capacity to the ledger. One instance per process."""

    def __init__(self, pool: sql.Pool, ledger: Ledger) -> None:
        self._pool, self.ledger = pool, ledger

    async def relay(self, ids: Sequence[int] | None = None) -> int:
        """Put what waits (or only `ids`) into the ledger, in order; return how many still wait."""
        if ids is not None and not ids:
            return 0
        try:
            found = await sql.rows(
                self._pool,
                "SELECT id, stream, kind, body, audience, organisation, person, at"
                " FROM capacity.told WHERE recorded IS NULL"
                " AND (%s::bigint[] IS NULL OR id = ANY(%s)) ORDER BY id",
                (ids, ids),
            )
        except AWAY as why:  # what it tells of is durable: whoever did it is not told otherwise
            log.warning("what happened to slots is told later: %s", said(why))
            return 1 if ids is None else len(ids)
        return await relays.tell(
            self.ledger, [(row[0], _submission(*row)) for row in found], self._told
        )

    async def _told(self, id_: int, receipt: Receipt) -> None:
        await sql.done(
            self._pool,
            "UPDATE capacity.told SET recorded = %s WHERE id = %s AND recorded IS NULL",
            (receipt.first_position, id_),
        )


def _submission(
    id_: int,
    stream: str,
    kind: str,
    body: dict[str, Any],
    audience: list[str],
    organisation: str,
    person: str | None,
    at: datetime,
) -> Submission:
    return Submission(
        stream=stream,
        expected_version=None,
        drafts=[Draft(kind, body, at)],
        audience=audience,
        author=Author(organisation, person),
        key=f"capacity/{id_}",  # no client's key holds a slash
        request_hash=f"capacity {id_}".encode(),
    )


async def tell(
    connection: AsyncConnection[Any],
    stream: str,
    kind: str,
    body: Mapping[str, Any],
    audience: Sequence[str],
    person: Person | None,
    organisation: str = "",
) -> list[int]:
    """Write what the record is to be told, with what it tells of."""
    rows = await sql.within(
        connection,
        "INSERT INTO capacity.told (stream, kind, body, audience, organisation, person)"
        " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        (
            stream, kind, Jsonb(body), [*audience],
            person.organisation if person else organisation,
            (person.id or None) if person else None,
        ),
    )  # fmt: skip
    return [rows[0][0]]


async def tell_chain(
    connection: AsyncConnection[Any], kind: str, chain: Chain, person: Person | None, **more: Any
) -> list[int]:
    """Write what happened to a chain, for those in it."""
    plain = msgspec.to_builtins(chain)
    body = {k: v for k, v in plain.items() if k != "organisations"} | more
    stream = f"capacity/chain/{chain.id}"
    return await tell(
        connection, stream, kind, body, chain.organisations, person, chain.organisation
    )
