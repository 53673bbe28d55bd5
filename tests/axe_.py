"""What axe finds wrong with a page, by the rules of WCAG 2.2 AA."""

from __future__ import annotations

import json
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SCRIPT = Axe().axe_script
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# What is right is neither described nor sent here: it is a quarter of the work on a long page.
RUN = f"""axe.run({json.dumps({"resultTypes": ["violations"], "runOnly": TAGS})})
  .then((found) => found.violations)"""


def violations(page: Page) -> list[dict[str, Any]]:
    """Return what axe finds wrong with the page that is open, as axe tells it."""
    page.evaluate(SCRIPT)
    return list(page.evaluate(RUN))
