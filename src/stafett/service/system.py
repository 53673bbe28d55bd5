"""The whole chain on one page: where journeys are, where they wait, which interfaces lose most.

For everyone after the rules for small numbers; for a member also the exact numbers of the journeys
that their own organisation takes part in. Counted over the record, at most once a minute.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, LiteralString

import msgspec

from stafett.journey.state import State
from stafett.registry.disclosure import MINIMUM, RATE_MINIMUM, Rate, Shown, one, rate, table
from stafett.service import sql
from stafett.service.board import Board
from stafett.service.journeys import Journeys
from stafett.service.library import Library
from stafett.service.registry import Registry
from stafett.service.row import Row
from stafett.watch.ownership import between_hands

FRESH_S = 60.0
CLOSED: LiteralString = """
WITH opened AS (
  SELECT stream, convert_from(leaf, 'UTF8')::jsonb #>> '{body,event,protocol}' AS protocol
  FROM ledger.event_store WHERE kind = 'JourneyOpened'),
closed AS (
  SELECT stream, kind, convert_from(leaf, 'UTF8')::jsonb #> '{body,event}' AS event
  FROM ledger.event_store
  WHERE kind IN ('Accepted', 'Quarantined', 'Refused')
    AND recorded_at >= %s AND recorded_at < %s)
SELECT protocol, event ->> 'handoff',
  count(*) FILTER (WHERE (event ->> 'round')::int = 1),
  count(*) FILTER (WHERE (event ->> 'round')::int = 1 AND kind = 'Accepted'
                   AND NOT coalesce((event ->> 'with_deviation')::boolean, false))
FROM closed JOIN opened USING (stream) GROUP BY 1, 2
"""
ENDED: LiteralString = """
SELECT count(*), count(*) FILTER (
  WHERE (convert_from(leaf, 'UTF8')::jsonb #>> '{body,event,treated}')::boolean)
FROM ledger.event_store WHERE kind = 'JourneyEnded' AND recorded_at >= %s AND recorded_at < %s
"""


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
  count(*) FILTER (WHERE (c.event ->> 'round')::int = 1 AND c.kind = 'Accepted'
                   AND NOT coalesce((c.event ->> 'with_deviation')::boolean, false)),
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


class Spot(msgspec.Struct, frozen=True):
    """Where open journeys are: the next act, how many wait for it, the median wait in hours."""

    protocol: str
    activity: str
    title: Any
    journeys: Shown
    waiting_h: float | None
    late: Shown
    deviations: Shown


class Interface(msgspec.Struct, frozen=True):
    """One handoff over the period: how often, how often right at the first attempt.

    `deviations` are those open now that began there; where nobody has said yet, were found there. A
    past year has none.
    """

    protocol: str
    handoff: str
    title: Any
    passed: Shown
    right_first_time: Rate | None
    lost_share: float | None
    unowned_h: float | None
    deviations: Shown = Shown(0)


class Need(msgspec.Struct, frozen=True):
    """What sites have open for booking, of one kind of resource."""

    resource: str
    free: int
    sites: int
    first_free: str | None


class System(msgspec.Struct, frozen=True):
    """Everything on the page. `own` says that it counts one organisation's journeys exactly."""

    at: datetime
    since: datetime
    until: datetime
    own: bool
    open: Shown
    ended: Shown
    treated: Rate | None
    spots: list[Spot]
    interfaces: list[Interface]
    capacity: list[Need]
    trials_open: int
    assessments: dict[str, int]


class SystemView:
    """The view, kept for a minute."""

    def __init__(
        self,
        pool: sql.Pool,
        board: Board,
        journeys: Journeys,
        library: Library,
        registry: Registry,
    ) -> None:
        self._pool, self._board, self._journeys = pool, board, journeys
        self._library, self._registry = library, registry
        self._kept: dict[tuple[int | None, str | None], tuple[float, System]] = {}
        self._sites: dict[str, tuple[float, list[Received]]] = {}
        self._lock = asyncio.Lock()

    async def see(self, year: int | None = None, organisation: str | None = None) -> System:
        """Return the view of a year (None: the last 365 days), for everyone or a member."""
        key = (year, organisation)
        async with self._lock:
            kept = self._kept.get(key)
            if kept is None or time.monotonic() - kept[0] > FRESH_S:
                made = await self._make(year, organisation)
                kept = self._kept[key] = (time.monotonic(), made)
                while len(self._kept) > 200:
                    del self._kept[next(iter(self._kept))]
        return kept[1]

    async def of_site(self, organisation: str) -> list[Received]:
        """Return how an organisation receives, interface by interface, over the last 365 days.

        Raises nothing for one that received nothing: the list is empty.
        """
        kept = self._sites.get(organisation)
        if kept is None or time.monotonic() - kept[0] > FRESH_S:
            since = datetime.now(UTC) - timedelta(days=365)
            found = await sql.rows(self._pool, OF_SITE, (since, organisation))
            titles = self._titles()
            made = [
                Received(
                    protocol,
                    handoff,
                    titles.get((protocol, handoff), handoff),
                    one(first),
                    rate(good, first),
                    round(float(hours), 1) if hours is not None and first >= RATE_MINIMUM else None,
                )
                for protocol, handoff, first, good, hours in found
            ]
            kept = self._sites[organisation] = (time.monotonic(), made)
        return kept[1]

    def _titles(self) -> dict[tuple[str, str], Any]:
        return {
            (pinned.name, name): handoff.title
            for pinned in self._library.current().values()
            for name, handoff in pinned.document.bind().handoffs.items()
        }

    async def _make(self, year: int | None, organisation: str | None) -> System:
        now = datetime.now(UTC)
        since = datetime(year, 1, 1, tzinfo=UTC) if year else now - timedelta(days=365)
        until = min(now, datetime(year + 1, 1, 1, tzinfo=UTC)) if year else now
        await self._registry.refresh()
        closed = await sql.rows(self._pool, CLOSED, (since, until))
        ended, treated = (await sql.rows(self._pool, ENDED, (since, until)))[0]
        rows = [row for row in self._board.rows.values() if row.status != "ended"]
        if organisation is not None:
            rows = [row for row in rows if organisation in row.parties]
        exact = organisation is not None
        unowned = await self._unowned(rows, now)
        deviations = self._open_deviations(rows if until == now else [])
        sites = self._registry.all("site")
        return System(
            at=now,
            since=since,
            until=until,
            own=exact,
            open=_shown(len(rows), exact) if exact else self._total(rows),
            ended=one(ended),
            treated=rate(treated, ended),
            spots=self._spots(rows, now, exact),
            interfaces=self._interfaces(closed, unowned, deviations, exact),
            capacity=_needs(sites),
            trials_open=sum(trial.open for trial in self._registry.all("trial")),
            assessments=dict(
                Counter(a.recommendation or a.stage for a in self._registry.all("assessment"))
            ),
        )

    def _spots(self, rows: list[Row], now: datetime, exact: bool) -> list[Spot]:
        groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in rows:
            if row.next is not None:
                groups[(row.protocol, row.next.activity)].append(row)
        shown, _ = table(_places(rows))
        spots = []
        for (protocol, activity), found in groups.items():
            count = Shown(len(found)) if exact else shown[f"{protocol} {activity}"]
            waits = [
                (now - row.next.since).total_seconds() / 3600
                for row in found
                if row.next is not None and row.next.since is not None
            ]
            tells = exact or count.value is not None
            late = sum(row.due is not None and row.due < now for row in found)
            deviations = sum(row.deviations for row in found)
            assert found[0].next is not None
            spots.append(
                Spot(
                    protocol,
                    activity,
                    found[0].next.title,
                    count,
                    round(median(waits), 1) if waits and tells else None,
                    _shown(late, exact) if tells else Shown(None, "hidden"),
                    _shown(deviations, exact) if tells else Shown(None, "hidden"),
                )
            )
        return sorted(spots, key=lambda s: (-(s.journeys.value or 0), s.protocol, s.activity))

    def _total(self, rows: list[Row]) -> Shown:
        """Return the number of open journeys as it may stand beside their places."""
        return table(_places(rows))[1]

    def _interfaces(
        self,
        closed: list[Any],
        unowned: dict[tuple[str, str], float],
        deviations: Counter[tuple[str, str]],
        exact: bool,
    ) -> list[Interface]:
        titles = self._titles()
        lost = Counter({(p, h): first - good for p, h, first, good in closed})
        total = sum(lost.values())
        found = []
        passed = {(p, h) for p, h, _, _ in closed}
        others = [(*key, 0, 0) for key in deviations if key not in passed]
        for protocol, handoff, first, good in [*closed, *others]:
            share = lost[(protocol, handoff)] / total if total >= MINIMUM * 4 else None
            found.append(
                Interface(
                    protocol,
                    handoff,
                    titles.get((protocol, handoff), handoff),
                    one(first),
                    rate(good, first),
                    round(share, 2)
                    if share is not None and lost[(protocol, handoff)] >= MINIMUM
                    else None,
                    unowned.get((protocol, handoff)),
                    _shown(deviations[protocol, handoff], exact),
                )
            )
        return sorted(found, key=lambda i: (-(i.lost_share or 0), i.protocol, i.handoff))

    def _open_deviations(self, rows: list[Row]) -> Counter[tuple[str, str]]:
        """Count what is open by the handoff where it began, or else was found."""
        found: Counter[tuple[str, str]] = Counter()
        for row in rows:
            live = self._journeys.known(row.journey) if row.deviations else None
            if live is None:
                continue
            for raised in live.state.open_deviations():
                where = raised.originated or raised.detected
                if where in live.net.protocol.handoffs:
                    found[live.state.protocol, where] += 1
        return found

    async def _unowned(self, rows: list[Row], now: datetime) -> dict[tuple[str, str], float]:
        """Return the median hours between two hands, by handoff, where enough journeys say so."""
        hours: dict[tuple[str, str], list[float]] = defaultdict(list)
        for n, row in enumerate(rows):
            live = self._journeys.known(row.journey)
            if live is None:
                continue
            state: State = live.state
            for stretch in between_hands(live.net, state, now):
                hours[(state.protocol, stretch.handoff)].append(
                    stretch.length.total_seconds() / 3600
                )
            if n % 50 == 49:
                await asyncio.sleep(0)
        return {
            key: round(median(found), 2) for key, found in hours.items() if len(found) >= MINIMUM
        }


def _places(rows: Iterable[Row]) -> dict[str, int]:
    return dict(Counter(f"{r.protocol} {r.next.activity}" if r.next else "-" for r in rows))


def _shown(count: int, exact: bool) -> Shown:
    return Shown(count) if exact else one(count)


def _needs(sites: Iterable[Any]) -> list[Need]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for site in sites:
        for capacity in site.capacity:
            groups[capacity.resource].append(capacity)
    return [
        Need(
            name,
            sum(c.slots for c in found),
            len(found),
            min((c.first_free for c in found if c.first_free), default=None),
        )
        for name, found in sorted(groups.items())
    ]
