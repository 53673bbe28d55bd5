"""A site becomes ready for a protocol: the events of an onboarding.

What may follow what is a protocol of its own, proven like any other (`registry.process`): the site
shows evidence for each requirement; the one who asks accepts or refuses it; the site signs that it
is ready, and then the one who asks. Either may withdraw before that. Here is what the events add:
which requirement, which evidence, until when an acceptance holds. A
dry run with a dummy shipment is one of the requirements: it is what the record of practice says.
What another manufacturer has accepted counts at once where the requirement is the same or was
stricter and the acceptance still holds. Pure: `decide` says what may happen, `evolve` what has.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Union

import msgspec

from stafett.protocol.builtin import ONBOARDING
from stafett.protocol.marking import Marking, Move
from stafett.registry import process
from stafett.registry.dryrun import Leg, left
from stafett.registry.process import Status
from stafett.registry.requirement import Kind, Requirement, RequirementList, carries_over
from stafett.registry.trained import Trained
from stafett.registry.trial import Long

MONTH = timedelta(days=30.4375)
Sha = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The onboarding of a site to what `asks` lists has begun."""

    at: datetime
    by: str
    site: str
    asks: RequirementList


class Shown(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The site has shown evidence for a requirement.

    `run` is the dry run, as the record of practice has it, where one is asked for and the protocol
    is run here; `trained` the current competence of the site's people, for a training.
    """

    at: datetime
    by: str
    topic: str
    evidence: Long
    sha256: Sha | None = None
    run: tuple[Leg, ...] | None = None
    trained: Trained | None = None


class Accepted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The evidence was accepted: by the one who asks, or carried over from `carried` (a list)."""

    at: datetime
    by: str
    topic: str
    until: datetime | None = None
    carried: str | None = None


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The evidence was not accepted, and why."""

    at: datetime
    by: str
    topic: str
    reason: Long


class Signed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One side says that the site is ready."""

    at: datetime
    by: str
    side: Literal["site", "asker"]


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One side does not go on, and why. The onboarding can be opened anew."""

    at: datetime
    by: str
    side: Literal["site", "asker"]
    reason: Long


Event = Union[Opened, Shown, Accepted, Refused, Signed, Withdrawn]  # noqa: UP007


class Item(msgspec.Struct, frozen=True):
    """Where one requirement stands."""

    requirement: Requirement
    status: Status = "missing"
    evidence: str = ""
    sha256: str | None = None
    until: datetime | None = None
    carried: str | None = None
    reason: str = ""
    run: tuple[Leg, ...] | None = None
    trained: Trained | None = None


class Onboarding(msgspec.Struct, frozen=True):
    """The state of one onboarding."""

    site: str
    asks: RequirementList
    opened: datetime
    items: dict[str, Item]
    signed: dict[str, datetime] = {}
    ready: datetime | None = None
    withdrawn: Withdrawn | None = None

    def at(self, now: datetime) -> dict[str, Item]:
        """Return the items as they stand at `now`: what was accepted may have lapsed."""
        return {
            topic: msgspec.structs.replace(item, status="lapsed")
            if item.status == "accepted" and item.until is not None and item.until <= now
            else item
            for topic, item in self.items.items()
        }

    def open_topics(self, now: datetime) -> list[str]:
        """Return what is not accepted, or no longer."""
        return [topic for topic, item in self.at(now).items() if item.status != "accepted"]

    def kinds(self, now: datetime) -> dict[Kind, Status]:
        """Return how far each kind of requirement is: as far as the least of it."""
        found: dict[Kind, Status] = {}
        for item in self.at(now).values():
            kind = item.requirement.kind
            worst = list(process.STATES)
            found[kind] = min(found.get(kind, "accepted"), item.status, key=worst.index)
        return found

    def is_ready(self, now: datetime) -> bool:
        """Say whether both have signed and everything accepted still holds."""
        return self.ready is not None and not self.open_topics(now)

    def days_to_ready(self) -> float | None:
        """Return how many days it took, once it was ready."""
        return None if self.ready is None else (self.ready - self.opened) / timedelta(days=1)


class Not(Exception):
    """This may not happen now, and why."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"{field}: {what}")
        self.field, self.what = field, what


def evolve(state: Onboarding | None, event: Event) -> Onboarding:
    """Return the state after an event."""
    if isinstance(event, Opened):
        items = {r.topic: Item(r) for r in event.asks.requirements}
        return Onboarding(event.site, event.asks, event.at, items)
    assert state is not None
    if isinstance(event, Signed):
        signed = {**state.signed, event.side: event.at}
        ready = event.at if len(signed) == 2 else None
        return msgspec.structs.replace(state, signed=signed, ready=state.ready or ready)
    if isinstance(event, Withdrawn):
        return msgspec.structs.replace(state, withdrawn=event)
    item = state.items[event.topic]
    match event:
        case Shown():
            new = Item(
                item.requirement,
                "shown",
                event.evidence,
                event.sha256,
                run=event.run,
                trained=event.trained,
            )
        case Accepted():
            new = msgspec.structs.replace(
                item, status="accepted", until=event.until, carried=event.carried
            )
        case Refused():
            new = msgspec.structs.replace(item, status="refused", reason=event.reason)
    return msgspec.structs.replace(state, items={**state.items, event.topic: new})


def replay(events: Iterable[Event]) -> Onboarding:
    """Return the state after all of them."""
    state: Onboarding | None = None
    for event in events:
        state = evolve(state, event)
    assert state is not None
    return state


def carried(
    asked: RequirementList, others: Iterable[Onboarding], by: str, now: datetime
) -> list[Accepted]:
    """Return what counts at once because somebody else has accepted it of this site.

    The acceptance lasts as long as the other one does, and no longer than this list allows from
    the day of carrying over.
    """
    found: dict[str, Accepted] = {}
    for other in others:
        if other.asks.id == asked.id or other.withdrawn is not None:
            continue
        for topic, item in other.at(now).items():
            mine = next((r for r in asked.requirements if r.topic == topic), None)
            # A dry run is of one chain: it is never carried over.
            if mine is None or mine.kind == "dry-run" or item.status != "accepted":
                continue
            if item.carried is not None or not carries_over(item.requirement, mine):
                continue
            until = _earliest(item.until, _until(mine, now))
            old = found.get(topic)
            if old is None or _later(until, old.until):
                found[topic] = Accepted(
                    at=now, by=by, topic=topic, until=until, carried=other.asks.id
                )
    return list(found.values())


def decide(state: Onboarding, event: Event, side: str, now: datetime) -> Event:
    """Return the event that may happen (with its end filled in), or raise Not.

    `side` is "site" or "asker": who is acting.
    """
    if isinstance(event, Opened):
        raise Not("asks", "it is open already")
    if state.withdrawn is not None:
        raise Not("side", "it was withdrawn: open it anew")
    made = _decide(state, event, side, now)
    if _follow(state, event, side, now) is None:
        raise Not("protocol", f"{ONBOARDING} does not permit it now")
    return made


def _follow(state: Onboarding, event: Event, side: str, now: datetime) -> Marking | None:
    """Return where the protocol is after an event; None where it does not permit it."""
    kinds, signed = state.kinds(now), set(state.signed)
    moves = [process.WITHDRAW]
    if isinstance(event, Signed):
        sides = {"site": "release", "asker": "accept"}
        moves = [Move(sides[event.side], process.SIGN_OFF)]  # type: ignore[arg-type]
    elif isinstance(event, Shown | Accepted | Refused):
        # Each requirement is moved by itself: the others of its kind do not stand in its way.
        item = state.at(now)[event.topic]
        kind = item.requirement.kind
        kinds[kind] = item.status
        moves = process.shown(kind, item.status)
        if not isinstance(event, Shown):
            verb = "accept" if isinstance(event, Accepted) else "refuse"
            moves = [Move(verb, process.HANDOFFS[kind])]  # type: ignore[arg-type]
    # What lapses after that is renewed by the same handoff once more; the sign-off stands.
    over = state.ready is not None and not isinstance(event, Shown | Accepted | Refused)
    ended = "ready" if over else ""
    return process.after(process.marking(kinds, signed, ended), moves, side)


def _decide(state: Onboarding, event: Event, side: str, now: datetime) -> Event:
    if isinstance(event, Signed):
        return _sign(state, event, side, now)
    if isinstance(event, Withdrawn):
        if event.side != side:
            raise Not("side", "each side withdraws for itself")
        if state.ready is not None:
            raise Not("side", "both have signed")
        return event
    assert not isinstance(event, Opened)
    if event.topic not in state.items:
        raise Not("topic", f"{event.topic!r} is not asked: {', '.join(state.items)}")
    item = state.at(now)[event.topic]
    if isinstance(event, Shown):
        if side != "site":
            raise Not("side", "the site shows evidence")
        if item.status == "accepted":
            raise Not("topic", "it is accepted already")
        if event.run is not None and (missing := left(event.run)):
            names = ", ".join(f"{leg.activity} {leg.side}" for leg in missing)
            raise Not("run", f"the dry run is not carried through: {names}")
        if event.trained is not None and not event.trained.met:
            raise Not("training", _lacking(item.requirement, event.trained))
        return event
    if side != "asker":
        raise Not("side", "who asks for it accepts or refuses it")
    if item.status != "shown":
        raise Not("topic", f"nothing new was shown: it is {item.status}")
    if isinstance(event, Accepted):
        until = _earliest(event.until, _until(item.requirement, now))
        if item.trained is not None:  # it holds as long as the grants that it rests on
            until = _earliest(until, item.trained.until)
        return msgspec.structs.replace(event, until=until, carried=None)
    return event


def _sign(state: Onboarding, event: Signed, side: str, now: datetime) -> Signed:
    if event.side != side:
        raise Not("side", "each side signs for itself")
    if side in state.signed and state.ready is None:
        raise Not("side", "you have signed; the other side has not")
    if state.ready is not None:
        raise Not("side", "both have signed")
    missing = state.open_topics(now)
    if missing:
        raise Not("topic", f"not accepted yet: {', '.join(missing)}")
    if side == "asker" and "site" not in state.signed:
        raise Not("side", "the site signs first")
    return event


def _lacking(asked: Requirement, found: Trained) -> str:
    empty = sorted(set(asked.roles) - {one.role for one in found.roles})
    have, need, named = found.people, found.needed, ", ".join(empty)
    if empty:
        return f"{have} of {need} people are competent now; nobody as {named}"
    return f"{have} of {need} people are competent now"


def _until(requirement: Requirement, now: datetime) -> datetime | None:
    return None if requirement.months is None else now + requirement.months * MONTH


def _earliest(a: datetime | None, b: datetime | None) -> datetime | None:
    known = [t for t in (a, b) if t is not None]
    return min(known, default=None)


def _later(a: datetime | None, b: datetime | None) -> bool:
    return b is not None and (a is None or a > b)


def from_json(value: Any) -> Event:
    """Read an event as the record keeps it."""
    return msgspec.convert(value, Event)  # type: ignore[no-any-return]
