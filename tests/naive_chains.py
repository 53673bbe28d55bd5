"""The search as anybody would write it first: try everything, keep the earliest. An oracle."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from stafett.capacity.calendar import Calendar
from stafett.capacity.chain import Slot, Template, broken


def places(calendar: Calendar, seconds: int, begin: int, end: int, link: str) -> list[Slot]:
    """Return every place of the grid that is open and free, by looking at each minute's state."""
    found = []
    for at in calendar.starts(begin, end):
        for unit in range(calendar.resource.units):
            if calendar.fits(unit, at, at + seconds):
                found.append(Slot(link, calendar.resource.id, unit, at, at + seconds))
    return found


def earliest(
    template: Template, calendars: Mapping[str, Sequence[Calendar]], begin: int, end: int
) -> list[int] | None:
    """Return the starts of the earliest whole chain; None if there is none."""
    reach = end + sum(link.window(0)[1] + link.seconds for link in template.links)
    every = [
        [s for c in calendars[link.name] for s in places(c, link.seconds, begin, reach, link.name)]
        for link in template.links
    ]
    chains = (
        [slot.begins for slot in chain]
        for chain in itertools.product(*every)
        if chain[0].begins <= end and not broken(template, chain)
    )
    return min(chains, default=None)
