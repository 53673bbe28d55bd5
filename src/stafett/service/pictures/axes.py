"""What the pictures share: colours, and an axis with its grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stafett.insight.pictures.svg import (
    AMBER,
    BLUE,
    FAINT,
    GRID,
    PURPLE,
    RED,
    Canvas,
    mark,
    ticks,
)

COLOURS = (BLUE, AMBER, PURPLE, "#2b7a62", RED, "#6b7280", "#8a5a2b", "#1d2733")
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)


def percent(value: float) -> str:
    """A share as a mark of an axis."""
    return f"{value:.0%}"


def across(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    ends: tuple[float, float],
    unit: str,
    *,
    at: Sequence[float] | None = None,
    say: Callable[[float], str] = mark,
) -> Callable[[float], float]:
    """A horizontal axis under the box (left, top, width, height); return where a value lies."""
    left, top, width, height = box
    low, high = ends

    def place(value: float) -> float:
        return left + width * (value - low) / ((high - low) or 1.0)

    for tick in ticks(low, high) if at is None else at:
        x = place(tick)
        canvas.line(x, top, x, top + height, GRID)
        canvas.text(x, top + height + 16, say(tick), size=11, colour=FAINT, anchor="middle")
    canvas.text(left, top + height + 34, unit, size=11, colour=FAINT)
    return place


def up(
    canvas: Canvas, box: tuple[float, float, float, float], ends: tuple[float, float], unit: str
) -> Callable[[float], float]:
    """A vertical axis at the left of the box; return where a value lies."""
    left, top, width, height = box
    low, high = ends

    def place(value: float) -> float:
        return top + height * (1 - (value - low) / ((high - low) or 1.0))

    for tick in ticks(low, high):
        y = place(tick)
        canvas.line(left, y, left + width, y, GRID)
        canvas.text(left - 6, y + 4, mark(tick), size=11, colour=FAINT, anchor="end")
    canvas.text(left - 42, top + height, unit, size=11, turn=-90)
    return place
