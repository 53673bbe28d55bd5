"""When a standing query runs: EPCIS 2.0's query schedule, which is cron with seconds.

Each field is a list of numbers and ranges: `"5"`, `"0,30"`, `"[8-17]"`, `"1,[5-7]"`. A time fits if
each given field fits it. dayOfWeek counts from 1 = Monday to 7 = Sunday (EPCIS 2.0 §8.2.5.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from stafett.exchange.problem import Finding, Problem, pointer

RANGES: Final = {
    "second": (0, 59), "minute": (0, 59), "hour": (0, 23),
    "dayOfMonth": (1, 31), "month": (1, 12), "dayOfWeek": (1, 7),
}  # fmt: skip
_ELEMENT: Final = re.compile(r"(\d{1,2})|\[(\d{1,2})-(\d{1,2})\]")
HORIZON: Final = timedelta(days=366 * 9)  # 29 February on a given weekday may need that long


class Schedule(msgspec.Struct, frozen=True):
    """The values each field may have; an absent field of seconds means 0, others anything."""

    second: frozenset[int]
    minute: frozenset[int]
    hour: frozenset[int]
    dayOfMonth: frozenset[int]
    month: frozenset[int]
    dayOfWeek: frozenset[int]


def read_schedule(fields: Any) -> Schedule:
    """Check a schedule; raise `Problem` 400 that names the field."""
    if not isinstance(fields, Mapping) or not fields:
        raise _wrong("", "a schedule is an object with at least one field")
    for name in fields:
        if name not in RANGES:
            raise _wrong(str(name), f"no field of a schedule; known: {', '.join(RANGES)}")
    values: dict[str, frozenset[int]] = {}
    finest = next(n for n in RANGES if n in fields)
    for name, (low, high) in RANGES.items():
        if name in fields:
            values[name] = _values(name, fields[name], low, high)
        elif name in ("second", "minute", "hour") and list(RANGES).index(name) < list(RANGES).index(
            finest
        ):
            values[name] = frozenset((0,))  # "hour: 1" means once, at one o'clock
        else:
            values[name] = frozenset(range(low, high + 1))
    return Schedule(**values)


def _values(name: str, text: Any, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in str(text).split(","):
        match = _ELEMENT.fullmatch(part.strip())
        if match is None:
            raise _wrong(name, f"{text!r} is no list of numbers and ranges like 5 or [8-17]")
        first = int(match[1] or match[2])
        last = int(match[1] or match[3])
        if not low <= first <= last <= high:
            raise _wrong(name, f"{part!r} lies outside {low} to {high}")
        found |= set(range(first, last + 1))
    return frozenset(found)


def next_run(schedule: Schedule, after: datetime) -> datetime | None:
    """Give the first fitting second after a moment, in UTC; None if there is none in nine years."""
    moment = after.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    end = moment + HORIZON
    while moment < end:
        if (
            moment.month not in schedule.month
            or moment.day not in schedule.dayOfMonth
            or moment.isoweekday() not in schedule.dayOfWeek
        ):
            moment = moment.replace(hour=0, minute=0, second=0) + timedelta(days=1)
        elif moment.hour not in schedule.hour:
            moment = moment.replace(minute=0, second=0) + timedelta(hours=1)
        elif moment.minute not in schedule.minute:
            moment = moment.replace(second=0) + timedelta(minutes=1)
        elif moment.second not in schedule.second:
            moment += timedelta(seconds=1)
        else:
            return moment
    return None


def _wrong(name: str, why: str) -> Problem:
    where = pointer("schedule", name) if name else pointer("schedule")
    return Problem(
        400, "SubscriptionControlsException", f"schedule {name}: {why}", [Finding(where, why)]
    )
