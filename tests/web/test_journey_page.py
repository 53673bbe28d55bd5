"""The page of a journey: what it shows, what is corrected there, and how it prints."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from site_ import Site
from web_hands import Under

Bring = Callable[[str, str], Under]
Open = Callable[..., Page]
# A moment as a page writes it: day, time of day, and the zone that it is in.
MOMENT = re.compile(r"\d{1,2} \w{3,4} \d{4},? \d\d:\d\d:\d\d\s(?:[A-Z]{2,5}|[+-]\d\d|GMT[+-]\d)")
MOST_SHEETS = 12  # of a journey in its middle: more, and the print style has come apart
SECTIONS = ("next", "relay", "chain", "docs", "signed", "answers", "story")


def test_an_answer_is_corrected_with_a_reason_and_never_taken_back(
    site: Site, browser_of: Open, brought_to: Bring, shoot: Callable[[Page, str], None]
) -> None:
    """The old value stays in the record, the new one counts; there is no way to undo."""
    under = brought_to("H06", "step")
    page = browser_of("treating-clinic-1")
    page.goto(f"/journeys/{under.journey}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    page.locator("[aria-labelledby=answers-h] summary").click()
    button = page.locator("button[data-correct][data-kind=quantity]").first
    position, unit = (
        int(button.get_attribute("data-correct") or 0),
        button.get_attribute("data-unit"),
    )
    before = float(button.get_attribute("data-value") or 0)
    button.click()
    box = page.get_by_role("dialog")
    box.locator("#ask-value").fill(str(before + 1))
    box.locator("button.main").click()
    expect(box).to_be_visible()  # no reason, no correction
    box.locator("#ask-reason").fill("read from the wrong line")
    shoot(page, "journey-correction")
    box.locator("button.main").click()
    expect(box).to_have_count(0)
    expect(page.locator("[aria-labelledby=answers-h] tbody")).to_contain_text(
        f"{before + 1:g} {unit}", use_inner_text=False
    )
    page.goto(f"/journeys/{under.journey}?language=sv")
    expect(page.locator("[aria-labelledby=answers-h] tbody")).to_contain_text(
        f"{before + 1:g} {unit}".replace(".", ","), use_inner_text=False
    )
    path = f"/api/journeys/{under.journey}/events"
    events = site.call("treating-clinic-1", "GET", path).json()
    corrected = events[-1]["event"]
    assert corrected["type"] == "Corrected" and corrected["reason"] == "read from the wrong line"
    assert events[position - 1]["event"]["value"] == before
    assert page.get_by_role("button", name="Undo").count() == 0


def test_the_page_prints_whole_and_without_its_controls(
    browser_of: Open, brought_to: Bring
) -> None:
    """Every section is on paper, what is folded too; menus and buttons are not; who printed."""
    under = brought_to("H08", "accept")
    page = browser_of("courier-1")
    page.goto(f"/journeys/{under.journey}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    page.emulate_media(media="print")
    for name in SECTIONS:
        expect(page.locator(f"[aria-labelledby={name}-h]")).to_be_visible()
    folded = page.locator("[aria-labelledby=answers-h] tbody tr").first
    assert folded.evaluate("(e) => e.checkVisibility({ contentVisibilityAuto: true })")
    assert folded.evaluate("(e) => e.getBoundingClientRect().height > 0")
    for control in ("header.top", "button", "footer", ".no-print"):
        assert all(not e.is_visible() for e in page.locator(control).all()), control
    expect(page.locator(".print-only")).to_contain_text("Wilma Nyström")
    paper = page.pdf(prefer_css_page_size=True)
    assert paper.startswith(b"%PDF")
    sheets = len(re.findall(rb"/Type\s*/Page\b", paper))
    assert 2 <= sheets <= MOST_SHEETS, sheets


def test_each_signature_shows_its_moment_with_zone_on_screen_and_on_paper(
    site: Site, browser_of: Open, brought_to: Bring
) -> None:
    """Beside every signed meaning stand the printed name and the time, whose zone is named."""
    under = brought_to("H08", "accept")
    page = browser_of("courier-1")
    page.goto(f"/journeys/{under.journey}?language=en")
    folded = page.locator("[aria-labelledby=signed-h] details")
    rows = page.locator("[aria-labelledby=signed-h] tbody tr")
    assert rows.count() > 0
    page.emulate_media(media="print")
    for row in rows.all():
        assert row.evaluate("(e) => e.getBoundingClientRect().height > 0")
        assert MOMENT.search(row.text_content() or ""), row.text_content()
    page.emulate_media(media="screen")
    if folded.get_attribute("open") is None:
        folded.locator("summary").click()
    for row in rows.all():
        assert row.is_visible() and MOMENT.search(row.inner_text()), row.inner_text()


def test_the_page_says_whose_turn_it_is(browser_of: Open, brought_to: Bring) -> None:
    """What is next, by whom and by when; a way to it only for who does it."""
    under = brought_to("H08", "accept")
    for login, theirs in (("courier-1", True), ("treating-clinic-1", False)):
        page = browser_of(login)
        page.goto(f"/journeys/{under.journey}")
        line = page.locator("[aria-labelledby=next-h] li").filter(has_text="H08")
        expect(line).to_contain_text("Nordic Cryo Courier")
        expect(line).to_contain_text("due")
        expect(line.locator("a")).to_have_count(1 if theirs else 0)


def test_the_outlook_stays_when_the_journey_moves(site: Site, browser_of: Open) -> None:
    """The page is made anew at each event; what is expected of the journey is filled in again."""
    journey = site.order()
    page = browser_of("treating-clinic-1")
    page.goto(f"/journeys/{journey}")
    outlook = page.locator("#outlook")
    expect(outlook).to_contain_text("is expected in")
    page.locator("#outlook").evaluate("(it) => { it.dataset.old = 'yes'; }")
    command = {"type": "RaiseDeviation", "code": "LATE_DELIVERY", "about": "H01", "note": "seen"}
    assert site.send("treating-clinic-1", journey, command).status_code == 200
    expect(page.locator("#outlook[data-old]")).to_have_count(0)
    expect(outlook).to_contain_text("is expected in")


def test_the_entries_come_when_they_are_unfolded_and_stay_when_the_journey_moves(
    site: Site, browser_of: Open
) -> None:
    """Few look at them: they are not in the page, and have one of their own."""
    journey = site.order()
    page = browser_of("treating-clinic-1")
    page.goto(f"/journeys/{journey}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    folded = page.locator("details[data-page]")
    expect(folded.locator("table")).to_have_count(0)
    folded.locator("summary").click()
    expect(folded.locator("tbody tr")).to_have_count(1)
    expect(folded.locator("tbody")).to_contain_text("JourneyOpened")
    command = {"type": "RaiseDeviation", "code": "LATE_DELIVERY", "about": "H01", "note": "seen"}
    assert site.send("treating-clinic-1", journey, command).status_code == 200
    expect(folded.locator("tbody")).to_contain_text("DeviationRaised")
    page.goto(f"/journeys/{journey}/events")
    expect(page.locator("#events tbody")).to_contain_text("DeviationRaised")
