"""Pictures of incentives and capital, each from a plain table: the map, the gap, who gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stafett.design.capital.map import Spot
from stafett.design.incentives.workbench import Finding
from stafett.insight.pictures.svg import (
    AMBER,
    BLUE,
    FAINT,
    GREY,
    GRID,
    INK,
    PURPLE,
    RED,
    Canvas,
    cut,
    mark,
    room,
    ticks,
)

COLOURS = (BLUE, AMBER, PURPLE, "#2b7a62", RED, "#6b7280")


def capital_map(
    spots: Sequence[Spot],
    *,
    title: str,
    names: Mapping[str, str] | None = None,
    across: str = "share of the value that its payer captures",
    up: str = "patients a year per million US$",
) -> str:
    """Criticality against fundability, a panel for each system; numbers lead to the names.

    `names` says what categories are called.
    """
    known = names or {s.category: s.title for s in spots}
    categories = list(dict.fromkeys(s.category for s in spots))
    systems = list(dict.fromkeys(s.system for s in spots))
    width, height, left, gap, top = 300.0, 250.0, 58.0, 56.0, 34.0
    panels = min(2, len(systems))
    down = -(-len(systems) // panels)
    whole = left + panels * (width + gap) + 10
    bottom = top + down * (height + 74)
    canvas = Canvas(max(whole, 420.0), bottom + 18 * len(categories) + 24, f"capital map {title}")
    for i, system in enumerate(systems):
        own = [s for s in spots if s.system == system]
        x0, y0 = left + (i % panels) * (width + gap), top + (i // panels) * (height + 74)
        low = min(0.0, *(s.criticality.low for s in own))
        high = max(0.01, *(s.criticality.high for s in own))
        scale = height / (high - low)
        canvas.text(x0, y0 - 10, system, size=13, bold=True)
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
            x = x0 + tick * width
            canvas.line(x, y0, x, y0 + height, GRID)
            canvas.text(x, y0 + height + 15, f"{tick:.0%}", size=11, colour=FAINT, anchor="middle")
        for tick in ticks(low, high):
            y = y0 + (high - tick) * scale
            canvas.line(x0, y, x0 + width, y, GRID if tick else INK)
            canvas.text(x0 - 5, y + 4, mark(tick), size=11, colour=FAINT, anchor="end")
        canvas.text(x0, y0 + height + 32, across, size=11)
        canvas.text(x0 - 40, y0 + height, up, size=11, turn=-90)
        for s in own:
            n = categories.index(s.category)
            colour = COLOURS[n % len(COLOURS)]
            f, c = s.fundability, s.criticality
            x, y = x0 + f.mean * width, y0 + (high - c.mean) * scale
            canvas.line(x0 + f.low * width, y, x0 + f.high * width, y, colour, 1.2)
            canvas.line(x, y0 + (high - c.low) * scale, x, y0 + (high - c.high) * scale, colour)
            canvas.dot(x, y, 7, colour, f"{known[s.category]}: {c:.2f} patients, {f:.2f} captured")
            canvas.text(x - 3.2, y + 3.8, str(n + 1), size=10, colour="#ffffff", bold=True)
    for n, name in enumerate(known[c] for c in categories):
        y = bottom + 18 * n
        canvas.dot(left, y, 7, COLOURS[n % len(COLOURS)])
        canvas.text(left - 3.2, y + 3.8, str(n + 1), size=10, colour="#ffffff", bold=True)
        canvas.text(left + 14, y + 4, name, size=12)
    return str(canvas)


def gap_bars(
    findings: Sequence[Finding],
    *,
    title: str,
    unit: str = "share of the gap that is left",
    names: Mapping[str, str] | None = None,
    none: str = "no equilibrium",
) -> str:
    """The share of the gap that each contract leaves, least first."""
    order = sorted(findings, key=lambda f: f.state.fragmentation)
    called = [(names or {}).get(f.contract.name, f.contract.name) for f in order]
    left, width, height = room(called, 46) + 12, 380.0, 26
    bottom = 8 + height * len(order)
    canvas = Canvas(left + width + 60, bottom + 44, title)
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = left + tick * width
        canvas.line(x, 4, x, bottom, GRID)
        canvas.text(x, bottom + 16, f"{tick:.0%}", size=11, colour=FAINT, anchor="middle")
    canvas.text(left, bottom + 34, unit, size=11, colour=FAINT)
    for i, f in enumerate(order):
        y, lost = 8 + height * i, f.state.fragmentation
        colour = BLUE if f.state.settled else GREY
        canvas.rect(left, y + 4, max(1.0, min(1.0, lost) * width), height - 10, colour)
        canvas.text(left - 8, y + 17, cut(called[i], 46), anchor="end")
        said = f"{lost:.0%}" if f.state.settled else f"{lost:.0%}, {none}"
        canvas.text(left + min(1.0, lost) * width + 6, y + 17, said, size=11)
    return str(canvas)


def gain_bars(gains: Mapping[str, float], *, title: str, unit: str) -> str:
    """Who gains (right of zero) and who loses (left), with the amount in words."""
    left, width, height = room(list(gains), 30) + 12, 380.0, 26
    most = max([abs(v) for v in gains.values()] or [1.0]) or 1.0
    zero, bottom = left + width / 2, 8 + height * len(gains)
    canvas = Canvas(left + width + 30, bottom + 30, title)
    canvas.line(zero, 4, zero, bottom, INK)
    for i, (who, v) in enumerate(gains.items()):
        y, long = 8 + height * i, abs(v) / most * (width / 2 - 54)
        canvas.rect(
            zero if v >= 0 else zero - long, y + 4, long, height - 10, BLUE if v >= 0 else AMBER
        )
        canvas.text(left - 8, y + 17, cut(who, 30), anchor="end")
        end = zero + long + 5 if v >= 0 else zero - long - 5
        canvas.text(end, y + 17, f"{v:+.1f}", size=11, anchor="start" if v >= 0 else "end")
    canvas.text(left, bottom + 20, unit, size=11, colour=FAINT)
    return str(canvas)
