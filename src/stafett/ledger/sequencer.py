"""The one appender: natural group commit, fenced by a lease with an epoch.

Whatever is queued becomes one transaction, which is one call of `ledger.append`: events,
submissions, the tree and the head (compare-and-swap on size and epoch). While one transaction
commits the next batch gathers, so that batches grow with the load by themselves. Under load the
next batch is even written meanwhile, for the places that it will have if the one before it commits,
so that the database has it at once. It is never sent before that: if the one fails, the other was
nowhere but here, and is written anew.

**Two processes can never both append.** To append, a process takes the lease, which raises the
epoch in the head row; a transaction with an older epoch or another size changes no head row and is
rolled back. The lease's time only says when another process may take it unasked; safety rests on
the epoch alone. The lease of a holder whose session is gone is free at once. A process that wants
to append while another holds the lease asks for it, and gets it after the holder's current batch.

**In doubt.** When the connection dies, or the commit comes with a notice (a cancelled wait for a
synchronous standby commits locally with a WARNING and may vanish at fail-over), nothing is
acknowledged. The sequencer takes the lease anew: that transaction waits for the old one (both
write the head row), raises the epoch so that the old one can't commit later, and its own clean
commit proves that everything before it in the log is durable too. Only then are the keys looked
up; what is there is answered, what isn't is appended again. Who has waited too long is told
`InDoubt`, or `NotAcknowledged` if their submission never went out.

Every answer, refusals and replays included, follows a commit of the head row: so no deposed
sequencer answers from what it remembers.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString

import msgspec
import psycopg

from stafett.ledger.batch import Prepared, prepare
from stafett.ledger.ending import ended
from stafett.ledger.event import (
    InDoubt,
    InvalidSubmission,
    NotAcknowledged,
    Receipt,
    Refused,
    Submission,
)
from stafett.ledger.listener import FREE, GREW, WANTED, Listener
from stafett.ledger.merkle import Frontier
from stafett.ledger.recent import Recent
from stafett.ledger.scribe import Scribe, Standing, Written, split
from stafett.ledger.session import Doubtful, Fenced, Session
from stafett.ledger.tending import Tended, Trouble

log = logging.getLogger(__name__)

LEASE_S = 2.0  # how long a silent holder keeps others away
BATCH_EVENTS = 4_000
FEW, MANY = 32, 256  # submissions: fewer are not parted, more never go together
TELL_S = 0.01  # under load, listeners in other processes hear of growth this seldom
TURNS = 3  # of the loop, until those who were answered have submitted again
BATCH_BYTES = 8 * 2**20

TAKE_LEASE: LiteralString = """
UPDATE ledger.head
SET epoch = epoch + 1, holder = %(me)s, backend = pg_backend_pid(),
    lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE holder IS NULL OR holder = %(me)s OR lease_until < clock_timestamp()
   OR NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = backend)
RETURNING size, epoch, recorded_at, clock_timestamp(), frontier
"""
GIVE_LEASE: LiteralString = """
WITH given AS (UPDATE ledger.head SET holder = NULL WHERE epoch = %s RETURNING one)
SELECT pg_notify(%s, '') FROM given
"""


class _Waiting(msgspec.Struct, eq=False):
    """A submission on its way."""

    prepared: Prepared
    answer: asyncio.Future[Receipt]
    deadline: float
    sent: bool = False  # it was in a transaction: it may have been committed


class Sequencer:
    """This process's appender to one ledger. `start()`, `append()`, `close()`."""

    def __init__(self, url: str, listener: Listener, patience_s: float) -> None:
        self.url = url
        self.listener = listener
        self.patience_s = patience_s
        self._queue: deque[_Waiting] = deque()
        self._in_hand: list[_Waiting] = []  # taken from the queue, not all answered yet
        self._arrived = asyncio.Event()  # something to do
        self._session = Session(url)
        self._epoch: int | None = None  # while we believe to hold the lease
        self._standing = Standing(Frontier(), datetime.min.replace(tzinfo=UTC))
        self._scribe = Scribe()
        self.recent = Recent()
        self._told, self._untold = 0.0, False  # when listeners last heard; is there more to say
        self._closing = False
        self._halted: str | None = None
        self._since = datetime.now(UTC)
        self._trouble = "the database is slow"  # what holds us up, as far as we know
        self._task: asyncio.Task[None] | None = None
        self._sweeper = Tended("ledger sweeper", self._expire, vital=True)

    @property
    def trouble(self) -> Trouble | None:
        """What this appender fails of, that it cannot mend; None while it goes on."""
        if self._task is not None and self._task.done() and not self._closing:
            why = "it has ended"
            return Trouble("ledger sequencer", self._since, 1, why, vital=True, for_good=True)
        return self._sweeper.trouble

    @property
    def halted(self) -> bool:
        """Whether nothing more is taken, for good."""
        return self._halted is not None

    async def start(self) -> None:
        """Begin to serve."""
        # Kept: asking for the running loop is a system call each time (Python 3.11, `getpid`).
        self._new_answer = asyncio.get_running_loop().create_future
        self.listener.on_wanted = self._arrived.set
        self._task = asyncio.create_task(self._serve(), name="ledger sequencer")
        self._sweeper.start()

    async def close(self) -> None:
        """Finish what is queued (each within its patience), hand the lease back, stop."""
        self._closing = True
        self._arrived.set()
        if self._task:
            # A commit may hang for ever (a synchronous standby that is away).
            await asyncio.wait({self._task}, timeout=self.patience_s)
            await ended(self._task)
            await self._sweeper.end()
            self._task = None

    def append(self, submission: Submission) -> asyncio.Future[Receipt]:
        """Take a submission; its answer comes when it is durable.

        Raises InvalidSubmission or NotAcknowledged at once, the answer any Refused, NotAcknowledged
        or InDoubt. It is no coroutine: whoever submits awaits the answer itself.
        """
        if self._closing:
            raise NotAcknowledged(submission.key, "the ledger is closed")
        if self._halted is not None:
            raise NotAcknowledged(submission.key, self._halted)
        answer = self._new_answer()
        deadline = time.monotonic() + self.patience_s
        if not self._queue:  # else it is set already
            self._arrived.set()
        self._queue.append(_Waiting(prepare(submission), answer, deadline))
        return answer

    def halt(self, why: str) -> None:
        """Take nothing more, for good: the record must not go on from here."""
        log.critical("appending was halted: %s", why)
        self._halted = why

    async def _expire(self) -> None:
        """Tell those who have waited too long. One timer for all: all have the same patience."""
        while True:
            now = time.monotonic()
            for waiting in self._late(now):
                why = f"no answer in {self.patience_s:g} s: {self._trouble}"
                self._answer(waiting, _unsure(waiting, why))
            await asyncio.sleep(min(0.1, self.patience_s / 10))

    def _late(self, now: float) -> list[_Waiting]:
        """Return those who have waited too long and have no answer yet."""
        queued = itertools.takewhile(lambda w: w.deadline <= now, self._queue)
        every = itertools.chain(self._in_hand, queued)
        return [w for w in every if w.deadline <= now and not w.answer.done()]

    # ---- serving -------------------------------------------------------------------------------

    async def _serve(self) -> None:
        try:
            while True:
                if self._epoch is not None and self.listener.wanted:
                    await self._give_lease()
                if not self._queue:
                    if self._closing:
                        return
                    await self._idle()
                    continue
                self._in_hand = self._take(max(FEW, len(self._queue) // 2))
                await self._see_to(self._in_hand)
                self._in_hand = []
        finally:
            await self._disconnect(politely=True)

    async def _idle(self) -> None:
        """Wait for something to append or, while holding the lease, for someone who wants it."""
        self._arrived.clear()
        if self._untold:
            await self._tell_others()
        if self._epoch is None or not self.listener.wanted:
            await self._arrived.wait()

    def _take(self, most: int) -> list[_Waiting]:
        """Take at most so many of those who are queued, and no more than a batch's size."""
        batch: list[_Waiting] = []
        events = size = 0
        most = min(most, MANY)
        while self._queue and len(batch) < most and events < BATCH_EVENTS and size < BATCH_BYTES:
            waiting = self._queue.popleft()
            if waiting.answer.done():
                continue
            batch.append(waiting)
            events += len(waiting.prepared.parts)
            size += waiting.prepared.size
        return batch

    async def _see_to(self, batch: list[_Waiting], alone: bool = False) -> None:
        """Append `batch`, and what follows it, until each submission has an answer.

        `alone`: nothing follows it.
        """
        pause = 0.0
        written: Written | None = None
        while batch:
            try:
                if await self._hold_lease():
                    batch, written = await self._append(batch, written, alone)
                    continue
                self._trouble = "another process holds the lease"
            except Fenced:
                self._epoch = None
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                log.exception("the database refused a batch of %d", len(batch))
                await self._disconnect(politely=False)
                if len(batch) == 1:
                    self._answer(batch[0], InvalidSubmission(f"the database refused it: {error}"))
                    return
                for waiting in batch:  # so that one bad submission spoils nobody else's
                    await self._see_to([waiting], alone=True)
                return
            except (psycopg.Error, OSError, Doubtful) as error:  # TimeoutError is an OSError
                self._trouble = str(error).strip() or type(error).__name__
                log.warning("the append will be tried again: %s", self._trouble)
                await self._disconnect(politely=False)
                await asyncio.sleep(pause)
                pause = min(0.5, pause * 2 + 0.02)
            except Exception as fault:
                # Of this program. It must not be the end of appending, and what it is about must
                # not keep everybody else's from the record.
                log.exception("a batch of %d could not be appended", len(batch))
                await self._disconnect(politely=False)
                if len(batch) == 1:
                    self._answer(batch[0], _unsure(batch[0], f"a fault of the server: {fault!r}"))
                    return
                for waiting in batch:
                    await self._see_to([waiting], alone=True)
                return
            written = None
            # Whoever waited too long has gone; newcomers join at the end.
            newcomers = [] if alone else self._take(MANY)
            self._in_hand = self._in_hand + newcomers
            batch = [w for w in batch if not w.answer.done()] + newcomers

    @staticmethod
    def _answer(waiting: _Waiting, outcome: Receipt | Exception) -> None:
        if waiting.answer.done():  # the caller went away
            return
        if isinstance(outcome, Receipt):
            waiting.answer.set_result(outcome)
        else:
            waiting.answer.set_exception(outcome)

    # ---- the lease -----------------------------------------------------------------------------

    async def _hold_lease(self) -> bool:
        """Return whether we hold the lease; asks for it and waits a little if we don't."""
        if self._epoch is not None:
            return True
        connection = await self._connected()
        row = await self._session.committed(
            connection, TAKE_LEASE, {"me": self.listener.name, "lease": LEASE_S}
        )
        if row is None:
            await connection.execute(
                "SELECT pg_notify(%s, %s)", [WANTED, self.listener.name], prepare=True
            )
            await self.listener.lease_news(0.25)
            return False
        size, self._epoch, recorded_at, clock, peaks = row
        self._standing = Standing(Frontier(size, split(bytes(peaks))), recorded_at)
        self._scribe.forget()
        self.recent.forget()
        self._scribe.clock.set(clock)
        self.listener.wanted = False
        self.listener.grown(size)
        return True

    async def _give_lease(self) -> None:
        """Hand the lease to whoever asked for it."""
        self.listener.wanted = False
        epoch, self._epoch = self._epoch, None
        # (A time-out while connecting is an OSError.) The lease runs out by itself then.
        with contextlib.suppress(psycopg.Error, OSError, Doubtful):
            await self._session.committed(await self._connected(), GIVE_LEASE, [epoch, FREE])

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._session.lost:
            self._epoch = None
        return await self._session.connected()

    async def _disconnect(self, politely: bool) -> None:
        """Drop the connection; `politely` hands the lease back first."""
        if politely and self._epoch is not None:
            await self._give_lease()
        self._epoch = None
        await self._session.close()

    async def _tell_others(self) -> None:
        """Tell who listens what the last transaction did not say: another was to follow it."""
        self._untold = False
        with contextlib.suppress(psycopg.Error, TimeoutError):
            connection = await self._connected()
            size = str(self._standing.frontier.size)
            await connection.execute("SELECT pg_notify(%s, %s)", [GREW, size], prepare=True)

    # ---- one batch -----------------------------------------------------------------------------

    async def _append(
        self, batch: list[_Waiting], written: Written | None, alone: bool
    ) -> tuple[list[_Waiting], Written | None]:
        """Append one batch in one transaction, and answer; return the batch to go on with.

        `written` is what this function returned with the batch. What it raises is about this batch
        alone: whatever followed is in the queue again.
        """
        connection = await self._connected()
        if self._epoch is None:
            raise Fenced
        gone = {id(w) for w in batch if w.answer.done() and not w.sent}
        if gone:  # they were told that they never went out
            batch, written = [w for w in batch if id(w) not in gone], None
        for waiting in batch:
            waiting.sent = True
        if written is None:
            prepared = [w.prepared for w in batch]
            written = await self._scribe.write(connection, prepared, self._standing, {})
        commit = asyncio.create_task(self._commit(connection, batch, written))
        following: list[_Waiting] = []
        ahead: Written | None = None
        try:
            if not alone:
                following = await self._follow(len(batch))
            self._in_hand = batch + following
            ahead = await self._ahead(connection, following, written)
            committed = await commit
        except BaseException:
            self._queue.extendleft(reversed(following))
            self._in_hand = batch
            if not commit.done():
                await ended(commit)
            raise
        self._scribe.remember(committed)
        arranged = committed.arranged
        self.recent.put(arranged.size, arranged.entries, arranged.leaf_hashes)
        self.listener.grown(arranged.size)
        # The next batch goes out first; then whoever was answered may submit again.
        asyncio.get_running_loop().call_soon(self._tell, batch, arranged.outcomes)
        self._in_hand = following
        return following, ahead if committed is written else None

    async def _follow(self, sent: int) -> list[_Waiting]:
        """Take what goes into the next transaction, if that is enough to write it ahead.

        Of all who submit, half wait for the database and half are being written: so both are busy.
        """
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if len(self._queue) < FEW or self.listener.wanted:
            return []
        return self._take(max(FEW, (sent + len(self._queue)) // 2))

    async def _ahead(
        self,
        connection: psycopg.AsyncConnection[Any],
        following: Sequence[_Waiting],
        sent: Written,
    ) -> Written | None:
        """Write `following` for the places behind what was sent; None where that must wait."""
        if not following or sent.keys_grow:
            return None
        try:
            return await self._scribe.write(
                connection, [w.prepared for w in following], sent.after, sent.arranged.reached
            )
        except psycopg.Error:
            return None  # its turn will come, and its trouble with it

    def _tell(self, batch: list[_Waiting], outcomes: list[Receipt | Refused]) -> None:
        for waiting, outcome in zip(batch, outcomes, strict=True):
            self._answer(waiting, outcome)

    async def _commit(
        self,
        connection: psycopg.AsyncConnection[Any],
        batch: Sequence[_Waiting],
        written: Written,
    ) -> Written:
        """Send a batch; return what was committed: another, if some of its keys were known.

        Raises Fenced with nothing written, Doubtful, or a psycopg error.
        """
        try:
            await self._send(connection, written)
        except psycopg.errors.UniqueViolation as violation:
            if violation.diag.table_name != "submission":
                raise Fenced from None  # someone else's events are in our places
            prepared = [w.prepared for w in batch]
            written = await self._scribe.write_anew(connection, prepared, written)
            await self._send(connection, written)
        return written

    async def _send(self, connection: psycopg.AsyncConnection[Any], written: Written) -> None:
        """Run one transaction, which is one statement."""
        before, after = written.before.frontier, written.after.frontier
        now = time.monotonic()
        tell = not self._queue or now - self._told > TELL_S
        values = [
            before.size, self._epoch, written.after.recorded_at, LEASE_S, tell,
            b"".join(after.peaks), after.root, *written.rows, *written.nodes,
        ]  # fmt: skip
        clock = await self._session.append(connection, values)
        if after.size > before.size:  # else there was nothing to tell of
            self._untold, self._told = not tell, now if tell else self._told
        self._standing = written.after
        self._scribe.clock.set(clock)


def _unsure(waiting: _Waiting, why: str) -> NotAcknowledged:
    """Return what somebody is told of whose submission nobody can say what it came to."""
    kind = InDoubt if waiting.sent else NotAcknowledged
    return kind(waiting.prepared.submission.key, why)
