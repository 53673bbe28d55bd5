"""Files from loggers: a table of times and temperatures in the layouts that loggers export.

The layout is found from the file itself: the delimiter, a header line (after any number of lines
about the device), and the columns by their names in several languages. Decimal commas are read.
A time without a zone is only read when the caller names the zone: it is never guessed; nor is the
order of day and month where both are possible.
"""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from stafett.watch.reading import CHANNELS, LONGEST, BadChunk, encode

# fmt: off
_TIME: Final = re.compile(r"^(date ?/? ?time|timestamp|datetime|time ?stamp|datum ?/? ?tid|"
                          r"fecha ?/? ?hora|time|tid|zeit|hora|datum ?/? ?zeit)\b", re.I)
# fmt: on
_DATE: Final = re.compile(r"^(date|datum|fecha)\b(?!.*(time|tid|hora|zeit))", re.I)
_COLUMNS: Final = {
    "temperature_c": re.compile(r"temp|°c|\bch(annel)? ?1\b|reading", re.I),
    "tilt_deg": re.compile(r"tilt|lutning|inclina", re.I),
    "shock_g": re.compile(r"shock|stöt|golpe|\bg\b", re.I),
    "door": re.compile(r"door|light|lux|dörr|ljus|puerta|luz", re.I),
    "battery": re.compile(r"batt", re.I),
}
_LIGHT: Final = re.compile(r"light|ljus|luz|lux", re.I)
LIT_LUX: Final = 1.0  # assumption: in a closed shipper it is dark
_FORMS: Final = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M",
    "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d-%b-%Y %H:%M:%S",
    "%d %b %Y %H:%M:%S",
)  # fmt: skip
_SLASHED: Final = re.compile(r"^\d{1,2}/\d{1,2}/\d{4}")
_FAHRENHEIT: Final = re.compile(r"°\s*f\b|fahrenheit|\(f\)", re.I)


class LoggerFile(NamedTuple):
    """What a file holds: times (seconds since 1970) and channels, and how it was read."""

    times: list[float]
    channels: dict[str, list[float]]
    columns: dict[str, str]
    delimiter: str
    decimal: str


def read(text: str, *, zone: str | None = None, day_first: bool | None = None) -> LoggerFile:
    """Read a logger's export. Raises BadChunk with the line and what to do."""
    lines = text.lstrip("\ufeff").splitlines()
    delimiter, at, header = _header(lines)
    date = next((i for i, name in enumerate(header) if _DATE.search(name)), None)
    time = next((i for i, name in enumerate(header) if _TIME.search(name) and i != date), None)
    if time is None:
        raise BadChunk("header", "no column of times", "name it time, timestamp or date/time")
    columns = _columns(header, {i for i in (date, time) if i is not None})
    if "temperature_c" not in columns:
        raise BadChunk("header", "no column of temperatures", "name it temperature")
    warm = header[columns["temperature_c"]]
    if _FAHRENHEIT.search(warm):
        raise BadChunk("header", f"{warm!r} is in Fahrenheit", "export in °C")
    where = ZoneInfo(zone) if zone else None
    times: list[float] = []
    found: dict[str, list[float]] = {name: [] for name in columns}
    comma = delimiter != ","
    for n, row in enumerate(csv.reader(lines[at + 1 :], delimiter=delimiter), at + 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) <= max(time, *columns.values()):
            raise BadChunk(f"line {n}", "has too few columns", "remove lines after the table")
        said = row[time] if date is None else f"{row[date].strip()} {row[time].strip()}"
        times.append(_moment(said.strip(), where, day_first, n))
        for name, column in columns.items():
            value = _value(row[column], comma, n, header[column])
            if name == "door" and _LIGHT.search(header[column]) and not np.isnan(value):
                value = float(value > LIT_LUX)
            found[name].append(value)
    if not times:
        raise BadChunk("file", "has no readings", "export the table of readings")
    named = {name: header[column] for name, column in columns.items()}
    return LoggerFile(times, found, named, delimiter, "," if comma else ".")


def chunks(file: LoggerFile, first_sequence: int = 0) -> list[bytes]:
    """Return the file's readings as chunks, oldest first: the same file makes the same chunks."""
    order = np.argsort(np.array(file.times), kind="stable")
    times = np.array(file.times)[order]
    channels = {name: np.array(values)[order] for name, values in file.channels.items()}
    out: list[bytes] = []
    begin = 0
    while begin < len(times):
        end = begin + 1
        step = times[begin + 1] - times[begin] if begin + 1 < len(times) else 1.0
        while end < len(times) and end - begin < LONGEST and step > 0 and (
            abs(times[end] - times[end - 1] - step) < 0.001
        ):  # fmt: skip
            end += 1
        cut = {name: values[begin:end] for name, values in channels.items() if name in CHANNELS}
        out.append(encode(first_sequence + len(out), times[begin], max(step, 0.001), cut))
        begin = end
    return out


def _header(lines: list[str]) -> tuple[str, int, list[str]]:
    for at, line in enumerate(lines[:200]):
        for delimiter in (";", "\t", ","):
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
            timed = any(_TIME.search(cell) or _DATE.search(cell) for cell in cells)
            if len(cells) > 1 and timed and any(_COLUMNS["temperature_c"].search(c) for c in cells):
                return delimiter, at, cells
    raise BadChunk("header", "no line names a time and a temperature", "export with column names")


def _columns(header: list[str], taken: set[int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, pattern in _COLUMNS.items():
        for i, cell in enumerate(header):
            if i not in taken and pattern.search(cell):
                found[name] = i
                taken = taken | {i}
                break
    return found


def _moment(said: str, zone: ZoneInfo | None, day_first: bool | None, line: int) -> float:
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        at = _by_form(said, day_first, line)
    if at.tzinfo is None:
        if zone is None:
            raise BadChunk(f"line {line}", f"{said!r} has no zone", "say which with --zone")
        at = at.replace(tzinfo=zone)
    return at.astimezone(UTC).timestamp()


def _by_form(said: str, day_first: bool | None, line: int) -> datetime:
    forms: tuple[str, ...] = _FORMS
    if _SLASHED.match(said):
        if day_first is None:
            what = f"{said!r}: is the day or the month first?"
            raise BadChunk(f"line {line}", what, "say --day-first or --month-first")
        order = "%d/%m/%Y" if day_first else "%m/%d/%Y"
        forms = tuple(f"{order} {t}" for t in ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p"))
    for form in forms:
        try:
            return datetime.strptime(said, form)  # noqa: DTZ007 (the zone comes after)
        except ValueError:
            continue
    raise BadChunk(f"line {line}", f"{said!r} is no time", "write 2026-03-02 07:30:00")


def _value(said: str, comma: bool, line: int, column: str) -> float:
    text = said.strip().removesuffix("°C").removesuffix("%").strip().replace("−", "-")
    if text in ("", "-", "--", "---", "n/a", "N/A", "NaN"):
        return float("nan")
    if comma:
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        raise BadChunk(f"line {line}", f"{said!r} in {column!r} is no number", "mend it") from None
    return value / 100 if said.strip().endswith("%") else value
