"""Documents by content: stored once under their SHA-256, readable by whom they were shared with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stafett.service import sql


class Documents:
    """The document store in PostgreSQL."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def put(self, data: bytes, media_type: str, organisation: str) -> str:
        """Keep `data`; return its SHA-256. `organisation` may read it from now on."""
        sha256 = hashlib.sha256(data).hexdigest()
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO service.document (sha256, media_type, bytes) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (sha256, media_type[:100], data),
            )
        await self.share(sha256, [organisation])
        return sha256

    async def share(self, sha256: str, organisations: list[str]) -> None:
        """Let these organisations read the document, if it is here at all."""
        async with self._pool.connection() as connection, connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO service.document_reader (sha256, organisation)"
                " SELECT sha256, %s FROM service.document WHERE sha256 = %s ON CONFLICT DO NOTHING",
                [(organisation, sha256) for organisation in organisations],
            )

    async def get(self, sha256: str, organisation: str) -> tuple[str, bytes] | None:
        """Return media type and bytes; None if there is none that `organisation` may read.

        Raises ValueError if the stored bytes no longer have that hash: never served silently.
        """
        found = await sql.row(
            self._pool,
            "SELECT d.media_type, d.bytes FROM service.document d"
            " JOIN service.document_reader r USING (sha256)"
            " WHERE d.sha256 = %s AND r.organisation = %s",
            (sha256, organisation),
        )
        return _whole(sha256, found)

    async def of(self, sha256: str) -> tuple[str, bytes] | None:
        """Return the same whoever asks: for use cases that have checked who may."""
        query = "SELECT media_type, bytes FROM service.document WHERE sha256 = %s"
        return _whole(sha256, await sql.row(self._pool, query, (sha256,)))

    async def attached(self, sha256: str) -> bool:
        """Say whether any journey has the document among its papers, anybody's."""
        query = (
            "SELECT EXISTS (SELECT FROM ledger.event_store WHERE kind = 'DocumentAttached'"
            " AND convert_from(leaf, 'UTF8')::jsonb #>> '{body,event,sha256}' = %s)"
        )
        found = await sql.row(self._pool, query, (sha256,))
        return found is not None and bool(found[0])

    async def erase(self, connection: AsyncConnection[Any], names: Sequence[str]) -> None:
        """Take documents out of the store for good, on `connection`, with what else it commits.

        Their hashes stay in the record: whoever holds a copy can still show that it is the one.
        """
        if names:
            for table in (b"document_reader", b"document"):
                await connection.execute(
                    b"DELETE FROM service.%b WHERE sha256 = ANY(%%s)" % table, (list(names),)
                )

    async def attached_to(self, names: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Return to which journeys, and by which organisation, each of these was attached."""
        found: dict[str, list[tuple[str, str]]] = {name: [] for name in names}
        query = (
            "SELECT sha256, stream, organisation FROM (SELECT stream, organisation,"
            " convert_from(leaf, 'UTF8')::jsonb #>> '{body,event,sha256}' AS sha256"
            " FROM ledger.event_store WHERE kind = 'DocumentAttached') AS s WHERE sha256 = ANY(%s)"
        )
        for sha256, journey, organisation in await sql.rows(self._pool, query, (list(names),)):
            found[sha256].append((journey, organisation))
        return found

    async def here(self, names: Sequence[str]) -> list[str]:
        """Return which of these are kept."""
        query = "SELECT sha256 FROM service.document WHERE sha256 = ANY(%s) ORDER BY 1"
        return [str(row[0]) for row in await sql.rows(self._pool, query, (list(names),))]

    async def known(
        self, names: frozenset[str], handed: frozenset[str], organisation: str
    ) -> frozenset[str]:
        """Return which of `names` are kept here and `organisation` may read; `handed` it may."""
        if not names:
            return frozenset()
        found = await sql.rows(
            self._pool,
            "SELECT d.sha256 FROM service.document d WHERE d.sha256 = ANY(%s)"
            " AND (d.sha256 = ANY(%s) OR EXISTS (SELECT FROM service.document_reader r"
            " WHERE r.sha256 = d.sha256 AND r.organisation = %s))",
            (list(names), list(handed), organisation),
        )
        return frozenset(str(row[0]) for row in found)


def _whole(sha256: str, row: tuple[Any, ...] | None) -> tuple[str, bytes] | None:
    if row is None:
        return None
    data = bytes(row[1])
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"document {sha256} has changed in the store")
    return str(row[0]), data
