"""What a therapy needs booked: links in order, each with its lead time to the one before.

A template is data (`catalogue/chains/*.yaml`). Each figure says where it is from; one that nobody
measured is marked `assumed`, and the pages show the mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Annotated

import msgspec

from stafett.capacity.calendar import Id, Kind

HOUR_S = 3600
Time = Annotated[float, msgspec.Meta(ge=0, le=24 * 366)]


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reservation. It begins `lead_min_h` to `lead_max_h` hours after the one before ends.

    `role` is the protocol's: who plays it in the network owns the resource.
    """

    name: Id
    title: dict[str, str]
    kind: Kind
    role: str
    hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 366)]
    lead_min_h: Time = 0.0
    lead_max_h: Time = 0.0
    source: str
    assumed: bool = False

    @property
    def seconds(self) -> int:
        """How long it takes."""
        return round(self.hours * HOUR_S)

    def window(self, after: int) -> tuple[int, int]:
        """Return from when until when it may begin if the link before ends at `after`."""
        return after + round(self.lead_min_h * HOUR_S), after + round(self.lead_max_h * HOUR_S)


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a site does otherwise, and why."""

    reason: str
    hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 366)] | None = None
    lead_min_h: Time | None = None
    lead_max_h: Time | None = None


class Template(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The chain of one protocol. `sites`: organisation or site -> link -> override."""

    id: Id
    title: dict[str, str]
    protocol: str
    links: tuple[Link, ...]
    sites: dict[str, dict[str, Override]] = {}

    def at(self, *places: str) -> Template:
        """Return the template as it is at these sites."""
        links = list(self.links)
        for place in places:
            for n, link in enumerate(links):
                other = self.sites.get(place, {}).get(link.name)
                if other is not None:
                    given = msgspec.structs.asdict(other)
                    del given["reason"]
                    changed = {k: v for k, v in given.items() if v is not None}
                    links[n] = msgspec.structs.replace(link, **changed)
        return msgspec.structs.replace(self, links=tuple(links))


class Slot(msgspec.Struct, frozen=True):
    """A place of one link: in which unit of which resource, from when until when."""

    link: str
    resource: str
    unit: int
    begins: int
    ends: int


def wrong(template: Template) -> list[tuple[str, str, str]]:
    """Return what is wrong with a template: field, what, what to do."""
    found = []
    names = [link.name for link in template.links]
    if not names:
        found.append(("links", "there are none", "give at least one"))
    for name in sorted({n for n in names if names.count(n) > 1}):
        found.append(("links", f"{name!r} stands twice", "give each a name of its own"))
    for place in (None, *template.sites):
        there = template if place is None else template.at(place)
        for link in there.links:
            if link.lead_min_h > link.lead_max_h:
                where = f"links/{link.name}" + (f" at {place}" if place else "")
                found.append((where, "the least lead time is over the most", "swap them"))
    for place, links in template.sites.items():
        for name in links:
            if name not in names:
                found.append((f"sites/{place}", f"there is no link {name!r}", f"one of {names}"))
    return found


def broken(template: Template, slots: Sequence[Slot]) -> list[tuple[str, str]]:
    """Return where `slots` depart from the template: (link, what). Empty: a whole chain."""
    by = {slot.link: slot for slot in slots}
    if len(by) != len(slots) or by.keys() != {link.name for link in template.links}:
        wanted = ", ".join(link.name for link in template.links)
        return [("slots", f"a chain has each of these once: {wanted}")]
    found: list[tuple[str, str]] = []
    before: Slot | None = None
    for link in template.links:
        slot = by[link.name]
        if slot.ends - slot.begins != link.seconds:
            found.append((link.name, f"takes {link.hours:g} h"))
        if before is not None:
            low, high = link.window(before.ends)
            if not low <= slot.begins <= high:
                span = f"{link.lead_min_h:g} to {link.lead_max_h:g} h"
                has = (slot.begins - before.ends) / HOUR_S
                what = f"begins {has:g} h after {before.link} ends; it must be {span}"
                found.append((link.name, what))
        before = slot
    return found


@cache
def templates() -> Mapping[str, Template]:
    """Return the built-in templates by id. Raises ValueError if one is wrong."""
    found = {}
    for file in (resources.files("stafett") / "catalogue" / "chains").iterdir():
        if file.name.endswith(".yaml"):
            template = msgspec.yaml.decode(file.read_bytes(), type=Template)
            if faults := wrong(template):
                raise ValueError(f"{file.name}: {faults[0][0]}: {faults[0][1]}")
            found[template.id] = template
    return found
