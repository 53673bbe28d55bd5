"""What a process has appended itself it follows without the database, and misses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stafett.ledger import Event, Ledger
from stafett.ledger.recent import BYTES, EVENTS, Recent

pytestmark = pytest.mark.anyio


def held(recent: Recent, after: int, size: int, limit: int = 100) -> list[int] | None:
    """Return the positions that are served from memory."""
    found = recent.beyond(after, size, limit)
    return None if found is None else [position for position, _, _ in found]


def kept(first: int, last: int) -> Recent:
    """Return a store that holds these positions."""
    recent = Recent()
    count = last - first + 1
    recent.put(last, [b"leaf"] * count, [b"hash"] * count)
    return recent


def test_a_run_is_served_in_order_and_by_limit() -> None:
    """From any place in the run, as many as are asked for."""
    recent = kept(5, 9)
    assert held(recent, 4, 9) == [5, 6, 7, 8, 9]
    assert held(recent, 6, 9, 2) == [7, 8]


def test_what_is_not_all_here_is_asked_of_the_database() -> None:
    """Too old a place, a ledger that is larger than what is here, and nothing new."""
    recent = kept(5, 9)
    assert held(recent, 3, 9) is None
    assert held(recent, 6, 10) is None
    assert held(recent, 9, 9) is None
    assert held(Recent(), 0, 0) is None


def test_a_gap_ends_the_run() -> None:
    """Where another process has appended in between, only what follows it is here."""
    recent = kept(5, 9)
    recent.put(12, [b"leaf"], [b"hash"])
    assert held(recent, 4, 12) is None
    assert held(recent, 11, 12) == [12]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2_000)), max_size=8),
    st.integers(0, 9_000), st.integers(0, 9_000), st.integers(1, 3_000),
)  # fmt: skip
def test_batches_are_served_like_one_list(
    puts: list[tuple[int, int]], after: int, size: int, limit: int
) -> None:
    """However they came, with gaps or none: what is served is what a plain list would give."""
    recent, plain, at = Recent(), [], 0
    for gap, count in puts:
        if gap and count:
            plain = []
        leaves = [b"%d" % (at + gap + n + 1) for n in range(count)]
        at += (gap if count else 0) + count
        recent.put(at, leaves, leaves)
        plain = [*plain, *zip(range(at - count + 1, at + 1), leaves, leaves, strict=True)][-EVENTS:]
    whole = plain and plain[0][0] <= after + 1 and plain[-1][0] >= max(size, after + 1)
    expected = [row for row in plain if row[0] > after][:limit] if whole else None
    assert recent.beyond(after, size, limit) == expected


def test_the_oldest_go_first() -> None:
    """Neither many events nor large ones fill the memory."""
    recent = kept(1, EVENTS + 10)
    assert held(recent, 9, EVENTS + 10) is None
    assert held(recent, 10, EVENTS + 10, 1) == [11]
    large = BYTES // 4 + 1
    recent.put(EVENTS + 14, [b"x" * large] * 4, [b"hash"] * 4)
    assert held(recent, EVENTS + 10, EVENTS + 14) is None
    assert held(recent, EVENTS + 11, EVENTS + 14) == [EVENTS + 12, EVENTS + 13, EVENTS + 14]


async def take(following: AsyncIterator[list[Event]], count: int) -> list[Event]:
    """Return the next `count` events that are followed."""
    got: list[Event] = []
    async with asyncio.timeout(20):
        while len(got) < count:
            got += await anext(following)
    return got


async def test_what_is_followed_is_what_is_stored(ledger: Ledger, submission: Any) -> None:
    """Events from memory are those that the database gives, to the byte."""
    await ledger.append(submission())
    following = ledger.follow(0)
    got = await take(following, 1)
    for n in range(5):
        await ledger.append(submission(f"s{n}", drafts=2))
        got += await take(following, 2)
    assert got == await ledger.read(0)


async def test_two_processes_that_take_turns_miss_nothing(database: str, submission: Any) -> None:
    """Each follows what both append, in order, without a gap or a repetition."""
    async with Ledger(database) as one, Ledger(database) as other:
        follows = [ledger.follow(0) for ledger in (one, other)]
        for n in range(12):
            await (one if n % 3 else other).append(submission(f"s{n}"))
        for following in follows:
            got = await take(following, 12)
            assert [event.position for event in got] == list(range(1, 13))
            assert got == await one.read(0)
