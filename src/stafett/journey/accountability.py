"""Handing accountability over: a handoff of its own, offered by one and taken by the other.

The protocol moves accountability at handoffs that say so. Between them the accountable owner may
ask another role to answer for the journey: until that role takes it, signed by another person,
nothing moves, so at every instant there is exactly one owner. An offer ends when it is answered,
taken back, or overtaken by a handoff of the protocol.
"""

from __future__ import annotations

from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey import gate
from stafett.journey.draft import Draft
from stafett.journey.refusal import refuse
from stafett.journey.state import Offer, State
from stafett.protocol.net import Net


def receivers(net: Net, state: State) -> tuple[str, ...]:
    """Return the roles that may be asked: those who answer for a product or a patient.

    A courier carries; it does not answer for a journey.
    """
    roles = net.protocol.roles
    return tuple(
        role
        for role in state.parties
        if role in roles and role != state.owner.role and roles[role].organisation != "courier"
    )


def offer(draft: Draft, command: c.OfferAccountability) -> None:
    """Only the owner asks, one role at a time, with a reason and a signature."""
    state = draft.state
    gate.may_act(state, command.by, state.owner.role)
    if state.offer is not None:
        what = f"{state.offer.to} has been asked and has not answered"
        raise refuse("already-answered", "to", what, "take that offer back first")
    able = receivers(draft.net, state)
    if command.to not in able:
        what = f"{command.to!r} cannot be asked to answer for this journey"
        raise refuse("unknown-name", "to", what, f"one of: {', '.join(able)}")
    _said(command.reason)
    _signed(command)
    draft.flag_time("")
    draft.add(
        e.AccountabilityOffered(
            occurred_at=command.occurred_at,
            by=command.by,
            offer=f"A{state.offers + 1}",
            giver=state.owner.role,
            to=command.to,
            organisation=state.parties[command.to],
            reason=command.reason,
            signatures=command.signatures,
        )
    )


def answer(draft: Draft, command: c.AnswerAccountability) -> None:
    """Who was asked takes it over, or says why not; never the person who offered it."""
    asked = _open(draft)
    gate.may_act(draft.state, command.by, asked.to)
    if command.by.person == asked.person:
        what = f"{command.by.person} offered it: another person takes it"
        raise refuse("wrong-person", "by.person", what)
    _signed(command)
    if not command.accept:
        _said(command.reason)
    draft.flag_time("")
    at, by = command.occurred_at, command.by
    if not command.accept:
        draft.add(
            e.AccountabilityDeclined(
                occurred_at=at,
                by=by,
                offer=asked.offer,
                to=asked.to,
                reason=command.reason,
                signatures=command.signatures,
            )
        )
        return
    giver = draft.state.owner.role
    draft.add(
        e.AccountabilityAccepted(
            occurred_at=at, by=by, offer=asked.offer, to=asked.to, signatures=command.signatures
        )
    )
    draft.add(
        e.AccountabilityMoved(
            occurred_at=at, by=by, giver=giver, receiver=asked.to, organisation=asked.organisation
        )
    )


def withdraw(draft: Draft, command: c.WithdrawAccountability) -> None:
    """The owner takes the offer back, with a reason."""
    asked = _open(draft)
    gate.may_act(draft.state, command.by, draft.state.owner.role)
    _said(command.reason)
    draft.add(
        e.AccountabilityWithdrawn(
            occurred_at=command.occurred_at,
            by=command.by,
            offer=asked.offer,
            to=asked.to,
            reason=command.reason,
        )
    )


def _open(draft: Draft) -> Offer:
    asked = draft.state.offer
    if asked is None:
        raise refuse("not-possible-now", "type", "no offer of accountability is open")
    return asked


def _said(reason: str) -> None:
    if not reason.strip():
        raise refuse("reason-missing", "reason", "the reason is empty", "say why")


def _signed(command: c.OfferAccountability | c.AnswerAccountability) -> None:
    if not any(s.person == command.by.person for s in command.signatures):
        raise refuse("signature", "signatures", f"{command.by.person} has not signed", "sign it")
