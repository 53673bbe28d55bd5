"""The board's rows in PostgreSQL, with their place in the record: a cache, never the truth.

What is kept is complete up to a position: every journey's row is as of its last event up to there,
or newer. Rows are told apart by their **format**, a digest of the very code that makes them, so
that a changed rule never leaves an old row behind; and each row carries a digest of its own bytes.
What does not fit is read from the ledger again: one row alone, or all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.ledger import binarycopy as copy
from stafett.ledger import columns
from stafett.service.row import Row

PACKAGE = Path(__file__).resolve().parent.parent
# What a row is made by. Changing any of it makes every row anew.
MADE_BY = ("journey", "protocol", "watch/limits.py", "service/row.py", "service/kept.py")
LOCK = 0x5374616665747402  # any number; the same in every process
OLD_DAYS = 7  # rows of a release that has not saved for so long are thrown away
BROKEN = b""  # the digest of a row that could not be made: it is tried again at the next start


class Kept(msgspec.Struct, frozen=True):
    """A row, when the watch must next look at its journey, and when a limit first comes near."""

    row: Row
    wake: datetime | None = None
    near: datetime | None = None


class Stored(NamedTuple):
    """What was found: complete up to `position`, but for the journeys in `broken`."""

    position: int
    kept: dict[str, Kept]
    broken: tuple[str, ...]


@cache
def format_() -> str:
    """Return the digest of the code that makes rows."""
    digest = hashlib.sha256()
    for name in MADE_BY:
        path = PACKAGE / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(str(file.relative_to(PACKAGE)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:32]


class KeptRows:
    """The rows of one database, for this process's format."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self.format = format_()

    async def load(self, size: int) -> Stored | None:
        """Return what is kept; None if there is nothing that can be relied on.

        `size` is the ledger's: rows of events that it does not have are not believed.
        """
        decode = msgspec.json.Decoder(Kept).decode
        kept: dict[str, Kept] = {}
        broken: list[str] = []
        async with self._pool.connection() as connection, connection.transaction():
            # One snapshot of both tables: another process may be saving.
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor = connection.cursor(binary=True, row_factory=tuple_row)
            await cursor.execute(
                "SELECT position, rows FROM service.board WHERE format = %s", (self.format,)
            )
            head = await cursor.fetchone()
            if head is None or head[0] > size:
                return None
            await cursor.execute(
                "SELECT journey, body, digest FROM service.board_row WHERE format = %s",
                (self.format,),
            )
            async for journey, body, digest in cursor:
                try:
                    if hashlib.sha256(body).digest() != digest:
                        raise ValueError("these are not the bytes that were kept")
                    kept[journey] = decode(body)
                except ValueError:  # msgspec's errors are such too
                    broken.append(journey)
        if len(kept) + len(broken) != head[1]:
            return None
        return Stored(head[0], kept, tuple(broken))

    async def save(
        self, position: int, changed: dict[str, Kept | None], every: Iterable[str]
    ) -> bool:
        """Keep what `changed` since the last save, as of `position`; None could not be made.

        Return False, and keep nothing, if the caller must save `every` row that it has: nothing was
        kept yet, or somebody has thrown it away.
        """
        total = set(every)
        names, bodies, digests = [], [], []
        for journey, one in changed.items():
            body = b"" if one is None else msgspec.json.encode(one)
            names.append(copy.text(journey))
            bodies.append(body)
            digests.append(BROKEN if one is None else hashlib.sha256(body).digest())
        written = (columns.Texts(len(names), names), columns.data(bodies), columns.data(digests))
        async with self._pool.connection() as connection, connection.transaction():
            # A cache may lose its last save with the machine: nobody waits for the disk.
            await connection.execute("SET LOCAL synchronous_commit = off")
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            head = await (
                await connection.execute(
                    "SELECT position FROM service.board WHERE format = %s", (self.format,)
                )
            ).fetchone()
            if head is None and not total <= changed.keys():
                return False
            if head is not None and head[0] > position:
                return True  # another process was here, and has kept all of this
            await connection.execute(
                "INSERT INTO service.board_row (format, journey, body, digest)"
                " SELECT %s, * FROM unnest(%s, %s, %s)"
                " ON CONFLICT (format, journey)"
                " DO UPDATE SET body = EXCLUDED.body, digest = EXCLUDED.digest",
                (self.format, *written),
            )
            await connection.execute(
                "INSERT INTO service.board (format, position, rows) VALUES (%s, %s, %s)"
                " ON CONFLICT (format) DO UPDATE SET position = EXCLUDED.position,"
                " rows = EXCLUDED.rows, saved = now()",
                (self.format, position, len(total)),
            )
        return True

    async def discard(self) -> None:
        """Throw away the rows of this process's format: they cannot be relied on."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            for table in (b"board_row", b"board"):
                await connection.execute(
                    b"DELETE FROM service.%b WHERE format = %%s" % table, (self.format,)
                )

    async def clear(self, *, only_old: bool = False) -> None:
        """Throw away every row, of every format; `only_old`: of formats that nobody uses now."""
        old = (
            " WHERE format IN (SELECT format FROM service.board"
            " WHERE saved < now() - %s * interval '1 day')"
        )
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            for table in ("board_row", "board"):
                query = f"DELETE FROM service.{table}" + (old if only_old else "")
                await connection.execute(query.encode(), (OLD_DAYS,) if only_old else None)
