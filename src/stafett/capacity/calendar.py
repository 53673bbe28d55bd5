"""A resource's calendar: when each of its units is open, and what already stands in it.

Times are whole seconds since 1970 (UTC); opening hours are the resource's own zone's, so that a
chair opens at eight also on the day the clocks change. A unit is a chair, a suite, a bed: what
begins in it ends in it. Units are numbered from 0; where only `n` are open, they are the first n.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec

Kind = Literal["apheresis-chair", "courier", "manufacturing-suite", "qc-slot", "bed"]
Span = tuple[int, int]  # from, until (not included)
Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")]
# A patient, by pseudonym or by the journey (its chain of identity is in capitals); never a name.
Patient = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{1,62}$")]
Clock = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
Units = Annotated[int, msgspec.Meta(ge=0, le=500)]
DAYS = 7
DAY_S = 86_400


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weekly opening: on `days` (0 is Monday) from `begins` to `ends`, which may be past midnight.

    `units`: how many are open then; None means all.
    """

    days: tuple[int, ...]
    begins: Clock
    ends: Clock
    units: Units | None = None


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An exception: between these moments at most `units` are open (0: closed).

    `extra`: an extra opening, in which `units` are open whatever the weekly hours say. Without it
    an exception takes away and never opens: one suite down at night stays closed at night.
    """

    begins: datetime
    ends: datetime
    units: Units
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    extra: bool = False


class Resource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that can be booked. `continuous`: it only begins in opening hours, and goes on.

    A suite that works through the night is continuous; a chair is not. `step_minutes` is the grid
    on which appointments begin. `shared_with`: the organisations that may be offered its free
    slots ("*" for all); what stands in it is shown to none of them.
    """

    id: Id
    organisation: str
    kind: Kind
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    zone: str
    units: Annotated[int, msgspec.Meta(ge=1, le=500)] = 1
    hours: tuple[Hours, ...] = ()
    changes: tuple[Change, ...] = ()
    continuous: bool = False
    step_minutes: Annotated[int, msgspec.Meta(ge=5, le=1440)] = 30
    site: str = ""
    shared_with: tuple[str, ...] = ()

    def offered_to(self, organisation: str) -> bool:
        """Say whether `organisation` may be offered free slots of this resource."""
        return organisation == self.organisation or bool({"*", organisation} & {*self.shared_with})


def problems(resource: Resource) -> list[tuple[str, str, str]]:
    """Return what is wrong with a resource: field, what, what to do. Empty if nothing is."""
    found = []
    try:
        ZoneInfo(resource.zone)
    except (KeyError, ValueError, OSError):
        found.append(("zone", f"{resource.zone!r} is no time zone", "use one such as Europe/Paris"))
    if not resource.hours and not resource.changes:
        found.append(("hours", "it is never open", "give its hours"))
    for n, hours in enumerate(resource.hours):
        if not hours.days or any(not 0 <= day < DAYS for day in hours.days):
            found.append((f"hours/{n}/days", f"{list(hours.days)}", "0 (Monday) to 6 (Sunday)"))
        if hours.begins == hours.ends or hours.begins == "24:00":
            what = f"from {hours.begins} to {hours.ends} there is no time"
            found.append((f"hours/{n}", what, "a whole day is 00:00 to 24:00"))
        if hours.units is not None and hours.units > resource.units:
            what = f"{hours.units} of {resource.units} cannot be open"
            found.append((f"hours/{n}/units", what, "raise units first"))
    for n, change in enumerate(resource.changes):
        if change.begins.tzinfo is None or change.ends.tzinfo is None:
            found.append((f"changes/{n}", "a time without a zone", "add the offset or Z"))
        elif change.begins >= change.ends:
            found.append((f"changes/{n}", "it ends before it begins", "swap the times"))
        if change.units > resource.units:
            what = f"{change.units} of {resource.units} cannot be open"
            found.append((f"changes/{n}/units", what, "raise units first"))
        if change.extra and change.units == 0:
            what = "an extra opening with no unit opens nothing"
            found.append((f"changes/{n}/units", what, "say how many are open, or leave extra out"))
    return found


def seconds(at: datetime) -> int:
    """Return an aware moment as whole seconds since 1970. Raises ValueError if it has no zone."""
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no zone")
    return int(at.timestamp())


def moment(at: int) -> datetime:
    """Return seconds since 1970 as a moment in UTC."""
    return datetime.fromtimestamp(at, UTC)


class Calendar:
    """A resource with what stands in it: `busy` are (unit, from, until)."""

    def __init__(self, resource: Resource, busy: Iterable[tuple[int, int, int]] = ()) -> None:
        self.resource = resource
        self._zone = ZoneInfo(resource.zone)
        self._busy: list[list[Span]] = [[] for _ in range(resource.units)]
        self._openings: dict[date, list[tuple[int, int, int]]] = {}
        self._weeks: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        for unit, begins, ends in busy:
            if unit < resource.units:
                self._busy[unit].append((begins, ends))
        for spans in self._busy:
            spans.sort()
        told = [(seconds(c.begins), seconds(c.ends), c.units, c.extra) for c in resource.changes]
        self._caps = [(b, e, n) for b, e, n, extra in told if not extra]
        self._extras = sorted((b, e, n) for b, e, n, extra in told if extra)

    def put(self, unit: int, begins: int, ends: int) -> None:
        """Let something stand in a unit."""
        spans = self._busy[unit]
        spans.insert(bisect_left(spans, (begins, ends)), (begins, ends))

    def take(self, unit: int, begins: int, ends: int) -> None:
        """Take something out again."""
        self._busy[unit].remove((begins, ends))

    def starts(self, begin: int, end: int) -> list[int]:
        """Return the moments of the grid in [begin, end] at which something may begin, in order."""
        step = self.resource.step_minutes * 60
        found: set[int] = set()
        for opens, closes, _ in self._opened(begin, end):
            first = opens + max(0, -(-(begin - opens) // step)) * step
            found.update(range(first, min(closes, end + 1), step))
        return sorted(found)

    def unit(self, begins: int, ends: int) -> int | None:
        """Return the first unit that is open and free for all of [begins, ends); None if none."""
        # `units`, written out: a search asks this of every start that it tries.
        wanted = (begins, begins)
        for unit, spans in enumerate(self._busy[: self._open(begins, ends)]):
            n = bisect_left(spans, wanted)
            if (n == len(spans) or spans[n][0] >= ends) and (n == 0 or spans[n - 1][1] <= begins):
                return unit
        return None

    def units(self, begins: int, ends: int) -> Iterator[int]:
        """Yield each unit that is open and free for all of [begins, ends)."""
        for unit in range(self._open(begins, ends)):
            if not _meets(self._busy[unit], begins, ends):
                yield unit

    def fits(self, unit: int, begins: int, ends: int) -> bool:
        """Say whether this unit is open and free for all of [begins, ends)."""
        return unit < self._open(begins, ends) and not _meets(self._busy[unit], begins, ends)

    def opened(self, begins: int, ends: int) -> bool:
        """Say whether anything is open then, free or not."""
        return self._open(begins, ends) > 0

    def _open(self, begins: int, ends: int) -> int:
        """Return how many units are open for all of [begins, ends)."""
        if begins >= ends:
            return 0
        fewest = min(
            (n for b, e, n in self._caps if b < ends and begins < e),
            default=self.resource.units,
        )
        if self.resource.continuous:
            extra = max((n for b, e, n in self._extras if b <= begins < e), default=0)
            return min(fewest, max(extra, self._weekly(begins, begins + 1)))
        # What no extra opening covers, the weekly hours must.
        at, least = begins, fewest
        for b, e, n in self._extras:
            if e <= at or b >= ends:
                continue
            if at < b:
                least = min(least, self._weekly(at, b))
            low, high = max(at, b), min(e, ends)
            least, at = min(least, max(n, self._weekly(low, high))), e
        return min(least, self._weekly(at, ends)) if at < ends else least

    def _weekly(self, begins: int, ends: int) -> int:
        """Return how many units the weekly hours keep open for all of [begins, ends)."""
        at, least = begins, self.resource.units
        spans = self._week(begins, ends)
        while at < ends:
            here = [(n, e) for b, e, n in spans if b <= at < e]
            if not here:
                return 0
            n, until = max(here)
            least, at = min(least, n), until
        return least

    def _opened(self, begin: int, end: int) -> list[tuple[int, int, int]]:
        """Return the openings, weekly and exceptional, that meet [begin, end]."""
        extra = [(b, e, n) for b, e, n in self._extras if b <= end and begin < e]
        return [o for o in self._week(begin, end + 1) if o[0] <= end and begin < o[1]] + extra

    def _week(self, begin: int, end: int) -> list[tuple[int, int, int]]:
        """Return the weekly openings that may meet [begin, end], and some around it."""
        key = begin // DAY_S, end // DAY_S
        found = self._weeks.get(key)
        if found is None:
            # The local day of any second in a day of UTC is that day's, or one beside it.
            day = moment(begin).date() - timedelta(days=2)
            last = moment(end).date() + timedelta(days=1)
            found = []
            while day <= last:
                if day not in self._openings:
                    self._openings[day] = list(self._of(day))
                found += self._openings[day]
                day += timedelta(days=1)
            self._weeks[key] = found
        return found

    def _of(self, day: date) -> Iterator[tuple[int, int, int]]:
        for hours in self.resource.hours:
            if day.weekday() in hours.days:
                opens = self._at(day, hours.begins)
                closes = self._at(day, hours.ends)
                if closes <= opens:
                    closes = self._at(day + timedelta(days=1), hours.ends)
                yield opens, closes, self.resource.units if hours.units is None else hours.units

    def _at(self, day: date, clock: str) -> int:
        if clock == "24:00":
            day, clock = day + timedelta(days=1), "00:00"
        return int(datetime.combine(day, time.fromisoformat(clock), self._zone).timestamp())


def _meets(spans: list[Span], begins: int, ends: int) -> bool:
    """Say whether [begins, ends) meets one of `spans`, which are sorted and apart."""
    n = bisect_left(spans, (begins, begins))
    return (n < len(spans) and spans[n][0] < ends) or (n > 0 and spans[n - 1][1] > begins)
