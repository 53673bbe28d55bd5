"""No English on a Swedish or a Spanish page, but for what is data and says that it is.

The pages are opened as people open them, over the demo's data. What is read is each visible text
and each label that a screen reader speaks, outside of what is marked to be in another language
(WCAG 2.2, 3.1.2): a text of the English words files, or one with an English function word, fails.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from english_ import english
from site_ import Site
from stafett.journey.label import Labels
from told_ import report
from web_walk import walk

pytestmark = [pytest.mark.browser]


@pytest.fixture(scope="module")
def journey(site: Site) -> str:
    """Bring a journey to the middle of a handoff, with a deviation that somebody is told of."""
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    made = site.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
    site.inside(walk(site, made, labels, ("H08", "accept")))
    report(site, made, "TEMP_EXCURSION")
    return made


@pytest.fixture(scope="module")
def more(site: Site, journey: str) -> list[str]:
    """Make what no link leads to yet: labels, a drill, an invitation, the result of a design."""
    clinic = "treating-clinic-1"
    printed = {"identifier": "coi", "copies": 2}
    site.call(clinic, "POST", f"/api/journeys/{journey}/labels", json=printed)
    place = site.call(clinic, "GET", "/api/practice/places").json()[0]
    begin = {name: place[name] for name in ("protocol", "activity", "side")}
    drill = site.call(clinic, "POST", "/api/practice", json=begin).json()["id"]
    invited = site.inside(site.tower.signin.invite("treating-clinic-3"))
    wish = {"networks": ["sweden-tissue"], "replications": 2, "years": 0.25}
    run = site.call(clinic, "POST", "/api/design/runs", json=wish).json()["id"]
    for _ in range(300):
        if site.call(clinic, "GET", f"/api/design/runs/{run}").json()["state"] == "done":
            break
        time.sleep(0.1)
    return [f"/practice/{drill}", f"/welcome/{invited}", f"/design/runs/{run}"]


def paths(journey: str, *more: str) -> dict[str, list[str]]:
    """Return the pages that each person opens; what they link to is found on the way."""
    return {
        "treating-clinic-1": [
            "/board", "/tasks", "/alerts", "/alert-load", "/deviations", "/shipments", "/ownership",
            "/shipments/*", "/forecasts", *more, "/learn/trials",
            "/order", "/capacity", "/capacity/waiting", "/capacity/replans", "/learn", "/account",
            "/training", "/onboarding", "/peers", "/record", "/design", "/design/contracts",
            "/design/capital", "/design/settlement", f"/journeys/{journey}",
            f"/journeys/{journey}/accountability", f"/journeys/{journey}/labels",
            f"/journeys/{journey}/release", f"/deviations/{journey}/*", "/capacity/*",
            "/capacity/replans/*", "/training/*",
        ],
        "courier-1": [f"/journeys/{journey}/H08/accept", "/tasks", "/loggers", "/scanner"],
        "administrator": [
            "/admin/people", "/admin/people/*", "/admin/competence", "/admin/sites",
            "/admin/organisations", "/admin/protocols", "/admin/providers", "/admin/keys",
            "/audit/changes", "/audit/readings", "/traceability", "/exchange/letters",
            "/registry", "/registry/trials", "/registry/trials/*", "/registry/match",
            "/registry/adoption", "/registry/adoption/*", "/registry/sites", "/registry/sites/*",
            "/registry/system", "/registry/keep", "/registry/requirements",
        ],
    }  # fmt: skip


def visited(page: Page, todo: list[str]) -> Iterator[str]:
    """Open each page; where an address ends in `*`, the first that the pages before link to."""
    links: list[str] = []
    for path in todo:
        if path.endswith("*"):
            stem = path.removesuffix("*")
            path = next((u for u in links if u.startswith(stem) and u not in todo), "")
            if not path:
                continue
        answer = page.goto(path)
        if answer is None or answer.status != 200:
            continue
        page.wait_for_timeout(350)
        links += page.evaluate(
            """[...document.querySelectorAll("a[href^='/']")]
              .map((a) => a.getAttribute("href").split(/[?#]/)[0])"""
        )
        yield path


@pytest.mark.parametrize("language", ["sv", "es"])
def test_no_page_says_anything_in_english(
    site: Site, journey: str, more: list[str], browser_of: Callable[..., Page], language: str
) -> None:
    """Every text is in the page's language, or marked as of another, or a name."""
    names = {p.name for p in site.people} | {p.organisation for p in site.people}
    wrong: dict[str, list[str]] = {}
    seen = 0
    for login, todo in paths(journey, *more).items():
        page = browser_of(login)
        page.goto(f"/board?language={language}")
        for path in visited(page, todo):
            seen += 1
            if found := english(page, language, names):
                wrong[path] = found
    print(f"pages read: {seen}")
    for path, found in wrong.items():
        print(path, *found, sep="\n    ")
    assert seen >= 60
    assert wrong == {}
