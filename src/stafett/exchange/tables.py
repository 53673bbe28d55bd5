"""Partners' tables in: courier milestones, logger files and laboratory results as EPCIS events.

A **mapping file** (YAML) says what the columns mean; reading is a dry run until somebody captures
what it gave. Example, for a courier:

    stafett_import: 1
    kind: milestones            # milestones, readings or results
    time: {column: Time, format: "%d.%m.%Y %H:%M", zone: Europe/Stockholm}
    about: {column: AWB, as: sscc}     # sscc, giai, uri, coi, din or text
    step: {column: Event, words: {PU: shipping, DEL: receiving}}
    place: {column: Depot}             # optional; a URI, or a text that becomes one
    keep: [Driver]                     # optional columns that stay as extensions

`readings` have `value: {column, type, uom}` and optionally `device`; a file becomes one event for
every `chunk` readings of one thing (default 60). `results` have `test`, `value` and optionally
`verdict: {column, words: {OK: conformant}}`. Numbers may have a decimal comma (`decimal: ","`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from stafett.exchange import cbv
from stafett.exchange.epcis import CONTEXT_URI, Json
from stafett.exchange.gs1link import DOMAIN, check_digit
from stafett.exchange.problem import Finding, Problem
from stafett.identity import coi, din
from stafett.identity.din import Din
from stafett.identity.errors import IdentifierError
from stafett.protocol.fit import plain
from stafett.protocol.read import ReadError, parse

MAX_ROWS: Final = 2_000_000
NAMESPACE: Final = "urn:stafett:table:"
CONTEXT: Final = [CONTEXT_URI, {"table": NAMESPACE}]
DIN_LENGTH: Final = 13
_REST: Final = "\0rest"  # cells beyond the last column; no column is named so
# No thousands are parted: 1.234 with a decimal comma would be a number a thousand times smaller.
_NUMBER: Final = {
    mark: re.compile(rf"(?a:[+-]?(\d+({re.escape(mark)}\d*)?|{re.escape(mark)}\d+)([eE][+-]?\d+)?)")
    for mark in ".,"
}
_NAME: Final = re.compile(r"[^A-Za-z0-9_]+")


class Time(msgspec.Struct, forbid_unknown_fields=True):
    """Which column is the time, in which form (default ISO 8601) and zone (if it has none)."""

    column: str
    format: str | None = None
    zone: str | None = None


class About(msgspec.Struct, forbid_unknown_fields=True):
    """Which column names the thing, and what kind of identifier it is."""

    column: str
    as_: Literal["sscc", "giai", "uri", "coi", "din", "text"] = msgspec.field(
        default="text", name="as"
    )


class Word(msgspec.Struct, forbid_unknown_fields=True):
    """A column whose words are translated; with `words`, an unknown word refuses the row."""

    column: str
    words: dict[str, str] = {}


class Value(msgspec.Struct, forbid_unknown_fields=True):
    """A measured value: its column, or `column` of units too; type and unit of measure."""

    column: str
    type: str = "Dimensionless"
    uom: str = ""
    decimal: Literal[".", ","] = "."


class Mapping(msgspec.Struct, forbid_unknown_fields=True):
    """A mapping file."""

    stafett_import: Literal[1]
    kind: Literal["milestones", "readings", "results"]
    time: Time
    about: About
    step: Word | None = None
    place: Word | None = None
    value: Value | None = None
    device: Word | None = None
    test: Word | None = None
    verdict: Word | None = None
    keep: list[str] = []
    delimiter: str = ","
    encoding: str = "utf-8-sig"
    chunk: int = 60


class Table(msgspec.Struct, frozen=True):
    """What a table gave: events ready to be judged and captured, and the rows left out."""

    events: list[Json]
    rows: int
    refused: list[Finding]
    first: str | None
    last: str | None


def read_mapping(text: bytes | str) -> Mapping:
    """Read a mapping file; raise `Problem` 400 that names the field."""
    if len(text) > 1_000_000:
        raise _bad("the mapping is larger than a megabyte")
    try:
        parse(text, "the mapping")  # which a name that is there twice does not pass
        found = msgspec.yaml.decode(text, type=Mapping)
    except ReadError as wrong:
        raise _bad(f"the mapping cannot be used: {wrong}"[:300]) from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as wrong:
        raise _bad(f"the mapping cannot be used: {str(plain(wrong))[:300]}") from None
    needed = {"milestones": ("step",), "readings": ("value",), "results": ("test", "value")}
    for field in needed[found.kind]:
        if getattr(found, field) is None:
            raise _bad(f"a mapping for {found.kind} needs {field!r}")
    for word in found.step.words.values() if found.step else ():
        if word not in cbv.BIZ_STEPS and ":" not in word:
            raise _bad(f"step: {word!r} is no business step of CBV 2.0 and no URI")
    for word in found.verdict.words.values() if found.verdict else ():
        if word not in cbv.DISPOSITIONS and ":" not in word:
            raise _bad(f"verdict: {word!r} is no disposition of CBV 2.0 and no URI")
    if found.value and found.value.type not in cbv.MEASUREMENTS and ":" not in found.value.type:
        raise _bad(f"value: {found.value.type!r} is no measurement of CBV 2.0 and no URI")
    if found.time.zone is not None:
        try:
            zone(found.time.zone)
        except ValueError as wrong:
            raise _bad(f"time: {wrong}") from None
    if found.chunk < 1 or len(found.delimiter) != 1:
        raise _bad("chunk is at least 1, delimiter is one character")
    return found


def _bad(why: str) -> Problem:
    return Problem(400, "ValidationException", why, [Finding("/mapping", why)])


def zone(name: str) -> ZoneInfo:
    """Return a zone by its name; raise ValueError if the IANA database has none of it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no zone of the IANA database") from None


def in_zone(local: datetime, name: str, said: str) -> datetime:
    """Place a clock time (written as `said`) in a zone.

    Raises ValueError for one that occurs twice or never (summer time): it would be a guess.
    """
    placed = local.replace(tzinfo=zone(name))
    if placed.utcoffset() != placed.replace(fold=1).utcoffset():
        raise ValueError(f"{said} is ambiguous or absent in {name}")
    return placed


def read_table(data: bytes, mapping: Mapping) -> Table:
    """Turn a CSV file into EPCIS events; rows that cannot be read are named, not guessed."""
    try:
        text = data.decode(mapping.encoding)
    except (UnicodeDecodeError, LookupError) as wrong:
        raise _bad(f"the table is not {mapping.encoding}: {wrong}") from None
    if "\x00" in text:
        raise _bad("the table holds the character NUL: is it a spreadsheet? Save it as CSV")
    # Strict: a quote that is never closed would swallow the rows after it.
    rows = csv.DictReader(
        io.StringIO(text), delimiter=mapping.delimiter, restkey=_REST, strict=True
    )
    wanted = [
        part.column
        for part in (mapping.time, mapping.about, mapping.step, mapping.place, mapping.value,
                     mapping.device, mapping.test, mapping.verdict)
        if part is not None
    ]  # fmt: skip
    there = list(rows.fieldnames or [])
    for column in (*wanted, *mapping.keep):
        if column not in there:
            raise _bad(f"the table has no column {column!r}; it has {', '.join(there)[:300]}")
        if there.count(column) > 1:
            raise _bad(f"the table has {there.count(column)} columns {column!r}: which one?")
    make = {"milestones": _milestone, "readings": _reading, "results": _result}[mapping.kind]
    made: list[tuple[str, datetime, Json]] = []
    refused: list[Finding] = []
    count = 0
    try:
        for count, row in enumerate(rows, 1):
            if count > MAX_ROWS:
                raise _bad(f"the table has more than {MAX_ROWS:,} rows: split it")
            try:
                if _REST in row:
                    n = len(there) + len(row[_REST])
                    why = f"it has {n} cells, the table {len(there)} columns"
                    raise ValueError(f"{why}: is a {mapping.delimiter!r} within a cell?")
                moment = _moment(row, mapping.time)
                made.append((_about(row, mapping.about), moment, make(row, mapping)))
            except (ValueError, KeyError, TypeError) as wrong:
                refused.append(Finding(f"/row/{count}", str(wrong)[:200]))
    except csv.Error as wrong:
        raise _bad(f"row {count + 1} is no CSV: {wrong}") from None
    build = _chunks if mapping.kind == "readings" else _singles
    events = list(build(made, mapping))
    moments = sorted(m for _, m, _ in made)
    return Table(
        events=events,
        rows=count,
        refused=refused,
        first=moments[0].isoformat() if moments else None,
        last=moments[-1].isoformat() if moments else None,
    )


def _singles(made: list[tuple[str, datetime, Json]], mapping: Mapping) -> Iterator[Json]:
    for about, moment, body in made:
        yield {**_head(moment, about), **body}


def _chunks(made: list[tuple[str, datetime, Json]], mapping: Mapping) -> Iterator[Json]:
    """Put the readings of one thing together, in time order, `chunk` of them in an event."""
    by_thing: dict[tuple[str, str], list[tuple[datetime, Json]]] = {}
    for about, moment, body in made:
        by_thing.setdefault((about, body["device"]), []).append((moment, body))
    for (about, device), readings in by_thing.items():
        readings.sort(key=lambda pair: pair[0])
        for start in range(0, len(readings), mapping.chunk):
            part = readings[start : start + mapping.chunk]
            metadata: Json = {"startTime": _stamp(part[0][0]), "endTime": _stamp(part[-1][0])}
            if device:
                metadata["deviceID"] = device
            reports = [{**body["report"], "time": _stamp(moment)} for moment, body in part]
            yield {
                **_head(part[-1][0], about),
                "bizStep": "sensor_reporting",
                "sensorElementList": [{"sensorMetadata": metadata, "sensorReport": reports}],
            }


def _head(moment: datetime, about: str) -> Json:
    return {
        "type": "ObjectEvent", "action": "OBSERVE", "epcList": [about],
        "eventTime": _stamp(moment), "eventTimeZoneOffset": moment.isoformat()[-6:],
    }  # fmt: skip


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _cell(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{column} is empty")
    return value.strip()


def _moment(row: dict[str, Any], time: Time) -> datetime:
    text = _cell(row, time.column)
    try:
        if time.format:
            moment = datetime.strptime(text, time.format)  # noqa: DTZ007 - the zone comes below
        elif ":" not in text and len(text) < 13:
            raise ValueError("a day has no hour; midnight would be a guess")
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        form = time.format or "ISO 8601"
        raise ValueError(f"{time.column}: {text!r} is no time of the form {form}") from None
    if moment.tzinfo is not None:
        return moment
    if time.zone is None:
        raise ValueError(f"{time.column}: {text!r} has no zone; say time.zone in the mapping")
    return in_zone(moment, time.zone, f"{time.column}: {text!r}")


def _about(row: dict[str, Any], about: About) -> str:
    return identifier(_cell(row, about.column), about.as_, about.column)


def identifier(text: str, kind: str, where: str) -> str:
    """Give the URI of an identifier; raise ValueError naming `where` if it is none."""
    if kind == "sscc":
        digits = text.removeprefix("(00)").removeprefix("00") if len(text) > 18 else text
        if not (digits.isascii() and digits.isdigit() and len(digits) == 18):
            raise ValueError(f"{where}: {text!r} is no SSCC of 18 digits")
        if check_digit(digits[:17]) != digits[17]:
            raise ValueError(f"{where}: the check digit of {text!r} is wrong")
        return f"{DOMAIN}/00/{digits}"
    if kind == "giai":
        return f"{DOMAIN}/8004/{_quote(text)}"
    if kind == "uri":
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:\S+", text):
            raise ValueError(f"{where}: {text!r} is no URI")
        return text
    if kind in ("din", "coi"):
        try:
            text = _donation(text) if kind == "din" else _chain(text)
        except IdentifierError as wrong:
            raise ValueError(f"{where}: {wrong}") from None
    return f"urn:stafett:{kind}:{_quote(text)}"


def _donation(text: str) -> str:
    """Give the 13 characters of a DIN: bare, as its symbol, or printed with its check character."""
    if text.startswith("="):
        return din.parse_wire(text).din.text
    return Din(text).text if len(text) == DIN_LENGTH else din.parse_typed(text).text


def _chain(text: str) -> str:
    """Give a chain of identity; its symbol and its check are read where there are any.

    One that another system issued, in a form of its own, stays as it is.
    """
    if text.startswith("&/"):
        return coi.parse_wire(text).text
    plain = re.sub(r"[ -]", "", text).upper()
    if re.fullmatch(coi.COI_PATTERN + ".", plain):
        return coi.parse_typed(text).text
    return text


def _quote(text: str) -> str:
    return quote(text, safe="")


def _word(row: dict[str, Any], word: Word) -> str:
    text = _cell(row, word.column)
    if not word.words:
        return text
    if text not in word.words:
        known = ", ".join(list(word.words)[:12])
        raise ValueError(f"{word.column}: {text!r} is not in the mapping (known: {known})")
    return word.words[text]


def _uri(text: str) -> str:
    return text if ":" in text and " " not in text else f"urn:stafett:place:{_quote(text)}"


def _number(row: dict[str, Any], value: Value) -> float:
    text = _cell(row, value.column)
    if not _NUMBER[value.decimal].fullmatch(text):
        raise ValueError(f"{value.column}: {text!r} is no number with a decimal {value.decimal!r}")
    found = float(text.replace(",", "."))
    if found != found or found in (float("inf"), float("-inf")):
        raise ValueError(f"{value.column}: {text!r} is no finite number")
    return found


def _kept(row: dict[str, Any], mapping: Mapping) -> Json:
    return {
        f"table:{_NAME.sub('_', column).strip('_') or 'column'}": row[column]
        for column in mapping.keep
        if row.get(column)
    }


def _placed(row: dict[str, Any], mapping: Mapping) -> Json:
    if mapping.place is None or not (row.get(mapping.place.column) or "").strip():
        return {}
    return {"readPoint": {"id": _uri(_word(row, mapping.place))}}


def _report(row: dict[str, Any], mapping: Mapping) -> Json:
    assert mapping.value is not None
    out: Json = {"type": mapping.value.type, "value": _number(row, mapping.value)}
    if mapping.value.uom:
        out["uom"] = mapping.value.uom
    return out


def _milestone(row: dict[str, Any], mapping: Mapping) -> Json:
    assert mapping.step is not None
    step = _word(row, mapping.step)
    if step not in cbv.BIZ_STEPS and ":" not in step:
        raise ValueError(f"{mapping.step.column}: {step!r} is no business step of CBV 2.0")
    return {"bizStep": step, **_placed(row, mapping), **_kept(row, mapping)}


def _reading(row: dict[str, Any], mapping: Mapping) -> Json:
    device = _uri(_word(row, mapping.device)) if mapping.device else ""
    return {"device": device, "report": _report(row, mapping)}


def _result(row: dict[str, Any], mapping: Mapping) -> Json:
    assert mapping.test is not None
    report = {**_report(row, mapping), "table:test": _word(row, mapping.test)}
    out: Json = {"bizStep": "inspecting", **_placed(row, mapping)}
    if mapping.verdict is not None:
        out["disposition"] = _word(row, mapping.verdict)
        if out["disposition"] not in cbv.DISPOSITIONS and ":" not in out["disposition"]:
            raise ValueError(f"{out['disposition']!r} is no disposition of CBV 2.0")
    return {**out, "sensorElementList": [{"sensorReport": [report]}], **_kept(row, mapping)}
