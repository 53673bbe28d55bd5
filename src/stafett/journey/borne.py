"""What bears a label: so that one label is never on two patients' things. Pure."""

from __future__ import annotations

from stafett.journey import event as e
from stafett.journey.state import PATIENT, State
from stafett.protocol.model import Step
from stafett.protocol.net import Net


def is_one_things(net: Net, bound: e.IdentifierBound) -> bool:
    """Say whether a label that was bound may be on nothing of another journey.

    A shipper, its seal and its logger may carry several patients' things. A donation's number
    stays with all that is made of the donation, for whomever; but where it is given, at the
    collection, the donor is this journey's patient.
    """
    if bound.material == PATIENT:
        return False
    material = net.protocol.materials[bound.material]
    if material.purpose == "packaging":
        return False
    if not net.protocol.identifiers[bound.identifier].kept:
        return True
    activity = net.activity(bound.activity)
    return isinstance(activity, Step) and activity.kind == "collect"


def bearer(net: Net, state: State, label: str) -> str | None:
    """Return the material of the journey that bears `label` now, or None.

    What has ended bears it no more; what is being labelled bears it before it is made.
    """
    lots = [one for one in state.lots.values() if label in one.identifiers.values()]
    for lot in lots:
        if lot.ended is None and net.protocol.materials[lot.material].purpose != "packaging":
            return lot.material
    if lots:
        return None
    for sheet in state.sheets.values():
        for material, labels in sheet.bound.items():
            if (
                material != PATIENT
                and label in labels.values()
                and net.protocol.materials[material].purpose != "packaging"
            ):
                return material
    return None
