"""The whole chain on one page: counts that may be published, exact ones for one's own."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from datetime import UTC, datetime
from statistics import median
from typing import Any

import pytest

from site_ import Site
from stafett.journey.label import Labels
from stafett.registry.disclosure import Shown, one
from stafett.registry.place import Place
from stafett.service.chain_counts import Counts
from stafett.service.openings import Demand
from stafett.service.system_publish import Published
from told_ import report
from web_walk import walk, whole


def test_the_view_counts_what_the_record_says(site: Site) -> None:
    """A whole journey: its handoffs, its outcome; open journeys where the board has them."""
    labels = Labels(8123)
    site.inside(whole(site, site.order(labels.patient, coi=labels.coi), labels))
    orders = [site.order() for _ in range(7)]
    site.inside(site.tower.board.caught_up())
    site.tower.system.forget()
    seen = site.call(None, "GET", "/api/registry/system").json()
    rows = site.call("treating-clinic-1", "GET", "/api/journeys").json()["rows"]
    waiting = Counter(r["next"]["activity"] for r in rows if r["status"] != "ended")
    assert len(orders) == 7 and waiting.most_common(1)[0][1] >= 7
    top = seen["spots"][0]
    assert top["activity"] == waiting.most_common(1)[0][0]
    assert top["journeys"]["value"] in (5, 10) and top["waiting_h"] is not None
    first = {i["handoff"]: i for i in seen["interfaces"]}
    # One journey is a small number: no interface tells a count or a rate.
    assert first and all(i["passed"]["why"] == "<5" for i in first.values())
    assert all(i["right_first_time"] is None for i in first.values())
    assert seen["ended"]["why"] == "<5" and seen["treated"] is None


def test_a_site_shows_what_it_received_only_where_enough_did(site: Site) -> None:
    """Counts below five and rates below twenty are hidden; what is counted is what was accepted."""
    found = site.inside(site.tower.system.of_site("university-hospital"))
    entries = site.call("treating-clinic-1", "GET", "/api/journeys").json()["rows"]
    accepted: Counter[str] = Counter()
    for row in entries:
        path = f"/api/journeys/{row['journey']}/events"
        for entry in site.call("treating-clinic-1", "GET", path).json():
            if entry["kind"] == "Accepted" and entry["organisation"] == "university-hospital":
                accepted[entry["event"]["handoff"]] += 1
    assert {i.handoff for i in found} == set(accepted) != set()
    assert all(i.received.value is None and i.right_first_time is None for i in found)
    assert all(i.median_h is None for i in found)
    page = site.call(None, "GET", "/registry/sites/university-hospital")
    assert page.status_code == 200 and "What it received" in page.text


def _unguarded(self: Published, organisation: str) -> list[tuple[Any, Shown, None]]:
    """Return what a site received with nothing hidden: for a test of something else."""
    mine = {act: n for (act, _, who), (n, _) in self._received.items() if who == organisation}
    return [(act, Shown(n), None) for act, n in mine.items()]


def test_the_median_time_of_a_site_is_from_release_to_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the record has both moments; shown once enough cases stand behind it."""
    from stafett.service import system

    login, maker = "treating-clinic-1", "university-hospital"
    hours: dict[str, list[float]] = {}
    for row in site.call(login, "GET", "/api/journeys").json()["rows"]:
        released: dict[tuple[str, int], datetime] = {}
        for e in site.call(login, "GET", f"/api/journeys/{row['journey']}/events").json():
            at, told = datetime.fromisoformat(e["occurred_at"]), e["event"]
            if e["kind"] == "Released":
                released[told["handoff"], told["round"]] = at
            if e["kind"] == "Accepted" and e["organisation"] == maker:
                began = released[told["handoff"], told["round"]]
                hours.setdefault(told["handoff"], []).append((at - began).total_seconds() / 3600)
    assert hours
    monkeypatch.setattr(system, "MEDIAN_OF", 1)
    monkeypatch.setattr(Published, "received", _unguarded)
    site.tower.system.forget()
    found = site.inside(site.tower.system.of_site(maker))
    assert found
    for one_ in found:
        assert one_.median_h == round(median(hours[one_.handoff]), 1)
    site.tower.system._sites.clear()


def test_a_member_sees_its_own_journeys_exactly_and_no_others(site: Site) -> None:
    """The exact numbers are those of the member's own board; an outsider's are empty."""
    site.order()
    own = site.inside(site.tower.system.see(None, "university-hospital"))
    rows = site.call("treating-clinic-1", "GET", "/api/journeys").json()["rows"]
    open_ = [r for r in rows if r["status"] != "ended"]
    assert own.own and own.open.value == len(open_)
    assert sum(s.journeys.value for s in own.spots) == len([r for r in open_ if r["next"]])
    nobody = site.inside(site.tower.system.see(None, "somebody-else"))
    assert nobody.open.value == 0 and nobody.spots == []


def test_an_open_deviation_is_counted_at_the_interface_where_it_was_found(site: Site) -> None:
    """A member sees it at its handoff, exactly; the public page tells no count below five."""
    labels = Labels(8124)
    journey = site.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
    site.inside(walk(site, journey, labels, ("H01", "accept")))
    report(site, journey, "TEMP_EXCURSION")
    site.inside(site.tower.board.caught_up())
    site.tower.system.forget()
    state = site.tower.journeys.known(journey).state
    (raised,) = state.open_deviations()
    where = raised.originated or raised.detected
    own = site.inside(site.tower.system.see(None, "university-hospital"))
    mine = {i.handoff: i.deviations.value for i in own.interfaces if i.deviations.value}
    assert where is not None and mine[where] >= 1
    public = site.inside(site.tower.system.see(None, None))
    told = {i.handoff: i.deviations for i in public.interfaces}
    assert told[where].value is None and told[where].why == "<5"


def test_a_year_without_journeys_is_empty(site: Site) -> None:
    """An earlier year counts nothing; one that is no year is refused."""
    seen = site.call(None, "GET", "/api/registry/system?year=2001").json()
    assert seen["interfaces"] == [] and seen["ended"]["value"] == 0
    assert site.call(None, "GET", "/api/registry/system?year=12").status_code == 422
    page = site.call(None, "GET", "/registry/system?year=2001", headers={"Accept": "text/html"})
    assert page.status_code == 200 and "2001" in page.text


NORTH, SOUTH = Place("SE", "North"), Place("SE", "South")


def published(north: tuple[int, int], south: tuple[int, int], exact: bool = False) -> Published:
    """Publish one handoff's first attempts (all, right) in two regions of one country."""
    counts = Counts()
    for place, (passed, good) in ((NORTH, north), (SOUTH, south)):
        counts.passed[("p", "H01"), place] = passed
        counts.good[("p", "H01"), place] = good
        counts.ended[place] = passed
        counts.treated[place] = good
    nobody = Demand({}, {})
    return Published.of(counts, [], nobody, {}, {}, datetime.now(UTC), exact)


def test_a_region_and_the_whole_do_not_tell_the_other_region() -> None:
    """Three failures in the south: neither the north's rate and the whole's, nor the counts, do."""
    shown = published((100, 80), (30, 27))
    told = [shown.interfaces(p)[0] for p in (NORTH, SOUTH, Place("SE"), Place())]
    north, south, country, whole = (i.right_first_time for i in told)
    assert south is not None and south.value is None, "one to four failures look alike"
    assert None in (north, country) and (north is None or whole is None)
    # With no small count anywhere, every place has its rate.
    plain = published((100, 80), (30, 20))
    for place in (NORTH, SOUTH, Place("SE"), Place()):
        rate = plain.interfaces(place)[0].right_first_time
        assert rate is not None and rate.value is not None
        treated = plain.treated(place)
        assert treated is not None and treated.value == rate.value


def test_one_small_region_hides_another_count_beside_the_whole() -> None:
    """Three in the south beside a shown whole: the north is not shown either."""
    shown = published((22, 22), (3, 3))
    passed = {str(p): shown.interfaces(p)[0].passed for p in (NORTH, SOUTH, Place("SE"), Place())}
    assert passed["SE/South"].why == "<5"
    assert passed["SE/North"].why == "hidden" or passed["SE"].why == passed[""].why == "hidden"
    exact = published((22, 22), (3, 3), exact=True)
    assert exact.interfaces(SOUTH)[0].passed.value == 3


def test_the_view_is_of_the_place_that_is_chosen(site: Site) -> None:
    """The hospital's region has its journeys; another region has none; no other place exists."""
    site.order()
    site.inside(site.tower.board.caught_up())
    site.tower.system.forget()

    def ask(place: str) -> dict[str, Any]:
        found = site.call(None, "GET", "/api/registry/system", params={"place": place})
        assert found.status_code == 200, found.text
        answer: dict[str, Any] = found.json()
        return answer

    whole, here, away = ask(""), ask("SE/Sydöstra"), ask("SE/Norra")
    assert {"SE", "SE/Sydöstra", "SE/Norra"} <= set(whole["places"])
    assert here["open"] == ask("SE")["open"] == whole["open"]
    assert [s["activity"] for s in here["spots"]] == [s["activity"] for s in whole["spots"]]
    assert away["open"]["value"] == 0 and away["spots"] == away["interfaces"] == []
    assert 0 < here["sites"] < whole["sites"] and away["trials_open"] <= whole["trials_open"]
    assert {a["product"] for a in away["adopted"]} == {"Yescarta (axicabtagene ciloleucel)"}
    assert site.call(None, "GET", "/api/registry/system?place=Atlantis").status_code == 404
    own = site.inside(site.tower.system.see(None, "university-hospital", "SE/Sydöstra"))
    rows = site.call("treating-clinic-1", "GET", "/api/journeys").json()["rows"]
    assert own.open.value == len([r for r in rows if r["status"] != "ended"])
    assert site.inside(site.tower.system.see(None, "university-hospital", "SE/Norra")).open == (
        Shown(0)
    )


def test_a_member_s_interfaces_are_its_own_journeys(site: Site) -> None:
    """What others did is in neither the counts nor the rates of the member's version."""
    nobody = site.inside(site.tower.system.see(None, "somebody-else"))
    assert nobody.interfaces == [] and nobody.ended == Shown(0)
    own = site.inside(site.tower.system.see(None, "university-hospital"))
    assert any(i.passed.value in (1, 2, 3, 4) for i in own.interfaces), "exact, not hidden"


def test_capacity_stands_beside_the_demand_for_it(site: Site) -> None:
    """By kind of resource: free as the calendars have it, booked and waiting as may be told."""
    site.tower.system.forget()
    seen = site.call(None, "GET", "/api/registry/system", params={"place": "SE/Sydöstra"}).json()
    needs = {n["kind"]: n for n in seen["capacity"]}
    free = site.inside(site.tower.bookings.calendars.free(datetime.now(UTC)))
    own = {one.kind: one for one in free["university-hospital"]}
    assert set(own) <= set(needs) and needs["bed"]["stated"] is None
    assert all(needs[kind]["free"] == one.slots for kind, one in own.items())
    demand = site.inside(site.tower.openings.demand("university-hospital"))
    for kind in own:
        booked = demand.booked.get(("university-hospital", kind), 0)
        assert needs[kind]["booked"]["value"] in (None, one(booked).value)
        if 0 < booked < 5:
            assert needs[kind]["booked"]["value"] is None
    exact = site.inside(site.tower.system.see(None, "university-hospital", "SE/Sydöstra"))
    told = {n.kind: n.booked.value for n in exact.capacity if n.booked is not None}
    assert sum(demand.booked.values()) > 0
    assert all(told[kind] == n for (_, kind), n in demand.booked.items())


def test_nobody_waits_for_a_count_that_somebody_else_is_making(site: Site) -> None:
    """While the view is counted anew the last one is read; afterwards the new one is."""
    view = site.tower.system
    first = site.inside(view.see())
    for key, (_, made) in list(view._kept.items()):
        view._kept[key] = (0.0, made)

    async def meanwhile() -> datetime:
        async with view._lock:
            return (await asyncio.wait_for(view.see(), 20)).at

    assert site.inside(meanwhile()) == first.at
    assert site.inside(view.see()).at > first.at
