"""The intake of readings: checked, made durable, recorded in the ledger; only then acknowledged.

All that is waiting is committed together (as the ledger's sequencer does): while one batch is
written the next gathers, so batches grow with the load by themselves and nobody waits for a timer.
While the leaves of one batch are appended, the rows of the next are written; its own leaves wait
for those before them, so what a logger sent stands in the record in its order. How a batch is
stored and recorded is told in `storing`. The same chunk twice is one chunk. One chunk that cannot
be stored holds up none of those that came with it.

Each logger has an allowance of chunks; one that floods is refused, and no other waits for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import psycopg
from psycopg_pool import AsyncConnectionPool

from stafett.ledger import Ledger
from stafett.ledger.ending import ended
from stafett.ledger.tending import Tended, end_all
from stafett.service.loggers import Id, Loggers
from stafett.service.refusal import No, Reason
from stafett.service.storing import Batch, Entry, Place, Storing, covers
from stafett.watch.reading import BadChunk, Chunk, decode

log = logging.getLogger(__name__)
RATE_PER_S: Final = 10.0  # chunks of one logger, for good
BURST: Final = 400.0  # chunks of one logger, at once: what it kept while it was out of reach
BATCH: Final = 1000
WAITING: Final = 4000  # chunks, of all ways; more wait outside
# One chunk cannot be stored, whatever is tried: it is refused, and that is told.
_HOPELESS: Final = (psycopg.DataError, psycopg.IntegrityError)
# The database is away: nothing is wrong with any chunk.
_AWAY: Final = (psycopg.OperationalError, psycopg.InterfaceError, OSError)


class Taken(NamedTuple):
    """A chunk that is durable and in the record. `again`: it was there already."""

    id: Id
    chunk: Chunk
    sha256: str
    arrived: float
    again: bool


# What a chunk has come to is told to one of these: taken, why not, or (None) that nobody will say.
Told = Callable[[Taken | BaseException | None], None]


class _Waiting:
    """A chunk, and who is told once: half of a batch may be told before the other half fails."""

    __slots__ = ("_told", "entry")

    def __init__(self, entry: Entry, told: Told) -> None:
        self.entry = entry
        self._told: Told | None = told

    def tell(self, outcome: Taken | BaseException | None) -> None:
        told, self._told = self._told, None
        try:
            if told is not None:
                told(outcome)
        except Exception:  # whoever is told has a fault: the others are told all the same
            log.exception("what became of a chunk of %s could not be told", self.entry.id.user)


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
        self._pool, self.loggers = pool, loggers
        self._storing = Storing(pool, ledger)
        self._rate, self._burst = rate_per_s, burst
        self._allowance: dict[Id, tuple[float, float]] = {}
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(maxsize=WAITING)
        self._refused: dict[tuple[Id, str], tuple[int, str]] = {}
        self.tended = (
            Tended("intake of readings", self._run, vital=True),
            Tended("count of refused readings", self._tell_refused),
        )
        self._recording: asyncio.Task[None] | None = None  # of the batch before
        # Who else may read a logger's readings now; told by `Conditions`.
        self.audience: Callable[[Id], frozenset[str]] = lambda _: frozenset()
        self.heard: Callable[[Taken], None] = lambda _: None
        self.chunks = self.readings = 0

    async def start(self) -> None:
        """Begin to commit."""
        for one in self.tended:
            one.start()

    async def close(self) -> None:
        """Stop; whoever waits is not acknowledged."""
        await end_all(*self.tended)
        await ended(self._recording)
        while not self._queue.empty():
            self._queue.get_nowait().tell(None)

    def check(self, id: Id, payload: bytes) -> Chunk:
        """Return the chunk in `payload`. Raises No: it is no chunk."""
        try:
            return decode(payload)
        except BadChunk as bad:
            self.refuse(id, "bad-chunk", str(bad))
            raise No(
                "bad-chunk", "This is no chunk of readings", Reason(bad.field, bad.what, bad.todo)
            ) from None

    def allow(self, id: Id, chunks: int = 1) -> None:
        """Take `chunks` from the logger's allowance. Raises No: it sends too much."""
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
        shown = "".join(c if c.isprintable() else "?" for c in said[:300])  # a logger wrote some
        self._refused[(id, reason)] = (count + chunks, shown)

    async def take(self, id: Id, chunk: Chunk, payload: bytes, way: str) -> Taken:
        """Make a checked chunk durable and recorded. Raises No: it is not acknowledged."""
        done: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Waiting(_entry(id, chunk, payload, way), _teller(done)))
        return await done

    def offer(self, id: Id, chunk: Chunk, payload: bytes, way: str, tell: Told) -> None:
        """As `take`, without waiting: `tell` is called once. Raises asyncio.QueueFull."""
        self._queue.put_nowait(_Waiting(_entry(id, chunk, payload, way), tell))

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._commit(batch)
            except asyncio.CancelledError:
                for one in batch:
                    one.tell(None)
                raise
            except _AWAY as error:
                log.warning("readings are not taken at the moment: %s", error)
                await self._recorded()  # the leaves of a part of it may be on their way
                _fail(batch, _not_now("the database could not be reached"))
                await asyncio.sleep(0.2)
            except Exception as error:
                log.exception("a batch of readings was not taken")
                await self._recorded()
                _fail(batch, error)

    async def _recorded(self) -> None:
        """Wait until whoever waits for the leaves of the batch before has been told."""
        if self._recording is not None:
            await asyncio.wait({self._recording})

    async def _commit(self, batch: list[_Waiting]) -> None:
        """Store and record a batch; of one that holds what cannot be stored, everything else.

        Raises _AWAY: the database is, and whoever has no answer yet gets none from here.
        """
        try:
            places = await self._storing.rows([one.entry for one in batch])
        except _AWAY:
            raise
        except Exception as error:
            if len(batch) > 1:
                half = len(batch) // 2
                await self._commit(batch[:half])
                await self._commit(batch[half:])
                return
            self._cannot(batch[0], error)
            return
        await self._recorded()
        self._recording = asyncio.create_task(self._record_all(batch, places), name="leaves")

    async def _record_all(self, batch: list[_Waiting], places: list[Place]) -> None:
        try:
            await self._record(batch, places)
        except Exception as error:
            log.exception("a batch of readings was not recorded")
            _fail(batch, error)
        finally:
            for one in batch:
                one.tell(None)  # we are closing; who has an answer is told nothing

    def _cannot(self, one: _Waiting, error: Exception) -> None:
        id = one.entry.id
        if isinstance(error, _HOPELESS):
            log.error("a chunk of %s cannot be stored: %s", id.user, error)
            said = "the database refuses it"
            self.refuse(id, "bad-chunk", said)
            _fail([one], No("bad-chunk", "This chunk cannot be stored",
                            Reason("", said, "look at what the logger sends")))  # fmt: skip
            return
        log.error("a chunk of %s was not taken", id.user, exc_info=error)
        _fail([one], error)

    async def _record(self, batch: list[_Waiting], places: list[Place]) -> None:
        of: dict[Batch, list[int]] = {}
        for n, place in enumerate(places):
            of.setdefault(place.batch, []).append(n)
        made = [
            self._storing.leaf(
                each,
                # Where one was there before, the batch may hold more than what came now.
                [] if all(places[n].again for n in ns)
                else [batch[n].entry for n in ns if not places[n].again],
                self.audience,
            )
            for each, ns in of.items()
        ]  # fmt: skip
        outcomes = await asyncio.gather(*made, return_exceptions=True)
        for (each, ns), outcome in zip(of.items(), outcomes, strict=True):
            if isinstance(outcome, BaseException):
                log.warning("%d chunks of %s have no leaf yet: %s", len(ns), each.id.user, outcome)
                _fail([batch[n] for n in ns], _not_now(str(outcome)))
                continue
            for n in ns:
                self._taken(batch[n], places[n])

    def _taken(self, one: _Waiting, place: Place) -> None:
        entry = one.entry
        taken = Taken(entry.id, entry.chunk, entry.sha.hex(), entry.arrived, place.again)
        one.tell(taken)
        if not place.again:
            self.chunks += 1
            self.readings += len(entry.chunk)
            self.heard(taken)

    async def _tell_refused(self) -> None:
        while True:
            await asyncio.sleep(1)
            if self._refused:
                await self._count_refused()

    async def _count_refused(self) -> None:
        """Write down how much was refused; what cannot be written now is written the next time."""
        refused, self._refused = self._refused, {}
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
        except _HOPELESS:
            log.exception("the count of refused chunks cannot be written: %s", refused)
        except BaseException:
            for (id, reason), (count, said) in refused.items():
                since, later = self._refused.get((id, reason), (0, ""))
                self._refused[(id, reason)] = (since + count, later or said)
            raise


def _entry(id: Id, chunk: Chunk, payload: bytes, way: str) -> Entry:
    now = time.time()
    return Entry(id, chunk, payload, hashlib.sha256(payload).digest(), way, now, covers(chunk, now))


def _teller(done: asyncio.Future[Taken]) -> Told:
    def tell(outcome: Taken | BaseException | None) -> None:
        if done.done():
            return  # whoever sent it has gone; it is kept all the same
        if outcome is None:
            done.cancel()
        elif isinstance(outcome, BaseException):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)

    return tell


def _not_now(why: str) -> No:
    return No(
        "not-acknowledged", "The readings could not be kept in time",
        Reason("", why, "send the chunk again"),
    )  # fmt: skip


def _fail(batch: list[_Waiting], error: BaseException) -> None:
    for one in batch:
        one.tell(error)
