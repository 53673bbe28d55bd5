"""Primary and synchronous standby on one machine: what was acknowledged survives the primary."""

from __future__ import annotations

import asyncio
import os
import runpy
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from stafett.ledger import InDoubt, Ledger, binaries, keeping
from stafett.ledger.note import NoteSigner
from stafett.ledger.schema import migrate
from stafett.ledger.server import Server

pytestmark = pytest.mark.anyio

submission = runpy.run_path(str(Path(__file__).with_name("appender.py")))["submission"]


@pytest.fixture
def pair() -> Iterator[tuple[Server, Server]]:
    """Run a primary and a standby that every commit waits for."""
    with tempfile.TemporaryDirectory(prefix="stafett-test-") as name:
        Path(name).chmod(0o755)  # the standby's own user has to reach the primary's socket
        primary, standby = Server(Path(name) / "a"), Server(Path(name) / "b")
        with primary:
            migrate(primary.url)
            copy = Path(name) / "copy"
            keeping._run(
                [
                    binaries.find() / "pg_basebackup", f"--dbname={primary.url}",
                    f"--pgdata={copy}", "--wal-method=stream", "--checkpoint=fast",
                    "--write-recovery-conf",
                ]
            )  # fmt: skip
            standby.folder.mkdir()
            standby.adopt(copy)
            with standby:
                with psycopg.connect(primary.url, autocommit=True) as connection:
                    connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                    connection.execute("SELECT pg_reload_conf()")
                yield primary, standby


def either(pair: tuple[Server, Server]) -> str:
    """Return an address that finds whichever of the two takes writes."""
    hosts = quote(",".join(str(server.sockets) for server in pair), safe="")
    return f"postgresql://stafett@/stafett?host={hosts}&target_session_attrs=read-write"


async def test_fail_over_loses_nothing_that_was_acknowledged(pair):
    """The primary dies under load, the standby is promoted, the ledger goes on and verifies."""
    primary, standby = pair
    signer = NoteSigner.generate("example.org/ledger")
    acknowledged: dict[str, int] = {}
    stop = asyncio.Event()

    async with Ledger(either(pair)) as ledger:

        async def submit(me: int) -> None:
            count = 0
            while not stop.is_set():
                count += 1
                key = f"pair-{me}-{count}"
                acknowledged[key] = (await ledger.append(submission(key))).first_position

        work = asyncio.gather(*[submit(n) for n in range(20)])
        while len(acknowledged) < 300:
            await asyncio.sleep(0.01)
        before = (await ledger.seal(signer)).checkpoint
        postmaster = primary.pid
        assert postmaster
        primary._stop.set()  # nobody starts it again
        os.kill(postmaster, signal.SIGKILL)
        at_death = len(acknowledged)
        with psycopg.connect(standby.url, autocommit=True) as connection:
            assert connection.execute("SELECT pg_promote()").fetchone() == (True,)
        while len(acknowledged) < at_death + 300:
            await asyncio.sleep(0.01)
        stop.set()
        await work
        after = (await ledger.seal(signer)).checkpoint
        proof = await ledger.consistency(before.size, after.size)
    from stafett.ledger import merkle

    merkle.verify_consistency(before.size, after.size, before.root, after.root, proof)
    with psycopg.connect(standby.url) as connection:
        stored = dict(connection.execute("SELECT key, first_position FROM ledger.submission"))
    assert {key: stored.get(key) for key in acknowledged} == acknowledged
    assert await asyncio.to_thread(keeping.verify_database, standby.url)


async def test_a_cancelled_wait_for_the_standby_is_never_called_done(pair):
    """PostgreSQL says 'committed, with a warning'; the ledger says InDoubt, and later the truth."""
    primary, standby = pair
    async with Ledger(primary.url, patience_s=2) as ledger:
        await ledger.append(submission("first"))
        with psycopg.connect(standby.url) as connection:
            receiver = connection.execute("SELECT pid FROM pg_stat_wal_receiver").fetchone()[0]
        with psycopg.connect(primary.url) as connection:
            session = connection.execute("SELECT backend FROM ledger.head").fetchone()[0]
        os.kill(receiver, signal.SIGSTOP)
        try:
            waiting = asyncio.create_task(ledger.append(submission("second")))
            await asyncio.sleep(0.5)
            with psycopg.connect(primary.url, autocommit=True) as connection:
                connection.execute("SELECT pg_cancel_backend(%s)", [session])
                await asyncio.sleep(0.3)
                visible = connection.execute(
                    "SELECT count(*) FROM ledger.submission WHERE key = 'second'"
                ).fetchone()
            assert visible == (1,)  # it is there, and would vanish with the primary
            with pytest.raises(InDoubt):
                await waiting
        finally:
            os.kill(receiver, signal.SIGCONT)
        for _ in range(20):
            try:
                again = await ledger.append(submission("second"))
                break
            except InDoubt:
                continue
        assert again.first_position == 1 + len(submission("first").drafts)
