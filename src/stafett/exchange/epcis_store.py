"""The EPCIS event store on PostgreSQL: capture whole batches or nothing, query by page.

    async with EpcisStore(url) as store:
        outcome = await store.capture(epcis.read(data), owner="courier")
        page = await store.query(read_query({...}, store.names), limit=30)

Captures take one lock, so that `seq` follows the order of commits and has no gaps; what a
transaction holds is a batch, not an event. The same event sent again is recognised and counted as
a duplicate; another event under a known eventID is a conflict, and nothing of its batch is kept.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final

import msgspec
import psycopg
from psycopg_pool import AsyncConnectionPool

from stafett.exchange import epcis
from stafett.exchange.epcis import Document, Json
from stafett.exchange.epcis_facts import EPOCH, ahead, word
from stafett.exchange.epcis_pages import Page, Reader
from stafett.exchange.epcis_query import Query
from stafett.exchange.epcis_rows import EVENT_COLUMNS, Row, events_copy, numbers_copy, row_of
from stafett.exchange.gs1link import canonical
from stafett.exchange.gs1urn import prefixes_in
from stafett.exchange.problem import Finding, Problem, pointer
from stafett.ledger.lending import Pool

MAX_MEANINGS: Final = 100  # of a prefix that a query tries
LOCK: Final = 0x5374616665747402
Connection = psycopg.AsyncConnection[Any]

# Two statements: one statement's snapshot would be older than the lock that it waited for.
TAKE: Final = f"SELECT pg_advisory_xact_lock({LOCK})"
START: Final = """
SELECT (SELECT coalesce(max(seq), 0) FROM exchange.epcis_event), clock_timestamp(),
  ARRAY(SELECT identity FROM exchange.epcis_event WHERE identity = ANY(%s::uuid[]) ORDER BY seq),
  ARRAY(SELECT content FROM exchange.epcis_event WHERE identity = ANY(%s::uuid[]) ORDER BY seq)
"""


class Outcome(msgspec.Struct, frozen=True):
    """What a capture came to: how many events are new, which were there, what is wrong."""

    job: uuid.UUID
    captured: int
    duplicates: int
    first_seq: int
    last_seq: int
    event_ids: tuple[str, ...]
    errors: tuple[Finding, ...] = ()
    remarks: tuple[Finding, ...] = ()  # what is odd about events that were taken


class _Learnt(msgspec.Struct):
    # What a capture added besides events; remembered once it is committed.
    contexts: dict[bytes, int] = {}
    namespaces: list[tuple[str, str, str]] = []
    names: set[tuple[str, str, str]] = set()
    companies: set[tuple[str, str]] = set()


class EpcisStore:
    """One store for one process and event loop. The database must be migrated."""

    def __init__(self, url: str, *, connections: int = 8, companies: Iterable[str] = ()) -> None:
        """`companies` are GS1 company prefixes that are known besides those of captured URNs."""
        self.url = url
        self._settled = frozenset(companies)
        self._pool = Pool(
            url, min_size=1, max_size=connections, open=False, configure=_as_service,
            kwargs={"autocommit": True},
        )  # fmt: skip
        self._contexts: dict[bytes, int] = {}
        self._names: set[tuple[str, str, str]] = set()
        self._companies: set[tuple[str, str]] = set()  # (owner, company prefix), all in the table
        self._namespaces: dict[str, dict[str, set[str]]] = {}  # owner -> prefix -> namespaces
        self.early: frozenset[str] = frozenset()  # see exchange_0013
        self._reader = Reader(self._pool, self.context_of)
        self._context_bodies: dict[int, Any] = {}

    async def __aenter__(self) -> EpcisStore:
        await self._pool.open(wait=True)
        await self._learn_namespaces()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._pool.close()

    @property
    def pool(self) -> AsyncConnectionPool[Connection]:
        """The connections, for the room's other tables."""
        return self._pool

    def names(
        self, name: str, context: Any = None, owners: Sequence[str] | None = None
    ) -> Sequence[str]:
        """Give the full names that `prefix:name` may stand for: by context, else as captured.

        As captured by `owners` (None: by anybody): what a partner writes into its documents
        changes nobody else's questions.
        Raises `Problem` 400 where a prefix was given more meanings than a query can try.
        """
        if context is not None:
            prefixes = epcis.prefixes_of(context)
            if name.partition(":")[0] in prefixes:
                return [epcis.expand(name, prefixes)]
        prefix, _, local = name.partition(":")
        standard = epcis.STANDARD_PREFIXES.get(prefix)
        uris = {*self._meant(prefix, owners), *([standard] if standard else [])}
        if len(uris) > MAX_MEANINGS:
            why = (
                f"{prefix!r} has meant {len(uris):,} namespaces in captured documents: say which, "
                f"by the header GS1-Extensions: {prefix}=URI, or the query's @context"
            )
            raise Problem(400, "QueryParameterException", f"{name[:80]}: {why}")
        return [f"{{{uri}}}{local}" for uri in sorted(uris)] + [name]

    async def capture(
        self,
        document: Document,
        *,
        owner: str,
        job: uuid.UUID | None = None,
        proceed: bool = False,
        also: Callable[[Connection, Outcome], Awaitable[None]] | None = None,
    ) -> Outcome:
        """Make a document's events and master data durable, all or nothing.

        With `proceed`, events that conflict are left out and named in the outcome. `also` is
        done in the same transaction, last. Raises `Problem` 409 when an eventID is known for
        another event.
        """
        job = job or uuid.uuid4()
        rows, errors = prepare(document, proceed, owner)
        learnt = _Learnt()
        async with self._pool.connection() as connection, connection.transaction():
            outcome = await self._store(
                connection, document, rows, errors, owner, job, proceed, learnt
            )
            if also is not None:
                await also(connection, outcome)
        self._remember(learnt)  # only now is it true
        return outcome

    async def _store(
        self,
        connection: Connection,
        document: Document,
        rows: list[Row],
        errors: list[Finding],
        owner: str,
        job: uuid.UUID,
        proceed: bool,
        learnt: _Learnt,
    ) -> Outcome:
        await connection.execute(TAKE.encode())
        asked = "{" + ",".join([r.identity.hex() for r in rows]) + "}"
        size, recorded, identities, contents = await _one(connection, START, [asked, asked])
        known = {i.bytes: c.bytes for i, c in zip(identities, contents, strict=True)}
        ids = tuple(r.event["eventID"] for r in rows)
        fresh, duplicates, conflicts = _sift(rows, known)
        if conflicts and not proceed:
            raise Problem(
                409,
                "ResourceAlreadyExistsException",
                f"{len(conflicts)} eventID(s) are known for other events; an event is never "
                "changed: declare the old one an error and capture the right one under a new ID",
                conflicts,
            )
        context = await self._context_id(connection, document.context, learnt)
        for row in fresh:
            row.context = context
            if row.own is not None and row.own != document.context:
                both = epcis.joined(document.context, row.own)
                row.context = await self._context_id(connection, both, learnt)
        micros = (recorded - EPOCH) // _MICROSECOND
        if fresh:
            await _copy(
                connection,
                f"COPY exchange.epcis_event ({EVENT_COLUMNS}) FROM STDIN (FORMAT binary)",
                events_copy(fresh, size + 1, owner, job, micros),
            )
            numbers = numbers_copy(fresh, size + 1)
            if numbers is not None:
                await _copy(
                    connection,
                    "COPY exchange.epcis_number (name, value, seq) FROM STDIN (FORMAT binary)",
                    numbers,
                )
        await self._note_names(connection, document, fresh, owner, learnt)
        await _master_data(connection, document.vocabularies, job, owner)
        return Outcome(
            job=job,
            captured=len(fresh),
            duplicates=duplicates,
            first_seq=size + 1,
            last_seq=size + len(fresh),
            event_ids=ids,
            errors=(*errors, *conflicts),
            remarks=(*document.warnings, *_ahead(fresh, micros))[: epcis.MAX_FINDINGS],
        )

    async def size(self) -> int:
        """Give the number of events, which is also the last `seq`."""
        async with self._pool.connection() as connection:
            row = await _one(connection, "SELECT coalesce(max(seq), 0) FROM exchange.epcis_event")
        return int(row[0])

    async def query(
        self,
        query: Query,
        *,
        limit: int = 30,
        token: str | None = None,
        after_seq: int = 0,
        upto_seq: int | None = None,
        owners: Sequence[str] | None = None,
    ) -> Page:
        """Give one page of a query's events; see `epcis_pages.Reader.page`."""
        return await self._reader.page(
            query, limit=limit, token=token, after_seq=after_seq, upto_seq=upto_seq, owners=owners
        )

    async def _context_id(self, connection: Connection, context: Any, learnt: _Learnt) -> int:
        body = msgspec.json.encode(context, order="sorted")
        digest = hashlib.blake2b(body, digest_size=16).digest()
        found = self._contexts.get(digest) or learnt.contexts.get(digest)
        if found is None:
            row = await _one(
                connection,
                "WITH new AS (INSERT INTO exchange.context (digest, body) VALUES (%s, %s)"
                " ON CONFLICT DO NOTHING RETURNING id) SELECT id FROM new UNION ALL"
                " SELECT id FROM exchange.context WHERE digest = %s LIMIT 1",
                [uuid.UUID(bytes=digest), body.decode(), uuid.UUID(bytes=digest)],
            )
            found = learnt.contexts[digest] = int(row[0])
        return found

    async def context_of(self, number: int) -> Any:
        """Give a stored JSON-LD context by its number."""
        if number not in self._context_bodies:
            async with self._pool.connection() as connection:
                row = await _one(
                    connection, "SELECT digest, body FROM exchange.context WHERE id = %s", [number]
                )
            self._context_bodies[number] = msgspec.json.decode(row[1])
            self._contexts[row[0].bytes] = number
        return self._context_bodies[number]

    async def _learn_namespaces(self) -> None:
        async with self._pool.connection() as connection:
            rows = await (
                await connection.execute("SELECT owner, prefix, uri, early FROM exchange.namespace")
            ).fetchall()
        self.early = frozenset(uri for *_, uri, early in rows if early)
        self._namespaces = {}
        for owner, prefix, uri, _ in rows:
            self._noted(owner, prefix, uri)

    def _noted(self, owner: str, prefix: str, uri: str) -> None:
        self._namespaces.setdefault(owner, {}).setdefault(prefix, set()).add(uri)

    def _meant(self, prefix: str, owners: Sequence[str] | None) -> set[str]:
        who = self._namespaces if owners is None else owners
        return set().union(*(self._namespaces.get(o, {}).get(prefix, ()) for o in who))

    def namespaces(self, owners: Sequence[str] | None = None) -> dict[str, list[str]]:
        """Give what each extension prefix has meant in what `owners` (None: anybody) captured."""
        who = self._namespaces if owners is None else owners
        prefixes = {p for o in who for p in self._namespaces.get(o, ())}
        return {p: sorted(self._meant(p, owners)) for p in prefixes}

    async def refresh(self) -> None:
        """Learn what other processes captured (the meaning of prefixes)."""
        await self._learn_namespaces()

    async def _note_names(
        self,
        connection: Connection,
        document: Document,
        rows: Sequence[Row],
        owner: str,
        learnt: _Learnt,
    ) -> None:
        meant = set(document.prefixes.items())
        for row in rows:
            if row.own is not None:
                meant |= epcis.prefixes_of(row.own).items()
        there = self._namespaces.get(owner, {})
        spaces = [
            (owner, p, uri)
            for p, uri in sorted(meant)
            if epcis.STANDARD_PREFIXES.get(p) != uri and uri not in there.get(p, ())
        ]
        if spaces:
            await connection.cursor().executemany(
                "INSERT INTO exchange.namespace (owner, prefix, uri) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                spaces,
            )
            learnt.namespaces = spaces
        new = {(owner, kind, value) for kind, value in resources(document, rows)} - self._names
        if new:
            await connection.cursor().executemany(
                "INSERT INTO exchange.name (owner, kind, value) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                sorted(new),
            )
            learnt.names = new
        told = {(owner, p) for row in rows for p in prefixes_in(row.body)} - self._companies
        if told:
            await connection.cursor().executemany(
                "INSERT INTO exchange.company_prefix VALUES (%s, %s) ON CONFLICT DO NOTHING",
                sorted(told),
            )
            learnt.companies = told

    async def companies(self, owners: Sequence[str] | None) -> frozenset[str]:
        """Give the company prefixes settled, and those in URNs of `owners` (None: of all)."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT DISTINCT prefix FROM exchange.company_prefix"
                " WHERE %s::text[] IS NULL OR owner = ANY(%s)",
                [None if owners is None else list(owners)] * 2,
            )
            return self._settled.union(row[0] for row in await cursor.fetchall())

    def _remember(self, learnt: _Learnt) -> None:
        self._contexts.update(learnt.contexts)
        for space in learnt.namespaces:
            self._noted(*space)
        if len(self._names) > 100_000:
            self._names.clear()
        self._names |= learnt.names
        if len(self._companies) > 100_000:
            self._companies.clear()
        self._companies |= learnt.companies


_MICROSECOND: Final = datetime.resolution


def prepare(
    document: Document, proceed: bool = False, owner: str = ""
) -> tuple[list[Row], list[Finding]]:
    """Turn a document's events into rows; with `proceed`, name what cannot be and go on."""
    rows, errors = [], []
    places = document.places or range(len(document.events))
    for place, event in zip(places, document.events, strict=True):
        try:
            rows.append(row_of(event, _prefixes(document, event.get("@context")), place, owner))
        except Problem as wrong:
            found = Finding(pointer("epcisBody", "eventList", place, "eventTime"), wrong.detail)
            if not proceed:
                raise Problem(wrong.status, wrong.name, wrong.detail, [found]) from None
            errors.append(found)
    return rows, errors


def _prefixes(document: Document, own: Any) -> dict[str, str]:
    return {**document.prefixes, **epcis.prefixes_of(own)} if own else document.prefixes


def resources(document: Document, rows: Iterable[Row]) -> set[tuple[str, str]]:
    """Give the top-level resources that events mention, as (kind, canonical value).

    The events of a document say mostly the same words and places, so each spelling is looked at
    once: looking at each event cost a sixth of a capture's work.
    """
    spelled: dict[int, set[tuple[str, str]]] = {}
    owns: dict[int, Any] = {}
    for row in rows:
        owns[id(row.own)] = row.own
        said = spelled.setdefault(id(row.own), set())
        event = row.event
        said.add(("eventType", event["type"]))
        if "bizStep" in event:
            said.add(("bizStep", event["bizStep"]))
        if "disposition" in event:
            said.add(("disposition", event["disposition"]))
        if "readPoint" in event:
            said.add(("readPoint", event["readPoint"]["id"]))
        if "bizLocation" in event:
            said.add(("bizLocation", event["bizLocation"]["id"]))
    return {
        (kind, _one_form(kind, value, _prefixes(document, owns[own])))
        for own, said in spelled.items()
        for kind, value in said
    }


def _one_form(kind: str, value: str, prefixes: dict[str, str]) -> str:
    if kind == "eventType":
        return value
    return word(kind, value, prefixes) if kind in ("bizStep", "disposition") else canonical(value)


def _sift(rows: list[Row], known: dict[bytes, bytes]) -> tuple[list[Row], int, list[Finding]]:
    """Part the rows into new ones, a count of those known, and conflicts by name."""
    fresh, duplicates, conflicts = [], 0, []
    for row in rows:
        there = known.get(row.identity)
        if there is None:
            known[row.identity] = row.content
            fresh.append(row)
        elif there == row.content:
            duplicates += 1
        else:
            where = pointer("epcisBody", "eventList", row.place, "eventID")
            conflicts.append(Finding(where, f"{row.event['eventID']} is the ID of another event"))
    return fresh, duplicates, conflicts


def _ahead(rows: list[Row], now: int) -> list[Finding]:
    """Name the events that lie in the future: what has not happened yet is kept, not believed."""
    return [
        Finding(
            pointer("epcisBody", "eventList", row.place, "eventTime"),
            f"{row.event['eventTime']} is in the future: is the clock or the zone wrong?",
        )
        for row in rows
        if ahead(row.facts.event_time, now)
    ]


async def _master_data(
    connection: Connection, vocabularies: list[Json], job: uuid.UUID, owner: str
) -> None:
    elements = [
        (
            vocabulary["type"],
            canonical(element["id"]),
            msgspec.json.encode(element.get("attributes", [])).decode(),
            [canonical(c) for c in element.get("children", [])],
            job,
            owner,
        )
        for vocabulary in vocabularies
        for element in vocabulary.get("vocabularyElementList", ())
    ]
    if elements:
        await connection.cursor().executemany(
            "INSERT INTO exchange.vocabulary (type, id, attributes, children, job, owner)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            elements,
        )


async def _copy(connection: Connection, statement: str, buffer: bytes) -> None:
    async with connection.cursor().copy(statement.encode()) as copy:
        await copy.write(buffer)


async def _one(connection: Connection, statement: str, values: Sequence[Any] = ()) -> Any:
    row = await (await connection.execute(statement.encode(), values or None)).fetchone()
    assert row is not None
    return row


async def _as_service(connection: Connection) -> None:
    await connection.execute("SET ROLE stafett_append")
