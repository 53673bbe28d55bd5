"""Slots of a journey that is over: what is still to come is given back, what was is kept.

Only a journey whose end the record holds, and in which whoever booked takes part, is over. One that
goes on, or that nobody here knows of (a patient by another pseudonym), keeps its slots. Giving back
is one transaction with what the waitlist is to be offered and with what the record is to be told;
a chain that was given back has no slot to come, so whoever looks again finds nothing to do.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from psycopg import AsyncConnection

from stafett.capacity.booking import Chain
from stafett.service import sql
from stafett.service.booking_rules import now_s
from stafett.service.refusal import No, Reason
from stafett.service.slot_record import SlotRecord, tell_chain
from stafett.service.slots import CHAIN, filled, free

REASON: Final = "the journey is over"
# A journey's name is in capitals; before it could be given so it may stand here in small ones.
_END: Final = (
    " EXISTS (SELECT 1 FROM ledger.event_store e"
    " WHERE e.stream IN ({0}.patient, upper({0}.patient))"
    " AND e.kind = 'JourneyEnded' AND {0}.organisation = ANY(e.audience))"
)
CHAIN_OVER: Final = _END.format("c")
WAITING_OVER: Final = _END.format("w")
_DUE: Final = (
    " c WHERE status IN ('held', 'booked') AND EXISTS (SELECT 1 FROM capacity.slot s"
    " WHERE s.chain = c.id AND s.begins > %s) AND" + CHAIN_OVER
)


class Releases:
    """What journeys that are over give back. One instance per process."""

    def __init__(self, pool: sql.Pool, record: SlotRecord) -> None:
        self._pool, self._record = pool, record

    async def sweep(self) -> list[Chain]:
        """Give back what is still to come of each journey that is over; return what they gave."""
        async with self._pool.connection() as connection:
            due = CHAIN + _DUE + " FOR UPDATE OF c SKIP LOCKED"
            rows = await sql.within(connection, due, (now_s(),))
            if not rows:
                return []
            moment, given, told = datetime.now(UTC), [], list[int]()
            for chain in await filled(connection, rows):
                ahead = [place for place in chain.slots if place.begins > moment]
                was = [place for place in chain.slots if place.begins <= moment]
                if not ahead:
                    continue  # it began while we looked
                await free(connection, [chain], begun_by=moment)
                await connection.execute(
                    "UPDATE capacity.chain SET status = 'ended', hold_until = NULL,"
                    " version = version + 1 WHERE id = %s",
                    (chain.id,),
                )
                told += await tell_chain(
                    connection, "SlotChainReleased", msgspec.structs.replace(chain, slots=was),
                    None, reason=REASON, released=msgspec.to_builtins(ahead),
                )  # fmt: skip
                given.append(chain)
        await self._record.relay(told)
        return given


async def need_going_on(connection: AsyncConnection[Any], organisation: str, patient: str) -> None:
    """Raise No if `patient` names a journey of the organisation's that is over."""
    query = "SELECT 1 FROM (SELECT %s::text AS patient, %s::text AS organisation) w WHERE"
    if await sql.within(connection, query + WAITING_OVER, (patient, organisation)):
        what = "nothing more is booked for it"
        raise No("ended", "The journey is over", Reason("patient", what, "name one that goes on"))
