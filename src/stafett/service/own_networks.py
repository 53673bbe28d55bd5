"""The networks that an organisation made itself: each save a new version that nobody can change.

A version is the text of a network file, whole (what it extended is filled in), that was found
without fault by the very checks that a file goes through. It is named `NAME@VERSION` wherever a
network is named. Only its organisation sees it: the database's row security holds that.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import msgspec
import yaml

from stafett.design.reading import System, document_of, examined, names
from stafett.protocol.builtin import names as protocols
from stafett.protocol.read import Document, Place, ReadError
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.refusal import No, Reason

NAME = re.compile(r"[a-z][a-z0-9-]{1,39}")
LONGEST = 400_000  # characters of a network
MOST = 100  # networks of an organisation
COLUMNS: LiteralString = "name, version, title, protocol, reason, person_name, saved_at"


class NetworkVersion(msgspec.Struct, frozen=True):
    """One version of a network: what it is, who saved it, when and why."""

    name: str
    version: int
    title: str
    protocol: str
    reason: str
    saved_by: str
    saved_at: datetime

    @property
    def ref(self) -> str:
        """What it is called where a network is named."""
        return f"{self.name}@{self.version}"


class NetworkFinding(msgspec.Struct, frozen=True):
    """What is wrong: in which part (path with dots), at which place of the text, what to do."""

    field: str
    place: str
    what: str
    todo: str


@dataclass(frozen=True)
class Examined:
    """A text as a network: what it says, the system where it can be read, what is wrong."""

    document: Document | None
    system: System | None
    findings: tuple[NetworkFinding, ...]


class Faulty(ValueError):
    """A network that is not kept, with everything that is wrong with it."""

    def __init__(self, findings: tuple[NetworkFinding, ...]) -> None:
        super().__init__("; ".join(f"{f.place}: {f.what}" for f in findings))
        self.findings = findings


def examine(text: str, name: str) -> Examined:
    """Read a network and check it as a file of that name would be; never raises."""
    doc: Document | None = None
    try:
        doc = document_of(text, f"{name}.yaml")
        protocol = doc.value.get("protocol", "")
        # A network file on somebody's machine may name a protocol file beside it; a text that was
        # sent here must not make this machine read its own files.
        if isinstance(protocol, str) and "protocol" in doc.value and protocol not in protocols():
            what, todo = f"there is no protocol {protocol!r}", f"known: {', '.join(protocols())}"
            raise ReadError(doc.place("protocol"), what, todo)
        system, problems = examined(doc)
    except ReadError as problem:
        return Examined(doc, None, (_finding(doc, problem),))
    return Examined(doc, system, tuple(_finding(doc, problem) for problem in problems))


def _finding(doc: Document | None, problem: ReadError) -> NetworkFinding:
    return NetworkFinding(_path(doc, problem.place), str(problem.place), problem.what, problem.todo)


def _path(doc: Document | None, place: Place) -> str:
    """The part of a document that stands at a place: the outermost, where several begin there."""
    there = [path for path, at in doc.places.items() if at == place] if doc else []
    there.sort(key=lambda path: len(path))
    return ".".join(map(str, there[0])) if there else ""


def written(doc: Document) -> str:
    """A network as a file that stands by itself."""
    return str(
        yaml.dump(
            doc.value, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=110,
            default_flow_style=None,
        )
    )  # fmt: skip


class OwnNetworks:
    """The networks of every organisation, kept in PostgreSQL."""

    def __init__(self, pool: sql.Pool) -> None:
        self._pool = pool

    async def all_of(self, organisation: str) -> list[NetworkVersion]:
        """The newest version of each network of an organisation, by name."""
        query: LiteralString = (
            f"SELECT DISTINCT ON (name) {COLUMNS} FROM service.own_network"
            " ORDER BY name, version DESC"
        )
        return [NetworkVersion(*row) for row in await self._read(organisation, query)]

    async def versions(self, organisation: str, name: str) -> list[NetworkVersion]:
        """The versions of one, the newest first; none where there is none that it may see."""
        query: LiteralString = (
            f"SELECT {COLUMNS} FROM service.own_network WHERE name = %s ORDER BY version DESC"
        )
        return [NetworkVersion(*row) for row in await self._read(organisation, query, name)]

    async def content(self, organisation: str, ref: str) -> tuple[NetworkVersion, str] | None:
        """A version (`NAME@VERSION`; without a version the newest) and its text."""
        name, _, number = ref.partition("@")
        if not NAME.fullmatch(name) or not re.fullmatch(r"\d{0,6}", number):
            return None
        query: LiteralString = (
            f"SELECT {COLUMNS}, content FROM service.own_network"
            " WHERE name = %s AND (%s = 0 OR version = %s) ORDER BY version DESC LIMIT 1"
        )
        wanted = int(number or 0)
        if number and wanted == 0:
            return None
        rows = await self._read(organisation, query, name, wanted, wanted)
        return (NetworkVersion(*rows[0][:-1]), str(rows[0][-1])) if rows else None

    async def save(
        self, person: Person, name: str, text: str, reason: str, after: int
    ) -> NetworkVersion:
        """Keep a network of the person's organisation as the version that follows `after`.

        `after` is the version that was changed, 0 for a new network. Raises No; Faulty where the
        text is no sound network of that name. Nothing is kept then.
        """
        reason = " ".join(reason.split())
        if not NAME.fullmatch(name):
            what = "2 to 40 of a-z, 0-9 and hyphen, beginning with a letter"
            raise No("bad-value", "No such name", Reason("name", what))
        if name in names():
            what, todo = f"{name!r} is a built-in network", "choose another name"
            raise No("taken", "The name is taken", Reason("name", what, todo))
        if not 4 <= len(reason) <= 500:
            raise No("bad-value", "No reason", Reason("reason", "4 to 500 characters"))
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
        query: LiteralString = (
            "INSERT INTO service.own_network (organisation, name, version, title, protocol,"
            " content, reason, person, person_name)"
            " SELECT %(o)s, %(n)s, %(after)s + 1, %(title)s, %(protocol)s, %(content)s, %(why)s,"
            " %(person)s, %(called)s"
            " WHERE %(after)s = (SELECT coalesce(max(version), 0) FROM service.own_network"
            " WHERE organisation = %(o)s AND name = %(n)s)"
            " AND (%(after)s > 0 OR %(most)s > (SELECT count(DISTINCT name)"
            " FROM service.own_network WHERE organisation = %(o)s))"
            f" ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
        )
        values = {
            "o": person.organisation, "n": name, "after": after, "title": n.title,
            "protocol": n.protocol, "content": content, "why": reason, "person": person.id,
            "called": person.name, "most": MOST,
        }  # fmt: skip
        async with self._pool.connection() as connection:
            kept = await sql.within(connection, query, values)
        if not kept:
            raise await self._late(person.organisation, name, after)
        return NetworkVersion(*kept[0])

    async def _late(self, organisation: str, name: str, after: int) -> No:
        there = await self.versions(organisation, name)
        newest = there[0].version if there else 0
        if newest == after:
            return No("taken", "Too many networks", Reason("name", f"{MOST} at most"))
        if after == 0:
            what, todo = f"{name!r} is there already", "choose another name, or change that one"
            return No("taken", "The name is taken", Reason("name", what, todo))
        what = f"version {newest} is the newest, and not {after}"
        todo = "look at what was saved meanwhile, and change that"
        return No("conflict", "Somebody saved meanwhile", Reason("after", what, todo))

    async def _read(self, organisation: str, query: LiteralString, *values: Any) -> list[Any]:
        """Read as the organisation: the database shows it its own rows and no others."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE stafett_read")
            setting = "SELECT set_config('stafett.organisation', %s, true)"
            await connection.execute(setting, [organisation])
            return await sql.within(connection, query, values)
