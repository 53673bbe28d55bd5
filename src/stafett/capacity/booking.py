"""A slot chain as it was booked, and what a change would do to it: values, told as they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec

from stafett.capacity.calendar import Calendar, Id, moment, seconds
from stafett.capacity.chain import Slot

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where and when one link is: what a client is offered, and sends back to book it."""

    link: Id
    resource: Id
    begins: Moment
    ends: Moment


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """A chain as those in it see it. `version` rises with each change; `offered` says why."""

    id: str
    template: str
    network: str
    patient: str
    organisation: str
    organisations: list[str]
    status: str
    version: int
    hold_until: datetime | None
    urgency: int
    deadline: datetime | None
    offered: dict[str, Any] | None
    slots: list[Place]
    units: dict[str, int]


class Free(msgspec.Struct, frozen=True):
    """How many slots of a resource are free in the next four weeks, and when the first begins."""

    resource: str
    slots: int
    first: datetime | None
    zone: str
    kind: str


class Consequence(msgspec.Struct, frozen=True):
    """What a move does to one link. `why`: "asked" or "lead-time"."""

    link: str
    before: Place
    after: Place
    why: str


class Preview(msgspec.Struct, frozen=True):
    """What a move would do, or why it cannot be made; nothing has changed."""

    chain: str
    seen: int
    possible: bool
    consequences: list[Consequence]
    slots: list[Place]
    why_not: str = ""
    link: str = ""


def place_of(slot: Slot) -> Place:
    """Return a slot as a client sees it: without its unit."""
    return Place(slot.link, slot.resource, moment(slot.begins), moment(slot.ends))


def slots_of(chain: Chain) -> list[Slot]:
    """Return the slots of a chain, in order."""
    return [
        Slot(p.link, p.resource, chain.units[p.link], seconds(p.begins), seconds(p.ends))
        for p in chain.slots
    ]


def consequences(before: Sequence[Slot], after: Sequence[Slot], asked: str) -> list[Consequence]:
    """Return what a change of `asked` does to each link; links that stay are left out."""
    return [
        Consequence(a.link, place_of(a), place_of(b), "asked" if a.link == asked else "lead-time")
        for a, b in zip(before, after, strict=True)
        if (a.resource, a.begins) != (b.resource, b.begins)
    ]


def free_starts(calendar: Calendar, begin: int, end: int, length: int) -> list[int]:
    """Return when slots of `length` could begin in [begin, end), none meeting another."""
    found: list[int] = []
    until = [begin] * calendar.resource.units
    for at in calendar.starts(begin, end - 1):
        for unit in calendar.units(at, at + length):
            if at >= until[unit]:
                found.append(at)
                until[unit] = at + length
    return found
