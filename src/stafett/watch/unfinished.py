"""Work that waits for somebody: decisions, actions, a supply, an offer of accountability. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from stafett.journey import assess, specification, supply
from stafett.journey.raised import Raised
from stafett.journey.state import State
from stafett.protocol.model import Severity
from stafett.protocol.net import NONE, Net
from stafett.watch.cause import DECIDE_WITHIN, DEPUTY_AFTER, OWNER_AFTER, Call, Cause, call


def unfinished(net: Net, state: State) -> list[Cause]:
    """Return what waits for somebody in a journey, with whom to call."""
    found = [_overdue(net, state, raised) for raised in _undecided(state)]
    found += _actions(state)
    if state.marking.outcome == NONE:
        found += _offered(state)
        found += [_supply(net, state, raised) for raised in specification.awaited(net, state)]
    return found


def decide_by(raised: Raised) -> datetime:
    """Return when a deviation should be decided on."""
    return raised.raised_at + DECIDE_WITHIN[raised.severity]


def _undecided(state: State) -> list[Raised]:
    """Deviations that somebody has taken up, and on which nothing is decided yet."""
    return [
        d
        for d in state.deviations.values()
        if d.closed_at is None
        and d.work.disposition is None
        and (d.acknowledged_at is not None or d.work.triaged_at is not None)
    ]


def _overdue(net: Net, state: State, raised: Raised) -> Cause:
    at = decide_by(raised)
    return _cause(
        raised,
        f"{raised.deviation}.{raised.severity}.undecided",
        raised.severity if raised.severity != "critical" else "major",
        at,
        why=f"{raised.deviation} ({raised.code}) is still to be decided",
        calls=(call(state, 0, at, state.owner.role),),
    )


def _cause(
    raised: Raised,
    key: str,
    urgency: Severity,
    since: datetime,
    *,
    why: str,
    calls: tuple[Call, ...],
) -> Cause:
    """Say that work on a deviation waits."""
    return Cause(
        key=key,
        kind="work",
        urgency=urgency,
        code=raised.code,
        activity=raised.detected or "",
        about=raised.about,
        since=since,
        why=why,
        worse="never",
        calls=calls,
    )


def _supply(net: Net, state: State, raised: Raised) -> Cause:
    """Who has the next part of a supply out of specification is told, the physician first.

    Nobody can ask for a product, or accept it, without knowing of it.
    """
    part, roles = supply.asked(net, raised)
    at = max([raised.raised_at, *(s.at for s in raised.work.statements)])
    first = tuple(call(state, 0, at, role) for role in roles if role in state.parties)
    severity: Severity = "critical" if raised.severity == "critical" else "major"
    return _cause(
        raised,
        f"{raised.deviation}.supply.{part}",
        severity,
        at,
        why=f"{raised.deviation} ({raised.code}): out of specification, it waits for: {part}",
        calls=(
            *first,
            *(c._replace(rung=1, at=at + DEPUTY_AFTER[severity], deputy=True) for c in first),
            call(state, 2, at + OWNER_AFTER[severity], state.owner.role),
        ),
    )


def _offered(state: State) -> list[Cause]:
    """Who was asked to answer for the journey is told at once; who asked, when nobody answers."""
    asked = state.offer
    if asked is None:
        return []
    at, first = asked.at, Call(0, asked.at, asked.to, asked.organisation)
    calls = (
        first,
        first._replace(rung=1, at=at + DEPUTY_AFTER["major"], deputy=True),
        call(state, 2, at + OWNER_AFTER["major"], state.owner.role),
    )
    return [
        Cause(
            key=f"{asked.offer}.offered",
            kind="work",
            urgency="major",
            code="ACCOUNTABILITY_OFFERED",
            activity="",
            about=state.journey,
            since=at,
            why=f"{asked.giver} asks {asked.to} to answer for the journey: {asked.reason}",
            worse="never",
            calls=calls,
        )
    ]


def _actions(state: State) -> list[Cause]:
    found = []
    for raised in state.deviations.values():
        for action in raised.work.actions:
            if action.finished_at is None:
                at, role, what = action.due, action.owner, "is still to be done"
            elif action.checked_at is None:
                at, role, what = action.check_by, state.owner.role, "is still to be checked"
            else:
                continue
            calls = (
                call(state, 0, at, role),
                call(state, 1, at + timedelta(days=1), state.owner.role),
            )
            key = f"{action.action}.{what.rpartition(' ')[2]}"
            why = f"{action.action} {what}: {action.what}"
            found.append(_cause(raised, key, "minor", at, why=why, calls=calls))
        found += _failed(state, raised)
    return found


def _failed(state: State, raised: Raised) -> list[Cause]:
    """An action that did not work: whoever answers for the journey has to think of another."""
    action = assess.unanswered(raised)
    if action is None or action.checked_at is None:
        return []
    at, severity = action.checked_at, raised.severity
    roles = dict.fromkeys((action.owner, state.owner.role))
    return [
        _cause(
            raised,
            f"{action.action}.failed",
            severity if severity != "critical" else "major",
            at,
            why=f"{action.action} did not work: {action.what}",
            calls=(
                *(call(state, 0, at, role) for role in roles),
                call(state, 1, at + timedelta(days=1), state.owner.role),
            ),
        )
    ]
