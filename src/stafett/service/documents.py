"""Documents by content: stored once under their SHA-256, readable by whom they were shared with."""

from __future__ import annotations

import hashlib
from typing import Any

from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool


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
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT d.media_type, d.bytes FROM service.document d"
                " JOIN service.document_reader r USING (sha256)"
                " WHERE d.sha256 = %s AND r.organisation = %s",
                (sha256, organisation),
            )
            row = await cursor.fetchone()
        if row is None:
            return None
        data = bytes(row[1])
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError(f"document {sha256} has changed in the store")
        return str(row[0]), data
