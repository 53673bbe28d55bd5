"""Carry a journey somewhere straight through the use cases, where the way there is not the test."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime

import msgspec

from site_ import Site
from stafett.journey import settling
from stafett.journey.command import Command, Finish, to_json
from stafett.journey.label import Labels
from stafett.journey.script import Cast, Fault, next_command
from stafett.journey.tasks import Task, next_moves
from stafett.protocol.net import NONE
from stafett.service import demo
from stafett.service.live import Live
from stafett.service.request import OURS, Ask


async def walk(
    site: Site,
    journey: str,
    labels: Labels,
    goal: tuple[str, str],
    *,
    blocked: bool = False,
    ending: dict[str, str] | None = None,
) -> None:
    """Carry a journey to `goal`, straight through the use cases (no HTTP: it is not the test).

    `blocked`: also where the goal cannot be begun yet. `ending`: how steps end, where not well.
    """
    for _ in range(1000):
        live = await site.tower.journeys.live(journey)
        assert live is not None
        every = next_moves(live.net, live.state)
        tasks = [task for task in every if not task.blocked]
        if blocked and any((task.activity, task.side) == goal for task in every):
            return
        if any((task.activity, task.side) == goal for task in tasks):
            return
        await _act(site, journey, live, tasks[0], labels, ending or {})
    raise AssertionError(f"{goal} was never reached")


async def carry_side(
    site: Site, journey: str, labels: Labels, activity: str, side: str, about: str = ""
) -> None:
    """Carry out one side to its end, as `web_hands.do_side` does on its page."""
    for _ in range(80):
        live = await site.tower.journeys.live(journey)
        assert live is not None
        same = (activity, side, about)
        tasks = next_moves(live.net, live.state)
        here = next((t for t in tasks if (t.activity, t.side, t.about) == same), None)
        if here is None:
            return
        await _act(site, journey, live, here, labels, {})
    raise AssertionError(f"{activity} {side} never ended")


def ended(site: Site, *faults: Fault, product: str = "kymriah") -> str:
    """Order a journey and carry it to its end; return its identifier."""
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    journey = site.order(labels.patient, coi=labels.coi, product=product)
    site.inside(whole(site, journey, labels, *faults))
    return journey


async def whole(site: Site, journey: str, labels: Labels, *faults: Fault) -> None:
    """Carry a journey to its end, with each fault where it first may happen.

    What stands in the way of the journey is assessed and decided on, as the scripted day does.
    """
    left = list(faults)
    for _ in range(2000):
        live = await site.tower.journeys.live(journey)
        assert live is not None
        if live.state.marking.outcome != NONE:
            assert left == []
            return
        cast, now = _cast(site, live), datetime.now(UTC)
        if undecided := settling.undecided(live.net, live.state):
            for command in settling.settle(live.net, live.state, undecided[0], cast, now):
                await submit(site, journey, command)
            continue
        task = next(t for t in next_moves(live.net, live.state) if not t.blocked)
        command = next_command(live.net, live.state, task, labels, cast, now, left)
        await submit(site, journey, command)
    raise AssertionError(f"{journey} never ended")


async def _act(
    site: Site, journey: str, live: Live, task: Task, labels: Labels, ending: dict[str, str]
) -> None:
    """Do what the person whose `task` it is does next."""
    cast = _cast(site, live)
    command = next_command(live.net, live.state, task, labels, cast, datetime.now(UTC))
    if isinstance(command, Finish) and command.step in ending:
        command = msgspec.structs.replace(command, result=ending[command.step])
    await submit(site, journey, command)


def _cast(site: Site, live: Live) -> Cast:
    by_role: dict[str, list[str]] = {}
    for person in site.people:
        for role in person.roles:
            by_role.setdefault(role, []).append(person.login)
    return Cast(dict(live.state.parties), by_role)


async def submit(site: Site, journey: str, command: Command) -> None:
    """Send a command as the person it is by, straight through the use cases."""
    person = next(p for p in site.people if p.login == command.by.person)
    plain = {k: v for k, v in to_json(command).items() if k not in OURS}
    ask = {"key": uuid.uuid4().hex, "role": command.by.role, "password": demo.PASSWORD}
    asked = msgspec.convert({**ask, "command": plain}, Ask)
    await site.tower.journeys.submit(person, journey, asked)
