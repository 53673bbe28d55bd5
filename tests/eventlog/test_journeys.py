"""Stafett's own record: journey events become steps with queues and handoffs with outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stafett.eventlog import LogUnreadableError, Reading, log_from_journeys, read_log

Write = Callable[..., Path]
APHERESIS = {"person": "anna", "organisation": "hospital", "role": "apheresis"}
COURIER = {"person": "bo", "organisation": "courier", "role": "driver"}


def event(
    what: str, minute: int, by: dict[str, str] | None = None, /, **more: Any
) -> dict[str, Any]:
    """Return a journey event as JSON would have it."""
    at = f"2026-03-02T{8 + minute // 60:02d}:{minute % 60:02d}:00+01:00"
    return {"type": what, "occurred_at": at, "by": by or APHERESIS, "round": 1, **more}


STORY = [
    event("JourneyOpened", 0, journey="J1", protocol="car-t", version="1.0", product=None),
    event("StepStarted", 5, step="collect"),
    event("StepFinished", 65, step="collect", result="done", deviations=[]),
    event("StepStarted", 75, step="pack"),
    event("StepFinished", 80, step="pack", result="done", deviations=[]),
    event("Released", 90, handoff="H1", giver="apheresis", receiver="driver"),
    event("CheckAnswered", 120, COURIER, activity="H1", side="accept"),
    event("DeviationRaised", 121, COURIER, deviation="D1", kind="labelling", detected="H1"),
    event("Accepted", 122, COURIER, handoff="H1", with_deviation=True, deviations=["D1"]),
    event("DeviationClosed", 200, COURIER, deviation="D1", conclusion="", originated="pack"),
]  # fmt: skip


def log(story: list[dict[str, Any]], **options: Any) -> Any:
    """Return the log of one journey."""
    return log_from_journeys(
        [(i, {"stream": "J1", "body": {"event": e}}) for i, e in enumerate(story, start=1)],
        **options,
    )


def test_steps_have_their_queue() -> None:
    """Packing began ten minutes after the collection was done: that is its wait."""
    collect, pack = log(STORY).steps.iter_rows(named=True)
    assert pack["start"] - pack["enqueue"] == timedelta(minutes=10)
    assert collect["end"] - collect["start"] == timedelta(minutes=60)
    assert collect["case:protocol"] == "car-t"


def test_a_handoff_runs_from_release_to_acceptance() -> None:
    """It begins with what the receiver first recorded, and tells who gave to whom."""
    (row,) = log(STORY).handoffs.iter_rows(named=True)
    assert (row["giver"], row["receiver"]) == ("hospital / apheresis", "courier / driver")
    assert row["start"] - row["enqueue"] == timedelta(minutes=30)
    assert row["end"] - row["enqueue"] == timedelta(minutes=32)
    assert row["outcome"] == "deviation"


def test_a_deviation_stands_where_it_was_detected_with_its_origin() -> None:
    """Detected at the handoff; the assessment said that it began at packing."""
    (row,) = log(STORY).handoffs.iter_rows(named=True)
    assert (row["deviation"], row["detected_at"], row["origin"]) == ("labelling", "H1", "pack")


def test_open_work_stays_open() -> None:
    """A release that nobody answered is open; if the journey ends untreated, withdrawn."""
    released = STORY[:6]
    (row,) = log(released).handoffs.iter_rows(named=True)
    assert row["end"] is None and row["outcome"] == "open"
    ended = [*released, event("JourneyEnded", 300, outcome="died", treated=False)]
    (row,) = log(ended).handoffs.iter_rows(named=True)
    assert row["outcome"] == "withdrawn" and row["end"] is not None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (event("Accepted", 10, handoff="H9"), "row 1: H9 is accepted, but it was not released"),
        ({**STORY[1], "occurred_at": "2026-03-02T08:00:00"}, "names no time zone"),
        ({**STORY[1], "occurred_at": "soon"}, "cannot be read: 'soon'"),
        ({**STORY[1], "by": None}, "does not say who did it"),
        ({**STORY[5], "handoff": 7}, "a Released without handoff"),
        ({"occurred_at": "x"}, "no type of event"),
    ],
)
def test_what_does_not_fit_is_named(wrong: dict[str, Any], message: str) -> None:
    """Each wrong entry is named by its place; the rest can be kept."""
    with pytest.raises(LogUnreadableError, match=message):
        log([wrong, *STORY])
    kept = log([wrong, *STORY], skip_bad=True)
    assert kept.handoffs.height == 1 and len(kept.skipped) == 1


def test_json_lines_are_read(write: Write) -> None:
    """Bare events, ledger entries, and lines with an index before them."""
    bare = "\n".join(json.dumps({**e, "journey": "J1"}) for e in STORY)
    entries = "\n".join(
        f"{i} {json.dumps({'stream': 'J1', 'body': {'event': e}})}" for i, e in enumerate(STORY)
    )
    for text in (bare, entries):
        assert read_log(write(text, "record.jsonl")).handoffs.height == 1


def test_a_line_that_is_no_json_is_named(write: Write) -> None:
    """A torn line is refused by its number, or skipped and counted."""
    text = json.dumps({**STORY[1], "journey": "J1"}) + "\n{torn\n"
    with pytest.raises(LogUnreadableError, match="row 2: it is no JSON object"):
        read_log(write(text, "record.jsonl"))
    kept = read_log(write(text, "record.jsonl"), reading=Reading(skip_bad=True))
    assert kept.steps.height == 1 and len(kept.skipped) == 1


@settings(deadline=None)
@given(st.lists(st.sampled_from(STORY), max_size=25))
def test_any_order_is_answered(story: list[dict[str, Any]]) -> None:
    """Events in any order and number give a log or a refusal in words, never something else."""
    try:
        found = log(story, skip_bad=True)
    except LogUnreadableError as error:
        assert str(error)
    else:
        assert found.frame["start"].null_count() == 0


def test_a_played_journey_is_read() -> None:
    """The journey core's own events: a whole journey with one handoff refused."""
    from datetime import UTC, datetime

    from stafett.journey.event import to_json
    from stafett.journey.script import Fault, play
    from stafett.protocol.net import Net
    from stafett.protocol.read import read

    net = Net(read(Path(__file__).parent.parent / "journey" / "rich.yaml").bind())
    story = play(net, datetime(2026, 3, 2, 7, 30, tzinfo=UTC), faults=(Fault("REFUSE", "H4"),))
    found = log([json.loads(json.dumps(to_json(e), default=list)) for e in story.events])
    handoffs = {(r["activity"], r["outcome"]) for r in found.handoffs.iter_rows(named=True)}
    assert {("H0", "ok"), ("H4", "refused"), ("H4", "ok"), ("H5", "ok")} <= handoffs
    assert {"collect", "manufacture", "infuse"} <= set(found.steps["activity"])
    troubled = found.frame.filter(found.frame["detected_at"].is_not_null())
    assert troubled["activity"].to_list() == ["H4"]


SILENCE = event(
    "DeviationRaised", 100, COURIER, deviation="D1", code="SILENCE", kind="timing", detected="H1",
    about="H1", originated="H1",
)  # fmt: skip


def test_a_silence_is_a_matter_of_timing_and_spoils_nothing() -> None:
    """It is counted at its handoff, which was right first time all the same."""
    accepted = event("Accepted", 122, COURIER, handoff="H1", with_deviation=False, deviations=[])
    (row,) = log([*STORY[:6], SILENCE, accepted]).handoffs.iter_rows(named=True)
    assert (row["deviation"], row["outcome"]) == ("timing", "ok")
    assert row["origin"] is row["detected_at"] is None


def test_where_a_silence_began_counts_when_a_person_has_named_it() -> None:
    """The record names whose turn it was; the analysis of origin waits for an assessment."""
    named = event("CauseNamed", 115, COURIER, deviation="D1", cause="people", originated="pack")
    accepted = event("Accepted", 122, COURIER, handoff="H1", with_deviation=False, deviations=[])
    (row,) = log([*STORY[:6], SILENCE, named, accepted]).handoffs.iter_rows(named=True)
    assert (row["detected_at"], row["origin"]) == ("H1", "pack")


def test_what_is_found_after_a_silence_stands_in_its_place() -> None:
    """The mismatch is what the handoff is counted for, and it began elsewhere."""
    later = [{**one, "deviation": "D2"} if "deviation" in one else one for one in STORY[6:]]
    named = event("CauseNamed", 210, COURIER, deviation="D1", originated="collect")
    (row,) = log([*STORY[:6], SILENCE, *later, named]).handoffs.iter_rows(named=True)
    assert (row["deviation"], row["origin"]) == ("labelling", "pack")


def test_a_silence_about_what_is_still_to_begin_marks_no_round_that_is_over() -> None:
    """Nobody releases H1 a second time: the first round was what it was."""
    accepted = event("Accepted", 122, COURIER, handoff="H1", with_deviation=False, deviations=[])
    (row,) = log([*STORY[:6], accepted, {**SILENCE, "round": 2}]).handoffs.iter_rows(named=True)
    assert row["deviation"] is None
