"""Silence: nothing has happened for as long as the protocol permits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey.silence import silences
from stafett.journey.tasks import next_moves
from stafett.protocol.model import Deviation
from stafett.protocol.net import Net
from stafett.watch import ladder

replace = msgspec.structs.replace
HALF = timedelta(minutes=30)


def report(stage: Any, activity: str = "H1", side: c.WorkSide = "accept") -> c.ReportSilence:
    """Return what the watch says at this moment of the journey."""
    by = c.Actor(person="watch", organisation=stage.state.owner.organisation, role=c.WATCH)
    return c.ReportSilence(occurred_at=stage.at, by=by, activity=activity, side=side)


def silent(stage: Any) -> Any:
    """Let H1 be released, and nobody take it for half an hour; return the deviation."""
    stage.walk_to("H1", "accept")
    stage.at = stage.state.begun["H1"] + HALF
    (raised,) = stage.ok(report(stage))
    return raised


def told(stage: Any) -> list[ladder.Cause]:
    """Return why somebody is told of a silence, and who."""
    found = ladder.causes(stage.net, stage.state, stage.at)
    return [cause for cause in found if cause.kind == "silence" or cause.code == "SILENCE"]


def test_the_first_rung_that_passes_makes_a_silence(stage: Any) -> None:
    """It is of the protocol's timing, minor, and began where somebody's turn was not taken."""
    raised = silent(stage)
    assert (raised.code, raised.kind, raised.severity) == ("SILENCE", "timing", "minor")
    assert (raised.about, raised.detected, raised.originated) == ("H1", "H1", "H1")
    assert raised.note == (
        f"H1, accept, round 1: courier has done nothing since "
        f"{stage.state.begun['H1'].isoformat()}; plant is told after 30 min"
    )


def test_a_silence_stays_the_same_when_its_note_is_corrected(stage: Any) -> None:
    """What it is told apart by is not the wording."""
    silent(stage)
    position = stage.state.deviations["D1"].position
    stage.ok(
        c.Correct(
            occurred_at=stage.at, by=stage.by("plant"), position=position, field="note",
            value="the courier was there", reason="I saw him",
        )
    )  # fmt: skip
    stage.no(report(stage), "already-answered")


def test_before_its_moment_there_is_no_silence(stage: Any) -> None:
    """A second before, the core refuses, and says from when on."""
    stage.walk_to("H1", "accept")
    stage.at = stage.state.begun["H1"] + HALF - timedelta(seconds=1)
    assert "it is from" in str(stage.no(report(stage), "not-possible-now"))


def test_a_silence_is_raised_once_for_each_side(stage: Any) -> None:
    """Nobody releases: one. Nobody accepts: another. Never the same twice."""
    stage.walk_to("H1", "release")
    stage.at += HALF
    stage.ok(report(stage, side="release"))
    stage.no(report(stage, side="release"), "already-answered")
    stage.walk_to("H1", "accept")
    stage.at = stage.state.begun["H1"] + HALF
    stage.ok(report(stage))
    stage.at += timedelta(hours=1)
    stage.no(report(stage), "already-answered")
    assert [d.code for d in stage.state.deviations.values()] == ["SILENCE"] * 2


def test_a_scan_breaks_the_silence(stage: Any) -> None:
    """Somebody has begun to receive: the half hour is counted from their last act."""
    stage.walk_to("H1", "accept")
    stage.at = stage.state.begun["H1"] + timedelta(minutes=20)
    stage.walk_to("H1", "accept", "seal")
    stage.at = stage.state.begun["H1"] + HALF
    stage.no(report(stage), "not-possible-now")
    stage.at += timedelta(minutes=20)
    stage.ok(report(stage))


def test_what_the_protocol_gives_no_rung_is_never_silent(stage: Any) -> None:
    """H2 has no escalation: its lateness is all that is known of it."""
    stage.walk_to("H2", "accept")
    stage.at += timedelta(days=9)
    stage.no(report(stage, "H2"), "not-possible-now")


def test_a_protocol_may_name_silence_and_weigh_it(stage: Any, net: Net) -> None:
    """Its own entry is the one that counts."""
    ours = Deviation(title="Nobody came", kind="timing", severity="major", proposal=True)
    deviations = {**net.protocol.deviations, "SILENCE": ours}
    stage.net = stage.story.net = Net(replace(net.protocol, deviations=deviations))
    assert silent(stage).severity == "major"
    (cause,) = told(stage)
    assert cause.urgency == "major"


def test_the_lateness_of_the_same_thing_takes_the_silence_over(stage: Any) -> None:
    """One thing has one open deviation; the closed one says where it goes on."""
    silent(stage)
    stage.at += timedelta(hours=3)
    stage.ok(stage.to_closing("H1", "accept"))
    first, second = stage.state.deviations.values()
    assert (first.code, first.stage) == ("SILENCE", "closed")
    assert first.conclusion == "the same thing goes on as D2"
    assert (second.deviation, second.code, second.stage) == ("D2", "LATE_DELIVERY", "raised")


def test_a_silence_that_somebody_works_on_stays_theirs(stage: Any) -> None:
    """Lateness is raised beside it, and does not close what a person has taken up."""
    raised = silent(stage)
    stage.ok(
        c.AcknowledgeDeviation(
            occurred_at=stage.at, by=stage.by("plant"), deviation=raised.deviation
        )
    )
    stage.at += timedelta(hours=3)
    stage.ok(stage.to_closing("H1", "accept"))
    assert [d.closed_at for d in stage.state.deviations.values()] == [None, None]


def test_what_is_late_is_not_silent_besides(stage: Any) -> None:
    """Who looks only after two hours finds it late; that it was silent says nothing more."""
    stage.walk_to("H1", "accept")
    stage.at = stage.state.begun["H1"] + timedelta(hours=2, minutes=1)
    late = c.RaiseDeviation(
        occurred_at=stage.at, by=report(stage).by, code="LATE_DELIVERY", about="H1", note="late"
    )
    stage.ok(late)
    assert not [one for one in silences(stage.net, stage.state) if one.task.activity == "H1"]
    stage.no(report(stage), "already-answered")


def test_who_is_told_of_a_silence_is_as_the_protocol_says(stage: Any) -> None:
    """The deviation adds no ladder of its own, and the rungs keep their times."""
    stage.walk_to("H1", "accept")
    stage.at = stage.state.begun["H1"] + HALF
    (before,) = told(stage)
    stage.ok(report(stage))
    (after,) = told(stage)
    assert (after.key, after.calls) == (before.key, before.calls)
    assert [call.at - stage.state.begun["H1"] for call in after.calls] == [HALF, 2 * HALF]
    assert ladder.quiet(stage.net, stage.state) == []


def test_whoever_takes_a_silence_up_stops_its_ladder(stage: Any) -> None:
    """Acknowledged in the record, it calls nobody any more until a decision is overdue."""
    raised = silent(stage)
    stage.ok(
        c.AcknowledgeDeviation(
            occurred_at=stage.at, by=stage.by("plant"), deviation=raised.deviation
        )
    )
    found = ladder.causes(stage.net, stage.state, stage.at)
    assert [cause.code for cause in found if cause.kind == "work"] == ["SILENCE"]


def test_a_silence_that_is_over_calls_nobody(stage: Any) -> None:
    """The courier came: the deviation is to be assessed, and is nobody's alarm."""
    raised = silent(stage)
    stage.ok(stage.to_closing("H1", "accept"))
    quiet = [(one.deviation, why) for one, why in ladder.quiet(stage.net, stage.state)]
    assert quiet == [(raised.deviation, "done")]


def test_work_under_way_within_its_time_is_not_silent(stage: Any, net: Net) -> None:
    """A step that may take eight hours has eight hours, whatever its ladder says."""
    rung = net.protocol.handoffs["H1"].escalation
    for takes, expected in ((net.protocol.steps["collect"].takes, []), (None, ["collect"])):
        step = replace(net.protocol.steps["collect"], escalation=rung, takes=takes)
        steps = {**net.protocol.steps, "collect": step}
        stage.net = stage.story.net = Net(replace(net.protocol, steps=steps))
        stage.walk_to("collect")
        assert "work" in [t.kind for t in next_moves(stage.net, stage.state)]
        assert [one.task.activity for one in silences(stage.net, stage.state)] == expected


def test_a_silence_is_an_event_like_any_other(stage: Any) -> None:
    """Told again from its events, the journey is the same."""
    from stafett.journey.evolve import evolve

    silent(stage)
    state = None
    for event in stage.story.events:
        state = evolve(stage.net, state, event)
    assert state == stage.state
    assert isinstance(stage.story.events[-1], e.DeviationRaised)


@pytest.mark.parametrize("kind", ["accept", "quarantine", "refuse"])
def test_time_between_hands_has_its_length_when_it_ends(stage: Any, kind: Any) -> None:
    """Silent, then late: both say how long nobody held it, from the release to the receiver's word.

    Nobody notes a length while it lasts.
    """
    raised = silent(stage)
    assert stage.state.deviations[raised.deviation].between is None
    began = stage.state.begun["H1"]
    late = c.RaiseDeviation(
        occurred_at=began + timedelta(hours=2, minutes=1), by=report(stage).by,
        code="LATE_DELIVERY", about="H1", note="late", originated="H1",
    )  # fmt: skip
    stage.ok(late)
    stage.at = began + timedelta(hours=3, minutes=12)
    closing = stage.to_closing("H1", "accept")
    if kind != "accept":
        closing = replace(closing, decision=kind, reason="BROKEN_SEAL", note="torn")
    stage.ok(replace(closing, occurred_at=began + timedelta(hours=3, minutes=12)))
    until = (began + timedelta(hours=3, minutes=12)).isoformat()
    said = f"; between hands 3 h 12 min, from {began.isoformat()} to {until}"
    first, second = list(stage.state.deviations.values())[:2]
    assert first.noted == raised.note + said
    assert second.noted == "late" + said


def test_what_began_elsewhere_is_no_time_between_hands(stage: Any) -> None:
    """H2 is late by the deadline that runs since H1: its own hands were quick."""
    stage.walk_to("H2", "accept").at += timedelta(hours=37)
    stage.ok(stage.to_closing("H2", "accept"))
    (raised,) = [d for d in stage.state.deviations.values() if d.about == "H2"]
    assert (raised.originated, raised.between) == ("H1", None)
