"""Who is told, in which order and until when: from the record alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from stafett.journey import command as c
from stafett.journey.decide import decide
from stafett.journey.evolve import evolve
from stafett.journey.refusal import Refusal
from stafett.journey.state import State
from stafett.protocol.net import Net
from stafett.watch.ladder import OWNER_AFTER, Cause, causes, next_call, quiet
from stafett.watch.limits import limits, soon

replace = msgspec.structs.replace


def at_work(states: tuple[Net, list[State]], activity: str) -> State:
    """Return the first state in which `activity` is under way."""
    _, every = states
    return next(s for s in every if activity in s.begun and activity not in s.done)


def done(net: Net, state: State, command: c.Command) -> State:
    """Return the state after a command that must be taken."""
    made = decide(net, state, command)
    assert not isinstance(made, Refusal), str(made)
    for event in made:
        state = evolve(net, state, event)
    return state


def raised(states: tuple[Net, list[State]], code: str, at: str = "H07") -> tuple[Net, State]:
    """Return the journey with one deviation at an activity that is under way."""
    net = states[0]
    state = at_work(states, at)
    by = c.Actor(person="p", organisation=state.parties["courier"], role="courier")
    plain: Any = {
        "occurred_at": state.latest_at,
        "by": by,
        "code": code,
        "about": at,
        "note": "x",
    }
    return net, done(net, state, c.RaiseDeviation(**plain))


def only(found: list[Cause], kind: str) -> Cause:
    """Return the one cause of a kind."""
    (one,) = [cause for cause in found if cause.kind == kind]
    return one


def test_what_is_about_to_be_late_calls_who_can_act_before_it_is_late(
    states: tuple[Net, list[State]],
) -> None:
    """When a quarter of the time is left, the one whose act it is is called; late, no longer."""
    net, state = states[0], at_work(states, "H07")
    limit = next(one for one in limits(net, state) if one.subject == "H07")
    moment = limit.soon_at
    assert limit not in soon(net, state, moment - timedelta(seconds=1))
    assert limit in soon(net, state, moment)
    cause = next(x for x in causes(net, state, moment) if x.key == f"{limit.key}.soon")
    assert [call.role for call in cause.calls] == [net.protocol.handoffs["H07"].receiver]
    assert cause.worse == "late"
    assert all(x.key != cause.key for x in causes(net, state, limit.at))


def test_a_critical_deviation_reaches_both_sides_and_the_owner_at_once(
    states: tuple[Net, list[State]],
) -> None:
    """The first rung holds giver, receiver and owner; the next ones come within the hour."""
    net, state = raised(states, "IDENTITY_MISMATCH")
    cause = only(causes(net, state, state.latest_at), "deviation")
    handoff = net.protocol.handoffs["H07"]
    first = {call.role for call in cause.calls if call.rung == 0}
    assert {handoff.giver, handoff.receiver, state.owner.role} <= first
    assert max(call.at for call in cause.calls) == state.latest_at + OWNER_AFTER["critical"]


def test_a_ladder_rises_and_ends_at_the_owner(states: tuple[Net, list[State]]) -> None:
    """Each rung comes after the one before, and the last one is the accountable owner."""
    net, state = raised(states, "TEMP_EXCURSION")
    calls = only(causes(net, state, state.latest_at), "deviation").calls
    moments = [call.at for call in calls]
    assert moments == sorted(moments)
    assert calls[-1].role == state.owner.role


def test_a_deviation_that_nobody_takes_up_does_not_wait_for_a_ladder_of_weeks(
    states: tuple[Net, list[State]],
) -> None:
    """A referral may take 14 days; of a deviation there the owner hears within three."""
    net, state = raised(states, "TEMP_EXCURSION", "H01")
    calls = only(causes(net, state, state.latest_at), "deviation").calls
    waits = [call.at - state.latest_at for call in calls if call.rung >= 2]
    assert waits[0] == timedelta(days=2)
    assert timedelta(days=2) < waits[-1] < timedelta(days=3)
    assert calls[-1].role == state.owner.role


def test_acknowledged_in_the_record_the_ladder_is_over(states: tuple[Net, list[State]]) -> None:
    """Somebody takes care of it; later the owner hears if nothing is decided."""
    net, state = raised(states, "TEMP_EXCURSION")
    by = c.Actor(person="p", organisation=state.parties["courier"], role="courier")
    state = done(
        net, state, c.AcknowledgeDeviation(occurred_at=state.latest_at, by=by, deviation="D1")
    )
    found = causes(net, state, state.latest_at)
    assert [cause for cause in found if cause.kind == "deviation"] == []
    work = only(found, "work")
    assert [call.at for call in work.calls] == [state.latest_at + timedelta(days=7)]


def test_a_worse_severity_is_a_cause_of_its_own(states: tuple[Net, list[State]]) -> None:
    """An acknowledgement silences a major deviation, not the critical one it turned out to be."""
    net, state = raised(states, "TEMP_EXCURSION")
    before = only(causes(net, state, state.latest_at), "deviation").key
    worse = {
        **state.deviations,
        "D1": replace(state.deviations["D1"], severity="critical"),
    }
    after = only(causes(net, replace(state, deviations=worse), state.latest_at), "deviation").key
    assert before != after


def test_what_was_late_and_is_done_calls_nobody(states: tuple[Net, list[State]]) -> None:
    """Nothing can be mended any more: it is on the triage list, and nobody's pager."""
    net, every = states
    state = next(s for s in every if "H07" in s.done)
    by = c.Actor(person="p", organisation=state.parties["courier"], role="courier")
    plain: Any = {"occurred_at": state.latest_at, "by": by, "note": "x"}
    state = done(net, state, c.RaiseDeviation(code="LATE_DELIVERY", about="H07", **plain))
    assert [x for x in causes(net, state, state.latest_at) if x.kind == "deviation"] == []
    assert [entry.deviation for entry, _ in quiet(net, state)] == ["D1"]


def test_every_call_is_waited_for(states: tuple[Net, list[State]]) -> None:
    """In each state the next moment is never later than a call or a warning that is to come."""
    net, every = states
    for state in every[::7]:
        now = state.latest_at
        found = causes(net, state, now)
        moments = [call.at for x in found for call in x.calls if call.at > now]
        then = next_call(state, now, found, limits(net, state))
        assert not moments or (then is not None and then <= min(moments))


def test_the_keys_of_one_state_differ(states: tuple[Net, list[State]]) -> None:
    """Two causes never share the key that makes each rung be called once."""
    net, every = states
    for state in every:
        keys = [cause.key for cause in causes(net, state, state.latest_at)]
        assert len(keys) == len(set(keys))
