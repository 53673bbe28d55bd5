"""A deviation's state after each event of the work on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from stafett.journey import event as e
from stafett.journey.raised import (
    Action,
    Decided,
    Finished,
    Looked,
    Named,
    Raised,
    Statement,
    Triaged,
    Work,
)
from stafett.journey.state import State
from stafett.protocol.net import Net

replace = msgspec.structs.replace


def _with(state: State, raised: Raised) -> State:
    return replace(state, deviations={**state.deviations, raised.deviation: raised})


def _worked(state: State, name: str, work: Work) -> State:
    return _with(state, replace(state.deviations[name], work=work))


def _work(state: State, name: str) -> Work:
    return state.deviations[name].work


def _triaged(net: Net, state: State, event: e.DeviationTriaged) -> State:
    state = _with(state, replace(state.deviations[event.deviation], severity=event.severity))
    judged = Triaged(at=event.occurred_at, criteria=event.criteria, impact=event.impact)
    work = replace(_work(state, event.deviation), triaged=judged)
    return _worked(state, event.deviation, work)


def _acted(net: Net, state: State, event: e.ImmediateActionTaken) -> State:
    work = _work(state, event.deviation)
    done = (*work.immediate, event.what)
    return _worked(state, event.deviation, replace(work, immediate=done))


def _cause(net: Net, state: State, event: e.CauseNamed) -> State:
    raised = state.deviations[event.deviation]
    work = replace(raised.work, named=Named(cause=event.cause, why=event.why))
    began = event.originated or raised.originated
    return _with(state, replace(raised, work=work, originated=began))


def _stated(net: Net, state: State, event: e.OutOfSpecificationStated) -> State:
    said = Statement(
        part=event.part,
        role=event.by.role,
        person=event.by.person,
        statement=event.statement,
        at=event.occurred_at,
    )
    work = _work(state, event.deviation)
    return _worked(state, event.deviation, replace(work, statements=(*work.statements, said)))


def _decided(net: Net, state: State, event: e.DeviationDecided) -> State:
    decided = Decided(at=event.occurred_at, disposition=event.disposition, reason=event.reason)
    work = replace(_work(state, event.deviation), decided=decided)
    return _worked(state, event.deviation, work)


def _planned(net: Net, state: State, event: e.ActionPlanned) -> State:
    action = Action(
        action=event.action,
        what=event.what,
        owner=event.owner,
        organisation=event.organisation,
        due=event.due,
        check_by=event.check_by,
    )
    work = _work(state, event.deviation)
    return _worked(state, event.deviation, replace(work, actions=(*work.actions, action)))


def _changed(
    state: State, deviation: str, action: str, change: Callable[[Action], Action]
) -> State:
    work = _work(state, deviation)
    actions = tuple(change(a) if a.action == action else a for a in work.actions)
    return _worked(state, deviation, replace(work, actions=actions))


def _finished(net: Net, state: State, event: e.ActionFinished) -> State:
    done = Finished(at=event.occurred_at, person=event.by.person, result=event.result)
    return _changed(state, event.deviation, event.action, lambda a: replace(a, finished=done))


def _checked(net: Net, state: State, event: e.ActionChecked) -> State:
    seen = Looked(at=event.occurred_at, effective=event.effective, evidence=event.evidence)
    return _changed(state, event.deviation, event.action, lambda a: replace(a, looked=seen))


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
