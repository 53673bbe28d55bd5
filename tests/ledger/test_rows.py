"""The rows of a batch reach PostgreSQL as the values that they were written from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg

from stafett.ledger import rows
from stafett.ledger.session import TYPES

NAMES = ["journey-1", 'åäö "quoted", {braced}', "back\\slash", "π" * 40]
MOMENTS = [
    datetime(2026, 11, 26, 22, 0, 0, 123_456, tzinfo=UTC),
    datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=5, minutes=30))),
]


def entries() -> list[tuple[Any, ...]]:
    """Return values of `ledger.entry` in the order of its fields."""
    return [
        (
            n + 1, bytes([n]) * 32, b"\x00leaf" * (n + 1), MOMENTS[n % 2], "kind " + name, name,
            "hospital", name if n % 2 else None, NAMES[: n + 1],
        )
        for n, name in enumerate(NAMES)
    ]  # fmt: skip


def written(values: list[tuple[Any, ...]]) -> rows.Rows:
    """Write them as the appender does."""
    pieces: list[bytes] = []
    for version, hashed, leaf, at, kind, stream, organisation, person, audience in values:
        tail = rows.moment(at) + b"".join(map(rows.text, (kind, stream, organisation, person)))
        pieces += rows.entry(version, hashed, leaf, tail + rows.texts(audience))
    return rows.Rows(len(values), b"".join(pieces))


def sent(database: str, which: int, type_: str, ready: rows.Rows) -> list[tuple[Any, ...]]:
    """Return what the database makes of rows of the `which`-th type."""
    with psycopg.connect(database) as connection:
        types = connection.execute(TYPES).fetchone()
        assert types is not None
        query = f"SELECT * FROM unnest(%s::{type_}[])"
        return connection.execute(query, [ready.array(types[which])]).fetchall()


def test_events_arrive_as_they_were_written(database: str) -> None:
    """Names with every kind of character, no person, times with and without an offset."""
    values = entries()
    assert sent(database, 0, "ledger.entry", written(values)) == values


def test_keys_arrive_as_they_were_written(database: str) -> None:
    """Keys of any text and request hashes of any length, an empty one too."""
    values = [(name, b"h" * n * 11, 2**40 + n, n + 1) for n, name in enumerate(NAMES)]
    pieces: list[bytes] = []
    for key, request, first, count in values:
        made = rows.claim(key.encode(), request, first, count)
        assert len(made) == rows.CLAIM_PIECES
        pieces += made
    ready = rows.Rows(len(values), b"".join(pieces))
    assert sent(database, 1, "ledger.claim", ready) == values


def test_no_rows_are_an_empty_array(database: str) -> None:
    """A batch of nothing but refusals still moves the head."""
    assert sent(database, 0, "ledger.entry", written([])) == []
