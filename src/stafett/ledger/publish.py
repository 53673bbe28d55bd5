"""Publish the record: sign, let the witnesses cosign, keep their cosignatures, give receipts.

Appending never waits for this. A witness that is away is asked again at the next round; until a
quorum has cosigned, the verdict says whose cosignatures are missing, and the board can show it. One
answer stops everything: a witness that remembers a larger tree (`witness_client.RolledBack`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg_pool import AsyncConnectionPool

from stafett.ledger import bundle as bundles
from stafett.ledger import proof, tree
from stafett.ledger.bundle import Bundle
from stafett.ledger.checkpoint import Signed, open_checkpoint
from stafett.ledger.event import Event
from stafett.ledger.note import NoteSigner, note_verifier
from stafett.ledger.policy import Party, Policy, Verdict
from stafett.ledger.proof import Receipt
from stafett.ledger.seal import newest, seal
from stafett.ledger.witness_client import Outcome, OverHttp, Post, round_of

KEEP: LiteralString = """
INSERT INTO ledger.cosignature (size, name, line) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""
COSIGNED: LiteralString = """
SELECT size, note || (SELECT string_agg(line, '' ORDER BY got_at) FROM ledger.cosignature AS c
                      WHERE c.size = k.size)
FROM ledger.checkpoint AS k
WHERE size >= %s AND EXISTS (SELECT FROM ledger.cosignature AS c WHERE c.size = k.size)
ORDER BY size DESC LIMIT 20
"""
KNOWN: LiteralString = "SELECT name, max(size) FROM ledger.cosignature GROUP BY name"

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]


class NotYet(RuntimeError):
    """The entry is recorded, and no checkpoint that holds it has been signed yet: ask again."""


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint as it stands after a round: with all cosignatures, and what the policy says."""

    signed: Signed
    verdict: Verdict
    outcomes: tuple[Outcome, ...]
    """One for each witness that was asked in this round."""


async def believed(
    connection: psycopg.AsyncConnection[Any], signer: NoteSigner, policy: Policy, position: int = 0
) -> Signed | None:
    """Return the newest checkpoint with a quorum that holds `position`, else the newest."""
    rows = await (await connection.execute(COSIGNED, [position])).fetchall()
    if policy.quorum != "none":
        for size, text in rows:
            if policy.judge(text).quorum:
                found = open_checkpoint(text, [note_verifier(signer.vkey)])
                if found.checkpoint.size == size:
                    return found
    return await newest(connection, signer)


class Publisher:
    """Publishes one ledger. The pool's connections are in autocommit and may append.

    The policy must list the log's own key; `post` replaces HTTP in tests.
    """

    def __init__(
        self, pool: Pool, signer: NoteSigner, policy: Policy, post: Post | None = None
    ) -> None:
        if all(log.vkey != signer.vkey for log in policy.logs):
            raise ValueError(f"the policy does not list this log: add 'log {signer.vkey}'")
        self._pool = pool
        self._signer = signer
        self._policy = policy
        self._post = post or OverHttp()

    async def publish(self) -> Published:
        """Sign the ledger as it stands and ask each witness that has not cosigned that yet.

        Raises seal.Tampered or witness_client.RolledBack: then stop, and call a person.
        """
        async with self._pool.connection() as connection:
            signed = await seal(connection, self._signer)
            before = await newest(connection, self._signer) or signed
            known = dict(await (await connection.execute(KNOWN)).fetchall())
            verdict = self._policy.judge(before.text)
            done = {*verdict.cosigned, *verdict.not_counted}
            asked = [w for w in self._policy.witnesses if w.name not in done and w.url]
            outcomes = await self._round(connection, asked, signed, known)
            for outcome in outcomes:
                if outcome.signature is not None:
                    line = outcome.signature.line
                    size = signed.checkpoint.size
                    await connection.execute(KEEP, [size, outcome.witness, line])
            after = await newest(connection, self._signer) or signed
        return Published(after, self._policy.judge(after.text), tuple(outcomes))

    async def receipt(self, position: int) -> Receipt:
        """Return the `.tlog-proof` of the event at `position` (from 1).

        It is in the newest checkpoint with a quorum that holds the event, else in the newest: then
        the reader's policy says what is missing. Raises NotYet when no signed checkpoint holds it.
        """
        async with self._pool.connection() as connection:
            signed = await believed(connection, self._signer, self._policy, position)
            if signed is None or signed.checkpoint.size < position:
                raise NotYet(f"event {position} is not under a signed checkpoint yet")
            path = await tree.inclusion(connection, position - 1, signed.checkpoint.size)
        return proof.make(position - 1, path, signed.text)

    async def bundle(self, stream: str, events: Sequence[Event], keys: Sequence[Event]) -> Bundle:
        """Return the proof of a stream's `events`, as far as one checkpoint holds them.

        That is the newest with a quorum, else the newest.

        `keys` are the events of `record/keys`. Raises NotYet when it holds none.
        """
        async with self._pool.connection() as connection:
            first = min((e.position for e in events), default=0)
            signed = await believed(connection, self._signer, self._policy, first)
            size = signed.checkpoint.size if signed else 0
            chosen = [[e for e in some if e.position <= size] for some in (keys, events)]
            if signed is None or not chosen[1]:
                raise NotYet(f"no event of {stream!r} is under a signed checkpoint yet")
            made = []
            for some in chosen:
                indexes = [e.position - 1 for e in some]
                paths = await tree.inclusions(connection, indexes, size)
                made.append(tuple(map(bundles.entry, indexes, (e.leaf for e in some), paths)))
        return Bundle(
            bundles.FORMAT, stream, str(self._signer.vkey), self._policy.text, signed.text,
            keys=made[0], entries=made[1],
        )  # fmt: skip

    async def greet(self) -> tuple[Outcome, ...]:
        """Ask every witness to look at the newest checkpoint again; nothing is kept of it.

        Between two events nobody has anything to cosign: this says who would.
        """
        async with self._pool.connection() as connection:
            signed = await newest(connection, self._signer)
            if signed is None:
                return ()
            known = dict(await (await connection.execute(KNOWN)).fetchall())
            asked = [w for w in self._policy.witnesses if w.url]
            return tuple(await self._round(connection, asked, signed, known))

    async def _round(
        self,
        connection: psycopg.AsyncConnection[Any],
        asked: list[Party],
        signed: Signed,
        known: dict[str, int],
    ) -> list[Outcome]:
        if not asked:
            return []
        loop = asyncio.get_running_loop()
        size = signed.checkpoint.size

        made: dict[int, asyncio.Task[list[bytes]]] = {}

        async def once(old: int) -> list[bytes]:  # most witnesses stand at the same size
            if old not in made:
                made[old] = asyncio.create_task(tree.consistency(connection, old, size))
            return await asyncio.shield(made[old])

        def prove(old: int) -> list[bytes]:
            return asyncio.run_coroutine_threadsafe(once(old), loop).result()

        return await asyncio.to_thread(round_of, asked, signed, prove, post=self._post, known=known)
