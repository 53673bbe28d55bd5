"""What is open for booking at the sites: as their calendars have it now, else as they say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from stafett.capacity.booking import Free
from stafett.capacity.chain import templates
from stafett.registry.site import Capacity, SiteEntry
from stafett.service import sql
from stafett.service.calendars import FREE, Calendars
from stafett.service.releases import WAITING_OVER

# How many slots of each kind begin in the four weeks, by the organisation that has the resource;
# and how many patients wait without a slot, by the organisation that listed them and by chain.
BOOKED = """
SELECT r.organisation, r.value ->> 'kind', count(*)
FROM capacity.slot s JOIN capacity.resource r ON r.id = s.resource
WHERE s.begins >= %s AND s.begins < %s AND (%s::text IS NULL OR r.organisation = %s)
GROUP BY 1, 2
"""
WAITING = (
    """
SELECT w.organisation, w.value ->> 'template', count(*) FROM capacity.waiting w
WHERE (%s::text IS NULL OR w.organisation = %s) AND NOT EXISTS (
  SELECT 1 FROM capacity.chain c WHERE c.organisation = w.organisation
  AND c.patient = w.patient AND c.status IN ('held', 'booked'))
AND NOT"""
    + WAITING_OVER
    + "\nGROUP BY 1, 2\n"
)


class Opening(msgspec.Struct, frozen=True):
    """One resource of a site: `live` if a calendar kept here says so, else what was entered.

    `kind` is "" where nobody has said which of the kinds that can be booked it is.
    """

    organisation: str
    capacity: Capacity
    live: bool
    kind: str = ""


class Demand(msgspec.Struct, frozen=True):
    """Who needs a kind of resource: exact counts by organisation, not for publication."""

    booked: Mapping[tuple[str, str], int]
    waiting: Mapping[tuple[str, str], int]


class Openings:
    """Reads calendars, slots and the waitlist: counts only, nobody's bookings."""

    def __init__(self, pool: sql.Pool, calendars: Calendars) -> None:
        self._pool, self._calendars = pool, calendars

    async def of(self, sites: Iterable[SiteEntry]) -> list[Opening]:
        """Return what is open at `sites`; a site with calendars here shows them and no more.

        What a site has entered by hand stands where no calendar of its organisation is shared.
        """
        now = datetime.now(UTC)
        free = await self._calendars.free(now)
        kinds = {one.resource: one.kind for every in free.values() for one in every}
        found, seen = [], set()
        for site in sites:
            if site.organisation not in free:
                found += [
                    Opening(site.organisation, c, False, kinds.get(c.resource, ""))
                    for c in site.capacity
                ]
            elif site.organisation not in seen:  # a calendar is its organisation's: count it once
                seen.add(site.organisation)
                found += [
                    Opening(site.organisation, _counted(one, now), True, one.kind)
                    for one in free[site.organisation]
                ]
        return found

    async def live(self, sites: Sequence[SiteEntry]) -> list[SiteEntry]:
        """Return the sites with what their calendars have free now, where they have any."""
        now = datetime.now(UTC)
        free = await self._calendars.free(now)
        return [
            msgspec.structs.replace(
                site, capacity=tuple(_counted(one, now) for one in free[site.organisation])
            )
            if site.organisation in free
            else site
            for site in sites
        ]

    async def demand(self, organisation: str | None = None) -> Demand:
        """Return who needs what in the four weeks from now; of one organisation, or of all."""
        now = datetime.now(UTC)
        begin, end = int(now.timestamp()), int((now + FREE).timestamp())
        booked = await sql.rows(self._pool, BOOKED, (begin, end, organisation, organisation))
        waits = await sql.rows(self._pool, WAITING, (organisation, organisation))
        waiting: dict[tuple[str, str], int] = {}
        for who, template, n in waits:
            chain = templates().get(template)
            for kind in {link.kind for link in chain.links} if chain else ():
                waiting[who, kind] = waiting.get((who, kind), 0) + n
        return Demand({(who, kind): n for who, kind, n in booked}, waiting)


def _counted(one: Free, now: datetime) -> Capacity:
    zone = ZoneInfo(one.zone)
    return Capacity(
        resource=one.resource,
        slots=one.slots,
        first_free=one.first.astimezone(zone).date().isoformat() if one.first else None,
        on=now.astimezone(zone).date().isoformat(),
    )
