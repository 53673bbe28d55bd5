"""Erasures that were asked for and wait for a second person: what was signed, and until when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from stafett.journey.command import Signature
from stafett.service import notices, policy, sql
from stafett.service.refusal import No, Reason

Basis = Literal["retention-ended", "no-product-given", "ordered"]
WITHIN = timedelta(days=7)


class Asked(msgspec.Struct, frozen=True):
    """An erasure that one person has signed and nobody has confirmed; it lapses at `until`."""

    pseudonym: str
    organisation: str
    journey: str
    person: str
    basis: Basis
    reason: str
    documents: tuple[str, ...]
    signature: Signature
    signed: dict[str, Any]
    at: datetime
    until: datetime


class Asking:
    """The table of what waits. One instance per process."""

    def __init__(self, pool: sql.Pool) -> None:
        self._pool = pool

    async def of(self, pseudonym: str, organisation: str) -> Asked | None:
        """Return what waits for a patient of `organisation`, lapsed or not; None: nothing does."""
        found = await sql.rows(
            self._pool,
            _SELECT + " WHERE pseudonym = %s AND organisation = %s",
            (pseudonym, organisation),
        )
        return _asked(found[0]) if found else None

    async def all(self, organisation: str) -> list[Asked]:
        """Return all that waits at `organisation`, the oldest first; what has lapsed does not."""
        query = _SELECT + " WHERE organisation = %s AND until > now() ORDER BY asked_at"
        return [_asked(row) for row in await sql.rows(self._pool, query, (organisation,))]

    async def put(self, connection: AsyncConnection[Any], asked: Asked, now: datetime) -> None:
        """Let it wait, in the place of one that has lapsed, and tell whoever may confirm it.

        Raises No where one waits still.
        """
        await connection.execute(
            "DELETE FROM service.erasure WHERE pseudonym = %s AND until <= %s",
            (asked.pseudonym, now),
        )
        made = await connection.execute(
            "INSERT INTO service.erasure (pseudonym, organisation, journey, person, basis, reason,"
            " documents, signature, signed, asked_at, until)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                asked.pseudonym, asked.organisation, asked.journey, asked.person, asked.basis,
                asked.reason, list(asked.documents), Jsonb(msgspec.to_builtins(asked.signature)),
                Jsonb(asked.signed), asked.at, asked.until,
            ),
        )  # fmt: skip
        if made.rowcount:
            await notices.over(connection, notices.ERASURE, asked.pseudonym)  # of one that lapsed
            await notices.queue(
                connection, notices.ERASURE, asked.pseudonym, asked.until, asked.organisation,
                policy.TABLE["confirm-erasure"], asked.person,
            )  # fmt: skip
        else:
            what = "somebody has asked for it, and it waits for a second person"
            why = Reason("journey", what, "confirm it, or withdraw it first")
            raise No("conflict", "It is asked for already", why)

    async def take(self, connection: AsyncConnection[Any], asked: Asked) -> None:
        """Let just this wait no more. Raises No where somebody was faster."""
        gone = await connection.execute(
            "DELETE FROM service.erasure WHERE pseudonym = %s AND asked_at = %s",
            (asked.pseudonym, asked.at),
        )
        await notices.over(connection, notices.ERASURE, asked.pseudonym)
        if not gone.rowcount:
            why = Reason("journey", "it was confirmed or withdrawn meanwhile", "load it again")
            raise No("conflict", "Somebody was faster", why)


_SELECT = (
    "SELECT pseudonym, organisation, journey, person, basis, reason, documents, signature, signed,"
    " asked_at, until FROM service.erasure"
)


def _asked(row: Any) -> Asked:
    names = [field.name for field in msgspec.structs.fields(Asked)]
    return msgspec.convert(dict(zip(names, row, strict=True)), Asked)
