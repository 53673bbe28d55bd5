"""Writing a batch as one transaction of `ledger.append`, for the places that it will have.

Sending it is the sequencer's: what is written here is nowhere but here. The scribe remembers what
it needs of the ledger (versions of streams, the authors' keys, the time) so that it seldom has to
ask; all of that holds only as long as nobody else appends.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import msgspec
import psycopg

from stafett.ledger import columns, rows
from stafett.ledger.author import STREAM, BadKey, BadSignature, Keys, made_here
from stafett.ledger.batch import Arranged, Known, Prepared, arrange, check_authors
from stafett.ledger.event import Receipt, StaleVersion
from stafett.ledger.merkle import HASH_SIZE, Frontier
from stafett.ledger.tree import TILE_HEIGHT

log = logging.getLogger(__name__)

MANY_SIGNATURES = 16
REMEMBERED_STREAMS = 100_000

LOOK_UP: LiteralString = """
SELECT key, request_hash, stream, first_position, count, version + count - 1, recorded_at,
       (SELECT array_agg(h.leaf_hash ORDER BY h.position) FROM ledger.event_store AS h
        WHERE h.position BETWEEN first_position AND first_position + count - 1)
FROM ledger.submission JOIN ledger.event_store ON position = first_position
WHERE key = ANY(%s)
"""
KEY_EVENTS: LiteralString = """
SELECT position, leaf FROM ledger.event_store WHERE stream = %s ORDER BY version
"""
STREAM_VERSIONS: LiteralString = """
SELECT wanted, (SELECT version FROM ledger.event_store WHERE stream = wanted
                ORDER BY version DESC LIMIT 1)
FROM unnest(%s::text[]) AS wanted
"""


class DatabaseClock:
    """The database's clock, carried on by ours between two answers: one clock for all processes."""

    def __init__(self) -> None:
        self.set(datetime.now(UTC))

    def set(self, moment: datetime) -> None:
        """Take note that it is `moment`."""
        self._moment, self._read = moment, time.monotonic()

    def now(self) -> datetime:
        """Return the time."""
        return self._moment + timedelta(seconds=time.monotonic() - self._read)


@dataclass(slots=True)
class Standing:
    """Where the ledger stands, or will stand when what is on its way has committed."""

    frontier: Frontier
    recorded_at: datetime


@dataclass(slots=True)
class Written:
    """A batch as one transaction, ready to be sent."""

    before: Standing
    after: Standing
    arranged: Arranged
    rows: tuple[rows.Rows, rows.Rows]  # the events, and their keys
    nodes: tuple[columns.Int4s, columns.Int8s, columns.Bytes]  # level, index, hash
    keys_grow: bool  # it holds new keys of authors


class Scribe:
    """Writes batches, one after the other, for a sequencer that holds the lease."""

    def __init__(self) -> None:
        self.clock = DatabaseClock()
        self._versions: dict[str, int] = {}
        self._keys: Keys | None = None  # of the authors; None: to be read

    def forget(self) -> None:
        """Forget everything: somebody else may have appended."""
        self._versions.clear()
        self._keys = None

    def remember(self, written: Written) -> None:
        """Take note that `written` has committed."""
        if written.keys_grow:
            self._keys = None
        self._versions.update(written.arranged.reached)
        if (
            len(self._versions) > REMEMBERED_STREAMS
        ):  # those first met go, to be read if they return
            for stream in list(itertools.islice(self._versions, REMEMBERED_STREAMS // 10)):
                del self._versions[stream]

    async def write(
        self,
        connection: psycopg.AsyncConnection[Any],
        batch: Sequence[Prepared],
        standing: Standing,
        reached: Mapping[str, int],
    ) -> Written:
        """Write `batch` for the places after `standing`, where streams have `reached` versions.

        Keys are nearly always new, so the database is asked only when the commit found one that
        isn't (`write_anew`), or when a refusal may have to be a replay's answer instead.
        """
        keys_grow = await self._check_authors(connection, batch)
        await self._learn_versions(connection, batch)
        arranged = self._arrange(batch, {}, standing, reached)
        if any(isinstance(o, StaleVersion | BadSignature) for o in arranged.outcomes):
            known = await look_up(connection, [p.submission.key for p in batch])
            arranged = self._arrange(batch, known, standing, reached)
        return _written(arranged, standing, keys_grow)

    async def write_anew(
        self,
        connection: psycopg.AsyncConnection[Any],
        batch: Sequence[Prepared],
        refused: Written,
    ) -> Written:
        """Write the batch that the database `refused` because it knows some of the keys."""
        await self._learn_versions(connection, batch)
        known = await look_up(connection, [p.submission.key for p in batch])
        arranged = self._arrange(batch, known, refused.before, {})
        return _written(arranged, refused.before, refused.keys_grow)

    def _arrange(
        self,
        batch: Sequence[Prepared],
        known: Mapping[str, Known],
        standing: Standing,
        reached: Mapping[str, int],
    ) -> Arranged:
        """Give places to a batch."""
        now = max(self.clock.now(), standing.recorded_at)
        return arrange(batch, known, self._versions, standing.frontier.size, now, reached)

    async def _check_authors(
        self, connection: psycopg.AsyncConnection[Any], batch: Sequence[Prepared]
    ) -> bool:
        """Check the authors' signatures of a batch; say whether it holds new keys.

        In a thread where it takes long: about 130 microseconds a signature that was not made here.
        """
        if self._keys is None:
            self._keys = await read_keys(connection)
        signed = [p for p in batch if p.signs]
        if len(signed) < MANY_SIGNATURES or sum(map(_foreign, signed)) < MANY_SIGNATURES:
            return check_authors(batch, self._keys)
        return await asyncio.to_thread(check_authors, batch, self._keys)

    async def _learn_versions(
        self, connection: psycopg.AsyncConnection[Any], batch: Sequence[Prepared]
    ) -> None:
        """Read the versions of the streams that we don't remember."""
        unknown = {p.submission.stream for p in batch}.difference(self._versions)
        if unknown:
            rows = await connection.execute(STREAM_VERSIONS, [list(unknown)], prepare=True)
            async for stream, version in rows:
                self._versions[stream] = version or 0


def _foreign(prepared: Prepared) -> int:
    """Return how many of a submission's signatures must be computed to be checked."""
    drafts = prepared.submission.drafts
    return sum(d.signature is not None and not made_here(d.signature) for d in drafts)


def _written(arranged: Arranged, before: Standing, keys_grow: bool) -> Written:
    frontier, nodes = grow(before.frontier, arranged.leaf_hashes)
    after = Standing(frontier, arranged.recorded_at)
    return Written(before, after, arranged, arranged.rows(), nodes, keys_grow)


def grow(
    frontier: Frontier, leaf_hashes: list[bytes]
) -> tuple[Frontier, tuple[columns.Int4s, columns.Int8s, columns.Bytes]]:
    """Return the frontier after these leaves, and the nodes to store: level, index, hash."""
    levels: list[int] = []
    indexes: list[int] = []
    hashes: list[bytes] = []
    grown, complete = frontier.grown(leaf_hashes)
    for level in range(TILE_HEIGHT, len(complete), TILE_HEIGHT):
        first, found = complete[level]
        levels += [level // TILE_HEIGHT] * len(found)
        indexes += range(first, first + len(found))
        hashes += found
    return grown, (columns.int4s(levels), columns.int8s(indexes), columns.data(hashes))


async def read_keys(connection: psycopg.AsyncConnection[Any]) -> Keys:
    """Return the authors' keys as the record tells of them."""
    keys = Keys()
    for position, entry in await (await connection.execute(KEY_EVENTS, [STREAM])).fetchall():
        try:
            keys.learn(msgspec.json.decode(entry), position)
        except BadKey as error:
            log.warning("an event of %s is passed over: %s", STREAM, error)
    return keys


def split(peaks: bytes) -> tuple[bytes, ...]:
    """Return the hashes of a stored frontier."""
    return tuple(peaks[at : at + HASH_SIZE] for at in range(0, len(peaks), HASH_SIZE))


async def look_up(connection: psycopg.AsyncConnection[Any], keys: list[str]) -> dict[str, Known]:
    """Return what the ledger has for `keys`."""
    found: dict[str, Known] = {}
    async for row in await connection.execute(LOOK_UP, [keys], prepare=True):
        key, request_hash, stream, first, count, version, recorded_at, hashes = row
        kept = tuple(bytes(one) for one in hashes)
        receipt = Receipt(key, stream, first, count, version, recorded_at, kept)
        found[key] = Known(receipt, request_hash)
    return found
