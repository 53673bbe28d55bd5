"""The scripted day: people of the demo network who carry journeys through the public API.

They see what people see: the stations, the labels that are physically there, and the protocol.
Most journeys go well; some go wrong in the ways of the handoff catalogue. `pace` is the time
between two acts of one journey, in seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec

from stafett.client.care import care, carers
from stafett.client.client import Client, Refused
from stafett.journey import command as commands
from stafett.journey.label import Labels
from stafett.journey.script import QUARANTINE, REFUSE, UNKNOWN, WRONG_LABEL, Cast, Fault, act
from stafett.journey.settling import supply
from stafett.journey.supply import PARTS
from stafett.protocol.net import Net
from stafett.service.board import Next, Row
from stafett.service.deviations import Line
from stafett.service.request import OURS

log = logging.getLogger(__name__)
CARED_FOR = 0.7  # of the journeys, somebody takes care of what went wrong; the rest waits
WAITS = 40  # how often an idle journey is looked at before its people give up
APART = 35  # acts between one journey and the next at the start, of some 450 in a whole journey
HURRY = 0.1  # of the pace, until a journey is as far as it begins
PATIENCE = 3  # how often, before somebody looks whether a material in doubt is what it waits for


@dataclass
class Day:
    """The people, and what they have in hand."""

    base: str
    nets: dict[str | None, Net]  # by product: limits differ between products
    network: str
    parties: dict[str, str]
    people: dict[str, list[str]]
    password: str
    pace: float = 2.0
    at_once: int = 12
    fault_share: float = 0.35
    seed: int = 1
    spread: bool = False  # the first journeys hurry ahead, so that there is one at every stage
    transport: httpx.AsyncBaseTransport | None = None  # how the server is reached, as in Client
    tokens: dict[str, str] = field(default_factory=dict)
    played: int = 0
    acts: int = 0
    refusals: int = 0
    last_no: str = ""  # what the last refusal said

    async def run(self, journeys: int | None = None) -> None:
        """Play journeys, `at_once` at a time; stop after `journeys` (None: never)."""
        base = self.seed * 1_000 + int(time.time()) % 300_000
        numbers = itertools.count(base) if journeys is None else iter(range(base, base + journeys))
        async with self.client() as client, asyncio.TaskGroup() as group:
            for place in range(self.at_once):
                group.create_task(self._keep_playing(client, numbers, place))

    def client(self) -> Client:
        """Return a client of the server, signed in as nobody."""
        return Client(self.base, transport=self.transport)

    async def _keep_playing(self, client: Client, numbers: Any, place: int) -> None:
        await asyncio.sleep(place * self.pace * 0.7)
        ahead = place * APART if self.spread else 0
        for number in numbers:
            try:
                await self.journey(client, number, ahead)
            except (Refused, httpx.HTTPError, LookupError) as error:
                log.warning(
                    "a journey of the scripted day stopped: %s", str(error) or type(error).__name__
                )
                await asyncio.sleep(max(self.pace, 1))
            ahead = 0

    async def journey(self, client: Client, seed: int, ahead: int = 0) -> str:
        """Carry one journey from order to its end, the first `ahead` acts in a hurry.

        Returns its identifier.
        """
        chance = random.Random(seed)
        labels = Labels(seed)
        product = chance.choice(list(self.nets))
        net = self.nets[product]
        faults = self._faults(net, chance)
        owner = net.protocol.owner
        done = await client.order(
            {
                "role": owner,
                "protocol": net.protocol.protocol,
                "product": product,
                "network": self.network,
                "wristband": labels.patient,
                "coi": labels.coi,
            },
            await self._token(client, self.people[owner][0]),
        )
        cared = random.Random(seed + 1)
        attentive = cared.random() < CARED_FOR
        idle = made = 0
        while idle < WAITS:
            pause = self.pace * chance.uniform(0.5, 1.5)
            await asyncio.sleep(pause * (HURRY if made < ahead else 1))
            row = await client.row(done.journey, await self._token(client, self.people[owner][0]))
            if row.status == "ended":
                break
            if attentive and row.deviations and cared.random() < 0.3:
                await self._care(client, net, done.journey, cared)
            moved = await self._act(client, net, row, labels, faults, chance)
            if not moved and idle >= PATIENCE:
                moved = await self._assess(client, net, done.journey)
            made += moved
            idle = 0 if moved else idle + 1
        while attentive and await self._care(client, net, done.journey, cared):
            await asyncio.sleep(self.pace)
        self.played += 1
        return done.journey

    async def _act(
        self,
        client: Client,
        net: Net,
        row: Row,
        labels: Labels,
        faults: list[Fault],
        chance: random.Random,
    ) -> bool:
        todo = list(row.tasks)
        if todo and chance.random() < 0.3:
            chance.shuffle(todo)
        for task in todo:
            if await self._one(client, net, row.journey, task, labels, faults):
                return True
        return False

    async def _one(
        self,
        client: Client,
        net: Net,
        journey: str,
        task: Next,
        labels: Labels,
        faults: list[Fault],
    ) -> bool:
        reader = await self._token(client, self.people[task.role][0])
        view = await client.station(journey, task.activity, task.side, task.about, reader)
        if view.blocked or view.awaits:
            return False
        cast = Cast(self.parties, self.people)
        before = labels.copy()
        now = datetime.now(UTC)
        try:
            command = act(net, view, labels.copy(), cast, now)
            for fault in list(faults):
                wrong = act(net, view, labels.copy(), cast, now, fault)
                if wrong != command:
                    faults.remove(fault)  # it happens once
                    command = act(net, view, labels, cast, now, fault)
                    break
            else:
                act(net, view, labels, cast, now)
        except LookupError:
            labels.take(before)
            return False
        try:
            await self._send(client, journey, command)
        except Refused as refused:
            labels.take(before)
            self.refusals += 1
            self.last_no = str(refused)
            log.info("refused: %s", refused)
            return False
        self.acts += 1
        return True

    async def _care(self, client: Client, net: Net, journey: str, chance: random.Random) -> bool:
        """Do what is next about one deviation of the journey, whoever of its people may."""
        reader = await self._token(client, self.people[net.protocol.owner][0])
        for line in await client.deviations(reader):
            if line.journey != journey:
                continue
            for role in carers(net, line):
                by = commands.Actor(
                    person=self.people[role][0], organisation=self.parties[role], role=role
                )
                command = care(net, line, by, datetime.now(UTC), chance)
                if command is None:
                    break
                try:
                    await self._send(client, journey, command)
                except Refused as refused:
                    log.info("refused: %s", refused)
                    continue
                self.acts += 1
                return True
        return False

    async def _assess(self, client: Client, net: Net, journey: str) -> bool:
        """Do what is next about one doubt of the journey: what is in doubt is not used."""
        role = net.protocol.owner
        person = self.people[role][0]
        by = commands.Actor(person=person, organisation=self.parties[role], role=role)
        for line in await client.deviations(await self._token(client, person)):
            if line.journey != journey or line.kind not in ("condition", "product"):
                continue
            told: dict[str, Any] = {
                "occurred_at": datetime.now(UTC),
                "by": by,
                "deviation": line.deviation,
            }
            command: commands.Command
            if line.only_by_supply and line.stage in ("raised", "triaged"):
                command = self._supply(net, line)
            elif line.stage == "raised":
                none = commands.Impact(
                    identity="none", custody="none", product="none", patient="none"
                )
                command = commands.TriageDeviation(
                    criteria=("limit-exceeded",), impact=none, note="within its stability", **told
                )
            elif line.stage == "triaged":
                command = commands.DecideDeviation(
                    disposition="use-as-is", reason="the stability data cover it", **told
                )
            else:
                continue
            try:
                await self._send(client, journey, command)
            except Refused as refused:
                self.refusals += 1
                log.info("refused: %s", refused)
                continue
            self.acts += 1
            return True
        return False

    def _supply(self, net: Net, line: Line) -> commands.Command:
        """Return what is next until a product out of specification is supplied to the patient."""
        ways = supply(net, line.deviation, Cast(self.parties, self.people), datetime.now(UTC))
        if line.stage == "raised":
            return ways[0]
        return ways[1 + PARTS.index(line.lacking[0])] if line.lacking else ways[-1]

    async def _send(self, client: Client, journey: str, command: commands.Command) -> None:
        plain = {k: v for k, v in commands.to_json(command).items() if k not in OURS}
        if isinstance(command, commands.Attach):
            content = f"{journey} {command.document} {command.activity}".encode()
            plain["sha256"] = await client.store(
                content, await self._token(client, command.by.person)
            )
        await client.submit(
            journey,
            command.by.role,
            msgspec.to_builtins(plain),
            password=self.password,
            token=await self._token(client, command.by.person),
        )

    async def _token(self, client: Client, person: str) -> str:
        if person not in self.tokens:
            async with self.client() as one:
                await one.sign_in(person, self.password)
                assert one.token is not None
                self.tokens[person] = one.token
        return self.tokens[person]

    def _faults(self, net: Net, chance: random.Random) -> list[Fault]:
        if chance.random() > self.fault_share:
            return []
        common = (WRONG_LABEL, UNKNOWN, REFUSE, QUARANTINE)
        name = chance.choice((*common, *net.protocol.deviations))
        handoffs = [n for n, h in net.protocol.handoffs.items() if not h.on_demand]
        return [Fault(name, activity=chance.choice(handoffs) if name in common else None)]
