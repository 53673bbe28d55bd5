"""An onboarding is itself a protocol: proven, and its events do what its net permits."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from stafett.protocol.builtin import ONBOARDING, builtin, names
from stafett.protocol.check import prove
from stafett.protocol.marking import NONE, Marking, Move
from stafett.registry import process
from stafett.registry import readiness as r
from stafett.registry.dryrun import Leg
from stafett.registry.requirement import Kind, Requirement, RequirementList

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
KINDS: tuple[Kind, ...] = get_args(Kind)


def test_the_protocol_of_onboardings_is_proven() -> None:
    """Every property holds, on every path; and it is offered as no therapy."""
    proof = prove(builtin(ONBOARDING))
    assert not proof.findings and ONBOARDING not in names()


def test_every_kind_of_requirement_has_its_handoff() -> None:
    """Documents, training, facility, accreditation, system, dry run: from the site to who asks."""
    handoffs = process.net().protocol.handoffs
    assert set(process.HANDOFFS) == set(KINDS)
    for name in (*process.HANDOFFS.values(), process.SIGN_OFF):
        assert (handoffs[name].giver, handoffs[name].receiver) == ("site", "asker")


def asks(*kinds: Kind) -> RequirementList:
    wanted = tuple(Requirement(topic=f"topic.{k}", title=k, kind=k) for k in kinds)
    return RequirementList(id="m", organisation="m", protocol="p", version="1", requirements=wanted)


def tries(state: r.Onboarding, side: str) -> list[r.Event]:
    """Return everything that a side could try."""
    common: dict[str, Any] = {"at": NOW, "by": side}
    leg = Leg(activity="H08", side="accept", role="x", verdict="clean")
    found: list[r.Event] = [
        r.Signed(**common, side=side),
        r.Withdrawn(**common, side=side, reason="no"),
    ]
    for topic, item in state.items.items():
        run = (leg,) if item.requirement.kind == "dry-run" else None
        found += [
            r.Shown(**common, topic=topic, evidence="e", run=run),
            r.Accepted(**common, topic=topic),
            r.Refused(**common, topic=topic, reason="no"),
        ]
    return found


def moves_of(state: r.Onboarding, event: r.Event) -> list[Move]:
    """Return what an event is in the protocol, told without the code that decides it."""
    if isinstance(event, r.Withdrawn):
        return [Move("interrupt", "onboarding_withdrawn")]
    if isinstance(event, r.Signed):
        return [Move("release" if event.side == "site" else "accept", "SIGN_OFF")]
    assert not isinstance(event, r.Opened)
    item = state.items[event.topic]
    name = process.HANDOFFS[item.requirement.kind]
    if isinstance(event, r.Shown):
        again = [Move("decide", "AMEND", name, "again")] if item.status == "refused" else []
        return [*again, Move("release", name)]
    return [Move("accept" if isinstance(event, r.Accepted) else "refuse", name)]


def permitted(at: Marking, moves: list[Move], side: str) -> Marking | None:
    net = process.net()
    for move in moves:
        giver = {"release": "site", "decide": "site", "accept": "asker", "refuse": "asker"}
        if giver.get(move.kind, side) != side or move not in net.moves(at):
            return None
        at = net.after(at, move)
    return at


@pytest.mark.parametrize(
    "kinds", [("document",), ("training", "dry-run"), ("facility", "system", "accreditation")]
)
def test_what_happens_is_what_the_protocol_permits(kinds: tuple[Kind, ...]) -> None:
    """Walk both together to every state: the same acts are possible, and lead to the same place.

    One thing is more: the site may show something else before it is answered, which is the same
    release.
    """
    net = process.net()
    first = r.Onboarding(
        "s",
        asks(*kinds),
        NOW,
        {f"topic.{k}": r.Item(x) for k, x in zip(kinds, asks(*kinds).requirements, strict=True)},
    )
    start = net.initial()
    for kind, name in process.HANDOFFS.items():  # what is not asked for is done
        if kind not in kinds:
            for move in (Move("release", name), Move("accept", name)):
                start = net.after(start, move)
    seen = {(str(first.items), str(first.signed), first.ready, start)}
    todo = deque([(first, start)])
    ends: set[str] = set()
    while todo:
        state, at = todo.popleft()
        for side in ("site", "asker"):
            for event in tries(state, side):
                try:
                    made = r.decide(state, event, side, NOW)
                except r.Not:
                    made = None
                to = permitted(at, moves_of(state, event), side)
                shown_again = (
                    isinstance(event, r.Shown)
                    and state.items[event.topic].status == "shown"
                    and side == "site"
                )
                if shown_again and state.withdrawn is None:
                    assert made is not None and to is None
                    continue
                assert (made is None) == (to is None), (state, event, side)
                if made is None or to is None:
                    continue
                after = r.evolve(state, made)
                if after.ready is not None:  # the public list says so by itself
                    for move in (Move("start", "READY"), Move("finish", "READY", "", "listed")):
                        assert move in net.moves(to)
                        to = net.after(to, move)
                assert (after.ready is not None) == (
                    to.outcome != NONE and net.outcomes[to.outcome] == "ready"
                )
                assert (after.withdrawn is not None) == (
                    to.outcome != NONE and net.outcomes[to.outcome] == "withdrawn"
                )
                if to.outcome != NONE:
                    ends.add(net.outcomes[to.outcome])
                key = (str(after.items), str(after.signed), after.ready, to)
                if key not in seen:
                    seen.add(key)
                    todo.append((after, to))
    assert ends == {"ready", "withdrawn"} and len(seen) > 4
