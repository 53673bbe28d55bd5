"""What has gathered is stored in one transaction: a row for each chunk, a leaf for each logger.

The chunks of one logger in one transaction are a *batch*. Its digest is that of its only chunk, or
SHA-256 over the chunks' digests, in the order of the leaf, which names each of them. A row says to
which batch it belongs. So a leaf that is missing, because the process died between the rows and
the record, is made again from the rows as soon as one of its chunks is sent again; until then none
of them was acknowledged.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.ledger import Author, Draft, Ledger, Submission
from stafett.ledger.binarycopy import int8, text
from stafett.ledger.columns import Texts, Times, data, dates, int4s, int8s
from stafett.service.loggers import Id
from stafett.watch.reading import Chunk, decode

KIND: Final = "ReadingsStored"
FILE: Final = "file"  # the way of what was read from a logger's file
# A device's clock is trusted to this far; beyond, the chunk covers both readings of its times.
CLOCK_S: Final = 120.0
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_FIRST: Final = date(2000, 1, 1).toordinal()
_DAY_S: Final = 86_400
REMEMBERED: Final = 20_000  # batches known to have their leaf


class Entry(NamedTuple):
    """A chunk to be stored: `covers` is the time that it may be about."""

    id: Id
    chunk: Chunk
    payload: bytes
    sha: bytes
    way: str
    arrived: float
    covers: tuple[float, float]


class Batch(NamedTuple):
    """The chunks of one logger that one leaf is about; `digest` names it."""

    id: Id
    way: str
    digest: bytes


class Place(NamedTuple):
    """Where an entry is: its batch, and whether its row was there already."""

    batch: Batch
    again: bool


# By the key of its partition, and of yesterday's: a chunk may be sent again after midnight.
_FIND: Final = """
SELECT n.at::int, c.batch, c.way
FROM unnest(%s::date[], %s::text[], %s::text[], %s::bigint[], %s::bytea[])
  WITH ORDINALITY AS n (day, organisation, number, sequence, sha256, at),
LATERAL (
  SELECT batch, way FROM watch.chunk c WHERE c.day = n.day AND c.organisation = n.organisation
    AND c.number = n.number AND c.sequence = n.sequence AND c.sha256 = n.sha256
  UNION ALL
  SELECT batch, way FROM watch.chunk c WHERE c.day = n.day - 1 AND c.organisation = n.organisation
    AND c.number = n.number AND c.sequence = n.sequence AND c.sha256 = n.sha256
  LIMIT 1) c
"""
# A subquery for each, not NOT EXISTS: a join would read every day that there is, each time.
_INSERT: Final = """
INSERT INTO watch.chunk (day, organisation, number, sequence, sha256, earliest, latest, arrived_at,
                         readings, way, payload, batch)
SELECT * FROM unnest(%s::date[], %s::text[], %s::text[], %s::bigint[], %s::bytea[],
  %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::text[], %s::bytea[],
  %s::bytea[])
  AS n (day, organisation, number, sequence, sha256, earliest, latest, arrived_at, readings, way,
        payload, batch)
WHERE (SELECT true FROM watch.chunk c WHERE c.day = n.day - 1
  AND c.organisation = n.organisation AND c.number = n.number AND c.sequence = n.sequence
  AND c.sha256 = n.sha256) IS NULL
ON CONFLICT DO NOTHING
"""
_ROWS: Final = """
SELECT payload, sha256, arrived_at FROM watch.chunk
WHERE day >= %s AND organisation = %s AND number = %s AND coalesce(batch, sha256) = %s AND way = %s
ORDER BY sequence, sha256
"""


class _Known(Exception):
    """One of these chunks has a row already."""


class Storing:
    """What puts chunks into the database, and their digests into the ledger."""

    def __init__(self, pool: AsyncConnectionPool[Any], ledger: Ledger) -> None:
        self._pool, self._ledger = pool, ledger
        self._days: set[int] = set()
        self._recorded: OrderedDict[Batch, None] = OrderedDict()

    async def rows(self, entries: Sequence[Entry]) -> list[Place]:
        """Store what is new, all of it or none, and say where each is. Raises psycopg.Error."""
        look = False  # nearly always all is new, and one statement is enough
        while True:
            try:
                return await self._rows(entries, look=look)
            except _Known:
                look = True

    async def _rows(self, entries: Sequence[Entry], *, look: bool) -> list[Place]:
        days = [int((one.arrived - _EPOCH) // _DAY_S) for one in entries]
        async with self._pool.connection() as connection, connection.transaction():
            for day in set(days) - self._days:
                await connection.execute("SELECT watch.have_day(%s)", [_date(day)])
            known = await _find(connection, days, entries) if look else {}
            new: dict[tuple[Id, int, bytes], int] = {}
            for n, one in enumerate(entries):
                if n not in known:
                    new.setdefault((one.id, one.chunk.sequence, one.sha), n)
            batches = _batches([entries[n] for n in new.values()])
            if new:
                await _insert(connection, days, entries, list(new.values()), batches)
        self._days |= set(days)
        places = []
        for n, one in enumerate(entries):
            if n in known:
                digest, way = known[n]
                places.append(Place(Batch(one.id, way, digest or one.sha), True))
            else:
                first = new[(one.id, one.chunk.sequence, one.sha)]
                places.append(Place(batches[(one.id, entries[first].way)], first != n))
        return places

    async def leaf(
        self, batch: Batch, entries: Iterable[Entry], audience: Callable[[Id], Iterable[str]]
    ) -> None:
        """Record a batch, unless it is recorded. `entries`: its chunks, if they were all new.

        Raises what `Ledger.append` raises: nothing of the batch may be acknowledged then.
        """
        if batch in self._recorded:
            return
        found = sorted(((e.chunk, e.sha, e.arrived) for e in entries), key=_order)
        if not found and await self._ledger.outcome_of(_key(batch)) is None:
            found = await self._stored(batch)
            if len(found) == 1 and await self._ledger.outcome_of(_key_of_one(batch, found[0][0])):
                found = []  # its leaf is from before there were batches
        if found:
            await self._ledger.append(_leaf(batch, found, sorted(audience(batch.id))))
        self._recorded[batch] = None
        while len(self._recorded) > REMEMBERED:
            self._recorded.popitem(last=False)

    async def _stored(self, batch: Batch) -> list[tuple[Chunk, bytes, float]]:
        since = datetime.now(UTC).date().toordinal() - 2
        values = [date.fromordinal(since), *batch.id, batch.digest, batch.way]
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row, binary=True) as cursor,
        ):
            await cursor.execute(_ROWS, values)
            return [(decode(row[0]), row[1], row[2].timestamp()) for row in await cursor.fetchall()]


async def _find(
    connection: AsyncConnection[Any], days: list[int], entries: Sequence[Entry]
) -> dict[int, tuple[bytes | None, str]]:
    """Return the batch and the way of each entry that has a row."""
    async with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        await cursor.execute(
            _FIND,
            (
                [_date(day) for day in days],
                [one.id.organisation for one in entries],
                [one.id.number for one in entries],
                [one.chunk.sequence for one in entries],
                [one.sha for one in entries],
            ),
        )
        return {at - 1: (batch, way) for at, batch, way in await cursor.fetchall()}


async def _insert(
    connection: AsyncConnection[Any],
    days: list[int],
    entries: Sequence[Entry],
    new: list[int],
    batches: dict[tuple[Id, str], Batch],
) -> None:
    mine = [entries[n] for n in new]
    # Whole columns, as the ledger sends them: a Python object a value costs ten times as much.
    values = (
        dates([days[n] for n in new]),
        _texts([one.id.organisation for one in mine]),
        _texts([one.id.number for one in mine]),
        int8s([one.chunk.sequence for one in mine]),
        data([one.sha for one in mine]),
        _times([one.covers[0] for one in mine]),
        _times([one.covers[1] for one in mine]),
        _times([one.arrived for one in mine]),
        int4s([len(one.chunk) for one in mine]),
        _texts([one.way for one in mine]),
        data([one.payload for one in mine]),
        data([batches[(one.id, one.way)].digest for one in mine]),
    )
    done = await connection.execute(_INSERT, values, binary=True)
    if done.rowcount != len(mine):
        raise _Known


def _batches(entries: Iterable[Entry]) -> dict[tuple[Id, str], Batch]:
    found: dict[tuple[Id, str], list[tuple[int, bytes]]] = {}
    for one in entries:
        found.setdefault((one.id, one.way), []).append((one.chunk.sequence, one.sha))
    return {
        (id, way): Batch(id, way, digest_of([sha for _, sha in sorted(chunks)]))
        for (id, way), chunks in found.items()
    }


def digest_of(shas: list[bytes]) -> bytes:
    """Return the digest of a batch of chunks with these digests, in the order of its leaf."""
    return shas[0] if len(shas) == 1 else hashlib.sha256(b"".join(shas)).digest()


def covers(chunk: Chunk, arrived: float) -> tuple[float, float]:
    """Return the time that a chunk may be about, whether its clock is right or wrong."""
    first, last = float(chunk.times[0]), float(chunk.times[-1])
    lag = 0.0 if chunk.sent is None else arrived - chunk.sent
    if abs(lag) <= CLOCK_S:
        return first, last
    return min(first, first + lag), max(last, last + lag)


def _texts(values: list[str]) -> Texts:
    """Write a text[] of few different values."""
    written = {value: text(value) for value in set(values)}
    return Texts(len(values), map(written.__getitem__, values))


def _date(day: int) -> date:
    """Return the date of a day since 2000-01-01."""
    return date.fromordinal(_FIRST + day)


def _times(moments: list[float]) -> Times:
    """Write a timestamptz[] of seconds since 1970: microseconds since 2000 (see `binarycopy`)."""
    return Times(len(moments), [int8(round((at - _EPOCH) * 1e6)) for at in moments])


def _order(one: tuple[Chunk, bytes, float]) -> tuple[int, bytes]:
    return one[0].sequence, one[1]


def _key(batch: Batch) -> str:
    return f"readings.{batch.id.user}.{batch.way}.{batch.digest.hex()}"


def _key_of_one(batch: Batch, chunk: Chunk) -> str:
    return f"readings.{batch.id.user}.{chunk.sequence}.{batch.digest.hex()}"


def _leaf(
    batch: Batch, chunks: list[tuple[Chunk, bytes, float]], audience: Iterable[str]
) -> Submission:
    id = batch.id
    said: dict[str, Any] = {
        "organisation": id.organisation,
        "logger": id.number,
        "sequence": chunks[0][0].sequence,
        "readings": sum(len(chunk) for chunk, _, _ in chunks),
        "first": _iso(min(float(chunk.times[0]) for chunk, _, _ in chunks)),
        "last": _iso(max(float(chunk.times[-1]) for chunk, _, _ in chunks)),
        "sha256": batch.digest.hex(),
        "way": batch.way,
    }
    if len(chunks) > 1:
        said["chunks"] = [
            {"sequence": chunk.sequence, "sha256": sha.hex()} for chunk, sha, _ in chunks
        ]
    at = datetime.fromtimestamp(max(arrived for _, _, arrived in chunks), UTC)
    return Submission(
        stream=f"logger/{id.user}",
        expected_version=None,
        drafts=[Draft(KIND, {"readings": said}, at)],
        audience=sorted({id.organisation, *audience}),
        author=Author(id.organisation),
        key=_key(batch),
        request_hash=batch.digest,
    )


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
