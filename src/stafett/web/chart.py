"""A shipment's conditions drawn: the lane with its legs, and the chart with its limits.

SVG from the server: it prints, and needs no script. Nothing is told by colour alone: stretches
outside are hatched and labelled, what is not known is dotted and carries a question mark, and the
table beneath has the same in words.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
from babel.dates import format_datetime
from babel.numbers import format_decimal
from markupsafe import Markup, escape

from stafett.protocol.model import text
from stafett.protocol.net import Net
from stafett.service.conditions import Seen
from stafett.watch.reading import Array
from stafett.watch.shipment import Shipment
from stafett.web import zone

Translate = Callable[..., str]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1000.0, 340.0, 64.0, 16.0, 30.0, 60.0
SIGN = {"ok": "✓", "attention": "◐", "unknown": "?", "alarm": "▲"}
TICKS = 6


def shown(seconds: float, language: str, form: str = "d MMM HH:mm") -> str:
    """Return a moment as the axis shows it."""
    at = datetime.fromtimestamp(seconds, zone.here())
    return str(format_datetime(at, form, locale=language))


def degrees(value: float, language: str) -> str:
    """Return a temperature with its unit."""
    return f"{format_decimal(round(value, 1), locale=language)} °C"


def length(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    s = round(abs(seconds))
    days, hours, minutes = s // 86_400, s % 86_400 // 3600, s % 3600 // 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {s % 60} s" if minutes else f"{s} s"


def chart(seen: Seen, t: Translate, language: str) -> Markup:
    """Return the temperature chart: readings, limits, what was outside, what is not known."""
    made, series, limit = seen.judgement, seen.series, seen.rules.limit
    start = seen.shipment.since.timestamp()
    end = seen.shipment.until.timestamp() if seen.shipment.until else seen.at
    end = max(end, start + 60)
    low, high = _range(made.believed, limit.low_c, limit.high_c)

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (min(max(at, start), end) - start) / (end - start)

    def y(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    name = f"chart-{seen.shipment.lot.replace('/', '-')}"
    title = t("shipments.chart-of", lot=seen.shipment.lot)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="conditions"'
        f' viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}"'
        f' role="img" aria-labelledby="{name}"><title id="{name}">{escape(title)}.'
        f" {escape(t('verdict.' + made.verdict))}</title>",
        f'<defs><pattern id="{name}-out" width="8" height="8" patternUnits="userSpaceOnUse"'
        ' patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="8"/>'
        f'</pattern><pattern id="{name}-gap" width="7" height="7" patternUnits="userSpaceOnUse">'
        '<circle class="dot" cx="2" cy="2" r="1.2"/></pattern></defs>',
    ]
    base = HEIGHT - BOTTOM
    for begin, until in made.exposure.gaps:
        width = max(x(until) - x(begin), 2)
        out.append(_rect(f"url(#{name}-gap)", x(begin), TOP, width, base - TOP))
        if width > 16:
            out.append(_label((x(begin) + x(until)) / 2, TOP + 16, "?", "middle", "unknown"))
    for stretch in made.exposure.outside:
        width = max(x(stretch.end) - x(stretch.start), 2)
        out.append(_rect(f"url(#{name}-out)", x(stretch.start), TOP, width, base - TOP))
    worst = max(made.exposure.outside, key=lambda s: s.end - s.start, default=None)
    if worst is not None:
        said = f"▲ {degrees(worst.worst, language)}, {length(worst.end - worst.start)}"
        at = min(max(x(worst.start), LEFT + 4), WIDTH - 190)
        out.append(_label(at, TOP - 8, said, "start", "bad"))
    out += _axes(x, y, low, high, start, end, language)
    for value, word in ((limit.high_c, "shipments.highest"), (limit.low_c, "shipments.lowest")):
        if value is not None:
            out.append(_line("limit", LEFT, y(value), WIDTH - RIGHT, y(value)))
            said = f"{t(word)} {degrees(value, language)}"
            above = -5 if value == limit.high_c else 14
            out.append(_label(WIDTH - RIGHT - 4, y(value) + above, said, "end", "limit-word"))
    out += _curve(series.times, made.believed, made.exposure.gaps, x, y)
    out += _doubted(series.times, series.of("temperature_c"), made.believed, x, y)
    out += _marks(seen, x, base, t)
    if seen.shipment.until is None:
        out.append(_line("now", x(seen.at), TOP, x(seen.at), base))
    out.append("</svg>")
    return Markup("".join(out))  # every text in it went through escape


def _range(values: Array, *limits: float | None) -> tuple[float, float]:
    told = [float(v) for v in limits if v is not None]
    known = values[~np.isnan(values)]
    if len(known):
        told += [float(known.min()), float(known.max())]
    if not told:
        return -200.0, 30.0
    low, high = min(told), max(told)
    room = max((high - low) * 0.12, 2.0)
    return low - room, high + room


def _axes(
    x: Callable[[float], float], y: Callable[[float], float], low: float, high: float,
    start: float, end: float, language: str,
) -> list[str]:  # fmt: skip
    out = []
    base = HEIGHT - BOTTOM
    step = _step((high - low) / 5)
    value = np.ceil(low / step) * step
    while value <= high:
        out.append(_line("tick", LEFT, y(value), WIDTH - RIGHT, y(value)))
        said = format_decimal(round(float(value), 1), locale=language)
        out.append(_label(LEFT - 6, y(value) + 4, said, "end"))
        value += step
    out.append(_label(4, TOP - 8, "°C", "start"))
    form = "HH:mm:ss" if end - start < 600 else "HH:mm" if end - start < 43_200 else "d MMM HH:mm"
    for i in range(TICKS + 1):
        at = start + (end - start) * i / TICKS
        anchor = "start" if i == 0 else "end" if i == TICKS else "middle"
        out.append(_line("tick", x(at), base, x(at), base + 5))
        out.append(_label(x(at), base + 18, shown(at, language, form), anchor))
    named = datetime.fromtimestamp(start, zone.here()).strftime("%Z")
    day = f"{shown(start, language, 'd MMM y')} ({named})"
    out.append(_label(LEFT, base + 52, day, "start", "soft"))
    return out


def _step(rough: float) -> float:
    size = float(10 ** np.floor(np.log10(rough)))
    return next((size * k for k in (1.0, 2.0, 5.0) if size * k >= rough), size * 10)


def _curve(
    times: Array, values: Array, gaps: tuple[tuple[float, float], ...],
    x: Callable[[float], float], y: Callable[[float], float],
) -> list[str]:  # fmt: skip
    """Draw the readings, broken where something is not known; at most four points a pixel."""
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return []
    at = np.array([x(float(s)) for s in times[known]])
    broken = np.zeros(len(known), dtype=bool)
    for begin, _ in gaps:
        after = int(np.searchsorted(times[known], begin, "right"))
        if after < len(known):
            broken[after] = True
    runs = np.split(np.arange(len(known)), np.flatnonzero(broken))
    out = []
    for run in runs:
        if not len(run):
            continue
        keep = _thin(at[run], values[known[run]])
        points = " ".join(f"{at[run][k]:.1f},{y(float(values[known[run]][k])):.1f}" for k in keep)
        if len(keep) == 1:
            k = run[0]
            out.append(f'<circle class="reading" cx="{at[k]:.1f}" cy="'
                       f'{y(float(values[known[k]])):.1f}" r="2"/>')  # fmt: skip
        else:
            out.append(f'<polyline class="curve" points="{points}"/>')
    return out


def _thin(at: Array, values: Array) -> list[int]:
    """Keep the first, lowest, highest and last reading of each pixel: no peak is lost."""
    if len(at) <= 2 * WIDTH:
        return list(range(len(at)))
    kept: list[int] = []
    for pixel in np.split(np.arange(len(at)), np.flatnonzero(np.diff(np.floor(at))) + 1):
        four = {
            pixel[0],
            pixel[-1],
            pixel[np.argmin(values[pixel])],
            pixel[np.argmax(values[pixel])],
        }
        kept += sorted(int(k) for k in four)
    return kept


def _doubted(
    times: Array, raw: Array, believed: Array, x: Callable[[float], float],
    y: Callable[[float], float],
) -> list[str]:  # fmt: skip
    hit = np.flatnonzero(~np.isnan(raw) & np.isnan(believed))[:200]
    return [
        f'<circle class="doubted" cx="{x(float(times[i])):.1f}" cy="{y(float(raw[i])):.1f}" r="4"/>'
        for i in hit
    ]


def _marks(seen: Seen, x: Callable[[float], float], base: float, t: Translate) -> list[str]:
    """Mark an opened door, a shock, lying on its side, below the axis, with a letter."""
    out = []
    for finding in seen.judgement.findings:
        if finding.kind in ("door", "shock", "side"):
            at = x(finding.since)
            said = t(f"finding.{finding.kind}", value="")
            out.append(f"<g><title>{escape(said)}</title>{_line('mark', at, TOP, at, base + 28)}")
            out.append(_label(at, base + 38, t(f"mark.{finding.kind}"), "middle") + "</g>")
    return out


def lane(seen_or: Shipment, net: Net, names: dict[str, str], t: Translate, language: str) -> Markup:
    """Return the lane strip: who held the shipper from when to when, and where it is bound."""
    legs = seen_or.legs
    now = datetime.now(UTC)
    start = seen_or.since.timestamp()
    end = (seen_or.until or now).timestamp()
    arrived = seen_or.until is not None
    ahead = not arrived and seen_or.fixed is None  # what stands in a place is bound nowhere
    reach = WIDTH - 2 * 10.0 - (110.0 if ahead else 0.0)
    span = max(end - start, 1.0)
    name = f"lane-{seen_or.journey}-{seen_or.lot.replace('/', '-')}"
    out = [
        f'<svg class="conditions lane" viewBox="0 0 {WIDTH:.0f} 74" role="img"'
        f' aria-labelledby="{escape(name)}"><title id="{escape(name)}">'
        f"{escape(t('shipments.lane'))}</title>"
    ]
    places = _widths([((leg.until or now).timestamp() - leg.since.timestamp()) for leg in legs],
                     reach)  # fmt: skip
    at = 10.0
    for leg, width in zip(legs, places, strict=True):
        role = net.protocol.roles.get(leg.role)
        title = text(role.title, language) if role else leg.role
        who = names.get(leg.organisation, leg.organisation)
        told = f"{title}, {who}, {shown(leg.since.timestamp(), language)}"
        here = leg.until is None and not arrived
        kind = "leg here" if here else "leg"
        out.append(f"<g><title>{escape(told)}</title>")
        out.append(f'<rect class="{kind}" x="{at:.1f}" y="8" width="{width - 3:.1f}" height="30"/>')
        fits = max(int((width - 12) / 7.2), 1)
        word = ("● " if here else "") + title
        out.append(
            _label(at + 6, 28, word if len(word) <= fits else word[: fits - 1] + "…", "start")
        )
        out.append("</g>")
        moment = shown(leg.since.timestamp(), language, "HH:mm" if span < 43_200 else "d MMM HH:mm")
        if width > 60:
            out.append(_label(at, 56, moment, "start", "soft"))
        at += width
    if ahead:
        role = net.protocol.roles.get(seen_or.destination or "")
        word = text(role.title, language) if role else t("shipments.unknown-destination")
        out.append(_line("ahead", at, 23, WIDTH - 30, 23))
        out.append(_label(WIDTH - 10, 28, "→", "end"))
        out.append(_label(WIDTH - 10, 70, f"→ {word}", "end"))
    elif arrived:
        out.append(_label(WIDTH - 10, 70, f"■ {shown(end, language)}", "end", "soft"))
    out.append("</svg>")
    return Markup("".join(out))  # every text in it went through escape


def _widths(spans: list[float], reach: float) -> list[float]:
    """Share `reach` by time, but let each leg be wide enough to be read."""
    if not spans:
        return []
    least = min(110.0, reach / len(spans))
    total = sum(spans) or 1.0
    rest = reach - least * len(spans)
    return [least + rest * span / total for span in spans]


def _rect(fill: str, x: float, y: float, width: float, height: float) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect fill="{fill}" {place}/>'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _label(x: float, y: float, what: str, anchor: str, kind: str = "") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(what)}</text>'
    )
