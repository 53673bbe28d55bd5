"""A chain with every kind of thing in it, and people who walk it up to where a test begins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey.label import Labels
from stafett.journey.refusal import Refusal
from stafett.journey.script import Cast, Story, act, open_journey
from stafett.journey.state import State
from stafett.journey.tasks import next_moves
from stafett.journey.view import Station, station
from stafett.protocol.net import Net
from stafett.protocol.read import read

HERE = Path(__file__).parent
START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)


class Stage:
    """A journey that a test stops where it wants, to do something there."""

    def __init__(self, net: Net) -> None:
        parties = {r: f"org-{entry.organisation}" for r, entry in net.protocol.roles.items()}
        self.net, self.at = net, START
        self.story = Story(net, Labels(7), Cast(parties))
        self.ok(open_journey(net, "J7", self.story.labels, self.story.cast, START))

    @property
    def state(self) -> State:
        """The state now."""
        assert self.story.state is not None
        return self.story.state

    def by(self, role: str, person: str | None = None) -> c.Actor:
        """Return somebody of `role`."""
        actor = self.story.cast.actor(role)
        return actor if person is None else msgspec.structs.replace(actor, person=person)

    def station(self, activity: str, side: c.WorkSide = "step", about: str = "") -> Station:
        """Return the station of one side."""
        return station(self.net, self.state, activity, side, about=about, at=self.at)

    def right(self, activity: str, side: c.WorkSide = "step", about: str = "") -> c.Command:
        """Return what a person who follows the protocol does next there."""
        place = self.station(activity, side, about)
        return act(self.net, place, self.story.labels, self.story.cast, self.at)

    def ok(self, command: c.Command) -> tuple[e.Event, ...]:
        """Submit a command that must be taken."""
        result = self.story.submit(command)
        assert not isinstance(result, Refusal), str(result)
        return result

    def no(self, command: c.Command, code: str) -> Refusal:
        """Submit a command that must be refused for `code`, and change nothing."""
        from stafett.journey.decide import decide

        result = decide(self.net, self.state, command)
        assert isinstance(result, Refusal), f"taken: {result}"
        assert result.code == code, str(result)
        return result

    def walk_to(self, activity: str, side: c.WorkSide = "step", check: str | None = None) -> Stage:
        """Do the right things until `activity` is next (and there `check`, if one is named)."""
        for _ in range(600):
            tasks = next_moves(self.net, self.state)
            names = [(task.activity, task.side) for task in tasks]
            if (activity, side) in names:
                place = self.station(activity, side)
                if place.kind != "start" and check in (None, place.next):
                    return self
                self.ok(self.right(activity, side))
                continue
            task = next(task for task in tasks if not task.blocked)
            self.at += timedelta(seconds=10)
            self.ok(self.right(task.activity, task.side, task.about))
        raise AssertionError(f"{activity} is never reached")

    def to_closing(self, activity: str, side: c.WorkSide = "step") -> c.Command:
        """Answer, attach and sign until only the closing is left, and return that."""
        closing = (c.Finish, c.Release, c.Receive)
        self.walk_to(activity, side)
        while not isinstance(command := self.right(activity, side), closing):
            self.ok(command)
        return command

    def answer(self, activity: str, side: c.WorkSide, check: str, value: Any) -> c.Answer:
        """Return the next right answer there, changed to `check` and `value`."""
        role = self.station(activity, side).role
        return c.Answer(
            occurred_at=self.at,
            by=self.by(role),
            activity=activity,
            side=side,
            check=check,
            value=value,
        )


change: Callable[..., Any] = msgspec.structs.replace


@pytest.fixture(scope="session")
def net() -> Net:
    """Return the net of `rich.yaml`: six handoffs, three decisions, all kinds of checks."""
    return Net(read(HERE / "rich.yaml").bind())


@pytest.fixture
def start() -> datetime:
    """Return the moment at which the journeys of these tests begin."""
    return START


@pytest.fixture
def stage(net: Net) -> Stage:
    """Return a journey that has just been opened."""
    return Stage(net)
