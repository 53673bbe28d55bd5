"""Every reachable marking of a chain, breadth first, so that each trace is a shortest one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from stafett.protocol.compiled import ON, Compiled
from stafett.protocol.net import (
    DONE,
    IDLE,
    ISOLATED,
    LIVE,
    OPEN,
    QUARANTINED,
    REFUSED,
    STOPPED,
    Move,
    Net,
    Violation,
)
from stafett.protocol.words import words

MOST_MARKINGS = 400_000
UNFINISHED = {OPEN: "under way", STOPPED: "stopped", ISOLATED: "in quarantine", REFUSED: "refused"}


@dataclass
class Space:
    """The reachable markings of one net, and what was met on the way.

    `broken` maps (rule, subject, what) to the first marking at which a move violates a property,
    and that move; `gates` the same for the gates that `explore` was given; `left` outcome -> the
    first way to it with material left that must not be; `ungiven` outcome -> the first way to it as
    one that treats the patient, with no dose given; `ended` outcome -> first marking before it.
    """

    compiled: Compiled
    states: list[bytes] = field(default_factory=list)
    parents: list[tuple[int, Move | None]] = field(default_factory=list)
    broken: dict[tuple[str, str, str], tuple[int, Move]] = field(default_factory=dict)
    gates: dict[tuple[str, str, str], tuple[int, Move]] = field(default_factory=dict)
    left: dict[str, tuple[int, Move, str]] = field(default_factory=dict)
    ungiven: dict[str, tuple[int, Move]] = field(default_factory=dict)
    ended: dict[str, tuple[int, Move]] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    stuck: list[int] = field(default_factory=list)
    endless: list[int] = field(default_factory=list)
    complete: bool = True

    def trace(self, state: int, *more: Move) -> tuple[str, ...]:
        """Return the shortest way to marking `state`, and then `more`, in words."""
        return tuple(words(self.compiled.net.protocol, m) for m in (*self.path(state), *more))

    def path(self, state: int) -> list[Move]:
        """Return the moves of the shortest way to marking `state`."""
        moves: list[Move] = []
        while (parent := self.parents[state])[1] is not None:
            moves.append(parent[1])
            state = parent[0]
        return moves[::-1]


Gate = Callable[[bytes], Iterator[tuple[str, str]]]


def explore(
    net: Net,
    gates: dict[str, Callable[[Compiled], Gate]] | None = None,
    *,
    exact: bool = False,
    limit: int = MOST_MARKINGS,
) -> Space:
    """Reach every marking of `net`.

    `gates` maps a step to a rule about the markings in which it begins: given the tables it returns
    a function from a marking to the (code, what) of each gate that is open too early.
    """
    compiled = Compiled(net, exact=exact)
    made = {name: gate(compiled) for name, gate in (gates or {}).items()}
    space = Space(compiled)
    first = compiled.initial()
    known = {first: 0}
    space.states.append(first)
    space.parents.append((0, None))
    back: list[list[int]] = [[]]  # marking -> markings from which an ordinary move leads to it
    good: list[int] = []  # markings from which the next ordinary move ends, or breaks something
    none_left = {
        i for i, o in enumerate(net.protocol.outcomes.values()) if o.materials == "none-left"
    }
    treats = {i for i, o in enumerate(net.protocol.outcomes.values()) if o.treated}
    gives = [net.index[n] for n, s in net.protocol.steps.items() if s.kind == "administer"]
    at = 0
    while at < len(space.states):
        state = space.states[at]
        ordinary, mishaps = compiled.successors(state)
        is_good = False
        for edges, is_ordinary in ((ordinary, True), (mishaps, False)):
            for move, outcome, after, broken in edges:
                if broken:
                    is_good = True
                    space.begun.add(move.subject)
                    _broken(space, at, move)
                    continue
                if move.kind == "start" or move.kind == "release":
                    space.begun.add(move.subject)
                    if move.subject in made:
                        for code, what in made[move.subject](state):
                            space.gates.setdefault((code, move.subject, what), (at, move))
                if outcome != ON:
                    is_good = is_good or is_ordinary
                    name = net.outcomes[outcome]
                    if is_ordinary:
                        space.ended.setdefault(name, (at, move))
                    if outcome in treats and gives and not any(after[i] >= DONE for i in gives):
                        space.ungiven.setdefault(name, (at, move))
                    if outcome in none_left and name not in space.left:
                        present = _present(compiled, after)
                        if present:
                            space.left[name] = (at, move, present)
                    continue
                number = known.get(after)
                if number is None:
                    number = known[after] = len(space.states)
                    space.states.append(after)
                    space.parents.append((at, move))
                    back.append([])
                if is_ordinary:
                    back[number].append(at)
        space.begun.update(compiled.pairs[k][0] for k in compiled.awaited(state))
        if is_good:
            good.append(at)
        if not ordinary:
            space.stuck.append(at)
        at += 1
        if len(space.states) > limit:
            space.complete = False
            return space
    space.endless = _without_end(back, good, space.stuck)
    return space


def _broken(space: Space, at: int, move: Move) -> None:
    net = space.compiled.net
    found = net.violations(space.compiled.decode(space.states[at]), move)
    for violation in found or [Violation("custody", f"{move} breaks a property", move.subject)]:
        key = (violation.rule, violation.subject, violation.what)
        space.broken.setdefault(key, (at, move))


def _present(compiled: Compiled, state: bytes) -> str:
    """Name the materials that exist in `state`."""
    names = zip(compiled.net.materials, compiled.at, strict=True)
    return ", ".join(name for name, a in names if LIVE <= state[a] <= QUARANTINED)


def _without_end(back: list[list[int]], good: list[int], stuck: list[int]) -> list[int]:
    """Return, in order, the markings that can reach neither an end nor a marking that is stuck."""
    reached = bytearray(len(back))
    todo = [*good, *stuck]
    for state in todo:
        reached[state] = 1
    while todo:
        for state in back[todo.pop()]:
            if not reached[state]:
                reached[state] = 1
                todo.append(state)
    return [i for i, r in enumerate(reached) if not r]


def waiting(space: Space, state: int) -> tuple[str, str]:
    """Say what a marking that is stuck waits for: the activity to look at first, and all in words.

    First what is held or under way, then what waits for a result that did not come, then what
    waits for something that has not begun.
    """
    compiled = space.compiled
    marking = space.states[state]
    net = compiled.net
    said: list[tuple[int, str, str]] = []
    for k, (decision, about) in enumerate(compiled.pairs):
        if marking[compiled.pending_at + k]:
            said.append((0, decision, f"{decision} has no result that is possible for {about}"))
    for i, name in enumerate(net.activities):
        if OPEN <= marking[i] < DONE:
            said.append((1, name, f"{name} is {UNFINISHED[marking[i]]} with no way on"))
        elif marking[i] == IDLE and not compiled.on_demand[i]:
            missing = [
                (ref, j)
                for ref, (j, s) in zip(net.activity(name).after, compiled.after[i], strict=True)
                if not (marking[j] == s if s else marking[j] >= DONE)
            ]
            what = f"{name} waits for {', '.join(ref for ref, _ in missing)}"
            if missing and all(marking[j] >= DONE for _, j in missing):
                said.append((2, name, what))
            elif missing and len(missing) < len(net.activity(name).after):
                said.append((3, name, what))
    said.sort(key=lambda entry: entry[0])
    if not said:
        return "", "all is done, but no outcome is reached"
    return said[0][1], "; ".join(what for _, _, what in said[:4])
