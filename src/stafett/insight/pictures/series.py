"""Pictures over time and size: control charts, performance spectra, funnels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from stafett.insight.control import RULES, Chart, Cusum
from stafett.insight.funnel import Funnel, exact_limits
from stafett.insight.pictures.svg import (
    AMBER,
    BLUE,
    FAINT,
    GREY,
    GRID,
    INK,
    RED,
    Canvas,
    cut,
    day_ticks,
    mark,
    number,
    ticks,
    trail,
)

QUARTERS = {1: "#9db7cf", 2: "#5f8fba", 3: AMBER, 4: RED}
WIDTH, HEIGHT, LEFT, TOP = 720.0, 260.0, 64.0, 18.0


def control_chart(chart: Chart, labels: Sequence[str], *, title: str, unit: str) -> str:
    """Draw points in order with their centre and limits.

    A signal is a diamond with the numbers of its rules; those that fired stand below in words.
    """
    fired = sorted({signal.rule for signal in chart.signals})
    below = 19 + 16 * len(fired) if fired else 0
    canvas = Canvas(LEFT + WIDTH + 80, TOP + HEIGHT + 50 + below, title)
    high = (
        float(max(chart.values.max(), chart.upper[np.isfinite(chart.upper)].max(initial=0))) * 1.05
    )
    low = float(min(0.0, chart.values.min(), chart.lower.min()))
    n = len(chart.values)

    def x(i: int) -> float:
        return LEFT + WIDTH * (i + 0.5) / n

    def y(value: float) -> float:
        return TOP + HEIGHT * (1 - (min(value, high) - low) / ((high - low) or 1))

    for tick in ticks(low, high):
        canvas.line(LEFT, y(tick), LEFT + WIDTH, y(tick))
        canvas.text(LEFT - 8, y(tick) + 4, mark(tick), size=11, colour=FAINT, anchor="end")
    for name, limit, colour, dash in (
        ("upper", chart.upper, AMBER, "6 4"),
        ("centre", chart.centre, INK, ""),
        ("lower", chart.lower, AMBER, "6 4"),
    ):
        steps = [(LEFT + WIDTH * (i + e) / n, y(v)) for i, v in enumerate(limit) for e in (0, 1)]
        canvas.path(trail(steps), colour, 1.3, dash=dash)
        canvas.text(
            LEFT + WIDTH + 6,
            y(float(limit[-1])) + 4,
            f"{name} {number(float(limit[-1]))}",
            size=11,
            colour=FAINT,
        )
    canvas.path(trail([(x(i), y(v)) for i, v in enumerate(chart.values)]), BLUE, 1.2, opacity=0.6)
    rules: dict[int, list[int]] = {}
    for signal in chart.signals:
        rules.setdefault(signal.index, []).append(signal.rule)
    for i, value in enumerate(chart.values):
        hint = f"{labels[i]}: {number(float(value))} {unit}"
        if i in rules:
            cx, cy = x(i), y(float(value))
            canvas.path(
                f"M{cx} {cy - 6} L{cx + 6} {cy} L{cx} {cy + 6} L{cx - 6} {cy} Z",
                fill=RED,
                hint=hint,
            )
            canvas.text(
                cx, cy - 9, ",".join(map(str, rules[i])), size=10, colour=RED, anchor="middle"
            )
        else:
            canvas.dot(x(i), y(float(value)), 3, BLUE, hint)
    every = max(1, n // 8)
    for i in range(0, n, every):
        canvas.text(x(i), TOP + HEIGHT + 18, labels[i], size=11, colour=FAINT, anchor="middle")
    foot = TOP + HEIGHT + 38
    canvas.text(LEFT, foot, unit, size=11, colour=FAINT)
    if fired:
        canvas.text(LEFT, foot + 19, "Diamonds bear the numbers of Nelson's rules:", size=11)
    for i, rule in enumerate(fired):
        canvas.text(LEFT, foot + 36 + 16 * i, str(rule), size=11, colour=RED, bold=True)
        canvas.text(LEFT + 16, foot + 36 + 16 * i, RULES[rule], size=11)
    return str(canvas)


def cusum_picture(
    found: Cusum, labels: Sequence[str], failed: npt.NDArray[np.bool_], *, title: str = "CUSUM"
) -> str:
    """Draw the path of a CUSUM case by case, its limit, and a diamond at each crossing."""
    canvas = Canvas(LEFT + WIDTH + 80, TOP + HEIGHT + 50, title)
    n, high = len(found.path), max(float(found.path.max()), found.limit) * 1.05

    def x(i: int) -> float:
        return LEFT + WIDTH * (i + 0.5) / n

    def y(value: float) -> float:
        return TOP + HEIGHT * (1 - value / high)

    for tick in ticks(0, high):
        canvas.line(LEFT, y(tick), LEFT + WIDTH, y(tick))
        canvas.text(LEFT - 8, y(tick) + 4, mark(tick), size=11, colour=FAINT, anchor="end")
    canvas.line(LEFT, y(found.limit), LEFT + WIDTH, y(found.limit), AMBER, 1.5, "6 4")
    canvas.text(LEFT + WIDTH + 6, y(found.limit) + 4, f"limit {found.limit:g}", size=11)
    canvas.path(trail([(x(i), y(float(v))) for i, v in enumerate(found.path)]), BLUE, 1.4)
    for i in np.flatnonzero(failed).tolist():
        canvas.dot(x(i), y(float(found.path[i])), 2.2, INK, f"{labels[i]}: failed")
    for i in found.crossings:
        cx, cy = x(i), y(float(found.path[i]))
        canvas.path(f"M{cx} {cy - 6} L{cx + 6} {cy} L{cx} {cy + 6} L{cx - 6} {cy} Z", fill=RED)
    for i in range(0, n, max(1, n // 6)):
        canvas.text(x(i), TOP + HEIGHT + 18, labels[i], size=11, colour=FAINT, anchor="middle")
    canvas.text(
        LEFT, TOP + HEIGHT + 38, "log odds for the risk having doubled; dots are failures",
        size=11, colour=FAINT,
    )  # fmt: skip
    return str(canvas)


def trial_picture(
    weekly: pl.DataFrame,
    starts: Sequence[date],
    expected: npt.NDArray[np.float64] | None,
    *,
    title: str,
    unit: str,
) -> str:
    """Draw a trial's weeks (``week``, ``n``, ``value``, ``changed``), its starts and, dashed, what
    the time before would have given."""
    canvas = Canvas(LEFT + WIDTH + 80, TOP + HEIGHT + 50, title)
    values = weekly["value"].to_numpy()
    high = float(max(values.max(), 0 if expected is None else expected.max())) * 1.05 or 1.0
    first, last = weekly["week"].min(), weekly["week"].max()
    assert isinstance(first, date) and isinstance(last, date)
    days = max((last - first).days, 1)

    def x(day: date) -> float:
        return LEFT + WIDTH * (day - first).days / days

    def y(value: float) -> float:
        return TOP + HEIGHT * (1 - min(max(value, 0), high) / high)

    for tick in ticks(0, high):
        canvas.line(LEFT, y(tick), LEFT + WIDTH, y(tick))
        canvas.text(LEFT - 8, y(tick) + 4, mark(tick), size=11, colour=FAINT, anchor="end")
    begin, end = (datetime(d.year, d.month, d.day, tzinfo=UTC) for d in (first, last))
    for at, label in day_ticks(begin, end):
        canvas.text(x(at.date()), TOP + HEIGHT + 18, label, size=11, colour=FAINT, anchor="middle")
    for day in starts:
        if first <= day <= last:
            canvas.line(x(day), TOP, x(day), TOP + HEIGHT, AMBER, 1.5, "6 4")
            canvas.text(x(day) + 4, TOP + 10, "begins", size=11, colour=FAINT)
    weeks = weekly["week"].to_list()
    if expected is not None and len(expected) == len(weeks):
        line = trail([(x(w), y(float(v))) for w, v in zip(weeks, expected, strict=True)])
        canvas.path(line, INK, 1.3, dash="5 4")
    for week, n, value, changed in weekly.select("week", "n", "value", "changed").iter_rows():
        colour = BLUE if changed >= 0.5 else GREY
        canvas.dot(x(week), y(value), 4, colour, f"{week}: {number(value)} {unit}, n = {n}")
    canvas.text(
        LEFT, TOP + HEIGHT + 38, f"{unit} by week; grey: before, blue: with the change"
        + ("" if expected is None else "; dashed: without it"), size=11, colour=FAINT,
    )  # fmt: skip
    return str(canvas)


def spectrum_picture(
    rows: pl.DataFrame, source: str, target: str, *, title: str, most: int = 1500
) -> str:
    """Draw one line per case from leaving `source` (above) to reaching `target` (below)."""
    canvas = Canvas(LEFT + WIDTH + 90, TOP + HEIGHT + 84, title)
    if rows.height > most:
        rows = rows.gather_every(rows.height // most + 1)
    first, last = rows["start"].min(), rows["end"].max()
    assert isinstance(first, datetime) and isinstance(last, datetime)
    span = (last - first).total_seconds() or 1.0
    left = 20.0

    def x(at: datetime) -> float:
        return left + WIDTH * (at - first).total_seconds() / span

    bottom = TOP + 14 + HEIGHT
    for at, label in day_ticks(first, last):
        canvas.line(x(at), TOP + 14, x(at), bottom)
        canvas.text(x(at), bottom + 34, label, size=11, colour=FAINT, anchor="middle")
    canvas.line(left, TOP + 14, left + WIDTH, TOP + 14, INK, 1.5)
    canvas.line(left, bottom, left + WIDTH, bottom, INK, 1.5)
    canvas.text(left, TOP + 6, cut(source, 60), bold=True)
    canvas.text(left, bottom + 16, cut(target, 60), bold=True)
    for start, end, hours, quarter in (
        rows.sort("hours").select("start", "end", "hours", "quarter").iter_rows()
    ):
        canvas.path(
            trail([(x(start), TOP + 14), (x(end), bottom)]),
            QUARTERS[quarter],
            0.9,
            opacity=0.65,
            hint=f"{number(hours)} h",
        )
    for quarter, words in (
        (1, "quickest quarter"),
        (2, "second"),
        (3, "third"),
        (4, "slowest quarter"),
    ):
        cx = left + 150 * (quarter - 1)
        canvas.rect(cx, bottom + 44, 18, 5, QUARTERS[quarter])
        canvas.text(cx + 24, bottom + 51, words, size=11, colour=FAINT)
    return str(canvas)


def funnel_picture(found: Funnel, *, title: str, unit: str) -> str:
    """Draw units by size and proportion, between their exact limits."""
    canvas = Canvas(LEFT + WIDTH + 60, TOP + HEIGHT + 50, title)
    largest = float(found.trials.max()) * 1.05
    sizes = np.asarray(
        np.unique(np.round(np.geomspace(max(1.0, found.trials.min() * 0.8), largest, 120))),
        dtype=np.float64,
    )
    p = found.events / found.trials
    wide = float(np.sqrt(found.phi))
    curves = []
    for level in (0.95, 0.998):
        low, high = exact_limits(found.target, sizes, level)
        curves.append(
            [np.clip(found.target + (c - found.target) * wide, 0, 1) for c in (low, high)]
        )
    top = min(1.0, max(float(p.max()) * 1.1, found.target * 2, 0.02))

    def x(n: float) -> float:
        return LEFT + WIDTH * n / largest

    def y(value: float) -> float:
        return TOP + HEIGHT * (1 - min(value, top) / top)

    for tick in ticks(0, top):
        canvas.line(LEFT, y(tick), LEFT + WIDTH, y(tick))
        canvas.text(LEFT - 8, y(tick) + 4, f"{tick:.0%}", size=11, colour=FAINT, anchor="end")
    for tick in ticks(0, largest):
        canvas.text(x(tick), TOP + HEIGHT + 18, mark(tick), size=11, colour=FAINT, anchor="middle")
    for pair, colour, words in zip(curves, (GREY, AMBER), ("95 %", "99.8 %"), strict=True):
        lower = 12 if words == "95 %" else 2
        for curve in pair:
            points = [(x(n), y(v)) for n, v in zip(sizes, curve, strict=True)]
            canvas.path(trail(points), colour, 1.4)
        canvas.text(LEFT + WIDTH + 6, y(float(pair[1][-1])) + lower, words, size=11, colour=FAINT)
    canvas.line(LEFT, y(found.target), LEFT + WIDTH, y(found.target), INK, 1.2)
    for i, name in enumerate(found.names):
        outside = i in found.beyond
        hint = f"{name}: {int(found.events[i])} of {int(found.trials[i])}"
        canvas.dot(x(found.trials[i]), y(p[i]), 4.5, RED if outside else BLUE, hint)
        if outside:
            canvas.text(x(found.trials[i]) + 7, y(p[i]) + 4, cut(name, 24), size=11)
    canvas.text(LEFT, TOP + HEIGHT + 38, unit, size=11, colour=FAINT)
    canvas.line(LEFT, TOP, LEFT, TOP + HEIGHT, GRID)
    return str(canvas)
