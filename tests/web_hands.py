"""Hands at a station: they read the page, scan, answer, attach and sign in a real browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from playwright.sync_api import Browser, BrowserContext, Page, expect

from site_ import Site
from stafett.journey.label import Labels
from stafett.journey.script import check_of, filled_in, right_answer
from stafett.journey.view import Station, StationCheck, StationField
from stafett.protocol.net import Net
from stafett.service import demo
from stafett.web.language import words

NURSE = "treating-clinic-1"
PATIENCE_S = 60.0  # for one act, on a machine with other work
TYPED = words("en")["refusal.this-was-typed-as-a-scanner-sends"]


@dataclass
class Under:
    """A journey under way, with the labels that are physically there."""

    journey: str
    labels: Labels


def authenticated(chromium: Browser, site: Site, login: str) -> tuple[BrowserContext, Page]:
    """Open a browser at a name (not a number), with an authenticator, signed in by password."""
    page, _ = device(chromium, site)
    sign_in(page, login)
    return page.context, page


def device(chromium: Browser, site: Site) -> tuple[Page, Callable[[bool], None]]:
    """Open a browser with an authenticator; return how its person is there, or turns it down."""
    context = chromium.new_context(base_url=site.base.replace("127.0.0.1", "localhost"))
    page = context.new_page()
    return page, authenticator(page)


def sign_in(page: Page, login: str) -> None:
    """Sign in by password."""
    page.goto("/sign-in?next=/account")
    page.locator("#login").fill(login)
    page.locator("#password").fill(demo.PASSWORD)
    page.locator("main form button[type=submit]").first.click()
    page.wait_for_url("**/account")


def authenticator(page: Page) -> Callable[[bool], None]:
    """Give a page's device an authenticator; return how its person is there, or turns it down."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    made = session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
                "hasUserVerification": True, "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )  # fmt: skip

    def willing(is_so: bool) -> None:
        session.send(
            "WebAuthn.setUserVerified",
            {"authenticatorId": made["authenticatorId"], "isUserVerified": is_so},
        )

    return willing


def enrol(page: Page, name: str = "my phone") -> None:
    """Make a passkey on the page of the account."""
    page.goto("/account")
    page.locator("#pk-name").fill(name)
    page.locator("#pk-password").fill(demo.PASSWORD)
    with page.expect_navigation():  # the page opens again with the new key on it
        page.get_by_role("button", name="Make a passkey").click()
    expect(page.get_by_text(name, exact=True).last).to_be_visible()


def settled(site: Site, at_least: int = 0, patience_s: float = 60.0) -> dict[str, Any]:
    """Wait until everything recorded is signed and cosigned by a quorum; return the standing."""
    end = time.monotonic() + patience_s
    while True:
        found = site.call(NURSE, "GET", "/api/record").json()
        if found["signed"] == found["size"] >= at_least and found["quorum"]:
            return dict(found)
        assert time.monotonic() < end, found
        time.sleep(0.2)


def view_of(
    site: Site, login: str, journey: str, activity: str, side: str, about: str = ""
) -> Station:
    """Return the station's view through the API."""
    path = f"/api/journeys/{journey}/stations/{activity}/{side}"
    answer = site.call(login, "GET", path, params={"about": about})
    return msgspec.json.decode(answer.content, type=Station)


def net_of(site: Site, journey: str) -> Net:
    """Return the net that a journey runs on."""
    live = site.inside(site.tower.journeys.live(journey))
    assert live is not None
    found: Net = live.net
    return found


def scan(page: Page, value: str, keys: int = 1_000) -> None:
    """Type what a keyboard-wedge scanner types: the characters, then Enter.

    From `keys` on the characters come in one burst: each key costs as much as an act does.
    """
    expect(page.locator("[data-scan]")).to_be_focused()
    if "\x1d" in value[keys:]:  # the separator is a key that the page looks for
        keys = len(value)
    page.keyboard.type(value[:keys])
    if value[keys:]:
        page.keyboard.insert_text(value[keys:])
    page.keyboard.press("Enter")


def do_side(
    site: Site,
    page: Page,
    under: Any,
    activity: str,
    side: str,
    about: str = "",
    until: Callable[[Station], bool] = lambda view: False,
    password: str = demo.PASSWORD,
    colleagues: str = demo.PASSWORD,
) -> None:
    """Carry out one side of an activity on its page, up to its signature, or to `until`.

    An empty `password` signs with the passkey that the browser has; so does an empty one of the
    colleague's.
    """
    login = str(page.request.get("/api/me").json()["login"])
    colleague = _colleague(login)
    net = net_of(site, under.journey)
    query = f"?about={about}" if about else ""
    page.goto(f"/journeys/{under.journey}/{activity}/{side}{query}")
    view = view_of(site, login, under.journey, activity, side, about)
    for _ in range(80):
        if view.kind is None or until(view):
            return
        again: Callable[[], None] | None = None
        shown = next((c for c in view.checks if c.id == view.next), None)
        paper = next((d for d in view.documents if d.required and not d.attached), None)
        if view.kind == "start":
            page.locator("[data-first]").click()
        elif shown is not None:
            expect(page.locator(".ask").first).to_have_text(shown.ask)
            if shown.second:
                _comes(page, colleague, colleagues)
            check = check_of(net, view, shown.id)
            answer = right_answer(net, check, shown, under.labels, datetime.now(UTC))
            give(page, shown, answer)
            again = partial(give, page, shown, answer)
        elif paper is not None:
            _attach(page, paper.id, paper.title, paper.fields)
        else:
            _sign(page, view, colleague, password, colleagues)
        view = _moved(site, page, login, view, again)
    raise AssertionError(f"{activity} {side} never ended")


def _colleague(login: str) -> str:
    role, _, number = login.rpartition("-")
    return f"{role}-{2 if number != '2' else 3}"


def _comes(page: Page, login: str, password: str) -> None:
    """Let a second person say that they are here."""
    page.locator("#colleague").fill(login)
    page.locator("#colleague-password").fill(password)
    page.locator("#colleague-password").press("Enter")


def _attach(page: Page, name: str, title: str, fields: tuple[StationField, ...]) -> None:
    expect(page.locator(".ask")).to_contain_text(title)
    page.locator("#file").set_input_files(
        {"name": "d.pdf", "mimeType": "application/pdf", "buffer": name.encode()}
    )
    for field in fields:
        blank, value = page.locator(f"#f-{field.id}"), filled_in(field, name, datetime.now(UTC))
        if field.kind == "choice":
            blank.select_option(value)
        else:
            blank.fill(value[:16] if field.kind == "time" else value)
    page.locator("form.card button[type=submit]").click()


def _sign(page: Page, view: Station, colleague: str, password: str, colleagues: str) -> None:
    if view.sign is not None:
        expect(page.locator(".ask")).to_have_text(view.sign.meaning)
        if view.sign.people - len(set(view.sign.signed)) > 1:
            _comes(page, colleague, colleagues)
            return
        page.locator("#password").fill(password)
    page.locator("[data-option]").first.click()


def give(page: Page, shown: StationCheck, answer: Any) -> None:
    """Give one answer as a person does: scan, press or type."""
    if shown.kind == "scan":
        scan(page, str(answer), keys=8)
    elif shown.kind == "choice":
        title = next(o.title for o in shown.choices if o.id == answer)
        page.locator(".choices button").get_by_text(title, exact=True).click()
    elif shown.kind == "quantity":
        page.locator("input[type=number]").fill(str(answer))
        page.keyboard.press("Enter")
    else:
        page.locator("section.card > button").first.click()


def _moved(
    site: Site, page: Page, login: str, before: Station, again: Callable[[], None] | None
) -> Station:
    """Wait until the record has taken it in; return what the station is then.

    On a machine with other work the keys of a scan may come as slowly as a person's, which the
    station refuses: what it says is confirmed, as a person does, and the scan is done `again`.
    """
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < PATIENCE_S:
        page.wait_for_timeout(50)
        now = view_of(site, login, before.journey, before.activity, before.side, before.about)
        if msgspec.json.encode(now) != msgspec.json.encode(before):
            return now
        refused = page.locator(".refusal", has_text=TYPED)
        if again is not None and waited > 1 and refused.count():
            refused.get_by_role("button").click()
            expect(refused).to_have_count(0)
            again()
    raise AssertionError(f"nothing came of it: {page.locator('#station').inner_text()}")
