"""The times of a logger's file: which zone they are in, and which number is the day. Pure.

Nothing is guessed. The zone is what stands in the value itself, in the column's name or in a line
about the device, or what the caller says; the order of day and month is what the file says or
proves (a 13 is no month), or what the caller says. A `zone` that the caller says is that of times
that have none; an order that contradicts the file is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from stafett.watch.reading import BadChunk

_CLOCK: Final = (
    r"(?P<h>\d{1,2})[:.](?P<m>\d{2})(?:[:.](?P<s>\d{2})(?:[.,](?P<part>\d{1,6})\d*)?)?"
    r"(?:\s*(?P<half>[ap])\.?\s?m\b\.?)?"
)
_OFFSET: Final = r"(?:\s*(?P<zone>Z|(?:UTC|GMT)?[+\-−]\d{1,2}(?::?\d{2})?|UTC|GMT))?"
_DATES: Final = (
    r"(?P<y>\d{4})[-/.](?P<mo>\d{1,2})[-/.](?P<d>\d{1,2})",
    r"(?P<a>\d{1,2})(?P<sep>[-/.])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4}|\d{2})",
    r"(?P<d>\d{1,2})[-/. ]+(?P<name>[^\W\d_]{3,})\.?[-/. ,]+(?P<y>\d{4}|\d{2})",
    r"(?P<name>[^\W\d_]{3,})\.? +(?P<d>\d{1,2}),? +(?P<y>\d{4})",
)
_FORMS: Final = tuple(re.compile(rf"^{date}(?:T|[ ,]+){_CLOCK}{_OFFSET}$", re.I) for date in _DATES)
# The first three letters in English, Swedish, Spanish and German.
_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        ("jan ene", "feb", "mar mär", "apr abr", "may maj mai", "jun", "jul", "aug ago", "sep set",
         "oct okt", "nov", "dec dic dez"), 1
    )
    for name in names.split()
}  # fmt: skip
_FIXED: Final = re.compile(
    r"(?:\b(?:UTC|GMT)\b\s*(?P<off>[+\-−]\s*\d{1,2}(?::?\d{2})?)?|(?<!\d)(?P<bare>[+\-−]\d{1,2}:?\d{2})(?!\d))",
    re.I,
)
_ABOUT_ZONE: Final = re.compile(
    r"time ?zone|tidszon|zona horaria|zeitzone|(?:utc|gmt)[ -]?(?:offset|diff)"
    r"|\b(?:times?|tider|horas|zeiten)\b.*\b(?:utc|gmt)\b",
    re.I,
)
_NAMED: Final = re.compile(r"\b[A-Z][A-Za-z_]+/[A-Z][A-Za-z_/+-]+")
# "(UTC+01:00) Amsterdam, Berlin" is Windows' name of a zone with summer time: no fixed offset.
_SUMMER: Final = re.compile(
    r"\(UTC[^)]*\)\s*[A-Z]|daylight|\bDST\b|summer|sommar|verano|sommer", re.I
)
_DAY_FIRST: Final = re.compile(r"\bd{1,2}[-/.]m{1,2}[-/.]y{2,4}", re.I)
_MONTH_FIRST: Final = re.compile(r"\bm{1,2}[-/.]d{1,2}[-/.]y{2,4}", re.I)


MOST_MINUTES: Final = 14 * 60  # Line Islands; nobody is further from UTC
YEARS: Final = range(1990, 2100)  # of a logger's clock, as in a chunk


class Said(NamedTuple):
    """What stands in one row as its time, and in which line."""

    line: int
    text: str


class Moments(NamedTuple):
    """The times (seconds since 1970), and how they were read: zone, and order of day and month."""

    times: list[float]
    zone: str
    order: str


def moments(
    rows: Sequence[Said],
    about: Iterable[str],
    column: str,
    *,
    zone: str | None = None,
    day_first: bool | None = None,
) -> Moments:
    """Read the times of a table. `about`: the lines above it; `column`: the name of its column.

    Raises BadChunk with the line and what to do.
    """
    found = [_parts(row) for row in rows]
    about = [*about, column]
    first = _order(found, rows, about, day_first)
    where, name = _zone(about, column, zone)
    local = [_local(parts, row, day_first=first) for parts, row in zip(found, rows, strict=True)]
    # Some list the latest first: an hour that comes twice is told by what came before it.
    way = -1 if len(local) > 1 and local[-1] < local[0] else 1
    times: list[float] = []
    for at, parts, row in zip(local[::way], found[::way], rows[::way], strict=True):
        times.append(_instant(at, parts, where, row, times[-1] if times else None))
    times = times[::way]
    order = "" if first is None else "day first" if first else "month first"
    return Moments(times, name if where else "as written", order)


def _parts(row: Said) -> dict[str, str]:
    for form in _FORMS:
        found = form.match(row.text)
        if found is not None:
            return {name: value for name, value in found.groupdict().items() if value is not None}
    raise BadChunk(f"line {row.line}", f"{row.text!r} is no time", "write 2026-03-02 07:30:00")


# -- day and month -------------------------------------------------------------------------------


def _order(
    found: list[dict[str, str]], rows: Sequence[Said], about: list[str], told: bool | None
) -> bool | None:
    """Say whether the day comes first; None where no time leaves that open."""
    open_ = [(p, row) for p, row in zip(found, rows, strict=True) if "a" in p and p["sep"] != "."]
    if not open_:
        return None
    days = any(_DAY_FIRST.search(line) for line in about)
    months = any(_MONTH_FIRST.search(line) for line in about)
    said = days if days != months else None
    # Of two digits the first may be a year as well: 26/03/02 proves nothing.
    if said is None and any(int(p["a"]) > 12 and len(p["y"]) == 4 for p, _ in open_):
        said = True
    if said is None and any(int(p["b"]) > 12 for p, _ in open_):
        said = False
    if said is not None and told is not None and said is not told:
        what = "the file has the day first" if said else "the file has the month first"
        raise BadChunk("time", what, "leave out the order of day and month")
    if said is None and told is None and any(p["a"] != p["b"] for p, _ in open_):
        row = next(row for p, row in open_ if p["a"] != p["b"])
        what = f"{row.text!r}: is the day or the month first?"
        raise BadChunk(f"line {row.line}", what, "say which comes first")
    return bool(said if said is not None else told)


def _local(parts: dict[str, str], row: Said, *, day_first: bool | None) -> datetime:
    if "a" in parts:
        first = True if parts["sep"] == "." else bool(day_first)
        day, month = (parts["a"], parts["b"]) if first else (parts["b"], parts["a"])
    else:
        day, month = parts["d"], parts.get("mo") or str(_month(parts["name"], row))
    year = int(parts["y"]) + (2000 if len(parts["y"]) == 2 else 0)
    hour = int(parts["h"])
    half = parts.get("half", "").lower()
    if half and not 1 <= hour <= 12:
        hour = 99
    elif half:
        hour = hour % 12 + (12 if half == "p" else 0)
    if year not in YEARS:
        todo = "set the device's clock"
        raise BadChunk(f"line {row.line}", "is not between 1990 and 2100", todo)
    second, part = int(parts.get("s", "0")), int(parts.get("part", "0").ljust(6, "0"))
    try:
        return datetime(year, int(month), int(day), hour, int(parts["m"]), second, part)  # noqa: DTZ001
    except ValueError:
        todo = "look at the order of day and month"
        raise BadChunk(f"line {row.line}", f"{row.text!r} is no time", todo) from None


def _month(name: str, row: Said) -> int:
    found = _MONTHS.get(name[:3].lower())
    if found is None:
        raise BadChunk(f"line {row.line}", f"{row.text!r} is no time", "write 2026-03-02 07:30:00")
    return found


# -- the zone ------------------------------------------------------------------------------------


def _zone(about: list[str], column: str, told: str | None) -> tuple[tzinfo | None, str]:
    """Return the zone that the file says, else the caller's, and its name; None: nobody says."""
    said: dict[str, tzinfo] = {}
    for line in about:
        if line is not column and not _ABOUT_ZONE.search(line):
            continue
        if _SUMMER.search(line):
            continue
        named = [n for n in _NAMED.findall(line) if n in available_timezones()]
        if named:
            said.update({name: ZoneInfo(name) for name in named})
        elif (minutes := _offset(line)) is not None:
            said[_name(minutes)] = timezone(timedelta(minutes=minutes))
    if len(said) > 1:
        raise BadChunk("time", f"the file says two zones: {', '.join(said)}", "export it in one")
    for name, zone in said.items():
        return zone, name
    if not told:
        return None, ""
    if told not in available_timezones():
        raise BadChunk("zone", f"{told!r} is no time zone", "e.g. Europe/Stockholm")
    return ZoneInfo(told), told


def _offset(line: str) -> int | None:
    """Return the minutes that a line says; None: it says none, or not how it means its number."""
    said = [m["off"] or m["bare"] for m in _FIXED.finditer(line)]
    signed = next((offset for offset in said if offset), None)
    if signed:
        return _minutes(signed)
    return 0 if said and not re.search(r"\d", line) else None


def _minutes(offset: str) -> int:
    digits = re.sub(r"\D", "", offset).rjust(2, "0")
    hours, minutes = (digits[:2], digits[2:]) if len(digits) != 3 else (digits[:1], digits[1:])
    total = int(hours) * 60 + int(minutes or 0)
    if total > MOST_MINUTES:
        raise BadChunk("time", f"{offset!r} is no offset from UTC", "say which zone")
    return -total if offset[0] in "-−" else total


def _name(minutes: int) -> str:
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _instant(
    local: datetime, parts: dict[str, str], zone: tzinfo | None, row: Said, before: float | None
) -> float:
    said = parts.get("zone")
    if said:
        digits = said.upper().lstrip("UTCGM")
        minutes = 0 if digits in ("", "Z") else _minutes(digits)
        return local.replace(tzinfo=timezone(timedelta(minutes=minutes))).timestamp()
    if zone is None:
        raise BadChunk(f"line {row.line}", f"{row.text!r} has no zone", "say which zone")
    at = local.replace(tzinfo=zone)
    moment = at.timestamp()
    later = at.replace(fold=1).timestamp()
    if later > moment and before is not None and moment <= before < later:
        return later  # the hour that comes twice when summer time ends, for the second time
    if datetime.fromtimestamp(moment, UTC).astimezone(zone).replace(tzinfo=None) != local:
        what = f"{row.text!r} was never on a clock in {zone}: this one keeps no summer time"
        raise BadChunk(f"line {row.line}", what, "say its own zone, such as Etc/GMT-1 for UTC+1")
    return moment
