"""Documents at a station: each field is asked for by what it may hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from playwright.sync_api import Page

from site_ import Site
from stafett.journey.view import Station
from web_hands import Under, do_side


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
