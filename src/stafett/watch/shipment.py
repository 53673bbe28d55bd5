"""Shipments, read from a journey: a shipper, its logger, its legs, its limits. Nothing is stored.

A shipper is a material whose container is a shipper. It travels from the step that made it until it
is opened (it is consumed then). Whatever else a protocol gives conditions and a logger's number (a
bag in a refrigerator, a flask in an incubator) is watched in the same way for as long as there is
that lot of it; only a shipper has a hold time. What has conditions and no logger is watched by the
loggers of the places where it stands (`stay`). A shipment's logger is the number that was scanned
at packing or labelling. What it may become is what the protocol asks of it at its own checks.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from stafett.journey.state import Lot, Spell, State
from stafett.protocol.measures import logged
from stafett.protocol.model import Check, Condition, Handoff, Step
from stafett.protocol.net import Net
from stafett.protocol.units import comparable, convert
from stafett.watch.rules import Limit, Rules

LOGGER: Final = "logger"
# Nothing is colder than liquid nitrogen (-195.8 °C): a lower limit down here is none.
COLDEST_C: Final = -190.0
_CHANNEL: Final = re.compile(r"^\(?8004\)?(?=[0-9A-Za-z])")


class Shipment(NamedTuple):
    """One shipper on its way. `logger` is None where none was scanned; `until` while it travels.

    What a logger fixed to a place tells of a lot that stands there has the same form (`stay`): then
    `fixed` are the loggers (organisation, number), and `lot` ends in which stay, after an @.
    """

    journey: str
    lot: str
    material: str
    logger: str | None
    shipper: str | None
    since: datetime
    until: datetime | None
    legs: tuple[Spell, ...]
    destination: str | None
    readers: frozenset[str]
    place: str | None = None
    fixed: tuple[tuple[str, str], ...] | None = None

    @property
    def thing(self) -> str:
        """Name the lot in a sentence, with the place where it stands."""
        lot = self.lot.partition("@")[0]
        return lot if self.place is None else f"{lot} in {self.place}"

    @property
    def id(self) -> str:
        """Name the shipment among all."""
        return f"{self.journey}/{self.lot}"


def number_of(scanned: str) -> str:
    """Return a logger's number without the application identifier of its barcode (GS1 8004)."""
    found = _CHANNEL.sub("", scanned.strip(), count=1) if scanned.startswith("(") else scanned
    return found.strip()


def shipments(net: Net, state: State) -> list[Shipment]:
    """Return the journey's shipments, the oldest first."""
    return [
        _shipment(net, state, lot) for lot in state.lots.values() if is_watched(net, lot.material)
    ]


def is_watched(net: Net, material: str) -> bool:
    """Say whether a logger tells of `material`: a shipper, or what has conditions and a logger."""
    one = net.protocol.materials[material]
    return one.container == "shipper" or (bool(one.conditions) and LOGGER in one.identifiers)


def _shipment(net: Net, state: State, lot: Lot) -> Shipment:
    logger = lot.identifiers.get(LOGGER)
    return Shipment(
        state.journey,
        lot.lot,
        lot.material,
        number_of(logger) if logger else None,
        lot.identifiers.get("shipper_id"),
        lot.made_at,
        lot.ended_at or state.ended_at,
        lot.custody,
        _destination(net, lot.material),
        frozenset(state.parties.values()),
    )


def _destination(net: Net, material: str) -> str | None:
    """Return the role that opens it, else the last that it is handed to."""
    for step in net.protocol.steps.values():
        if material in step.consumes or material in step.unpacks.values():
            return step.role
    last = [h.receiver for h in net.protocol.handoffs.values() if material in h.carries]
    return last[-1] if last else None


def rules_of(net: Net, state: State, material: str, profile: Rules) -> Rules:
    """Return the profile with this material's own limit and budget in it."""
    shipper = net.protocol.materials[material].container == "shipper"
    shelf = net.protocol.materials[material].shelf_life if shipper else None
    conditions = tuple(map(logged, net.protocol.materials[material].conditions))
    return msgspec.structs.replace(
        _durations(profile, conditions),
        limit=_limit(net, state, material),
        hold_s=float(shelf.at_most.seconds) if shelf else None,
        hold_source=shelf.source if shelf else None,
        conditions=conditions,
    )


def _durations(profile: Rules, conditions: tuple[Condition, ...]) -> Rules:
    """Return the profile with the durations of the protocol's condition of temperature, if any."""
    for one in conditions:
        if one.of == "temperature":
            never = math.inf
            return msgspec.structs.replace(
                profile,
                sustained_s=float(one.at_most.seconds) if one.at_most else never,
                cumulative_s=float(one.in_all.seconds) if one.in_all else never,
            )
    return profile


def _limit(net: Net, state: State, material: str) -> Limit:
    """Return the protocol's condition of temperature; else the tightest limit its checks set."""
    for one in map(logged, net.protocol.materials[material].conditions):
        if one.of == "temperature":
            return Limit(one.min, one.max, one.source, one.proposal)
    activities: list[Step | Handoff] = [
        *net.protocol.steps.values(),
        *net.protocol.handoffs.values(),
    ]
    checks = [
        check
        for activity in activities
        if _is_about(activity, material)
        for check in _checks(activity)
        if check.kind == "quantity" and comparable(check.unit or "", "Cel")
    ]
    lows = [low for c in checks if (low := _celsius(c, c.min)) is not None and low > COLDEST_C]
    highs = [high for c in checks if (high := _celsius(c, c.max)) is not None]
    if not lows and not highs:
        return Limit()
    high = min(highs, default=None)
    sources = {c.source for c in checks if c.source} | _sources(net, state, high)
    source = ", ".join(sorted(sources)) or None
    return Limit(max(lows, default=None), high, source, source is None)


def _celsius(check: Check, value: float | None) -> float | None:
    return None if value is None else convert(value, check.unit or "", "Cel")


def _is_about(activity: Step | Handoff, material: str) -> bool:
    if isinstance(activity, Handoff):
        return material in activity.carries
    return material in (*activity.inputs, *activity.outputs, *activity.consumes)


def _checks(activity: Step | Handoff) -> tuple[Check, ...]:
    if isinstance(activity, Step):
        return activity.checks
    return (*activity.release.checks, *activity.accept.checks)


def _sources(net: Net, state: State, value: float | None) -> set[str]:
    """Return the sources of the product's parameters that this limit may come from."""
    product = net.protocol.products.get(state.product or "")
    if product is None or value is None:
        return set()
    return {
        figure.source
        for name, figure in product.parameters.items()
        if name.endswith("_c") and figure.value == value and figure.source and not figure.proposal
    }
