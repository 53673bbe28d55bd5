"""Every page of every area: axe finds nothing, it fits any screen, it is light.

The list is made from the areas' own routes: a page that is added is tested, or the test says that
it does not know how to get there.
"""

from __future__ import annotations

import contextlib
import random
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Locator, Page, Request, expect
from starlette.routing import Route

from axe_ import violations
from site_ import Site
from stafett.journey.label import Labels
from stafett.journey.script import check_of, right_answer
from stafett.journey.view import Station, StationCheck
from stafett.protocol.net import Net
from stafett.service import demo
from stafett.web.areas import AREAS
from stafett.web.language import words
from web_hands import Under, net_of, view_of
from web_walk import walk

pytestmark = [pytest.mark.browser]

PEOPLE = ("treating-clinic-1", "administrator", "courier-1")
# Not pages: what answers with a script, a file, a redirect, or needs a secret of its own.
NOT_PAGES = re.compile(
    r"^/(worker\.js|welcome/|sign-in/(with/|from/|back)|sign-out|\.well-known/)|/embed"
)
# What the heaviest page (the studio) carries is 45 kB; the aim is 300.
LIMIT_BYTES = 60_000


def routes() -> list[Route]:
    """Return the routes of every area that a browser can ask for a page."""
    found = [r for area in AREAS for r in area.routes if isinstance(r, Route)]
    return [
        r for r in found if "GET" in (r.methods or ()) and not NOT_PAGES.search(r.path)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def journey(site: Site) -> str:
    """Bring a journey to where two organisations are in the middle of a handoff."""
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    made = site.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
    site.inside(walk(site, made, labels, ("H08", "accept")))
    return made


@pytest.fixture
def people(browser_of: Callable[..., Page]) -> dict[str, Page]:
    """Give a browser to each person the pages may be for.

    It has no service worker: what comes through one is counted as before it was compressed.
    """
    return {login: browser_of(login) for login in PEOPLE}


def settle(page: Page, asked: set[Request]) -> None:
    """Wait until the page's scripts have what they asked for, and have drawn it."""
    quiet = 0
    for _ in range(40):
        page.wait_for_timeout(50)
        quiet = 0 if asked else quiet + 1
        if quiet == 3:
            return


def listen(page: Page) -> set[Request]:
    """Return the page's requests that wait for an answer: a stream never has all of it."""
    asked: set[Request] = set()

    def begun(request: Request) -> None:
        if request.resource_type != "eventsource":
            asked.add(request)

    def answered(request: Request) -> None:
        asked.discard(request)

    page.on("request", begun)
    page.on("requestfinished", answered)
    page.on("requestfailed", answered)
    return asked


def weigh(page: Page) -> int:
    """Return the compressed bytes of the page and what it loads: data and charts excluded."""
    return int(
        page.evaluate(
            """() => performance.getEntries()
              .filter((e) => ["navigation", "resource"].includes(e.entryType))
              .filter((e) => !new URL(e.name).pathname.startsWith("/api/"))
              .reduce((sum, e) => sum + e.encodedBodySize, 0)"""
        )
    )


# Red and amber never stand alone: what is so marked says a word, a row of such an urgency a tag of
# it or a sign. Returns what does not.
COLOURED = """() => {
  const seen = (e) => e.checkVisibility() && e.getBoundingClientRect().height > 0;
  const word = /\\p{L}{2,}/u, sign = /[✖✗⚠◷▲⚑?■]/u;
  const mute = [...document.querySelectorAll(
    ".tag.red, .tag.amber, .tag.blue, .note.red, .note.amber, .held:not([data-state=none])")]
    .filter((e) => seen(e) && !word.test(e.textContent));
  const rows = [...document.querySelectorAll("tr[data-act=red], tr[data-act=amber]")]
    .filter((e) => seen(e) && !e.querySelector(".tag") && !sign.test(e.textContent));
  return [...mute, ...rows].map((e) => e.outerHTML.slice(0, 160));
}"""


# One `h1`, and no level left out: a screen reader's list of headings is the table of contents.
HEADINGS = """() => {
  const seen = [...document.querySelectorAll("h1, h2, h3, h4, h5")]
    .filter((e) => e.checkVisibility());
  const levels = seen.map((e) => Number(e.tagName[1]));
  const jumps = seen.filter((e, i) => i && levels[i] > levels[i - 1] + 1)
    .map((e) => e.outerHTML.slice(0, 120));
  const tops = levels.filter((n) => n === 1).length;
  return tops === 1 ? jumps : [`${tops} h1`, ...jumps];
}"""


# Who opens a page sees in the menu where it stands: the line itself, or the group that holds it.
UNPLACED = """(here) => {
  const lines = [...document.querySelectorAll("#menu a")];
  const line = lines.find((a) => a.getAttribute("href") === here);
  const group = line?.closest("details");
  const shown = group ? group.querySelector("summary.here") : line?.matches("[aria-current=page]");
  return line && !shown ? [line.outerHTML] : [];
}"""


# A message that a script asks for and did not get stands there as its key.
TEXTS = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode())
    if (!walker.currentNode.parentElement.closest("script, style"))
      texts.push(...walker.currentNode.data.split(/[\\s:;,()]+/));
  for (const e of document.querySelectorAll("[aria-label], [title], [placeholder]"))
    for (const name of ["aria-label", "title", "placeholder"]) texts.push(e.getAttribute(name));
  return [...new Set(texts.filter(Boolean))];
}"""


# What has a name is called by it; its identifier stands beside it as such (`.mono`), or in code.
NAMED = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode())
    if (!walker.currentNode.parentElement.closest("script, style, .mono, pre, code, svg"))
      texts.push(...walker.currentNode.data.split(/[\\s:;,()·→]+/));
  return [...new Set(texts.filter(Boolean))];
}"""


def faults(page: Page, path: str, ids: set[str]) -> list[str]:
    """Return what is wrong with the page that is open."""
    found = []
    for violation in violations(page):
        nodes = "; ".join(node["html"][:160] for node in violation["nodes"][:3])
        found.append(f"{path}: {violation['id']}: {violation['help']}: {nodes}")
    found += [f"{path}: colour alone: {html}" for html in page.evaluate(COLOURED)]
    found += [f"{path}: nowhere in the menu: {html}" for html in page.evaluate(UNPLACED, path)]
    found += [f"{path}: headings: {jump}" for jump in page.evaluate(HEADINGS)]
    keys = {text for text in page.evaluate(TEXTS) if "." in text} & set(words("en"))
    bare = set(page.evaluate(NAMED)) & ids
    found += [f"{path}: an identifier instead of its name: {id}" for id in sorted(bare)]
    found += [f"{path}: a key instead of its message: {key}" for key in sorted(keys)]
    for width in (320, 3840):
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            found.append(f"{path}: {wide} pixels too wide at {width}")
    page.set_viewport_size({"width": 1280, "height": 900})
    weight = weigh(page)
    if weight > LIMIT_BYTES:
        found.append(f"{path}: {weight} bytes")
    return found


def test_a_page_that_is_wrong_is_told(chromium: Browser) -> None:
    """A picture without words, a page without language, the one pale cell of a long table."""
    page = chromium.new_page()
    page.set_content("<main><img src='/x.png'></main>")
    assert {"image-alt", "html-has-lang"} <= {v["id"] for v in violations(page)}
    cells = "".join(f"<tr><td>row {n}</td></tr>" for n in range(60))
    for pale in ("td { color: #aaa }", "tr:nth-child(30) { background: #555 }"):
        page.set_content(f"<style>{pale}</style><main><table>{cells}</table></main>")
        assert "color-contrast" in {v["id"] for v in violations(page)}, pale
    page.close()


def test_every_page_is_accessible_fits_and_is_light(
    site: Site, journey: str, people: dict[str, Page], shoot: Any
) -> None:
    """WCAG 2.2 AA by axe; no sideways scrolling at 320 px and on a 4K wall; below 60 kB."""
    named = {*site.inside(site.tower.accounts.organisations()), *(p.id for p in site.people)}
    for pinned in site.tower.library.current().values():
        named |= set(pinned.document.bind().roles)
    named |= set(site.tower.library.current()) - {"tissue-engineered"}  # the word, too
    ids = {id for id in named if "-" in id or "_" in id}  # "courier" is a word, too
    todo = {r.path: r for r in routes()}
    filled = {"journey": journey, "activity": "H08", "side": "accept", "lot": "none"}
    links: set[str] = set()
    wrong: list[str] = []
    visited: dict[str, str] = {}
    asked = {login: listen(page) for login, page in people.items()}
    for round_ in range(3):
        for template, route in list(todo.items()):
            path = _address(route, filled, links)
            if path is None:
                continue
            opened = _open(people, asked, path)
            if opened is None:
                if round_ == 2:
                    wrong.append(f"{template}: {path} opens for nobody")
                continue
            del todo[template]
            visited[template] = path
            page, is_page = opened
            if not is_page:
                continue
            links |= set(
                page.evaluate(
                    """[...document.querySelectorAll("a[href^='/']")]
                      .map((a) => a.getAttribute("href").split(/[?#]/)[0])"""
                )
            )
            wrong += faults(page, path, ids)
            name = re.sub(r"\W+", "-", template).strip("-") or "front"
            shoot(page, f"page-{name}")
    print("pages seen:", len(visited), *wrong, sep="\n")
    assert wrong == []
    # What nothing links to in this small site; its own area's tests open it.
    lonely = sorted(todo)
    print("pages seen:", len(visited), "no link led to:", lonely)
    assert len(visited) >= 15
    assert all("{" in path for path in lonely), lonely


def _address(route: Route, filled: dict[str, str], links: set[str]) -> str | None:
    if not route.param_convertors:
        return route.path
    for link in sorted(links):
        if route.path_regex.fullmatch(link):
            return link
    if set(route.param_convertors) <= set(filled):
        return route.path.format(**filled)
    return None


def _open(
    people: dict[str, Page], asked: dict[str, set[Request]], path: str
) -> tuple[Page, bool] | None:
    """Open `path` for the first person who may; say whether it is a page."""
    for login, page in people.items():
        head = page.request.get(path, headers={"Accept": "text/html"}, max_redirects=0)
        if head.status in (303, 307):
            return page, False
        if head.status != 200:
            continue
        if "text/html" not in head.headers.get("content-type", ""):
            return page, False
        # A page that looks again by itself must not cut the next one off. (A blank page would be
        # another process, and the next one another again.)
        with contextlib.suppress(Error):
            page.goto("/static/stafett.svg")
        page.goto(path)
        settle(page, asked[login])
        return page, True
    return None


def test_a_handoff_is_received_with_the_keyboard_alone(
    site: Site, brought_to: Callable[[str, str], Under], browser_of: Callable[..., Page]
) -> None:
    """From the list to the signature: Tab, Enter and a scanner's typing, no pointer."""
    under = brought_to("H08", "accept")
    page = browser_of("courier-2")
    page.goto("/tasks")
    link = page.get_by_role("row").filter(has_text=under.journey).get_by_role("link")
    link.wait_for()
    _tab_to(page, link)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/H08/accept"))
    net = net_of(site, under.journey)
    while (view := view_of(site, "courier-2", under.journey, "H08", "accept")).next is not None:
        check = next(c for c in view.checks if c.id == view.next)
        expect(page.locator(".ask").first).to_have_text(check.ask)
        _answer(page, net, view, check, under.labels)
        expect(page.locator(f"#station:not([data-check={check.id}])")).to_have_count(1)
    expect(page.locator("#password")).to_be_focused()
    page.keyboard.type(demo.PASSWORD)
    _tab_to(page, page.locator("[data-option=accept]"))
    page.keyboard.press("Enter")
    expect(page.locator("#station")).to_contain_text("This is done")


def _answer(page: Page, net: Net, view: Station, check: StationCheck, labels: Labels) -> None:
    right = right_answer(net, check_of(net, view, check.id), check, labels, datetime.now(UTC))
    if check.kind == "choice":
        title = next(o.title for o in check.choices if o.id == right)
        _tab_to(page, page.locator(".choices button").get_by_text(title, exact=True))
    else:
        expect(page.locator("[data-first]")).to_be_focused()
        page.keyboard.type(str(right))
    page.keyboard.press("Enter")


def _tab_to(page: Page, where: Locator) -> None:
    for _ in range(80):
        if where.evaluate("(e) => e === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError("the keyboard does not lead there")
