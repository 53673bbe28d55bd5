"""What the three forms of OCEL 2.0 have in common: events, objects, and what touches what."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final

import msgspec

from stafett.eventlog.problems import LogUnreadableError

LARGEST: Final = 1 << 30  # bytes of a log, unpacked
PACKED: Final = b"\x1f\x8b"


class Attribute(msgspec.Struct):
    """A named value of an event."""

    name: str
    value: str | int | float | bool | None = None


class Relation(msgspec.Struct):
    """An object that an event touches, and as what."""

    objectId: str
    qualifier: str = ""


class Event(msgspec.Struct):
    """Something that happened."""

    id: str
    type: str
    time: str
    attributes: list[Attribute] = []
    relationships: list[Relation] = []


class Object(msgspec.Struct):
    """Something that events touch."""

    id: str
    type: str


class Log(msgspec.Struct):
    """A log, in the order of the file."""

    events: list[Event]
    objects: list[Object]


def check(log: Log) -> Log:
    """Return the log; raise LogUnreadableError where one name stands for two things."""
    for what, ids in (
        ("event", (e.id for e in log.events)),
        ("object", (o.id for o in log.objects)),
    ):
        if (twice := _twice(ids)) is not None:
            raise LogUnreadableError(f"there are two {what}s {twice!r}")
    return log


def _twice(ids: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            return one
        seen.add(one)
    return None


def unpacked(path: Path) -> bytes:
    """Return the file's bytes, unpacked where it is packed. Raises LogUnreadableError."""
    with path.open("rb") as raw:
        packed = raw.read(2) == PACKED
        raw.seek(0)
        data = _unzipped(raw) if packed else raw.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise LogUnreadableError(f"it has more than {LARGEST:,} bytes unpacked", "Split it.")
    return data


def _unzipped(raw: IO[bytes]) -> bytes:
    try:
        with gzip.open(raw) as source:
            return source.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise LogUnreadableError(f"the file cannot be unpacked: {error}") from error
