"""Backup, restore, scrub: each ends in a verification, or it did not happen.

A backup is PostgreSQL's own (`pg_basebackup` with the log it needs), a folder that any PostgreSQL
of the same major version can start; for readers without one there are archives. The keys are not in
it: whoever holds backup and keys could sign in the log's name.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from stafett.ledger import binaries
from stafett.ledger.seal import audit
from stafett.ledger.server import Server

Progress = Callable[[int, int], None]


class KeepingFailed(RuntimeError):
    """A backup or restore did not come to a verified end; the message says where it stopped."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A verified backup or restore: the ledger's size and root."""

    size: int
    root: bytes


def backup(url: str, target: Path) -> None:
    """Copy the running database at `url` into the new folder `target`, and check every file.

    Appending goes on meanwhile. Raises KeepingFailed.
    """
    if target.exists():
        raise KeepingFailed(f"{target} exists already: name a new folder")
    programs = binaries.find()
    fresh = target.with_name(f".{target.name}.part")
    shutil.rmtree(fresh, ignore_errors=True)
    _run(
        [
            programs / "pg_basebackup", f"--dbname={url}", f"--pgdata={fresh}",
            "--wal-method=stream", "--checkpoint=fast", "--manifest-checksums=SHA256",
            "--no-password",
        ]
    )  # fmt: skip
    _run([programs / "pg_verifybackup", "--quiet", fresh])
    fresh.rename(target)


def restore(source: Path, folder: Path, progress: Progress = lambda done, size: None) -> Kept:
    """Put the backup `source` into the new folder `folder`, start it, and verify the whole ledger.

    Raises KeepingFailed, or seal.Tampered naming what is wrong.
    """
    if not (source / "PG_VERSION").is_file():
        raise KeepingFailed(f"{source} is no backup: it has no PG_VERSION")
    server = Server(folder)
    if server.data.exists():
        raise KeepingFailed(f"{folder} holds a database already: restore into a new folder")
    _run([binaries.find() / "pg_verifybackup", "--quiet", source])
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / "data.restored"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy, symlinks=True)
    (copy / "backup_manifest").unlink(missing_ok=True)
    server.adopt(copy)
    with server:
        return verify_database(server.url, progress)


def verify_database(url: str, progress: Progress = lambda done, size: None) -> Kept:
    """Hash everything in the database at `url` again. Raises seal.Tampered."""

    async def check() -> Kept:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("SET ROLE stafett_append")
            return Kept(*await audit(connection, progress))

    return asyncio.run(check())


def scrub(documents: Iterable[tuple[str, bytes]]) -> Iterator[str]:
    """Hash documents again; yield the names of those that no longer have theirs."""
    for name, data in documents:
        if hashlib.sha256(data).hexdigest() != name:
            yield name


def _run(command: list[Any]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        name = Path(command[0]).name
        raise KeepingFailed(f"{name} failed: {(done.stderr or done.stdout).strip()[-1500:]}")
