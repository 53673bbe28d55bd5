"""Time: shelf lives, deadlines, and clocks that cannot be right."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey.tasks import next_moves
from stafett.protocol.net import Net
from stafett.watch import ladder, limits

replace = msgspec.structs.replace


def only(events: Any, kind: type) -> Any:
    return next(event for event in events if isinstance(event, kind))


def test_what_has_expired_is_not_passed_on(stage: Any) -> None:
    """After 48 hours the bag is not released; the refusal says to report it."""
    release = stage.to_closing("H2", "release")
    late = replace(release, occurred_at=stage.at + timedelta(hours=49))
    refusal = stage.no(late, "expired")
    assert [then.material for then in refusal.then] == ["bag"]


def test_expiry_takes_the_protocols_way(stage: Any) -> None:
    """Reported, the bag is gone, raised, and collected anew."""
    release = stage.to_closing("H2", "release")
    stage.at += timedelta(hours=49)
    late = replace(release, occurred_at=stage.at)
    events = stage.ok(stage.no(late, "expired").then[0])
    assert only(events, e.DeviationRaised).code == "HOLD_TIME_EXCEEDED"
    assert (only(events, e.MaterialGone).lot, only(events, e.MaterialGone).reason) == (
        "bag/1",
        "expired",
    )
    assert "collect" in only(events, e.StartedAfresh).activities


def test_what_begins_afresh_keeps_when_it_had_been_done(stage: Any) -> None:
    """Collection had been; what comes after the handoff that was under way had not."""
    release = stage.to_closing("H2", "release")
    collected = stage.state.done["collect"]
    stage.at += timedelta(hours=49)
    late = replace(release, occurred_at=stage.at)
    events = stage.ok(stage.no(late, "expired").then[0])
    kept = {one.activity: one for one in stage.state.afresh}
    assert tuple(kept) == only(events, e.StartedAfresh).activities
    assert kept["collect"].done_at == collected
    assert kept["H2"].done_at is None
    assert {one.at for one in stage.state.afresh} == {stage.at}
    assert "collect" not in stage.state.done


def test_the_watch_may_report_an_expiry(stage: Any) -> None:
    """The service's own clock reports, in no organisation's name."""
    stage.walk_to("H2", "release")
    by = c.Actor(person="watch", organisation="stafett", role=c.WATCH)
    at = stage.at + timedelta(hours=49)
    stage.ok(c.ReportExpired(occurred_at=at, by=by, material="bag"))


def test_what_has_not_expired_is_not_reported(stage: Any) -> None:
    """A report before the time is refused, and told when it will be."""
    stage.walk_to("H2", "release")
    report = c.ReportExpired(occurred_at=stage.at, by=stage.by("plant"), material="bag")
    assert "it expires at" in str(stage.no(report, "not-possible-now"))


def test_an_infusion_that_ends_late_is_recorded(stage: Any) -> None:
    """It did happen: the record takes it, and raises the thaw clock and the deadline."""
    finish = stage.to_closing("infuse")
    late = replace(finish, occurred_at=stage.at + timedelta(minutes=31))
    events = stage.ok(late)
    codes = [event.code for event in events if isinstance(event, e.DeviationRaised)]
    assert codes == ["LATE", "THAW_CLOCK_EXCEEDED"]
    assert only(events, e.JourneyEnded).treated


def test_a_late_delivery_says_where_it_began(stage: Any) -> None:
    """37 hours after the courier took it, the deadline of 36 has passed: it began at H1."""
    stage.walk_to("H2", "accept").at += timedelta(hours=37)
    raised = only(stage.ok(stage.to_closing("H2", "accept")), e.DeviationRaised)
    assert (raised.code, raised.detected, raised.originated) == ("LATE_DELIVERY", "H2", "H1")


def test_a_handoff_that_takes_too_long_is_late(stage: Any) -> None:
    """Two hours from release to acceptance are the limit."""
    stage.walk_to("H1", "accept").at += timedelta(hours=3)
    events = stage.ok(stage.to_closing("H1", "accept"))
    assert only(events, e.DeviationRaised).originated == "H1"


def test_a_task_says_when_it_is_due(stage: Any) -> None:
    """The earliest of limit, deadline and expiry."""
    stage.walk_to("H1", "accept")
    task = next(task for task in next_moves(stage.net, stage.state) if task.activity == "H1")
    assert task.due == stage.state.begun["H1"] + timedelta(hours=2)


@pytest.mark.parametrize(
    ("shift", "what"),
    [
        (timedelta(hours=-2), "before the journey was opened"),
        (timedelta(seconds=-15), "before H1 was released"),
    ],
)
def test_an_impossible_time_is_flagged(stage: Any, shift: timedelta, what: str) -> None:
    """It is recorded where it came, and raised; nothing is reordered."""
    stage.walk_to("H1", "accept", "shipper")
    command = stage.right("H1", "accept")
    events = stage.ok(replace(command, occurred_at=stage.state.begun["H1"] + shift))
    assert [type(event).__name__ for event in events] == [
        "TimelineFlagged",
        "DeviationRaised",
        "CheckAnswered",
    ]
    assert what in events[0].what
    assert events[1].code == "TIMELINE_IMPOSSIBLE"


def test_a_clock_ahead_of_the_record_is_flagged(stage: Any) -> None:
    """A station cannot know what will happen."""
    command = replace(stage.right("consent"), recorded_at=stage.at)
    ahead = replace(command, occurred_at=stage.at + timedelta(minutes=10))
    assert "future" in only(stage.ok(ahead), e.TimelineFlagged).what


def test_a_wrong_clock_raises_one_deviation(stage: Any) -> None:
    """Each impossible event is flagged, but people are told once per activity."""
    stage.walk_to("H1", "accept", "shipper").at -= timedelta(hours=1)
    for _ in range(3):
        stage.ok(stage.right("H1", "accept"))
    assert stage.state.flags == 3
    assert len(stage.state.deviations) == 1


def test_a_time_without_a_zone_is_refused(stage: Any) -> None:
    """Nobody knows when half past eight was."""
    naive = datetime(2026, 3, 2, 8, 30)  # noqa: DTZ001
    refusal = stage.no(replace(stage.right("consent"), occurred_at=naive), "bad-time")
    assert refusal.reasons[0].field == "occurred_at"


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_time_that_no_record_is_about_is_refused(stage: Any, text: str) -> None:
    """In some zones it is no moment at all: kept, it could be shown to nobody."""
    command = replace(stage.right("consent"), occurred_at=datetime.fromisoformat(text))
    assert stage.no(command, "bad-time").reasons[0].field == "occurred_at"
    stage.walk_to("collect", "step", "begin")
    stage.no(stage.answer("collect", "step", "begin", text), "bad-value")


def test_a_clock_that_is_ahead_lets_nothing_expire(stage: Any) -> None:
    """What is said to happen next year has not outlived its shelf life now."""
    release = stage.to_closing("H2", "release")
    now, ahead = stage.at, stage.at + timedelta(days=365)
    said = replace(release, occurred_at=ahead, recorded_at=now)
    assert stage.no(said, "expired").then == ()
    report = c.ReportExpired(occurred_at=ahead, recorded_at=now, by=release.by, material="bag")
    stage.no(report, "not-possible-now")


def test_a_clock_that_is_ahead_makes_nothing_keep_longer(stage: Any) -> None:
    """The time of a bag runs from when its collection was recorded, not from next month."""
    finish = stage.to_closing("collect", "step")
    now, ahead = stage.at, stage.at + timedelta(minutes=10)
    assert only(stage.ok(replace(finish, occurred_at=ahead, recorded_at=now)), e.TimelineFlagged)
    assert stage.state.done["collect"] == now


def test_what_is_told_cannot_lie_ahead(stage: Any) -> None:
    """A collection that began tomorrow is flagged."""
    stage.walk_to("collect", "step", "begin")
    tomorrow = (stage.at + timedelta(days=1)).isoformat()
    events = stage.ok(stage.answer("collect", "step", "begin", tomorrow))
    assert "later than the moment" in only(events, e.TimelineFlagged).what


def test_without_a_route_an_expiry_is_raised_once_and_the_material_is_not_used(stage: Any) -> None:
    """A protocol that says nothing of it (an error of its proof) does not make the watch blind.

    The deviation is critical, somebody is told, nothing moves by itself, and no use is taken.
    """
    materials = {
        name: replace(one, on_expired=None) for name, one in stage.net.protocol.materials.items()
    }
    bare = type(stage)(Net(replace(stage.net.protocol, materials=materials)))
    closing = bare.to_closing("H2", "release")
    limit = next(x for x in limits.limits(bare.net, bare.state) if x.subject == "bag")
    late = limit.at + timedelta(minutes=1)
    assert limit in limits.passed(bare.net, bare.state, late)
    watch = c.Actor(person=c.WATCH, organisation="org-hospital", role=c.WATCH)
    report = c.ReportExpired(occurred_at=late, by=watch, material="bag")
    bare.ok(report)
    [raised] = bare.state.open_deviations("bag")
    assert raised.severity == "critical"
    assert any(x.code == raised.code for x in ladder.causes(bare.net, bare.state, late))
    assert bare.state.lots["bag/1"].ended is None
    assert limit not in limits.passed(bare.net, bare.state, late + timedelta(days=1))
    bare.no(replace(report, occurred_at=late + timedelta(days=1)), "already-answered")
    bare.no(replace(closing, occurred_at=late + timedelta(minutes=1)), "expired")
