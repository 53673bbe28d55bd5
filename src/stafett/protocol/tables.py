"""The tables of a net compiled to bytes: offsets, orders, uses, routes; markings to and from."""

from __future__ import annotations

from collections.abc import Callable

from stafett.protocol.model import Handoff, Route, Step
from stafett.protocol.net import (
    DONE,
    LIVE,
    QUARANTINED,
    Held,
    Marking,
    Move,
    Net,
    Pending,
)


class Tables:
    """Tables of indices for one net. Names must have been resolved (`references`)."""

    def __init__(self, net: Net, *, exact: bool = True) -> None:
        self.net = net
        self.exact = exact
        self.n = len(net.activities)
        self.m = len(net.materials)
        self.owner_at = self.n + 3 * self.m
        self.pairs = _pairs(net)
        self.pair = {pair: i for i, pair in enumerate(self.pairs)}
        self.pending_at = self.owner_at + 1
        self.tries_at = self.pending_at + len(self.pairs)
        self._order()
        self._results()
        self._uses()
        self._goes()
        self._moves()

    # -- tables --------------------------------------------------------------------------------

    def _order(self) -> None:
        net = self.net
        self.after = [[self._ref(ref) for ref in net.activity(a).after] for a in net.activities]
        self.steps = [net.protocol.steps.get(a) for a in net.activities]
        self.handoffs = [net.protocol.handoffs.get(a) for a in net.activities]
        self.on_demand = [step is not None and step.on_demand for step in self.steps]
        self._ready: dict[bytes, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def _ref(self, ref: str) -> tuple[int, int]:
        """Return (activity, state that it must have; 0 for any result)."""
        name, _, result = ref.partition("=")
        return self.net.index[name], DONE + self.net.results(name).index(result) if result else 0

    def _results(self) -> None:
        """Give each result of each activity its state; results that nothing asks for share one."""
        protocol = self.net.protocol
        refs = [ref for a in self.net.activities for ref in self.net.activity(a).after]
        refs += [ref for rule in protocol.prerequisites for ref in rule.require]
        refs += [i.until for i in protocol.interrupts.values() if i.until is not None]
        asked = {ref for ref in refs if "=" in ref}
        self.done: list[tuple[int, ...]] = []
        for name in self.net.activities:
            results = self.net.results(name)
            rest = [i for i, r in enumerate(results) if f"{name}={r}" not in asked]
            self.done.append(
                tuple(
                    DONE + (rest[0] if i in rest and not self.exact else i)
                    for i in range(len(results))
                )
            )

    def _uses(self) -> None:
        net = self.net
        index = net.material
        self.at = [self.n + 3 * i for i in range(self.m)]  # offset of each material's three bytes
        # What must be at hand to begin; and, as Net.involved, what is isolated at a stop.
        self.involved: list[tuple[int, ...]] = []
        self.works: list[tuple[int, ...]] = []
        self.conflicts: list[frozenset[int]] = []
        for step, handoff in zip(self.steps, self.handoffs, strict=True):
            if step is None:
                assert handoff is not None
                works = needs = handoff.carries
            else:
                works = (*step.inputs, *step.packs, *step.packs.values(), *step.unpacks)
                needs = (*works, *step.unpacks.values())
            self.involved.append(tuple(index[m] for m in dict.fromkeys(needs)))
            self.works.append(tuple(index[m] for m in dict.fromkeys(works)))
        for i, one in enumerate(self.steps):
            clash = set()
            for j, other in enumerate(self.steps):
                if one is not None and other is not None:
                    shared = set(self.involved[i]) & set(self.works[j])
                    used_up = {index[m] for m in (*one.consumes, *other.consumes)}
                    if shared & used_up:
                        clash.add(j)
            self.conflicts.append(frozenset(clash))

    def _goes(self) -> None:
        """For each activity that routes lead back to: what starts afresh and what is discarded."""
        net = self.net
        self.go: dict[int, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {}
        for name in {r.go for r in _all_routes(net) if r.go is not None}:
            again = net.downstream(name)
            discarded = net.made_by(again)
            dropped = [
                k for k, (_, about) in enumerate(self.pairs) if about in again or about in discarded
            ]
            self.go[net.index[name]] = (
                tuple(net.index[a] for a in again),
                tuple(net.material[m] for m in discarded),
                tuple(dropped),
            )

    def _moves(self) -> None:
        """Make each Move once."""
        protocol = self.net.protocol
        self.move: dict[tuple[str, int], Move] = {}
        for i, name in enumerate(self.net.activities):
            for kind in ("start", "release", "accept", "quarantine", "refuse", "stop"):
                self.move[kind, i] = Move(kind, name)
        self.finishes: list[list[tuple[Move, int, Route | None]]] = []
        for i, step in enumerate(self.steps):
            name = self.net.activities[i]
            entries = []
            for k, result in enumerate(self.net.results(name) if step is not None else ()):
                assert step is not None
                then = step.results[result].then if step.results else None
                entries.append((Move("finish", name, result=result), self.done[i][k], then))
            self.finishes.append(entries)
        self.decisions: list[list[tuple[Move, Route]]] = []
        for decision, about in self.pairs:
            results = protocol.steps[decision].results
            self.decisions.append(
                [
                    (Move("decide", decision, about, result), entry.then)
                    for result, entry in results.items()
                    if entry.then is not None
                ]
            )
        self.mishaps: list[tuple[int, list[tuple[Move, Route]]]] = []
        for i, name in enumerate(self.net.materials):
            material = protocol.materials[name]
            ways = [(Move("lose", name), material.on_lost)] if material.on_lost else []
            # To expire is to be gone: where both go the same way one of them is enough.
            same = not self.exact and material.on_expired == material.on_lost
            if material.shelf_life and material.on_expired and not same:
                ways.append((Move("expire", name), material.on_expired))
            if ways:
                self.mishaps.append((i, ways))
        self.interrupts = [
            (Move("interrupt", name), entry.then, self._ref(entry.until) if entry.until else None)
            for name, entry in protocol.interrupts.items()
        ]
        self.rules: dict[int, list[Callable[[bytes], bool]]] = {}
        for rule in protocol.prerequisites:
            if rule.before in self.net.index:
                refs = [self._ref(ref) for ref in rule.require]
                sites = [self.at[self.net.material[m]] for m in rule.on_site]
                role = self.net.role[rule.at] + 1 if rule.at else 0
                check = _prerequisite(refs, sites, role)
                self.rules.setdefault(self.net.index[rule.before], []).append(check)

    # -- to and from markings ------------------------------------------------------------------

    def encode(self, marking: Marking) -> bytes:
        """Return the bytes of an exact marking that has not ended."""
        held = [x for h in marking.materials for x in (h.state, h.custodian + 1, h.inside + 1)]
        flags = bytearray(len(self.pairs))
        for pending in marking.pending:
            flags[self.pair[self.net.activities[pending.decision], pending.about]] = 1
        tries = marking.attempts if self.exact else ()
        return bytes((*marking.activities, *held, marking.owner, *flags, *tries))

    def stands_for(self, marking: Marking) -> bytes:
        """Return the marking, of those kept here, that an exact marking belongs to."""
        state = bytearray(self.encode(marking))
        if not self.exact:
            for a in self.at:
                if not LIVE <= state[a] <= QUARANTINED:
                    state[a : a + 3] = b"\x00\x00\x00"
            for i, done in enumerate(self.done):
                if state[i] >= DONE:
                    state[i] = done[state[i] - DONE]
        return bytes(state)

    def decode(self, state: bytes) -> Marking:
        """Return the marking that `state` stands for (attempts are 0 when they are not kept)."""
        materials = tuple(Held(state[a], state[a + 1] - 1, state[a + 2] - 1) for a in self.at)
        flags = state[self.pending_at : self.tries_at]
        pending = tuple(
            Pending(self.net.index[decision], about)
            for (decision, about), on in zip(self.pairs, flags, strict=True)
            if on
        )
        tries = tuple(state[self.tries_at :]) if self.exact else (0,) * self.n
        return Marking(
            tuple(state[: self.n]), tries, materials, state[self.owner_at], tuple(sorted(pending))
        )

    def awaited(self, state: bytes | bytearray) -> list[int]:
        """Return the indices of the decisions (`pairs`) that are awaited in `state`."""
        found = []
        at = state.find(1, self.pending_at, self.tries_at)
        while at >= 0:
            found.append(at - self.pending_at)
            at = state.find(1, at + 1, self.tries_at)
        return found

    def initial(self) -> bytes:
        """Return the marking of a journey that has just been opened."""
        return self.encode(self.net.initial())


def _prerequisite(
    refs: list[tuple[int, int]], sites: list[int], role: int
) -> Callable[[bytes], bool]:
    def holds(state: bytes) -> bool:
        for i, wanted in refs:
            if state[i] < DONE or (wanted and state[i] != wanted):
                return False
        return all(state[a] == LIVE and (not role or state[a + 1] == role) for a in sites)

    return holds


def _all_routes(net: Net) -> list[Route]:
    """Return every route of the protocol."""
    protocol = net.protocol
    found: list[Route | None] = []
    for name in (*protocol.steps, *protocol.handoffs):
        activity = net.activity(name)
        found += [activity.on_stop, activity.exhausted]
        if isinstance(activity, Step):
            found += [result.then for result in activity.results.values()]
        else:
            found += [activity.on_quarantine, activity.on_refuse]
    for material in protocol.materials.values():
        found += [material.on_lost, material.on_expired]
    found += [interrupt.then for interrupt in protocol.interrupts.values()]
    return [route for route in found if route is not None]


def _pairs(net: Net) -> tuple[tuple[str, str], ...]:
    """Return every (decision, about) that may be awaited."""
    protocol = net.protocol
    found: set[tuple[str, str]] = set()

    def add(route: Route | None, origin: str) -> None:
        if route is not None and route.decide is not None:
            found.add((route.decide, origin))

    for name in net.activities:
        activity = net.activity(name)
        add(activity.on_stop, name)
        add(activity.exhausted, name)
        if isinstance(activity, Handoff):
            add(activity.on_quarantine, name)
            add(activity.on_refuse, name)
        elif not activity.on_demand:
            for result in activity.results.values():
                add(result.then, name)
    for name, material in protocol.materials.items():
        add(material.on_lost, name)
        add(material.on_expired, name)
    for name, interrupt in protocol.interrupts.items():
        add(interrupt.then, name)
    todo = list(found)
    while todo:
        decision, about = todo.pop()
        for result in protocol.steps[decision].results.values():
            if result.then is not None and result.then.decide is not None:
                pair = (result.then.decide, about)
                if pair not in found:
                    found.add(pair)
                    todo.append(pair)
    return tuple(sorted(found))
