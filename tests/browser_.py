"""Which Chromium the tests drive: Debian's headless one where it is here, else the whole browser.

Both draw and run pages with the same code; the headless one leaves out what a window has around
them, and costs the machine half as much for each page (measured with `test_by_hand.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)


class Shared:
    """One Chromium for a whole test process: to start it costs as much as five pages do.

    What drives it marks its event loop as the one that runs in this thread. So it is lent to one
    module at a time, and in between the loop is put aside: other tests run loops of their own.
    """

    def __init__(self) -> None:
        self._driver = sync_playwright()
        self._playwright = self._driver.start()
        self._loop = asyncio.get_running_loop()
        self._browser: Browser | None = None
        asyncio._set_running_loop(None)

    @contextlib.contextmanager
    def lent(self) -> Iterator[Browser]:
        """Lend the browser, a new one if the last has died; nothing of its pages stays after."""
        asyncio._set_running_loop(self._loop)
        try:
            if self._browser is None or not self._browser.is_connected():
                assert CHROMIUM is not None
                self._browser = self._playwright.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox"]
                )
            yield self._browser
            for context in self._browser.contexts:
                context.close()
        finally:
            asyncio._set_running_loop(None)

    def close(self) -> None:
        """End the browser and what drives it."""
        asyncio._set_running_loop(self._loop)
        try:
            if self._browser is not None:
                self._browser.close()
        finally:
            self._driver.__exit__()
            asyncio._set_running_loop(None)
