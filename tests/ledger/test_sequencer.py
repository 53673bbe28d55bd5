"""Two sequencers never both append, and no doubtful commit is ever called done."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from doubtful_ import WARN_AT_COMMIT
from stafett.ledger import InDoubt, Ledger
from stafett.ledger.listener import WANTED
from stafett.ledger.scribe import Scribe
from stafett.ledger.session import Session

pytestmark = pytest.mark.anyio

APPENDER = Path(__file__).with_name("appender.py")


def head(database: str) -> tuple[int, int]:
    """Return size and epoch."""
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT size, epoch FROM ledger.head").fetchone()
    assert row is not None
    return row


async def test_two_ledgers_take_turns(database, submission):
    """Under load from both sides everything is appended once, without gaps."""
    async with Ledger(database) as one, Ledger(database) as other:

        async def load(ledger: Ledger, name: str) -> list[int]:
            return [(await ledger.append(submission(name))).first_position for _ in range(30)]

        loads = [load(ledger, f"s{n}") for n in range(10) for ledger in (one, other)]
        places = [place for places in await asyncio.gather(*loads) for place in places]
        events = await one.read(0)
    assert sorted(places) == list(range(1, 601))
    assert [e.position for e in events] == list(range(1, 601))
    assert head(database)[1] >= 2  # the lease did change hands


async def test_an_idle_holder_hands_over_at_once(database, submission):
    """Whoever wants to append gets the lease without waiting for it to lapse."""
    async with Ledger(database) as one, Ledger(database) as other:
        await one.append(submission())
        began = time.monotonic()
        await other.append(submission())
        await one.append(submission())
        assert time.monotonic() - began < 1.5  # the lease is for 2 s


async def test_a_deposed_sequencer_appends_nothing_with_its_old_epoch(database, submission):
    """After a newer epoch, what the old holder tries is rolled back and done again rightly."""
    async with Ledger(database) as one, Ledger(database) as other:
        await one.append(submission("a", expected=0))
        with psycopg.connect(database) as connection:  # as if the lease had lapsed unnoticed
            connection.execute("UPDATE ledger.head SET holder = NULL")
        one._listener.wanted = False
        assert (await other.append(submission("a", expected=1))).version == 2
        assert (await one.append(submission("a", expected=2))).version == 3
        assert head(database) == (3, 3)


async def test_a_stopped_holder_that_wakes_up_appends_nothing_twice(database, submission):
    """A holder frozen in the middle is replaced; when it goes on, its old work comes to nothing."""
    process = subprocess.Popen(
        [sys.executable, str(APPENDER), database, "frozen", "50"], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        async with Ledger(database, patience_s=20) as ledger:
            for _ in range(2):
                time.sleep(0.05)
                os.kill(process.pid, signal.SIGSTOP)
                first = await ledger.append(submission("mine"))
                assert (await ledger.append(submission("mine"))).version == first.version + 1
                os.kill(process.pid, signal.SIGCONT)
                time.sleep(0.2)
    finally:
        process.kill()
        process.communicate()
    with psycopg.connect(database) as connection:
        size, count, highest = connection.execute(
            "SELECT (SELECT size FROM ledger.head), count(*), max(position) FROM ledger.event"
        ).fetchone()
        keys, parts = connection.execute(
            "SELECT count(DISTINCT key), sum(count) FROM ledger.submission"
        ).fetchone()
    assert size == count == highest == parts and keys > 4


async def test_a_commit_with_a_notice_is_not_trusted(database, ledger, submission):
    """A commit that came with a warning is answered only after a clean commit behind it."""
    await ledger.append(submission())
    with psycopg.connect(database) as connection:
        connection.execute(WARN_AT_COMMIT.format(times=1, table="submission"))
    _, epoch = head(database)
    receipt = await ledger.append(submission(key="k"))
    assert receipt.first_position == 2
    assert head(database) == (2, epoch + 1)  # it took the lease anew before it answered
    assert (await ledger.append(submission())).first_position == 3


async def test_while_every_commit_is_doubtful_nothing_is_acknowledged(database, submission):
    """With a synchronous standby gone and waits cancelled, submitters are told InDoubt."""
    async with Ledger(database, patience_s=0.5) as ledger:
        await ledger.append(submission())
        with psycopg.connect(database) as connection:
            connection.execute(WARN_AT_COMMIT.format(times=10**9, table="head"))
        with pytest.raises(InDoubt):
            await ledger.append(submission(key="k"))
        with psycopg.connect(database) as connection:
            connection.execute("DROP TRIGGER warn ON ledger.head")
        assert (await ledger.append(submission(key="k"))).first_position == 2
        assert await ledger.size() == 2


async def test_a_submission_that_the_database_refuses_spoils_no_other(database, ledger, submission):
    """One that breaks a rule of the database is refused alone; its batch goes through."""
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE ledger.submission ADD CHECK (key <> 'poison')")
    tries = [ledger.append(submission(key=k)) for k in ("a", "b", "poison", "c")]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(o).__name__ for o in outcomes] == [
        "Receipt",
        "Receipt",
        "InvalidSubmission",
        "Receipt",
    ]
    assert await ledger.size() == 3


async def test_a_caller_that_gives_up_leaves_the_others_alone(ledger, submission):
    """Cancelling one append neither breaks nor delays the rest."""
    tasks = [asyncio.create_task(ledger.append(submission())) for _ in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(o, asyncio.CancelledError) for o in outcomes) == 1
    assert await ledger.size() in (9, 10)


async def test_a_fault_of_the_program_is_not_the_end_of_appending(ledger, submission, monkeypatch):
    """What it is about is told that nobody knows; all that came with it is recorded."""
    write = Scribe.write

    async def fails(self, connection, batch, standing, reached):
        if any(prepared.submission.stream == "strange" for prepared in batch):
            raise KeyError("nobody thought of this")
        return await write(self, connection, batch, standing, reached)

    monkeypatch.setattr(Scribe, "write", fails)
    names = ["a", "strange", "b", "c"]
    outcomes = await asyncio.gather(
        *(ledger.append(submission(name)) for name in names), return_exceptions=True
    )
    assert isinstance(outcomes[1], InDoubt)
    assert sorted(o.first_position for n, o in enumerate(outcomes) if n != 1) == [1, 2, 3]
    assert (await ledger.append(submission("d"))).first_position == 4
    assert ledger.troubles() == []


async def test_a_time_out_while_the_lease_is_handed_on_is_not_the_end_of_appending(
    ledger, submission, monkeypatch
):
    """The network hung, and another process wanted to append: the lease lapses, and that is all."""
    await ledger.append(submission("a"))
    connected = Session.connected
    hung = []

    async def hangs(self):
        if not hung:
            hung.append(1)
            raise TimeoutError
        return await connected(self)

    monkeypatch.setattr(Session, "connected", hangs)
    ledger._listener._hear(WANTED, "somebody else")
    while not hung:
        await asyncio.sleep(0.01)
    assert (await asyncio.wait_for(ledger.append(submission("b")), 10)).first_position == 2
    assert ledger.troubles() == []


async def test_who_listens_goes_on_after_a_lost_connection_and_a_word_that_is_none(
    database, submission
):
    """Anybody may notify anything; what is recorded afterwards is heard of all the same."""
    async with Ledger(database) as one, Ledger(database) as other:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("NOTIFY ledger_grew, 'not a number'")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                " AND datname = current_database()"
            )
        async with asyncio.timeout(30):  # until it listens again
            size = -1
            while one.known_size() != size:
                size = (await other.append(submission())).first_position
                await asyncio.sleep(0.2)
