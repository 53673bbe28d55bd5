"""Answers: what passes, what stops, what blocks, and what is no answer at all."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from stafett.identity.din import Din
from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey.label import Labels, make
from stafett.protocol.net import Net
from stafett.protocol.read import parse

replace = msgspec.structs.replace


def kinds(events: tuple[e.Event, ...]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_wrong_label_stops_the_journey(stage: Any) -> None:
    """A scan that does not match is told, raised as critical, stopped, isolated and awaited."""
    stage.walk_to("H1", "accept", "shipper")
    events = stage.ok(stage.answer("H1", "accept", "shipper", make("gs1-sscc", 99, 1)))
    assert kinds(events) == [
        "CheckAnswered",
        "DeviationRaised",
        "Stopped",
        "MaterialQuarantined",
        "MaterialQuarantined",
        "DecisionAwaited",
    ]
    raised = events[1]
    assert (raised.code, raised.severity) == ("IDENTITY_MISMATCH", "critical")


def test_both_identifiers_are_told_after_a_mismatch(stage: Any) -> None:
    """Both stations show what was expected and what was got."""
    stage.walk_to("H1", "accept", "shipper")
    stage.ok(stage.answer("H1", "accept", "shipper", make("gs1-sscc", 99, 1)))
    for side in ("release", "accept"):
        stop = stage.station("H1", side).stop
        assert stop.got == "(00)" + make("gs1-sscc", 99, 1)[4:]
        assert stop.expected == stage.state.lot("shipper").identifiers["sscc"]


def test_what_is_stopped_does_not_pass(stage: Any) -> None:
    """After a mismatch the right label no longer helps."""
    stage.walk_to("H1", "accept", "shipper")
    good = stage.right("H1", "accept")
    stage.ok(stage.answer("H1", "accept", "shipper", make("gs1-sscc", 99, 1)))
    stage.no(good, "not-possible-now")


def test_a_bag_is_not_scanned_as_its_own_successor(stage: Any) -> None:
    """The label of what goes in is not the label of what comes out, nor that of what else is there.

    Nothing is known by it then; the right label follows.
    """
    stage.walk_to("manufacture", "step", "sample")
    dose = next(s for s in stage.state.sheets.values() if "dose" in s.bound).bound["dose"]["batch"]
    twice = stage.no(stage.answer("manufacture", "step", "sample", dose), "bad-value")
    assert twice.reasons[0].what == "this label is on dose already"
    stage.walk_to("thaw", "step", "thawed")
    dose = stage.state.lot("dose").identifiers["batch"]
    stage.no(stage.answer("thaw", "step", "thawed", dose), "bad-value")
    assert kinds(stage.ok(stage.right("thaw")))[:2] == ["CheckAnswered", "IdentifierBound"]


def test_unknown_at_a_critical_check_stops(stage: Any) -> None:
    """Whoever cannot tell whether the seal is whole stops the journey."""
    stage.walk_to("H2", "accept", "seal")
    events = stage.ok(stage.answer("H2", "accept", "seal", None))
    assert "Stopped" in kinds(events)


def test_unknown_blocks_until_it_is_known(stage: Any) -> None:
    """An unknown that is not critical blocks the release; answered, it no longer does."""
    stage.walk_to("H1", "release", "logger")
    stage.ok(stage.answer("H1", "release", "logger", "unsure"))
    closing = stage.right("H1", "release")
    assert closing.check == "logger"
    stage.ok(closing)
    stage.ok(stage.to_closing("H1", "release"))


def test_unknown_never_passes(stage: Any) -> None:
    """A release with an unknown answer is refused, and the refusal names the check."""
    stage.walk_to("H1", "release", "logger")
    stage.ok(stage.answer("H1", "release", "logger", "unsure"))
    release = c.Release(occurred_at=stage.at, by=stage.by("apheresis"), handoff="H1")
    refusal = stage.no(release, "unknown-blocks")
    assert "logger" in {reason.field for reason in refusal.reasons}


def test_a_failure_that_is_not_critical_goes_on(stage: Any) -> None:
    """Missing papers are raised; the handoff is still open."""
    stage.walk_to("H1", "accept", "papers")
    events = stage.ok(stage.answer("H1", "accept", "papers", "no"))
    assert kinds(events) == ["CheckAnswered", "DeviationRaised"]
    assert events[1].code == "DOC_MISSING"


def test_a_quantity_outside_its_limits_fails(stage: Any) -> None:
    """9 degrees where at most 8 are allowed is an excursion."""
    stage.walk_to("H2", "accept", "temperature")
    events = stage.ok(stage.answer("H2", "accept", "temperature", 9))
    assert (events[0].result, events[1].code) == ("fail", "TEMP_EXCURSION")


def test_a_second_person_is_needed(stage: Any) -> None:
    """The same person does not count twice."""
    stage.walk_to("collect", "step", "who")
    first = stage.right("collect")
    stage.ok(first)
    refusal = stage.no(first, "already-answered")
    assert refusal.reasons[0].todo == "another person answers it"


def test_two_people_who_differ_know_nothing(stage: Any) -> None:
    """Two answers that would each pass, but differ, are unknown together."""
    stage.walk_to("infuse", "step", "arm")
    stage.ok(stage.answer("infuse", "step", "arm", "left"))
    other = replace(stage.answer("infuse", "step", "arm", "right"), by=stage.by("clinic", "zoe"))
    assert stage.ok(other)[0].result == "unknown"


def test_work_waits_for_the_checks_before_it(stage: Any) -> None:
    """The label cannot be bound before the wristband was scanned."""
    stage.walk_to("collect", "step", "who")
    label = make("isbt128-din", 7, 1)
    refusal = stage.no(stage.answer("collect", "step", "label", label), "check-missing")
    assert {reason.field for reason in refusal.reasons} == {"who", "begin"}


def test_the_second_label_scan_must_be_the_same(stage: Any) -> None:
    """Two people who label one bag scan one number."""
    stage.walk_to("collect", "step", "label")
    stage.ok(stage.right("collect"))
    other = stage.answer("collect", "step", "label", make("isbt128-din", 7, 55))
    events = stage.ok(replace(other, by=stage.by("apheresis", "zoe")))
    assert events[0].result == "fail"
    assert "Stopped" in kinds(events)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "unreadable-scan"),
        ("hello", "unreadable-scan"),
        ("åäö", "unreadable-scan"),
        ("x" * 5_000, "unreadable-scan"),
        (12, "unreadable-scan"),
        (make("gs1-sscc", 1, 1), "unreadable-scan"),
        (Din("A999926123456").text, "unreadable-scan"),
        (Din("A999926123456").text + "#", "unreadable-scan"),
    ],
    ids=["nothing", "a word", "letters", "a page", "a number", "another kind", "no check", "wrong"],
)
def test_garbage_is_no_answer(stage: Any, value: Any, code: str) -> None:
    """What is no donation number is refused, and the scan can be made again."""
    stage.walk_to("collect", "step", "label")
    refusal = stage.no(stage.answer("collect", "step", "label", value), code)
    assert refusal.reasons[0].todo


def test_a_typed_number_with_its_check_character_is_taken(stage: Any) -> None:
    """A donation number may be typed, with the character that guards it."""
    stage.walk_to("collect", "step", "label")
    din = Din("A999926123456")
    typed = replace(stage.answer("collect", "step", "label", din.text + din.check), method="typed")
    assert stage.ok(typed)[1].value == din.text


def test_a_symbol_typed_by_hand_is_not_taken(stage: Any) -> None:
    """Copying what a scanner would send does not get around the check character."""
    stage.walk_to("collect", "step", "label")
    wire = Din("A999926123456").wire()
    typed = replace(stage.answer("collect", "step", "label", wire), method="typed")
    stage.no(typed, "unreadable-scan")


@pytest.mark.parametrize(
    ("check", "value", "field"),
    [("logger", "perhaps", "value"), ("logger", 1, "value"), ("nothing", "yes", "check")],
)
def test_answers_are_closed(stage: Any, check: str, value: Any, field: str) -> None:
    """A word that is no choice, a number, and a check that does not exist are refused."""
    stage.walk_to("H1", "release", "logger")
    code = "unknown-name" if check == "nothing" else "bad-value"
    refusal = stage.no(stage.answer("H1", "release", check, value), code)
    assert refusal.reasons[0].field == field


@pytest.mark.parametrize("value", ["5", True, float("nan"), float("inf")])
def test_a_quantity_is_a_number(stage: Any, value: Any) -> None:
    """Text, truth and what is not finite are no quantities."""
    stage.walk_to("H2", "accept", "temperature")
    stage.no(stage.answer("H2", "accept", "temperature", value), "bad-value")


def test_a_value_of_another_kind_is_no_answer(stage: Any) -> None:
    """Hours are refused where a temperature is asked for, and so is a unit that there is not."""
    stage.walk_to("H2", "accept", "temperature")
    for unit in ("h", "bananas"):
        answer = replace(stage.answer("H2", "accept", "temperature", 4), unit=unit)
        assert "Cel" in stage.no(answer, "bad-value").reasons[0].what


@pytest.mark.parametrize(("read", "result", "kept"), [(41, "pass", 5.0), (86, "fail", 30.0)])
def test_a_value_in_another_unit_is_converted(
    stage: Any, read: int, result: str, kept: float
) -> None:
    """41 °F is held against the limit as 5 °C; the record keeps both."""
    stage.walk_to("H2", "accept", "temperature")
    answer = replace(stage.answer("H2", "accept", "temperature", read), unit="[degF]")
    event = stage.ok(answer)[0]
    assert (event.value, event.unit, event.result) == (kept, "Cel", result)
    assert event.why.endswith(f"read as {read} [degF]")


def test_a_time_has_its_zone(stage: Any) -> None:
    """Half past eight is no moment."""
    stage.walk_to("collect", "step", "begin")
    stage.no(stage.answer("collect", "step", "begin", "2026-03-02T08:30"), "bad-value")


def test_a_raw_patient_identifier_never_gets_in(stage: Any) -> None:
    """The core takes commitments only; the error does not repeat what was sent."""
    stage.walk_to("collect", "step", "who")
    refusal = stage.no(stage.answer("collect", "step", "who", "19121212-1212"), "unreadable-scan")
    assert "1212" not in str(refusal)


def test_another_patient_is_not_collected(stage: Any) -> None:
    """The wristband of another patient stops the collection."""
    stage.walk_to("collect", "step", "who")
    events = stage.ok(stage.answer("collect", "step", "who", Labels(8).patient))
    assert "Stopped" in kinds(events)


def test_a_bag_is_never_labelled_with_another_journeys_coi(net: Net, stage: Any) -> None:
    """Where a protocol puts the CoI itself on a bag, only this journey's own CoI sticks."""
    plain = msgspec.to_builtins(net.protocol, enc_hook=str)
    for check in plain["steps"]["collect"]["checks"]:
        if check["id"] == "label":
            check |= {"by": "coi", "people": 1}
    changed = parse(json.dumps(plain)).bind()
    stage = type(stage)(Net(changed))
    stage.walk_to("collect", "step", "label")
    events = stage.ok(stage.answer("collect", "step", "label", make("isbt128-coi", 999, 0)))
    assert events[0].result == "fail"
    assert "Stopped" in kinds(events)
    assert not [one for one in events if isinstance(one, e.IdentifierBound)]


def test_a_bag_is_labelled_with_its_own_journeys_coi(net: Net, stage: Any) -> None:
    """The journey's own CoI is taken as the bag's label."""
    plain = msgspec.to_builtins(net.protocol, enc_hook=str)
    for check in plain["steps"]["collect"]["checks"]:
        if check["id"] == "label":
            check |= {"by": "coi", "people": 1}
    stage = type(stage)(Net(parse(json.dumps(plain)).bind()))
    stage.walk_to("collect", "step", "label")
    own = make("isbt128-coi", stage.story.labels.seed, 0)
    events = stage.ok(stage.answer("collect", "step", "label", own))
    assert events[0].result == "pass"
