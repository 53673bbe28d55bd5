"""An onboarding is carried out by a protocol: `catalogue/onboarding/site-onboarding.yaml`.

The file is proven as any other (`stafett protocol check site-onboarding`): each path ends with an
owner, nothing is left waiting. Here a state of an onboarding is read as a marking of its net, and
an event as moves of it; what the net does not permit does not happen (`readiness.decide`). A list
may ask for several things of one kind: their handoff is done when all are accepted, and each is
moved by itself.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from stafett.protocol.builtin import ONBOARDING, builtin
from stafett.protocol.marking import DONE, IDLE, NONE, OPEN, REFUSED, Marking, Move, Pending
from stafett.protocol.net import Net
from stafett.registry.requirement import Kind

Status = Literal["missing", "shown", "refused", "accepted", "lapsed"]
HANDOFFS: dict[Kind, str] = {
    "document": "DOCUMENTS",
    "training": "TRAINING",
    "facility": "FACILITY",
    "accreditation": "ACCREDITATION",
    "system": "SYSTEMS",
    "dry-run": "DRY_RUN",
}
SIGN_OFF, READY, AMEND = "SIGN_OFF", "READY", "AMEND"
WITHDRAW = Move("interrupt", "onboarding_withdrawn")
# Worst first: a kind is as far as the least of what is asked of it.
STATES: dict[Status, int] = {
    "refused": REFUSED, "missing": IDLE, "lapsed": IDLE, "shown": OPEN, "accepted": DONE,
}  # fmt: skip


@cache
def net() -> Net:
    """Return the net of the protocol of onboardings."""
    return Net(builtin(ONBOARDING).bind())


def role(move: Move) -> str:
    """Return who may make a move: `site` or `asker`; "" for either."""
    protocol = net().protocol
    if move.kind == "interrupt":
        return ""
    if move.subject in protocol.steps:
        return protocol.steps[move.subject].role
    handoff = protocol.handoffs[move.subject]
    return handoff.giver if move.kind == "release" else handoff.receiver


def marking(kinds: dict[Kind, Status], signed: set[str], ended: str = "") -> Marking:
    """Return where an onboarding stands: each kind that is asked for, and who has signed.

    `ended` is the outcome, "" before there is one. What is not asked for is done.
    """
    it = net()
    states = dict.fromkeys(it.activities, IDLE)
    states |= {HANDOFFS[kind]: STATES[kinds.get(kind, "accepted")] for kind in HANDOFFS}
    states[SIGN_OFF] = (IDLE, OPEN, DONE)[len(signed)]
    states[READY] = DONE if ended == "ready" else IDLE
    waiting = {HANDOFFS[kind] for kind, status in kinds.items() if status == "refused"}
    pending = tuple(sorted(Pending(it.index[AMEND], name) for name in waiting))
    return it.initial()._replace(
        activities=tuple(states[name] for name in it.activities),
        pending=() if ended else pending,
        outcome=it.outcomes.index(ended) if ended else NONE,
    )


def after(at: Marking, moves: list[Move], side: str) -> Marking | None:
    """Return the marking after `side` has made the moves; None if it may not make one of them."""
    for move in moves:
        if role(move) not in ("", side) or move not in net().moves(at):
            return None
        at = net().after(at, move)
    return at


def shown(kind: Kind, status: Status) -> list[Move]:
    """Return the moves of showing evidence; showing again before an answer is the same release."""
    if status == "shown":
        return []
    release = Move("release", HANDOFFS[kind])
    again = Move("decide", AMEND, HANDOFFS[kind], "again")
    return [again, release] if status == "refused" else [release]
