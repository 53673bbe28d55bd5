"""A slot chain moved whole: what it entails is seen first, and then made, or nothing is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection, errors

from stafett.capacity.booking import Chain, Place, Preview, consequences, place_of, slots_of
from stafett.capacity.calendar import seconds
from stafett.capacity.search import Blocked, moved, said
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.booking_rules import chosen, near, need_reason, now_s
from stafett.service.network import Networks
from stafett.service.refusal import No, Reason
from stafett.service.slot_record import SlotRecord, tell_chain
from stafett.service.slots import LOCK, TRIES, Overtaken, calendars_of, insert, once, see, take


class Moves:
    """Moves of chains kept in PostgreSQL. One instance per process."""

    def __init__(self, pool: sql.Pool, record: SlotRecord, networks: Networks) -> None:
        self._pool, self._record, self._networks = pool, record, networks

    async def preview(
        self, person: Person, chain: str, link: str, begins: datetime, resource: str | None = None
    ) -> Preview:
        """Say what moving a link would move with it, or why it cannot be moved. Raises No."""
        near(begins)
        networks = await self._networks.all()
        async with self._pool.connection() as connection:
            old = await see(connection, person, chain)
            if old.status not in ("held", "booked"):
                what = f"it is {old.status}"
                raise No(
                    "ended", "The chain does not stand", Reason("chain", what, "book a new one")
                )
            names = [slot.link for slot in old.slots]
            if link not in names:
                what = f"{link!r} is not one of {names}"
                raise No("unknown-name", "No such link", Reason("link", what))
            template, calendars = await calendars_of(
                connection, networks, person, old.template, old.network,
                old.slots[0].begins, without=chain, member=True,
            )  # fmt: skip
        now = slots_of(old)
        if seconds(begins) < now_s():
            return Preview(chain, old.version, False, [], [], "that is past", link)
        found = moved(
            template, calendars, now, link, seconds(begins), resource=resource, now=now_s()
        )
        if isinstance(found, Blocked):
            return Preview(chain, old.version, False, [], [], said(template, found), found.link)
        changes = consequences(now, found, link)
        return Preview(chain, old.version, True, changes, [place_of(s) for s in found])

    async def move(
        self, person: Person, chain: str, seen: int, slots: Sequence[Place], key: str, reason: str
    ) -> Chain:
        """Put a chain where a preview has shown it: whole, or not at all. Raises No."""
        need_reason(reason)
        networks = await self._networks.all()
        for _ in range(TRIES):
            try:
                async with self._pool.connection() as connection:
                    said = ("move", chain, seen, [*slots], reason)
                    if await once(connection, person, key, said, chain):
                        return await see(connection, person, chain)
                    new, told = await self._move(
                        connection, networks, person, chain, seen, slots, reason
                    )
            except (Overtaken, errors.DeadlockDetected):
                continue
            await self._record.relay(told)
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
        old = await take(connection, person, chain, seen, owner=False)
        template, calendars = await calendars_of(
            connection, networks, person, old.template, old.network,
            old.slots[0].begins, without=chain, member=True,
        )  # fmt: skip
        # What has begun stays where it is, also where the calendar has closed under it since.
        stay = {s.link: s for s in slots_of(old)}
        placed = chosen(template, calendars, slots, stay)
        for slot in placed:
            if slot != stay[slot.link] and min(slot.begins, stay[slot.link].begins) < now_s():
                raise No(
                    "bad-time", "It has begun",
                    Reason(slot.link, "what is past does not move", "move a later link"),
                )  # fmt: skip
        await connection.execute("DELETE FROM capacity.slot WHERE chain = %s", (chain,))
        await insert(connection, chain, placed)
        owner = {c.resource.id: c.resource.organisation for cs in calendars.values() for c in cs}
        members = sorted({*old.organisations, *(owner[s.resource] for s in placed)})
        await connection.execute(
            "UPDATE capacity.chain SET version = version + 1, organisations = %s, hold_until ="
            " CASE WHEN hold_until IS NULL THEN NULL ELSE least(hold_until, to_timestamp(%s)) END"
            " WHERE id = %s",
            (members, min(slot.begins for slot in placed), chain),
        )
        new = await see(connection, person, chain)
        told = await tell_chain(
            connection, "SlotChainMoved", new, person, reason=reason,
            before=msgspec.to_builtins(old.slots),
        )  # fmt: skip
        return new, told
