"""What a picture of bars or points says, read back from its SVG by its own axes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from xml.etree import ElementTree as ET

import numpy as np

SVG = "{http://www.w3.org/2000/svg}"


class Bar(NamedTuple):
    """A bar between two values; the interval drawn through it; what is shown on hovering."""

    name: str
    begins: float
    ends: float
    low: float
    high: float


class Spot(NamedTuple):
    """A point by the two axes, its colour, and what is shown on hovering."""

    name: str
    across: float
    up: float
    colour: str


def _number(element: ET.Element, name: str) -> float:
    return float(element.attrib[name])


def _values(
    root: ET.Element, anchor: str, along: str, below: float = 0.0
) -> Callable[[float], float]:
    """The value at a place of an axis, from the axis's own marks (`below`: base line of a text)."""
    marks = [
        (_number(x, along) - below, float((x.text or "").replace("\u2212", "-")))
        for x in root.iter(f"{SVG}text")
        if x.get("text-anchor") == anchor and re.fullmatch(r"[-\u2212]?[\d.]+", x.text or "")
    ]
    slope, start = np.polyfit([at for at, _ in marks], [value for _, value in marks], 1)
    return lambda place: float(slope * place + start)


def _hint(element: ET.Element) -> str:
    found = element.find(f"{SVG}title")
    return "" if found is None or found.text is None else found.text


def bars(svg: str) -> list[Bar]:
    """The bars of a tornado, from the top, in the units of its axis."""
    root = ET.fromstring(svg)
    value = _values(root, "middle", "x")
    lines = [x for x in root.iter(f"{SVG}line") if x.get("stroke-width") == "1.4"]
    rects = [x for x in root.iter(f"{SVG}rect") if _hint(x)]
    found = []
    for rect, line in zip(rects, lines, strict=True):
        left = _number(rect, "x")
        found.append(
            Bar(
                _hint(rect).rpartition(": ")[0], value(left), value(left + _number(rect, "width")),
                value(_number(line, "x1")), value(_number(line, "x2")),
            )
        )  # fmt: skip
    return found


def spots(svg: str) -> list[Spot]:
    """The points of a plane, by its axes."""
    root = ET.fromstring(svg)
    x, y = _values(root, "middle", "x"), _values(root, "end", "y", 4.0)
    return [
        Spot(
            _hint(c).rpartition(": ")[0], x(_number(c, "cx")), y(_number(c, "cy")), c.attrib["fill"]
        )
        for c in root.iter(f"{SVG}circle")
    ]
