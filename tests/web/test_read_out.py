"""What a screen reader says by itself at a station and on the board: each thing once, no more.

A recorder in the page stands for the screen reader: it hears what is written into a region that is
read out, and every alert or dialog that appears.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from site_ import Site
from stafett.journey.label import make
from web_hands import do_side, scan

pytestmark = [pytest.mark.browser]
Open = Callable[..., Page]
Bring = Callable[[str, str], Any]

RECORDER = """() => {
  window.heard = [];
  const READ = "[role=status], [role=alert], [aria-live=polite], [aria-live=assertive]";
  const hear = (e) => {
    const text = (e.getAttribute("role") === "alertdialog" ? e.querySelector("h1") : e).textContent;
    if (text.trim() && e.checkVisibility()) window.heard.push(text.trim().replace(/\\s+/g, " "));
  };
  new MutationObserver((changes) => {
    const regions = new Set();
    for (const { target, addedNodes } of changes) {
      const region = (target.nodeType === 1 ? target : target.parentElement)?.closest(READ);
      if (region?.isConnected) regions.add(region);
      for (const node of addedNodes) if (node.nodeType === 1 && node.isConnected)
        for (const e of [node, ...node.querySelectorAll("[role=alert], [role=alertdialog]")])
          if (e.matches("[role=alert], [role=alertdialog]")) regions.add(e);
    }
    regions.forEach(hear);
  }).observe(document.body, { childList: true, characterData: true, subtree: true });
}"""


def heard(page: Page, word: str) -> list[str]:
    """Return what was read out that holds `word`."""
    return [text for text in page.evaluate("window.heard") if word in text]


def test_a_red_stop_is_said_once_and_then_who_knows_of_it(
    site: Site, browser_of: Open, brought_to: Bring
) -> None:
    """The dialog has its name and has the keyboard; that others know is said when they do."""
    under = brought_to("H08", "accept")
    courier = browser_of("courier-1")
    courier.goto(f"/journeys/{under.journey}/H08/accept")
    expect(courier.locator(".ask")).to_be_visible()
    courier.evaluate(RECORDER)
    scan(courier, make("gs1-sscc", 999_999, 1))
    stop = courier.get_by_role("alertdialog", name="STOP")
    expect(stop.locator(".told")).to_contain_text("accountable")
    expect(stop.locator("h1")).to_be_focused()
    courier.wait_for_timeout(1500)
    assert len(heard(courier, "STOP")) == 1, courier.evaluate("window.heard")
    assert len(heard(courier, "accountable")) == 1, courier.evaluate("window.heard")
    assert stop.aria_snapshot().startswith('- alertdialog "✖ STOP')


def test_that_the_line_is_gone_is_said_once(
    site: Site, browser_of: Open, brought_to: Bring
) -> None:
    """And not again, however often the station is drawn meanwhile."""
    under = brought_to("H08", "accept")
    courier = browser_of("courier-1")
    courier.goto(f"/journeys/{under.journey}/H08/accept")
    expect(courier.locator(".ask")).to_be_visible()
    courier.context.set_offline(True)
    expect(courier.locator("#line")).to_contain_text("⚠")
    courier.wait_for_timeout(1000)  # the stream has noticed it too
    expect(courier.locator("#line")).to_contain_text("⚠")
    courier.evaluate(RECORDER)
    for _ in range(3):
        courier.evaluate("dispatchEvent(new Event('offline'))")
        courier.wait_for_timeout(300)
    said = courier.locator("#line").text_content() or ""
    assert said.startswith("⚠")
    assert heard(courier, said[2:20]) == [], courier.evaluate("window.heard")
    courier.context.set_offline(False)


def test_a_baton_that_came_over_is_said_once_and_not_the_whole_station(
    site: Site, browser_of: Open, brought_to: Bring
) -> None:
    """To who stands at the same station, and to who waits: there the question has the keyboard."""
    under = brought_to("H08", "release")
    beside = browser_of("cell-laboratory-1")
    beside.goto(f"/journeys/{under.journey}/H08/release")
    expect(beside.locator(".ask").first).to_be_visible()
    courier = browser_of("courier-1")
    courier.goto(f"/journeys/{under.journey}/H08/accept")
    expect(courier.locator("#station .note").first).to_be_visible()
    for page in (beside, courier):
        page.evaluate(RECORDER)
    do_side(site, browser_of("cell-laboratory-1"), under, "H08", "release")
    expect(beside.locator("#station")).to_contain_text("yours until they accept")
    expect(courier.locator("#station [data-first]")).to_be_focused()
    courier.wait_for_timeout(1000)
    said = beside.evaluate("window.heard") + courier.evaluate("window.heard")
    assert len([text for text in said if "yours until they accept" in text]) == 1, said
    assert max(map(len, said)) < 300, said  # not the whole station


def test_the_board_is_silent_while_nothing_changes(site: Site, browser_of: Open) -> None:
    """Beats of the stream and the age of the last signature are seen, and not read out."""
    board = browser_of("cell-laboratory-1")
    board.goto("/board")
    expect(board.locator("#live")).to_have_attribute("data-state", "live")
    expect(board.locator("#witnessed")).not_to_be_empty()
    board.wait_for_timeout(6000)
    board.evaluate(RECORDER)
    board.wait_for_timeout(12_000)
    assert heard(board, "live") == []
