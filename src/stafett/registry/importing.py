"""Read a register's export: which layout it is, its trials, and its broken rows by number."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from stafett.protocol.doubled import doubled
from stafett.protocol.fit import plain
from stafett.registry import ctgov, ctis, rows
from stafett.registry.rows import BadRow, Found, NotALayout, RowProblem
from stafett.registry.trial import Trial

LAYOUTS = (
    "ClinicalTrials.gov JSON (API v2: one study, a list, or {studies: [...]}) or CSV; "
    "CTIS search results as JSON ({data: [...]} or a list) or CSV; Stafett's own trials.json"
)
LIMIT_BYTES = 200_000_000
LIMIT_FIELD = 5_000_000


def read(data: bytes) -> Found:
    """Return what the file holds.

    A broken row is a RowProblem and does not stop the others; a trial that stands twice is one.
    Raises NotALayout if the file is none of LAYOUTS.
    """
    if len(data) > LIMIT_BYTES:
        raise NotALayout(f"the file has {len(data):,} bytes; at most {LIMIT_BYTES:,} are read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotALayout(f"the file is not UTF-8 text (byte {error.start:,})") from None
    return _json(text) if text.lstrip()[:1] in ("{", "[") else _csv(text)


def _json(text: str) -> Found:
    try:
        value = json.loads(text)
        twice = doubled(text.encode(), value)
    except (json.JSONDecodeError, RecursionError) as error:
        raise NotALayout(f"the file is not JSON: {error}") from None
    if twice is not None:
        where = "/".join(str(step) for step in (*twice.path, twice.name))
        raise NotALayout(f"the file says a name twice: {where}")
    records = value
    if isinstance(value, dict):
        records = next((value[k] for k in ("studies", "data", "trials") if k in value), [value])
    if not isinstance(records, list) or not records:
        raise NotALayout(f"no list of trials in the file; known are: {LAYOUTS}")
    first = next((r for r in records if isinstance(r, dict)), {})
    if "protocolSection" in first:
        return _each("ClinicalTrials.gov JSON", enumerate(records, 1), ctgov.study, _nct)
    if "ctNumber" in first:
        return _each("CTIS JSON", enumerate(records, 1), ctis.item, lambda r: r.get("ctNumber"))
    if "id" in first and "indications" in first:
        return _each("Stafett", enumerate(records, 1), rows.trial, lambda r: r.get("id"))
    raise NotALayout(f"the records are of no known layout; known are: {LAYOUTS}")


def _csv(text: str) -> Found:
    csv.field_size_limit(LIMIT_FIELD)
    delimiter = (
        ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
    )
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, restkey="", restval="")
    columns = list(reader.fieldnames or ())
    if all(name in columns for name in ctgov.COLUMNS):
        layout, one, key = "ClinicalTrials.gov CSV", ctgov.line, "NCT Number"
    elif ctis.is_download(columns):
        layout, one = "CTIS CSV", ctis.line
        key = next(name for name in ctis.HEADERS["ctNumber"] if name in columns)
    else:
        shown = ", ".join(columns[:6]) or "none"
        raise NotALayout(f"the columns ({shown}) are of no known layout; known are: {LAYOUTS}")

    def lines() -> Iterable[tuple[int, Any]]:
        rest = iter(reader)
        while True:
            try:
                record = next(rest)
            except StopIteration:
                return
            except csv.Error as error:
                yield reader.line_num, str(error)
                return
            yield reader.line_num, record

    return _each(layout, lines(), one, lambda r: r.get(key))


def _each(
    layout: str,
    records: Iterable[tuple[int, Any]],
    one: Callable[[Mapping[str, Any]], Trial],
    name: Callable[[Mapping[str, Any]], Any],
) -> Found:
    trials: dict[str, Trial] = {}
    problems = []
    for number, record in records:
        id_ = ""
        try:
            if not isinstance(record, dict):
                raise BadRow("row", str(record) if isinstance(record, str) else "is not an object")
            id_ = str(name(record) or "")[:40]
            if record.get(""):
                raise BadRow("row", "has more fields than the header names")
            trial = one(record)
            if trial.id in trials and trials[trial.id] != trial:
                raise BadRow("id", "stands in the file twice, with different content")
            trials[trial.id] = trial
        except BadRow as bad:
            problems.append(RowProblem(number, id_, bad.field, bad.what))
        except (KeyError, TypeError, AttributeError, ValueError, msgspec.MsgspecError) as error:
            problems.append(RowProblem(number, id_, "row", f"cannot be read: {plain(error)}"))
    return Found(layout, tuple(trials.values()), tuple(problems))


def _nct(record: Mapping[str, Any]) -> Any:
    return record.get("protocolSection", {}).get("identificationModule", {}).get("nctId")
