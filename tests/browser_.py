"""Which Chromium the tests drive: Debian's headless one where it is here, else the whole browser.

Both draw and run pages with the same code; the headless one leaves out what a window has around
them, and costs the machine half as much for each page (measured with `test_by_hand.py`).
"""

from __future__ import annotations

import shutil

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
