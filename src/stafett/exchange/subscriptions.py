"""Named queries and who is told of their answers.

A webhook remembers the last position that its receiver acknowledged with a 2xx. It moves on only
then, so a receiver may miss nothing and may see an event twice, never out of order. Failures are
retried with growing pauses; after `GIVE_UP` of them in a row the webhook is dead until a person
revives it, from where it stood or from an earlier position (`replay`).
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
import psycopg

from stafett.exchange.epcis_query import CONTROLS, Query, read_query
from stafett.exchange.epcis_store import Connection, EpcisStore
from stafett.exchange.problem import Finding, Problem, pointer
from stafett.exchange.schedule import next_run, read_schedule

GIVE_UP: Final = 12
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 3600.0
_WISHES: Final = ("dest", "signatureToken", "stream", "schedule", "reportIfEmpty",
                  "initialRecordTime")  # fmt: skip
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,99}")
Mode = Literal["epcis", "structured", "binary", "fhir-r5", "fhir-r4b"]

_COLUMNS: Final = """id, owner, source, query_name, dest, mode, secret, schedule, report_if_empty,
  position, created, initial_time, last_notified, last_run, failures, last_error, next_try, dead,
  epc_format"""


class NamedQuery(msgspec.Struct, frozen=True):
    """A query under a name, with the context its extension prefixes mean something in."""

    name: str
    owner: str
    query: dict[str, Any]
    context: Any
    created: datetime


class Webhook(msgspec.Struct, frozen=True):
    """One subscription; `position` is the last `seq` (or ledger position) acknowledged."""

    id: uuid.UUID
    owner: str
    source: str
    query_name: str | None
    dest: str
    mode: str
    secret: str | None
    schedule: str | None
    report_if_empty: bool
    position: int
    created: datetime
    initial_time: datetime | None
    last_notified: datetime | None
    last_run: datetime | None
    failures: int
    last_error: str | None
    next_try: datetime
    dead: bool
    epc_format: str = "Never_Translates"

    def body(self) -> dict[str, Any]:
        """Give the subscription as the REST binding shows it; the secret is never shown."""
        out: dict[str, Any] = {
            "subscriptionID": str(self.id),
            "dest": self.dest,
            "createdAt": self.created.isoformat(),
            "position": self.position,
            "failures": self.failures,
            "dead": self.dead,
        }
        if self.schedule is None:
            out["stream"] = True
        else:
            out["schedule"] = msgspec.json.decode(self.schedule)
            out["reportIfEmpty"] = self.report_if_empty
        if self.query_name is not None:
            out["epcFormat"] = self.epc_format
        for name, value in (
            ("initialRecordTime", self.initial_time),
            ("lastNotifiedAt", self.last_notified),
            ("minRecordTime", self.last_run),
        ):
            if value is not None:
                out[name] = value.isoformat()
        if self.last_error:
            out["lastError"] = self.last_error
        return out


class Subscriptions:
    """Named queries and webhooks in the database of an event store.

    `refuse` says why a host, as it is written, must not be told of anything (None: it may be). What
    a name stands for is asked at each delivery; this is only so that who errs learns of it at once.
    """

    def __init__(
        self, store: EpcisStore, refuse: Callable[[str], str | None] | None = None
    ) -> None:
        self.store = store
        self.refuse = refuse

    async def define(self, name: str, query: Any, *, owner: str, context: Any = None) -> NamedQuery:
        """Keep an organisation's query under a name; raise `Problem` 400 or 409 (it has one so)."""
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            why = (
                "a name has 1 to 100 letters, digits and . _ ~ -, and begins with one of the first"
            )
            raise Problem(400, "ValidationException", f"name: {why}", [Finding("/name", why)])
        if not isinstance(query, dict):
            why = "a query is an object of parameters"
            raise Problem(400, "ValidationException", why, [Finding("/query", why)])
        context = query.get("@context", context)
        parameters = {k: v for k, v in query.items() if k != "@context"}
        read_query(parameters, lambda n: self.store.names(n, context, [owner]))
        async with self.store.pool.connection() as connection:
            try:
                await connection.execute(
                    "INSERT INTO exchange.named_query (name, owner, query, context)"
                    " VALUES (%s, %s, %s, %s)",
                    [name, owner, _text(parameters), None if context is None else _text(context)],
                )
            except psycopg.errors.UniqueViolation:
                raise Problem(
                    409, "ResourceAlreadyExistsException", f"there is a query named {name!r}"
                ) from None
        return await self.query(name, owner)

    async def query(self, name: str, owner: str) -> NamedQuery:
        """Give a named query of an organisation; raise `Problem` 404 if it has none of the name."""
        rows = await self._queries("WHERE owner = %s AND name = %s", [owner, name])
        if not rows:
            raise Problem(404, "NoSuchNameException", f"there is no query named {name!r}")
        return rows[0]

    async def queries(self, owner: str, limit: int, after: str | None = None) -> list[NamedQuery]:
        """Give an organisation's named queries by name, beyond `after`."""
        return await self._queries(
            "WHERE owner = %s AND name > %s ORDER BY name LIMIT %s", [owner, after or "", limit]
        )

    async def remove(self, name: str, owner: str) -> None:
        """Remove a named query of an organisation, and its subscriptions."""
        await self.query(name, owner)
        async with self.store.pool.connection() as connection:
            await connection.execute(
                "DELETE FROM exchange.named_query WHERE owner = %s AND name = %s", [owner, name]
            )

    def read(self, named: NamedQuery) -> Query:
        """Give the checked query of a named one (prefixes mean what they mean now)."""
        own = [named.owner]
        return read_query(named.query, lambda n: self.store.names(n, named.context, own))

    async def subscribe(
        self, name: str, wish: Any, *, owner: str, epc_format: str = "Never_Translates"
    ) -> Webhook:
        """Tell `wish.dest` of a named query's events; raise `Problem` for wrong controls.

        `wish` is the body of the REST binding: dest, signatureToken, stream or schedule,
        reportIfEmpty, initialRecordTime. `epc_format` is the form of identifiers in what is told.
        """
        check_standing(await self.query(name, owner))
        if not isinstance(wish, dict):
            raise _controls("", "a subscription is an object")
        for key in wish:
            if key not in _WISHES:
                raise _controls(str(key)[:80], f"no control; known: {', '.join(_WISHES)}")
        dest = self._dest(wish.get("dest"))
        schedule = wish.get("schedule")
        if schedule is None and wish.get("stream") is not True:
            raise _controls("stream", "give a schedule, or say stream: true")
        if schedule is not None and wish.get("stream"):
            raise _controls("stream", "a subscription has a schedule or is a stream, not both")
        first = datetime.now(UTC)
        if schedule is not None:
            run = next_run(read_schedule(schedule), first)
            if run is None:
                raise _controls("schedule", "no moment in the next nine years fits it")
            first = run
        empty = wish.get("reportIfEmpty", False)
        if not isinstance(empty, bool) or (empty and schedule is None):
            raise _controls("reportIfEmpty", "true or false, and true only with a schedule")
        initial = _initial(wish.get("initialRecordTime"))
        secret = wish.get("signatureToken")
        if secret is not None and (not isinstance(secret, str) or not 16 <= len(secret) <= 500):
            raise _controls("signatureToken", "a secret has 16 to 500 characters")
        return await self._add(
            owner, "epcis", name, dest, "epcis", secret,
            None if schedule is None else _text(schedule), empty,
            await self.position_at(initial), initial, first, epc_format,
        )  # fmt: skip

    def _dest(self, dest: Any) -> str:
        checked = check_dest(dest)
        why = self.refuse(urlsplit(checked).hostname or "") if self.refuse else None
        if why is not None:
            raise _controls("dest", f"{checked[:80]!r} is refused: {why}")
        return checked

    async def announce(
        self,
        dest: str,
        mode: Mode,
        *,
        owner: str,
        secret: str | None,
        position: int,
        source: Literal["ledger", "alerts"] = "ledger",
    ) -> Webhook:
        """Send the events of the ledger or of alerts beyond `position` to `dest` as CloudEvents."""
        return await self._add(
            owner, source, None, self._dest(dest), mode, secret, None, False, position, None,
            datetime.now(UTC), "Never_Translates",
        )  # fmt: skip

    async def webhook(self, identifier: uuid.UUID, query_name: str | None = None) -> Webhook:
        """Give one subscription; raise `Problem` 404 if there is none (for that query)."""
        rows = await self._webhooks("WHERE id = %s", [identifier])
        if not rows or (query_name is not None and rows[0].query_name != query_name):
            raise Problem(404, "NoSuchResourceException", f"there is no subscription {identifier}")
        return rows[0]

    async def webhooks(self, query_name: str | None = None, *, dead: bool = False) -> list[Webhook]:
        """Give the subscriptions of a query (or all), or only those that were given up."""
        where = "WHERE (NOT %s OR dead)"
        values: list[Any] = [dead]
        if query_name is not None:
            where, values = where + " AND query_name = %s", [*values, query_name]
        return await self._webhooks(where + " ORDER BY created, id", values)

    async def unsubscribe(self, identifier: uuid.UUID) -> None:
        """Stop telling a receiver."""
        await self.webhook(identifier)
        async with self.store.pool.connection() as connection:
            await connection.execute("DELETE FROM exchange.webhook WHERE id = %s", [identifier])

    async def replay(self, identifier: uuid.UUID, position: int | None = None) -> Webhook:
        """Revive a subscription, from where it stood or from an earlier position."""
        there = await self.webhook(identifier)
        start = there.position if position is None else position
        if not 0 <= start <= there.position:
            raise _controls("position", f"replay starts between 0 and {there.position}")
        async with self.store.pool.connection() as connection:
            await connection.execute(
                "UPDATE exchange.webhook SET dead = false, failures = 0, last_error = NULL,"
                " position = %s, next_try = clock_timestamp() WHERE id = %s",
                [start, identifier],
            )
        return await self.webhook(identifier)

    async def due(self, connection: Connection) -> Webhook | None:
        """Take the webhook that waits longest, locked until the transaction ends."""
        cursor = await connection.execute(
            f"SELECT {_COLUMNS} FROM exchange.webhook WHERE NOT dead"
            " AND next_try <= clock_timestamp() ORDER BY next_try LIMIT 1"
            " FOR UPDATE SKIP LOCKED".encode()
        )
        row = await cursor.fetchone()
        return None if row is None else Webhook(*row)

    async def arrived(
        self, connection: Connection, hook: Webhook, position: int, told: bool, *, more: bool
    ) -> None:
        """Note that everything up to `position` was received, or that nothing was to be sent.

        `more`: a report has another page, which does not wait for the schedule's next moment.
        """
        now = datetime.now(UTC)
        following = now if position > hook.position else now + timedelta(seconds=1)
        if hook.schedule is not None and not more:
            schedule = read_schedule(msgspec.json.decode(hook.schedule))
            following = next_run(schedule, now) or now + timedelta(days=3650)
        await connection.execute(
            "UPDATE exchange.webhook SET position = %s, failures = 0, last_error = NULL,"
            " last_run = %s, next_try = %s,"
            " last_notified = CASE WHEN %s THEN %s ELSE last_notified END WHERE id = %s",
            [position, now, following, told, now, hook.id],
        )

    async def failed(self, connection: Connection, hook: Webhook, why: str) -> None:
        """Note a failure: try again after a pause, or give up after the twelfth."""
        failures = hook.failures + 1
        await connection.execute(
            "UPDATE exchange.webhook SET failures = %s, last_error = %s, dead = %s,"
            " last_run = clock_timestamp(),"
            " next_try = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
            [failures, why[:500], failures >= GIVE_UP, pause_s(failures), hook.id],
        )

    async def position_at(self, moment: datetime | None) -> int:
        """Give the last position recorded before a moment; the last of all for None."""
        async with self.store.pool.connection() as connection:
            if moment is None:
                statement = "SELECT coalesce(max(seq), 0) FROM exchange.epcis_event"
                cursor = await connection.execute(statement.encode())
            else:
                cursor = await connection.execute(
                    "SELECT coalesce(max(seq), 0) FROM exchange.epcis_event WHERE record_time < %s",
                    [moment],
                )
            row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def _add(self, owner: str, *rest: Any) -> Webhook:
        identifier = uuid.uuid4()
        async with self.store.pool.connection() as connection:
            await connection.execute(
                "INSERT INTO exchange.webhook (id, owner, source, query_name, dest, mode, secret,"
                " schedule, report_if_empty, position, initial_time, next_try,"
                " epc_format) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [identifier, owner, *rest],
            )
        return await self.webhook(identifier)

    async def _queries(self, rest: str, values: list[Any]) -> list[NamedQuery]:
        async with self.store.pool.connection() as connection:
            statement = (
                f"SELECT name, owner, query, context, created FROM exchange.named_query {rest}"
            )
            cursor = await connection.execute(statement.encode(), values)
            rows = await cursor.fetchall()
        return [
            NamedQuery(
                n, o, msgspec.json.decode(q), None if c is None else msgspec.json.decode(c), t
            )
            for n, o, q, c, t in rows
        ]

    async def _webhooks(self, rest: str, values: list[Any]) -> list[Webhook]:
        async with self.store.pool.connection() as connection:
            statement = f"SELECT {_COLUMNS} FROM exchange.webhook {rest}"
            cursor = await connection.execute(statement.encode(), values)
            return [Webhook(*row) for row in await cursor.fetchall()]


def pause_s(failures: int) -> float:
    """Give the pause after so many failures in a row: doubling, capped, with up to 25 % jitter."""
    pause = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 30), LONGEST_PAUSE_S)
    return pause * random.uniform(1.0, 1.25)


def check_dest(dest: Any) -> str:
    """Check the address of a receiver: http(s), with a host and without credentials."""
    if not isinstance(dest, str) or len(dest) > 2000:
        raise _controls("dest", "the address of the receiver, a text, is required")
    try:
        parts = urlsplit(dest)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise _controls("dest", f"{dest[:80]!r} is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise _controls("dest", f"{dest[:80]!r} is no http or https URL")
    if parts.username or parts.password:
        raise _controls("dest", "a URL with credentials would end up in logs; use signatureToken")
    return dest


def check_standing(named: NamedQuery) -> None:
    """Refuse a query that cannot stand: a stream has no first, last or largest count of events."""
    for control in CONTROLS:
        if control in named.query:
            raise _controls(control, f"the query {named.name!r} has it; a standing query cannot")


def _initial(text: Any) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
    except (TypeError, ValueError):
        raise _controls("initialRecordTime", f"{text!r} is no time with zone") from None
    return moment


def _controls(name: str, why: str) -> Problem:
    where = pointer(name) if name else ""
    return Problem(
        400, "SubscriptionControlsException", f"{name or 'subscription'}: {why}",
        [Finding(where, why)],
    )  # fmt: skip


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
