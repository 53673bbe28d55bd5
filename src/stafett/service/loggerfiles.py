"""The file of a logger, read into the record: the file itself is kept, its readings are judged.

Whoever brings it says what the file does not (a zone, a unit), and sees first what would be read.
The file is kept byte for byte; a leaf in the logger's stream names its SHA-256, who brought it, how
it was read, and the chunks that its readings are stored as. The same file twice is one. How a wrong
one is withdrawn is told in `withdrawals`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal

import anyio.to_thread
import msgspec

from stafett.ledger import Author, Draft, Ledger, Submission
from stafett.service.documents import Documents
from stafett.service.intake import Intake
from stafett.service.loggers import Id
from stafett.service.read_in import READ, FilesRead
from stafett.service.refusal import No, Reason
from stafett.service.storing import FILE
from stafett.watch.filechunks import chunks
from stafett.watch.filetext import text_of
from stafett.watch.loggerfile import LoggerFile, Unit, read
from stafett.watch.reading import BadChunk, Chunk, decode

MOST: Final = 800  # chunks in one leaf
AT_ONCE: Final = 50  # chunks of a file that wait together: others come in between


class How(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of a file that it does not say itself; `column` is the temperature's."""

    zone: str | None = None
    order: Literal["day-first", "month-first"] | None = None
    unit: Unit | None = None
    column: str | None = None


class FileRead(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds and how it was read. Temperatures in °C; None: it has none.

    `first` and `last` are its first and last reading. `names_logger`: the logger's number stands in
    the file or its name. `kept`: its readings are durable and in the record; `known` of its
    `chunks` were there before.
    """

    sha256: str
    readings: int
    without_value: int
    first: datetime
    last: datetime
    coldest_c: float | None
    warmest_c: float | None
    columns: dict[str, str]
    unit: str
    zone: str
    order: str
    rows_after: int
    names_logger: bool
    chunks: int
    known: int = 0
    kept: bool = False


class LoggerFiles:
    """What reads files in. One instance per process."""

    def __init__(
        self, intake: Intake, documents: Documents, ledger: Ledger, files: FilesRead
    ) -> None:
        self._intake, self._documents, self._ledger = intake, documents, ledger
        self._files = files

    async def look(self, id: Id, data: bytes, name: str, how: How) -> FileRead:
        """Say what a file holds, and keep nothing. Raises No: it cannot be read as it is."""
        said, _ = await anyio.to_thread.run_sync(_read, id, data, name, how)
        return said

    async def take(
        self,
        id: Id,
        data: bytes,
        name: str,
        how: How,
        *,
        by: Author,
        readers: Iterable[str],
    ) -> FileRead:
        """Keep a file and its readings; `readers` are who may read it besides the logger's owner.

        Raises No: it cannot be read, or not be kept now (what was kept is found when it comes
        again).
        """
        said, parts = await anyio.to_thread.run_sync(_read, id, data, name, how)
        audience = sorted({id.organisation, by.organisation, *readers})
        await self._documents.put(data, "text/csv", id.organisation)
        await self._documents.share(said.sha256, audience)
        known = 0
        for n in range(0, len(parts), AT_ONCE):
            taken = await asyncio.gather(
                *(
                    self._intake.take(id, chunk, payload, FILE)
                    for payload, chunk in parts[n : n + AT_ONCE]
                )
            )
            known += sum(one.again for one in taken)
        self._files.forget(id)
        before = sum(
            one.sha256 == said.sha256 and one.withdrawn is not None
            for one in (await self._files.of(id)).files
        )
        await self._ledger.append(_leaf(id, said, parts, name, by, audience, before))
        self._files.forget(id)
        return msgspec.structs.replace(said, known=known, kept=True)


def _read(id: Id, data: bytes, name: str, how: How) -> tuple[FileRead, list[tuple[bytes, Chunk]]]:
    try:
        text = text_of(data)
        first = None if how.order is None else how.order == "day-first"
        found = read(text, zone=how.zone, day_first=first, unit=how.unit, column=how.column)
        parts = [(payload, decode(payload)) for payload in chunks(found)]
    except BadChunk as bad:
        raise No(
            "file-unreadable", "This file cannot be read as it is",
            Reason(bad.field, bad.what, bad.todo),
        ) from None  # fmt: skip
    if len(parts) > MOST:
        raise No(
            "file-unreadable", "This file cannot be read as it is",
            Reason("file", f"it holds more than can be read in at once ({len(parts)} parts)",
                   "export a shorter time"),
        )  # fmt: skip
    return _said(id, data, name, text, found, len(parts)), parts


def _said(id: Id, data: bytes, name: str, text: str, found: LoggerFile, count: int) -> FileRead:
    told = [v for v in found.channels["temperature_c"] if v == v]
    return FileRead(
        sha256=hashlib.sha256(data).hexdigest(),
        readings=len(found.times),
        without_value=len(found.times) - len(told),
        first=datetime.fromtimestamp(min(found.times), UTC),
        last=datetime.fromtimestamp(max(found.times), UTC),
        coldest_c=min(told, default=None),
        warmest_c=max(told, default=None),
        columns=found.columns,
        unit=found.unit,
        zone=found.zone,
        order=found.order,
        rows_after=found.after,
        names_logger=id.number.lower() in f"{name}\n{text}".lower(),
        chunks=count,
    )


def _leaf(
    id: Id,
    said: FileRead,
    parts: list[tuple[bytes, Chunk]],
    name: str,
    by: Author,
    audience: list[str],
    withdrawn: int,
) -> Submission:
    """Return what the record is told; the same file had been `withdrawn` so many times before."""
    shas = [hashlib.sha256(payload).hexdigest() for payload, _ in parts]
    body = {
        "file": {
            "organisation": id.organisation,
            "logger": id.number,
            "name": name,
            "sha256": said.sha256,
            "readings": said.readings,
            "first": said.first.isoformat(),
            "last": said.last.isoformat(),
            "columns": said.columns,
            "unit": said.unit,
            "zone": said.zone,
            "order": said.order,
            "chunks": shas,
        }
    }
    digest = hashlib.sha256("".join([said.sha256, *shas]).encode()).hexdigest()
    return Submission(
        stream=f"logger/{id.user}",
        expected_version=None,
        drafts=[Draft(READ, body, datetime.now(UTC))],
        audience=audience,
        author=by,
        key=f"loggerfile.{id.user}.{digest}" + (f".{withdrawn}" if withdrawn else ""),
        request_hash=bytes.fromhex(digest),
    )
