"""What may be said of the whole chain, of each country and of each region, from exact counts.

All the counts of all places are guarded together (`registry.suppression`): a region beside its
country beside the whole, the acts beside their total, right and wrong beside all. A member's own
journeys are said exactly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Any

import msgspec

from stafett.registry.disclosure import MINIMUM, RATE_MINIMUM, Rate, Shown, rate, wilson
from stafett.registry.place import EVERYWHERE, UNKNOWN, Place
from stafett.registry.suppression import Sum, protect
from stafett.service.chain_counts import NONE, Act, Cell, Counts
from stafett.service.openings import Demand, Opening
from stafett.service.row import Row
from stafett.service.system_sites import at_site

HIDDEN = Shown(None, "hidden")
ALL: Act = ("*", "*")  # the sum over all acts
Name = tuple[str, Act, Place]  # a count: of what, of which act, where


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
    """Capacity against demand, of one kind of resource over the next four weeks.

    `kind` is "" where a site has entered a name that no calendar explains; nothing is known of the
    demand for it then. `booked` slots begin in these weeks; `waiting` patients have none yet.
    `stated` is the oldest day that a figure is of, where sites have entered it by hand.
    """

    kind: str
    resource: str
    free: int
    sites: int
    first_free: str | None
    booked: Shown | None
    waiting: Shown | None
    stated: str | None


class Published:
    """The figures of every place; made once from the exact counts."""

    def __init__(
        self,
        counts: Counts,
        demand: Demand,
        organisations: Mapping[str, Place],
        titles: Mapping[Act, Any],
        now: datetime,
        exact: bool,
    ) -> None:
        self._titles, self._now, self._exact = titles, now, exact
        self._rows = _around(counts.rows)
        self._between = _around(counts.between_h)
        self._spots: dict[Cell, Spot] = {}
        self._needs: dict[tuple[str, Place], list[Opening]] = defaultdict(list)
        parts: dict[tuple[str, Act], Counter[Place]] = {}

        def add(measure: str, cells: Mapping[Cell, int]) -> None:
            for (act, place), n in cells.items():
                parts.setdefault((measure, act), Counter())[place] += n

        add("open", {cell: len(rows) for cell, rows in counts.rows.items()})
        add("late", {cell: self._late(rows) for cell, rows in counts.rows.items()})
        add("raised", {c: sum(r.deviations for r in rows) for c, rows in counts.rows.items()})
        add("passed", counts.passed)
        add("good", counts.good)
        add("bad", {cell: n - counts.good[cell] for cell, n in counts.passed.items()})
        add("deviations", counts.deviations)
        add("ended", {(NONE, place): n for place, n in counts.ended.items()})
        add("treated", {(NONE, place): n for place, n in counts.treated.items()})
        add("untreated", {(NONE, p): n - counts.treated[p] for p, n in counts.ended.items()})
        for measure, told in (("booked", demand.booked), ("waiting", demand.waiting)):
            for (who, kind), n in told.items():
                add(measure, {((kind, ""), organisations.get(who, UNKNOWN)): n})
        for measure in ("open", "bad"):
            total: Counter[Place] = Counter()
            for (name, _), by_place in parts.items():
                if name == measure:
                    total.update(by_place)
            parts[measure, ALL] = total
        self._received = counts.received
        self._counts: dict[Name, int] = {
            (measure, act, place): n
            for (measure, act), by_place in parts.items()
            for place, n in _sums(by_place).items()
        }
        self._shown: Mapping[Name, Shown] = (
            {name: Shown(n) for name, n in self._counts.items()}
            if exact
            else protect(self._counts, self._all_sums(parts))
        )

    @classmethod
    def of(
        cls,
        counts: Counts,
        openings: Iterable[Opening],
        demand: Demand,
        organisations: Mapping[str, Place],
        titles: Mapping[Act, Any],
        now: datetime,
        exact: bool,
    ) -> Published:
        """Make the figures; `exact` leaves nothing out."""
        made = cls(counts, demand, organisations, titles, now, exact)
        for one in openings:
            for place in organisations[one.organisation].around:
                made._needs[one.kind or one.capacity.resource, place].append(one)
        return made

    def _all_sums(self, parts: Mapping[tuple[str, Act], Counter[Place]]) -> list[Sum]:
        """Return every sum that a reader of several pages could use."""
        sums: list[Sum] = []
        for (measure, act), by_place in parts.items():
            for place, inner in _inner(by_place).items():
                sums.append(
                    Sum((measure, act, place), tuple((measure, act, p) for p in sorted(inner)))
                )
        kinds = (("passed", "good", "bad"), ("ended", "treated", "untreated"))
        for whole, *kinds_of in kinds:
            for measure, act, place in self._counts:
                if measure == whole:
                    sums.append(
                        Sum((measure, act, place), tuple((k, act, place) for k in kinds_of))
                    )
        acts: dict[tuple[str, Place], list[Hashable]] = defaultdict(list)
        for measure, act, place in self._counts:
            if measure in ("open", "bad") and act != ALL:
                acts[measure, place].append((measure, act, place))
        sums += [Sum((m, ALL, place), tuple(names)) for (m, place), names in acts.items()]
        return sums

    def _late(self, rows: Sequence[Row]) -> int:
        return sum(row.due is not None and row.due < self._now for row in rows)

    def _see(self, measure: str, act: Act, place: Place) -> Shown:
        return self._shown.get((measure, act, place), Shown(0))

    def _rate(self, good: str, bad: str, act: Act, place: Place) -> Rate | None:
        """Return the proportion of the good; None where it would tell what is hidden."""
        successes = self._counts.get((good, act, place), 0)
        failures = self._counts.get((bad, act, place), 0)
        if self._exact:
            return _exact(successes, successes + failures)
        for name, other in ((good, failures), (bad, successes)):
            own = self._see(name, act, place)
            if own.why == "hidden" and not 0 < other < MINIMUM:
                return None
        return rate(successes, successes + failures)

    # -- one place -----------------------------------------------------------------------------

    def open(self, place: Place) -> Shown:
        """Return how many journeys are open."""
        return self._see("open", ALL, place)

    def ended(self, place: Place) -> Shown:
        """Return how many journeys ended in the period."""
        return self._see("ended", NONE, place)

    def treated(self, place: Place) -> Rate | None:
        """Return which part of those that ended was treated."""
        return self._rate("treated", "untreated", NONE, place)

    def spots(self, place: Place) -> list[Spot]:
        """Return where open journeys are, the most first."""
        found = [
            self._spot(act, place, rows)
            for (act, where), rows in self._rows.items()
            if where == place and act != NONE
        ]
        return sorted(found, key=lambda s: (-(s.journeys.value or 0), s.protocol, s.activity))

    def _spot(self, act: Act, place: Place, rows: Sequence[Row]) -> Spot:
        count = self._see("open", act, place)
        waits = [
            (self._now - row.next.since).total_seconds() / 3600
            for row in rows
            if row.next is not None and row.next.since is not None
        ]
        tells = count.value is not None
        assert rows[0].next is not None
        return Spot(
            *act,
            rows[0].next.title,
            count,
            round(median(waits), 1) if waits and tells else None,
            self._see("late", act, place) if tells else HIDDEN,
            self._see("raised", act, place) if tells else HIDDEN,
        )

    def interfaces(self, place: Place) -> list[Interface]:
        """Return the handoffs, those that lose most first."""
        acts = {
            act
            for measure, act, where in self._counts
            if where == place and measure in ("passed", "deviations")
        }
        lost = self._counts.get(("bad", ALL, place), 0)
        tells = self._see("bad", ALL, place).value is not None and lost >= MINIMUM * 4
        found = []
        for act in acts:
            bad = self._see("bad", act, place)
            hours = self._between.get((act, place), [])
            share = self._counts.get(("bad", act, place), 0) / lost if tells else 0.0
            found.append(
                Interface(
                    *act,
                    self._titles.get(act, act[1]),
                    self._see("passed", act, place),
                    self._rate("good", "bad", act, place),
                    round(share, 2) if tells and bad.value else None,
                    round(median(hours), 2) if len(hours) >= MINIMUM else None,
                    self._see("deviations", act, place),
                )
            )
        return sorted(found, key=lambda i: (-(i.lost_share or 0), i.protocol, i.handoff))

    def received(self, organisation: str) -> list[tuple[Act, Shown, Rate | None]]:
        """Return what a site received over each handoff, and which part of it right at once."""
        return at_site(self._received, organisation, self._see)

    def capacity(self, place: Place) -> list[Need]:
        """Return what is open for booking beside who needs it, the scarcest kinds first."""
        kinds = {
            act[0]: ""
            for measure, act, where in self._counts
            if where == place and measure in ("booked", "waiting")
        }
        kinds |= {kind: "" for kind, where in self._needs if where == place}
        return [self._need(kind, place) for kind in sorted(kinds)]

    def _need(self, kind: str, place: Place) -> Need:
        found = self._needs.get((kind, place), [])
        # Unexplained names have no kind: nothing is booked under them.
        explained = any(one.kind for one in found) or not found
        days = [one.capacity.first_free for one in found if one.capacity.first_free]
        return Need(
            kind if explained else "",
            ", ".join(sorted({one.capacity.resource for one in found})),
            sum(one.capacity.slots for one in found),
            len({one.organisation for one in found}),
            min(days, default=None),
            self._see("booked", (kind, ""), place) if explained else None,
            self._see("waiting", (kind, ""), place) if explained else None,
            min((one.capacity.on for one in found if not one.live), default=None),
        )


def _around(cells: Mapping[Cell, list[Any]]) -> dict[Cell, list[Any]]:
    """Return the lists also of every place that theirs lies in."""
    found: dict[Cell, list[Any]] = defaultdict(list)
    for (act, place), ones in cells.items():
        for outer in place.around:
            found[act, outer] += ones
    return dict(found)


def _sums(by_place: Mapping[Place, int]) -> dict[Place, int]:
    """Return the counts also of every place that theirs lie in."""
    found: Counter[Place] = Counter()
    for place, n in by_place.items():
        for outer in place.around:
            found[outer] += n
    return {EVERYWHERE: 0, **found}


def _inner(by_place: Iterable[Place]) -> dict[Place, set[Place]]:
    """Return which places each place is the sum of."""
    found: dict[Place, set[Place]] = defaultdict(set)
    for place in by_place:
        for outer, inner in zip(place.around, place.around[1:], strict=False):
            found[outer].add(inner)
    return dict(found)


def _exact(successes: int, cases: int) -> Rate | None:
    """Return a proportion of one's own, which hides nothing but still needs enough cases."""
    if cases < RATE_MINIMUM:
        return None
    return Rate(round(successes / cases, 2), *wilson(successes, cases), cases)
