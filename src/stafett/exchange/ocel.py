"""Object-centric event logs out: OCEL 2.0 as JSON, XML and SQLite, written as a stream.

Events are written as they come; objects are told once and may be told at any time before the end.
Memory holds the objects' names and types and the attributes of each type, never the events.
Sources: OCEL 2.0 specification (ocel-standard.org, 2023), §4 (model), §5 (SQLite), §6 (XML), §7
(JSON). The JSON schema wants attribute values as text, and each attribute of an object has a time.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol

import msgspec

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class OcelObject(msgspec.Struct, frozen=True):
    """A thing events are about. `attributes` hold from `since` on; `links` are (id, qualifier)."""

    id: str
    type: str
    attributes: Mapping[str, Any] = {}
    since: datetime = EPOCH
    links: tuple[tuple[str, str], ...] = ()


class OcelEvent(msgspec.Struct, frozen=True):
    """Something that happened. `objects` are (id, qualifier) of objects told to the writer."""

    id: str
    type: str
    time: datetime
    attributes: Mapping[str, Any] = {}
    objects: tuple[tuple[str, str], ...] = ()


class OcelSink(Protocol):
    """What takes a log: the three writers below."""

    def event(self, event: OcelEvent) -> None:
        """Write an event."""

    def object(self, thing: OcelObject) -> None:
        """Write an object; the same id again is passed over, with another type a ValueError."""

    def close(self) -> None:
        """Finish; ValueError if an event or a link names an object that was never told."""


def type_of(value: Any) -> str:
    """Give OCEL's name for the type of an attribute value."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "float"
    return "time" if isinstance(value, datetime) else "string"


def text_of(value: Any) -> str:
    """Give an attribute value as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return stamp(value)
    return str(value)


def stamp(moment: datetime) -> str:
    """Give an aware time in UTC, ISO 8601, with the fraction it has."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class _Names:
    """Which objects exist, which attributes each type has, and what was promised."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}
        self.types: tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]] = ({}, {})
        self.promised: dict[str, str] = {}

    def object(self, thing: OcelObject) -> bool:
        known = self.objects.setdefault(thing.id, thing.type)
        if known != thing.type:
            raise ValueError(f"object {thing.id!r} is of type {known!r} and of {thing.type!r}")
        for other, _ in thing.links:
            if other not in self.objects:
                self.promised.setdefault(other, f"object {thing.id!r}")
        return True

    def told(self, identifier: str) -> bool:
        return identifier in self.objects

    def event(self, event: OcelEvent) -> None:
        for identifier, _ in event.objects:
            if identifier not in self.objects:
                self.promised.setdefault(identifier, f"event {event.id!r}")

    def attributes(self, kind: int, name: str, values: Mapping[str, Any]) -> None:
        known = self.types[kind].setdefault(name, {})
        for attribute, value in values.items():
            found = type_of(value)
            if known.setdefault(attribute, found) != found:
                known[attribute] = "string"

    def check(self) -> None:
        for identifier, by in self.promised.items():
            if identifier not in self.objects:
                raise ValueError(f"{by} names object {identifier!r}, which was never told")


class _Spooled:
    """Common to the two text formats: objects wait in a temporary file until the events are out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = _Names()
        self.aside = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed below
        self.partial = path.with_name(path.name + ".partial")
        self.out: IO[str] = self.partial.open("w", encoding="utf-8")

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def close(self) -> None:
        """Finish the file and put it in its place; nothing half written ever stands there."""
        try:
            self.names.check()
            self.finish()
        except BaseException:
            self.discard()
            raise
        self.out.close()
        self.aside.close()
        self.partial.replace(self.path)

    def finish(self) -> None:
        """Write what comes after the events."""
        raise NotImplementedError

    def discard(self) -> None:
        """Leave nothing behind."""
        self.out.close()
        self.aside.close()
        self.partial.unlink(missing_ok=True)


_encode = msgspec.json.Encoder().encode


class OcelJson(_Spooled):
    """Writes OCEL 2.0 JSON. Use as a context manager; the file appears when it is complete."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.first = self.first_object = True
        self.out.write('{"events":[')

    def event(self, event: OcelEvent) -> None:
        """Write an event."""
        self.names.event(event)
        self.names.attributes(0, event.type, event.attributes)
        body = {
            "id": event.id,
            "type": event.type,
            "time": stamp(event.time),
            "attributes": [{"name": n, "value": text_of(v)} for n, v in event.attributes.items()],
            "relationships": [{"objectId": o, "qualifier": q} for o, q in event.objects],
        }
        self.out.write(("\n" if self.first else ",\n") + _encode(body).decode())
        self.first = False

    def object(self, thing: OcelObject) -> None:
        """Write an object."""
        known = self.names.told(thing.id)
        self.names.object(thing)
        if known:
            return
        self.names.attributes(1, thing.type, thing.attributes)
        since = stamp(thing.since)
        body = {
            "id": thing.id,
            "type": thing.type,
            "attributes": [
                {"name": n, "value": text_of(v), "time": since} for n, v in thing.attributes.items()
            ],
            "relationships": [{"objectId": o, "qualifier": q} for o, q in thing.links],
        }
        self.aside.write(("\n" if self.first_object else ",\n") + _encode(body).decode())
        self.first_object = False

    def finish(self) -> None:
        """Write the objects and the types."""
        self.out.write('\n],"objects":[')
        self.aside.seek(0)
        shutil.copyfileobj(self.aside, self.out)
        kinds = [
            [{"name": t, "attributes": [{"name": a, "type": k} for a, k in known.items()]}
             for t, known in types.items()]
            for types in self.names.types
        ]  # fmt: skip
        self.out.write(f'\n],"eventTypes":{_encode(kinds[0]).decode()}')
        self.out.write(f',"objectTypes":{_encode(kinds[1]).decode()}}}\n')


class OcelXml(_Spooled):
    """Writes OCEL 2.0 XML: types, objects, events, in that order, so both wait aside."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.events = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115

    def event(self, event: OcelEvent) -> None:
        """Write an event."""
        self.names.event(event)
        self.names.attributes(0, event.type, event.attributes)
        attributes = "".join(
            f"<attribute name={_q(n)}>{_t(text_of(v))}</attribute>"
            for n, v in event.attributes.items()
        )
        self.events.write(
            f"<event id={_q(event.id)} type={_q(event.type)} time={_q(stamp(event.time))}>"
            f"<attributes>{attributes}</attributes>{_links(event.objects)}</event>\n"
        )

    def object(self, thing: OcelObject) -> None:
        """Write an object."""
        known = self.names.told(thing.id)
        self.names.object(thing)
        if known:
            return
        self.names.attributes(1, thing.type, thing.attributes)
        attributes = "".join(
            f"<attribute name={_q(n)} time={_q(stamp(thing.since))}>{_t(text_of(v))}</attribute>"
            for n, v in thing.attributes.items()
        )
        self.aside.write(
            f"<object id={_q(thing.id)} type={_q(thing.type)}>"
            f"<attributes>{attributes}</attributes>{_links(thing.links)}</object>\n"
        )

    def finish(self) -> None:
        """Write the types and everything that waited."""
        self.out.write("<?xml version='1.0' encoding='UTF-8'?>\n<log>\n")
        for index, name in ((1, "object"), (0, "event")):
            self.out.write(f"<{name}-types>\n")
            for kind, attributes in self.names.types[index].items():
                inner = "".join(
                    f"<attribute name={_q(a)} type={_q(k)}/>" for a, k in attributes.items()
                )
                self.out.write(
                    f"<{name}-type name={_q(kind)}><attributes>{inner}</attributes></{name}-type>\n"
                )
            self.out.write(f"</{name}-types>\n")
        for name, waiting in (("objects", self.aside), ("events", self.events)):
            waiting.seek(0)
            self.out.write(f"<{name}>\n")
            shutil.copyfileobj(waiting, self.out)
            self.out.write(f"</{name}>\n")
        self.out.write("</log>\n")
        self.events.close()

    def discard(self) -> None:
        """Leave nothing behind."""
        self.events.close()
        super().discard()


def _links(links: Iterable[tuple[str, str]]) -> str:
    inner = "".join(f"<relationship object-id={_q(o)} qualifier={_q(q)}/>" for o, q in links)
    return f"<objects>{inner}</objects>"


# XML 1.0 §2.2 forbids these whatever the escape; an attribute keeps its line breaks as references.
_BAD: Final = [*(chr(i) for i in range(32) if chr(i) not in "\t\n\r"), "\ufffe", "\uffff"]
_TEXT: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", **dict.fromkeys(_BAD, "\ufffd")}
)
_ATTRIBUTE: Final = _TEXT | str.maketrans(
    {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
)


def xml_text(text: str) -> str:
    """Give text as XML 1.0 can hold it: markup escaped, forbidden characters as U+FFFD."""
    return text.translate(_TEXT)


def xml_attribute(text: str) -> str:
    """Give an attribute's value with its quotes."""
    if text.isascii() and text.isalnum():  # most names and identifiers
        return f'"{text}"'
    return f'"{text.translate(_ATTRIBUTE)}"'


_t = xml_text
_q = xml_attribute


class OcelSqlite:
    """Writes OCEL 2.0 SQLite: a table for each type, mapped by name (§5)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.partial.unlink(missing_ok=True)
        self.names = _Names()
        self.tables: dict[tuple[str, str], tuple[str, list[str]]] = {}
        self.inserts: dict[tuple[str, ...], str] = {}
        self.base = sqlite3.connect(self.partial, isolation_level=None)
        self.base.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN;" + _SQL)

    def __enter__(self) -> OcelSqlite:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def event(self, event: OcelEvent) -> None:
        """Write an event."""
        self.names.event(event)
        self.base.execute("INSERT INTO event VALUES (?, ?)", (event.id, event.type))
        self.base.executemany(
            "INSERT OR IGNORE INTO event_object VALUES (?, ?, ?)",
            [(event.id, o, q) for o, q in event.objects],
        )
        self._row("event", event.type, event.id, event.time, event.attributes)

    def object(self, thing: OcelObject) -> None:
        """Write an object."""
        known = self.names.told(thing.id)
        self.names.object(thing)
        if known:
            return
        self.base.execute("INSERT INTO object VALUES (?, ?)", (thing.id, thing.type))
        self.base.executemany(
            "INSERT OR IGNORE INTO object_object VALUES (?, ?, ?)",
            [(thing.id, o, q) for o, q in thing.links],
        )
        self._row("object", thing.type, thing.id, thing.since, thing.attributes)

    def _row(
        self, kind: str, name: str, identifier: str, time: datetime, values: Mapping[str, Any]
    ) -> None:
        table, columns = self._table(kind, name)
        for attribute in values:
            if attribute not in columns:
                column = _identifier(attribute)
                self.base.execute(f"ALTER TABLE {_identifier(table)} ADD COLUMN {column}")
                columns.append(attribute)
        shape = (table, *values)
        statement = self.inserts.get(shape)
        if statement is None:
            given = ["ocel_id", "ocel_time", *values]
            marks = ", ".join("?" * len(given))
            listed = ", ".join(_identifier(g) for g in given)
            statement = f"INSERT INTO {_identifier(table)} ({listed}) VALUES ({marks})"
            self.inserts[shape] = statement
        self.base.execute(
            statement, [identifier, stamp(time), *(_cell(v) for v in values.values())]
        )

    def _table(self, kind: str, name: str) -> tuple[str, list[str]]:
        found = self.tables.get((kind, name))
        if found is None:
            # Tables are told apart without regard to case: SQLite's names have none.
            plain = "".join(c for c in name.title() if c.isascii() and c.isalnum()) or "Type"
            taken = {t[0].lower() for t in self.tables.values()}
            mapped, n = plain, 1
            while f"{kind}_{mapped}".lower() in taken:
                n += 1
                mapped = f"{plain}{n}"
            changed = ", ocel_changed_field TEXT" if kind == "object" else ""
            self.base.execute(
                f"CREATE TABLE {_identifier(f'{kind}_{mapped}')}"
                f" (ocel_id TEXT REFERENCES {kind} (ocel_id), ocel_time TIMESTAMP{changed})"
            )
            self.base.execute(f"INSERT INTO {kind}_map_type VALUES (?, ?)", (name, mapped))
            found = self.tables[kind, name] = (f"{kind}_{mapped}", [])
        return found

    def close(self) -> None:
        """Finish the database and put it in its place."""
        try:
            self.names.check()
            self.base.execute("COMMIT")
        except BaseException:
            self.discard()
            raise
        self.base.close()
        self.partial.replace(self.path)

    def discard(self) -> None:
        """Leave nothing behind."""
        self.base.close()
        self.partial.unlink(missing_ok=True)


_SQL: Final = """
CREATE TABLE event (ocel_id TEXT PRIMARY KEY, ocel_type TEXT);
CREATE TABLE object (ocel_id TEXT PRIMARY KEY, ocel_type TEXT);
CREATE TABLE event_map_type (ocel_type TEXT PRIMARY KEY, ocel_type_map TEXT);
CREATE TABLE object_map_type (ocel_type TEXT PRIMARY KEY, ocel_type_map TEXT);
CREATE TABLE event_object (ocel_event_id TEXT, ocel_object_id TEXT, ocel_qualifier TEXT,
  PRIMARY KEY (ocel_event_id, ocel_object_id, ocel_qualifier));
CREATE TABLE object_object (ocel_source_id TEXT, ocel_target_id TEXT, ocel_qualifier TEXT,
  PRIMARY KEY (ocel_source_id, ocel_target_id, ocel_qualifier));
"""


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""').replace("\0", "") + '"'


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime):
        return stamp(value)
    return value if isinstance(value, int | float | str | None) else str(value)


Writer = OcelJson | OcelXml | OcelSqlite
WRITERS: Final[dict[str, Callable[[Path], Writer]]] = {
    "json": OcelJson,
    "xml": OcelXml,
    "sqlite": OcelSqlite,
}


def writer(path: Path, form: str | None = None) -> Writer:
    """Open a writer by form or by the file's name (.jsonocel, .xmlocel, .sqlite, ...)."""
    name = path.name.lower()
    if form is None:
        for form_, ends in (
            ("json", (".json", ".jsonocel")), ("xml", (".xml", ".xmlocel")),
            ("sqlite", (".sqlite", ".sqlite3", ".db")),
        ):  # fmt: skip
            if name.endswith(ends):
                form = form_
    if form not in WRITERS:
        raise ValueError(f"say which form {path.name} is to have: {', '.join(WRITERS)}")
    return WRITERS[form](path)
