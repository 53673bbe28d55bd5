"""The register of trials: kept as they were registered; only their end is added later."""

from __future__ import annotations

from typing import Any

import msgspec
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.insight.registered import Trial


class Trials:
    """Trials in PostgreSQL. An organisation sees those it registered or is a partner of."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def register(self, trial: Trial) -> None:
        """Keep a trial."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO insight.trial (id, registered_at, registered_by, organisation,"
                " partners, source, interface, change, outcome, expected, starts)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (
                    trial.id, trial.registered_at, trial.registered_by, trial.organisation,
                    list(trial.partners), trial.source, trial.interface, trial.change,
                    trial.outcome, trial.expected, msgspec.json.encode(trial.starts).decode(),
                ),
            )  # fmt: skip

    async def of(self, organisation: str, source: str | None = None) -> list[Trial]:
        """Return the trials that `organisation` may see, newest first; of one source if given."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT id, registered_at, registered_by, organisation, partners, source,"
                " interface, change, outcome, expected, starts, ended_at, ended_by, ended_why"
                " FROM insight.trial WHERE (organisation = %s OR %s = ANY (partners))"
                " AND (%s::text IS NULL OR source = %s) ORDER BY registered_at DESC, id",
                (organisation, organisation, source, source),
            )
            rows = await cursor.fetchall()
        return [
            msgspec.convert(dict(zip(Trial.__struct_fields__, row, strict=True)), Trial)
            for row in rows
        ]

    async def end(self, organisation: str, trial: str, person: str, why: str) -> bool:
        """End a trial of one's own, once; say whether there was an open one."""
        async with self._pool.connection() as connection:
            done = await connection.execute(
                "UPDATE insight.trial SET ended_at = now(), ended_by = %s, ended_why = %s"
                " WHERE id = %s AND organisation = %s AND ended_at IS NULL",
                (person, why, trial, organisation),
            )
        return bool(done.rowcount == 1)
