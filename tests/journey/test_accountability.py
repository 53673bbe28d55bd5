"""Handing accountability over: offered by one, taken by another, exactly one owner at all times."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey.evolve import replay
from stafett.protocol.net import Net
from stafett.watch import ladder, ownership

replace = msgspec.structs.replace


def signed(stage: Any, by: c.Actor) -> tuple[c.Signature, ...]:
    """Return the signature of `by`."""
    return (
        c.Signature(
            person=by.person, name="N", meaning="M", at=stage.at, method="password", digest="d"
        ),
    )


def offer(stage: Any, to: str = "qp", role: str = "clinic") -> c.OfferAccountability:
    """Return the signed offer of the accountable owner."""
    by = stage.by(role)
    return c.OfferAccountability(
        occurred_at=stage.at, by=by, to=to, reason="the clinic closes", signatures=signed(stage, by)
    )


def take(stage: Any, role: str = "qp", accept: bool = True) -> c.AnswerAccountability:
    """Return the signed answer."""
    by = stage.by(role)
    return c.AnswerAccountability(
        occurred_at=stage.at, by=by, accept=accept, reason="", signatures=signed(stage, by)
    )


def test_nothing_moves_until_it_is_taken(stage: Any) -> None:
    """The giver answers for it through the offer; then the taker does, from that instant on."""
    stage.ok(offer(stage))
    assert stage.state.owner.role == "clinic"
    stage.ok(take(stage))
    assert [s.role for s in stage.state.accountability] == ["clinic", "qp"]
    assert ownership.gaps(stage.state) == []
    assert stage.state.offer is None


def test_only_the_owner_offers_and_only_who_was_asked_takes(stage: Any) -> None:
    """Neither a bystander nor the giver can move it alone."""
    stage.no(offer(stage, role="qp", to="plant"), "wrong-role")
    stage.no(take(stage), "not-possible-now")
    stage.ok(offer(stage))
    stage.no(take(stage, "plant"), "wrong-role")
    stage.no(take(stage, "clinic"), "wrong-role")


def test_the_person_who_offered_it_does_not_take_it(stage: Any) -> None:
    """Also where one person acts in both roles: two-sided means two people."""
    asked = offer(stage)
    stage.ok(asked)
    mine = take(stage)
    by = replace(mine.by, person=asked.by.person)
    stage.no(replace(mine, by=by, signatures=signed(stage, by)), "wrong-person")


@pytest.mark.parametrize("what", ["offer", "take"])
def test_both_sides_sign(stage: Any, what: str) -> None:
    """An offer and an answer without a signature are none."""
    if what == "offer":
        stage.no(replace(offer(stage), signatures=()), "signature")
        return
    stage.ok(offer(stage))
    stage.no(replace(take(stage), signatures=()), "signature")


def test_declining_needs_a_reason_and_leaves_it_where_it_was(stage: Any) -> None:
    """The giver can then ask another role."""
    stage.ok(offer(stage))
    stage.no(take(stage, accept=False), "reason-missing")
    stage.ok(replace(take(stage, accept=False), reason="not trained"))
    assert stage.state.owner.role == "clinic"
    stage.ok(offer(stage, to="plant"))


def test_one_role_is_asked_at_a_time(stage: Any) -> None:
    """A second offer waits until the first is answered or taken back."""
    stage.ok(offer(stage))
    stage.no(offer(stage, to="plant"), "already-answered")
    by = stage.by("clinic")
    stage.ok(c.WithdrawAccountability(occurred_at=stage.at, by=by, reason="a mistake"))
    stage.no(take(stage), "not-possible-now")
    stage.ok(offer(stage, to="plant"))


def test_who_carries_is_not_asked(stage: Any) -> None:
    """A courier holds a bag; it does not answer for a journey. Nor does one ask oneself."""
    stage.no(offer(stage, to="courier"), "unknown-name")
    stage.no(offer(stage, to="clinic"), "unknown-name")


@pytest.fixture
def moving(stage: Any) -> Any:
    """A journey whose order, H0, moves accountability from the clinic to the apheresis unit."""
    protocol = stage.net.protocol
    handoff = replace(protocol.handoffs["H0"], transfers_accountability=True)
    return type(stage)(Net(replace(protocol, handoffs={**protocol.handoffs, "H0": handoff})))


def test_a_handoff_of_the_protocol_overtakes_an_open_offer(moving: Any) -> None:
    """Who answers for it after the handoff is asked anew: an old offer moves nothing."""
    closing = moving.to_closing("H0", "accept")
    moving.ok(offer(moving))
    moving.ok(closing)
    assert (moving.state.owner.role, moving.state.offer) == ("apheresis", None)
    moving.no(take(moving), "not-possible-now")


def test_the_protocols_own_handoff_waits_while_somebody_else_answers(moving: Any) -> None:
    """A handoff that moves accountability is refused until one of its sides has it again."""
    closing = moving.to_closing("H0", "release")
    moving.ok(offer(moving))
    moving.ok(take(moving))
    assert "accountability" in str(moving.no(closing, "not-possible-now"))
    moving.ok(offer(moving, role="qp", to="clinic"))
    moving.ok(take(moving, "clinic"))
    moving.ok(closing)


def test_who_was_asked_is_told_and_then_who_asked(stage: Any) -> None:
    """An offer nobody answers calls the role, its deputies, and at last the owner."""
    stage.ok(offer(stage))
    found = [x for x in ladder.causes(stage.net, stage.state, stage.at) if x.kind == "work"]
    assert [(call.role, call.deputy) for call in found[0].calls] == [
        ("qp", False), ("qp", True), ("clinic", False),
    ]  # fmt: skip
    stage.ok(take(stage))
    assert not [x for x in ladder.causes(stage.net, stage.state, stage.at) if x.kind == "work"]


def test_it_is_read_back_from_the_record(stage: Any) -> None:
    """The events through JSON give the same owner; an old record without offers is still read."""
    stage.ok(offer(stage))
    stage.ok(take(stage))
    again = replay(stage.net, [e.from_json(e.to_json(one)) for one in stage.story.events])
    assert again == stage.state
