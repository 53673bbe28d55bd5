"""Sessions: who is signed in where, for how long, and how that ends.

A session is a random token of which only the SHA-256 is stored. It ends when nobody used it for
IDLE, after ABSOLUTE in any case (NIST SP 800-63B-4, 2.2.3: at most one hour and 24 hours), when its
person signs out, ends it from another place, changes their password, or is suspended. What this
process knows of a session is looked up again after FRESH_S, so an end reaches every process.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from stafett.service import sql
from stafett.service.accounts import PERSON, Person, person_of_row

IDLE = timedelta(hours=1)
ABSOLUTE = timedelta(hours=12)
FRESH_S = 2.0
TOUCH_S = 60.0  # how exactly the last use is known
KEPT = 50_000


class Session(msgspec.Struct, frozen=True):
    """A session as its person sees it in the list of their own."""

    id: str
    opened: datetime
    used: datetime
    expires: datetime
    address: str
    agent: str
    method: str


@dataclass
class _Known:
    person: Person
    used: datetime
    expires: datetime
    looked: float
    touched: float


class Sessions:
    """The sessions kept in PostgreSQL. One instance per process."""

    def __init__(self, pool: sql.Pool) -> None:
        self._pool = pool
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def open(self, person: Person, method: str, address: str = "", agent: str = "") -> str:
        """Open a session; return its token. Always a new one: none is ever taken from outside."""
        token = secrets.token_urlsafe(32)
        await sql.done(
            self._pool,
            "INSERT INTO service.session (token, person, expires, address, agent, method)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (
                digest(token),
                person.id,
                datetime.now(UTC) + ABSOLUTE,
                address[:60],
                "".join(c for c in agent if c.isprintable())[:200],
                method,
            ),
        )
        return token

    async def of_token(self, token: str) -> Person | None:
        """Return whose session `token` is, and note that it is used; None if it has ended."""
        return await self._person(token, touch=True)

    async def still(self, token: str) -> bool:
        """Say whether the session goes on, without counting as use of it (for open streams)."""
        return await self._person(token, touch=False) is not None

    async def _person(self, token: str, *, touch: bool) -> Person | None:
        name, now = digest(token), datetime.now(UTC)
        clock = time.monotonic()
        known = self._known.get(name)
        if known is None or clock - known.looked > FRESH_S:
            known = await self._look(name, known, clock)
            if known is None:
                return None
        if known.expires <= now or known.used + IDLE <= now:
            self._known.pop(name, None)
            return None
        if touch and clock - known.touched > TOUCH_S:
            await sql.done(
                self._pool, "UPDATE service.session SET used = now() WHERE token = %s", (name,)
            )
            known.touched, known.used = clock, now
        return known.person

    async def _look(self, name: bytes, old: _Known | None, clock: float) -> _Known | None:
        found = await sql.row(
            self._pool,
            "SELECT s.used, s.expires, " + PERSON + " FROM service.session s"
            " JOIN service.person p ON p.id = s.person WHERE s.token = %s AND p.active",
            (name,),
        )
        if found is None:
            self._known.pop(name, None)
            return None
        touched = old.touched if old else clock - TOUCH_S - 1
        known = _Known(person_of_row(found[2:]), found[0], found[1], clock, touched)
        self._known[name] = known
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return known

    async def list(self, person: Person) -> list[Session]:
        """Return the person's sessions that have not ended, the one used last first."""
        found = await sql.rows(
            self._pool,
            "SELECT id, opened, used, expires, address, agent, method FROM service.session"
            " WHERE person = %s AND expires > now() AND used > now() - %s::interval"
            " ORDER BY used DESC",
            (person.id, IDLE),
        )
        return [Session(*one) for one in found]

    async def id_of(self, token: str) -> str | None:
        """Return the public name of a session."""
        found = await sql.row(
            self._pool, "SELECT id FROM service.session WHERE token = %s", (digest(token),)
        )
        return str(found[0]) if found else None

    async def refresh(self) -> None:
        """Look every session up again at its next use: somebody's rights have changed."""
        self._known.clear()

    async def end(self, token: str) -> None:
        """End a session: its person signs out."""
        await sql.done(self._pool, "DELETE FROM service.session WHERE token = %s", (digest(token),))
        self._known.pop(digest(token), None)  # after it: who looked meanwhile saw it go on

    async def end_one(self, person: Person, id: str) -> bool:
        """End one of the person's own sessions; say whether there was one."""
        query = "DELETE FROM service.session WHERE person = %s AND id = %s"
        done = await sql.done(self._pool, query, (person.id, id))
        self._known.clear()
        return done > 0

    async def end_all(self, person: str, but: str | None = None) -> int:
        """End every session of a person, except that of the token `but`; return how many."""
        done = await sql.done(
            self._pool,
            "DELETE FROM service.session WHERE person = %s AND token <> %s",
            (person, digest(but) if but else b""),
        )
        self._known.clear()
        return done


def digest(token: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
