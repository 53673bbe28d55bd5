"""Organisations, the people who act for them, and the passwords by which people are known.

Passwords are kept as Argon2id hashes; after LOCK_AFTER wrong ones an account waits LOCK_MINUTES.
Signing asks for the password again: the first signature is verified with Argon2id, the ones after
it against a keyed hash that this process holds in memory only, so that a nurse who signs six times
waits once (21 CFR 11.200(a)(1)(i): each signing in one continuous period of controlled access uses
at least one component). What is held in memory is compared with the table again after FRESH_S.
"""

from __future__ import annotations

import hmac
import os
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio.to_thread
import argon2
import msgspec

from stafett.service import passwords, sql

LOCK_AFTER = 8
LOCK_MINUTES = 15
FRESH_S = 2.0
# The columns of a Person, of `service.person p`, in its order.
PERSON = "p.id, p.login, p.name, p.organisation, p.roles, p.duties, p.language, p.site"


class Organisation(msgspec.Struct, frozen=True):
    """A legal body that plays roles: hospital, manufacturer, courier, laboratory."""

    id: str
    name: str
    kind: str
    country: str = "SE"
    time_zone: str = "Europe/Stockholm"
    phone: str = ""  # answered day and night; "" where none is known


class Person(msgspec.Struct, frozen=True):
    """Someone who acts for an organisation. `roles` are roles of protocols, `duties` of Stafett.

    `language` is a language of the pages, or "" for the one that their browser asks for.
    """

    id: str
    login: str
    name: str
    organisation: str
    roles: tuple[str, ...] = ()
    duties: tuple[str, ...] = ()
    language: str = ""
    site: str = ""


class SignInRefused(Exception):
    """Wrong name or password, or locked: `retry_after` seconds when waiting helps."""

    def __init__(self, what: str, retry_after: int = 0) -> None:
        super().__init__(what)
        self.retry_after = retry_after


@dataclass(frozen=True)
class _Verified:
    """A password that was right: its keyed hash, the stored hash it matched, and when we looked."""

    keyed: bytes
    hashed: str
    person: Person
    looked: float


class Accounts:
    """The accounts kept in PostgreSQL. One instance per process."""

    def __init__(self, pool: sql.Pool, *, cheap: bool = False) -> None:
        """Use `pool`; `cheap` lowers the cost of hashing, for tests only."""
        self._pool = pool
        self._hasher = (
            argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
            if cheap
            else argon2.PasswordHasher()
        )
        self._nobody = self._hasher.hash(secrets.token_hex(8))
        self._people: dict[str, tuple[Person, float]] = {}
        self._organisations: dict[str, Organisation] = {}
        self._looked = 0.0
        self._key = os.urandom(32)
        self._verified: dict[str, _Verified] = {}

    # -- organisations and people --------------------------------------------------------------

    async def add_organisation(self, organisation: Organisation) -> None:
        """Keep `organisation`; one that is there already gets the new name."""
        await sql.done(
            self._pool,
            "INSERT INTO service.organisation (id, name, kind, country, time_zone, phone)"
            " VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name",
            msgspec.structs.astuple(organisation),
        )
        self.forget()

    async def organisations(self) -> dict[str, Organisation]:
        """Return every organisation by id."""
        if not self._organisations or time.monotonic() - self._looked > FRESH_S:
            query = "SELECT id, name, kind, country, time_zone, phone FROM service.organisation"
            found = await sql.rows(self._pool, query)
            self._organisations = {row[0]: Organisation(*row) for row in found}
            self._looked = time.monotonic()
        return self._organisations

    async def add_person(self, person: Person, password: str | None) -> None:
        """Keep `person`; raise ValueError if the login is taken.

        For the demo network and for tests: no rule for passwords is asked here. Elsewhere a person
        makes their own by a one-time link (stafett.service.signin), which asks them.
        """
        hashed = None if password is None else await self.hashed(password)
        added = await sql.done(
            self._pool,
            "INSERT INTO service.person (id, login, name, organisation, roles, duties,"
            " language, site, password) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (
                person.id,
                person.login,
                person.name,
                person.organisation,
                list(person.roles),
                list(person.duties),
                person.language,
                person.site,
                hashed,
            ),
        )
        if added == 0:
            raise ValueError(f"the login {person.login!r} is taken")

    async def people(self, organisation: str | None = None) -> list[Person]:
        """Return the active people, of one organisation or of all."""
        found = await sql.rows(
            self._pool,
            "SELECT " + PERSON + " FROM service.person p"
            " WHERE active AND (%s::text IS NULL OR organisation = %s) ORDER BY name",
            (organisation, organisation),
        )
        return [person_of_row(row) for row in found]

    async def person(self, id: str) -> Person | None:
        """Return the person with this id, active or not."""
        known = self._people.get(id)
        if known is not None and time.monotonic() - known[1] <= FRESH_S:
            return known[0]
        query = "SELECT " + PERSON + " FROM service.person p WHERE id = %s"
        row = await sql.row(self._pool, query, (id,))
        if row is None:
            return None
        person = person_of_row(row)
        self._people[id] = (person, time.monotonic())
        return person

    def forget(self) -> None:
        """Drop what is held in memory: somebody has changed the tables."""
        self._people.clear()
        self._organisations = {}
        self._verified.clear()

    # -- passwords -----------------------------------------------------------------------------

    async def hashed(self, password: str) -> str:
        """Return the Argon2id hash of `password`."""
        return await anyio.to_thread.run_sync(self._hasher.hash, passwords.normal(password))

    async def has_password(self, person: Person) -> bool:
        """Say whether the person has a password at all."""
        query = "SELECT password IS NOT NULL FROM service.person WHERE id = %s"
        row = await sql.row(self._pool, query, (person.id,))
        return bool(row and row[0])

    async def set_password(self, person: Person, password: str) -> None:
        """Let this be the person's password from now on. Raises ValueError with what is wrong."""
        organisation = (await self.organisations()).get(person.organisation)
        about = (person.login, person.name, organisation.name if organisation else "")
        if (why := passwords.refused(password, *about)) is not None:
            raise ValueError(why)
        await sql.done(
            self._pool,
            "UPDATE service.person SET password = %s, failures = 0, locked_until = NULL"
            " WHERE id = %s",
            (await self.hashed(password), person.id),
        )
        self.forget()

    async def of_login(self, login: str) -> Person | None:
        """Return the active person of this login."""
        if "\x00" in login:  # PostgreSQL takes no such text, and no login holds it
            return None
        query = "SELECT " + PERSON + " FROM service.person p WHERE login = %s AND active"
        row = await sql.row(self._pool, query, (login,))
        return None if row is None else person_of_row(row)

    async def known(self, login: str, password: str) -> Person:
        """Return whose login and password these are. Raises SignInRefused."""
        person = await self.of_login(login)
        if person is None:
            # As long as for a login that exists: the time says nothing.
            await anyio.to_thread.run_sync(passwords.matches, self._hasher, self._nobody, password)
            raise SignInRefused("the name or the password is wrong")
        await self.unlocked(person.id)
        if not await self.confirms(person, password):
            raise SignInRefused("the name or the password is wrong")
        return person

    async def unlocked(self, person: str) -> None:
        """Raise SignInRefused while the account is locked."""
        query = "SELECT locked_until FROM service.person WHERE id = %s"
        row = await sql.row(self._pool, query, (person,))
        now = datetime.now(UTC)
        if row is not None and row[0] is not None and row[0] > now:
            wait = int((row[0] - now).total_seconds()) + 1
            raise SignInRefused(f"too many wrong passwords: wait {wait // 60 + 1} minutes", wait)

    async def confirms(self, person: Person, password: str) -> bool:
        """Say whether `password` is the person's own: asked at every signature."""
        keyed, clock = self._keyed(password), time.monotonic()
        known = self._verified.get(person.id)
        same = known is not None and hmac.compare_digest(known.keyed, keyed)
        if known is not None and same and clock - known.looked <= FRESH_S:
            return True
        row = await sql.row(
            self._pool,
            "SELECT password, locked_until, failures FROM service.person WHERE id = %s AND active",
            (person.id,),
        )
        if row is None or row[0] is None:
            return False
        if row[1] is not None and row[1] > datetime.now(UTC):
            return False
        right = (known is not None and same and known.hashed == row[0]) or (
            await anyio.to_thread.run_sync(passwords.matches, self._hasher, row[0], password)
        )
        if not right:
            await self.failed(person.id)
            return False
        if row[2]:
            await self.succeeded(person.id)
        self._verified[person.id] = _Verified(keyed, row[0], person, clock)
        return True

    async def failed(self, person: str) -> None:
        """Count a wrong password or code; lock the account for a while after LOCK_AFTER."""
        await sql.done(
            self._pool,
            "UPDATE service.person SET failures = (failures + 1) %% %s, locked_until ="
            " CASE WHEN failures + 1 >= %s THEN now() + %s::interval ELSE locked_until END"
            " WHERE id = %s",
            (LOCK_AFTER, LOCK_AFTER, timedelta(minutes=LOCK_MINUTES), person),
        )

    async def succeeded(self, person: str) -> None:
        """Forget the wrong passwords before the right one."""
        query = "UPDATE service.person SET failures = 0, locked_until = NULL WHERE id = %s"
        await sql.done(self._pool, query, (person,))

    def _keyed(self, password: str) -> bytes:
        return hmac.digest(self._key, password.encode("utf-8", "surrogatepass"), "sha256")


def person_of_row(row: Any) -> Person:
    """Return the person of a row of the columns PERSON."""
    id_, login, name, organisation, roles, duties, language, site = row
    return Person(id_, login, name, organisation, tuple(roles), tuple(duties), language, site)
