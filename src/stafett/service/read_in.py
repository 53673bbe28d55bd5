"""The files that were read in for a logger, and which were withdrawn: as the record says it.

A file that is withdrawn (it was another logger's, or another trip's) stays where it is, and so does
what the record says of it; its readings count no more. Read in again it counts from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from psycopg_pool import AsyncConnectionPool

from stafett.ledger import Event, leaf
from stafett.service import sql
from stafett.service.loggers import Id
from stafett.watch.judgement import Gone
from stafett.watch.series import Arrived

READ: Final = "LoggerFileRead"
WITHDRAWN: Final = "LoggerFileWithdrawn"
KEPT: Final = 2000  # loggers in memory


class Withdrawn(msgspec.Struct, frozen=True):
    """Who said that a file is not this logger's, or not of this trip, when, and why."""

    at: datetime
    organisation: str
    person: str
    name: str
    reason: str


class ReadIn(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was read in; `read` is its place in the record, which names it.

    `person` is None where the logger's own key brought it. `withdrawn` is None while it counts.
    """

    read: int
    sha256: str
    file: str
    at: datetime
    organisation: str
    person: str | None
    first: datetime
    last: datetime
    readings: int
    unit: str
    zone: str
    withdrawn: Withdrawn | None = None


class Files(NamedTuple):
    """A logger's files, the first first; `gone` are the chunks of which no file counts any more.

    `again`: chunks that a file brought back, and when (seconds since 1970): they had not counted.
    """

    files: tuple[ReadIn, ...] = ()
    gone: frozenset[bytes] = frozenset()
    again: Mapping[bytes, float] = {}

    def standing(self, arrived: Mapping[bytes, Arrived]) -> list[Arrived]:
        """Return what counts of these chunks (by SHA-256), each from when it does."""
        return [
            one._replace(at=max(one.at, self.again.get(sha, one.at))) if one.from_file else one
            for sha, one in arrived.items()
            if not (one.from_file and sha in self.gone)
        ]

    def withdrawn(self) -> tuple[Gone, ...]:
        """Return the files that count no more, as the judgement is told of them."""
        return tuple(
            Gone(
                one.first.timestamp(), one.last.timestamp(), one.withdrawn.at.timestamp(),
                one.readings,
            )
            for one in self.files
            if one.withdrawn is not None
        )  # fmt: skip


NONE: Final = Files()


def files_of(events: Iterable[Event]) -> Files:
    """Return what the events of a logger's stream say of its files."""
    files: dict[int, ReadIn] = {}
    chunks: dict[int, list[bytes]] = {}
    gone: set[bytes] = set()
    again: dict[bytes, float] = {}
    counting: dict[bytes, set[int]] = {}
    for event in events:
        if event.kind == READ:
            said = event.body["file"]
            files[event.position] = _read(event, said)
            chunks[event.position] = [bytes.fromhex(sha) for sha in said["chunks"]]
            for sha in chunks[event.position]:
                counting.setdefault(sha, set()).add(event.position)
                if sha in gone:
                    gone.discard(sha)
                    again[sha] = event.recorded_at.timestamp()
        elif event.kind == WITHDRAWN:
            said = event.body["withdrawal"]
            read = int(said["read"])
            files[read] = msgspec.structs.replace(files[read], withdrawn=_withdrawn(event, said))
            for sha in chunks[read]:
                counting[sha].discard(read)
                if not counting[sha]:
                    gone.add(sha)
    return Files(tuple(files.values()), frozenset(gone), again)


def _read(event: Event, said: dict[str, Any]) -> ReadIn:
    return ReadIn(
        read=event.position,
        sha256=said["sha256"],
        file=said["name"],
        at=event.recorded_at,
        organisation=event.author.organisation,
        person=event.author.person,
        first=datetime.fromisoformat(said["first"]),
        last=datetime.fromisoformat(said["last"]),
        readings=said["readings"],
        unit=said["unit"],
        zone=said["zone"],
    )


def _withdrawn(event: Event, said: dict[str, Any]) -> Withdrawn:
    return Withdrawn(
        event.recorded_at,
        event.author.organisation,
        event.author.person or "",
        said["signature"]["name"],
        said["reason"],
    )


class FilesRead:
    """What reads them from the record, once. One instance per process."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._known: dict[Id, Files] = {}
        self._heard = 0

    async def of(self, id: Id) -> Files:
        """Return a logger's files."""
        known = self._known.get(id)
        if known is not None:
            return known
        heard = self._heard
        rows = await sql.rows(
            self._pool,
            "SELECT position, leaf, leaf_hash FROM ledger.event_store WHERE stream = %s"
            " AND kind = ANY(%s) ORDER BY position",
            (f"logger/{id.user}", [READ, WITHDRAWN]),
        )
        found = files_of(leaf.read(position, bytes(entry), hash) for position, entry, hash in rows)
        if heard == self._heard:  # else there may be more by now than was read
            self._known[id] = found
            while len(self._known) > KEPT:
                self._known.pop(next(iter(self._known)))
        return found

    def hear(self, event: Event) -> Id | None:
        """Take a new event in; return the logger whose files it is about, if any."""
        if event.kind not in (READ, WITHDRAWN):
            return None
        said = event.body["file" if event.kind == READ else "withdrawal"]
        id = Id(said["organisation"], said["logger"])
        self.forget(id)
        return id

    def forget(self, id: Id) -> None:
        """Read a logger's files again when they are asked for."""
        self._heard += 1
        self._known.pop(id, None)
