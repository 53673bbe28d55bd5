"""Cosignatures (C2SP tlog-cosignature): a witness says at which time it had seen which tree.

Two kinds. Ed25519 (key type 0x04) signs two lines and the checkpoint's text:

    cosignature/v1
    time 1679315147
    example.com/behind-the-sofa …

ML-DSA-44 (0x06, safe against quantum computers) signs a binary structure with the cosigner's name,
the time, the origin, the size and the root. Both are a note signature of 8 bytes of time and the
signature. Neither makes a statement about extension lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from stafett.ledger import note
from stafett.ledger.checkpoint import BadCheckpoint, Checkpoint, parse_text
from stafett.ledger.note import COSIGNATURE, MLDSA44, BadNote, Signature, Vkey

LATEST = 2**63 - 1
_LENGTHS = {8 + 64, 8 + 2420}
_LABEL = b"subtree/v1\n\x00"


class Cosigner(Protocol):
    """A witness's private key."""

    @property
    def vkey(self) -> Vkey:
        """The public half."""

    def cosign(self, checkpoint: Checkpoint, timestamp: int) -> Signature:
        """Return the cosignature of `checkpoint` at `timestamp` (POSIX seconds)."""

    def to_text(self) -> str:
        """Return the private key as text: keep it secret."""


def ed25519_message(text: str, timestamp: int) -> bytes:
    """Return the bytes that an Ed25519 cosignature signs."""
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def mldsa_message(name: str, checkpoint: Checkpoint, timestamp: int, start: int = 0) -> bytes:
    """Return the `cosigned_message` structure that an ML-DSA-44 cosignature signs.

    Raises BadCheckpoint when name or origin is longer than 255 bytes.
    """
    parts = []
    for what, text in (("cosigner's name", name), ("origin", checkpoint.origin)):
        data = text.encode()
        if not 1 <= len(data) <= 255:
            raise BadCheckpoint(f"the {what} has {len(data)} bytes (1 to 255)")
        parts.append(bytes([len(data)]) + data)
    return b"".join(
        (
            _LABEL,
            parts[0],
            timestamp.to_bytes(8, "big"),
            parts[1],
            start.to_bytes(8, "big"),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


class Ed25519Cosigner:
    """Cosigns with Ed25519: what witnesses of today's public network understand."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self._seed = seed
        self.vkey = note.make_vkey(name, COSIGNATURE, self._private.public_key().public_bytes_raw())

    def cosign(self, checkpoint: Checkpoint, timestamp: int) -> Signature:
        """Return the cosignature of `checkpoint` at `timestamp`."""
        signed = self._private.sign(ed25519_message(checkpoint.text, timestamp))
        return _signature(self.vkey, timestamp, signed)

    def to_text(self) -> str:
        """Return the private key as text: keep it secret."""
        return note.private_text(self.vkey, self._seed)


class MldsaCosigner:
    """Cosigns with ML-DSA-44, as the specification advises for new deployments."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = MLDSA44PrivateKey.from_seed_bytes(seed)
        self._seed = seed
        self.vkey = note.make_vkey(name, MLDSA44, self._private.public_key().public_bytes_raw())

    def cosign(self, checkpoint: Checkpoint, timestamp: int) -> Signature:
        """Return the cosignature of `checkpoint` at `timestamp`."""
        message = mldsa_message(self.vkey.name, checkpoint, timestamp)
        return _signature(self.vkey, timestamp, self._private.sign(message))

    def to_text(self) -> str:
        """Return the private key as text: keep it secret."""
        return note.private_text(self.vkey, self._seed)


def cosigner_from_text(text: str) -> Cosigner:
    """Read a cosigner's private key (types 0x04 and 0x06)."""
    name, kind, seed, identifier = note.parse_private(text)
    if kind not in (COSIGNATURE, MLDSA44):
        raise BadNote(f"the private key of {name!r} has type {kind:#04x}, no cosigner's")
    made: Cosigner = (
        Ed25519Cosigner(name, seed) if kind == COSIGNATURE else MldsaCosigner(name, seed)
    )
    if made.vkey.key_id != identifier:
        raise BadNote(f"the private key of {name!r} does not fit its ID")
    return made


@dataclass(frozen=True, slots=True)
class CosignatureVerifier:
    """Verifier of a witness's cosignatures, of either kind."""

    vkey: Vkey

    @property
    def name(self) -> str:
        """Key name of the witness."""
        return self.vkey.name

    @property
    def key_id(self) -> bytes:
        """Four bytes."""
        return self.vkey.key_id

    def verify(self, text: str, value: bytes) -> bool:
        """Return whether `value` is this witness's cosignature of the checkpoint `text`."""
        try:
            checkpoint = parse_text(text)
            timestamp = timestamp_of(value)
            if self.vkey.kind == COSIGNATURE:
                message = ed25519_message(text, timestamp)
                return note.ed25519_ok(self.vkey.key, value[8:], message)
            message = mldsa_message(self.vkey.name, checkpoint, timestamp)
            MLDSA44PublicKey.from_public_bytes(self.vkey.key).verify(value[8:], message)
        except (BadNote, InvalidSignature, ValueError):
            return False
        return True


def verifier(vkey: str | Vkey) -> note.Verifier:
    """Return the verifier of a vkey of any type that Stafett knows (0x01, 0x02, 0x04, 0x06)."""
    parsed = note.parse_vkey(vkey) if isinstance(vkey, str) else vkey
    if parsed.kind in (COSIGNATURE, MLDSA44):
        return CosignatureVerifier(parsed)
    return note.note_verifier(parsed)


def timestamp_of(value: bytes) -> int:
    """Return the POSIX time of a cosignature's value (what follows the key ID)."""
    if len(value) not in _LENGTHS:
        raise BadNote(f"{len(value)} bytes are no cosignature: a time of 8 bytes and a signature")
    timestamp = int.from_bytes(value[:8], "big")
    if timestamp > LATEST:
        raise BadNote("the time of the cosignature is beyond 2**63 - 1")
    return timestamp


def _signature(vkey: Vkey, timestamp: int, signed: bytes) -> Signature:
    if not 0 <= timestamp <= LATEST:
        raise BadNote(f"{timestamp} is no POSIX time")
    return Signature(vkey.name, vkey.key_id, timestamp.to_bytes(8, "big") + signed)
