"""A network as a graph: its sites, the lanes between them, and which figures belong to which.

What the studio draws on a map and edits there. A site is a centre or an organisation; a lane goes
from a centre to another organisation, and its figures are those of the interfaces and transports
between the two. A carrier has no site: what it does lies on the lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stafett.design.distance import distance
from stafett.design.network import CENTRE, Network, Route
from stafett.design.reading import System
from stafett.protocol.model import Handoff


@dataclass(frozen=True)
class Site:
    """A place where something is done. `at`: latitude and longitude, None where it has none."""

    key: str
    title: str
    owner: str
    at: tuple[float, float] | None
    centre: bool


@dataclass(frozen=True)
class Lane:
    """A lane between a centre and an organisation; all lanes to it share `key` and their figures.

    `km`: as the crow flies or, of a lane of its own (`own`), as it says; None where not known.
    `beside`: no road lies between them.
    """

    key: str
    centre: str
    other: str
    km: float | None
    beside: bool
    border: bool
    own: bool = False


@dataclass(frozen=True)
class Graph:
    """Sites and lanes of a network."""

    sites: tuple[Site, ...]
    lanes: tuple[Lane, ...]

    @property
    def lane_keys(self) -> tuple[str, ...]:
        """The bundles of lanes, one for each organisation that centres deal with."""
        return tuple(dict.fromkeys(x.key for x in self.lanes))


def graph(system: System) -> Graph:
    """The sites and lanes of a network."""
    n = system.network
    carriers = _carriers(system)
    centres = [
        Site(f"centre:{k}", c.title, c.owner, _on_earth(c.at), True) for k, c in n.centres.items()
    ]
    others = [
        Site(f"site:{k}", o.title, o.owner, _on_earth(o.at), False)
        for k, o in n.organisations.items()
        if k not in carriers
    ]

    def own(centre: str, other: str) -> list[Route]:
        return [r for r in n.routes.values() if {r.from_, r.to} == {centre, other}]

    met = {who for pair in _pairs(system) if CENTRE in pair for who in pair}
    lanes = [
        Lane(
            f"lane:{k}", f"centre:{name}", f"site:{k}",
            next((r.km for r in own(name, k) if r.km is not None), distance(c.at, o.at)),
            c.beside_maker and o.at is not None, c.owner != o.owner, bool(own(name, k)),
        )
        for k, o in n.organisations.items()
        if k in met and k not in carriers
        for name, c in n.centres.items()
    ]  # fmt: skip
    return Graph((*others, *centres), tuple(lanes))


def _on_earth(at: tuple[float, float] | None) -> tuple[float, float] | None:
    """A place as it is; none where it is no place (a draft may say so, and is told)."""
    return at if at is not None and abs(at[0]) <= 90 and abs(at[1]) <= 180 else None


def belongs(system: System, path: str) -> tuple[str, ...]:
    """The keys of the sites and lanes that a figure (path with dots) is about; none: the whole."""
    n, part = system.network, path.split(".")
    every = tuple(f"centre:{name}" for name in n.centres)
    found = graph(system)
    if part[0] == "centres":
        return (f"centre:{part[1]}",)
    if part[0] == "habits":
        return found.lane_keys
    if part[0] == "patients":
        giving = tuple(s.key for s in found.sites if not s.centre and s.at is None)
        return giving or every
    if part[0] == "routes":
        pair = {f"lane:{n.routes[part[1]].from_}", f"lane:{n.routes[part[1]].to}"}
        return tuple(key for key in found.lane_keys if key in pair)
    if part[0] == "pools":
        pool = n.pools[part[1]]
        return _of_activity(system, pool.works_from or pool.begins, found, every)
    return _of_activity(system, part[1].partition("=")[0], found, every)


def _of_activity(
    system: System, name: str, found: Graph, every: tuple[str, ...]
) -> tuple[str, ...]:
    p, who = system.protocol, _players(system.network)
    carriers = _carriers(system)
    makers = tuple(
        key
        for key in found.lane_keys
        if system.network.organisations[key.partition(":")[2]].at is not None
    )
    if name in p.steps:
        return _of_party(who(p.steps[name].role), carriers, makers, every)
    h = p.handoffs[name]
    pair = {who(h.giver), who(h.receiver)}
    if pair & carriers:
        return makers
    if CENTRE in pair and len(pair) == 2:
        other = next(x for x in pair if x != CENTRE)
        return (f"lane:{other}",) if f"lane:{other}" in found.lane_keys else every
    return tuple(k for x in sorted(pair) for k in _of_party(x, carriers, makers, every))


def _of_party(
    party: str, carriers: frozenset[str], makers: tuple[str, ...], every: tuple[str, ...]
) -> tuple[str, ...]:
    if party == CENTRE:
        return every
    return makers if party in carriers else (f"site:{party}",)


def _players(n: Network) -> Callable[[str], str]:
    """Who plays a role; `any` and `owner` are themselves."""
    return lambda role: n.roles.get(role, role)


def _pairs(system: System) -> Iterable[tuple[str, str]]:
    """Who hands to whom, of parties that are named."""
    who = _players(system.network)
    named = {CENTRE, *system.network.organisations}
    handoffs: Iterable[Handoff] = system.protocol.handoffs.values()
    for h in handoffs:
        pair = who(h.giver), who(h.receiver)
        if pair[0] != pair[1] and named.issuperset(pair):
            yield pair


def _carriers(system: System) -> frozenset[str]:
    """Organisations without a place that stand between two others."""
    n, met = system.network, dict[str, set[str]]()
    for a, b in _pairs(system):
        met.setdefault(a, set()).add(b)
        met.setdefault(b, set()).add(a)
    return frozenset(
        k for k, o in n.organisations.items() if o.at is None and len(met.get(k, ())) > 1
    )
