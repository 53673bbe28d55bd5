"""Alert load: how many alarms a person in a role gets in an hour, and what becomes of them.

The measure is alarms told (those told together count once) per person and hour; STYLE's limit of
about ten an hour is where a person stops hearing them. What is told again to those who come on duty
counts again, in the hour in which they come: it is they who hear it.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Final

import msgspec
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

LIMIT: Final = 10


class Hour(msgspec.Struct, frozen=True):
    """One hour of one role: how many alarms each person on call was told."""

    begins: datetime
    told: int


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One role over the whole time looked at."""

    organisation: str
    role: str
    hours: float
    told: int
    together: int
    escalated: int
    unanswered: int
    per_hour: float
    worst: int
    hours_over: int
    answer_s: float | None
    series: list[Hour]


async def load(
    pool: AsyncConnectionPool[Any], organisation: str, hours: int, now: datetime | None = None
) -> list[Load]:
    """Return the load of each role of `organisation` over the last `hours`, the heaviest first."""
    now = now or datetime.now(UTC)
    since = now - timedelta(hours=hours)
    async with pool.connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            "SELECT role, told, joined, rung, acknowledged, ended FROM alerts.alert"
            " WHERE organisation = %s AND told > %s AND told <= %s ORDER BY told",
            [organisation, since, now],
        )
        rows = await cursor.fetchall()
        await cursor.execute(
            "SELECT a.role, e.at FROM alerts.event e JOIN alerts.alert a ON a.id = e.alert"
            " WHERE a.organisation = %s AND e.what IN ('passed-on', 'released')"
            " AND a.joined IS NULL AND e.at > %s AND e.at <= %s",
            [organisation, since, now],
        )
        again: dict[str, list[datetime]] = {}
        for role, at in await cursor.fetchall():
            again.setdefault(role, []).append(at)
    by_role: dict[str, list[tuple[Any, ...]]] = {}
    for role, *rest in rows:
        by_role.setdefault(role, []).append(tuple(rest))
    found = [
        _of(organisation, role, by_role.get(role, []), again.get(role, []), since, hours)
        for role in dict.fromkeys((*by_role, *again))
    ]
    return sorted(found, key=lambda one: -one.worst)


def _of(
    organisation: str,
    role: str,
    rows: list[tuple[Any, ...]],
    again: list[datetime],
    since: datetime,
    hours: int,
) -> Load:
    heads = [row for row in rows if row[1] is None]
    moments = [*(told for told, *_ in heads), *again]
    counts = Counter(int((at - since).total_seconds() // 3600) for at in moments)
    answers = [(ack - told).total_seconds() for told, _, _, ack, _ in heads if ack is not None]
    return Load(
        organisation=organisation,
        role=role,
        hours=float(hours),
        told=len(moments),
        together=len(rows) - len(heads),
        escalated=sum(row[2] > 0 for row in heads),
        unanswered=sum(row[3] is None and row[4] is None for row in heads),
        per_hour=len(moments) / hours,
        worst=max(counts.values(), default=0),
        hours_over=sum(count > LIMIT for count in counts.values()),
        answer_s=median(answers) if answers else None,
        series=[Hour(since + timedelta(hours=i), counts[i]) for i in range(hours)],
    )
