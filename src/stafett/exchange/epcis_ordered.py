"""Pages of captured events in the order of an extension's field (see `epcis_order`).

Where few events match they are put in order in memory. Of many, those that hold numbers or times
under the field, those that hold texts, and those without it come one kind after another. Numbers
are walked by the store's index. So are texts (`epcis_texts`), but for `MAX_SORTED` of them, which
are put in order in memory: to count them beforehand took two seconds in a million events, so it is
found out where they begin. What is without the field is walked as it was captured.

The token keeps how far the store went at the first page, so that what is captured meanwhile shifts
nothing.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
from psycopg_pool import AsyncConnectionPool

from stafett.exchange.epcis_facts import Facts, digest
from stafett.exchange.epcis_order import MAX_SORTED, Rank, in_order, rank
from stafett.exchange.epcis_query import Query
from stafett.exchange.epcis_texts import fill
from stafett.exchange.epcis_token import MOST, OrderMark, Stage
from stafett.exchange.problem import Finding, Problem

FEW: Final = 1_000  # as many are ranked at once: some 60 ms of work
CHUNK: Final = 500  # numbers that are looked at first; twice as many each time it was not enough
MAX_CHUNK: Final = 50_000
NUMBERS: Final[Stage] = "n"
TEXTS: Final[Stage] = "t"
NONE: Final[Stage] = "-"
COLUMNS: Final = b"SELECT seq, record_time, context, body, owner"
MOST_ORDERS: Final = 8
# Texts in order, by query and `top`: of the walks that are under way (None: there are many, the
# index has them). What is lost is made anew.
Orders = dict[tuple[str, int], list[int] | None]
Row = tuple[Any, ...]  # seq, record_time, context, body, owner
Value = Any  # a number, or a text's octets; of one walk all are one or the other
Placed = tuple[Value, int]  # value, seq
_NUMBER: Final = b"SELECT value, seq FROM exchange.epcis_number WHERE name = %s AND seq <= %s"
_TEXT: Final = b"SELECT value, seq FROM exchange.epcis_text WHERE name = %s AND seq <= %s"


class Asked(msgspec.Struct, frozen=True):
    """What is asked: the query, its conditions as SQL, and a test for what SQL cannot say."""

    query: Query
    where: Sequence[bytes]
    values: Sequence[Any]
    facts_of: Callable[[Row], Awaitable[Facts]]
    holds: Callable[[Facts], bool]


class Ordered:
    """One query over one pool, up to the position `top` of the store."""

    def __init__(
        self,
        pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]],
        asked: Asked,
        top: int,
        orders: Orders,
    ) -> None:
        self._pool, self._asked, self._top, self._orders = pool, asked, top, orders
        fields = asked.query.order_fields
        self._names = [UUID(bytes=digest(n)) for f in fields for n in (f, f"{f}@t")]
        self._keys = [UUID(bytes=digest(f)) for f in fields]
        self._down = asked.query.descending

    async def page(
        self, mark: OrderMark | None, wanted: int, left: int, fingerprint: str
    ) -> tuple[list[Row], OrderMark | None]:
        """Give at most `wanted` rows beyond `mark`, and the mark to go on from if there are more.

        `left` is how many the query still gives, over all pages.
        """
        few = await self._seqs([], [], FEW)
        if few is not None:
            return await self._few_page(few, mark, wanted, left, fingerprint)
        stages = (NUMBERS, TEXTS, NONE)
        at = mark or OrderMark(fingerprint, self._top, left, stages[0])
        found: list[tuple[Row, OrderMark]] = []
        enough = min(wanted + 1, left)  # one more says whether there is another page
        refused = False
        for stage in stages[stages.index(at.stage) :]:
            if len(found) == enough:
                break
            begin = at if stage == at.stage else msgspec.structs.replace(
                at, stage=stage, at="", seq=0
            )  # fmt: skip
            try:
                async for row, value in self._of_stage(begin, enough - len(found)):
                    here = "" if value is None else value.hex()
                    found.append((row, OrderMark(fingerprint, self._top, 0, stage, here, row[0])))
                    if len(found) == enough:
                        break
            except Problem:
                if not found:
                    raise
                refused = True  # what was found is given, and the next page says it
                break
        shown = found[:wanted]
        rows = [row for row, _ in shown]
        if len(found) <= wanted and not refused:
            return rows, None
        return rows, msgspec.structs.replace(shown[-1][1], left=left - len(shown))

    def _of_stage(self, begin: OrderMark, wanted: int) -> AsyncIterator[tuple[Row, float | None]]:
        source = {NUMBERS: self._numbered, TEXTS: self._worded, NONE: self._without}[begin.stage]
        return source(begin, wanted)

    async def _few_page(
        self, few: list[int], mark: OrderMark | None, wanted: int, left: int, fingerprint: str
    ) -> tuple[list[Row], OrderMark | None]:
        rows, order = await self._ranked(few)
        start = _beyond(order, mark.seq if mark else 0)
        shown = order[start : start + wanted]
        found = [rows[seq] for seq in shown]
        if not shown or start + len(shown) >= len(order) or left <= len(shown):
            return found, None
        return found, OrderMark(fingerprint, self._top, left - len(shown), NONE, "", shown[-1])

    async def _ranked(self, seqs: list[int]) -> tuple[dict[int, Row], list[int]]:
        """Put events in order that match, by all that they hold."""
        rows = {row[0]: row for row in await self._of(seqs)}
        places = []
        for n, (seq, row) in enumerate(rows.items()):
            facts = await self._asked.facts_of(row)
            if self._asked.holds(facts):
                places.append((seq, rank(facts, self._asked.query.order_fields, self._down)))
            if n % 200 == 199:
                await asyncio.sleep(0)  # others are waiting
        return rows, in_order(places, self._down)

    # -- numbers and times -------------------------------------------------------------------------

    async def _numbered(
        self, begin: OrderMark, wanted: int
    ) -> AsyncIterator[tuple[Row, float | None]]:
        at = None if begin.value is None else (begin.value, begin.seq)
        async for row, value in self._indexed(_NUMBER, self._names, at, lambda p: p[1]):
            yield row, value

    # -- by an index -------------------------------------------------------------------------------

    async def _indexed(
        self, table: bytes, names: Sequence[UUID], begin: Placed | None,
        value_of: Callable[[Rank], Value],
    ) -> AsyncIterator[tuple[Row, Value]]:  # fmt: skip
        """Give what matches by the order of a table of values, from beyond `begin` on."""
        shown: set[int] = set()
        kind = 0 if table is _NUMBER else 1
        async for chunk in self._walk(table, names, begin):
            rows = {row[0]: row for row in await self._of([seq for _, seq in chunk])}
            for value, seq in chunk:
                if seq not in rows or seq in shown:
                    continue
                facts = await self._asked.facts_of(rows[seq])
                place = rank(facts, self._asked.query.order_fields, self._down)
                # Of several values one counts; the event is met at the others too.
                if place is None or place[0] != kind or value_of(place) != value:
                    continue
                if not self._asked.holds(facts):
                    continue
                shown.add(seq)
                yield rows[seq], value

    async def _walk(
        self, table: bytes, names: Sequence[UUID], begin: Placed | None
    ) -> AsyncIterator[list[Placed]]:
        """Give all events' values in order, by the index, from beyond `begin` on."""
        order = b"value DESC, seq" if self._down else b"value, seq"
        compare = b"<" if self._down else b">"
        more = b" AND value " + compare + b"= %s AND (value <> %s OR seq > %s)"
        beyond, at, size = b"", list[Any](), CHUNK
        if begin is not None:
            beyond, at = more, [begin[0], begin[0], begin[1]]
        while True:
            # Name by name, for an index is walked in order only within one; then merged.
            several: list[list[Placed]] = [
                [(v, s) for v, s in await self._all(
                    table + beyond + b" ORDER BY " + order + b" LIMIT %s",
                    [name, self._top, *at, size],
                )]
                for name in names
            ]  # fmt: skip
            # Where one gave all it could, what lies beyond its last is not known yet.
            ends = [some[-1] for some in several if len(some) == size]
            end = min(map(self._place, ends), default=None)
            merged = list(heapq.merge(*several, key=self._place))
            chunk = [n for n in merged if end is None or self._place(n) <= end]
            if chunk:
                yield chunk
            if end is None:
                return
            value, seq = chunk[-1]
            beyond, at, size = more, [value, value, seq], min(2 * size, MAX_CHUNK)

    def _place(self, one: Placed) -> tuple[Any, int]:
        value, seq = one
        if not self._down:
            return value, seq
        # Octets turned round; what goes on is larger than what ends, so it comes first.
        return (*(255 - o for o in value), 256) if isinstance(value, bytes) else -value, seq

    # -- texts -------------------------------------------------------------------------------------

    async def _texts(self) -> list[int] | None:
        """Give the events that match and hold only texts under the field; None if they are many."""
        return await self._seqs(
            [
                b"keys && %s",
                b"NOT EXISTS (SELECT FROM exchange.epcis_number n"
                b" WHERE n.name = ANY(%s) AND n.seq = epcis_event.seq)",
            ],
            [self._keys, self._names],
            MAX_SORTED,
        )

    async def _worded(
        self, begin: OrderMark, wanted: int
    ) -> AsyncIterator[tuple[Row, float | None]]:
        key = (begin.query, self._top)
        if key not in self._orders:
            few = await self._texts()
            order = None if few is None else (await self._ranked(few))[1]
            if len(self._orders) >= MOST_ORDERS:
                self._orders.pop(next(iter(self._orders)))
            self._orders[key] = order
        order = self._orders[key]
        if order is None:
            async for row in self._many_worded(begin):
                yield row, None
            return
        order = order[_beyond(order, begin.seq) :]
        for first in range(0, len(order), wanted):
            some = order[first : first + wanted]
            rows = {row[0]: row for row in await self._of(some)}
            for seq in some:
                if seq in rows:
                    yield rows[seq], None

    async def _many_worded(self, begin: OrderMark) -> AsyncIterator[Row]:
        fields = self._asked.query.order_fields
        for field in fields:
            await fill(self._pool, field, self._top, self._asked.facts_of)
        at = None
        if begin.seq:
            rows = await self._of([begin.seq])
            place = rank(await self._asked.facts_of(rows[0]), fields, self._down) if rows else None
            if place is None or place[0] != 1:
                raise _gone()
            at = (place[2], begin.seq)
        async for row, _ in self._indexed(_TEXT, self._keys, at, lambda p: p[2]):
            yield row

    # -- without the field -------------------------------------------------------------------------

    async def _without(
        self, begin: OrderMark, wanted: int
    ) -> AsyncIterator[tuple[Row, float | None]]:
        seq = begin.seq
        while True:
            where = b" AND ".join([*self._asked.where, b"seq <= %s", b"seq > %s",
                                   b"NOT keys && %s"])  # fmt: skip
            rows = await self._all(
                COLUMNS + b" FROM exchange.epcis_event WHERE " + where + b" ORDER BY seq LIMIT %s",
                [*self._asked.values, self._top, seq, self._keys, wanted],
            )
            for row in rows:
                seq = row[0]
                if self._asked.holds(await self._asked.facts_of(row)):
                    yield row, None
            if len(rows) < wanted:
                return

    # -- the database ------------------------------------------------------------------------------

    async def _seqs(
        self, more: Sequence[bytes], values: Sequence[Any], most: int
    ) -> list[int] | None:
        """Give what matches and also `more`; None if it is more than `most`."""
        where = b" AND ".join([*self._asked.where, b"seq <= %s", *more])
        found = await self._all(
            b"SELECT seq FROM exchange.epcis_event WHERE " + where + b" LIMIT %s",
            [*self._asked.values, self._top, *values, most + 1],
        )
        return [row[0] for row in found] if len(found) <= most else None

    async def _of(self, seqs: Sequence[int]) -> list[Row]:
        """Give those of some events that match."""
        # OFFSET 0: looked up one by one and then tested. The tests' own indexes find far more.
        where = b" AND ".join(self._asked.where)
        return await self._all(
            COLUMNS + b" FROM (SELECT * FROM exchange.epcis_event WHERE seq = ANY(%s) OFFSET 0)"
            b" epcis_event WHERE " + where,
            [list(seqs), *self._asked.values],
        )  # fmt: skip

    async def _all(self, statement: bytes, values: Sequence[Any]) -> list[Row]:
        async with self._pool.connection() as connection, connection.transaction():
            # How many match is guessed badly, and a loop over more than was guessed never ends.
            await connection.execute("SET LOCAL enable_nestloop = off")
            # Never prepared, as in `epcis_pages`: a generic plan would not know what is rare.
            cursor = await connection.execute(statement, values, prepare=False)
            return await cursor.fetchall()


def _beyond(order: Sequence[int], seq: int) -> int:
    """Give the place after an event's (0: the first). What is in the store stays there."""
    if seq == 0:
        return 0
    if seq not in order:  # it matched by master data that has changed since
        raise _gone()
    return order.index(seq) + 1


def _gone() -> Problem:
    why = "goes on at an event that no longer matches; begin again"
    return Problem(
        400, "QueryParameterException", f"nextPageToken {why}", [Finding("/nextPageToken", why)]
    )


def left_of(query: Query, mark: OrderMark | None) -> int:
    """Give how many events a query still gives."""
    if mark is not None:
        return mark.left
    return query.limit if query.limit is not None else MOST
