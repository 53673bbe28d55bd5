"""What one transaction of the sequencer makes of the submissions that are waiting: pure.

`prepare` does what needs no place in the ledger yet, in the submitter's own turn. `arrange` gives
each submission its place, in order of arrival, or its refusal.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from stafett.ledger import author, leaf, rows
from stafett.ledger.author import BadSignature, Keys
from stafett.ledger.canonical import NotCanonical, text
from stafett.ledger.event import (
    Author,
    Draft,
    InvalidSubmission,
    KeyReused,
    Receipt,
    Refused,
    StaleVersion,
    Submission,
)

NOTHING_AHEAD: Mapping[str, int] = {}
LONGEST_NAME = 1000  # characters; an index entry of PostgreSQL holds about 2,700 bytes


class Part(msgspec.Struct, gc=False):
    """A draft with everything written that does not depend on its place."""

    before: bytes  # the leaf up to recorded_at
    after: bytes  # the leaf from there to the version
    tail: bytes  # the end of its row, as `rows` writes it


class Prepared(msgspec.Struct):
    """A valid submission, ready to be given its place."""

    submission: Submission
    parts: tuple[Part, ...]
    key: bytes  # in UTF-8
    size: int  # bytes of all leaves, roughly
    signs: bool  # it is signed, or about the authors' keys
    refused: Refused | None = None  # the author's signature does not hold


class Shared(msgspec.Struct, gc=False):
    """What all submissions of one author to one audience have in common."""

    heading: bytes  # the leaf up to the body
    tail: bytes  # organisation, person and audience, as `rows` writes them


class Known(msgspec.Struct, gc=False):
    """What the ledger remembers of an idempotency key."""

    receipt: Receipt
    request_hash: bytes


@dataclass(slots=True)
class Arranged:
    """A batch with every place given, and the answers."""

    size: int  # the ledger's size after the batch
    recorded_at: datetime
    entries: list[bytes] = field(default_factory=list)  # the leaves
    leaf_hashes: list[bytes] = field(default_factory=list)  # as many
    wires: list[bytes] = field(default_factory=list)  # their rows, in pieces
    claims: list[bytes] = field(default_factory=list)  # rows of the keys, in pieces
    outcomes: list[Receipt | Refused] = field(default_factory=list)  # one per submission
    reached: dict[str, int] = field(default_factory=dict)  # new version of each stream touched

    def rows(self) -> tuple[rows.Rows, rows.Rows]:
        """Return what to send: the events, and the keys with what became of them."""
        keys = len(self.claims) // rows.CLAIM_PIECES
        return (
            rows.Rows(len(self.entries), b"".join(self.wires)),
            rows.Rows(keys, b"".join(self.claims)),
        )


def prepare(submission: Submission) -> Prepared:
    """Check and write a submission. Raises InvalidSubmission with what is wrong."""
    if not submission.drafts:
        raise InvalidSubmission("a submission needs at least one draft")
    name, stream = _stream(submission.stream)
    _check_text("key", submission.key)
    expected = submission.expected_version
    if expected is not None and expected < 0:
        raise InvalidSubmission(f"expected_version is {expected}; it can't be negative")
    try:
        shared = _shared(tuple(submission.audience), submission.author)
        heading, shared_tail = shared.heading, shared.tail
        parts = []
        size, signs = 0, submission.stream == author.STREAM
        for number, draft in enumerate(submission.drafts):
            at = draft.occurred_at
            if at.tzinfo is None:
                raise InvalidSubmission(f"drafts[{number}].occurred_at has no time zone")
            kind = _kind(draft.kind)
            before = heading + leaf.middle(draft)
            after = leaf.ending(draft, name)
            length = len(before) + len(after) + 27 + 20  # recorded_at, version
            if length > leaf.LONGEST:
                raise InvalidSubmission(
                    f"drafts[{number}] would be an entry of {length} bytes; at most {leaf.LONGEST}"
                    " fit: put the document in the document store and its hash in the body"
                )
            size += length
            tail = b"".join((rows.moment(at), kind, stream, shared_tail))
            parts.append(Part(before, after, tail))
            if draft.signature:
                signs = True
    except NotCanonical as error:
        raise InvalidSubmission(str(error)) from None
    return Prepared(submission, tuple(parts), submission.key.encode(), size, signs)


@functools.lru_cache(maxsize=16_384)
def _stream(name: str) -> tuple[bytes, bytes]:
    """Check a stream's name; write it as JSON and as a field."""
    _check_text("stream", name)
    return text(name), rows.text(name)


@functools.lru_cache(maxsize=1024)
def _kind(name: str) -> bytes:
    """Check an event's kind; write it as a field."""
    _check_text("kind", name)
    return rows.text(name)


@functools.lru_cache(maxsize=4096)
def _shared(audience: tuple[str, ...], by: Author) -> Shared:
    """Check and write audience and author."""
    if not audience:
        raise InvalidSubmission("the audience must name at least one organisation")
    for number, name in enumerate(audience):
        _check_text(f"audience[{number}]", name)
    _check_text("author.organisation", by.organisation)
    if by.person is not None:
        _check_text("author.person", by.person)
    readers = sorted(set(audience))
    return Shared(
        leaf.heading(readers, by),
        rows.text(by.organisation) + rows.text(by.person) + rows.texts(readers),
    )


def _check_text(where: str, value: str) -> None:
    if value and value.isascii() and value.isprintable() and len(value) <= LONGEST_NAME:
        return
    if not value:
        raise InvalidSubmission(f"{where} is empty")
    if "\0" in value:
        raise InvalidSubmission(f"{where} holds a NUL character, which PostgreSQL can't store")
    if len(value) > LONGEST_NAME:
        raise InvalidSubmission(
            f"{where} has {len(value)} characters; at most {LONGEST_NAME} are allowed"
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidSubmission(f"{where} is not valid Unicode text") from None


def check_authors(batch: Iterable[Prepared], keys: Keys) -> bool:
    """Mark what is refused for its author's signature; return whether there are new keys in it.

    `keys` is not changed: what a batch teaches holds for what stands behind it in the batch.
    """
    learnt: Keys | None = None
    for prepared in batch:
        prepared.refused = None
        if not (prepared.signs or keys.known or learnt):
            continue
        submission = prepared.submission
        try:
            for number, (draft, part) in enumerate(
                zip(submission.drafts, prepared.parts, strict=True)
            ):
                if submission.stream == author.STREAM:
                    learnt = learnt or keys.copy()
                    signed = _statement(prepared, part, number)
                    learnt.learn(_as_leaf(submission, draft), 0, signed)
                elif draft.signature is not None or (learnt or keys).active(
                    submission.author.organisation
                ):
                    _check_author(learnt or keys, prepared, part, number)
        except author.BadKey as error:
            prepared.refused = BadSignature(str(error))
        except BadSignature as error:
            prepared.refused = error
    return learnt is not None


def _check_author(keys: Keys, prepared: Prepared, part: Part, number: int) -> None:
    submission = prepared.submission
    draft = submission.drafts[number]
    act = author.act_of(submission.key, number)
    if draft.signature is not None and draft.signature.get("act") != act:
        raise BadSignature(f"the signature is for the act {draft.signature.get('act')!r}")
    keys.check(_as_leaf(submission, draft), None, _statement(prepared, part, number))


def _statement(prepared: Prepared, part: Part, number: int) -> bytes:
    submission = prepared.submission
    act = author.act_of(submission.key, number)
    return author.statement(part.before, text(submission.stream), act)


def _as_leaf(submission: Submission, draft: Draft) -> dict[str, Any]:
    """Return what of the leaf the keys look at; the statement is there already."""
    return {
        "author": {
            "organisation": submission.author.organisation,
            "person": submission.author.person,
        },
        "body": draft.body,
        "kind": draft.kind,
        "signature": draft.signature,
        "stream": submission.stream,
    }


def arrange(
    batch: Iterable[Prepared],
    known: Mapping[str, Known],
    versions: Mapping[str, int],
    size: int,
    recorded_at: datetime,
    ahead: Mapping[str, int] = NOTHING_AHEAD,
) -> Arranged:
    """Give each submission of `batch` its place after the first `size` events, or its refusal.

    `known` holds what the ledger has for the batch's keys, `versions` the current version of every
    stream in the batch, `ahead` those that are newer because of what has been sent before it.
    Submissions see those before them in the same batch.
    """
    out = Arranged(size, recorded_at)
    in_batch: dict[str, Known] = {}
    stamp = leaf.timestamp(recorded_at)
    entries, hashes, wires, claims = out.entries, out.leaf_hashes, out.wires, out.claims
    outcomes, reached = out.outcomes, out.reached
    for prepared in batch:
        submission = prepared.submission
        key, stream = submission.key, submission.stream
        earlier = in_batch.get(key) or known.get(key)
        if earlier is not None:
            same = earlier.request_hash == submission.request_hash
            outcomes.append(replace(earlier.receipt, replayed=True) if same else KeyReused(key))
            continue
        if prepared.refused is not None:
            outcomes.append(prepared.refused)
            continue
        version = reached.get(stream) or ahead.get(stream) or versions.get(stream, 0)
        expected = submission.expected_version
        if expected is not None and expected != version:
            outcomes.append(StaleVersion(stream, expected, version))
            continue
        first = len(hashes) + 1
        for part in prepared.parts:
            version += 1
            entry = b"%b%b%b%d}" % (part.before, stamp, part.after, version)
            hashed = leaf.leaf_hash(entry)
            entries.append(entry)
            hashes.append(hashed)
            wires += rows.entry(version, hashed, entry, part.tail)
        reached[stream] = version
        count = len(prepared.parts)
        own = tuple(hashes[-count:])
        receipt = Receipt(key, stream, size + first, count, version, recorded_at, own)
        in_batch[key] = Known(receipt, submission.request_hash)
        outcomes.append(receipt)
        claims += rows.claim(prepared.key, submission.request_hash, size + first, count)
    out.size += len(entries)
    return out
