"""Stays: a lot that stands in a role's store, and the loggers that are fixed there. Pure.

A logger may be fixed to a place: a tank, a refrigerator, a room of the role that keeps it. It tells
of each lot that is there later. Where a lot is, the record says: it stands with the role that has
custody of it, except while it is packed in something with a logger of its own. What is watched in a
place is what the protocol gives `conditions` and no `logger` to scan.

A lot stands in one place of its role. Where loggers are fixed to several places of a role, the lot
has to say which (identifier `place`, scanned); if it does not, its conditions are in doubt, and
nothing is judged. Loggers of one place are judged each for itself.

Where no logger is fixed in the store that a lot stands in, nobody measures there: it is *unheard*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from stafett.journey.state import Lot, Spell, State
from stafett.protocol.net import Net
from stafett.watch.shipment import LOGGER, Shipment

PLACE: Final = "place"


class Stand(NamedTuple):
    """A logger fixed to a place of a role of its organisation; `until` while it stands there."""

    id: int
    organisation: str
    number: str
    role: str
    place: str
    since: datetime
    until: datetime | None = None


class Unheard(NamedTuple):
    """A lot that stands in a store of which no logger tells; `since` when nobody has measured."""

    journey: str
    lot: str
    material: str
    role: str
    organisation: str
    since: datetime
    readers: frozenset[str]


class Stay(NamedTuple):
    """A stretch of time in which a lot stood with a role; `number` counts the lot's stretches."""

    journey: str
    lot: str
    material: str
    number: int
    spell: Spell
    place: str | None
    readers: frozenset[str]


def stays(net: Net, state: State) -> list[Stay]:
    """Return the stays of the journey's lots that a place's logger may tell of, as recorded."""
    readers = frozenset(state.parties.values())
    return [
        Stay(state.journey, lot.lot, lot.material, n, spell, lot.identifiers.get(PLACE), readers)
        for lot in state.lots.values()
        if is_kept(net, lot.material)
        for n, spell in enumerate(_outside(net, state, lot), 1)
    ]


def is_kept(net: Net, material: str) -> bool:
    """Say whether the logger of a place tells of `material`: it has conditions and no logger."""
    one = net.protocol.materials[material]
    return one.container != "shipper" and bool(one.conditions) and LOGGER not in one.identifiers


def in_places(stay: Stay, stands: Sequence[Stand]) -> list[Shipment]:
    """Return the stay as each logger fixed there tells of it; in doubt, one that none tells of."""
    there = [s for s in stands if _meet(s, stay)]
    if len({s.place for s in there}) > 1:
        own = [s for s in there if s.place == stay.place]
        if not own:
            told = ", ".join(sorted({s.number for s in there}))
            fixed = tuple((s.organisation, s.number) for s in there)
            return [_shipment(stay, "", None, told, stay.spell.since, stay.spell.until, fixed)]
        there = own
    return [
        _shipment(
            stay,
            f".{s.id}",
            s.place,
            s.number,
            max(s.since, stay.spell.since),
            _sooner(s.until, stay.spell.until),
            ((s.organisation, s.number),),
        )
        for s in there
    ]


def unheard(stay: Stay, stands: Sequence[Stand]) -> Unheard | None:
    """Return the stay as one that nobody measures now; None if it is over or a logger is there."""
    spell = stay.spell
    if spell.until is not None:
        return None
    there = [s for s in stands if _meet(s, stay)]
    if any(s.until is None for s in there):
        return None
    since = max([spell.since, *(s.until for s in there if s.until is not None)])
    return Unheard(
        stay.journey, stay.lot, stay.material, spell.role, spell.organisation, since, stay.readers
    )


def _shipment(
    stay: Stay,
    suffix: str,
    place: str | None,
    logger: str,
    since: datetime,
    until: datetime | None,
    fixed: tuple[tuple[str, str], ...],
) -> Shipment:
    return Shipment(
        stay.journey,
        f"{stay.lot}@{stay.number}{suffix}",
        stay.material,
        logger,
        None,
        since,
        until,
        (stay.spell,),
        stay.spell.role,
        stay.readers,
        place,
        fixed,
    )


def _meet(stand: Stand, stay: Stay) -> bool:
    spell = stay.spell
    return (
        (stand.organisation, stand.role) == (spell.organisation, spell.role)
        and (spell.until is None or stand.since < spell.until)
        and (stand.until is None or stand.until > spell.since)
    )


def _sooner(a: datetime | None, b: datetime | None) -> datetime | None:
    return min((at for at in (a, b) if at is not None), default=None)


def _outside(net: Net, state: State, lot: Lot) -> Iterator[Spell]:
    """Yield the lot's custody, without the time that it was packed."""
    steps = net.protocol.steps.items()
    packed = _latest(state, lot, [name for name, step in steps if lot.material in step.packs])
    opened = _latest(state, lot, [name for name, step in steps if lot.material in step.unpacks])
    over = lot.ended_at or state.ended_at
    for spell in lot.custody:
        whole = spell if over is None else _cut(spell, spell.since, over)
        if whole is None:
            continue
        if packed is None:
            yield whole
            continue
        if (before := _cut(whole, whole.since, packed)) is not None:
            yield before
        after = _cut(whole, opened, None) if opened is not None and opened >= packed else None
        if after is not None:
            yield after


def _latest(state: State, lot: Lot, steps: list[str]) -> datetime | None:
    """Return when one of `steps` was last finished with this lot; None if not yet."""
    moments = (state.done.get(name) for name in steps)
    return max((at for at in moments if at is not None and at >= lot.made_at), default=None)


def _cut(spell: Spell, since: datetime, until: datetime | None) -> Spell | None:
    """Return the part of a spell between two moments; None if nothing is left of it."""
    start, end = max(spell.since, since), _sooner(spell.until, until)
    if end is not None and end <= start:
        return None
    return Spell(role=spell.role, organisation=spell.organisation, since=start, until=end)
