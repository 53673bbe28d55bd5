"""Mail about alerts that was given up: who was not reached, why, and sending it again.

The alert itself goes on without it: it stands in the control tower, and its ladder climbs. But
whoever relies on mail has to be told that none comes, and so have those who keep the hours.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from psycopg.rows import class_row, tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.service import policy
from stafett.service.accounts import Person
from stafett.service.mail import GIVE_UP
from stafett.service.refusal import No, Reason, unknown

DAYS: Final = 30
MOST: Final = 100


class Unmailed(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that was given up after `tries` at `at`; `over`: so is what it was about."""

    message: int
    person: str
    mail: str
    journey: str
    alert: int
    raised: datetime
    at: datetime
    tries: int
    why: str
    over: bool


_GIVEN_UP: Final = (
    "SELECT m.id AS message, m.person, m.mail, a.journey, a.id AS alert, a.raised,"
    " m.next_try AS at, m.attempt AS tries, coalesce(m.last_error, '') AS why,"
    " a.ended IS NOT NULL AS over"
    " FROM alerts.message m JOIN alerts.alert a ON a.id = m.alert"
    " JOIN service.person p ON p.id = m.person"
    " WHERE m.dead AND m.sent IS NULL AND m.attempt >= %s AND p.organisation = %s"
    " AND (m.person = %s OR %s) AND m.next_try > clock_timestamp() - make_interval(days => %s)"
)


async def unmailed(pool: AsyncConnectionPool[Any], person: Person) -> list[Unmailed]:
    """Return a person's own of the last 30 days; who keeps the hours sees their organisation's."""
    values = [GIVE_UP, person.organisation, person.id, policy.allows("roster", person), DAYS]
    async with (
        pool.connection() as connection,
        connection.cursor(row_factory=class_row(Unmailed)) as cursor,
    ):
        await cursor.execute(
            f"{_GIVEN_UP} ORDER BY m.next_try DESC, m.id DESC LIMIT {MOST}", values
        )
        return list(await cursor.fetchall())


async def again(pool: AsyncConnectionPool[Any], person: Person, message: int) -> None:
    """Send one again, to the address that its person has now. Raises No."""
    values = [GIVE_UP, person.organisation, person.id, policy.allows("roster", person), DAYS]
    async with (
        pool.connection() as connection,
        connection.transaction(),
        connection.cursor(row_factory=tuple_row) as cursor,
    ):
        await cursor.execute(f"{_GIVEN_UP} AND m.id = %s FOR UPDATE OF m", [*values, message])
        row = await cursor.fetchone()
        if row is None:
            raise unknown("message", str(message))
        if row[-1]:
            raise No(
                "not-possible-now", "Nobody has to be told any more",
                Reason("message", "what it was about is over", ""),
            )  # fmt: skip
        await cursor.execute(
            "UPDATE alerts.message m SET dead = false, attempt = 0, next_try = clock_timestamp(),"
            " mail = coalesce((SELECT a.mail FROM alerts.address a WHERE a.person = m.person),"
            " m.mail) WHERE m.id = %s",
            [message],
        )
