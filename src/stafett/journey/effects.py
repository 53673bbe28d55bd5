"""What a move of the protocol means for materials, custody, accountability and decisions.

Found by comparing the marking before and after the move, so every rule of the net shows in the
record without being written a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from stafett.journey import event as e
from stafett.journey.state import State
from stafett.protocol.model import Step
from stafett.protocol.net import (
    CONSUMED,
    IDLE,
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
    Net,
)


def effects(net: Net, state: State, move: Move, primary: e.Event) -> Iterator[e.Event]:
    """Yield what follows from `move`, made in `state` (the state before it) by `primary`."""
    after = net.after(state.marking, move)
    yield from _endings(net, state, after, move, primary)
    yield from _beginnings(net, state, after, move, primary)
    yield from _changes(net, state, after, move, primary)
    if after.owner != state.marking.owner:
        role = net.roles[after.owner]
        yield e.AccountabilityMoved(
            occurred_at=primary.occurred_at,
            by=primary.by,
            giver=net.roles[state.marking.owner],
            receiver=role,
            organisation=state.parties[role],
        )
    again = renewed(net, state.marking, after)
    if again:
        yield e.StartedAfresh(
            occurred_at=primary.occurred_at,
            by=primary.by,
            activities=again,
            because=move.detail or move.subject,
        )
    for pending in after.pending:
        if pending not in state.marking.pending:
            decision = net.activities[pending.decision]
            role = net.protocol.steps[decision].role
            yield e.DecisionAwaited(
                occurred_at=primary.occurred_at,
                by=primary.by,
                decision=decision,
                about=pending.about,
                role=role,
                organisation=state.parties[role],
            )
    if after.outcome != NONE and state.marking.outcome == NONE:
        name = net.outcomes[after.outcome]
        outcome = net.protocol.outcomes[name]
        yield e.JourneyEnded(
            occurred_at=primary.occurred_at,
            by=primary.by,
            outcome=name,
            owner=outcome.owner,
            organisation=state.parties[outcome.owner],
            treated=outcome.treated,
            materials=outcome.materials,
        )


def renewed(net: Net, before: Marking, after: Marking) -> tuple[str, ...]:
    """Return the activities that a move makes begin afresh, in the net's order."""
    again: set[str] = set()
    for i, name in enumerate(net.activities):
        # Only the target of a `go` gains an attempt; all that depends on it starts afresh too.
        if after.attempts[i] > before.attempts[i]:
            again |= net.downstream(name)
        was, now = before.activities[i], after.activities[i]
        if was in (STOPPED, REFUSED) and now in (IDLE, OPEN):
            again.add(name)
    return tuple(name for name in net.activities if name in again)


def _made(net: Net, move: Move) -> tuple[str, ...]:
    """Return what was made by the activity that `move` ends, if it ends one."""
    name = move.detail if move.kind == "decide" else move.subject
    if move.kind not in ("finish", "accept", "decide") or name not in net.index:
        return ()
    return net.made_by(frozenset((name,)))


def _remade(net: Net, move: Move) -> tuple[str, ...]:
    """Return what a step uses up and makes again under the same name."""
    step = net.protocol.steps.get(move.subject)
    if move.kind != "finish" or step is None:
        return ()
    return tuple(name for name in step.outputs if name in step.consumes)


def _pairs(net: Net, state: State, after: Marking) -> Iterator[tuple[str, Held, Held]]:
    return zip(net.materials, state.marking.materials, after.materials, strict=True)


def _endings(
    net: Net, state: State, after: Marking, move: Move, primary: e.Event
) -> Iterator[e.Event]:
    remade = _remade(net, move)
    for name, was, now in _pairs(net, state, after):
        if was.state not in PRESENT:
            continue
        lot = state.current[name]
        if now.state == CONSUMED or name in remade:
            yield e.MaterialConsumed(
                occurred_at=primary.occurred_at,
                by=primary.by,
                material=name,
                lot=lot,
                used_in=move.detail or move.subject,
            )
        elif now.state not in PRESENT:
            yield e.MaterialGone(
                occurred_at=primary.occurred_at,
                by=primary.by,
                material=name,
                lot=lot,
                reason=_reason(net, state, move, name),
            )


def _reason(
    net: Net, state: State, move: Move, name: str
) -> Literal["lost", "expired", "discarded"]:
    if move.kind not in ("lose", "expire"):
        return "discarded"
    if name != move.subject and name not in net.contents(state.marking, move.subject):
        return "discarded"
    return "lost" if move.kind == "lose" else "expired"


def _beginnings(
    net: Net, state: State, after: Marking, move: Move, primary: e.Event
) -> Iterator[e.Event]:
    made, remade = _made(net, move), _remade(net, move)
    name = move.detail if move.kind == "decide" else move.subject
    for material, was, now in _pairs(net, state, after):
        if now.state not in PRESENT or (was.state in PRESENT and material not in remade):
            continue
        count = sum(1 for lot in state.lots.values() if lot.material == material)
        role = net.roles[now.custodian]
        yield e.MaterialCreated(
            occurred_at=primary.occurred_at,
            by=primary.by,
            material=material,
            lot=f"{material}/{count + 1}",
            parents=_parents(net, state, name, material) if material in made else (),
            made_in=name,
            role=role,
            organisation=state.parties[role],
            identifiers=_labels(state, name, material),
            quarantined=now.state == QUARANTINED,
        )


def _parents(net: Net, state: State, name: str, material: str) -> tuple[str, ...]:
    activity = net.activity(name)
    if isinstance(activity, Step):
        # A box is not made from what is put into it, nor that from the box.
        boxed = _is_packaging(net, material)
        sources = tuple(m for m in activity.inputs if _is_packaging(net, m) == boxed)
    else:
        sources = tuple(old for old, new in activity.becomes.items() if new == material)
    return tuple(state.current[source] for source in sources if source in state.current)


def _is_packaging(net: Net, material: str) -> bool:
    return net.protocol.materials[material].purpose == "packaging"


def _labels(state: State, activity: str, material: str) -> dict[str, str]:
    """Return the labels that were bound, in this round, to what `activity` makes."""
    labels: dict[str, str] = {}
    for key, sheet in state.sheets.items():
        if key.partition(":")[0] == activity:
            labels.update(sheet.bound.get(material, {}))
    return labels


def _changes(
    net: Net, state: State, after: Marking, move: Move, primary: e.Event
) -> Iterator[e.Event]:
    remade = _remade(net, move)
    at, by = primary.occurred_at, primary.by
    for name, was, now in _pairs(net, state, after):
        if was.state not in PRESENT or now.state not in PRESENT or name in remade:
            continue
        lot = state.current[name]
        if was.custodian != now.custodian:
            role = net.roles[now.custodian]
            yield e.CustodyMoved(
                occurred_at=at,
                by=by,
                material=name,
                lot=lot,
                handoff=move.detail or move.subject,
                giver=net.roles[was.custodian],
                receiver=role,
                organisation=state.parties[role],
            )
        if (was.state, now.state) == (LIVE, QUARANTINED):
            yield e.MaterialQuarantined(
                occurred_at=at, by=by, material=name, lot=lot, because=move.subject
            )
        if (was.state, now.state) == (QUARANTINED, LIVE):
            yield e.QuarantineLifted(occurred_at=at, by=by, material=name, lot=lot)
        if was.inside != now.inside:
            if now.inside == NONE:
                yield e.MaterialUnpacked(occurred_at=at, by=by, material=name, lot=lot)
            else:
                outer = state.current[net.materials[now.inside]]
                yield e.MaterialPacked(occurred_at=at, by=by, material=name, lot=lot, outer=outer)
