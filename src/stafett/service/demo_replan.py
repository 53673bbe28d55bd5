"""The demonstration's replans: a courier is late, a batch has failed, and people must answer.

Made while the demonstration runs, not before it opens: working out a plan takes seconds.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from stafett.capacity.booking import Chain
from stafett.capacity.disruption import Cause
from stafett.capacity.replanned import Replan
from stafett.service.accounts import Person
from stafett.service.bookings import Bookings
from stafett.service.refusal import No

log = logging.getLogger(__name__)
LATE = timedelta(hours=10)
REASON = "demonstration: the courier stands in the snow"


async def show(bookings: Bookings, clinic: str) -> list[Replan]:
    """Let one replan wait for acceptances and one for a choice, unless some are there.

    `clinic` is the organisation that books; it is asked by its own partners as well.
    """
    person = Person("demo-booking", "demo-booking", "Demo booking", clinic)
    if any(one.status in ("open", "chosen") for one in await bookings.replans.all(person)):
        return []
    now = datetime.now(UTC)
    chains = [
        chain
        for chain in await bookings.chains(person, now, now + timedelta(days=60))
        if chain.status == "booked" and chain.slots[0].begins > now
    ]
    found = []
    # The suites are full for weeks: the last chain is the likeliest to find another place.
    for late in reversed(chains):
        if (proposed := await _proposed(bookings, person, late)) is not None:
            found.append(proposed)
            break
    others = [chain for chain in chains if not found or chain.id != found[0].cause.chain]
    if others and (open_ := await _failed(bookings, person, others[0])) is not None:
        found.append(open_)
    return found


async def _proposed(bookings: Bookings, person: Person, chain: Chain) -> Replan | None:
    """The courier is late: the clinic has chosen, the others are to accept."""
    pickup = chain.slots[1]
    cause = Cause(kind="late", chain=chain.id, link=pickup.link, at=pickup.ends + LATE)
    made = await _worked_out(bookings, person, cause)
    if made is None:
        return None
    key = f"demonstration-{made.id}"
    return await bookings.replans.choose(person, made.id, made.version, 0, key, REASON)


async def _failed(bookings: Bookings, person: Person, chain: Chain) -> Replan | None:
    """A batch has failed: cells are collected again; nobody has chosen yet."""
    again = chain.slots[-1].begins
    cause = Cause(kind="failed", chain=chain.id, link=chain.slots[0].link, at=again)
    return await _worked_out(bookings, person, cause)


async def _worked_out(bookings: Bookings, person: Person, cause: Cause) -> Replan | None:
    try:
        made = await bookings.replans.work_out(person, cause)
    except No as no:
        log.info("the demonstration has no replan for this: %s", no)
        return None
    return made if made.options and made.options[0].moves else None
