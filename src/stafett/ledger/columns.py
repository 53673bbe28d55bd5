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


def _column(name: str, element_oid: int, array_oid: int) -> type[Column]:
    """Make the class of the arrays of one type, and teach psycopg to send them as they are."""
    kind = type(name, (Column,), {"element_oid": element_oid, "__slots__": ()})

    class Sender(Dumper):
        format = Format.BINARY
        oid = array_oid

        def dump(self, obj: Column) -> bytes:
            return obj.wire()

    psycopg.adapters.register_dumper(kind, Sender)
    return kind


# Type numbers: src/include/catalog/pg_type.dat
Bytes = _column("Bytes", 17, 1001)
Int8s = _column("Int8s", 20, 1016)
Int4s = _column("Int4s", 23, 1007)
Texts = _column("Texts", 25, 1009)
Times = _column("Times", 1184, 1185)
