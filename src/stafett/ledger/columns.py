"""Columns of a batch as PostgreSQL arrays in binary form, each one joined buffer.

Handing the driver one Python object for each value costs ten times as much. Source of the form:
`array_send` in PostgreSQL's src/backend/utils/adt/arrayfuncs.c; the values are those of binary COPY
(see `binarycopy`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_head = struct.Struct(">iiiii").pack
_empty = struct.Struct(">iii").pack


def array_literal(values: Sequence[str]) -> str:
    """Write a text[] as PostgreSQL's input syntax (a text that is cast to text[])."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


class Column:
    """A one-dimensional array whose values are written by `binarycopy`."""

    __slots__ = ("values",)
    element_oid: int

    def __init__(self, values: list[bytes]) -> None:
        self.values = values

    def wire(self) -> bytes:
        """Return the array's binary form."""
        if not self.values:
            return _empty(0, 0, self.element_oid)
        return _head(1, 1, self.element_oid, len(self.values), 1) + b"".join(self.values)


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


def _send_as(kind: type[Column], array_oid: int) -> None:
    """Teach psycopg to send `kind` as it is written."""

    class Sender(Dumper):
        format = Format.BINARY
        oid = array_oid

        def dump(self, obj: Column) -> bytes:
            return obj.wire()

    psycopg.adapters.register_dumper(kind, Sender)


# Type numbers: src/include/catalog/pg_type.dat
for _kind, _oid in ((Bytes, 1001), (Int4s, 1007), (Int8s, 1016), (Texts, 1009), (Times, 1185)):
    _send_as(_kind, _oid)
