"""Lanes of single centres: they are simulated, and one that leads nowhere is refused by line."""

from __future__ import annotations

from importlib.resources import files

import msgspec
import pytest

from stafett.design.experiment import Design, Plan, run
from stafett.design.levers import faster, with_network
from stafett.design.network import Network, Route
from stafett.design.reading import System, document_of, examined, load, names
from stafett.design.routes import ends, own, transport_of
from stafett.protocol.read import ReadError

DAYS = "median: {value: 3, low: 2, high: 4, assumption: true}, "
SPREAD = "spread: {value: 0.3, low: 0.2, high: 0.4, assumption: true}"


def text_with(*lanes: str) -> str:
    """Sweden with lanes of its own, each written as `from, to, and more`."""
    sweden = (files("stafett") / "catalogue" / "networks" / "sweden.yaml").read_text("utf-8")
    rows = "".join(f"  lane{i}: {{{lane}, {SPREAD}}}\n" for i, lane in enumerate(lanes))
    return f"{sweden}\nroutes:\n{rows}"


def routed(system: System, days: float | None = None) -> System:
    """A system where every centre has a lane of its own, as quick as the lane of all, or `days`."""
    n, p = system.network, system.protocol
    routes = {}
    for transport, (giver, receiver) in ends(n, p).items():
        lane = n.lanes[transport]
        median = msgspec.structs.replace(lane.median, value=days or lane.median.value)
        for centre in n.centres:
            pair = [centre if x == "centre" else x for x in (giver, receiver)]
            routes[f"{transport}-{centre}"] = Route(
                from_=pair[0], to=pair[1], mode=lane.mode, median=median, spread=lane.spread,
                working_hours=lane.working_hours,
            )  # fmt: skip
    return with_network(system, msgspec.structs.replace(n, routes=routes))


def test_a_transport_goes_between_who_gives_to_the_carrier_and_who_receives_from_it() -> None:
    """Couriers and their hubs are no end of a lane; a protocol that carries nothing has none."""
    for name in names():
        system = load(name)
        pairs = ends(system.network, system.protocol)
        there = {k for k, s in system.protocol.steps.items() if s.kind == "transport"}
        assert set(pairs) == there, name
        assert all("centre" in pair for pair in pairs.values()), name


def test_lanes_of_all_centres_alike_are_the_lane_of_all() -> None:
    """Under the same luck the figures are the same to the last bit; slower lanes take longer."""
    sweden = load("sweden")
    plan = Plan(3, 0.5)
    designs = {
        "all": Design(sweden), "each": Design(routed(sweden)), "slow": Design(routed(sweden, 6.0)),
    }  # fmt: skip
    found = run(designs, plan)
    took = {name: found.values(name, "collected_to_infused") for name in designs}
    assert took["each"] == took["all"]
    assert all(slow > usual + 5 for slow, usual in zip(took["slow"], took["all"], strict=True))


def test_time_on_the_road_shortens_the_lanes_of_centres_too() -> None:
    """The lever means every transport, whoever's lane it is."""
    system = routed(load("sweden"))
    shorter = faster(("transport",))(system, 0.5).network
    for key, route in system.network.routes.items():
        assert shorter.routes[key].median.value < route.median.value


def test_the_lane_of_all_may_be_left_out_where_every_centre_has_its_own() -> None:
    """And is missed as soon as one centre has none."""
    lanes = [f"from: {c}, to: manufacturer, {DAYS}" for c in load("sweden").network.centres]
    text = text_with(*[lane.rstrip(", ") for lane in lanes])
    text = text.replace("  TRANSPORT_OUT:\n    mode: air\n", "  TAKEN:\n    mode: air\n", 1)
    _, problems = examined(document_of(text, "x.yaml"))
    assert not any("no lane for" in x.what for x in problems)
    assert any("no activity 'TAKEN'" in x.what for x in problems)
    _, problems = examined(document_of(text.replace("  lane0:", "  # lane0:"), "x.yaml"))
    assert any("no lane for TRANSPORT_OUT" in x.what for x in problems)


@pytest.mark.parametrize(
    ("lane", "what"),
    [
        ("from: umea, to: ''", "leads nowhere"),
        ("from: umea, to: mars", "no site 'mars'"),
        ("from: pluto, to: manufacturer", "no site 'pluto'"),
        ("from: umea, to: lund", "no transport of the protocol goes from umea to lund"),
        ("from: umea, to: manufacturer, km: 300", "shorter than the straight line"),
        ("from: umea, to: manufacturer, mode: road, km: 9000", "cannot be reached by road"),
    ],
)
def test_a_lane_that_cannot_be_is_refused_with_its_line(lane: str, what: str) -> None:
    """The line is that of the lane or of the part that is wrong."""
    text = text_with(f"{lane}, {DAYS}".rstrip(", "))
    _, problems = examined(document_of(text, "x.yaml"))
    assert [what in x.what for x in problems] == [True]
    assert problems[0].place.line == text.splitlines().index("routes:") + 2


def test_the_same_lane_twice_is_refused() -> None:
    """Which of the two is meant, nobody could say."""
    text = text_with(*[f"from: umea, to: manufacturer, {DAYS}".rstrip(", ")] * 2)
    _, problems = examined(document_of(text, "x.yaml"))
    assert ["a second lane" in x.what for x in problems] == [True]


def test_a_text_extends_a_built_in_network_and_no_file() -> None:
    """What is uploaded cannot name a file of the machine that reads it."""
    doc = document_of("extends: sweden\nnetwork: mine\n", "mine.yaml")
    assert doc.convert(doc.value, Network).network == "mine"
    with pytest.raises(ReadError, match="no network '/etc/passwd'"):
        document_of("extends: /etc/passwd\n", "mine.yaml")


def test_a_lane_is_found_by_its_transport_and_centre() -> None:
    """And one between sites that nothing is carried between is no transport's."""
    system = routed(load("sweden-aav"))
    n, p = system.network, system.protocol
    assert set(own(n, p, "TRANSPORT")) == set(n.centres)
    stray = Route(from_="huddinge", to="maker", median=n.lanes["TRANSPORT"].median,
                  spread=n.lanes["TRANSPORT"].spread)  # fmt: skip
    assert transport_of(n, p, stray) is None
