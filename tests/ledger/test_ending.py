"""A task that is to end ends, also where it did not hear the first time."""

from __future__ import annotations

import asyncio
import logging

import pytest

from stafett.ledger import ending
from stafett.ledger.ending import ended

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell again soon."""
    monkeypatch.setattr(ending, "AGAIN_S", 0.02)


async def deaf(times: int) -> None:
    """Go on for ever; lose the first cancellations, as `wait_for` may."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            times -= 1
            if times < 0:
                raise


async def test_a_cancellation_that_was_lost_is_said_again() -> None:
    """Whoever ends it does not wait for ever, and nothing is left running."""
    tasks = [asyncio.create_task(deaf(n)) for n in (0, 1, 3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await ended(*tasks, None)
    assert all(task.cancelled() for task in tasks)


async def test_a_task_that_cleans_up_is_given_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does on its way out is done."""
    monkeypatch.setattr(ending, "AGAIN_S", 5.0)
    cleaned = False

    async def tidy() -> None:
        nonlocal cleaned
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            cleaned = True

    task = asyncio.create_task(tidy())
    await asyncio.sleep(0)
    await ended(task)
    assert cleaned and task.cancelled()


async def test_what_a_task_failed_of_is_not_lost(caplog: pytest.LogCaptureFixture) -> None:
    """A failure nobody looked at is in the log; the ending itself goes on."""

    async def fail() -> None:
        raise ValueError("the disk is full")

    done = asyncio.create_task(fail(), name="the keeper")
    await asyncio.sleep(0.01)
    with caplog.at_level(logging.WARNING):
        await ended(done)
    assert "the keeper had failed" in caplog.text and "the disk is full" in caplog.text
