"""The leaf of an event: the bytes that are hashed into the tree, and back.

A leaf is the RFC 8785 form of one JSON object:

    {"audience": ["org-a", "org-b"],            sorted, without repeats
     "author": {"organisation": ..., "person": text or null},
     "body": {...},                             the event itself
     "kind": text,
     "leaf": 1,                                 the version of this format
     "occurred_at": RFC 3339, offset as given,
     "recorded_at": RFC 3339 in UTC,
     "salt": 32 hexadecimal digits, random,     so that the hash gives nothing away
     "signature": {...},                        only where the author signed
     "stream": text,
     "version": number}

Its hash is SHA-256(0x00 || leaf) (RFC 6962 section 2.1). The position is not in it: a leaf's place
in the tree says it. The salt makes the hash a hiding commitment: who may not read the entry can't
test guesses of its content either.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec

from stafett.ledger.canonical import canonical, text
from stafett.ledger.event import Author, Draft, Event

FORMAT = 1
SALTS = 256
LONGEST = 65_535  # bytes; C2SP tlog-tiles gives an entry's length in 16 bits


class BadLeaf(ValueError):
    """Stored bytes that are not a leaf of this format."""


class _Author(msgspec.Struct):
    organisation: str
    person: str | None


class _Leaf(msgspec.Struct):
    audience: tuple[str, ...]
    author: _Author
    body: dict[str, Any]
    kind: str
    leaf: int
    occurred_at: datetime
    recorded_at: datetime
    salt: str
    stream: str
    version: int
    signature: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Leaf).decode
_encode = msgspec.json.Encoder().encode


def leaf_hash(leaf: bytes) -> bytes:
    """Return the RFC 6962 leaf hash, 32 bytes."""
    return sha256(b"\x00" + leaf).digest()


def heading(audience: Iterable[str], author: Author) -> bytes:
    """Write the part before the body, which all drafts of a submission share."""
    who = canonical({"organisation": author.organisation, "person": author.person})
    return b'{"audience":%b,"author":%b,"body":' % (canonical(sorted(set(audience))), who)


def middle(draft: Draft) -> bytes:
    """Write the part from the body to `recorded_at`, which needs no place yet."""
    at = draft.occurred_at
    # msgspec writes the same in a quarter of the time, but UTC as Z.
    occurred = _encode(at)[1:-2] + b"+00:00" if at.tzinfo is UTC else at.isoformat().encode()
    return b"".join((canonical(draft.body), _kind(draft.kind), occurred, b'","recorded_at":"'))


@functools.lru_cache(maxsize=1024)
def _kind(name: str) -> bytes:
    """Write the part from the kind to `occurred_at`."""
    return b',"kind":%b,"leaf":%d,"occurred_at":"' % (text(name), FORMAT)


def ending(draft: Draft, stream: bytes) -> bytes:
    """Write the part from the salt to the version's key; draws the salt. `stream` is JSON."""
    signed = b"" if draft.signature is None else b'"signature":%b,' % canonical(draft.signature)
    return b'","salt":"%b",%b"stream":%b,"version":' % (_salt(), signed, stream)


_salts: list[bytes] = []


def _salt() -> bytes:
    """Return 32 hexadecimal digits at random, drawn for many leaves at once: each is used once."""
    try:
        return _salts.pop()
    except IndexError:
        drawn = os.urandom(16 * SALTS).hex().encode()
        _salts.extend(drawn[at : at + 32] for at in range(0, len(drawn), 32))
        return _salts.pop()


os.register_at_fork(after_in_child=_salts.clear)  # else two processes would use the same


def timestamp(moment: datetime) -> bytes:
    """Write an aware time in UTC with microseconds, as RFC 3339."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6].encode() + b"Z"


def read(position: int, leaf: bytes, hashed: bytes) -> Event:
    """Return the event that stored bytes stand for. Raises BadLeaf."""
    try:
        found = _decode(leaf)
    except msgspec.DecodeError as error:
        raise BadLeaf(f"position {position}: {error}") from None
    if found.leaf != FORMAT:
        raise BadLeaf(f"position {position}: leaf format {found.leaf} is not known")
    return Event(
        position=position,
        stream=found.stream,
        version=found.version,
        kind=found.kind,
        body=found.body,
        audience=found.audience,
        author=Author(found.author.organisation, found.author.person),
        occurred_at=found.occurred_at,
        recorded_at=found.recorded_at,
        leaf=leaf,
        leaf_hash=hashed,
        signature=found.signature,
    )
