"""What a move does to a marking: custody, containers, routes, going back, decisions."""

from __future__ import annotations

from stafett.protocol.index import Index
from stafett.protocol.marking import (
    CONSUMED,
    DONE,
    GONE,
    IDLE,
    ISOLATED,
    LIVE,
    NONE,
    OPEN,
    PRESENT,
    QUARANTINED,
    REFUSED,
    STOPPED,
    Held,
    Marking,
    Move,
    NotPossible,
    Pending,
)
from stafett.protocol.model import Handoff, Route, Step


def after(net: Index, marking: Marking, move: Move) -> Marking:
    """Return the marking after `move`, which must be one of `moves(marking)`."""
    match move.kind:
        case "start" | "release":
            return _set(net, marking, move.subject, OPEN)
        case "finish":
            return _finish(net, marking, move.subject, move.result)
        case "accept":
            return _accept(net, marking, move.subject)
        case "quarantine":
            return _quarantine(net, marking, move.subject)
        case "refuse":
            marking = _set(net, marking, move.subject, REFUSED)
            route = net.protocol.handoffs[move.subject].on_refuse
            return _route(net, marking, route, move.subject)
        case "stop":
            return _stop(net, marking, move.subject)
        case "decide":
            return _decide(net, marking, move)
        case "lose" | "expire":
            return _gone(net, marking, move)
        case "interrupt":
            return _route(net, marking, net.protocol.interrupts[move.subject].then, move.subject)


def _set(net: Index, marking: Marking, name: str, state: int) -> Marking:
    i = net.index[name]
    states = marking.activities
    return marking._replace(activities=(*states[:i], state, *states[i + 1 :]))


def _put(net: Index, marking: Marking, name: str, held: Held) -> Marking:
    i = net.material[name]
    all_ = marking.materials
    return marking._replace(materials=(*all_[:i], held, *all_[i + 1 :]))


def _finish(net: Index, marking: Marking, name: str, result: str) -> Marking:
    """End a step. What it used up is used up whatever the result; what it made exists unless
    the result leads elsewhere, and is in quarantine while a decision about it is pending."""
    step = net.protocol.steps[name]
    route = step.results[result].then if step.results else None
    role = net.role[step.role]
    for inner in step.unpacks:
        held = marking.materials[net.material[inner]]
        marking = _put(net, marking, inner, held._replace(inside=NONE))
    for inner, outer in step.packs.items():
        held = marking.materials[net.material[inner]]
        marking = _put(net, marking, inner, held._replace(inside=net.material[outer]))
    for used in step.consumes:
        marking = _put(net, marking, used, Held(CONSUMED))
    if route is None or route.decide is not None:
        state = LIVE if route is None else QUARANTINED
        for made in step.outputs:
            marking = _put(net, marking, made, Held(state, role))
    marking = _set(net, marking, name, DONE + net.results(name).index(result))
    return marking if route is None else _route(net, marking, route, name)


def _accept(net: Index, marking: Marking, name: str) -> Marking:
    handoff = net.protocol.handoffs[name]
    receiver = net.role[handoff.receiver]
    marking = _move_custody(net, marking, handoff, receiver)
    for old, new in handoff.becomes.items():
        marking = _put(net, marking, old, Held(CONSUMED))
        marking = _put(net, marking, new, Held(LIVE, receiver))
    if handoff.transfers_accountability:
        marking = marking._replace(owner=receiver)
    return _set(net, marking, name, DONE)


def _move_custody(net: Index, marking: Marking, handoff: Handoff, receiver: int) -> Marking:
    for material in net.carried(marking, handoff):
        held = marking.materials[net.material[material]]
        if held.state in PRESENT:
            marking = _put(net, marking, material, held._replace(custodian=receiver))
    return marking


def _quarantine(net: Index, marking: Marking, name: str) -> Marking:
    handoff = net.protocol.handoffs[name]
    marking = _move_custody(net, marking, handoff, net.role[handoff.receiver])
    marking = _isolate(net, marking, net.carried(marking, handoff))
    marking = _set(net, marking, name, ISOLATED)
    return _route(net, marking, handoff.on_quarantine, name)


def _isolate(net: Index, marking: Marking, materials: tuple[str, ...]) -> Marking:
    for material in materials:
        held = marking.materials[net.material[material]]
        if held.state == LIVE:
            marking = _put(net, marking, material, held._replace(state=QUARANTINED))
    return marking


def _stop(net: Index, marking: Marking, name: str) -> Marking:
    activity = net.activity(name)
    marking = _isolate(net, marking, net.involved(marking, name))
    return _route(net, _set(net, marking, name, STOPPED), activity.on_stop, name)


def _gone(net: Index, marking: Marking, move: Move) -> Marking:
    material = net.protocol.materials[move.subject]
    for name in (*net.contents(marking, move.subject), move.subject):
        held = marking.materials[net.material[name]]
        marking = _put(net, marking, name, held._replace(state=GONE, inside=NONE))
    route = material.on_lost if move.kind == "lose" else material.on_expired
    return _route(net, marking, route, move.subject)


def _route(net: Index, marking: Marking, route: Route | None, origin: str) -> Marking:
    if route is None:
        raise NotPossible(f"{origin} has no route for this")
    if route.end is not None:
        return marking._replace(outcome=net.outcomes.index(route.end), pending=())
    if route.decide is not None:
        pending = Pending(net.index[route.decide], origin)
        return marking._replace(pending=tuple(sorted({*marking.pending, pending})))
    if route.go is not None:
        return _go(net, marking, route.go)
    raise NotPossible(f"{origin}: a route must say go, decide or end")


def _go(net: Index, marking: Marking, name: str) -> Marking:
    """Start `name` and all that depends on it afresh; what they had made is discarded."""
    sent = [name]
    while (tries := marking.attempts[net.index[name]] + 1) >= (net.activity(name).attempts or 1):
        exhausted = net.activity(name).exhausted
        if exhausted is None:
            raise NotPossible(f"{name} has no attempt left and no route for that")
        if exhausted.go is None:
            return _route(net, marking, exhausted, name)
        if exhausted.go in sent:
            raise NotPossible(f"{name} has no attempt left and is sent round in a circle")
        name = exhausted.go
        sent.append(name)
    again = net.downstream(name)
    discarded = net.made_by(again)
    for material in discarded:
        held = marking.materials[net.material[material]]
        if held.state in PRESENT or held.state == CONSUMED:
            marking = _put(net, marking, material, Held(GONE, held.custodian))
    marking = _take_out(net, marking)
    states = tuple(
        IDLE if activity in again else state
        for activity, state in zip(net.activities, marking.activities, strict=True)
    )
    attempts = tuple(
        tries if activity == name else 0 if activity in again else count
        for activity, count in zip(net.activities, marking.attempts, strict=True)
    )
    pending = tuple(p for p in marking.pending if p.about not in again and p.about not in discarded)
    return marking._replace(activities=states, attempts=attempts, pending=pending)


def _take_out(net: Index, marking: Marking) -> Marking:
    """Let nothing be inside a container that exists no more."""
    for name, held in zip(net.materials, marking.materials, strict=True):
        if held.inside != NONE and marking.materials[held.inside].state not in PRESENT:
            marking = _put(net, marking, name, held._replace(inside=NONE))
    return marking


def _decide(net: Index, marking: Marking, move: Move) -> Marking:
    decision = net.protocol.steps[move.subject]
    route = decision.results[move.result].then
    pending = Pending(net.index[move.subject], move.detail)
    left = tuple(p for p in marking.pending if p != pending)
    marking = marking._replace(pending=left)
    if route is None:
        raise NotPossible(f"{move.subject}={move.result} says nothing about the held activity")
    if route.decide is None:
        marking = _lift(net, marking, move.detail)
    if route.resume:
        return _resume(net, marking, move.detail)
    return _route(net, marking, route, move.detail)


def _lift(net: Index, marking: Marking, held: str) -> Marking:
    """Lift the quarantine of what `held` worked on, unless another decision awaits it."""
    others: set[str] = set()
    for pending in marking.pending:
        if pending.about in net.index:
            others |= set(_touched(net, marking, pending.about))
    for material in _touched(net, marking, held) if held in net.index else ():
        at = marking.materials[net.material[material]]
        if at.state == QUARANTINED and material not in others:
            marking = _put(net, marking, material, at._replace(state=LIVE))
    return marking


def _touched(net: Index, marking: Marking, name: str) -> tuple[str, ...]:
    activity = net.activity(name)
    made = activity.outputs if isinstance(activity, Step) else ()
    return (*net.involved(marking, name), *made)


def _resume(net: Index, marking: Marking, held: str) -> Marking:
    if held in net.protocol.interrupts:
        return marking
    if held not in net.index:
        raise NotPossible(f"{held} is gone: there is nothing to resume")
    state = net.state(marking, held)
    if held in net.protocol.handoffs:
        if state == ISOLATED:
            return _accept(net, marking, held)
        return _set(net, marking, held, IDLE)
    return _set(net, marking, held, OPEN) if state == STOPPED else marking
