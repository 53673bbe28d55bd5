"""Contracts beside each other: what each actor does, what is lost, who gains, what closes the gap.

The price of fragmentation is the share of what effort can add to welfare that the equilibrium does
not reach: (W_best - W_equilibrium) / (W_best - W_no_effort); 0 nothing is lost, 1 all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stafett.design.incentives.contract import Contract, terms
from stafett.design.incentives.equilibrium import Point, Settled, best, equilibria
from stafett.design.incentives.game import Game, Vector


@dataclass(frozen=True)
class State:
    """One equilibrium (or, `settled` false, the nearest found) in money and reliability."""

    settled: bool
    residual: float
    efforts: tuple[float, ...]
    reliabilities: tuple[float, ...]
    success: float
    welfare: float
    fragmentation: float
    pay: dict[str, float]
    gains: dict[str, float]  # pay less cost; the payer's holds the value
    imbalance: float  # all pay less the value earned; 0 unless money is made or burnt


@dataclass(frozen=True)
class Beware:
    """What to beware of in a contract; `values` are its figures and names, as text."""

    what: Literal["unsettled", "several", "overpays", "loses"]
    values: dict[str, str]

    def __str__(self) -> str:
        return _WORDS[self.what].format(**self.values)


_WORDS = {
    "unsettled": "no equilibrium found: at the nearest point somebody still gains {share} of the "
    "value of a success by doing otherwise",
    "several": "{n} equilibria, worth {low} to {high}: the contract alone does not say which comes "
    "about; the worst is told",
    "overpays": "pays {paid} and earns {earned}: more than is earned; {payer} loses the difference",
    "loses": "{who} loses by it and would not sign unless paid a fixed sum",
}


@dataclass(frozen=True)
class Finding:
    """A contract in a game: every equilibrium, the best for all first, and what to beware of."""

    contract: Contract
    states: tuple[State, ...]
    warnings: tuple[Beware, ...]

    @property
    def state(self) -> State:
        """The worst of the equilibria: nobody promises the best."""
        return min(self.states, key=lambda s: s.welfare)


@dataclass(frozen=True)
class Bounds:
    """The two ends: the best for all together, and no effort at all."""

    best: Vector
    welfare: float
    success: float
    nothing: float


def bounds(game: Game) -> Bounds:
    """The best joint outcome, and that of no effort."""
    everyone = {a.name: 1 / len(game.actors) for a in game.actors}
    x = best(Settled(game, terms(Contract("any", shares=everyone), game)))
    return Bounds(x, game.welfare(x), game.success(x), game.welfare(np.zeros(len(x))))


def assess(contract: Contract, game: Game, ends: Bounds) -> Finding:
    """Every equilibrium of a game under a contract; ValueError if they do not fit."""
    t = terms(contract, game, ends.best)
    play = Settled(game, t)
    found = equilibria(play)
    states = tuple(_state(game, play, p, ends) for p in found)
    return Finding(contract, states, tuple(_warnings(contract, game, states)))


def _state(game: Game, play: Settled, point: Point, ends: Bounds) -> State:
    x = point.efforts
    r, _ = game.reliabilities(x)
    pay = play.terms.pay(r)
    gains = pay - game.costs(x)
    names = [a.name for a in game.actors]
    room = ends.welfare - ends.nothing
    welfare = game.welfare(x)
    success = float(np.prod(r))
    return State(
        point.settled, point.residual, tuple(x.tolist()), tuple(r), success, welfare,
        max(0.0, (ends.welfare - welfare) / room) if room > 1e-9 * game.value else 0.0,
        dict(zip(names, pay.tolist(), strict=True)), dict(zip(names, gains.tolist(), strict=True)),
        float(pay.sum()) - game.value * success,
    )  # fmt: skip


def _warnings(contract: Contract, game: Game, states: Sequence[State]) -> list[Beware]:
    said: list[Beware] = []
    if not states[0].settled:
        said.append(Beware("unsettled", {"share": f"{states[0].residual:.2%}"}))
    if len(states) > 1:
        low, high = min(s.welfare for s in states), max(s.welfare for s in states)
        values = {"n": str(len(states)), "low": f"{low:.1f}", "high": f"{high:.1f}"}
        said.append(Beware("several", values))
    over = False
    for s in states:
        earned = game.value * s.success
        paid = earned - s.pay[game.payer]
        if paid > earned + 1e-6 * game.value:
            values = {"paid": f"{paid:.1f}", "earned": f"{earned:.1f}", "payer": game.payer}
            said.append(Beware("overpays", values))
            over = True
    losers = sorted({w for s in states for w, g in s.gains.items() if g < -1e-6 * game.value})
    said += [Beware("loses", {"who": w}) for w in losers if w != game.payer or not over]
    return [w for i, w in enumerate(said) if w not in said[:i]]


@dataclass(frozen=True)
class Change:
    """What one contract instead of another means to each actor, and to all together."""

    before: str
    after: str
    gains: dict[str, float]
    total: float


def change(before: Finding, after: Finding) -> Change:
    """Who gains and who loses (worst equilibria compared)."""
    a, b = before.state, after.state
    gains = {who: b.gains[who] - a.gains[who] for who in a.gains}
    return Change(before.contract.name, after.contract.name, gains, b.welfare - a.welfare)


@dataclass(frozen=True)
class Rate:
    """How much of the gap a contract closes at a rate."""

    rate: float
    fragmentation: float
    welfare: float


def rates(contract: Contract, game: Game, ends: Bounds, steps: int = 8) -> list[Rate]:
    """The contract at rates from none to whole; ValueError if it has none."""
    found = []
    for rate in np.linspace(0, 1, steps + 1):
        s = assess(contract.at_rate(float(rate)), game, ends).state
        found.append(Rate(float(rate), s.fragmentation, s.welfare))
    return found


def closing(findings: Sequence[Finding]) -> Finding:
    """The contract that leaves the least of the gap; those with an equilibrium come first."""
    return min(findings, key=lambda f: (not f.state.settled, f.state.fragmentation))
