"""Who is competent for what: granted, withdrawn, and asked before every signature."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from stafett.registry.competence import Gap, Grant, find
from stafett.service import sql
from stafett.service.accounts import Accounts, Person
from stafett.service.changes import Changes
from stafett.service.refusal import No, Reason, unknown

FRESH_S = 2.0
LINE = 200  # characters: whom a change is about, in one line


@dataclass(frozen=True)
class Wanted:
    """A grant that is asked for."""

    person: str
    protocol: str
    version: str
    role: str
    valid_until: datetime


class Competences:
    """The grants kept in PostgreSQL; each grant and withdrawal is also in the record."""

    def __init__(self, pool: sql.Pool, accounts: Accounts, changes: Changes) -> None:
        self._pool, self._accounts, self._changes = pool, accounts, changes
        self._known: dict[str, tuple[list[Grant], float]] = {}

    async def grant(self, by: Person, wanted: Sequence[Wanted], reason: str) -> None:
        """Grant competence to people of the administrator's own organisation. Raises No."""
        now = datetime.now(UTC)
        for one in wanted:
            person = await self._own(by, one.person)
            if one.role not in person.roles:
                todo = f"one of: {', '.join(person.roles)}"
                what = f"{person.name} does not act as {one.role!r}"
                raise No("unknown-name", "Not their role", Reason("role", what, todo))
            if one.valid_until.utcoffset() is None or one.valid_until <= now:
                what = f"{one.valid_until.isoformat()} is not a moment ahead, with its zone"
                raise No("bad-time", "No such end", Reason("valid_until", what, "choose a later"))
        after = [
            {"person": w.person, "protocol": w.protocol, "version": w.version, "role": w.role,
             "valid_from": now, "valid_until": w.valid_until}
            for w in wanted
        ]  # fmt: skip
        about = _named([w.person for w in wanted])
        async with (
            self._changes.making(
                by, "competence granted", about, reason, None, after
            ) as connection,
            connection.cursor() as cursor,
        ):
            await cursor.executemany(
                "INSERT INTO service.competence (person, protocol, version, role, valid_from,"
                " valid_until, granted_by, reason) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (w.person, w.protocol, w.version, w.role, now, w.valid_until, by.id, reason)
                    for w in wanted
                ],
            )
        self._known.clear()

    async def withdraw(self, by: Person, id: int, reason: str) -> None:
        """Withdraw a grant from now on. Raises No."""
        found = await sql.row(self._pool, _SELECT + " WHERE id = %s", (id,))
        if found is None:
            raise unknown("competence", str(id))
        grant = Grant(*found)
        whose = await self._accounts.person(grant.person)
        if whose is None or whose.organisation != by.organisation:
            raise unknown("competence", str(id))  # as if there were none: no name is given away
        if grant.withdrawn is not None:
            what = "it was withdrawn already"
            raise No("already-answered", "Withdrawn already", Reason("competence", what))
        before = {"id": id, "protocol": grant.protocol, "version": grant.version,
                  "role": grant.role, "valid_until": grant.valid_until}  # fmt: skip
        async with self._changes.making(
            by, "competence withdrawn", grant.person, reason, before
        ) as connection:
            await connection.execute(
                "UPDATE service.competence SET withdrawn = now() WHERE id = %s", (id,)
            )
        self._known.clear()

    async def of(self, person: str) -> list[Grant]:
        """Return every grant a person ever had, oldest first."""
        known = self._known.get(person)
        if known is not None and time.monotonic() - known[1] <= FRESH_S:
            return known[0]
        query = _SELECT + " WHERE person = %s ORDER BY id"
        grants = [Grant(*row) for row in await sql.rows(self._pool, query, (person,))]
        self._known[person] = (grants, time.monotonic())
        return grants

    async def of_organisation(self, organisation: str) -> list[Grant]:
        """Return every grant of an organisation's people, oldest first."""
        query = (
            _SELECT + " WHERE person IN (SELECT id FROM service.person WHERE organisation = %s)"
            " ORDER BY id"
        )
        return [Grant(*row) for row in await sql.rows(self._pool, query, (organisation,))]

    async def gap(
        self, person: Person, protocol: str, version: str, role: str
    ) -> tuple[str, str] | None:
        """Say why `person` may not sign now and how to get it mended; None if they may."""
        found = find(await self.of(person.id), protocol, version, role, datetime.now(UTC))
        if isinstance(found, Grant):
            return None
        administrators = [
            one.name
            for one in await self._accounts.people(person.organisation)
            if "administrator" in one.duties
        ]
        who = " or ".join(administrators[:3]) or "an administrator of your organisation"
        what = f"{person.name} as {role} in {protocol} {version}: {_why(found)}"
        return what, f"take the training; {who} then grants it under Administration, Competence"

    async def _own(self, by: Person, name: str) -> Person:
        person = await self._accounts.person(name)
        if person is None or person.organisation != by.organisation:
            raise unknown("person", name)
        return person


def _why(gap: Gap) -> str:
    at = f"{gap.at:%Y-%m-%d %H:%M %Z}" if gap.at else ""
    return {
        "none": "never granted",
        "other-version": f"granted for version {gap.version} only",
        "not-begun": f"it begins {at}",
        "ended": f"it ended {at}",
        "withdrawn": f"it was withdrawn {at}",
    }[gap.kind]


_SELECT = (
    "SELECT person, protocol, version, role, valid_from, valid_until, granted_by, reason,"
    " withdrawn, id FROM service.competence"
)


def _named(people: Sequence[str]) -> str:
    """Name each person once, the first that fit in one line: what was granted names them all."""
    names = list(dict.fromkeys(people))
    kept = len(names)
    while kept > 1 and len(", ".join(names[:kept])) > LINE:
        kept -= 1
    return ", ".join([*names[:kept], *([f"+{len(names) - kept}"] if kept < len(names) else [])])
