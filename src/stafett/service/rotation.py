"""Replacing the vault's master key while everything goes on.

1. The new key is made beside the old one (`vault.key.next`), durable before it is used.
2. The database says that from now on everything is written under it; whoever was writing is waited
   for. Both keys are read.
3. What is under the old key is opened and sealed again, in batches, each in a transaction.
4. Everything is opened with the new key alone. Only if all of it opens
5. it is recorded, in the trail of every hospital that has patients here, and
6. the new key takes the old one's place; the old one's bytes are overwritten.

Whoever dies anywhere in between begins again at the same command, which goes on where it was:
what is done is known by what opens it, so nothing beside it is kept that could differ.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString

import msgspec
import psycopg
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from psycopg.types.json import Jsonb

from stafett.ledger.unfit import Unfit
from stafett.service.changes import check_reason
from stafett.service.master import BYTES, LOCK, NAME, NEXT, Master, Sealer, key_id, make

ROTATED: Final = "vault key rotated"
BY: Final = "stafett vault rotate-key"
AT_ONCE: Final = 500
ROTATING: Final = LOCK + 1  # advisory: one rotation at a time
DEVICES: Final = b"stafett devices"
Step = Callable[[str, int, int], None]
"""Told the stage, how many are done, of how many. Stages are STAGES."""
STAGES = ("made", "switched", "wrapping", "checking", "recorded", "replaced")


class Rotated(msgspec.Struct, frozen=True):
    """The old and the new key's names, and how much is under the new one, by kind."""

    before: str
    key: str
    kept: dict[str, int]


@dataclass(frozen=True)
class _Kind:
    """One table that holds something sealed: which column, what its rows are named by."""

    name: str
    purpose: str
    table: LiteralString
    key: LiteralString
    sealed: LiteralString
    named: LiteralString  # what the seal is bound to


KINDS = (
    _Kind("patients", "", "vault.patient", "pseudonym", "wrapped_key", "pseudonym"),
    _Kind("secrets carried on", "", "vault.carried", "name", "wrapped", "name"),
    _Kind("second factors", "stafett second factor", "service.person", "id", "totp", "id"),
    _Kind("identity providers", "stafett provider", "service.provider", "id", "secret", "id"),
    _Kind("dead letters", "stafett letters", "service.letter", "id", "sealed", "digest"),
)  # fmt: skip


def rotate(url: str, folder: Path, reason: str, step: Step, at_once: int = AT_ONCE) -> Rotated:
    """Replace the master key of `folder`, whose database is at `url`; go on where one was begun.

    Raises Unfit where the keys do not fit the database, or something opens under neither: the old
    key stays then. Raises No where there is no reason.
    """
    check_reason(reason)
    if not (folder / NAME).exists():
        raise Unfit(
            f"{folder / NAME} is missing: without it nothing can be opened, nor sealed anew"
        )
    with psycopg.connect(url, autocommit=True) as connection:
        if not _one(connection, "SELECT pg_try_advisory_lock(%s)", [ROTATING])[0]:
            raise Unfit("the master key is being replaced already, by another process")
        old, new, checked = _keys(connection, folder)
        step("made", 0, 0)
        master = Master(folder)
        if not checked:
            _switch(connection, master, old, new)
            step("switched", 0, 0)
            total = sum(_count(connection, kind) for kind in KINDS)
            _wrap(connection, master, old, new, total, step, at_once)
            kept = _check(connection, master, new, total, step, at_once)
            _record(connection, old, new, reason, kept)
        else:
            kept = {kind.name: _count(connection, kind) for kind in KINDS}
        step("recorded", 0, 0)
        _replace(folder)
        step("replaced", 0, 0)
    return Rotated(key_id(old), key_id(new), kept)


def _keys(connection: psycopg.Connection[Any], folder: Path) -> tuple[bytes, bytes, bool]:
    """Return the old and the new key, and whether all is checked and recorded. Raises Unfit."""
    old = (folder / NAME).read_bytes()
    named = _one(connection, "SELECT key, before, checked FROM vault.master")
    begun = (folder / NEXT).exists()
    if named is not None and not begun and named[0] != key_id(old):
        raise Unfit(
            f"{folder / NAME} is the key {key_id(old)}, and the database is under {named[0]}: put "
            "back the one that was kept after the last rotation"
        )
    if named is not None and not begun and not named[2]:
        raise Unfit(
            f"the database was being moved from the key {named[1]} to {named[0]}, and "
            f"{folder / NEXT} is missing: put both back as they were"
        )
    new = make(folder / NEXT)
    if len(old) != BYTES or len(new) != BYTES:
        raise Unfit(f"{NAME} and {NEXT} in {folder} must have {BYTES} bytes each")
    if named is not None and named[0] not in (key_id(old), key_id(new)):
        raise Unfit(f"the database is under the key {named[0]}, which is not in {folder}")
    switched = named is not None and named[0] == key_id(new)
    return old, new, switched and bool(named and named[2])


def _switch(connection: psycopg.Connection[Any], master: Master, old: bytes, new: bytes) -> None:
    """Let everything be written under the new key from here on."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        named = _one(connection, "SELECT key FROM vault.master")
        if named is not None and named[0] == key_id(new):
            return  # it was, before this process
        devices = HKDF(hashes.SHA256(), BYTES, None, DEVICES).derive(old)
        connection.execute(
            "INSERT INTO vault.carried (name, wrapped) VALUES ('devices', %s)"
            " ON CONFLICT DO NOTHING",
            [Sealer(master).seal(new, devices, b"devices")],
        )
        connection.execute(
            "INSERT INTO vault.master (key, before) VALUES (%s, %s) ON CONFLICT (one) DO UPDATE"
            " SET key = excluded.key, before = excluded.before, since = now(), checked = false",
            [key_id(new), key_id(old)],
        )


def _batches(
    connection: psycopg.Connection[Any], kind: _Kind, at_once: int, lock: LiteralString
) -> Iterator[list[tuple[Any, bytes, bytes]]]:
    """Yield the sealed rows of a kind, each batch within a transaction: key, name, what is sealed.

    By key, so that nothing comes twice; what is added meanwhile is under the new key already.
    """
    after = ""
    query = (
        f"SELECT {kind.key}, {kind.named}, {kind.sealed}, {kind.key}::text FROM {kind.table}"
        f" WHERE {kind.sealed} IS NOT NULL AND {kind.key}::text > %s"
        f" ORDER BY {kind.key}::text LIMIT %s {lock}"
    ).encode()
    while True:
        with connection.transaction():
            rows = connection.execute(query, [after, at_once]).fetchall()
            yield [
                (key, name.encode() if isinstance(name, str) else bytes(name), bytes(sealed))
                for key, name, sealed, _ in rows
            ]
        if len(rows) < at_once:
            return
        after = rows[-1][3]


def _wrap(
    connection: psycopg.Connection[Any],
    master: Master,
    old: bytes,
    new: bytes,
    total: int,
    step: Step,
    at_once: int,
) -> None:
    done = 0
    for kind in KINDS:
        sealer = Sealer(master, kind.purpose)
        for rows in _batches(connection, kind, at_once, "FOR UPDATE"):
            for key, name, sealed in rows:
                if _opens(sealer, new, sealed, name):
                    continue
                try:
                    plain = sealer.open_with(old, sealed, name)
                except ValueError:
                    raise _neither(kind, key, old, new) from None
                connection.execute(
                    f"UPDATE {kind.table} SET {kind.sealed} = %s WHERE {kind.key} = %s".encode(),
                    [sealer.seal(new, plain, name), key],
                )
            done += len(rows)
            step("wrapping", done, total)


def _check(
    connection: psycopg.Connection[Any],
    master: Master,
    new: bytes,
    total: int,
    step: Step,
    at_once: int,
) -> dict[str, int]:
    """Open everything with the new key alone; return how much of each kind there is."""
    kept, done = {kind.name: 0 for kind in KINDS}, 0
    for kind in KINDS:
        sealer = Sealer(master, kind.purpose)
        for rows in _batches(connection, kind, at_once, ""):
            for key, name, sealed in rows:
                if not _opens(sealer, new, sealed, name):
                    raise Unfit(
                        f"{kind.table} {key} is not under the new key, though all were sealed "
                        "anew: the old key stays; run the command again"
                    )
            kept[kind.name] += len(rows)
            done += len(rows)
            step("checking", done, total)
    return kept


def _record(
    connection: psycopg.Connection[Any], old: bytes, new: bytes, reason: str, kept: dict[str, int]
) -> None:
    """Write it into the trail of every hospital that has, or had, patients here."""
    with connection.transaction():
        connection.execute("UPDATE vault.master SET checked = true")
        for organisation, patients in connection.execute(
            "SELECT organisation, count(*) FILTER (WHERE wrapped_key IS NOT NULL)"
            " FROM vault.patient GROUP BY organisation ORDER BY organisation"
        ).fetchall():
            connection.execute(
                "INSERT INTO service.change (person, organisation, what, about, reason, before,"
                " after) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [
                    BY, organisation, ROTATED, organisation, reason.strip(),
                    Jsonb({"keys": [key_id(old)]}),
                    Jsonb({"keys": [key_id(new)], "patients": patients}),
                ],
            )  # fmt: skip


def _replace(folder: Path) -> None:
    """Put the new key in the old one's place, and overwrite the old one's bytes."""
    place, fresh = folder / NAME, folder / NEXT
    handle = os.open(place, os.O_WRONLY)
    try:
        fresh.replace(place)
        beside = os.open(folder, os.O_RDONLY)
        os.fsync(beside)
        os.close(beside)
        os.pwrite(handle, bytes(BYTES), 0)  # the old file, which has no name any more
        os.fsync(handle)
    finally:
        os.close(handle)


def _opens(sealer: Sealer, key: bytes, sealed: bytes, name: bytes) -> bool:
    try:
        sealer.open_with(key, sealed, name)
    except ValueError:
        return False
    return True


def _neither(kind: _Kind, key: object, old: bytes, new: bytes) -> Unfit:
    return Unfit(
        f"{kind.table} {key} opens neither under {key_id(old)} nor under {key_id(new)}: it was "
        "sealed under another master key. The old key stays, and both are read; put the right "
        "vault.key there, or erase what nobody can open"
    )


def _count(connection: psycopg.Connection[Any], kind: _Kind) -> int:
    query = f"SELECT count(*) FROM {kind.table} WHERE {kind.sealed} IS NOT NULL".encode()
    return int(_one(connection, query)[0])


def _one(connection: psycopg.Connection[Any], query: Any, values: Any = None) -> Any:
    return connection.execute(query, values).fetchone()
