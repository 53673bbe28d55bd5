"""Carry a journey somewhere straight through the use cases, where the way there is not the test."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import msgspec

from site_ import Site
from stafett.journey.command import Finish, to_json
from stafett.journey.label import Labels
from stafett.journey.script import Cast, next_command
from stafett.journey.tasks import Task, next_moves
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


async def _act(
    site: Site, journey: str, live: Live, task: Task, labels: Labels, ending: dict[str, str]
) -> None:
    """Do what the person whose `task` it is does next."""
    people = {person.login: person for person in site.people}
    by_role: dict[str, list[str]] = {}
    for person in site.people:
        for role in person.roles:
            by_role.setdefault(role, []).append(person.login)
    cast = Cast(dict(live.state.parties), by_role)
    command = next_command(live.net, live.state, task, labels, cast, datetime.now(UTC))
    if isinstance(command, Finish) and command.step in ending:
        command = msgspec.structs.replace(command, result=ending[command.step])
    plain = {k: v for k, v in to_json(command).items() if k not in OURS}
    ask = {"key": uuid.uuid4().hex, "role": command.by.role, "password": demo.PASSWORD}
    asked = msgspec.convert({**ask, "command": plain}, Ask)
    await site.tower.journeys.submit(people[command.by.person], journey, asked)
