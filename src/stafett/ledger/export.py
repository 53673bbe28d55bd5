"""Rows of the database for an archive, for everyone or as one organisation may see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg

from stafett.ledger.archive import Row

CHUNK = 5_000

ALL: LiteralString = """
SELECT position, leaf_hash, leaf FROM ledger.event_store
WHERE position > %s AND position <= %s ORDER BY position
"""
HASHES: LiteralString = """
SELECT position, leaf_hash, NULL FROM ledger.event_store
WHERE position > %s AND position <= %s ORDER BY position
"""
VISIBLE: LiteralString = """
SELECT position, leaf FROM ledger.event WHERE position > %s AND position <= %s
"""


class NothingSigned(RuntimeError):
    """The ledger has no signed checkpoint yet, so there is nothing to export against."""


def newest_checkpoint(connection: psycopg.Connection[Any]) -> tuple[int, str]:
    """Return size and note of the newest signed checkpoint, cosignatures included."""
    row = connection.execute(
        "SELECT size, note FROM ledger.checkpoint ORDER BY size DESC LIMIT 1"
    ).fetchone()
    if row is None:
        raise NothingSigned("the ledger has no signed checkpoint yet: seal it first")
    size, text = row
    lines = connection.execute(
        "SELECT line FROM ledger.cosignature WHERE size = %s ORDER BY got_at", [size]
    ).fetchall()
    return size, text + "".join(line for (line,) in lines)


def rows(
    connection: psycopg.Connection[Any], size: int, organisation: str | None = None
) -> Iterator[Row]:
    """Yield the first `size` leaves, with the entries that `organisation` may read (None: all).

    What an organisation may read is asked for under the restricted role, so that the database
    decides it and not this function. `connection` must be able to take the runtime roles.
    """
    for start in range(0, size, CHUNK):
        end = min(size, start + CHUNK)
        with connection.transaction():
            connection.execute("SET LOCAL ROLE stafett_append")
            query = ALL if organisation is None else HASHES
            found = connection.execute(query, [start, end], binary=True).fetchall()
            visible = {} if organisation is None else _visible(connection, start, end, organisation)
        for position, hashed, entry in found:
            yield bytes(hashed), visible.get(position, entry)


def _visible(
    connection: psycopg.Connection[Any], start: int, end: int, organisation: str
) -> dict[int, bytes]:
    connection.execute("SET LOCAL ROLE stafett_read")
    connection.execute("SELECT set_config('stafett.organisation', %s, true)", [organisation])
    return dict(connection.execute(VISIBLE, [start, end], binary=True).fetchall())
