"""The fast explorer reaches exactly what the plain one reaches."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stafett.protocol.chain import Chain
from stafett.protocol.explore import Space, explore
from stafett.protocol.model import Protocol
from stafett.protocol.naive import reachable
from stafett.protocol.net import NONE, Net
from stafett.protocol.read import parse
from stafett.protocol.references import references

HERE = Path(__file__).parent


def broken(space: Space) -> set[tuple[str, str]]:
    return {(rule, subject) for rule, subject, _ in space.broken}


def assert_same(net: Net) -> None:
    seen, breaks = reachable(net, limit=4000)
    if len(seen) >= 4000:
        return
    going = {marking for marking in seen if marking.outcome == NONE}
    exact = explore(net, exact=True)
    assert {exact.compiled.decode(state) for state in exact.states} == going
    assert broken(exact) == breaks
    assert len(exact.states) == len(set(exact.states))
    coarse = explore(net)
    assert {coarse.compiled.stands_for(marking) for marking in going} <= set(coarse.states)
    assert broken(coarse) >= breaks


@pytest.mark.parametrize("name", ["small", "sound"])
def test_the_fast_explorer_reaches_the_same_markings(name: str) -> None:
    """On the example chains: the same markings, the same violations; the coarse one covers them."""
    assert_same(Net(parse((HERE / f"{name}.yaml").read_text()).bind()))


ROLES = ("a", "b", "c")
MATERIALS = ("m0", "m1", "m2")


class Drawn:
    """A small chain in the making: mostly right, so that there is something to explore.

    `holder` says who would hold each material if all went well; now and then a choice is made
    against it, so that most properties break in some chains.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.names = [f"x{i}" for i in range(draw(st.integers(2, 6)))]
        self.holder: dict[str, str] = {}
        self.inside: dict[str, str] = {}
        self.steps: dict[str, object] = {}
        self.handoffs: dict[str, object] = {}
        self.owner = "a"

    def seldom(self, one_in: int = 8) -> bool:
        return self.draw(st.integers(1, one_in)) == one_in

    def some(self, among: list[str]) -> list[str]:
        return [one for one in among if self.draw(st.booleans())]

    def route(self, last: int) -> dict[str, object]:
        back = [{"go": name} for name in self.names[: last + 1]]
        return self.draw(
            st.sampled_from([{"end": "over"}, {"decide": "judge"}, {"decide": "board"}, *back])
        )

    def maybe(self, field: str, into: dict[str, object], last: int) -> None:
        if self.draw(st.booleans()):
            into[field] = self.route(last)

    def activity(self, i: int, name: str) -> dict[str, object]:
        earlier = self.names[:i]
        after = earlier[-1:] if not self.seldom(3) else self.some(earlier)
        if i and self.seldom():
            after = [f"{after[-1]}=well" if after and after[-1] in self.steps else earlier[0]]
        one: dict[str, object] = {"title": name, "after": after}
        one |= {"attempts": self.draw(st.integers(1, 3)), "exhausted": {"end": "over"}}
        self.maybe("on_stop", one, i)
        return one

    def handoff(self, i: int, name: str) -> None:
        giver = self.draw(st.sampled_from(ROLES))
        receiver = self.draw(st.sampled_from([role for role in ROLES if role != giver]))
        held = [m for m, role in self.holder.items() if role == giver and m not in self.inside]
        carries = self.some(held if not self.seldom() else list(MATERIALS))
        one = self.activity(i, name)
        side = {"sign": {"meaning": "s"}}
        one |= {"giver": giver, "receiver": receiver, "object": "o", "carries": carries}
        one |= {"release": side, "accept": side}
        if self.owner == giver or self.seldom():
            one["transfers_accountability"] = True
            self.owner = receiver
        self.maybe("on_quarantine", one, i)
        self.maybe("on_refuse", one, i)
        for m in carries:
            self.holder[m] = receiver
        absent = [m for m in MATERIALS if m not in self.holder]
        if carries and absent and self.seldom(3):
            one["becomes"] = {carries[0]: absent[0]}
            self.holder[absent[0]] = self.holder.pop(carries[0])
        self.handoffs[name] = one

    def step(self, i: int, name: str) -> None:
        role = self.draw(st.sampled_from(ROLES))
        held = [m for m, holder in self.holder.items() if holder == role]
        free = [m for m in held if m not in self.inside]
        inputs = self.some(free if not self.seldom() else list(MATERIALS))
        consumes = [m for m in inputs if self.seldom(4) and m not in self.inside.values()]
        one = self.activity(i, name)
        one |= {"role": role, "kind": self.draw(st.sampled_from(["process", "store"]))}
        one |= {"inputs": inputs, "consumes": consumes}
        for m in consumes:
            self.holder.pop(m, None)
        absent = [m for m in MATERIALS if m not in self.holder]
        outputs = self.some(absent if not self.seldom() else list(MATERIALS))
        one["outputs"] = outputs
        self.holder |= dict.fromkeys(outputs, role)
        pair = [m for m in free if m not in consumes and m not in self.inside.values()]
        if len(pair) > 1 and self.draw(st.booleans()):
            one["packs"] = {pair[0]: pair[1]}
            self.inside[pair[0]] = pair[1]
        elif packed := [m for m in held if self.inside.get(m) in held]:
            one["unpacks"] = {packed[0]: self.inside.pop(packed[0])}
        results: dict[str, object] = {"well": {"title": "W"}}
        if self.draw(st.booleans()):
            results["ill"] = {"title": "I", "then": self.route(i)}
        if self.seldom(4):
            results["so"] = {"title": "S"}
        one["results"] = results
        self.steps[name] = one


def decision(route: dict[str, object]) -> dict[str, object]:
    results = {
        "resume": {"title": "R", "then": {"resume": True}},
        "other": {"title": "O", "then": route},
    }
    return {"title": "D", "role": "a", "kind": "decision", "on_demand": True, "results": results}


@st.composite
def chains(draw: st.DrawFn) -> dict[str, object]:
    """Draw a small chain with steps, handoffs, packing, relabelling, retries and decisions."""
    drawn = Drawn(draw)
    last = len(drawn.names) - 1
    for i, name in enumerate(drawn.names):
        if i and draw(st.integers(0, 2)) == 0:
            drawn.handoff(i, name)
        else:
            drawn.step(i, name)
    end = {"title": "End", "role": "a", "kind": "record", "after": drawn.names[-1:]}
    end["results"] = {"end": {"title": "E", "then": {"end": "over"}}}
    steps = {
        "judge": decision(drawn.route(last)),
        "board": decision({"end": "over"}),
        **drawn.steps,
        "end": end,
    }
    materials = {}
    for material in MATERIALS:
        entry: dict[str, object] = {"title": material, "container": "bag", "purpose": "starting"}
        drawn.maybe("on_lost", entry, last)
        if drawn.seldom(3):
            entry["shelf_life"] = {"at_most": "1 h", "counts_from": drawn.names[0]}
            drawn.maybe("on_expired", entry, last)
        materials[material] = entry
    interrupts: dict[str, object] = {}
    if drawn.seldom(3):
        interrupts["stop"] = {"title": "S", "then": drawn.route(last), "until": drawn.names[-1]}
    return {
        "stafett": 1,
        "protocol": "random",
        "version": "1",
        "title": "Random",
        "family": "autologous",
        "owner": "a",
        "roles": {r: {"title": r, "organisation": "hospital"} for r in ROLES},
        "identifiers": {},
        "deviations": {},
        "materials": materials,
        "steps": steps,
        "handoffs": drawn.handoffs,
        "interrupts": interrupts,
        "outcomes": {"over": {"title": "Over", "owner": "a", "materials": "none-left"}},
    }


@settings(max_examples=150, deadline=None)
@given(chains())
def test_random_chains_are_explored_alike(value: dict[str, object]) -> None:
    """On random small chains the two explorers reach the same markings and violations."""
    document = parse(yaml.safe_dump(value, sort_keys=False))
    protocol: Protocol = document.bind()
    names = [f for f in references(Chain(document, protocol)) if f.code != "never-made"]
    assert not names, names
    assert_same(Net(protocol))


@settings(max_examples=60, deadline=None)
@given(chains())
def test_whatever_the_coarse_explorer_lets_end_can_end(value: dict[str, object]) -> None:
    """If every coarse marking can reach an end, so can every exact one."""
    net = Net(parse(yaml.safe_dump(value, sort_keys=False)).bind())
    coarse = explore(net)
    if coarse.stuck or coarse.endless or coarse.broken:
        return
    exact = explore(net, exact=True, limit=20_000)
    assert not exact.stuck
    assert not exact.endless
