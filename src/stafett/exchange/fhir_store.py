"""FHIR resources of journeys in PostgreSQL: a cache of what the record says, searched by index.

A journey is kept whole, as of one event of it, with one row for each of its resources by which it
is found. What is kept is told apart by its **format**, a digest of the very code that makes it, so
that a changed rule never leaves an old answer behind. What the search shows is read as the
organisation that asks, under row-level security.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, LiteralString, NamedTuple

import msgspec
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.exchange.fhir_keys import COLUMNS, Found, Wanted, reader
from stafett.exchange.fhir_parameters import Json
from stafett.exchange.fhir_sort import Key, Sort
from stafett.exchange.fhir_write import Version

PACKAGE: Final = Path(__file__).resolve().parent.parent
# What resources, and what they are found by, are made by: changing any of it makes all anew.
MADE_BY: Final = (
    "exchange/fhir_write.py", "exchange/fhir_read.py", "exchange/fhir_search.py",
    "exchange/fhir_parameters.py", "exchange/fhir_sort.py", "exchange/fhir_keys.py",
    "exchange/fhir_store.py", "exchange/views.py", "service/fhir_index.py",
)  # fmt: skip
OLD_DAYS: Final = 7  # a format that nobody has asked for so long is no longer kept
WALK: Final = 4  # times as many rows as are wanted are looked at in order, before all are sought


class Place(NamedTuple):
    """Where a resource is in the order of answers: by the keys of `_sort`, then as it was made."""

    opened: datetime
    journey: str
    n: int
    keys: tuple[Key, ...] = ()


class Kept(NamedTuple):
    """A journey's resources as of an event of it; `found` says what each is found by, in order."""

    journey: str
    opened: datetime
    position: int
    audience: tuple[str, ...]
    resources: Mapping[str, Json]
    found: Sequence[Found]


class Hits(NamedTuple):
    """Resources that answer, with their places; and how many there are in all, if counted."""

    resources: list[tuple[Place, Json]]
    total: int | None


@cache
def format_(version: Version) -> int:
    """Return the number of the code that makes the resources of a version."""
    digest = hashlib.sha256(version.encode())
    for name in MADE_BY:
        digest.update(name.encode() + b"\0" + (PACKAGE / name).read_bytes())
    return int.from_bytes(digest.digest()[:4]) >> 1


class FhirStore:
    """The resources of one database, in the formats of this process."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def begin(self, version: Version, size: int) -> int:
        """Note that a version is asked for; return up to which position of the record it is kept.

        What was kept of a record longer than `size` is of another one, and is thrown away.
        """
        number = format_(version)
        async with self._pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(
                "INSERT INTO exchange.fhir_format (format) VALUES (%s)"
                " ON CONFLICT (format) DO UPDATE SET asked = now() RETURNING position",
                [number],
            )
            row = await cursor.fetchone()
            assert row is not None
            if row[0] <= size:
                return int(row[0])
            await cursor.execute("DELETE FROM exchange.fhir_journey WHERE format = %s", [number])
            await cursor.execute(
                "UPDATE exchange.fhir_format SET position = 0 WHERE format = %s", [number]
            )
            return 0

    async def reached(self, version: Version, position: int) -> None:
        """Note that every journey that changed up to `position` is kept."""
        await self._done(
            "UPDATE exchange.fhir_format SET position = greatest(position, %s) WHERE format = %s",
            [position, format_(version)],
        )

    async def clear(self, *, only_old: bool = False) -> None:
        """Throw everything away; `only_old`: the formats that nobody asks for now."""
        old = "asked < now() - %s * interval '1 day'"
        for table in ("fhir_journey", "fhir_format"):
            which = f"format IN (SELECT format FROM exchange.fhir_format WHERE {old})"
            query = f"DELETE FROM exchange.{table}" + (f" WHERE {which}" if only_old else "")
            await self._done(query, [OLD_DAYS] if only_old else [])

    async def positions(self, version: Version, journeys: Sequence[str]) -> dict[str, int]:
        """Return as of which event each of these journeys is kept; those not kept are left out."""
        async with self._pool.connection() as connection:
            cursor = await connection.cursor(row_factory=tuple_row).execute(
                "SELECT journey, position FROM exchange.fhir_journey"
                " WHERE format = %s AND journey = ANY(%s)",
                [format_(version), list(journeys)],
            )
            return dict(await cursor.fetchall())

    async def keep(self, version: Version, kept: Kept) -> None:
        """Keep a journey; nothing happens where it is kept as of a later event."""
        number = format_(version)
        async with self._pool.connection() as connection, connection.transaction():
            # A cache may lose its last rows with the machine: nobody waits for the disk.
            await connection.execute("SET LOCAL synchronous_commit = off")
            new = await connection.execute(
                "INSERT INTO exchange.fhir_journey AS j (format, journey, position, audience)"
                " VALUES (%s, %s, %s, %s) ON CONFLICT (format, journey) DO UPDATE SET"
                " position = EXCLUDED.position, audience = EXCLUDED.audience"
                " WHERE j.position < EXCLUDED.position",
                [number, kept.journey, kept.position, list(kept.audience)],
            )
            if new.rowcount == 0:
                return
            await connection.execute(_ROWS, [number, kept.opened, kept.journey, *_columns(kept)])
            await connection.execute(
                "DELETE FROM exchange.fhir_resource WHERE format = %s AND journey = %s AND n >= %s",
                [number, kept.journey, len(kept.found)],
            )

    async def search(
        self, version: Version, organisation: str, kind: str, wanted: Wanted, *,
        after: Place | None = None, limit: int = 0, count: bool = False,
    ) -> Hits:  # fmt: skip
        """Return the first `limit` resources beyond `after` that answer, and how many do in all."""
        where, values = conditions(version, kind, organisation, wanted)
        total = None
        async with self._pool.connection() as connection, connection.transaction():
            # One snapshot: what is found, and what it is, are of the same event.
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor = connection.cursor(row_factory=tuple_row)
            if count:
                text = f"SELECT count(*) FROM exchange.fhir_resource WHERE {where}"
                await cursor.execute(text.encode(), values, prepare=False)
                row = await cursor.fetchone()
                total = int(row[0]) if row else 0
            if limit == 0:
                return Hits([], total)
            for text, of in ways(where, values, after, limit, wanted.sorts):
                # Planned for these very values: what is rare for one of them is not for another.
                await cursor.execute(text.encode(), of, prepare=False)
                rows = await cursor.fetchall()
                places = [Place(row[0], row[1], row[2], tuple(row[3:])) for row in rows]
                if len(places) >= limit:
                    break
            # From here on as the organisation: no condition of ours shows what it may not read.
            await cursor.execute("SET LOCAL ROLE stafett_read")
            await cursor.execute(
                "SELECT set_config('stafett.organisation', %s, true)", [organisation]
            )
            await cursor.execute(
                "SELECT opened, journey, n, body FROM unnest(%s::text[], %s::integer[]) AS t"
                " (journey, n) JOIN exchange.fhir_resource USING (journey, n) WHERE format = %s",
                [[p[1] for p in places], [p[2] for p in places], format_(version)],
            )
            read = {tuple(row[:3]): _decode(row[3]) for row in await cursor.fetchall()}
        return Hits([(p, read[p[:3]]) for p in places if p[:3] in read], total)

    async def weigh(self) -> None:
        """Count what there is, so that the planner knows; it knows nothing of a new table."""
        await self._done("SELECT exchange.fhir_weigh()", [])

    async def _done(self, query: str, values: list[Any]) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(query.encode(), values)


_decode = msgspec.json.Decoder(Json).decode
# A row that stays as it was is not written: most of a journey's resources do.
_ROWS: Final[LiteralString] = """
INSERT INTO exchange.fhir_resource AS r
  (format, opened, journey, n, kind, updated, made, modified, words, sorts, keys, body)
SELECT %s, %s, %s, n - 1, kind, updated, made, modified, words, sorts::jsonb, keys::uuid[], body
  FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::text[],
              %s::text[], %s::text[], %s::text[])
       WITH ORDINALITY AS t (kind, updated, made, modified, words, sorts, keys, body, n)
ON CONFLICT (format, journey, n) DO UPDATE SET opened = EXCLUDED.opened, kind = EXCLUDED.kind,
  updated = EXCLUDED.updated, made = EXCLUDED.made, modified = EXCLUDED.modified,
  words = EXCLUDED.words, sorts = EXCLUDED.sorts, keys = EXCLUDED.keys, body = EXCLUDED.body
  WHERE (r.opened, r.kind, r.updated, r.made, r.modified, r.words, r.sorts, r.keys, r.body)
    IS DISTINCT FROM
    (EXCLUDED.opened, EXCLUDED.kind, EXCLUDED.updated, EXCLUDED.made, EXCLUDED.modified,
     EXCLUDED.words, EXCLUDED.sorts, EXCLUDED.keys, EXCLUDED.body)
"""


def _columns(kept: Kept) -> Iterable[list[Any]]:
    for name in ("kind", "updated", "made", "modified", "words"):
        yield [getattr(one, name) for one in kept.found]
    yield [msgspec.json.encode(one.sorts).decode() for one in kept.found]
    yield ["{" + ",".join(key.hex for key in one.keys) + "}" for one in kept.found]
    yield [msgspec.json.encode(one).decode() for one in kept.resources.values()]


def ways(
    where: str, values: Sequence[Any], after: Place | None, limit: int, sorts: Sequence[Sort] = ()
) -> Iterator[tuple[str, list[Any]]]:
    """Write the ways to the first places that answer; the second, if the first finds too few.

    What is frequent is found at once in the order of answers; all of it would have to be sorted.
    What is rare is found by its keys, and is soon sorted; the planner cannot know which it is,
    because the keys of a resource go together.
    """
    table, kind = "exchange.fhir_resource", "format = %s AND kind = %s"
    names = "".join(f", {expression(one)} AS k{n}" for n, one in enumerate(sorts))
    columns = "opened, journey, n" + "".join(f", k{n}" for n in range(len(sorts)))
    order = f"ORDER BY {_order(sorts)} LIMIT %s"
    beyond, given = _beyond(sorts, after)
    # With an index for the order it can be walked: as things were made, or by `_lastUpdated`.
    if not sorts or sorts[0].name == "_lastUpdated":
        edge, at = _edge(sorts, after)
        yield (
            f"SELECT {columns} FROM (SELECT *{names} FROM {table} WHERE {kind}{edge} {order}) r"
            f" WHERE {where}{beyond} {order}",
            [*values[:2], *at, WALK * limit, *values, *given, limit],
        )
    yield (
        # Without OFFSET 0 it would walk again, and as far as it takes.
        f"SELECT {columns} FROM (SELECT opened, journey, n{names} FROM {table} WHERE {where}"
        f" OFFSET 0) r WHERE true{beyond} {order}",
        [*values, *given, limit],
    )


def expression(sort: Sort) -> str:
    """Write what is sorted by as SQL; the names are those of our own table of parameters."""
    if sort.kind == "date":
        return COLUMNS[sort.name]
    return f"(sorts -> '{sort.name}' ->> {-1 if sort.down else 0}) COLLATE \"C\""


def _order(sorts: Sequence[Sort]) -> str:
    keys = ""
    for n, sort in enumerate(sorts):
        # Each has a `_lastUpdated`; said so, its index would not fit going down.
        nulls = "" if sort.name == "_lastUpdated" else " NULLS LAST"
        keys += f"k{n} {'DESC' if sort.down else 'ASC'}{nulls}, "
    return keys + "opened, journey, n"


def _beyond(sorts: Sequence[Sort], after: Place | None) -> tuple[str, list[Any]]:
    """Write "after this place": what is beyond it by one key, and the same by those before."""
    if after is None:
        return "", []
    choices: list[str] = []
    given: list[Any] = []
    before: list[Any] = []
    same = ""
    for n, (sort, key) in enumerate(zip(sorts, after.keys, strict=True)):
        if key is not None:  # beyond nothing there is nothing: it comes last
            choices.append(f"({same}(k{n} {'<' if sort.down else '>'} %s OR k{n} IS NULL))")
            given += [*before, key]
        same += f"k{n} IS NOT DISTINCT FROM %s AND "
        before.append(key)
    choices.append(f"({same}(opened, journey, n) > (%s, %s, %s))")
    return f" AND ({' OR '.join(choices)})", [*given, *before, *after[:3]]


def _edge(sorts: Sequence[Sort], after: Place | None) -> tuple[str, list[Any]]:
    """Write from where an index is walked: at or before the place, never beyond it."""
    if after is None:
        return "", []
    if not sorts:
        return " AND (opened, journey, n) > (%s, %s, %s)", list(after[:3])
    return f" AND updated {'<=' if sorts[0].down else '>='} %s", [after.keys[0]]


def conditions(
    version: Version, kind: str, organisation: str, wanted: Wanted
) -> tuple[str, list[Any]]:
    """Write a search of what an organisation may read as SQL, with its values.

    The first two are the format and the kind.
    """
    parts, values = ["format = %s AND kind = %s"], [format_(version), kind]
    every = [reader(kind, organisation)]
    every += [next(iter(one)) for one in wanted.one_of if len(one) == 1]
    parts.append("keys @> %s::uuid[]")
    values.append(every)
    for one in wanted.one_of:
        if len(one) > 1:
            parts.append("keys && %s::uuid[]")
            values.append(list(one))
    for column, stretches in wanted.within:
        any_of = []
        for low, high in stretches:
            edges = []
            if low is not None:
                edges.append(f"{column} >= %s")
                values.append(low)
            if high is not None:
                edges.append(f"{column} < %s")
                values.append(high)
            any_of.append("(" + " AND ".join(edges) + ")")
        parts.append("(" + " OR ".join(any_of) + ")")
    for texts in wanted.words:
        # PostgreSQL's text holds no NUL, so nothing that is kept holds one.
        parts.append("EXISTS (SELECT FROM unnest(%s::text[]) w WHERE strpos(words, w) > 0)")
        values.append([t for t in texts if "\0" not in t])
    return " AND ".join(parts), values
