"""What was asked and is not answered yet: kept once, answered once, by whoever holds the token."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any, Literal

from psycopg.types.json import Jsonb

from stafett.service import sql
from stafett.service.sessions import digest

MINUTES = timedelta(minutes=5)
TRIES = 5
Purpose = Literal["second-factor", "passkey", "enrol", "provider"]


class Challenges:
    """Open questions, shared by every process."""

    def __init__(self, pool: sql.Pool) -> None:
        self._pool = pool

    async def ask(
        self, purpose: Purpose, person: str | None, data: dict[str, Any], token: str | None = None
    ) -> str:
        """Keep a question for MINUTES; return the token that answers it."""
        token = token or secrets.token_urlsafe(32)
        await sql.done(
            self._pool,
            "WITH old AS (DELETE FROM service.challenge WHERE expires < now())"
            " INSERT INTO service.challenge (token, purpose, person, data, expires)"
            " VALUES (%s, %s, %s, %s, now() + %s::interval)",
            (digest(token), purpose, person, Jsonb(data), MINUTES),
        )
        return token

    async def take(self, purpose: Purpose, token: str) -> tuple[str | None, dict[str, Any]] | None:
        """Return whom a question was asked and its data, and forget it; None if there is none."""
        found = await sql.row(
            self._pool,
            "DELETE FROM service.challenge WHERE token = %s AND purpose = %s AND expires > now()"
            " RETURNING person, data",
            (digest(token), purpose),
        )
        return None if found is None else (found[0], found[1])

    async def attempt(self, purpose: Purpose, token: str) -> str | None:
        """Count a try at a question that may be tried TRIES times; return whom it was asked."""
        found = await sql.row(
            self._pool,
            "UPDATE service.challenge SET tries = tries + 1 WHERE token = %s AND purpose = %s"
            " AND expires > now() AND tries < %s RETURNING person",
            (digest(token), purpose, TRIES),
        )
        return None if found is None else str(found[0])
