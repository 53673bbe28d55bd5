"""The hospital's vault: direct patient identifiers, encrypted, and erasable.

They never enter the ledger. A patient has a pseudonym, and a key of their own, encrypted under the
vault's master key. What a scanner reads from a wristband reaches the record only as a commitment,
an HMAC under that key: equal values compare equal, and nobody without the key can guess. Erasing a
patient destroys the key: the record stays verifiable, and says nothing any more about whom.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

import anyio.to_thread
import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.service import sql
from stafett.service.master import Master, Sealer


class Erased(Exception):
    """The patient's key was destroyed on request; nothing can be read or compared any more."""


class Unknown(KeyError):
    """There is no such patient in the vault."""


class Held(msgspec.Struct, frozen=True):
    """What the vault holds of one enrolment, as its own hospital sees it.

    `journey` is the one that the patient was enrolled for (None: from before that was noted).
    `identifiers` are None once they are erased.
    """

    pseudonym: str
    journey: str | None
    enrolled: datetime
    identifiers: dict[str, str] | None
    erased: datetime | None


AT_ONCE = 1000  # enrolments that are opened in one go beside the event loop


class Vault:
    """Patients of the hospitals that keep their vault in this database."""

    def __init__(self, pool: AsyncConnectionPool[Any], master: Master) -> None:
        self._pool, self._master, self._sealer = pool, master, Sealer(master)

    async def device_key(self, person: str) -> bytes:
        """Return the key under which a device keeps what `person` has not shared yet (32 bytes).

        The same at every sign-in, so that a device which forgot it can read its own again.
        """
        query = "SELECT wrapped FROM vault.carried WHERE name = 'devices'"
        row = await sql.row(self._pool, query)
        if row is None:  # the master key was never replaced: it stands for itself
            devices = HKDF(hashes.SHA256(), 32, None, b"stafett devices").derive(
                self._master.readable()[0]
            )
        else:
            devices = self._sealer.open(row[0], b"devices")
        return HKDF(hashes.SHA256(), 32, None, b"device " + person.encode()).derive(devices)

    async def enrol(self, organisation: str, identifiers: dict[str, str], journey: str) -> str:
        """Keep `identifiers` (wristband number, name, date of birth); return a new pseudonym.

        `journey` is to be opened for it: what never is, is erased (see `erasures`).
        """
        pseudonym = "P-" + "".join(
            secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in "8" * 8
        )
        key = AESGCM.generate_key(256)
        name = pseudonym.encode()
        async with self._pool.connection() as connection:
            under = await self._master.writing(connection)
            await connection.execute(
                "INSERT INTO vault.patient (pseudonym, organisation, wrapped_key, sealed, journey)"
                " VALUES (%s, %s, %s, %s, %s)",
                (
                    pseudonym,
                    organisation,
                    self._sealer.seal(under, key, name),
                    _seal(AESGCM(key), msgspec.json.encode(identifiers), name),
                    journey,
                ),
            )
        return pseudonym

    async def commitment(self, pseudonym: str, value: str) -> str:
        """Return what the record may know of `value`: its HMAC under the patient's own key."""
        key = await self._key(pseudonym)
        derived = HKDF(hashes.SHA256(), 32, salt=None, info=b"stafett commitment").derive(key)
        mac = hmac.HMAC(derived, hashes.SHA256())
        mac.update(value.encode())
        return "commitment:" + mac.finalize().hex()

    async def reveal(self, pseudonym: str, organisation: str) -> dict[str, str]:
        """Return the direct identifiers, to the hospital that enrolled the patient only."""
        row = await self._row(pseudonym)
        if row[0] != organisation:
            raise Unknown(pseudonym)
        key = await self._key(pseudonym)
        opened = _open(AESGCM(key), row[2], pseudonym.encode())
        return msgspec.json.decode(opened, type=dict[str, str])

    async def held(self, pseudonym: str, organisation: str) -> Held:
        """Return what is held of a patient. Raises Unknown for another hospital's."""
        query = _HELD + " WHERE organisation = %s AND pseudonym = %s"
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            row = await (await cursor.execute(query, (organisation, pseudonym))).fetchone()
        if row is None:
            raise Unknown(pseudonym)
        return self._held(row)

    async def sought(self, organisation: str, said: str, most: int = 50) -> list[Held]:
        """Return the hospital's patients of whom `said` is true, the latest enrolled first.

        It is a pseudonym or a journey, or part of any identifier (case, spaces and hyphens do not
        count); an erased patient is found by the first two only. Every patient of the hospital is
        opened for it: an index of what is in the vault would be one more thing to erase.
        """
        wanted, found, after = _plain(said), list[Held](), ""
        if not wanted:
            return []
        query = _HELD + " WHERE organisation = %s AND pseudonym > %s ORDER BY pseudonym LIMIT %s"
        while True:
            async with (
                self._pool.connection() as connection,
                connection.cursor(row_factory=tuple_row) as cursor,
            ):
                await cursor.execute(query, (organisation, after, AT_ONCE))
                rows = await cursor.fetchall()
            found += await anyio.to_thread.run_sync(self._matching, rows, wanted)
            if len(rows) < AT_ONCE:
                break
            after = str(rows[-1][0])
        return sorted(found, key=lambda one: one.enrolled, reverse=True)[:most]

    def _matching(self, rows: Sequence[tuple[Any, ...]], wanted: str) -> list[Held]:
        opened = [self._held(row) for row in rows]
        return [
            one
            for one in opened
            if wanted in (_plain(one.pseudonym), _plain(one.journey or ""))
            or any(wanted in _plain(value) for value in (one.identifiers or {}).values())
        ]

    def _held(self, row: tuple[Any, ...]) -> Held:
        pseudonym, journey, enrolled, wrapped, sealed, erased = row
        identifiers = None
        if wrapped is not None:
            name = pseudonym.encode()
            key = AESGCM(self._sealer.open(wrapped, name))
            identifiers = msgspec.json.decode(_open(key, sealed, name), type=dict[str, str])
        return Held(pseudonym, journey, enrolled, identifiers, erased)

    async def erase(
        self, connection: AsyncConnection[Any], pseudonym: str, organisation: str
    ) -> None:
        """Destroy the patient's key for good, on `connection`, with what else it commits.

        Raises Unknown for another hospital's patient. Older backups still hold the key, wrapped
        in the master key: they must be let go as the backup plan says.
        """
        if (await self._row(pseudonym))[0] != organisation:
            raise Unknown(pseudonym)
        await self.destroy(connection, pseudonym, organisation)

    async def destroy(
        self, connection: AsyncConnection[Any], pseudonym: str, organisation: str
    ) -> bool:
        """Destroy a patient's key if it is there; say whether it was."""
        done = await connection.execute(
            "UPDATE vault.patient SET wrapped_key = NULL, sealed = NULL, erased = now()"
            " WHERE pseudonym = %s AND organisation = %s AND erased IS NULL",
            (pseudonym, organisation),
        )
        return done.rowcount > 0

    async def withdraw(self, pseudonym: str, organisation: str) -> None:
        """Take back an enrolment that came to nothing. Raises Unknown for another hospital's."""
        async with self._pool.connection() as connection:
            await self.erase(connection, pseudonym, organisation)

    async def _key(self, pseudonym: str) -> bytes:
        """Unwrap the patient's key, anew each time: another process may have erased it."""
        wrapped = (await self._row(pseudonym))[1]
        if wrapped is None:
            raise Erased(pseudonym)
        return self._sealer.open(wrapped, pseudonym.encode())

    async def _row(self, pseudonym: str) -> tuple[Any, ...]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT organisation, wrapped_key, sealed FROM vault.patient WHERE pseudonym = %s",
                (pseudonym,),
            )
            row = await cursor.fetchone()
        if row is None:
            raise Unknown(pseudonym)
        found: tuple[Any, ...] = row
        return found


_HELD: LiteralString = (
    "SELECT pseudonym, journey, enrolled, wrapped_key, sealed, erased FROM vault.patient"
)


def _plain(value: str) -> str:
    """Return `value` as it is compared: without case, spaces or hyphens."""
    return "".join(value.split()).replace("-", "").casefold()


def opens(master: AESGCM, pseudonym: str, wrapped: bytes) -> bool:
    """Say whether `master` is the key that a patient's own key is wrapped in."""
    try:
        _open(master, wrapped, pseudonym.encode())
    except ValueError:
        return False
    return True


def _seal(key: AESGCM, plain: bytes, name: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + key.encrypt(nonce, plain, name)


def _open(key: AESGCM, sealed: bytes, name: bytes) -> bytes:
    try:
        return key.decrypt(sealed[:12], sealed[12:], name)
    except InvalidTag:
        raise ValueError("the patient's key does not open this patient's record") from None
