"""Queues: one surface for a hospital, whatever the product and whosever the protocol."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from site_ import Site
from web_hands import Under

pytestmark = pytest.mark.browser
OTHER = "in-vivo-aav"


@pytest.fixture(scope="module")
def two(site: Site) -> tuple[str, str]:
    """Open a journey under each of two manufacturers' protocols at the same hospital."""
    pinned = site.tower.library.current()[OTHER]
    product = next(iter(pinned.document.products))
    roles = site.tower.library.net(pinned.sha256, product).protocol.roles
    site.inside(site.tower.networks.put("aav", dict.fromkeys(roles, "university-hospital")))
    other = site.order(wristband="19600101-0002", protocol=OTHER, network="aav", product=product,
                       key=uuid.uuid4().hex)  # fmt: skip
    return site.order(wristband="19600101-0001"), other


def test_what_waits_is_one_list_across_protocols(
    two: tuple[str, str], browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Both products stand in the same list and on the same board, each with the same next act."""
    page = browser_of("treating-clinic-1")
    page.goto("/tasks?queue=ours")
    lines = page.locator("#tasks tr")
    for journey in two:
        expect(lines.filter(has_text=journey).first).to_be_visible()
    page.goto("/board?show=mine")
    for journey in two:
        row = page.locator(f'tr[data-journey="{journey}"]')
        expect(row.locator("td.next")).not_to_be_empty()
    products = page.locator("#product option").all_inner_texts()
    assert len(products) >= 3  # any, and the two
    shoot(page, "board-two-protocols")


def test_what_is_about_to_be_late_is_the_organisations_list(
    browser_of: Callable[..., Page], brought_to: Callable[[str, str], Under]
) -> None:
    """Empty while there is time; a quarter of the window before the limit it comes, then red."""
    under = brought_to("H08", "accept")  # within an hour
    page = browser_of("courier-1")
    page.goto("/tasks?queue=late")
    expect(page.locator("#none")).to_be_visible()
    # The clock of this browser goes ahead: the limits do not.
    for ahead, act, word in ((50, "amber", "soon"), (70, "red", "late")):
        page.clock.set_fixed_time(datetime.now(UTC) + timedelta(minutes=ahead))
        page.goto("/tasks?queue=late")
        line = page.locator("#tasks tr").filter(has_text=under.journey)
        expect(line).to_have_attribute("data-act", act)
        expect(line).to_contain_text(word)
