"""What a replan is worked out from: the chains, the calendars, and what stands in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from psycopg import AsyncConnection

from stafett.capacity.board import Job
from stafett.capacity.booking import Chain, slots_of
from stafett.capacity.calendar import Resource, seconds
from stafett.capacity.chain import Slot, templates
from stafett.capacity.disruption import Cause, struck
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.booking_rules import now_s
from stafett.service.refusal import No, Reason, unknown
from stafett.service.slots import CHAIN, filled, see


class Gathered(msgspec.Struct, frozen=True):
    """All that a plan is worked out from."""

    template: str
    network: str
    jobs: dict[str, Job]
    chains: dict[str, Chain]
    resources: list[Resource]
    where: dict[str, list[str]]
    standing: list[Slot]


async def gather(
    connection: AsyncConnection[Any], networks: Mapping[str, dict[str, str]], person: Person,
    cause: Cause,
) -> Gathered:  # fmt: skip
    """Return what a plan for `cause` is worked out from. Raises No.

    What may be moved are the booked chains of the same kind in the same network; all else that
    stands in its resources stays.
    """
    name, network = await _which(connection, person, cause)
    parties = networks.get(network, {})
    if person.organisation not in parties.values():
        raise unknown("network", network)
    template = templates()[name].at(*sorted({*parties.values()}))
    rows = await sql.within(
        connection,
        "SELECT value FROM capacity.resource WHERE organisation = ANY(%s) ORDER BY id",
        (sorted({*parties.values()}),),
    )
    resources = [msgspec.convert(row[0], Resource) for row in rows]
    ids = {r.id for r in resources}
    where = {
        link.name: [
            r.id
            for r in resources
            if r.kind == link.kind and r.organisation == parties.get(link.role)
        ]
        for link in template.links
    }
    now = now_s()
    found = await sql.within(
        connection,
        CHAIN + " WHERE status IN ('held', 'booked', 'ended') AND id IN (SELECT chain FROM"
        " capacity.slot WHERE resource = ANY(%s) AND ends > %s)",
        (sorted(ids), now),
    )
    chains = {chain.id: chain for chain in await filled(connection, found)}
    if cause.chain is not None and cause.chain not in chains:
        chains[cause.chain] = await see(connection, person, cause.chain)
    jobs: dict[str, Job] = {}
    standing: list[Slot] = []
    for id_, chain in chains.items():
        slots = slots_of(chain)
        deadline = None if chain.deadline is None else seconds(chain.deadline)
        movable = (chain.template, chain.network) == (name, network) and all(
            slot.resource in ids for slot in slots
        )
        if id_ == cause.chain:
            try:
                jobs[id_] = struck(cause, template, id_, slots, chain.urgency, deadline)
            except ValueError as error:
                raise No(
                    "bad-value", "That cannot be", Reason("link", str(error), "look at the chain")
                ) from None
        elif movable and chain.status == "booked":
            jobs[id_] = Job(id_, template, tuple(slots), chain.urgency, deadline)
        else:
            standing += [slot for slot in slots if slot.resource in ids]
    return Gathered(name, network, jobs, chains, resources, where, standing)


async def _which(connection: AsyncConnection[Any], person: Person, cause: Cause) -> tuple[str, str]:
    """Return the template and network that are planned anew. Raises No."""
    if cause.chain is not None:
        chain = await see(connection, person, cause.chain)
        if chain.status not in ("held", "booked"):
            what = f"it is {chain.status}"
            raise No("ended", "The chain does not stand", Reason("chain", what, "book a new one"))
        return chain.template, chain.network
    own = await sql.within(
        connection,
        "SELECT 1 FROM capacity.resource WHERE id = %s AND organisation = %s",
        (cause.resource, person.organisation),
    )
    if not own:
        raise unknown("resource", str(cause.resource))
    rows = await sql.within(
        connection,
        "SELECT c.template, c.network FROM capacity.chain c JOIN capacity.slot s ON s.chain = c.id"
        " WHERE s.resource = %s AND s.ends > %s GROUP BY 1, 2 ORDER BY count(*) DESC LIMIT 1",
        (cause.resource, now_s()),
    )
    if not rows:
        what = "no chain stands in it"
        raise No("not-now", "Nothing to plan anew", Reason("resource", what))
    return rows[0][0], rows[0][1]
