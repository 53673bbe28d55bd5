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
from stafett.protocol.net import NONE, Marking, Net
from stafett.protocol.read import parse
from stafett.protocol.references import references

HERE = Path(__file__).parent


def broken(space: Space) -> set[tuple[str, str]]:
    return {(rule, subject) for rule, subject, _ in space.broken}


def alike(net: Net, marking: Marking, space: Space) -> bytes:
    """Return the coarse marking that stands for an exact one."""
    compiled = space.compiled
    plain = compiled.encode(marking._replace(attempts=(0,) * len(marking.attempts)))
    state = bytearray(plain)
    for a in compiled.at:
        if state[a] not in (1, 2):
            state[a : a + 3] = b"\0\0\0"
    for i, done in enumerate(compiled.done):
        if state[i] >= 5:
            state[i] = done[state[i] - 5]
    return bytes(state)


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
    assert {alike(net, marking, coarse) for marking in going} <= set(coarse.states)
    assert broken(coarse) >= breaks


@pytest.mark.parametrize("name", ["small", "sound"])
def test_the_fast_explorer_reaches_the_same_markings(name: str) -> None:
    """On the example chains: the same markings, the same violations; the coarse one covers them."""
    assert_same(Net(parse((HERE / f"{name}.yaml").read_text()).bind()))


ROLES = ("a", "b")
MATERIALS = ("m0", "m1", "m2")


@st.composite
def chains(draw: st.DrawFn) -> dict[str, object]:
    """Draw a small chain, right or wrong: a few steps and handoffs in some order, with routes."""
    names = [f"x{i}" for i in range(draw(st.integers(2, 5)))]
    subsets = st.lists(st.sampled_from(MATERIALS), max_size=2, unique=True)

    def route() -> dict[str, object]:
        return draw(
            st.sampled_from(
                [{"end": "over"}, {"decide": "judge"}, *({"go": name} for name in names)]
            )
        )

    def maybe(field: str, into: dict[str, object]) -> None:
        if draw(st.booleans()):
            into[field] = route()

    steps: dict[str, object] = {
        "judge": {
            "title": "J",
            "role": "a",
            "kind": "decision",
            "on_demand": True,
            "results": {
                "resume": {"title": "R", "then": {"resume": True}},
                "other": {"title": "O", "then": route()},
            },
        }
    }
    handoffs: dict[str, object] = {}
    for i, name in enumerate(names):
        giver, receiver = draw(st.permutations(ROLES))
        one: dict[str, object] = {
            "title": name,
            "after": [n for n in names[:i] if draw(st.booleans())],
            "attempts": draw(st.integers(1, 3)),
            "exhausted": {"end": "over"},
        }
        maybe("on_stop", one)
        if i and draw(st.integers(0, 2)) == 0:
            carries = draw(subsets)
            one |= {
                "giver": giver,
                "receiver": receiver,
                "object": "o",
                "carries": carries,
                "release": {"sign": {"meaning": "r"}},
                "accept": {"sign": {"meaning": "a"}},
                "transfers_accountability": draw(st.booleans()),
            }
            if carries and draw(st.booleans()):
                new = draw(st.sampled_from(MATERIALS))
                one["becomes"] = {carries[0]: new} if new != carries[0] else {}
            maybe("on_quarantine", one)
            maybe("on_refuse", one)
            handoffs[name] = one
            continue
        inputs = draw(subsets)
        one |= {
            "role": giver,
            "kind": draw(st.sampled_from(["process", "store"])),
            "inputs": inputs,
            "consumes": [m for m in inputs if draw(st.booleans())],
            "outputs": draw(subsets),
        }
        pair = draw(st.permutations(MATERIALS))
        if draw(st.integers(0, 3)) == 0:
            one["packs"] = {pair[0]: pair[1]}
        if draw(st.integers(0, 3)) == 0:
            one["unpacks"] = {pair[1]: pair[2]}
        results: dict[str, object] = {"well": {"title": "W"}}
        if draw(st.booleans()):
            results["ill"] = {"title": "I", "then": route()}
        if draw(st.booleans()):
            results["so"] = {"title": "S"}
        one["results"] = results
        steps[name] = one
    materials = {}
    for material in MATERIALS:
        entry: dict[str, object] = {"title": material, "container": "bag", "purpose": "starting"}
        maybe("on_lost", entry)
        if draw(st.booleans()):
            entry["shelf_life"] = {"at_most": "1 h", "counts_from": names[0]}
            maybe("on_expired", entry)
        materials[material] = entry
    interrupts: dict[str, object] = {}
    if draw(st.booleans()):
        interrupts["stop"] = {"title": "S", "then": route(), "until": names[-1]}
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
        "handoffs": handoffs,
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
