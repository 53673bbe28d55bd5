"""The second person at a station, and who decides on a deviation: proven by their own passkey."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from site_ import Site
from stafett.journey.label import Labels
from stafett.service import demo
from told_ import report
from web_hands import Under, authenticated, do_side, enrol
from web_walk import walk

pytestmark = pytest.mark.browser
FIRST, SECOND = "apheresis-unit-1", "apheresis-unit-2"

# Ask what `asked` would be proven with, answer it with the passkey of the device, send `sent`.
PROVE = """async ([journey, login, asked, sent]) => {
  const { answer } = await import("/static/passkey.js");
  const headers = { "X-Stafett": "1", "Content-Type": "application/json" };
  const post = (path, body) => fetch(`/api/journeys/${journey}/${path}`,
    { method: "POST", headers, body: JSON.stringify(body) });
  const due = await (await post("signing", { ...asked, colleague: { login } })).json();
  if (!due.options) return due;
  const passkey = { ...(await answer(due.options)), signed_at: due.at };
  const result = await post("commands", { ...sent, colleague: { login: sent.login ?? login, passkey }, login: undefined });
  return await result.json();
}"""  # noqa: E501


def both(chromium: Browser, site: Site) -> tuple[Any, Page]:
    """Open one device where both people have made a passkey; the first is signed in."""
    context, page = authenticated(chromium, site, SECOND)
    enrol(page, "the second's key")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.goto("/sign-in?next=/account")
    page.locator("#login").fill(FIRST)
    page.locator("#password").fill(demo.PASSWORD)
    page.locator("main form button[type=submit]").first.click()
    page.wait_for_url("**/account")
    enrol(page, "the first's key")
    return context, page


def test_two_people_check_and_sign_with_no_password_at_all(
    site: Site,
    chromium: Browser,
    brought_to: Callable[[str, str], Under],
    shoot: Callable[[Page, str], None],
) -> None:
    """Scans by two, signatures of two: each person's own passkey proves what is theirs."""
    under = brought_to("H06", "step")
    context, page = both(chromium, site)
    do_side(site, page, under, "H06", "step", password="", colleagues="",
            until=lambda view: any(c.second for c in view.checks))  # fmt: skip
    page.reload()
    expect(page.locator("#colleague")).to_be_visible()
    shoot(page, "second-person-passkey")
    do_side(site, page, under, "H06", "step", password="", colleagues="")
    events = [e.body["event"] for e in site.inside(site.tower.ledger.stream(under.journey))]
    answers = [e for e in events if e["type"] == "CheckAnswered" and e["activity"] == "H06"]
    by = {e["by"]["person"] for e in answers if e["check"] == "patient"}
    assert by == {FIRST, SECOND}
    found = site.call(FIRST, "GET", f"/api/journeys/{under.journey}/signatures").json()
    here = {s["person"]: s for s in found if s["about"] == "H06"}
    assert set(here) == {FIRST, SECOND}
    assert all(s["method"] == "passkey" and s["by_key"] and s["holds"] for s in here.values())
    context.close()


def test_a_second_persons_passkey_answers_only_what_it_was_shown(
    site: Site, chromium: Browser, brought_to: Callable[[str, str], Under]
) -> None:
    """Another value, another person's key, or nobody's proof: refused, and nothing is recorded."""
    under = brought_to("H06", "step")
    context, page = both(chromium, site)
    do_side(site, page, under, "H06", "step", password="",
            until=lambda view: any(c.second for c in view.checks))  # fmt: skip
    before = len(site.inside(site.tower.ledger.stream(under.journey)))
    command = {
        "type": "Answer", "activity": "H06", "side": "step", "check": "patient",
        "value": under.labels.patient, "occurred_at": "2026-11-01T08:00:00+01:00",
    }  # fmt: skip
    ask = {"key": uuid.uuid4().hex, "role": "apheresis_unit", "command": command}
    other = {**ask, "command": {**command, "value": "19000101-0000"}}
    for what, wrong in {
        "another value": other,
        "sent for the first person": {**ask, "login": FIRST},
        "sent for a third": {**ask, "login": "apheresis-unit-3"},
    }.items():
        answer = page.evaluate(PROVE, [under.journey, SECOND, ask, wrong])
        assert answer["type"] == "/problems/signature", (what, answer)
    for unproven in ({"login": SECOND}, {"login": "nobody-here"}):
        body = {**ask, "key": uuid.uuid4().hex, "colleague": unproven, "password": demo.PASSWORD}
        path = f"/api/journeys/{under.journey}/commands"
        assert site.call(FIRST, "POST", path, json=body).status_code == 403, unproven
    path = f"/api/journeys/{under.journey}/signing"
    for colleague, status in (("courier-1", 403), ("apheresis-unit-3", 409), ("nobody", 403)):
        body = {**ask, "colleague": {"login": colleague}}
        answer = site.call(FIRST, "POST", path, json=body,
                           headers={"Host": "localhost"})  # fmt: skip
        assert answer.status_code == status, (colleague, answer.text)
    assert len(site.inside(site.tower.ledger.stream(under.journey))) == before
    right = page.evaluate(PROVE, [under.journey, SECOND, ask, ask])
    assert right["events"][0]["by"]["person"] == SECOND, right
    # Sent again with the same key, after the journey has moved on: the same answer, nothing twice.
    again = page.evaluate(PROVE, [under.journey, SECOND, ask, ask])
    assert again["replayed"] is True, again
    context.close()


def test_a_deviation_is_decided_and_closed_with_a_passkey(
    site: Site, chromium: Browser, shoot: Callable[[Page, str], None]
) -> None:
    """Decision and conclusion are signed by the key, and are verified from the record."""
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    journey = site.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
    site.inside(walk(site, journey, labels, ("H01", "accept")))
    name = report(site, journey, "TEMP_EXCURSION")
    none = dict.fromkeys(("identity", "custody", "product", "patient"), "none")
    steps: tuple[dict[str, Any], ...] = (
        {"type": "TriageDeviation", "criteria": ["limit-exceeded"], "impact": none},
        {"type": "NameCause", "cause": "equipment", "why": "the logger was not started"},
    )
    for command in steps:
        answer = site.send("treating-clinic-1", journey, {**command, "deviation": name})
        assert answer.status_code == 200, answer.text
    context, page = authenticated(chromium, site, "treating-clinic-1")
    enrol(page)
    page.goto(f"/deviations/{journey}/{name}")
    decision = page.locator("form[data-command=DecideDeviation]")
    decision.locator("[name=disposition]").select_option("no-effect")
    decision.locator("[name=reason]").fill("within its stability data")
    expect(decision.locator(".signs")).to_contain_text("I decide this")
    expect(decision.locator(".signs")).to_contain_text("Astrid Lind")
    shoot(page, "deviation-passkey")
    decision.get_by_role("button").click()
    expect(page.locator(".tag.blue").first).to_have_text("decided")
    closing = page.locator("form[data-command=CloseDeviation]")
    closing.locator("[name=conclusion]").fill("logger checked at release from now on")
    closing.get_by_role("button").click()
    expect(page.locator(".note")).to_contain_text("logger checked at release")
    signed = page.locator("[aria-labelledby=signed-h] tbody tr")
    expect(signed).to_have_count(2)
    expect(signed.first).to_contain_text("Astrid Lind")
    expect(signed.first).to_contain_text("signed by the passkey of Astrid Lind")
    found = site.call("treating-clinic-1", "GET", f"/api/journeys/{journey}/signatures").json()
    mine = [s for s in found if s["about"] == name]
    assert [s["kind"] for s in mine] == ["DeviationDecided", "DeviationClosed"], found
    assert all(s["method"] == "passkey" and s["by_key"] and s["holds"] for s in mine)
    context.close()
