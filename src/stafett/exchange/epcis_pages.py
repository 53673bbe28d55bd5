"""Queries as SQL, one page at a time.

Every condition narrows by an index: tokens by the inverted index on `keys`, numbers by
(name, value), times by theirs. Only patterns over item references are looked at event by event
afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
from psycopg_pool import AsyncConnectionPool

from stafett.exchange import epcis
from stafett.exchange.epcis import Json
from stafett.exchange.epcis_facts import EPOCH, Facts, digest, facts, plain
from stafett.exchange.epcis_ordered import Asked, Ordered, Orders, left_of
from stafett.exchange.epcis_query import (
    Attribute,
    Compare,
    Condition,
    Like,
    OneOf,
    Query,
    When,
    Within,
    like,
    resolve,
)
from stafett.exchange.epcis_token import (
    MOST,
    Mark,
    fingerprint_of,
    read_mark,
    read_order_mark,
    write_mark,
)
from stafett.exchange.problem import Finding, Problem

MAX_PAGE: Final = 1000
FEW: Final = 2000
MAX_PLACES: Final = 20_000  # what master data may widen one parameter to
_COLUMN: Final = {"event": "event_time", "record": "record_time", "error": "error_time"}
_SQL: Final = {"EQ": "=", "GT": ">", "GE": ">=", "LT": "<", "LE": "<="}


class Stored(msgspec.Struct, frozen=True):
    """A captured event: its place in the store, when it was recorded, and the event itself."""

    seq: int
    record_time: datetime
    context: Any
    event: Json
    owner: str


class Page(msgspec.Struct, frozen=True):
    """One page of a query, and the token of the next one if there is one."""

    events: tuple[Stored, ...]
    next_token: str | None = None


class Reader:
    """Answers queries on a pool of connections."""

    def __init__(
        self,
        pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]],
        context_of: Callable[[int], Awaitable[Any]],
    ) -> None:
        self._pool = pool
        self._context_of = context_of
        self._orders: Orders = {}

    async def page(
        self,
        query: Query,
        *,
        limit: int,
        token: str | None = None,
        after_seq: int = 0,
        upto_seq: int | None = None,
        owners: Sequence[str] | None = None,
    ) -> Page:
        """Give at most `limit` events (1 to 1,000) that answer the query.

        `after_seq` and `upto_seq` restrict to a stretch of the store (for standing queries),
        `owners` to what these organisations captured, master data too. Raises `Problem` 400 for
        a token of another query and 413 when the query's maxEventCount is exceeded.
        """
        limit = max(1, min(limit, MAX_PAGE))
        fingerprint = fingerprint_of(query, after_seq, upto_seq, owners)
        mark = read_mark(token, fingerprint) if token and not query.order_fields else None
        query = await self._resolved(query, owners)
        where, values, rest = _where(query.conditions)
        where += [b"seq > %s", b"seq <= %s"]
        values += [after_seq, MOST if upto_seq is None else upto_seq]
        if owners is not None:
            where.append(b"owner = ANY(%s)")
            values.append(list(owners))
        if query.ceiling is not None and token is None:
            await self._refuse_if_more(where, values, rest, query.ceiling)
        if query.order_fields:
            return await self._sorted_page(query, where, values, rest, limit, token, fingerprint)
        if query.conditions:
            few = await self._few(where, values)
            if few is not None:
                where, values = [b"seq = ANY(%s)"], [few]
        left = mark.left if mark else query.limit if query.limit is not None else MOST
        wanted = min(limit, left)
        found: list[tuple[Any, ...]] = []
        key, seq = (mark.key, mark.seq) if mark else (None, None)
        while len(found) <= wanted:
            rows = await self._rows(query, where, values, key, seq, wanted + 1)
            if not rows:
                break
            key, seq = _micros(rows[-1][5]), rows[-1][0]
            found += [r for r in rows if not rest or await self._holds(r, rest)]
            if len(rows) <= wanted:
                break
        more = len(found) > wanted and left > wanted
        events = tuple([await self._stored(r) for r in found[:wanted]])
        if not more or not events:
            return Page(events)
        last = found[wanted - 1]
        return Page(
            events,
            write_mark(Mark(fingerprint, _micros(last[5]), last[0], left - len(events))),
        )

    async def _sorted_page(
        self,
        query: Query,
        where: list[bytes],
        values: list[Any],
        rest: list[Like],
        limit: int,
        token: str | None,
        fingerprint: str,
    ) -> Page:
        """Give a page in the order of an extension's field."""
        mark = read_order_mark(token, fingerprint) if token else None

        def holds(found: Facts) -> bool:
            return all(like(condition, found.tokens) for condition in rest)

        asked = Asked(query, where, values, self._facts, holds)
        left = left_of(query, mark)
        top = mark.top if mark else await self._top()
        ordered = Ordered(self._pool, asked, top, self._orders)
        rows, following = await ordered.page(mark, min(limit, left), left, fingerprint)
        events = tuple([await self._stored(row) for row in rows])
        return Page(events, write_mark(following) if following else None)

    async def _top(self) -> int:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT coalesce(max(seq), 0) FROM exchange.epcis_event"
            )
            row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def _few(self, where: list[bytes], values: list[Any]) -> list[int] | None:
        """Give what matches if it is little, else None.

        PostgreSQL guesses how rare a token is from its commonest ones, and guesses far too many:
        asked for the first rows in order, it walks the whole store in that order to save a sort
        (830 ms instead of 1 ms in a million events). Asked without an order it uses the indexes.
        """
        statement = b"SELECT seq FROM exchange.epcis_event WHERE " + b" AND ".join(where)
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                statement + b" LIMIT %s", [*values, FEW + 1], prepare=False
            )
            found = [row[0] for row in await cursor.fetchall()]
        return found if len(found) <= FEW else None

    async def _rows(
        self,
        query: Query,
        where: list[bytes],
        values: list[Any],
        key: int | None,
        seq: int | None,
        limit: int,
    ) -> list[tuple[Any, ...]]:
        column = b"event_time" if query.order_by == "eventTime" else b"record_time"
        down = query.descending and query.order_by != ""
        clauses, given = list(where), list(values)
        if seq is not None:
            # The record time never runs against seq, so seq alone orders by it.
            if query.order_by == "eventTime":
                clauses.append(b"(event_time, seq) " + (b"<" if down else b">") + b" (%s, %s)")
                given += [_moment(key or 0), seq]
            else:
                clauses.append(b"seq " + (b"<" if down else b">") + b" %s")
                given.append(seq)
        direction = b" DESC" if down else b""
        order = b"seq" + direction
        if query.order_by == "eventTime":
            order = b"event_time" + direction + b", " + order
        statement = (
            b"SELECT seq, record_time, context, body, owner, " + column
            + b" FROM exchange.epcis_event WHERE " + b" AND ".join(clauses)
            + b" ORDER BY " + order + b" LIMIT %s"
        )  # fmt: skip
        async with self._pool.connection() as connection:
            # Never prepared: a generic plan would not know how rare a token is (60 times slower).
            cursor = await connection.execute(statement, [*given, limit], prepare=False)
            return await cursor.fetchall()

    async def _refuse_if_more(
        self, where: list[bytes], values: list[Any], rest: list[Like], ceiling: int
    ) -> None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                b"SELECT seq, record_time, context, body FROM exchange.epcis_event WHERE "
                + b" AND ".join(where) + b" LIMIT %s",
                [*values, 1_000_000 if rest else ceiling + 1],
                prepare=False,
            )  # fmt: skip
            rows = await cursor.fetchall()
        count = len([r for r in rows if await self._holds(r, rest)]) if rest else len(rows)
        if count > ceiling:
            why = f"more than {ceiling} events match; narrow the query or raise maxEventCount"
            raise Problem(413, "QueryTooLargeException", why, [Finding("/maxEventCount", why)])

    async def _holds(self, row: tuple[Any, ...], rest: list[Like]) -> bool:
        tokens = (await self._facts(row)).tokens
        return all(like(condition, tokens) for condition in rest)

    async def _facts(self, row: tuple[Any, ...]) -> Facts:
        prefixes = epcis.prefixes_of(await self._context_of(row[2]))
        return facts(msgspec.json.decode(row[3]), prefixes)

    async def _stored(self, row: tuple[Any, ...]) -> Stored:
        context = await self._context_of(row[2])
        return Stored(row[0], row[1], context, msgspec.json.decode(row[3]), row[4])

    async def _resolved(self, query: Query, owners: Sequence[str] | None) -> Query:
        own = None if owners is None else list(owners)
        places: dict[frozenset[str], set[str]] = {}
        holders: dict[tuple[frozenset[str], frozenset[str] | None], set[str]] = {}
        for condition in query.conditions:
            if isinstance(condition, Within):
                places[condition.places] = await self._below(condition.places, own)
            elif isinstance(condition, Attribute):
                asked = (condition.attributes, condition.values)
                holders[asked] = await self._having(*asked, own)
        if not places and not holders:
            return query
        return resolve(query, places.__getitem__, lambda a, v: holders[a, v])

    async def _below(self, places: frozenset[str], own: list[str] | None) -> set[str]:
        found, frontier = set(places), list(places)
        async with self._pool.connection() as connection:
            while frontier:
                cursor = await connection.execute(
                    "SELECT DISTINCT ON (id, type) children FROM exchange.vocabulary"
                    " WHERE id = ANY(%s) AND (%s::text[] IS NULL OR owner = ANY(%s))"
                    " ORDER BY id, type, n DESC",
                    [frontier, own, own],
                )
                below = {child for row in await cursor.fetchall() for child in row[0]}
                frontier = sorted(below - found)
                found |= below
                if len(found) > MAX_PLACES:
                    raise Problem(
                        413, "QueryTooComplexException",
                        f"the place has more than {MAX_PLACES:,} descendants",
                    )  # fmt: skip
        return found

    async def _having(
        self,
        attributes: frozenset[str],
        values: frozenset[str] | None,
        own: list[str] | None,
    ) -> set[str]:
        found = set()
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT DISTINCT ON (id, type) id, attributes FROM exchange.vocabulary"
                " WHERE %s::text[] IS NULL OR owner = ANY(%s) ORDER BY id, type, n DESC",
                [own, own],
            )
            for identifier, text in await cursor.fetchall():
                for item in msgspec.json.decode(text):
                    if item["id"] not in attributes:
                        continue
                    if values is None or plain(item.get("attribute")) in values:
                        found.add(identifier)
        if len(found) > MAX_PLACES:
            raise Problem(
                413, "QueryTooComplexException",
                f"more than {MAX_PLACES:,} vocabulary elements have the attribute",
            )  # fmt: skip
        return found


def _where(conditions: Sequence[Condition]) -> tuple[list[bytes], list[Any], list[Like]]:
    where: list[bytes] = []
    values: list[Any] = []
    rest: list[Like] = []
    for condition in conditions:
        if isinstance(condition, OneOf):
            keys = [UUID(bytes=digest(t)) for t in sorted(condition.tokens)]
            where.append(b"keys @> %s" if len(keys) == 1 else b"keys && %s")
            values.append(keys)
        elif isinstance(condition, Compare):
            names = [UUID(bytes=digest(n)) for n in condition.names]
            operator = _SQL[condition.operator].encode()
            test = b"= ANY(%s)" if condition.operator == "EQ" else operator + b" %s"
            where.append(
                b"seq IN (SELECT n.seq FROM exchange.epcis_number n"
                b" WHERE n.name = ANY(%s) AND n.value " + test + b")"
            )
            given = list(condition.values)
            values += [names, given if condition.operator == "EQ" else given[0]]
        elif isinstance(condition, When):
            operator = _SQL[condition.operator].encode()
            where.append(_COLUMN[condition.clock].encode() + b" " + operator + b" %s")
            values.append(_moment(condition.value))
        elif isinstance(condition, Like):
            rest.append(condition)
        else:
            raise TypeError(f"{type(condition).__name__} must be resolved first")
    return where, values, rest


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    try:
        return EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if micros > 0 else datetime.min.replace(tzinfo=UTC)
