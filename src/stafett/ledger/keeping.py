"""Backup, restore, scrub: each ends in a verification, or it did not happen.

A backup is PostgreSQL's own (`pg_basebackup` with the log it needs), a folder that any PostgreSQL
of the same major version can start; for readers without one there are archives. The keys are not in
it: whoever holds backup and keys could sign in the log's name.
"""

from __future__ import annotations

import asyncio
import hashlib
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from stafett.ledger import binaries, launch
from stafett.ledger.database import Database
from stafett.ledger.launch import ServerFailed
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


def archiving(archive: Path) -> dict[str, str]:
    """Return the settings by which a server keeps its write-ahead log in the folder `archive`.

    The folder must be one that the user that the server runs as may write in (`check_archive`), and
    best be on another machine's disk. A finished segment is copied under another name first: what
    has its name is whole. One that is there already is done if it is the same, as after a server
    that was killed before it had noted it; another's is never overwritten. At most a minute of work
    is not there yet.
    """
    to = _in_shell(archive)
    copy = f"cp %p {to}/.%f.part && sync {to}/.%f.part && mv {to}/.%f.part {to}/%f && sync {to}"
    return {
        "archive_mode": "on",
        "archive_command": f"if test -f {to}/%f; then cmp -s %p {to}/%f; else {copy}; fi",
        "archive_timeout": "60s",
    }


def check_archive(server: Database, archive: Path) -> None:
    """Raise ServerFailed where `server` cannot keep its log in the folder `archive`."""
    if not isinstance(server, Server):
        raise ServerFailed(
            "--archive is for the database that comes with Stafett: STAFETT_DATABASE_URL names a "
            "server of your own, which has its own archive_command"
        )
    if not server.runs.may_write(archive):
        user = server.runs.name
        raise ServerFailed(
            f"{archive}: the database, which runs as the user {user}, may not write there, and "
            f"nothing could be recovered to a moment. As root: install -d -o {user} -m 700 "
            f"{archive}; every folder above it must be open to that user"
        )


def _in_shell(folder: Path) -> str:
    """Return the folder's path as a command of PostgreSQL's settings writes it."""
    return shlex.quote(str(folder.resolve())).replace("%", "%%")


def restore(
    source: Path,
    folder: Path,
    progress: Progress = lambda done, size: None,
    *,
    archive: Path | None = None,
    until: datetime | None = None,
) -> Kept:
    """Put the backup `source` into the new folder `folder`, start it, and verify the whole ledger.

    With `archive` (see `archiving`) everything that was committed after the backup comes back too,
    up to the moment `until` (aware) if one is given. Raises KeepingFailed, or seal.Tampered naming
    what is wrong.

    Who goes back behind what witnesses have cosigned cannot go on in the log's name: the tower
    stops at its first round. The copy is for looking, and for taking what is missing elsewhere.
    """
    if not (source / "PG_VERSION").is_file():
        raise KeepingFailed(f"{source} is no backup: it has no PG_VERSION")
    if until is not None and (archive is None or until.tzinfo is None):
        raise KeepingFailed("a moment to restore to needs an archive, and a time zone")
    if archive is not None and not archive.is_dir():
        raise KeepingFailed(f"{archive} is no folder")
    server = Server(folder, _recovery(archive, until))
    if server.data.exists():
        raise KeepingFailed(f"{folder} holds a database already: restore into a new folder")
    user = launch.runs_as(server.data)
    if archive is not None and not user.may_read(archive):
        # Its files would be taken for the archive's end, and what is in them for never committed.
        raise KeepingFailed(
            f"{archive}: the database, which runs as the user {user.name}, may not read what is "
            f"there. As root: chown -R {user.name} {archive}; every folder above it must be open "
            "to that user"
        )
    _run([binaries.find() / "pg_verifybackup", "--quiet", source])
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / "data.restored"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy, symlinks=True)
    (copy / "backup_manifest").unlink(missing_ok=True)
    if archive is not None:
        (copy / "recovery.signal").touch()
    server.adopt(copy)
    try:
        with server:
            return verify_database(server.url, progress)
    except ServerFailed as error:
        if "recovery target" not in str(error):
            raise
        raise KeepingFailed(
            f"the archive ends before {until}: give an earlier moment, or none"
        ) from None


def _recovery(archive: Path | None, until: datetime | None) -> dict[str, str]:
    """Return the settings of a server that is to recover from an archive, or none."""
    if archive is None:
        return {}
    settings = {
        "restore_command": f"cp {_in_shell(archive)}/%f %p",
        "recovery_target_action": "promote",
        "hot_standby": "off",  # ready means: recovery is done
    }
    if until is not None:
        settings["recovery_target_time"] = until.astimezone(UTC).isoformat()
    return settings


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
