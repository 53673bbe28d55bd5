"""What is to be looked at: nothing is lost by a failure, and nothing waits behind it."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from stafett.service import todo
from stafett.service.todo import Todo

pytestmark = pytest.mark.anyio


class Looks:
    """Looks at names; those in `bad` fail."""

    def __init__(self) -> None:
        self.bad: set[str] = set()
        self.seen: list[str] = []

    async def __call__(self, name: str) -> None:
        """Look."""
        await asyncio.sleep(0)
        if name in self.bad:
            raise ValueError(f"{name} cannot be read")
        self.seen.append(name)


async def test_one_that_fails_keeps_none_waiting_and_is_tried_again() -> None:
    """The others are looked at in the order they came; the one after a pause, and it is counted."""
    names, look = Todo("could not look at", again_s=0.01), Looks()
    look.bad = {"b"}
    names.add(["a", "b", "c"])
    await names.work_off(look)
    assert look.seen == ["a", "c"] and names.failing == {"b": 1}
    assert names.why == "b: ValueError: b cannot be read"
    await names.work_off(look)
    assert look.seen == ["a", "c"]  # not yet
    await asyncio.sleep(0.02)
    await names.work_off(look)
    assert names.failing == {"b": 2}
    look.bad = set()
    await asyncio.sleep(0.03)
    await names.work_off(look)
    assert look.seen == ["a", "c", "b"] and not names.failing and names.left_s() is None


async def test_what_comes_while_it_is_looked_at_is_looked_at_again() -> None:
    """A change in the middle of a look may not be in what the look saw."""
    names, seen = Todo("could not look at"), []

    async def look(name: str) -> None:
        seen.append(name)
        if len(seen) == 1:
            names.add([name])

    names.add(["a"])
    await names.work_off(look)
    assert seen == ["a"] and names
    await names.work_off(look)
    assert seen == ["a", "a"] and not names


async def test_what_an_end_interrupts_is_there_for_whoever_begins_again() -> None:
    """A loop that is cancelled in a look has not done it."""
    names = Todo("could not look at")

    async def look(name: str) -> None:
        await asyncio.sleep(60)

    names.add(["a", "b"])
    working = asyncio.create_task(names.work_off(look))
    await asyncio.sleep(0.01)
    working.cancel()
    await asyncio.wait({working})
    seen = Looks()
    await names.work_off(seen)
    assert sorted(seen.seen) == ["a", "b"]


async def test_a_moment_is_kept_until_it_comes_or_something_is_sooner() -> None:
    """The nearest of several moments counts; a look before it makes it needless."""
    names, look = Todo("could not look at"), Looks()
    names.later("a", 60)
    names.later("a", 0.02)
    names.later("b", 60)
    await names.work_off(look)
    assert look.seen == [] and 0 < (names.left_s() or 0) <= 0.02
    names.add(["b"])
    await names.work_off(look)
    await asyncio.sleep(0.03)
    await names.work_off(look)
    assert look.seen == ["b", "a"] and names.left_s() is None


async def test_the_pause_grows_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can never be looked at costs little; a drop ends it."""
    monkeypatch.setattr(todo, "LONGEST_S", 0.03)
    names, look = Todo("could not look at", again_s=0.02), Looks()
    look.bad = {"a"}
    names.add(["a"])
    for times in (1, 2, 3):
        await names.work_off(look)
        assert names.failing == {"a": times}
        left = names.left_s()
        assert left is not None and left <= 0.03
        await asyncio.sleep(left + 0.001)
    names.drop("a")
    assert names.left_s() is None and not names.failing


async def test_a_database_that_was_away_makes_no_pause_grow() -> None:
    """It is there again for all at once: what it interrupted is looked at as soon as before."""
    names = Todo("could not look at", again_s=0.02)

    async def look(name: str) -> None:
        raise psycopg.OperationalError("the connection is lost")

    names.add(["a"])
    for times in range(1, 7):
        await names.work_off(look)
        assert names.failing == {"a": times}
        left = names.left_s()
        assert left is not None and left <= 0.02
        await asyncio.sleep(left + 0.001)
