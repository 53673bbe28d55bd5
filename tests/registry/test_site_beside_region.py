"""A site's page beside its region's: their difference tells nobody who is at another site."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import product

from stafett.registry.disclosure import MINIMUM, Shown
from stafett.registry.place import Place
from stafett.service.chain_counts import Counts
from stafett.service.openings import Demand
from stafett.service.system_publish import Published

NORTH, SOUTH = Place("SE", "North"), Place("SE", "South")
ACT = ("p", "H01")
REACH = 12  # counts that the attacker below tries


def published(
    received: Mapping[tuple[Place, str], tuple[int, int]], with_page: tuple[str, ...]
) -> Published:
    """Publish what sites received of one handoff (all, right), by region of the journey."""
    counts = Counts()
    for (place, who), (first, good) in received.items():
        counts.received[ACT, place, who] = (first, good)
        counts.passed[ACT, place] += first
        counts.good[ACT, place] += good
    organisations = dict.fromkeys(with_page, NORTH)
    return Published.of(counts, [], Demand({}, {}), organisations, {}, datetime.now(UTC), False)


def test_a_site_with_three_is_not_its_region_less_the_other() -> None:
    """The region and the large site are not both shown where a small site is the difference."""
    shown = published({(NORTH, "a"): (40, 30), (NORTH, "b"): (3, 3)}, ("a", "b"))
    region = shown.interfaces(NORTH)[0].passed
    ((_, a, _),), ((_, b, rate),) = shown.received("a"), shown.received("b")
    assert b.value is None and rate is None
    assert a.value is None or region.value is None


def test_a_site_without_a_page_is_guarded_as_well() -> None:
    """What is received where no page tells of it is no difference either."""
    shown = published({(NORTH, "a"): (40, 30), (NORTH, "b"): (3, 3)}, ("a",))
    ((_, a, _),) = shown.received("a")
    assert a.value is None or shown.interfaces(NORTH)[0].passed.value is None


def test_what_is_large_everywhere_is_shown_everywhere() -> None:
    """Nothing is hidden for nothing: counts and rates of both sites and the region stand."""
    shown = published({(NORTH, "a"): (40, 30), (NORTH, "b"): (30, 20)}, ("a", "b"))
    ((_, a, rate_a),), ((_, b, _),) = shown.received("a"), shown.received("b")
    assert (a, b, shown.interfaces(NORTH)[0].passed) == (Shown(40), Shown(30), Shown(70))
    assert rate_a is not None and rate_a.value == 0.75
    assert shown.received("nobody") == []


def test_failures_that_are_few_anywhere_hide_the_rates_of_all_sites() -> None:
    """Three failures at one site: the counts stand, no site's rate does."""
    shown = published({(NORTH, "a"): (40, 30), (NORTH, "b"): (30, 27)}, ("a", "b"))
    assert [rate for who in ("a", "b") for _, _, rate in shown.received(who)] == [None, None]
    assert shown.received("a")[0][1] == Shown(40)


def test_no_small_count_at_a_site_follows_from_all_pages() -> None:
    """Two sites, two regions: whoever knows every shown count exactly is left with two values."""
    places, sites = (NORTH, SOUTH), ("a", "b")
    names = list(product(places, sites))
    for cells in product((0, 3, 4, 9), repeat=4):
        truth = dict(zip(names, cells, strict=True))
        shown = published({name: (n, n) for name, n in truth.items()}, sites)
        told: dict[tuple[int, ...], Shown] = {}
        for place in (*places, Place("SE")):
            inside = tuple(k for k, (p, _) in enumerate(names) if place.holds(p))
            rows = shown.interfaces(place)
            told[inside] = rows[0].passed if rows else Shown(0)
        for who in sites:
            mine = tuple(k for k, (_, w) in enumerate(names) if w == who)
            ((_, count, _),) = shown.received(who)
            told[mine] = count
        fits: list[set[int]] = [set() for _ in names]
        for guess in product(*(range(1, REACH) if n else (0,) for n in cells)):
            if all(_agrees(t, _sum(guess, k), _sum(cells, k)) for k, t in told.items()):
                for k, n in enumerate(guess):
                    fits[k].add(n)
        for k, n in enumerate(cells):
            assert not 0 < n < MINIMUM or len(fits[k]) > 1, (cells, names[k], told)


def _sum(cells: tuple[int, ...], which: tuple[int, ...]) -> int:
    return sum(cells[k] for k in which)


def _agrees(told: Shown, guess: int, truth: int) -> bool:
    if told.why is None:
        return guess == truth
    return 0 < guess < MINIMUM if told.why == "<5" else guess > 0
