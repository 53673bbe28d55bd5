"""What axe finds wrong with a page, by the rules of WCAG 2.2 AA."""

from __future__ import annotations

import json
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SCRIPT = Axe().axe_script
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# Contrast is three quarters of the work, nearly all of it on cells of a table that look alike. Text
# of one colour, size and weight, before the same backgrounds, has one contrast: of each such look
# the first two places and the last are measured. What stands before or behind something else
# (positioned), is a field or its label, or is one character long, is a look of its own.
ALIKE = """() => {
  const numbers = new Map(), behind = new Map(), looks = new Map();
  const number = (text) => numbers.get(text) ?? numbers.set(text, numbers.size).get(text);
  let apart = 0;
  const ground = (e) => {
    if (e === null) return 0;
    if (behind.has(e)) return behind.get(e);
    const s = getComputedStyle(e);
    const own = ["static", "relative"].includes(s.position) && s.float === "none"
      && s.transform === "none" ? "" : (apart += 1);
    const found = number([ground(e.parentElement), s.backgroundColor, s.backgroundImage, s.opacity,
      s.filter, s.mixBlendMode, s.clipPath, own].join("|"));
    behind.set(e, found);
    return found;
  };
  const text = (e) =>
    [...e.childNodes].map((n) => (n.nodeType === 3 ? n.data : "")).join("").trim();
  for (const e of document.querySelectorAll("body, body *")) {
    const field = e.closest("input, select, textarea, label, [aria-disabled], :disabled");
    if (!text(e) && !field) continue;
    const s = getComputedStyle(e);
    const look = field || text(e).length === 1 ? (apart += 1)
      : [ground(e), s.color, s.fontSize, s.fontWeight, s.textShadow, s.webkitTextStroke,
        s.visibility, e.checkVisibility(), e.getBoundingClientRect().width > 1].join("|");
    const places = looks.get(look) ?? looks.set(look, []).get(look);
    if (places.length < 3) places.push(e); else places[2] = e;
  }
  for (const e of document.querySelectorAll("[data-look]")) e.removeAttribute("data-look");
  for (const places of looks.values()) for (const e of places) e.setAttribute("data-look", "");
  axe.configure({rules: [{id: "color-contrast", selector: "[data-look]"}]});
}"""
# What is right is neither described nor sent here: it is a quarter of the work on a long page.
RUN = f"""axe.run({json.dumps({"resultTypes": ["violations"], "runOnly": TAGS})})
  .then((found) => found.violations)"""


def violations(page: Page) -> list[dict[str, Any]]:
    """Return what axe finds wrong with the page that is open, as axe tells it."""
    page.evaluate(SCRIPT)
    page.evaluate(ALIKE)
    return list(page.evaluate(RUN))
