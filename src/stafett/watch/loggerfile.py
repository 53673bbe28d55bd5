"""Files from loggers: a table of times and temperatures in the layouts that loggers export.

The layout is found from the file itself: the delimiter, a header line (after any number of lines
about the device), the columns by their names in several languages, the unit, the zone. Decimal
commas are read. Nothing is guessed: what the file does not say (a unit, a zone, which number is the
day, which of two sensors) the caller says, or it is refused.
"""

from __future__ import annotations

import csv
import re
from typing import Final, Literal, NamedTuple, cast

import numpy as np

from stafett.watch.filetimes import Said, moments
from stafett.watch.reading import CHANNELS, BadChunk

Unit = Literal["C", "F", "K"]

_TIME: Final = re.compile(
    r"^(?:(?:logged|recorded|reading|local|measurement|utc|gmt) )?"
    r"(?:date ?[/,-]? ?(?:and )?time|timestamp|time ?stamp|time|tid|uhrzeit|zeit|klockslag|hora"
    r"|datum ?/? ?(?:(?:och )?tid|(?:und )?(?:uhr)?zeit)|fecha ?[/y]? ?hora)\b",
    re.I,
)
_TEMPERATURE: Final = re.compile(r"temp|[°º˚ø�]\s*[cf]\b|celsius|fahrenheit", re.I)
_NO_TEMPERATURE: Final = re.compile(
    r"dew|taupunkt|daggpunkt|roc[ií]o|limit|gräns|l[ií]mite|grenz|alarm|set ?point|kinetic|mkt"
    r"|board|battery",
    re.I,
)
_CHANNEL: Final = re.compile(
    r"^(ch(annel|an)?|kanal|canal|sensor)[ _]?\d*$|^(value|värde|valor|wert)$", re.I
)
_DATE: Final = re.compile(r"^(date|datum|fecha)\b(?!.*(time|tid|hora|zeit))", re.I)
_COLUMNS: Final = {
    "tilt_deg": re.compile(r"tilt|lutning|inclina", re.I),
    "shock_g": re.compile(r"shock|stöt|golpe|\bg\b", re.I),
    "door": re.compile(r"door|light|lux|dörr|ljus|puerta|luz", re.I),
    "battery": re.compile(r"batt", re.I),
}
_LIGHT: Final = re.compile(r"light|ljus|luz|lux", re.I)
LIT_LUX: Final = 1.0  # assumption: in a closed shipper it is dark
_UNITS: Final[dict[Unit, re.Pattern[str]]] = {
    "C": re.compile(r"(?:[°º˚ø�]\s*|[\[(_]|deg\.?\s*)c\b|celsius|centigrade", re.I),
    "F": re.compile(r"(?:[°º˚ø�]\s*|[\[(_]|deg\.?\s*)f\b|fahrenheit", re.I),
    "K": re.compile(r"[\[(_]k\b|kelvin", re.I),
}
_NUMBER: Final = re.compile(
    r"([+\-]?\d+(?:[.,]\d+)?)\s*(?:[°º˚ø�]?\s*([CFK])|%|g|lux|lx|°)?$", re.I
)
# What loggers write where they have no reading, or one beyond their sensor's range.
_NOTHING: Final = re.compile(
    r"-*|n/?a|nan|null|none|nc|ol|err(or)?|fault|open|no (data|sensor|reading)|invalid|[<>].*", re.I
)


class LoggerFile(NamedTuple):
    """What a file holds, and how it was read: times (seconds since 1970) and channels.

    `after` counts the rows below the table. `unit` is the one that the file has; the channels are
    in °C.
    """

    times: list[float]
    channels: dict[str, list[float]]
    columns: dict[str, str]
    delimiter: str
    unit: Unit
    zone: str
    order: str
    after: int


class _Table(NamedTuple):
    """The table of a file: the lines above it, its header, its rows with their lines."""

    about: list[str]
    header: list[str]
    rows: list[tuple[int, list[str]]]
    delimiter: str


def read(
    text: str,
    *,
    zone: str | None = None,
    day_first: bool | None = None,
    unit: Unit | None = None,
    column: str | None = None,
) -> LoggerFile:
    """Read a logger's export. Raises BadChunk with the line and what to do.

    `zone`, `day_first`, `unit` and `column` (the temperature's) say what the file does not.
    """
    table = _table(text.lstrip("\ufeff").splitlines())
    header = table.header
    date = next((i for i, name in enumerate(header) if _DATE.search(name)), None)
    time = next((i for i, name in enumerate(header) if _TIME.search(name) and i != date), None)
    if time is None:
        date, time = None, date
    assert time is not None  # or it would be no header
    columns = {"temperature_c": _temperature(header, column)}
    columns |= _others(header, {time, date, *columns.values()})
    rows, after = _rows(table.rows, max(time, *columns.values()), time)
    said = [
        Said(n, (row[time] if date is None else f"{row[date].strip()} {row[time]}").strip())
        for n, row in rows
    ]
    when = f"{'' if date is None else header[date]} {header[time]}"
    at = moments(said, table.about, when, zone=zone, day_first=day_first)
    found = {name: [_value(row[i], n, header[i]) for n, row in rows] for name, i in columns.items()}
    warm = columns["temperature_c"]
    scale = _unit(header[warm], [row[warm] for _, row in rows], table.about, unit)
    found["temperature_c"] = [_celsius(value, scale) for value in found["temperature_c"]]
    _settle(found, columns, header, rows)
    named = {name: header[columns[name]] for name in found}
    return LoggerFile(at.times, found, named, table.delimiter, scale, at.zone, at.order, after)


# -- the table -----------------------------------------------------------------------------------


def _table(lines: list[str]) -> _Table:
    for at, line in enumerate(lines[:200]):
        for delimiter in (";", "\t", ","):
            header = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
            timed = any(_TIME.search(cell) or _DATE.search(cell) for cell in header)
            if len(header) < 2 or not timed or not any(map(_is_value, header)):
                continue
            rows = [
                (n, row)
                for n, row in enumerate(csv.reader(lines[at + 1 :], delimiter=delimiter), at + 2)
                if any(cell.strip() for cell in row)
            ]
            if rows and len(rows[0][1]) < 2:
                continue  # a line about the device that names both
            return _Table(lines[:at], header, rows, delimiter)
    raise BadChunk("header", "no line names a time and a temperature", "export with column names")


def _is_value(name: str) -> bool:
    return bool(_TEMPERATURE.search(name) or _CHANNEL.search(name))


def _temperature(header: list[str], column: str | None) -> int:
    if column is not None:
        if column not in header:
            todo = f"one of {', '.join(repr(name) for name in header)}"
            raise BadChunk("header", f"no column is called {column!r}", todo)
        return header.index(column)
    found = [
        i
        for i, name in enumerate(header)
        if _TEMPERATURE.search(name) and not _NO_TEMPERATURE.search(name)
    ]
    found = found or [i for i, name in enumerate(header) if _CHANNEL.search(name)]
    if not found:
        raise BadChunk("header", "no column of temperatures", "name it temperature")
    if len(found) > 1:
        names = ", ".join(repr(header[i]) for i in found)
        raise BadChunk("header", f"several columns of temperatures: {names}", "say which it is")
    return found[0]


def _others(header: list[str], taken: set[int | None]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, pattern in _COLUMNS.items():
        for i, cell in enumerate(header):
            if i not in taken and not _TEMPERATURE.search(cell) and pattern.search(cell):
                found[name] = i
                taken = taken | {i}
                break
    return found


def _rows(
    rows: list[tuple[int, list[str]]], last: int, time: int
) -> tuple[list[tuple[int, list[str]]], int]:
    """Return the table's rows and how many stand below it; a hole in the table is refused."""
    whole = [len(row) > last and any(c.isdigit() for c in row[time]) for _, row in rows]
    if not any(whole):
        raise BadChunk("file", "has no readings", "export the table of readings")
    end = len(whole) - whole[::-1].index(True)
    for (n, _), good in zip(rows[:end], whole, strict=False):
        if not good:
            raise BadChunk(f"line {n}", "has too few columns", "export the file again")
    return rows[:end], len(rows) - end


# -- values --------------------------------------------------------------------------------------


def _value(said: str, line: int, column: str) -> float:
    text = said.strip().replace("−", "-")
    if _NOTHING.fullmatch(text):
        return float("nan")
    found = _NUMBER.match(text)
    if found is None:
        what = f"{said.strip()!r} in {column!r} is no number"
        raise BadChunk(f"line {line}", what, "export the file again")
    return float(found[1].replace(",", "."))


def _unit(name: str, cells: list[str], about: list[str], told: Unit | None) -> Unit:
    """Return the unit that the column, its values or a line about the device says."""
    written = {m[2].upper() for c in cells if (m := _NUMBER.match(c.strip())) is not None and m[2]}
    said = {unit for unit, pattern in _UNITS.items() if pattern.search(name)} | written
    said = said or {
        unit for unit, pattern in _UNITS.items() if any(pattern.search(line) for line in about)
    }
    if len(said) > 1 or (told is not None and said and told not in said):
        raise BadChunk("header", f"{name!r} is said in several units", "export it in one")
    if not said and told is None:
        raise BadChunk("header", f"{name!r} has no unit", "say whether it is C, F or K")
    return told if told is not None else cast("Unit", said.pop())


def _celsius(value: float, unit: Unit) -> float:
    if unit == "F":
        return round((value - 32) * 5 / 9, 2)
    return round(value - 273.15, 2) if unit == "K" else value


def _settle(
    found: dict[str, list[float]],
    columns: dict[str, int],
    header: list[str],
    rows: list[tuple[int, list[str]]],
) -> None:
    """Bring each channel to what a chunk holds; a battery told in volts is left out."""
    if "door" in found and _LIGHT.search(header[columns["door"]]):
        found["door"] = [v if np.isnan(v) else float(v > LIT_LUX) for v in found["door"]]
    if "battery" in found:
        i = columns["battery"]
        share = "%" in header[i] or any("%" in row[i] for _, row in rows)
        found["battery"] = [v / 100 if share else v for v in found["battery"]]
        if any(not 0 <= v <= 1 for v in found["battery"] if not np.isnan(v)):
            del found["battery"]
    for name, values in found.items():  # 999.9 and the like stand for "no reading"
        _, _, low, high = CHANNELS[name]
        found[name] = [v if low <= v <= high else float("nan") for v in values]
