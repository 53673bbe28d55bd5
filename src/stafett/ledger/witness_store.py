"""A witness's folder: its key, the logs it trusts, and its tiny state, kept safely.

    key          private key (mode 600)
    logs         one vkey a line: the logs that it trusts
    state.json   newest checkpoint of each log, and evidence: written beside, fsynced, renamed

A lock on the folder keeps two processes from cosigning with one memory.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from stafett.ledger import checkpoint, cosignature, note
from stafett.ledger.note import COSIGNATURE, ECDSA, ED25519, MLDSA44, BadNote, Vkey
from stafett.ledger.witness import Evidence, Seen, State

FORMAT = 1


class BadFolder(RuntimeError):
    """A witness folder that cannot be used; the text says what to do."""


class _Seen(msgspec.Struct, forbid_unknown_fields=True):
    signed: str
    at: int


class _Evidence(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    origin: str
    what: str
    signed: tuple[str, ...]
    at: int


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    latest: dict[str, _Seen]
    evidence: list[_Evidence]


class WitnessFolder:
    """The folder of one witness. Open it with `opened`, so that no other process uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, name: str, *, mldsa: bool = False) -> WitnessFolder:
        """Make a folder with a new key. Refuses a folder that has one."""
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = cls(path)
        if (path / "key").exists():
            raise BadFolder(f"{path} has a key already: a witness keeps its key")
        seed = secrets.token_bytes(32)
        kind = cosignature.MldsaCosigner if mldsa else cosignature.Ed25519Cosigner
        folder._write("key", kind(name, seed).to_text() + "\n", mode=0o600)
        folder.save(State())
        return folder

    @contextmanager
    def opened(self) -> Iterator[WitnessFolder]:
        """Hold the folder's lock; raises BadFolder when another process holds it."""
        self._require("key")
        try:
            lock = (self.path / "lock").open("w")
        except OSError as error:
            raise BadFolder(f"{self.path / 'lock'}: {error.strerror}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadFolder(
                    f"another witness process uses {self.path}: stop it first"
                ) from None
            yield self

    def cosigner(self) -> cosignature.Cosigner:
        """Return the witness's key."""
        try:
            return cosignature.cosigner_from_text(self._text("key"))
        except BadNote as error:
            raise BadFolder(f"{self.path / 'key'}: {error}; restore it from a backup") from None

    def logs(self) -> dict[str, list[note.Verifier]]:
        """Return the trusted keys of each log."""
        found: dict[str, list[note.Verifier]] = {}
        path = self.path / "logs"
        lines = self._text("logs").splitlines() if path.exists() else []
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                try:
                    vkey = log_key(line.strip())
                except BadNote as error:
                    raise BadFolder(f"{path}, line {number}: {error}") from None
                found.setdefault(vkey.name, []).append(cosignature.verifier(vkey))
        return found

    def trust(self, vkey: Vkey) -> None:
        """Add a log's key to those that the witness trusts."""
        path = self.path / "logs"
        lines = path.read_text().splitlines() if path.exists() else []
        if str(vkey) not in lines:
            self._write("logs", "\n".join([*lines, str(vkey)]) + "\n")

    def load(self) -> State:
        """Return the stored state; refuses one that is missing or damaged.

        A witness that lost its memory must not begin anew by itself: it could then cosign a second
        history.
        """
        path = self.path / "state.json"
        try:
            stored = msgspec.json.decode(self._text("state.json"), type=_Stored)
            latest = {}
            for origin, seen in stored.latest.items():
                head = checkpoint.parse_text(note.parse(seen.signed).text)
                latest[origin] = Seen(head.size, head.root, seen.signed, seen.at)
        except (msgspec.DecodeError, BadNote) as error:
            raise BadFolder(f"{path} is damaged ({error}): restore it from a backup") from None
        if stored.format != FORMAT:
            raise BadFolder(f"{path} has format {stored.format}, this version reads {FORMAT}")
        return State(
            latest,
            tuple(Evidence(e.kind, e.origin, e.what, e.signed, e.at) for e in stored.evidence),
        )

    def save(self, state: State) -> None:
        """Make the state durable: after this returns, a power cut loses none of it."""
        stored = {
            "format": FORMAT,
            "latest": {o: {"signed": s.signed, "at": s.at} for o, s in state.latest.items()},
            "evidence": [
                {"kind": e.kind, "origin": e.origin, "what": e.what, "signed": e.signed, "at": e.at}
                for e in state.evidence
            ],
        }
        self._write("state.json", json.dumps(stored, indent=1, ensure_ascii=False) + "\n")

    def _require(self, name: str) -> Path:
        path = self.path / name
        if not path.exists():
            raise BadFolder(
                f"{path} is missing: run `stafett witness join` for a new witness, or restore it"
            )
        return path

    @property
    def exposed(self) -> bool:
        """Say whether others on this machine can read the key, and cosign in its name."""
        return bool(self._require("key").stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))

    def _text(self, name: str) -> str:
        path = self._require(name)
        try:
            return path.read_text()
        except OSError as error:
            raise BadFolder(f"{path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise BadFolder(f"{path} is damaged (it is no text): restore it") from None

    def _write(self, name: str, text: str, mode: int = 0o644) -> None:
        temporary = self.path / f".{name}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path / name)
        directory = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def log_key(text: str) -> Vkey:
    """Read the vkey of a log (types 0x01, 0x02, 0x06)."""
    vkey = note.parse_vkey(text)
    if vkey.kind == COSIGNATURE or vkey.kind not in (ED25519, ECDSA, MLDSA44):
        raise BadNote(f"the key {vkey.name!r} is a witness's, not a log's")
    return vkey
