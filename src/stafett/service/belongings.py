"""What lies beside a database and belongs to its record, looked at before a tower starts on it.

A database that was restored, moved or paired with the wrong folder would otherwise be served with
keys made at that moment: a record that nobody can continue, patients whom nobody can name, and a
policy that asks no witness. So nothing is made where something is missing (decision 232).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stafett.ledger.author import STREAM
from stafett.ledger.checkpoint import open_checkpoint
from stafett.ledger.note import BadNote, NoteSigner, note_verifier
from stafett.ledger.policy import BadPolicy, parse_policy
from stafett.ledger.unfit import Unfit
from stafett.service.master import BYTES, NEXT, key_id
from stafett.service.vault import opens

NAMES = ("log.key", "vault.key", "author-keys", "trust-policy")
# Two machines of one record differ by less than this; a clock that was set wrongly by more.
AHEAD = timedelta(minutes=10)
HOW = (
    "Put back what was kept beside the database (docs/howto/keep-and-recover.md), or name another "
    "folder with --folder. Nothing was changed"
)

CHECKPOINT: LiteralString = "SELECT note FROM ledger.checkpoint ORDER BY size DESC LIMIT 1"
COSIGNED: LiteralString = "SELECT 1 FROM ledger.cosignature LIMIT 1"
AUTHORS: LiteralString = "SELECT 1 FROM ledger.event_store WHERE stream = %s LIMIT 1"
PEOPLE: LiteralString = "SELECT 1 FROM service.person LIMIT 1"
PATIENT: LiteralString = """
SELECT pseudonym, wrapped_key FROM vault.patient WHERE wrapped_key IS NOT NULL LIMIT 1
"""
MASTER: LiteralString = "SELECT key, since FROM vault.master"
NEWEST: LiteralString = "SELECT recorded_at FROM ledger.head"


def kept(folder: Path) -> list[str]:
    """Name what of `folder` no backup of its database holds: keys, policy, mappings."""
    parts = sorted(part for part in folder.iterdir() if part.name != "postgres")
    return [part.name + "/" * part.is_dir() for part in parts]


def examine(url: str, folder: Path, *, trust_clock: bool = False) -> None:
    """Raise Unfit unless `folder` has what the record in the database at `url` was made with.

    A database without a record needs nothing; files that are there must be readable all the same.
    With `trust_clock` the newest entry may lie after what this machine's clock says.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        wrong = [*_missing(connection, folder), *_unreadable(connection, folder)]
        if wrong:
            said = "; ".join(wrong)
            raise Unfit(f"{folder} does not fit the record in its database: {said}. {HOW}")
        newest = _first(connection, NEWEST)
    now = datetime.now(UTC)
    if newest is not None and newest[0] > now + AHEAD and not trust_clock:
        raise Unfit(
            f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC, and the record's newest entry is "
            f"of {newest[0]:%Y-%m-%d %H:%M} UTC: times would be recorded that were not. Set the "
            "clock; if it is right and was wrong then, start with --trust-clock. Nothing was "
            "changed"
        )


def examine_log_key(url: str, folder: Path) -> None:
    """Raise Unfit where the database has checkpoints and `folder` not the key that signed them."""
    with psycopg.connect(url, autocommit=True) as connection:
        note = _first(connection, CHECKPOINT)
        if note is not None and not (folder / "log.key").exists():
            raise Unfit(f"{folder / 'log.key'}, which signed this record, is missing. {HOW}")
        for wrong in _log_key(folder / "log.key", note):
            raise Unfit(f"{wrong}. {HOW}")


def _missing(connection: psycopg.Connection[Any], folder: Path) -> Iterator[str]:
    def lacks(name: str) -> bool:
        path = folder / name
        return not path.exists() or (path.is_dir() and not any(path.iterdir()))

    if lacks("log.key") and _first(connection, CHECKPOINT):
        yield "log.key is missing, which signs it"
    if lacks("vault.key") and _first(connection, PEOPLE):
        yield "vault.key is missing, under which patients' identifiers are encrypted"
    if lacks("author-keys") and _first(connection, AUTHORS, [STREAM]):
        yield (
            "author-keys/ is missing, with which organisations sign (keys that are gone for good: "
            "`stafett ledger rotate-key ORGANISATION --lost`)"
        )
    if lacks("trust-policy") and _first(connection, COSIGNED):
        yield "trust-policy is missing, which names the witnesses that cosign it"


def _unreadable(connection: psycopg.Connection[Any], folder: Path) -> Iterator[str]:
    yield from _log_key(folder / "log.key", _first(connection, CHECKPOINT))
    vault, policy = folder / "vault.key", folder / "trust-policy"
    if vault.exists():
        keys = [path.read_bytes() for path in (vault, folder / NEXT) if path.exists()]
        named, row = _first(connection, MASTER), _first(connection, PATIENT)
        if len(keys[0]) != BYTES:
            yield f"vault.key has {len(keys[0])} bytes and not {BYTES}: it is no such key"
        elif named and named[0] not in (ids := [key_id(key) for key in keys]):
            yield (
                f"vault.key is the key {', '.join(ids)}, and patients' identifiers are encrypted "
                f"under {named[0]}, since it was replaced on {named[1]:%Y-%m-%d}"
            )
        elif row and not any(opens(AESGCM(key), *row) for key in keys):
            yield (
                "vault.key is another one than patients' identifiers are encrypted under (a backup "
                "from before it was replaced opens with the one of then)"
            )
    if policy.exists():
        yield from _said("trust-policy", lambda: parse_policy(policy.read_bytes()))


def _log_key(path: Path, note: tuple[Any, ...] | None) -> Iterator[str]:
    if not path.exists():
        return
    try:
        verifier = note_verifier(NoteSigner.from_text(path.read_text()).vkey)
    except (BadNote, UnicodeDecodeError) as error:
        yield f"log.key cannot be used: {error}"
        return
    if note is not None:
        try:
            open_checkpoint(note[0], [verifier])
        except BadNote:
            yield "log.key is another one than signed it"


def _said(name: str, read: Callable[[], object]) -> Iterator[str]:
    try:
        read()
    except (BadNote, BadPolicy, ValueError) as error:
        yield f"{name}: {error}"


def _first(
    connection: psycopg.Connection[Any], query: LiteralString, values: list[str] | None = None
) -> tuple[Any, ...] | None:
    """Return the first row; None where there is none, or not even the table yet."""
    try:
        return connection.execute(query, values).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
