"""A journey of each built-in protocol by hand, in real browsers, from order to its end."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from site_ import Site
from stafett.journey.label import Labels
from stafett.protocol.builtin import names
from web_hands import Under, do_side, net_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]


PROTOCOLS = (
    "autologous-car-t", "point-of-care-car-t", "allogeneic", "in-vivo-aav", "tissue-engineered",
)  # fmt: skip


def test_no_built_in_protocol_is_left_out() -> None:
    """What is carried by hand below is the whole catalogue."""
    assert sorted(PROTOCOLS) == sorted(names())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_people_carry_a_whole_journey_by_hand(
    site: Site, page_of: Callable[[str], Page], shoot: Any, protocol: str
) -> None:
    """Every check scanned or pressed, every document attached, every signature given on a page.

    Every step and both sides of every handoff that the protocol has for a journey without mishaps
    is done by a person of its role, and the patient is treated.
    """
    labels = Labels(int(uuid.uuid4().hex[:5], 16) % 400_000 + 1)
    document = site.tower.library.current()[protocol].document
    product = next(iter(document.products), None)
    orders = document.bind(product).outcomes["treated"].owner  # the clinic that answers for it
    journey = site.order(
        labels.patient, coi=labels.coi, protocol=protocol, product=product, role=orders
    )
    clinic = f"{orders.replace('_', '-')}-1"
    under = Under(journey, labels)
    done: list[str] = []
    at = ""
    while True:
        row = site.call(clinic, "GET", f"/api/journeys/{journey}").json()
        if row["status"] == "ended":
            break
        task = row["tasks"][0]
        login = task["role"].replace("_", "-") + "-1"
        if at and at != login:  # who is done leaves: an open station follows along
            page_of(at).goto("/static/stafett.svg")  # not a blank page: that is another process
        at = login
        do_side(site, page_of(login), under, task["activity"], task["side"], task["about"])
        done.append(f"{task['activity']} {task['side']}")
        assert len(done) < 200, done[-10:]
    whole = net_of(site, journey).protocol
    both = ("release", "accept")
    sides = {f"{n} {s}" for n, h in whole.handoffs.items() if not h.on_demand for s in both}
    # Decisions and notifications are on demand; nothing went wrong here.
    assert sides <= set(done), sides - set(done)
    steps = {n for n, step in whole.steps.items() if not step.on_demand}
    assert steps <= {name.split()[0] for name in done}
    assert row["outcome"] == "treated"
    page = page_of(clinic)
    page.goto(f"/journeys/{journey}")
    shoot(page, f"journey-ended-{protocol}")
