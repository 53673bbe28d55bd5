"""A map of sites as an SVG that prints: country outlines, a dot a site, its name beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache, lru_cache
from html import escape
from importlib import resources

import msgspec


class Dot(msgspec.Struct, frozen=True):
    """A place on the map: where, its name, and how many (of what the map is of) are there."""

    latitude: float
    longitude: float
    name: str
    count: int = 1
    link: str = ""


@cache
def _rings() -> dict[str, list[list[tuple[float, float]]]]:
    file = resources.files("stafett.catalogue") / "outlines.json"
    found: dict[str, list[list[tuple[float, float]]]] = json.loads(file.read_text("utf-8"))["rings"]
    return found


@lru_cache(maxsize=64)
def land(
    west: float, east: float, south: float, north: float, squeeze: float, scale: float
) -> tuple[str, ...]:
    """Return the outlines of land in a window (degrees), placed by `squeeze` and `scale`."""

    def place(lon: float, lat: float) -> str:
        return f"{round((lon - west) * squeeze * scale, 1)} {round((north - lat) * scale, 1)}"

    found = []
    for rings in _rings().values():
        path = ""
        for ring in rings:
            lons, lats = [p[0] for p in ring], [p[1] for p in ring]
            if max(lons) < west or min(lons) > east or max(lats) < south or min(lats) > north:
                continue
            path += "M" + "L".join(place(*p) for p in ring) + "Z"
        if path:
            found.append(f'<path class="land" d="{path}"/>')
    return tuple(found)


def draw(dots: Sequence[Dot], title: str, width: int = 420) -> str:
    """Return the map around `dots` (equirectangular at their middle latitude); "" without any.

    Colour is never alone: each dot carries its count, and its name stands beside it and in the
    picture's description.
    """
    if not dots:
        return ""
    south, north = min(d.latitude for d in dots), max(d.latitude for d in dots)
    west, east = min(d.longitude for d in dots), max(d.longitude for d in dots)
    margin = max(1.5, (north - south) * 0.12, (east - west) * 0.12)
    south, north, west, east = south - margin, north + margin, west - margin * 2, east + margin * 2
    squeeze = math.cos(math.radians((south + north) / 2))
    scale = width / ((east - west) * squeeze)
    height = round((north - south) * scale)

    def place(lon: float, lat: float) -> tuple[float, float]:
        return round((lon - west) * squeeze * scale, 1), round((north - lat) * scale, 1)

    out = [
        f'<svg class="map" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' role="group" aria-label="{escape(title, quote=True)}">'
    ]
    out += land(west, east, south, north, squeeze, scale)
    taken: list[tuple[float, float]] = []
    for dot in sorted(dots, key=lambda d: -d.count):
        x, y = place(dot.longitude, dot.latitude)
        radius = round(6 + 2 * math.sqrt(dot.count), 1)
        mark = f'<circle class="dot" cx="{x}" cy="{y}" r="{radius}"/>'
        number = f'<text class="count" x="{x}" y="{y + 4}">{dot.count}</text>'
        label_y = y + 4
        while any(abs(label_y - ty) < 14 and abs(x - tx) < 150 for tx, ty in taken):
            label_y += 14
        taken.append((x, label_y))
        # Names stand on the side that has room.
        side = (radius + 4, "start") if x < width * 0.62 else (-radius - 4, "end")
        name = (
            f'<text class="name" x="{x + side[0]:.1f}" y="{label_y:.1f}"'
            f' text-anchor="{side[1]}">{escape(dot.name)}</text>'
        )
        inner = mark + number + name
        if dot.link:
            inner = f'<a href="{escape(dot.link, quote=True)}">{inner}</a>'
        out.append(inner)
    out.append("</svg>")
    return "".join(out)
