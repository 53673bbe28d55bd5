"""The board: nothing missed or doubled over a break, thousands of rows, a view in its address."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

import http_
from site_ import Site
from stafett.service.board import Board
from web_wire import Wire

ORGANISATION = "university-hospital"


def test_a_follower_who_looks_in_the_middle_of_a_batch_misses_nothing(site: Site) -> None:
    """A batch of many journeys is taken in while followers ask all the time."""
    for number in range(24):
        site.order(wristband=f"19500101-{number:04d}")

    async def check() -> None:
        events = await site.tower.ledger.read(0, 5000)
        board = Board(site.tower.ledger, site.tower.journeys)
        seen: list[tuple[str, int]] = []

        async def follow() -> None:
            async for rows in board.follow(0, ORGANISATION, 0.0005):
                seen.extend((row.journey, row.position) for row in rows or ())

        following = asyncio.create_task(follow())
        await asyncio.sleep(0)
        await board.apply(events)
        await asyncio.sleep(0.05)
        following.cancel()
        assert len(seen) >= 24
        assert dict(seen) == {row.journey: row.position for row in board.of(ORGANISATION)}
        assert len(seen) == len(set(seen))
        # Whoever comes back at any position gets exactly what is beyond it, in order.
        every = sorted(board.of(ORGANISATION), key=lambda row: row.position)
        for cut in range(0, events[-1].position + 1, 7):
            beyond = [row.position for row in every if row.position > cut]
            assert [row.position for row in board.since(cut, ORGANISATION)] == beyond

    site.inside(check())


@pytest.mark.browser
def test_the_stream_is_cut_and_no_change_is_missed_or_doubled(
    site: Site, chromium: object, browser_of: Callable[..., Page]
) -> None:
    """Orders before, during and after a break: each arrives once, and the break is visible."""
    wire = Wire(site.base)
    try:
        page = browser_of("treating-clinic-1", base=wire.base)
        page.goto("/board?show=all")
        expect(page.locator("#live")).to_have_attribute("data-state", "live")
        made = [site.order(wristband=f"19510101-{n:04d}") for n in range(5)]
        expect(page.locator("body")).to_have_attribute("data-received", "5")
        wire.set("cut")
        expect(page.locator("#live")).to_have_attribute("data-state", "lost")
        expect(page.locator("#live")).to_contain_text("last update")
        made += [site.order(wristband=f"19520101-{n:04d}") for n in range(5)]
        wire.set("gateway")  # a 502 makes a browser give up the stream: the page does not
        page.wait_for_timeout(1500)
        wire.set("through")
        expect(page.locator("#live")).to_have_attribute("data-state", "live", timeout=60_000)
        made += [site.order(wristband=f"19530101-{n:04d}") for n in range(5)]
        expect(page.locator("body")).to_have_attribute("data-received", "15", timeout=60_000)
        for journey in made:
            expect(page.locator(f'tr[data-journey="{journey}"]')).to_have_count(1)
    finally:
        wire.close()


@pytest.mark.browser
def test_the_order_is_by_time_to_harm_with_deviations_before_the_calm(
    site: Site, browser_of: Callable[..., Page]
) -> None:
    """Stopped, late, with a deviation or little time, calm, ended; the soonest first in each."""
    page = browser_of("treating-clinic-1")
    page.goto("/board")
    order = page.evaluate(
        """async () => {
          const { rank, before } = await import("/static/places.js");
          const now = Date.UTC(2026, 0, 1), hour = 3600e3;
          const row = (name, left, more) => ({ name, status: "open", critical: 0, deviations: 0,
            position: 1, since: new Date(now - 100 * hour).toISOString(),
            due: left === null ? null : new Date(now + left * hour).toISOString(), ...more });
          const rows = [
            row("ended", null, { status: "ended" }), row("young", null, { position: 9 }),
            row("old", null, { position: 2 }), row("calm", 200), row("calm but sooner", 150),
            row("deviation, no time", null, { deviations: 1 }),
            row("deviation", 300, { deviations: 1 }), row("soon", 2),
            row("late", -1), row("later", -5), row("held", 400, { status: "held" }),
            row("critical", 400, { critical: 2, deviations: 2 })];
          return rows.map((r) => [rank(r, now), r.name]).sort((a, b) => before(a[0], b[0]))
            .map(([, name]) => name);
        }"""
    )
    assert order == [
        *("critical", "held", "later", "late", "soon", "deviation", "deviation, no time"),
        *("calm but sooner", "calm", "old", "young", "ended"),
    ]


@pytest.mark.browser
def test_a_view_has_its_address_is_saved_and_exported(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """Search and filters stand in the address; a saved view leads back; the export is the view."""
    journey = site.order(wristband="19540101-0001")
    page = browser_of("treating-clinic-1")
    page.goto("/board")
    page.keyboard.press("/")
    page.keyboard.type(journey.lower())
    expect(page.locator("#board tbody tr")).to_have_count(1)
    assert f"q={journey.lower()}" in page.url
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator("#board tbody tr a").first).to_be_focused()
    with page.expect_download() as got:
        page.locator("#export").click()
    text = Path(got.value.path()).read_text("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["journey"] for line in lines] == [journey]
    page.goto("/board?show=mine")
    page.locator("#name").fill("Ours")
    page.locator("#save button").click()
    page.goto("/board")
    page.locator("#saved a").click()
    expect(page.locator("#show")).to_have_value("mine")
    # On another device it is there; with a patient's number in the search, that is left out.
    other = browser_of("treating-clinic-1")
    other.goto(f"/board?q={journey}&show=all")
    other.locator("#name").fill("All")
    other.locator("#save button").click()
    expect(other.locator("#saved a")).to_have_text(["All", "Ours"])
    expect(other.locator("#view-said")).to_contain_text("may name a patient")
    shoot(other, "board-saved-views")
    other.locator("#saved a").first.click()
    expect(other.locator("#q")).to_have_value("")
    other.get_by_role("button", name="Forget All").click()
    expect(other.locator("#saved a")).to_have_text(["Ours"])
    assert site.call("courier-1", "GET", "/api/board/views").json() == []
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("next and previous")


@pytest.mark.parametrize(
    ("name", "shows", "wrong"),
    [
        ("mine", {"q": "19121212-1212"}, "/q"),
        ("19121212", {}, "/name"),
        ("x" * 41, {}, "/name"),
        ("all", {"show": "everything"}, "/show"),
        ("all", {"colour": "red"}, "/colour"),
    ],
)
def test_a_view_that_says_too_much_or_nothing_is_refused(
    site: Site, name: str, shows: dict[str, str], wrong: str
) -> None:
    """A number that may be a patient's, a field or a value that the board does not have."""
    answer = site.call("courier-2", "PUT", f"/api/board/views/{name}", json=shows)
    assert answer.status_code == 422, answer.text
    assert answer.json()["reasons"][0]["field"].lstrip("/") == wrong.lstrip("/")
    assert site.call("courier-2", "GET", "/api/board/views").json() == []


def test_a_view_is_its_persons_own_and_there_are_not_too_many(site: Site) -> None:
    """Another person of the same organisation neither sees nor removes it; 24 are enough."""
    for number in range(24):
        path = f"/api/board/views/view {number}"
        assert site.call("courier-1", "PUT", path, json={"show": "act"}).status_code == 204
    assert site.call("courier-1", "PUT", "/api/board/views/one more", json={}).status_code == 409
    again = site.call("courier-1", "PUT", "/api/board/views/view 3", json={"show": "all"})
    assert again.status_code == 204
    assert site.call("courier-2", "GET", "/api/board/views").json() == []
    assert site.call("courier-2", "DELETE", "/api/board/views/view 3").status_code == 404
    found = site.call("courier-1", "GET", "/api/board/views").json()
    assert len(found) == 24
    assert {"name": "view 3", "shows": {"q": "", "show": "all", "at": "", "product": ""}} in found


def test_a_stream_goes_on_after_the_last_event_it_was_given(site: Site) -> None:
    """`Last-Event-ID`, which browsers send by themselves, wins over the address."""
    first = site.order(wristband="19550101-0001")
    position = site.call("treating-clinic-1", "GET", f"/api/journeys/{first}").json()["position"]
    second = site.order(wristband="19550101-0002")
    headers = {
        "Authorization": f"Bearer {site.token('treating-clinic-1')}",
        "Last-Event-ID": str(position),
    }
    with (
        httpx.Client(verify=http_.TLS, base_url=site.base, headers=headers, timeout=60) as client,
        client.stream("GET", "/api/stream", params={"after": 0}) as answer,
    ):
        given = (line for line in answer.iter_lines() if line.startswith(("id:", 'data: {"jour')))
        seen = [next(given), next(given)]
    text = "".join(seen)
    assert second in text and first not in text


@pytest.mark.browser
def test_the_wall_screen_shows_the_board_and_nothing_to_press(
    site: Site, browser_of: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """On a 4K wall: larger letters, no menu and no filters; how fresh it is stays in sight."""
    site.order(wristband="19560101-0001")
    page = browser_of("treating-clinic-1", width=3840)
    sizes = {}
    for address in ("/board", "/board?wall=1"):
        page.goto(address)
        expect(page.locator("#board tbody tr").first).to_be_visible()
        sizes[address] = page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
    assert sizes["/board?wall=1"] > 2 * sizes["/board"]
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    for control in ("header.top nav", "main form", "footer", ".tools"):
        assert all(not one.is_visible() for one in page.locator(control).all()), control
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    made = site.order(wristband="19560101-0002")
    expect(page.locator(f'tr[data-journey="{made}"]')).to_be_visible()  # and it goes on by itself
    shoot(page, "board-wall")
