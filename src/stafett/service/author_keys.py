"""The private keys of the organisations that this service hosts, kept in its folder.

`author-keys/<organisation>` holds the key that the organisation signs with, readable by the service
only. It is made, and registered in the record, when the organisation's first event is signed. To
rotate, a new key is made, vouched for by the old one in the record, and only then put in its place.
An organisation that keeps its own key signs before it submits, and has no file here.

These keys vouch for people's passkeys too, from the first event that one signs.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from pathlib import Path

from stafett.ledger import Ledger, NotAcknowledged, Submission, person
from stafett.ledger.author import PASSKEY, STREAM, Key, Keys, Signer, key_id
from stafett.ledger.once import made_once


class KeyLost(NotAcknowledged):
    """The record knows a key of the organisation, and its private half is not in the folder."""


class AuthorKeys:
    """Signs for the hosted organisations. One instance per process."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self._folder, self._ledger = folder, ledger
        self._signers: dict[str, Signer] = {}
        self._stamps: dict[str, tuple[int, int]] = {}
        self._files: dict[str, Path] = {}  # of the keys held: looked at before each signature
        self._vouched: set[str] = set()
        self._lock = asyncio.Lock()

    async def sign(self, submission: Submission) -> Submission:
        """Return the submission, signed by the organisation that it is from."""
        if submission.stream == STREAM:
            return submission  # a registration brings its own signature
        return (await self._signer(submission.author.organisation)).sign_here(submission)

    async def vouch(self, organisation: str, login: str, public: bytes) -> None:
        """Let the record say that this passkey is a key of the person's. Raises KeyLost.

        Once it is taken away it is never vouched for again: what it signs is refused.
        """
        name = key_id(organisation, PASSKEY, public)
        if name in self._vouched:
            return
        signer = await self._signer(organisation)
        if name not in (await self._ledger.keys()).known:
            reason = "the passkey signs for the first time"
            await self._ledger.append(person.vouched(signer, login, public, reason))
        self._vouched.add(name)

    async def retire(self, organisation: str, publics: Iterable[bytes], reason: str) -> set[bytes]:
        """Let the record say that these passkeys sign nothing more; return those that it knows.

        Raises KeyLost, NotAcknowledged: some may have been told then, and may be told again.
        """
        keys = await self._ledger.keys()
        active = {key.id for key in keys.active(organisation)}
        found = set()
        for public in publics:
            name = key_id(organisation, PASSKEY, public)
            if name in active:
                signer = await self._signer(organisation)
                await self._ledger.append(person.retired(signer, name, reason))
            if name in keys.known:
                found.add(public)
        return found

    async def _signer(self, organisation: str) -> Signer:
        signer = self._held(organisation)
        if signer is None:
            async with self._lock:
                signer = self._held(organisation) or await self._take(organisation)
        return signer

    def _held(self, organisation: str) -> Signer | None:
        """Return the key that we hold, unless another process has put a new one in its place."""
        signer = self._signers.get(organisation)
        if signer is not None and self._stamps[organisation] != _stamp(self._files[organisation]):
            return None
        return signer

    async def _take(self, organisation: str) -> Signer:
        """Return the organisation's key, registered in the record. Raises KeyLost."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(organisation)
        active = _own(await self._ledger.keys(), organisation)
        if active and not path.exists():
            raise KeyLost(
                organisation,
                f"the record knows the key {active[0].id} of {organisation!r}, and {path} is not "
                "there: restore it from the backup of the keys, or replace it with "
                f"`stafett ledger rotate-key {organisation} --lost --reason WHY --folder "
                f"{self._folder.parent}`",
            )
        signer = Signer(organisation, _seed(path))
        waiting = path.with_name(f".{path.name}.new")
        if all(key.id != signer.id for key in active) and waiting.exists():
            # A rotation was recorded, and the process died before the key took its place.
            fresh = Signer(organisation, _seed(waiting))
            if any(key.id == fresh.id for key in active):
                waiting.replace(path)
                signer = fresh
        if all(key.id != signer.id for key in active):
            if active:
                what = f"{path} is not the key {active[0].id} that the record knows"
                raise KeyLost(organisation, what)
            await self._ledger.append(signer.registration())
        self._hold(organisation, signer)
        return signer

    async def rotate(self, organisation: str, reason: str, *, lost: bool = False) -> Signer:
        """Give the organisation a new key; from then on the old one signs nothing.

        `lost`: nobody holds the old one any more, so nobody vouches for the new one, and the
        record tells everyone so. Raises KeyLost.
        """
        async with self._lock:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._path(organisation)
            active = _own(await self._ledger.keys(), organisation)
            old = None if lost or not active else await self._take(organisation)
            fresh = Signer(organisation, _seed(path.with_name(f".{path.name}.new")))
            gone = tuple(key.id for key in active) if lost else ()
            try:
                await self._ledger.append(fresh.registration(retires=old, lost=gone, reason=reason))
            except NotAcknowledged:
                # It may be in the record: whoever signs next looks which key that knows.
                self._signers.pop(organisation, None)
                raise
            path.with_name(f".{path.name}.new").replace(path)
            self._hold(organisation, fresh)
            return fresh

    def _hold(self, organisation: str, signer: Signer) -> None:
        self._files[organisation] = self._path(organisation)
        self._stamps[organisation] = _stamp(self._files[organisation])
        self._signers[organisation] = signer

    def _path(self, organisation: str) -> Path:
        if not organisation or "/" in organisation or organisation.startswith("."):
            raise ValueError(f"{organisation!r} can be no organisation's file name")
        return self._folder / organisation


def _own(keys: Keys, organisation: str) -> list[Key]:
    """Return the organisation's own active keys, without its people's passkeys."""
    return [key for key in keys.active(organisation) if not key.is_persons]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def _seed(path: Path) -> bytes:
    """Read a key's seed; make one, durable before it is used, if there is none."""
    return bytes.fromhex(made_once(path, lambda: secrets.token_hex(32).encode()).decode())
