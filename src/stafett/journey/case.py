"""A deviation's state after each event of the work on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from stafett.journey import event as e
from stafett.journey.state import Action, Raised, State, Statement, Work
from stafett.protocol.net import Net

replace = msgspec.structs.replace


def _worked(state: State, name: str, **changes: Any) -> State:
    raised = state.deviations[name]
    return _with(state, replace(raised, work=replace(raised.work, **changes)))


def _with(state: State, raised: Raised) -> State:
    return replace(state, deviations={**state.deviations, raised.deviation: raised})


def _work(state: State, name: str) -> Work:
    return state.deviations[name].work


def _triaged(net: Net, state: State, event: e.DeviationTriaged) -> State:
    state = _with(state, replace(state.deviations[event.deviation], severity=event.severity))
    return _worked(
        state,
        event.deviation,
        triaged_at=event.occurred_at,
        criteria=event.criteria,
        impact=event.impact,
    )


def _acted(net: Net, state: State, event: e.ImmediateActionTaken) -> State:
    done = _work(state, event.deviation).immediate
    return _worked(state, event.deviation, immediate=(*done, event.what))


def _cause(net: Net, state: State, event: e.CauseNamed) -> State:
    state = _worked(state, event.deviation, cause=event.cause, why=event.why)
    raised = state.deviations[event.deviation]
    return _with(state, replace(raised, originated=event.originated or raised.originated))


def _stated(net: Net, state: State, event: e.OutOfSpecificationStated) -> State:
    said = Statement(
        part=event.part,
        role=event.by.role,
        person=event.by.person,
        statement=event.statement,
        at=event.occurred_at,
    )
    before = _work(state, event.deviation).statements
    return _worked(state, event.deviation, statements=(*before, said))


def _decided(net: Net, state: State, event: e.DeviationDecided) -> State:
    return _worked(
        state,
        event.deviation,
        disposition=event.disposition,
        reason=event.reason,
        decided_at=event.occurred_at,
    )


def _planned(net: Net, state: State, event: e.ActionPlanned) -> State:
    action = Action(
        action=event.action,
        what=event.what,
        owner=event.owner,
        organisation=event.organisation,
        due=event.due,
        check_by=event.check_by,
    )
    before = _work(state, event.deviation).actions
    return _worked(state, event.deviation, actions=(*before, action))


def _changed(state: State, deviation: str, action: str, **changes: Any) -> State:
    actions = tuple(
        replace(a, **changes) if a.action == action else a for a in _work(state, deviation).actions
    )
    return _worked(state, deviation, actions=actions)


def _finished(net: Net, state: State, event: e.ActionFinished) -> State:
    return _changed(
        state,
        event.deviation,
        event.action,
        finished_at=event.occurred_at,
        finished_by=event.by.person,
        result=event.result,
    )


def _checked(net: Net, state: State, event: e.ActionChecked) -> State:
    return _changed(
        state,
        event.deviation,
        event.action,
        checked_at=event.occurred_at,
        effective=event.effective,
        evidence=event.evidence,
    )


CHANGES: dict[type, Callable[[Net, State, Any], State]] = {
    e.DeviationTriaged: _triaged,
    e.ImmediateActionTaken: _acted,
    e.CauseNamed: _cause,
    e.OutOfSpecificationStated: _stated,
    e.DeviationDecided: _decided,
    e.ActionPlanned: _planned,
    e.ActionFinished: _finished,
    e.ActionChecked: _checked,
}
