"""Bars and points with intervals: rankings, layers, shrunken estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stafett.insight.pictures.svg import (
    AMBER,
    BLUE,
    FAINT,
    GRID,
    INK,
    PURPLE,
    Canvas,
    cut,
    mark,
    number,
    room,
    ticks,
)

LAYER_COLOURS = {
    "biological": BLUE,
    "operational": AMBER,
    "institutional": PURPLE,
    "unexplained": "#c3cad2",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A named value with its interval."""

    name: str
    value: float
    low: float
    high: float


def interval_bars(bars: Sequence[Bar], *, title: str, unit: str) -> str:
    """Draw horizontal bars from zero with whiskers."""
    left, width, height = room([b.name for b in bars]) + 8, 420.0, 24
    low = min([0.0, *(b.low for b in bars), *(b.value for b in bars)])
    high = max([*(b.high for b in bars), *(b.value for b in bars)], default=1) or 1
    scale = width / ((high - low) or 1)
    canvas = Canvas(left + width + 90, 34 + height * len(bars) + 26, title)
    bottom = 12 + height * len(bars)
    for tick in ticks(low, high):
        x = left + (tick - low) * scale
        canvas.line(x, 8, x, bottom, GRID)
        canvas.text(x, bottom + 16, mark(tick), size=11, colour=FAINT, anchor="middle")
    canvas.text(left, bottom + 34, unit, size=11, colour=FAINT)
    zero = left - low * scale
    for i, bar in enumerate(bars):
        y = 12 + height * i
        end = left + (bar.value - low) * scale
        hint = f"{bar.name}: {number(bar.value)} ({number(bar.low)} to {number(bar.high)}) {unit}"
        canvas.rect(min(zero, end), y + 4, abs(end - zero), height - 9, BLUE, hint)
        middle = y + height / 2 - 0.5
        ends = left + (bar.low - low) * scale, left + (bar.high - low) * scale
        canvas.line(ends[0], middle, ends[1], middle, INK, 1.4)
        for x in ends:
            canvas.line(x, middle - 4, x, middle + 4, INK, 1.4)
        canvas.text(left - 8, middle + 4, cut(bar.name), anchor="end")
        canvas.text(max(ends[1], end) + 6, middle + 4, number(bar.value), size=11, colour=FAINT)
    return str(canvas)


def layer_bar(shares: Sequence[Bar], *, title: str) -> str:
    """Draw shares (0 to 1) as one bar, and each below it with its interval."""
    left, width = room([s.name for s in shares]) + 12, 440.0
    canvas = Canvas(left + width + 60, 92 + 30 * len(shares) + 20, title)
    x = left
    for share in shares:
        colour = LAYER_COLOURS.get(share.name, BLUE)
        canvas.rect(x, 12, share.value * width, 36, colour, f"{share.name}: {share.value:.0%}")
        if share.value > 0.07:
            ink = INK if share.name == "unexplained" else "#ffffff"
            canvas.text(
                x + share.value * width / 2,
                35,
                f"{share.value:.0%}",
                colour=ink,
                anchor="middle",
                bold=True,
            )
        x += share.value * width
    top, bottom = 64, 64 + 30 * len(shares)
    for tick in (0, 0.25, 0.5, 0.75, 1):
        canvas.line(left + tick * width, top, left + tick * width, bottom, GRID)
        canvas.text(
            left + tick * width, bottom + 16, f"{tick:.0%}", size=11, colour=FAINT, anchor="middle"
        )
    for i, share in enumerate(shares):
        y = top + 30 * i + 15
        colour = LAYER_COLOURS.get(share.name, BLUE)
        canvas.text(left - 8, y + 4, share.name, anchor="end")
        canvas.line(left + share.low * width, y, left + share.high * width, y, colour, 3)
        hint = f"{share.name}: {share.value:.1%} ({share.low:.1%} to {share.high:.1%})"
        canvas.dot(left + share.value * width, y, 5.5, colour, hint)
    return str(canvas)


def forest(bars: Sequence[Bar], *, title: str, unit: str, centre: float) -> str:
    """Draw points with intervals around a centre line."""
    left, width, height = room([b.name for b in bars]) + 8, 420.0, 20
    low = min([centre, *(b.low for b in bars)])
    high = max([centre, *(b.high for b in bars)])
    scale = width / ((high - low) or 1)
    bottom = 12 + height * len(bars)
    canvas = Canvas(left + width + 40, bottom + 44, title)
    for tick in ticks(low, high):
        x = left + (tick - low) * scale
        canvas.line(x, 8, x, bottom, GRID)
        canvas.text(x, bottom + 16, mark(tick), size=11, colour=FAINT, anchor="middle")
    x = left + (centre - low) * scale
    canvas.line(x, 6, x, bottom, INK, 1.2, "4 3")
    canvas.text(left, bottom + 34, unit, size=11, colour=FAINT)
    for i, bar in enumerate(bars):
        y = 12 + height * i + height / 2
        sure = bar.low > centre or bar.high < centre
        colour = BLUE if sure else "#8fa3b6"
        canvas.text(left - 8, y + 4, cut(bar.name), anchor="end", size=11.5)
        canvas.line(
            left + (bar.low - low) * scale, y, left + (bar.high - low) * scale, y, colour, 2
        )
        hint = f"{bar.name}: {number(bar.value)} ({number(bar.low)} to {number(bar.high)})"
        canvas.dot(left + (bar.value - low) * scale, y, 4, colour, hint)
    return str(canvas)
