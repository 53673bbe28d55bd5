"""One way in: read a log whatever its format, told by the name of its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stafett.eventlog import ocel_sqlite
from stafett.eventlog.delimited import read_csv
from stafett.eventlog.derive import AS_IT_IS, Reading
from stafett.eventlog.journeys import read_journeys
from stafett.eventlog.ocel import read_ocel
from stafett.eventlog.problems import LogUnreadableError
from stafett.eventlog.table import EventLog
from stafett.eventlog.xes import read_xes

FORMATS = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".xes": "xes",
    ".json": "json", ".jsonocel": "json", ".xml": "xml", ".xmlocel": "xml",
    ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite",
    ".jsonl": "journeys", ".ndjson": "journeys",
}  # fmt: skip


def format_of(path: Path) -> str:
    """Return the format that the file's name tells (``.gz`` is looked through).

    Raises:
        LogUnreadableError: the name tells none.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    kind = FORMATS.get(suffixes[-1]) if suffixes else None
    if kind is None:
        raise LogUnreadableError(
            f"the name {path.name!r} does not tell the format; "
            f"known endings are {', '.join(FORMATS)} (each also with .gz)"
        )
    return kind


def read_log(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    reading: Reading = AS_IT_IS,
    case_type: str | None = None,
    group_type: str | None = None,
) -> EventLog:
    """Read an event log: CSV, XES, OCEL 2.0 (JSON, XML, SQLite), or Stafett's record as JSON lines.

    Raises:
        LogUnreadableError: in words, with the rows concerned.
    """
    path = Path(path)
    if not path.is_file():
        raise LogUnreadableError(f"there is no file {str(path)!r}")
    kind = "sqlite" if ocel_sqlite.looks_so(path) else format_of(path)
    match kind:
        case "csv":
            return read_csv(path, columns=columns, reading=reading)
        case "journeys":
            return read_journeys(path, reading=reading)
        case "xes":
            return read_xes(path, columns=columns, reading=reading)
        case _:
            return read_ocel(
                path, form=kind, case_type=case_type, group_type=group_type, reading=reading
            )
