"""Sign the intended checkpoint, after checking it from the stored bytes.

The append's transaction leaves size and root in the head: the intended checkpoint. Signing says it
to the world, for good; so before that every entry since the last signed checkpoint is read back,
hashed again, and put on a tree that starts at the last *signed* root. One flipped bit, in memory or
on disk, stops the log here instead of making it lie (logs have died of exactly that).

The checkpoint is stored before anyone sees it. A commit with a notice counts as failed: it might
vanish at fail-over, and a signed checkpoint must never be taken back.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from stafett.ledger import checkpoint as checkpoints
from stafett.ledger import leaf, tree
from stafett.ledger.checkpoint import Checkpoint, Signed
from stafett.ledger.merkle import Frontier
from stafett.ledger.note import NoteSigner, note_verifier
from stafett.ledger.once import made_once

LAST: LiteralString = "SELECT size, root, note FROM ledger.checkpoint ORDER BY size DESC LIMIT 1"
ENTRIES: LiteralString = """
SELECT position, leaf, leaf_hash FROM ledger.event_store
WHERE position > %s AND position <= %s ORDER BY position
"""
# One statement, so that an append in between is in both or in neither.
HEAD_AND_BEYOND: LiteralString = """
SELECT size, root, (SELECT min(position) FROM ledger.event_store WHERE position > size)
FROM ledger.head
"""
COSIGNATURES: LiteralString = "SELECT line FROM ledger.cosignature WHERE size = %s ORDER BY got_at"
CHUNK = 2_000


class Tampered(RuntimeError):
    """Stored bytes are not what they were when they were appended. Nothing was signed.

    `position` is the event's, where one is known to be wrong.
    """

    def __init__(self, what: str, position: int | None = None) -> None:
        self.position = position
        super().__init__(what)


class WentBack(Tampered):
    """The store has fewer events than were signed: to go on from here would fork the record."""


class NotReplicated(RuntimeError):
    """The checkpoint's commit came with a notice: it is not published."""


def log_key(path: Path, name: str | None = None) -> NoteSigner:
    """Return the log's signing key, kept in `path` (mode 0600); made at the first call.

    `name` is the origin of the log: a host name that the operator controls and a path, unique for
    ever (C2SP tlog-checkpoint). Without it a random one is made.
    """

    def make() -> bytes:
        signer = NoteSigner.generate(name or f"stafett.local/{secrets.token_hex(6)}")
        return f"{signer.to_text()}\n".encode()

    return NoteSigner.from_text(made_once(path, make).decode())


async def seal(connection: psycopg.AsyncConnection[Any], signer: NoteSigner) -> Signed:
    """Sign the ledger as it stands and return the checkpoint, durable.

    `connection` is in autocommit. Raises Tampered, NotReplicated, or BadNote if the last
    checkpoint is not this signer's.
    """
    row = await (await connection.execute("SELECT size, root FROM ledger.head")).fetchone()
    assert row is not None
    size, root = int(row[0]), bytes(row[1])
    last = await newest(connection, signer)
    if last is not None and last.checkpoint.size > size:
        raise WentBack(
            f"the ledger has {size} events, but {last.checkpoint.size} were signed: the database "
            "was rolled back (restored from an old backup?). Stop; never sign again from here"
        )
    start = last.checkpoint.size if last else 0
    frontier = await tree.frontier(connection, start)
    if last is not None and frontier.root != last.checkpoint.root:
        raise Tampered(f"the stored tree of size {start} no longer has the root that was signed")
    frontier = await _grown_from_bytes(connection, frontier, size)
    if frontier.root != root:
        raise Tampered(f"the entries of size {size} do not have the root that the head holds")
    if last is not None and start == size:
        await _durably(connection, "UPDATE ledger.head SET lease_until = lease_until", [])
        return last
    signed = checkpoints.sign(Checkpoint(signer.name, size, root), signer)
    await _durably(
        connection,
        "INSERT INTO ledger.checkpoint (size, root, note) VALUES (%s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        [size, root, signed.text],
    )
    return signed


async def audit(
    connection: psycopg.AsyncConnection[Any],
    progress: Callable[[int, int], None] = lambda done, size: None,
) -> tuple[int, bytes]:
    """Hash every stored entry again and compare with the head and every checkpoint ever signed.

    Returns size and root. Raises Tampered.
    """
    row = await (await connection.execute(HEAD_AND_BEYOND)).fetchone()
    assert row is not None
    size, root = int(row[0]), bytes(row[1])
    if row[2] is not None:
        raise Tampered(f"event {row[2]} was inserted: the ledger ends at {size}", int(row[2]))
    signed = await (
        await connection.execute("SELECT size, root FROM ledger.checkpoint ORDER BY size")
    ).fetchall()
    if signed and signed[-1][0] > size:
        raise Tampered(f"{signed[-1][0]} events were signed, but only {size} are here")
    frontier = Frontier()
    for at, expected in [*signed, (size, root)]:
        while frontier.size < at:
            frontier = await _grown_from_bytes(
                connection, frontier, min(at, frontier.size + 10 * CHUNK)
            )
            progress(frontier.size, size)
        if frontier.root != bytes(expected):
            raise Tampered(f"the first {at} entries do not have the root that is held for them")
        if (await tree.frontier(connection, at)).peaks != frontier.peaks:
            raise Tampered(f"the stored hashes of the tree of size {at} were changed")
    return size, root


async def _durably(
    connection: psycopg.AsyncConnection[Any], statement: LiteralString, values: list[Any]
) -> None:
    """Commit a statement; everything before it in the database's log is durable then too."""
    notices: list[str] = []

    def hear(notice: psycopg.errors.Diagnostic) -> None:
        notices.append(notice.message_primary or "a notice")

    connection.add_notice_handler(hear)
    try:
        await connection.execute(statement, values)
    finally:
        connection.remove_notice_handler(hear)
    if notices:
        raise NotReplicated("; ".join(notices))


async def newest(connection: psycopg.AsyncConnection[Any], signer: NoteSigner) -> Signed | None:
    """Return the newest signed checkpoint with the cosignatures that it has; None if none."""
    row = await (await connection.execute(LAST)).fetchone()
    if row is None:
        return None
    lines = await (await connection.execute(COSIGNATURES, [row[0]])).fetchall()
    text = row[2] + "".join(line for (line,) in lines)
    found = checkpoints.open_checkpoint(text, [note_verifier(signer.vkey)])
    if (found.checkpoint.size, found.checkpoint.root) != (row[0], bytes(row[1])):
        raise Tampered(f"the stored checkpoint of size {row[0]} says something else")
    return found


async def _grown_from_bytes(
    connection: psycopg.AsyncConnection[Any], frontier: Frontier, size: int
) -> Frontier:
    """Return the frontier at `size`, hashing the stored entries again."""
    while frontier.size < size:
        end = min(size, frontier.size + CHUNK)
        cursor = await connection.execute(ENTRIES, [frontier.size, end], binary=True)
        hashes = []
        for place, (position, entry, kept) in enumerate(await cursor.fetchall(), frontier.size + 1):
            hashed = leaf.leaf_hash(entry)
            if position != place:
                raise Tampered(f"the event at position {place} is missing", place)
            if hashed != kept:
                raise Tampered(f"the event at position {place} was changed", place)
            hashes.append(hashed)
        if frontier.size + len(hashes) != end:
            missing = frontier.size + len(hashes) + 1
            raise Tampered(f"the event at position {missing} is missing", missing)
        frontier = frontier.append(hashes)
    return frontier
