"""Event logs in delimited text (CSV and its kin), plain or gzipped."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from stafett.eventlog.columns import guess_columns
from stafett.eventlog.derive import AS_IT_IS, Reading, log_from_events
from stafett.eventlog.problems import LogUnreadableError, Problem
from stafett.eventlog.table import EventLog

SEPARATORS = (",", ";", "\t", "|")


def read_csv(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    reading: Reading = AS_IT_IS,
    separator: str | None = None,
) -> EventLog:
    """Read a delimited event log with a header line.

    `columns` maps roles (case, activity, end, start, group, ...) to column names and overrides the
    guesses of `columns.guess_columns`; `separator` overrides the guess from the header.

    Raises:
        LogUnreadableError: the file is not text, has no header, lacks a needed column, or has
            broken rows that may not be skipped.
    """
    header = _header(path)
    separator = separator or max(SEPARATORS, key=header.count)
    names = next(csv.reader([header], delimiter=separator))
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise LogUnreadableError(f"the header names {', '.join(map(repr, doubled))} twice")
    roles = guess_columns(names, columns)
    skipped: tuple[Problem, ...] = ()
    try:
        frame = _scan(path, separator).with_row_index("@row", offset=2).collect()
    except pl.exceptions.PolarsError as error:
        frame, skipped = _row_by_row(path, separator, names, reading, error)
    clash = {"row": "row (source)"} if "row" in frame.columns else {}
    roles = {role: clash.get(column, column) for role, column in roles.items()}
    frame = frame.rename(clash).rename({"@row": "row"})
    if frame.is_empty():
        raise LogUnreadableError(skipped or "the log has a header and no rows")
    return log_from_events(frame, roles, reading, source=path.name, skipped=skipped)


def _scan(path: Path, separator: str) -> pl.LazyFrame:
    return pl.scan_csv(path, separator=separator, infer_schema=False)


def _open(path: Path) -> io.TextIOWrapper:
    with path.open("rb") as probe:
        packed = probe.read(2) == b"\x1f\x8b"
    if packed:
        return io.TextIOWrapper(gzip.GzipFile(path), encoding="utf-8-sig", newline="")
    return path.open("r", encoding="utf-8-sig", newline="")


def _header(path: Path) -> str:
    try:
        with _open(path) as text:
            header = text.readline(1_000_000).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise LogUnreadableError(
            f"the file is not UTF-8 text (byte {error.start:,}: {error.reason})",
            "Convert it first, for example: iconv -f latin1 -t utf-8.",
        ) from error
    except (OSError, EOFError) as error:
        raise LogUnreadableError(f"the file cannot be read: {error}") from error
    if not header.strip():
        raise LogUnreadableError("the file is empty or its first line is blank; a header is needed")
    return header


def _row_by_row(
    path: Path, separator: str, names: list[str], reading: Reading, cause: Exception
) -> tuple[pl.DataFrame, tuple[Problem, ...]]:
    """Find the rows that the fast reader refused; slow, so only when it did."""
    problems: list[Problem] = []
    kept: list[list[str | None]] = []
    rows: list[int] = []
    try:
        with _open(path) as text:
            for number, fields in _numbered(text, separator):
                if len(fields) != len(names):
                    problems.append(
                        Problem(f"it has {len(fields)} fields, the header {len(names)}", number)
                    )
                else:
                    kept.append([value or None for value in fields])
                    rows.append(number)
    except UnicodeDecodeError as error:
        raise LogUnreadableError(
            f"after row {rows[-1] if rows else 1:,} the file is not UTF-8 text ({error.reason})",
            "Convert it first, for example: iconv -f latin1 -t utf-8.",
        ) from error
    except (OSError, EOFError, csv.Error) as error:
        raise LogUnreadableError(
            f"after row {rows[-1] if rows else 1:,} the file cannot be read: {error}"
        ) from error
    if not problems:
        raise LogUnreadableError(f"the file cannot be read as delimited text: {cause}") from cause
    if not reading.skip_bad:
        raise LogUnreadableError(
            problems, "Mend these rows, or leave them out with --skip-bad."
        ) from cause
    frame = pl.DataFrame(kept, schema=dict.fromkeys(names, pl.String), orient="row")
    return frame.with_columns(pl.Series("@row", rows, dtype=pl.Int64)), tuple(problems)


def _numbered(text: io.TextIOWrapper, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text, delimiter=separator)
    next(reader)
    for number, fields in enumerate(reader, start=2):
        if fields:
            yield number, fields
