"""What the people of the scripted day do about a deviation: one act after the other, until closed.

Seen, put right at once, assessed by the closed criteria, its cause named, decided on, closed. What
needs a judgement that nobody can script (a product out of specification) is not theirs.
"""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any, Final

from stafett.journey import command as c
from stafett.protocol.model import Handoff
from stafett.protocol.net import Net
from stafett.service.deviations import Line

NONE: Final = c.Impact(identity="none", custody="none", product="none", patient="none")
# By kind: what was done at once, why it happened, and what is concluded.
DONE: Final[dict[str, tuple[str, c.Cause, str, str]]] = {
    "identity": ("stopped, and the right one fetched", "labelling",
                 "two were on the same bench", "the wrong one went nowhere"),
    "documentation": ("the paper was sent for", "documentation",
                      "the form has no place for it", "the record is complete"),
    "labelling": ("the label was replaced before witnesses", "labelling",
                  "the printer skipped a line", "every label reads as ordered"),
    "timing": ("the next party was called", "staffing",
               "nobody was told that it had come", "within its stability"),
    "custody": ("both sides went through the log", "documentation",
                "the handover was written down late", "it was never out of hands"),
    "condition": ("the logger was read on the spot", "transport",
                  "the shipper stood open at the hub", "the stability data cover it"),
    "capacity": ("another slot was asked for", "staffing",
                 "two plans used the same suite", "a slot was found"),
    "interpretation": ("both sides were asked what they meant", "interpretation",
                       "the instruction can be read two ways", "agreed in writing"),
}  # fmt: skip


def carers(net: Net, line: Line) -> tuple[str, ...]:
    """Return the roles that may work on it, the likeliest first."""
    found = []
    for name in (line.detected, line.about):
        if name is not None and name in net.index:
            activity = net.activity(name)
            found += (
                [activity.receiver, activity.giver]
                if isinstance(activity, Handoff)
                else [activity.role]
            )
    quality = [step.role for step in net.protocol.steps.values() if step.kind == "certify"]
    return tuple(dict.fromkeys([*found, net.protocol.owner, *quality]))


def care(
    net: Net, line: Line, by: c.Actor, now: datetime, chance: random.Random
) -> c.Command | None:
    """Return what is next about a deviation, by whoever takes care of it; None if nothing is."""
    if line.stage == "closed" or line.only_by_supply or line.kind not in DONE:
        return None
    at_once, cause, why, conclusion = DONE[line.kind]
    told: dict[str, Any] = {"occurred_at": now, "by": by, "deviation": line.deviation}
    if line.acknowledged_at is None:
        return c.AcknowledgeDeviation(**told)
    if line.stage == "raised":
        if chance.random() < 0.5:
            return c.TakeImmediateAction(what=at_once, **told)
        criteria: tuple[c.Criterion, ...] = ("no-effect-shown", "corrected-at-once")
        if line.kind in ("timing", "condition"):
            criteria = ("limit-exceeded",)
        return c.TriageDeviation(criteria=criteria, impact=NONE, note=conclusion, **told)
    if line.cause is None:
        return c.NameCause(cause=cause, why=why, originated=_origin(net, line, chance), **told)
    if line.stage == "triaged":
        return c.DecideDeviation(disposition="no-effect", reason=conclusion, **told)
    return c.CloseDeviation(conclusion=conclusion, **told)


def _origin(net: Net, line: Line, chance: random.Random) -> str | None:
    """Return where it began: half of the time at the handoff before, by the same giver."""
    seen = line.detected or line.about
    if seen not in net.protocol.handoffs:
        return None
    giver = net.protocol.handoffs[seen].giver
    before = list(net.protocol.handoffs)[: list(net.protocol.handoffs).index(seen)]
    upstream = [h for h in before if net.protocol.handoffs[h].receiver == giver]
    return upstream[-1] if upstream and chance.random() < 0.5 else seen
