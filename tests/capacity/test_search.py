"""The search for chains: earliest, whole, with its lead times; moves and what they entail."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

import naive_chains as naive
from stafett.capacity.calendar import Calendar, Hours, Resource, moment
from stafett.capacity.chain import Link, Override, Slot, Template, broken, templates, wrong
from stafett.capacity.search import Blocked, earliest, moved, offers

WEEK = tuple(range(7))
HOUR = 3600
START = 1_772_409_600  # Monday, 2026-03-02 00:00 UTC


def link(name: str, hours: float, low: float = 0, high: float = 0) -> Link:
    """Return a link of courier kind."""
    return Link(
        name=name, title={"en": name}, kind="courier", role="courier", hours=hours,
        lead_min_h=low, lead_max_h=high, source="test",
    )  # fmt: skip


def resource(id_: str, **more: Any) -> Resource:
    """Return a resource that is always open, on a grid of an hour."""
    given: dict[str, Any] = {
        "id": id_, "organisation": "o", "kind": "courier", "title": id_, "zone": "UTC",
        "hours": (Hours(WEEK, "00:00", "24:00"),), "step_minutes": 60,
    }  # fmt: skip
    return Resource(**{**given, **more})


def _overlaps(calendar: Calendar, unit: int, b: int, e: int) -> bool:
    return any(x < e and b < y for x, y in calendar._busy[unit])


TWO = Template(
    id="two-links", title={"en": "x"}, protocol="p", links=(link("a1", 2), link("b1", 3, 1, 4))
)


def test_the_earliest_chain_is_the_naive_searchs() -> None:
    """On random small calendars the search finds the very starts that trying everything finds."""
    seed = random.SystemRandom().randrange(1 << 30)
    print("seed", seed)
    draw = random.Random(seed)
    found = 0
    for _ in range(250):
        links = [link("a1", draw.choice((1, 2)))]
        for name in ("b1", "c1")[: draw.randint(1, 2)]:
            low = draw.randint(0, 2)
            links.append(link(name, draw.choice((1, 2, 3)), low, low + draw.randint(0, 3)))
        template = Template(id="tt", title={}, protocol="p", links=tuple(links))
        calendars: dict[str, list[Calendar]] = {}
        for one in links:
            calendars[one.name] = []
            for n in range(draw.randint(1, 2)):
                opens = draw.randint(0, 12)
                closes = draw.randint(opens + 2, 24)
                r = resource(
                    f"{one.name}-{n}", units=draw.randint(1, 2),
                    hours=(Hours(WEEK, f"{opens:02}:00", f"{closes:02}:00"),),
                    step_minutes=draw.choice((60, 90)), continuous=draw.random() < 0.3,
                )  # fmt: skip
                calendar = Calendar(r)
                for _ in range(draw.randint(0, 8)):
                    b = START + draw.randint(0, 20) * HOUR
                    e = b + draw.randint(1, 6) * HOUR
                    for unit in range(r.units):
                        if draw.random() < 0.7 and not _overlaps(calendar, unit, b, e):
                            calendar.put(unit, b, e)
                calendars[one.name].append(calendar)
        end = START + draw.randint(4, 16) * HOUR
        got = earliest(template, calendars, START, end)
        wanted = naive.earliest(template, calendars, START, end)
        if isinstance(got, Blocked):
            assert wanted is None, seed
        else:
            assert [s.begins for s in got] == wanted, seed
            assert broken(template, got) == []
            found += 1
    assert 50 < found < 250, "the cases must hold both answers"


def test_offers_come_in_order_and_are_different() -> None:
    """Each further offer begins later."""
    calendars = {"a1": [Calendar(resource("ra"))], "b1": [Calendar(resource("rb"))]}
    found = offers(TWO, calendars, START, START + 10 * HOUR, 4)
    assert [chain[0].begins for chain in found] == [START + n * HOUR for n in range(4)]


def test_why_there_is_none_names_the_link_that_finds_no_place() -> None:
    """The second link is taken throughout: it is named, with its window, as taken."""
    full = Calendar(resource("rb"), [(0, START, START + 1000 * HOUR)])
    got = earliest(TWO, {"a1": [Calendar(resource("ra"))], "b1": [full]}, START, START)
    assert got == Blocked("b1", START + 3 * HOUR, START + 6 * HOUR, closed=False)


def test_a_move_takes_along_only_what_must_follow() -> None:
    """Within the lead time the next link stays; beyond it, it moves to its first place."""
    calendars = {"a1": [Calendar(resource("ra"))], "b1": [Calendar(resource("rb"))]}
    chain = [Slot("a1", "ra", 0, START, START + 2 * HOUR),
             Slot("b1", "rb", 0, START + 6 * HOUR, START + 9 * HOUR)]  # fmt: skip
    assert broken(TWO, chain) == []
    near = moved(TWO, calendars, chain, "a1", START + 3 * HOUR)
    assert not isinstance(near, Blocked)
    assert near[1] == chain[1]
    far = moved(TWO, calendars, chain, "a1", START + 5 * HOUR)
    assert not isinstance(far, Blocked)
    assert far[1].begins == START + 8 * HOUR


def test_a_move_that_what_came_before_forbids_says_so() -> None:
    """The second link may begin at most four hours after the first: eight is refused."""
    calendars = {"a1": [Calendar(resource("ra"))], "b1": [Calendar(resource("rb"))]}
    chain = [Slot("a1", "ra", 0, START, START + 2 * HOUR),
             Slot("b1", "rb", 0, START + 6 * HOUR, START + 9 * HOUR)]  # fmt: skip
    got = moved(TWO, calendars, chain, "b1", START + 10 * HOUR)
    assert got == Blocked("b1", START + 3 * HOUR, START + 6 * HOUR, closed=False)


@pytest.mark.parametrize(
    ("template", "what"),
    [
        (msgspec.structs.replace(TWO, links=()), "none"),
        (msgspec.structs.replace(TWO, links=(TWO.links[0], TWO.links[0])), "twice"),
        (msgspec.structs.replace(TWO, links=(link("a1", 1, 3, 2),)), "over the most"),
        (msgspec.structs.replace(TWO, sites={"s": {"zz": Override("x")}}), "no link"),
        (msgspec.structs.replace(TWO, sites={"s": {"b1": Override("x", lead_min_h=9)}}), "over"),
    ],
)
def test_a_wrong_template_is_told(template: Template, what: str) -> None:
    """Each fault of a template is named."""
    assert what in wrong(template)[0][1]


def test_a_site_may_do_it_otherwise() -> None:
    """At a site with an override the link has its own times, elsewhere the template's."""
    other = msgspec.structs.replace(TWO, sites={"s": {"b1": Override("slow lane", hours=6)}})
    assert [one.hours for one in other.at("s").links] == [2, 6]
    assert other.at("elsewhere").links == TWO.links


def test_the_built_in_chain_fits_an_empty_network() -> None:
    """The built-in CAR-T chain is found on calendars that are always open, with its lead times."""
    template = templates()["autologous-car-t"]
    assert wrong(template) == []
    calendars = {one.name: [Calendar(resource(f"r-{one.name}"))] for one in template.links}
    chain = earliest(template, calendars, START, START + 24 * HOUR)
    assert not isinstance(chain, Blocked)
    assert broken(template, chain) == []
    assert (moment(chain[-1].begins) - moment(chain[0].begins)).days in range(16, 20)
