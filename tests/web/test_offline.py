"""A station without its network: what is done is kept, said to be unconfirmed, and counts once."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zxingcpp
from playwright.sync_api import BrowserContext, Error, Page, Playwright, expect, sync_playwright

from browser_ import CHROMIUM
from site_ import Site, serving
from stafett.identity import keyboard
from stafett.journey.identifier import normal
from stafett.journey.label import Labels, make
from stafett.journey.script import check_of as of_view
from stafett.journey.script import right_answer
from stafett.journey.view import Station, StationCheck
from stafett.ledger.server import Server
from stafett.service import demo
from web_hands import Under, do_side, give, net_of, scan, view_of
from web_walk import walk
from web_wire import Wire

pytestmark = [pytest.mark.browser]


class Device:
    """One device: a browser profile on disk that outlives its browser."""

    def __init__(
        self, playwright: Any, executable: str, folder: Path, base: str, options: tuple[str, ...]
    ) -> None:
        self._playwright, self._executable = playwright, executable
        self._folder, self._base, self._options = folder, base, options
        self.context: BrowserContext | None = None

    def on(self) -> Page:
        """Start the browser; return its page."""
        self.context = self._playwright.chromium.launch_persistent_context(
            self._folder,
            executable_path=self._executable,
            args=["--no-sandbox", *self._options],
            base_url=self._base,
            locale="en",
            viewport={"width": 1024, "height": 900},
        )
        return self.context.pages[0]

    def kill(self) -> None:
        """Kill the process of every tab, as the system does that is short of memory; then leave.

        Nothing of a page can say goodbye. The browser itself ends in order: Chromium writes a new
        cookie to disk only after half a minute.
        """
        if self.context is None:
            return
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (process / "cmdline").read_bytes()
                if b"--type=renderer" in line and self._is_mine(process):
                    os.kill(int(process.name), signal.SIGKILL)
        with contextlib.suppress(Error):
            self.context.close()
        self.context = None

    def _is_mine(self, process: Path) -> bool:
        """Say whether a process descends from this device's own browser."""
        while process.name != "1":
            if f"--user-data-dir={self._folder}".encode() in (process / "cmdline").read_bytes():
                return True
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == "0":
                return False
            process = Path("/proc") / parent
        return False


def sign_in(page: Page, login: str) -> None:
    page.goto("/sign-in")
    page.locator("#login").fill(login)
    page.locator("#password").fill(demo.PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/board")


def offline_ready(page: Page) -> None:
    """Wait until the device could open a station without a network."""
    page.evaluate("navigator.serviceWorker.ready")
    for _ in range(200):
        if page.evaluate("caches.match('/station').then((found) => Boolean(found))"):
            return
        page.wait_for_timeout(50)
    raise AssertionError("the shell of a station was never kept")


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Start what drives the browsers."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not here: the browser tests were not run")
    with sync_playwright() as started:
        yield started


@pytest.fixture
def device_of(
    playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Device]]:
    """Give devices, each with a profile of its own; they are switched off after the test."""
    made: list[Device] = []

    def new(base: str, *options: str) -> Device:
        assert CHROMIUM is not None
        made.append(Device(playwright, CHROMIUM, tmp_path_factory.mktemp("profile"), base, options))
        return made[-1]

    yield new
    for device in made:
        device.kill()


@pytest.fixture
def wire(site: Site) -> Iterator[Wire]:
    """Put a wire between the browsers of a test and the site."""
    one = Wire(site.base)
    yield one
    one.close()


def bring(site: Site, activity: str, side: str) -> Under:
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    product = next(iter(site.day().nets))
    journey = site.order(labels.patient, coi=labels.coi, product=product, key=uuid.uuid4().hex)
    site.inside(walk(site, journey, labels, (activity, side)))
    return Under(journey, labels)


def first_label(site: Site, under: Under) -> str:
    """Return what is on the label that the courier scans first at H08."""
    check = view_of(site, "courier-1", under.journey, "H08", "accept").checks[0]
    return under.labels.stuck[(check.material or "", check.identifier or "")]


def do_check(site: Site, page: Page, under: Under, view: Station, shown: StationCheck) -> None:
    """Answer one check rightly, by hand, whatever the network does."""
    net = net_of(site, under.journey)
    right = right_answer(net, of_view(net, view, shown.id), shown, under.labels, datetime.now(UTC))
    give(page, shown, right)


def answers(site: Site, login: str, journey: str, activity: str, side: str) -> list[dict[str, Any]]:
    entries = site.call(login, "GET", f"/api/journeys/{journey}/events").json()
    return [
        e
        for e in entries
        if e["kind"] == "CheckAnswered"
        and e["event"]["activity"] == activity
        and e["event"]["side"] == side
    ]


def held_shown(page: Page, number: int) -> None:
    expect(page.locator("#pending li")).to_have_count(number)


def test_acts_outlive_the_network_the_tab_and_the_server(
    postgres: Server, tmp_path: Path, device_of: Callable[..., Device], shoot: Any
) -> None:
    """Cut mid-handoff, tab killed, server restarted: every act arrives once, with its own time."""
    import psycopg

    name = f"offline_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template_stafett STRATEGY FILE_COPY")
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.ExitStack())
        site = first.enter_context(serving(postgres.url_of(name), tmp_path / "tower"))
        wire = Wire(site.base)
        stack.callback(wire.close)
        under = bring(site, "H08", "accept")
        station = f"/journeys/{under.journey}/H08/accept"
        device = device_of(wire.base)
        page = device.on()
        sign_in(page, "courier-1")
        page.goto(station)
        offline_ready(page)
        before = view_of(site, "courier-1", under.journey, "H08", "accept")
        wire.set("cut")
        do_check(site, page, under, before, before.checks[0])
        held_shown(page, 1)
        expect(page.locator("#offline")).to_contain_text("No connection")
        expect(page.locator(".done [data-held]")).to_contain_text("not yet confirmed")
        expect(page.locator(".done")).not_to_contain_text("fits")
        for check in before.checks[1:]:
            expect(page.locator(".ask").first).to_have_text(check.ask)
            do_check(site, page, under, before, check)
        expect(page.locator("#waits")).to_contain_text("signature")
        assert page.locator("[data-option]").count() == 0
        done_at = time.time()
        shoot(page, "station-offline")
        held = page.locator("#pending li").count()
        assert held == len(before.checks)
        assert answers(site, "courier-1", under.journey, "H08", "accept") == []
        device.kill()

        first.close()  # the server goes down ...
        page = device.on()
        page.goto(station)  # ... and the station opens all the same
        held_shown(page, held)
        expect(page.locator(".identity")).to_contain_text(under.journey)
        time.sleep(1.2)
        site = stack.enter_context(serving(postgres.url_of(name), tmp_path / "tower"))
        wire.target = site.base
        wire.set("through")
        expect(page.locator("#pending")).to_have_count(0, timeout=60_000)
        found = answers(site, "courier-1", under.journey, "H08", "accept")
        assert [e["event"]["check"] for e in found] == [c.id for c in before.checks]
        for entry in found:
            occurred = datetime.fromisoformat(entry["occurred_at"]).timestamp()
            recorded = datetime.fromisoformat(entry["recorded_at"]).timestamp()
            assert occurred <= done_at < recorded
        expect(page.locator("#password")).to_be_visible()
        page.locator("#password").fill(demo.PASSWORD)
        page.locator("[data-option=accept]").click()
        expect(page.locator("#station")).to_contain_text("This is done")
        device.kill()


def test_a_lost_answer_counts_once(
    site: Site, wire: Wire, device_of: Callable[..., Device]
) -> None:
    """The record takes an act in and its answer is lost, twice: one event, not three."""
    under = bring(site, "H08", "accept")
    page = device_of(wire.base).on()
    sign_in(page, "courier-1")
    page.goto(f"/journeys/{under.journey}/H08/accept")
    expect(page.locator("[data-scan]")).to_be_focused()
    wire.set("mute")
    scan(page, first_label(site, under))
    for _ in range(200):
        if answers(site, "courier-1", under.journey, "H08", "accept"):
            break
        page.wait_for_timeout(25)
    held_shown(page, 1)
    wire.set("gateway")
    page.wait_for_timeout(1500)
    held_shown(page, 1)  # a 502 is no refusal
    assert page.locator(".refusal").count() == 0
    wire.set("through")
    expect(page.locator("#pending")).to_have_count(0, timeout=60_000)
    assert len(answers(site, "courier-1", under.journey, "H08", "accept")) == 1


def test_a_signature_whose_page_died_is_looked_up_never_repeated(
    site: Site, wire: Wire, device_of: Callable[..., Device]
) -> None:
    """The release was recorded, its answer lost and the tab killed: the next page finds it done."""
    under = bring(site, "H08", "release")
    device = device_of(wire.base)
    page = device.on()
    sign_in(page, "cell-laboratory-1")
    offline_ready(page)

    def until_signing(view: Any) -> bool:
        return view.next is None and all(d.attached for d in view.documents if d.required)

    do_side(site, page, under, "H08", "release", until=until_signing)
    expect(page.locator("#password")).to_be_visible()
    wire.set("mute")
    page.locator("#password").fill(demo.PASSWORD)
    page.locator("[data-option=release]").click()
    for _ in range(200):
        row = site.call("courier-1", "GET", f"/api/journeys/{under.journey}").json()
        if any(t["side"] == "accept" and t["activity"] == "H08" for t in row["tasks"]):
            break
        page.wait_for_timeout(25)
    device.kill()
    wire.set("through")
    page = device.on()
    page.goto(f"/journeys/{under.journey}/H08/release")
    expect(page.locator("#station")).to_contain_text("yours until they accept")
    expect(page.locator("#pending")).to_have_count(0)
    assert page.locator(".refusal").count() == 0
    entries = site.call("courier-1", "GET", f"/api/journeys/{under.journey}/events").json()
    assert [e["event"].get("handoff") for e in entries if e["kind"] == "Released"].count("H08") == 1


def test_a_sure_mismatch_is_red_without_a_network(
    site: Site, wire: Wire, device_of: Callable[..., Device], shoot: Any
) -> None:
    """What the giver's own people read before is compared here: red in under 200 ms, and told."""
    under = bring(site, "H08", "release")
    page = device_of(wire.base).on()
    sign_in(page, "cell-laboratory-1")
    page.goto(f"/journeys/{under.journey}/H08/release")
    view = view_of(site, "cell-laboratory-1", under.journey, "H08", "release")
    known = next(c for c in view.checks if c.id == view.next)
    assert known.known is not None, "the first scan of this release is not known to its side"
    offline_ready(page)
    wire.set("cut")
    page.evaluate(
        """() => {
          const now = () => performance.now();
          addEventListener("keydown", (e) => { if (e.key === "Enter") window.at = now(); }, true);
          new MutationObserver(() => {
            if (document.querySelector(".stop")) window.took ??= now() - window.at;
          }).observe(document.body, { childList: true });
        }"""
    )
    scan(page, make(known.structure or "plain", 999_999, 1))
    stop = page.get_by_role("alertdialog")
    expect(stop).to_be_visible()
    expect(stop.locator("mark").first).to_be_visible()
    expect(stop).to_contain_text("nobody else knows yet")
    took = page.evaluate("window.took")
    assert took < 200, took
    shoot(page, "stop-offline")
    page.reload()
    expect(page.get_by_role("alertdialog")).to_be_visible()  # it cannot be dismissed
    wire.set("through")
    expect(page.get_by_role("alertdialog")).to_contain_text("see it now", timeout=60_000)
    row = site.call("courier-1", "GET", f"/api/journeys/{under.journey}").json()
    assert row["critical"] == 1


def test_a_receiver_is_never_sent_what_the_giver_read(site: Site) -> None:
    """For a receiver only the journey's chain of identity, which is on every page, is known."""
    under = bring(site, "H08", "accept")
    view = view_of(site, "courier-1", under.journey, "H08", "accept")
    for check in view.checks:
        assert check.known in (None, under.journey)
    given = {v for (material, _), v in under.labels.stuck.items() if material != "patient"}
    answer = site.call(
        "courier-1", "GET", f"/api/journeys/{under.journey}/stations/H08/accept"
    ).text
    for value in given:
        assert value not in answer and value.lstrip("(0)") not in answer


def test_two_people_on_one_device(site: Site, wire: Wire, device_of: Callable[..., Device]) -> None:
    """Signed out, nothing can be read here; another person sends nothing of it; one's own waits."""
    under = bring(site, "H08", "accept")
    device = device_of(wire.base)
    page = device.on()
    sign_in(page, "courier-1")
    page.goto(f"/journeys/{under.journey}/H08/accept")
    expect(page.locator("[data-scan]")).to_be_focused()  # the view is here
    offline_ready(page)
    wire.set("cut")
    shipper = first_label(site, under)
    scan(page, shipper)
    held_shown(page, 1)
    page.locator("form[action='/sign-out'] button").click()
    expect(page.get_by_role("dialog")).to_contain_text("only on this device")
    page.get_by_role("dialog").get_by_role("button").first.click()
    expect(page.locator("body")).to_contain_text("signed out on this device")
    wire.set("through")
    page.goto("/sign-in")
    kept = page.evaluate(DUMP)
    assert under.journey not in kept and shipper not in kept and "courier" in kept
    assert page.evaluate("caches.match('/station').then((found) => Boolean(found))") is False
    assert page.goto("/tasks") is not None
    page.wait_for_url(re.compile("/sign-in"))  # the session ended with the sign-out

    sign_in(page, "courier-2")
    page.goto("/tasks")
    page.wait_for_timeout(800)
    assert answers(site, "courier-1", under.journey, "H08", "accept") == []
    assert page.locator("#held").get_attribute("data-state") == "none"
    page.locator("form[action='/sign-out'] button").click()
    page.wait_for_url("**/sign-in")

    sign_in(page, "courier-1")
    for _ in range(200):
        found = answers(site, "courier-1", under.journey, "H08", "accept")
        if found:
            break
        page.wait_for_timeout(25)
    assert [e["person"] for e in found] == ["courier-1"]


# Everything that IndexedDB and the caches of this origin hold, as text.
DUMP = """async () => {
  const asked = indexedDB.open("stafett");
  const db = await new Promise((give) => { asked.onsuccess = () => give(asked.result); });
  const out = [];
  for (const name of db.objectStoreNames) {
    const all = db.transaction(name).objectStore(name).getAll();
    await new Promise((give) => { all.onsuccess = give; });
    for (const line of all.result) {
      out.push(JSON.stringify(line));
      if (line.box) out.push(new TextDecoder("latin1").decode(line.box.data));
    }
  }
  db.close();
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      out.push(request.url, await (await cache.match(request)).text());
    }
  }
  return out.join("\\n");
}"""


def test_a_station_never_opened_opens_from_the_list(
    site: Site, wire: Wire, device_of: Callable[..., Device], shoot: Any
) -> None:
    """My handoffs was seen with the network; without it the list and its stations open."""
    under = bring(site, "H08", "accept")
    page = device_of(wire.base).on()
    sign_in(page, "courier-3")
    page.goto("/tasks")
    line = page.get_by_role("row").filter(has_text=under.journey)
    expect(line).to_be_visible()
    offline_ready(page)
    expect(page.locator("body")).to_have_attribute("data-kept", re.compile(r"[1-9]"))
    wire.set("cut")
    page.goto("/tasks")
    expect(page.locator("#offline")).to_contain_text("No connection")
    line.get_by_role("link").click()
    expect(page.locator(".identity")).to_contain_text(under.journey)
    scan(page, first_label(site, under))
    held_shown(page, 1)
    wire.set("through")
    expect(page.locator("#pending")).to_have_count(0, timeout=60_000)
    assert len(answers(site, "courier-1", under.journey, "H08", "accept")) == 1


def test_a_refused_act_stays_until_it_is_seen(
    site: Site, wire: Wire, device_of: Callable[..., Device], shoot: Any
) -> None:
    """The record says no to what was kept: the reason stands there, over a reload, until seen."""
    under = bring(site, "H08", "accept")
    page = device_of(wire.base).on()
    sign_in(page, "courier-1")
    page.goto(f"/journeys/{under.journey}/H08/accept")
    expect(page.locator("[data-scan]")).to_be_focused()  # the view is here
    offline_ready(page)
    wire.set("cut")
    scan(page, "not-an-sscc")
    held_shown(page, 1)
    wire.set("through")
    refusal = page.locator(".refusal")
    expect(refusal).to_contain_text("no identifier", timeout=60_000)
    shoot(page, "station-refused")
    page.reload()
    expect(refusal).to_contain_text("no identifier")
    refusal.get_by_role("button").click()
    expect(refusal).to_have_count(0)
    expect(page.locator("[data-scan]")).to_be_focused()


def test_the_camera_reads_a_label(
    site: Site, tmp_path: Path, device_of: Callable[..., Device]
) -> None:
    """A Data Matrix held before the camera (Chromium's fake one) is the scan of the station."""
    under = bring(site, "H08", "accept")
    film(first_label(site, under), tmp_path / "label.y4m")
    page = device_of(
        site.base,
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={tmp_path / 'label.y4m'}",
    ).on()
    sign_in(page, "courier-1")
    page.goto(f"/journeys/{under.journey}/H08/accept")
    page.get_by_role("button", name="Camera").click()
    expect(page.locator(".done li").filter(has_text="fits")).to_have_count(1, timeout=60_000)
    found = answers(site, "courier-1", under.journey, "H08", "accept")
    assert [e["event"]["result"] for e in found] == ["pass"]
    # The page itself may not compile WebAssembly; only the camera's worker may.
    page.goto("/scanner")
    refused = page.evaluate(
        "WebAssembly.compile(new Uint8Array([0,97,115,109,1,0,0,0])).then(() => '', String)"
    )
    assert "Content Security Policy" in refused


def test_the_scanner_check_tells_a_wrong_keyboard(
    site: Site, device_of: Callable[..., Device]
) -> None:
    """A scanner set to another country's keyboard is found out, and told how to mend it."""
    page = device_of(site.base).on()
    sign_in(page, "courier-1")
    page.goto("/scanner")
    page.locator("#typed").press_sequentially(keyboard.as_swedish(keyboard.SELF_TEST))
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("US keyboard, this computer reads Swedish")
    page.locator("#typed").press_sequentially(keyboard.SELF_TEST)
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("set up correctly")


def film(content: str, file: Path) -> None:
    """Write a short film (YUV4MPEG2) of a Data Matrix with `content`."""
    made = zxingcpp.create_barcode(content, zxingcpp.BarcodeFormat.DataMatrix, force_square=True)
    symbol = np.array(zxingcpp.write_barcode_to_image(made, scale=8), dtype=np.uint8)
    luma = np.full((480, 640), 255, dtype=np.uint8)
    top, left = (480 - symbol.shape[0]) // 2, (640 - symbol.shape[1]) // 2
    luma[top : top + symbol.shape[0], left : left + symbol.shape[1]] = symbol
    chroma = np.full(240 * 320 * 2, 128, dtype=np.uint8).tobytes()
    frame = b"FRAME\n" + luma.tobytes() + chroma
    file.write_bytes(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420\n" + frame * 5)


def test_the_station_reads_identifiers_as_the_record_does(
    site: Site, device_of: Callable[..., Device]
) -> None:
    """Whatever the browser makes of a scan, the record makes the same; else it leaves it alone."""
    random_ = random.Random(7)
    cases: list[tuple[str, str]] = []
    for structure in ("isbt128-coi", "isbt128-din", "gs1-sscc", "plain", "gs1-giai", "sec"):
        for number in range(12):
            good = make(structure, random_.randrange(1, 800_000), number)
            at = random_.randrange(len(good))
            bad = good[:at] + random_.choice("0A=&(") + good[at + 1 :]
            forms = (good, bad, f"]d2{good}", f" {good}\r\n", good[1:], good.lower(), f"{good}\x1d")
            cases += [(structure, form) for form in forms]
    page = device_of(site.base).on()
    page.goto("/sign-in")
    read = page.evaluate(
        """async (cases) => {
          const { canonical } = await import("/static/identify.js");
          return cases.map(([structure, raw]) => canonical(structure, raw));
        }""",
        cases,
    )
    told = 0
    for (structure, raw), canonical in zip(cases, read, strict=True):
        if canonical is None:
            continue
        told += 1
        assert normal(structure, raw) == canonical, (structure, raw)
    assert told > 150
