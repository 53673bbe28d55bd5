"""Documents of a journey: opened by whom they were handed to, and every look is noted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from playwright.sync_api import Page, expect

from site_ import Site
from stafett.journey.script import filled_in
from web_hands import Under, view_of

GIVER, RECEIVER, OUTSIDER = "treating-clinic-1", "case-management-1", "courier-1"


def attach(site: Site, under: Under, activity: str, side: str, data: bytes) -> str:
    """Store a document as the clinic and attach it; return its SHA-256."""
    headers = {"Content-Type": "application/pdf"}
    stored = site.call(GIVER, "POST", "/api/documents", content=data, headers=headers).json()
    paper = view_of(site, GIVER, under.journey, activity, side).documents[0]
    fields = {f.id: filled_in(f, paper.id, datetime.now(UTC)) for f in paper.fields}
    command = {"type": "Attach", "activity": activity, "side": side, "document": paper.id,
               "sha256": stored["sha256"], "fields": fields}  # fmt: skip
    answer = site.send(GIVER, under.journey, command)
    assert answer.status_code == 200, answer.text
    return str(stored["sha256"])


def opened(site: Site, login: str, sha256: str, journey: str = "") -> int:
    """Open a document; return the HTTP status."""
    query = {"journey": journey} if journey else {}
    return site.call(login, "GET", f"/api/documents/{sha256}", params=query).status_code


def test_a_document_goes_with_its_handoff_and_no_further(
    site: Site, brought_to: Callable[[str, str], Under]
) -> None:
    """Both sides of the handoff open it; a third party of the journey, and a stranger, do not."""
    under = brought_to("H02", "release")
    sha256 = attach(site, under, "H02", "release", b"%PDF the order")
    assert sha256 == hashlib.sha256(b"%PDF the order").hexdigest()
    assert opened(site, GIVER, sha256) == 200
    assert opened(site, GIVER, sha256, under.journey) == 200
    assert opened(site, RECEIVER, sha256, under.journey) == 200
    assert opened(site, RECEIVER, sha256) == 404  # only as what it is: a part of that journey
    assert opened(site, OUTSIDER, sha256, under.journey) == 404
    other = brought_to("H02", "release")
    assert opened(site, RECEIVER, sha256, other.journey) == 404


def test_what_is_attached_inside_a_step_stays_at_home(
    site: Site, brought_to: Callable[[str, str], Under]
) -> None:
    """A consent names the patient: no other organisation opens it."""
    under = brought_to("CONSENT", "step")
    start = {"type": "Start", "step": "CONSENT"}
    assert site.send(GIVER, under.journey, start).status_code == 200
    sha256 = attach(site, under, "CONSENT", "step", b"%PDF consent of a patient")
    assert opened(site, GIVER, sha256, under.journey) == 200
    assert opened(site, RECEIVER, sha256, under.journey) == 404


def test_opening_a_document_is_noted_with_its_journey(
    site: Site,
    brought_to: Callable[[str, str], Under],
    browser_of: Callable[..., Page],
    shoot: Callable[[Page, str], None],
) -> None:
    """Own people by name, the other side as an organisation; a refused look opens nothing."""
    under = brought_to("H02", "release")
    sha256 = attach(site, under, "H02", "release", f"order of {under.journey}".encode())
    for login in (GIVER, RECEIVER, OUTSIDER):
        opened(site, login, sha256, under.journey)
    query = {"journey": under.journey}
    looks = site.call("administrator", "GET", "/api/audit/readings", params=query).json()
    mine = {(x["organisation"], x["person"]) for x in looks if x["what"] == f"document {sha256}"}
    manufacturer = next(p.organisation for p in site.people if p.login == RECEIVER)
    assert mine == {("university-hospital", GIVER), (manufacturer, "")}
    assert all(x["journey"] == under.journey for x in looks)
    page = browser_of("administrator")
    page.goto(f"/audit/readings?journey={under.journey}")
    expect(page.locator("table")).to_contain_text(f"Document {sha256[:16]}…")
    shoot(page, "audit-readings-document")
    theirs = browser_of(OUTSIDER)
    theirs.goto(f"/journeys/{under.journey}")
    papers = theirs.locator("[aria-labelledby=docs-h]")
    expect(papers).to_contain_text("kept by who attached it")
    expect(papers.locator("a")).to_have_count(0)
    receiver = browser_of(RECEIVER)
    receiver.goto(f"/journeys/{under.journey}")
    with receiver.expect_download() as got:
        receiver.locator("[aria-labelledby=docs-h] a").first.click()
    assert got.value.path().read_bytes() == f"order of {under.journey}".encode()
