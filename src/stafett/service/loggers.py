"""Loggers: whose they are, how they prove who they are, and until when they are calibrated.

A logger belongs to one organisation; nobody else sees it in a list. Its key is told once, when it
is registered; what is kept is the line that a Mosquitto password file takes (PBKDF2-HMAC-SHA512),
so that HTTP and MQTT share one credential. The key has 256 random bits: the few iterations that
Mosquitto uses by default are enough for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.service.accounts import Person
from stafett.service.refusal import No, Reason
from stafett.watch.shipment import number_of

NUMBER: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")
ITERATIONS: Final = 101
FRESH_S: Final = 5.0  # how long a process rests on a key that it has proven


class Id(NamedTuple):
    """A logger: the organisation that owns it, and its number."""

    organisation: str
    number: str

    @property
    def user(self) -> str:
        """Its name at the broker, and its level of the topic."""
        return f"{self.organisation}.{self.number}"


class Logger(msgspec.Struct, frozen=True):
    """A registered logger, with what has been heard of it. `refused` counts chunks of one day.

    `live`: it sends on its way; else it stores, and is read as a file when it has arrived.
    """

    organisation: str
    number: str
    model: str
    calibrated_until: datetime | None
    registered_at: datetime
    active: bool
    heard: datetime | None = None
    chunks: int = 0
    refused: int = 0
    refused_why: str = ""
    live: bool = True


class Told(NamedTuple):
    """What its owner says of a logger: calibrated until when (None: nobody has said), live."""

    calibrated_until: datetime | None = None
    live: bool = True


class Registered(msgspec.Struct, frozen=True):
    """The answer to a registration. `key` is told this once (None: it keeps the one it has)."""

    organisation: str
    number: str
    key: str | None
    topic: str


class Loggers:
    """The loggers kept in PostgreSQL. One instance per process."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._hashes: dict[Id, str] = {}
        self._proven: dict[Id, tuple[bytes, float]] = {}  # a key, and when it was looked at

    async def register(
        self,
        person: Person,
        number: str,
        model: str,
        until: datetime | None,
        *,
        renew: bool,
        live: bool = True,
    ) -> Registered:
        """Keep a logger of the person's organisation; one that is there gets what is new.

        Raises No. `renew` makes a new key; the old one ends at once (at the broker: when its
        files are written again).
        """
        number = number_of(number)
        if not NUMBER.fullmatch(number):
            what = f"{number!r} is no logger number"
            raise No(
                "bad-value", "This is no logger number",
                Reason("number", what, "1 to 40 of A-Z a-z 0-9 . _ -"),
            )  # fmt: skip
        key = secrets.token_urlsafe(32)
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "INSERT INTO watch.logger AS l (organisation, number, key_hash, model,"
                " calibrated_until, registered_by, live) VALUES (%s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (organisation, number) DO UPDATE SET model = EXCLUDED.model,"
                " calibrated_until = EXCLUDED.calibrated_until, active = true,"
                " live = EXCLUDED.live,"
                " key_hash = CASE WHEN %s THEN EXCLUDED.key_hash ELSE l.key_hash END"
                " RETURNING xmax = 0",
                (person.organisation, number, seal(key), model, until, person.id, live, renew),
            )
            row = await cursor.fetchone()
        id = Id(person.organisation, number)
        self._hashes.pop(id, None)
        self._proven.pop(id, None)
        told = key if renew or (row is not None and row[0]) else None
        return Registered(id.organisation, id.number, told, topic(id))

    async def proves(self, id: Id, key: str) -> bool:
        """Say whether `key` is this logger's key; False for a logger that is not known.

        One that was replaced, by whichever process, ends within FRESH_S.
        """
        given, now = hashlib.sha256(key.encode()).digest(), time.monotonic()
        known = self._proven.get(id)
        if known is not None and hmac.compare_digest(known[0], given) and now - known[1] <= FRESH_S:
            return True
        sealed = await self._sealed(id)
        if sealed is None or not opens(sealed, key):
            self._proven.pop(id, None)
            return False
        self._proven[id] = given, now
        return True

    async def known(self, id: Id) -> bool:
        """Say whether there is such a logger (the broker has proven that it is this one)."""
        return id in self._hashes or await self._sealed(id) is not None

    def remembers(self, id: Id) -> bool:
        """Say whether it is known that there is such a logger, without asking anybody."""
        return id in self._hashes

    async def _sealed(self, id: Id) -> str | None:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT key_hash FROM watch.logger WHERE organisation = %s AND number = %s"
                " AND active",
                id,
            )
            row = await cursor.fetchone()
        if row is None:
            return None
        self._hashes[id] = str(row[0])
        return self._hashes[id]

    async def told(self, id: Id) -> Told:
        """Return what its owner says of a logger."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT calibrated_until, live FROM watch.logger"
                " WHERE organisation = %s AND number = %s",
                id,
            )
            row = await cursor.fetchone()
        return Told() if row is None else Told(*row)

    async def owners(self, number: str, among: frozenset[str]) -> list[Id]:
        """Return the loggers with this number that organisations `among` own."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT organisation, number FROM watch.logger"
                " WHERE number = %s AND organisation = ANY (%s) AND active",
                (number, list(among)),
            )
            return [Id(*row) for row in await cursor.fetchall()]

    async def with_numbers(self, numbers: Iterable[str]) -> list[Id]:
        """Return the loggers with one of these numbers, whoever owns them."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT organisation, number FROM watch.logger WHERE number = ANY (%s) AND active",
                (list(numbers),),
            )
            return [Id(*row) for row in await cursor.fetchall()]

    async def active(self) -> tuple[int, ...]:
        """Return what changes when a logger is registered, by whichever process."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT count(*), count(*) FILTER (WHERE active) FROM watch.logger"
            )
            row = await cursor.fetchone()
        return tuple(row or ())

    async def of(self, organisation: str) -> list[Logger]:
        """Return the organisation's own loggers, under the database's restricted role."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE stafett_read")
            await connection.execute(
                "SELECT set_config('stafett.organisation', %s, true)", [organisation]
            )
            async with connection.cursor(row_factory=tuple_row) as cursor:
                await cursor.execute(
                    "SELECT l.organisation, l.number, l.model, l.calibrated_until, l.registered_at,"
                    " l.active, c.heard, coalesce(c.chunks, 0), l.live FROM watch.logger l"
                    " LEFT JOIN"
                    " (SELECT organisation, number, max(arrived_at) AS heard, count(*) AS chunks"
                    " FROM watch.chunk WHERE day >= current_date - 7 AND organisation = %s"
                    " GROUP BY 1, 2) c USING (organisation, number)"
                    " ORDER BY c.heard DESC NULLS LAST, l.number LIMIT 2000",
                    [organisation],
                )
                rows = await cursor.fetchall()
        refused = await self._refused(organisation)
        nothing = (0, "")
        return [
            msgspec.structs.replace(
                Logger(*row[:8]),
                live=row[8],
                refused=refused.get(row[1], nothing)[0],
                refused_why=refused.get(row[1], nothing)[1],
            )
            for row in rows
        ]

    async def _refused(self, organisation: str) -> dict[str, tuple[int, str]]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT number, sum(chunks)::bigint, (array_agg(said ORDER BY hour DESC))[1]"
                " FROM watch.refused WHERE organisation = %s AND hour > now() - interval '1 day'"
                " GROUP BY 1",
                [organisation],
            )
            return {row[0]: (int(row[1]), str(row[2])) for row in await cursor.fetchall()}

    async def passwords(self) -> list[str]:
        """Return the lines of the broker's password file, for every active logger."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT organisation, number, key_hash FROM watch.logger WHERE active ORDER BY 1, 2"
            )
            return [f"{Id(row[0], row[1]).user}:{row[2]}" for row in await cursor.fetchall()]


def topic(id: Id, what: str = "readings") -> str:
    """Return the logger's topic."""
    return f"stafett/1/{id.user}/{what}"


def seal(key: str, salt: bytes | None = None) -> str:
    """Return what is kept of a key: `$7$iterations$salt$hash`, as Mosquitto writes it."""
    salt = salt or secrets.token_bytes(12)
    hashed = hashlib.pbkdf2_hmac("sha512", key.encode(), salt, ITERATIONS, 64)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(hashed).decode()}"


def opens(sealed: str, key: str) -> bool:
    """Say whether `key` is the one that was sealed."""
    _, _, _, salt, _ = sealed.split("$")
    return hmac.compare_digest(sealed, seal(key, base64.b64decode(salt)))


def now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)
