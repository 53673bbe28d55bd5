"""Slot chains kept: held, booked, moved and cancelled whole, and told to the record.

A chain is one transaction: all its slots or none. That no unit is given twice is the database's own
rule (an exclusion constraint), so it holds whatever any process does. A hold ends by the database's
clock; what has ended is swept away before anything is booked. What is to be told to the record is
written in the same transaction, and waits there if the ledger cannot be reached.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from psycopg import AsyncConnection, errors
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from stafett.capacity.calendar import Calendar, Id, Resource, moment, problems, seconds
from stafett.capacity.chain import Slot, Template, broken, templates
from stafett.capacity.search import Blocked, earliest, moved, offers
from stafett.ledger import Author, Draft, Ledger, NotAcknowledged, Submission
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.network import Networks
from stafett.service.refusal import No, Reason, unknown
from stafett.service.request import Key

log = logging.getLogger(__name__)
TRIES = 30  # of a booking that others overtook
PATIENT = 2  # times overtaken before a booking waits in line
QUEUE = 0x43617051756575  # the line of those who were overtaken
LOCK = 0x43617061636974  # shared by bookings, alone for a change of a calendar
AHEAD = timedelta(days=120)  # how long a window of search may be
FREE = timedelta(weeks=4)
YEARS = timedelta(days=3 * 366)  # from now: beyond that a time is a mistake
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where and when one link is: what a client is offered, and sends back to book it."""

    link: Id
    resource: Id
    begins: Moment
    ends: Moment


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to look for: the first link begins in [begin, end]."""

    template: Id
    network: str
    begin: Moment
    end: Moment
    count: Annotated[int, msgspec.Meta(ge=1, le=20)] = 3


class Booking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Book a chain: these `slots`, or else the earliest that begins in [begin, end].

    `hold_minutes`: only hold it so long. `patient` is a pseudonym or a journey, never a name.
    `deadline`: the last link must begin by then.
    """

    key: Key
    template: Id
    network: str
    patient: Id
    slots: list[Place] | None = None
    begin: Moment | None = None
    end: Moment | None = None
    hold_minutes: Annotated[int, msgspec.Meta(ge=1, le=7 * 1440)] | None = None
    urgency: Annotated[int, msgspec.Meta(ge=1, le=3)] = 3
    deadline: Moment | None = None


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """A chain as those in it see it. `version` rises with each change; `offered` says why."""

    id: str
    template: str
    network: str
    patient: str
    organisation: str
    organisations: list[str]
    status: str
    version: int
    hold_until: datetime | None
    urgency: int
    deadline: datetime | None
    offered: dict[str, Any] | None
    slots: list[Place]
    units: dict[str, int]


class Free(msgspec.Struct, frozen=True):
    """How many slots of a resource are free in the next four weeks, and when the first begins."""

    resource: str
    slots: int
    first: datetime | None
    zone: str


class Consequence(msgspec.Struct, frozen=True):
    """What a move does to one link. `why`: "asked" or "lead-time"."""

    link: str
    before: Place
    after: Place
    why: str


class Preview(msgspec.Struct, frozen=True):
    """What a move would do, or why it cannot be made; nothing has changed."""

    chain: str
    seen: int
    possible: bool
    consequences: list[Consequence]
    slots: list[Place]
    why_not: str = ""
    link: str = ""


_CHAIN = (
    "SELECT id, template, network, patient, organisation, organisations, status, version,"
    " hold_until, urgency, deadline, offered FROM capacity.chain"
)


class Bookings:
    """The chains kept in PostgreSQL. One instance per process."""

    def __init__(self, pool: sql.Pool, ledger: Ledger, networks: Networks) -> None:
        self._pool, self._ledger, self._networks = pool, ledger, networks

    # -- resources -----------------------------------------------------------------------------

    async def resources(self, person: Person) -> list[Resource]:
        """Return the organisation's own resources."""
        found = await sql.rows(
            self._pool,
            "SELECT value FROM capacity.resource WHERE organisation = %s ORDER BY id",
            (person.organisation,),
        )
        return [msgspec.convert(row[0], Resource) for row in found]

    async def every(self) -> list[Resource]:
        """Return every resource: for the public figures, which show counts only."""
        found = await sql.rows(self._pool, "SELECT value FROM capacity.resource ORDER BY id")
        return [msgspec.convert(row[0], Resource) for row in found]

    async def free(self, now: datetime) -> dict[str, list[Free]]:
        """Return what is free in the four weeks from `now`, by organisation: counts only.

        Only of resources that are shared with everybody. A slot is as long as the built-in chains
        need it there, and slots are counted one after the other, as they could be booked.
        """
        await self.sweep()
        shared = [r for r in await self.every() if "*" in r.shared_with]
        begin, end = seconds(now), seconds(now + FREE)
        async with self._pool.connection() as connection:
            busy = await busy_of(connection, [r.id for r in shared], begin)
        found: dict[str, list[Free]] = {}
        for resource in shared:
            needs = [k.seconds for t in templates().values() for k in t.links
                     if k.kind == resource.kind]  # fmt: skip
            if needs:
                slots = _free(Calendar(resource, busy.get(resource.id, ())), begin, end, min(needs))
                first = moment(min(slots)) if slots else None
                one = Free(resource.title, len(slots), first, resource.zone)
                found.setdefault(resource.organisation, []).append(one)
        return found

    async def put_resource(self, person: Person, value: Resource, reason: str) -> list[str]:
        """Keep a resource or change its calendar; return the chains that no longer fit it.

        What stands is not moved: that is replanning, which is seen before it is done. Raises No.
        """
        if value.organisation != person.organisation:
            raise unknown("resource", value.id)
        if faults := problems(value):
            raise No("bad-value", "The calendar is wrong", *(Reason(*fault) for fault in faults))
        _need_reason(reason)
        plain = msgspec.to_builtins(value)
        async with self._pool.connection() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            done = await connection.execute(
                "INSERT INTO capacity.resource (id, organisation, value) VALUES (%s, %s, %s)"
                " ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value,"
                " version = capacity.resource.version + 1"
                " WHERE capacity.resource.organisation = EXCLUDED.organisation",
                (value.id, value.organisation, Jsonb(plain)),
            )
            if done.rowcount == 0:
                raise No("taken", "The name is taken", Reason("id", value.id, "choose another"))
            told = await tell(
                connection, f"capacity/resource/{value.id}", "CalendarChanged",
                {"resource": plain, "reason": reason.strip()}, [person.organisation], person,
            )  # fmt: skip
            unfit = await self._unfit(connection, value)
        await self.relay(told)
        return unfit

    async def _unfit(self, connection: AsyncConnection[Any], value: Resource) -> list[str]:
        """Return the chains with a slot in `value` that its calendar has no room for."""
        rows = await _rows(
            connection,
            "SELECT chain, unit, begins, ends FROM capacity.slot"
            " WHERE resource = %s AND ends > %s ORDER BY begins",
            (value.id, _now()),
        )
        empty = Calendar(value)
        return [c for c, unit, b, e in rows if unit >= value.units or not empty.fits(unit, b, e)]

    # -- reading -------------------------------------------------------------------------------

    async def see(self, person: Person, chain: str) -> Chain:
        """Return a chain that the person's organisation is in. Raises No."""
        async with self._pool.connection() as connection:
            return await self._see(connection, person, chain)

    async def chains(self, person: Person, begin: datetime, end: datetime) -> list[Chain]:
        """Return the organisation's chains with a slot in [begin, end), the earliest first."""
        await self.sweep()
        async with self._pool.connection() as connection:
            rows = await _rows(
                connection,
                _CHAIN + " WHERE %s = ANY(organisations) AND status IN ('held', 'booked') AND id IN"
                " (SELECT chain FROM capacity.slot WHERE ends > %s AND begins < %s)",
                (person.organisation, seconds(begin), seconds(end)),
            )
            found = await self._filled(connection, rows)
        return sorted(found, key=lambda c: c.slots[0].begins)

    async def search(self, person: Person, wanted: Window) -> list[list[Place]]:
        """Return free chains, the earliest first. Raises No: there is none, and why."""
        await self.sweep()
        networks = await self._networks.all()
        async with self._pool.connection() as connection:
            template, calendars = await self._calendars(
                connection, networks, person, wanted.template, wanted.network, wanted.begin
            )
        begin, end = _reach(wanted.begin, wanted.end)
        found = offers(template, calendars, begin, end, wanted.count)
        if not found:
            blocked = earliest(template, calendars, begin, end)
            assert isinstance(blocked, Blocked)
            raise _no_place(template, blocked)
        return [[_place(slot) for slot in chain] for chain in found]

    # -- booking -------------------------------------------------------------------------------

    async def book(
        self, person: Person, asked: Booking, *, offered: dict[str, Any] | None = None
    ) -> Chain:
        """Hold or book a chain: whole, or not at all. Raises No; nothing has changed then.

        `offered`: why the waitlist's rule offers it to this patient.
        """
        await self.sweep()
        networks = await self._networks.all()  # never while a connection of the pool is held
        for attempt in range(TRIES):
            try:
                async with self._pool.connection() as connection:
                    if attempt >= PATIENT:
                        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (QUEUE,))
                    chain, told = await self._book(connection, networks, person, asked, offered)
            except (_Overtaken, errors.DeadlockDetected, errors.SerializationFailure):
                continue
            await self.relay(told)
            return chain
        what = "others book the same slots at this moment"
        raise No("busy", "Try again", Reason("slots", what, "send it again"))

    async def _book(
        self,
        connection: AsyncConnection[Any],
        networks: Mapping[str, dict[str, str]],
        person: Person,
        asked: Booking,
        offered: dict[str, Any] | None,
    ) -> tuple[Chain, list[int]]:
        near(*(at for at in (asked.begin, asked.end, asked.deadline) if at is not None))
        id_ = f"chain-{secrets.token_hex(8)}"
        known = await _once(connection, person, asked.key, asked, id_)
        if known is not None:
            return await self._see(connection, person, known), []
        begin, end = asked.begin, asked.end
        if asked.slots:
            begin = end = asked.slots[0].begins
        if begin is None or end is None:
            what = "give the slots, or between when the first may begin"
            raise No("bad-value", "Nothing to book", Reason("slots", what, "search first"))
        await connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (LOCK,))
        template, calendars = await self._calendars(
            connection, networks, person, asked.template, asked.network, begin
        )
        low, high = _reach(begin, end)
        if asked.slots is not None:
            slots = _chosen(template, calendars, asked.slots)
        else:
            deadline = None if asked.deadline is None else seconds(asked.deadline)
            found = earliest(template, calendars, low, high, deadline=deadline)
            if isinstance(found, Blocked):
                raise _no_place(template, found)
            slots = found
        owner = {c.resource.id: c.resource.organisation for cs in calendars.values() for c in cs}
        organisations = sorted({person.organisation, *(owner[s.resource] for s in slots)})
        hold = asked.hold_minutes
        await connection.execute(
            "INSERT INTO capacity.chain (id, template, network, patient, organisation,"
            " organisations, status, hold_until, urgency, deadline, offered) VALUES"
            " (%s, %s, %s, %s, %s, %s, %s, now() + %s * interval '1 minute', %s, %s, %s)",
            (
                id_, asked.template, asked.network, asked.patient, person.organisation,
                organisations, "held" if hold else "booked", hold, asked.urgency, asked.deadline,
                None if offered is None else Jsonb(offered),
            ),
        )  # fmt: skip
        await _insert(connection, id_, slots)
        chain = await self._see(connection, person, id_)
        kind = "SlotChainHeld" if hold else "SlotChainBooked"
        if offered is not None:
            kind = "SlotOffered"
        return chain, await _tell_chain(connection, kind, chain, person)

    async def confirm(self, person: Person, chain: str, seen: int, key: str) -> Chain:
        """Turn a hold into a booking. Raises No: it has ended, or changed meanwhile."""
        await self.sweep()
        async with self._pool.connection() as connection:
            if await _once(connection, person, key, ("confirm", chain, seen), chain):
                return await self._see(connection, person, chain)
            old = await self._take(connection, person, chain, seen, owner=True)
            if old.status == "booked":
                return old
            await connection.execute(
                "UPDATE capacity.chain SET status = 'booked', hold_until = NULL,"
                " version = version + 1 WHERE id = %s",
                (chain,),
            )
            if old.offered is not None:
                await connection.execute(
                    "DELETE FROM capacity.waiting WHERE organisation = %s AND patient = %s",
                    (old.organisation, old.patient),
                )
            new = await self._see(connection, person, chain)
            told = await _tell_chain(connection, "SlotChainBooked", new, person)
        await self.relay(told)
        return new

    async def cancel(self, person: Person, chain: str, seen: int, key: str, reason: str) -> Chain:
        """Give all slots of a chain back. Raises No."""
        _need_reason(reason)
        async with self._pool.connection() as connection:
            if await _once(connection, person, key, ("cancel", chain, seen, reason), chain):
                return await self._see(connection, person, chain)
            old = await self._take(connection, person, chain, seen, owner=True)
            await connection.execute("DELETE FROM capacity.slot WHERE chain = %s", (chain,))
            await connection.execute(
                "UPDATE capacity.chain SET status = 'cancelled', hold_until = NULL,"
                " version = version + 1 WHERE id = %s",
                (chain,),
            )
            told = await _tell_chain(connection, "SlotChainCancelled", old, person, reason=reason)
        await self.relay(told)
        return old

    # -- moving --------------------------------------------------------------------------------

    async def preview(
        self, person: Person, chain: str, link: str, begins: datetime, resource: str | None = None
    ) -> Preview:
        """Say what moving a link would move with it, or why it cannot be moved. Raises No."""
        near(begins)
        networks = await self._networks.all()
        async with self._pool.connection() as connection:
            old = await self._see(connection, person, chain)
            names = [slot.link for slot in old.slots]
            if link not in names:
                what = f"{link!r} is not one of {names}"
                raise No("unknown-name", "No such link", Reason("link", what))
            template, calendars = await self._calendars(
                connection, networks, person, old.template, old.network,
                old.slots[0].begins, without=chain, member=True,
            )  # fmt: skip
        now = _slots(old)
        if seconds(begins) < _now():
            return Preview(chain, old.version, False, [], [], "that is past", link)
        found = moved(
            template, calendars, now, link, seconds(begins), resource=resource, now=_now()
        )
        if isinstance(found, Blocked):
            return Preview(chain, old.version, False, [], [], blocked(template, found), found.link)
        changes = [
            Consequence(a.link, _place(a), _place(b), "asked" if a.link == link else "lead-time")
            for a, b in zip(now, found, strict=True)
            if (a.resource, a.begins) != (b.resource, b.begins)
        ]
        return Preview(chain, old.version, True, changes, [_place(s) for s in found])

    async def move(
        self, person: Person, chain: str, seen: int, slots: Sequence[Place], key: str, reason: str
    ) -> Chain:
        """Put a chain where a preview has shown it: whole, or not at all. Raises No."""
        _need_reason(reason)
        networks = await self._networks.all()
        for _ in range(TRIES):
            try:
                async with self._pool.connection() as connection:
                    said = ("move", chain, seen, [*slots], reason)
                    if await _once(connection, person, key, said, chain):
                        return await self._see(connection, person, chain)
                    new, told = await self._move(
                        connection, networks, person, chain, seen, slots, reason
                    )
            except (_Overtaken, errors.DeadlockDetected):
                continue
            await self.relay(told)
            return new
        raise No("busy", "Try again", Reason("slots", "others book here", "send it again"))

    async def _move(
        self,
        connection: AsyncConnection[Any],
        networks: Mapping[str, dict[str, str]],
        person: Person,
        chain: str,
        seen: int,
        slots: Sequence[Place],
        reason: str,
    ) -> tuple[Chain, list[int]]:
        await connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (LOCK,))
        old = await self._take(connection, person, chain, seen, owner=False)
        template, calendars = await self._calendars(
            connection, networks, person, old.template, old.network,
            old.slots[0].begins, without=chain, member=True,
        )  # fmt: skip
        # What has begun stays where it is, also where the calendar has closed under it since.
        stay = {s.link: s for s in _slots(old)}
        placed = _chosen(template, calendars, slots, stay)
        for slot in placed:
            if slot != stay[slot.link] and min(slot.begins, stay[slot.link].begins) < _now():
                raise No(
                    "bad-time", "It has begun",
                    Reason(slot.link, "what is past does not move", "move a later link"),
                )  # fmt: skip
        await connection.execute("DELETE FROM capacity.slot WHERE chain = %s", (chain,))
        await _insert(connection, chain, placed)
        owner = {c.resource.id: c.resource.organisation for cs in calendars.values() for c in cs}
        members = sorted({*old.organisations, *(owner[s.resource] for s in placed)})
        await connection.execute(
            "UPDATE capacity.chain SET version = version + 1, organisations = %s WHERE id = %s",
            (members, chain),
        )
        new = await self._see(connection, person, chain)
        told = await _tell_chain(
            connection, "SlotChainMoved", new, person, reason=reason,
            before=msgspec.to_builtins(old.slots),
        )  # fmt: skip
        return new, told

    # -- holds that end ------------------------------------------------------------------------

    async def sweep(self) -> list[Chain]:
        """Let every hold that has ended give its slots back; return those chains."""
        query = _CHAIN + " WHERE status = 'held' AND hold_until <= now() FOR UPDATE SKIP LOCKED"
        due = "SELECT 1 FROM capacity.chain WHERE status = 'held' AND hold_until <= now() LIMIT 1"
        async with self._pool.connection() as connection:
            if not await _rows(connection, due, ()):
                return []
            rows = await _rows(connection, query, ())
            gone = await self._filled(connection, rows)
            ids = [chain.id for chain in gone]
            await connection.execute("DELETE FROM capacity.slot WHERE chain = ANY(%s)", (ids,))
            await connection.execute(
                "UPDATE capacity.chain SET status = 'expired', hold_until = NULL,"
                " version = version + 1 WHERE id = ANY(%s)",
                (ids,),
            )
            told = []
            for chain in gone:
                told += await _tell_chain(connection, "SlotChainExpired", chain, None)
        await self.relay(told)
        return gone

    # -- the record ----------------------------------------------------------------------------

    async def relay(self, ids: Sequence[int] | None = None) -> None:
        """Put what waits (or only `ids`) into the ledger, in order."""
        if ids is not None and not ids:
            return
        found = await sql.rows(
            self._pool,
            "SELECT id, stream, kind, body, audience, organisation, person, at FROM capacity.told"
            " WHERE recorded IS NULL AND (%s::bigint[] IS NULL OR id = ANY(%s)) ORDER BY id",
            (ids, ids),
        )
        for id_, stream, kind, body, audience, organisation, person, at in found:
            submission = Submission(
                stream=stream,
                expected_version=None,
                drafts=[Draft(kind, body, at)],
                audience=audience,
                author=Author(organisation, person),
                key=f"capacity/{id_}",  # no client's key holds a slash
                request_hash=f"capacity {id_}".encode(),
            )
            try:
                receipt = await self._ledger.append(submission)
            except NotAcknowledged:
                log.warning("what happened to %s waits for the ledger", stream)
                return
            await sql.done(
                self._pool,
                "UPDATE capacity.told SET recorded = %s WHERE id = %s AND recorded IS NULL",
                (receipt.first_position, id_),
            )

    # -- within --------------------------------------------------------------------------------

    async def _calendars(
        self,
        connection: AsyncConnection[Any],
        networks: Mapping[str, dict[str, str]],
        person: Person,
        template: str,
        network: str,
        begin: datetime,
        *,
        without: str = "",
        member: bool = False,
    ) -> tuple[Template, dict[str, list[Calendar]]]:
        """Return the template as it is here, and for each link the calendars it may stand in.

        Only resources that are offered to the person's organisation count; to one who is in the
        chain already (`member`) its own links' resources are.
        """
        if template not in templates():
            raise No(
                "unknown-name", "No such chain",
                Reason("template", f"{template!r} is not one of {sorted(templates())}"),
            )  # fmt: skip
        parties = networks.get(network, {})
        if person.organisation not in parties.values():
            raise unknown("network", network)
        there = templates()[template].at(*sorted({*parties.values()}))
        if begin.tzinfo is None:
            raise No("bad-time", "A time without a zone", Reason("begin", str(begin), "add it"))
        rows = await _rows(
            connection,
            "SELECT value FROM capacity.resource WHERE organisation = ANY(%s) ORDER BY id",
            (sorted({*parties.values()}),),
        )
        every = [msgspec.convert(row[0], Resource) for row in rows]
        usable = [r for r in every if member or r.offered_to(person.organisation)]
        busy = await busy_of(connection, [r.id for r in usable], seconds(begin), without)
        made = {r.id: Calendar(r, busy.get(r.id, ())) for r in usable}
        calendars = {
            link.name: [
                made[r.id]
                for r in usable
                if r.kind == link.kind and r.organisation == parties.get(link.role)
            ]
            for link in there.links
        }
        for link in there.links:
            if not calendars[link.name]:
                what = f"nobody offers a {link.kind} to you in {network}"
                raise No("no-slot", "No resource", Reason(link.name, what, "ask its organisation"))
        return there, calendars

    async def _take(
        self,
        connection: AsyncConnection[Any],
        person: Person,
        chain: str,
        seen: int,
        *,
        owner: bool,
    ) -> Chain:
        """Return a chain for a change, locked: as the person has seen it, and still standing."""
        await connection.execute("SELECT 1 FROM capacity.chain WHERE id = %s FOR UPDATE", (chain,))
        found = await self._see(connection, person, chain)
        if owner and found.organisation != person.organisation:
            what = "only who booked a chain confirms or cancels it"
            raise No("wrong-organisation", "Not yours", Reason("chain", what, "ask them"))
        if found.status not in ("held", "booked"):
            what = f"it is {found.status}"
            raise No("ended", "The chain does not stand", Reason("chain", what, "book a new one"))
        if found.hold_until is not None and found.hold_until <= datetime.now(UTC):
            what = f"the hold ended at {found.hold_until.isoformat()}"
            raise No("ended", "The hold has ended", Reason("chain", what, "book a new one"))
        if found.version != seen:
            what = f"you saw version {seen}, it is at {found.version}"
            raise No("stale", "It has changed meanwhile", Reason("seen", what, "look again"))
        return found

    async def _see(self, connection: AsyncConnection[Any], person: Person, chain: str) -> Chain:
        rows = await _rows(
            connection, _CHAIN + " WHERE id = %s AND %s = ANY(organisations)",
            (chain, person.organisation),
        )  # fmt: skip
        if not rows:
            raise unknown("chain", chain)
        return (await self._filled(connection, rows))[0]

    async def _filled(
        self, connection: AsyncConnection[Any], rows: Sequence[tuple[Any, ...]]
    ) -> list[Chain]:
        """Return chains with their slots."""
        slots: dict[str, list[tuple[Any, ...]]] = {}
        for chain, *rest in await _rows(
            connection,
            "SELECT chain, link, resource, unit, begins, ends FROM capacity.slot"
            " WHERE chain = ANY(%s) ORDER BY chain, begins",
            ([row[0] for row in rows],),
        ):
            slots.setdefault(chain, []).append(tuple(rest))
        names = [field.name for field in msgspec.structs.fields(Chain)][:12]
        return [
            Chain(
                **dict(zip(names, row, strict=True)),
                slots=[
                    Place(link, r, moment(b), moment(e))
                    for link, r, _, b, e in slots.get(row[0], ())
                ],
                units={link: unit for link, _, unit, _, _ in slots.get(row[0], ())},
            )
            for row in rows
        ]


class _Overtaken(Exception):
    """Somebody else took a unit between our looking and our writing."""


async def busy_of(
    connection: AsyncConnection[Any], resources: Sequence[str], begin: int, without: str = ""
) -> dict[str, list[tuple[int, int, int]]]:
    """Return what stands in `resources` from `begin` on: resource -> (unit, from, until)."""
    found: dict[str, list[tuple[int, int, int]]] = {}
    for resource, unit, begins, ends in await _rows(
        connection,
        "SELECT resource, unit, begins, ends FROM capacity.slot"
        " WHERE resource = ANY(%s) AND ends > %s AND chain <> %s",
        ([*resources], begin, without),
    ):
        found.setdefault(resource, []).append((unit, begins, ends))
    return found


async def _insert(connection: AsyncConnection[Any], chain: str, slots: Iterable[Slot]) -> None:
    """Write all slots. Raises _Overtaken: one is taken.

    All in one statement and in one order, so that two bookings never wait for each other in a ring.
    """
    ordered = sorted(slots, key=lambda s: (s.resource, s.unit, s.begins))
    done = await connection.execute(
        "INSERT INTO capacity.slot (chain, link, resource, unit, begins, ends)"
        " SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::int[], %s::bigint[], %s::bigint[])"
        " ON CONFLICT DO NOTHING",
        (
            chain,
            [s.link for s in ordered],
            [s.resource for s in ordered],
            [s.unit for s in ordered],
            [s.begins for s in ordered],
            [s.ends for s in ordered],
        ),
    )
    if done.rowcount != len(ordered):
        raise _Overtaken


async def _once(
    connection: AsyncConnection[Any], person: Person, key: str, said: object, chain: str
) -> str | None:
    """Return None the first time; the chain of the first time if `key` comes again. Raises No."""
    digest = hashlib.sha256(msgspec.json.encode(said)).digest()
    done = await connection.execute(
        "INSERT INTO capacity.request (organisation, key, digest, chain) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (person.organisation, key, digest, chain),
    )
    if done.rowcount:
        return None
    rows = await _rows(
        connection,
        "SELECT digest, chain FROM capacity.request WHERE organisation = %s AND key = %s",
        (person.organisation, key),
    )
    if bytes(rows[0][0]) != digest:
        what = "it was used before for something else"
        raise No("key-reused", "The key was used", Reason("key", what, "make a new key"))
    return str(rows[0][1])


async def tell(
    connection: AsyncConnection[Any],
    stream: str,
    kind: str,
    body: Mapping[str, Any],
    audience: Sequence[str],
    person: Person | None,
    organisation: str = "",
) -> list[int]:
    """Write what the record is to be told, with what it tells of."""
    rows = await _rows(
        connection,
        "INSERT INTO capacity.told (stream, kind, body, audience, organisation, person)"
        " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        (
            stream, kind, Jsonb(body), [*audience],
            person.organisation if person else organisation,
            (person.id or None) if person else None,
        ),
    )  # fmt: skip
    return [rows[0][0]]


async def _tell_chain(
    connection: AsyncConnection[Any], kind: str, chain: Chain, person: Person | None, **more: Any
) -> list[int]:
    plain = msgspec.to_builtins(chain)
    body = {k: v for k, v in plain.items() if k != "organisations"} | more
    stream = f"capacity/chain/{chain.id}"
    return await tell(
        connection, stream, kind, body, chain.organisations, person, chain.organisation
    )


async def _rows(
    connection: AsyncConnection[Any], query: Any, values: Sequence[Any]
) -> list[tuple[Any, ...]]:
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


def _chosen(
    template: Template,
    calendars: Mapping[str, Sequence[Calendar]],
    places: Sequence[Place],
    stay: Mapping[str, Slot] | None = None,
) -> list[Slot]:
    """Return the slots that a client chose, each in a free unit. Raises No: what does not fit.

    A slot of `stay` that is chosen again keeps its unit.
    """
    stay = stay or {}
    found = []
    near(*(p.begins for p in places), *(p.ends for p in places))
    for place in sorted(places, key=lambda p: p.begins):
        begins, ends = seconds(place.begins), seconds(place.ends)
        kept = stay.get(place.link)
        if kept is not None and (kept.resource, kept.begins) == (place.resource, begins):
            found.append(kept)
            continue
        calendar = next(
            (c for c in calendars.get(place.link, ()) if c.resource.id == place.resource), None
        )
        if calendar is None:
            raise unknown("resource", place.resource)
        unit = calendar.unit(begins, ends)
        if unit is None:
            shut = not calendar.opened(begins, ends)
            what = "it is closed then" if shut else "it is taken"
            raise No("taken", "No free slot", Reason(place.link, what, "search again"))
        found.append(Slot(place.link, place.resource, unit, begins, ends))
    if faults := broken(template, found):
        told = (Reason(where, what, "search, or preview the move") for where, what in faults)
        raise No("lead-time", "This is no chain", *told)
    return found


def _free(calendar: Calendar, begin: int, end: int, length: int) -> list[int]:
    """Return when slots of `length` could begin in [begin, end), none meeting another."""
    found: list[int] = []
    until = [begin] * calendar.resource.units
    for at in calendar.starts(begin, end - 1):
        for unit in calendar.units(at, at + length):
            if at >= until[unit]:
                found.append(at)
                until[unit] = at + length
    return found


def _reach(begin: datetime, end: datetime) -> tuple[int, int]:
    if begin.tzinfo is None or end.tzinfo is None:
        raise No("bad-time", "A time without a zone", Reason("begin", "add the offset", "or Z"))
    if end < begin:
        raise No("bad-time", "It ends before it begins", Reason("end", str(end), "swap them"))
    if end - begin > AHEAD:
        what = f"{(end - begin).days} days; what is searched is at most {AHEAD.days}"
        raise No("bad-time", "Too long", Reason("end", what, "narrow the window"))
    near(begin, end)
    low = max(seconds(begin), _now())
    if seconds(end) < low:
        raise No("bad-time", "That is past", Reason("end", end.isoformat(), "choose a later time"))
    return low, seconds(end)


def near(*moments: datetime) -> None:
    """Raise No if a moment is years away."""
    now = datetime.now(UTC)
    for moment_ in moments:
        if abs(moment_ - now) > YEARS:
            what = f"{moment_.isoformat()} is years away"
            raise No("bad-time", "Not a time to book", Reason("begin", what, "check the year"))


def blocked(template: Template, why: Blocked) -> str:
    """Say in words why a link has no place."""
    link = next(one for one in template.links if one.name == why.link)
    state = "nothing is open" if why.closed else "all that is open is taken"
    low, high = (moment(t).isoformat(timespec="minutes") for t in (why.begin, why.end))
    if why.begin > why.end:
        return f"{link.name} would begin after the deadline"
    lead = f"{link.lead_min_h:g}-{link.lead_max_h:g} h after the link before"
    return f"{link.name} ({link.hours:g} h, {lead}) must begin {low} to {high}: {state}"


def _no_place(template: Template, why: Blocked) -> No:
    reason = Reason(why.link, blocked(template, why), "widen the window, or be listed as waiting")
    return No("no-slot", "There is no chain", reason)


def _place(slot: Slot) -> Place:
    return Place(slot.link, slot.resource, moment(slot.begins), moment(slot.ends))


def _slots(chain: Chain) -> list[Slot]:
    return [
        Slot(p.link, p.resource, chain.units[p.link], seconds(p.begins), seconds(p.ends))
        for p in chain.slots
    ]


def _need_reason(reason: str) -> None:
    if len(reason.strip()) < 4 or not reason.isprintable():
        what = "others will read why"
        raise No("reason-missing", "There is no reason", Reason("reason", what, "say why"))


def _now() -> int:
    return seconds(datetime.now(UTC))
