"""The page on which the forecasts are held to account."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest
from playwright.sync_api import Page, expect

from axe_ import violations
from site_ import Site
from stafett.journey.event import to_json
from stafett.journey.script import Fault, play
from stafett.ledger import Author, Draft, Submission
from stafett.service.demo import train

START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
MANY = 44


async def carry(site: Site, organisation: str) -> None:
    """Put finished journeys into the record, quicker and slower, one a day; every fourth went back
    at the handoff H05, which was refused once."""
    pinned = site.tower.library.current()["autologous-car-t"]
    net = site.tower.library.net(pinned.sha256, None)
    stories = play(net, START), play(net, START, faults=(Fault("REFUSE", "H05"),))
    chance = random.Random(4)
    head = {"pinned": pinned.sha256, "pseudonym": "P-TEST"}
    for n in range(MANY):
        pace, name = 40 * chance.lognormvariate(0, 1.2), f"J-PAST-{n}"
        drafts = []
        for event in stories[n % 4 == 3].events:
            at = START + timedelta(days=n) + pace * (event.occurred_at - START)
            body = {**to_json(event), "occurred_at": at.isoformat()}
            if body["type"] == "JourneyOpened":
                parties = dict.fromkeys(body["parties"], organisation)  # type: ignore[call-overload]
                body |= {"journey": name, "coi": name, "parties": parties}
            drafts.append(Draft(str(body["type"]), {**head, "event": body}, at))
        # All at once: whoever watches must not find the first part alone, and raise what is late.
        await asyncio.gather(
            *(
                site.tower.ledger.append(
                    Submission(
                        name, first, drafts[first : first + 100], [organisation],
                        Author(organisation), f"{name}.{first}", f"{name}.{first}".encode(),
                    )
                )
                for first in range(0, len(drafts), 100)
            )
        )  # fmt: skip
    await site.tower.board.caught_up(60)


def test_the_record_of_the_forecasts_is_drawn_told_and_taken_home(
    site: Site,
    browser_of: Callable[..., Page],
    shoot: Callable[[Page, str], None],
) -> None:
    """Diagram with n, sentences, period, table; the same as SVG and CSV; in words when too few."""
    page = browser_of("treating-clinic-1")
    page.goto("/forecasts")
    expect(page.locator("main")).to_contain_text("No journey has been opened yet")
    made = page.get_by_role("region", name="On simulated journeys")
    expect(made).to_contain_text("Brier score 0.153")
    expect(made).to_contain_text("553 held-out journeys, learnt from 958 before them")
    expect(made.locator("svg.reliability circle")).to_have_count(10)
    shoot(page, "forecasts-simulated")
    person = next(p for p in site.people if p.login == "treating-clinic-1")
    site.inside(carry(site, person.organisation))
    page.goto("/forecasts")
    expect(made).to_have_count(0)  # there are enough of the organisation's own
    card = page.locator("section.card").first
    expect(card.locator("svg title")).to_contain_text("held-out journeys")
    expect(card).to_contain_text("Brier score 0.")
    expect(card).to_contain_text("24 Mar 2026 to 14 Apr 2026; learnt from 22 journeys")
    shoot(page, "forecasts")
    found = violations(page)
    assert [one["id"] for one in found] == []
    (record,) = [
        one
        for one in site.call("treating-clinic-1", "GET", "/api/forecasts/record").json()
        if one["score"]
    ]
    assert (record["finished"], record["score"]["learnt"], record["score"]["held"]) == (44, 22, 22)
    assert sum(b["n"] for b in record["score"]["bins"]) == record["score"]["questions"]
    base = "/api/forecasts/record/0/reliability"
    table = site.call("treating-clinic-1", "GET", f"{base}.csv").text.splitlines()
    assert table[0] == "said,happened,low_95,high_95,n"
    assert len(table) == 1 + len(record["score"]["bins"])
    assert "<svg" in site.call("treating-clinic-1", "GET", f"{base}.svg").text
    refused = site.call("treating-clinic-1", "GET", "/api/forecasts/record/7/reliability.csv")
    assert refused.status_code == 404
    narrow = browser_of("treating-clinic-1", language="sv", width=320)
    narrow.goto("/forecasts?language=sv")
    expect(narrow.locator("section.card").first).to_contain_text("undanhållna resor")
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 320
    journey = site.order()
    site.tower.forecasts._learnt.clear()  # what may have been learnt while the record was filled
    (back,) = site.call("treating-clinic-1", "GET", f"/api/journeys/{journey}/forecast").json()[
        "back"
    ]
    assert (back["activity"], back["n"]) == ("H05", MANY // 4)
    assert back["share"] == pytest.approx(11 / 56)
    page.goto(f"/journeys/{journey}")
    expect(page.locator("#outlook")).to_contain_text("It may yet go back")
    expect(page.locator("#outlook")).to_contain_text("(H05) in 20 % of all cases (seen 11 times)")
    shoot(page, "outlook-back")
    file = resources.files("stafett") / "catalogue" / "protocols" / "autologous-car-t.yaml"
    newer = re.sub(r"(?m)^version: .*$", "version: 9.9.9", file.read_text("utf-8"), count=1)
    site.inside(site.tower.library.admit(newer.encode()))
    site.inside(train(site.tower, site.people))
    later = site.order("19121212-1220")
    opened = site.call("treating-clinic-1", "GET", f"/api/journeys/{later}").json()
    assert opened["protocol"].endswith("9.9.9")
    said = site.call("treating-clinic-1", "GET", f"/api/journeys/{later}/forecast").json()
    assert said["back"][0]["n"] == MANY // 4  # a new version does not begin with nothing
    page.goto("/forecasts")
    version = record["protocol"].rpartition(" ")[2]  # by its title still, with its version
    expect(page.locator("section.card h2").first).to_contain_text(f"frozen product {version}")
