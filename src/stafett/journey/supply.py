"""Supply out of specification: whose the parts are, what is lacking, what is asked for next.

The treating physician's request, the manufacturer's evaluation of the risks, and its acceptance on
both sides (EudraLex volume 4 part IV, 11.5). When they are needed is told by `specification`.
"""

from __future__ import annotations

from typing import Final

from stafett.journey.raised import Raised
from stafett.protocol.net import Net

# The parts in their order, as `lacking` names them.
PARTS: Final = ("request", "risk-evaluation", "acceptance-physician", "acceptance-maker")


def physicians(net: Net) -> frozenset[str]:
    """Return the roles that request and accept for the patient: who answers for the treatment."""
    roles = net.protocol.roles
    if roles[net.protocol.owner].organisation == "hospital":
        return frozenset((net.protocol.owner,))
    treats = ("consent", "conditioning", "administer")
    return frozenset(
        step.role
        for step in net.protocol.steps.values()
        if step.kind in treats
        and step.role in roles
        and roles[step.role].organisation == "hospital"
    )


def makers(net: Net) -> frozenset[str]:
    """Return the roles that answer for the product: the manufacturer's, an authority's, the QP's.

    At the point of care the manufacturer is a hospital, so the steps say who makes and certifies.
    """
    found = {
        r
        for r, one in net.protocol.roles.items()
        if one.organisation in ("manufacturer", "authority")
    }
    found |= {
        step.role
        for step in net.protocol.steps.values()
        if step.kind in ("manufacture", "certify") and step.role in net.protocol.roles
    }
    return frozenset(found) - physicians(net)


def lacking(net: Net, raised: Raised) -> tuple[str, ...]:
    """Return which of PARTS a supply out of specification still lacks."""
    said = {(s.part, s.role) for s in raised.work.statements}
    by = {"physician": physicians(net), "maker": makers(net)}
    there = {
        "request": any(part == "request" for part, _ in said),
        "risk-evaluation": any(part == "risk-evaluation" for part, _ in said),
        **{
            f"acceptance-{side}": any(p == "acceptance" and role in roles for p, role in said)
            for side, roles in by.items()
        },
    }
    return tuple(part for part in PARTS if not there[part])


def asked(net: Net, raised: Raised) -> tuple[str, tuple[str, ...]]:
    """Return what a supply waits for next (one of PARTS, or `decision`), and whose it is."""
    left = lacking(net, raised)
    part = left[0] if left else "decision"
    if part in ("request", "acceptance-physician"):
        return part, tuple(sorted(physicians(net)))
    certify = {step.role for step in net.protocol.steps.values() if step.kind == "certify"}
    return part, tuple(sorted(makers(net) & certify or makers(net)))
