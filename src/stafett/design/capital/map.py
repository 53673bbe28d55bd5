"""The capital map: how much a category would help, against how much its payer could get back.

*Criticality*: additional patients treated a year for a million US dollars a year, by simulation
with the same luck and with drawn assumptions. *Fundability*: the share of the value created that
who pays for the investment captures under a contract; with public money (a share `public` of the
price) the public captures all of its share; with shared infrastructure (a share `shared`) all
owners on the chain pay and capture together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from stafett.design.assumptions import drawn, uniform
from stafett.design.capital.reading import DEMAND, Catalogue, Category
from stafett.design.estimate import Estimate, central, estimate
from stafett.design.experiment import Design, Plan, run
from stafett.design.incentives.contract import Terms, terms
from stafett.design.incentives.equilibrium import Settled, best, equilibria
from stafett.design.incentives.game import Game, Vector
from stafett.design.incentives.owned import Owned, Owners, owner_of
from stafett.design.incentives.reading import Table, contract_of, game_of, redrawn
from stafett.design.levers import LEVERS, demand
from stafett.design.reading import System
from stafett.simulation import Store

EFFORT = 0.25
MILLION = 1000.0  # thousand US dollars
_LEVER = {x.name: x for x in LEVERS}


@dataclass(frozen=True)
class Gain:
    """What a category gives a system: patients a year at half and whole effort, and its price."""

    half: tuple[float, ...]  # one for each replication
    whole: tuple[float, ...]
    price: tuple[float, ...]  # thousand US dollars a year for the whole

    def criticality(self, sampled: bool = True) -> Estimate:
        """Patients a year for a million US dollars a year."""
        each = [MILLION * g / p for g, p in zip(self.whole, self.price, strict=True)]
        return central(each) if sampled else estimate(each)


def pulled(system: System, category: Category, effort: float) -> System:
    """A system with an effort spread evenly over a category's levers."""
    each = effort / len(category.levers)
    for name in category.levers:
        if name == DEMAND:
            system = demand(system, float(np.exp(each)))
        else:
            system = _LEVER[name].apply(system, each)
    return system


def gains(
    systems: Mapping[str, System],
    catalogue: Catalogue,
    plan: Plan,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    store: Store | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, dict[str, Gain]]:
    """Simulate every category in every system: {system: {category: gain}}.

    Raises KeyboardInterrupt when stopped; with a `store` the next call goes on.
    """
    designs = {}
    for name, system in systems.items():
        designs[name] = Design(system)
        for key, c in catalogue.categories.items():
            for mark, effort in (("half", EFFORT / 2), ("whole", EFFORT)):
                change = partial(pulled, category=c, effort=effort)
                designs[f"{name}+{key}+{mark}"] = Design(system, change=change)
    found = run(
        designs, plan, executor=executor, workers=workers, store=store, progress=progress
    ).whole()  # fmt: skip
    result: dict[str, dict[str, Gain]] = {}
    for name, system in systems.items():
        before = found.values(name, "treated_per_year")
        size = system.network.patients.per_year.value / 100
        result[name] = {}
        for key, c in catalogue.categories.items():
            more = [
                tuple(
                    a - b
                    for a, b in zip(
                        found.values(f"{name}+{key}+{mark}", "treated_per_year"), before,
                        strict=True,
                    )
                )
                for mark in ("half", "whole")
            ]  # fmt: skip
            prices = tuple(size * _price(c, key, plan, k) for k in range(len(before)))
            result[name][key] = Gain(more[0], more[1], prices)
    return result


def _price(c: Category, key: str, plan: Plan, draw: int) -> float:
    if plan.assumptions != "sampled" or c.price.low is None:
        return c.price.value
    return drawn(c.price, uniform(plan.seed, draw, "price", key))


@dataclass(frozen=True)
class Capture:
    """Shares of created value: of the investor alone, and of all owners together; one a draw."""

    investor: tuple[float, ...]
    owners: tuple[float, ...]

    def fundability(self, public: float = 0.0, shared: float = 0.0) -> Estimate:
        """With shares of public money and of shared infrastructure (each 0 to 1)."""
        if not (0 <= public <= 1 and 0 <= shared <= 1):
            raise ValueError("shares of public money and shared infrastructure lie in 0 to 1")
        each = [
            (1 - public) * ((1 - shared) * i + shared * o) + public
            for i, o in zip(self.investor, self.owners, strict=True)
        ]
        return central(each)


def captures(
    catalogue: Catalogue,
    table: Table,
    contract: str,
    draws: int = 12,
    seed: int = 1,
    ownership: Sequence[tuple[float, Owners]] = (),
) -> dict[str, Capture]:
    """Who captures what under a contract, with the game's assumptions drawn.

    `ownership`: who has one owner, and for which share of patients (`ownerships`); else each actor
    is its own. Raises ValueError where a category's investor or interface is not in the game.
    """
    _fits(catalogue, table.game)
    alone = tuple((i,) for i in range(len(table.game.actors)))
    found: dict[str, list[tuple[float, float]]] = {k: [] for k in catalogue.categories}
    for draw in range(draws):
        spec = redrawn(table.spec, seed, draw) if draw else table.spec
        game = game_of(spec)
        chosen = contract_of(contract, spec.contracts[contract])
        total = sum(chosen.shares.values())
        if total > 1:  # shares drawn beyond the whole are scaled back to it
            chosen = chosen.at_rate(1.0) if not chosen.bond else chosen
        every = terms(chosen if total <= 1 or not chosen.bond else table.contracts[contract],
                      game, _best(game))  # fmt: skip
        each = dict.fromkeys(catalogue.categories, (0.0, 0.0))
        for share, owners in ownership or ((1.0, alone),):
            play = Settled(game, every) if owners == alone else Owned(game, every, owners)
            x = equilibria(play, random=0)[-1].efforts
            for key, c in catalogue.categories.items():
                one, whole = _captured(c, game, every, x, owners)
                each[key] = (each[key][0] + share * one, each[key][1] + share * whole)
        for key, pair in each.items():
            found[key].append(pair)
    return {k: Capture(tuple(i for i, _ in v), tuple(o for _, o in v)) for k, v in found.items()}


def _best(game: Game) -> Vector:
    from stafett.design.incentives.contract import Contract

    everyone = {a.name: 1 / len(game.actors) for a in game.actors}
    return best(Settled(game, terms(Contract("any", shares=everyone), game)), random=0)


def _captured(c: Category, game: Game, t: Terms, x: Vector, owners: Owners) -> tuple[float, float]:
    """Shares of what a category creates: of the investor's owner, and of all owners."""
    r, _ = game.reliabilities(x)
    place = [a.name for a in game.actors]
    boss, payer = place.index(c.investor), place.index(game.payer)
    if c.works == "journeys":
        made = game.value * float(np.prod(r))
        pay = t.pay(r) - game.costs(x)
        each = pay / made
    else:
        where = [k for k, f in enumerate(game.interfaces) if f.name in c.works]
        weights = {k: game.interfaces[k].q for k in where}
        success = float(np.prod(r))
        made = sum(w * game.value * success / r[k] for k, w in weights.items())
        slopes = [t.valued(r, i)[1] for i in range(len(place))]
        each = np.array([sum(w * s[k] for k, w in weights.items()) for s in slopes]) / made
    investor = min(1.0, max(0.0, float(each[list(owner_of(owners, boss))].sum())))
    together = float(np.delete(each, payer).sum())
    return investor, min(1.0, max(investor, together))


def _fits(catalogue: Catalogue, game: Game) -> None:
    actors = {a.name for a in game.actors}
    faces = {f.name for f in game.interfaces}
    for key, c in catalogue.categories.items():
        if c.investor not in actors:
            raise ValueError(f"{key}: the investor {c.investor!r} is no actor of the game")
        for face in c.works if c.works != "journeys" else ():
            if face not in faces:
                raise ValueError(f"{key}: {face!r} is no interface of the game")


@dataclass(frozen=True)
class Spot:
    """One category in one system on the map."""

    system: str
    category: str
    title: str
    criticality: Estimate
    fundability: Estimate


def spots(
    found: Mapping[str, Mapping[str, Gain]],
    captured: Mapping[str, Mapping[str, Capture]],
    catalogue: Catalogue,
    *,
    public: float = 0.0,
    shared: float = 0.0,
    sampled: bool = True,
) -> list[Spot]:
    """The map, as a table; `captured` by system."""
    return [
        Spot(
            system, key, catalogue.categories[key].title, g.criticality(sampled),
            captured[system][key].fundability(public, shared),
        )
        for system, every in found.items()
        for key, g in every.items()
    ]  # fmt: skip
