"""Work that goes on by itself is begun again when it fails, and the failure is seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg
import pytest

from stafett.ledger import tending
from stafett.ledger.tending import Tended

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def tended(work: Callable[[], Awaitable[None]]) -> AsyncIterator[Tended]:
    """Tend `work`, with short pauses."""
    one = Tended("counting", work, vital=True, pause_s=0.005)
    one.start()
    yield one
    await one.end()


class Counting:
    """Counts its beginnings; the first `failing` of them fail by `error`."""

    def __init__(self, failing: int, error: BaseException | None) -> None:
        self.failing, self.error, self.begun = failing, error, 0

    async def __call__(self) -> None:
        """Go on for ever, unless it is to fail."""
        self.begun += 1
        if self.begun > self.failing:
            await asyncio.sleep(3600)
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ValueError("a row that nobody\nthought of"), "ValueError: a row that nobody thought of"),
        (psycopg.OperationalError("the connection is lost"), "OperationalError: the connection"),
        # What it waited for was cancelled by somebody: the task itself was not told to end.
        (asyncio.CancelledError(), "CancelledError"),
        (None, "it ended by itself"),
    ],
)
async def test_whatever_ends_it_it_is_begun_again_and_its_trouble_is_seen(
    error: BaseException | None, why: str
) -> None:
    """Failure, a lost connection, a stray cancellation, a return: none is the end of it."""
    work = Counting(2, error)
    async with tended(work) as one:
        async with asyncio.timeout(20):
            while work.begun < 3:
                await asyncio.sleep(0.01)
        found = one.trouble
    assert found is not None and found.times == 2 and found.vital and found.name == "counting"
    assert found.why.startswith(why)


async def test_a_trouble_is_over_when_it_has_gone_on_well_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not as soon as it is begun again: it may fail at once."""
    monkeypatch.setattr(tending, "STEADY_S", 2.0)
    async with tended(Counting(1, ValueError("once"))) as one:
        async with asyncio.timeout(20):
            while one.trouble is None:
                await asyncio.sleep(0.01)
        began = time.monotonic()
        async with asyncio.timeout(20):
            while one.trouble is not None:
                await asyncio.sleep(0.02)
        assert time.monotonic() - began > 1.5


async def test_it_ends_when_it_is_told_to() -> None:
    """An end is no trouble, in the middle of the work or of a pause."""
    for failing in (0, 1):
        one = Tended("counting", Counting(failing, ValueError("once")), pause_s=3600)
        one.start()
        await asyncio.sleep(0.01)
        await asyncio.wait_for(one.end(), 20)
        assert (one.trouble is None) == (failing == 0)
