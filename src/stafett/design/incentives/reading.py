"""Reading a game and its contracts from a file, so that each error names file and line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import msgspec

from stafett.design.assumptions import drawn, numbers, uniform
from stafett.design.incentives.contract import Contract, check
from stafett.design.incentives.game import Actor, Game, Interface
from stafett.design.network import Number
from stafett.protocol.model import Base, Source
from stafett.protocol.read import Document, Place, ReadError, parse, read

BUILT_IN = "car-t"


class ActorSpec(Base, frozen=True, kw_only=True):
    """An actor as written; who plays one of its `roles` in a network owns it there."""

    title: str
    roles: list[str] = msgspec.field(default_factory=list)
    cost: Number
    power: float = 2.0
    crowding: Number | None = None


class InterfaceSpec(Base, frozen=True, kw_only=True):
    """An interface (or, without receiver, a step) as written."""

    giver: str
    receiver: str | None = None
    q: Number
    beta: Number
    rho: float = -1.0
    form: Literal["chance", "hazard"] = "chance"


class ContractSpec(Base, frozen=True, kw_only=True):
    """A contract as written; see `Contract`."""

    title: str
    fixed: dict[str, Number] = msgspec.field(default_factory=dict)
    shares: dict[str, Number] = msgspec.field(default_factory=dict)
    fees: dict[str, dict[str, Number]] = msgspec.field(default_factory=dict)
    service: dict[str, Number] = msgspec.field(default_factory=dict)
    target: float = 0.95
    penalties: dict[str, Number] = msgspec.field(default_factory=dict)
    bond: Number | None = None
    bears: dict[str, Number] = msgspec.field(default_factory=dict)
    integrator: str | None = None
    subrate: Number | None = None


class Specification(Base, frozen=True, kw_only=True):
    """A game file."""

    stafett_game: Literal[1]
    game: str
    title: str
    summary: str = ""
    sources: dict[str, Source] = msgspec.field(default_factory=dict)
    value: Number
    payer: str
    actors: dict[str, ActorSpec]
    interfaces: dict[str, InterfaceSpec]
    contracts: dict[str, ContractSpec]


@dataclass(frozen=True)
class Table:
    """A file read and checked: the game at its central figures, and its contracts."""

    spec: Specification
    game: Game
    contracts: dict[str, Contract]

    @property
    def titles(self) -> dict[str, str]:
        """What each actor is called."""
        return {k: a.title for k, a in self.spec.actors.items()}


def load(file_or_name: str = BUILT_IN) -> Table:
    """Read a game file, or the built-in game; ReadError says what is wrong, where."""
    if file_or_name == BUILT_IN:
        entry = files("stafett") / "catalogue" / "incentives" / f"{BUILT_IN}.yaml"
        doc = parse(entry.read_bytes(), f"{BUILT_IN}.yaml")
    elif "/" in file_or_name or "." in file_or_name:
        doc = read(file_or_name)
    else:
        place = Place(file_or_name, 1, 1)
        raise ReadError(place, "no game of this name", f"known: {BUILT_IN}; or give a file")
    spec = doc.convert(doc.value, Specification)
    sourced(doc, spec, set(spec.sources))
    return _built(doc, spec)


def sourced(doc: Document, part: object, sources: set[str]) -> None:
    """Each figure has a source that is listed, or is an assumption with a range; else ReadError."""
    for path, number in numbers(part):
        place = doc.place(*path)
        low = number.value if number.low is None else number.low
        high = number.value if number.high is None else number.high
        if number.source is None and not number.assumption:
            raise ReadError(place, "a figure without a source", "or say `assumption: true`")
        if number.source is not None and number.source not in sources:
            raise ReadError(place, f"there is no source {number.source!r}", "list it in `sources`")
        if number.assumption and (number.low is None or number.high is None):
            raise ReadError(place, "an assumption without a range", "give `low` and `high`")
        if not low <= number.value <= high:
            raise ReadError(place, f"{number.value:g} lies outside its range {low:g} to {high:g}")


def _built(doc: Document, spec: Specification) -> Table:
    for name, a in spec.actors.items():
        place = doc.place("actors", name)
        if a.power < 1 or (a.crowding and not 0 <= a.crowding.value <= 1):
            raise ReadError(place, "the cost is not convex", "power 1 or more, crowding 0 to 1")
        if a.cost.value <= 0:
            raise ReadError(place, "effort that costs nothing", "a cost above 0")
        touched = (w for k in spec.interfaces.values() for w in (k.giver, k.receiver))
        if name != spec.payer and name not in touched:
            raise ReadError(place, f"{name} touches no interface", "leave it out, or give it one")
    for name, k in spec.interfaces.items():
        for who in (k.giver, k.receiver):
            if who is not None and who not in spec.actors:
                known = ", ".join(spec.actors)
                raise ReadError(doc.place("interfaces", name), f"no actor {who!r}", f"has: {known}")
    try:
        game = game_of(spec)
    except ValueError as problem:
        raise ReadError(doc.place("interfaces"), str(problem)) from None
    contracts = {}
    for name, c in spec.contracts.items():
        contracts[name] = contract_of(name, c)
        try:
            check(contracts[name], game)
        except ValueError as problem:
            raise ReadError(doc.place("contracts", name), str(problem)) from None
    return Table(spec, game, contracts)


def game_of(spec: Specification) -> Game:
    """The game at the figures' values."""
    actors = tuple(
        Actor(n, a.cost.value, a.power, a.crowding.value if a.crowding else 0.0)
        for n, a in spec.actors.items()
    )
    interfaces = tuple(
        Interface(n, k.giver, k.receiver, k.q.value, k.beta.value, k.rho, k.form)
        for n, k in spec.interfaces.items()
    )
    return Game(spec.value.value, actors, interfaces, spec.payer)


def contract_of(name: str, c: ContractSpec) -> Contract:
    """A contract at its figures' values."""

    def plain(table: dict[str, Number]) -> dict[str, float]:
        return {k: n.value for k, n in table.items()}

    return Contract(
        name, c.title, plain(c.fixed), plain(c.shares),
        {k: plain(v) for k, v in c.fees.items()}, plain(c.service), c.target,
        plain(c.penalties), c.bond.value if c.bond else 0.0, plain(c.bears),
        c.integrator, c.subrate.value if c.subrate else 0.0,
    )  # fmt: skip


def redrawn(part: Any, seed: int, draw: int, path: tuple[str, ...] = ()) -> Any:
    """A specification with every ranged figure drawn anew; alike for the same seed and draw."""
    return mapped(part, lambda p, n: drawn(n, uniform(seed, draw, *p)), path)


def mapped(
    part: Any, value: Callable[[tuple[str, ...], Number], float], path: tuple[str, ...] = ()
) -> Any:
    """The same part with each ranged figure's value replaced."""
    if isinstance(part, Number):
        if part.low is None or part.high is None or part.low == part.high:
            return part
        return msgspec.structs.replace(part, value=value(path, part))
    if isinstance(part, dict):
        return {k: mapped(v, value, (*path, str(k))) for k, v in part.items()}
    if isinstance(part, msgspec.Struct):
        changed = {n: mapped(getattr(part, n), value, (*path, n)) for n in part.__struct_fields__}
        return msgspec.structs.replace(part, **changed)
    return part


def assumptions(spec: Specification) -> Iterator[tuple[str, Number]]:
    """Every figure with its path: what a report prints beside its results."""
    for path, number in numbers(spec):
        yield ".".join(path), number
