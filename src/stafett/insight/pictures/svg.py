"""The few strokes of which the pictures are made: an SVG canvas, scales and ticks."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from math import floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a picture is drawn from numbers; only its table is a data frame
    import polars as pl

INK, FAINT, GRID = "#1d2733", "#5b6b7b", "#dde3e9"
BLUE, AMBER, RED, PURPLE, GREY = "#2f6ea5", "#c9861a", "#b3261e", "#7a5195", "#aab4bf"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


@dataclass(frozen=True)
class Figure:
    """A picture with what it takes to be read alone: n, period, a sentence, its table.

    `headline` is the finding for who reads nothing else, with its number and interval; empty where
    the figure has none.
    """

    key: str
    title: str
    sentence: str
    basis: str
    svg: str
    table: pl.DataFrame
    headline: str = ""


class Canvas:
    """Collects shapes in user units (px) and prints one SVG document."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self.parts: list[str] = []

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        colour: str = GRID,
        width: float = 1,
        dash: str = "",
    ) -> None:
        """Draw a straight line."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width:g}"{dashes}/>'
        )

    def rect(self, x: float, y: float, w: float, h: float, fill: str, hint: str = "") -> None:
        """Draw a filled rectangle; `hint` is shown on hovering."""
        tip = f"<title>{escape(hint)}</title>" if hint else ""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(w, 0):.1f}" height="{max(h, 0):.1f}" '
            f'fill="{fill}">{tip}</rect>'
        )

    def dot(self, x: float, y: float, r: float, fill: str, hint: str = "") -> None:
        """Draw a filled circle."""
        tip = f"<title>{escape(hint)}</title>" if hint else ""
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:g}" fill="{fill}">{tip}</circle>'
        )

    def path(
        self,
        d: str,
        stroke: str = "none",
        width: float = 1,
        fill: str = "none",
        opacity: float = 1,
        hint: str = "",
        dash: str = "",
    ) -> None:
        """Draw a path."""
        tip = f"<title>{escape(hint)}</title>" if hint else ""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<path d="{d}" stroke="{stroke}" stroke-width="{width:.1f}" fill="{fill}" '
            f'opacity="{opacity:g}"{dashes}>{tip}</path>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 12,
        colour: str = INK,
        anchor: str = "start",
        turn: float = 0,
        bold: bool = False,
    ) -> None:
        """Write a line of text with its base line at y."""
        turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}" '
            f'text-anchor="{anchor}"{weight}{turned}>{escape(words)}</text>'
        )

    def __str__(self) -> str:
        size = f"{self.width:.0f} {self.height:.0f}"
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" '
            f'width="{self.width:.0f}" height="{self.height:.0f}" role="img" '
            f'font-family="{escape(FONT)}"><title>{escape(self.title)}</title>'
        )
        return head + "".join(self.parts) + "</svg>"


def trail(points: Sequence[tuple[float, float]]) -> str:
    """Return the path through `points`."""
    return " ".join(f"{'M' if i == 0 else 'L'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))


def room(names: Sequence[str], most: int = 34) -> float:
    """Return the width that the longest of `names`, cut at `most` characters, needs."""
    return max((measure(cut(name, most)) for name in names), default=0) + 10


def cut(name: str, most: int = 34) -> str:
    """Shorten a name to `most` characters.

    Of ``organisation / role`` the role stays as long as it can, else all roles of one organisation
    would look the same; of an interface both sides get the same room.
    """
    if len(name) <= most:
        return name
    giver, arrow, receiver = name.partition(" → ")
    if arrow and most > 20:
        half = (most - len(arrow)) // 2
        return f"{cut(giver, half)}{arrow}{cut(receiver, most - len(arrow) - half)}"
    head, slash, tail = name.rpartition(" / ")
    room = most - len(slash) - len(tail) - 1
    if slash:
        return f"{head[:room]}…{slash}{tail}" if room >= 3 else cut(tail, most)
    return name[: most - 1] + "…"


def measure(words: str, size: float = 12) -> float:
    """Return a width that `words` do not exceed in any common sans-serif face, px at `size`.

    By kinds of characters, each at its widest in Arial, Verdana and DejaVu Sans, since fonts are
    the reader's own and cannot be measured here.
    """
    em = sum(
        1.0 if c in "MWmw@%…—→" or unicodedata.east_asian_width(c) in "WF"
        else 0.4 if c in "ijlI.,:;'|! "
        else 0.86 if c.isupper()
        else 0.68
        for c in words
    )  # fmt: skip
    return em * size


def fitted(words: str, most: float, size: float = 12) -> str:
    """Shorten `words` until they are at most `most` px wide."""
    if measure(words, size) <= most:
        return words
    while words and measure(words + "…", size) > most:
        words = words[:-1]
    return words.rstrip() + "…"


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers from `low` to `high`, about so many."""
    span = high - low
    if span <= 0:
        return [low]
    raw = span / about
    power = 10.0 ** floor(log10(raw))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw * 0.999)
    first = int(-(-low // step))
    return [i * step for i in range(first, int(high / step + 1e-9) + 1)]


def day_ticks(start: datetime, end: datetime, about: int = 6) -> list[tuple[datetime, str]]:
    """Return dates from `start` to `end` with their labels."""
    days = max((end - start).total_seconds() / 86400, 1e-6)
    if days <= 60:
        step = next((s for s in (1, 2, 7) if days / s <= about), 14)
        first = datetime(start.year, start.month, start.day, tzinfo=UTC) + timedelta(days=1)
        count = int((end - first).total_seconds() // 86400) + 1
        dates = [first + timedelta(days=i) for i in range(0, max(count, 0), step)]
        return [(at, f"{at.day} {at:%b %Y}") for at in dates]
    months = next((m for m in (1, 2, 3, 6, 12, 24, 60) if days / 30.4 / m <= about), 120)
    index = start.year * 12 + start.month  # the month after that of `start`, from zero
    index += -index % months
    out = []
    while (at := datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)) <= end:
        out.append((at, f"{at:%b %Y}" if months < 12 else f"{at:%Y}"))
        index += months
    return out


def mark(value: float) -> str:
    """Write a tick: a round number, as short as it goes."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def short(value: float) -> str:
    """Write a number for a narrow cell: thousands as k, millions as M."""
    if abs(value) >= 999_500:
        return f"{value / 1e6:.3g}M"
    return f"{value / 1e3:.3g}k" if abs(value) >= 9_999.5 else number(value)


def number(value: float) -> str:
    """Write a number in at most three significant digits, with thousands apart."""
    if value != value:
        return "–"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.005 or size == 0 else f"{value:.1g}"


def shade(part: float) -> str:
    """Return a blue from nearly white (0) to dark (1)."""
    part = min(max(part, 0.0), 1.0)
    ends = ((243, 246, 250), (24, 78, 126))
    mixed = [round(a + (b - a) * part) for a, b in zip(*ends, strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)
