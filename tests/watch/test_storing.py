"""What it costs to store a batch of chunks: nothing that grows with what is stored already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from stafett.service import storing


@pytest.mark.parametrize("statement", ["_INSERT", "_FIND"])
def test_no_day_is_read_through_to_find_what_is_known(database: str, statement: str) -> None:
    """Whatever plan the database keeps for it, each chunk is looked up by its key."""
    parts = getattr(storing, statement).split("%s")
    numbered = "".join(f"{part}${n}" for n, part in enumerate(parts[:-1], 1)) + parts[-1]
    today = datetime.now(UTC).date()
    with psycopg.connect(database, autocommit=True) as connection:
        for ago in range(3):
            connection.execute("SELECT watch.have_day(%s)", [today - timedelta(ago)])
        rows = connection.execute(f"EXPLAIN (GENERIC_PLAN) {numbered}".encode()).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan and "Hash" not in plan, plan
    assert "_pkey" in plan
