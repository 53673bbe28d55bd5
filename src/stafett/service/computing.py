"""Long computations: asked for, worked out in a process of their own, kept with their answer.

What is asked is a row of the database, so a run outlives the server: one that was cut short by a
stop or a crash goes on at the next start, from the replications that it had finished. An answer is
kept under the digest of its question and of the very code and catalogue that answer it; the same
question is answered at once. There are two lanes, so that a page never waits behind a long run,
and in each lane one process of low priority computes at a time, whatever number of servers runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
import psycopg
from psycopg.rows import class_row, tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.ledger.tending import AWAY, Tended
from stafett.service.computing_messages import Answered, Done, Failed, Message, Seen, Task, frame
from stafett.service.unforeseen import words_of

log = logging.getLogger(__name__)

Lane = Literal["runs", "pages"]
LANES: dict[Lane, int] = {"runs": 0x5374616665747403, "pages": 0x5374616665747404}  # their locks
MOST = {"runs": 2, "pages": 8}  # waiting or running, for each person
MOST_KEPT = 200  # answers
LOOK_S = 30.0
IDLE = 60.0  # seconds that a process is kept for the next question
ELSEWHERE_S = 1.0  # how soon a step that another server worked out is seen here
PACKAGE = Path(__file__).resolve().parent.parent
ANSWERED_BY = ("design", "simulation", "protocol", "catalogue", "eventlog")
DIED = "The process that computes was ended, most likely for want of memory: ask for less."
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Busy(RuntimeError):
    """The person has as many computations going as one person may."""


@dataclass(frozen=True)
class Computation:
    """What was asked, by whom, and how far it is."""

    id: str
    kind: str
    digest: str
    wish: bytes
    organisation: str
    state: Literal["waiting", "running", "done", "cancelled", "failed"]
    done: int
    total: int
    problem: str

    @property
    def going(self) -> bool:
        """Whether there is still something to wait for."""
        return self.state in ("waiting", "running")


COLUMNS = "id, kind, digest, wish, organisation, state, done, total, problem"


@cache
def basis() -> bytes:
    """The digest of everything that answers follow from, but the question."""
    digest = hashlib.sha256()
    for name in ANSWERED_BY:
        for file in sorted((PACKAGE / name).rglob("*")):
            if file.suffix in (".py", ".yaml"):
                digest.update(str(file.relative_to(PACKAGE)).encode() + b"\0" + file.read_bytes())
    return digest.digest()


def digest_of(kind: str, wish: bytes) -> str:
    """Under what an answer is kept."""
    return hashlib.sha256(basis() + kind.encode() + b"\0" + wish).hexdigest()


class Computing:
    """The computations of one database, worked out by this process's children."""

    def __init__(self, url: str, pool: AsyncConnectionPool[Any], folder: Path) -> None:
        """`folder` keeps what unfinished runs have done so far."""
        self._url, self._pool, self._folder = url, pool, folder / "computing"
        self._workers = {lane: _Worker(self, lane) for lane in LANES}
        self._watching: set[asyncio.Event] = set()

    async def start(self) -> None:
        """Go on with what waits."""
        for worker in self._workers.values():
            worker.tended.start()

    @property
    def tended(self) -> tuple[Tended, ...]:
        """What goes on by itself."""
        return tuple(worker.tended for worker in self._workers.values())

    async def close(self) -> None:
        """End the processes; what they were at is begun again at the next start."""
        for worker in self._workers.values():
            await worker.close()

    async def ask(
        self,
        kind: str,
        wish: bytes,
        person: str,
        organisation: str,
        total: int,
        *,
        lane: Lane = "runs",
        join: bool = False,
    ) -> Computation:
        """Ask for a computation of `total` parts. Raises Busy.

        With `join` nothing is written down for a question that is answered, and an equal one that
        waits, runs or has failed within the last minute is returned, whoever asked it.
        """
        digest = digest_of(kind, wish)
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Computation)) as cursor,
        ):
            # One person's questions one after the other, so that they are counted rightly.
            await cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [person])
            await cursor.execute("SELECT FROM service.computed WHERE digest = %s", [digest])
            kept = cursor.rowcount > 0
            if join and kept:
                return Computation("", kind, digest, wish, organisation, "done", total, total, "")
            if join:
                await cursor.execute(
                    f"SELECT {COLUMNS} FROM service.computation WHERE digest = %s"
                    " AND (state IN ('waiting', 'running')"
                    " OR (state = 'failed' AND ended_at > now() - interval '1 minute'))"
                    " ORDER BY asked_at DESC LIMIT 1",
                    [digest],
                )
                found: Computation | None = await cursor.fetchone()
                if found is not None:
                    return found
            await cursor.execute(
                "SELECT FROM service.computation"
                " WHERE person = %s AND lane = %s AND state IN ('waiting', 'running')",
                [person, lane],
            )
            if not kept and cursor.rowcount >= MOST[lane]:
                raise Busy(f"{MOST[lane]} runs are going already")
            await cursor.execute(
                "INSERT INTO service.computation (id, lane, kind, digest, wish, person,"
                " organisation, state, done, total, ended_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, CASE WHEN %s THEN now() END)"
                f" RETURNING {COLUMNS}",
                [secrets.token_urlsafe(9), lane, kind, digest, wish, person, organisation,
                 "done" if kept else "waiting", total if kept else 0, total, kept],
            )  # fmt: skip
            row: Computation | None = await cursor.fetchone()
        assert row is not None
        self._workers[lane].wake.set()
        return row

    async def of(self, organisation: str, kind: str, id_: str) -> Computation | None:
        """A computation of an organisation; None where there is none that it may see."""
        found = await self._rows("organisation = %s AND kind = %s AND id = %s",
                                 organisation, kind, id_)  # fmt: skip
        return found[0] if found else None

    async def all_of(self, organisation: str, kind: str) -> list[Computation]:
        """The computations of an organisation, the newest first."""
        where = "organisation = %s AND kind = %s ORDER BY asked_at DESC LIMIT 50"
        return await self._rows(where, organisation, kind)

    async def for_pages(
        self, organisations: Sequence[str], ids: Sequence[str]
    ) -> list[Computation]:
        """Those of some computations that pages wait for and that belong to one of these."""
        where = "lane = 'pages' AND organisation = ANY(%s) AND id = ANY(%s) ORDER BY id"
        return await self._rows(where, list(organisations), list(ids))

    async def answer(self, digest: str) -> bytes | None:
        """A kept answer."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute("SELECT answer FROM service.computed WHERE digest = %s", [digest])
            row = await cursor.fetchone()
        return bytes(row[0]) if row else None

    async def so_far(self, id_: str) -> bytes | None:
        """What a computation has found so far, where its kind says that; kept if it is stopped."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute("SELECT so_far FROM service.computation WHERE id = %s", [id_])
            row = await cursor.fetchone()
        return bytes(row[0]) if row and row[0] is not None else None

    async def cancel(self, id_: str) -> None:
        """Stop a computation that waits or runs; what is done stays done."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "UPDATE service.computation SET state = 'cancelled', ended_at = now()"
                " WHERE id = %s AND state IN ('waiting', 'running')",
                [id_],
            )
        self._moved()
        for worker in self._workers.values():
            worker.drop(id_)

    @contextlib.contextmanager
    def watched(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """Give a function that waits until some computation may have moved since it last waited.

        What moves here is told at once; what another server computes is looked for every second.
        """
        moved = asyncio.Event()

        async def wait() -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(moved.wait(), ELSEWHERE_S)
            moved.clear()

        self._watching.add(moved)
        try:
            yield wait
        finally:
            self._watching.discard(moved)

    def _moved(self) -> None:
        for event in self._watching:
            event.set()

    async def _rows(self, where: str, *values: object) -> list[Computation]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Computation)) as cursor,
        ):
            await cursor.execute(
                f"SELECT {COLUMNS} FROM service.computation WHERE {where}".encode(), list(values)
            )
            found: list[Computation] = await cursor.fetchall()
        return found

    # ---- what the workers say ---------------------------------------------------------------

    async def waits(self, lane: Lane) -> Computation | None:
        """What is to be computed next."""
        where = "lane = %s AND state IN ('waiting', 'running') ORDER BY asked_at LIMIT 1"
        found = await self._rows(where, lane)
        return found[0] if found else None

    async def orphans(self, lane: Lane) -> None:
        """What ran when its server ended waits again. Only who holds the lane's lock may say so."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "UPDATE service.computation SET state = 'waiting'"
                " WHERE lane = %s AND state = 'running'",
                [lane],
            )

    async def goes(self, id_: str, done: int) -> bool:
        """Say how far it is; False if it was cancelled meanwhile."""
        async with self._pool.connection() as connection:
            moved = await connection.execute(
                "UPDATE service.computation SET state = 'running', done = least(%s, total)"
                " WHERE id = %s AND state IN ('waiting', 'running')",
                [done, id_],
            )
        self._moved()
        return bool(moved.rowcount > 0)

    async def saw(self, id_: str, so_far: bytes) -> None:
        """Keep what was found so far."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "UPDATE service.computation SET so_far = %s"
                " WHERE id = %s AND state IN ('waiting', 'running')",
                [so_far, id_],
            )
        self._moved()

    async def ends(self, c: Computation, answer: bytes | None, problem: str = "") -> None:
        """Keep an answer, or say why there is none; whoever asked the same has it too."""
        async with self._pool.connection() as connection:
            if answer is not None:
                await connection.execute(
                    "INSERT INTO service.computed (digest, answer) VALUES (%s, %s)"
                    " ON CONFLICT (digest) DO NOTHING",
                    [c.digest, answer],
                )
                await connection.execute(
                    "UPDATE service.computation SET state = 'done', done = total, so_far = NULL,"
                    " ended_at = now()"
                    " WHERE digest = %s AND state IN ('waiting', 'running')",
                    [c.digest],
                )
                await connection.execute(
                    "DELETE FROM service.computed WHERE digest NOT IN"
                    " (SELECT digest FROM service.computed ORDER BY kept_at DESC LIMIT %s)",
                    [MOST_KEPT],
                )
                # A run whose answer is gone is of no use to anyone.
                await connection.execute(
                    "DELETE FROM service.computation c WHERE state = 'done'"
                    " AND NOT EXISTS (SELECT FROM service.computed d WHERE d.digest = c.digest)"
                )
            else:
                await connection.execute(
                    "UPDATE service.computation SET state = 'failed', problem = %s,"
                    " ended_at = now() WHERE id = %s AND state IN ('waiting', 'running')",
                    [problem, c.id],
                )
            await connection.execute(
                "DELETE FROM service.computation WHERE state IN ('cancelled', 'failed')"
                " AND ended_at < now() - interval '30 days'"
            )
        self._moved()

    def task(self, c: Computation) -> Task:
        """What the process is handed."""
        return Task(c.kind, c.wish, str(self._folder / f"{c.digest[:32]}.jsonl"), self._url)


class _Worker:
    """The one process of a lane, and who hands it its tasks."""

    def __init__(self, computing: Computing, lane: Lane) -> None:
        self._computing, self._lane = computing, lane
        self._process: asyncio.subprocess.Process | None = None
        self._current = ""
        self.wake = asyncio.Event()
        self.tended = Tended(f"computing ({lane})", self.run)

    async def run(self) -> None:
        """Compute whatever waits, for ever."""
        while True:
            await self._drain()
            # Now and then unasked: what another server was at may wait, and that server be gone.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), LOOK_S)

    async def close(self) -> None:
        """End the process now."""
        await self.tended.end()
        await self._end()

    def drop(self, id_: str) -> None:
        """End the process if it is at this computation."""
        if self._current == id_ and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _drain(self) -> None:
        self.wake.clear()
        if await self._computing.waits(self._lane) is None:
            return
        async with await psycopg.AsyncConnection.connect(
            self._computing._url, autocommit=True, row_factory=tuple_row
        ) as connection:
            while not await _lock(connection, LANES[self._lane]):
                await asyncio.sleep(2)  # another server computes; ours may be done by it meanwhile
                if await self._computing.waits(self._lane) is None:
                    return
            await self._computing.orphans(self._lane)
            try:
                while (c := await self._next()) is not None:
                    await self._compute(c)
            finally:
                await self._end()

    async def _next(self) -> Computation | None:
        """What waits; else what is asked while the process is kept for it."""
        for _ in range(int(IDLE / 3)):
            self.wake.clear()  # before we look: what is asked after that wakes us
            if (c := await self._computing.waits(self._lane)) is not None:
                return c
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), 3)
        return None

    async def _compute(self, c: Computation) -> None:
        kept = await self._computing.answer(c.digest)
        if kept is not None:
            return await self._computing.ends(c, kept)
        if not await self._computing.goes(c.id, 0):
            return None
        process = await self._started()
        self._current = c.id
        try:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(frame(self._computing.task(c)))
            await process.stdin.drain()
            while True:
                size = int.from_bytes(await process.stdout.readexactly(4))
                word = msgspec.msgpack.decode(await process.stdout.readexactly(size), type=Message)
                if isinstance(word, Answered):
                    return await self._computing.ends(c, word.answer)
                if isinstance(word, Failed):
                    return await self._computing.ends(c, None, word.problem)
                if isinstance(word, Seen):
                    await self._computing.saw(c.id, word.so_far)
                if isinstance(word, Done) and not await self._computing.goes(c.id, word.parts):
                    return await self._end()
        except (asyncio.IncompleteReadError, ConnectionError):
            await self._end()
            await self._computing.ends(c, None, DIED)  # says nothing where it was cancelled
        except AWAY:
            raise  # the database: it is begun again
        except Exception as fault:
            # What this question provokes must not keep the next ones waiting for ever.
            log.exception("the computation %s could not be dealt with", c.id)
            await self._end()
            await self._computing.ends(c, None, words_of(fault))
        finally:
            self._current = ""

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            # Many small matrices: two threads for each product would wait for each other.
            alone = dict.fromkeys(THREADS, "1")
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "stafett.service.computing_work",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                env={**os.environ, **alone},
            )  # fmt: skip
        return self._process

    async def _end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._process = None


async def _lock(connection: psycopg.AsyncConnection[Any], key: int) -> bool:
    found = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", [key])).fetchone()
    return bool(found and found[0])
