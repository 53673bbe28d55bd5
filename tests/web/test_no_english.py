"""No English on a Swedish or a Spanish page, but for what is data and says that it is.

The pages are opened as people open them, over the demo's data. What is read is each visible text
and each label that a screen reader speaks, outside of what is marked to be in another language
(WCAG 2.2, 3.1.2): a text of the English words files, or one with an English function word, fails.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from playwright.sync_api import Page

from carried_ import send, travelling
from english_ import english
from learned_ import CLINIC, bring, made
from site_ import Site
from stafett.client.care import care, carers
from stafett.insight.chapters import NAMES as CHAPTERS
from stafett.journey.command import Actor
from stafett.journey.script import REFUSE, Fault
from stafett.service.deviations import Line
from told_ import report, wait_for
from web_hands import net_of
from web_walk import ended, submit

pytestmark = [pytest.mark.browser]


# What goes wrong on the way of a journey each; the first is taken care of until it is closed.
FAULTS = {
    "breyanzi": Fault("BROKEN_SEAL"),
    "tecartus": Fault(REFUSE, activity="H01"),
    "kymriah": Fault("OOS_RESULT"),
}


@pytest.fixture(scope="module")
def journey(site: Site) -> str:
    """Bring a journey to the courier, with a temperature curve and a deviation that is told of."""
    made, logger, since = travelling(site)
    time.sleep(max(since + 3 - time.time(), 0))  # nothing is read before it was measured
    send(site, logger, [-152.0 + 0.1 * n for n in range(12)], since + 0.1)
    report(site, made, "TEMP_EXCURSION")
    return made


@pytest.fixture(scope="module")
def played(site: Site) -> list[str]:
    """Carry journeys to their end, each with its fault; return the pages that tell of them."""
    journeys = [ended(site, fault, product=product) for product, fault in FAULTS.items()]
    closed(site, journeys[0])
    return [path for it in journeys for path in (f"/journeys/{it}", f"/deviations/{it}/D1")]


def closed(site: Site, journey: str) -> None:
    """Do what people do about the deviation of a journey, until it is closed."""
    net, chance = net_of(site, journey), random.Random(1)
    for _ in range(20):
        answer = site.call(CLINIC, "GET", "/api/deviations")
        lines = msgspec.json.decode(answer.content, type=list[Line])
        line = next(one for one in lines if one.journey == journey)
        if line.stage == "closed":
            return
        by = next(p for p in site.people if carers(net, line)[0] in p.roles)
        actor = Actor(person=by.login, organisation=by.organisation, role=carers(net, line)[0])
        command = care(net, line, actor, datetime.now(UTC), chance)
        assert command is not None
        site.inside(submit(site, journey, command))
    raise AssertionError("the deviation was never closed")


@pytest.fixture(scope="module")
def learned(site: Site, played: list[str]) -> list[str]:
    """Learn from somebody's log and from the record; work out contracts, capital, a settlement."""
    log = bring(site)
    for chapter in CHAPTERS:
        made(site, chapter, log)
    pages = []
    for source in (log, "record"):
        pages.append(f"/learn?source={source}")
        pages += [f"/learn/{chapter}?source={source}" for chapter in CHAPTERS]
    pages.append("/learn/control?source=record&since=2026-01-01")  # being made when it is opened
    worked = [
        ("/design/contracts?after=bond", "/api/design/contracts/json"),
        ("/design/capital?system=spain", "/api/design/capital/json?system=spain"),
        ("/design/settlement", "/api/design/settlement/json"),
    ]
    for page, figures in worked:
        wait_for(lambda path=figures: site.call(CLINIC, "GET", path).status_code != 409, 120)
        pages.append(page)
    return pages


@pytest.fixture(scope="module")
def more(site: Site, journey: str) -> list[str]:
    """Make what no link leads to yet: labels, a drill, an invitation, the result of a design."""
    printed = {"identifier": "coi", "copies": 2}
    site.call(CLINIC, "POST", f"/api/journeys/{journey}/labels", json=printed)
    place = site.call(CLINIC, "GET", "/api/practice/places").json()[0]
    begin = {name: place[name] for name in ("protocol", "activity", "side")}
    drill = site.call(CLINIC, "POST", "/api/practice", json=begin).json()["id"]
    invited = site.inside(site.tower.signin.invite("treating-clinic-3"))
    wish = {"networks": ["sweden-tissue"], "replications": 2, "years": 0.25}
    run = site.call(CLINIC, "POST", "/api/design/runs", json=wish).json()["id"]
    for _ in range(300):
        if site.call(CLINIC, "GET", f"/api/design/runs/{run}").json()["state"] == "done":
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
            "/training", "/onboarding", "/peers", "/record", "/design",
            "/design/edit?from=sweden", "/design/contracts",
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
        page.wait_for_timeout(250)
        links += page.evaluate(
            """[...document.querySelectorAll("a[href^='/']")]
              .map((a) => a.getAttribute("href").split(/[?#]/)[0])"""
        )
        yield path


@pytest.mark.parametrize("language", ["sv", "es"])
def test_no_page_says_anything_in_english(
    site: Site,
    journey: str,
    more: list[str],
    played: list[str],
    learned: list[str],
    browser_of: Callable[..., Page],
    language: str,
) -> None:
    """Every text is in the page's language, or marked as of another, or a name."""
    names = {p.name for p in site.people} | {p.organisation for p in site.people}
    for chapter in CHAPTERS:
        made(site, chapter, f"record&language={language}")  # which names its groups
    wrong: dict[str, list[str]] = {}
    seen = 0
    for login, todo in paths(journey, *more, *played, *learned).items():
        page = browser_of(login)
        page.goto(f"/board?language={language}")
        for path in visited(page, todo):
            seen += 1
            if found := english(page, language, names):
                wrong[path] = found
    print(f"pages read: {seen}")
    for path, found in wrong.items():
        print(path, *found, sep="\n    ")
    assert seen >= 85
    assert wrong == {}
