"""The baton: what release, reception and decision ask for, and what they do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stafett.journey import command as c
from stafett.journey import event as e

replace = msgspec.structs.replace
BAD = "(00)173500530990010018"  # of another shipment


def only(events: tuple[e.Event, ...], kind: type) -> Any:
    return next(event for event in events if isinstance(event, kind))


def test_a_release_needs_its_checks(stage: Any) -> None:
    """Every unanswered check and missing document is named at once."""
    stage.walk_to("H1", "release")
    release = c.Release(occurred_at=stage.at, by=stage.by("apheresis"), handoff="H1")
    refusal = stage.no(release, "check-missing")
    assert [reason.field for reason in refusal.reasons] == ["shipper", "logger", "waybill"]


def test_a_release_needs_its_documents(stage: Any) -> None:
    """With all checks answered, the missing waybill is what is in the way."""
    stage.walk_to("H1", "release", "logger")
    stage.ok(stage.right("H1", "release"))
    release = c.Release(occurred_at=stage.at, by=stage.by("apheresis"), handoff="H1")
    assert stage.no(release, "document-missing").reasons[0].field == "waybill"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"fields": {"number": "1"}}, "fields.destination"),
        ({"fields": {"number": "1", "destination": " "}}, "fields.destination"),
        ({"sha256": "A" * 64}, "sha256"),
    ],
    ids=["a field is missing", "a field is blank", "no hash"],
)
def test_a_document_is_whole(stage: Any, change: dict[str, Any], field: str) -> None:
    """A document that is not whole is not attached."""
    stage.walk_to("H1", "release", "logger")
    stage.ok(stage.right("H1", "release"))
    attach = stage.right("H1", "release")
    assert isinstance(attach, c.Attach)
    assert stage.no(replace(attach, **change), "bad-value").reasons[0].field == field


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("colour", "red", "no field"),
        ("destination", "x" * 2_001, "longer than"),
        ("packed_at", "yesterday", "no time with its zone"),
        ("packed_at", "2026-11-23T08:30", "no time with its zone"),
        ("gross_kg", "twelve", "is not a number"),
        ("gross_kg", "nan", "is not a number"),
        ("gross_kg", "1e9", "is not a number"),
        ("gross_kg", "0.5", "below 1 kg"),
        ("gross_kg", "41", "above 40 kg"),
        ("carried", "sideways", "no choice"),
    ],
)
def test_a_documents_field_holds_what_it_is_for(
    stage: Any, field: str, value: str, word: str
) -> None:
    """A time has its zone, a number its limits, a choice its answers; else nothing is attached."""
    stage.walk_to("H1", "release", "logger")
    stage.ok(stage.right("H1", "release"))
    attach = stage.right("H1", "release")
    assert isinstance(attach, c.Attach)
    wrong = replace(attach, fields={**attach.fields, field: value})
    (reason,) = stage.no(wrong, "bad-value").reasons
    assert reason.field == f"fields.{field}" and word in reason.what and reason.todo
    stage.ok(replace(attach, fields={**attach.fields, "gross_kg": "12.5"}))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"signatures": ()}, "not signed"),
        ({"meaning": "Looked at"}, "not what is signed"),
        ({"name": " "}, "no name"),
        ({"person": "mallory"}, "not signed"),
    ],
    ids=["none", "another meaning", "no printed name", "of somebody else"],
)
def test_a_release_is_signed(stage: Any, change: dict[str, Any], word: str) -> None:
    """The one who releases signs, with the meaning that the protocol gives it."""
    release = stage.to_closing("H1", "release")
    if "signatures" in change:
        wrong = replace(release, **change)
    else:
        wrong = replace(release, signatures=(replace(release.signatures[0], **change),))
    assert word in str(stage.no(wrong, "signature"))


def test_two_signatures_are_of_two_people(stage: Any) -> None:
    """A collection that two must sign is not finished by one."""
    finish = stage.to_closing("collect")
    first = stage.state.sheets["collect:step"].signatures[0]
    alone = replace(
        finish,
        by=replace(finish.by, person=first.person),
        signatures=(replace(finish.signatures[0], person=first.person),),
    )
    assert "different people" in str(stage.no(alone, "signature"))


def test_what_is_signed_no_longer_changes(stage: Any) -> None:
    """After the first of two signatures nothing is answered or attached any more."""
    stage.to_closing("collect")
    late = replace(stage.answer("collect", "step", "volume", 100), by=stage.by("apheresis", "zoe"))
    stage.no(late, "not-possible-now")


def test_only_its_role_releases(stage: Any) -> None:
    """The courier does not release for the apheresis unit."""
    release = stage.to_closing("H1", "release")
    stage.no(replace(release, by=stage.by("courier")), "wrong-role")


def test_only_its_organisation_releases(stage: Any) -> None:
    """Another hospital's apheresis unit has no part in this journey."""
    release = stage.to_closing("H1", "release")
    other = replace(release.by, organisation="org-elsewhere")
    assert "org-hospital" in str(stage.no(replace(release, by=other), "wrong-organisation"))


def test_the_giver_does_not_receive(stage: Any) -> None:
    """Whoever acted for the giver can neither check nor sign for the receiver."""
    stage.walk_to("H0", "accept")
    giver = stage.state.sheets["H0:release"].signatures[0].person
    check = stage.right("H0", "accept")
    stage.no(replace(check, by=replace(check.by, person=giver)), "wrong-person")
    closing = stage.to_closing("H0", "accept")
    stage.no(replace(closing, by=replace(closing.by, person=giver)), "wrong-person")


def test_a_failure_is_accepted_as_a_deviation(stage: Any) -> None:
    """With papers missing a plain acceptance is refused; one with deviation lists it."""
    stage.walk_to("H1", "accept", "papers")
    stage.ok(stage.answer("H1", "accept", "papers", "no"))
    closing = stage.to_closing("H1", "accept")
    assert closing.decision == "accept-with-deviation"
    assert "D1 DOC_MISSING" in str(stage.no(replace(closing, decision="accept"), "deviation"))
    accepted = only(stage.ok(closing), e.Accepted)
    assert (accepted.with_deviation, accepted.deviations) == (True, ("D1",))


def test_the_giver_declares_what_failed(stage: Any) -> None:
    """A logger that does not run is listed in the release; the receiver cannot overlook it."""
    stage.walk_to("H1", "release", "logger")
    stage.ok(stage.answer("H1", "release", "logger", "no"))
    released = only(stage.ok(stage.to_closing("H1", "release")), e.Released)
    assert released.deviations == ("D1",)
    assert stage.to_closing("H1", "accept").decision == "accept-with-deviation"


def test_there_is_no_deviation_to_accept(stage: Any) -> None:
    """Accepting with a deviation where there is none is refused."""
    closing = stage.to_closing("H1", "accept")
    stage.no(replace(closing, decision="accept-with-deviation"), "deviation")


@pytest.mark.parametrize("decision", ["quarantine", "refuse"])
def test_turning_down_has_a_reason(stage: Any, decision: Any) -> None:
    """Without a reason, or with one that the catalogue does not know, it is refused."""
    closing = stage.to_closing("H2", "accept")
    stage.no(replace(closing, decision=decision), "reason-missing")
    stage.no(replace(closing, decision=decision, reason="WHIM"), "bad-value")


def test_quarantine_takes_it_over(stage: Any) -> None:
    """What is received into quarantine is in the receiver's custody, and not to be used."""
    closing = stage.to_closing("H2", "accept")
    stage.ok(replace(closing, decision="quarantine", reason="TEMP_EXCURSION"))
    assert stage.state.lot("bag").custody[-1].role == "plant"
    assert stage.station("H2", "accept").status == "isolated"
    assert [task.kind for task in stage_tasks(stage)] == ["decide"]


def stage_tasks(stage: Any) -> list[Any]:
    from stafett.journey.tasks import next_moves

    return next_moves(stage.net, stage.state)


def test_a_quarantine_that_is_lifted_was_an_acceptance(stage: Any) -> None:
    """When the decision says so, the handoff is done and the bag can be used."""
    closing = stage.to_closing("H2", "accept")
    stage.ok(replace(closing, decision="quarantine", reason="TEMP_EXCURSION"))
    while stage.right("judge", "step", "H2").__class__ is not c.Decide:
        stage.ok(stage.right("judge", "step", "H2"))
    events = stage.ok(stage.right("judge", "step", "H2"))
    assert only(events, e.QuarantineLifted).material == "bag"
    assert stage.station("H2", "accept").status == "done"


def test_refusal_leaves_it_with_the_giver(stage: Any) -> None:
    """Refused, the shipper stays with the courier."""
    closing = stage.to_closing("H2", "accept")
    stage.ok(replace(closing, decision="refuse", reason="BROKEN_SEAL"))
    assert stage.state.lot("shipper").custody[-1].role == "courier"


def stopped(stage: Any) -> None:
    stage.walk_to("H1", "accept", "shipper")
    stage.ok(stage.answer("H1", "accept", "shipper", BAD))


def decision(stage: Any, result: str, **change: Any) -> c.Decide:
    signature = c.Signature(
        person="qp.1", name="Q P", meaning="Decided", at=stage.at, method="m", digest="d"
    )
    plain = c.Decide(
        occurred_at=stage.at,
        by=stage.by("qp"),
        decision="judge",
        about="H1",
        result=result,
        reason="looked into",
        signatures=(signature,),
    )
    return replace(plain, **change)


def test_resuming_needs_the_decisions_own_checks(stage: Any) -> None:
    """Nothing is taken up again before it was found safe; ending it needs no such finding."""
    stopped(stage)
    stage.no(decision(stage, "again"), "check-missing")
    assert only(stage.ok(decision(stage, "end")), e.JourneyEnded).outcome == "not-treated"


def test_unsafe_is_not_resumed(stage: Any) -> None:
    """A decision maker who finds it unsafe cannot take it up again, but can collect anew."""
    stopped(stage)
    unsafe = replace(stage.answer("judge", "step", "safe", "no"), about="H1", by=stage.by("qp"))
    stage.ok(unsafe)
    stage.no(decision(stage, "again"), "stopped")
    assert "collect" in only(stage.ok(decision(stage, "anew")), e.StartedAfresh).activities


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reason": " "}, "reason-missing"),
        ({"result": "perhaps"}, "bad-value"),
        ({"about": "H2"}, "not-possible-now"),
        ({"decision": "collect"}, "unknown-name"),
        ({"signatures": ()}, "signature"),
    ],
)
def test_a_decision_is_whole(stage: Any, change: dict[str, Any], code: str) -> None:
    """It has a reason, a result that exists, something that awaits it, and a signature."""
    stopped(stage)
    stage.no(replace(decision(stage, "end"), **change), code)


def test_only_its_role_decides(stage: Any) -> None:
    """The courier does not decide about its own broken seal."""
    stopped(stage)
    stage.no(decision(stage, "end", by=stage.by("courier")), "wrong-role")


def test_nothing_starts_while_a_decision_is_awaited(stage: Any) -> None:
    """A stop holds what has not begun."""
    stage.walk_to("H1", "accept", "shipper")
    stage.ok(
        c.Interrupt(occurred_at=stage.at, by=stage.by("clinic"), interrupt="worse", reason="fever")
    )
    closing = stage.to_closing("H1", "accept")
    stage.ok(closing)
    release = c.Release(occurred_at=stage.at, by=stage.by("courier"), handoff="H2")
    assert "salvage" in str(stage.no(release, "not-possible-now"))


def test_resumed_means_afresh_on_both_sides(stage: Any) -> None:
    """After a stop is lifted the giver releases and the receiver receives once more."""
    stopped(stage)
    stage.ok(stage.right("judge", "step", "H1"))
    events = stage.ok(stage.right("judge", "step", "H1"))
    assert only(events, e.StartedAfresh).activities == ("H1",)
    assert stage.state.round("H1") == 2
    assert stage.station("H1", "release").status == "ready"
    assert stage.station("H1", "release").checks[0].result is None
    stage.ok(stage.to_closing("H1", "release"))
    stage.ok(stage.to_closing("H1", "accept"))


def test_an_answer_for_an_old_round_is_stale(stage: Any) -> None:
    """A station that was offline cannot answer for a round that was abandoned."""
    stage.walk_to("H1", "release", "shipper")
    old = stage.right("H1", "release")
    stage.walk_to("H1", "accept", "shipper")
    stage.ok(stage.answer("H1", "accept", "shipper", BAD))
    stage.ok(stage.right("judge", "step", "H1"))
    stage.ok(stage.right("judge", "step", "H1"))
    assert "round 2" in str(stage.no(old, "stale-input"))


def test_an_undecided_excursion_is_not_accepted_as_if_nothing_had_been(stage: Any) -> None:
    """Raised about the material by the watch, it stands in the way of a plain acceptance."""
    stage.walk_to("H1", "accept")
    stage.ok(
        c.RaiseDeviation(
            occurred_at=stage.at, by=stage.by("courier"), code="TEMP_EXCURSION", about="shipper",
            note="outside 2 to 8 °C for 40 min",
        )
    )  # fmt: skip
    closing = stage.to_closing("H1", "accept")
    assert closing.decision == "accept-with-deviation"
    refusal = stage.no(replace(closing, decision="accept", reason=None), "deviation")
    assert "D1 TEMP_EXCURSION" in str(refusal)
    assert only(stage.ok(closing), e.Accepted).deviations == ("D1",)


def test_a_decided_excursion_no_longer_stands_in_the_way(stage: Any) -> None:
    """When a person has decided what becomes of the material, it is accepted as it is."""
    stage.walk_to("H1", "accept")
    said: dict[str, Any] = {"occurred_at": stage.at, "by": stage.by("clinic")}
    stage.ok(c.RaiseDeviation(**said, code="TEMP_EXCURSION", about="shipper", note="warm"))
    stage.ok(c.AcknowledgeDeviation(**said, deviation="D1"))
    impact = c.Impact(identity="none", custody="none", product="none", patient="none")
    stage.ok(
        c.TriageDeviation(
            **said, deviation="D1", criteria=("no-effect-shown",), impact=impact, note="x"
        )
    )
    signature = c.Signature(
        person=said["by"].person, name="N", meaning="M", at=stage.at, method="password", digest="d"
    )
    stage.ok(
        c.DecideDeviation(
            **said, deviation="D1", disposition="no-effect", reason="stable at 11 °C",
            signatures=(signature,),
        )
    )  # fmt: skip
    assert stage.to_closing("H1", "accept").decision == "accept"
