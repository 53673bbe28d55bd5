"""Alerts kept in PostgreSQL: each rung called once, each acknowledgement durable before it counts.

Every change is made under one lock, writes what became of the alert into an append-only table, and
wakes every process. Whoever may see an alert plays its role at its organisation; nobody else does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from psycopg.rows import class_row, tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.exchange.cloudevents import CloudEvent
from stafett.service.accounts import Person
from stafett.service.refusal import No, Reason, unknown
from stafett.watch.ladder import Call, Cause
from stafett.watch.roster import Delivery

CHANNEL: Final = "alerts_changed"
LOCK: Final = 0x616C657274730001  # any number; the same in every process
# Alerts of one cause for one role within this time are told as one. An assumption.
BUNDLE_MINUTES: Final = 15


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One rung that was called: about what, for whom, and what became of it.

    `joined` names the alert it is told together with; `people` are those on call (None: everybody
    in the role); `tell_at` lies later than `raised` when it waits for the role's hours.
    """

    id: int
    journey: str
    cause: str
    rung: int
    seen: int
    organisation: str
    role: str
    kind: str
    urgency: str
    code: str
    activity: str
    about: str
    deputy: bool
    why: str
    worse: str
    joined: int | None
    due: datetime
    raised: datetime
    tell_at: datetime
    told: datetime | None
    people: list[str] | None
    holder: str | None
    acknowledged: datetime | None
    ended: datetime | None

    def is_for(self, person: Person) -> bool:
        """Say whether `person` plays its role at its organisation."""
        return self.organisation == person.organisation and self.role in person.roles


class Happened(msgspec.Struct, frozen=True):
    """One thing that became of an alert."""

    position: int
    alert: int
    what: str
    person: str | None
    at: datetime
    note: str


class Handover(msgspec.Struct, frozen=True):
    """A shift that is handed over: offered by one person, accepted by the other."""

    id: int
    organisation: str
    role: str
    giver: str
    receiver: str
    note: str
    alerts: list[int]
    offered: datetime
    accepted: datetime | None


class Wanted(NamedTuple):
    """A rung to call, and whom to tell."""

    cause: Cause
    call: Call
    delivery: Delivery


# Open alerts that only people have who cannot act on them any more.
_THERE: Final = "SELECT FROM service.person p WHERE p.active AND a.role = ANY(p.roles)"
_GONE: Final = (
    "FROM alerts.alert a WHERE a.ended IS NULL AND a.told IS NOT NULL AND ("
    f"(a.holder IS NOT NULL AND NOT EXISTS ({_THERE} AND p.id = a.holder))"
    " OR (a.holder IS NULL AND cardinality(a.people) > 0"
    f" AND NOT EXISTS ({_THERE} AND p.id = ANY(a.people))))"
)
COLUMNS: Final = ", ".join(Alert.__struct_fields__)
HANDOVER: Final = ", ".join(Handover.__struct_fields__)


class Alerts:
    """The alerts' tables. One instance per process."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    # -- calling -------------------------------------------------------------------------------

    async def call(
        self,
        journey: str,
        version: int,
        wanted: Sequence[Wanted],
        over: Sequence[int],
        again: Sequence[int],
        now: datetime,
    ) -> list[int]:
        """Call rungs, end alerts whose cause is over, revive those whose cause is there `again`.

        Return the alerts that are new. A rung that was called before, by whichever process, is not
        called again. What was called from a later `version` of the journey is left alone: whoever
        saw that knows more.
        """
        async with self._pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            await _locked(cursor)
            await cursor.execute(
                "SELECT alerts.call(%s, %s, %s::jsonb, %s, %s)",
                [
                    journey, version, msgspec.json.encode([_plain(one) for one in wanted]).decode(),
                    now, BUNDLE_MINUTES,
                ],
            )  # fmt: skip
            row = await cursor.fetchone()
            new = [int(one) for one in row[0]] if row else []
            for id_ in over:
                await cursor.execute(
                    "UPDATE alerts.alert SET ended = clock_timestamp()"
                    " WHERE id = %s AND ended IS NULL AND seen <= %s RETURNING id",
                    [id_, version],
                )
                if await cursor.fetchone():
                    await _happened(cursor, id_, "ended")
            for id_ in again:
                await cursor.execute(
                    "UPDATE alerts.alert SET ended = NULL, seen = %s"
                    " WHERE id = %s AND ended IS NOT NULL AND seen <= %s RETURNING id",
                    [version, id_, version],
                )
                if await cursor.fetchone():
                    await _happened(cursor, id_, "again")
            await cursor.execute(f"NOTIFY {CHANNEL}".encode())
        return new

    async def tell_due(self) -> int:
        """Tell what waited for somebody's hours and whose time has come; return how many."""
        async with self._pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(
                "SELECT 1 FROM alerts.alert WHERE told IS NULL AND ended IS NULL"
                " AND acknowledged IS NULL AND tell_at <= clock_timestamp() LIMIT 1"
            )
            if await cursor.fetchone() is None:
                return 0
            await _locked(cursor)
            await cursor.execute(
                "SELECT id FROM alerts.alert WHERE told IS NULL AND ended IS NULL"
                " AND acknowledged IS NULL AND tell_at <= clock_timestamp() ORDER BY id"
            )
            due = [int(row[0]) for row in await cursor.fetchall()]
            for id_ in due:
                await cursor.execute("SELECT alerts.tell(%s)", [id_])
            await cursor.execute(f"NOTIFY {CHANNEL}".encode())
        return len(due)

    async def pass_on(self, alert: Alert, people: Sequence[str], now: datetime) -> bool:
        """Tell those who came on duty of what those who left did not acknowledge; once."""
        async with self._pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            await _locked(cursor)
            await cursor.execute(
                "UPDATE alerts.alert SET people = %s WHERE id = %s AND people IS NOT DISTINCT"
                " FROM %s AND acknowledged IS NULL AND ended IS NULL RETURNING id",
                [list(people), alert.id, alert.people],
            )
            if await cursor.fetchone() is None:
                return False
            await _happened(cursor, alert.id, "passed-on", note=", ".join(people))
            await _mail(cursor, alert.id)
            await cursor.execute(f"NOTIFY {CHANNEL}".encode())
        return True

    async def release_gone(self) -> int:
        """Let go of what only people have who were suspended, or are in its role no more.

        What they had taken is nobody's again, and its ladder goes on; it is told to everybody in
        the role, as is what had been told to nobody else. Return how many alerts that were.
        """
        async with self._pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(f"SELECT 1 {_GONE} LIMIT 1".encode())
            if await cursor.fetchone() is None:
                return 0
            await _locked(cursor)
            await cursor.execute(f"SELECT a.id, a.holder {_GONE} ORDER BY a.id".encode())
            gone = await cursor.fetchall()
            for id_, holder in gone:
                await cursor.execute(
                    "UPDATE alerts.alert SET holder = NULL, acknowledged = NULL, people = NULL"
                    " WHERE id = %s",
                    [id_],
                )
                await _happened(cursor, id_, "released", holder)
                await _mail(cursor, id_)
            await cursor.execute(f"NOTIFY {CHANNEL}".encode())
        return len(gone)

    # -- answering -----------------------------------------------------------------------------

    async def acknowledge(self, person: Person, id_: int, note: str = "") -> list[Alert]:
        """Take an alert, with all that were told together with it. Raises No.

        Whoever was first holds it; to acknowledge again changes nothing.
        """
        alert = await self.one(person, id_)
        head = alert.joined or alert.id
        async with self._pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            await _locked(cursor)
            await cursor.execute(
                "UPDATE alerts.alert SET acknowledged = clock_timestamp(), holder = %s"
                " WHERE (id = %s OR joined = %s OR id = %s) AND acknowledged IS NULL"
                " AND organisation = %s AND role = %s RETURNING id",
                [person.id, head, head, id_, alert.organisation, alert.role],
            )
            for (one,) in await cursor.fetchall():
                await _happened(cursor, one, "acknowledged", person.id, note)
            await cursor.execute(f"NOTIFY {CHANNEL}".encode())
        return await self._alerts(
            "WHERE id = %s OR joined = %s OR id = %s ORDER BY id", [head, head, id_]
        )

    async def offer(self, person: Person, role: str, receiver: Person, note: str) -> Handover:
        """Offer a shift: what is open for `role` and no third person has taken.

        It counts when it is accepted, with what has been told meanwhile. Raises No.
        """
        if role not in person.roles:
            raise unknown("role", role)
        if receiver.organisation != person.organisation or role not in receiver.roles:
            what = f"{receiver.name} does not work in this role here"
            raise No("wrong-person", "Not for this person", Reason("receiver", what))
        if receiver.id == person.id:
            what = "a shift is handed over to somebody else"
            raise No("wrong-person", "Not for this person", Reason("receiver", what))
        async with self._pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            await _locked(cursor)
            open_ = await _of_shift(cursor, person.organisation, role, person.id, receiver.id)
            await cursor.execute(
                "INSERT INTO alerts.handover (organisation, role, giver, receiver, note, alerts)"
                " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
                [person.organisation, role, person.id, receiver.id, note, open_],
            )
            row = await cursor.fetchone()
            assert row is not None
            for id_ in open_:
                await _happened(cursor, id_, "offered", person.id, receiver.id)
            await cursor.execute(f"NOTIFY {CHANNEL}".encode())
        return (await self._handovers("WHERE id = %s", [row[0]]))[0]

    async def accept(self, person: Person, id_: int) -> Handover:
        """Take over a shift: all that is open is this person's, but for what a third has taken."""
        found = await self._handovers("WHERE id = %s AND receiver = %s", [id_, person.id])
        if not found:
            raise unknown("handover", str(id_))
        async with self._pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            await _locked(cursor)
            await cursor.execute(
                "UPDATE alerts.handover SET accepted = clock_timestamp()"
                " WHERE id = %s AND accepted IS NULL RETURNING organisation, role, giver",
                [id_],
            )
            row = await cursor.fetchone()
            open_: list[int] = []
            if row:
                organisation, role, giver = row
                open_ = await _of_shift(cursor, organisation, role, giver, person.id)
                await cursor.execute(
                    "UPDATE alerts.handover SET alerts = %s WHERE id = %s", [open_, id_]
                )
            for alert in open_:
                await cursor.execute(
                    "UPDATE alerts.alert SET holder = %s,"
                    " acknowledged = coalesce(acknowledged, clock_timestamp())"
                    " WHERE id = %s AND ended IS NULL RETURNING id",
                    [person.id, alert],
                )
                if await cursor.fetchone():
                    await _happened(cursor, alert, "handed-over", person.id)
            await cursor.execute(f"NOTIFY {CHANNEL}".encode())
        return (await self._handovers("WHERE id = %s", [id_]))[0]

    # -- reading -------------------------------------------------------------------------------

    async def one(self, person: Person, id_: int) -> Alert:
        """Return an alert that `person` may see; raise No otherwise."""
        found = await self._alerts("WHERE id = %s", [id_])
        if not found or not found[0].is_for(person):
            raise unknown("alert", str(id_))
        return found[0]

    async def of_journey(self, journey: str) -> list[Alert]:
        """Return every alert of a journey."""
        return await self._alerts("WHERE journey = %s ORDER BY id", [journey])

    async def open(self) -> list[Alert]:
        """Return every alert that is not over."""
        return await self._alerts("WHERE ended IS NULL ORDER BY id", [])

    async def several(self, ids: Iterable[int]) -> list[Alert]:
        """Return these alerts."""
        return await self._alerts("WHERE id = ANY(%s) ORDER BY id", [list(ids)])

    async def past(self, person: Person, limit: int = 100) -> list[Alert]:
        """Return the last alerts of the person's roles that are over."""
        return await self._alerts(
            "WHERE organisation = %s AND role = ANY(%s) AND ended IS NOT NULL"
            " ORDER BY ended DESC LIMIT %s",
            [person.organisation, list(person.roles), limit],
        )

    async def happened(
        self, after: int, limit: int = 1000, organisation: str | None = None
    ) -> list[Happened]:
        """Return what became of alerts beyond position `after`, in order."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Happened)) as cursor,
        ):
            await cursor.execute(
                "SELECT e.position, e.alert, e.what, e.person, e.at, e.note FROM alerts.event e"
                " JOIN alerts.alert a ON a.id = e.alert WHERE e.position > %s"
                " AND (%s::text IS NULL OR a.organisation = %s) ORDER BY e.position LIMIT %s",
                [after, organisation, organisation, limit],
            )
            return list(await cursor.fetchall())

    async def history(self, id_: int) -> list[Happened]:
        """Return what became of one alert, in order."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Happened)) as cursor,
        ):
            await cursor.execute(
                "SELECT position, alert, what, person, at, note FROM alerts.event"
                " WHERE alert = %s ORDER BY position",
                [id_],
            )
            return list(await cursor.fetchall())

    async def feed(self, owner: str, after: int, limit: int) -> list[tuple[int, CloudEvent]]:
        """Return what became of an organisation's alerts, as the events that webhooks send."""
        happened = await self.happened(after, limit, owner)
        alerts = {alert.id: alert for alert in await self.several({h.alert for h in happened})}
        return [(h.position, _event(h, alerts[h.alert])) for h in happened]

    async def size(self) -> int:
        """Return the last position."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute("SELECT coalesce(max(position), 0) FROM alerts.event")
            row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def handovers(self, person: Person) -> list[Handover]:
        """Return the handovers that this person gave or gets, the latest first."""
        return await self._handovers(
            "WHERE giver = %s OR receiver = %s ORDER BY id DESC LIMIT 50", [person.id, person.id]
        )

    async def _handovers(self, rest: str, values: list[Any]) -> list[Handover]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Handover)) as cursor,
        ):
            await cursor.execute(f"SELECT {HANDOVER} FROM alerts.handover {rest}".encode(), values)
            return list(await cursor.fetchall())

    async def _alerts(self, rest: str, values: list[Any]) -> list[Alert]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Alert)) as cursor,
        ):
            await cursor.execute(f"SELECT {COLUMNS} FROM alerts.alert {rest}".encode(), values)
            return list(await cursor.fetchall())


def _event(happened: Happened, alert: Alert) -> CloudEvent:
    said = ("id", "cause", "rung", "role", "kind", "urgency", "code", "activity", "about", "why")
    data = {name: getattr(alert, name) for name in (*said, "raised", "told", "holder", "ended")}
    return CloudEvent(
        id=str(happened.position),
        source="urn:stafett:alerts",
        type=f"org.stafett.alert.{happened.what}",
        time=happened.at,
        subject=alert.journey,
        data=msgspec.to_builtins({**data, "note": happened.note, "person": happened.person}),
    )


def _plain(one: Wanted) -> dict[str, object]:
    """Return a rung to call as the database's function reads it."""
    cause, call, delivery = one
    return {
        "cause": cause.key,
        "rung": call.rung,
        "organisation": call.organisation,
        "role": call.role,
        "kind": cause.kind,
        "urgency": cause.urgency,
        "code": cause.code,
        "activity": cause.activity,
        "about": cause.about,
        "deputy": call.deputy,
        "why": cause.why,
        "worse": cause.worse,
        "bundle": f"{cause.kind}.{cause.code}.{cause.originated or cause.activity or cause.about}",
        "due": call.at,
        "tell_at": delivery.at,
        "people": delivery.people,
    }


async def _locked(cursor: Any) -> None:
    await cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


async def _of_shift(
    cursor: Any, organisation: str, role: str, giver: str, receiver: str
) -> list[int]:
    """Return what is open for a role and held by nobody, or by one of these two."""
    await cursor.execute(
        "SELECT id FROM alerts.alert WHERE organisation = %s AND role = %s"
        " AND ended IS NULL AND told IS NOT NULL AND (holder IS NULL OR holder IN (%s, %s))"
        " ORDER BY id",
        [organisation, role, giver, receiver],
    )
    return [int(row[0]) for row in await cursor.fetchall()]


async def _happened(
    cursor: Any, alert: int, what: str, person: str | None = None, note: str = ""
) -> None:
    await cursor.execute(
        "INSERT INTO alerts.event (position, alert, what, person, note)"
        " SELECT coalesce(max(position), 0) + 1, %s, %s, %s, %s FROM alerts.event",
        [alert, what, person, note],
    )


async def _mail(cursor: Any, alert: int) -> None:
    """Queue a message to each person who is told and has an address; several send it, one each."""
    await cursor.execute(
        "INSERT INTO alerts.message (alert, person, mail)"
        " SELECT a.id, p.id, d.mail FROM alerts.alert a"
        " JOIN service.person p ON p.organisation = a.organisation AND a.role = ANY(p.roles)"
        " AND p.active AND (a.people IS NULL OR p.id = ANY(a.people))"
        " JOIN alerts.address d ON d.person = p.id WHERE a.id = %s",
        [alert],
    )
