"""A software authenticator for the tests, and events that it signs."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from stafett.ledger import Submission
from stafett.ledger import author as authors
from stafett.ledger import person as person_
from stafett.ledger.author import Signer, key_id
from stafett.ledger.passkey import Assertion

START = datetime(2026, 11, 25, 9, tzinfo=UTC)


class Authenticator:
    """A software authenticator: one ES256 key, bound to a site (WebAuthn, 6 and 7.2)."""

    def __init__(self, rp: str = "tower.example") -> None:
        self.rp, self.key = rp, ec.derive_private_key(0x5AFE7, ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        self.public: bytes = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})

    def sign(self, data: bytes, *, flags: int = 0b101, origin: str = "") -> dict[str, str]:
        """Answer the challenge SHA-256(data) as a browser at the site hands it on."""
        client = {
            "type": "webauthn.get",
            "challenge": _url(hashlib.sha256(data).digest()),
            "origin": origin or f"https://{self.rp}",
        }
        told = json.dumps(client).encode()
        head = hashlib.sha256(self.rp.encode()).digest() + bytes([flags]) + b"\0\0\0\1"
        value = self.key.sign(head + hashlib.sha256(told).digest(), ec.ECDSA(hashes.SHA256()))
        return {
            "credential": _url(b"c-1"), "authenticator_data": _url(head),
            "client_data": _url(told), "value": _url(value), "rp": self.rp,
        }  # fmt: skip


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def enrolled(passkey: Authenticator, by: Signer | None, person: str = "nurse") -> Submission:
    """Register a passkey as a key of a person at the hospital, vouched for by `by`."""
    plain = person_.vouched(Signer("hospital", b"\x09" * 32), person, passkey.public, "a phone")
    (draft,) = plain.drafts
    plain = replace(plain, drafts=[replace(draft, signature=None)])
    return by.sign(plain) if by else plain


def taken_away(passkey: Authenticator, by: Signer) -> Submission:
    """Take a passkey away."""
    return person_.retired(by, key_id("hospital", authors.PASSKEY, passkey.public), "it was lost")


def signed_by(passkey: Authenticator, submission: Submission, **how: Any) -> Submission:
    """Sign the very bytes of an event with a passkey."""
    given = passkey.sign(person_.to_sign(submission, 0), **how)
    assertion = Assertion(
        given["credential"], given["authenticator_data"], given["client_data"], given["value"],
        given["rp"],
    )  # fmt: skip
    return person_.signed(submission, 0, passkey.public, assertion)
