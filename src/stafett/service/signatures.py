"""Whether the signatures of a journey hold: computed again from what the record says.

A signature's digest is over the *content signed*: the command, the journey, the place in the record
that it follows, the meaning and the moment, in the canonical form of RFC 8785. The record keeps
that content beside the event (`signed` in the body). A signature holds when

1. the SHA-256 of that content is its digest;
2. the content says of the act exactly what the event says: nothing was signed but this;
3. it was signed at this place: for this journey, after the events that the signer had before them;
4. for a passkey: it signed the entry itself, as its author, with a key that the organisation has
   vouched for as this person's (see `stafett.ledger.author`). Where the signature brings a `proof`
   of its own (an onboarding's, and journeys' until November 2026), the assertion over the digest
   verifies with the public key in it.

A password leaves no proof of its own: such a signature is bound by 1-3 and by the record, whose
tree the tower signs and witnesses cosign. 21 CFR 11.70 (signature/record linking), 11.50
(manifestations), EU GMP Annex 11, 14. Pure: needs no database and no network.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from webauthn.helpers import base64url_to_bytes

from stafett.journey.command import Signature
from stafett.ledger import passkey
from stafett.ledger.attest import Personal
from stafett.ledger.author import PASSKEY, BadSignature, Key, Keys, holder_of, statement_of
from stafett.service.signing import digest_of

# From this moment on the content is kept beside the event (decision 90). What was signed before has
# its digest only. A record's times never go back (the verifier names where they do), so nothing can
# be added to one that has come further and pass for what is older.
KEPT_SINCE = "2026-11-26T00:00:00.000000Z"
EARLY = (
    "signed under an earlier form, which did not keep the content: it cannot be checked whether "
    "this is what was signed"
)
# What the event adds to, or calls otherwise than, the command.
_NOT_SIGNED = frozenset({"type", "signature", "signatures", "round"})
# An act may become several events; the signed one is among the first.
_NEAR = 50


@dataclass(frozen=True)
class Line:
    """An event of the record, as far as signatures are concerned."""

    position: int
    version: int
    organisation: str
    event: Mapping[str, Any]
    signed: Mapping[str, Any] | None
    key: Key | None = None
    """The key whose signature of the whole entry holds, where it is a passkey."""
    over: str = ""
    """SHA-256 of the bytes that it signed."""
    early: bool = False
    """Recorded while the content that was signed was not kept yet."""


def line(position: int, leaf: Mapping[str, Any], keys: Keys) -> Line:
    """Return an entry of the record as it is looked at here; `keys` are the authors'."""
    body, key, over = leaf["body"], None, passkey_over(leaf)
    if over:
        with contextlib.suppress(BadSignature):
            key = keys.check(leaf, position)
    return Line(
        position,
        leaf["version"],
        leaf["author"]["organisation"],
        body["event"],
        body.get("signed"),
        key,
        over,
        leaf["recorded_at"] < KEPT_SINCE,
    )


def passkey_over(leaf: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the bytes that a passkey signed; "" where none signed the entry."""
    signature = leaf.get("signature")
    if not isinstance(signature, Mapping) or signature.get("alg") != PASSKEY:
        return ""
    statement = statement_of(leaf, str(signature.get("act")))
    return f"sha256:{hashlib.sha256(statement).hexdigest()}"


class Checked(msgspec.Struct, frozen=True):
    """A signature as it is shown, and whether it holds: `why` not, if it does not.

    `by_key` says that a key of the signer's own proves it, and not the record alone.
    """

    position: int
    version: int
    kind: str
    about: str
    person: str
    name: str
    organisation: str
    meaning: str
    at: datetime
    method: str
    digest: str
    holds: bool
    by_key: bool
    why: str = ""
    over: str = ""
    """SHA-256 of the event's own bytes, where the person's passkey signed those."""
    early: bool = False
    """It neither holds nor is wrong: its form did not keep what was signed (`why` says so)."""


def check(journey: str, lines: Iterable[Line]) -> list[Checked]:
    """Return every signature of a journey's events, in order, each checked."""
    found = []
    for line in lines:
        given = line.event.get("signatures") or ()
        if isinstance(line.event.get("signature"), Mapping):
            given = (*given, line.event["signature"])
        for plain in given:
            found.append(_checked(journey, line, msgspec.convert(plain, Signature)))
    return found


def inspect(leaf: Mapping[str, Any], by: Key | None) -> list[Personal]:
    """Say of each signature in an entry of the record whether a key proves it, and why not.

    For the ledger's verifier, which knows nothing of journeys; other entries have none. `by` is the
    key whose signature of the entry holds. Whatever stands in an entry is told, never raised.
    """
    try:
        return _inspect(leaf, by)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        return [Personal(False, f"it cannot be read: {type(error).__name__}: {error}")]


def _inspect(leaf: Mapping[str, Any], by: Key | None) -> list[Personal]:
    body = leaf["body"]
    event = body.get("event")
    if isinstance(change := body.get("change"), Mapping):
        return _of_change(change)
    if isinstance(withdrawal := body.get("withdrawal"), Mapping):
        return [_of_withdrawal(withdrawal, leaf["author"])]
    if not isinstance(event, Mapping):
        return []
    found = Line(
        0,
        leaf["version"],
        leaf["author"]["organisation"],
        event,
        body.get("signed"),
        by,
        early=leaf["recorded_at"] < KEPT_SINCE,
    )
    try:
        return [Personal(o.by_key, o.why, o.early) for o in check(leaf["stream"], [found])]
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        return [Personal(False, f"it cannot be read: {error}")]


def _of_change(change: Mapping[str, Any]) -> list[Personal]:
    """Say the same of an administrator's change; only an erasure is signed: by both of two."""
    after = change.get("after")
    if not isinstance(after, Mapping) or "signature" not in after:
        return []
    found = [_part(change, after, after)]
    signed, first = after.get("signed"), after.get("asked")
    if isinstance(first, Mapping):
        found.append(_first(change, after, first))
    elif isinstance(signed, Mapping) and "asked" in signed:
        found.append(Personal(False, "the signature of the person who asked for it is missing"))
    return found


def _of_withdrawal(said: Mapping[str, Any], author: Mapping[str, Any]) -> Personal:
    """Say the same of who withdrew the file of a logger."""
    try:
        one, signed = msgspec.convert(said["signature"], Signature), dict(said["signed"])
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        return Personal(False, f"it cannot be read: {error}")
    digest = digest_of(signed)
    if one.digest != f"sha256:{digest.hex()}":
        return Personal(False, "the content has another digest than the one that was signed")
    by = {"organisation": author.get("organisation"), "person": author.get("person")}
    if signed.get("by") != by or one.person != by["person"]:
        return Personal(False, f"{one.person} signed what {by['person']} did")
    for field in ("organisation", "logger", "sha256", "read", "reason"):
        if signed.get(field) != said.get(field):
            return Personal(False, f"{field} is not what was signed")
    if signed.get("meaning") != one.meaning:
        return Personal(False, "another meaning was signed")
    why = key_says(one, digest)
    return Personal(one.method == "passkey" and not why, why)


def _first(
    change: Mapping[str, Any], after: Mapping[str, Any], first: Mapping[str, Any]
) -> Personal:
    """Say it of the signature of who asked, which who confirmed has signed too."""
    signature, signed = first.get("signature") or {}, after.get("signed") or {}
    if signature.get("person") == change.get("person"):
        return Personal(
            False, f"{change.get('person')} confirmed what they had asked for themselves"
        )
    if signed.get("asked") != signature.get("digest"):
        return Personal(False, "another request was confirmed than the one that stands here")
    return _part({**change, "person": signature.get("person")}, after, first)


def _part(change: Mapping[str, Any], after: Mapping[str, Any], by: Mapping[str, Any]) -> Personal:
    """Say it of one signature (`by`: it, and what was signed) of what the change did."""
    try:
        one, signed = msgspec.convert(by["signature"], Signature), dict(by["signed"])
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        return Personal(False, f"it cannot be read: {error}")
    digest, who = digest_of(signed), signed.get("by") or {}
    if one.digest != f"sha256:{digest.hex()}":
        return Personal(False, "the content has another digest than the one that was signed")
    if not who.get("person") == one.person == change.get("person"):
        return Personal(False, f"{one.person} signed what {change.get('person')} did")
    if signed.get("erases") != change.get("about"):
        return Personal(False, f"it was signed for another patient: {signed.get('erases')}")
    if signed.get("meaning") != one.meaning:
        return Personal(False, "another meaning was signed")
    for field in ("reason", "documents", "basis"):
        if signed.get(field) != {**change, **after, **(change.get("before") or {})}.get(field):
            return Personal(False, f"{field} is not what was signed")
    why = key_says(one, digest)
    return Personal(one.method == "passkey" and not why, why)


def _checked(journey: str, line: Line, one: Signature) -> Checked:
    event = line.event
    why = _wrong(journey, line, one)
    about = next(
        (str(event[k]) for k in ("step", "handoff", "decision", "activity", "deviation", "notice",
                                   "to")
         if event.get(k)), "",
    )  # fmt: skip
    return Checked(
        line.position,
        line.version,
        str(event.get("type")),
        about,
        one.person,
        one.name,
        line.organisation,
        one.meaning,
        one.at,
        one.method,
        one.digest,
        not why,
        one.method == "passkey" and not why,
        why,
        line.over if one.method == "passkey" and one.proof is None else "",
        early=why == EARLY,
    )


def _wrong(journey: str, line: Line, one: Signature) -> str:
    """Say what does not hold, or ""."""
    signed = line.signed
    if signed is None and line.early:
        return _early(one)
    if signed is None:
        return "the record does not hold the content that was signed"
    digest = digest_of(dict(signed))
    if one.digest != f"sha256:{digest.hex()}":
        return "the content has another digest than the one that was signed"
    if signed.get("journey") != journey:
        return f"it was signed for another journey: {signed.get('journey')}"
    after = signed.get("position")
    if not isinstance(after, int) or not after < line.version <= after + _NEAR:
        return f"it was signed after event {after}, and stands at {line.version}"
    by, event_by = dict(signed.get("by") or {}), dict(line.event.get("by") or {})
    if by.get("person") != one.person or event_by.get("person") != one.person:
        return f"{one.person} signed what {event_by.get('person')} did"
    if event_by.get("organisation") != line.organisation:
        return "the act is another organisation's than its author's"
    if signed.get("meaning") != one.meaning:
        return "another meaning was signed"
    if not _same(signed.get("signed_at"), one.at.isoformat()):
        return "it was signed at another time"
    for field in set(signed) & set(line.event) - _NOT_SIGNED:
        if not _same(signed[field], line.event[field]):
            return f"{field} is not what was signed"
    if one.method == "passkey" and one.proof is None:
        return _not_by_passkey(line, one)
    return key_says(one, digest)


def _early(one: Signature) -> str:
    """Say what can be said without the content: a passkey's proof is of the digest that stands."""
    try:
        digest = bytes.fromhex(one.digest.removeprefix("sha256:"))
    except ValueError:
        return "the content has another digest than the one that was signed"
    return key_says(one, digest) or EARLY


def _not_by_passkey(line: Line, one: Signature) -> str:
    """Say why the entry is not signed by this person's passkey; "" if it is."""
    if line.key is None or not line.key.is_persons:
        return "the passkey's proof is missing"
    if line.key.holder != holder_of(line.organisation, one.person, line.key.public):
        return f"the passkey that signed the event is not that of {one.person}"
    return ""


def key_says(one: Signature, digest: bytes) -> str:
    """Say why the passkey's proof of a signature does not hold over `digest`; "" if it does."""
    if one.proof is None:
        return "" if one.method != "passkey" else "the passkey's proof is missing"
    proof = one.proof
    assertion = passkey.Assertion(
        proof.credential, proof.authenticator_data, proof.client_data, proof.signature, proof.rp
    )
    try:
        public_key = base64url_to_bytes(proof.public_key)
    except ValueError as error:
        return f"the key cannot be read: {error}"
    return passkey.why_not(assertion, public_key, digest)


def _same(signed: Any, stated: Any) -> bool:
    """Compare two values; times by the moment and offset they name, lists by their elements."""
    if isinstance(signed, str) and isinstance(stated, str) and signed != stated:
        try:
            a, b = datetime.fromisoformat(signed), datetime.fromisoformat(stated)
        except ValueError:
            return False
        return a == b and a.utcoffset() == b.utcoffset()
    if isinstance(signed, list | tuple) and isinstance(stated, list | tuple):
        return list(signed) == list(stated)
    return bool(signed == stated)
