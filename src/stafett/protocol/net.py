"""What a protocol means: markings, the moves they permit, and what each move does.

A **marking** says how far a journey has come: the state of each activity, where each material is
and who holds it, who is accountable, which decisions are pending. `moves` lists what may happen
next, `violations` says what would be wrong with a move (no custodian, wrong custodian, a missing
prerequisite), `fire` gives the marking after it. The proof explores every marking; the journey
takes one move at a time and refuses those that `violations` names. Both use this module, so that
what is proven is what is enforced.

Markings are small tuples of integers, hashable and cheap; indices are into `Net.activities`,
`Net.materials`, `Net.roles`. Time is not part of a marking: that something is late or expired is a
move (`expire`) that the caller makes when the clock says so.

**Holds.** A failed critical check, a quarantine, a loss may lead to a pending decision. While one
is pending nothing new starts and nothing is released; what is already under way may be finished or
received, because it physically goes on. What has lost its material can't be finished or received.

**Going back.** `go` starts an activity and all that depends on it afresh and discards what they had
made. Decisions awaited about other activities, other materials and interrupts stay awaited.
Accountability does not go back by itself: it stays where it was until it is handed over; a handoff
repeated while its receiver is already accountable changes nothing.

**Resuming.** A decision that says `resume` takes the held activity up again: a stopped or refused
handoff is released and received afresh, by both sides; a stopped step goes on, with its checks
made anew; a handoff received into quarantine counts as accepted; a step that ended out of
specification counts as done with that result. Nothing that is lost or expired can be resumed: a
decision about such an activity offers only its other results. A decision that leads to another
decision lifts no quarantine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from stafett.protocol.model import Handoff, Protocol, Ref, Route, Step

# States of an activity. STOPPED: a critical check failed; ISOLATED: received into quarantine;
# REFUSED: not taken by the receiver; these three wait for a decision. From DONE on: DONE + index of
# the result it ended with.
IDLE, OPEN, STOPPED, ISOLATED, REFUSED, DONE = 0, 1, 2, 3, 4, 5
# States of a material.
ABSENT, LIVE, QUARANTINED, CONSUMED, GONE = 0, 1, 2, 3, 4
PRESENT = (LIVE, QUARANTINED)

NONE = -1

# Kinds of step that touch the material itself: it must have been taken out of its container.
HANDS_ON = frozenset({"process", "manufacture", "test", "thaw", "administer"})

MoveKind = Literal[
    "start",  # a step begins
    "finish",  # a step ends with `detail` = result
    "release",  # the giver releases
    "accept",  # the receiver accepts (with or without a deviation)
    "quarantine",  # the receiver takes it, but it may not be used until it is decided
    "refuse",  # the receiver does not take it: it stays with the giver
    "stop",  # a critical check failed on the way: held until it is decided
    "decide",  # decision `activity` about `detail` = held activity or material, with `result`
    "lose",  # material `activity` is lost or destroyed
    "expire",  # material `activity` has outlived its shelf life
    "interrupt",  # interrupt `activity`
]


class Move(NamedTuple):
    """One thing that can happen. `subject` is an activity, a material or an interrupt by name."""

    kind: MoveKind
    subject: str
    detail: str = ""
    result: str = ""

    def __str__(self) -> str:
        tail = " ".join(part for part in (self.detail, self.result) if part)
        return f"{self.kind} {self.subject}" + (f" ({tail})" if tail else "")


class Held(NamedTuple):
    """A material's state, its custodian (role) and the container material it is packed in."""

    state: int = ABSENT
    custodian: int = NONE
    inside: int = NONE


class Pending(NamedTuple):
    """A decision that is awaited: which one, and about which activity or material."""

    decision: int
    about: str


class Marking(NamedTuple):
    """How far a journey has come. Immutable and hashable."""

    activities: tuple[int, ...]
    attempts: tuple[int, ...]
    materials: tuple[Held, ...]
    owner: int
    pending: tuple[Pending, ...] = ()
    outcome: int = NONE


@dataclass(frozen=True, slots=True)
class Violation:
    """A property that a move would break: `rule` (a stable name) and what is wrong in words."""

    rule: str
    what: str
    subject: str


class NotPossible(ValueError):
    """A move that the protocol does not permit now; the message says why."""


@dataclass(frozen=True)
class Net:
    """A protocol, indexed. Names that do not exist raise KeyError: check them first."""

    protocol: Protocol

    @cached_property
    def activities(self) -> tuple[str, ...]:
        """Every activity by name, steps first; on-demand handoffs are notifications, not here."""
        handoffs = (n for n, h in self.protocol.handoffs.items() if not h.on_demand)
        return (*self.protocol.steps, *handoffs)

    @cached_property
    def index(self) -> dict[str, int]:
        """Activity name -> index."""
        return {name: i for i, name in enumerate(self.activities)}

    @cached_property
    def materials(self) -> tuple[str, ...]:
        """Every material by name."""
        return tuple(self.protocol.materials)

    @cached_property
    def material(self) -> dict[str, int]:
        """Material name -> index."""
        return {name: i for i, name in enumerate(self.materials)}

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """Every role by name."""
        return tuple(self.protocol.roles)

    @cached_property
    def role(self) -> dict[str, int]:
        """Role name -> index."""
        return {name: i for i, name in enumerate(self.roles)}

    @cached_property
    def outcomes(self) -> tuple[str, ...]:
        """Every outcome by name."""
        return tuple(self.protocol.outcomes)

    def activity(self, name: str) -> Step | Handoff:
        """Return the step or handoff called `name`."""
        step = self.protocol.steps.get(name)
        return step if step is not None else self.protocol.handoffs[name]

    @cached_property
    def followers(self) -> dict[str, tuple[str, ...]]:
        """Activity -> those that name it in `after`."""
        table: dict[str, list[str]] = {name: [] for name in self.activities}
        for name in self.activities:
            for ref in self.activity(name).after:
                table[target(ref)].append(name)
        return {name: tuple(dict.fromkeys(after)) for name, after in table.items()}

    def downstream(self, name: str) -> frozenset[str]:
        """Return `name` and every activity that depends on it."""
        seen: set[str] = set()
        todo = [name]
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                todo.extend(self.followers[at])
        return frozenset(seen)

    def initial(self) -> Marking:
        """Return the marking of a journey that has just been opened."""
        return Marking(
            activities=(IDLE,) * len(self.activities),
            attempts=(0,) * len(self.activities),
            materials=(Held(),) * len(self.materials),
            owner=self.role[self.protocol.owner],
        )

    # -- reading a marking ---------------------------------------------------------------------

    def state(self, marking: Marking, name: str) -> int:
        """Return the state of activity `name`."""
        return marking.activities[self.index[name]]

    def is_done(self, marking: Marking, ref: Ref) -> bool:
        """Say whether `ref` ("H07", or "D2=release" for one result) is done."""
        name, _, result = ref.partition("=")
        state = self.state(marking, name)
        if not result:
            return state >= DONE
        return state == DONE + self.results(name).index(result)

    def results(self, name: str) -> tuple[str, ...]:
        """Return the named ways in which activity `name` can end."""
        step = self.protocol.steps.get(name)
        if step is None:
            return ("accept", "accept-with-deviation")
        return tuple(step.results) or ("done",)

    def is_enabled(self, marking: Marking, name: str) -> bool:
        """Say whether `name` has not begun, and all that it comes after is done."""
        return self.state(marking, name) == IDLE and all(
            self.is_done(marking, ref) for ref in self.activity(name).after
        )

    def contents(self, marking: Marking, outer: str) -> tuple[str, ...]:
        """Return the materials packed in `outer`, however deep."""
        found: list[str] = []
        todo = [self.material[outer]]
        while todo:
            at = todo.pop(0)
            for i, held in enumerate(marking.materials):
                if held.inside == at and held.state in PRESENT and self.materials[i] not in found:
                    found.append(self.materials[i])
                    todo.append(i)
        return tuple(found)

    def carried(self, marking: Marking, handoff: Handoff) -> tuple[str, ...]:
        """Return what a handoff moves: what it names and all that is packed in it."""
        inside = (deep for name in handoff.carries for deep in self.contents(marking, name))
        return tuple(dict.fromkeys((*handoff.carries, *inside)))

    # -- moves ---------------------------------------------------------------------------------

    def moves(self, marking: Marking) -> list[Move]:
        """List every move that the order of the protocol permits, in a stable order."""
        if marking.outcome != NONE:
            return []
        found: list[Move] = []
        for pending in marking.pending:
            decision = self.activities[pending.decision]
            found += [
                Move("decide", decision, pending.about, result)
                for result, entry in self.protocol.steps[decision].results.items()
                if not (entry.then and entry.then.resume) or self.can_resume(marking, pending.about)
            ]
        for name in self.activities:
            found += self._moves_of(marking, name)
        found += self._mishaps(marking)
        return found

    def can_resume(self, marking: Marking, held: str) -> bool:
        """Say whether what a decision holds can be taken up again: nothing of it is gone."""
        if held not in self.index:
            return held in self.protocol.interrupts
        step = self.protocol.steps.get(held)
        if step is not None and self.state(marking, held) >= DONE:
            return self._present(marking, step.outputs)
        return self._present(marking, self.involved(marking, held))

    def _present(self, marking: Marking, materials: tuple[str, ...]) -> bool:
        return all(marking.materials[self.material[m]].state in PRESENT for m in materials)

    def _moves_of(self, marking: Marking, name: str) -> list[Move]:
        state = self.state(marking, name)
        step = self.protocol.steps.get(name)
        if state == IDLE:
            on_demand = step is not None and step.on_demand
            if on_demand or marking.pending or not self.is_enabled(marking, name):
                return []
            if step is not None:
                return [Move("start", name)]
            stop = [Move("stop", name)] if self.activity(name).on_stop else []
            return [Move("release", name), *stop]
        if state != OPEN:
            return []
        here = self._present(marking, self.involved(marking, name))
        if step is not None:
            finish = [Move("finish", name, result=r) for r in self.results(name) if here]
            return finish + ([Move("stop", name)] if step.on_stop else [])
        handoff = self.protocol.handoffs[name]
        found = [Move("accept", name)] if here else []
        if here and handoff.on_quarantine:
            found.append(Move("quarantine", name))
        if handoff.on_refuse:
            found.append(Move("refuse", name))
        if handoff.on_stop:
            found.append(Move("stop", name))
        return found

    def _mishaps(self, marking: Marking) -> list[Move]:
        found = []
        for name, held in zip(self.materials, marking.materials, strict=True):
            if held.state not in PRESENT:
                continue
            material = self.protocol.materials[name]
            if material.on_lost:
                found.append(Move("lose", name))
            if material.shelf_life and material.on_expired:
                found.append(Move("expire", name))
        for name, interrupt in self.protocol.interrupts.items():
            if interrupt.until is None or not self.is_done(marking, interrupt.until):
                found.append(Move("interrupt", name))
        return found

    # -- what would be wrong -------------------------------------------------------------------

    def violations(self, marking: Marking, move: Move) -> list[Violation]:
        """Return the properties that `move` would break; empty when it is safe to make it."""
        if move.kind == "start":
            step = self.protocol.steps[move.subject]
            return self._use(marking, move.subject, step) + self._prerequisites(marking, move)
        if move.kind == "release":
            return self._passing(marking, move.subject) + self._prerequisites(marking, move)
        if move.kind == "finish":
            return self._outputs(marking, move)
        if move.kind in ("accept", "quarantine"):
            return self._relabelling(marking, move) + self._accountability(marking, move.subject)
        return []

    def _use(self, marking: Marking, name: str, step: Step) -> list[Violation]:
        found = []
        inner = (*step.packs, *step.packs.values(), *step.unpacks, *step.unpacks.values())
        for material in dict.fromkeys((*step.inputs, *inner)):
            found += self._held_by(marking, name, material, step.role)
            for other in self._at_work(marking, material):
                theirs = self.protocol.steps.get(other)
                if theirs is None:
                    what = f"{material} is being passed in {other}"
                    found.append(Violation("custody", what, name))
                elif material in step.consumes or material in theirs.consumes:
                    found.append(Violation("custody", f"{material} is in use in {other}", name))
        return found + self._packing(marking, name, step)

    def _at_work(self, marking: Marking, material: str) -> list[str]:
        """Return the open activities that `material` is in the hands of."""
        return [
            name
            for name, state in zip(self.activities, marking.activities, strict=True)
            if state == OPEN and material in self.involved(marking, name)
        ]

    def _packing(self, marking: Marking, name: str, step: Step) -> list[Violation]:
        """Return what is wrong with what is in what: containers that `step` needs open or full."""
        found = []

        def wrong(what: str) -> None:
            found.append(Violation("container", what, name))

        for inner, outer in step.unpacks.items():
            if marking.materials[self.material[inner]].inside != self.material[outer]:
                wrong(f"{inner} is not in {outer}")
        for inner, outer in step.packs.items():
            at = marking.materials[self.material[inner]].inside
            if at != NONE and inner not in step.unpacks:
                wrong(f"{inner} is already in {self.materials[at]}")
            if outer == inner or outer in self.contents(marking, inner):
                wrong(f"{outer} can't be put into {inner}: it would be in itself")
        for material in step.inputs if step.kind in HANDS_ON else ():
            at = marking.materials[self.material[material]].inside
            if at != NONE and material not in step.unpacks:
                wrong(f"{material} is still packed in {self.materials[at]}")
        for material in step.consumes:
            for inner in self.contents(marking, material):
                if inner not in step.consumes and inner not in step.unpacks:
                    wrong(f"{material} ceases to exist with {inner} in it")
        return found

    def _held_by(self, marking: Marking, name: str, material: str, role: str) -> list[Violation]:
        held = marking.materials[self.material[material]]
        if held.state == QUARANTINED:
            return [Violation("quarantine", f"{material} is in quarantine", name)]
        if held.state != LIVE:
            why = {ABSENT: "does not exist yet", CONSUMED: "is used up", GONE: "is gone"}
            return [Violation("material", f"{material} {why[held.state]}", name)]
        if held.custodian != self.role[role]:
            holder = self.roles[held.custodian]
            return [Violation("custody", f"{role} needs {material}, but {holder} holds it", name)]
        return []

    def _passing(self, marking: Marking, name: str) -> list[Violation]:
        handoff = self.protocol.handoffs[name]
        found = []
        for material in handoff.carries:
            found += self._held_by(marking, name, material, handoff.giver)
            held = marking.materials[self.material[material]]
            if held.inside != NONE and held.state in PRESENT:
                outer = self.materials[held.inside]
                found.append(Violation("container", f"{material} is still packed in {outer}", name))
        for material in self.carried(marking, handoff):
            held = marking.materials[self.material[material]]
            if held.state == QUARANTINED and material not in handoff.carries:
                found.append(Violation("quarantine", f"{material} is in quarantine", name))
            for other in self._at_work(marking, material):
                doing = "in use" if other in self.protocol.steps else "already being passed"
                found.append(Violation("custody", f"{material} is {doing} in {other}", name))
        for old in handoff.becomes:
            for inner in self.contents(marking, old):
                what = f"{old} ceases to exist with {inner} in it"
                found.append(Violation("container", what, name))
        return found + self._accountability(marking, name)

    def _accountability(self, marking: Marking, name: str) -> list[Violation]:
        handoff = self.protocol.handoffs[name]
        either = (self.role[handoff.giver], self.role[handoff.receiver])
        if handoff.transfers_accountability and marking.owner not in either:
            return [self._not_owner(marking, handoff.giver, name)]
        return []

    def _not_owner(self, marking: Marking, giver: str, name: str) -> Violation:
        owner = self.roles[marking.owner]
        return Violation(
            "accountability", f"{giver} hands over accountability, but {owner} has it", name
        )

    def _outputs(self, marking: Marking, move: Move) -> list[Violation]:
        step = self.protocol.steps[move.subject]
        found = []
        for output in step.outputs:
            held = marking.materials[self.material[output]]
            if held.state in PRESENT and output not in step.consumes:
                found.append(Violation("material", f"{output} would exist twice", move.subject))
        return found

    def _relabelling(self, marking: Marking, move: Move) -> list[Violation]:
        handoff = self.protocol.handoffs[move.subject]
        found = []
        for new in handoff.becomes.values() if move.kind == "accept" else ():
            present = marking.materials[self.material[new]].state in PRESENT
            if present and new not in handoff.becomes:
                found.append(Violation("material", f"{new} would exist twice", move.subject))
        return found

    def _prerequisites(self, marking: Marking, move: Move) -> list[Violation]:
        found = []
        for rule in self.protocol.prerequisites:
            if rule.before != move.subject:
                continue
            missing = [ref for ref in rule.require if not self.is_done(marking, ref)]
            for material in rule.on_site:
                held = marking.materials[self.material[material]]
                if held.state != LIVE or (rule.at and held.custodian != self.role[rule.at]):
                    missing.append(f"{material} at {rule.at}")
            if missing:
                what = f"{move.subject} before {', '.join(missing)}"
                found.append(Violation("prerequisite", what, move.subject))
        return found

    # -- firing --------------------------------------------------------------------------------

    def fire(self, marking: Marking, move: Move) -> Marking:
        """Return the marking after `move`; raise NotPossible if the order does not permit it."""
        if move not in self.moves(marking):
            raise NotPossible(f"{move} is not possible now")
        return self.after(marking, move)

    def after(self, marking: Marking, move: Move) -> Marking:
        """Return the marking after `move`, which must be one of `moves(marking)`."""
        match move.kind:
            case "start" | "release":
                return self._set(marking, move.subject, OPEN)
            case "finish":
                return self._finish(marking, move.subject, move.result)
            case "accept":
                return self._accept(marking, move.subject)
            case "quarantine":
                return self._quarantine(marking, move.subject)
            case "refuse":
                marking = self._set(marking, move.subject, REFUSED)
                route = self.protocol.handoffs[move.subject].on_refuse
                return self._route(marking, route, move.subject)
            case "stop":
                return self._stop(marking, move.subject)
            case "decide":
                return self._decide(marking, move)
            case "lose" | "expire":
                return self._gone(marking, move)
            case "interrupt":
                return self._route(
                    marking, self.protocol.interrupts[move.subject].then, move.subject
                )

    def _set(self, marking: Marking, name: str, state: int) -> Marking:
        i = self.index[name]
        states = marking.activities
        return marking._replace(activities=(*states[:i], state, *states[i + 1 :]))

    def _put(self, marking: Marking, name: str, held: Held) -> Marking:
        i = self.material[name]
        all_ = marking.materials
        return marking._replace(materials=(*all_[:i], held, *all_[i + 1 :]))

    def _finish(self, marking: Marking, name: str, result: str) -> Marking:
        """End a step. What it used up is used up whatever the result; what it made exists unless
        the result leads elsewhere, and is in quarantine while a decision about it is pending."""
        step = self.protocol.steps[name]
        route = step.results[result].then if step.results else None
        role = self.role[step.role]
        for inner in step.unpacks:
            held = marking.materials[self.material[inner]]
            marking = self._put(marking, inner, held._replace(inside=NONE))
        for inner, outer in step.packs.items():
            held = marking.materials[self.material[inner]]
            marking = self._put(marking, inner, held._replace(inside=self.material[outer]))
        for used in step.consumes:
            marking = self._put(marking, used, Held(CONSUMED))
        if route is None or route.decide is not None:
            state = LIVE if route is None else QUARANTINED
            for made in step.outputs:
                marking = self._put(marking, made, Held(state, role))
        marking = self._set(marking, name, DONE + self.results(name).index(result))
        return marking if route is None else self._route(marking, route, name)

    def _accept(self, marking: Marking, name: str) -> Marking:
        handoff = self.protocol.handoffs[name]
        receiver = self.role[handoff.receiver]
        marking = self._move_custody(marking, handoff, receiver)
        for old, new in handoff.becomes.items():
            marking = self._put(marking, old, Held(CONSUMED))
            marking = self._put(marking, new, Held(LIVE, receiver))
        if handoff.transfers_accountability:
            marking = marking._replace(owner=receiver)
        return self._set(marking, name, DONE)

    def _move_custody(self, marking: Marking, handoff: Handoff, receiver: int) -> Marking:
        for material in self.carried(marking, handoff):
            held = marking.materials[self.material[material]]
            if held.state in PRESENT:
                marking = self._put(marking, material, held._replace(custodian=receiver))
        return marking

    def _quarantine(self, marking: Marking, name: str) -> Marking:
        handoff = self.protocol.handoffs[name]
        marking = self._move_custody(marking, handoff, self.role[handoff.receiver])
        marking = self._isolate(marking, self.carried(marking, handoff))
        marking = self._set(marking, name, ISOLATED)
        return self._route(marking, handoff.on_quarantine, name)

    def _isolate(self, marking: Marking, materials: tuple[str, ...]) -> Marking:
        for material in materials:
            held = marking.materials[self.material[material]]
            if held.state == LIVE:
                marking = self._put(marking, material, held._replace(state=QUARANTINED))
        return marking

    def _stop(self, marking: Marking, name: str) -> Marking:
        activity = self.activity(name)
        marking = self._isolate(marking, self.involved(marking, name))
        return self._route(self._set(marking, name, STOPPED), activity.on_stop, name)

    def involved(self, marking: Marking, name: str) -> tuple[str, ...]:
        """Return the materials that activity `name` works on: isolated when it is stopped."""
        activity = self.activity(name)
        if isinstance(activity, Handoff):
            return self.carried(marking, activity)
        inner = (*activity.packs, *activity.packs.values(), *activity.unpacks)
        return tuple(dict.fromkeys((*activity.inputs, *inner)))

    def _gone(self, marking: Marking, move: Move) -> Marking:
        material = self.protocol.materials[move.subject]
        for name in (*self.contents(marking, move.subject), move.subject):
            held = marking.materials[self.material[name]]
            marking = self._put(marking, name, held._replace(state=GONE, inside=NONE))
        route = material.on_lost if move.kind == "lose" else material.on_expired
        return self._route(marking, route, move.subject)

    def _route(self, marking: Marking, route: Route | None, origin: str) -> Marking:
        if route is None:
            raise NotPossible(f"{origin} has no route for this")
        if route.end is not None:
            return marking._replace(outcome=self.outcomes.index(route.end), pending=())
        if route.decide is not None:
            pending = Pending(self.index[route.decide], origin)
            return marking._replace(pending=tuple(sorted({*marking.pending, pending})))
        if route.go is not None:
            return self._go(marking, route.go)
        raise NotPossible(f"{origin}: a route must say go, decide or end")

    def _go(self, marking: Marking, name: str) -> Marking:
        """Start `name` and all that depends on it afresh; what they had made is discarded."""
        sent = [name]
        while (tries := marking.attempts[self.index[name]] + 1) >= (
            self.activity(name).attempts or 1
        ):
            exhausted = self.activity(name).exhausted
            if exhausted is None:
                raise NotPossible(f"{name} has no attempt left and no route for that")
            if exhausted.go is None:
                return self._route(marking, exhausted, name)
            if exhausted.go in sent:
                raise NotPossible(f"{name} has no attempt left and is sent round in a circle")
            name = exhausted.go
            sent.append(name)
        again = self.downstream(name)
        discarded = self.made_by(again)
        for material in discarded:
            held = marking.materials[self.material[material]]
            if held.state in PRESENT or held.state == CONSUMED:
                marking = self._put(marking, material, Held(GONE, held.custodian))
        marking = self._take_out(marking)
        states = tuple(
            IDLE if activity in again else state
            for activity, state in zip(self.activities, marking.activities, strict=True)
        )
        attempts = tuple(
            tries if activity == name else 0 if activity in again else count
            for activity, count in zip(self.activities, marking.attempts, strict=True)
        )
        pending = tuple(
            p for p in marking.pending if p.about not in again and p.about not in discarded
        )
        return marking._replace(activities=states, attempts=attempts, pending=pending)

    def _take_out(self, marking: Marking) -> Marking:
        """Let nothing be inside a container that exists no more."""
        for name, held in zip(self.materials, marking.materials, strict=True):
            if held.inside != NONE and marking.materials[held.inside].state not in PRESENT:
                marking = self._put(marking, name, held._replace(inside=NONE))
        return marking

    def made_by(self, activities: frozenset[str]) -> tuple[str, ...]:
        """Return the materials that these activities bring into existence."""
        made: list[str] = []
        for name in activities:
            activity = self.activity(name)
            made += activity.outputs if isinstance(activity, Step) else activity.becomes.values()
        return tuple(dict.fromkeys(made))

    def _decide(self, marking: Marking, move: Move) -> Marking:
        decision = self.protocol.steps[move.subject]
        route = decision.results[move.result].then
        pending = Pending(self.index[move.subject], move.detail)
        left = tuple(p for p in marking.pending if p != pending)
        marking = marking._replace(pending=left)
        if route is None:
            raise NotPossible(f"{move.subject}={move.result} says nothing about the held activity")
        if route.decide is None:
            marking = self._lift(marking, move.detail)
        if route.resume:
            return self._resume(marking, move.detail)
        return self._route(marking, route, move.detail)

    def _lift(self, marking: Marking, held: str) -> Marking:
        """Lift the quarantine of what `held` worked on, unless another decision awaits it."""
        others: set[str] = set()
        for pending in marking.pending:
            if pending.about in self.index:
                others |= set(self._touched(marking, pending.about))
        for material in self._touched(marking, held) if held in self.index else ():
            at = marking.materials[self.material[material]]
            if at.state == QUARANTINED and material not in others:
                marking = self._put(marking, material, at._replace(state=LIVE))
        return marking

    def _touched(self, marking: Marking, name: str) -> tuple[str, ...]:
        activity = self.activity(name)
        made = activity.outputs if isinstance(activity, Step) else ()
        return (*self.involved(marking, name), *made)

    def _resume(self, marking: Marking, held: str) -> Marking:
        if held in self.protocol.interrupts:
            return marking
        if held not in self.index:
            raise NotPossible(f"{held} is gone: there is nothing to resume")
        state = self.state(marking, held)
        if held in self.protocol.handoffs:
            if state == ISOLATED:
                return self._accept(marking, held)
            return self._set(marking, held, IDLE)
        return self._set(marking, held, OPEN) if state == STOPPED else marking


def target(ref: Ref) -> str:
    """Return the activity that `ref` names."""
    return ref.partition("=")[0]
