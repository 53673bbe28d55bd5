"""Event logs in XES (IEEE 1849-2016), read as a stream; document types are refused.

A document type is where entity bombs live and XES needs none, so its mere presence is an error.
Attributes of a trace become columns named ``case:...`` as is the custom; lists and containers are
passed over.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import IO, cast
from xml.parsers import expat

import polars as pl

from stafett.eventlog.columns import guess_columns
from stafett.eventlog.derive import AS_IT_IS, Reading, log_from_events
from stafett.eventlog.problems import LogUnreadableError, Problem
from stafett.eventlog.table import EventLog

VALUES = frozenset({"string", "date", "int", "float", "boolean", "id"})


class _Reader:
    """Collects events column by column while expat walks through the file."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self.opened
        self.parser.EndElementHandler = self.closed
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.columns: dict[str, list[str | None]] = {}
        self.lines: list[int] = []
        self.trace: dict[str, str] = {}
        self.event: dict[str, str] | None = None
        self.path: list[str] = []
        self.unnamed = 0

    def doctype(self, *_: object) -> None:
        raise LogUnreadableError(
            Problem(
                "it declares a document type, which XES does not need",
                self.parser.CurrentLineNumber,
            ).reason,
            "Remove the <!DOCTYPE ...> if you trust the file.",
        )

    def opened(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        parent = self.path[-1] if self.path else ""
        self.path.append(name)
        if len(self.path) == 1 and name != "log":
            raise LogUnreadableError(f"the document is a <{name}>, not an XES <log>")
        if name == "trace":
            self.trace = {}
        elif name == "event":
            self.event = {}
            self.line = self.parser.CurrentLineNumber
        elif name in VALUES and parent in ("trace", "event"):
            key, value = attributes.get("key"), attributes.get("value")
            if key is None or value is None:
                raise LogUnreadableError(
                    [
                        Problem(
                            f"line {self.parser.CurrentLineNumber:,}: <{name}> without key or value"
                        )
                    ]
                )
            if parent == "event" and self.event is not None:
                self.event[key] = value
            elif parent == "trace":
                self.trace[f"case:{key}"] = value

    def closed(self, tag: str) -> None:
        name = self.path.pop()
        if name == "event" and self.event is not None:
            row = {**self.trace, **self.event}
            count = len(self.lines)
            for key, value in row.items():
                column = self.columns.get(key)
                if column is None:
                    column = self.columns[key] = []
                column.extend([None] * (count - len(column)))
                column.append(value)
            self.lines.append(self.line)
            self.event = None

    def frame(self) -> pl.DataFrame:
        count = len(self.lines)
        data = {
            key: values + [None] * (count - len(values)) for key, values in self.columns.items()
        }
        data = {("row (source)" if key == "row" else key): values for key, values in data.items()}
        frame = pl.DataFrame(data, schema=dict.fromkeys(data, pl.String))
        return frame.with_columns(pl.Series("row", self.lines, dtype=pl.Int64))


def read_xes(
    path: Path, *, columns: Mapping[str, str] | None = None, reading: Reading = AS_IT_IS
) -> EventLog:
    """Read an XES log (``.xes`` or ``.xes.gz``). Rows in messages are line numbers of the file.

    Raises:
        LogUnreadableError: not well-formed XML, not XES, a document type, or broken events.
    """
    reader = _Reader()
    try:
        with path.open("rb") as probe:
            packed = probe.read(2) == b"\x1f\x8b"
        with cast("IO[bytes]", gzip.open(path, "rb") if packed else path.open("rb")) as file:
            reader.parser.ParseFile(file)
    except expat.ExpatError as error:
        raise LogUnreadableError(
            f"line {error.lineno:,}: the file is not well-formed XML "
            f"({expat.ErrorString(error.code)})"
        ) from error
    except (OSError, EOFError) as error:
        raise LogUnreadableError(f"the file cannot be read: {error}") from error
    if not reader.lines:
        raise LogUnreadableError("the log has no events")
    frame = reader.frame()
    names = [name for name in frame.columns if name != "row"]
    return log_from_events(frame, guess_columns(names, columns), reading, source=path.name)
