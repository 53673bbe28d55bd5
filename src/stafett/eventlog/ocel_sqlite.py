"""OCEL 2.0 in SQLite (specification 2.0 of 2023, §5), from a file that nobody trusts.

The file is opened to be read only and as one that nobody changes. Only plain tables are read: a
view, a virtual table, a computed column run what the file's author wrote, so their presence where
a table belongs is an error. The library checks each cell, and stops what takes too long.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from stafett.eventlog.ocel_model import (
    LARGEST,
    PACKED,
    Attribute,
    Event,
    Log,
    Object,
    Relation,
    unpacked,
)
from stafett.eventlog.problems import LogUnreadableError

MAGIC: Final = b"SQLite format 3\0"
LONGEST_S: Final = 120.0
MOST: Final = 5_000_000  # rows of a table
TYPES: Final = 2_000
_COLUMNS: Final = {
    "event": ("ocel_id", "ocel_type"), "object": ("ocel_id", "ocel_type"),
    "event_map_type": ("ocel_type", "ocel_type_map"),
    "event_object": ("ocel_event_id", "ocel_object_id", "ocel_qualifier"),
}  # fmt: skip
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: 10_000_000, sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1_000_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 2_000, sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 50, sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 5,
}  # fmt: skip


def looks_so(path: Path) -> bool:
    """Say whether the file is a database of SQLite, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read(path: Path) -> Log:
    """Read a log. Raises LogUnreadableError: what is wrong, in which table."""
    with path.open("rb") as file:
        packed = file.read(2) == PACKED
    if packed:
        with tempfile.NamedTemporaryFile(suffix=".sqlite") as plain:
            plain.write(unpacked(path))
            plain.flush()
            return _read(Path(plain.name))
    if path.stat().st_size > LARGEST:
        raise LogUnreadableError(f"it has more than {LARGEST:,} bytes", "Split it.")
    return _read(path)


def _read(path: Path) -> Log:
    if not looks_so(path):
        raise LogUnreadableError("the file is no database of SQLite")
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        what = f"what is in {wal.name} is not in the file yet"
        raise LogUnreadableError(what, "Close the program that writes it.")
    try:
        with closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as base:
            _harden(base)
            return _log(base)
    except sqlite3.Error as error:
        raise LogUnreadableError(f"the database cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise LogUnreadableError("a text in the database is not UTF-8") from error


def _harden(base: sqlite3.Connection) -> None:
    for limit, most in _LIMITS.items():
        base.setlimit(limit, most)
    for pragma in ("trusted_schema=OFF", "query_only=ON", "cell_size_check=ON", "mmap_size=0"):
        base.execute(f"PRAGMA {pragma}")
    end = time.monotonic() + LONGEST_S
    base.set_progress_handler(lambda: time.monotonic() > end, 100_000)


def _log(base: sqlite3.Connection) -> Log:
    tables = _tables(base)
    for name, columns in _COLUMNS.items():
        _plain(base, tables, name, columns)
    objects = [Object(*row) for row in _texts(base, "object", _COLUMNS["object"])]
    events: dict[str, Event] = {}
    kinds = list(_texts(base, "event", _COLUMNS["event"]))
    for identifier, kind in kinds:
        if identifier in events:
            raise LogUnreadableError(f"there are two events {identifier!r}")
        events[identifier] = Event(identifier, kind, "", [], [])
    rows = _texts(base, "event_map_type", _COLUMNS["event_map_type"])
    mapped = {kind: name for kind, name in rows}  # noqa: C416 - typed as pairs
    if len(mapped) > TYPES:
        raise LogUnreadableError(f"the log has more than {TYPES:,} types of event")
    for kind, name in mapped.items():
        _values(base, tables, kind, f"event_{name}", events)
    for event in events.values():
        if not event.time:
            table = mapped.get(event.type)
            where = f"event_{table} has no row for it" if table else "its type is not mapped"
            raise LogUnreadableError(f"event {event.id!r} has no time: {where}")
    for identifier, thing, qualifier in _rows(base, "event_object", _COLUMNS["event_object"]):
        if identifier not in events:
            raise LogUnreadableError(f"event_object names {identifier!r}, which is no event")
        if not isinstance(thing, str):
            raise LogUnreadableError(f"event_object of {identifier!r} names no object by a text")
        events[identifier].relationships.append(Relation(thing, str(qualifier or "")))
    return Log(list(events.values()), objects)


def _values(
    base: sqlite3.Connection,
    tables: dict[str, str],
    kind: str,
    table: str,
    events: dict[str, Event],
) -> None:
    """Read the times and the attributes of the events of one type."""
    columns = _plain(base, tables, table, ("ocel_id", "ocel_time"))
    more = [c for c in columns if c not in ("ocel_id", "ocel_time")]
    for identifier, moment, *values in _rows(base, table, ("ocel_id", "ocel_time", *more)):
        event = events.get(identifier)
        if event is None or event.type != kind:
            raise LogUnreadableError(f"{table} has {identifier!r}, which is no event of that type")
        if event.time:
            raise LogUnreadableError(f"{table} has two rows for event {identifier!r}")
        if not isinstance(moment, str) or not moment:
            raise LogUnreadableError(f"the time of event {identifier!r} is no text")
        event.time = moment
        for name, value in zip(more, values, strict=True):
            if isinstance(value, bytes):
                raise LogUnreadableError(f"{name} of event {identifier!r} is bytes, no value")
            if value is not None:
                event.attributes.append(Attribute(name, value))


def _tables(base: sqlite3.Connection) -> dict[str, str]:
    """Return the plain tables by name in small letters: SQLite tells no case apart."""
    found: dict[str, str] = {}
    for kind, name, text in base.execute("SELECT type, name, sql FROM sqlite_master LIMIT 20000"):
        if kind == "table" and not str(text).lstrip().upper().startswith("CREATE VIRTUAL"):
            found[str(name).lower()] = str(name)
    return found


def _plain(
    base: sqlite3.Connection, tables: dict[str, str], name: str, needs: tuple[str, ...]
) -> list[str]:
    """Return the columns of a plain table; raise LogUnreadableError where it is none."""
    if name.lower() not in tables:
        raise LogUnreadableError(f"the database has no table {name!r}")
    rows = base.execute(f"PRAGMA table_xinfo({_quoted(name)})").fetchall()
    if any(row[6] for row in rows):
        raise LogUnreadableError(f"the table {name!r} has a column that is computed")
    columns = [str(row[1]) for row in rows]
    for column in needs:
        if column not in columns:
            raise LogUnreadableError(f"the table {name!r} has no column {column!r}")
    return columns


def _rows(
    base: sqlite3.Connection, name: str, columns: tuple[str, ...]
) -> Iterator[tuple[Any, ...]]:
    listed = ", ".join(map(_quoted, columns))
    for n, row in enumerate(base.execute(f"SELECT {listed} FROM {_quoted(name)} ORDER BY rowid")):
        if n >= MOST:
            raise LogUnreadableError(f"the table {name!r} has more than {MOST:,} rows")
        yield row


def _texts(
    base: sqlite3.Connection, name: str, columns: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    for row in _rows(base, name, columns):
        if not all(isinstance(value, str) and value for value in row):
            raise LogUnreadableError(f"a row of {name!r} has no text in {' or '.join(columns)}")
        yield row


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
