"""Signed notes (C2SP signed-note): a text, a blank line, and signature lines of named keys.

    text, one or more lines, UTF-8
                                                 ← blank line
    — key.name base64(4-byte key ID || signature)

A text is nothing until `open_note` has found a valid signature of a key that the reader trusts.
A key is written as a *vkey*, `name+hex(key ID)+base64(type || public key)`: base64 has plus signs
too, so it is split at the first two only.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

ED25519 = 0x01
ECDSA = 0x02
COSIGNATURE = 0x04
MLDSA44 = 0x06
_KEY_LENGTH = {ED25519: 32, COSIGNATURE: 32, MLDSA44: 1312}
MOST_SIGNATURES = 100
LONGEST = 1_000_000
_PRIVATE = "PRIVATE+KEY+"


class BadNote(ValueError):
    """A note, key or signature that is malformed or does not verify; the text says which."""


class Unsigned(BadNote):
    """A well-formed note without a signature of any trusted key."""


class BadSignature(BadNote):
    """A note in which the signature of a trusted key is wrong: it was changed or forged."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: key name, 4-byte key ID, and what follows it."""

    name: str
    key_id: bytes
    value: bytes

    @property
    def line(self) -> str:
        """The line as it stands in a note, newline included."""
        return f"— {self.name} {base64.b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note. Its text is not to be believed before `open_note`."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(s.line for s in self.signatures)


class Verifier(Protocol):
    """A trusted public key: who, and how its signatures are checked."""

    @property
    def name(self) -> str:
        """Key name."""

    @property
    def key_id(self) -> bytes:
        """Four bytes."""

    def verify(self, text: str, value: bytes) -> bool:
        """Return whether `value` is this key's signature of `text`."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A note with at least one valid signature; `verified` holds one for each trusted key."""

    text: str
    verified: tuple[Signature, ...]
    unverified: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Vkey:
    """A verifier key in its parts; the key ID has been recomputed and fits."""

    name: str
    key_id: bytes
    kind: int
    key: bytes

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode(bytes([self.kind]) + self.key)}"


def key_id(name: str, kind: int, key: bytes) -> bytes:
    """Return the four-byte key ID of a public key of type `kind`."""
    if kind == ECDSA:
        return sha256(key).digest()[:4]
    return sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:4]


def make_vkey(name: str, kind: int, key: bytes) -> Vkey:
    """Return the vkey of a public key; refuse a name with a blank or a plus sign."""
    _check_name(name)
    return Vkey(name, key_id(name, kind, key), kind, key)


def parse_vkey(text: str) -> Vkey:
    """Read a vkey. Raises BadNote unless it is whole and its key ID is the computed one."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise BadNote(f"{text[:60]!r} is no verifier key: it is name+ID+key")
    name, identifier, encoded = parts
    _check_name(name)
    data = decode(encoded, "the key of a verifier key")
    if len(data) < 2 or not re.fullmatch("[0-9a-f]{8}", identifier):
        raise BadNote(f"{text[:60]!r} is no verifier key: the ID is 8 hexadecimal digits")
    vkey = make_vkey(name, data[0], data[1:])
    if vkey.key_id.hex() != identifier:
        raise BadNote(
            f"the verifier key of {name!r} says ID {identifier}, its key has {vkey.key_id.hex()}: "
            "it was changed or copied in part; ask its owner for it again"
        )
    if vkey.kind != ECDSA and vkey.kind not in _KEY_LENGTH:
        raise BadNote(f"the verifier key of {name!r} has the unknown type {vkey.kind:#04x}")
    if len(vkey.key) != _KEY_LENGTH.get(vkey.kind, len(vkey.key)):
        raise BadNote(f"the verifier key of {name!r} has the wrong length ({len(vkey.key)} bytes)")
    return vkey


@dataclass(frozen=True, slots=True)
class Ed25519Verifier:
    """Verifier of plain Ed25519 note signatures (type 0x01)."""

    vkey: Vkey

    @property
    def name(self) -> str:
        """Key name."""
        return self.vkey.name

    @property
    def key_id(self) -> bytes:
        """Four bytes."""
        return self.vkey.key_id

    def verify(self, text: str, value: bytes) -> bool:
        """Return whether `value` is the signature of `text`."""
        return ed25519_ok(self.vkey.key, value, text.encode())


@dataclass(frozen=True, slots=True)
class EcdsaVerifier:
    """Verifier of ECDSA note signatures (type 0x02), so that other people's logs can be read."""

    vkey: Vkey

    @property
    def name(self) -> str:
        """Key name."""
        return self.vkey.name

    @property
    def key_id(self) -> bytes:
        """Four bytes."""
        return self.vkey.key_id

    def verify(self, text: str, value: bytes) -> bool:
        """Return whether `value` is the DER signature of SHA-256(`text`)."""
        try:
            public = load_der_public_key(self.vkey.key)
            if not isinstance(public, ec.EllipticCurvePublicKey):
                return False
            public.verify(value, text.encode(), ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


def note_verifier(vkey: str | Vkey) -> Ed25519Verifier | EcdsaVerifier:
    """Return the verifier of a vkey of type 0x01 or 0x02; refuse others."""
    parsed = parse_vkey(vkey) if isinstance(vkey, str) else vkey
    if parsed.kind == ED25519:
        return Ed25519Verifier(parsed)
    if parsed.kind == ECDSA:
        try:
            load_der_public_key(parsed.key)
        except ValueError:
            raise BadNote(f"the verifier key of {parsed.name!r} holds no ECDSA key") from None
        return EcdsaVerifier(parsed)
    raise BadNote(f"the verifier key of {parsed.name!r} has type {parsed.kind:#04x}, not a note's")


class NoteSigner:
    """Signs notes with Ed25519. Make one by `generate` or from a stored key by `from_text`."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self._seed = seed
        self.vkey = make_vkey(name, ED25519, self._private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> NoteSigner:
        """Return a signer with a new random key."""
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_text(cls, text: str) -> NoteSigner:
        """Read a private key in the form `PRIVATE+KEY+name+ID+base64(type || seed)`."""
        name, kind, seed, identifier = parse_private(text)
        if kind != ED25519:
            raise BadNote(f"the private key of {name!r} has type {kind:#04x}, not 0x01")
        signer = cls(name, seed)
        if signer.vkey.key_id != identifier:
            raise BadNote(f"the private key of {name!r} does not fit its ID")
        return signer

    def to_text(self) -> str:
        """Return the private key as text: keep it secret."""
        return private_text(self.vkey, self._seed)

    @property
    def name(self) -> str:
        """Key name."""
        return self.vkey.name

    def sign(self, text: str) -> Signature:
        """Return the signature of `text`, which must end in a newline."""
        _check_text(text)
        return Signature(self.name, self.vkey.key_id, self._private.sign(text.encode()))


def parse(raw: str | bytes) -> Note:
    """Split a note into text and signatures. Raises BadNote when the form is wrong."""
    if len(raw) > LONGEST:
        raise BadNote(f"a note of {len(raw)} bytes is too long (at most {LONGEST})")
    try:
        message = raw.decode() if isinstance(raw, bytes) else raw
        message.encode()
    except UnicodeError:
        raise BadNote("the note is not UTF-8") from None
    _check_controls(message)
    text, blank, lines = message.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise BadNote("the note has no signatures, or no newline at its end")
    signatures = tuple(parse_line(line) for line in lines[:-1].split("\n"))
    if len(signatures) > MOST_SIGNATURES:
        raise BadNote(f"the note has {len(signatures)} signatures (at most {MOST_SIGNATURES})")
    return Note(text + "\n", signatures)


def parse_line(line: str) -> Signature:
    """Read one signature line (without its newline)."""
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—":
        raise BadNote(f"{line[:60]!r} is no signature line: it is '— name base64'")
    _check_name(parts[1])
    data = decode(parts[2], f"the signature of {parts[1]!r}")
    if len(data) < 5:
        raise BadNote(f"the signature of {parts[1]!r} is too short")
    return Signature(parts[1], data[:4], data[4:])


def open_note(raw: str | bytes | Note, trusted: Iterable[Verifier]) -> Opened:
    """Check a note against the keys that the reader trusts.

    Signatures of other keys are kept as unverified. Raises BadSignature if one of a trusted key
    is wrong, Unsigned if there is none, BadNote if the note is malformed.
    """
    note = raw if isinstance(raw, Note) else parse(raw)
    keys: dict[tuple[str, bytes], Verifier] = {}
    for verifier in trusted:
        if (verifier.name, verifier.key_id) in keys:
            raise BadNote(f"two trusted keys are called {verifier.name!r} with the same ID")
        keys[verifier.name, verifier.key_id] = verifier
    verified: dict[tuple[str, bytes], Signature] = {}
    unverified: dict[Signature, None] = {}
    for signature in note.signatures:
        who = (signature.name, signature.key_id)
        if who not in keys:
            unverified[signature] = None
        elif who not in verified:
            if not keys[who].verify(note.text, signature.value):
                raise BadSignature(
                    f"the signature of {signature.name!r} is wrong: the note was changed or forged"
                )
            verified[who] = signature
    if not verified:
        raise Unsigned("no trusted key has signed the note")
    return Opened(note.text, tuple(verified.values()), tuple(unverified))


def sign_note(text: str, *signers: NoteSigner) -> str:
    """Return `text` as a note signed by each of `signers`."""
    return str(Note(text, tuple(signer.sign(text) for signer in signers)))


def ed25519_ok(key: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether an Ed25519 signature is right; False for malformed keys too."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def encode(data: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(data).decode()


def decode(text: str, what: str) -> bytes:
    """Return the bytes of strict base64: no blanks, full padding, no stray bits."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadNote(f"{what} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise BadNote(f"{what} is not canonical base64")
    return data


def private_text(vkey: Vkey, seed: bytes) -> str:
    """Return a private key in the text form of golang.org/x/mod/sumdb/note."""
    return f"{_PRIVATE}{vkey.name}+{vkey.key_id.hex()}+{encode(bytes([vkey.kind]) + seed)}"


def parse_private(text: str) -> tuple[str, int, bytes, bytes]:
    """Read name, type, 32-byte seed and key ID of a private key in text form."""
    parts = text.strip().removeprefix(_PRIVATE).split("+", 2)
    if not text.startswith(_PRIVATE) or len(parts) != 3:
        raise BadNote("this is no private key: it begins with PRIVATE+KEY+")
    name, identifier, encoded = parts
    _check_name(name)
    # The message never quotes the text: it is a secret.
    data = decode(encoded, f"the private key of {name!r}")
    if len(data) != 33 or not re.fullmatch("[0-9a-f]{8}", identifier):
        raise BadNote(f"the private key of {name!r} is malformed")
    return name, data[0], data[1:], bytes.fromhex(identifier)


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise BadNote(f"{name[:60]!r} is no key name: no blank, no plus sign, not empty")


_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")  # all but the newline


def _check_controls(text: str) -> None:
    found = _CONTROL.search(text)
    if found:
        raise BadNote(f"the note has the control character {found[0]!r}")


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise BadNote("the text of a note ends in a newline")
    _check_controls(text)
