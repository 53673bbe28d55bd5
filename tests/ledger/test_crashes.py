"""kill -9 at any instant loses nothing that was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import runpy
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from stafett.ledger import InDoubt, Ledger, NotAcknowledged
from stafett.ledger.schema import migrate
from stafett.ledger.server import Server

pytestmark = pytest.mark.anyio

APPENDER = Path(__file__).with_name("appender.py")
submission = runpy.run_path(str(APPENDER))["submission"]
ROUNDS = 5


@pytest.fixture(scope="module")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that waits for the disk, as in production."""
    with Server(tmp_path_factory.mktemp("durable") / "server") as server:
        migrate(server.url)
        yield server


async def check(url: str, acknowledged: dict[str, int]) -> None:
    """Check that the ledger is whole and holds everything that was acknowledged.

    A successor appends first. What the dead process had handed to the database may still be
    committed after its death, but never once a successor has taken over.
    """
    async with Ledger(url) as ledger:
        mine = f"successor-{uuid.uuid4()}"
        taken_over = await ledger.append(submission(mine))
        with psycopg.connect(url) as connection:
            size, count, lowest, highest, keys, parts = connection.execute(
                "SELECT (SELECT size FROM ledger.head), count(*), min(position), max(position),"
                " (SELECT count(*) FROM ledger.submission),"
                " (SELECT sum(count) FROM ledger.submission) FROM ledger.event"
            ).fetchone()
            assert size == count == highest == parts and lowest == 1
            assert taken_over.first_position <= size
            stored = dict(connection.execute("SELECT key, first_position FROM ledger.submission"))
            torn = connection.execute(
                "SELECT stream FROM ledger.event GROUP BY stream HAVING max(version) <> count(*)"
            ).fetchall()
        assert torn == []
        assert {k: stored.get(k) for k in acknowledged} == acknowledged
        assert keys == len(stored)
        for key in random.sample(sorted(acknowledged), min(20, len(acknowledged))):
            again = await ledger.append(submission(key))
            assert again.replayed and again.first_position == acknowledged[key]
        assert await ledger.size() == size


def run_until_killed(url: str, prefix: str, seconds: float) -> dict[str, int]:
    """Run the appender, kill -9 it after `seconds` of work, return what it acknowledged."""
    process = subprocess.Popen(
        [sys.executable, str(APPENDER), url, prefix, "50"], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    lines = [process.stdout.readline()]  # at work
    timer = time.monotonic() + seconds
    while time.monotonic() < timer:
        lines.append(process.stdout.readline())
    process.kill()
    lines += process.stdout.readlines()
    process.wait()
    pairs = [line.split() for line in lines if line.endswith(b"\n")]
    return {key.decode(): int(position) for key, position in pairs}


async def test_killing_the_appender_loses_nothing(durable):
    """Killed under load again and again, the next process takes over at once, with all there."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    acknowledged: dict[str, int] = {}
    for n in range(ROUNDS):
        acknowledged |= run_until_killed(durable.url, f"round{n}", rng.uniform(0.05, 0.5))
        await check(durable.url, acknowledged)
    assert len(acknowledged) > 100


@pytest.mark.parametrize("victim", ["postmaster", "backend"])
async def test_killing_postgres_loses_nothing(durable, victim):
    """The server is killed under load again and again; it comes back, and so does the ledger."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    with psycopg.connect(durable.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE killed_{victim}")
    url = durable.url_of(f"killed_{victim}")
    migrate(url)
    acknowledged: dict[str, int] = {}
    doubtful: list[str] = []
    stop = asyncio.Event()

    async def submit(ledger: Ledger, me: int) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            key = f"{victim}-{me}-{count}"
            try:
                acknowledged[key] = (await ledger.append(submission(key))).first_position
            except InDoubt:
                doubtful.append(key)

    async with Ledger(url) as ledger:
        work = asyncio.gather(*[submit(ledger, n) for n in range(40)])
        for _ in range(ROUNDS):
            before = len(acknowledged)
            while len(acknowledged) < before + 200:  # until it works again, under load
                await asyncio.sleep(0.01)
            await asyncio.sleep(rng.uniform(0, 0.1))
            target = durable.pid if victim == "postmaster" else sequencer_of(url)
            while target is None:  # its sessions outlived it, and it is not started again yet
                await asyncio.sleep(0.01)
                target = durable.pid
            with contextlib.suppress(ProcessLookupError):
                os.kill(target, signal.SIGKILL)
        await asyncio.sleep(0.5)
        stop.set()
        await work
    await check(url, acknowledged)
    assert doubtful == []  # it was back well within everyone's patience
    assert len(acknowledged) > ROUNDS * 200


def sequencer_of(url: str) -> int:
    """Return the process number of the session that appends."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT backend FROM ledger.head").fetchone()
    assert row is not None
    return int(row[0])


async def test_without_a_database_nobody_is_told_done(durable):
    """While the database is away a submission is told so, and a later one with its key counts."""
    with psycopg.connect(durable.url_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE away")
    url = durable.url_of("away")
    migrate(url)
    async with Ledger(url, patience_s=1) as ledger:
        await ledger.append(submission("before"))
        os.kill(durable.pid, signal.SIGSTOP)  # it accepts no new connection
        os.kill(session_of(ledger), signal.SIGTERM)
        keys = [f"away-{n}" for n in range(5)]
        try:
            outcomes = await asyncio.gather(
                *[ledger.append(submission(key)) for key in keys], return_exceptions=True
            )
        finally:
            os.kill(durable.pid, signal.SIGCONT)
        assert all(isinstance(o, NotAcknowledged) for o in outcomes)
        deadline = time.monotonic() + 20
        acknowledged: dict[str, int] = {}
        while len(acknowledged) < 5 and time.monotonic() < deadline:
            for key in keys:
                with contextlib.suppress(NotAcknowledged):
                    acknowledged[key] = (await ledger.append(submission(key))).first_position
    await check(url, acknowledged)
    assert set(acknowledged) == set(keys)


def session_of(ledger: Ledger) -> int:
    """Return the server process of the ledger's own session, without asking the server."""
    connection = ledger._sequencer._session.connection
    assert connection is not None
    return connection.info.backend_pid
