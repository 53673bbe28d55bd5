"""A person's passkey as a key that signs events: vouched for, used, and taken away.

The organisation's own key vouches for it in `record/keys` and says by a hash whose it is. From then
on the person's assertion can stand where the organisation's signature stands: it answers the
challenge SHA-256(statement), so it is over the very bytes of the event (see `author`, `passkey`).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from stafett.ledger import note
from stafett.ledger.author import (
    EVERYONE,
    PASSKEY,
    REGISTERED,
    RETIRED,
    STREAM,
    Signer,
    act_of,
    holder_of,
    key_id,
    statements,
)  # fmt: skip
from stafett.ledger.event import Author, Draft, Submission
from stafett.ledger.passkey import Assertion


def vouched(by: Signer, person: str, public: bytes, reason: str) -> Submission:
    """Return the signed submission that makes a passkey (`public`, COSE) the person's key."""
    name = key_id(by.organisation, PASSKEY, public)
    body = {
        "organisation": by.organisation, "algorithm": PASSKEY, "public": note.encode(public),
        "key": name, "holder": holder_of(by.organisation, person, public), "reason": reason,
    }  # fmt: skip
    return by.sign(_about(by.organisation, REGISTERED, f"key.{name}", body))


def retired(by: Signer, key: str, reason: str) -> Submission:
    """Return the signed submission after which the passkey `key` signs nothing."""
    body = {"organisation": by.organisation, "key": key, "reason": reason}
    return by.sign(_about(by.organisation, RETIRED, f"key.{key}.retired", body))


def to_sign(submission: Submission, number: int) -> bytes:
    """Return the bytes of the `number`-th draft that a passkey signs. Raises NotCanonical."""
    return list(statements(submission))[number][1]


def signed(submission: Submission, number: int, public: bytes, given: Assertion) -> Submission:
    """Return the submission with the `number`-th draft signed by a passkey's assertion."""
    signature = {
        "act": act_of(submission.key, number), "alg": PASSKEY,
        "key": key_id(submission.author.organisation, PASSKEY, public),
        "value": given.signature, "credential": given.credential, "rp": given.rp,
        "authenticator_data": given.authenticator_data, "client_data": given.client_data,
    }  # fmt: skip
    drafts = list(submission.drafts)
    drafts[number] = structs.replace(drafts[number], signature=signature)
    return structs.replace(submission, drafts=drafts)


def _about(organisation: str, kind: str, key: str, body: dict[str, Any]) -> Submission:
    return Submission(
        stream=STREAM,
        expected_version=None,
        drafts=[Draft(kind, body, datetime.now(UTC))],
        audience=[EVERYONE],
        author=Author(organisation, None),
        key=key,
        request_hash=hashlib.sha256(key.encode()).digest(),
    )
