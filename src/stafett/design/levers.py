"""Levers: what can be improved, each with the same meaning of effort in every system.

One unit of effort divides what is bad by e (a time, a rate of error or failure, what is missed),
or multiplies a capacity by e; effort 0.2 is so an improvement of a fifth. Places are whole: a
capacity rises by one at least. *Components* are what is done inside a step; *interfaces* what
happens between two; *institutions* who owns, who coordinates and whom they train.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec

from stafett.design.network import Interfaces, Network, Number, Work
from stafett.design.reading import System
from stafett.design.routes import transport_of

W = TypeVar("W", bound=Work)
Group = Literal["component", "interface", "institution"]
GROUPS: tuple[Group, ...] = ("component", "interface", "institution")


@dataclass(frozen=True)
class Lever:
    """Something to pull: `apply(system, effort)` is the improved system."""

    name: str
    group: Group
    apply: Callable[[System, float], System]

    def with_effort(self, effort: float) -> Callable[[System], System]:
        """The lever pulled so far, as a change of any system."""
        return lambda system: self.apply(system, effort)


def scaled(number: Number, factor: float, most: float = math.inf) -> Number:
    """The figure times a factor; its source no longer vouches for it."""
    return msgspec.structs.replace(
        number, value=min(number.value * factor, most), low=None, high=None, source=None
    )


def set_to(number: Number, value: float) -> Number:
    """The figure with another value."""
    return msgspec.structs.replace(number, value=value, low=None, high=None, source=None)


def with_network(system: System, network: Network) -> System:
    """The system with another network."""
    return System(network, system.protocol, system.interfaces)


def _shorter(table: dict[str, W], meant: set[str], factor: float) -> dict[str, W]:
    return {
        name: msgspec.structs.replace(w, median=scaled(w.median, factor)) if name in meant else w
        for name, w in table.items()
    }


def faster(kinds: tuple[str, ...]) -> Callable[[System, float], System]:
    """Shorten the steps of some kinds."""

    def apply(system: System, effort: float) -> System:
        meant = {name for name, step in system.protocol.steps.items() if step.kind in kinds}
        n, factor = system.network, math.exp(-effort)
        work, lanes = _shorter(n.work, meant, factor), _shorter(n.lanes, meant, factor)
        routed = {k for k, r in n.routes.items() if transport_of(n, system.protocol, r) in meant}
        routes = _shorter(n.routes, routed, factor)
        return with_network(
            system, msgspec.structs.replace(n, work=work, lanes=lanes, routes=routes)
        )

    return apply


def fewer_failures(system: System, effort: float) -> System:
    """Results of collecting, making and testing that do not go on, less often."""
    n, results = system.network, dict(system.network.results)
    for key, p in results.items():
        step = system.protocol.steps.get(key.partition("=")[0])
        if step is not None and step.kind in ("collect", "manufacture", "test", "certify"):
            results[key] = scaled(p, math.exp(-effort), 1.0)
    return with_network(system, msgspec.structs.replace(n, results=results))


def more_places(pool: str) -> Callable[[System, float], System]:
    """More of one pool: its capacity times e^effort, one more at least where places are whole."""

    def apply(system: System, effort: float) -> System:
        n = system.network
        if pool not in n.pools or effort == 0:
            return system
        factor = math.exp(effort)
        spec = n.pools[pool]
        if spec.per == "network":
            assert spec.places is not None
            pools = {
                **n.pools,
                pool: msgspec.structs.replace(spec, places=scaled(spec.places, factor)),
            }
            return with_network(system, msgspec.structs.replace(n, pools=pools))
        centres = {}
        for name, c in n.centres.items():
            more = max(c.places[pool].value + 1, round(c.places[pool].value * factor))
            places = {**c.places, pool: set_to(c.places[pool], more)}
            centres[name] = msgspec.structs.replace(c, places=places)
        return with_network(system, msgspec.structs.replace(n, centres=centres))

    return apply


def _interfaces(system: System, change: Callable[[Interfaces], Interfaces]) -> System:
    return System(system.network, system.protocol, change(system.interfaces))


def fewer_errors(system: System, effort: float) -> System:
    """Each kind of error made less often."""

    def change(m: Interfaces) -> Interfaces:
        kinds = {
            k: msgspec.structs.replace(e, rate=scaled(e.rate, math.exp(-effort)))
            for k, e in m.kinds.items()
        }
        return msgspec.structs.replace(m, kinds=kinds)

    return _interfaces(system, change)


def fewer_missed(system: System, effort: float) -> System:
    """Receivers miss less: of their own giver's errors and of earlier ones."""

    def better(p: Number) -> Number:
        return set_to(p, 1 - (1 - p.value) * math.exp(-effort))

    def change(m: Interfaces) -> Interfaces:
        kinds = {
            k: msgspec.structs.replace(
                e, found_here=better(e.found_here), found_later=better(e.found_later)
            )
            for k, e in m.kinds.items()
        }
        return msgspec.structs.replace(m, kinds=kinds)

    return _interfaces(system, change)


def quicker_answers(system: System, effort: float) -> System:
    """A question is answered, and work done again, sooner."""
    return _interfaces(
        system,
        lambda m: msgspec.structs.replace(
            m,
            clarify_hours=scaled(m.clarify_hours, math.exp(-effort)),
            rework_days=scaled(m.rework_days, math.exp(-effort)),
        ),
    )


def shorter_dwell(system: System, effort: float) -> System:
    """What is released is accepted sooner, at every handoff."""
    n = system.network
    habits = msgspec.structs.replace(
        n.habits, dwell_hours=scaled(n.habits.dwell_hours, math.exp(-effort))
    )
    work = {
        name: msgspec.structs.replace(w, median=scaled(w.median, math.exp(-effort)))
        if name in system.protocol.handoffs
        else w
        for name, w in n.work.items()
    }
    return with_network(system, msgspec.structs.replace(n, habits=habits, work=work))


def fewer_borders(system: System, effort: float) -> System:
    """Owners behave more like one: the factor at a border moves towards 1."""
    n = system.network
    closer = 1 + (n.habits.crossing.value - 1) * math.exp(-effort)
    habits = msgspec.structs.replace(n.habits, crossing=set_to(n.habits.crossing, closer))
    return with_network(system, msgspec.structs.replace(n, habits=habits))


def coordination(system: System, effort: float) -> System:
    """More handoffs are electronic, structured and on a shared record."""
    n, h = system.network, system.network.habits
    changed = {}
    for name in ("digital", "structured", "shared_record"):
        now = getattr(h, name)
        changed[name] = set_to(now, now.value + (1 - now.value) * (1 - math.exp(-effort)))
    return with_network(
        system, msgspec.structs.replace(n, habits=msgspec.structs.replace(h, **changed))
    )


def training(system: System, effort: float) -> System:
    """People who meet at an interface have practised it together: a pair is less of a stranger.

    What unfamiliarity adds to the errors of a pair falls; familiar pairs gain nothing.
    """
    return _interfaces(
        system,
        lambda m: msgspec.structs.replace(m, unfamiliar=scaled(m.unfamiliar, math.exp(-effort))),
    )


LEVERS: tuple[Lever, ...] = (
    Lever("manufacturing capacity", "component", more_places("line")),
    Lever("apheresis capacity", "component", more_places("chair")),
    Lever("beds", "component", more_places("bed")),
    Lever("time to make", "component", faster(("manufacture",))),
    Lever("time to test and certify", "component", faster(("test", "certify"))),
    Lever("time on the road", "component", faster(("transport",))),
    Lever("failures of a step", "component", fewer_failures),
    Lever("errors made at interfaces", "interface", fewer_errors),
    Lever("errors missed at interfaces", "interface", fewer_missed),
    Lever("dwell at interfaces", "interface", shorter_dwell),
    Lever("time to an answer", "interface", quicker_answers),
    Lever("borders between owners", "institution", fewer_borders),
    Lever("coordination", "institution", coordination),
    Lever("training", "institution", training),
)


def spread(system: System, group: Group, effort: float) -> System:
    """The same total effort, spread evenly over the levers of a group."""
    levers = [lever for lever in LEVERS if lever.group == group]
    for lever in levers:
        system = lever.apply(system, effort / len(levers))
    return system


def demand(system: System, factor: float) -> System:
    """More patients, and nothing else."""
    n = system.network
    patients = msgspec.structs.replace(n.patients, per_year=scaled(n.patients.per_year, factor))
    return with_network(system, msgspec.structs.replace(n, patients=patients))
