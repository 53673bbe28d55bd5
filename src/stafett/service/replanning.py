"""Replanning: something happened; see what follows, choose a plan, and both sides accept it.

A replan is worked out once and kept with the versions of the chains it rests on. Nothing moves
before every organisation in the chains that it moves has accepted it; then all of it is made in one
transaction, or, if anything has changed meanwhile, none of it (`overtaken`). Each act is told to
the record.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from psycopg import AsyncConnection, errors
from psycopg.types.json import Jsonb

from stafett.capacity import replanned
from stafett.capacity.booking import slots_of
from stafett.capacity.calendar import Calendar, Resource
from stafett.capacity.disruption import Cause, follows, wrong
from stafett.capacity.replanned import Kept, Moved, Replan
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.booking_rules import near, need_reason, now_s
from stafett.service.holds import Holds
from stafett.service.network import Networks
from stafett.service.refusal import No, Reason, unknown
from stafett.service.replan_gathering import gather
from stafett.service.slot_record import SlotRecord, tell, tell_chain
from stafett.service.slots import CHAIN, LOCK, Overtaken, filled, insert, once

OPEN_FOR = timedelta(hours=24)  # assumption: longer, and too much has changed
LIMIT_S = 4.0
_REPLAN = (
    "SELECT id, organisation, organisations, value, chosen, accepted, reason, status, version, at,"
    " ends FROM capacity.replan"
)


class Replanning:
    """The replans kept in PostgreSQL. One instance per process."""

    def __init__(
        self, pool: sql.Pool, record: SlotRecord, networks: Networks, holds: Holds
    ) -> None:
        self._pool, self._record, self._networks = pool, record, networks
        self._holds = holds

    # -- working out ---------------------------------------------------------------------------

    async def work_out(self, person: Person, cause: Cause, limit_s: float = LIMIT_S) -> Replan:
        """Work out what follows from `cause`, and keep it. Nothing moves. Raises No."""
        if faults := wrong(cause):
            raise No("bad-value", "What happened?", *(Reason(*fault) for fault in faults))
        if cause.at is not None:
            near(cause.at)
        await self._holds.sweep()
        networks = await self._networks.all()
        async with self._pool.connection() as connection:
            gathered = await gather(connection, networks, person, cause)
        found = await asyncio.to_thread(
            follows, list(gathered.jobs.values()), gathered.resources, gathered.where,
            gathered.standing, now_s(), limit_s,
        )  # fmt: skip
        owners = {r.id: r.organisation for r in gathered.resources}
        value = replanned.kept(
            cause, gathered.template, gathered.network, found, gathered.jobs, gathered.chains,
            owners,
        )  # fmt: skip
        id_ = f"replan-{secrets.token_hex(8)}"
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO capacity.replan (id, organisation, organisations, value, ends)"
                " VALUES (%s, %s, %s, %s, now() + %s)",
                (
                    id_, person.organisation, [person.organisation],
                    Jsonb(msgspec.to_builtins(value)), OPEN_FOR,
                ),
            )  # fmt: skip
            return (await _one(connection, person, id_))[0]

    # -- reading -------------------------------------------------------------------------------

    async def see(self, person: Person, id_: str) -> Replan:
        """Return a replan that the person's organisation made or must accept. Raises No."""
        async with self._pool.connection() as connection:
            return (await _one(connection, person, id_))[0]

    async def all(self, person: Person) -> list[Replan]:
        """Return the organisation's replans, the newest first, at most a hundred."""
        async with self._pool.connection() as connection:
            rows = await sql.within(
                connection,
                _REPLAN + " WHERE %s = ANY(organisations) ORDER BY at DESC LIMIT 100",
                (person.organisation,),
            )
        return [_shown(row, person.organisation) for row in rows]

    # -- deciding ------------------------------------------------------------------------------

    async def choose(
        self, person: Person, id_: str, seen: int, option: int, key: str, reason: str
    ) -> Replan:
        """Propose one of the options, and accept it for one's own organisation. Raises No."""
        need_reason(reason)

        async def act(connection: AsyncConnection[Any], now: Replan, value: Kept) -> list[int]:
            _must_be(now, "open")
            if now.organisation != person.organisation:
                what = "who worked it out chooses"
                raise No("wrong-organisation", "Not yours", Reason("replan", what, "ask them"))
            if not 0 <= option < len(value.options):
                what = f"there are {len(value.options)}, the first is 0"
                raise No("bad-value", "No such option", Reason("option", what, "choose one"))
            chosen = value.options[option]
            if not chosen.moves:
                what = "it moves nobody"
                raise No("bad-value", "Nothing to do", Reason("option", what, "choose another"))
            members = sorted({person.organisation, *chosen.needs})
            await connection.execute(
                "UPDATE capacity.replan SET chosen = %s, reason = %s, status = 'chosen',"
                " organisations = %s WHERE id = %s",
                (option, reason.strip(), members, id_),
            )
            body = {"cause": msgspec.to_builtins(value.cause), "way": chosen.way,
                    "moved": len(chosen.moves), "left": len(chosen.left),
                    "needs": chosen.needs, "reason": reason.strip()}  # fmt: skip
            told = await _tell(connection, "ReplanProposed", id_, body, members, person)
            return told + await _accept(connection, id_, value, person)

        return await self._do(person, id_, seen, key, ("choose", option, reason), act)

    async def accept(self, person: Person, id_: str, seen: int, key: str) -> Replan:
        """Accept what was proposed, for one's own organisation. Raises No.

        The last to accept makes it so.
        """

        async def act(connection: AsyncConnection[Any], now: Replan, value: Kept) -> list[int]:
            _must_be(now, "chosen")
            if person.organisation not in now.needs:
                what = f"it waits for {', '.join(now.needs)}"
                raise No("wrong-organisation", "Not asked", Reason("replan", what))
            return await _accept(connection, id_, value, person)

        return await self._do(person, id_, seen, key, ("accept",), act)

    async def decline(self, person: Person, id_: str, seen: int, key: str, reason: str) -> Replan:
        """Decline what was proposed, or leave what was worked out: nothing moves. Raises No."""
        need_reason(reason)

        async def act(connection: AsyncConnection[Any], now: Replan, value: Kept) -> list[int]:
            _must_be(now, "open", "chosen")
            await connection.execute(
                "UPDATE capacity.replan SET status = 'declined' WHERE id = %s", (id_,)
            )
            members = sorted({now.organisation, *now.needs})
            body = {"reason": reason.strip()}
            return await _tell(connection, "ReplanDeclined", id_, body, members, person)

        return await self._do(person, id_, seen, key, ("decline", reason), act)

    async def _do(
        self, person: Person, id_: str, seen: int, key: str, said: tuple[Any, ...], act: Any
    ) -> Replan:
        """Act on a replan as it was seen, once for each key."""
        try:
            async with self._pool.connection() as connection:
                await connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (LOCK,))
                if await once(connection, person, key, (*said, id_, seen), id_):
                    return (await _one(connection, person, id_))[0]
                await connection.execute(
                    "SELECT 1 FROM capacity.replan WHERE id = %s FOR UPDATE", (id_,)
                )
                now, value = await _one(connection, person, id_)
                if now.version != seen:
                    what = f"you saw version {seen}, it is at {now.version}"
                    raise No("stale", "It has changed meanwhile", Reason("seen", what, "look"))
                told = await act(connection, now, value)
                await connection.execute(
                    "UPDATE capacity.replan SET version = version + 1 WHERE id = %s", (id_,)
                )
                new = (await _one(connection, person, id_))[0]
        except (Overtaken, errors.DeadlockDetected) as overtaken:
            await self._overtaken(person, id_)
            what = str(overtaken) or "somebody has booked one of its places"
            raise No(
                "stale", "Overtaken", Reason("replan", what, "work it out anew")
            ) from None  # fmt: skip
        await self._record.relay(told)
        return new

    async def _overtaken(self, person: Person, id_: str) -> None:
        async with self._pool.connection() as connection:
            now, _ = await _one(connection, person, id_)
            done = await connection.execute(
                "UPDATE capacity.replan SET status = 'overtaken', version = version + 1"
                " WHERE id = %s AND status IN ('open', 'chosen')",
                (id_,),
            )
            members = sorted({now.organisation, person.organisation, *now.needs})
            told: list[int] = []
            if done.rowcount:
                told = await _tell(connection, "ReplanOvertaken", id_, {}, members, person)
        await self._record.relay(told)


# -- rows ----------------------------------------------------------------------------------------


def _shown(row: tuple[Any, ...], organisation: str) -> Replan:
    id_, by, _, plain, chosen, accepted, reason, status, version, at, ends = row
    value = msgspec.convert(plain, Kept)
    hits, others, options = replanned.shown_to(organisation, value.hits, value.options)
    if status in ("open", "chosen") and ends <= datetime.now(UTC):
        status = "ended"
    return Replan(
        id=id_,
        organisation=by,
        template=value.template,
        network=value.network,
        cause=value.cause,
        hits=hits,
        other_hits=others,
        options=options,
        chosen=chosen,
        needs=[] if chosen is None else value.options[chosen].needs,
        accepted=accepted,
        status=status,
        reason=reason,
        version=version,
        at=at,
        ends=ends,
    )


async def _one(connection: AsyncConnection[Any], person: Person, id_: str) -> tuple[Replan, Kept]:
    """Return a replan as the person sees it, and what is kept of it. Raises No."""
    rows = await sql.within(
        connection,
        _REPLAN + " WHERE id = %s AND %s = ANY(organisations)",
        (id_, person.organisation),
    )
    if not rows:
        raise unknown("replan", id_)
    return _shown(rows[0], person.organisation), msgspec.convert(rows[0][3], Kept)


def _must_be(now: Replan, *statuses: str) -> None:
    if now.status not in statuses:
        what = f"it is {now.status}"
        raise No("ended", "Not now", Reason("replan", what, "work it out anew"))


async def _accept(
    connection: AsyncConnection[Any], id_: str, value: Kept, person: Person
) -> list[int]:
    """Note an acceptance; if it is the last that was needed, make the moves."""
    rows = await sql.within(
        connection,
        "UPDATE capacity.replan SET accepted = accepted || %s WHERE id = %s"
        " RETURNING accepted, chosen, reason, organisations",
        (Jsonb({person.organisation: person.id}), id_),
    )
    accepted, chosen, reason, members = rows[0]
    told = await _tell(connection, "ReplanAccepted", id_, {}, members, person)
    option = value.options[chosen]
    if not set(option.needs) <= accepted.keys():
        return told
    told += await _make(connection, id_, option.moves, person, reason)
    await connection.execute("UPDATE capacity.replan SET status = 'applied' WHERE id = %s", (id_,))
    body = {"accepted": accepted, "moved": len(option.moves)}
    return told + await _tell(connection, "ReplanApplied", id_, body, members, person)


async def _make(
    connection: AsyncConnection[Any], id_: str, moves: list[Moved], person: Person, reason: str
) -> list[int]:
    """Move every chain, or raise Overtaken: one has changed, or a calendar or another booking."""
    ids = sorted(move.chain for move in moves)
    rows = await sql.within(
        connection, CHAIN + " WHERE id = ANY(%s) ORDER BY id FOR UPDATE", (ids,)
    )
    old = {chain.id: chain for chain in await filled(connection, rows)}
    wanted = {slot.resource for move in moves for slot in replanned.places(move)}
    rows = await sql.within(
        connection, "SELECT value FROM capacity.resource WHERE id = ANY(%s)", (sorted(wanted),)
    )
    calendars = {r.id: Calendar(r) for r in (msgspec.convert(row[0], Resource) for row in rows)}
    for move in moves:
        chain = old.get(move.chain)
        if chain is None or chain.version != move.seen or chain.status not in ("held", "booked"):
            raise Overtaken("a chain that it moves has changed meanwhile")
        stays = set(slots_of(chain))
        for slot in replanned.places(move):
            there = calendars.get(slot.resource)
            if slot in stays:
                continue
            if there is None or not there.fits(slot.unit, slot.begins, slot.ends):
                raise Overtaken(f"{slot.resource} is closed then by now")
    await connection.execute("DELETE FROM capacity.slot WHERE chain = ANY(%s)", (ids,))
    told: list[int] = []
    for move in sorted(moves, key=lambda m: m.chain):
        await insert(connection, move.chain, replanned.places(move))
        await connection.execute(
            "UPDATE capacity.chain SET version = version + 1, organisations = %s WHERE id = %s",
            (move.organisations, move.chain),
        )
        rows = await sql.within(connection, CHAIN + " WHERE id = %s", (move.chain,))
        new = (await filled(connection, rows))[0]
        told += await tell_chain(
            connection, "SlotChainMoved", new, person, reason=reason, replan=id_, why=move.why,
            before=msgspec.to_builtins(move.before),
        )  # fmt: skip
    return told


async def _tell(
    connection: AsyncConnection[Any], kind: str, id_: str, body: Mapping[str, Any],
    members: list[str], person: Person,
) -> list[int]:  # fmt: skip
    said = {"replan": id_, "organisation": person.organisation, **body}
    return await tell(connection, f"capacity/replan/{id_}", kind, said, members, person)
