"""Learn: pages made in the background, downloads, foreign logs, trials; nobody sees another's."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page, expect

from learned_ import CLINIC, PATIENCE_S, bring, made, small_log
from site_ import PROTOCOL, Site
from stafett.protocol.model import text
from web_walk import ended

COURIER = "courier-1"

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def source(site: Site) -> str:
    """Return the source of a foreign log that the clinic has brought."""
    return bring(site)


def test_a_chapter_is_made_and_its_figures_go_out(site: Site, source: str) -> None:
    """Each figure has n, period, a sentence, a picture that parses and its data."""
    found = made(site, "interfaces", source)
    assert {"interfaces", "heat-map", "flow"} <= {f["key"] for f in found["figures"]}
    for figure in found["figures"]:
        assert re.match(r"n = [\d,]+ \w+, \d+ \w+ 2026", figure["basis"])
        svg = site.call(CLINIC, "GET", figure["svg"])
        assert svg.headers["content-type"] == "image/svg+xml"
        assert ElementTree.fromstring(svg.content).tag.endswith("svg")
        data = site.call(CLINIC, "GET", figure["csv"])
        assert data.headers["content-type"].startswith("text/csv")
        assert len(data.text.splitlines()) > 1


def test_the_layers_split_what_is_asked_for(site: Site, source: str) -> None:
    """Another outcome is another study; what the log does not hold is said; nonsense is refused."""
    for outcome, words in (
        ("step_duration", "is not in this log: no step of it has both"),
        ("viability", "no column of it is called viability"),
        ("dwell", "Not in this log, so no part of the split: operator"),
    ):
        found = made(site, "layers", f"{source}&outcome={outcome}")
        assert any(words in note for note in found["notes"]), found["notes"]
    found = made(site, "layers", f"{source}&language=sv")
    assert "Av variationen i" in found["figures"][0]["sentence"]
    assert any("Finns inte i den här loggen" in note for note in found["notes"])
    answer = site.call(CLINIC, "GET", f"/api/learn/chapters/layers?source={source}&outcome=luck")
    assert answer.status_code == 422


def test_a_foreign_log_is_its_organisations_own(site: Site, source: str) -> None:
    """Another organisation neither lists it nor learns from it, nor takes it away."""
    assert site.call(COURIER, "GET", "/api/learn/logs").json() == []
    found = made(site, "interfaces", source, COURIER)
    assert "no such log" in found["problem"] and found["figures"] == []
    log = source.partition(":")[2]
    answer = site.call(COURIER, "DELETE", f"/api/learn/logs/{log}", headers={"X-Stafett": "1"})
    assert answer.status_code in (403, 404)
    assert log in [one["id"] for one in site.call(CLINIC, "GET", "/api/learn/logs").json()]


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"case,activity\n1,a\n", "x.csv", "no column is recognised as the time"),
        (small_log() + b"\nc99,make,yesterday,factory\n", "x.csv", "row 122"),
        (b"", "x.csv", ""),
        (b"\x00\x01", "x.bin", "does not tell the format"),
    ],
)
def test_a_log_that_cannot_be_read_is_refused_in_words(
    site: Site, data: bytes, name: str, words: str
) -> None:
    """The refusal names the row or the lack, and nothing is kept."""
    before = len(site.call(CLINIC, "GET", "/api/learn/logs").json())
    answer = site.call(
        CLINIC, "POST", f"/api/learn/logs?name={name}", content=data,
        headers={"Content-Type": "application/octet-stream"},
    )  # fmt: skip
    assert answer.status_code == 422
    assert answer.json()["reasons"] and words in answer.text
    assert len(site.call(CLINIC, "GET", "/api/learn/logs").json()) == before


@pytest.mark.parametrize(
    ("query", "field"),
    [("source=elsewhere", "source"), ("source=log:../../x", "source"),
     ("protocol=nope", "protocol"),
     ("since=2026-02-02&until=2026-01-01", "since"), ("since=soon", "since")],
)  # fmt: skip
def test_an_address_that_cannot_be_shown_says_why(site: Site, query: str, field: str) -> None:
    """The refusal names the field."""
    answer = site.call(CLINIC, "GET", f"/api/learn/progress?{query}")
    assert answer.status_code == 422 and answer.json()["reasons"][0]["field"] == field


def test_a_trial_is_registered_seen_by_its_partners_and_ended_once(site: Site) -> None:
    """Who registered it and when is kept; a partner sees it; others don't; it ends once."""
    wish = {
        "interface": "H08", "change": "papers go ahead of the bag", "outcome": "dwell",
        "expected": -20, "starts": {"university-hospital": "2027-01-10"},
        "partners": ["nordic-cryo-courier"],
    }  # fmt: skip
    answer = site.call(CLINIC, "POST", "/api/learn/trials", json=wish)
    assert answer.status_code == 201, answer.text
    trial = answer.json()
    assert trial["registered_by"] == CLINIC and trial["organisation"] == "university-hospital"

    def seen(login: str) -> bool:
        found = site.call(login, "GET", "/api/learn/trials").json()
        return trial["id"] in {one["id"] for one in found}

    assert seen(CLINIC) and seen(COURIER) and not seen("qualified-person-1")
    path = f"/api/learn/trials/{trial['id']}/end"
    assert site.call(COURIER, "POST", path, json={"why": "no"}).status_code in (403, 404, 422)
    assert site.call(CLINIC, "POST", path, json={"why": "kept for good"}).status_code == 204
    assert site.call(CLINIC, "POST", path, json={"why": "again"}).status_code == 404
    bad = site.call(CLINIC, "POST", "/api/learn/trials", json={**wish, "expected": 0})
    assert bad.status_code == 422 and bad.json()["reasons"][0]["field"] == "expected"


def test_the_record_teaches_only_from_ones_own_journeys(site: Site) -> None:
    """Who takes part in nothing is told so in words; who does gets their journeys."""
    site.order()
    found = made(site, "feedback", "record", "qualified-person-1")
    assert not found["figures"] or "n = " in found["figures"][0]["basis"]
    mine = made(site, "process", "record")
    assert mine["figures"] or mine["notes"] or mine["problem"]


def test_groups_of_the_record_are_shown_by_name(site: Site) -> None:
    """Not by the identifiers of organisations and roles, and in the reader's language."""
    ended(site)
    told: dict[str, str] = {}
    for language in ("en", "sv"):
        end = time.monotonic() + PATIENCE_S
        path = f"/api/learn/chapters/interfaces?source=record&language={language}"
        while not (answer := site.call(CLINIC, "GET", path).json())["ready"]:
            assert time.monotonic() < end and not answer["problem"], answer
            time.sleep(0.2)
        told[language] = " ".join(f["sentence"] for f in answer["figures"]) + str(answer["notes"])
    roles = site.tower.library.current()[PROTOCOL].document.bind().roles
    for language, words in told.items():
        titles = [text(role.title, language) for role in roles.values()]
        assert any(f"Norra universitetssjukhuset / {title}" in words for title in titles), words
        assert not any(f"/ {name}" in words for name in roles if "_" in name), words
    assert told["en"] != told["sv"]
    pages = [site.call(CLINIC, "GET", f"/learn/interfaces?source={source}", headers=HTML).text
             for source in ("record", "simulated:sweden")]  # fmt: skip
    assert ['note">This record was played faster' in page for page in pages] == [True, False]


@pytest.mark.browser
def test_the_pages_fill_by_themselves(
    site: Site, browser_of: Callable[..., Page], source: str, shoot: Any
) -> None:
    """The overview says what is being made and then shows it; filters stand in the address."""
    page = browser_of(CLINIC)
    page.goto(f"/learn?source={source}")
    expect(page.locator(".learn-short li").first).to_be_visible(timeout=PATIENCE_S * 1000)
    page.goto(f"/learn/interfaces?source={source}&since=2026-01-05")
    expect(page.locator("#interfaces svg")).to_be_visible(timeout=PATIENCE_S * 1000)
    expect(page.locator("#since")).to_have_value("2026-01-05")
    with page.expect_download() as download:
        page.locator("#interfaces a[download]").first.click()
    assert download.value.suggested_filename == "interfaces.svg"
    shoot(page, "learn-interfaces")
    page.goto("/learn?source=record")
    expect(page.locator("h1")).to_be_visible()
    page.goto("/learn/trials?source=record")
    expect(page.locator("#trial")).to_be_visible()
    narrow = browser_of(CLINIC, "sv", 320)
    narrow.goto(f"/learn/interfaces?source={source}")
    expect(narrow.locator("#interfaces svg")).to_be_visible(timeout=PATIENCE_S * 1000)
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 320
    shoot(narrow, "learn-320")
