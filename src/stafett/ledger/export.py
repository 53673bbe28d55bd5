"""Rows of the database for an archive, for everyone or as one organisation may see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg

from stafett.ledger.archive import Row
from stafett.ledger.policy import Policy

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


# The newest, and the newest ones that somebody cosigned.
CHECKPOINTS: LiteralString = """
SELECT size, note || coalesce((SELECT string_agg(line, '' ORDER BY got_at)
                               FROM ledger.cosignature AS c WHERE c.size = k.size), '')
FROM ledger.checkpoint AS k
WHERE size >= (SELECT max(size) FROM ledger.checkpoint)
   OR size IN (SELECT DISTINCT size FROM ledger.cosignature ORDER BY size DESC LIMIT 20)
ORDER BY size DESC
"""


class NothingSigned(RuntimeError):
    """The ledger has no signed checkpoint yet, so there is nothing to export against."""


def best_checkpoint(
    connection: psycopg.Connection[Any], policy: Policy | None = None
) -> tuple[int, str]:
    """Return size and note, cosignatures included, of the newest checkpoint with a quorum.

    Of the newest signed one where there is no `policy`, or none has a quorum. Raises NothingSigned.
    """
    found = connection.execute(CHECKPOINTS).fetchall()
    if not found:
        raise NothingSigned("the ledger has no signed checkpoint yet: seal it first")
    if policy is not None:
        for size, text in found:
            if policy.judge(text).quorum:
                return int(size), str(text)
    size, text = found[0]
    return int(size), str(text)


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
