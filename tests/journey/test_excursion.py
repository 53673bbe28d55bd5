"""What is in doubt is not used: an excursion that nobody has decided on stops each use."""

from __future__ import annotations

from typing import Any

import msgspec

from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey import excursion
from stafett.journey.settling import dispose
from stafett.journey.tasks import next_moves

replace = msgspec.structs.replace


def warm(stage: Any, about: str = "shipper", role: str = "courier") -> str:
    """Raise an excursion about a material; return its number."""
    stage.ok(
        c.RaiseDeviation(
            occurred_at=stage.at, by=stage.by(role), code="TEMP_EXCURSION", about=about,
            note="outside 2 to 8 °C for 40 min",
        )
    )  # fmt: skip
    return list(stage.state.deviations)[-1]


def decided(stage: Any, name: str, disposition: Any) -> None:
    """Assess and decide an excursion."""
    raised = stage.state.deviations[name]
    assess, decision = dispose(stage.state, raised, stage.story.cast, stage.at)
    stage.ok(assess)
    stage.ok(replace(decision, disposition=disposition))


def to_start(stage: Any, step: str) -> c.Start:
    """Walk until only `step` can be started, and return the command that starts it."""
    for _ in range(600):
        tasks = [t for t in next_moves(stage.net, stage.state) if t.activity != step]
        ready = [t for t in tasks if not t.blocked]
        if not ready:
            return c.Start(
                occurred_at=stage.at,
                by=stage.by(stage.net.protocol.steps[step].role),
                step=step,
            )
        stage.ok(stage.right(ready[0].activity, ready[0].side, ready[0].about))
    raise AssertionError(f"{step} is never next")


def test_what_travelled_in_a_shipper_with_an_undecided_excursion_is_not_used(stage: Any) -> None:
    """The excursion is about the shipper; the bag that was in it cannot be manufactured from."""
    stage.walk_to("H1", "accept")
    name = warm(stage)
    start = to_start(stage, "manufacture")
    assert name in str(stage.no(start, "unknown-blocks"))
    task = next(t for t in next_moves(stage.net, stage.state) if t.activity == "manufacture")
    assert any("undecided" in why for why in task.blocked)


def test_it_is_used_when_a_person_has_decided_that_it_may_be(stage: Any) -> None:
    """Triage alone lifts nothing; the signed decision does."""
    stage.walk_to("H1", "accept")
    name = warm(stage)
    start = to_start(stage, "manufacture")
    raised = stage.state.deviations[name]
    assess, decision = dispose(stage.state, raised, stage.story.cast, stage.at)
    stage.ok(assess)
    stage.no(start, "unknown-blocks")
    stage.ok(decision)
    stage.ok(start)


def test_what_was_decided_to_be_discarded_is_never_used(stage: Any) -> None:
    """A decision against it forbids its use as much as no decision."""
    stage.walk_to("H1", "accept")
    decided(stage, warm(stage), "discard")
    start = to_start(stage, "manufacture")
    assert "discard was decided" in str(stage.no(start, "not-possible-now"))


def test_who_carries_it_does_not_decide_that_it_may_be_used(stage: Any) -> None:
    """A courier at the interface works on the deviation, but the decision is not theirs."""
    stage.walk_to("H2", "accept", "temperature")
    stage.ok(stage.answer("H2", "accept", "temperature", 11.0))
    raised = stage.state.deviations["D1"]
    assess, decision = dispose(stage.state, raised, stage.story.cast, stage.at)
    stage.ok(assess)
    by = stage.by("courier")
    signed = replace(decision.signatures[0], person=by.person)
    refusal = stage.no(replace(decision, by=by, signatures=(signed,)), "wrong-role")
    assert "who carries a material" in str(refusal)


def test_a_temperature_that_failed_at_reception_is_an_excursion_too(stage: Any) -> None:
    """Accepted with deviation is not decided: the next use waits for the decision."""
    stage.walk_to("H2", "accept", "temperature")
    stage.ok(stage.answer("H2", "accept", "temperature", 11.0))
    closing = stage.to_closing("H2", "accept")
    assert closing.decision == "accept-with-deviation"
    stage.ok(closing)
    start = to_start(stage, "manufacture")
    stage.no(start, "unknown-blocks")
    decided(stage, "D1", "use-as-is")
    stage.ok(start)


def test_a_logger_read_too_late_stops_what_was_made_of_the_material(stage: Any) -> None:
    """The excursion is known after manufacture: the dose descends from the bag in that shipper."""
    stage.walk_to("thaw")
    stage.ok(stage.to_closing("thaw"))
    name = warm(stage)
    refusal = stage.no(to_start(stage, "infuse"), "unknown-blocks")
    assert name in str(refusal)


def test_a_material_in_doubt_is_still_examined(stage: Any) -> None:
    """The test of a sample goes on: it may be what the decision needs."""
    stage.walk_to("H3", "accept")
    warm(stage)
    stage.ok(stage.to_closing("H3", "accept"))
    stage.ok(stage.right("test"))
    stage.ok(stage.to_closing("test"))


def test_a_batch_in_doubt_is_not_certified(stage: Any) -> None:
    """Raised while the certification was open: it cannot end in a release."""
    closing = stage.to_closing("certify")
    warm(stage, "dose", "plant")
    stage.no(closing, "unknown-blocks")


def test_what_was_done_before_it_was_known_is_recorded_with_it(stage: Any) -> None:
    """Raised while the patient was treated: the infusion did happen, and names the excursion."""
    closing = stage.to_closing("infuse")
    name = warm(stage, "thawed", "clinic")
    done = [event for event in stage.ok(closing) if isinstance(event, e.StepFinished)]
    assert name in done[0].deviations


def test_material_collected_anew_is_not_in_doubt(stage: Any) -> None:
    """An excursion that was never decided does not stop what is collected after it."""
    stage.walk_to("H1", "accept")
    warm(stage)
    stage.ok(
        c.ReportLost(
            occurred_at=stage.at, by=stage.by("courier"), material="shipper", reason="not found"
        )
    )
    stage.walk_to("manufacture", check="in")
    assert stage.state.lots["bag/2"].inside == ("shipper/2",)
    assert excursion.standing(stage.net, stage.state)
    assert excursion.doubts(stage.net, stage.state, "manufacture") == ()


def test_a_minor_excursion_that_a_person_has_closed_forbids_nothing(stage: Any) -> None:
    """Closing needs no decision when it is assessed as minor: the conclusion is a person's."""
    stage.walk_to("H1", "accept")
    name = warm(stage)
    raised = stage.state.deviations[name]
    assess, _ = dispose(stage.state, raised, stage.story.cast, stage.at)
    stage.ok(assess)
    assert stage.state.deviations[raised.deviation].severity == "minor"
    stage.ok(
        c.CloseDeviation(
            occurred_at=stage.at, by=assess.by, deviation=raised.deviation, conclusion="a blip"
        )
    )
    stage.ok(to_start(stage, "manufacture"))
