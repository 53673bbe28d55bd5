"""Pictures of the design room, each from a plain table: fits, levers, frontier, lanes, forest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stafett.design.estimate import Estimate
from stafett.design.network import CENTRE
from stafett.design.reading import System
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
    trail,
)

if TYPE_CHECKING:  # the room that fits loads what a page does not need
    from stafett.design.calibrate.fit import Goodness

COLOURS = (BLUE, AMBER, PURPLE, "#2b7a62", RED, "#6b7280", "#8a5a2b")


def fits(found: Sequence[Goodness], *, title: str) -> str:
    """Quantile against quantile, one small panel an activity; on the line, the fit is good."""
    size, across = 132.0, 5
    down = max(1, math.ceil(len(found) / across))
    canvas = Canvas(across * (size + 18) + 10, down * (size + 46) + 10, title)
    for i, g in enumerate(found):
        x0, y0 = 10 + (i % across) * (size + 18), 22 + (i // across) * (size + 46)
        canvas.rect(x0, y0, size, size, "#f6f8fa")
        ends = [v for p in g.points for v in p if v > 0]
        low, high = math.log(min(ends)), math.log(max(ends))
        span = (high - low) or 1.0
        canvas.line(x0, y0 + size, x0 + size, y0, GREY)
        for fitted, seen in g.points:
            if fitted <= 0 or seen <= 0:
                continue
            x = x0 + size * (math.log(fitted) - low) / span
            y = y0 + size * (1 - (math.log(seen) - low) / span)
            hint = f"{g.activity}: fitted {fitted:.3g} d, seen {seen:.3g} d"
            canvas.dot(min(max(x, x0), x0 + size), min(max(y, y0), y0 + size), 2.2, BLUE, hint)
        word = "fits" if g.fits else "does not fit"
        canvas.text(x0, y0 - 6, cut(g.activity, 20), size=11, bold=True)
        canvas.text(
            x0, y0 + size + 14, f"n = {g.n}, {word}", size=10, colour=FAINT if g.fits else RED
        )
    return str(canvas)


def tornado(
    effects: Mapping[str, Estimate],
    *,
    title: str,
    unit: str,
    groups: Mapping[str, str] | None = None,
) -> str:
    """Effects from zero with their intervals, the largest first; components and interfaces told."""
    order = sorted(effects, key=lambda k: -abs(effects[k].mean))
    names = [f"{k} ({groups[k]})" if groups else k for k in order]
    left, width, height = room(names, 46) + 8, 420.0, 24
    values = [effects[k] for k in order]
    low = min([0.0, *(e.low for e in values if math.isfinite(e.low))])
    high = max([0.0, *(e.high for e in values if math.isfinite(e.high))]) or 1.0
    scale = width / ((high - low) or 1.0)
    bottom = 12 + height * len(order)
    canvas = Canvas(left + width + 60, bottom + 46, title)
    for tick in ticks(low, high):
        x = left + (tick - low) * scale
        canvas.line(x, 8, x, bottom, GRID)
        canvas.text(x, bottom + 16, mark(tick), size=11, colour=FAINT, anchor="middle")
    canvas.text(left, bottom + 36, unit, size=11, colour=FAINT)
    zero = left - low * scale
    canvas.line(zero, 8, zero, bottom, INK)
    for i, (name, e) in enumerate(zip(names, values, strict=True)):
        y = 12 + height * i
        end = left + (e.mean - low) * scale
        colour = BLUE if e.clear else GREY
        canvas.rect(min(zero, end), y + 4, abs(end - zero), height - 9, colour, f"{name}: {e:.2f}")
        a, b = left + (max(e.low, low) - low) * scale, left + (min(e.high, high) - low) * scale
        canvas.line(a, y + 11.5, b, y + 11.5, INK, 1.4)
        canvas.text(left - 8, y + 16, cut(name, 46), anchor="end")
    return str(canvas)


@dataclass(frozen=True)
class Point:
    """A design in the plane of cost and patients treated; `front`: nothing is better in both."""

    name: str
    cost: float
    treated: float
    front: bool = False


def frontier(points: Sequence[Point]) -> list[Point]:
    """Mark the designs that no other beats in both cost and patients treated."""
    return [
        Point(
            p.name, p.cost, p.treated,
            not any(
                q.cost <= p.cost and q.treated >= p.treated
                and (q.cost < p.cost or q.treated > p.treated) for q in points
            ),
        )
        for p in points
    ]  # fmt: skip


def plane(points: Sequence[Point], *, title: str) -> str:
    """Cost per patient treated against patients treated of 100; the frontier is joined."""
    width, height, left, top = 520.0, 320.0, 62.0, 16.0
    canvas = Canvas(left + width + 190, top + height + 54, title)
    xs, ys = [p.cost for p in points], [p.treated for p in points]
    x0, x1 = min(xs), max(xs)
    y0, y1 = min(ys), max(ys)
    dx, dy = (x1 - x0) * 0.08 or 1.0, (y1 - y0) * 0.08 or 1.0
    x0, x1, y0, y1 = x0 - dx, x1 + dx, y0 - dy, y1 + dy

    def at(cost: float, treated: float) -> tuple[float, float]:
        return (
            left + width * (cost - x0) / (x1 - x0),
            top + height * (1 - (treated - y0) / (y1 - y0)),
        )

    for tick in ticks(x0, x1):
        x, _ = at(tick, y0)
        canvas.line(x, top, x, top + height, GRID)
        canvas.text(x, top + height + 16, mark(tick), size=11, colour=FAINT, anchor="middle")
    for tick in ticks(y0, y1):
        _, y = at(x0, tick)
        canvas.line(left, y, left + width, y, GRID)
        canvas.text(left - 6, y + 4, mark(tick), size=11, colour=FAINT, anchor="end")
    canvas.text(left, top + height + 38, "cost per patient treated, thousand US dollars", size=11)
    canvas.text(14, top + height, "treated, of 100 referred", size=11, turn=-90)
    front = sorted((p for p in points if p.front), key=lambda p: p.cost)
    canvas.path(trail([at(p.cost, p.treated) for p in front]), INK, 1.2, dash="4 3")
    used: list[float] = []
    for p in sorted(points, key=lambda p: -p.treated):
        x, y = at(p.cost, p.treated)
        hint = f"{p.name}: {p.treated:.1f} of 100, {p.cost:.0f} thousand dollars"
        canvas.dot(x, y, 4.5, BLUE if p.front else GREY, hint)
        if p.front or len(points) < 9:
            line = y + 4
            while any(abs(line - u) < 12 for u in used):
                line += 12
            used.append(line)
            canvas.text(x + 8, line, cut(p.name, 34), size=11, colour=INK if p.front else FAINT)
    return str(canvas)


def forest(rows: Mapping[str, Estimate], *, title: str, unit: str) -> str:
    """One figure for each system: a dot and its interval."""
    left, width, height = room(list(rows)) + 8, 380.0, 26
    values = list(rows.values())
    low = min(e.low if math.isfinite(e.low) else e.mean for e in values)
    high = max(e.high if math.isfinite(e.high) else e.mean for e in values)
    pad = (high - low) * 0.1 or 1.0
    low, high = low - pad, high + pad
    scale = width / (high - low)
    bottom = 8 + height * len(rows)
    canvas = Canvas(left + width + 30, bottom + 44, title)
    for tick in ticks(low, high):
        x = left + (tick - low) * scale
        canvas.line(x, 6, x, bottom, GRID)
        canvas.text(x, bottom + 16, mark(tick), size=11, colour=FAINT, anchor="middle")
    canvas.text(left, bottom + 34, unit, size=11, colour=FAINT)
    for i, (name, e) in enumerate(rows.items()):
        y = 8 + height * i + height / 2
        a = left + ((e.low if math.isfinite(e.low) else e.mean) - low) * scale
        b = left + ((e.high if math.isfinite(e.high) else e.mean) - low) * scale
        canvas.line(a, y, b, y, INK, 1.6)
        canvas.dot(left + (e.mean - low) * scale, y, 4.5, BLUE, f"{name}: {e:.2f} {unit}")
        canvas.text(left - 8, y + 4, cut(name), anchor="end")
    return str(canvas)


def lanes(system: System, order: Sequence[str], *, title: str) -> str:
    """The network as lanes: one for each organisation, activities in their order, handoffs between.

    The lane's colour is its owner's; a handoff that crosses a border of ownership is dashed red.
    """
    n, p = system.network, system.protocol

    def who(role: str) -> str:
        return n.roles[role]

    rows = list(dict.fromkeys(who(r) for a in order for r in _roles(system, a)))
    owners: dict[str, str] = {}
    for row in rows:
        owners[row] = CENTRE if row == CENTRE else n.organisations[row].owner
    shades = {o: COLOURS[i % len(COLOURS)] for i, o in enumerate(dict.fromkeys(owners.values()))}
    left, step, lane = 216.0, 34.0, 64.0
    width = left + step * len(order) + 30
    canvas = Canvas(width, lane * len(rows) + 96, title)
    middle = {row: 28 + lane * i + lane / 2 for i, row in enumerate(rows)}
    for i, row in enumerate(rows):
        y = 28 + lane * i
        canvas.rect(0, y, width, lane - 6, "#f6f8fa")
        canvas.rect(0, y, 6, lane - 6, shades[owners[row]])
        name = (
            f"Treating centres ({len(n.centres)})" if row == CENTRE else n.organisations[row].title
        )
        owner = (
            f"{len({c.owner for c in n.centres.values()})} owners"
            if row == CENTRE
            else n.owners[owners[row]]
        )
        canvas.text(14, y + 24, cut(name, 30), bold=True)
        canvas.text(14, y + 41, cut(owner, 32), size=11, colour=FAINT)
    for pool, spec in n.pools.items():
        a, b = order.index(spec.begins), order.index(spec.ends)
        x0, x1 = left + step * a, left + step * (b + 1) - 6
        y = 14 + 5 * list(n.pools).index(pool)
        canvas.line(x0, y, x1, y, GREY, 3)
        canvas.text(x0, y - 3, spec.title.lower(), size=9, colour=FAINT)
    for i, name in enumerate(order):
        x = left + step * i + step / 2
        if name in p.steps:
            y = middle[who(p.steps[name].role)]
            hint = f"{name}: {p.steps[name].kind}"
            canvas.rect(x - 11, y - 16, 22, 20, shades[owners[who(p.steps[name].role)]], hint)
        else:
            h = p.handoffs[name]
            y0, y1 = middle[who(h.giver)], middle[who(h.receiver)]
            border = who(h.giver) != who(h.receiver) and (
                owners[who(h.giver)] != owners[who(h.receiver)]
            )
            colour, dash = (RED, "4 3") if border else (INK, "")
            if y0 == y1:
                canvas.dot(x, y0 - 6, 5, colour, f"{name}: handoff within")
            else:
                hint = f"{name}: handoff"
                canvas.path(
                    f"M{x:.1f} {y0 - 6:.1f} L{x:.1f} {y1 - 6:.1f}", colour, 2, dash=dash, hint=hint
                )
                canvas.dot(x, y1 - 6, 5, colour, hint)
        canvas.text(x + 4, lane * len(rows) + 34, name, size=10, colour=INK, turn=60)
    return str(canvas)


def _roles(system: System, activity: str) -> tuple[str, ...]:
    step = system.protocol.steps.get(activity)
    if step is not None:
        return (step.role,)
    h = system.protocol.handoffs[activity]
    return (h.giver, h.receiver)
