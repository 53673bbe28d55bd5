"""Excursions: what is in doubt is not used until a person has decided what becomes of it.

An excursion is a departure from the conditions of a material (the watch raises it about the
shipper, a person about the bag), a stretch that nobody knows included, or a temperature that failed
a check. It concerns the lots it is about, what has been packed in them, and all that was made of
either. To decide is the work on the deviation, never a move of the protocol: a review of the
identity says nothing of temperature.
"""

from __future__ import annotations

from typing import Final

from stafett.journey.deviation import HOLD_TIME_EXCEEDED, TEMP_EXCURSION
from stafett.journey.raised import Raised
from stafett.journey.refusal import Code, Reason, Refusal, Refused
from stafett.journey.state import Lot, State
from stafett.protocol.model import Handoff, Step
from stafett.protocol.net import PRESENT, Net

# What a patient is treated with is not made of these.
_ASIDE: Final = ("packaging", "sample")
# Steps that rely on the product without using it up: what they do cannot be undone either.
RELY: Final = ("certify", "conditioning", "administer")
# What was decided that forbids its use for good.
GIVEN_UP: Final = ("discard", "recollect")


def is_excursion(net: Net, raised: Raised) -> bool:
    """Say whether a deviation is an excursion of materials."""
    if raised.code == TEMP_EXCURSION:
        return True
    if raised.about not in net.material:
        return False
    told = {one.deviation for one in net.protocol.materials[raised.about].conditions}
    return raised.kind == "condition" or raised.code in (HOLD_TIME_EXCEEDED, *told)


def stands(raised: Raised) -> bool:
    """Say whether an excursion forbids use: nobody has decided, or it was given up."""
    if raised.work.disposition is not None:
        return raised.work.disposition in GIVEN_UP
    return raised.closed_at is None


def standing(net: Net, state: State) -> tuple[Raised, ...]:
    """Return the excursions of a journey that forbid the use of what they concern."""
    return tuple(d for d in state.deviations.values() if is_excursion(net, d) and stands(d))


def concerned(net: Net, state: State, raised: Raised) -> frozenset[str]:
    """Return the lots that an excursion concerns: its own, their contents, and what is made."""
    found = {lot.lot for lot in state.lots.values() if _is_about(net, state, raised, lot)}
    while True:
        more = {
            lot.lot
            for lot in state.lots.values()
            if lot.lot not in found and not found.isdisjoint((*lot.parents, *lot.inside))
        }
        if not more:
            return frozenset(found)
        found |= more


def _is_about(net: Net, state: State, raised: Raised, lot: Lot) -> bool:
    if raised.about in net.material:
        # A late logger file may be about an earlier lot: what it became is gone, or is in doubt.
        return lot.material == raised.about and lot.made_at <= raised.raised_at
    activity = raised.about if raised.about in net.index else raised.detected
    if activity is None:
        return False
    if lot.made_in == activity and lot.made_at >= raised.raised_at:
        begun_again = state.renewed.get(activity)
        return begun_again is None or begun_again <= raised.raised_at
    here = lot.made_at <= raised.raised_at and (
        lot.ended_at is None or lot.ended_at >= raised.raised_at
    )
    return here and lot.material in handled(net, activity)


def handled(net: Net, name: str) -> tuple[str, ...]:
    """Return the materials that an activity has to do with."""
    activity = net.activity(name)
    if isinstance(activity, Handoff):
        return (*activity.carries, *activity.becomes.values())
    return (*activity.inputs, *activity.outputs, *activity.packs)


def used(net: Net, state: State, step: Step) -> tuple[str, ...]:
    """Return the materials that a step uses up or relies on; not what it examines or unpacks."""
    found = [m for m in step.consumes if _counts(net, m)]
    if step.kind in RELY:
        held = zip(net.materials, state.marking.materials, strict=True)
        present = [name for name, one in held if one.state in PRESENT]
        found += [m for m in step.inputs or present if _counts(net, m)]
    return tuple(dict.fromkeys(found))


def _counts(net: Net, material: str) -> bool:
    return net.protocol.materials[material].purpose not in _ASIDE


def doubts(net: Net, state: State, step: str) -> tuple[Raised, ...]:
    """Return the excursions that forbid `step`; empty if nothing it would use is in doubt."""
    open_ = standing(net, state)
    if not open_:
        return ()
    materials = used(net, state, net.protocol.steps[step])
    lots = {state.current[m] for m in materials if m in state.current}
    return tuple(d for d in open_ if not lots.isdisjoint(concerned(net, state, d)))


def said(raised: Raised) -> str:
    """Say why an excursion forbids use."""
    name = f"{raised.deviation} {raised.code} about {raised.about}"
    if raised.work.disposition is not None:
        return f"{name}: {raised.work.disposition} was decided, it is not used any more"
    return f"{name} is undecided: what is in doubt is not used"


def require_decided(net: Net, state: State, step: str) -> None:
    """Raise Refused if `step` would use or rely on what is in doubt or was given up."""
    found = doubts(net, state, step)
    if not found:
        return
    undecided = any(d.work.disposition is None for d in found)
    todo = "assess the deviation and decide what becomes of the material"
    reasons = tuple(
        Reason("step", said(d), todo if d.work.disposition is None else "") for d in found
    )
    code: Code = "unknown-blocks" if undecided else "not-possible-now"
    raise Refused(Refusal(code=code, reasons=reasons))
