"""A network on a map: its sites where they are, its lanes between them, each to be chosen.

Centres are circles, other sites squares, and a centre beside its maker has a ring: shape tells what
colour (the owner's) tells too. Sites whose place is not known stand in columns beside the map.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from stafett.design.distance import distance
from stafett.insight.pictures.svg import FAINT, FONT, GRID, INK, RED, cut, measure
from stafett.registry.map import land
from stafett.service.design_graph import Graph, Site
from stafett.service.pictures.axes import COLOURS

WIDTH, TALLEST, APART, RADIUS, LINE = 900.0, 620.0, 32.0, 11.0, 34.0
ASIDE = 250.0  # width of a column of sites without a place
LONGEST = 36  # characters of a name
FEW = 6  # sites: with fewer, the farthest is not an outlier
HIT = 14  # width of what a pointer may hit of a lane, px: a lane crowds no other site
Point = tuple[float, float]
Box = tuple[float, float, float, float]


def places(
    graph: Graph,
    *,
    title: str,
    called: Mapping[str, str],
    named: Callable[[Site], str] = lambda site: site.title,
    movable: str = "",
) -> str:
    """The picture as SVG. `called` gives each key what a screen reader says of it.

    Elements with `data-key` are buttons: a script gives them their meaning. Solid lanes stay within
    one owner, dashed red ones cross a border of ownership.

    `movable` is the id of the text that says how a site is moved. The picture then carries what a
    script needs for that: its frame, and of each site its degrees, where it is drawn, and an id.
    """
    mapped = _near([s for s in graph.sites if s.at is not None])
    aside = [s for s in graph.sites if s not in mapped]
    columns = _columns(aside)
    left = WIDTH - ASIDE * len(columns)
    scenery, where, frame = _map(mapped, left)
    height = frame.height if frame else 0.0
    height = max(height, LINE * max(map(len, columns), default=0) + 30)
    for i, column in enumerate(columns):
        step = min(3 * LINE, (height - 30) / len(column))
        top = (height - step * (len(column) - 1)) / 2
        x = left + ASIDE * i + 30
        where |= {s.key: (x, top + step * j) for j, s in enumerate(column)}
    shades = {
        o: COLOURS[i % len(COLOURS)]
        for i, o in enumerate(dict.fromkeys(s.owner for s in graph.sites))
    }
    body = [_bundle(graph, key, where, called[key]) for key in graph.lane_keys]
    beside = {x.centre for x in graph.lanes if x.beside}
    taken: list[Box] = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in where.values()]
    for s in sorted(graph.sites, key=lambda s: (s.centre, s.key)):
        label = cut(named(s), LONGEST)
        at, side = _label(where[s.key], label, taken, WIDTH, height)
        body.append(
            _site(s, where[s.key], shades[s.owner], s.key in beside, called[s.key], movable)
            + f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{side}" font-size="12" '
            f'fill="{INK}" class="name">{escape(label)}</text></g>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height:.0f}" '
        f'width="{WIDTH:.0f}" height="{height:.0f}" role="group" class="network-map" '
        f'aria-label="{escape(title, quote=True)}" font-family="{escape(FONT)}"'
        f"{frame.said if frame and movable else ''}>"
        f"{scenery}{''.join(body)}</svg>"
    )


def _near(sites: list[Site]) -> list[Site]:
    """Sites for one map: without any that is farther off than all the others reach (islands).

    Few sites are never left out; one alone is no map.
    """
    if len(sites) < FEW:
        return sites if len(sites) > 1 else []
    kept = []
    for s in sites:
        rest = [x for x in sites if x is not s]
        nearest = min(distance(s.at, x.at) or 0.0 for x in rest)
        if nearest <= max(distance(x.at, y.at) or 0.0 for x in rest for y in rest):
            kept.append(s)
    return kept


def _columns(aside: Sequence[Site]) -> list[list[Site]]:
    """Sites without a place: others first, then centres, at most 18 in a column."""
    others, centres = [s for s in aside if not s.centre], [s for s in aside if s.centre]
    if len(centres) > 6:
        cuts = [centres[i : i + 18] for i in range(0, len(centres), 18)]
        return [*([others] if others else []), *cuts]
    return [[*others, *centres]] if aside else []


@dataclass(frozen=True)
class _Frame:
    """Where the map lies: degrees at its upper left, pixels a degree of latitude and longitude."""

    west: float
    north: float
    across: float
    down: float
    width: float
    height: float

    @property
    def said(self) -> str:
        """The frame as attributes, for the script that moves sites."""
        return (
            f' data-west="{self.west:.6f}" data-north="{self.north:.6f}" '
            f'data-across="{self.across:.6f}" data-down="{self.down:.6f}" '
            f'data-width="{self.width:.0f}" data-height="{self.height:.0f}"'
        )


def _map(sites: Sequence[Site], width: float) -> tuple[str, dict[str, Point], _Frame | None]:
    """Land and the sites on it (equirectangular at the middle latitude), and where it lies."""
    if not sites:
        return "", {}, None
    lats, lons = [s.at[0] for s in sites if s.at], [s.at[1] for s in sites if s.at]
    south, north, west, east = min(lats), max(lats), min(lons), max(lons)
    margin = max(0.8, (north - south) * 0.08)
    south, north = south - margin, north + margin
    squeeze = math.cos(math.radians((south + north) / 2))
    scale = min(TALLEST / (north - south), (width - 180) / max((east - west) * squeeze, 0.1))
    height = (north - south) * scale
    spare = (width / scale / squeeze - (east - west)) / 2
    west, east = west - spare, east + spare
    true = {
        s.key: ((s.at[1] - west) * squeeze * scale, (north - s.at[0]) * scale)
        for s in sites
        if s.at is not None
    }
    shown = _apart(true)
    pins = "".join(
        f'<line x1="{true[k][0]:.1f}" y1="{true[k][1]:.1f}" x2="{p[0]:.1f}" y2="{p[1]:.1f}" '
        f'stroke="{FAINT}"/><circle cx="{true[k][0]:.1f}" cy="{true[k][1]:.1f}" r="2" '
        f'fill="{FAINT}"/>'
        for k, p in shown.items()
        if math.dist(true[k], p) > RADIUS
    )
    inside = (
        f'<svg x="0" y="0" width="{width:.0f}" height="{height:.0f}" class="land" '
        f'fill="{GRID}" stroke="#fff">{"".join(land(west, east, south, north, squeeze, scale))}'
        "</svg>"
    )
    return inside + pins, shown, _Frame(west, north, squeeze * scale, scale, width, height)


def _apart(true: Mapping[str, Point]) -> dict[str, Point]:
    """The places, pushed so far apart that each can be hit by itself; the same every time."""
    now = {k: (x + 0.01 * i, y + 0.007 * i * i) for i, (k, (x, y)) in enumerate(true.items())}
    for _ in range(60):
        still = True
        for a in now:
            for b in now:
                gap = math.dist(now[a], now[b])
                if a >= b or gap >= APART:
                    continue
                still = False
                step = (APART - gap) / 2 / max(gap, 1e-6)
                dx, dy = (now[b][0] - now[a][0]) * step, (now[b][1] - now[a][1]) * step
                now[a] = (now[a][0] - dx, now[a][1] - dy)
                now[b] = (now[b][0] + dx, now[b][1] + dy)
        if still:
            break
    return now


def _bundle(graph: Graph, key: str, where: Mapping[str, Point], said: str) -> str:
    """All lanes to one organisation: one button, since their figures are the same."""
    lines, sites = [], {s.key: s for s in graph.sites}
    for lane in (x for x in graph.lanes if x.key == key and not x.beside):
        (x1, y1), (x2, y2) = where[lane.centre], where[lane.other]
        ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        faint = "" if sites[lane.other].at else 'opacity="0.45" '  # no road, but an interface
        look = f'stroke="{RED}" stroke-dasharray="5 4"' if lane.border else f'stroke="{INK}"'
        lines.append(
            f'<line {ends} stroke="transparent" stroke-width="{HIT}"/>'
            f'<line {ends} {look} stroke-width="{3 if lane.own else 1.4}" {faint}class="seen"/>'
        )
    return f"{_button('lane', key, said)}{''.join(lines)}</g>"


def _site(site: Site, at: Point, fill: str, ring: bool, said: str, movable: str) -> str:
    """A site's mark; the group stays open for its name."""
    x, y = at
    outline = f'stroke="{INK}" stroke-width="1.2" class="seen"'
    mark = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS - 1:g}" fill="{fill}" {outline}/>'
        if site.centre
        else f'<rect x="{x - RADIUS:.1f}" y="{y - RADIUS:.1f}" width="{2 * RADIUS:g}" '
        f'height="{2 * RADIUS:g}" fill="{fill}" {outline}/>'
    )
    if ring:
        mark = (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS + 4:g}" fill="none" stroke="{INK}" '
            f'stroke-width="2"/>{mark}'
        )
    more = f' data-x="{x:.1f}" data-y="{y:.1f}"'
    if site.at is not None:
        more += f' data-lat="{site.at[0]:g}" data-lon="{site.at[1]:g}"'
    more += f' id="m-{escape(site.key, quote=True)}" aria-describedby="{movable}"'
    return _button("site", site.key, said, more if movable else "") + mark


def _button(kind: str, key: str, said: str, more: str = "") -> str:
    return (
        f'<g class="{kind}" data-key="{escape(key, quote=True)}" role="button" tabindex="0" '
        f'aria-pressed="false" aria-label="{escape(said, quote=True)}"{more}>'
        f"<title>{escape(said)}</title>"
    )


def _label(
    at: Point, words: str, taken: list[Box], width: float, height: float
) -> tuple[Point, str]:
    """Where a name fits without covering another: right, left, below, above, or right all the same.

    The first that is free is taken, and noted in `taken`.
    """
    x, y = at
    wide, gap = measure(words), RADIUS + 6
    tries: list[tuple[Point, str]] = [
        ((x + gap, y + 4), "start"), ((x - gap, y + 4), "end"),
        ((x + gap - 4, y + 16), "start"), ((x + gap - 4, y - 9), "start"),
        ((x - gap + 4, y + 16), "end"), ((x - gap + 4, y - 9), "end"),
        ((x, y + gap + 11), "middle"), ((x, y - gap - 2), "middle"),
    ]  # fmt: skip
    for place, side in (*tries, tries[0]):
        start = place[0] - {"start": 0.0, "end": wide, "middle": wide / 2}[side]
        box = (start, place[1] - 10, start + wide, place[1] + 3)
        fits = box[0] >= 0 and box[2] <= width and box[1] >= 0 and box[3] <= height
        if fits and not any(_cover(box, other) for other in taken):
            taken.append(box)
            return place, side
    return tries[0]


def _cover(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
