"""Where loggers are fixed: a place of a role of their own organisation, and since when.

Who fixes a logger says where it stands from now on (or since a moment that has been). The row is
what the watch reads; a leaf in the logger's own stream of the ledger says who said so, and when. A
leaf that is missing, because the process died in between or the ledger was away, is written later.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import UTC, datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.ledger import Author, Draft, Ledger, NotAcknowledged, Submission
from stafett.service.accounts import Person
from stafett.service.loggers import Id, now
from stafett.service.network import Networks
from stafett.service.refusal import No, Reason, unknown
from stafett.watch.stay import Stand

log = logging.getLogger(__name__)
KIND: Final = "LoggerPlaced"
_NOWHERE: Final[dict[str, str | None]] = {"role": None, "place": None}
LONGEST: Final = 80


class Stands:
    """The places of loggers, kept in PostgreSQL. One instance per process."""

    def __init__(self, pool: AsyncConnectionPool[Any], ledger: Ledger, networks: Networks) -> None:
        self._pool, self._ledger, self._networks = pool, ledger, networks
        self._owed = True  # leaves may be missing: at start nobody knows
        self._telling = asyncio.Lock()  # who asks what is still missing waits for whoever tells it

    async def all(self) -> tuple[Stand, ...]:
        """Return where each logger stands and has stood, the first first."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT id, organisation, number, role, place, since, until FROM watch.stand"
                " ORDER BY since, id"
            )
            return tuple(Stand(*row) for row in await cursor.fetchall())

    async def roles(self, organisation: str) -> list[str]:
        """Return the roles that an organisation plays in any network."""
        every = await self._networks.all()
        return sorted({r for p in every.values() for r, o in p.items() if o == organisation})

    async def place(
        self, person: Person, number: str, role: str, place: str, since: datetime | None
    ) -> Stand:
        """Fix a logger of the own organisation to a place; it leaves where it was. Raises No."""
        place, at = " ".join(place.split()), now()
        since = since or at
        played = await self.roles(person.organisation)
        if role not in played:
            raise No(
                "unknown-name", "Not a role of the organisation",
                Reason("role", f"{role!r} is played in no network", f"one of: {', '.join(played)}"),
            )  # fmt: skip
        if not 0 < len(place) <= LONGEST or not place.isprintable():
            raise No(
                "bad-value", "This is no place",
                Reason("place", "it has no name, or a long one", f"1 to {LONGEST} characters"),
            )  # fmt: skip
        if since > at:
            raise No(
                "bad-value", "A logger is fixed when it is there",
                Reason("since", "this moment is still to come", "leave it out, or name one past"),
            )  # fmt: skip
        async with self._pool.connection() as connection, connection.transaction():
            await _end(connection, person, number, since)
            async with connection.cursor(row_factory=tuple_row) as cursor:
                await cursor.execute(
                    "INSERT INTO watch.stand (organisation, number, role, place, since, fixed_by)"
                    " VALUES (%s, %s, %s, %s, %s, %s)"
                    " RETURNING id, organisation, number, role, place, since, until",
                    (person.organisation, number, role, place, since, person.id),
                )
                row = await cursor.fetchone()
        assert row is not None
        stand = Stand(*row)
        where: dict[str, str | None] = {"role": role, "place": place}
        await self._tell(Id(stand.organisation, stand.number), where, since, person.id)
        return stand

    async def take_away(self, person: Person, number: str) -> None:
        """Say that a logger stands in no place from now on. Raises No."""
        at = now()
        async with self._pool.connection() as connection, connection.transaction():
            stood = await _end(connection, person, number, at)
        if stood:
            id = Id(person.organisation, number)
            await self._tell(id, _NOWHERE, at, person.id)

    async def _tell(self, id: Id, where: dict[str, str | None], since: datetime, by: str) -> None:
        """Write the leaf of what stands in the tables, now or (`relay`) as soon as it can be."""
        try:
            await self._record(id, where, since, by)
        except NotAcknowledged as why:
            self._owed = True
            log.warning("the record is told later where %s stands: %s", id.user, why)

    async def relay(self) -> int:
        """Write the leaves that are missing, if any may be; return how many still are."""
        async with self._telling:
            if not self._owed:
                return 0
            self._owed = False  # one that comes to be owed meanwhile counts
            try:
                left = (await self._heal())[1]
            except BaseException:
                self._owed = True
                raise
            self._owed = self._owed or left > 0
            return left

    async def heal(self) -> int:
        """Write each leaf that is missing: the process died between the row and the record.

        Return how many. Who took a logger away is not in the row: such a leaf names no person.
        """
        return (await self._heal())[0]

    async def _heal(self) -> tuple[int, int]:
        """Return how many leaves were written, and how many are still missing."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT organisation, number, role, place, since, fixed_by, until,"
                " lead(since) OVER (PARTITION BY organisation, number ORDER BY since, id)"
                " FROM watch.stand ORDER BY organisation, number, since, id"
            )
            rows = await cursor.fetchall()
        healed = left = 0
        for organisation, number, role, place, since, by, until, following in rows:
            id = Id(organisation, number)
            wanted = [({"role": role, "place": place}, since, by)]
            if until is not None and until != following:
                wanted.append((_NOWHERE, until, None))
            for one in wanted:
                try:
                    healed += await self._missing(id, *one)
                except NotAcknowledged as why:  # such as a key that is lost: others go on
                    left += 1
                    log.warning("the record is told later where %s stands: %s", id.user, why)
        return healed, left

    async def _missing(
        self, id: Id, where: dict[str, str | None], since: datetime, by: str | None
    ) -> bool:
        if await self._ledger.outcome_of(_key(id, where, since)[0]) is not None:
            return False
        log.warning("the record says where %s is since %s only now", id.user, since)
        await self._record(id, where, since, by)
        return True

    async def _record(
        self, id: Id, where: dict[str, str | None], since: datetime, by: str | None
    ) -> None:
        key, request_hash = _key(id, where, since)
        said = {"logger": id.number, **where, "since": since.isoformat()}
        await self._ledger.append(
            Submission(
                stream=f"logger/{id.user}",
                expected_version=None,
                drafts=[Draft(KIND, {"placed": said}, now())],
                audience=[id.organisation],
                author=Author(id.organisation, by) if by else Author(id.organisation),
                key=key,
                request_hash=request_hash,
            )
        )


def _key(id: Id, where: dict[str, str | None], since: datetime) -> tuple[str, bytes]:
    utc = since.astimezone(UTC).isoformat()  # as the row gives it back, whatever zone was asked in
    sha = hashlib.sha256(f"placed.{id.user}.{utc}.{where['role']}.{where['place']}".encode())
    return f"placed.{sha.hexdigest()}", sha.digest()


async def _end(connection: AsyncConnection[Any], person: Person, number: str, at: datetime) -> bool:
    """End where the logger stands; say whether it stood anywhere. Raises No."""
    async with connection.cursor(row_factory=tuple_row) as cursor:
        # The logger's row is locked: two who place it at once do so one after the other.
        await cursor.execute(
            "SELECT (SELECT max(greatest(since, until)) FROM watch.stand s"
            " WHERE s.organisation = l.organisation AND s.number = l.number)"
            " FROM watch.logger l WHERE organisation = %s AND number = %s AND active FOR UPDATE",
            (person.organisation, number),
        )
        row = await cursor.fetchone()
        if row is None:
            raise unknown("logger", number)
        if row[0] is not None and row[0] > at:
            raise No(
                "bad-value", "It stood elsewhere then",
                Reason("since", f"its place is known until {row[0]:%Y-%m-%d %H:%M:%S}Z",
                       "name a later moment"),
            )  # fmt: skip
        await cursor.execute(
            "UPDATE watch.stand SET until = %s WHERE organisation = %s AND number = %s"
            " AND until IS NULL",
            (at, person.organisation, number),
        )
        return cursor.rowcount > 0
