"""Two figures against each other: cost and patients, need and funding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stafett.design.capital.map import Spot
from stafett.insight.pictures.svg import BLUE, FAINT, GREY, INK, Canvas, cut, trail
from stafett.service.pictures.axes import COLOURS, QUARTERS, across, percent, up


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


def plane(
    points: Sequence[Point],
    *,
    title: str,
    cost: str = "cost per patient treated, thousand US dollars",
    treated: str = "treated, of 100 referred",
) -> str:
    """Cost per patient treated against patients treated of 100; the frontier is joined."""
    width, height, left, top = 520.0, 320.0, 62.0, 16.0
    canvas = Canvas(left + width + 260, top + height + 54, title)
    box = (left, top, width, height)
    x = across(canvas, box, _wide([p.cost for p in points]), cost)
    y = up(canvas, box, _wide([p.treated for p in points]), treated)
    front = sorted((p for p in points if p.front), key=lambda p: p.cost)
    canvas.path(trail([(x(p.cost), y(p.treated)) for p in front]), INK, 1.2, dash="4 3")
    used: list[float] = []
    for p in sorted(points, key=lambda p: -p.treated):
        hint = f"{p.name}: {p.treated:.1f} · {p.cost:.0f}"
        canvas.dot(x(p.cost), y(p.treated), 4.5, BLUE if p.front else GREY, hint)
        if p.front or len(points) < 9:
            line = y(p.treated) + 4
            while any(abs(line - u) < 12 for u in used):
                line += 12
            used.append(line)
            colour = INK if p.front else FAINT
            canvas.text(x(p.cost) + 8, line, cut(p.name, 44), size=11, colour=colour)
    return str(canvas)


def _wide(values: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis, with some room beyond the outermost values."""
    pad = (max(values) - min(values)) * 0.08 or 1.0
    return min(values) - pad, max(values) + pad


def capital_map(
    spots: Sequence[Spot],
    *,
    title: str,
    names: Mapping[str, str] | None = None,
    captured: str = "share of the value that its payer captures",
    patients: str = "patients a year per million US$",
) -> str:
    """Criticality against fundability, a panel for each system; numbers lead to the names.

    `names` says what categories and systems are called.
    """
    known = {s.category: s.title for s in spots} | dict(names or {})
    categories = list(dict.fromkeys(s.category for s in spots))
    systems = list(dict.fromkeys(s.system for s in spots))
    width, height, left, gap, top = 300.0, 250.0, 58.0, 66.0, 34.0
    panels = min(2, len(systems))
    bottom = top + -(-len(systems) // panels) * (height + 80)
    whole = max(left + panels * (width + gap) + 10, 420.0)
    canvas = Canvas(whole, bottom + 18 * len(categories) + 24, title)
    for i, system in enumerate(systems):
        own = [s for s in spots if s.system == system]
        box = (
            left + (i % panels) * (width + gap), top + (i // panels) * (height + 80), width, height
        )  # fmt: skip
        low = min(0.0, *(s.criticality.low for s in own))
        high = max(0.01, *(s.criticality.high for s in own))
        canvas.text(box[0], box[1] - 10, known.get(system, system), size=13, bold=True)
        x = across(canvas, box, (0.0, 1.0), captured, at=QUARTERS, say=percent)
        y = up(canvas, box, (low, high), patients)
        canvas.line(box[0], y(0), box[0] + width, y(0), INK)
        for s in own:
            n = categories.index(s.category)
            colour, f, c = COLOURS[n % len(COLOURS)], s.fundability, s.criticality
            canvas.line(x(f.low), y(c.mean), x(f.high), y(c.mean), colour, 1.2)
            canvas.line(x(f.mean), y(c.low), x(f.mean), y(c.high), colour)
            hint = f"{known[s.category]}: {c:.2f}, {f:.2f}"
            canvas.dot(x(f.mean), y(c.mean), 7, colour, hint)
            _number(canvas, x(f.mean), y(c.mean), n + 1)
    for n, category in enumerate(categories):
        line = bottom + 18 * n
        canvas.dot(left, line, 7, COLOURS[n % len(COLOURS)])
        _number(canvas, left, line, n + 1)
        canvas.text(left + 14, line + 4, known[category], size=12)
    return str(canvas)


def _number(canvas: Canvas, x: float, y: float, n: int) -> None:
    canvas.text(x, y + 3.8, str(n), size=10, colour="#ffffff", bold=True, anchor="middle")
