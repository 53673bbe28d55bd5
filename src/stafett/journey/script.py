"""People who follow the protocol, for tests, demonstrations and rehearsals.

`act` sees what a person sees: a station's view, the protocol (which is public) and the labels that
are physically there. It never sees the record, so it works through the public API as well as on a
state. A **fault** makes it do one thing wrong, named after the deviation catalogue.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from stafett.journey import command as c
from stafett.journey import settling
from stafett.journey.decide import decide
from stafett.journey.event import Event
from stafett.journey.evolve import replay
from stafett.journey.label import Labels
from stafett.journey.refusal import Refusal
from stafett.journey.samples import NUMBERS, SAMPLES
from stafett.journey.state import State
from stafett.journey.tasks import Task, next_moves
from stafett.journey.view import Station, StationCheck, StationField, station
from stafett.protocol.model import Check, Handoff, Step
from stafett.protocol.net import NONE, Net

# Faults that are no deviation code of a check or of a result.
WRONG_LABEL = "WRONG_LABEL"
UNKNOWN = "UNKNOWN"
REFUSE = "REFUSE"
QUARANTINE = "QUARANTINE"


@dataclass
class Cast:
    """Who is there: the organisation of each role and, by role, the people (made up if absent)."""

    parties: dict[str, str]
    people: dict[str, list[str]] = field(default_factory=dict)

    def person(self, role: str, not_these: frozenset[str] | set[str] = frozenset()) -> str:
        """Return the first person of `role` who is not one of `not_these`."""
        known = self.people.get(role)
        if known is None:
            known = [f"{role}.{n}" for n in range(1, len(not_these) + 2)]
        for person in known:
            if person not in not_these:
                return person
        raise LookupError(f"{role} has nobody left beside {', '.join(sorted(not_these))}")

    def actor(self, role: str, not_these: frozenset[str] | set[str] = frozenset()) -> c.Actor:
        """Return somebody who acts in `role`."""
        person = self.person(role, not_these)
        return c.Actor(person=person, organisation=self.parties[role], role=role)


@dataclass(frozen=True)
class Fault:
    """One thing done wrong, once: a deviation code or one of this module's names.

    With `activity` or `check` only there; else at the first opportunity.
    """

    name: str
    activity: str | None = None
    check: str | None = None

    def fits(self, place: Station, check: str | None = None) -> bool:
        """Say whether this may happen here."""
        here = self.activity in (None, place.activity)
        return here and (self.check is None or self.check == check)


def open_journey(
    net: Net, journey: str, labels: Labels, cast: Cast, at: datetime, product: str | None = None
) -> c.OpenJourney:
    """Return the command that opens a journey for the patient of `labels`."""
    owner = net.protocol.owner
    return c.OpenJourney(
        occurred_at=at,
        by=cast.actor(owner),
        journey=journey,
        coi=labels.coi,
        patient=labels.patient,
        protocol=net.protocol.protocol,
        version=net.protocol.version,
        product=product,
        parties=cast.parties,
    )


def act(
    net: Net,
    place: Station,
    labels: Labels,
    cast: Cast,
    at: datetime,
    fault: Fault | None = None,
) -> c.Command:
    """Return what the person at `place` does next; raise LookupError if there is nothing to do.

    `labels` changes when a label is printed.
    """
    if place.kind is None:
        raise LookupError(f"there is nothing to do at {place.activity} ({place.status})")
    if place.kind == "acknowledge":
        return c.AcknowledgeNotice(occurred_at=at, by=cast.actor(place.role), notice=place.about)
    if place.kind == "start":
        by = cast.actor(place.role)
        return c.Start(occurred_at=at, by=by, step=place.activity, round=place.round)
    turned = fault is not None and fault.fits(place) and fault.name in (REFUSE, QUARANTINE)
    if turned and place.side == "accept":
        return _close(net, place, cast, at, fault)
    if place.next is not None:
        return _answer(net, place, labels, cast, at, fault)
    for document in place.documents:
        if document.required and not document.attached:
            return _attach(place, document.id, document.fields, cast, at)
    signed = len(place.sign.signed) if place.sign else 0
    if place.sign is not None and place.sign.people - signed > 1:
        by = cast.actor(place.role, {*place.sign.signed, *place.barred})
        return c.Sign(
            occurred_at=at,
            by=by,
            activity=place.activity,
            side=place.side,
            about=place.about,
            signature=signature(place, by, at),
        )
    return _close(net, place, cast, at, fault)


def signature(place: Station, by: c.Actor, at: datetime) -> c.Signature:
    """Return the signature of `by` under what `place` says is signed."""
    what = f"{place.journey} {place.activity} {place.side} {place.about} {place.round}"
    return c.Signature(
        person=by.person,
        name=by.person.replace(".", " ").replace("_", " ").title(),
        meaning=place.sign.meaning if place.sign else "",
        at=at,
        method="script",
        digest=hashlib.sha256(what.encode()).hexdigest(),
    )


def check_of(net: Net, place: Station, name: str) -> Check:
    """Return the check called `name` of a station."""
    part = net.activity(place.activity)
    if isinstance(part, Step):
        checks = part.checks
    else:
        checks = (part.release if place.side == "release" else part.accept).checks
    return next(check for check in checks if check.id == name)


def _answer(
    net: Net, place: Station, labels: Labels, cast: Cast, at: datetime, fault: Fault | None
) -> c.Answer:
    shown = next(check for check in place.checks if check.id == place.next)
    check = check_of(net, place, shown.id)
    value: c.Value
    if fault is not None and fault.fits(place, check.id) and can_fail(net, check, fault.name):
        value = wrong_answer(net, check, shown, labels, fault.name)
    else:
        value = right_answer(net, check, shown, labels, at)
    return c.Answer(
        occurred_at=at,
        by=cast.actor(place.role, {*shown.by, *place.barred}),
        activity=place.activity,
        side=place.side,
        about=place.about,
        round=place.round,
        check=check.id,
        value=value,
        unit=check.unit,
        method="scan" if check.kind == "scan" else "seen",
    )


def right_answer(
    net: Net, check: Check, shown: StationCheck, labels: Labels, at: datetime
) -> c.Value:
    """Return the answer of somebody before whom everything is as it should be."""
    match check.kind:
        case "scan":
            kind = net.protocol.identifiers[check.by or ""]
            material = check.identifies or check.records or ""
            if shown.binds and shown.keeps is not None:
                return labels.reprint(kind, shown.keeps, material, check.by or "")
            if shown.binds:
                return labels.stick(kind, material, check.by or "", check.records)
            return labels.read(kind, material, check.by or "")
        case "choice":
            return next(one.id for one in shown.choices if one.means == "pass")
        case "quantity":
            return _within(check.min, check.max)
        case "time":
            return at.isoformat()


def _within(low: float | None, high: float | None) -> float:
    if low is not None and high is not None:
        return round((low + high) / 2, 6)
    if low is not None:
        return low + max(1.0, abs(low) * 0.1)
    if high is not None:
        return high - max(1.0, abs(high) * 0.1) if high < 0 or high > 10 else high / 2
    return 1.0


def can_fail(net: Net, check: Check, fault: str) -> bool:
    """Say whether answering `check` wrongly is fault `fault`."""
    if fault == UNKNOWN:
        return True
    if fault in (WRONG_LABEL, "IDENTITY_MISMATCH") and check.kind == "scan":
        return check.identifies is not None
    if check.kind == "choice":
        return any(
            choice.means != "pass" and (choice.deviation or check.deviation) == fault
            for choice in check.choices.values()
        )
    if check.kind == "quantity":
        return check.deviation == fault and (check.min is not None or check.max is not None)
    return check.kind == "scan" and check.identifies is not None and check.deviation == fault


def wrong_answer(
    net: Net, check: Check, shown: StationCheck, labels: Labels, fault: str
) -> c.Value:
    """Return the answer that makes `fault` out of `check`."""
    if fault == UNKNOWN:
        return None
    if check.kind == "scan":
        return labels.of_another(net.protocol.identifiers[check.by or ""])
    if check.kind == "choice":
        return next(
            name
            for name, choice in check.choices.items()
            if choice.means != "pass" and (choice.deviation or check.deviation) == fault
        )
    if check.max is not None:
        return check.max + max(1.0, abs(check.max) * 0.2)
    return (check.min or 0.0) - max(1.0, abs(check.min or 0.0) * 0.2)


def _attach(
    place: Station, document: str, fields: tuple[StationField, ...], cast: Cast, at: datetime
) -> c.Attach:
    content = f"{place.journey} {document} {place.activity} {place.round}"
    return c.Attach(
        occurred_at=at,
        by=cast.actor(place.role, set(place.barred)),
        activity=place.activity,
        side=place.side,
        about=place.about,
        round=place.round,
        document=document,
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        fields={field.id: filled_in(field, document, at) for field in fields},
    )


def filled_in(field: StationField, document: str, at: datetime) -> str:
    """Return what a person would write into a document's field."""
    match field.kind:
        case "time":
            return at.isoformat()
        case "choice":
            return field.choices[0]
        case "number":
            if field.min is None and field.max is None and field.id in NUMBERS:
                return f"{NUMBERS[field.id]:g}"
            low = field.min if field.min is not None else (field.max or 1.0) - 1.0
            high = field.max if field.max is not None else low + 2.0
            return f"{(low + high) / 2:g}"
        case "text":
            return SAMPLES.get(field.id, f"{field.id} of {document}")


def _close(net: Net, place: Station, cast: Cast, at: datetime, fault: Fault | None) -> c.Command:
    signed = set(place.sign.signed) if place.sign else set()
    by = cast.actor(place.role, signed | set(place.barred))
    signatures = (signature(place, by, at),) if place.sign else ()
    part = net.activity(place.activity)
    if isinstance(part, Handoff):
        if place.side == "release":
            return c.Release(
                occurred_at=at,
                by=by,
                handoff=place.activity,
                round=place.round,
                signatures=signatures,
            )
        return _receive(net, place, by, at, signatures, fault)
    names = [option.id for option in place.options]
    if not names:
        raise LookupError(f"{place.activity} cannot end now: {', '.join(place.blocked)}")
    if part.on_demand:
        return c.Decide(
            occurred_at=at,
            by=by,
            decision=place.activity,
            about=place.about,
            result=min(names, key=lambda name: _severity(net, part, name)),
            reason="as the protocol says",
            signatures=signatures,
        )
    result = min(names, key=lambda name: _severity(net, part, name))
    failed = {one.deviation for one in part.checks if one.id in _failed(place)} - {None}
    if part.kind == "test" and (told := [n for n in names if _raises(part, n) in failed]):
        result = told[0]  # who found it out of specification says so
    if fault is not None and fault.fits(place):
        for name in names:
            entry = part.results.get(name)
            if entry is not None and entry.deviation == fault.name:
                result = name
    return c.Finish(
        occurred_at=at,
        by=by,
        step=place.activity,
        result=result,
        round=place.round,
        signatures=signatures,
    )


def _failed(place: Station) -> set[str]:
    return {check.id for check in place.checks if check.result == "fail"}


def _raises(step: Step, result: str) -> str | None:
    entry = step.results.get(result)
    return entry.deviation if entry is not None else None


def _severity(net: Net, step: Step, result: str) -> int:
    """Order the ways in which a step can end, the best first."""
    entry = step.results.get(result)
    if entry is None or entry.then is None or entry.then.resume:
        return 0
    if entry.then.end is not None:
        return 1 if net.protocol.outcomes[entry.then.end].treated else 4
    return 2 if entry.then.go is not None else 3


def _receive(
    net: Net,
    place: Station,
    by: c.Actor,
    at: datetime,
    signatures: tuple[c.Signature, ...],
    fault: Fault | None,
) -> c.Receive:
    names = [option.id for option in place.options]
    decision, reason = "accept", None
    if fault is not None and fault.fits(place) and fault.name.lower() in names:
        decision = fault.name.lower()
    elif "accept" not in names:
        decision = next(iter(names), "accept")
    if decision in ("quarantine", "refuse"):
        reason = next(iter(net.protocol.deviations))
    return c.Receive(
        occurred_at=at,
        by=by,
        handoff=place.activity,
        round=place.round,
        decision=decision,  # type: ignore[arg-type]
        reason=reason,
        signatures=signatures,
    )


# -- whole journeys ------------------------------------------------------------------------------


@dataclass
class Story:
    """A journey that was walked: what was commanded, what came of it."""

    net: Net
    labels: Labels
    cast: Cast
    commands: list[c.Command] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    state: State | None = None

    def submit(self, command: c.Command) -> Refusal | tuple[Event, ...]:
        """Decide `command` and take its events in; what a refusal calls for is submitted too."""
        self.commands.append(command)
        result = decide(self.net, self.state, command)
        if isinstance(result, Refusal):
            self.refusals.append(result)
            for following in result.then:
                self.submit(following)
            return result
        self.events += result
        self.state = _further(self.net, self.state, result)
        return result


def _further(net: Net, state: State | None, events: tuple[Event, ...]) -> State | None:
    from stafett.journey.evolve import evolve

    for event in events:
        state = evolve(net, state, event)
    return state


class Stuck(RuntimeError):
    """A journey that has not ended and in which nobody can do anything."""


def play(
    net: Net,
    start: datetime,
    *,
    seed: int = 1,
    faults: tuple[Fault, ...] = (),
    pace: timedelta = timedelta(seconds=20),
    shuffle: bool = False,
    limit: int = 5_000,
) -> Story:
    """Walk a whole journey, one command every `pace`, until its outcome.

    Each fault happens at its first opportunity. `shuffle` takes the open tasks in random order.
    Raises Stuck if nothing can be done before the journey ends.
    """
    chance = random.Random(seed)
    cast = Cast({role: f"org-{entry.organisation}" for role, entry in net.protocol.roles.items()})
    story = Story(net, Labels(seed), cast)
    at, left = start, list(faults)
    story.submit(open_journey(net, f"J{seed}", story.labels, cast, at))
    for _ in range(limit):
        state = story.state
        if state is None or state.marking.outcome != NONE:
            return story
        at += pace
        undecided = settling.undecided(net, state)
        if undecided:
            for command in settling.settle(net, state, undecided[0], cast, at):
                story.submit(command)
            continue
        tasks = [task for task in next_moves(net, state) if not task.blocked]
        if not tasks:
            raise Stuck(f"nobody can do anything: {[str(r) for r in story.refusals[-3:]]}")
        task = chance.choice(tasks) if shuffle else tasks[0]
        before = len(story.refusals)
        story.submit(next_command(net, state, task, story.labels, cast, at, left))
        if len(story.refusals) > before and not story.refusals[-1].then:
            raise Stuck(str(story.refusals[-1]))
    raise Stuck(f"no outcome after {limit} commands")


def next_command(
    net: Net,
    state: State,
    task: Task,
    labels: Labels,
    cast: Cast,
    at: datetime,
    faults: list[Fault] | None = None,
) -> c.Command:
    """Return what the person whose `task` it is does; a fault that happens leaves `faults`."""
    place = station(net, state, task.activity, task.side, about=task.about, at=at)
    right = act(net, place, labels.copy(), cast, at)
    for fault in faults or []:
        spare = labels.copy()
        wrong = act(net, place, spare, cast, at, fault)
        if msgspec.to_builtins(wrong) != msgspec.to_builtins(right):
            assert faults is not None
            faults.remove(fault)
            labels.take(spare)
            return wrong
    return act(net, place, labels, cast, at)


__all__ = ["Cast", "Fault", "Labels", "Story", "act", "next_command", "play", "replay"]
