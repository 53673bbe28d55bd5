"""The pages under load: red on another browser, the board with thousands of rows, weights, rates.

    python bench/bench_pages.py [--full]

1. A receiver's wrong scan until the row is red in another browser, p50 and p99, while many clients
   follow the record (`--full`: 1,000 clients, 10,000 open journeys, 100 scans).
2. The board in Chromium: first paint with `--rows` journeys, and what one change costs.
3. Compressed bytes of each main page with all that it loads, and its requests a second, beside a
   page that only answers "ok" from the same server in the same run.

Everything runs on the same cores: server, database, clients, Chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

from bench_http import fill
from site_ import Site, serving
from stafett.journey.label import Labels, make
from stafett.ledger.database import database
from stafett.service import demo
from web_walk import walk

WATCHER, RECEIVER = "cell-laboratory-1", "courier-1"


def followers(base: str, token: str, number: int, ready: Any, stop: Any) -> None:
    """Hold `number` event streams open and read whatever comes."""
    host, port = base.removeprefix("http://").split(":")
    head = (
        f"GET /api/stream?after=999999999 HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()

    async def one() -> int:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head)
        seen = 0
        while data := await reader.read(65536):
            seen += data.count(b"event: row")
        return seen

    async def run() -> None:
        tasks = []
        for _ in range(number):
            tasks.append(asyncio.create_task(one()))
            await asyncio.sleep(0.002)
        await asyncio.sleep(2)
        ready.set()
        await asyncio.to_thread(stop.wait)
        for task in tasks:
            task.cancel()

    asyncio.run(run())


def signed_in(browser: Any, site: Site, login: str, **more: Any) -> Page:
    """Return a page of a browser of its own, signed in."""
    screen = {"width": 1280, "height": 900}
    context = browser.new_context(base_url=site.base, viewport=screen, **more)
    page: Page = context.new_page()
    page.goto("/sign-in")
    page.locator("#login").fill(login)
    page.locator("#password").fill(demo.PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/board")
    return page


WATCH = """() => {
  window.reds = {};
  new MutationObserver((changes) => {
    for (const change of changes) for (const tr of change.addedNodes)
      if (tr.dataset?.act === "red") window.reds[tr.dataset.journey] ??= Date.now();
  }).observe(document.querySelector("#board tbody"), { childList: true });
}"""


def reds(site: Site, browser: Any, scans: int, clients: int) -> list[float]:
    """Return seconds from sending a wrong scan to the red row in another browser."""
    journeys = []
    for _ in range(scans):
        labels = Labels(random.randrange(1, 900_000))
        journey = site.order(
            labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex
        )
        site.inside(walk(site, journey, labels, ("H08", "accept")))
        journeys.append(journey)
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    token = site.token(WATCHER)
    crowd = context.Process(target=followers, args=(site.base, token, clients, ready, stop))
    crowd.start()
    ready.wait()
    page = signed_in(browser, site, WATCHER)
    page.goto("/board")
    page.locator("#board tbody tr").first.wait_for()
    page.evaluate(WATCH)
    sent: dict[str, float] = {}
    view = site.call(RECEIVER, "GET", f"/api/journeys/{journeys[0]}/stations/H08/accept").json()
    check = view["next"]
    for journey in journeys:
        command = {"type": "Answer", "activity": "H08", "side": "accept", "check": check,
                   "value": make("gs1-sscc", 999_999, 1), "method": "scan",
                   "occurred_at": datetime.now(UTC).isoformat()}  # fmt: skip
        sent[journey] = time.time()
        answer = site.send(RECEIVER, journey, command, role="courier", password=None)
        assert answer.status_code == 200, answer.text
        time.sleep(random.uniform(0.05, 0.25))
    page.wait_for_timeout(3000)
    seen = page.evaluate("window.reds")
    stop.set()
    crowd.join(20)
    page.context.close()
    missing = [j for j in journeys if j not in seen]
    assert not missing, f"{len(missing)} of {len(journeys)} never turned red"
    return sorted(seen[j] / 1000 - sent[j] for j in journeys)


def board(site: Site, browser: Any) -> tuple[float, float, float, int]:
    """Return first paint (s), script cost of one change (ms p50, p99), and the rows there are."""
    page = signed_in(browser, site, "treating-clinic-1")
    start = time.perf_counter()
    page.goto("/board?show=all", wait_until="commit")
    page.locator("#board tbody tr").first.wait_for()
    took = time.perf_counter() - start
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def busy() -> float:
        found = session.send("Performance.getMetrics")["metrics"]
        return float(next(m["value"] for m in found if m["name"] == "TaskDuration"))

    costs = []
    page.wait_for_timeout(1000)
    for n in range(30):
        before, count = busy(), int(page.locator("body").get_attribute("data-received") or 0)
        site.order(wristband=f"19600101-{n:04d}")
        for _ in range(100):
            if int(page.locator("body").get_attribute("data-received") or 0) > count:
                break
            page.wait_for_timeout(10)
        page.wait_for_timeout(60)
        costs.append((busy() - before) * 1000)
    costs.sort()
    rows = len(site.call("treating-clinic-1", "GET", "/api/journeys").json()["rows"])
    page.context.close()
    return took, statistics.median(costs), costs[-1], rows


def weights(site: Site, browser: Any, journey: str) -> dict[str, tuple[int, int]]:
    """Return the compressed bytes of each main page: (page with scripts and styles, data).

    Without the service worker: what comes through it is counted as it was before it was packed.
    """
    page = signed_in(browser, site, RECEIVER, service_workers="block")
    found = {}
    for path in ("/board", "/tasks", f"/journeys/{journey}", f"/journeys/{journey}/H08/accept"):
        page.goto(path)
        page.wait_for_timeout(1500)
        sums = page.evaluate(
            """() => { const sum = [0, 0];
              for (const e of performance.getEntries())
                if (["navigation", "resource"].includes(e.entryType))
                  sum[new URL(e.name).pathname.startsWith("/api/") ? 1 : 0] += e.encodedBodySize;
              return sum; }"""
        )
        found[path.replace(journey, "{journey}")] = (int(sums[0]), int(sums[1]))
    page.context.close()
    return found


def rates(site: Site, journey: str, seconds: float) -> dict[str, float]:
    """Return requests a second by eight clients for each main page, and for a plain answer."""
    headers = {"Authorization": f"Bearer {site.token(RECEIVER)}", "Accept": "text/html"}
    paths = {
        "plain answer (/api/me)": "/api/me",
        "/board": "/board",
        "/tasks": "/tasks",
        "/journeys/{journey}": f"/journeys/{journey}",
        "station": f"/journeys/{journey}/H08/accept",
    }

    async def run(path: str) -> float:
        async with httpx.AsyncClient(base_url=site.base, headers=headers, timeout=60) as client:
            until = time.perf_counter() + seconds

            async def one() -> int:
                done = 0
                while time.perf_counter() < until:
                    answer = await client.get(path)
                    assert answer.status_code == 200
                    done += 1
                return done

            start = time.perf_counter()
            counts = await asyncio.gather(*(one() for _ in range(8)))
            return sum(counts) / (time.perf_counter() - start)

    # In a thread: Playwright keeps an event loop in this one.
    with ThreadPoolExecutor(1) as apart:
        return {name: apart.submit(asyncio.run, run(path)).result() for name, path in paths.items()}


def main() -> None:
    """Measure, and print one line a figure."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--full", action="store_true", help="1,000 clients, 10,000 journeys")
    options.add_argument("--clients", type=int, default=100)
    options.add_argument("--rows", type=int, default=1000)
    options.add_argument("--scans", type=int, default=20)
    options.add_argument("--seconds", type=float, default=2.0)
    chosen = options.parse_args()
    if chosen.full:
        chosen.clients, chosen.rows, chosen.scans = 1000, 10_000, 100
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-headless-shell"))), None)
    if chromium is None:
        print("Chromium is not here: nothing was measured")
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        database(Path(folder) / "pg") as server,
        serving(server.url, Path(folder) / "tower") as site,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        at_board = min(chosen.rows, 5000)
        site.inside(fill(site, at_board))
        took, p50, worst, rows = board(site, browser)
        print(f"cores {os.cpu_count()}, load {os.getloadavg()[0]:.1f}")
        print(f"board, {rows} rows: first rows painted after {took:.2f} s")
        print(f"one change costs the browser {p50:.0f} ms (p50), {worst:.0f} ms (worst of 30)")
        if chosen.rows > at_board:
            site.inside(fill(site, chosen.rows - at_board))
        late = reds(site, browser, chosen.scans, chosen.clients)
        print(f"wrong scan to red in another browser, {chosen.clients} followers, {chosen.rows}"
              f" open journeys: p50 {statistics.median(late) * 1000:.0f} ms,"
              f" p99 {late[int(len(late) * 0.99)] * 1000:.0f} ms ({len(late)} scans)")  # fmt: skip
        labels = Labels(random.randrange(1, 900_000))
        journey = site.order(
            labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex
        )
        site.inside(walk(site, journey, labels, ("H08", "accept")))
        for path, (page, data) in weights(site, browser, journey).items():
            print(f"weight {path:38} {page / 1000:7.1f} kB compressed, data {data / 1000:8.1f} kB")
        measured = rates(site, journey, chosen.seconds)
        plain = next(iter(measured.values()))
        for name, rate in measured.items():
            print(f"rate   {name:38} {rate:7.0f} /s   {rate / plain:.2f} of a plain answer")
        browser.close()


if __name__ == "__main__":
    main()
