"""One journey by hand, in real browsers, from order to the traceability record."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from site_ import Site
from stafett.journey.label import Labels
from web_hands import Under, do_side

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.timeout(600)
def test_people_carry_a_whole_journey_by_hand(
    site: Site, browser_of: Callable[..., Page], shoot: Any
) -> None:
    """Every check scanned or pressed, every document attached, every signature given on a page."""
    labels = Labels(int(uuid.uuid4().hex[:5], 16) % 400_000 + 1)
    journey = site.order(labels.patient, coi=labels.coi, product="kymriah")
    under = Under(journey, labels)
    pages: dict[str, Page] = {}
    done: list[str] = []
    while True:
        row = site.call("treating-clinic-1", "GET", f"/api/journeys/{journey}").json()
        if row["status"] == "ended":
            break
        task = row["tasks"][0]
        login = task["role"].replace("_", "-") + "-1"
        if login not in pages:
            pages[login] = browser_of(login)
        do_side(site, pages[login], under, task["activity"], task["side"], task["about"])
        pages[login].goto("about:blank")  # who is done leaves: an open station follows along
        done.append(f"{task['activity']} {task['side']}")
        assert len(done) < 200, done[-10:]
    handoffs = {re.match(r"H\d+", name)[0] for name in done if re.match(r"H\d+", name)}  # type: ignore[index]
    # H24 is the notification that any role may send; nothing went wrong here.
    assert handoffs == {f"H{number:02d}" for number in range(1, 24)}
    assert row["outcome_title"]["en"] == "Treated"
    page = pages["treating-clinic-1"]
    page.goto(f"/journeys/{journey}")
    shoot(page, "journey-ended")
