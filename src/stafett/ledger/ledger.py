"""The ledger as the other rooms see it: append, read, follow.

    async with Ledger(url) as ledger:
        receipt = await ledger.append(Submission(...))
        async for batch in ledger.follow(after=0): ...

Positions start at 1; `after=0` means from the beginning. Whoever reads for an organisation passes
`organisation`: that read runs under the database's restricted role and sees only the events whose
audience names it, whatever the query.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, LiteralString

import psycopg
from msgspec.structs import replace
from psycopg import sql
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.ledger import leaf, tree
from stafett.ledger.acceptance import accept
from stafett.ledger.author import BadSignature, Keys
from stafett.ledger.checkpoint import Signed
from stafett.ledger.event import Event, KeyReused, Receipt, Submission
from stafett.ledger.lending import Pool, read_again
from stafett.ledger.listener import Listener
from stafett.ledger.note import NoteSigner
from stafett.ledger.scribe import look_up, read_keys
from stafett.ledger.seal import seal
from stafett.ledger.sequencer import Sequencer
from stafett.ledger.tending import Trouble

READ: LiteralString = """
SELECT position, leaf, leaf_hash FROM ledger.event WHERE position > %s ORDER BY position LIMIT %s
"""
READ_KINDS: LiteralString = """
SELECT position, leaf, leaf_hash FROM ledger.event WHERE position > %s AND kind = ANY(%s)
ORDER BY position LIMIT %s
"""
STREAM: LiteralString = """
SELECT position, leaf, leaf_hash FROM ledger.event WHERE stream = %s AND version > %s
ORDER BY version
"""
LEAVES: LiteralString = """
SELECT leaf FROM ledger.event WHERE stream = %s ORDER BY version
"""
BY_STREAM: LiteralString = """
SELECT position, stream, leaf, version FROM ledger.event
WHERE (stream, version) > (%s, %s) AND position <= %s ORDER BY stream, version LIMIT %s
"""


Signing = Callable[[Submission], Awaitable[Submission]]
"""Sign a submission for the organisation that it is from, whose key is kept here."""


class Ledger:
    """One ledger, for one process and event loop.

    `patience_s`: how long a submission may wait for a durable answer before it is told
    NotAcknowledged or InDoubt.
    """

    def __init__(self, url: str, *, patience_s: float = 30.0, readers: int = 8) -> None:
        self.url = url
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._listener = Listener(url, self.name)
        self.signing: Signing | None = None
        self.accepting: NoteSigner | None = None  # whoever signs acceptances: the log
        self._sequencer = Sequencer(url, self._listener, patience_s)
        self._pool = Pool(
            url, min_size=1, max_size=readers, open=False, configure=_as_service,
            kwargs={"autocommit": True},
        )  # fmt: skip

    async def __aenter__(self) -> Ledger:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect. The database must be migrated (`schema.migrate`)."""
        await self._pool.open(wait=True)
        await self._listener.start()
        self._listener.grown(await self.size())
        await self._sequencer.start()

    async def close(self) -> None:
        """Finish what was submitted, then let go of everything."""
        await self._sequencer.close()
        await self._listener.close()
        await self._pool.close()

    @property
    def pool(self) -> AsyncConnectionPool[Any]:
        """Connections in autocommit, as the service's runtime role: for publishing the record."""
        return self._pool

    def troubles(self) -> list[Trouble]:
        """Return what of this process's part in the ledger does not go on."""
        return [t for t in (self._sequencer.trouble, self._listener.tended.trouble) if t]

    @property
    def halted(self) -> bool:
        """Whether this process appends nothing more, for good."""
        return self._sequencer.halted

    def halt(self, why: str) -> None:
        """Append nothing more in this process: the record must not go on from what is stored."""
        self._sequencer.halt(why)

    async def growth(self, beyond: int, patience_s: float) -> None:
        """Return when there may be more than `beyond` events, or after `patience_s` seconds."""
        await self._listener.growth(beyond, patience_s)

    async def append(self, submission: Submission) -> Receipt:
        """Make events durable and return their places.

        Raises InvalidSubmission, StaleVersion, KeyReused (nothing was and will be appended),
        NotAcknowledged (nothing was appended) or InDoubt (ask `outcome_of`, or submit again with
        the same key). What its author has not signed is signed by `signing`, where that is set.
        """
        if self.signing is None or all(draft.signature for draft in submission.drafts):
            receipt = await self._sequencer.append(submission)
        else:
            receipt = await self._append_signed(submission, self.signing)
        return self._accepted(receipt, submission.request_hash)

    async def _append_signed(self, submission: Submission, signing: Signing) -> Receipt:
        signed = await signing(submission)
        try:
            return await self._sequencer.append(signed)
        except BadSignature:
            again = await signing(submission)  # the key may have been rotated meanwhile
            if again == signed:
                raise
            return await self._sequencer.append(again)

    def _accepted(self, receipt: Receipt, request_hash: bytes) -> Receipt:
        if self.accepting is None:
            return receipt
        return replace(receipt, acceptance=accept(receipt, request_hash, self.accepting))

    async def outcome_of(self, key: str, request_hash: bytes | None = None) -> Receipt | None:
        """Return what the submission with this key came to; None if the ledger doesn't have it.

        With `request_hash`, raise KeyReused if the key belongs to another request. After InDoubt,
        None may still change for as long as the lost transaction lives (seconds).
        """
        async with self._pool.connection() as connection:
            known = (await look_up(connection, [key])).get(key)
        if known is None:
            return None
        if request_hash is not None and request_hash != known.request_hash:
            raise KeyReused(key)
        return self._accepted(replace(known.receipt, replayed=True), known.request_hash)

    async def seal(self, signer: NoteSigner) -> Signed:
        """Sign the ledger as it stands, after checking it from the stored bytes (see `seal`)."""
        async with self._pool.connection() as connection:
            return await seal(connection, signer)

    async def inclusion(self, position: int, size: int) -> list[bytes]:
        """Return the proof that the event at `position` is in the tree of `size`."""
        async with self._pool.connection() as connection:
            return await tree.inclusion(connection, position - 1, size)

    async def consistency(self, old: int, size: int) -> list[bytes]:
        """Return the proof that the tree of `size` only added to that of `old`."""
        async with self._pool.connection() as connection:
            return await tree.consistency(connection, old, size)

    async def keys(self) -> Keys:
        """Return the authors' keys, as the record tells of them."""
        async with self._pool.connection() as connection:
            return await read_keys(connection)

    @read_again
    async def size(self) -> int:
        """Return the number of events, which is also the last position."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute("SELECT size FROM ledger.head")).fetchone()
        assert row is not None
        return int(row[0])

    def known_size(self) -> int:
        """Return the size that this process last heard of, without asking the database."""
        return self._listener.size

    async def sealed_size(self) -> int:
        """Return the size of the newest signed checkpoint; 0 before the first."""
        async with self._pool.connection() as connection:
            found = await connection.execute("SELECT max(size) FROM ledger.checkpoint")
            row = await found.fetchone()
        return int(row[0]) if row is not None and row[0] is not None else 0

    async def stream(
        self, name: str, after: int = 0, *, organisation: str | None = None
    ) -> list[Event]:
        """Return the events of one stream beyond version `after`, in order."""
        return await self._select(STREAM, [name, after], organisation)

    async def read(
        self,
        after: int,
        limit: int = 1000,
        *,
        organisation: str | None = None,
        kinds: Sequence[str] | None = None,
    ) -> list[Event]:
        """Return at most `limit` events beyond position `after`, in order; `kinds`: only these."""
        if kinds is not None:
            return await self._select(READ_KINDS, [after, list(kinds), limit], organisation)
        return await self._select(READ, [after, limit], organisation)

    async def leaves(self, name: str) -> list[bytes]:
        """Return the stored bytes of one stream's events, in order."""
        return [row[0] for row in await self._bytes(LEAVES, [name])]

    async def leaves_by_stream(
        self, upto: int, limit: int = 1000
    ) -> AsyncIterator[list[tuple[int, str, bytes]]]:
        """Yield position, stream and stored bytes of the first `upto` events, stream by stream.

        Within a stream they are in order: whoever makes something of each stream needs only one
        at a time in memory.
        """
        stream, version = "", 0
        while rows := await self._bytes(BY_STREAM, [stream, version, upto, limit]):
            _, stream, _, version = rows[-1]
            yield [(position, name, leaf) for position, name, leaf, _ in rows]

    async def of_room(self, room: str, after: int = 0) -> list[Event]:
        """Return the events of a room's own streams (`room/...`) beyond `after`, in order.

        A room that asks often keeps a partial index for this very condition.
        """
        # Literals, not parameters: only then does the planner see that the index fits.
        query = sql.SQL(
            "SELECT position, leaf, leaf_hash FROM ledger.event_store"
            " WHERE stream LIKE {} AND position > {} ORDER BY position"
        ).format(sql.Literal(f"{room}/%"), sql.Literal(after))
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(query)).fetchall()
        return [leaf.read(*row) for row in rows]

    async def follow(
        self,
        after: int,
        limit: int = 1000,
        *,
        organisation: str | None = None,
        kinds: Sequence[str] | None = None,
        rest_s: float = 0.0,
    ) -> AsyncIterator[list[Event]]:
        """Yield the events beyond position `after` in batches, now and as they come, for ever.

        What comes within `rest_s` seconds of a look is looked at together. What this process has
        just appended itself is not asked of the database.
        """
        while True:
            looked = time.monotonic()
            known = self._listener.size
            here = None
            if organisation is None and kinds is None:
                here = self._sequencer.recent.beyond(after, known, limit)
            if here is not None:
                events = [leaf.read(*row) for row in here]
            else:
                events = await self.read(after, limit, organisation=organisation, kinds=kinds)
            if events:
                after = events[-1].position
                yield events
            if len(events) < limit:
                after = max(after, known)  # what others may read need not be looked at again
                await self._listener.growth(after, patience_s=5)
                await asyncio.sleep(max(0.0, looked + rest_s - time.monotonic()))
                if self._listener.size <= after:
                    # A hint may have been lost with the connection.
                    self._listener.grown(await self.size())

    @read_again
    async def _bytes(self, query: LiteralString, values: list[Any]) -> list[tuple[Any, ...]]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(binary=True, row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(query, values)
            return await cursor.fetchall()

    @read_again
    async def _select(
        self, query: LiteralString, values: list[Any], organisation: str | None
    ) -> list[Event]:
        async with self._pool.connection() as connection:
            if organisation is None:
                rows = await (await connection.execute(query, values)).fetchall()
            else:
                async with connection.transaction():
                    await connection.execute("SET LOCAL ROLE stafett_read")
                    await connection.execute(
                        "SELECT set_config('stafett.organisation', %s, true)", [organisation]
                    )
                    rows = await (await connection.execute(query, values)).fetchall()
        return [leaf.read(*row) for row in rows]


async def _as_service(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.execute("SET ROLE stafett_append")
