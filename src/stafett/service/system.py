"""The whole chain on one page: where journeys are, where they wait, which interfaces lose most.

Of everything, of a country or of a region. For everyone after the rules for small numbers, which
hold for the differences between these too; for a member also the exact numbers of the journeys that
their own organisation takes part in. Counted over the record, at most once a minute (seldomer where
it takes long: `at` says when), and for all places at once, so that they are of the same moment.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import anyio.to_thread
import msgspec

from stafett.registry.adoption import Uptake
from stafett.registry.disclosure import RATE_MINIMUM, Rate, Shown
from stafett.registry.place import Place, known, of_organisations
from stafett.registry.uptake import lines
from stafett.service import sql
from stafett.service.chain_counts import Counting
from stafett.service.library import Library
from stafett.service.openings import Openings
from stafett.service.refusal import unknown
from stafett.service.registry import Registry
from stafett.service.system_publish import Interface, Need, Published, Spot

FRESH_S = 60.0
SHARE = 0.1  # of the time at most goes into counting one view anew
MEDIAN_OF = RATE_MINIMUM  # cases that a site's median time rests on at least
OF_SITE: LiteralString = """
WITH opened AS (
  SELECT stream, convert_from(leaf, 'UTF8')::jsonb #>> '{body,event,protocol}' AS protocol
  FROM ledger.event_store WHERE kind = 'JourneyOpened'),
told AS (
  SELECT stream, kind, organisation, occurred_at,
    convert_from(leaf, 'UTF8')::jsonb #> '{body,event}' AS event
  FROM ledger.event_store
  WHERE kind IN ('Released', 'Accepted', 'Quarantined', 'Refused') AND recorded_at >= %s)
SELECT opened.protocol, c.event ->> 'handoff',
  count(*) FILTER (WHERE (c.event ->> 'round')::int = 1),
  percentile_cont(0.5) WITHIN GROUP (
    ORDER BY extract(epoch FROM c.occurred_at - r.occurred_at) / 3600)
FROM told c JOIN opened USING (stream)
LEFT JOIN told r ON r.stream = c.stream AND r.kind = 'Released'
  AND r.event ->> 'handoff' = c.event ->> 'handoff' AND r.event ->> 'round' = c.event ->> 'round'
WHERE c.kind <> 'Released' AND c.organisation = %s GROUP BY 1, 2 ORDER BY 1, 2
"""


class Received(msgspec.Struct, frozen=True):
    """What a site received over one interface in the last year, as it may be published."""

    protocol: str
    handoff: str
    title: Any
    received: Shown
    right_first_time: Rate | None
    median_h: float | None


class Adopted(msgspec.Struct, frozen=True):
    """What a region did with a product in the newest period that is known of it."""

    product: str
    period: str
    patients: Shown
    per_million: float | None
    made_up: bool


class System(msgspec.Struct, frozen=True):
    """Everything on the page. `own` says that it counts one organisation's journeys exactly.

    `place` is "" for everything, "SE" or "SE/Norra"; `places` are all that can be chosen.
    """

    at: datetime
    since: datetime
    until: datetime
    own: bool
    place: str
    places: list[str]
    open: Shown
    ended: Shown
    treated: Rate | None
    spots: list[Spot]
    interfaces: list[Interface]
    capacity: list[Need]
    sites: int
    trials_open: int
    assessments: dict[str, int]
    adopted: list[Adopted]


class _Kept(msgspec.Struct, frozen=True):
    """One count of everything, from which the view of each place is cut."""

    at: datetime
    since: datetime
    until: datetime
    published: Published
    organisations: dict[str, Place]


class SystemView:
    """The view, kept for a minute."""

    def __init__(
        self,
        pool: sql.Pool,
        counting: Counting,
        openings: Openings,
        library: Library,
        registry: Registry,
    ) -> None:
        self._pool, self._counting, self._openings = pool, counting, openings
        self._library, self._registry = library, registry
        self._kept: dict[tuple[int | None, str | None], tuple[float, _Kept]] = {}
        self._sites: dict[str, tuple[float, list[Received]]] = {}
        self._lock = asyncio.Lock()

    async def see(
        self, year: int | None = None, organisation: str | None = None, place: str = ""
    ) -> System:
        """Return the view of a year (None: the last 365 days), for everyone or a member.

        `place` is "", a country or a region of one, as the sites of the registry are in. Raises No
        for another.
        """
        kept = await self._keep(year, organisation)
        return self._cut(kept, organisation is not None, place)

    async def _keep(self, year: int | None, organisation: str | None) -> _Kept:
        key = (year, organisation)
        kept = self._kept.get(key)
        # While somebody counts anew, the others read the last count: only one waits.
        if kept is not None and (self._lock.locked() or time.monotonic() < kept[0]):
            return kept[1]
        async with self._lock:
            kept = self._kept.get(key)
            if kept is None or time.monotonic() >= kept[0]:
                began = time.monotonic()
                made = await self._make(year, organisation)
                ended = time.monotonic()
                kept = (ended + max(FRESH_S, (ended - began) / SHARE), made)
                self._kept[key] = kept
                while len(self._kept) > 200:
                    del self._kept[next(iter(self._kept))]
        return kept[1]

    def forget(self) -> None:
        """Count anew at the next look."""
        self._kept.clear()
        self._sites.clear()

    async def of_site(self, organisation: str) -> list[Received]:
        """Return how an organisation receives, interface by interface, over the last 365 days.

        Guarded together with the pages of all places: no difference tells who is elsewhere.

        Raises nothing for one that received nothing: the list is empty.
        """
        kept = self._sites.get(organisation)
        if kept is None or time.monotonic() - kept[0] > FRESH_S:
            since = datetime.now(UTC) - timedelta(days=365)
            found = await sql.rows(self._pool, OF_SITE, (since, organisation))
            hours = {(p, h): float(m) for p, h, n, m in found if m is not None and n >= MEDIAN_OF}
            titles = self._titles()
            made = [
                Received(
                    *act,
                    titles.get(act, act[1]),
                    shown,
                    right,
                    round(hours[act], 1) if act in hours and shown.value is not None else None,
                )
                for act, shown, right in (await self._keep(None, None)).published.received(
                    organisation
                )
            ]
            kept = self._sites[organisation] = (time.monotonic(), made)
        return kept[1]

    def _titles(self) -> dict[tuple[str, str], Any]:
        return {
            (pinned.name, name): handoff.title
            for pinned in self._library.current().values()
            for name, handoff in pinned.document.bind().handoffs.items()
        }

    async def _make(self, year: int | None, organisation: str | None) -> _Kept:
        now = datetime.now(UTC)
        since = datetime(year, 1, 1, tzinfo=UTC) if year else now - timedelta(days=365)
        until = min(now, datetime(year + 1, 1, 1, tzinfo=UTC)) if year else now
        await self._registry.refresh()
        sites = self._registry.all("site")
        organisations = of_organisations(sites)
        counts = await self._counting.count(since, until, now, organisations, organisation)
        openings = await self._openings.of(sites)
        demand = await self._openings.demand(organisation)
        published = await anyio.to_thread.run_sync(
            Published.of,
            counts, openings, demand, organisations, self._titles(), now, organisation is not None,
        )  # fmt: skip
        return _Kept(now, since, until, published, organisations)

    def _cut(self, kept: _Kept, own: bool, place: str) -> System:
        places = known(kept.organisations)
        chosen = next((p for p in (Place(), *places) if str(p) == place), None)
        if chosen is None:
            raise unknown("place", place)
        here = {o for o, p in kept.organisations.items() if chosen.holds(p)}
        published = kept.published
        assessments = [
            a for a in self._registry.all("assessment") if chosen.country in ("", a.country)
        ]
        return System(
            at=kept.at,
            since=kept.since,
            until=kept.until,
            own=own,
            place=place,
            places=[str(p) for p in places],
            open=published.open(chosen),
            ended=published.ended(chosen),
            treated=published.treated(chosen),
            spots=published.spots(chosen),
            interfaces=published.interfaces(chosen),
            capacity=published.capacity(chosen),
            sites=sum(s.organisation in here for s in self._registry.all("site")),
            trials_open=sum(
                t.open and (not place or any(s.organisation in here for s in t.sites))
                for t in self._registry.all("trial")
            ),
            assessments=dict(Counter(a.recommendation or a.stage for a in assessments)),
            adopted=_adopted(self._registry.all("uptake"), chosen) if chosen.region else [],
        )


def _adopted(entries: list[Uptake], place: Place) -> list[Adopted]:
    """Return the newest period of each product in a region; hidden as on the page of adoption."""
    mine = [
        line
        for line in lines(entries)
        if line.country == place.country and place.region in line.parts
    ]
    newest = {line.product: line for line in sorted(mine, key=lambda line: line.period)}
    return [
        Adopted(
            line.product,
            line.period,
            line.parts[place.region],
            line.per_million[place.region],
            line.made_up,
        )
        for line in newest.values()
    ]
