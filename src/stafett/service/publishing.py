"""The record's own pulse: checkpoints signed as it grows, witnesses asked, their answers shown.

Once a second at most, and only when something is new, the tower signs a checkpoint and asks the
witnesses of its trust policy to cosign. Appending waits for none of it. What stands is in
`standing`: the board and the audit page show it, and say so when witnesses are away.

Two findings end it, and only a person may go on: stored bytes that are no longer what was signed
(nothing more is signed), and a store that has less than was signed or cosigned before (nothing more
is appended either: it would fork the record).

The folder holds `log.key`, the log's key, and `trust-policy` (C2SP tlog-policy), a text file that
is read again when it changes: adding an organisation's witness takes one line and no restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import httpx
import msgspec
import psycopg
from psycopg_pool import PoolTimeout

from stafett.ledger import Ledger, author, bundle, proof
from stafett.ledger.note import BadNote
from stafett.ledger.once import made_once
from stafett.ledger.policy import BadPolicy, Policy, parse_policy
from stafett.ledger.publish import Published, Publisher
from stafett.ledger.seal import NotReplicated, Tampered, WentBack, log_key
from stafett.ledger.tending import Tended, end_all, said
from stafett.ledger.witness_app import Witness
from stafett.ledger.witness_client import Outcome, OverHttp, RolledBack
from stafett.service.timekeeping import Clock, Timekeeping

log = logging.getLogger(__name__)

EVERY_S = 1.0  # the shortest time between two checkpoints: what came meanwhile shares one
AGAIN_S = 5.0  # how soon a witness that was away is asked again
GREET_S = 60.0  # how often witnesses are asked to look when nothing is new
FIRST_S = 5.0  # how long the start waits for the first round
SHOWN = 50  # evidence kept for the page
INSIDE = "inside:"  # address of a witness in this very process (the demo's)

SIGHTS: LiteralString = """
SELECT DISTINCT ON (name) name, size, got_at FROM ledger.cosignature ORDER BY name, size DESC
"""
CHECKPOINTS: LiteralString = """
SELECT size, root, signed_at,
       (SELECT array_agg(ROW (name, got_at) ORDER BY got_at) FROM ledger.cosignature AS c
        WHERE c.size = k.size)
FROM ledger.checkpoint AS k ORDER BY size DESC LIMIT %s
"""


class Seen(msgspec.Struct, frozen=True):
    """One witness: what it last cosigned and when, and what it said last.

    `counts` is false for the host's own; `away` says why there is no answer, where there is none.
    """

    name: str
    key: str
    url: str
    counts: bool
    size: int = 0
    at: datetime | None = None
    current: bool = False
    away: str = ""


class Cosigned(msgspec.Struct, frozen=True):
    """Who cosigned, by the name in the policy, and when the answer came."""

    name: str
    at: datetime


class Sealed(msgspec.Struct, frozen=True):
    """A signed checkpoint and its cosignatures."""

    size: int
    root: str
    at: datetime
    by: tuple[Cosigned, ...]


class Kept(msgspec.Struct, frozen=True):
    """What a witness has kept against a log: word for word the notes that do not fit."""

    kind: str
    origin: str
    what: str
    signed: tuple[str, ...]
    at: datetime
    witness: str = ""


class Standing(msgspec.Struct, frozen=True):
    """How the record stands.

    `size` events are recorded, of which `signed` are under a checkpoint, signed at `signed_at`;
    `cosigned` of `witnesses` (the host's own left out) have cosigned it; `needed` is what the
    policy asks for, 0 where it names nobody. `stopped` says why nothing more is signed.
    `clocks` is what the others' clocks say of ours.
    """

    origin: str
    key: str
    size: int
    signed: int
    signed_at: datetime | None
    root: str
    cosigned: int
    witnesses: int
    needed: int
    quorum: bool
    looked_at: datetime | None
    trouble: str
    stopped: str
    seen: tuple[Seen, ...]
    clocks: tuple[Clock, ...] = ()


class Publishing:
    """Signs and has witnessed one ledger. One instance per process; several are harmless."""

    def __init__(self, ledger: Ledger, folder: Path, every_s: float = EVERY_S) -> None:
        self._ledger, self.folder, self._every_s = ledger, folder, every_s
        self.signer = log_key(folder / "log.key")
        self.inside: dict[str, Witness] = {}
        self.held = contextlib.ExitStack()  # what lives as long as we do
        self._over_http = OverHttp(timeout_s=5.0)
        self._file = folder / "trust-policy"
        self._read_at = 0
        self.policy = self._first_policy()
        self._publisher = Publisher(ledger.pool, self.signer, self.policy, self._post)
        self._sights: dict[str, tuple[int, datetime]] = {}
        self._away: dict[str, str] = {}
        self._published: Published | None = None
        self._signed_at: datetime | None = None
        self._looked_at: datetime | None = None
        self._trouble = self._stopped = ""
        self.evidence: tuple[Kept, ...] = ()
        self._first = asyncio.Event()
        self._policy_trouble = ""
        self.clocks = Timekeeping(ledger.pool)
        self.tended = (Tended("checkpoints", self._run), *self.clocks.tended)

    # -- running -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin; waits a little for the first round: it may find that we were rolled back."""
        async with self._ledger.pool.connection() as connection:
            rows = await (await connection.execute(SIGHTS)).fetchall()
        self._sights = {name: (size, at) for name, size, at in rows}
        for one in self.tended:
            one.start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), FIRST_S)

    async def close(self) -> None:
        """Stop."""
        await end_all(*self.tended)
        self._over_http.close()
        self.held.close()

    async def _run(self) -> None:
        greeted = float("-inf")  # they are asked at once: they also tell the time
        while not self._stopped:
            if self._reread():
                greeted = 0.0
            try:
                published = await self._publisher.publish()
                self._heard(published)
                if time.monotonic() - greeted > GREET_S or any(self._away.values()):
                    greeted = time.monotonic()
                    for outcome in await self._publisher.greet():
                        self._away[outcome.witness] = outcome.why
                        if outcome.signature is not None:
                            self._seen(outcome, published.signed.checkpoint.size)
                    self.evidence = await asyncio.to_thread(self._gather)
            except (WentBack, RolledBack) as error:
                self._stop(str(error))
                self._ledger.halt(f"the record was rolled back: {error}")
            except Tampered as error:
                self._stop(str(error))
            except BadNote as error:
                self._stop(f"the stored checkpoints are not of {self.folder / 'log.key'}: {error}")
            except (psycopg.Error, PoolTimeout, NotReplicated) as error:
                self._trouble = f"the database: {str(error).strip() or type(error).__name__}"
                log.warning("publishing waits: %s", self._trouble)
            except Exception as error:
                # Whatever a witness or its address provokes: the record is signed all the same.
                if self._trouble != said(error):
                    log.exception("a round of publishing failed; it is tried again")
                self._trouble = said(error)
            self._first.set()
            await asyncio.sleep(self._every_s)
            await self._ledger.growth(self._signed, self._patience())
        await asyncio.Event().wait()  # only a person may go on

    def _patience(self) -> float:
        lacking = self._trouble or any(self._away.values())
        return max(self._every_s, AGAIN_S if lacking else GREET_S / 4)

    def _heard(self, published: Published) -> None:
        now = datetime.now(UTC)
        head = published.signed.checkpoint
        if self._published is None or self._signed < head.size:
            self._signed_at = now
        self._published, self._looked_at, self._trouble = published, now, ""
        for outcome in published.outcomes:
            self._away[outcome.witness] = outcome.why
            if outcome.signature is not None:
                self._seen(outcome, head.size)

    def _seen(self, outcome: Outcome, size: int) -> None:
        self._sights[outcome.witness] = (size, datetime.now(UTC))
        told = outcome.time
        if told is not None and outcome.witness in self._elsewhere():
            asked, answered = outcome.between
            self.clocks.told(outcome.witness, asked, told, answered)

    def _elsewhere(self) -> set[str]:
        """Return the witnesses whose clock is not ours: neither in this process nor the host's."""
        own = self.policy.own_witnesses(self.signer.name)
        return {
            w.name
            for w in self.policy.witnesses
            if w.name not in own and w.url and not w.url.startswith(INSIDE)
        }

    @property
    def stopped(self) -> str:
        """Why nothing more is signed, until a person has decided; empty while it goes on."""
        return self._stopped

    def _stop(self, why: str) -> None:
        log.critical("nothing more is signed: %s", why)
        self._stopped = why

    # -- the policy ----------------------------------------------------------------------------

    def _first_policy(self) -> Policy:
        text = (
            "# Whose cosignatures make the record believed: see docs/howto/witness-the-record.md\n"
            f"log {self.signer.vkey}\nquorum none\n"
        )
        made_once(self._file, text.encode, mode=0o644)
        self._read_at = self._file.stat().st_mtime_ns
        return parse_policy(self._file.read_bytes())

    def _reread(self) -> bool:
        """Read the policy again if its file has changed; a bad one changes nothing."""
        try:
            changed_at = self._file.stat().st_mtime_ns
            if changed_at == self._read_at:
                return False
            text = self._file.read_bytes()
        except OSError as error:  # it is read by the next round
            self._policy_trouble = f"trust-policy: {error}; the one before still holds"
            return False
        self._read_at = changed_at
        try:
            policy = parse_policy(text)
            self._publisher = Publisher(self._ledger.pool, self.signer, policy, self._post)
        except (BadPolicy, ValueError) as error:
            self._policy_trouble = f"trust-policy: {error}; the one before still holds"
            log.error(self._policy_trouble)
            return False
        self.policy, self._policy_trouble = policy, ""
        self._away = {}
        return True

    def replace_policy(self, text: str) -> None:
        """Write a new policy; it holds from the next round. Raises BadPolicy."""
        policy = parse_policy(text)
        if all(known.vkey != self.signer.vkey for known in policy.logs):
            raise BadPolicy(f"the policy does not list this log: add 'log {self.signer.vkey}'")
        fresh = self._file.with_name(".trust-policy.new")
        fresh.write_text(text)
        fresh.replace(self._file)

    def _post(self, url: str, body: str) -> tuple[int, str]:
        """Reach a witness: in this process, or over HTTP."""
        if not url.startswith(INSIDE):
            return self._over_http(url, body)
        witness = self.inside.get(url.removeprefix(INSIDE).removesuffix("/add-checkpoint"))
        if witness is None:
            raise httpx.ConnectError("it is not running in this process")
        answer = witness.add(body.encode())
        return answer.status, answer.body

    def _gather(self) -> tuple[Kept, ...]:
        """Ask the witnesses what they hold against this log (untrusted text, to be shown)."""
        found: list[Kept] = []
        for name, witness in self.inside.items():
            found += [
                Kept(e.kind, e.origin, e.what, e.signed, datetime.fromtimestamp(e.at, UTC), name)
                for e in witness.state.evidence
            ]
        for party in self.policy.witnesses:
            if party.url and not party.url.startswith(INSIDE):
                with contextlib.suppress(httpx.HTTPError, msgspec.DecodeError):
                    raw = self._over_http.get(party.url.rstrip("/") + "/evidence")
                    told = msgspec.json.decode(raw, type=list[Kept])
                    found += [msgspec.structs.replace(e, witness=party.name) for e in told]
        return tuple(e for e in found if e.origin == self.signer.name)[-SHOWN:]

    # -- what is to be told --------------------------------------------------------------------

    @property
    def _signed(self) -> int:
        return self._published.signed.checkpoint.size if self._published else 0

    async def checkpoints(self, limit: int) -> list[Sealed]:
        """Return the newest checkpoints, newest first, with who cosigned each and when."""
        async with self._ledger.pool.connection() as connection:
            rows = await (await connection.execute(CHECKPOINTS, [limit])).fetchall()
        return [
            Sealed(size, bytes(root).hex(), at, tuple(Cosigned(*one) for one in by or ()))
            for size, root, at, by in rows
        ]

    async def receipt(self, position: int) -> proof.Receipt:
        """Return the `.tlog-proof` of the event at `position`. Raises publish.NotYet."""
        return await self._publisher.receipt(position)

    async def journey_proof(self, journey: str, organisation: str | None) -> bundle.Bundle:
        """Return the proof of what `organisation` may read of a journey (None: of all of it).

        Raises publish.NotYet.
        """
        events = await self._ledger.stream(journey, organisation=organisation)
        keys = await self._ledger.stream(author.STREAM)
        return await self._publisher.bundle(journey, events, keys)

    async def standing(self) -> Standing:
        """Return how the record stands now."""
        size = await self._ledger.size()
        verdict = self._published.verdict if self._published else None
        own = self.policy.own_witnesses(self.signer.name)
        current = {*verdict.cosigned, *verdict.not_counted} if verdict else set()
        seen = tuple(
            Seen(
                w.name, str(w.vkey), w.url or "", w.name not in own,
                self._sights.get(w.name, (0, None))[0], self._sights.get(w.name, (0, None))[1],
                w.name in current, self._away.get(w.name, ""),
            )
            for w in self.policy.witnesses
        )  # fmt: skip
        counted = [one for one in seen if one.counts]
        return Standing(
            origin=self.signer.name,
            key=str(self.signer.vkey),
            size=size,
            signed=self._signed,
            signed_at=self._signed_at,
            root=self._published.signed.checkpoint.root.hex() if self._published else "",
            cosigned=sum(one.current for one in counted),
            witnesses=len(counted),
            needed=needed(self.policy),
            quorum=bool(verdict and verdict.quorum),
            looked_at=self._looked_at,
            trouble=self._trouble or self._policy_trouble,
            stopped=self._stopped,
            seen=seen,
            clocks=self.clocks.clocks(),
        )


def needed(policy: Policy) -> int:
    """Return the fewest witnesses that can be a quorum; 0 for `quorum none`."""
    least: dict[str, Any] = {w.name: 1 for w in policy.witnesses}
    for group in policy.groups:
        least[group.name] = sum(sorted(least[member] for member in group.members)[: group.least])
    return int(least.get(policy.quorum, 0))
