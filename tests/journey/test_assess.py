"""From raised to closed: severity by criteria, decision, supply out of specification, action."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey.assess import CRITERIA, severity
from stafett.journey.command import Signature
from stafett.watch.unfinished import unfinished

NO_IMPACT = c.Impact(identity="none", custody="none", product="none", patient="none")
replace = msgspec.structs.replace


@pytest.fixture
def raised(stage: Any) -> Any:
    """A journey with one deviation, D1: no papers at H1."""
    stage.walk_to("H1", "accept", "papers")
    stage.ok(stage.answer("H1", "accept", "papers", "no"))
    assert "D1" in stage.state.deviations
    return stage


def signed(stage: Any, by: c.Actor) -> tuple[Signature, ...]:
    """Return the signature of `by`."""
    return (
        Signature(
            person=by.person, name="N", meaning="M", at=stage.at, method="password", digest="d"
        ),
    )


def by(stage: Any, role: str, n: int = 0) -> dict[str, Any]:
    """Return who does it, and when."""
    return {"occurred_at": stage.at, "by": stage.by(role, n) if n else stage.by(role)}


def triage(stage: Any, role: str = "clinic", **change: Any) -> c.TriageDeviation:
    """Return an assessment as major."""
    plain = c.TriageDeviation(
        **by(stage, role),
        deviation="D1",
        criteria=("record-incomplete",),
        impact=NO_IMPACT,
        note="the papers came later",
    )
    return replace(plain, **change)


def decide(stage: Any, disposition: str = "use-as-is", role: str = "clinic") -> c.DecideDeviation:
    """Return a signed decision."""
    who = by(stage, role)
    return c.DecideDeviation(
        **who,
        deviation="D1",
        disposition=disposition,  # type: ignore[arg-type]
        reason="checked against the order",
        signatures=signed(stage, who["by"]),
    )


def close(stage: Any) -> c.CloseDeviation:
    """Return the closing of D1."""
    return c.CloseDeviation(**by(stage, "clinic"), deviation="D1", conclusion="papers found")


def test_severity_is_the_heaviest_criterion() -> None:
    """Each criterion alone weighs what the table says; together the heaviest counts."""
    for criterion, weight in CRITERIA.items():
        assert severity((criterion,), NO_IMPACT) == weight
    assert severity(("no-effect-shown", "limit-exceeded"), NO_IMPACT) == "major"


@pytest.mark.parametrize("what", ["identity", "patient"])
def test_what_is_unknown_about_identity_or_patient_weighs_as_critical(what: str) -> None:
    """Unknown never passes as none."""
    assert severity(("no-effect-shown",), replace(NO_IMPACT, **{what: "unknown"})) == "critical"


def test_a_lower_severity_needs_a_reason(raised: Any) -> None:
    """Who says that it weighs less than the protocol said, says why."""
    lower = triage(raised, criteria=("corrected-at-once",), note="")
    if raised.state.deviations["D1"].severity != "minor":
        raised.no(lower, "reason-missing")
    raised.ok(replace(lower, note="the courier had them in the cab"))
    assert raised.state.deviations["D1"].severity == "minor"


def test_severity_cannot_be_chosen_without_a_criterion(raised: Any) -> None:
    """An assessment without criteria is none."""
    raised.no(triage(raised, criteria=()), "bad-value")


def test_a_decision_comes_after_the_assessment(raised: Any) -> None:
    """Nobody decides on what nobody has assessed."""
    raised.no(decide(raised), "not-possible-now")
    raised.ok(triage(raised))
    unsigned = replace(decide(raised), signatures=())
    raised.no(unsigned, "signature")
    raised.ok(decide(raised))
    raised.no(decide(raised), "already-answered")


def test_unknown_impact_blocks_every_use(raised: Any) -> None:
    """While it is unknown what it means for the product, it can only be discarded or made anew."""
    raised.ok(triage(raised, impact=replace(NO_IMPACT, product="unknown")))
    raised.no(decide(raised), "unknown-blocks")
    raised.ok(decide(raised, "discard"))


def test_a_lost_identity_is_never_used(raised: Any) -> None:
    """No decision lets a product of unproven identity go on."""
    raised.ok(triage(raised, impact=replace(NO_IMPACT, identity="confirmed")))
    raised.no(decide(raised, "use-as-is"), "not-possible-now")
    raised.no(decide(raised, "rework"), "not-possible-now")


def test_closing_needs_assessment_cause_and_decision(raised: Any) -> None:
    """Each of the three is asked for by name; then it closes, and stays closed."""
    raised.ok(triage(raised))
    refusal = raised.no(close(raised), "not-possible-now")
    assert "cause" in str(refusal)
    raised.ok(
        c.NameCause(
            **by(raised, "clinic"),
            deviation="D1",
            cause="documentation",
            why="the form has two versions",
            originated="H0",
        )
    )
    raised.no(close(raised), "not-possible-now")
    raised.ok(decide(raised))
    raised.ok(close(raised))
    raised.no(triage(raised), "already-answered")


def test_where_it_began_is_kept_apart_from_where_it_was_seen(raised: Any) -> None:
    """The cause names another activity; where it was detected does not move."""
    seen = raised.state.deviations["D1"].detected
    raised.ok(
        c.NameCause(
            **by(raised, "clinic"), deviation="D1", cause="timing", why="x", originated="H0"
        )
    )
    after = raised.state.deviations["D1"]
    assert (after.detected, after.originated) == (seen, "H0")
    raised.no(
        c.NameCause(
            **by(raised, "clinic"), deviation="D1", cause="timing", why="x", originated="H99"
        ),
        "unknown-name",
    )


def test_an_action_has_an_owner_a_date_and_a_second_look(raised: Any) -> None:
    """Only its owner finishes it; another person says whether it worked."""
    plan = c.PlanAction(
        **by(raised, "clinic"),
        deviation="D1",
        what="one version of the form",
        owner="courier",
        due=raised.at + timedelta(days=7),
        check_by=raised.at + timedelta(days=60),
    )
    raised.no(replace(plan, check_by=plan.due), "bad-value")
    raised.ok(plan)
    done = c.FinishAction(
        **by(raised, "clinic"), deviation="D1", action="D1.A1", result="withdrawn"
    )
    raised.no(done, "wrong-role")
    done = replace(done, by=raised.by("courier"))
    look = c.CheckAction(
        occurred_at=raised.at,
        by=raised.by("courier"),
        deviation="D1",
        action="D1.A1",
        effective=True,
        evidence="none seen in 30 handoffs",
        signatures=signed(raised, raised.by("courier")),
    )
    raised.no(look, "not-possible-now")
    raised.ok(done)
    raised.no(look, "wrong-person")
    clinic = raised.by("clinic")
    raised.ok(replace(look, by=clinic, signatures=signed(raised, clinic)))
    action = raised.state.deviations["D1"].work.actions[0]
    assert (action.effective, action.finished_by) == (True, raised.by("courier").person)


def one_form(raised: Any) -> c.PlanAction:
    """Return the plan of a corrective action that the courier owns."""
    return c.PlanAction(
        **by(raised, "clinic"),
        deviation="D1",
        what="one version of the form",
        owner="courier",
        due=raised.at + timedelta(days=1),
        check_by=raised.at + timedelta(days=9),
    )


def test_an_action_that_did_not_work_is_followed_by_another(raised: Any) -> None:
    """Until one is planned the case stays open; found out later, one can be planned all the same,
    and the owner is called until it is."""
    raised.ok(triage(raised))
    raised.ok(c.NameCause(**by(raised, "clinic"), deviation="D1", cause="timing", why="x"))
    raised.ok(decide(raised))
    plan = one_form(raised)
    clinic = raised.by("clinic")

    def tried(action: str, *, worked: bool) -> None:
        raised.ok(
            c.FinishAction(
                **by(raised, "courier"), deviation="D1", action=action, result="withdrawn"
            )
        )
        look = c.CheckAction(
            **by(raised, "clinic"),
            deviation="D1",
            action=action,
            effective=worked,
            evidence="seen twice in 30 handoffs",
            signatures=signed(raised, clinic),
        )
        raised.ok(look)

    def called() -> list[tuple[str, str]]:
        found = unfinished(raised.net, raised.state)
        return [(one.key, call.role) for one in found for call in one.calls if call.rung == 0]

    raised.ok(plan)
    tried("D1.A1", worked=False)
    assert "D1.A1 did not work" in str(raised.no(close(raised), "not-possible-now"))
    assert set(called()) >= {("D1.A1.failed", "courier")}
    raised.ok(plan)
    assert "D1.A1.failed" not in dict(called())
    tried("D1.A2", worked=True)
    raised.ok(close(raised))
    raised.no(plan, "already-answered")


def test_an_action_that_proves_useless_after_closing_can_be_followed_by_another(
    raised: Any,
) -> None:
    """The look comes weeks later, when the case is closed: it is not the end of it."""
    raised.ok(triage(raised))
    raised.ok(c.NameCause(**by(raised, "clinic"), deviation="D1", cause="timing", why="x"))
    raised.ok(decide(raised))
    plan = one_form(raised)
    clinic = raised.by("clinic")
    raised.ok(plan)
    raised.ok(
        c.FinishAction(**by(raised, "courier"), deviation="D1", action="D1.A1", result="done")
    )
    raised.ok(close(raised))
    raised.ok(
        c.CheckAction(
            **by(raised, "clinic"),
            deviation="D1",
            action="D1.A1",
            effective=False,
            evidence="seen again",
            signatures=signed(raised, clinic),
        )
    )
    keys = [one.key for one in unfinished(raised.net, raised.state)]
    assert "D1.A1.failed" in keys
    raised.ok(plan)
    keys = [one.key for one in unfinished(raised.net, raised.state)]
    assert "D1.A1.failed" not in keys and "D1.A2.done" in keys


def test_an_open_action_keeps_the_deviation_open(raised: Any) -> None:
    """What was promised is done before the case is closed."""
    raised.ok(triage(raised))
    raised.ok(c.NameCause(**by(raised, "clinic"), deviation="D1", cause="timing", why="x"))
    raised.ok(decide(raised))
    raised.ok(
        c.PlanAction(
            **by(raised, "clinic"),
            deviation="D1",
            what="x",
            owner="clinic",
            due=raised.at + timedelta(days=1),
            check_by=raised.at + timedelta(days=9),
        )
    )
    assert "D1.A1" in str(raised.no(close(raised), "not-possible-now"))


def said(stage: Any, part: str, role: str) -> c.StateOutOfSpecification:
    """Return one signed part of a supply out of specification."""
    return c.StateOutOfSpecification(
        **by(stage, role),
        deviation="D1",
        part=part,  # type: ignore[arg-type]
        statement="no other option in time",
        signatures=signed(stage, stage.by(role)),
    )


def test_supply_out_of_specification_takes_request_evaluation_and_both_acceptances(
    stage: Any,
) -> None:
    """Each part in its order and by its side; before the last one nothing is decided."""
    stage.walk_to("H1", "accept", "papers")
    code = "LATE_DELIVERY"
    stage.ok(c.RaiseDeviation(**by(stage, "courier"), code=code, about="H1", note="x"))
    stage.ok(triage(stage, criteria=("specification-not-met",)))
    supply = decide(stage, "supply-out-of-specification")
    stage.no(said(stage, "risk-evaluation", "plant"), "not-possible-now")
    stage.no(said(stage, "request", "plant"), "wrong-role")
    stage.no(replace(said(stage, "request", "clinic"), signatures=()), "signature")
    for part, role in (
        ("request", "clinic"),
        ("risk-evaluation", "plant"),
        ("acceptance", "clinic"),
        ("acceptance", "plant"),
    ):
        stage.no(supply, "not-possible-now")
        stage.ok(said(stage, part, role))
        stage.no(said(stage, part, role), "already-answered")
    stage.ok(supply)


def test_missing_papers_are_never_supplied_out_of_specification(raised: Any) -> None:
    """Only a product can be out of specification; papers and identities are right or wrong."""
    raised.no(said(raised, "request", "clinic"), "not-possible-now")


def test_old_records_without_work_are_read() -> None:
    """An event written before this work existed still becomes the same event."""
    old = {
        "type": "DeviationClosed",
        "occurred_at": "2026-03-02T07:30:00Z",
        "by": {"person": "p", "organisation": "o", "role": "r"},
        "deviation": "D1",
        "conclusion": "x",
    }
    assert isinstance(e.from_json(old), e.DeviationClosed)


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("apheresis", "it gave the baton at H1, where it was seen"),
        ("courier", "it received the baton at H1"),
        ("clinic", "it answers for the journey"),
        ("qp", "it certifies"),
    ],
)
def test_who_is_concerned_may_close(raised: Any, role: str, why: str) -> None:
    """The interface where it was seen or began, the accountable owner, and quality."""
    raised.ok(replace(close(raised), by=raised.by(role)))
    assert raised.state.deviations["D1"].closed_at is not None, why


@pytest.mark.parametrize("role", ["qc", "plant"])
def test_who_is_not_concerned_may_not_close(raised: Any, role: str) -> None:
    """A party that had nothing to do with it cannot declare it assessed."""
    refusal = raised.no(replace(close(raised), by=raised.by(role)), "wrong-role")
    assert "clinic" in refusal.reasons[0].todo


def test_the_protocol_may_say_who_closes(raised: Any) -> None:
    """Where it names roles, those close it and nobody else, not even the owner."""
    from stafett.journey.decide import decide as decide_
    from stafett.journey.refusal import Refusal
    from stafett.protocol.net import Net

    code = raised.state.deviations["D1"].code
    protocol = raised.net.protocol
    named = replace(protocol.deviations[code], closed_by=("qp",))
    net = Net(replace(protocol, deviations={**protocol.deviations, code: named}))
    assert isinstance(decide_(net, raised.state, close(raised)), Refusal)
    closing = replace(close(raised), by=raised.by("qp"))
    assert isinstance(decide_(net, raised.state, closing), tuple)
