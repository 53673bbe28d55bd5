"""A journey of each built-in protocol, its pages by hand in real browsers, order to end.

A station's page is drawn from its view and knows no protocol. So the first journey is carried on
its pages alone, and of each that follows every side with something that no page before it had: a
check, a paper or a signature of another make. What is made alike goes the same way through the use
cases. `STAFETT_EXAMPLES=100 pytest tests/web/test_by_hand.py` carries every side on its page.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from site_ import Site
from stafett.journey.label import Labels
from stafett.journey.view import Station
from stafett.protocol.builtin import names
from web_hands import Under, do_side, net_of, view_of
from web_walk import carry_side

pytestmark = [pytest.mark.browser, pytest.mark.slow]


PROTOCOLS = (
    "autologous-car-t", "point-of-care-car-t", "allogeneic", "in-vivo-aav", "tissue-engineered",
)  # fmt: skip


def test_no_built_in_protocol_is_left_out() -> None:
    """What is carried by hand below is the whole catalogue."""
    assert sorted(PROTOCOLS) == sorted(names())


def makes(view: Station) -> set[tuple[object, ...]]:
    """Return what a side's page is made of, without its words: checks, papers, how it ends."""
    checks = {
        (
            "check", view.side, c.kind, c.when, c.critical, c.people, c.second, c.structure,
            c.direct, c.binds, c.unit, len(c.choices), c.known is None, c.min is None,
            c.max is None, c.keeps is None, c.identifier is None,
        )
        for c in view.checks
    }  # fmt: skip
    papers = {
        ("paper", view.side, d.required, d.attached, len(d.fields)) for d in view.documents
    } | {
        ("field", f.kind, f.unit, f.min is None, f.max is None, len(f.choices))
        for d in view.documents
        for f in d.fields
    }
    signed = view.sign.people if view.sign else 0
    end = (view.side, view.kind, signed, len(view.options), view.about != "", bool(view.checks))
    return checks | papers | {end}


@pytest.fixture(scope="module")
def known() -> set[tuple[object, ...]]:
    """Keep what has been done by hand on a page."""
    return set()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_people_carry_a_whole_journey_by_hand(
    site: Site,
    page_of: Callable[[str], Page],
    shoot: Any,
    known: set[tuple[object, ...]],
    protocol: str,
) -> None:
    """Every make of check scanned or pressed, of document attached, of signature given on a page.

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
    every = protocol == PROTOCOLS[0] or "STAFETT_EXAMPLES" in os.environ
    done: list[str] = []
    by_hand = 0
    at = ""
    while True:
        row = site.call(clinic, "GET", f"/api/journeys/{journey}").json()
        if row["status"] == "ended":
            break
        task = row["tasks"][0]
        login = task["role"].replace("_", "-") + "-1"
        side = task["activity"], task["side"], task["about"]
        new = makes(view_of(site, login, journey, *side)) - known
        if every or new:
            if at and at != login:  # who is done leaves: an open station follows along
                page_of(at).goto("/static/stafett.svg")  # a blank page is another process
            at = login
            do_side(site, page_of(login), under, *side)
            known |= new
            by_hand += 1
        else:
            site.inside(carry_side(site, journey, labels, *side))
        done.append(f"{task['activity']} {task['side']}")
        assert len(done) < 200, done[-10:]
    print(f"{by_hand} of {len(done)} sides by hand")
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
