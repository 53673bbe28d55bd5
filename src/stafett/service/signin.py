"""Signing in, by every way there is; and one-time links, by which people make their first secret.

A password alone opens a session where the person has no second factor; with one, a code must come
too, within minutes and a few tries. A passkey is two factors by itself. A provider (OIDC) answers
for its own organisation's people only. Wrong attempts count on the account and on the address.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

import msgspec

from stafett.service import passwords, sql
from stafett.service.accounts import Accounts, Organisation, Person, SignInRefused
from stafett.service.challenges import Challenges
from stafett.service.factors import Factors
from stafett.service.passkeys import Assertion, PasskeyRefused, Passkeys, Site
from stafett.service.sessions import Sessions, digest
from stafett.service.throttle import Throttle, Throttled

LINK = timedelta(hours=48)
FIRST = timedelta(hours=24)


class SecondFactorNeeded(Exception):
    """The password is right; `token` and a code of the second factor open the session."""

    def __init__(self, token: str) -> None:
        super().__init__("a code of the second factor is needed")
        self.token = token


class Client(msgspec.Struct, frozen=True):
    """Where a request came from."""

    address: str = ""
    agent: str = ""


class SignIn:
    """The ways in."""

    def __init__(
        self,
        pool: sql.Pool,
        accounts: Accounts,
        sessions: Sessions,
        factors: Factors,
        passkeys: Passkeys,
        challenges: Challenges,
    ) -> None:
        self._pool, self._accounts, self._sessions = pool, accounts, sessions
        self._factors, self._passkeys, self._challenges = factors, passkeys, challenges
        self.throttle = Throttle(pool)

    async def with_password(
        self, login: str, password: str, client: Client, code: str | None = None
    ) -> tuple[str, Person]:
        """Open a session. Raises SignInRefused, SecondFactorNeeded."""
        await self.check(client)
        try:
            person = await self._accounts.known(login, password)
        except SignInRefused:
            await self.throttle.failed(client.address)
            raise
        if not await self._factors.has(person):
            return await self._open(person, "password", client)
        if code is None:
            raise SecondFactorNeeded(await self._challenges.ask("second-factor", person.id, {}))
        return await self._coded(person, code, client)

    async def with_code(self, token: str, code: str, client: Client) -> tuple[str, Person]:
        """Open the session that SecondFactorNeeded was raised for. Raises SignInRefused."""
        await self.check(client)
        name = await self._challenges.attempt("second-factor", token)
        person = await self._accounts.person(name) if name else None
        if person is None:
            raise SignInRefused("it took too long, or too many tries: begin again")
        found = await self._coded(person, code, client)
        await self._challenges.take("second-factor", token)
        return found

    async def _coded(self, person: Person, code: str, client: Client) -> tuple[str, Person]:
        await self._accounts.unlocked(person.id)
        if not await self._factors.confirms(person, code):
            await self._accounts.failed(person.id)
            await self.throttle.failed(client.address)
            raise SignInRefused("the code is wrong, or was used already: wait for the next one")
        await self._accounts.succeeded(person.id)
        return await self._open(person, "password and code", client)

    async def with_passkey(
        self, assertion: Assertion, site: Site, client: Client
    ) -> tuple[str, Person]:
        """Open a session by a passkey. Raises SignInRefused."""
        await self.check(client)
        try:
            person = await self._accounts.person(await self._passkeys.who(assertion, site))
        except PasskeyRefused as error:
            await self.throttle.failed(client.address)
            raise SignInRefused(str(error)) from None
        assert person is not None
        return await self._open(person, "passkey", client)

    async def with_provider(
        self, person: Person, provider: str, client: Client
    ) -> tuple[str, Person]:
        """Open a session for whom a provider has vouched (stafett.service.openid)."""
        return await self._open(person, f"provider {provider}", client)

    async def _open(self, person: Person, method: str, client: Client) -> tuple[str, Person]:
        token = await self._sessions.open(person, method, client.address, client.agent)
        return token, person

    async def check(self, client: Client) -> None:
        """Raise SignInRefused while the address has been wrong too often."""
        try:
            await self.throttle.check(client.address)
        except Throttled as error:
            raise SignInRefused(str(error), error.retry_after) from None

    # -- one-time links ------------------------------------------------------------------------

    async def invite(self, person: str | None) -> str:
        """Make a one-time link's token: for `person`, or (None) for the first administrator.

        Older links of the same person are void.
        """
        token = secrets.token_urlsafe(24)
        await sql.done(
            self._pool,
            "WITH old AS (DELETE FROM service.invitation WHERE person IS NOT DISTINCT FROM %s)"
            " INSERT INTO service.invitation (token, person, expires)"
            " VALUES (%s, %s, now() + %s::interval)",
            (person, digest(token), person, LINK if person else FIRST),
        )
        return token

    async def invited(self, token: str) -> tuple[bool, Person | None]:
        """Say whether a link is good, and for whom (None: for the first administrator)."""
        query = "SELECT person FROM service.invitation WHERE token = %s AND expires > now()"
        found = await sql.row(self._pool, query, (digest(token),))
        if found is None:
            return False, None
        return True, await self._accounts.person(found[0]) if found[0] else None

    async def accept(self, token: str, password: str, client: Client) -> tuple[str, Person]:
        """Let an invited person's password be this one, and sign them in. Raises ValueError.

        The link is used up; every session, second factor and passkey from before is void.
        """
        good, person = await self.invited(token)
        if not good or person is None:
            await self.throttle.failed(client.address)
            raise ValueError("this link is not known, was used, or is too old: ask for a new one")
        # What is void goes first, and the link last: where it ends in between (the database is
        # away) the link is good still, and no old secret outlives its use.
        await self._passkeys.remove_all(person)
        await self._factors.remove(person.id)
        await self._accounts.set_password(person, password)
        await self._sessions.end_all(person.id)
        if not await self._use(token):
            raise ValueError("this link was used already")
        return await self._open(person, "one-time link", client)

    async def found(
        self, token: str, organisation: Organisation, person: Person, password: str, client: Client
    ) -> tuple[str, Person]:
        """Let the first administrator make their organisation and account. Raises ValueError."""
        good, known = await self.invited(token)
        if not good or known is not None or await self._accounts.people():
            raise ValueError("this link is not known, was used, or is too old")
        about = (person.login, person.name, organisation.name)
        if (why := passwords.refused(password, *about)) is not None:
            raise ValueError(why)
        if not await self._use(token):
            raise ValueError("this link was used already")
        await self._accounts.add_organisation(organisation)
        await self._accounts.add_person(person, password)
        return await self._open(person, "one-time link", client)

    async def _use(self, token: str) -> bool:
        query = "DELETE FROM service.invitation WHERE token = %s AND expires > now()"
        return await sql.done(self._pool, query, (digest(token),)) == 1
