"""The networks that an organisation made itself: each save a new version that nobody can change.

A version is the text of a network file, whole (what it extended is filled in), that was found
without fault by the very checks that a file goes through. It is named `NAME@VERSION` wherever a
network is named. Only its organisation sees it: the database's row security holds that. A network
that is withdrawn is offered no longer; its versions stay, for the runs that named them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString, TypeAlias

import msgspec
from psycopg import AsyncConnection

from stafett.design.reading import names
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.own_text import Faulty, NetworkFinding, examine, written
from stafett.service.refusal import No, Reason

Connection: TypeAlias = AsyncConnection[Any]
NAME = re.compile(r"[a-z][a-z0-9-]{1,39}")
LONGEST = 400_000  # characters of a network
MOST = 100  # networks of an organisation
COLUMNS: LiteralString = (
    "name, version, title, protocol, n.reason, n.person_name, saved_at,"
    " w.reason, w.person_name, withdrawn_at"
)
THERE: LiteralString = (
    "service.own_network n LEFT JOIN service.own_network_withdrawn w"
    " USING (organisation, name, version)"
)


class Withdrawal(msgspec.Struct, frozen=True):
    """Why a network is offered no longer, who said so, and when."""

    reason: str
    by: str
    at: datetime


class NetworkVersion(msgspec.Struct, frozen=True):
    """One version of a network: what it is, who saved it, when and why.

    `withdrawn`: set on the version that was the newest when the network was withdrawn.
    """

    name: str
    version: int
    title: str
    protocol: str
    reason: str
    saved_by: str
    saved_at: datetime
    withdrawn: Withdrawal | None = None

    @property
    def ref(self) -> str:
        """What it is called where a network is named."""
        return f"{self.name}@{self.version}"


def _version(row: Sequence[Any]) -> NetworkVersion:
    """A version as the database has it: COLUMNS."""
    version = NetworkVersion(*row[:7])
    if row[9] is None:
        return version
    return msgspec.structs.replace(version, withdrawn=Withdrawal(*row[7:]))


def _reason(reason: str) -> str:
    """A reason, without needless space."""
    reason = " ".join(reason.split())
    if not 4 <= len(reason) <= 500:
        raise No("bad-value", "No reason", Reason("reason", "4 to 500 characters"))
    return reason


def _late(name: str, newest: int, seen: int, field: str = "after") -> No:
    """Why what was done from an older version is refused. `seen`: 0 for a new network."""
    if seen == 0:
        what, todo = f"{name!r} is there already", "choose another name, or change that one"
        return No("taken", "The name is taken", Reason("name", what, todo))
    what = f"version {newest} is the newest, and not {seen}"
    todo = "look at what was saved meanwhile, and change that"
    return No("conflict", "Somebody saved meanwhile", Reason(field, what, todo))


class OwnNetworks:
    """The networks of every organisation, kept in PostgreSQL."""

    def __init__(self, pool: sql.Pool) -> None:
        self._pool = pool

    async def all_of(self, organisation: str) -> list[NetworkVersion]:
        """The newest version of each network that an organisation offers, by name."""
        return [v for v in await self._newest(organisation) if v.withdrawn is None]

    async def withdrawn(self, organisation: str) -> list[NetworkVersion]:
        """The newest version of each network that it withdrew and did not save again, by name."""
        return [v for v in await self._newest(organisation) if v.withdrawn is not None]

    async def _newest(self, organisation: str) -> list[NetworkVersion]:
        query: LiteralString = (
            f"SELECT DISTINCT ON (name) {COLUMNS} FROM {THERE} ORDER BY name, version DESC"
        )
        return [_version(row) for row in await self._read(organisation, query)]

    async def versions(self, organisation: str, name: str) -> list[NetworkVersion]:
        """The versions of one, the newest first; none where there is none that it may see."""
        query: LiteralString = (
            f"SELECT {COLUMNS} FROM {THERE} WHERE name = %s ORDER BY version DESC"
        )
        return [_version(row) for row in await self._read(organisation, query, name)]

    async def content(self, organisation: str, ref: str) -> tuple[NetworkVersion, str] | None:
        """A version (`NAME@VERSION`; without a version the newest) and its text.

        A network that was withdrawn is found by its exact version only.
        """
        name, _, number = ref.partition("@")
        if not NAME.fullmatch(name) or not re.fullmatch(r"\d{0,6}", number):
            return None
        query: LiteralString = (
            f"SELECT {COLUMNS}, content FROM {THERE}"
            " WHERE name = %s AND (%s = 0 OR version = %s) ORDER BY version DESC LIMIT 1"
        )
        wanted = int(number or 0)
        if number and wanted == 0:
            return None
        rows = await self._read(organisation, query, name, wanted, wanted)
        found = _version(rows[0][:-1]) if rows else None
        if found is None or (found.withdrawn is not None and not number):
            return None
        return found, str(rows[0][-1])

    async def save(
        self, person: Person, name: str, text: str, reason: str, after: int
    ) -> NetworkVersion:
        """Keep a network of the person's organisation as the version that follows `after`.

        `after` is the version that was changed, 0 for a new network or for one that was withdrawn,
        whose name it takes up. Raises No; Faulty where the text is no sound network of that name.
        Nothing is kept then.
        """
        if not NAME.fullmatch(name):
            what = "2 to 40 of a-z, 0-9 and hyphen, beginning with a letter"
            raise No("bad-value", "No such name", Reason("name", what))
        if name in names():
            what, todo = f"{name!r} is a built-in network", "choose another name"
            raise No("taken", "The name is taken", Reason("name", what, todo))
        reason = _reason(reason)
        if len(text) > LONGEST:
            raise No("bad-value", "Too long", Reason("text", f"{LONGEST} characters at most"))
        found = await asyncio.to_thread(examine, text, name)
        findings = found.findings
        if found.system is None or found.document is None or findings:
            raise Faulty(findings)
        n = found.system.network
        if n.network != name:
            place = str(found.document.place("network"))
            what, todo = f"the file says that it is {n.network!r}", "both names are to be the same"
            raise Faulty((NetworkFinding("network", place, what, todo),))
        extends = re.search(r"^[\"']?extends", text, re.MULTILINE)
        as_sent = not text.lstrip().startswith("{") and extends is None
        content = text if as_sent else written(found.document)
        who = person.organisation
        async with self._pool.connection() as connection:
            newest, withdrawn = await self._alone(connection, who, name)
            if after != newest and not (withdrawn and after == 0):
                raise _late(name, newest, after)
            offered: LiteralString = (
                f"SELECT count(DISTINCT name) FROM {THERE} WHERE organisation = %s"
                " AND withdrawn_at IS NULL AND version = (SELECT max(version)"
                " FROM service.own_network m WHERE m.organisation = n.organisation"
                " AND m.name = n.name)"
            )
            ((many,),) = await sql.within(connection, offered, [who])
            if (newest == 0 or withdrawn) and many >= MOST:
                raise No("taken", "Too many networks", Reason("name", f"{MOST} at most"))
            query: LiteralString = (
                "INSERT INTO service.own_network (organisation, name, version, title, protocol,"
                " content, reason, person, person_name)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " RETURNING name, version, title, protocol, reason, person_name, saved_at"
            )
            values = [who, name, newest + 1, n.title, n.protocol, content, reason, person.id,
                      person.name]  # fmt: skip
            (kept,) = await sql.within(connection, query, values)
        return NetworkVersion(*kept)

    async def withdraw(
        self, person: Person, name: str, version: int, reason: str
    ) -> NetworkVersion | None:
        """Offer a network of the person's organisation no longer; its versions stay readable.

        `version` is the newest that the person saw. None where there is no such network of that
        organisation. Raises No.
        """
        reason, who = _reason(reason), person.organisation
        async with self._pool.connection() as connection:
            newest, withdrawn = await self._alone(connection, who, name)
            if newest == 0:
                return None
            if withdrawn:
                what, todo = f"{name!r} is withdrawn already", "save it again to offer it again"
                raise No("conflict", "It is withdrawn", Reason("name", what, todo))
            if version != newest:
                raise _late(name, newest, version, "version")
            query: LiteralString = (
                "INSERT INTO service.own_network_withdrawn"
                " (organisation, name, version, reason, person, person_name)"
                " VALUES (%s, %s, %s, %s, %s, %s)"
            )
            await connection.execute(query, [who, name, newest, reason, person.id, person.name])
        return (await self.versions(who, name))[0]

    async def _alone(self, connection: Connection, who: str, name: str) -> tuple[int, bool]:
        """The newest version of a network, 0 for none, and whether it is withdrawn.

        Until the transaction ends nobody else of the organisation saves or withdraws.
        """
        lock: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
        await connection.execute(lock, [f"own networks of {who}"])
        query: LiteralString = (
            f"SELECT version, withdrawn_at IS NOT NULL FROM {THERE}"
            " WHERE organisation = %s AND name = %s ORDER BY version DESC LIMIT 1"
        )
        rows = await sql.within(connection, query, [who, name])
        return (int(rows[0][0]), bool(rows[0][1])) if rows else (0, False)

    async def _read(self, organisation: str, query: LiteralString, *values: Any) -> list[Any]:
        """Read as the organisation: the database shows it its own rows and no others."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE stafett_read")
            setting = "SELECT set_config('stafett.organisation', %s, true)"
            await connection.execute(setting, [organisation])
            return await sql.within(connection, query, values)
