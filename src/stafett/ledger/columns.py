"""Columns of a batch as PostgreSQL arrays in binary form, each one joined buffer.

Handing the driver one Python object for each value costs ten times as much. Source of the form:
`array_send` in PostgreSQL's src/backend/utils/adt/arrayfuncs.c; the values are those of binary COPY
(see `binarycopy`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import chain, repeat

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_head = struct.Struct(">iiiii").pack
_empty = struct.Struct(">iii").pack
_length = struct.Struct(">i").pack
_int4 = struct.Struct(">ii").pack
_int8 = struct.Struct(">iq").pack


class Column:
    """A one-dimensional array whose values are written by `binarycopy`."""

    __slots__ = ("wire",)
    element_oid: int

    def __init__(self, count: int, values: Iterable[bytes]) -> None:
        """Join `count` values; `wire` is the array's binary form."""
        oid = self.element_oid
        head = _head(1, 1, oid, count, 1) if count else _empty(0, 0, oid)
        self.wire = b"".join((head, *values))


class Bytes(Column):
    """bytea[]"""

    __slots__ = ()
    element_oid = 17


class Int8s(Column):
    """bigint[]"""

    __slots__ = ()
    element_oid = 20


class Int4s(Column):
    """integer[]"""

    __slots__ = ()
    element_oid = 23


class Texts(Column):
    """text[]"""

    __slots__ = ()
    element_oid = 25


class Times(Column):
    """timestamptz[]"""

    __slots__ = ()
    element_oid = 1184


class Dates(Column):
    """date[]"""

    __slots__ = ()
    element_oid = 1082


def dates(days: Sequence[int]) -> Dates:
    """Write a date[] of days since 2000-01-01."""
    return Dates(len(days), map(_int4, repeat(4), days))


def int4s(values: Sequence[int]) -> Int4s:
    """Write an integer[]. This and the next two do it value by value in C."""
    return Int4s(len(values), map(_int4, repeat(4), values))


def int8s(values: Sequence[int]) -> Int8s:
    """Write a bigint[]."""
    return Int8s(len(values), map(_int8, repeat(8), values))


def data(values: Sequence[bytes]) -> Bytes:
    """Write a bytea[]."""
    lengths = map(_length, map(len, values))
    return Bytes(len(values), chain.from_iterable(zip(lengths, values, strict=True)))


def _send_as(kind: type[Column], array_oid: int) -> None:
    """Teach psycopg to send `kind` as it is written."""

    class Sender(Dumper):
        format = Format.BINARY
        oid = array_oid

        def dump(self, obj: Column) -> bytes:
            return obj.wire

    psycopg.adapters.register_dumper(kind, Sender)


# Type numbers: src/include/catalog/pg_type.dat
for _kind, _oid in (
    (Bytes, 1001), (Int4s, 1007), (Int8s, 1016), (Texts, 1009), (Times, 1185), (Dates, 1182)
):  # fmt: skip
    _send_as(_kind, _oid)
