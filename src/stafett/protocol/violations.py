"""What would be wrong with a move: custody, containers, accountability, prerequisites."""

from __future__ import annotations

from stafett.protocol.index import Index
from stafett.protocol.marking import (
    ABSENT,
    CONSUMED,
    GONE,
    LIVE,
    NONE,
    OPEN,
    PRESENT,
    QUARANTINED,
    Marking,
    Move,
    Violation,
)
from stafett.protocol.model import Step

# Kinds of step that touch the material itself: it must have been taken out of its container.
HANDS_ON = frozenset({"process", "manufacture", "test", "thaw", "administer"})


def violations(net: Index, marking: Marking, move: Move) -> list[Violation]:
    """Return the properties that `move` would break; empty when it is safe to make it."""
    if move.kind == "start":
        step = net.protocol.steps[move.subject]
        return _use(net, marking, move.subject, step) + _prerequisites(net, marking, move)
    if move.kind == "release":
        return _passing(net, marking, move.subject) + _prerequisites(net, marking, move)
    if move.kind == "finish":
        return _outputs(net, marking, move)
    if move.kind in ("accept", "quarantine"):
        return _relabelling(net, marking, move) + _accountability(net, marking, move.subject)
    return []


def _use(net: Index, marking: Marking, name: str, step: Step) -> list[Violation]:
    found = []
    inner = (*step.packs, *step.packs.values(), *step.unpacks, *step.unpacks.values())
    for material in dict.fromkeys((*step.inputs, *inner)):
        found += _held_by(net, marking, name, material, step.role)
        for other in _at_work(net, marking, material):
            theirs = net.protocol.steps.get(other)
            if theirs is None:
                what = f"{material} is being passed in {other}"
                found.append(Violation("custody", what, name))
            elif material in step.consumes or material in theirs.consumes:
                found.append(Violation("custody", f"{material} is in use in {other}", name))
    return found + _packing(net, marking, name, step)


def _at_work(net: Index, marking: Marking, material: str) -> list[str]:
    """Return the open activities that `material` is in the hands of."""
    return [
        name
        for name, state in zip(net.activities, marking.activities, strict=True)
        if state == OPEN and material in net.involved(marking, name)
    ]


def _packing(net: Index, marking: Marking, name: str, step: Step) -> list[Violation]:
    """Return what is wrong with what is in what: containers that `step` needs open or full."""
    found = []

    def wrong(what: str) -> None:
        found.append(Violation("container", what, name))

    for inner, outer in step.unpacks.items():
        if marking.materials[net.material[inner]].inside != net.material[outer]:
            wrong(f"{inner} is not in {outer}")
    for inner, outer in step.packs.items():
        at = marking.materials[net.material[inner]].inside
        if at != NONE and inner not in step.unpacks:
            wrong(f"{inner} is already in {net.materials[at]}")
        if outer == inner or outer in net.contents(marking, inner):
            wrong(f"{outer} can't be put into {inner}: it would be in itself")
    for material in step.inputs if step.kind in HANDS_ON else ():
        at = marking.materials[net.material[material]].inside
        if at != NONE and material not in step.unpacks:
            wrong(f"{material} is still packed in {net.materials[at]}")
    for material in step.consumes:
        for inner in net.contents(marking, material):
            if inner not in step.consumes and inner not in step.unpacks:
                wrong(f"{material} ceases to exist with {inner} in it")
    return found


def _held_by(net: Index, marking: Marking, name: str, material: str, role: str) -> list[Violation]:
    held = marking.materials[net.material[material]]
    if held.state == QUARANTINED:
        return [Violation("quarantine", f"{material} is in quarantine", name)]
    if held.state != LIVE:
        why = {ABSENT: "does not exist yet", CONSUMED: "is used up", GONE: "is gone"}
        return [Violation("material", f"{material} {why[held.state]}", name)]
    if held.custodian != net.role[role]:
        holder = net.roles[held.custodian]
        return [Violation("custody", f"{role} needs {material}, but {holder} holds it", name)]
    return []


def _passing(net: Index, marking: Marking, name: str) -> list[Violation]:
    handoff = net.protocol.handoffs[name]
    found = []
    for material in handoff.carries:
        found += _held_by(net, marking, name, material, handoff.giver)
        held = marking.materials[net.material[material]]
        if held.inside != NONE and held.state in PRESENT:
            outer = net.materials[held.inside]
            found.append(Violation("container", f"{material} is still packed in {outer}", name))
    for material in net.carried(marking, handoff):
        held = marking.materials[net.material[material]]
        if held.state == QUARANTINED and material not in handoff.carries:
            found.append(Violation("quarantine", f"{material} is in quarantine", name))
        for other in _at_work(net, marking, material):
            doing = "in use" if other in net.protocol.steps else "already being passed"
            found.append(Violation("custody", f"{material} is {doing} in {other}", name))
    for old in handoff.becomes:
        for inner in net.contents(marking, old):
            what = f"{old} ceases to exist with {inner} in it"
            found.append(Violation("container", what, name))
    return found + _accountability(net, marking, name)


def _accountability(net: Index, marking: Marking, name: str) -> list[Violation]:
    handoff = net.protocol.handoffs[name]
    either = (net.role[handoff.giver], net.role[handoff.receiver])
    if handoff.transfers_accountability and marking.owner not in either:
        return [_not_owner(net, marking, handoff.giver, name)]
    return []


def _relabelling(net: Index, marking: Marking, move: Move) -> list[Violation]:
    handoff = net.protocol.handoffs[move.subject]
    found = []
    for new in handoff.becomes.values() if move.kind == "accept" else ():
        present = marking.materials[net.material[new]].state in PRESENT
        if present and new not in handoff.becomes:
            found.append(Violation("material", f"{new} would exist twice", move.subject))
    return found


def _not_owner(net: Index, marking: Marking, giver: str, name: str) -> Violation:
    owner = net.roles[marking.owner]
    return Violation(
        "accountability", f"{giver} hands over accountability, but {owner} has it", name
    )


def _outputs(net: Index, marking: Marking, move: Move) -> list[Violation]:
    step = net.protocol.steps[move.subject]
    found = []
    for output in step.outputs:
        held = marking.materials[net.material[output]]
        if held.state in PRESENT and output not in step.consumes:
            found.append(Violation("material", f"{output} would exist twice", move.subject))
    return found


def _prerequisites(net: Index, marking: Marking, move: Move) -> list[Violation]:
    found = []
    for rule in net.protocol.prerequisites:
        if rule.before != move.subject:
            continue
        missing = [ref for ref in rule.require if not net.is_done(marking, ref)]
        for material in rule.on_site:
            held = marking.materials[net.material[material]]
            if held.state != LIVE or (rule.at and held.custodian != net.role[rule.at]):
                missing.append(f"{material} at {rule.at}")
        if missing:
            what = f"{move.subject} before {', '.join(missing)}"
            found.append(Violation("prerequisite", what, move.subject))
    return found
