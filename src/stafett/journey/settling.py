"""How the people of a script assess and decide a deviation that stands in the way of a journey."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stafett.journey import command as c
from stafett.journey import excursion, specification
from stafett.journey import supply as who
from stafett.protocol.net import OPEN

if TYPE_CHECKING:
    from datetime import datetime

    from stafett.journey.raised import Raised
    from stafett.journey.script import Cast
    from stafett.journey.state import State
    from stafett.protocol.net import Net

NONE = c.Impact(identity="none", custody="none", product="none", patient="none")


def undecided(net: Net, state: State) -> tuple[Raised, ...]:
    """Return what stands in the way until somebody decides on it.

    What a step finds about what it is making is decided on when that is made: before, nobody can
    say what would be supplied.
    """
    specified = (d for d in specification.standing(net, state) if not _under_way(net, state, d))
    found = (*excursion.standing(net, state), *specified)
    return tuple(d for d in found if d.work.disposition is None and d.closed_at is None)


def _under_way(net: Net, state: State, raised: Raised) -> bool:
    step = raised.detected
    return step in net.protocol.steps and net.state(state.marking, str(step)) == OPEN


def settle(
    net: Net, state: State, raised: Raised, cast: Cast, at: datetime
) -> tuple[c.Command, ...]:
    """Return how it is decided so that the journey goes on: supplied, or found to do no harm."""
    if raised.code in specification.codes(net) and specification.of_dose(net, state, raised):
        return supply(net, raised.deviation, cast, at)
    return dispose(state, raised, cast, at)


def dispose(state: State, raised: Raised, cast: Cast, at: datetime) -> tuple[c.Command, c.Command]:
    """Return how the accountable owner assesses a departure and decides that it did no harm."""
    by = cast.actor(state.owner.role)
    return (
        c.TriageDeviation(
            occurred_at=at, by=by, deviation=raised.deviation, criteria=("no-effect-shown",),
            impact=NONE, note="within the stability data",
        ),
        c.DecideDeviation(
            occurred_at=at, by=by, deviation=raised.deviation, disposition="use-as-is",
            reason="within the stability data", signatures=(_signed(by, at),),
        ),
    )  # fmt: skip


def supply(net: Net, name: str, cast: Cast, at: datetime) -> tuple[c.Command, ...]:
    """Return the assessment, each part of a supply out of specification, and the decision."""
    physician = cast.actor(sorted(who.physicians(net))[0])
    makers = who.makers(net)
    certifies = {s.role for s in net.protocol.steps.values() if s.kind == "certify"}
    maker = cast.actor(sorted(makers & certifies or makers)[0])
    product = c.Impact(identity="none", custody="none", product="confirmed", patient="none")
    parts: tuple[tuple[c.Part, c.Actor], ...] = (
        ("request", physician),
        ("risk-evaluation", maker),
        ("acceptance", physician),
        ("acceptance", maker),
    )
    return (
        c.TriageDeviation(
            occurred_at=at, by=maker, deviation=name, criteria=("specification-not-met",),
            impact=product, note="outside the specification",
        ),
        *(
            c.StateOutOfSpecification(
                occurred_at=at, by=by, deviation=name, part=part,
                statement="no other treatment in time", signatures=(_signed(by, at),),
            )
            for part, by in parts
        ),
        c.DecideDeviation(
            occurred_at=at, by=maker, deviation=name, disposition=specification.SUPPLY,
            reason="requested and accepted for this patient", signatures=(_signed(maker, at),),
        ),
    )  # fmt: skip


def _signed(by: c.Actor, at: datetime) -> c.Signature:
    return c.Signature(
        person=by.person, name=by.person, meaning="Decided", at=at, method="password", digest="-"
    )
