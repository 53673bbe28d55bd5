"""The values that go into the ledger and come out of it. The ledger knows nothing of therapies.

They are msgspec's structs: making one takes a fifth of what a frozen dataclass takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec


class Author(msgspec.Struct, frozen=True):
    """Who answers for an event: an organisation and, unless a machine wrote it, a person in it."""

    organisation: str
    person: str | None = None


class Draft(msgspec.Struct, frozen=True):
    """An event that has no place yet.

    `body` is any JSON object (RFC 8785 must be able to write it). `occurred_at` is aware; its
    offset is kept. `signature` is the author's, if there is one: whatever JSON object the signing
    scheme writes; it becomes part of the leaf.
    """

    kind: str
    body: Mapping[str, Any]
    occurred_at: datetime
    signature: Mapping[str, Any] | None = None


class Submission(msgspec.Struct, frozen=True):
    """Drafts that become events together or not at all, in one stream.

    `expected_version` is the stream's version (its number of events) that the decision was made on,
    0 for a new stream, None for "whatever it is now". `audience` are the organisations that may
    read the events. `key` is made by the client and names this submission for good; the same key
    with the same `request_hash` (any bytes that tell two requests apart) gets the same answer.
    """

    stream: str
    expected_version: int | None
    drafts: Sequence[Draft]
    audience: Sequence[str]
    author: Author
    key: str
    request_hash: bytes


class Receipt(msgspec.Struct, frozen=True):
    """The durable answer to a submission.

    `leaf_hashes` are those of its events, in order. `replayed` says that the events were there
    already: the key was used before. `acceptance` is the host's signed word for all this, where it
    signs (see `acceptance`).
    """

    key: str
    stream: str
    first_position: int
    count: int
    version: int
    recorded_at: datetime
    leaf_hashes: tuple[bytes, ...]
    replayed: bool = False
    acceptance: str = ""

    @property
    def positions(self) -> range:
        """The global positions of the events, in the order of the drafts."""
        return range(self.first_position, self.first_position + self.count)


class Event(msgspec.Struct, frozen=True):
    """An event as the ledger holds it.

    `position` is its place among all events (1, 2, 3, ... without gaps; the leaf index of the
    Merkle tree plus one), `version` its place in its stream. `leaf` are the bytes that
    `leaf_hash` (RFC 6962) commits to; all other fields but the position can be read from them.
    """

    position: int
    stream: str
    version: int
    kind: str
    body: dict[str, Any]
    audience: tuple[str, ...]
    author: Author
    occurred_at: datetime
    recorded_at: datetime
    leaf: bytes
    leaf_hash: bytes
    signature: dict[str, Any] | None = None


class Refused(Exception):
    """The submission was not appended and, as it stands, never will be."""


class InvalidSubmission(Refused, ValueError):
    """The submission can't be written: which part, and why."""


class StaleVersion(Refused):
    """The stream has moved on since the decision was made: read it again and decide again."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        self.stream, self.expected, self.actual = stream, expected, actual
        super().__init__(f"stream {stream}: expected version {expected}, it is at {actual}")


class KeyReused(Refused):
    """The idempotency key belongs to another request."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"idempotency key {key} was used before for another request")


class NotAcknowledged(Exception):
    """No answer in time. The submission was never sent to the database: it is not there."""

    def __init__(self, key: str, why: str) -> None:
        self.key = key
        super().__init__(f"submission {key}: {why}")


class InDoubt(NotAcknowledged):
    """No answer in time, and the submission may have been made durable.

    Ask `outcome_of(key)` later, or submit again with the same key.
    """
