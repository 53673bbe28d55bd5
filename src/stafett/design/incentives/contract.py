"""Contracts: what each actor is paid, as far as what is observed goes.

Every contract comes down to the same terms (`Terms`): for actor i a fixed sum, `pool` times the
success, `passed` for each interface that is reached (paid times r_k less its target) and `own` for
an interface's rate whoever reaches it. The payer pays what the others get, and has the value.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from stafett.design.incentives.game import Game, Vector


@dataclass(frozen=True)
class Contract:
    """Who is paid for what. Money in thousand US dollars for each journey that begins.

    - `fixed`: paid whatever happens (capitation, budget; below 0: paid by the actor).
    - `shares`: of the value of a success, to each (outcome pool); together at most 1.
    - `fees`: {actor: {interface: money}} for each journey that passes it.
    - `service`: {actor: money}: own steps at their level earn this, times (rate - `target`).
    - `penalties`: {interface: money} that its giver pays for each failure there.
    - `bond`: 0 to 1, the rate of the two-sided handoff bond; balanced among the actors.
    - `bears`: {actor: money} that it loses for each journey that fails (capitation, warranty).
    - `integrator`: has all the value of success, answers for it, and pays both sides of every
      interface `subrate` of what passing is worth beyond what it is without effort.
    """

    name: str
    title: str = ""
    fixed: dict[str, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    fees: dict[str, dict[str, float]] = field(default_factory=dict)
    service: dict[str, float] = field(default_factory=dict)
    target: float = 0.95
    penalties: dict[str, float] = field(default_factory=dict)
    bond: float = 0.0
    bears: dict[str, float] = field(default_factory=dict)
    integrator: str | None = None
    subrate: float = 0.0

    def at_rate(self, rate: float) -> Contract:
        """The contract with its rate (bond, subrate, or else the whole pool) set: 0 to 1."""
        if self.bond:
            return replace(self, bond=rate)
        if self.integrator is not None:
            return replace(self, subrate=rate)
        total = sum(self.shares.values())
        if total <= 0:
            raise ValueError(f"{self.name} has no rate: no pool, no bond, no integrator")
        return replace(self, shares={k: s * rate / total for k, s in self.shares.items()})


@dataclass(frozen=True)
class Terms:
    """A contract worked out: `fixed` and `pool` by actor, the others by actor and interface."""

    fixed: Vector
    pool: Vector
    passed: Vector
    target: Vector
    own: Vector
    level: float

    def pay(self, r: list[float]) -> Vector:
        """What each actor is paid, for rates r; the payer's is what it pays (below 0)."""
        return self.fixed + self.values(r)[0] + self.own @ (np.array(r) - self.level)

    def values(self, r: list[float]) -> tuple[Vector, Vector]:
        """Worth of the journey ahead to each actor: at its start, and once each k is reached."""
        n = len(r)
        ahead = np.empty((n + 1, len(self.pool)))
        ahead[n] = self.pool
        for k in range(n - 1, -1, -1):
            ahead[k] = self.passed[:, k] * (r[k] - self.target[k]) + r[k] * ahead[k + 1]
        return ahead[0], ahead

    @cached_property
    def rows(self) -> tuple[list[list[float]], list[float], list[list[float]], list[float]]:
        """Passed, target, own, pool as plain numbers: small tables are quicker so."""
        return self.passed.tolist(), self.target.tolist(), self.own.tolist(), self.pool.tolist()

    def valued(self, r: list[float], actor: int) -> tuple[float, list[float]]:
        """Pay of an actor, and its slope in each r_k."""
        every, targets, owns, pools = self.rows
        passed, own, ahead = every[actor], owns[actor], pools[actor]
        n = len(r)
        reach, gain, level = 1.0, [0.0] * n, float(self.fixed[actor])
        for k in range(n - 1, -1, -1):
            gain[k] = passed[k] + ahead
            ahead = passed[k] * (r[k] - targets[k]) + r[k] * ahead
        for k in range(n):
            gain[k] = reach * gain[k] + own[k]
            reach *= r[k]
            level += own[k] * (r[k] - self.level)
        return level + ahead, gain

    @property
    def is_pool(self) -> bool:
        """Nothing but the pool depends on what others do: a weighted potential game."""
        return not self.passed.any() and not self.own.any()


def terms(contract: Contract, game: Game, best: Vector | None = None) -> Terms:
    """The terms of a contract in a game; the bond's targets are the rates of `best`.

    Raises ValueError for a contract that names nobody of the game, or promises more than is earned.
    """
    place = {a.name: i for i, a in enumerate(game.actors)}
    faces = {f.name: k for k, f in enumerate(game.interfaces)}
    payer = place[game.payer]
    check(contract, game)
    n, m = len(place), len(faces)
    fixed, pool = np.zeros(n), np.zeros(n)
    passed, target, own = np.zeros((n, m)), np.zeros(m), np.zeros((n, m))
    for who, money in contract.fixed.items():
        fixed[place[who]] += money
    for who, share in contract.shares.items():
        pool[place[who]] += share * game.value
    for who, money in contract.bears.items():
        fixed[place[who]] -= money
        pool[place[who]] += money
    for who, fees in contract.fees.items():
        for face, money in fees.items():
            passed[place[who], faces[face]] += money
    for who, money in contract.service.items():
        for k, f in enumerate(game.interfaces):
            if f.receiver is None and f.giver == who:
                own[place[who], k] += money
    for face, money in contract.penalties.items():
        k = faces[face]
        giver = place[game.interfaces[k].giver]
        own[giver, k] += money
        fixed[giver] += money * (contract.target - 1)
    if contract.integrator is not None:
        passed, target = _integrated(contract, game, passed, target)
        pool[place[contract.integrator]] += game.value
    if contract.bond:
        if best is None:
            raise ValueError("a bond needs the best joint outcome: its targets are taken from it")
        passed, target = _bonded(contract, game, pool, best)
    for table in (fixed, pool):  # who pays: the payer, all that the others get
        table[payer] -= table.sum()
    for matrix in (passed, own):
        matrix[payer] -= matrix.sum(axis=0)
    pool[payer] += game.value
    return Terms(fixed, pool, passed, target, own, contract.target)


def _bonded(contract: Contract, game: Game, pool: Vector, best: Vector) -> tuple[Vector, Vector]:
    """Each side's stake in an interface, paid among the actors: what others take is given back."""
    place = {a.name: i for i, a in enumerate(game.actors)}
    n, m = len(game.actors), len(game.interfaces)
    if n < 3:
        raise ValueError("a balanced handoff bond needs three actors: a third takes what two pay")
    r, _ = game.reliabilities(best)
    stakes, after = np.zeros((n, m)), 1.0
    payer = place[game.payer]
    weight = pool / game.value
    weight[payer] = 1 - weight.sum() + weight[payer]  # the payer keeps what it does not share
    for k in range(m - 1, -1, -1):
        f = game.interfaces[k]
        sides = [place[w] for w in (f.giver, f.receiver) if w is not None]
        for i in sides:
            stakes[i, k] = contract.bond * (1 - weight[i]) * game.value * after
        others = [i for i in range(n) if i not in sides]
        stakes[others, k] -= stakes[sides, k].sum() / len(others)
        after *= r[k]
    return stakes, np.array(r)


def _integrated(
    contract: Contract, game: Game, passed: Vector, target: Vector
) -> tuple[Vector, Vector]:
    """What the integrator pays both sides: a rate of an interface's worth over no effort at all."""
    place = {a.name: i for i, a in enumerate(game.actors)}
    boss = place[str(contract.integrator)]
    r, _ = game.reliabilities(np.zeros(len(game.sides)))
    for k, f in enumerate(game.interfaces):
        for who in (f.giver, f.receiver):
            if who is not None and place[who] != boss:
                passed[place[who], k] += contract.subrate * game.value
                passed[boss, k] -= contract.subrate * game.value
    return passed, np.array(r)


def check(contract: Contract, game: Game) -> None:
    """Refuse what no game could settle: strangers, shares beyond the whole, rates out of range."""
    names, faces = {a.name for a in game.actors}, {f.name for f in game.interfaces}
    groups = (contract.fixed, contract.shares, contract.fees, contract.service, contract.bears)
    for who in (w for g in groups for w in g):
        if who not in names:
            raise ValueError(f"{contract.name} pays {who!r}, who is no actor of this game")
    for face in (f for fees in (contract.penalties, *contract.fees.values()) for f in fees):
        if face not in faces:
            raise ValueError(f"{contract.name} names {face!r}, which is no interface of this game")
    total = sum(contract.shares.values())
    if total > 1 + 1e-9 or min(contract.shares.values(), default=0) < 0:
        raise ValueError(
            f"{contract.name} shares out {total:.0%} of the value: more than is earned; "
            "shares are 0 or more and together at most 1"
        )
    if not (0 <= contract.bond <= 1 and 0 <= contract.subrate <= 1):
        raise ValueError(f"{contract.name}: a rate lies between 0 and 1")
    if contract.integrator is not None and contract.integrator not in names:
        raise ValueError(f"{contract.name}: the integrator {contract.integrator!r} is no actor")
    if contract.bond and (contract.fees or contract.integrator):
        raise ValueError(f"{contract.name}: a bond goes with a pool, not with fees or integrator")
    stepless = [
        who for who in contract.service
        if not any(f.giver == who and f.receiver is None for f in game.interfaces)
    ]  # fmt: skip
    if stepless:
        raise ValueError(f"{contract.name}: {stepless[0]} has no step of its own to be paid for")
