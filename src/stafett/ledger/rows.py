"""Rows of a batch as PostgreSQL arrays of composite values in binary form, each one joined buffer.

The types are `ledger.entry` and `ledger.claim` (migration ledger_0006). What of a row does not
depend on its place in the ledger is written before its turn comes; joining the pieces of a whole
row costs a third of writing its columns one by one. Source of the form: `record_send` in
PostgreSQL's src/backend/utils/adt/rowtypes.c and `array_send` in arrayfuncs.c; the values are those
of binary COPY (see `binarycopy`). A text's number of bytes, like every number here, has four bytes.
"""

from __future__ import annotations

import struct
from datetime import datetime

import msgspec
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

from stafett.ledger import binarycopy as copy

# Type numbers: src/include/catalog/pg_type.dat
BYTEA, INT8, INT4, TEXT, TEXTS, TIMESTAMPTZ = 17, 20, 23, 25, 1009, 1184
ENTRY_FIELDS, CLAIM_FIELDS = 9, 4
CLAIM_PIECES = 5

_field = struct.Struct(">i").pack
_moment = struct.Struct(">iiq").pack
_array = struct.Struct(">iiiii").pack
_empty = struct.Struct(">iii").pack
_int4s = struct.Struct(">ii").pack
# What never changes is packed once: a number costs as much each time as bytes do.
_ENTRY = struct.Struct(">i 12s q 8s 32s 4s i")  # length; version; leaf_hash; length of the leaf
_VERSION = _empty(ENTRY_FIELDS, INT8, 8)
_HASH, _LEAF = _int4s(BYTEA, 32), _field(BYTEA)
_entry = _ENTRY.pack
_CLAIM = struct.Struct(">i 8s i")  # length; length of the key
_KEY = _int4s(CLAIM_FIELDS, TEXT)
_claim = _CLAIM.pack
_PLACE = struct.Struct(">8s q 8s i")  # first position; count
_FIRST, _COUNT = _int4s(INT8, 8), _int4s(INT4, 4)
_place = _PLACE.pack
_REST_OF_CLAIM = _CLAIM.size - 4 + 8 + _PLACE.size


class Rows(msgspec.Struct):
    """So many rows, one behind the other."""

    count: int
    body: bytes

    def array(self, oid: int) -> Array:
        """Return them as an array of the type whose number in this database is `oid`."""
        head = _array(1, 0, oid, self.count, 1) if self.count else _empty(0, 0, oid)
        return Array(head + self.body)


class Array(msgspec.Struct):
    """An array as it is sent; what it is of is said where it is cast."""

    wire: bytes


class _Sender(Dumper):
    format = Format.BINARY
    oid = 0

    def dump(self, obj: Array) -> bytes:
        return obj.wire


psycopg.adapters.register_dumper(Array, _Sender)


def text(value: str | None) -> bytes:
    """Write a field of text, or null."""
    return _field(TEXT) + copy.text(value)


def texts(values: list[str]) -> bytes:
    """Write a field of text[] (not empty)."""
    return _field(TEXTS) + copy.texts(values)


def moment(value: datetime) -> bytes:
    """Write a field of timestamptz: an aware time."""
    return _moment(TIMESTAMPTZ, 8, copy.microseconds(value))


def entry(version: int, leaf_hash: bytes, leaf: bytes, tail: bytes) -> tuple[bytes, bytes, bytes]:
    """Write a `ledger.entry`, in pieces.

    `tail` are the fields occurred_at, kind, stream, organisation, person and audience.
    """
    length = len(leaf)
    whole = _ENTRY.size - 4 + length + len(tail)
    return _entry(whole, _VERSION, version, _HASH, leaf_hash, _LEAF, length), leaf, tail


def claim(
    key: bytes, request_hash: bytes, first: int, count: int
) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Write a `ledger.claim`, in pieces; `key` is UTF-8."""
    length, request = len(key), len(request_hash)
    return (
        _claim(_REST_OF_CLAIM + length + request, _KEY, length), key,
        _int4s(BYTEA, request), request_hash,
        _place(_FIRST, first, _COUNT, count),
    )  # fmt: skip
