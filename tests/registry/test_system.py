"""The whole chain on one page: counts that may be published, exact ones for one's own."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter

from site_ import Site
from stafett.client import Client
from stafett.journey.label import Labels
from told_ import report
from web_walk import walk


def test_the_view_counts_what_the_record_says(site: Site) -> None:
    """A played journey: its handoffs, its outcome; open journeys where the board has them."""
    day = site.day(fault_share=0.0, at_once=1)

    async def play() -> None:
        async with Client(site.base) as client:
            await day.journey(client, 8123)

    asyncio.run(play())
    orders = [site.order() for _ in range(7)]
    site.inside(site.tower.board.caught_up())
    site.tower.system._kept.clear()
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
    found = site.inside(site.tower.system.of_site("malaren-cell-works"))
    entries = site.call("treating-clinic-1", "GET", "/api/journeys").json()["rows"]
    accepted: Counter[str] = Counter()
    for row in entries:
        path = f"/api/journeys/{row['journey']}/events"
        for entry in site.call("treating-clinic-1", "GET", path).json():
            if entry["kind"] == "Accepted" and entry["organisation"] == "malaren-cell-works":
                accepted[entry["event"]["handoff"]] += 1
    assert {i.handoff for i in found} == set(accepted) != set()
    assert all(i.received.why == "<5" and i.right_first_time is None for i in found)
    assert all(i.median_h is None for i in found)
    page = site.call(None, "GET", "/registry/sites/university-hospital")
    assert page.status_code == 200 and "What it received" in page.text


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
    site.tower.system._kept.clear()
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
