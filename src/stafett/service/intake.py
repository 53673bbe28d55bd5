"""The intake of readings: checked, made durable, recorded in the ledger; only then acknowledged.

All that is waiting is committed together (as the ledger's sequencer does): one INSERT of chunks,
then a leaf for each in the ledger. A chunk whose row is there but whose leaf is not is not
acknowledged; sent again, it finds its row and gets its leaf. The same chunk twice is one chunk.

Each logger has an allowance of chunks; one that floods is refused, and no other waits for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from stafett.ledger import Author, Draft, Ledger, NotAcknowledged, Submission
from stafett.ledger.ending import ended
from stafett.service.loggers import Id, Loggers
from stafett.service.refusal import No, Reason
from stafett.watch.reading import BadChunk, Chunk, decode

log = logging.getLogger(__name__)
KIND: Final = "ReadingsStored"
RATE_PER_S: Final = 10.0  # chunks of one logger, for good
BURST: Final = 400.0  # chunks of one logger, at once: what it kept while it was out of reach
BATCH: Final = 500
# A device's clock is trusted to this far; beyond, the chunk covers both readings of its times.
CLOCK_S: Final = 120.0


class Taken(NamedTuple):
    """A chunk that is durable and in the record. `again`: it was there already."""

    id: Id
    chunk: Chunk
    sha256: str
    arrived: float
    again: bool


@dataclass
class _Waiting:
    id: Id
    chunk: Chunk
    payload: bytes
    sha: bytes
    way: str
    arrived: float
    done: asyncio.Future[Taken]


_INSERT: Final = """
INSERT INTO watch.chunk (day, organisation, number, sequence, sha256, earliest, latest, arrived_at,
                         readings, way, payload)
SELECT * FROM unnest(%s::date[], %s::text[], %s::text[], %s::bigint[], %s::bytea[],
  %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::text[], %s::bytea[])
  AS n (day, organisation, number, sequence, sha256, earliest, latest, arrived_at, readings, way,
        payload)
WHERE NOT EXISTS (SELECT FROM watch.chunk c WHERE c.day = n.day - 1
  AND c.organisation = n.organisation AND c.number = n.number AND c.sequence = n.sequence
  AND c.sha256 = n.sha256)
ON CONFLICT DO NOTHING
"""


class Intake:
    """What takes readings in. One instance per process."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        ledger: Ledger,
        loggers: Loggers,
        *,
        rate_per_s: float = RATE_PER_S,
        burst: float = BURST,
    ) -> None:
        self._pool, self._ledger, self.loggers = pool, ledger, loggers
        self._rate, self._burst = rate_per_s, burst
        self._allowance: dict[Id, tuple[float, float]] = {}
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(maxsize=4 * BATCH)
        self._days: set[date] = set()
        self._refused: dict[tuple[Id, str], tuple[int, str]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        # Who else may read a logger's readings now; told by `Conditions`.
        self.audience: Callable[[Id], frozenset[str]] = lambda _: frozenset()
        self.heard: Callable[[Taken], None] = lambda _: None
        self.chunks = self.readings = 0

    async def start(self) -> None:
        """Begin to commit."""
        self._tasks = [
            asyncio.create_task(self._run(), name="intake"),
            asyncio.create_task(self._tell_refused(), name="intake refusals"),
        ]

    async def close(self) -> None:
        """Stop; whoever waits is not acknowledged."""
        await ended(*self._tasks)
        while not self._queue.empty():
            self._queue.get_nowait().done.cancel()

    def check(self, id: Id, payload: bytes) -> Chunk:
        """Return the chunk in `payload`. Raises No: it is no chunk."""
        try:
            return decode(payload)
        except BadChunk as bad:
            self.refuse(id, "bad-chunk", str(bad))
            raise No(
                "bad-chunk", "This is no chunk of readings", Reason(bad.field, bad.what, bad.todo)
            ) from None

    def allow(self, id: Id, chunks: int = 1, *, from_file: bool = False) -> None:
        """Take `chunks` from the logger's allowance. Raises No: it sends too much."""
        if from_file:
            return
        now = time.monotonic()
        left, at = self._allowance.get(id, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        if left < chunks:
            self._allowance[id] = (left, now)
            said = f"more than {self._rate:g} chunks a second for too long"
            self.refuse(id, "too-many", said, chunks)
            raise No(
                "too-many", "This logger sends too much",
                Reason("logger", f"{id.user} sent {said}", "keep the chunk and send it later"),
            )  # fmt: skip
        self._allowance[id] = (left - chunks, now)

    def refuse(self, id: Id, reason: str, said: str, chunks: int = 1) -> None:
        """Count what was not taken; it is shown beside the logger."""
        count, _ = self._refused.get((id, reason), (0, ""))
        self._refused[(id, reason)] = (count + chunks, said[:300])

    async def take(self, id: Id, chunk: Chunk, payload: bytes, way: str) -> Taken:
        """Make a checked chunk durable and recorded. Raises No: it is not acknowledged."""
        done: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        sha = hashlib.sha256(payload).digest()
        waiting = _Waiting(id, chunk, payload, sha, way, time.time(), done)
        await self._queue.put(waiting)
        return await done

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._commit(batch)
            except asyncio.CancelledError:
                for one in batch:
                    one.done.cancel()
                raise
            except (psycopg.Error, PoolTimeout, NotAcknowledged, OSError) as error:
                log.warning("readings are not taken at the moment: %s", error)
                no = No(
                    "not-acknowledged", "The readings could not be kept in time",
                    Reason("", "the database could not be reached", "send the chunk again"),
                )  # fmt: skip
                for one in batch:
                    if not one.done.done():
                        one.done.set_exception(no)
                await asyncio.sleep(0.2)
            except Exception as error:
                log.exception("a batch of readings was not taken")
                for one in batch:
                    if not one.done.done():
                        one.done.set_exception(error)

    async def _commit(self, batch: list[_Waiting]) -> None:
        await self._store(batch)
        receipts = await asyncio.gather(
            *(self._ledger.append(self._leaf(one)) for one in batch), return_exceptions=True
        )
        for one, receipt in zip(batch, receipts, strict=True):
            if one.done.done():
                continue  # whoever sent it has gone; it is kept all the same
            if isinstance(receipt, BaseException):
                log.warning("a chunk of %s has no leaf yet: %s", one.id.user, receipt)
                one.done.set_exception(
                    No(
                        "not-acknowledged",
                        "The record could not be reached in time",
                        Reason("", str(receipt), "send the chunk again"),
                    )
                )
                continue
            taken = Taken(one.id, one.chunk, one.sha.hex(), one.arrived, receipt.replayed)
            one.done.set_result(taken)
            if not receipt.replayed:
                self.chunks += 1
                self.readings += len(one.chunk)
                self.heard(taken)

    async def _store(self, batch: list[_Waiting]) -> None:
        arrived = [datetime.fromtimestamp(one.arrived, UTC) for one in batch]
        covers = [_covers(one.chunk, one.arrived) for one in batch]
        days = [at.date() for at in arrived]
        async with self._pool.connection() as connection:
            for day in set(days) - self._days:
                await connection.execute("SELECT watch.have_day(%s)", [day])
                self._days.add(day)
            await connection.execute(
                _INSERT,
                (
                    days,
                    [one.id.organisation for one in batch],
                    [one.id.number for one in batch],
                    [one.chunk.sequence for one in batch],
                    [one.sha for one in batch],
                    [cover[0] for cover in covers],
                    [cover[1] for cover in covers],
                    arrived,
                    [len(one.chunk) for one in batch],
                    [one.way for one in batch],
                    [one.payload for one in batch],
                ),
                binary=True,
            )

    def _leaf(self, one: _Waiting) -> Submission:
        id, chunk = one.id, one.chunk
        said = {
            "organisation": id.organisation,
            "logger": id.number,
            "sequence": chunk.sequence,
            "readings": len(chunk),
            "first": _iso(float(chunk.times[0])),
            "last": _iso(float(chunk.times[-1])),
            "sha256": one.sha.hex(),
            "way": one.way,
        }
        return Submission(
            stream=f"logger/{id.user}",
            expected_version=None,
            drafts=[Draft(KIND, {"readings": said}, datetime.fromtimestamp(one.arrived, UTC))],
            audience=sorted({id.organisation} | self.audience(id)),
            author=Author(id.organisation),
            key=f"readings.{id.user}.{chunk.sequence}.{one.sha.hex()}",
            request_hash=one.sha,
        )

    async def _tell_refused(self) -> None:
        while True:
            await asyncio.sleep(1)
            refused, self._refused = self._refused, {}
            if not refused:
                continue
            hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            rows = [
                (id.organisation, id.number, hour, reason, count, said)
                for (id, reason), (count, said) in refused.items()
            ]
            try:
                async with self._pool.connection() as connection, connection.cursor() as cursor:
                    await cursor.executemany(
                        "INSERT INTO watch.refused AS r VALUES (%s, %s, %s, %s, %s, %s)"
                        " ON CONFLICT (organisation, number, hour, reason) DO UPDATE"
                        " SET chunks = r.chunks + EXCLUDED.chunks, said = EXCLUDED.said",
                        rows,
                    )
            except (psycopg.Error, PoolTimeout, OSError) as error:
                log.warning("refused chunks could not be counted: %s", error)


def _covers(chunk: Chunk, arrived: float) -> tuple[datetime, datetime]:
    """Return the time that a chunk may be about, whether its clock is right or wrong."""
    first, last = float(chunk.times[0]), float(chunk.times[-1])
    lag = 0.0 if chunk.sent is None else arrived - chunk.sent
    if abs(lag) <= CLOCK_S:
        lag = 0.0
    moments = (first, last, first + lag, last + lag)
    return (
        datetime.fromtimestamp(min(moments), UTC),
        datetime.fromtimestamp(max(moments), UTC),
    )


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
