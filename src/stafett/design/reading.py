"""Reading networks: built-in by name, or files; what does not fit is said with file and line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from stafett.design.distance import FASTEST, distance
from stafett.design.interface_checks import wrong
from stafett.design.misfit import network_of
from stafett.design.network import CENTRE, Interfaces, Network, Number
from stafett.design.routes import own
from stafett.design.routes import problems as _of_routes
from stafett.protocol.builtin import load as load_protocol
from stafett.protocol.fit import plain
from stafett.protocol.model import Handoff, Protocol, Step
from stafett.protocol.read import Document, Place, ReadError, parse, read


@dataclass(frozen=True)
class System:
    """A network with the protocol it runs and the interface model: all that is simulated."""

    network: Network
    protocol: Protocol
    interfaces: Interfaces

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network.network


def names() -> tuple[str, ...]:
    """The built-in networks, sorted."""
    folder = files("stafett") / "catalogue" / "networks"
    found = (entry.name for entry in folder.iterdir())
    return tuple(sorted(n.removesuffix(".yaml") for n in found if n.endswith(".yaml")))


def source(name: str) -> bytes:
    """Return the file of a built-in network; raise ReadError if there is none of that name."""
    if name not in names():
        known = ", ".join(names())
        raise ReadError(Place(name, 1, 1), "no network of this name", f"known: {known}")
    return (files("stafett") / "catalogue" / "networks" / f"{name}.yaml").read_bytes()


def document(file_or_name: str) -> Document:
    """Parse a network file, or the built-in network of that name; `extends` is filled in."""
    if "/" in file_or_name or "." in file_or_name:
        found = read(file_or_name)
        folder = Path(file_or_name).parent
    else:
        found = parse(source(file_or_name), f"{file_or_name}.yaml")
        folder = None
    return _extended(found, folder)


def document_of(text: bytes | str, file: str) -> Document:
    """Parse the text of a network file, called `file` in errors; it may extend a built-in one."""
    return _extended(parse(text, file), None)


def _extended(found: Document, folder: Path | None) -> Document:
    base = found.value.get("extends")
    if base is None:
        return found
    if not isinstance(base, str):
        raise ReadError(found.place("extends"), "`extends` names one network")
    beside = folder / f"{base}.yaml" if folder else None
    if not (beside and beside.exists()) and base not in names():
        known = ", ".join(names())
        raise ReadError(found.place("extends"), f"there is no network {base!r}", f"known: {known}")
    under = document(str(beside) if beside and beside.exists() else base)
    over = {k: v for k, v in found.value.items() if k != "extends"}
    return Document(found.file, _over(under.value, over), {**under.places, **found.places})


def _over(under: Any, over: Any) -> Any:
    """Lay one value over another: mappings are merged, null takes a key away."""
    if isinstance(under, dict) and isinstance(over, dict) and "value" not in over:
        merged = {**under, **{k: _over(under.get(k), v) for k, v in over.items()}}
        return {k: v for k, v in merged.items() if v is not None}
    return over


@cache
def interface_model() -> Interfaces:
    """The built-in interface model."""
    found = _interface_document()
    model = found.convert(found.value, Interfaces)
    _numbers(found, set(model.sources), ("sources",))
    return model


@cache
def _interface_document() -> Document:
    entry = files("stafett") / "catalogue" / "interfaces.yaml"
    return parse(entry.read_bytes(), "interfaces.yaml")


def _interfaces_of(doc: Document, network: Network) -> Interfaces:
    """The interface model of a system: the built-in one, or what its network lays over it."""
    model = interface_model()
    if not network.interfaces:
        return model
    merged = _over(_interface_document().value, network.interfaces)
    try:
        found = msgspec.convert(merged, Interfaces)
    except msgspec.ValidationError as error:
        raise ReadError(doc.place("interfaces"), str(plain(error)), "see interfaces.yaml") from None
    for path, what, todo in wrong(found):
        raise ReadError(doc.place("interfaces", *path), what, todo)
    return found


def load(file_or_name: str) -> System:
    """Read and check a network with its protocol; ReadError names the place of what is wrong.

    A built-in network is read once.
    """
    return _built_in(file_or_name) if file_or_name in names() else _read(file_or_name)


@cache
def _built_in(name: str) -> System:
    return _read(name)


def _read(file_or_name: str) -> System:
    return system_of(document(file_or_name))


def system_of(doc: Document) -> System:
    """Check a network that was parsed; ReadError names the first thing that is wrong."""
    system, problems = examined(doc)
    for problem in problems:
        raise problem
    return system


def _protocol(doc: Document, name: str) -> str:
    """Name a protocol's file as it lies beside the file that names it; a built-in one as it is."""
    beside = Path(doc.place("protocol").file).parent / name
    return str(beside) if ("/" in name or "." in name) and beside.is_file() else name


def examined(doc: Document) -> tuple[System, list[ReadError]]:
    """A network and everything that is wrong with it; ReadError if it cannot be read at all."""
    network = network_of(doc)
    try:
        protocol = load_protocol(_protocol(doc, network.protocol)).bind(network.product)
    except ReadError as problem:
        raise ReadError(doc.place("protocol"), str(problem)) from None
    _numbers(doc, set(network.sources), ("sources", "published"))
    found = [ReadError(*problem) for problem in _problems(doc, network, protocol)]
    return System(network, protocol, _interfaces_of(doc, network)), found


def _numbers(doc: Document, sources: set[str], skip: tuple[str, ...]) -> None:
    """Each figure has a source that is listed, or is an assumption with a range that holds it."""
    for path in doc.places:
        value = doc.at(*path)
        if not (isinstance(value, dict) and "value" in value) or path[0] in skip:
            continue
        number = msgspec.convert(value, Number)
        place = doc.place(*path)
        if number.source is None and not number.assumption:
            raise ReadError(place, "a figure without a source", "or say `assumption: true`")
        if number.source is not None and number.source not in sources:
            raise ReadError(place, f"there is no source {number.source!r}", "list it in `sources`")
        if number.assumption and (number.low is None or number.high is None):
            raise ReadError(place, "an assumption without a range", "give `low` and `high`")
        low = number.value if number.low is None else number.low
        high = number.value if number.high is None else number.high
        if not low <= number.value <= high:
            raise ReadError(place, f"{number.value:g} lies outside its range {low:g} to {high:g}")


def _problems(doc: Document, n: Network, p: Protocol) -> Iterator[tuple[Place, str, str]]:
    """What the types cannot see."""
    activities: dict[str, Step | Handoff] = {**p.steps, **p.handoffs}
    for role in p.roles:
        if role not in n.roles:
            yield doc.place("roles"), f"nobody plays the role {role!r}", "name an organisation"
    for role, who in n.roles.items():
        place = doc.place("roles", role)
        if role not in p.roles:
            yield place, f"the protocol has no role {role!r}", f"it has: {', '.join(p.roles)}"
        if who != CENTRE and who not in n.organisations:
            yield place, f"there is no organisation {who!r}", "or `centre`"
    for kind, group in (("organisations", n.organisations), ("centres", n.centres)):
        for name, one in group.items():
            if one.owner not in n.owners:
                yield doc.place(kind, name, "owner"), f"there is no owner {one.owner!r}", ""
    if not n.centres:
        yield doc.place("centres"), "no centre treats anybody", "name at least one"
    total = sum(c.share.value for c in n.centres.values())
    if abs(total - 1) > 0.01:
        yield doc.place("centres"), f"the shares add up to {total:.3f}", "they must add up to 1"
    for section, named in (("work", n.work), ("lanes", n.lanes)):
        for name, work in named.items():
            place = doc.place(section, name)
            if name not in activities:
                yield place, f"the protocol has no activity {name!r}", ""
            if work.median.value <= 0 or work.spread.value < 0:
                yield place, "a duration must be above 0, its spread not below", ""
    for name, supply in n.supplies.items():
        if supply.before not in p.steps:
            place = doc.place("supplies", name)
            yield place, f"the protocol has no step {supply.before!r}", "the step that needs it"
        if supply.on_hand.value < 0:
            yield doc.place("supplies", name, "on_hand"), "a stock below 0", "days, 0 or more"
    for name, step in p.steps.items():
        everywhere = own(n, p, name).keys() >= n.centres.keys()
        if step.kind == "transport" and name not in n.lanes and not everywhere:
            yield doc.place("lanes"), f"there is no lane for {name}", "give its days under `lanes`"
    yield from _reach(doc, n, p)
    yield from _of_routes(doc, n, p)
    yield from _signs(doc, n)
    yield from _probabilities(doc, n, activities)
    yield from _capacities(doc, n, activities)


def _reach(doc: Document, n: Network, p: Protocol) -> Iterator[tuple[Place, str, str]]:
    """Sites that nothing comes to: no role, no place on earth, a lane faster than any journey."""
    for name, organisation in n.organisations.items():
        if name not in n.roles.values():
            yield doc.place("organisations", name), f"{name} plays no role", "nothing comes to it"
        yield from _place(doc, organisation.at, "organisations", name)
    for name, centre in n.centres.items():
        yield from _place(doc, centre.at, "centres", name)
    makers = [o for o in n.organisations.values() if o.at is not None]
    for name, lane in n.lanes.items():
        fastest, spared = FASTEST[lane.mode or "air"], own(n, p, name)
        for where, c in n.centres.items():
            far = max((distance(c.at, o.at) or 0.0 for o in makers), default=0.0)
            if where in spared or c.beside_maker or far <= fastest * 24 * lane.median.value:
                continue
            by = f"by {lane.mode}" if lane.mode else "at all"
            yield (
                doc.place("lanes", name),
                f"{where} lies {far:,.0f} km away and cannot be reached {by} in "
                f"{lane.median.value:g} days",
                f"nothing is faster than {fastest:g} km/h from door to door",
            )


def _place(
    doc: Document, at: tuple[float, float] | None, section: str, name: str
) -> Iterator[tuple[Place, str, str]]:
    if at is not None and not (-90 <= at[0] <= 90 and -180 <= at[1] <= 180):
        yield (
            doc.place(section, name, "at"),
            f"{at[0]:g}, {at[1]:g} is no place",
            "degrees: lat, lon",
        )


def _signs(doc: Document, n: Network) -> Iterator[tuple[Place, str, str]]:
    """Rates, hazards, shares, spreads and costs have a sign."""
    if n.patients.per_year.value <= 0:
        yield doc.place("patients", "per_year"), "must be above 0", "patients a year"
    for hazard in ("dies", "unfit", "withdraws"):
        if getattr(n.patients, hazard).value < 0:
            yield doc.place("patients", hazard), "a hazard below 0", "per week, 0 or more"
    for layer in ("biological", "operational", "institutional"):
        if getattr(n.variability, layer).value < 0:
            yield doc.place("variability", layer), "a standard deviation below 0", "0 or more"
    for name, c in n.centres.items():
        if c.share.value < 0:
            yield doc.place("centres", name, "share"), "a share below 0", "0 to 1"
    for name, cost in n.costs.items():
        if cost.value < 0:
            yield doc.place("costs", name), "a cost below 0", "US dollars, 0 or more"


def _probabilities(
    doc: Document, n: Network, activities: dict[str, Step | Handoff]
) -> Iterator[tuple[Place, str, str]]:
    sums: dict[tuple[str, str], float] = {}
    sections = (("results", n.results), ("results_again", n.results_again))
    for section, key, p in ((s, k, p) for s, ps in sections for k, p in ps.items()):
        place = doc.place(section, key)
        name, _, result = key.partition("=")
        activity = activities.get(name)
        if activity is None:
            yield place, f"the protocol has no activity {name!r}", ""
        elif isinstance(activity, Handoff):
            if result != "refused":
                yield place, f"a handoff is refused, or not; {result!r} is no such word", ""
        elif result not in activity.results:
            known = ", ".join(activity.results) or "none"
            yield place, f"{name} has no result {result!r}", f"it has: {known}"
        total = sums[section, name] = sums.get((section, name), 0) + p.value
        if not 0 <= p.value <= 1 or total > 1 + 1e-9:
            yield place, f"{p.value:g} is no probability here", "0 to 1, and together at most 1"
    for field in ("digital", "structured", "shared_record"):
        if not 0 <= getattr(n.habits, field).value <= 1:
            yield doc.place("habits", field), "a share lies between 0 and 1", ""
    for field in ("crossing", "dwell_hours"):
        if getattr(n.habits, field).value <= 0:
            yield doc.place("habits", field), "must be above 0", ""
    for field in ("dwell_spread", "pair_cases"):
        if getattr(n.habits, field).value < 0:
            yield doc.place("habits", field), "must not be below 0", ""


def _capacities(
    doc: Document, n: Network, activities: dict[str, Step | Handoff]
) -> Iterator[tuple[Place, str, str]]:
    for name, pool in n.pools.items():
        place = doc.place("pools", name)
        for end in (pool.begins, pool.ends, pool.works_from or pool.begins):
            if end not in activities:
                yield place, f"the protocol has no activity {end!r}", ""
        if pool.per == "network":
            if pool.places is None or pool.places.value <= 0:
                yield place, "a pool of the network needs `places` above 0", ""
            continue
        for centre, c in n.centres.items():
            here = c.places.get(name)
            if here is None or here.value < 1:
                where = doc.place("centres", centre, "places")
                yield where, f"{centre} has no place in pool {name!r}", "give at least 1"
            elif here.value != round(here.value):
                where = doc.place("centres", centre, "places", name)
                yield where, f"{here.value:g} places at {centre}", "places at a centre are whole"
