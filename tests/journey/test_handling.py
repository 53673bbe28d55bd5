"""Loss, interrupts, deviations, corrections and notices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey.state import descendants
from stafett.watch.ownership import between_hands

replace = msgspec.structs.replace


def only(events: Any, kind: type) -> Any:
    return next(event for event in events if isinstance(event, kind))


def lost(stage: Any, material: str) -> c.ReportLost:
    by = stage.by("courier")
    return c.ReportLost(occurred_at=stage.at, by=by, material=material, reason="not on the flight")


def test_a_lost_shipper_takes_its_contents_along(stage: Any) -> None:
    """The bag in it is lost too, and everything begins afresh at the collection."""
    stage.walk_to("H2", "release")
    events = stage.ok(lost(stage, "shipper"))
    gone = {(event.lot, event.reason) for event in events if isinstance(event, e.MaterialGone)}
    assert gone == {("shipper/1", "lost"), ("bag/1", "lost")}
    assert stage.state.round("collect") == 2


def test_the_time_between_hands_of_an_earlier_round_is_not_forgotten(stage: Any) -> None:
    """Carried, lost on the next way and collected anew: both rounds count, the lost way too."""
    stage.walk_to("H2", "accept")
    first = between_hands(stage.net, stage.state, stage.at)
    assert {one.handoff for one in first} >= {"H1", "H2"}
    stage.at += timedelta(hours=5)
    stage.ok(lost(stage, "shipper"))
    kept = between_hands(stage.net, stage.state, stage.at + timedelta(days=9))
    assert [one for one in kept if one.handoff == "H1"] == [
        one for one in first if one.handoff == "H1"
    ]
    (way,) = [one for one in kept if one.handoff == "H2"]
    assert (way.until, way.length >= timedelta(hours=5)) == (stage.at, True)
    stage.walk_to("H2", "accept")
    again = between_hands(stage.net, stage.state, stage.at)
    assert [one.handoff for one in again].count("H1") == 2


def test_the_second_bag_is_another_lot(stage: Any) -> None:
    """A bag collected anew has its own number; the label of the first no longer matches."""
    stage.walk_to("H2", "release")
    first = stage.state.lot("bag").identifiers["din"]
    stage.ok(lost(stage, "bag"))
    stage.walk_to("pack", "step", "bag")
    assert stage.state.lot("bag").lot == "bag/2"
    events = stage.ok(stage.answer("pack", "step", "bag", f"={first}00"))
    assert only(events, e.Stopped).activity == "pack"


def test_recall_finds_all_that_was_made_from_it(stage: Any) -> None:
    """What a lot went into can be asked for."""
    stage.walk_to("infuse")
    assert set(descendants(stage.state, "bag/1")) == {"dose/1", "sample/1", "thawed/1"}


def test_what_is_not_there_is_not_lost(stage: Any) -> None:
    """A material that does not exist yet, or at all, cannot be lost."""
    stage.no(lost(stage, "dose"), "not-possible-now")
    stage.no(lost(stage, "moon"), "unknown-name")


def test_an_interrupt_ends_the_journey(stage: Any) -> None:
    """Consent withdrawn: a named outcome, and somebody who answers for it."""
    stage.walk_to("H2", "release")
    ended = only(
        stage.ok(
            c.Interrupt(
                occurred_at=stage.at,
                by=stage.by("clinic"),
                interrupt="consent_withdrawn",
                reason="told the nurse",
            )
        ),
        e.JourneyEnded,
    )
    assert (ended.outcome, ended.owner, ended.treated) == ("not-treated", "clinic", False)
    stage.no(lost(stage, "bag"), "ended")


def test_a_deviation_can_be_closed_after_the_end(stage: Any) -> None:
    """The journey is over; what was raised is still to be assessed."""
    stage.walk_to("H1", "accept", "papers")
    stage.ok(stage.answer("H1", "accept", "papers", "no"))
    by = stage.by("clinic")
    stage.ok(c.Interrupt(occurred_at=stage.at, by=by, interrupt="consent_withdrawn", reason="told"))
    stage.ok(c.AcknowledgeDeviation(occurred_at=stage.at, by=by, deviation="D1"))
    close = c.CloseDeviation(
        occurred_at=stage.at, by=by, deviation="D1", conclusion="sent by mail", originated="H0"
    )
    stage.ok(close)
    assert stage.state.deviations["D1"].originated == "H0"
    stage.no(close, "already-answered")


def raised(stage: Any, **change: Any) -> c.RaiseDeviation:
    plain = c.RaiseDeviation(
        occurred_at=stage.at, by=stage.by("courier"), code="LATE_DELIVERY", about="H1", note="jam"
    )
    return replace(plain, **change)


def test_a_critical_report_stops_the_activity(stage: Any) -> None:
    """Somebody sees a broken seal and says so: nothing passes until that is decided."""
    stage.walk_to("H1", "accept", "shipper")
    events = stage.ok(raised(stage, code="BROKEN_SEAL"))
    assert only(events, e.Stopped).activity == "H1"


def test_a_minor_report_stops_nothing(stage: Any) -> None:
    """It is raised, and the receiver cannot accept as if it were not there."""
    stage.walk_to("H1", "accept", "shipper")
    stage.ok(raised(stage))
    assert stage.to_closing("H1", "accept").decision == "accept-with-deviation"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"code": "BAD_MOOD"}, "bad-value"),
        ({"about": "H99"}, "unknown-name"),
        ({"originated": "bag"}, "unknown-name"),
    ],
)
def test_a_report_speaks_the_protocols_words(stage: Any, change: dict[str, Any], code: str) -> None:
    """Its code, its subject and its places are the protocol's."""
    stage.no(raised(stage, **change), code)


def correction(stage: Any, position: int, value: Any, **change: Any) -> c.Correct:
    plain = c.Correct(
        occurred_at=stage.at,
        by=stage.by("plant"),
        position=position,
        field="value",
        value=value,
        reason="read the wrong line",
    )
    return replace(plain, **change)


def temperature(stage: Any, value: float) -> int:
    stage.walk_to("H2", "accept", "temperature")
    stage.ok(stage.answer("H2", "accept", "temperature", value))
    return stage.state.sheets["H2:accept"].answers["temperature"][0].position


def test_a_correction_is_a_new_event(stage: Any) -> None:
    """Both values stay in the record; the new one counts."""
    position = temperature(stage, 4)
    corrected = only(stage.ok(correction(stage, position, 5)), e.Corrected)
    assert (corrected.old, corrected.new, corrected.result) == (4, 5, "pass")
    assert stage.story.events[position - 1].value == 4


def test_a_correction_can_bring_a_failure_to_light(stage: Any) -> None:
    """Corrected to 11 degrees, it is an excursion."""
    events = stage.ok(correction(stage, temperature(stage, 4), 11))
    assert only(events, e.DeviationRaised).code == "TEMP_EXCURSION"


def test_a_correction_has_a_reason(stage: Any) -> None:
    """No reason, no correction."""
    stage.no(correction(stage, temperature(stage, 4), 5, reason=" "), "reason-missing")


def test_an_identifier_is_never_corrected(stage: Any) -> None:
    """A label that was bound stays bound."""
    stage.walk_to("pack")
    position = next(
        i
        for i, event in enumerate(stage.story.events, 1)
        if isinstance(event, e.CheckAnswered) and event.check == "label"
    )
    fix = correction(stage, position, "=A999926123456 00", by=stage.by("apheresis"))
    stage.no(fix, "not-correctable")


def test_a_documents_field_is_corrected_by_whose_it_is(stage: Any) -> None:
    """The apheresis unit mends its waybill; the plant cannot; the old value stays readable."""
    stage.walk_to("H1", "accept")
    position = stage.state.sheets["H1:release"].documents["waybill"].position
    fix = correction(stage, position, "Gothenburg", field="destination")
    stage.no(fix, "wrong-role")
    events = stage.ok(replace(fix, by=stage.by("apheresis")))
    assert only(events, e.Corrected).old == "receiving bay of the plant"
    assert stage.state.sheets["H1:release"].documents["waybill"].fields["destination"] == (
        "Gothenburg"
    )


def test_a_corrected_field_holds_what_it_is_for(stage: Any) -> None:
    """A correction is held to the field's kind and limits as the first entry was."""
    stage.walk_to("H1", "accept")
    position = stage.state.sheets["H1:release"].documents["waybill"].position
    by = stage.by("apheresis")
    refusal = stage.no(correction(stage, position, "400", field="gross_kg", by=by), "bad-value")
    assert "above 40 kg" in str(refusal)
    stage.ok(correction(stage, position, "4.5", field="gross_kg", by=by))


def test_a_correction_never_lifts_a_stop(stage: Any) -> None:
    """A broken seal stays broken."""
    stage.walk_to("H1", "accept", "seal")
    stage.ok(stage.answer("H1", "accept", "seal", "broken"))
    position = stage.state.sheets["H1:accept"].answers["seal"][0].position
    stage.no(correction(stage, position, "whole", by=stage.by("courier")), "not-correctable")


def test_an_unknown_is_not_corrected_to_known(stage: Any) -> None:
    """It is answered again, by somebody who knows."""
    stage.walk_to("H1", "release", "logger")
    stage.ok(stage.answer("H1", "release", "logger", "unsure"))
    position = stage.state.sheets["H1:release"].answers["logger"][0].position
    stage.no(correction(stage, position, "yes", by=stage.by("apheresis")), "not-correctable")


def notice(stage: Any, **change: Any) -> c.Notify:
    by = stage.by("courier")
    signature = c.Signature(
        person=by.person, name="C", meaning="Reported", at=stage.at, method="m", digest="d"
    )
    plain = c.Notify(
        occurred_at=stage.at,
        by=by,
        handoff="N1",
        receiver="plant",
        answers={"what": "bag"},
        note="a dent",
        signatures=(signature,),
    )
    return replace(plain, **change)


def test_a_notice_is_read_by_its_receiver(stage: Any) -> None:
    """Anybody may send one at any time; the receiver, and no one else, acknowledges it."""
    stage.ok(notice(stage))
    read = c.AcknowledgeNotice(occurred_at=stage.at, by=stage.by("plant"), notice="N1")
    stage.no(replace(read, by=stage.by("qp")), "wrong-role")
    stage.ok(read)
    stage.no(read, "already-answered")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"receiver": None}, "unknown-name"),
        ({"answers": {}}, "check-missing"),
        ({"answers": {"what": "soul"}}, "bad-value"),
        ({"signatures": ()}, "signature"),
        ({"handoff": "H1"}, "unknown-name"),
    ],
)
def test_a_notice_is_whole(stage: Any, change: dict[str, Any], code: str) -> None:
    """It says to whom, answers what is asked, and is signed."""
    stage.no(notice(stage, **change), code)
