"""A network as a graph on a map: which sites, which lanes, and whose each figure is."""

from __future__ import annotations

import math
import re

import pytest

from stafett.design.distance import distance
from stafett.design.reading import load, names
from stafett.service.design_graph import belongs, graph
from stafett.service.pictures.places import APART, places
from stafett.service.studio import Unusable, Wish, key_figures, systems_of


def drawn(name: str) -> str:
    """The map of a network, its keys as its words."""
    found = graph(load(name))
    called = {s.key: s.key for s in found.sites} | {k: k for k in found.lane_keys}
    return places(found, title=name, called=called)


def marks(svg: str) -> dict[str, tuple[float, float]]:
    """Where each site is drawn: the middle of its circle or square."""
    found = {}
    for key, rest in re.findall(r'<g class="site" data-key="([^"]+)"(.*?)</g>', svg):
        if circle := re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', rest):
            found[key] = float(circle[1]), float(circle[2])
        elif square := re.search(r'<rect x="([\d.]+)" y="([\d.]+)"', rest):
            found[key] = float(square[1]) + 11, float(square[2]) + 11
    return found


def test_sweden_has_six_centres_a_plant_and_who_refers_and_no_site_for_the_carrier() -> None:
    """Six lanes to the plant, six interfaces with those who refer; each crosses a border."""
    found = graph(load("sweden"))
    assert sum(s.centre for s in found.sites) == 6
    assert {s.key for s in found.sites if not s.centre} == {"site:manufacturer", "site:referrer"}
    assert found.lane_keys == ("lane:referrer", "lane:manufacturer")
    assert len(found.lanes) == 12 and all(x.border for x in found.lanes)


@pytest.mark.parametrize("name", names())
def test_every_figure_belongs_to_something_on_the_map(name: str) -> None:
    """Whoever chooses each site and lane in turn has seen every figure that can be changed."""
    system = load(name)
    there = set(re.findall(r'data-key="([^"]+)"', drawn(name)))
    assert there == {s.key for s in graph(system).sites} | set(graph(system).lane_keys)
    for path, _ in key_figures(system):
        keys = set(belongs(system, path))
        assert keys and keys <= there, path
    assert all(any(k in belongs(system, p) for p, _ in key_figures(system)) for k in there)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("centres.lund.places.bed", "centre:lund"),
        ("lanes.TRANSPORT_OUT.median", "lane:manufacturer"),
        ("work.H12c.median", "site:manufacturer"),
        ("pools.line.places", "site:manufacturer"),
        ("results.H01=refused", "lane:referrer"),
        ("patients.per_year", "site:referrer"),
    ],
)
def test_a_figure_is_where_a_person_would_look_for_it(path: str, key: str) -> None:
    """And nowhere else."""
    assert belongs(load("sweden"), path) == (key,)


@pytest.mark.parametrize("name", names())
def test_each_site_can_be_hit_by_itself(name: str) -> None:
    """No two marks nearer than a fingertip, whatever the city; all inside the picture."""
    svg = drawn(name)
    found, size = marks(svg), re.search(r'viewBox="0 0 (\d+) (\d+)"', svg)
    assert size and len(found) == len(graph(load(name)).sites)
    for a, (x, y) in found.items():
        assert 0 < x < float(size[1]) and 0 < y < float(size[2])
        for b, other in found.items():
            assert a == b or math.dist((x, y), other) > APART - 2, (a, b)


def test_no_road_is_drawn_where_the_maker_is_beside_the_ward_and_islands_stand_beside() -> None:
    """Spain: two of thirteen make their own; Las Palmas does not shrink the mainland."""
    svg = drawn("spain")
    bundle = re.search(r'data-key="lane:manufacturer".*?</g>', svg)
    assert bundle and bundle[0].count('class="seen"') == 11
    mainland = max(x for k, (x, _) in marks(svg).items() if k == "centre:vall_hebron")
    assert marks(svg)["centre:negrin"][0] > mainland + 50


def test_distances_are_great_circles() -> None:
    """A quarter of a meridian, and none where a place is not known."""
    assert distance((0.0, 0.0), (90.0, 0.0)) == pytest.approx(6371.0088 * math.pi / 2)
    assert distance((10.0, 20.0), (10.0, 20.0)) == 0
    assert distance((0.0, 0.0), None) is None


def test_a_centre_is_changed_and_the_shares_still_add_up() -> None:
    """Twice Lund's beds and share: the beds as asked, the shares weighed against each other."""
    beds, share = "centres.lund.places.bed", "centres.lund.share"
    changed = systems_of(Wish(["sweden"], {"sweden": {beds: 4, share: 0.3334}}))["sweden"]
    lund = changed.network.centres["lund"]
    assert lund.places["bed"].value == 4
    assert lund.share.value == pytest.approx(2 / 7, abs=1e-3)
    assert sum(c.share.value for c in changed.network.centres.values()) == pytest.approx(1)


def test_a_system_that_treats_nobody_cannot_be_run() -> None:
    """No place at all, or no share for anybody: the field, and what to do."""
    nobody = {f"centres.{k}.share": 0.0 for k in load("sweden").network.centres}
    for changes, field in (
        ({"centres.lund.places.bed": 0.0}, "changes/sweden/centres.lund.places.bed"),
        (nobody, "changes/sweden"),
    ):
        with pytest.raises(Unusable) as no:
            systems_of(Wish(["sweden"], {"sweden": changes}))
        assert no.value.field == field
