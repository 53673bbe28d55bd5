"""Who is on call: shifts of people in a role at an organisation, in the site's own time zone.

Pure. A shift that ends before it begins runs over midnight and belongs to the day on which it
begins. Clocks are the site's: on the night of a clock change a shift is as long as that night.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

WEEK = 7


class Shift(NamedTuple):
    """One person's hours: `days` are 0 (Monday) to 6; `deputy` stands behind the others."""

    person: str
    days: tuple[int, ...]
    begins: time
    ends: time
    zone: str
    deputy: bool = False


class Delivery(NamedTuple):
    """Whom to tell (None: everybody in the role), and when."""

    people: tuple[str, ...] | None
    at: datetime


def is_on(shift: Shift, now: datetime) -> bool:
    """Say whether `now` lies in one of the shift's hours: [begins, ends)."""
    local = now.astimezone(ZoneInfo(shift.zone))
    clock, today = local.time().replace(tzinfo=None), local.weekday()
    if shift.begins < shift.ends:
        return today in shift.days and shift.begins <= clock < shift.ends
    yesterday = (today - 1) % WEEK
    return (today in shift.days and clock >= shift.begins) or (
        yesterday in shift.days and clock < shift.ends
    )


def next_begin(shifts: Iterable[Shift], now: datetime) -> datetime | None:
    """Return when the next shift begins after `now`, in UTC; None if there is none."""
    return min((at for shift in shifts if (at := _begin(shift, now)) is not None), default=None)


def _begin(shift: Shift, now: datetime) -> datetime | None:
    zone = ZoneInfo(shift.zone)
    today = now.astimezone(zone).date()
    for ahead in range(WEEK + 1):
        day = today + timedelta(days=ahead)
        at = datetime.combine(day, shift.begins, zone).astimezone(now.tzinfo)
        if day.weekday() in shift.days and at > now:
            return at
    return None


def delivery(shifts: Sequence[Shift], now: datetime, *, critical: bool, deputy: bool) -> Delivery:
    """Return who is told and when.

    A critical alert ignores quiet hours: nobody on call means everybody in the role. Anything else
    waits for the next hours. A role without shifts is always on call, all of it.
    """
    behind = [shift for shift in shifts if shift.deputy]
    own = (behind or list(shifts)) if deputy else [s for s in shifts if not s.deputy] or behind
    if not own:
        return Delivery(None, now)
    people = tuple(dict.fromkeys(shift.person for shift in own if is_on(shift, now)))
    if people:
        return Delivery(people, now)
    if critical:
        return Delivery(None, now)
    begins = next_begin(own, now)
    return Delivery(None, now) if begins is None else Delivery((), begins)


def changes(shifts: Iterable[Shift], before: datetime, now: datetime) -> tuple[str, ...]:
    """Return the people whose hours ended between `before` and `now`."""
    return tuple(dict.fromkeys(s.person for s in shifts if is_on(s, before) and not is_on(s, now)))
