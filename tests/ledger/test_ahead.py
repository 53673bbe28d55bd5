"""While one transaction commits the next is written: what is promised holds across the two."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import psycopg
import pytest

from doubtful_ import WARN_AT_COMMIT
from stafett.ledger import InDoubt, Ledger, NotAcknowledged, Receipt
from stafett.ledger.author import BadSignature, Signer
from stafett.ledger.listener import GREW
from stafett.ledger.sequencer import FEW, TELL_S

pytestmark = pytest.mark.anyio

MANY = 4 * FEW


async def all_of(ledger: Ledger, submissions: Sequence[object]) -> list[Receipt | BaseException]:
    """Submit all at once; return the outcomes in the same order."""
    tries = [ledger.append(one) for one in submissions]  # type: ignore[arg-type]
    return await asyncio.gather(*tries, return_exceptions=True)


async def sent(ledger: Ledger) -> int:
    """Return how many submissions are in hand, once a batch is sent and the next is written."""
    sequencer = ledger._sequencer
    for _ in range(2000):
        await asyncio.sleep(0.01)
        if len(sequencer._in_hand) >= 2 * FEW:
            break
    return sum(w.sent for w in sequencer._in_hand)


async def test_places_are_given_in_order_of_arrival(ledger, submission):
    """Batches that were written ahead stand where they would have stood otherwise."""
    outcomes = await all_of(ledger, [submission(f"s{n % 7}") for n in range(MANY)])
    assert [o.first_position for o in outcomes] == list(range(1, MANY + 1))
    assert [e.position for e in await ledger.read(0)] == list(range(1, MANY + 1))


async def test_a_stream_goes_on_in_the_batch_behind(ledger, submission):
    """An expected version that the transaction before makes true is right."""
    outcomes = await all_of(ledger, [submission("one", expected=n) for n in range(MANY)])
    assert [o.version for o in outcomes] == list(range(1, MANY + 1))


async def test_a_key_that_is_on_its_way_is_answered_as_a_replay(ledger, submission):
    """The same submission again, in the next batch, is appended once."""
    twice = [submission(f"s{n}") for n in range(2 * FEW)] * 2
    outcomes = await all_of(ledger, twice)
    first, again = outcomes[: 2 * FEW], outcomes[2 * FEW :]
    assert [o.first_position for o in first] == [o.first_position for o in again]
    assert all(o.replayed for o in again)
    assert await ledger.size() == 2 * FEW


async def test_whoever_was_told_that_it_never_went_out_is_not_appended(database, submission):
    """Written ahead, waited too long, told NotAcknowledged: it stays out when things go on."""
    keys = [f"k{n}" for n in range(MANY)]
    async with Ledger(database, patience_s=0.5) as ledger:
        await ledger.append(submission())
        async with await psycopg.AsyncConnection.connect(database) as blocking:
            await blocking.execute("SELECT * FROM ledger.head FOR UPDATE")
            tries = [submission(f"s-{k}", key=k) for k in keys]
            waiting = asyncio.create_task(all_of(ledger, tries))
            assert 0 < await sent(ledger) < MANY
            outcomes = await waiting
        told = {type(o) for o in outcomes}
        assert told == {InDoubt, NotAcknowledged}
        assert await ledger.append(submission())  # things go on
        for key, outcome in zip(keys, outcomes, strict=True):
            there = await ledger.outcome_of(key)
            assert there is None or isinstance(outcome, InDoubt), key


async def test_after_a_doubtful_commit_everything_is_there_once(database, ledger, submission):
    """The batch in doubt is looked up, the one behind it is written anew."""
    await ledger.append(submission())
    with psycopg.connect(database) as connection:
        connection.execute(WARN_AT_COMMIT.format(times=1, table="submission"))
    outcomes = await all_of(ledger, [submission(f"s{n}") for n in range(MANY)])
    assert sorted(o.first_position for o in outcomes) == list(range(2, MANY + 2))
    assert await ledger.size() == MANY + 1


@pytest.mark.parametrize("place", [1, FEW + 1, MANY - 1])
async def test_what_the_database_refuses_spoils_no_batch(database, ledger, submission, place):
    """Of two batches one of which is refused, all but the culprit are appended."""
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE ledger.submission ADD CHECK (key <> 'poison')")
    keys = [f"k{n}" for n in range(MANY)]
    keys[place] = "poison"
    outcomes = await all_of(ledger, [submission(key=k) for k in keys])
    refused = [n for n, o in enumerate(outcomes) if not isinstance(o, Receipt)]
    assert refused == [place]
    assert await ledger.size() == MANY - 1


async def test_a_key_of_an_author_holds_for_the_batch_behind(ledger, submission):
    """What is signed is taken, and what is not signed refused, from the key's event on."""
    signer = Signer("hospital", b"\x01" * 32)
    signed = [signer.sign(submission(f"s{n}")) for n in range(2 * FEW)]
    plain = [submission(f"s{n}") for n in range(2 * FEW)]
    outcomes = await all_of(ledger, [signer.registration(), *signed, *plain])
    assert all(isinstance(o, Receipt) for o in outcomes[: 1 + 2 * FEW])
    assert all(isinstance(o, BadSignature) for o in outcomes[1 + 2 * FEW :])


async def test_under_load_another_process_gets_its_turn(database, submission):
    """A sequencer that is never out of work hands the lease over when asked."""
    async with Ledger(database) as busy, Ledger(database) as other:
        working = True

        async def load(n: int) -> None:
            while working:
                await busy.append(submission(f"s{n}"))

        loads = [asyncio.create_task(load(n)) for n in range(MANY)]
        await asyncio.sleep(0.3)
        async with asyncio.timeout(20):
            receipt = await other.append(submission("mine"))
        working = False
        await asyncio.gather(*loads)
        events = await busy.read(0, limit=10**6)
    assert [e.position for e in events] == list(range(1, len(events) + 1))
    assert events[receipt.first_position - 1].stream == "mine"


async def test_listeners_hear_of_the_last_event_at_once_and_of_few_before(
    database, ledger, submission
):
    """Under load not each batch wakes every process that listens; that it ended they all hear."""
    many = 20 * MANY
    ear = await psycopg.AsyncConnection.connect(database, autocommit=True)
    async with ear:
        await ear.execute(f"LISTEN {GREW}")
        began = time.monotonic()
        await all_of(ledger, [submission(f"s{n % 7}") for n in range(many)])
        took = time.monotonic() - began
        heard = [int(note.payload) async for note in ear.notifies(timeout=1.0)]
    assert heard[-1] == many and heard == sorted(heard)
    assert len(heard) <= took / TELL_S + 2


async def test_what_a_batch_left_to_the_one_behind_it_is_told_alone(database, ledger, submission):
    """A batch leaves the news to the one behind it; when that one is refused, it is told alone."""
    ear = await psycopg.AsyncConnection.connect(database, autocommit=True)
    async with ear:
        await ear.execute(f"LISTEN {GREW}")
        ledger._sequencer._told = time.monotonic() + 60  # as if they had heard a moment ago
        stale = [submission("one", expected=0) for _ in range(MANY)]  # the first only is right
        outcomes = await all_of(ledger, stale)
        heard = [int(note.payload) async for note in ear.notifies(timeout=1.0)]
    assert sum(isinstance(one, Receipt) for one in outcomes) == 1
    assert heard[-1] == 1
