"""Dates and times of ISBT 128: data structures 004–009 (`cyyjjj[hhmm]`), 024 and 031.

None of them carries an offset, so a value here is a *local* date and time until `at` gives it the
zone of the place that printed it: Stafett stores aware times only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Literal

from stafett.identity.errors import IdentifierError

What = Literal["expiry", "collection", "production"]

DATE_STRUCTURES: dict[str, tuple[What, bool]] = {
    "=>": ("expiry", False),
    "&>": ("expiry", True),
    "=*": ("collection", False),
    "&*": ("collection", True),
    "=}": ("production", False),
    "&}": ("production", True),
}
FLEXIBLE_PATTERN = "[A-Z0-9]{4}[0-9]{12}"
_FLEXIBLE = re.compile(FLEXIBLE_PATTERN)
_END_OF_DAY = time(23, 59)


@dataclass(frozen=True, slots=True)
class Moment:
    """An expiry, collection or production date, with a time of day when the symbol has one."""

    what: What
    day: date
    clock: time | None = None

    def at(self, zone: tzinfo) -> datetime:
        """Return the aware moment in `zone`; without a time of day it is 23:59 (ST-001 default)."""
        return datetime.combine(self.day, self.clock or _END_OF_DAY, tzinfo=zone)

    @property
    def wire(self) -> str:
        """The symbol's characters: data identifier, `cyyjjj` and, if known, `hhmm`."""
        timed = self.clock is not None
        di = next(k for k, v in DATE_STRUCTURES.items() if v == (self.what, timed))
        century = {2000: "0", 1900: "9"}[self.day.year // 100 * 100]
        julian = f"{century}{self.day.year % 100:02d}{self.day.timetuple().tm_yday:03d}"
        return di + julian + (self.clock.strftime("%H%M") if self.clock else "")


@dataclass(frozen=True, slots=True)
class FlexibleMoment:
    """Data structure 031: `ZUTT` codes (kept as they are; the tables are ICCBBA's) and a time."""

    codes: str
    local: datetime

    @property
    def wire(self) -> str:
        """The 18 characters of the symbol."""
        return f"=({self.codes}{self.local:%Y%m%d%H%M}"


def parse_wire(raw: str) -> Moment:
    """Read data structures 004–009. Raises IdentifierError for impossible days and times.

    The century character is read as 0 → 2000s and 9 → 1900s (inferred from the published
    examples, ASSUMPTION); others are refused.
    """
    what, timed = DATE_STRUCTURES.get(raw[:2], (None, False))
    if what is None:
        raise _refused(raw, "data identifier", "a date symbol begins with =>, &>, =*, &*, =} or &}")
    digits = raw[2:]
    if not re.fullmatch("[0-9]{10}" if timed else "[0-9]{6}", digits):
        form = "cyyjjjhhmm (10 digits)" if timed else "cyyjjj (6 digits)"
        raise _refused(raw, f"{what} date", f"it must be {form}")
    century = {"0": 2000, "9": 1900}.get(digits[0])
    if century is None:
        raise _refused(raw, f"{what} date, century {digits[0]}", "only 0 (2000s) and 9 (1900s)")
    year, ordinal = century + int(digits[1:3]), int(digits[3:6])
    day = date(year, 1, 1) + timedelta(days=ordinal - 1) if ordinal else None
    if day is None or day.year != year:
        raise _refused(raw, f"{what} date, day {ordinal} of {year}", "no such day in that year")
    return Moment(what, day, _clock(raw, what, digits[6:]) if timed else None)


def parse_flexible(raw: str) -> FlexibleMoment:
    """Read data structure 031, `=(ZUTTYYYYMMDDhhmm`."""
    content = raw[2:]
    if not raw.startswith("=(") or not _FLEXIBLE.fullmatch(content):
        raise _refused(raw, "flexible date and time", "it must be =( and ZUTTYYYYMMDDhhmm")
    try:
        local = datetime.strptime(content[4:], "%Y%m%d%H%M")  # noqa: DTZ007 (no offset on the wire)
    except ValueError:
        raise _refused(raw, "flexible date and time", "no such day or time") from None
    return FlexibleMoment(content[:4], local)


def parse_birth(raw: str) -> date:
    """Read data structure 024, `=#aayyyymmdd`: a direct identifier of the patient."""
    content = raw[2:]
    if not raw.startswith("=#") or not re.fullmatch("[A-Z0-9]{2}[0-9]{8}", content):
        raise _refused(raw, "date of birth", "it must be =# and aayyyymmdd")
    try:
        return date(int(content[2:6]), int(content[6:8]), int(content[8:]))
    except ValueError:
        raise _refused(raw, "date of birth", "no such day") from None


def _clock(raw: str, what: str, digits: str) -> time:
    hour, minute = int(digits[:2]), int(digits[2:])
    if hour > 23 or minute > 59:
        raise _refused(raw, f"{what} time {digits}", "no such time of day")
    return time(hour, minute)


def _refused(raw: str, where: str, todo: str) -> IdentifierError:
    return IdentifierError(f"{raw!r} is no valid date structure", where, f"{todo}; scan it again")
