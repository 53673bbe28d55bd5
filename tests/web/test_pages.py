"""The pages in a real browser: two people, two browsers, one handoff."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from site_ import Site
from stafett.journey.label import make
from told_ import wait_for
from web_hands import do_side, scan, view_of

pytestmark = [pytest.mark.browser]
Open = Callable[..., Page]
Bring = Callable[[str, str], Any]


def test_giver_and_receiver_carry_a_handoff_in_two_browsers(
    site: Site, browser_of: Open, brought_to: Bring, shoot: Any
) -> None:
    """The giver releases; the receiver's browser shows it by itself, and the receiver accepts."""
    under = brought_to("H08", "release")
    courier = browser_of("courier-1")
    courier.goto(f"/journeys/{under.journey}/H08/accept")
    expect(courier.locator("#station")).to_contain_text("not its turn yet")
    laboratory = browser_of("cell-laboratory-1")
    do_side(site, laboratory, under, "H08", "release")
    expect(laboratory.locator("#station")).to_contain_text("yours until they accept")
    expect(courier.locator(".ask")).to_be_visible()
    shoot(courier, "station-receive")
    do_side(site, courier, under, "H08", "accept")
    row = site.call("courier-1", "GET", f"/api/journeys/{under.journey}").json()
    assert row["baton"] == "nordic-cryo-courier"
    courier.goto(f"/journeys/{under.journey}")
    expect(courier.locator(".relay")).to_be_visible()
    shoot(courier, "journey")


def test_a_wrong_bag_stops_the_journey_in_both_browsers(
    site: Site, browser_of: Open, brought_to: Bring, shoot: Any
) -> None:
    """A scan that does not fit is a full red stop here, and the other side sees it unasked."""
    under = brought_to("H08", "accept")
    laboratory = browser_of("cell-laboratory-1")
    laboratory.goto("/board")
    line = laboratory.locator(f'tr[data-journey="{under.journey}"]')
    expect(line).to_be_visible()
    courier = browser_of("courier-1")
    courier.goto(f"/journeys/{under.journey}/H08/accept")
    scan(courier, make("gs1-sscc", 999_999, 1))
    stop = courier.get_by_role("alertdialog")
    expect(stop).to_be_visible()
    expect(stop).to_contain_text("STOP")
    expect(stop.locator("mark").first).to_be_visible()
    shoot(courier, "stop")
    expect(line).to_have_attribute("data-act", "red")
    expect(line).to_contain_text("stopped")
    shoot(laboratory, "board-stopped")
    view = view_of(site, "courier-1", under.journey, "H08", "accept")
    assert view.status == "stopped"


def test_what_is_done_about_a_stop_is_written_down_and_lifts_nothing(
    site: Site, browser_of: Open, brought_to: Bring, shoot: Any
) -> None:
    """Set aside, called, scanned again: each is in the record, and the journey stays stopped."""
    under = brought_to("H08", "accept")
    courier = browser_of("courier-1")
    courier.goto(f"/journeys/{under.journey}/H08/accept")
    scan(courier, make("gs1-sscc", 999_999, 1))
    stop = courier.get_by_role("alertdialog")
    expect(stop.locator(".told")).to_contain_text(
        "Norra universitetssjukhuset (the other side, accountable)"
    )
    expect(stop.locator("a[href='tel:+46846500401']")).to_contain_text("+46 8 465 004 01")
    stop.locator("[data-stop=aside]").click()
    expect(stop.locator(".done-so-far")).to_contain_text("Set aside, marked as quarantined")
    stop.locator("[data-stop=again]").click()
    expect(stop.locator("[data-scan]")).to_be_focused()
    known = view_of(site, "courier-1", under.journey, "H08", "accept").stop
    assert known is not None
    courier.keyboard.type(str(known.expected))
    courier.keyboard.press("Enter")
    expect(stop.locator(".done-so-far")).to_contain_text("this is the expected one")
    shoot(courier, "stop-done")
    shown = view_of(site, "cell-laboratory-1", under.journey, "H08", "release")
    assert shown.status == "stopped" and shown.stop is not None
    assert [what.split(":")[0] for what in shown.stop.done] == [
        "Set aside, marked as quarantined",
        "Scanned again",
    ]
    laboratory = browser_of("cell-laboratory-1")
    laboratory.goto(f"/journeys/{under.journey}/H08/release")
    expect(laboratory.get_by_role("alertdialog")).to_contain_text("Nordic Cryo Courier")


def test_the_receiver_never_sees_what_the_giver_scanned(
    site: Site, browser_of: Open, brought_to: Bring
) -> None:
    """Blind double check: no identifier of the material is on the receiver's page or data."""
    under = brought_to("H08", "accept")
    courier = browser_of("courier-1")
    courier.goto(f"/journeys/{under.journey}/H08/accept")
    expect(courier.locator(".ask")).to_be_visible()
    content = courier.content()
    answer = site.call("courier-1", "GET", f"/api/journeys/{under.journey}/stations/H08/accept")
    for (material, _), value in under.labels.stuck.items():
        if material.startswith(("shipper", "starting")):
            assert value not in content and value not in answer.text


def test_a_second_person_cannot_be_the_giver(
    site: Site, browser_of: Open, brought_to: Bring
) -> None:
    """Whoever released may not receive: their station says so and offers nothing."""
    under = brought_to("H08", "accept")
    refused = site.send(
        "cell-laboratory-1",
        under.journey,
        {"type": "Answer", "activity": "H08", "side": "accept", "check": "shipper", "value": "x"},
        role="courier",
    )
    assert refused.status_code == 403
    page = browser_of("cell-laboratory-1")
    page.goto(f"/journeys/{under.journey}/H08/accept")
    expect(page.locator("#station")).to_contain_text("You can look at it, but not do it")
    assert page.locator("[data-scan]").count() == 0


def test_an_order_is_placed_by_hand(site: Site, browser_of: Open, shoot: Any) -> None:
    """The ordering clinic opens a journey on the page and lands on it."""
    page = browser_of("treating-clinic-1")
    page.goto("/order")
    page.get_by_label("Protocol").select_option("autologous-car-t")
    page.get_by_label("Product").select_option("kymriah")
    page.get_by_label(re.compile("wristband")).fill("19440404-4444")
    page.locator("#order button").click()
    page.wait_for_url(re.compile("/journeys/CH"))
    expect(page.locator(".identity")).to_contain_text("CHA9999")
    shoot(page, "order-placed")


@pytest.mark.parametrize("chosen", [None, "autologous-car-t"])
def test_nothing_is_ordered_that_nobody_chose(browser_of: Open, chosen: str | None) -> None:
    """Neither protocol nor product is chosen beforehand; sent without one, the page asks for it."""
    page = browser_of("treating-clinic-1")
    page.goto("/order")
    if chosen:
        page.get_by_label("Protocol").select_option(chosen)
    page.get_by_label(re.compile("wristband")).fill("19440404-4444")
    page.locator("#order button").click()
    missing = page.locator("#product" if chosen else "#protocol")
    expect(missing).to_be_focused()
    assert missing.evaluate("box => box.validity.valueMissing")
    assert page.url.endswith("/order")


def test_what_others_do_takes_the_keyboard_from_nothing(
    site: Site, browser_of: Open, brought_to: Bring
) -> None:
    """The station is drawn anew when the journey moves: focus, open parts and words stay."""
    under = brought_to("H08", "release")
    page = browser_of("cell-laboratory-1")
    ready = "all is answered, and what it asks for is attached"
    do_side(site, page, under, "H08", "release",
            until=lambda view: view.kind == "release" and view.next is None
            and all(d.attached for d in view.documents if d.required))  # fmt: skip
    page.reload()
    button = page.locator("[data-option=release]")
    trouble = page.locator("#station details", has=page.locator("#note"))
    trouble.locator("summary").click()
    page.locator("#note").fill(ready)
    button.focus()
    page.evaluate("window.before = document.querySelector('[data-option=release]')")
    raised = {"type": "RaiseDeviation", "code": "LATE_DELIVERY", "about": "H08", "note": "late",
              "detected": "H08"}  # fmt: skip
    done = site.send("cell-laboratory-2", under.journey, raised, role="cell_laboratory")
    assert done.status_code == 200, done.text
    wait_for(lambda: page.evaluate("window.before.isConnected === false"))
    expect(button).to_be_focused()
    expect(trouble).to_have_attribute("open", "")
    expect(page.locator("#note")).to_have_value(ready)


def test_tasks_show_what_waits_for_this_person(
    site: Site, browser_of: Open, brought_to: Bring, shoot: Any
) -> None:
    """The courier's list names the handoff that waits, and leads to its station."""
    under = brought_to("H08", "accept")
    page = browser_of("courier-2")
    page.goto("/tasks")
    line = page.get_by_role("row").filter(has_text=under.journey)
    expect(line).to_be_visible()
    shoot(page, "tasks")
    line.get_by_role("link").click()
    expect(page.locator(".ask")).to_be_visible()


@pytest.mark.parametrize("language", ["en", "sv", "es"])
def test_each_language_is_spoken(browser_of: Open, language: str, shoot: Any) -> None:
    """The board speaks the chosen language, and says which one it is."""
    page = browser_of("treating-clinic-2")
    page.goto(f"/board?language={language}")
    assert page.locator("html").get_attribute("lang") == language
    expect(page.locator("h1")).to_have_text(
        {"en": "Board", "sv": "Tavla", "es": "Tablero"}[language]
    )
    shoot(page, f"board-{language}")


def test_a_small_station_shows_whose_bag_and_what_to_scan_at_once(
    browser_of: Open, brought_to: Bring, shoot: Any
) -> None:
    """On 320 x 640, in each language: identity, question and scan field with no scrolling."""
    under = brought_to("H08", "accept")
    page = browser_of("courier-1", width=320)
    page.set_viewport_size({"width": 320, "height": 640})
    for language in ("en", "sv", "es"):
        page.goto(f"/journeys/{under.journey}/H08/accept?language={language}")
        expect(page.locator("[data-scan]")).to_be_focused()
        assert page.evaluate("scrollY") == 0, language
        for seen in (".identity", ".ask", "[data-scan]"):
            box = page.locator(seen).first.bounding_box()
            assert box and box["y"] >= 0 and box["y"] + box["height"] <= 640, (language, seen, box)
        expect(page.locator(".identity")).to_contain_text(under.journey)
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        assert page.evaluate("scrollY") > 0, language
        box = page.locator(".identity").bounding_box()
        assert box and box["y"] >= 0, language  # it stays while the rest moves
        shoot(page, f"station-small-{language}")
