"""Dead letters: what came in and was refused. It waits, visibly, until a person decides.

A letter says what came, from where, and why it was refused. After mending (the mapping, the
journey, the sender's settings) it is tried again; what is of no use is dropped, with a reason. Both
are changes in the audit trail. The bytes may name a patient: they are kept encrypted, shown without
the segments on the patient, and erased when the letter is decided.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg.types.json import Jsonb

from stafett.exchange import hl7
from stafett.exchange.captures import Captures
from stafett.exchange.problem import Finding, Problem
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.changes import Changes
from stafett.service.master import Master, Sealer
from stafett.service.refusal import No, Reason, unknown

MOST_SHOWN = 200
State = Literal["waiting", "taken", "dropped"]
# Takes what came on a channel for an organisation (empty: not known whose it is); raises Problem,
# and then nothing of it is kept.
Take = Callable[[bytes, str], Awaitable[Any]]
SHOWN_BYTES = 200_000  # of a letter that a page opens: a capture may have 64 MiB
_SELECT = (
    "SELECT id, organisation, channel, came, last, times, peer, number, encode(digest, 'hex'),"
    " size, reasons, state, decided, decided_by, decided_why FROM service.letter"
)


class Letter(msgspec.Struct, frozen=True):
    """What came and was refused. `times` says how often the same bytes came, or were tried."""

    id: int
    organisation: str
    channel: str
    came: datetime
    last: datetime
    times: int
    peer: str
    number: str
    sha256: str
    size: int
    reasons: list[Finding]
    state: State
    decided: datetime | None
    decided_by: str | None
    why: str | None


class Letters:
    """The dead letters of an installation. `ways` says how each channel takes what came on it."""

    def __init__(self, pool: sql.Pool, changes: Changes, master: Master) -> None:
        self._pool, self._changes = pool, changes
        self._master, self._sealer = master, Sealer(master, "stafett letters")
        self.ways: dict[str, Take] = {}

    def of_captures(self, captures: Captures) -> None:
        """Keep what the exchange accepted and could not capture, and take it after mending."""

        async def keep(owner: str, job: uuid.UUID, data: bytes, why: Problem) -> None:
            await self.keep("epcis", owner, owner, str(job), data, why)

        captures.keep = keep
        self.ways["epcis"] = captures.take

    async def keep(
        self, channel: str, organisation: str, peer: str, number: str, data: bytes, why: Problem
    ) -> int:
        """Keep what was refused; the same bytes again only count. Durable when this returns."""
        digest = hashlib.sha256(data).digest()
        async with self._pool.connection() as connection:
            sealed = self._sealer.seal(await self._master.writing(connection), data, digest)
            rows = await sql.within(
                connection,
                "INSERT INTO service.letter (organisation, channel, peer, number, digest, size,"
                " sealed, reasons) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (channel, organisation, digest) WHERE state = 'waiting'"
                " DO UPDATE SET times = letter.times + 1, last = now(), peer = excluded.peer,"
                " reasons = excluded.reasons RETURNING id",
                [organisation, channel, peer, number, digest, len(data), sealed,
                 Jsonb(msgspec.to_builtins(_reasons(why)))],
            )  # fmt: skip
        return int(rows[0][0])

    async def of(self, person: Person, state: State = "waiting") -> list[Letter]:
        """Return the letters that `person` answers for: the organisation's, the latest first."""
        found = await sql.rows(
            self._pool,
            _SELECT + " WHERE organisation = ANY(%s) AND state = %s ORDER BY id DESC LIMIT %s",
            [_mine(person), state, MOST_SHOWN],
        )
        return [msgspec.convert(_named(row), Letter) for row in found]

    async def see(self, person: Person, number: str) -> tuple[Letter, bytes | None]:
        """Return a letter and its bytes (None once it is decided)."""
        row = await sql.row(
            self._pool,
            _SELECT + " WHERE id = %s AND organisation = ANY(%s)",
            [_number(number), _mine(person)],
        )
        if row is None:
            raise unknown("letter", number)
        letter = msgspec.convert(_named(row), Letter)
        sealed = await sql.row(
            self._pool, "SELECT sealed FROM service.letter WHERE id = %s", [letter.id]
        )
        return letter, self._sealer.open(sealed[0], bytes.fromhex(letter.sha256)) if sealed[
            0
        ] else None

    async def retry(self, person: Person, number: str, reason: str) -> Letter:
        """Take a letter as if it came now; raise No with its reasons when it is refused again."""
        letter, data = await self._waiting(person, number)
        way = self.ways.get(letter.channel)
        if way is None:
            raise No("no-way", f"This process does not take {letter.channel}")
        if len(reason.strip()) < 4:  # before anything is taken: `making` would say no afterwards
            raise No(
                "reason-missing", "There is no reason", Reason("reason", "say what was mended")
            )
        try:
            await way(data, letter.organisation)
        except Problem as again:
            await sql.done(
                self._pool,
                "UPDATE service.letter SET times = times + 1, last = now(), reasons = %s"
                " WHERE id = %s AND state = 'waiting'",
                [Jsonb(msgspec.to_builtins(_reasons(again))), letter.id],
            )
            reasons = [Reason(f.pointer, f.detail) for f in _reasons(again)[:10]]
            raise No("still-refused", "It is refused again", *reasons) from None
        return await self._decide(person, letter, "taken", reason)

    async def drop(self, person: Person, number: str, reason: str) -> Letter:
        """Give a letter up: its bytes are erased, what it was stays known."""
        letter, _ = await self._waiting(person, number)
        return await self._decide(person, letter, "dropped", reason)

    async def _waiting(self, person: Person, number: str) -> tuple[Letter, bytes]:
        letter, data = await self.see(person, number)
        if letter.state != "waiting" or data is None:
            raise No("decided", "It is decided already", Reason("letter", f"it was {letter.state}"))
        return letter, data

    async def _decide(self, person: Person, letter: Letter, state: State, reason: str) -> Letter:
        before = {"state": "waiting", "channel": letter.channel, "number": letter.number,
                  "sha256": letter.sha256,
                  "reasons": [str(f) for f in letter.reasons[:5]]}  # fmt: skip
        async with self._changes.making(
            person, f"letter {state}", f"letter/{letter.id}", reason, before, {"state": state},
            organisation=letter.organisation or person.organisation,
        ) as connection:  # fmt: skip
            done = await connection.execute(
                "UPDATE service.letter SET state = %s, decided = now(), decided_by = %s,"
                " decided_why = %s, sealed = NULL WHERE id = %s AND state = 'waiting'",
                [state, person.id, reason.strip(), letter.id],
            )
            if done.rowcount != 1:  # somebody else was faster: what they decided stands
                raise No("decided", "It is decided already")
        return (await self.see(person, str(letter.id)))[0]


def shown(letter: Letter, data: bytes) -> str:
    """Give what came as it may be shown, at most 50,000 characters of it.

    An HL7 message goes without the segments on the patient. Events name things and no patient, so
    a capture is shown as it came.
    """
    if letter.channel == "hl7":
        return hl7.shown(data)
    return data[:50_000].decode(errors="replace")


def _mine(person: Person) -> list[str]:
    return [person.organisation, *([""] if "operator" in person.duties else [])]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise unknown("letter", text)
    return int(text)


def _reasons(why: Problem) -> list[Finding]:
    return [*why.findings[:50]] or [Finding("", why.detail)]


def _named(row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(Letter.__struct_fields__, row, strict=True))
