"""Lanes of single centres: which transport lies between which sites, and what is wrong with a lane.

A protocol's transports are carried by a role that has no site. Whoever gave to the carrier before a
transport and whoever receives from it afterwards are its two ends.
"""

from __future__ import annotations

from collections.abc import Iterator

from stafett.design.distance import FASTEST, distance
from stafett.design.network import CENTRE, Network, Route
from stafett.protocol.model import Handoff, Protocol, Step
from stafett.protocol.net import target
from stafett.protocol.read import Document, Place


def ends(n: Network, p: Protocol) -> dict[str, tuple[str, str]]:
    """Each transport with the parties that it goes from and to; CENTRE stands for any centre."""
    found = {}
    for name, step in p.steps.items():
        if step.kind == "transport":
            carrier = n.roles.get(step.role, step.role)
            pair = _end(n, p, name, carrier, -1), _end(n, p, name, carrier, +1)
            if pair[0] is not None and pair[1] is not None:
                found[name] = pair[0], pair[1]
    return found


def _end(n: Network, p: Protocol, name: str, carrier: str, way: int) -> str | None:
    """Whoever is not the carrier, the first one before (-1) or after (+1) an activity."""
    activities: dict[str, Step | Handoff] = {**p.steps, **p.handoffs}
    if way < 0:
        near = [target(ref) for ref in activities[name].after]
    else:
        near = [k for k, a in activities.items() if name in {target(ref) for ref in a.after}]
    for other in near:
        activity = activities.get(other)
        if isinstance(activity, Handoff):
            role = activity.giver if way < 0 else activity.receiver
        elif isinstance(activity, Step):
            role = activity.role
        else:
            continue
        who = n.roles.get(role, role)
        if who != carrier:
            return who
        if (found := _end(n, p, other, carrier, way)) is not None:
            return found
    return None


def transport_of(n: Network, p: Protocol, route: Route) -> str | None:
    """The transport that a lane is for; None where none goes between its sites."""
    return _transport(ends(n, p), n, route)


def _transport(known: dict[str, tuple[str, str]], n: Network, route: Route) -> str | None:
    def party(site: str) -> str:
        return CENTRE if site in n.centres else site

    pair = party(route.from_), party(route.to)
    return next((name for name, parties in known.items() if parties == pair), None)


def own(n: Network, p: Protocol, transport: str) -> dict[str, Route]:
    """The lanes that centres have for a transport, by centre, instead of the lane of all."""
    if not n.routes:
        return {}
    known = ends(n, p)
    return {
        route.from_ if route.from_ in n.centres else route.to: route
        for route in n.routes.values()
        if _transport(known, n, route) == transport
    }


def problems(doc: Document, n: Network, p: Protocol) -> Iterator[tuple[Place, str, str]]:
    """Lanes that lead nowhere, are there twice, or are faster or shorter than can be."""
    known, seen = ends(n, p), set()
    at = {
        **{k: o.at for k, o in n.organisations.items()},
        **{k: c.at for k, c in n.centres.items()},
    }
    for name, route in n.routes.items():
        place = doc.place("routes", name)
        if route.median.value <= 0 or route.spread.value < 0:
            yield place, "a duration must be above 0, its spread not below", ""
        lost = False
        for end, where in (("from", route.from_), ("to", route.to)):
            if where == "":
                lost = True
                yield (
                    doc.place("routes", name, end),
                    f"the lane {name} leads nowhere",
                    "say which site",
                )
            elif where not in at:
                lost = True
                yield (
                    doc.place("routes", name, end),
                    f"the lane {name} leads nowhere: there is no site {where!r}",
                    "say which site",
                )
        if lost:
            continue
        if _transport(known, n, route) is None:
            yield place, f"no transport of the protocol goes from {route.from_} to {route.to}", ""
        if (route.from_, route.to) in seen:
            yield place, f"a second lane from {route.from_} to {route.to}", "keep one of them"
        seen.add((route.from_, route.to))
        straight = distance(at[route.from_], at[route.to])
        if route.km is not None and (route.km < 0 or route.km < (straight or 0.0) * 0.99):
            yield (
                doc.place("routes", name, "km"),
                f"{route.km:g} km is shorter than the straight line",
                f"which is {straight or 0:.0f} km",
            )
        far = max(route.km or 0.0, straight or 0.0)
        fastest = FASTEST[route.mode or "air"]
        if 0 < route.median.value * 24 * fastest < far:
            by = f"by {route.mode}" if route.mode else "at all"
            yield (
                place,
                f"{route.to} lies {far:,.0f} km away and cannot be reached {by} in "
                f"{route.median.value:g} days",
                f"nothing is faster than {fastest:g} km/h from door to door",
            )
