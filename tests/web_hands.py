"""Hands at a station: they read the page, scan, answer, attach and sign in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from playwright.sync_api import Page, expect

from site_ import Site
from stafett.journey.script import _check, right_answer
from stafett.journey.view import Station, StationCheck
from stafett.service import demo


def view_of(site: Site, login: str, journey: str, activity: str, side: str) -> Station:
    """Return the station's view through the API."""
    path = f"/api/journeys/{journey}/stations/{activity}/{side}"
    return msgspec.json.decode(site.call(login, "GET", path).content, type=Station)


def scan(page: Page, value: str) -> None:
    """Type what a keyboard-wedge scanner types: the characters, then Enter."""
    expect(page.locator("[data-scan]")).to_be_focused()
    page.keyboard.type(value)
    page.keyboard.press("Enter")


def do_side(site: Site, page: Page, under: Any, activity: str, side: str) -> None:
    """Carry out one side of a handoff on its page, from the first check to the signature."""
    login = _login(page)
    product = site.call(login, "GET", f"/api/journeys/{under.journey}").json()["product"]
    nets = site.day().nets
    net = next(n for p, n in nets.items() if product in str(n.protocol.products[str(p)].title))
    page.goto(f"/journeys/{under.journey}/{activity}/{side}")
    for _ in range(60):
        view = view_of(site, login, under.journey, activity, side)
        if view.kind is None:
            return
        shown = next((c for c in view.checks if c.id == view.next), None)
        if shown is not None:
            expect(page.locator(".ask")).to_have_text(shown.ask)
            check = _check(net, view, shown.id)
            answer = right_answer(net, check, shown, under.labels, datetime.now(UTC))
            _answer(page, shown, answer)
        elif paper := next((d for d in view.documents if d.required and not d.attached), None):
            expect(page.locator(".ask")).to_contain_text(paper.title)
            page.locator("#file").set_input_files(
                {"name": "d.pdf", "mimeType": "application/pdf", "buffer": paper.id.encode()}
            )
            for field in paper.fields:
                page.locator(f"#f-{field}").fill(f"{field} filled in")
            page.locator("form.card button[type=submit]").click()
        else:
            assert view.sign is not None
            expect(page.locator(".ask")).to_have_text(view.sign.meaning)
            page.locator("#password").fill(demo.PASSWORD)
            page.locator("[data-option]").first.click()
        _moved(site, page, login, under.journey, activity, side, view)
    raise AssertionError(f"{activity} {side} never ended")


def _answer(page: Page, shown: StationCheck, answer: Any) -> None:
    if shown.kind == "scan":
        scan(page, str(answer))
    elif shown.kind == "choice":
        title = next(o.title for o in shown.choices if o.id == answer)
        page.locator(".choices button").get_by_text(title, exact=True).click()
    elif shown.kind == "quantity":
        page.locator("input[type=number]").fill(str(answer))
        page.keyboard.press("Enter")
    else:
        page.locator("section.card > button").first.click()


def _moved(
    site: Site, page: Page, login: str, journey: str, activity: str, side: str, before: Station
) -> None:
    """Wait until the record has taken it in."""
    for _ in range(200):
        now = view_of(site, login, journey, activity, side)
        if msgspec.json.encode(now) != msgspec.json.encode(before):
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"nothing came of it: {page.locator('#station').inner_text()}")


def _login(page: Page) -> str:
    """Return who is signed in on this page."""
    answer = page.request.get("/api/me")
    return str(answer.json()["login"])
