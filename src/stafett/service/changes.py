"""Changes by administrators: each with its reason, in one transaction with what it changes.

The row of `service.change` is written with the change or not at all; then it goes into the ledger,
into the organisation's own stream `administration/<organisation>`, where nobody can take it out
again. If the ledger cannot be reached the row waits, and is told later (`relays`).
21 CFR 11.10(e); EU GMP Annex 11, 9 (audit trails) and 12.4 (who changed access).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from stafett.ledger import Author, Draft, Ledger, Receipt, Submission
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.refusal import No, Reason
from stafett.service.relays import at_once, tell

CHANGED = "Changed"  # the kind of a change in the ledger
REASON = 4  # characters at least: "ok" is no reason


class Change(msgspec.Struct, frozen=True):
    """One change: who made it, when, why; what it was before and is after.

    `recorded` is its position in the ledger, None while it waits.
    """

    id: int
    at: datetime
    person: str
    organisation: str
    what: str
    about: str
    reason: str
    before: Any
    after: Any
    recorded: int | None


class Changes:
    """The trail of changes. One instance per process."""

    def __init__(self, pool: sql.Pool, ledger: Ledger) -> None:
        self._pool, self._ledger = pool, ledger

    @asynccontextmanager
    async def making(
        self,
        by: Person,
        what: str,
        about: str,
        reason: str,
        before: Any = None,
        after: Any = None,
        organisation: str | None = None,
    ) -> AsyncIterator[AsyncConnection[Any]]:
        """Make a change on the connection given; it and its row are kept together or not at all.

        `organisation` is whose trail it belongs to, the person's own if not said. Raises No where
        there is no reason.
        """
        check_reason(reason)
        async with self._pool.connection() as connection:
            yield connection
            await connection.execute(
                "INSERT INTO service.change (person, organisation, what, about, reason, before,"
                " after) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (
                    by.id,
                    organisation or by.organisation,
                    what,
                    about,
                    reason.strip(),
                    Jsonb(msgspec.to_builtins(before)),
                    Jsonb(msgspec.to_builtins(after)),
                ),
            )
        await at_once(self.relay)

    async def relay(self) -> int:
        """Put every change that waits into the ledger, in order; return how many still wait."""
        found = await sql.rows(self._pool, _SELECT + " WHERE recorded IS NULL ORDER BY id")
        return await tell(
            self._ledger, [(row[0], _submission(Change(*row))) for row in found], self._told
        )

    async def _told(self, id_: int, receipt: Receipt) -> None:
        await sql.done(
            self._pool,
            "UPDATE service.change SET recorded = %s WHERE id = %s AND recorded IS NULL",
            (receipt.first_position, id_),
        )

    async def of(
        self, organisation: str, before: int | None = None, limit: int = 200, *, person: str = ""
    ) -> list[Change]:
        """Return an organisation's changes, the latest first, older than the id `before`.

        `person` narrows it to what that person changed, and what was changed about them: also as
        one of many, of whom `about` names the first only.
        """
        found = await sql.rows(
            self._pool,
            _SELECT + " WHERE organisation = %s AND (%s::bigint IS NULL OR id < %s)"
            " AND (%s = '' OR person = %s OR about = %s OR after @> %s)"
            " ORDER BY id DESC LIMIT %s",
            (
                organisation, before, before, person, person, person,
                Jsonb([{"person": person}]), limit,
            ),
        )  # fmt: skip
        return [Change(*row) for row in found]


def check_reason(reason: str) -> None:
    """Raise No where `reason` is none."""
    if len(reason.strip()) < REASON or not reason.isprintable():
        what_is = "every change needs a reason that others will understand"
        raise No("reason-missing", "There is no reason", Reason("reason", what_is, "say why"))


_SELECT = (
    "SELECT id, at, person, organisation, what, about, reason, before, after, recorded"
    " FROM service.change"
)


def _submission(change: Change) -> Submission:
    body = {"change": msgspec.to_builtins(change)}
    del body["change"]["recorded"]
    return Submission(
        stream=f"administration/{change.organisation}",
        expected_version=None,
        drafts=[Draft(CHANGED, body, change.at)],
        audience=[change.organisation],
        author=Author(change.organisation, change.person),
        key=f"change/{change.id}",  # no client's key holds a slash
        request_hash=f"change {change.id}".encode(),
    )
