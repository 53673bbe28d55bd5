"""The installation's master key: a file beside the database, and two of them while it is replaced.

`vault.key` wraps the patients' keys; what other small secrets are sealed under is derived from it.
While it is replaced (`rotation`) `vault.key.next` lies beside it: what is read may be under either,
and is tried with both. What is written is under the one that the database names: who writes holds
a lock that the change of keys waits for, so that nothing is ever written under a key that is gone.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from psycopg import AsyncConnection

from stafett.ledger.once import made_once
from stafett.service import sql

BYTES: Final = 32
NAME, NEXT = "vault.key", "vault.key.next"
LOCK: Final = 0x7661756C74  # advisory: shared by whoever writes, whole for whoever changes the key


class KeyElsewhere(RuntimeError):
    """What is sealed is under a master key that is not in the folder."""


def key_id(key: bytes) -> str:
    """Return the name of a master key: it gives nothing of the key away."""
    return HKDF(hashes.SHA256(), 8, None, b"stafett master key id").derive(key).hex()


def make(file: Path) -> bytes:
    """Read the master key from `file`; make one, readable by its owner only, if none."""
    return made_once(file, lambda: AESGCM.generate_key(BYTES * 8))


class Master:
    """The master keys of a folder. Reads the files again when they have changed."""

    def __init__(self, folder: Path) -> None:
        """Take the key of `folder`; make one where none is."""
        self._files = folder / NAME, folder / NEXT
        self._lock = threading.Lock()
        self._stamps: tuple[Any, ...] = ()
        make(self._files[0])
        self.readable()

    def readable(self) -> tuple[bytes, ...]:
        """Return the keys that something may be sealed under; the one in its place first."""
        with self._lock:
            stamps = tuple(_stamp(file) for file in self._files)
            if stamps != self._stamps:
                # The next one first: it may take its place between the two readings.
                after = _read(self._files[1])
                first = _read(self._files[0])
                every = [key for key in (first, after) if key is not None and len(key) == BYTES]
                self._keys = tuple(dict.fromkeys(every))
                self._stamps = stamps
            return self._keys

    async def writing(self, connection: AsyncConnection[Any]) -> bytes:
        """Return the key to seal under in the connection's transaction. Raises KeyElsewhere.

        Until that ends nobody can begin to replace it.
        """
        await sql.within(connection, "SELECT pg_advisory_xact_lock_shared(%s)", (LOCK,))
        named = await sql.within(connection, "SELECT key FROM vault.master")
        keys = self.readable()
        if not named:
            return keys[0]
        for key in keys:
            if key_id(key) == named[0][0]:
                return key
        raise KeyElsewhere(
            f"the vault's master key was replaced by {named[0][0]}, which is not in "
            f"{self._files[0].parent}: put the {NAME} of the machine that replaced it there"
        )


class Sealer:
    """Seals under a key derived from the master key for one `purpose`; "" for the key itself."""

    def __init__(self, master: Master, purpose: str = "") -> None:
        self._master, self._purpose = master, purpose
        self._derived: dict[bytes, AESGCM] = {}

    def seal(self, key: bytes, plain: bytes, name: bytes) -> bytes:
        """Encrypt for the row `name`, under the master key `key` that `Master.writing` gave."""
        nonce = os.urandom(12)
        return nonce + self._under(key).encrypt(nonce, plain, name)

    def open(self, sealed: bytes, name: bytes) -> bytes:
        """Decrypt under whichever key of the folder fits. Raises ValueError where none does."""
        for key in self._master.readable():
            with contextlib.suppress(ValueError):
                return self.open_with(key, sealed, name)
        raise ValueError(
            f"no master key in the folder opens what is kept of {name.decode(errors='replace')}: "
            "its vault.key is another one, or of before or after a rotation"
        )

    def open_with(self, key: bytes, sealed: bytes, name: bytes) -> bytes:
        """Decrypt under this master key alone. Raises ValueError where it is another."""
        try:
            return self._under(key).decrypt(bytes(sealed[:12]), bytes(sealed[12:]), name)
        except InvalidTag:
            raise ValueError("sealed under another key, or for another row") from None

    def _under(self, key: bytes) -> AESGCM:
        found = self._derived.get(key)
        if found is None:
            if len(self._derived) > 4:
                self._derived.clear()  # of rotations long past
            info = self._purpose.encode()
            own = HKDF(hashes.SHA256(), BYTES, None, info).derive(key) if info else key
            found = self._derived[key] = AESGCM(own)
        return found


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size
