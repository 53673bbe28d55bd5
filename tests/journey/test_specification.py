"""A product that is out of specification goes on by the deviation's signed decision, or not at all.

EudraLex volume 4 part IV, 11.5: the physician's request, the evaluation of the risks, and its
acceptance on both sides; handoff catalogue H15.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey import specification
from stafett.journey import supply as who
from stafett.journey.decide import decide
from stafett.journey.evolve import evolve, replay
from stafett.journey.label import Labels
from stafett.journey.refusal import Refusal
from stafett.journey.script import Cast, Fault, act, open_journey, play
from stafett.journey.settling import settle, supply
from stafett.journey.tasks import next_moves
from stafett.journey.view import station
from stafett.protocol.builtin import builtin
from stafett.protocol.net import NONE, Net
from stafett.watch import ladder

replace = msgspec.structs.replace
START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
NO_IMPACT = c.Impact(identity="none", custody="none", product="none", patient="none")
OTHERS = ("no-effect", "use-as-is", "rework", "recollect", "discard")


def failing(stage: Any) -> str:
    """Let the release test end out of specification; return the deviation."""
    closing = stage.to_closing("test")
    stage.ok(replace(closing, result="oos"))
    return list(stage.state.deviations)[-1]


def taking_up(stage: Any) -> c.Decide:
    """Return the decision that lets the product go on."""
    return c.Decide(
        occurred_at=stage.at,
        by=stage.by("clinic"),
        decision="exception",
        about="test",
        result="use",
        reason="requested",
    )


def parts(stage: Any, name: str) -> tuple[c.Command, ...]:
    """Return the assessment, the four statements and the decision of a supply."""
    return supply(stage.net, name, stage.story.cast, stage.at)


def decision(stage: Any, name: str, disposition: Any) -> c.DecideDeviation:
    """Return the signed decision, changed to another one."""
    last = parts(stage, name)[-1]
    assert isinstance(last, c.DecideDeviation)
    return replace(last, disposition=disposition)


def test_it_goes_on_when_everything_is_recorded_and_decided(stage: Any) -> None:
    """Before each of the parts the way is closed; after the decision it is open."""
    name = failing(stage)
    for part in parts(stage, name):
        refusal = stage.no(taking_up(stage), "unknown-blocks")
        assert name in str(refusal)
        stage.ok(part)
    stage.ok(taking_up(stage))
    stage.ok(stage.to_closing("certify"))


@pytest.mark.parametrize("disposition", OTHERS)
def test_no_other_decision_opens_the_way(stage: Any, disposition: str) -> None:
    """Passed off as within it cannot be decided at all; the others keep it where it is."""
    name = failing(stage)
    stage.ok(parts(stage, name)[0])
    other = decision(stage, name, disposition)
    if disposition in specification.AS_IF_WITHIN:
        stage.no(other, "not-possible-now")
        stage.no(taking_up(stage), "unknown-blocks")
        return
    stage.ok(other)
    assert disposition in str(stage.no(taking_up(stage), "not-possible-now"))


def test_collecting_anew_needs_no_supply(stage: Any) -> None:
    """What is not given to anybody is free to be given up."""
    failing(stage)
    stage.ok(replace(taking_up(stage), result="anew"))
    stage.walk_to("manufacture", check="in")


def test_closing_the_deviation_opens_nothing(stage: Any) -> None:
    """Even a deviation that was assessed as minor and closed leaves the result what it is."""
    name = failing(stage)
    stage.ok(replace(parts(stage, name)[0], criteria=("no-effect-shown",), impact=NO_IMPACT))
    close = c.CloseDeviation(
        occurred_at=stage.at, by=stage.by("clinic"), deviation=name, conclusion="no effect"
    )
    stage.ok(close)
    stage.no(taking_up(stage), "unknown-blocks")


def test_a_failed_check_blocks_though_the_test_is_said_to_have_passed(stage: Any) -> None:
    """Who answers 50 % viability and ends as made has a product that nobody may certify."""
    stage.walk_to("manufacture", check="viability")
    stage.ok(stage.answer("manufacture", "step", "viability", 50.0))
    stage.walk_to("H3", "accept")
    name = list(stage.state.deviations)[-1]
    assert specification.of_dose(stage.net, stage.state, stage.state.deviations[name])
    refused = certification(stage)
    assert name in str(stage.no(refused, "unknown-blocks"))
    for part in parts(stage, name):
        stage.ok(part)
    stage.ok(refused)


@pytest.mark.parametrize("disposition", specification.AS_IF_WITHIN)
def test_nor_is_it_passed_off_as_within_while_it_is_still_being_made(
    stage: Any, disposition: str
) -> None:
    """Decided before the batch has its number, it would be the same false word about it."""
    stage.walk_to("manufacture", check="viability")
    stage.ok(stage.answer("manufacture", "step", "viability", 50.0))
    (name,) = stage.state.deviations
    first, *rest = parts(stage, name)
    stage.ok(first)
    refusal = stage.no(decision(stage, name, disposition), "not-possible-now")
    assert "not passed off as within" in str(refusal)
    stage.no(rest[-1], "not-possible-now")
    for part in rest:
        stage.ok(part)
    stage.ok(certification(stage))


def certification(stage: Any) -> c.Start:
    """Walk until only the certification is left, and return the command that starts it."""
    for _ in range(300):
        tasks = [t for t in next_moves(stage.net, stage.state) if not t.blocked]
        tasks = [t for t in tasks if t.activity != "certify"]
        if not tasks:
            return c.Start(occurred_at=stage.at, by=stage.by("qp"), step="certify")
        stage.ok(stage.right(tasks[0].activity, tasks[0].side, tasks[0].about))
    raise AssertionError("the certification is never next")


def test_a_slip_that_was_corrected_needs_a_decision_but_no_supply(stage: Any) -> None:
    """The record no longer says that it fails: a person decides so, and signs."""
    stage.walk_to("manufacture", check="viability")
    [*_, answered] = stage.ok(stage.answer("manufacture", "step", "viability", 7.0))
    del answered
    at = next(
        answers[0].position
        for sheet in stage.state.sheets.values()
        for check, answers in sheet.answers.items()
        if check == "viability"
    )
    name = list(stage.state.deviations)[-1]
    stage.ok(
        c.Correct(
            occurred_at=stage.at, by=stage.by("plant"), position=at, field="value", value=78.0,
            reason="a key was missed",
        )
    )  # fmt: skip
    start = certification(stage)
    stage.no(start, "unknown-blocks")
    triage = replace(parts(stage, name)[0], impact=NO_IMPACT, criteria=("corrected-at-once",))
    stage.ok(triage)
    stage.ok(decision(stage, name, "no-effect"))
    stage.ok(start)


def test_a_report_by_hand_blocks_until_it_is_assessed_as_met(stage: Any) -> None:
    """Anybody may doubt the product; who assesses that it meets its specification lifts that."""
    stage.walk_to("H5", "release")
    report = c.RaiseDeviation(
        occurred_at=stage.at, by=stage.by("clinic"), code="OOS_RESULT", about="dose", note="cloudy"
    )
    stage.ok(report)
    name = list(stage.state.deviations)[-1]
    stage.walk_to("H5", "accept")
    stage.ok(stage.to_closing("H5", "accept"))
    thaw = c.Start(occurred_at=stage.at, by=stage.by("clinic"), step="thaw")
    stage.no(thaw, "unknown-blocks")
    stage.ok(replace(parts(stage, name)[0], impact=NO_IMPACT, criteria=("no-effect-shown",)))
    stage.no(thaw, "unknown-blocks")
    stage.ok(decision(stage, name, "no-effect"))
    stage.ok(thaw)


def test_what_is_found_at_a_reception_is_about_what_is_in_the_box(stage: Any) -> None:
    """H2 carries a shipper: who takes it with this deviation doubts the bag that is in it."""
    stage.walk_to("H2", "accept")
    closing = stage.to_closing("H2", "accept")
    stage.ok(replace(closing, decision="accept-with-deviation", reason="OOS_RESULT"))
    name = list(stage.state.deviations)[-1]
    raised = stage.state.deviations[name]
    assert specification.directly(stage.net, stage.state, raised) == {"bag/1"}
    assert name in str(stage.no(certification(stage), "unknown-blocks"))


def test_each_part_calls_whose_it_is(stage: Any) -> None:
    """The physician learns of the result at once; then it goes back and forth to the decision."""
    name = failing(stage)

    def told() -> list[tuple[str, str]]:
        found = ladder.causes(stage.net, stage.state, stage.at)
        causes = [x for x in found if x.key.startswith(f"{name}.supply.")]
        return [(x.key.rpartition(".")[2], x.calls[0].role) for x in causes]

    triage, *rest = parts(stage, name)
    stage.ok(triage)
    seen = []
    for part in rest:
        seen += told()
        stage.ok(part)
    assert seen == [
        ("request", "clinic"), ("risk-evaluation", "qp"), ("acceptance-physician", "clinic"),
        ("acceptance-maker", "qp"), ("decision", "qp"),
    ]  # fmt: skip
    assert told() == []


def test_a_product_that_is_given_up_calls_nobody_for_its_supply(stage: Any) -> None:
    """Collected anew, there is nothing left to ask for."""
    failing(stage)
    stage.ok(replace(taking_up(stage), result="anew"))
    assert not [x for x in ladder.causes(stage.net, stage.state, stage.at) if "supply" in x.key]


def test_one_person_does_not_speak_for_both_sides(stage: Any) -> None:
    """Who requested it as the physician does not accept it as the manufacturer."""
    name = failing(stage)
    triage, request, evaluation, physician, maker, _ = parts(stage, name)
    for part in (triage, request, evaluation, physician):
        stage.ok(part)
    by = replace(maker.by, person=request.by.person)
    mine = replace(maker.signatures[0], person=by.person)
    stage.no(replace(maker, by=by, signatures=(mine,)), "wrong-person")


def test_only_the_treating_physician_requests(stage: Any) -> None:
    """Another role of the same hospital does not ask for the product."""
    name = failing(stage)
    request = parts(stage, name)[1]
    by = stage.by("apheresis")
    mine = replace(request.signatures[0], person=by.person)
    stage.no(replace(request, by=by, signatures=(mine,)), "wrong-role")


def test_every_order_but_the_right_one_leaves_the_way_closed(stage: Any) -> None:
    """Of all orders in which the five could come, no prefix opens the way before its decision."""
    name = failing(stage)
    triage, *rest = parts(stage, name)
    stage.ok(triage)
    before = stage.state
    for order in permutations(rest):
        stage.story.state = before
        for part in order:
            result = stage.story.submit(part)
            if isinstance(result, Refusal):
                continue
            if not isinstance(part, c.DecideDeviation):
                stage.no(taking_up(stage), "unknown-blocks")
        decided = stage.state.deviations[name].work.disposition
        opened = not isinstance(decide(stage.net, stage.state, taking_up(stage)), Refusal)
        assert opened == (decided == specification.SUPPLY)
        assert not opened or order[-1] is rest[-1]


def test_whoever_certifies_receives_and_gives_it_is_told_what_it_is(stage: Any) -> None:
    """At each station that handles the product afterwards the decision is named; elsewhere not."""
    name = failing(stage)
    assert stage.station("exception", "step", "test").awaits == (name,)
    for part in parts(stage, name):
        stage.ok(part)
    stage.ok(taking_up(stage))
    stage.walk_to("certify")
    assert stage.station("certify").supplied == (name,)
    for activity in ("thaw", "infuse"):
        stage.walk_to(activity)
        assert stage.station(activity).supplied == (name,)
    assert stage.station("H0", "accept").supplied == ()


def test_a_certification_that_was_begun_waits_for_what_is_found_meanwhile(stage: Any) -> None:
    """Its station offers no good ending, and names what it waits for."""
    stage.walk_to("certify")
    report = c.RaiseDeviation(
        occurred_at=stage.at, by=stage.by("plant"), code="OOS_RESULT", about="dose", note="cloudy"
    )
    stage.ok(report)
    place = stage.station("certify")
    assert place.awaits == (list(stage.state.deviations)[-1],)
    assert "done" not in [option.id for option in place.options]


# -- the built-in protocols ----------------------------------------------------------------------

RELEASE = {
    "autologous-car-t": ("TEST", "D_OOS", "supply", "specification"),
    "point-of-care-car-t": ("RAPID_TEST", "D_OOS", "supply", "criteria"),
    "tissue-engineered": ("RAPID_TEST", "D_QUALITY", "use", "criteria"),
}
NETS = {name: Net(builtin(name).bind()) for name in RELEASE}


@pytest.fixture(params=sorted(RELEASE))
def built_in(request: pytest.FixtureRequest) -> tuple[Net, tuple[str, str, str, str]]:
    """Return a built-in protocol that tests its product, and where."""
    return NETS[request.param], RELEASE[request.param]


def test_each_built_in_protocol_can_supply_and_certifies_it_as_what_it_is(
    built_in: tuple[Net, tuple[str, str, str, str]], start: Any
) -> None:
    """The way can be walked to its end, also at the point of care, and the certificate says so."""
    net, (test, on_demand, result, check) = built_in
    story = play(net, start, faults=(Fault("OOS_RESULT", activity=test),))
    assert story.state is not None
    oos = list(story.state.deviations.values())
    assert [d.work.disposition for d in oos] == ["supply-out-of-specification"] * len(oos)
    assert len(oos) >= 1
    answers = [x for x in story.events if isinstance(x, e.CheckAnswered) and x.check == check]
    assert answers[-1].value == "exception"
    decided = [x for x in story.events if isinstance(x, e.Decided)]
    assert [(d.decision, d.result) for d in decided] in ([(on_demand, result)], [])
    assert net.protocol.outcomes[net.outcomes[story.state.marking.outcome]].treated


def test_a_test_does_not_end_within_specification_with_a_value_outside(
    built_in: tuple[Net, tuple[str, str, str, str]], start: Any
) -> None:
    """Within is refused and not offered, invalid is; outside is the one finding that there is."""
    net, (test, *_) = built_in
    story = play(net, start, faults=(Fault("OOS_RESULT", activity=test),))
    ended = next(x for x in story.events if isinstance(x, e.StepFinished) and x.step == test)
    before = story.events[: story.events.index(ended)]
    state = replay(net, before)
    assert state is not None
    assert {o.id for o in station(net, state, test, "step").options} == {"out_of_spec", "invalid"}
    ends = next(x for x in story.commands if isinstance(x, c.Finish) and x.step == test)
    refused = decide(net, state, replace(ends, result="in_spec"))
    assert isinstance(refused, Refusal), refused
    assert "failed: in_spec would say the opposite" in str(refused)
    assert ended.result == "out_of_spec"
    assert [d.code for d in state.deviations.values()] == ["OOS_RESULT"]
    assert ended.deviations == tuple(state.deviations), "one finding is one deviation"


def test_exception_is_no_answer_where_none_was_decided(start: Any) -> None:
    """A certificate does not claim a request that nobody made, nor hide one that somebody did."""
    net = NETS["autologous-car-t"]
    check = next(x for x in net.protocol.steps["CERTIFY"].checks if x.id == "specification")
    clean = play(net, start)
    assert clean.state is not None
    assert specification.fits(net, clean.state, check, "exception") is not None
    assert specification.fits(net, clean.state, check, "within") is None


def test_who_makes_and_who_treats_are_known_in_every_protocol() -> None:
    """Nowhere is a part of the supply nobody's, and no role stands on both sides."""
    for name in ("autologous-car-t", "point-of-care-car-t", "tissue-engineered", "allogeneic"):
        net = Net(builtin(name).bind())
        asks, makes = who.physicians(net), who.makers(net)
        assert asks
        assert makes
        assert not asks & makes


# -- whatever people do --------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, phases=(Phase.generate,))
@given(seed=st.integers(1, 99_999), name=st.sampled_from(sorted(RELEASE)))
def test_nothing_goes_on_without_its_supply(seed: int, name: str) -> None:
    """Deciders try everything in any order; the events of each treated patient show a supply.

    The oracle reads events alone: a test that ended out of specification and was not begun afresh
    must, before the certification, have its request, evaluation, acceptances and decision.
    """
    net = NETS[name]
    test = RELEASE[name][0]
    cast = Cast({r: f"org-{one.organisation}" for r, one in net.protocol.roles.items()})
    labels, at = Labels(seed), START
    chance = random.Random(seed)
    state: Any = None
    events: list[e.Event] = []
    faults = [Fault("OOS_RESULT", activity=test)]

    def submit(command: c.Command) -> bool:
        nonlocal state
        result = decide(net, state, command)
        if isinstance(result, Refusal):
            return False
        for event in result:
            events.append(event)
            state = evolve(net, state, event)
        return True

    submit(open_journey(net, f"J{seed}", labels, cast, at))
    for _ in range(1_500):
        if state.marking.outcome != NONE:
            break
        at += timedelta(seconds=20)
        open_ = specification.standing(net, state)
        if open_ and chance.random() < 0.5:
            raised = chance.choice(open_)
            ways = list(settle(net, state, raised, cast, at))
            last = ways[-1]
            assert isinstance(last, c.DecideDeviation)
            if chance.random() < 0.2:
                other = OTHERS if chance.random() < 0.1 else specification.AS_IF_WITHIN
                submit(replace(last, disposition=chance.choice(other)))
            elif chance.random() < 0.2:
                submit(chance.choice(ways))
            else:
                # An assessment can be made again and again: once is enough.
                next(filter(submit, ways[raised.work.triaged_at is not None :]), None)
            continue
        tasks = [t for t in next_moves(net, state) if not t.blocked]
        if not tasks:
            break
        task = chance.choice(tasks)
        place = station(net, state, task.activity, task.side, about=task.about, at=at)
        spare = labels.copy()
        if task.kind == "decide" and chance.random() < 0.7:
            # Who decides tries to let it pass, whatever the station offers.
            step = net.protocol.steps[task.activity]
            resume = [n for n, r in step.results.items() if r.then is not None and r.then.resume]
            right = act(net, place, spare, cast, at)
            if resume and isinstance(right, c.Decide):
                submit(replace(right, result=resume[0]))
                continue
        command = act(net, place, spare, cast, at, faults[0] if faults else None)
        if submit(command):
            labels = spare
            if isinstance(command, c.Finish | c.Answer) and any(
                isinstance(x, e.DeviationRaised) for x in events[-4:]
            ):
                faults = faults if chance.random() < 0.3 else []
    _oracle(net, test, events)


def _oracle(net: Net, test: str, events: list[e.Event]) -> None:
    failed: set[str] = set()
    said: dict[str, set[tuple[str, str]]] = {}
    supplied: set[str] = set()
    for event in events:
        match event:
            case e.StepFinished() if event.step == test:
                raised = {d for d in event.deviations if d not in failed}
                failed |= raised
            case e.StartedAfresh() if test in event.activities:
                failed = set()
            case e.OutOfSpecificationStated():
                said.setdefault(event.deviation, set()).add((event.part, event.by.role))
            case e.DeviationDecided() if event.disposition == "supply-out-of-specification":
                assert len(said[event.deviation]) >= 4
                supplied.add(event.deviation)
            case e.Decided() if event.about == test:
                then = net.protocol.steps[event.decision].results[event.result].then
                if failed and then is not None and then.resume:
                    assert failed & supplied, f"{event.decision} with {failed} not supplied"
            case e.StepFinished() if net.protocol.steps[event.step].kind in (
                "certify",
                "administer",
            ):
                then = net.protocol.steps[event.step].results.get(event.result)
                if failed and (then is None or then.then is None or then.then.end is not None):
                    assert failed & supplied, f"{event.step} with {failed} not supplied"


def test_a_hole_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A core from which the last doors are taken out does not get through."""
    monkeypatch.setattr(specification, "doubts", lambda *_: ())
    monkeypatch.setattr(specification, "held", lambda *_: ())
    with pytest.raises(AssertionError, match="not supplied"):
        test_nothing_goes_on_without_its_supply()
