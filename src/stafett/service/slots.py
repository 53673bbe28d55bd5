"""Slots and chains in PostgreSQL, within a transaction of the caller's.

That no unit is given twice is the database's own rule (an exclusion constraint): it holds whatever
any process does. `Overtaken` says that another process was quicker; the caller looks again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from stafett.capacity.booking import Chain, Place
from stafett.capacity.calendar import Calendar, Resource, moment, seconds
from stafett.capacity.chain import Slot, Template, templates
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.refusal import No, Reason, unknown

TRIES = 30  # of a booking that others overtook
LOCK = 0x43617061636974  # shared by bookings, alone for a change of a calendar

CHAIN = (
    "SELECT id, template, network, patient, organisation, organisations, status, version,"
    " hold_until, urgency, deadline, offered FROM capacity.chain"
)


class Overtaken(Exception):
    """Somebody else took a unit between our looking and our writing."""


async def see(connection: AsyncConnection[Any], person: Person, chain: str) -> Chain:
    """Return a chain that the person's organisation is in. Raises No."""
    rows = await sql.within(
        connection, CHAIN + " WHERE id = %s AND %s = ANY(organisations)",
        (chain, person.organisation),
    )  # fmt: skip
    if not rows:
        raise unknown("chain", chain)
    return (await filled(connection, rows))[0]


async def filled(connection: AsyncConnection[Any], rows: Sequence[tuple[Any, ...]]) -> list[Chain]:
    """Return chains with their slots."""
    slots: dict[str, list[tuple[Any, ...]]] = {}
    for chain, *rest in await sql.within(
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
                Place(link, r, moment(b), moment(e)) for link, r, _, b, e in slots.get(row[0], ())
            ],
            units={link: unit for link, _, unit, _, _ in slots.get(row[0], ())},
        )
        for row in rows
    ]


async def take(
    connection: AsyncConnection[Any],
    person: Person,
    chain: str,
    seen: int,
    *,
    owner: bool,
) -> Chain:
    """Return a chain for a change, locked: as the person has seen it, and still standing."""
    await connection.execute("SELECT 1 FROM capacity.chain WHERE id = %s FOR UPDATE", (chain,))
    found = await see(connection, person, chain)
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


async def calendars_of(
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
    rows = await sql.within(
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


async def busy_of(
    connection: AsyncConnection[Any], resources: Sequence[str], begin: int, without: str = ""
) -> dict[str, list[tuple[int, int, int]]]:
    """Return what stands in `resources` from `begin` on: resource -> (unit, from, until)."""
    found: dict[str, list[tuple[int, int, int]]] = {}
    for resource, unit, begins, ends in await sql.within(
        connection,
        "SELECT resource, unit, begins, ends FROM capacity.slot"
        " WHERE resource = ANY(%s) AND ends > %s AND chain <> %s",
        ([*resources], begin, without),
    ):
        found.setdefault(resource, []).append((unit, begins, ends))
    return found


async def insert(connection: AsyncConnection[Any], chain: str, slots: Iterable[Slot]) -> None:
    """Write all slots. Raises Overtaken: one is taken.

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
        raise Overtaken


async def once(
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
    rows = await sql.within(
        connection,
        "SELECT digest, chain FROM capacity.request WHERE organisation = %s AND key = %s",
        (person.organisation, key),
    )
    if bytes(rows[0][0]) != digest:
        what = "it was used before for something else"
        raise No("key-reused", "The key was used", Reason("key", what, "make a new key"))
    return str(rows[0][1])


async def free(
    connection: AsyncConnection[Any], chains: Sequence[Chain], *, begun_by: datetime | None = None
) -> None:
    """Delete the slots of `chains`, and keep for the waitlist what may be offered of them.

    A hold that ends without having been an offer gives back what nobody had yet; a chain that has
    begun is nobody's to begin, so what is left of it is free for everybody. `begun_by`: slots
    that had begun by then stay.
    """
    now = datetime.now(UTC)
    await connection.execute(
        "DELETE FROM capacity.slot WHERE chain = ANY(%s) AND begins > %s",
        ([c.id for c in chains], -1 if begun_by is None else seconds(begun_by)),
    )
    offered = [
        (c.id, Jsonb(msgspec.to_builtins(c.slots)))
        for c in chains
        if c.slots and c.slots[0].begins > now and (c.status == "booked" or c.offered is not None)
    ]
    for id_, places in offered:
        await connection.execute(
            "INSERT INTO capacity.freed (chain, slots) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (id_, places),
        )
