"""Real browsers for the pages, journeys brought to where a test wants them, an EPCIS server."""

from __future__ import annotations

import contextlib
import os
import random
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from starlette.applications import Starlette
from starlette.routing import Mount

from browser_ import CHROMIUM, Shared
from epcis_ import who
from site_ import Site
from stafett.exchange.epcis_store import EpcisStore
from stafett.journey.label import Labels
from stafett.service import demo
from stafett.web.epcis import epcis_app
from web_hands import NURSE, Under
from web_walk import walk

SCREENSHOTS = Path(__file__).resolve().parents[2] / "screenshots"


@pytest.fixture(scope="session")
def shared_chromium() -> Iterator[Shared]:
    """Start what drives Chromium, headless; say plainly when there is none."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not here: the browser tests were not run")
    with contextlib.closing(Shared()) as shared:
        yield shared


@pytest.fixture(scope="module")
def chromium(shared_chromium: Shared) -> Iterator[Browser]:
    """Lend Chromium to a module."""
    with shared_chromium.lent() as browser:
        yield browser


# An assertion that a page must come to waits as long as a machine with other work may need.
expect.set_options(timeout=60_000)


@contextlib.contextmanager
def browsers(
    chromium: Browser, site: Site, worker: Literal["allow", "block"] = "block"
) -> Iterator[Callable[..., Page]]:
    """Open browsers until the block ends; any script error in one fails then.

    `worker`: whether the service worker may stand between pages and server. To begin, it fetches
    every file there is for use offline: a third of what a browser costs that opens a page or two.
    """
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_for(
        login: str, language: str = "en", width: int = 1280, base: str | None = None
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            locale=language,
            base_url=base or site.base,
            service_workers=worker,
        )
        context.set_default_timeout(60_000)
        contexts.append(context)
        signed_in = context.request.post(
            "/sign-in",
            form={"login": login, "password": demo.PASSWORD},
            headers={"Origin": base or site.base},
            max_redirects=0,
        )
        assert (signed_in.status, signed_in.headers["location"]) == (303, "/board")
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield open_for
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def browser_of(chromium: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """Give each person a browser of their own, signed in; any script error fails the test.

    It shows no page yet: the form of the sign-in is what other tests are about.
    """
    with browsers(chromium, site) as open_for:
        yield open_for


@pytest.fixture(scope="module")
def page_of(chromium: Browser, site: Site) -> Iterator[Callable[[str], Page]]:
    """Give each person one browser for all tests of a module, as a station has one for all day.

    The clinic's has its service worker, as in `test_offline.py`. The others' have none: a fifth of
    what it takes to carry a journey by hand would go to what thirteen workers fetch and hand on.
    """
    with (
        browsers(chromium, site, worker="allow") as with_worker,
        browsers(chromium, site) as without,
    ):
        yield cache(lambda login: (with_worker if login == NURSE else without)(login))


@pytest.fixture
def brought_to(site: Site) -> Callable[[str, str], Under]:
    """Bring a new journey to where side `side` of `activity` is to be done."""

    def bring(activity: str, side: str) -> Under:
        labels = Labels(random.SystemRandom().randrange(1, 900_000))
        day = site.day()
        product = next(iter(day.nets))
        journey = site.order(labels.patient, coi=labels.coi, product=product, key=uuid.uuid4().hex)
        site.inside(walk(site, journey, labels, (activity, side)))
        return Under(journey, labels)

    return bring


@pytest.fixture
def shoot() -> Callable[[Page, str], None]:
    """Keep screenshots in a folder for a person to look at, where `make screenshots` asks for it.

    Nothing is held against them, and each costs as much as the page that it shows.
    """

    def keep(page: Page, name: str) -> None:
        if not os.environ.get("STAFETT_SCREENSHOTS"):
            return
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    return keep


@pytest.fixture
async def store(database: str, anyio_backend: str) -> AsyncIterator[EpcisStore]:
    """Open an event store on a fresh database."""
    async with EpcisStore(database) as opened:
        yield opened


@pytest.fixture
def app(store: EpcisStore) -> Starlette:
    """Mount the EPCIS interface below /epcis, as the control tower does."""
    return Starlette(routes=[Mount("/epcis", epcis_app(store, who))])


@pytest.fixture
async def http(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the EPCIS interface."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://s/epcis") as client:
        yield client
