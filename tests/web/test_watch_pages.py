"""The pages of the watch as a person uses them: be told, work a deviation, ask peers."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from axe_ import violations
from site_ import Site
from stafett.journey.label import Labels
from stafett.protocol.model import text
from stafett.service import demo
from told_ import report
from web_walk import walk


def test_a_deviation_is_taken_assessed_decided_and_closed_on_its_page(
    site: Site,
    browser_of: Callable[..., Page],
    shoot: Callable[[Page, str], None],
) -> None:
    """From the badge to the closed case, each step by its one obvious form; then blind peers."""
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    journey = site.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
    site.inside(walk(site, journey, labels, ("H01", "accept")))
    page = browser_of("treating-clinic-1")
    page.goto("/alerts")
    name = report(site, journey, "TEMP_EXCURSION")
    row = page.locator("#alerts tbody tr", has_text=journey).first
    expect(row).to_be_visible()
    expect(page.locator("#badge")).to_have_text("1")
    row.get_by_role("button").click()
    expect(row).to_contain_text("silent until it is assessed as worse")
    shoot(page, "alerts")

    page.goto("/deviations")
    page.get_by_role("link", name="Temperature out of range").first.click()
    page.wait_for_url(f"**/deviations/{journey}/{name}")
    page.goto(f"/deviations/{journey}/{name}?language=sv")
    way = "den är inte bedömd enligt kriterierna; orsaken är inte angiven"
    expect(page.locator("main")).to_contain_text(f"Innan den kan avslutas: {way}")
    expect(page.locator("#s6 + p")).to_contain_text(way)
    page.goto(f"/deviations/{journey}/{name}?language=en")
    page.get_by_role("button", name="I take it").click()
    expect(page.locator("form[data-command=AcknowledgeDeviation]")).to_have_count(0)
    triage = page.locator("form[data-command=TriageDeviation]")
    triage.get_by_label("A limit of time or temperature").check()
    for what in ("identity", "custody", "product", "patient"):
        triage.locator(f"[name='impact.{what}']").select_option("none")
    expect(triage.locator(".weight")).to_have_text("major")
    triage.get_by_role("button").click()
    expect(page.locator(".tag.blue")).to_have_text("assessed")
    cause = page.locator("form[data-command=NameCause]")
    cause.locator("[name=cause]").select_option("equipment")
    cause.locator("[name=why]").fill("the logger was not started")
    cause.get_by_role("button").click()
    expect(page.get_by_text("the logger was not started")).to_be_visible()
    decision = page.locator("form[data-command=DecideDeviation]")
    decision.locator("[name=disposition]").select_option("no-effect")
    decision.locator("[name=reason]").fill("within its stability data")
    decision.locator("[name=password]").fill("not mine")
    decision.get_by_role("button").click()
    expect(decision.locator(".said")).to_contain_text("⚠")
    decision.locator("[name=password]").fill(demo.PASSWORD)
    decision.get_by_role("button").click()
    expect(page.locator(".tag.blue")).to_have_text("decided")
    closing = page.locator("form[data-command=CloseDeviation]")
    closing.locator("[name=conclusion]").fill("logger checked at release from now on")
    closing.locator("[name=password]").fill(demo.PASSWORD)
    closing.get_by_role("button").click()
    expect(page.locator(".note")).to_contain_text("logger checked at release")
    shoot(page, "deviation")

    page.locator("#ask [name=facts]").fill(f"journey {journey}: logger not started")
    page.locator("#ask button").click()
    expect(page.locator("#ask .said")).to_contain_text("says whose case it is")
    page.locator("#ask [name=facts]").fill("A logger was not started for two hours.")
    page.locator("#ask button").click()
    expect(page.locator("#ask")).to_have_count(0)
    judge = browser_of("peer-quality-1", width=320)
    judge.goto("/peers")
    case = judge.locator("form[data-case]")
    expect(case).to_be_visible()
    told = judge.content() + site.call("peer-quality-1", "GET", "/api/peers").text
    assert "A logger was not started for two hours." in told
    for blind in (journey, "university-hospital", "Norra universitetssjukhuset"):
        assert blind not in told.replace("southern-university-hospital", ""), blind
    case.get_by_label("minor").check()
    case.get_by_label("no effect").check()
    case.get_by_role("button").click()
    expect(judge.locator("form[data-case]")).to_have_count(0)
    assert judge.evaluate("document.documentElement.scrollWidth") <= 320
    csv = site.call("treating-clinic-1", "GET", "/api/peers/answers.csv").text
    assert "southern-university-hospital,judge-1,minor,no-effect" in csv
    for path in ("alert-load", "ownership", "deviations"):
        page.goto(f"/{path}")
        expect(page.locator("h1")).to_be_visible()
    page.goto("/ownership")
    row = page.get_by_role("row").filter(
        has=page.get_by_role("rowheader", name=re.compile("^H01 "))
    )
    expect(row).to_contain_text("Referring clinic → Treating clinic")


def test_what_is_out_of_specification_says_what_is_missing_until_it_may_be_supplied(
    site: Site,
    browser_of: Callable[..., Page],
    shoot: Callable[[Page, str], None],
) -> None:
    """The station and the deviation's page say what is lacking; each signature ticks one part."""
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    journey = site.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
    ending = {"TEST": "out_of_spec"}
    site.inside(walk(site, journey, labels, ("D_OOS", "step"), ending=ending))
    site.inside(site.tower.board.caught_up())
    lines = site.call("treating-clinic-1", "GET", "/api/deviations").json()
    mine = [one for one in lines if one["journey"] == journey and one["only_by_supply"]]
    assert mine
    assert mine[-1]["lacking"] == [
        "request", "risk-evaluation", "acceptance-physician", "acceptance-maker",
    ]  # fmt: skip
    name = mine[-1]["deviation"]
    desk = browser_of("qualified-person-1")
    desk.goto(f"/journeys/{journey}/D_OOS/step?about=TEST")
    expect(desk.get_by_role("link", name=f"decision on {name}")).to_be_visible()
    shoot(desk, "station-out-of-specification")
    maker = browser_of("qualified-person-1")
    maker.goto(f"/deviations/{journey}/{name}")
    expect(maker.locator("#supply")).to_contain_text("The physician's request: not recorded yet")
    triage = maker.locator("form[data-command=TriageDeviation]")
    triage.get_by_label("specification").check()
    for what in ("identity", "custody", "patient"):
        triage.locator(f"[name='impact.{what}']").select_option("none")
    triage.locator("[name='impact.product']").select_option("confirmed")
    triage.get_by_role("button").click()
    choices = maker.locator("form[data-command=DecideDeviation] [name=disposition] option")
    expect(choices.filter(has_text="use as it is")).to_have_count(0)
    physician = browser_of("treating-clinic-1")
    for page, part in (
        (physician, "request"),
        (maker, "risk-evaluation"),
        (physician, "acceptance"),
        (maker, "acceptance"),
    ):
        page.goto(f"/deviations/{journey}/{name}")
        form = page.locator("form[data-command=StateOutOfSpecification]")
        form.locator("[name=part]").select_option(part)
        form.locator("[name=statement]").fill("no other treatment in time")
        form.locator("[name=password]").fill(demo.PASSWORD)
        if part == "acceptance" and page is maker:
            shoot(page, "deviation-out-of-specification")
        before = page.locator("#supply li", has_text="✓").count()
        form.get_by_role("button").click()
        expect(page.locator("#supply li", has_text="✓")).to_have_count(before + 1)
    decision = maker.locator("form[data-command=DecideDeviation]")
    decision.locator("[name=disposition]").select_option("supply-out-of-specification")
    decision.locator("[name=reason]").fill("requested and accepted for this patient")
    decision.locator("[name=password]").fill(demo.PASSWORD)
    decision.get_by_role("button").click()
    expect(maker.locator(".tag.blue")).to_have_text("decided")
    desk.reload()
    expect(desk.get_by_role("link", name=f"decision on {name}")).to_have_count(0)


def test_accountability_is_offered_on_one_page_and_taken_on_another(
    site: Site,
    browser_of: Callable[..., Page],
    shoot: Callable[[Page, str], None],
) -> None:
    """The clinic asks the manufacturer; until that is signed over there, the clinic has it."""
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    journey = site.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
    address = f"/journeys/{journey}/accountability"
    clinic = browser_of("treating-clinic-1")
    clinic.goto(f"/journeys/{journey}")
    clinic.get_by_role("link", name="Accountability").click()
    clinic.wait_for_url(f"**{address}")
    form = clinic.locator("form[data-command=OfferAccountability]")
    form.locator("[name=to]").select_option("case_management")
    form.locator("[name=reason]").fill("the clinic closes for the summer")
    form.locator("[name=password]").fill(demo.PASSWORD)
    form.get_by_role("button").click()
    expect(clinic.locator("#offer")).to_contain_text("the clinic closes for the summer")
    told = site.call("treating-clinic-1", "GET", f"/api{address}").json()
    assert (told["offer"]["to"], len(told["spells"])) == ("case_management", 1)
    bystander = browser_of("apheresis-unit-1", width=320)
    bystander.goto(address)
    expect(bystander.locator("form[data-command]")).to_have_count(0)
    shoot(bystander, "accountability-320")
    maker = browser_of("case-management-1")
    maker.goto("/alerts")
    maker.get_by_role("link", name="You are asked to answer for the journey").first.click()
    maker.wait_for_url(f"**{address}")
    shoot(maker, "accountability")
    taking = maker.locator("form[data-accept=true]")
    taking.locator("[name=password]").fill(demo.PASSWORD)
    taking.get_by_role("button").click()
    expect(maker.locator("tbody tr")).to_have_count(2)
    spells = site.call("case-management-1", "GET", f"/api{address}").json()["spells"]
    assert [s["role"] for s in spells] == ["treating_clinic", "case_management"]
    assert spells[0]["until"] == spells[1]["since"]
    signed = site.inside(site.tower.record.signatures(journey, "university-hospital"))
    mine = [one for one in signed if one.kind.startswith("Accountability")]
    assert [(one.about, one.holds) for one in mine] == [("case_management", True)] * 2


def test_what_is_about_to_be_late_stands_among_the_deviations(
    site: Site,
    browser_of: Callable[..., Page],
    shoot: Callable[[Page, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eleven days into a referral of fourteen, the list says whose act can still prevent it."""
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    journey = site.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
    site.inside(walk(site, journey, labels, ("H01", "accept")))
    site.inside(site.tower.board.caught_up())

    class Ahead(datetime):
        """A wall clock of the page that is eleven days ahead."""

        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            """Return that time."""
            return datetime.now(tz) + timedelta(days=11)

    monkeypatch.setattr("stafett.web.casework.datetime", Ahead)
    page = browser_of("treating-clinic-1")
    page.goto("/deviations?stage=coming")
    row = page.locator("tr[data-coming]", has=page.locator(f"a[href='/journeys/{journey}']")).first
    expect(row).to_contain_text("about to be late")
    expect(row.locator("td").nth(4)).to_have_text("H01 Referral")
    swedish = browser_of("treating-clinic-1", language="sv")
    swedish.goto("/deviations?stage=coming")
    again = swedish.locator(
        "tr[data-coming]", has=swedish.locator(f"a[href='/journeys/{journey}']")
    )
    expect(again.first.locator("td").nth(4)).to_have_text("H01 Remiss")
    expect(page.locator("table.board tbody tr:not([data-coming])")).to_have_count(0)
    shoot(page, "deviations-coming")
    found = violations(page)
    assert [one["id"] for one in found] == []
    page.goto("/deviations?stage=closed")
    expect(page.locator("tr[data-coming]")).to_have_count(0)


def test_handoffs_of_two_protocols_are_told_apart_by_their_chains(
    site: Site, browser_of: Callable[..., Page]
) -> None:
    """Between hands names the protocol where there are several, each with its own roles."""
    for protocol, product in (("autologous-car-t", "kymriah"), ("in-vivo-aav", None)):
        labels = Labels(random.SystemRandom().randrange(1, 400_000))
        if product is None:
            product = next(iter(site.tower.library.current()[protocol].document.bind().products))
        journey = site.order(
            labels.patient, coi=labels.coi, protocol=protocol, product=product, key=uuid.uuid4().hex
        )
        first = next(iter(site.tower.library.current()[protocol].document.bind().handoffs))
        site.inside(walk(site, journey, labels, (first, "accept")))
    page = browser_of("treating-clinic-1")
    page.goto("/ownership")
    for protocol in ("autologous-car-t", "in-vivo-aav"):
        title = text(site.tower.library.current()[protocol].document.bind().title, "en")
        expect(page.get_by_role("rowheader").filter(has_text=title).first).to_be_visible()
