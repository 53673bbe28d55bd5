"""The calendar of slot chains and the waitlist, through the API and in a real browser."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from playwright.sync_api import Page, expect

from axe_ import violations
from site_ import Site
from stafett.cli.capacity import capacity
from stafett.service import demo
from stafett.web import zone

CLINIC = "treating-clinic-1"


def search(site: Site, login: str = CLINIC) -> list[list[dict[str, Any]]]:
    """Find free chains in the demo network."""
    begin = datetime.now(UTC) + timedelta(days=3)
    body = {
        "template": "autologous-car-t", "network": demo.NETWORK, "begin": begin.isoformat(),
        "end": (begin + timedelta(days=60)).isoformat(),
    }  # fmt: skip
    answer = site.call(login, "POST", "/api/capacity/search", json=body)
    assert answer.status_code == 200, answer.text
    found: list[list[dict[str, Any]]] = answer.json()
    return found


def test_a_chain_through_the_api(site: Site) -> None:
    """Search, hold, confirm, preview, move, give back; who is not in the chain sees nothing."""
    offers = search(site)
    assert len(offers) == 3 and len(offers[0]) == 6
    body = {
        "key": uuid.uuid4().hex, "template": "autologous-car-t", "network": demo.NETWORK,
        "patient": "by-api-1", "slots": offers[0], "hold_minutes": 30,
    }  # fmt: skip
    held = site.call(CLINIC, "POST", "/api/capacity/chains", json=body)
    assert held.status_code == 201, held.text
    chain = held.json()
    assert site.call(CLINIC, "POST", "/api/capacity/chains", json=body).json() == chain
    path = f"/api/capacity/chains/{chain['id']}"
    step = {"key": uuid.uuid4().hex, "seen": 1}
    assert site.call(CLINIC, "POST", path + "/confirm", json=step).json()["status"] == "booked"
    later = datetime.fromisoformat(chain["slots"][5]["begins"]) + timedelta(days=1)
    asked = {"link": "bed", "begins": later.isoformat()}
    shown = site.call(CLINIC, "POST", path + "/preview", json=asked).json()
    if shown["possible"]:
        move = {
            "key": uuid.uuid4().hex, "seen": shown["seen"], "slots": shown["slots"],
            "reason": "the patient asked",
        }  # fmt: skip
        moved = site.call(CLINIC, "POST", path + "/move", json=move)
        assert moved.status_code == 200, moved.text
        assert moved.json()["version"] == 3
    # The authority plays no part in a slot chain.
    assert site.call("authority-admin", "GET", path).status_code == 404
    stale = {"key": uuid.uuid4().hex, "seen": 1, "reason": "no longer needed"}
    refused = site.call(CLINIC, "POST", path + "/cancel", json=stale)
    assert refused.status_code == 409 and "look again" in refused.text
    seen = site.call(CLINIC, "GET", path).json()["version"]
    done = site.call(CLINIC, "POST", path + "/cancel", json={**stale, "seen": seen})
    assert done.status_code == 200 and done.json()["offered"] in (True, False)


@pytest.mark.parametrize(
    ("more", "status", "field"),
    [
        ({"begin": "2026-01-01T00:00:00"}, 422, "/begin"),
        ({"begin": "9999-01-01T00:00:00Z", "end": "9999-01-02T00:00:00Z"}, 422, "/begin"),
        ({"template": "nonsense"}, 422, "template"),
        ({"network": "elsewhere"}, 404, "network"),
        ({"count": 500}, 422, "/count"),
        ({"unknown": 1}, 422, "/unknown"),
    ],
)
def test_a_wrong_search_is_told(site: Site, more: dict[str, Any], status: int, field: str) -> None:
    """Each names its field."""
    begin = datetime.now(UTC) + timedelta(days=3)
    body = {
        "template": "autologous-car-t", "network": demo.NETWORK, "begin": begin.isoformat(),
        "end": (begin + timedelta(days=1)).isoformat(),
    }  # fmt: skip
    answer = site.call(CLINIC, "POST", "/api/capacity/search", json={**body, **more})
    assert answer.status_code == status, answer.text
    assert answer.json()["reasons"][0]["field"] == field


def test_the_rule_is_public(site: Site) -> None:
    """Anybody reads the rule in force; only an operator adopts one."""
    rule = site.call(None, "GET", "/api/capacity/rule")
    assert rule.status_code == 200
    body = {"rule": rule.json()["rule"], "reason": "just because", "seen": 0}
    assert site.call(CLINIC, "POST", "/api/capacity/rule", json=body).status_code == 403


def test_a_site_shows_what_is_free_now(site: Site) -> None:
    """The public page's figure is the calendar's: the demo hospital's chairs and beds."""

    def free() -> dict[str, int]:
        found = site.inside(site.tower.bookings.calendars.free(datetime.now(UTC)))
        return {one.resource: one.slots for one in found["university-hospital"]}

    before = free()
    page = site.call(None, "GET", "/registry/sites/university-hospital").text
    after = free()  # another hour, or another day, may have begun
    assert set(before) == {"Apheresis chair", "CAR-T bed"}
    for name in before:
        figures = {before[name], after[name]}
        assert any(f'{name}: <span class="num">{n}</span>' in page for n in figures)


def test_moving_with_the_keyboard_and_by_dragging(
    browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """A block dragged opens what follows; nothing has moved before the reason is given."""
    page = browser_of(CLINIC)
    page.goto("/capacity")
    expect(page.locator(".lanes-picture")).to_be_visible()
    expect(page.locator(".lanes-picture")).to_contain_text("Courier, cold chain 1")  # another's
    expect(page.locator(".lanes-picture")).not_to_contain_text("demo-courier")
    shoot(page, "capacity")
    block = page.locator('a.block[data-link="bed"]').first
    chain = block.get_attribute("data-chain")
    box = block.locator("rect").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 8, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 30, box["y"] + 8, steps=4)
    page.mouse.up()
    page.wait_for_url(f"**/capacity/{chain}?link=bed&begins=*")
    shoot(page, "capacity_move")
    page.goto("/capacity")
    block = page.locator('a.block[data-link="bed"]').first
    begins = datetime.fromisoformat(str(block.get_attribute("data-begins")))
    block.focus()
    for pressed in ("ArrowRight", "ArrowRight", "ArrowLeft", "Shift+ArrowRight"):
        block.press(pressed)
    expect(page.locator("#said")).to_contain_text("Enter shows what follows")
    block.press("Escape")
    expect(page.locator("#said")).to_have_text("")
    block.press("ArrowRight")
    block.press("Enter")
    page.wait_for_url("**/capacity/*?link=bed&begins=*")
    asked = parse_qs(urlsplit(page.url).query)["begins"][0]
    assert datetime.fromisoformat(asked) - begins == timedelta(hours=1)
    page.goto(f"/capacity/{chain}")
    page.locator("#link").select_option("bed")
    field = page.locator("#begins")
    now = datetime.now(UTC) + timedelta(days=90)
    field.fill(now.strftime("%Y-%m-%dT10:00"))
    page.locator("form[method=get] button").press("Enter")
    expect(page.locator("[role=alert]")).to_contain_text("24-504 h")
    shoot(page, "capacity_cannot")
    page.goto("/capacity/waiting")
    page.locator("#per_week").fill("5")
    page.locator("form[method=get] button").press("Enter")
    expect(page.get_by_text("Effect on each group")).to_be_visible()
    shoot(page, "capacity_waiting")
    for path in ("/capacity", "/capacity/waiting", f"/capacity/{chain}"):
        page.set_viewport_size({"width": 320, "height": 800})
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 320, path
    shoot(page, "capacity_320")


def test_a_delay_is_planned_anew_from_the_page_and_accepted_by_all(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """On the chain's page: what happened. Then what follows, the options, and who has accepted."""
    body = {
        "key": uuid.uuid4().hex, "template": "autologous-car-t", "network": demo.NETWORK,
        "patient": "by-page-1", "slots": search(site)[0],
    }  # fmt: skip
    chain = site.call(CLINIC, "POST", "/api/capacity/chains", json=body).json()
    page = browser_of(CLINIC)
    page.goto(f"/capacity/{chain['id']}")
    page.locator("#kind").select_option("late")
    page.locator("#hap-link").select_option("pickup")
    ends = datetime.fromisoformat(chain["slots"][1]["ends"]).astimezone(zone.here())
    page.locator("#hap-at").fill((ends + timedelta(hours=9)).strftime("%Y-%m-%dT%H:%M"))
    page.locator("form[data-act=happened] button").press("Enter")
    page.wait_for_url("**/capacity/replans/replan-*")
    expect(page.locator("h1")).to_contain_text("Late")
    expect(page.locator("#hits + ul")).to_contain_text("Manufacture")
    shoot(page, "replan_options")
    assert [v["id"] for v in violations(page)] == []
    page.set_viewport_size({"width": 320, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.set_viewport_size({"width": 1280, "height": 900})
    first = page.locator("form[data-act=choose]").first
    first.locator("input").fill("the van broke down")
    first.locator("button").press("Enter")
    expect(page.locator("h1 + p .tag")).to_contain_text("proposed")
    shoot(page, "replan_proposed")
    path = f"/api/capacity/replans/{page.url.rpartition('/')[2]}"
    logins = {p.organisation: p.login for p in site.people if p.roles}
    while (now := site.call(CLINIC, "GET", path).json())["status"] == "chosen":
        waits = [name for name in now["needs"] if name not in now["accepted"]]
        key = {"key": uuid.uuid4().hex, "seen": now["version"]}
        answer = site.call(logins[waits[0]], "POST", path + "/accept", json=key)
        assert answer.status_code == 200, answer.text
    assert now["status"] == "applied"
    moved = site.call(CLINIC, "GET", f"/api/capacity/chains/{chain['id']}").json()
    assert moved["slots"][2]["begins"] != chain["slots"][2]["begins"]
    assert site.call("authority-admin", "GET", path).status_code == 404
    page.reload()
    expect(page.locator("h1 + p .tag")).to_contain_text("made")
    page.goto("/capacity/replans")
    expect(page.locator("tbody tr").first).to_contain_text("Late")
    shoot(page, "replans")


def test_a_replan_in_the_terminal(site: Site) -> None:
    """Work it out, choose, accept, decline; wrong names and people are told, with a status."""

    def run(*words: str, login: str = CLINIC, status: int = 0) -> Any:
        more = ["--url", site.base, "--login", login, "--password", demo.PASSWORD]
        result = CliRunner().invoke(capacity, [*words, *more])
        assert result.exit_code == status, result.output
        return result.output

    assert "urgency class 1: 60 points" in run("rule")
    body = {
        "key": uuid.uuid4().hex, "template": "autologous-car-t", "network": demo.NETWORK,
        "patient": "by-terminal-1", "slots": search(site)[-1],
    }  # fmt: skip
    booked = site.call(CLINIC, "POST", "/api/capacity/chains", json=body).json()
    chains = json.loads(run("chains", "--weeks", "30", "--json"))
    chain = next(c for c in chains if c["id"] == booked["id"])
    assert chain["id"] in run("chains", "--weeks", "30")
    ends = datetime.fromisoformat(chain["slots"][1]["ends"]) + timedelta(hours=9)
    assert "chain" in run("replan", "late", "chain-nobody", "pickup", ends.isoformat(), status=2)
    made = json.loads(run("replan", "late", chain["id"], "pickup", ends.isoformat(), "--json"))
    assert "manufacture" in run("replans", made["id"])
    run("replans", made["id"], login="authority-admin", status=2)
    chosen = run("choose", made["id"], "1", "--reason", "the van broke down")
    assert "waits for" in chosen
    other = next(n for n in made["options"][0]["needs"] if "hospital" not in n)
    login = {p.organisation: p.login for p in site.people if p.roles}[other]
    seen = json.loads(run("accept", made["id"], "--json", login=login))
    assert other in seen["accepted"]
    assert "declined" in run("decline", made["id"], "--reason", "not needed")
    assert made["id"] in run("replans")
    assert "needs CHAIN LINK AT" in run("replan", "late", "x", status=2)
