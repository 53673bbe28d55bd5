"""Captured events as rows: one buffer in PostgreSQL's binary COPY format for a whole batch."""

from __future__ import annotations

import hashlib
import struct
import uuid
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from stafett.exchange.epcis_facts import Facts, digest, facts
from stafett.ledger.binarycopy import HEADER, NULL, TRAILER, data, int4, int8

Json = dict[str, Any]

_UUID_OID: Final = 2950
_PG_EPOCH: Final = 946_684_800_000_000  # 2000-01-01 in microseconds since 1970
_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="sorted").encode
_U16: Final = struct.pack(">i", 16)
_EVENT: Final = struct.pack(">h", 11)
_NUMBER: Final = struct.pack(">h", 3)
_float8 = struct.Struct(">id").pack
_array = struct.Struct(">iiiiii").pack

EVENT_COLUMNS: Final = (
    "seq, identity, content, owner, job, context, event_time, record_time, error_time, keys, body"
)


class Row(msgspec.Struct):
    """One event ready for the store; `place` is its index in the captured document.

    `own` is the event's own `@context`, where it has one besides the document's.
    """

    event: Json
    facts: Facts
    identity: bytes
    content: bytes
    body: bytes
    place: int
    context: int = 0
    own: Any = None


def row_of(event: Json, prefixes: dict[str, str], place: int = 0, owner: str = "") -> Row:
    """Prepare one valid event: its facts, its identity and its bytes.

    An event without eventID gets one made from its content (a version 8 UUID), so that the same
    document sent twice is recognised. Each organisation's captures are told apart: what one of them
    captured neither hides nor blocks another's copy. The record time is the server's and not kept
    from outside.
    """
    own = event.get("@context")
    if "recordTime" in event or "@context" in event:
        event = {k: v for k, v in event.items() if k not in ("recordTime", "@context")}
    content = hashlib.blake2b(_canonical(event), digest_size=16).digest()
    if "eventID" not in event:
        name = uuid.UUID(bytes=content[:6] + bytes([0x80 | content[6] & 15, content[7],
                         0x80 | content[8] & 63]) + content[9:])  # fmt: skip
        event = {**event, "eventID": f"urn:uuid:{name}"}
    found = facts(event, prefixes)
    key = f"event|{owner}|{event['eventID']}"
    if "errorDeclaration" in event:
        key = f"error|{owner}|{event['eventID']}|{_canonical(event['errorDeclaration']).decode()}"
    identity = hashlib.blake2b(key.encode(), digest_size=16).digest()
    return Row(event, found, identity, content, _encode(event), place, own=own)


def _time(micros: int | None) -> bytes:
    return NULL if micros is None else int8(micros - _PG_EPOCH)


def _uuids(values: Iterable[bytes]) -> bytes:
    items = [_U16 + v for v in values]
    body = b"".join(items)
    return _array(20 + len(body), 1, 0, _UUID_OID, len(items), 1) + body


def events_copy(rows: list[Row], first: int, owner: str, job: uuid.UUID, recorded: int) -> bytes:
    """Write the rows of `exchange.epcis_event`, numbered from `first`; `recorded` in µs."""
    by, work, when = data(owner.encode()), _U16 + job.bytes, _time(recorded)
    out = [HEADER]
    for seq, row in enumerate(rows, first):
        found = row.facts
        out += (
            _EVENT, int8(seq), _U16, row.identity, _U16, row.content, by, work,
            int4(row.context), _time(found.event_time), when, _time(found.error_time),
            _uuids(map(digest, found.tokens)), data(row.body),
        )  # fmt: skip
    out.append(TRAILER)
    return b"".join(out)


def numbers_copy(rows: list[Row], first: int) -> bytes | None:
    """Write the rows of `exchange.epcis_number`, or None if no event holds a number."""
    out = [HEADER]
    for seq, row in enumerate(rows, first):
        for name, value in set(row.facts.numbers):
            out += (_NUMBER, _U16, digest(name), _float8(8, value), int8(seq))
    if len(out) == 1:
        return None
    out.append(TRAILER)
    return b"".join(out)
