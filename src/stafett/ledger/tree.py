"""The stored tree: roots, tiles and proofs for any size, from the hashes in the database.

What is stored: the hash of every leaf (in the events) and of every complete subtree of 256 to a
power of leaves (`ledger.node`). Everything between is recomputed from at most 256 of those, as a
client of C2SP tlog-tiles does. Nothing is rebuilt at a start.

Leaf indexes count from 0: the event at position p is leaf p - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, LiteralString, TypeVar

import psycopg

from stafett.ledger import merkle

TILE_HEIGHT = 8
TILE_WIDTH = 256

LEAVES: LiteralString = """
SELECT leaf_hash FROM ledger.event_store WHERE position > %s AND position <= %s ORDER BY position
"""
NODES: LiteralString = """
SELECT hash FROM ledger.node WHERE level = %s AND index >= %s AND index < %s ORDER BY index
"""

T = TypeVar("T")
Connection = psycopg.AsyncConnection[Any]


class MissingHashes(RuntimeError):
    """The store lacks hashes that a tree of its size has: it was damaged."""


async def tile(connection: Connection, level: int, index: int, width: int) -> list[bytes]:
    """Return `width` hashes of the tile at `level` (0: leaf hashes) and `index`.

    Raises MissingHashes if they are not all there.
    """
    first = index * TILE_WIDTH
    return await _row(connection, level, first, first + width)


async def frontier(connection: Connection, size: int) -> merkle.Frontier:
    """Return the frontier of the first `size` leaves."""
    return await _with_hashes(connection, lambda read: merkle.frontier_at(size, read))


async def root(connection: Connection, size: int) -> bytes:
    """Return the root of the first `size` leaves."""
    return (await frontier(connection, size)).root


async def inclusion(connection: Connection, index: int, size: int) -> list[bytes]:
    """Return the proof that leaf `index` is in the tree of `size`. Raises merkle.BadProof."""
    return await _with_hashes(connection, lambda read: merkle.inclusion_proof(index, size, read))


async def inclusions(
    connection: Connection, indexes: Sequence[int], size: int
) -> list[list[bytes]]:
    """Return the proofs of several leaves; what they share is read once."""
    return await _with_hashes(
        connection, lambda read: [merkle.inclusion_proof(i, size, read) for i in indexes]
    )


async def consistency(connection: Connection, old: int, size: int) -> list[bytes]:
    """Return the proof that the tree of `size` continues that of `old`. Raises merkle.BadProof."""
    return await _with_hashes(connection, lambda read: merkle.consistency_proof(old, size, read))


async def _with_hashes(connection: Connection, make: Callable[[merkle.HashAt], T]) -> T:
    """Run `make` with every subtree hash that it asks for.

    Which ones those are depends on sizes and not on hashes: a first run takes down the questions.
    """
    wanted: dict[tuple[int, int], bytes] = {}

    def ask(level: int, index: int) -> bytes:
        wanted[level, index] = b""
        return bytes(merkle.HASH_SIZE)

    make(ask)
    for level, index in wanted:
        wanted[level, index] = await _subtree(connection, level, index)
    return make(lambda level, index: wanted[level, index])


async def _subtree(connection: Connection, level: int, index: int) -> bytes:
    """Return the hash of the complete subtree over 2**level leaves at `index`."""
    above = level % TILE_HEIGHT
    first = index << above
    return merkle.subtree_root(
        await _row(connection, level // TILE_HEIGHT, first, first + (1 << above))
    )


async def _row(connection: Connection, level: int, first: int, end: int) -> list[bytes]:
    """Return stored hashes [first, end) of a tile level."""
    if level == 0:
        cursor = await connection.execute(LEAVES, [first, end], binary=True)
    else:
        cursor = await connection.execute(NODES, [level, first, end], binary=True)
    found = [bytes(row[0]) for row in await cursor.fetchall()]
    if len(found) != end - first:
        raise MissingHashes(
            f"level {level}: {len(found)} of the hashes {first} to {end - 1} are stored"
        )
    return found
