"""Practice mode of the station: the real rules, a made-up patient, one thing wrong (or nothing).

A drill lives in this process only and never enters the record as a journey; its result does, in the
organisation's own stream. Everything is decided by the same core as at a real station; the other
people at it are played.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from stafett.journey import command as c
from stafett.journey.label import Labels
from stafett.journey.script import (
    Cast,
    Fault,
    Story,
    can_fail,
    check_of,
    next_command,
    open_journey,
    right_answer,
    signature,
    wrong_answer,
)
from stafett.journey.tasks import Task, next_moves
from stafett.journey.view import Station, StationCheck, station
from stafett.ledger import Author, Draft, Ledger, NotAcknowledged, Submission
from stafett.protocol.model import Handoff
from stafett.protocol.net import Net
from stafett.registry.practice import NOTHING_WRONG, Result, judge, rounded_seconds
from stafett.service.accounts import Person
from stafett.service.library import Library
from stafett.service.refusal import No, Reason, unknown

ROOM = "practice"
KEPT = timedelta(hours=2)
MOST = 500  # drills in memory
STEPS = 3000
WRISTBAND, OTHER_WRISTBAND = "19121212-1212", "19430303-2384"


class Place(msgspec.Struct, frozen=True):
    """A station that can be practised: one side of an activity where something can go wrong."""

    protocol: str
    activity: str
    side: str
    role: str
    title: dict[str, str]


class Scene(msgspec.Struct, frozen=True):
    """What lies before the person at the next question: a label to scan, a reading, a sight."""

    check: str
    kind: str
    shown: str


class View(msgspec.Struct, frozen=True):
    """The station as in real life, what lies on the table, and the result once it is over."""

    id: str
    station: Station
    scene: Scene | None
    result: Result | None
    stopped: bool


@dataclass
class Drill:
    """One drill under way."""

    id: str
    person: Person
    place: Place
    version: str
    net: Net
    story: Story
    about: str
    fault: Fault | None
    begun: datetime
    rng: random.Random
    told_truth: bool | None = None
    alarmed: bool = False
    seen_at: datetime | None = None
    seconds: float | None = None
    result: Result | None = None
    recorded: bool = False  # the record has the result
    values: dict[str, c.Value] = field(default_factory=dict)


class Practice:
    """The drills of this process, and every result of the record."""

    def __init__(self, ledger: Ledger, library: Library) -> None:
        self._ledger, self._library = ledger, library
        self._drills: dict[str, Drill] = {}
        self._results: list[Result] = []
        self._reached: dict[str, frozenset[tuple[str, str]]] = {}
        self._position, self._seen = 0, -1
        self._lock = asyncio.Lock()

    def places(self, person: Person) -> list[Place]:
        """Return what the person can practise: stations of their roles where something can fail."""
        return self.places_of(person.roles)

    def places_of(self, roles: Container[str], protocol: str | None = None) -> list[Place]:
        """Return what can be practised in any of these roles, of one protocol or of all."""
        found = []
        for pinned in self._library.current().values():
            if protocol not in (None, pinned.name):
                continue
            net = self._library.net(pinned.sha256, _product(pinned.document.products))
            for name in (*net.protocol.steps, *net.protocol.handoffs):
                part = net.activity(name)
                for side, role, checks in _sides(part):
                    if role in roles and any(_faults(net, k) for k in checks):
                        title = part.title
                        titles = {"en": title} if isinstance(title, str) else dict(title)
                        found.append(Place(pinned.name, name, side, role, titles))
        return found

    def reached(self, protocol: str) -> frozenset[tuple[str, str]]:
        """Return the sides of activities that a journey in which all goes well comes to.

        Counts one such journey, and keeps the answer: seconds of work, not for the event loop.
        """
        pinned = self._library.current()[protocol]
        if pinned.sha256 not in self._reached:
            net = self._library.net(pinned.sha256, _product(pinned.document.products))
            parties = {r: str(e.organisation) for r, e in net.protocol.roles.items()}
            story = Story(net, Labels(1), Cast(parties))
            self._reached[pinned.sha256] = frozenset(_walked(story, datetime.now(UTC)))
        return self._reached[pinned.sha256]

    def begin(self, person: Person, protocol: str, activity: str, side: str) -> Drill:
        """Prepare a drill at a station. Raises No if there is none for this person."""
        places = {(p.protocol, p.activity, p.side): p for p in self.places(person)}
        place = places.get((protocol, activity, side))
        if place is None:
            raise unknown("station to practise at", f"{protocol} {activity} {side}")
        pinned = self._library.current()[protocol]
        net = self._library.net(pinned.sha256, _product(pinned.document.products))
        rng = random.Random(secrets.randbits(64))
        parties = {r: f"{e.organisation}-practice" for r, e in net.protocol.roles.items()}
        own = parties[place.role]
        parties = {r: person.organisation if o == own else o for r, o in parties.items()}
        story = Story(net, Labels(rng.randrange(1, 400_000)), Cast(parties))
        now = datetime.now(UTC)
        about = _bring(story, place, now)
        fault = None if rng.random() < NOTHING_WRONG else _choose(net, place, rng)
        drill = Drill(
            secrets.token_urlsafe(9), person, place, pinned.version, net, story, about, fault,
            now, rng,
        )  # fmt: skip
        self._drills = {k: d for k, d in self._drills.items() if now - d.begun < KEPT}
        if len(self._drills) >= MOST:
            what = "too many people practise at the same moment"
            raise No("busy", "Not now", Reason("practice", what, "try again in a while"))
        self._drills[drill.id] = drill
        return drill

    def view(self, person: Person, id: str, language: str = "en") -> View:
        """Return the drill as its person sees it. Raises No for anybody else's."""
        drill = self._of(person, id)
        seen = self._station(drill, language)
        scene = None if drill.result else self._scene(drill, seen)
        return View(drill.id, seen, scene, drill.result, seen.stop is not None)

    async def act(self, person: Person, id: str, asked: Any) -> View:
        """Carry out one act of the person. Raises No when the protocol forbids it."""
        drill = self._of(person, id)
        if drill.result is not None and not drill.recorded:
            await self._record(drill, drill.result)
            return self.view(person, id)
        if drill.result is not None:
            raise No("not-now", "The drill is over", Reason("practice", "begin another one"))
        before = self._station(drill)
        now = datetime.now(UTC)
        command = self._complete(drill, before, asked, now)
        self._watch(drill, before, command, now)
        refused = drill.story.submit(command)
        if not isinstance(refused, tuple):
            reasons = tuple(Reason(r.field, r.what, r.todo) for r in refused.reasons)
            raise No(refused.code, "The protocol does not permit it", *reasons)
        self._colleagues(drill, now)
        after = self._station(drill)
        if after.kind is None or after.stop is not None or isinstance(command, c.RaiseDeviation):
            await self._end(drill, now, ended=True)
        return self.view(person, id)

    async def give_up(self, person: Person, id: str) -> View:
        """End a drill without carrying it through."""
        drill = self._of(person, id)
        if drill.result is None:
            await self._end(drill, datetime.now(UTC), ended=False)
        elif not drill.recorded:
            await self._record(drill, drill.result)
        return self.view(person, id)

    async def relay(self) -> int:
        """Record the results that could not be recorded when they came; return how many wait."""
        waiting = [d for d in self._drills.values() if d.result is not None and not d.recorded]
        for done, drill in enumerate(waiting):
            assert drill.result is not None
            try:
                await self._record(drill, drill.result)
            except NotAcknowledged:
                return len(waiting) - done
        return 0

    async def results(self, organisation: str) -> list[Result]:
        """Return every drill of an organisation's people, oldest first."""
        size = self._ledger.known_size()
        if size != self._seen:
            async with self._lock:  # two who look at once would count each result twice
                for event in await self._ledger.of_room(ROOM, self._position):
                    self._position = event.position
                    self._results.append(msgspec.convert(event.body["result"], Result))
                self._seen = size
        return [r for r in self._results if r.organisation == organisation]

    # -- inside --------------------------------------------------------------------------------

    def _of(self, person: Person, id: str) -> Drill:
        drill = self._drills.get(id)
        if drill is None or drill.person.id != person.id:
            raise unknown("drill", id)
        return drill

    def _station(self, drill: Drill, language: str = "en") -> Station:
        state = drill.story.state
        assert state is not None
        place = drill.place
        return station(
            drill.net, state, place.activity, place.side, language, about=drill.about  # type: ignore[arg-type]
        )  # fmt: skip

    def _scene(self, drill: Drill, seen: Station) -> Scene | None:
        shown = next((k for k in seen.checks if k.id == seen.next), None)
        if shown is None:
            return None
        if shown.id not in drill.values:
            drill.values[shown.id] = self._truth(drill, seen, shown)
            if _hits(drill, shown.id):
                drill.seen_at = datetime.now(UTC)
        return Scene(
            shown.id, shown.kind, _words(shown, drill.values[shown.id], drill.story.labels)
        )

    def _truth(self, drill: Drill, seen: Station, shown: StationCheck) -> c.Value:
        check, labels = check_of(drill.net, seen, shown.id), drill.story.labels
        if _hits(drill, shown.id):
            assert drill.fault is not None
            return wrong_answer(drill.net, check, shown, labels, drill.fault.name)
        return right_answer(drill.net, check, shown, labels, datetime.now(UTC))

    def _complete(self, drill: Drill, seen: Station, asked: Any, now: datetime) -> c.Command:
        by = drill.story.cast.actor(seen.role)
        by = msgspec.structs.replace(by, person=drill.person.id)
        plain: dict[str, Any] = msgspec.to_builtins(asked)
        plain |= {"by": msgspec.to_builtins(by), "recorded_at": now, "occurred_at": now}
        if plain["type"] == "Answer" and isinstance(plain.get("value"), str):
            plain["value"] = _real(plain["value"], drill.story.labels)
        if plain["type"] in ("Release", "Receive", "Finish", "Decide") and seen.sign is not None:
            plain["signatures"] = [msgspec.to_builtins(signature(seen, by, now))]
        if plain["type"] == "Sign":
            plain["signature"] = msgspec.to_builtins(signature(seen, by, now))
        return msgspec.convert(plain, c.Command)  # type: ignore[no-any-return]

    def _watch(self, drill: Drill, seen: Station, command: c.Command, now: datetime) -> None:
        """Note what the person made of what lay before them."""
        if isinstance(command, c.Answer):
            if command.value is None:
                drill.alarmed = True
            if _hits(drill, command.check):
                self._scene(drill, seen)
                truth = drill.values.get(command.check)
                drill.told_truth = command.value is None or command.value == truth
                if isinstance(truth, float | int) and isinstance(command.value, float | int):
                    drill.told_truth = abs(float(truth) - float(command.value)) < 1e-6
                if drill.seen_at is not None:
                    drill.seconds = rounded_seconds((now - drill.seen_at).total_seconds())
            elif command.check in drill.values and command.value != drill.values[command.check]:
                drill.alarmed = True
        elif isinstance(command, c.RaiseDeviation) or _turns_away(command):
            drill.alarmed = True

    def _colleagues(self, drill: Drill, now: datetime) -> None:
        """Let the second person of a double check answer and sign, truthfully."""
        for _ in range(8):
            seen = self._station(drill)
            shown = next((k for k in seen.checks if k.id == seen.next), None)
            cast = drill.story.cast
            others = {drill.person.id}
            if shown is not None and shown.second:
                value = drill.values.get(shown.id)
                drill.story.submit(
                    c.Answer(
                        occurred_at=now, by=cast.actor(seen.role, {*shown.by, *others}),
                        activity=seen.activity, side=seen.side, about=seen.about,
                        round=seen.round, check=shown.id, value=value, unit=shown.unit,
                        method="scan" if shown.kind == "scan" else "seen",
                    )
                )  # fmt: skip
                continue
            signed = set(seen.sign.signed) if seen.sign else set()
            if shown is None and seen.sign is not None and seen.sign.people - len(signed) > 1:
                by = cast.actor(seen.role, {*signed, *seen.barred, *others})
                drill.story.submit(
                    c.Sign(
                        occurred_at=now, by=by, activity=seen.activity, side=seen.side,
                        about=seen.about, signature=signature(seen, by, now),
                    )
                )  # fmt: skip
                continue
            return

    async def _end(self, drill: Drill, now: datetime, *, ended: bool) -> None:
        place, person = drill.place, drill.person
        verdict = judge(
            fault=drill.fault is not None,
            told_truth=drill.told_truth,
            alarmed=drill.alarmed,
            ended=ended,
        )
        drill.result = Result(
            person=person.id,
            organisation=person.organisation,
            protocol=place.protocol,
            version=drill.version,
            role=place.role,
            activity=place.activity,
            side=place.side,
            fault=drill.fault.name if drill.fault else "",
            verdict=verdict,
            seconds=drill.seconds,
            at=now,
        )
        await self._record(drill, drill.result)

    async def _record(self, drill: Drill, result: Result) -> None:
        """Put a result into the record, once; raise NotAcknowledged where that must wait."""
        person = drill.person
        draft = Draft("Practised", {"result": msgspec.to_builtins(result)}, result.at)
        await self._ledger.append(
            Submission(
                stream=f"{ROOM}/{person.organisation}",
                expected_version=None,
                drafts=[draft],
                audience=[person.organisation],
                author=Author(person.organisation, person.id),
                key=f"practice.{drill.id}",
                request_hash=drill.id.encode(),
            )
        )
        drill.recorded = True
        self._seen = -1


def _bring(story: Story, place: Place, now: datetime) -> str:
    """Carry the made-up journey to where the drill begins; return what it is about."""
    for task in _tasks(story, now):
        if (task.activity, task.side) == (place.activity, place.side):
            return task.about
    what = "a journey in which all goes well does not come here"
    raise No("not-now", "This cannot be practised", Reason("activity", what, "choose another"))


def _walked(story: Story, now: datetime) -> Iterator[tuple[str, str]]:
    for task in _tasks(story, now):
        yield task.activity, task.side


def _tasks(story: Story, now: datetime) -> Iterator[Task]:
    """Carry a journey on, giving every task that is due before each step of it."""
    net, at = story.net, now - timedelta(seconds=STEPS)
    story.submit(open_journey(net, "PRACTICE", story.labels, story.cast, at))
    for _ in range(STEPS):
        state = story.state
        assert state is not None
        tasks = [task for task in next_moves(net, state) if not task.blocked]
        yield from tasks
        if not tasks:
            return
        at += timedelta(seconds=1)
        story.submit(next_command(net, state, tasks[0], story.labels, story.cast, at))


def _sides(part: Any) -> list[tuple[str, str, Any]]:
    if isinstance(part, Handoff):
        return [
            ("release", part.giver, part.release.checks),
            ("accept", part.receiver, part.accept.checks),
        ]
    return [("step", part.role, part.checks)]


def _faults(net: Net, check: Any) -> list[str]:
    """Return what can be wrong at a check, as deviation codes."""
    codes = dict.fromkeys([check.deviation or "", *net.protocol.deviations])
    if check.kind == "choice":
        codes |= dict.fromkeys(choice.deviation or "" for choice in check.choices.values())
    return [code for code in codes if code and can_fail(net, check, code)]


def _choose(net: Net, place: Place, rng: random.Random) -> Fault:
    part = net.activity(place.activity)
    checks = next(checks for side, _, checks in _sides(part) if side == place.side)
    options = [(check.id, code) for check in checks for code in _faults(net, check)]
    check, code = rng.choice(options)
    return Fault(code, place.activity, check)


def _hits(drill: Drill, check: str) -> bool:
    return drill.fault is not None and drill.fault.check == check


def _product(products: Any) -> str | None:
    return next(iter(products), None)


def _words(shown: StationCheck, value: c.Value, labels: Labels) -> str:
    if shown.kind == "choice":
        return next((o.title for o in shown.choices if o.id == value), str(value))
    if shown.kind == "quantity":
        return f"{value:g} {shown.unit or ''}".strip() if value is not None else "?"
    if shown.kind == "scan" and isinstance(value, str) and value.startswith("sha256:"):
        return WRISTBAND if value == labels.patient else OTHER_WRISTBAND
    return str(value)


def _turns_away(command: c.Command) -> bool:
    return isinstance(command, c.Receive) and command.decision != "accept"


def _real(value: str, labels: Labels) -> str:
    """Return what stands behind the made-up wristband numbers: commitments, as in real life."""
    if value.strip() == WRISTBAND:
        return labels.patient
    if value.strip() == OTHER_WRISTBAND:
        return Labels(labels.seed + 500_000).patient
    return value
