"""Point-in-time recovery: the record as it was at a moment, whole, and unable to fork the log."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from stafett.ledger import Author, Draft, Ledger, Submission, keeping
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
    import shutil
    import tempfile

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
            switched = connection.execute("SELECT pg_walfile_name(pg_switch_wal() - 1)").fetchone()
            end = time.monotonic() + 60
            while not connection.execute(
                "SELECT last_archived_wal >= %s FROM pg_stat_archiver", switched
            ).fetchone()[0]:  # type: ignore[index]
                assert time.monotonic() < end, "the archive does not grow"
                time.sleep(0.1)
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
