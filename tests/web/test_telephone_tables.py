"""Tables that people act on can be read and used on a telephone without moving sideways."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from site_ import Site
from web_hands import sign_in

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", autouse=True)
def deviation(site: Site) -> None:
    """Let there be a deviation that everybody at the hospital reads of."""
    journey = site.order()
    raised = {"type": "RaiseDeviation", "code": "IDENTITY_MISMATCH", "about": "H01", "note": "seen"}
    answer = site.send("treating-clinic-1", journey, raised)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ["/account", "/training", "/deviations"])
def test_every_cell_lies_within_the_screen(site: Site, chromium: Browser, path: str) -> None:
    """Each row is told line by line, each value with its column's name before it."""
    size = {"width": 390, "height": 844}
    context = chromium.new_context(base_url=site.base, viewport=size)  # type: ignore[arg-type]
    page = context.new_page()
    sign_in(page, "ward-1")
    page.goto(path)
    cells = page.locator(".stacked td")
    expect(cells.first).to_be_visible()
    edges = cells.evaluate_all("cells => cells.map(c => c.getBoundingClientRect().right)")
    inner = cells.evaluate_all("cells => cells.map(c => c.scrollWidth - c.clientWidth)")
    assert max(edges) <= 390 and max(inner) <= 0
    named = "c => getComputedStyle(c, '::before').content"
    assert page.locator(".stacked td[data-label]").first.evaluate(named).endswith(': "')
    context.close()


def test_one_of_my_sessions_is_ended_on_a_telephone(site: Site, chromium: Browser) -> None:
    """Its button is seen without scrolling sideways, and works."""
    size = {"width": 390, "height": 844}
    other = chromium.new_context(base_url=site.base)
    sign_in(other.new_page(), "ward-2")
    context = chromium.new_context(base_url=site.base, viewport=size)  # type: ignore[arg-type]
    page = context.new_page()
    sign_in(page, "ward-2")
    page.goto("/account")
    button = page.locator(".stacked button").first
    box = button.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
    rows = page.locator(".stacked").first.locator("tbody tr")
    before = rows.count()
    button.click()
    expect(rows).to_have_count(before - 1)
    other.close()
    context.close()
