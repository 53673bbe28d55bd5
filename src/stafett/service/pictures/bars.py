"""Rows with a bar or a dot: levers, systems, contracts, who gains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from stafett.design.estimate import Estimate
from stafett.design.incentives.workbench import Finding
from stafett.insight.pictures.svg import AMBER, BLUE, FAINT, GREY, INK, Canvas, cut, room
from stafett.service.pictures.axes import QUARTERS, across, percent


def tornado(
    effects: Mapping[str, Estimate],
    *,
    title: str,
    unit: str,
    names: Mapping[str, str] | None = None,
) -> str:
    """Effects from zero with their intervals, the largest first; `names` says what levers are."""
    order = sorted(effects, key=lambda k: -abs(effects[k].mean))
    called = [(names or {}).get(k, k) for k in order]
    left, width, height = room(called, 50) + 8, 420.0, 24
    values = [effects[k] for k in order]
    low = min([0.0, *(e.low for e in values if math.isfinite(e.low))])
    high = max([0.0, *(e.high for e in values if math.isfinite(e.high))]) or 1.0
    long = height * len(order) + 4
    canvas = Canvas(left + width + 60, long + 54, title)
    place = across(canvas, (left, 8, width, long), (low, high), unit)
    canvas.line(place(0), 8, place(0), 8 + long, INK)
    for i, (name, e) in enumerate(zip(called, values, strict=True)):
        y, zero, end = 12 + height * i, place(0), place(e.mean)
        colour = BLUE if e.clear else GREY
        canvas.rect(min(zero, end), y + 4, abs(end - zero), height - 9, colour, f"{name}: {e:.2f}")
        canvas.line(place(max(e.low, low)), y + 11.5, place(min(e.high, high)), y + 11.5, INK, 1.4)
        canvas.text(left - 8, y + 16, cut(name, 50), anchor="end")
    return str(canvas)


def forest(
    rows: Mapping[str, Estimate], *, title: str, unit: str, names: Mapping[str, str] | None = None
) -> str:
    """One figure for each system: a dot and its interval."""
    called = {k: (names or {}).get(k, k) for k in rows}
    left, width, height = room(list(called.values()), 50) + 8, 380.0, 26
    ends = {
        k: (e.low if math.isfinite(e.low) else e.mean, e.high if math.isfinite(e.high) else e.mean)
        for k, e in rows.items()
    }
    low, high = min(a for a, _ in ends.values()), max(b for _, b in ends.values())
    pad = (high - low) * 0.1 or 1.0
    long = height * len(rows) + 2
    canvas = Canvas(left + width + 30, long + 50, title)
    place = across(canvas, (left, 6, width, long), (low - pad, high + pad), unit)
    for i, (key, e) in enumerate(rows.items()):
        y = 8 + height * i + height / 2
        canvas.line(place(ends[key][0]), y, place(ends[key][1]), y, INK, 1.6)
        canvas.dot(place(e.mean), y, 4.5, BLUE, f"{called[key]}: {e:.2f} {unit}")
        canvas.text(left - 8, y + 4, cut(called[key], 50), anchor="end")
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
    left, width, height = room(called, 50) + 12, 380.0, 26
    long = height * len(order) + 4
    canvas = Canvas(left + width + 150, long + 48, title)
    box = (left, 4.0, width, long)
    place = across(canvas, box, (0.0, 1.0), unit, at=QUARTERS, say=percent)
    for i, f in enumerate(order):
        y, lost = 8 + height * i, f.state.fragmentation
        end = place(min(1.0, lost))
        colour = BLUE if f.state.settled else GREY
        canvas.rect(left, y + 4, max(1.0, end - left), height - 10, colour)
        canvas.text(left - 8, y + 17, cut(called[i], 50), anchor="end")
        said = f"{lost:.0%}" if f.state.settled else f"{lost:.0%}, {none}"
        canvas.text(end + 6, y + 17, said, size=11)
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
