"""Contracts, settlement and the capital map as pages, and their exports."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

import http_
from site_ import Site


def signed(site: Site, login: str) -> httpx.Client:
    """A client with a session of its own."""
    headers = {"Authorization": f"Bearer {site.token(login)}"}
    return httpx.Client(verify=http_.TLS, base_url=site.base, headers=headers, timeout=120)


def answered(client: httpx.Client, path: str) -> httpx.Response:
    """Ask until it is worked out."""
    for _ in range(240):
        found = client.get(path)
        if found.status_code != 409:
            break
        time.sleep(0.5)
    return found


def test_contracts_are_exported_and_wrong_figures_are_said(site: Site) -> None:
    """PDF, CSV, JSON, SVG; a value out of range and an unknown form are told, not guessed."""
    client = signed(site, "treating-clinic-1")
    heads = {"pdf": b"%PDF", "csv": b"contract,", "json": b"{", "svg": b"<svg"}
    for form, head in heads.items():
        found = answered(client, f"/api/design/contracts/{form}")
        assert found.status_code == 200 and found.content.startswith(head), form
    for language, word in {"sv": "Kontrakt", "es": "Contrato"}.items():
        drawn = client.get(f"/api/design/contracts/svg?language={language}")
        assert drawn.status_code == 200 and "Two-sided" not in drawn.text, word
    rich = answered(client, "/api/design/contracts/json?value=1000").json()
    assert rich["value"] == 1000 and rich["contracts"]["bond"]["equilibria"][0]["settled"]
    assert client.get("/api/design/contracts/json?value=-5").status_code == 422
    assert client.get("/api/design/contracts/cake").status_code == 404
    assert client.get("/design/contracts?after=magic").status_code == 422
    assert http_.get(f"{site.base}/api/design/contracts/json").status_code == 401


def test_a_map_is_simulated_once_and_sliders_move_it(site: Site) -> None:
    """409 until it is there; public money moves every category to the right."""
    client = signed(site, "treating-clinic-1")
    found = answered(client, "/api/design/capital/json?system=spain")
    alone = found.json()
    public = client.get("/api/design/capital/json?system=spain&public=60").json()
    assert len(alone["map"]) == 8
    for a, b in zip(alone["map"], public["map"], strict=True):
        assert a["criticality"] == b["criticality"]
        assert b["fundability"]["mean"] >= a["fundability"]["mean"]
    for form, head in {"pdf": b"%PDF", "csv": b"system,", "svg": b"<svg"}.items():
        assert client.get(f"/api/design/capital/{form}?system=spain").content.startswith(head)
    assert client.get("/api/design/capital/json?system=atlantis").status_code == 422
    assert client.get("/api/design/capital/json?system=spain&public=150").status_code == 422


def test_a_statement_is_of_the_record_up_to_an_entry_and_of_the_own_organisation(
    site: Site,
) -> None:
    """With nothing closed it says so; the contract is chosen; a wrong one is told."""
    client = signed(site, "treating-clinic-1")
    page = client.get("/design/settlement")
    assert page.status_code == 303 and "position=" in page.headers["location"]
    none = answered(client, "/api/design/settlement/json?contract=penalties&rate=10")
    assert none.status_code == 422 and none.json()["reasons"][0]["what"]
    assert client.get("/api/design/settlement/json?contract=magic").status_code == 422
    assert client.get("/api/design/settlement/json?position=999999999").status_code == 422
    assert http_.get(f"{site.base}/api/design/settlement/json").status_code == 401


@pytest.mark.browser
def test_the_pages_in_three_languages_and_on_a_phone(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Choose a contract, see who gains; the map with its sliders; the own statement."""
    page = browser_of("treating-clinic-1")
    page.goto("/design/contracts")
    page.locator("[name=after]").select_option("integrator")
    page.locator(".incentives-form button").click()
    page.wait_for_url("**after=integrator**")
    page.locator(".design-exports").wait_for(timeout=120_000)
    assert "One accountable integrator" in page.locator("main").inner_text()
    shoot(page, "contracts")
    page.goto("/design/capital?system=spain")
    page.locator(".design-exports").wait_for(timeout=120_000)
    assert page.locator("svg").count() >= 1
    shoot(page, "capital")
    page.goto("/design/settlement")
    assert page.locator("h1").count() == 1
    page.get_by_text("Being worked out").wait_for(state="detached", timeout=120_000)
    shoot(page, "settlement")
    for path in (page.url, "/design/contracts?after=bond"):
        page.goto(path)
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [v["id"] for v in found] == [], path
    page.set_viewport_size({"width": 320, "height": 800})
    for path, word in (
        ("/design/contracts?language=sv", "Avtal"),
        ("/design/capital?system=spain&language=es", "Mapa de capital"),
        ("/design/settlement?language=sv", "Avräkning"),
    ):
        page.goto(path)
        assert word in page.locator("h1").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        shoot(page, "incentives-320-" + word.split()[0])


def test_the_answer_comes_into_the_page_and_leaves_the_form_alone(
    site: Site, browser_of: Callable[..., Page]
) -> None:
    """Told by the stream, never asked; what is typed meanwhile stays, and it is said once."""
    page = browser_of("treating-clinic-1")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("/api/")[2]))
    page.goto("/design/contracts?value=611")
    runs = page.locator("#answer").get_attribute("data-runs")
    page.locator("[name=value]").fill("612")
    page.locator(".design-exports").wait_for(timeout=120_000)
    expect(page.locator("[name=value]")).to_have_value("612")
    expect(page.locator("[name=value]")).to_be_focused()
    expect(page.locator("#state")).to_have_text("Worked out.")
    steps = [path for path in asked if path.startswith("design/going")]
    assert steps == [f"design/going/{runs}/stream"]


def test_the_answer_comes_where_no_stream_does(site: Site, browser_of: Callable[..., Page]) -> None:
    """Behind a proxy that lets no stream through it is asked for; without scripts, looked again."""
    page = browser_of("treating-clinic-1")
    page.route("**/stream", lambda route: route.abort())
    page.goto("/design/contracts?value=621")
    expect(page.locator("#live")).to_have_attribute("data-state", "lost")
    page.locator(".design-exports").wait_for(timeout=120_000)
    bare = signed(site, "treating-clinic-1").get("/design/contracts?value=622").text
    assert '<noscript><meta http-equiv="refresh"' in bare


def test_a_stream_that_broke_begins_where_it_stands(site: Site) -> None:
    """Each step holds all that is known; what belongs to others is not there."""
    client = signed(site, "treating-clinic-1")
    page = client.get("/design/settlement?position=1&contract=pool").text
    mine = re.search(r'data-runs="([^"]+)"', page)
    page = client.get("/design/contracts?value=631").text
    (runs,) = re.findall(r'data-runs="([^"]+)"', page)
    path = f"/api/design/going/{runs}"
    with client.stream("GET", f"{path}/stream") as answer:
        lines = answer.iter_lines()
        first = next(json.loads(line[6:]) for line in lines if line.startswith('data: {"going'))
    with client.stream("GET", f"{path}/stream") as answer:
        lines = list(answer.iter_lines())
    told = [json.loads(line[6:]) for line in lines if line.startswith('data: {"going')]
    done = [one["done"] for one in (first, *told)]
    assert done == sorted(done) and done[-1] == told[-1]["total"]
    assert [one["going"] for one in told][-1] is False
    assert client.get(path).json()["going"] is False
    assert signed(site, "courier-1").get(path).status_code == 200  # of the built-in game: nobody's
    assert client.get("/api/design/going/none").status_code == 404
    assert mine is not None
    assert client.get(f"/api/design/going/{mine[1]}").status_code == 200
    assert signed(site, "courier-1").get(f"/api/design/going/{mine[1]}").status_code == 404
