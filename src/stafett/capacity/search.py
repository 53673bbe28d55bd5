"""Find the earliest chain that fits the calendars; move one link and what depends on it.

The search goes link by link, each link's starts in order, and turns back where the next link finds
no place; from when to when no start of a link leads on is remembered, so each is tried once. The
chain found is the earliest by its first link, then by its second, and so on: the tests hold it to
`tests/naive_chains.py`, which tries everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stafett.capacity.calendar import Calendar, moment
from stafett.capacity.chain import Link, Slot, Template

Calendars = Mapping[str, Sequence[Calendar]]  # link -> where it may be


@dataclass(frozen=True)
class Blocked:
    """Why there is no chain: `link` finds no place between `begin` and `end` (its starts).

    `closed`: nothing is open then at all; else all that is open is taken.
    """

    link: str
    begin: int
    end: int
    closed: bool


def earliest(
    template: Template,
    calendars: Calendars,
    begin: int,
    end: int,
    *,
    keep: Mapping[str, Slot] | None = None,
    fixed: Mapping[str, Sequence[Slot]] | None = None,
    deadline: int | None = None,
) -> list[Slot] | Blocked:
    """Return the earliest chain whose first link begins in [begin, end], or why there is none.

    `keep`: the slot that a link takes first if it fits (it is tried before the earlier ones);
    `fixed`: the only slots that a link may have, whatever its calendar says. `deadline`: the last
    link must begin by then.
    """
    keep, fixed, links = keep or {}, fixed or {}, template.links
    dead: dict[int, tuple[int, int]] = {}  # link -> from when to when no start of it leads on
    known: dict[tuple[int, int, int], Slot | None] = {}  # link, start, calendar -> its free unit
    worst = (-1, Blocked(links[0].name, begin, end, True))

    # When each link must begin at the latest for the last to begin by the deadline.
    latest: list[int | None] = [deadline]
    for one, after in zip(reversed(links[:-1]), reversed(links[1:]), strict=True):
        low = one.seconds + after.window(0)[0]
        latest.insert(0, None if latest[0] is None else latest[0] - low)

    def follow(n: int, low: int, high: int) -> list[Slot] | None:
        nonlocal worst
        due = latest[n]
        if due is not None:
            high = min(high, due)
        # Windows overlap nearly wholly: what was tried in the one before is not tried again.
        tried = dead.get(n)
        again = tried is not None and tried[0] <= low <= tried[1] + 1
        first = tried[1] + 1 if tried is not None and again else low
        if again and first > high:
            return None
        link = links[n]
        every = calendars.get(link.name, ())
        for slot in _places(n, link, every, first, high, keep, fixed, known):
            if n == len(links) - 1:
                return [slot]
            rest = follow(n + 1, *links[n + 1].window(slot.ends))
            if rest is not None:
                return [slot, *rest]
        dead[n] = (tried[0] if tried is not None and again else low, high)
        if n > worst[0]:
            shut = not any(
                c.opened(at, at + link.seconds)
                for c in calendars.get(link.name, ())
                for at in c.starts(low, high)
            )
            worst = (n, Blocked(link.name, low, high, shut))
        return None

    found = follow(0, begin, end)
    return worst[1] if found is None else found


def offers(
    template: Template, calendars: Calendars, begin: int, end: int, count: int
) -> list[list[Slot]]:
    """Return up to `count` chains, the earliest first, each with a later first link."""
    found: list[list[Slot]] = []
    while len(found) < count and begin <= end:
        chain = earliest(template, calendars, begin, end)
        if isinstance(chain, Blocked):
            break
        found.append(chain)
        begin = chain[0].begins + 1
    return found


def moved(
    template: Template,
    calendars: Calendars,
    slots: Sequence[Slot],
    link: str,
    begins: int,
    *,
    resource: str | None = None,
    now: int | None = None,
) -> list[Slot] | Blocked:
    """Return the chain after `link` is moved to `begins`, or why it cannot be moved there.

    The calendars are without this chain. What comes before stays; what comes after stays where it
    can, and else goes to its first place that keeps the lead times. Nothing begins before `now`.
    """
    by = {slot.link: slot for slot in slots}
    names = [one.name for one in template.links]
    at = names.index(link)
    seconds = template.links[at].seconds
    places = [
        Slot(link, c.resource.id, unit, begins, begins + seconds)
        for c in calendars.get(link, ())
        if resource is None or c.resource.id == resource
        for unit in c.units(begins, begins + seconds)
        if now is None or begins >= now
    ]
    places.sort(key=lambda s: (s.resource != by[link].resource, s.unit != by[link].unit))
    fixed = {name: [by[name]] for name in names[:at]} | {link: places}
    if not places:
        shut = not any(c.opened(begins, begins + seconds) for c in calendars.get(link, ()))
        return Blocked(link, begins, begins, shut)
    first = by[names[0]].begins if at else begins
    return earliest(template, calendars, first, first, keep=by, fixed=fixed)


def _places(
    n: int,
    link: Link,
    calendars: Sequence[Calendar],
    low: int,
    high: int,
    keep: Mapping[str, Slot],
    fixed: Mapping[str, Sequence[Slot]],
    known: dict[tuple[int, int, int], Slot | None],
) -> Iterator[Slot]:
    """Yield where a link may be if it begins in [low, high]: what it keeps, then by time."""
    if link.name in fixed:
        yield from (slot for slot in fixed[link.name] if low <= slot.begins <= high)
        return
    kept = keep.get(link.name)
    if kept is not None and low <= kept.begins <= high:
        calendar = next((c for c in calendars if c.resource.id == kept.resource), None)
        if calendar is not None and calendar.fits(kept.unit, kept.begins, kept.ends):
            yield kept
    starts = [(at, k) for k, c in enumerate(calendars) for at in c.starts(low, high)]
    if len(calendars) > 1:
        starts.sort()
    for at, k in starts:
        if (n, at, k) not in known:
            end, id_ = at + link.seconds, calendars[k].resource.id
            unit = calendars[k].unit(at, end)
            known[n, at, k] = None if unit is None else Slot(link.name, id_, unit, at, end)
        slot = known[n, at, k]
        if slot is not None:
            yield slot


def said(template: Template, why: Blocked) -> str:
    """Say in words why a link has no place."""
    link = next(one for one in template.links if one.name == why.link)
    state = "nothing is open" if why.closed else "all that is open is taken"
    low, high = (moment(t).isoformat(timespec="minutes") for t in (why.begin, why.end))
    if why.begin > why.end:
        return f"{link.name} would begin after the deadline"
    lead = f"{link.lead_min_h:g}-{link.lead_max_h:g} h after the link before"
    return f"{link.name} ({link.hours:g} h, {lead}) must begin {low} to {high}: {state}"
