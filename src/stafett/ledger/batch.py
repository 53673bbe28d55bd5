"""What one transaction of the sequencer makes of the submissions that are waiting: pure.

`prepare` does what needs no place in the ledger yet, in the submitter's own turn. `arrange` gives
each submission its place, in order of arrival, or its refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from stafett.ledger import binarycopy as copy
from stafett.ledger import leaf
from stafett.ledger.canonical import NotCanonical
from stafett.ledger.event import (
    InvalidSubmission,
    KeyReused,
    Receipt,
    Refused,
    StaleVersion,
    Submission,
)

_EVENT_COLUMNS = 11
EVENT_COPY = (
    "COPY ledger.event_store (position, recorded_at, version, leaf_hash, leaf, occurred_at, kind,"
    " stream, organisation, person, audience) FROM STDIN (FORMAT BINARY)"
)
SUBMISSION_COPY = (
    "COPY ledger.submission (first_position, count, version, recorded_at, key, request_hash,"
    " stream) FROM STDIN (FORMAT BINARY)"
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A valid submission with everything written that does not depend on its place."""

    submission: Submission
    # per draft: leaf before recorded_at, leaf between recorded_at and version, columns of its own
    parts: tuple[tuple[bytes, bytes, bytes], ...]
    columns: bytes  # of the event table, the same for all drafts
    identity: bytes  # columns of the submission table
    size: int  # bytes of all leaves, roughly


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger remembers of an idempotency key."""

    receipt: Receipt
    request_hash: bytes


@dataclass(slots=True)
class Arranged:
    """A batch with every place given."""

    events: bytearray = field(default_factory=lambda: bytearray(copy.HEADER))
    submissions: bytearray = field(default_factory=lambda: bytearray(copy.HEADER))
    leaf_hashes: list[bytes] = field(default_factory=list)
    outcomes: list[Receipt | Refused] = field(default_factory=list)  # one per submission
    versions: dict[str, int] = field(default_factory=dict)  # new version of each stream touched
    size: int = 0


def prepare(submission: Submission) -> Prepared:
    """Check and write a submission. Raises InvalidSubmission with what is wrong."""
    _check_names(submission)
    audience = sorted(set(submission.audience))
    author = submission.author
    try:
        before = leaf.heading(audience, author)
        parts = []
        for number, draft in enumerate(submission.drafts):
            if draft.occurred_at.utcoffset() is None:
                raise InvalidSubmission(f"drafts[{number}].occurred_at has no time zone")
            _check_text(f"drafts[{number}].kind", draft.kind)
            parts.append(
                (
                    before + leaf.middle(draft),
                    leaf.ending(draft, submission.stream),
                    copy.timestamptz(draft.occurred_at) + copy.text(draft.kind),
                )
            )
            longest = len(parts[-1][0]) + len(parts[-1][1]) + 27 + 20
            if longest > leaf.LONGEST:
                raise InvalidSubmission(
                    f"drafts[{number}] would be an entry of {longest} bytes; at most {leaf.LONGEST}"
                    " fit: put the document in the document store and its hash in the body"
                )
        columns = copy.text(submission.stream) + copy.text(author.organisation)
        columns += copy.text(author.person) + copy.texts(audience)
        identity = copy.text(submission.key) + copy.data(submission.request_hash)
        identity += copy.text(submission.stream)
    except NotCanonical as error:
        raise InvalidSubmission(str(error)) from None
    size = sum(len(a) + len(b) for a, b, _ in parts)
    return Prepared(submission, tuple(parts), columns, identity, size)


def _check_names(submission: Submission) -> None:
    if not submission.drafts:
        raise InvalidSubmission("a submission needs at least one draft")
    if not submission.audience:
        raise InvalidSubmission("the audience must name at least one organisation")
    _check_text("stream", submission.stream)
    _check_text("key", submission.key)
    _check_text("author.organisation", submission.author.organisation)
    if submission.author.person is not None:
        _check_text("author.person", submission.author.person)
    for number, name in enumerate(submission.audience):
        _check_text(f"audience[{number}]", name)
    expected = submission.expected_version
    if expected is not None and expected < 0:
        raise InvalidSubmission(f"expected_version is {expected}; it can't be negative")


def _check_text(where: str, value: str) -> None:
    if not value:
        raise InvalidSubmission(f"{where} is empty")
    if "\0" in value:
        raise InvalidSubmission(f"{where} holds a NUL character, which PostgreSQL can't store")
    if len(value) > 1000:  # an index entry of PostgreSQL holds about 2,700 bytes
        raise InvalidSubmission(f"{where} has {len(value)} characters; at most 1,000 are allowed")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidSubmission(f"{where} is not valid Unicode text") from None


def arrange(
    batch: Iterable[Prepared],
    known: Mapping[str, Known],
    versions: Mapping[str, int],
    size: int,
    recorded_at: datetime,
) -> Arranged:
    """Give each submission of `batch` its place after the first `size` events, or its refusal.

    `known` holds what the ledger has for the batch's keys, `versions` the current version of every
    stream in the batch. Submissions see those before them in the same batch.
    """
    out = Arranged(size=size)
    in_batch: dict[str, Known] = {}
    stamp = leaf.timestamp(recorded_at)
    time_column = copy.timestamptz(recorded_at)
    for prepared in batch:
        submission = prepared.submission
        earlier = known.get(submission.key) or in_batch.get(submission.key)
        if earlier is not None:
            same = earlier.request_hash == submission.request_hash
            out.outcomes.append(
                replace(earlier.receipt, replayed=True) if same else KeyReused(submission.key)
            )
            continue
        stream = submission.stream
        version = out.versions.get(stream)
        if version is None:
            version = versions.get(stream, 0)
        expected = submission.expected_version
        if expected is not None and expected != version:
            out.outcomes.append(StaleVersion(stream, expected, version))
            continue
        first = out.size + 1
        for head, tail, own in prepared.parts:
            out.size += 1
            version += 1
            bytes_ = b"%b%b%b%d}" % (head, stamp, tail, version)
            hashed = leaf.leaf_hash(bytes_)
            out.leaf_hashes.append(hashed)
            out.events += copy.row(
                (
                    copy.int8(out.size),
                    time_column,
                    copy.int8(version),
                    copy.data(hashed),
                    copy.data(bytes_),
                    own,
                    prepared.columns,
                ),
                _EVENT_COLUMNS,
            )
        out.versions[stream] = version
        count = len(prepared.parts)
        receipt = Receipt(submission.key, stream, first, count, version, recorded_at)
        numbers = copy.int8(first) + copy.int4(count) + copy.int8(version)
        out.submissions += copy.row((numbers, time_column, prepared.identity), 7)
        in_batch[submission.key] = Known(receipt, submission.request_hash)
        out.outcomes.append(receipt)
    out.events += copy.TRAILER
    out.submissions += copy.TRAILER
    return out
