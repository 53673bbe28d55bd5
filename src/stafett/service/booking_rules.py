"""What a booking must be before anything is looked at: times, reasons, a whole chain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from stafett.capacity.booking import Place
from stafett.capacity.calendar import Calendar, seconds
from stafett.capacity.chain import Slot, Template, broken
from stafett.capacity.search import Blocked, said
from stafett.identity.coi import COI_PATTERN
from stafett.service.refusal import No, Reason, unknown

AHEAD = timedelta(days=120)  # how long a window of search may be
YEARS = timedelta(days=3 * 366)  # from now: beyond that a time is a mistake


def chosen(
    template: Template,
    calendars: Mapping[str, Sequence[Calendar]],
    places: Sequence[Place],
    stay: Mapping[str, Slot] | None = None,
) -> list[Slot]:
    """Return the slots that a client chose, each in a free unit. Raises No: what does not fit.

    A slot of `stay` that is chosen again keeps its unit.
    """
    stay = stay or {}
    found = []
    near(*(p.begins for p in places), *(p.ends for p in places))
    for place in sorted(places, key=lambda p: p.begins):
        begins, ends = seconds(place.begins), seconds(place.ends)
        kept = stay.get(place.link)
        if kept is not None and (kept.resource, kept.begins) == (place.resource, begins):
            found.append(kept)
            continue
        calendar = next(
            (c for c in calendars.get(place.link, ()) if c.resource.id == place.resource), None
        )
        if calendar is None:
            raise unknown("resource", place.resource)
        unit = calendar.unit(begins, ends)
        if unit is None:
            shut = not calendar.opened(begins, ends)
            what = "it is closed then" if shut else "it is taken"
            raise No("taken", "No free slot", Reason(place.link, what, "search again"))
        found.append(Slot(place.link, place.resource, unit, begins, ends))
    if faults := broken(template, found):
        told = (Reason(where, what, "search, or preview the move") for where, what in faults)
        raise No("lead-time", "This is no chain", *told)
    return found


def named(patient: str) -> str:
    """Return a patient's name as it is kept: a journey's in capitals, however it was typed."""
    journey = patient.upper()
    return journey if re.fullmatch(COI_PATTERN, journey) else patient


def reach(begin: datetime, end: datetime) -> tuple[int, int]:
    """Return a window of search in seconds, not before now. Raises No: it is none."""
    if begin.tzinfo is None or end.tzinfo is None:
        raise No("bad-time", "A time without a zone", Reason("begin", "add the offset", "or Z"))
    if end < begin:
        raise No("bad-time", "It ends before it begins", Reason("end", str(end), "swap them"))
    if end - begin > AHEAD:
        what = f"{(end - begin).days} days; what is searched is at most {AHEAD.days}"
        raise No("bad-time", "Too long", Reason("end", what, "narrow the window"))
    near(begin, end)
    low = max(seconds(begin), now_s())
    if seconds(end) < low:
        raise No("bad-time", "That is past", Reason("end", end.isoformat(), "choose a later time"))
    return low, seconds(end)


def near(*moments: datetime) -> None:
    """Raise No if a moment is years away."""
    now = datetime.now(UTC)
    for moment_ in moments:
        if abs(moment_ - now) > YEARS:
            what = f"{moment_.isoformat()} is years away"
            raise No("bad-time", "Not a time to book", Reason("begin", what, "check the year"))


def no_place(template: Template, why: Blocked) -> No:
    """Return the refusal for a chain that finds no place."""
    reason = Reason(why.link, said(template, why), "widen the window, or be listed as waiting")
    return No("no-slot", "There is no chain", reason)


def need_reason(reason: str) -> None:
    """Raise No unless there is a reason that others can read."""
    if len(reason.strip()) < 4 or not reason.isprintable():
        what = "others will read why"
        raise No("reason-missing", "There is no reason", Reason("reason", what, "say why"))


def now_s() -> int:
    """Return the present in whole seconds since 1970."""
    return seconds(datetime.now(UTC))
