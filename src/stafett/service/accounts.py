"""Organisations, the people who act for them, and how a person proves who they are.

Passwords are kept as Argon2id hashes. A session is a random token of which only the SHA-256 is
stored. Signing asks for the password again: the first signature in a session is verified with
Argon2id, the ones after it against a keyed hash that this process holds in memory only, so that a
nurse who signs six times waits once (21 CFR 11.200(a)(1)(i): each signing in one continuous period
of controlled access uses at least one component).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio.to_thread
import argon2
import msgspec
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

SESSION_HOURS = 12
LOCK_AFTER = 8
LOCK_MINUTES = 15


class Organisation(msgspec.Struct, frozen=True):
    """A legal body that plays roles: hospital, manufacturer, courier, laboratory."""

    id: str
    name: str
    kind: str
    country: str = "SE"
    time_zone: str = "Europe/Stockholm"


class Person(msgspec.Struct, frozen=True):
    """Someone who acts for an organisation. `roles` are roles of protocols, `duties` of Stafett."""

    id: str
    login: str
    name: str
    organisation: str
    roles: tuple[str, ...] = ()
    duties: tuple[str, ...] = ()
    language: str = "en"


class SignInRefused(Exception):
    """Wrong name or password, or locked: `retry_after` seconds when waiting helps."""

    def __init__(self, what: str, retry_after: int = 0) -> None:
        super().__init__(what)
        self.retry_after = retry_after


class Accounts:
    """The accounts kept in PostgreSQL. One instance per process."""

    def __init__(self, pool: AsyncConnectionPool[Any], *, cheap: bool = False) -> None:
        """Use `pool`; `cheap` lowers the cost of hashing, for tests only."""
        self._pool = pool
        self._hasher = (
            argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
            if cheap
            else argon2.PasswordHasher()
        )
        self._nobody = self._hasher.hash(secrets.token_hex(8))
        self._sessions: dict[bytes, tuple[Person, datetime]] = {}
        self._people: dict[str, Person] = {}
        self._organisations: dict[str, Organisation] = {}
        self._key = os.urandom(32)
        self._verified: dict[str, bytes] = {}
        self._logins: dict[str, Person] = {}

    # -- organisations and people --------------------------------------------------------------

    async def add_organisation(self, organisation: Organisation) -> None:
        """Keep `organisation`; one that is there already gets the new name."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO service.organisation (id, name, kind, country, time_zone)"
                " VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name",
                msgspec.structs.astuple(organisation),
            )
        self._organisations[organisation.id] = organisation

    async def organisations(self) -> dict[str, Organisation]:
        """Return every organisation by id."""
        if not self._organisations:
            async with self._pool.connection() as connection, connection.cursor() as cursor:
                await cursor.execute(
                    "SELECT id, name, kind, country, time_zone FROM service.organisation"
                )
                rows = await cursor.fetchall()
            self._organisations = {row[0]: Organisation(*row) for row in rows}
        return self._organisations

    async def add_person(self, person: Person, password: str) -> None:
        """Keep `person`; raise ValueError if the login is taken or the password too short."""
        if len(password) < 8:
            raise ValueError("a password needs at least 8 characters")
        hashed = await anyio.to_thread.run_sync(self._hasher.hash, password)
        async with self._pool.connection() as connection:
            done = await connection.execute(
                "INSERT INTO service.person (id, login, name, organisation, roles, duties,"
                " language, password) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (
                    person.id,
                    person.login,
                    person.name,
                    person.organisation,
                    list(person.roles),
                    list(person.duties),
                    person.language,
                    hashed,
                ),
            )
            if done.rowcount == 0:
                raise ValueError(f"the login {person.login!r} is taken")

    async def people(self, organisation: str | None = None) -> list[Person]:
        """Return the active people, of one organisation or of all."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                _SELECT + " WHERE active AND (%s::text IS NULL OR organisation = %s) ORDER BY name",
                (organisation, organisation),
            )
            return [_person(row) for row in await cursor.fetchall()]

    async def person(self, id: str) -> Person | None:
        """Return the person with this id, active or not."""
        if id not in self._people:
            async with (
                self._pool.connection() as connection,
                connection.cursor(row_factory=tuple_row) as cursor,
            ):
                await cursor.execute(_SELECT + " WHERE id = %s", (id,))
                row = await cursor.fetchone()
            if row is None:
                return None
            self._people[id] = _person(row)
        return self._people[id]

    # -- sessions ------------------------------------------------------------------------------

    async def sign_in(self, login: str, password: str) -> tuple[str, Person]:
        """Open a session; return its token and the person. Raises SignInRefused."""
        person = await self.known(login, password)
        token = secrets.token_urlsafe(32)
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO service.session (token, person, expires) VALUES (%s, %s, %s)",
                (_digest(token), person.id, datetime.now(UTC) + timedelta(hours=SESSION_HOURS)),
            )
        return token, person

    async def known(self, login: str, password: str) -> Person:
        """Return whose login and password these are. Raises SignInRefused."""
        if "\x00" in login:  # PostgreSQL takes no such text, and no login holds it
            raise SignInRefused("the name or the password is wrong")
        fast = self._logins.get(login)
        if fast is not None and await self.confirms(fast, password):
            return fast
        now = datetime.now(UTC)
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT id, password, failures, locked_until FROM service.person"
                " WHERE login = %s AND active",
                (login,),
            )
            row = await cursor.fetchone()
        hashed = row[1] if row else self._nobody
        locked = row[3] if row else None
        if locked is not None and locked > now:
            wait = int((locked - now).total_seconds()) + 1
            raise SignInRefused(f"too many wrong passwords: wait {wait // 60 + 1} minutes", wait)
        right = await anyio.to_thread.run_sync(self._matches, hashed, password)
        if row is None or not right:
            if row is not None:
                await self._failed(row[0], row[2] + 1, now)
            raise SignInRefused("the name or the password is wrong")
        async with self._pool.connection() as connection:
            await connection.execute(
                "UPDATE service.person SET failures = 0, locked_until = NULL WHERE id = %s",
                (row[0],),
            )
        person = await self.person(row[0])
        assert person is not None
        self._verified[person.id] = self._keyed(password)
        self._logins[login] = person
        return person

    async def of_token(self, token: str) -> Person | None:
        """Return who the session `token` belongs to, or None if it is unknown or has expired."""
        digest = _digest(token)
        now = datetime.now(UTC)
        known = self._sessions.get(digest)
        if known is None:
            async with (
                self._pool.connection() as connection,
                connection.cursor(row_factory=tuple_row) as cursor,
            ):
                await cursor.execute(
                    "SELECT s.person, s.expires FROM service.session s"
                    " JOIN service.person p ON p.id = s.person WHERE s.token = %s AND p.active",
                    (digest,),
                )
                row = await cursor.fetchone()
            person = await self.person(row[0]) if row else None
            if row is None or person is None:
                return None
            known = self._sessions[digest] = (person, row[1])
        return known[0] if known[1] > now else None

    async def sign_out(self, token: str) -> None:
        """End the session."""
        person = await self.of_token(token)
        self._sessions.pop(_digest(token), None)
        if person is not None:
            self._verified.pop(person.id, None)
        async with self._pool.connection() as connection:
            await connection.execute(
                "DELETE FROM service.session WHERE token = %s", (_digest(token),)
            )

    async def confirms(self, person: Person, password: str) -> bool:
        """Say whether `password` is the person's own: asked at every signature."""
        known = self._verified.get(person.id)
        if known is not None and hmac.compare_digest(known, self._keyed(password)):
            return True
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT password, failures, locked_until FROM service.person"
                " WHERE id = %s AND active",
                (person.id,),
            )
            row = await cursor.fetchone()
        now = datetime.now(UTC)
        if row is None or (row[2] is not None and row[2] > now):
            return False
        if not await anyio.to_thread.run_sync(self._matches, row[0], password):
            await self._failed(person.id, row[1] + 1, now)
            return False
        self._verified[person.id] = self._keyed(password)
        return True

    async def _failed(self, person: str, failures: int, now: datetime) -> None:
        until = now + timedelta(minutes=LOCK_MINUTES) if failures >= LOCK_AFTER else None
        async with self._pool.connection() as connection:
            await connection.execute(
                "UPDATE service.person SET failures = %s, locked_until = %s WHERE id = %s",
                (0 if until else failures, until, person),
            )

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def _keyed(self, password: str) -> bytes:
        return hmac.digest(self._key, password.encode(), "sha256")


_SELECT = "SELECT id, login, name, organisation, roles, duties, language FROM service.person"


def _person(row: tuple[Any, ...]) -> Person:
    id_, login, name, organisation, roles, duties, language = row
    return Person(id_, login, name, organisation, tuple(roles), tuple(duties), language)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
