"""Documents at a station: each field is asked for by what it may hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from playwright.sync_api import Browser, Page, expect

from site_ import Site
from stafett.journey.script import filled_in
from stafett.journey.view import Station
from stafett.service import demo
from web_hands import Under, do_side, view_of


def test_a_documents_fields_are_asked_for_by_their_kind(
    site: Site,
    browser_of: Callable[..., Page],
    brought_to: Callable[[str, str], Under],
    shoot: Callable[[Page, str], None],
) -> None:
    """When consent was signed is a time, a weight a number in kg; as such they are recorded."""
    under = brought_to("CONSENT", "step")
    page = browser_of("treating-clinic-1")
    kinds: dict[str, str | None] = {}

    def attached(view: Station) -> bool:
        papers = [d for d in view.documents if d.required]
        if papers and view.next is None and view.kind != "start" and not papers[0].attached:
            for field in papers[0].fields:
                blank = page.locator(f"#f-{field.id}")
                blank.wait_for()
                kinds[field.id] = blank.get_attribute("type")
            shoot(page, f"document-{papers[0].id}")
        return bool(papers) and all(d.attached for d in papers)

    do_side(site, page, under, "CONSENT", "step", until=attached)
    assert kinds["signed_at"] == "datetime-local"
    live = site.inside(site.tower.journeys.live(under.journey))
    assert live is not None
    fields = live.state.sheets["CONSENT:step"].documents["consent"].fields
    assert datetime.fromisoformat(fields["signed_at"]).utcoffset() is not None
    do_side(site, page, under, "CONSENT", "step")
    do_side(site, page, under, "H02", "release", until=attached)
    assert kinds["weight_kg"] == "number"
    live = site.inside(site.tower.journeys.live(under.journey))
    assert live is not None
    order = live.state.sheets["H02:release"].documents["order"].fields
    assert float(order["weight_kg"]) > 0


def test_a_paper_is_photographed_at_the_station_and_its_hash_is_shown(
    site: Site,
    chromium: Browser,
    brought_to: Callable[[str, str], Under],
    shoot: Callable[[Page, str], None],
) -> None:
    """On a hand-held device the camera is one press away; what is recorded is what was shown."""
    under = brought_to("CONSENT", "step")
    context = chromium.new_context(
        base_url=site.base, has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844}
    )
    page = context.new_page()
    page.goto("/sign-in")
    page.locator("#login").fill("treating-clinic-1")
    page.locator("#password").fill(demo.PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/board")
    papers = lambda view: view.next is None and view.kind != "start"  # noqa: E731
    do_side(site, page, under, "CONSENT", "step", until=papers)
    page.goto(f"/journeys/{under.journey}/CONSENT/step")
    photo = page.locator("#photo")
    assert photo.get_attribute("capture") == "environment"
    image = {"name": "paper.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8 a paper"}
    photo.set_input_files(image)
    expected = hashlib.sha256(b"\xff\xd8 a paper").hexdigest()
    expect(page.locator(".hash")).to_have_text(f"SHA-256 {expected}")
    view = view_of(site, "treating-clinic-1", under.journey, "CONSENT", "step")
    for field in view.documents[0].fields:
        value = filled_in(field, "consent", datetime.now(UTC))
        blank = page.locator(f"#f-{field.id}")
        if field.kind == "choice":
            blank.select_option(value)
        else:
            blank.fill(value[:16] if field.kind == "time" else value)
    shoot(page, "document-photo")
    page.locator("form.card button[type=submit]").click()
    expect(page.locator("#station")).to_contain_text("attached")
    live = site.inside(site.tower.journeys.live(under.journey))
    assert live is not None
    assert live.state.sheets["CONSENT:step"].documents["consent"].sha256 == expected
    kept = site.call("treating-clinic-1", "GET", f"/api/documents/{expected}")
    assert kept.content == b"\xff\xd8 a paper" and kept.headers["content-type"] == "image/jpeg"
    context.close()
