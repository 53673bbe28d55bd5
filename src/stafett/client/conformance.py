"""The conformance kit: does an endpoint keep what a handoff owes? Played over its public API.

Journeys are opened for made-up patients and carried to a handoff; there things are done wrong in
the ways of the handoff catalogue, and it is looked at what the endpoint does. Each **obligation**
is one sentence; it holds, it does not, or it could not be tried (and why). Never run it against a
network with real patients: it leaves journeys behind.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import httpx
import msgspec

from stafett.client.client import Client, Refused
from stafett.client.day import Day
from stafett.journey import command as commands
from stafett.journey.label import Labels
from stafett.journey.script import UNKNOWN, WRONG_LABEL, Cast, Fault, act
from stafett.journey.state import PATIENT
from stafett.journey.view import Station
from stafett.protocol.fit import plain
from stafett.protocol.net import Net
from stafett.service.board import Next, Row
from stafett.service.request import OURS

STEPS: Final = 400  # acts to reach a handoff
Verdict = Literal["holds", "broken", "not tried"]


class Obligation(msgspec.Struct, frozen=True):
    """What was found of one obligation; `what` says what was seen."""

    name: str
    obligation: str
    verdict: Verdict
    what: str
    journey: str = ""


class Report(msgspec.Struct, frozen=True):
    """What the kit found, and on what."""

    endpoint: str
    protocol: str
    network: str
    seconds: float
    obligations: tuple[Obligation, ...]

    @property
    def conforms(self) -> bool:
        """Whether nothing was found broken, and something was tried."""
        verdicts = [o.verdict for o in self.obligations]
        return "holds" in verdicts and "broken" not in verdicts


class Unusable(Exception):
    """The kit cannot be run against this endpoint; the text says why."""


class Broken(Exception):
    """An obligation does not hold; the text says what was seen."""


class NotTried(Exception):
    """An obligation could not be tried; the text says why."""


OBLIGATIONS: Final[dict[str, str]] = {
    "right": "A handoff done right is accepted and moves on.",
    "blind": "The receiver is not shown what the giver has read off a label.",
    "recorded": "What was acknowledged stands in the record, at the place that was said.",
    "replay": "The same act sent again gives the same answer and does nothing twice.",
    "key-reused": "Another act under a key that was used is refused.",
    "unsigned": "A side that is signed does not close without a signature.",
    "incomplete": "A side does not close before its checks are answered.",
    "wrong-role": "Nobody acts in a role that they do not have.",
    "future": "A time that cannot be right is refused or flagged, never taken silently.",
    "no-zone": "A time without a zone is refused.",
    "malformed": "A command that does not fit is refused with a problem document.",
    "unchanged": "A refusal changes nothing.",
    "stranger": "Without sign-in nothing is read.",
    "outsider": "An organisation that takes no part reads nothing and finds nothing.",
    "mismatch": "A wrong label stops the handoff: it cannot be accepted, a deviation is raised.",
    "unknown": "An unknown answer to a critical check blocks; it never passes.",
}
# What must be tried before: the act that is sent again, or refusals that must change nothing.
NEEDS: Final = {"key-reused": "replay", "recorded": "replay", "unchanged": "incomplete"}


@dataclass
class Place:
    """A journey brought to the receiving side of a handoff, where a critical label is scanned."""

    journey: str
    task: Next
    labels: Labels
    view: Station


@dataclass
class Kit(Day):
    """The kit: people of an endpoint (as in `Day`) who do things wrong on purpose.

    `outsider` signs in for an organisation that takes no part, with `outsider_password`. `tried` is
    called with 1 after each obligation, so that somebody who waits sees how far it is.
    """

    outsider: str | None = None
    outsider_password: str | None = None
    tried: Callable[[int], None] = lambda _: None
    found: dict[str, Obligation] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    refused: int = 0
    sent: tuple[str, Any, Any] | None = None  # key, command and answer of the act that was replayed

    async def check(self, only: Collection[str] = ()) -> Report:
        """Try every obligation, or `only` those named (and what they need).

        Raises Unusable where not even a journey can be opened.
        """
        started = time.monotonic()
        net = next(iter(self.nets.values()))
        wanted = {*only, *(NEEDS[name] for name in only if name in NEEDS)} or {*OBLIGATIONS}
        async with self.client() as client:
            await self._fits(client, net)
            on_the_way = {*wanted} - {"mismatch", "unknown", "unchanged"}
            place = await self._bring(client, net) if on_the_way else None
            for name, trial in (
                ("blind", self._blind),
                ("incomplete", self._incomplete),
                ("wrong-role", self._wrong_role),
                ("future", self._future),
                ("no-zone", self._no_zone),
                ("malformed", self._malformed),
                ("stranger", self._stranger),
                ("outsider", self._outsider),
                ("replay", self._replay),
                ("key-reused", self._key_reused),
                ("unsigned", self._unsigned),
                ("right", self._right),
                ("recorded", self._recorded),
            ):
                if name in wanted:
                    await self._try(name, trial, client, net, place)
            for name, fault in (("mismatch", WRONG_LABEL), ("unknown", UNKNOWN)):
                if name in wanted:
                    await self._try(name, self._stops(fault), client, net, None)
            if "unchanged" not in wanted:
                pass
            elif self.refused == 0:
                self._note("unchanged", "not tried", "nothing was refused")
            elif self.unchanged:
                self._note("unchanged", "broken", "; ".join(self.unchanged[:5]))
            else:
                self._note("unchanged", "holds", f"after {self.refused} refusals")
        return Report(
            self.base,
            f"{net.protocol.protocol} {net.protocol.version}",
            self.network,
            round(time.monotonic() - started, 1),
            tuple(self.found[name] for name in OBLIGATIONS if name in self.found),
        )

    def _note(self, name: str, verdict: Verdict, what: str, journey: str = "") -> None:
        self.found[name] = Obligation(name, OBLIGATIONS[name], verdict, what, journey)
        self.tried(1)

    async def _try(
        self,
        name: str,
        trial: Callable[[Client, Net, Place], Awaitable[str]],
        client: Client,
        net: Net,
        place: Place | None,
    ) -> None:
        journey = place.journey if place else ""
        try:
            place = place or await self._bring(client, net)
            journey = place.journey
            self._note(name, "holds", await trial(client, net, place), journey)
        except Broken as broken:
            self._note(name, "broken", str(broken), journey)
        except (NotTried, Unusable, LookupError) as why:
            self._note(name, "not tried", str(why), journey)
        except Refused as refused:
            self._note(name, "broken", f"what is right was refused: {refused}", journey)
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            self._note(name, "broken", f"the answer cannot be read: {plain(error)}", journey)

    # -- getting there -------------------------------------------------------------------------

    async def _fits(self, client: Client, net: Net) -> None:
        try:
            token = await self._token(client, self.people[net.protocol.owner][0])
            known = await client._call("GET", "/api/protocols", list[dict[str, Any]], token=token)
        except httpx.HTTPError as error:
            raise Unusable(f"{self.base} does not answer: {error}") from None
        except Refused as error:
            if not error.code:  # no problem document: some other server
                raise Unusable(self._foreign(f"HTTP {error.status}")) from None
            raise Unusable(f"{self.base}: {error}") from None
        except (msgspec.MsgspecError, LookupError) as error:
            raise Unusable(self._foreign(str(error))) from None
        name, version = net.protocol.protocol, net.protocol.version
        if not any(p.get("name") == name and p.get("version") == version for p in known):
            offers = ", ".join(f"{p.get('name')} {p.get('version')}" for p in known)
            raise Unusable(f"{self.base} has no {name} {version}; it has: {offers}")

    def _foreign(self, answered: str) -> str:
        return f"{self.base} does not speak Stafett's API (it answered {answered}): no kit for it"

    async def _bring(self, client: Client, net: Net) -> Place:
        """Open a journey and carry it to where a receiver scans something critical."""
        labels = Labels(random.SystemRandom().randrange(1, 900_000))
        owner = net.protocol.owner
        product = next(iter(self.nets))
        order = {
            "role": owner,
            "protocol": net.protocol.protocol,
            "product": product,
            "network": self.network,
            "wristband": labels.patient,
            "coi": labels.coi,
        }
        token = await self._token(client, self.people[owner][0])
        try:
            journey = (await client.order(order, token)).journey
            for _ in range(STEPS):
                row = await client.row(journey, token)
                for task in row.tasks:
                    view = await self._view(client, journey, task)
                    if task.side == "accept" and not view.blocked and _critical(view):
                        return Place(journey, task, labels, view)
                if not await self._act(client, net, row, labels, [], random.Random(1)):
                    raise Unusable(_stuck(journey, row, self.last_no))
        except (Refused, httpx.HTTPError, msgspec.MsgspecError, LookupError) as error:
            why = str(error) or type(error).__name__  # a time that ran out says nothing itself
            raise Unusable(f"a journey done right does not get to a handoff: {why}") from None
        raise Unusable(f"no handoff with a scan was reached in {STEPS} acts")

    async def _view(self, client: Client, journey: str, task: Next) -> Station:
        reader = await self._token(client, self.people[task.role][0])
        return await client.station(journey, task.activity, task.side, task.about, reader)

    # -- what is done --------------------------------------------------------------------------

    def _next(self, net: Net, place: Place, view: Station, fault: Fault | None = None) -> Any:
        cast = Cast(self.parties, self.people)
        return act(net, view, place.labels.copy(), cast, datetime.now(UTC), fault)

    async def _say(
        self, client: Client, place: Place, command: Any, *, password: bool = True, **more: Any
    ) -> Any:
        """Send one command as the person it names."""
        plain = {k: v for k, v in commands.to_json(command).items() if k not in OURS}
        plain |= more.pop("change", {})
        role = more.pop("role", command.by.role)
        person = more.pop("person", command.by.person)
        return await client.submit(
            place.journey, role, plain, password=self.password if password else None,
            token=await self._token(client, person), **more,
        )  # fmt: skip

    async def _count(self, client: Client, place: Place) -> int:
        token = await self._token(client, self.people[place.task.role][0])
        path = f"/api/journeys/{place.journey}/events"
        return len(await client._call("GET", path, list[dict[str, Any]], token=token))

    async def _no(self, client: Client, place: Place, what: str, sent: Awaitable[Any]) -> Refused:
        """Send what must be refused; see that it is, with 4xx, and that nothing changed."""
        before = await self._count(client, place)
        try:
            done = await sent
        except Refused as refused:
            if not 400 <= refused.status < 500:
                raise Broken(f"{what}: answered {refused.status}, not with a refusal") from None
            self.refused += 1
            after = await self._count(client, place)
            if after != before:
                self.unchanged.append(f"{what}: {after - before} events more after a refusal")
            return refused
        raise Broken(f"{what} was taken as event {done.position}")

    # -- obligations ---------------------------------------------------------------------------

    async def _blind(self, client: Client, net: Net, place: Place) -> str:
        view = await self._view(client, place.journey, place.task)
        shown = msgspec.json.encode(view).decode()
        given = {v for v in place.labels.stuck.values() if len(v) >= 6}
        if not given:
            raise NotTried(f"nothing was labelled before {place.task.activity}")
        seen = sorted(v for v in given if v in shown)
        if seen:
            raise Broken(f"{place.task.activity} shows the receiver {', '.join(seen)}")
        return f"{place.task.activity}: none of {len(given)} labels is shown before it is scanned"

    async def _incomplete(self, client: Client, net: Net, place: Place) -> str:
        command = _accept(place, self._person(place))
        sent = self._say(client, place, command)
        refused = await self._no(client, place, "accepting before any check", sent)
        return f"refused: {refused.code}"

    async def _wrong_role(self, client: Client, net: Net, place: Place) -> str:
        other = next(
            p for role, people in self.people.items() for p in people
            if place.task.role not in self._roles(p)
        )  # fmt: skip
        command = self._next(net, place, place.view)
        sent = self._say(client, place, command, person=other)
        refused = await self._no(client, place, f"{other} acting as {place.task.role}", sent)
        return f"refused: {refused.code}"

    def _roles(self, person: str) -> set[str]:
        return {role for role, people in self.people.items() if person in people}

    async def _future(self, client: Client, net: Net, place: Place) -> str:
        late = (datetime.now(UTC) + timedelta(days=2)).isoformat()
        command = self._next(net, place, place.view)
        try:
            done = await self._say(client, place, command, change={"occurred_at": late})
        except Refused as refused:
            if 400 <= refused.status < 500:
                return f"refused: {refused.code}"
            raise Broken(f"answered {refused.status}, not with a refusal") from None
        if not any(e.get("type") == "TimelineFlagged" for e in done.events):
            raise Broken(f"an act two days ahead was taken as event {done.position}, unflagged")
        return "taken and flagged"

    async def _no_zone(self, client: Client, net: Net, place: Place) -> str:
        command = self._next(net, place, await self._view(client, place.journey, place.task))
        bare = datetime.now(UTC).replace(tzinfo=None).isoformat()
        sent = self._say(client, place, command, change={"occurred_at": bare})
        refused = await self._no(client, place, "a time without a zone", sent)
        return f"refused: {refused.code}"

    async def _malformed(self, client: Client, net: Net, place: Place) -> str:
        command = self._next(net, place, await self._view(client, place.journey, place.task))
        for change in ({"colour": "red"}, {"type": "NoSuchCommand"}, {"occurred_at": 12}):
            sent = self._say(client, place, command, change=change)
            refused = await self._no(client, place, f"a command with {change}", sent)
            if not refused.problem.get("title"):
                raise Broken(f"the refusal of {change} is no problem document")
        return "refused three times, each with a problem document"

    async def _stranger(self, client: Client, net: Net, place: Place) -> str:
        return await self._closed(place, None, {401, 403})

    async def _outsider(self, client: Client, net: Net, place: Place) -> str:
        if self.outsider is None:
            raise NotTried("nobody was named who signs in for another organisation (--outsider)")
        async with self.client() as one:
            try:
                await one.sign_in(self.outsider, self.outsider_password or self.password)
            except Refused as refused:
                raise NotTried(f"{self.outsider} cannot sign in: {refused}") from None
            rows = await one._call("GET", "/api/journeys", dict[str, Any])
            if any(r.get("journey") == place.journey for r in rows.get("rows", [])):
                raise Broken("the journey is on the outsider's board")
            return await self._closed(place, one.token, {403, 404})

    async def _closed(self, place: Place, token: str | None, statuses: set[int]) -> str:
        task = place.task
        base = f"/api/journeys/{place.journey}"
        paths = (base, f"{base}/events", f"{base}/stations/{task.activity}/{task.side}")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(
            base_url=self.base, headers=headers, timeout=60, transport=self.transport
        ) as http:
            for path in paths:
                answer = await http.get(path)
                if answer.status_code not in statuses:
                    raise Broken(f"GET {path} answered {answer.status_code}")
                if place.labels.coi in answer.text.replace(place.journey, ""):
                    raise Broken(f"the refusal of {path} names the chain of identity")
        return f"{len(paths)} addresses are closed"

    async def _replay(self, client: Client, net: Net, place: Place) -> str:
        command = self._next(net, place, await self._view(client, place.journey, place.task))
        key = uuid.uuid4().hex
        first = await self._say(client, place, command, key=key)
        count = await self._count(client, place)
        again = await self._say(client, place, command, key=key)
        if again.position != first.position:
            raise Broken(f"event {first.position}, sent again {again.position}")
        if await self._count(client, place) != count:
            raise Broken("sending it again added to the record")
        self.sent = (key, command, first)
        return f"event {first.position} both times"

    async def _key_reused(self, client: Client, net: Net, place: Place) -> str:
        if self.sent is None:
            raise NotTried("no act could be sent twice")
        key, command, _ = self.sent
        changed = {"value": "something else entirely"}
        sent = self._say(client, place, command, key=key, change=changed)
        refused = await self._no(client, place, "another act under the same key", sent)
        return f"refused: {refused.code}"

    async def _unsigned(self, client: Client, net: Net, place: Place) -> str:
        await self._answer_all(client, net, place)
        view = await self._view(client, place.journey, place.task)
        if view.sign is None:
            raise NotTried(f"{place.task.activity} is not signed")
        command = self._next(net, place, view)
        sent = self._say(client, place, command, password=False)
        refused = await self._no(client, place, "closing without a signature", sent)
        return f"refused: {refused.code}"

    async def _right(self, client: Client, net: Net, place: Place) -> str:
        await self._answer_all(client, net, place)
        for _ in range(10):
            view = await self._view(client, place.journey, place.task)
            if view.kind is None:
                return f"{place.task.activity} was accepted"
            await self._say(client, place, self._next(net, place, view))
        raise Broken(f"{place.task.activity} is still open after everything was done")

    async def _recorded(self, client: Client, net: Net, place: Place) -> str:
        if self.sent is None:
            raise NotTried("nothing was acknowledged")
        token = await self._token(client, self.people[place.task.role][0])
        path = f"/api/journeys/{place.journey}/events"
        events = await client._call("GET", path, list[dict[str, Any]], token=token)
        positions = {e["position"] for e in events}
        first = self.sent[2]
        if first.position not in positions:
            raise Broken(f"event {first.position} was acknowledged and is not in the record")
        numbers = [e["version"] for e in events]
        if numbers != list(range(1, len(numbers) + 1)):
            raise Broken(f"the journey's events are numbered {numbers[:10]} ...")
        return f"event {first.position} is there; {len(numbers)} events without a gap"

    async def _answer_all(self, client: Client, net: Net, place: Place) -> None:
        for _ in range(60):
            view = await self._view(client, place.journey, place.task)
            if view.next is None:
                return
            await self._say(client, place, self._next(net, place, view))

    def _stops(self, name: str) -> Callable[[Client, Net, Place], Awaitable[str]]:
        async def trial(client: Client, net: Net, place: Place) -> str:
            said, check = "", ""
            for _ in range(60):
                view = await self._view(client, place.journey, place.task)
                shown = next((c for c in view.checks if c.id == view.next), None)
                if shown is None:
                    raise NotTried("no critical check could be answered")
                fits = shown.critical and (shown.kind == "scan" or name == UNKNOWN)
                fault = Fault(name, place.task.activity, shown.id) if fits else None
                command = self._next(net, place, view, fault)
                try:
                    done = await self._say(client, place, command)
                except Refused as refused:
                    if fits and 400 <= refused.status < 500:
                        said, check = f"the answer itself was refused ({refused.code})", shown.id
                        break
                    raise
                if fits:
                    said, check = f"event {done.position}", shown.id
                    break
            raised = await self._deviations(client, place)
            if name == WRONG_LABEL and not raised:
                raise Broken(f"{check}: a wrong label ({said}) raised no deviation")
            command = _accept(place, self._person(place))
            sent = self._say(client, place, command)
            answer = await self._no(client, place, f"accepting after {check} was {name}", sent)
            view = await self._view(client, place.journey, place.task)
            if view.status == "done":
                raise Broken(f"{place.task.activity} is done although {check} was {name}")
            return f"{check}: {said}; accepting was refused: {answer.code}"

        return trial

    async def _deviations(self, client: Client, place: Place) -> int:
        token = await self._token(client, self.people[place.task.role][0])
        return (await client.row(place.journey, token)).deviations

    def _person(self, place: Place) -> commands.Actor:
        cast = Cast(self.parties, self.people)
        return cast.actor(place.task.role, set(place.view.barred))


def _stuck(journey: str, row: Row, refused: str) -> str:
    """Say where a journey done right stands still, and what the endpoint answered last."""
    where = ", ".join(f"{t.activity} {t.side} ({t.role})" for t in row.tasks) or "nothing to do"
    why = f"; the last refusal: {refused}" if refused else ""
    return f"a journey done right does not get to a handoff: {journey} stands at {where}{why}"


def _critical(view: Station) -> bool:
    """Say whether the receiver scans the label of a material: that is what a handoff is about."""
    return any(
        c.kind == "scan" and c.critical and not c.binds and c.material not in (None, PATIENT)
        for c in view.checks
    )


def _accept(place: Place, by: commands.Actor) -> commands.Receive:
    return commands.Receive(
        occurred_at=datetime.now(UTC), by=by, handoff=place.task.activity, round=place.view.round,
        decision="accept",
    )  # fmt: skip
