"""What administrators change: people, sites, organisations, networks. Each with a reason.

An administrator changes their own organisation's people and sites; an operator the installation:
organisations, networks, protocols, and each organisation's first administrator. Nobody changes
their own rights. A person is never deleted: what they signed stays theirs; they are suspended.
"""

from __future__ import annotations

import re
import time
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from stafett.service import policy, sql
from stafett.service.accounts import FRESH_S, PERSON, Accounts, Organisation, Person, person_of_row
from stafett.service.changes import Changes
from stafett.service.factors import Factors
from stafett.service.network import Networks, entitle
from stafett.service.passkeys import Passkeys
from stafett.service.refusal import No, Reason, unknown
from stafett.service.sessions import Sessions
from stafett.service.signin import SignIn

KINDS = ("hospital", "manufacturer", "courier", "laboratory", "authority", "supplier", "registry")
LANGUAGES = ("en", "sv", "es")
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{1,79}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Site(msgspec.Struct, frozen=True):
    """A place where an organisation works. Times are shown to its people in its zone."""

    id: str
    organisation: str
    name: str
    time_zone: str


class Account(msgspec.Struct, frozen=True):
    """A person as their administrator sees them: `ways` are the ways in that they have."""

    person: Person
    active: bool
    locked: bool
    ways: tuple[str, ...]


class Administration:
    """Use cases of administrators and operators."""

    def __init__(
        self,
        pool: sql.Pool,
        accounts: Accounts,
        changes: Changes,
        networks: Networks,
        sessions: Sessions,
        factors: Factors,
        passkeys: Passkeys,
        signin: SignIn,
    ) -> None:
        self._pool, self._accounts, self._changes = pool, accounts, changes
        self._networks, self._sessions, self._signin = networks, sessions, signin
        self._zones: dict[str, str] = {}
        self._zones_at = -FRESH_S
        self._factors, self._passkeys = factors, passkeys

    # -- people --------------------------------------------------------------------------------

    async def accounts(self, by: Person) -> list[Account]:
        """Return everybody of the administrator's organisation, suspended people too."""
        found = await sql.rows(
            self._pool,
            "SELECT active, coalesce(locked_until > now(), false), password IS NOT NULL,"
            " totp IS NOT NULL, EXISTS (SELECT 1 FROM service.passkey k WHERE k.person = p.id),"
            " EXISTS (SELECT 1 FROM service.identity i WHERE i.person = p.id), " + PERSON + " FROM"
            " service.person p WHERE organisation = %s ORDER BY active DESC, name",
            (by.organisation,),
        )
        names = ("password", "code", "passkey", "provider")
        return [
            Account(
                person_of_row(row[6:]),
                row[0],
                row[1],
                tuple(n for n, has in zip(names, row[2:6], strict=True) if has),
            )
            for row in found
        ]

    async def add(self, by: Person, person: Person, reason: str) -> str:
        """Add a person; return the token of their one-time link. Raises No."""
        own = policy.allows("administer", by) and person.organisation == by.organisation
        first = policy.allows("operate", by) and person.duties == ("administrator",)
        if not own and not first:
            raise unknown("organisation", person.organisation)
        self._may_give(by, person.duties)
        await self._fits(person)
        after = msgspec.to_builtins(person)
        async with self._changes.making(
            by, "person added", person.id, reason, None, after, person.organisation
        ) as connection:
            added = await connection.execute(
                "INSERT INTO service.person (id, login, name, organisation, roles, duties,"
                " language, site) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (
                    person.id, person.login, person.name, person.organisation,
                    list(person.roles), list(person.duties), person.language, person.site,
                ),
            )  # fmt: skip
            if added.rowcount == 0:
                what = f"{person.login!r} is somebody's login already"
                raise No("taken", "The login is taken", Reason("login", what, "choose another"))
        return await self._signin.invite(person.id)

    async def change(self, by: Person, changed: Person, reason: str) -> Person:
        """Change a person's name, roles, duties, language or site. Raises No."""
        old = await self.own(by, changed.id)
        new = msgspec.structs.replace(changed, login=old.login, organisation=old.organisation)
        if old.id == by.id and (old.roles, old.duties) != (new.roles, new.duties):
            what = "nobody changes their own roles and duties"
            raise No("wrong-person", "Not your own", Reason("person", what, "ask a colleague"))
        self._may_give(by, tuple(set(new.duties) ^ set(old.duties)))
        await self._fits(new)
        async with self._changes.making(
            by, "person changed", old.id, reason, *_different(old, new)
        ) as connection:
            await connection.execute(
                "UPDATE service.person SET name = %s, roles = %s, duties = %s, language = %s,"
                " site = %s WHERE id = %s",
                (new.name, list(new.roles), list(new.duties), new.language, new.site, new.id),
            )
        self._accounts.forget()
        await self._sessions.refresh()
        return new

    async def suspend(self, by: Person, person: str, reason: str) -> None:
        """Let a person act no more, at once: their sessions end. Raises No."""
        old = await self.own(by, person)
        if old.id == by.id:
            what = "nobody suspends themselves"
            raise No("wrong-person", "Not yourself", Reason("person", what, "ask a colleague"))
        await self._activity(by, old, reason, active=False)
        await self._sessions.end_all(old.id)

    async def resume(self, by: Person, person: str, reason: str) -> None:
        """Let a suspended person act again, and open a locked account. Raises No."""
        await self._activity(by, await self.own(by, person), reason, active=True)

    async def _activity(self, by: Person, person: Person, reason: str, *, active: bool) -> None:
        what = "person resumed" if active else "person suspended"
        async with self._changes.making(by, what, person.id, reason) as connection:
            await connection.execute(
                "UPDATE service.person SET active = %s, failures = 0, locked_until = NULL"
                " WHERE id = %s",
                (active, person.id),
            )
        self._accounts.forget()

    async def link(self, by: Person, person: str, reason: str) -> str:
        """Make a one-time link for a person who lost their way in; return its token. Raises No.

        Nothing is void until the link is used.
        """
        old = await self.own(by, person)
        async with self._changes.making(by, "one-time link made", old.id, reason):
            pass
        return await self._signin.invite(old.id)

    async def own(self, by: Person, person: str) -> Person:
        """Return a person of the administrator's organisation; raise No otherwise."""
        found = await self._accounts.person(person)
        if found is None or found.organisation != by.organisation:
            raise unknown("person", person)
        return found

    def _may_give(self, by: Person, duties: tuple[str, ...]) -> None:
        if "operator" in duties and "operator" not in by.duties:
            what = "only an operator makes or unmakes operators"
            raise No("wrong-role", "Not yours to give", Reason("duties", what, "ask an operator"))

    async def _fits(self, person: Person) -> None:
        """Raise No unless roles, duties, site and organisation exist."""
        if person.organisation not in await self._accounts.organisations():
            raise unknown("organisation", person.organisation)
        wrong = set(person.duties) - set(policy.DUTIES)
        if wrong:
            todo = f"one of: {', '.join(policy.DUTIES)}"
            raise No(
                "unknown-name", "No such duty", Reason("duties", f"{sorted(wrong)} unknown", todo)
            )
        played = {
            role
            for parties in (await self._networks.all()).values()
            for role, organisation in parties.items()
            if organisation == person.organisation
        }
        strange = sorted(set(person.roles) - played)
        if strange:
            what = f"the organisation plays no role {', '.join(strange)} in any network"
            todo = f"one of: {', '.join(sorted(played))}" if played else "complete a network first"
            raise No("unknown-name", "Not a role of the organisation", Reason("roles", what, todo))
        if person.site and person.site not in {s.id for s in await self.sites(person.organisation)}:
            raise unknown("site", person.site)

    # -- sites, organisations, networks --------------------------------------------------------

    async def sites(self, organisation: str) -> list[Site]:
        """Return an organisation's sites."""
        query = "SELECT id, organisation, name, time_zone FROM service.site"
        found = await sql.rows(
            self._pool, query + " WHERE organisation = %s ORDER BY name", (organisation,)
        )
        return [Site(*row) for row in found]

    async def zone_of(self, person: Person) -> ZoneInfo:
        """Return the zone in which a person reads times: their site's, else the organisation's."""
        own = (await self._accounts.organisations()).get(person.organisation)
        name = own.time_zone if own else "UTC"
        if person.site:
            if time.monotonic() - self._zones_at > FRESH_S:
                found = await sql.rows(self._pool, "SELECT id, time_zone FROM service.site", ())
                self._zones, self._zones_at = dict(found), time.monotonic()
            name = self._zones.get(person.site, name)
        return ZoneInfo(name)

    async def put_site(self, by: Person, site: Site, reason: str) -> None:
        """Add or change a site of the administrator's organisation. Raises No."""
        check_slug("id", site.id)
        _named("name", site.name)
        _zone(site.time_zone)
        row = await sql.row(
            self._pool,
            "SELECT id, organisation, name, time_zone FROM service.site WHERE id = %s",
            (site.id,),
        )
        if row is not None and row[1] != by.organisation:
            raise No("taken", "The name is taken", Reason("id", f"{site.id!r} is in use"))
        before = msgspec.to_builtins(Site(*row)) if row else None
        new = msgspec.structs.replace(site, organisation=by.organisation)
        async with self._changes.making(
            by, "site changed" if row else "site added", site.id, reason, before, new
        ) as connection:
            await connection.execute(
                "INSERT INTO service.site (id, organisation, name, time_zone)"
                " VALUES (%s, %s, %s, %s) ON CONFLICT (id) DO UPDATE"
                " SET name = EXCLUDED.name, time_zone = EXCLUDED.time_zone",
                (new.id, new.organisation, new.name, new.time_zone),
            )

    async def put_organisation(self, by: Person, organisation: Organisation, reason: str) -> None:
        """Add or change an organisation. Raises No."""
        try:
            checked = new_organisation(
                organisation.name,
                organisation.kind,
                organisation.country,
                organisation.time_zone,
                organisation.phone,
            )
        except ValueError as error:
            raise No("bad-value", str(error), Reason("organisation", str(error))) from None
        check_slug("id", organisation.id)
        new = msgspec.structs.replace(checked, id=organisation.id)
        old = (await self._accounts.organisations()).get(new.id)
        what = "organisation changed" if old else "organisation added"
        async with self._changes.making(by, what, new.id, reason, old, new) as connection:
            await connection.execute(
                "INSERT INTO service.organisation (id, name, kind, country, time_zone, phone)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE"
                " SET name = EXCLUDED.name,"
                " kind = EXCLUDED.kind, country = EXCLUDED.country,"
                " time_zone = EXCLUDED.time_zone, phone = EXCLUDED.phone",
                msgspec.structs.astuple(new),
            )
        self._accounts.forget()

    async def put_network(
        self,
        by: Person,
        network: str,
        parties: dict[str, str],
        reason: str,
        title: str | None = None,
    ) -> None:
        """Say which organisation plays which role in `network`; it is replaced whole. Raises No.

        `title` is what people read where they choose it: None keeps the one it has, "" takes it
        away, and they read its identifier.
        Journeys that are open keep the parties they were opened with.
        """
        check_slug("network", network)
        known = await self._accounts.organisations()
        for role, organisation in parties.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", role):
                raise No("bad-value", "No such role", Reason("parties", f"{role!r} is no role"))
            if organisation not in known:
                raise unknown("organisation", organisation)
        before = await self._networks.parties(network)
        called = (await self._networks.titles()).get(network, "")
        title = called if title is None else " ".join(title.split())
        kind = "network changed" if before else "network added"
        old = {"title": called, **before} if before else {}
        new = {"title": title, **parties}
        async with self._changes.making(by, kind, network, reason, old, new) as connection:
            await connection.execute("DELETE FROM service.party WHERE network = %s", (network,))
            async with connection.cursor() as cursor:
                await cursor.executemany(
                    "INSERT INTO service.party (network, role, organisation) VALUES (%s, %s, %s)",
                    [(network, role, organisation) for role, organisation in parties.items()],
                )
                await entitle(cursor, network, title)
        self._networks.forget()


def new_organisation(
    name: str, kind: str, country: str, time_zone: str, phone: str = ""
) -> Organisation:
    """Return an organisation whose id is made from its name. Raises ValueError."""
    name = name.strip()
    if not 2 <= len(name) <= 100 or not name.isprintable():
        raise ValueError("the organisation needs a name of 2 to 100 characters")
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of organisation: one of {', '.join(KINDS)}")
    if not re.fullmatch(r"[A-Z]{2}", country):
        raise ValueError(f"{country!r} is no country code of two letters (ISO 3166)")
    if time_zone not in available_timezones():
        raise ValueError(f"{time_zone!r} is no time zone (such as Europe/Stockholm)")
    phone = phone.strip()
    if phone and not re.fullmatch(r"\+?[0-9][0-9 ()-]{3,28}[0-9]", phone):
        raise ValueError(f"{phone!r} is no telephone number (such as +46 8 465 004 00)")
    return Organisation(slug(name), name, kind, country, time_zone, phone)


def new_person(
    login: str,
    name: str,
    organisation: str,
    roles: tuple[str, ...],
    duties: tuple[str, ...],
    language: str = "",
    site: str = "",
) -> Person:
    """Return a person; their login is their identifier for good. Raises ValueError."""
    login, name = login.strip().lower(), name.strip()
    if not _LOGIN.fullmatch(login):
        raise ValueError(f"{login!r} is no login: 2 to 80 of a-z, 0-9, dot, dash, @")
    if not 2 <= len(name) <= 100 or not name.isprintable():
        raise ValueError("a person needs a printed name of 2 to 100 characters (21 CFR 11.50)")
    if language and language not in LANGUAGES:
        raise ValueError(f"{language!r} is no language of the pages: {', '.join(LANGUAGES)}")
    return Person(login, login, name, organisation, roles, duties, language, site)


def slug(name: str) -> str:
    """Return an identifier made from a name: `Norra sjukhuset` gives `norra-sjukhuset`."""
    plain = name.lower().translate(str.maketrans("åäöéñáíóúü", "aaoenaiouu"))
    made = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:63]
    if not made:
        raise ValueError(f"no identifier can be made from {name!r}: use some Latin letters")
    return made


def check_slug(field: str, value: str) -> None:
    """Raise No unless `value` is an identifier."""
    if not _SLUG.fullmatch(value):
        what = f"{value!r} is no identifier: a-z, 0-9 and dashes"
        raise No("bad-value", "No identifier", Reason(field, what))


def _named(field: str, value: str) -> None:
    if not 2 <= len(value.strip()) <= 100 or not value.isprintable():
        raise No("bad-value", "No name", Reason(field, "2 to 100 characters"))


def _zone(value: str) -> ZoneInfo:
    if value not in available_timezones():
        what = f"{value!r} is no time zone"
        raise No("bad-value", "No time zone", Reason("time_zone", what, "e.g. Europe/Stockholm"))
    return ZoneInfo(value)


def _different(old: Any, new: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what differs, before and after."""
    before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
    names = [name for name in after if before.get(name) != after[name]]
    return {n: before.get(n) for n in names}, {n: after[n] for n in names}
