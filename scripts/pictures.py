"""Make the pictures of the README and the how-tos: the program's own pages, shown by a browser.

    python scripts/pictures.py [--folder docs/images] [--browser /usr/bin/chromium]

Starts a demo tower of its own in a temporary folder, lets its scripted day play for a while, and
opens the pages. The red stop and the station on a telephone are screenshots of the browser tests.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, sync_playwright

DAY_S = 150.0  # of the scripted day, before the pictures


@contextlib.contextmanager
def tower(folder: Path, *more: str) -> Iterator[str]:
    """Serve a demo tower; yield its address. It is stopped afterwards."""
    command = [str(Path(sys.executable).with_name("stafett")), "demo", "--folder", str(folder)]
    served = subprocess.Popen([*command, "--port", "0", *more], stdout=subprocess.PIPE, text=True)
    assert served.stdout is not None
    try:
        for line in served.stdout:
            if found := re.search(r"Stafett is at (\S+)", line):
                yield found[1]
                return
        raise SystemExit("the demo did not start")
    finally:
        served.send_signal(signal.SIGINT)
        served.communicate()


def signed_in(browser: Browser, base: str, login: str, width: int, height: int) -> Page:
    """Return a page of a browser of its own in which `login` is signed in."""
    context = browser.new_context(
        base_url=base,
        viewport={"width": width, "height": height},
        locale="en-GB",
        timezone_id="Europe/Stockholm",
    )
    page = context.new_page()
    page.goto("/sign-in")
    page.fill("input[name=login]", login)
    page.fill("input[type=password]", "stafett-demo")
    page.click("button[type=submit]")
    page.wait_for_selector("#board tbody tr")
    return page


def journeys(browser: Browser, base: str, folder: Path) -> None:
    """Show the board, a journey far on its way, and the map of a network."""
    page = signed_in(browser, base, "treating-clinic-1", 1280, 860)
    page.wait_for_timeout(1000)
    shoot(page, folder, "board")
    rows = page.evaluate("async () => (await (await fetch('/api/journeys')).json()).rows")
    oldest = min(rows, key=lambda row: str(row["journey"]))
    page.goto(f"/journeys/{oldest['journey']}")
    page.wait_for_timeout(2500)
    shoot(page.locator("section:has(svg.relay)"), folder, "relay")
    page.goto("/design")
    page.wait_for_selector("main svg")
    page.wait_for_timeout(1000)
    shoot(page.locator("main svg").first, folder, "network")


def shoot(shown: Page | Locator, folder: Path, name: str) -> None:
    """Take a picture of what is shown."""
    shown.screenshot(path=folder / f"{name}.png")
    print(f"{name}.png")


def main() -> None:
    """Make all pictures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--folder", type=Path, default=Path("docs/images"))
    options.add_argument("--browser", default="/usr/bin/chromium")
    chosen = options.parse_args()

    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chosen.browser, args=["--no-sandbox"])
        with tower(Path(name), "--pace", "0.5") as base:
            time.sleep(DAY_S)
            journeys(browser, base, chosen.folder)
        browser.close()


if __name__ == "__main__":
    main()
