"""What a decision leaves in the record: its events, under one key, with the answer to give.

The same key with the same request gives the same answer, however often it comes; with another
request it is refused.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import msgspec

from stafett.journey import event as events
from stafett.journey.command import Command
from stafett.ledger import (
    Author,
    Draft,
    InvalidSubmission,
    KeyReused,
    Ledger,
    NotAcknowledged,
    Receipt,
    Submission,
)
from stafett.ledger.author import BadSignature
from stafett.ledger.canonical import NotCanonical, canonical
from stafett.service.refusal import No, Reason
from stafett.service.signing import ToSign

# What the tower's own keys begin with. A client who used one first would keep what it stands for (a
# limit that passed, an expiry, the end of a stolen passkey) out of the record.
TOWERS = (
    "watch.", "light.", "loggerfile.", "readings.", "key.", "onboarding.", "practice.", "registry.",
)  # fmt: skip


class Done(msgspec.Struct, frozen=True):
    """The answer to a command that was accepted: durable, and where it stands in the record.

    `acceptance` is the host's signed word for it (see stafett.ledger.acceptance).
    """

    journey: str
    position: int
    version: int
    recorded_at: datetime
    events: tuple[dict[str, Any], ...] = ()
    replayed: bool = False
    acceptance: str = ""


def written(
    key: str,
    hashed: bytes,
    journey: str,
    version: int,
    made: tuple[events.Event, ...],
    command: Command,
    parties: dict[str, str],
    head: dict[str, Any] | None = None,
    signed: ToSign | None = None,
) -> Submission:
    """Write what was made of `command` on the state at `version`; the `parties` may read it."""
    drafts = []
    for one in made:
        body = {**(head or {}), "event": events.to_json(one)}
        if signed is not None and _signs(one):
            body["signed"] = signed.value  # the very content that the signature is over
        drafts.append(Draft(type(one).__name__, body, one.occurred_at))
    return Submission(
        stream=journey,
        expected_version=version,
        drafts=drafts,
        audience=sorted(set(parties.values())),
        author=Author(command.by.organisation, command.by.person),
        key=key,
        request_hash=hashed,
    )


def signed_draft(submission: Submission) -> int:
    """Return which draft carries the person's signature: an act has one."""
    return next(n for n, draft in enumerate(submission.drafts) if "signed" in draft.body)


async def append(ledger: Ledger, submission: Submission) -> Receipt:
    """Append. Raises StaleVersion where the journey moved on, No for what cannot be recorded."""
    key = submission.key
    try:
        return await ledger.append(submission)
    except KeyReused:
        raise _reused(key) from None
    except InvalidSubmission as error:
        raise No(
            "not-recordable",
            "The record cannot hold this",
            Reason("command", str(error), "shorten it: long texts belong in a document"),
        ) from None
    except BadSignature:  # the passkey was taken away a moment ago
        reason = Reason("passkey", "this passkey is not known here", "sign again")
        raise No("signature", "The signature does not hold", reason) from None
    except NotAcknowledged as error:
        raise unreached(error) from None


def of_client(key: str) -> str:
    """Return a key that a client made. Raises No where it is of the tower's own kind."""
    if key.startswith(TOWERS):
        what = f"keys that begin with {key.partition('.')[0]}. are the tower's own"
        raise No("bad-value", "This key is not a client's", Reason("key", what, "make a new key"))
    return key


async def already(ledger: Ledger, key: str, hashed: bytes) -> Done | None:
    """Return the earlier answer to this very request, if there was one."""
    try:
        receipt = await ledger.outcome_of(key, hashed)
    except KeyReused:
        raise _reused(key) from None
    return None if receipt is None else done(receipt, (), replayed=True)


def unreached(error: NotAcknowledged) -> No:
    """Return what somebody is told who may have to send again."""
    return No(
        "not-acknowledged",
        "The record could not be reached in time",
        Reason("key", str(error), "send the same request again, with the same key"),
    )


def _signs(event: events.Event) -> bool:
    return bool(getattr(event, "signatures", ()) or getattr(event, "signature", None))


def digest(value: dict[str, Any]) -> bytes:
    """Return the hash of what was asked. Raises No for what has no canonical form."""
    try:
        return hashlib.sha256(canonical(msgspec.to_builtins(value))).digest()
    except NotCanonical as error:
        todo = "whole numbers must lie within ±(2^53 - 1)"
        raise No("bad-value", "The body does not fit", Reason("", str(error), todo)) from None


def _reused(key: str) -> No:
    return No(
        "key-reused",
        "This key belongs to another request",
        Reason("key", f"{key!r} was used before with a different body", "make a new key"),
    )


def done(receipt: Receipt, made: tuple[events.Event, ...], *, replayed: bool = False) -> Done:
    """Return the answer that a receipt stands for."""
    return Done(
        receipt.stream,
        receipt.first_position + receipt.count - 1,
        receipt.version,
        receipt.recorded_at,
        tuple(events.to_json(one) for one in made),
        replayed or receipt.replayed,
        receipt.acceptance,
    )
