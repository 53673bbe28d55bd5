"""Point-in-time recovery: the record as it was at a moment, whole, and unable to fork the log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from stafett.ledger import Author, Draft, Ledger, Submission, archived, keeping
from stafett.ledger.database import Configured
from stafett.ledger.launch import ServerFailed
from stafett.ledger.note import NoteSigner
from stafett.ledger.policy import parse_policy
from stafett.ledger.publish import Publisher
from stafett.ledger.schema import migrate
from stafett.ledger.server import Server
from stafett.ledger.witness_app import Witness
from stafett.ledger.witness_client import RolledBack
from stafett.ledger.witness_store import WitnessFolder

SIGNER = NoteSigner("host.example/log", b"\x01" * 32)


@pytest.fixture
def open_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder that the server's own user can reach."""
    name = Path(tempfile.mkdtemp())
    name.chmod(0o777)
    yield name
    shutil.rmtree(name)


def append(url: str, count: int) -> None:
    """Append so many events, each acknowledged."""

    async def run() -> None:
        async with Ledger(url) as ledger:
            size = await ledger.size()
            draft = Draft("noted", {"n": size}, datetime(2026, 11, 25, tzinfo=UTC))
            key = f"{size}+{count}"
            await ledger.append(
                Submission("j", None, [draft] * count, ["a"], Author("a"), key, b"h")
            )

    asyncio.run(run())


def publish(url: str, witness: Witness) -> int:
    """Sign and have witnessed what is there; return the size."""

    def post(address: str, body: str) -> tuple[int, str]:
        answer = witness.add(body.encode())
        return answer.status, answer.body

    policy = parse_policy(
        f"log {SIGNER.vkey}\nwitness w {witness.cosigner.vkey} https://w.example/\nquorum w\n"
    )

    async def run() -> int:
        async with Ledger(url) as ledger:
            published = await Publisher(ledger.pool, SIGNER, policy, post).publish()
            assert published.verdict.quorum
            return published.signed.checkpoint.size

    return asyncio.run(run())


def test_an_archive_that_cannot_be_written_or_read_is_said_at_once(
    open_folder: Path, tmp_path: Path
) -> None:
    """Else nobody would know before the day on which it is needed."""
    archive = open_folder / "archive"
    archive.mkdir(mode=0o700)
    if os.geteuid() != 0:
        archive.chmod(0o500)
    with Server(open_folder / "a", keeping.archiving(archive)) as server:
        migrate(server.url)
        append(server.url, 5)
        keeping.backup(server.url, tmp_path / "backup")
        with pytest.raises(ServerFailed, match="may not write there"):
            keeping.check_archive(server, archive)
        with pytest.raises(ServerFailed, match="archive_command"):
            keeping.check_archive(Configured(server.url), archive)
        archive.chmod(0o777)
        keeping.check_archive(server, archive)
        with psycopg.connect(server.url, autocommit=True) as connection:
            archived_after(connection)
    part = next(archive.iterdir())
    part.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(part, 0, 0)
    else:
        part.chmod(0o000)
    with pytest.raises(keeping.KeepingFailed, match="may not read what is there"):
        keeping.restore(tmp_path / "backup", open_folder / "b", archive=archive)


def test_an_archive_that_does_not_grow_is_a_trouble_until_it_does(open_folder: Path) -> None:
    """A full disk, a share that is away: what waits is named. What is there already is done."""
    archive = open_folder / "arc%hive"
    archive.mkdir()
    archive.chmod(0o777)

    async def look(url: str) -> None:
        async with AsyncConnectionPool(url, min_size=1, open=False) as pool:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(archived.follow(pool), 0.5)

    with (
        Server(open_folder / "a", keeping.archiving(archive)) as server,
        psycopg.connect(server.url, autocommit=True) as connection,
    ):
        archived_after(connection)
        asyncio.run(look(server.url))
        # The next one was copied whole, and the server was killed before it had noted it.
        (name,) = connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()  # type: ignore[misc]
        aside = open_folder / "aside"
        aside.write_bytes(b"another's")
        shutil.copy(aside, archive / name)
        connection.execute("SELECT pg_switch_wal() FROM pg_create_restore_point('x')")
        end = time.monotonic() + 60
        while not connection.execute("SELECT failed_count > 0 FROM pg_stat_archiver").fetchone()[0]:  # type: ignore[index]
            assert time.monotonic() < end
            time.sleep(0.1)
        with pytest.raises(archived.NotArchived, match=name):
            asyncio.run(look(server.url))
        assert (archive / name).read_bytes() == b"another's"  # nothing is overwritten
        shutil.copy(server.data / "pg_wal" / name, archive / name)
        (archive / name).chmod(0o644)
        connection.execute("SELECT pg_switch_wal() FROM pg_create_restore_point('y')")  # wakes it
        while connection.execute(archived.FAILS).fetchone():
            assert time.monotonic() < end + 90
            time.sleep(0.2)
        asyncio.run(look(server.url))


def archived_after(connection: psycopg.Connection[Any]) -> None:
    """Return when everything that the server has written so far is in its archive."""
    switched = connection.execute("SELECT pg_walfile_name(pg_switch_wal() - 1)").fetchone()
    end = time.monotonic() + 60
    while not connection.execute(
        "SELECT last_archived_wal >= %s FROM pg_stat_archiver", switched
    ).fetchone()[0]:  # type: ignore[index]
        assert time.monotonic() < end, "the archive does not grow"
        time.sleep(0.1)


def test_the_record_comes_back_as_it_was_at_a_moment(open_folder: Path, tmp_path: Path) -> None:
    """Backup at 100, a moment at 200, lost at 300: 200 come back and verify, and the witness that
    has seen 300 lets nobody go on from there; without a moment all 300 come back."""
    archive = open_folder / "archive"
    archive.mkdir()
    if os.geteuid() == 0:
        archive.chmod(0o777)
    made = WitnessFolder.create(tmp_path / "w", "w.example/w")
    made.trust(SIGNER.vkey)
    witness = Witness(made)
    with Server(open_folder / "a", keeping.archiving(archive)) as server:
        migrate(server.url)
        append(server.url, 100)
        keeping.backup(server.url, tmp_path / "backup")
        append(server.url, 100)
        with psycopg.connect(server.url, autocommit=True) as connection:
            (moment,) = connection.execute("SELECT clock_timestamp()").fetchone()  # type: ignore[misc]
            time.sleep(0.2)
            append(server.url, 100)
            assert publish(server.url, witness) == 300
            archived_after(connection)
    kept = keeping.restore(tmp_path / "backup", open_folder / "then", archive=archive, until=moment)
    assert kept.size == 200
    with Server(open_folder / "then") as again, pytest.raises(RolledBack, match="cosigned 300"):
        publish(again.url, witness)
    whole = keeping.restore(tmp_path / "backup", open_folder / "whole", archive=archive)
    assert whole.size == 300
    with Server(open_folder / "whole") as last:
        append(last.url, 1)
        assert publish(last.url, witness) == 301
    with pytest.raises(keeping.KeepingFailed, match="ends before"):
        keeping.restore(
            tmp_path / "backup", open_folder / "never", archive=archive,
            until=moment + timedelta(days=1),
        )  # fmt: skip
