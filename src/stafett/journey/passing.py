"""The baton: release by the giver, reception by the receiver, and decisions about what is held."""

from __future__ import annotations

from stafett.journey import clock, deviation, gate, silence, specification
from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey.draft import Draft
from stafett.journey.refusal import refuse
from stafett.journey.state import State
from stafett.journey.working import carried, fresh, same_round
from stafett.protocol.model import Handoff
from stafett.protocol.net import Move, Net


def release(draft: Draft, command: c.Release) -> None:
    """Let go: the giver's checks, documents and signatures are in order, what fails is declared."""
    handoff = _handoff(draft, command.handoff)
    state = draft.state
    place = gate.desk(draft.net, state, command.handoff, "release")
    gate.may_act(state, command.by, place.role)
    same_round(draft, command.handoff, command.round)
    draft.need(Move("release", command.handoff), "handoff")
    sheet = state.sheet(command.handoff, "release")
    gate.require(draft.net, place, sheet, command.occurred_at)
    fresh(draft, carried(draft, handoff))
    gate.signatures(place, sheet, command.by, command.signatures, frozenset())
    draft.flag_time(command.handoff)
    state = draft.state
    draft.add(
        e.Released(
            occurred_at=command.occurred_at,
            by=command.by,
            handoff=command.handoff,
            round=state.round(command.handoff),
            giver=handoff.giver,
            receiver=handoff.receiver,
            carries=tuple(state.current[m] for m in carried(draft, handoff)),
            signatures=command.signatures,
            deviations=_raised_by(draft.net, state, command.handoff, "release"),
        )
    )


def receive(draft: Draft, command: c.Receive) -> None:
    """Take it, take it with a deviation, isolate it, or leave it with the giver."""
    handoff = _handoff(draft, command.handoff)
    state = draft.state
    place = gate.desk(draft.net, state, command.handoff, "accept")
    gate.may_act(state, command.by, place.role)
    same_round(draft, command.handoff, command.round)
    kind = "accept" if command.decision.startswith("accept") else command.decision
    move = Move(kind, command.handoff)  # type: ignore[arg-type]
    draft.need(move, "decision")
    barred = gate.givers(draft.net, state, command.handoff)
    if command.by.person in barred:
        raise gate.not_both(command.by.person, command.handoff)
    if command.decision != "accept":
        _reason(draft, command)
    sheet = state.sheet(command.handoff, "accept")
    if kind == "accept":
        _in_order(draft, command, handoff, place)
    gate.signatures(place, sheet, command.by, command.signatures, barred)
    draft.flag_time(command.handoff)
    names = _own_deviation(draft, command)
    late = draft.late(command.handoff) if kind != "refuse" else ()
    names = (*names, *late)
    match kind:
        case "accept":
            draft.add(
                e.Accepted(
                    occurred_at=command.occurred_at,
                    by=command.by,
                    handoff=command.handoff,
                    round=state.round(command.handoff),
                    with_deviation=command.decision != "accept",
                    signatures=command.signatures,
                    deviations=tuple(
                        dict.fromkeys(
                            (*departures(draft.net, draft.state, command.handoff), *names)
                        )
                    ),
                )
            )
        case _:
            made = e.Quarantined if kind == "quarantine" else e.Refused
            draft.add(
                made(
                    occurred_at=command.occurred_at,
                    by=command.by,
                    handoff=command.handoff,
                    round=state.round(command.handoff),
                    reason=command.reason or "",
                    signatures=command.signatures,
                )
            )


def take_decision(draft: Draft, command: c.Decide) -> None:
    """Decide about what is held. To take it up again, all the decision's own checks must pass."""
    step = draft.net.protocol.steps.get(command.decision)
    if step is None or not step.on_demand:
        raise refuse("unknown-name", "decision", f"{command.decision!r} is no decision")
    place = gate.desk(draft.net, draft.state, command.decision, "step", command.about)
    gate.may_act(draft.state, command.by, place.role)
    if command.result not in step.results:
        names = ", ".join(step.results)
        raise refuse("bad-value", "result", f"no result {command.result!r}", f"one of: {names}")
    draft.need(Move("decide", command.decision, command.about, command.result), "result")
    if not command.reason.strip():
        raise refuse("reason-missing", "reason", "a decision has a reason", "say why")
    sheet = draft.state.sheet(command.decision, "step", command.about)
    result = step.results[command.result]
    if result.then is not None and result.then.resume:
        gate.require(draft.net, place, sheet, command.occurred_at)
        specification.require_supplied(draft.net, draft.state, command.about)
    gate.signatures(place, sheet, command.by, command.signatures, frozenset())
    draft.flag_time(command.decision)
    due = clock.decide_by(draft.net, draft.state, command.decision, command.about)
    if due is not None and command.occurred_at > due.at:
        note = f"{due.why}: due {due.at.isoformat()}"
        late = draft.deviate(due.code, command.decision, note, detected=command.decision)
        silence.taken_over(draft, command.decision, late)
    if result.deviation is not None:
        draft.deviate(
            result.deviation,
            command.about,
            f"{command.decision} decided {command.result}",
            detected=command.decision,
        )
    draft.add(
        e.Decided(
            occurred_at=command.occurred_at,
            by=command.by,
            decision=command.decision,
            about=command.about,
            result=command.result,
            reason=command.reason,
            signatures=command.signatures,
        )
    )


def _handoff(draft: Draft, name: str) -> Handoff:
    handoff = draft.net.protocol.handoffs.get(name)
    if handoff is None:
        raise refuse("unknown-name", "handoff", f"{name!r} is no handoff of this protocol")
    if handoff.on_demand:
        raise refuse("not-possible-now", "handoff", f"{name} is a notification", "send it")
    return handoff


def _in_order(draft: Draft, command: c.Receive, handoff: Handoff, place: gate.Desk) -> None:
    """Raise Refused unless it may be accepted, and with a deviation exactly when there is one."""
    state = draft.state
    sheet = state.sheet(command.handoff, "accept")
    gate.require(draft.net, place, sheet, command.occurred_at)
    fresh(draft, carried(draft, handoff))
    departed = departures(draft.net, draft.state, command.handoff)
    if departed and command.decision == "accept":
        codes = ", ".join(f"{d} {state.deviations[d].code}" for d in departed)
        raise refuse(
            "deviation",
            "decision",
            f"there are deviations: {codes}",
            "accept with deviation, quarantine or refuse",
        )


def _raised_by(net: Net, state: State, activity: str, side: c.WorkSide) -> tuple[str, ...]:
    """Return the deviations that failed checks of one side raised in this round."""
    place = gate.desk(net, state, activity, side)
    failed = set(gate.failed(place, state.sheet(activity, side)))
    return tuple(
        d.deviation
        for d in state.deviations.values()
        if d.detected == activity and d.check in failed
    )


def departures(net: Net, state: State, handoff: str) -> tuple[str, ...]:
    """Return the deviations of this round of a handoff, on either side, reported ones included.

    A departure from the conditions of what it carries counts, whenever it was raised, until a
    person has decided what becomes of the material: what is undecided is not accepted as if
    nothing had been.
    """
    found: tuple[str, ...] = ()
    for side in ("release", "accept"):
        found = (*found, *_raised_by(net, state, handoff, side))
    begun = state.begun.get(handoff)
    reported = (
        d.deviation
        for d in state.open_deviations(handoff)
        if d.check is None and begun is not None and d.raised_at >= begun
    )
    moved = net.carried(state.marking, net.protocol.handoffs[handoff])
    undecided = (
        d.deviation
        for d in state.open_deviations()
        if d.about in moved and d.kind == "condition" and d.work.decided_at is None
    )
    return tuple(dict.fromkeys((*found, *reported, *undecided)))


def _reason(draft: Draft, command: c.Receive) -> None:
    """Raise Refused unless the reason is one of the catalogue's."""
    known = deviation.catalogue(draft.net.protocol)
    if command.decision == "accept-with-deviation" and command.reason is None:
        if departures(draft.net, draft.state, command.handoff):
            return
        raise refuse(
            "deviation", "decision", "there is no deviation", "accept, or name one as the reason"
        )
    if command.reason is None:
        raise refuse("reason-missing", "reason", f"{command.decision} needs a reason", "name one")
    if command.reason not in known:
        names = ", ".join(sorted(known))
        raise refuse("bad-value", "reason", f"no reason {command.reason!r}", f"one of: {names}")


def _own_deviation(draft: Draft, command: c.Receive) -> tuple[str, ...]:
    """Raise the deviation that the receiver names, unless a check has raised it already."""
    if command.reason is None or command.decision == "accept":
        return ()
    about = departures(draft.net, draft.state, command.handoff)
    if any(draft.state.deviations[d].code == command.reason for d in about):
        return ()
    note = command.note or f"{command.handoff}: {command.decision}"
    return (draft.deviate(command.reason, command.handoff, note, detected=command.handoff),)
