"""The process map as a browser draws it: no text lies on another, none leaves its box."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import pytest
from playwright.sync_api import Browser

from stafett.insight.pictures.flow import process_map
from stafett.web.findings import picture
from stafett.web.language import LANGUAGES

NAMES = [
    "Remove outer packaging and inspect", "W" * 40, "Åtgärda märkning, kontrollera och frisläpp",
    "細胞を受け取る確認と記録と解凍と投与の準備", "c", "Infuse",
]  # fmt: skip
COUNTS = {name: 3 * 10 ** (i + 2) + 45 for i, name in enumerate(NAMES)}
PASSAGES = [(a, b, 900 - 100 * i) for i, (a, b) in enumerate(pairwise(NAMES))]
PASSAGES += [(NAMES[4], NAMES[1], 1_234_567), (NAMES[1], NAMES[1], 800), (NAMES[5],) * 2 + (12,)]

BOXES = """() => {
    const svg = document.querySelector('svg').getBoundingClientRect();
    const of = (kind) => [...document.querySelectorAll('svg > ' + kind)].map((e) => {
        const b = e.getBoundingClientRect();
        return {said: e.textContent, left: b.left, right: b.right, top: b.top, bottom: b.bottom};
    });
    return {svg: {left: svg.left, right: svg.right, top: svg.top, bottom: svg.bottom},
            texts: of('text'), boxes: of('rect'), arcs: of('path')};
}"""


def within(inner: dict[str, Any], outer: dict[str, Any]) -> bool:
    """Tell whether one rectangle holds another."""
    return bool(
        outer["left"] <= inner["left"] and inner["right"] <= outer["right"]
        and outer["top"] <= inner["top"] and inner["bottom"] <= outer["bottom"]
    )  # fmt: skip


def apart(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two rectangles have no point in common."""
    return bool(
        one["right"] < other["left"] or other["right"] < one["left"]
        or one["bottom"] < other["top"] or other["bottom"] < one["top"]
    )  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("face", ["sans-serif", "Verdana, 'DejaVu Sans'"])
def test_nothing_lies_on_anything_else(chromium: Browser, language: str, face: str) -> None:
    """Long, wide and foreign names, large numbers: each text is alone and inside its box."""
    page = chromium.new_page()
    svg = process_map(NAMES, COUNTS, PASSAGES, title="Process map")
    page.set_content(f"<style>svg {{font-family: {face}}}</style>" + picture(svg, language))
    found = page.evaluate(BOXES)
    page.close()
    texts, boxes = found["texts"], found["boxes"]
    assert len(texts) == 2 * len(NAMES) + 2 + 1 and len(boxes) == len(NAMES)
    for one, other in combinations(texts, 2):
        assert apart(one, other), f"{one['said']} lies on {other['said']}"
    for text in texts:
        assert within(text, found["svg"]), f"{text['said']} is cut off"
    for text in texts[:-1]:
        assert any(within(text, box) for box in boxes), f"{text['said']} leaves its box"
    lines = [arc for arc in found["arcs"] if not any(within(arc, box) for box in boxes)]
    assert len(lines) == 2 * (len(PASSAGES) - 2)
    assert all(apart(arc, text) for arc in lines for text in texts)
