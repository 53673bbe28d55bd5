"""A picture shows the figures that it was given: read back from its marks by its own axes."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from drawn_ import bars, spots
from stafett.design.estimate import Estimate
from stafett.insight.pictures.svg import BLUE, GREY
from stafett.service.pictures.bars import tornado
from stafett.service.pictures.planes import Point, frontier, plane

EFFECTS = {
    "beds": Estimate(0.8, -0.4, 2.0),
    "capacity": Estimate(6.5, 5.0, 8.0),
    "borders": Estimate(-3.2, -4.0, -2.4),
}
POINTS = [
    Point("now", 400.0, 60.0), Point("better and dearer", 500.0, 80.0),
    Point("worse and dearer", 450.0, 55.0), Point("worse and cheaper", 300.0, 40.0),
]  # fmt: skip


def test_each_bar_of_a_tornado_is_its_effect_and_interval_the_largest_first() -> None:
    """From zero to the mean, within a hundredth of the axis; the line from low to high."""
    drawn = bars(tornado(EFFECTS, title="Effects", unit="of 100"))
    assert [b.name for b in drawn] == ["capacity", "borders", "beds"]
    for bar in drawn:
        e = EFFECTS[bar.name]
        assert (bar.begins, bar.ends) == pytest.approx(sorted((0.0, e.mean)), abs=0.05)
        assert (bar.low, bar.high) == pytest.approx((e.low, e.high), abs=0.05)


def test_each_point_of_the_plane_is_its_design_and_the_front_is_told_by_colour() -> None:
    """Cost across, patients treated up; only what nothing beats in both is on the front."""
    svg = plane(frontier(POINTS), title="Plane")
    drawn = {s.name: s for s in spots(svg)}
    assert set(drawn) == {p.name for p in POINTS}
    for p in POINTS:
        s = drawn[p.name]
        assert (s.across, s.up) == pytest.approx((p.cost, p.treated), rel=0.005)
        assert s.colour == (GREY if p.name == "worse and dearer" else BLUE)
    (line,) = (x for x in ET.fromstring(svg).iter() if x.get("stroke-dasharray") == "4 3")
    assert line.attrib["d"].count("L") == 2
