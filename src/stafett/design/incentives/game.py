"""A journey as a game: who touches which interface, what effort gives, what it costs.

Interface k is passed with reliability r_k = 1 - q_k exp(-beta_k m_k), where m_k is the CES mean (of
exponent rho) of what its giver and its receiver do for it; a step has one side, and m_k is that
side's effort. Of the form "hazard", r_k = exp(-q_k exp(-beta_k m_k)): effort divides a hazard. The
journey succeeds with P = product of r_k; a success is worth V. Money is in thousand US dollars for
each patient who begins a journey; effort has no unit of its own (beta and the cost say what one of
it does and costs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, log
from typing import Literal

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
TINY = 1e-9  # below this, effort is none; keeps logarithms and powers finite


@dataclass(frozen=True)
class Actor:
    """Who makes efforts x at cost c [(1-k) sum x^g / g + k (sum x)^g / g].

    `cost` is c; `power` g is 1 or more and `crowding` k from 0 to 1, so that cost is convex. With
    crowding an effort here makes every other effort of the actor dearer.
    """

    name: str
    cost: float
    power: float = 2.0
    crowding: float = 0.0

    def price(self, x: Vector) -> float:
        """What the efforts cost."""
        each, together = float((x**self.power).sum()), float(x.sum() ** self.power)
        return self.cost * ((1 - self.crowding) * each + self.crowding * together) / self.power

    def slope(self, x: Vector) -> Vector:
        """Cost of a little more of each effort."""
        g = self.power - 1
        together = float(x.sum() ** g)
        found: Vector = self.cost * ((1 - self.crowding) * x**g + self.crowding * together)
        return found


@dataclass(frozen=True)
class Interface:
    """What passes from `giver` to `receiver`; without a receiver, a step of the giver alone."""

    name: str
    giver: str
    receiver: str | None
    q: float  # lost without effort
    beta: float = 1.0
    rho: float = -1.0
    form: Literal["chance", "hazard"] = "chance"

    def mean(self, give: float, take: float) -> tuple[float, float, float]:
        """CES mean of both efforts, and its slopes in each."""
        if self.receiver is None:
            return give, 1.0, 0.0
        g, h = max(give, TINY), max(take, TINY)
        if self.rho == 0:
            m = (g * h) ** 0.5
            return m, m / (2 * g), m / (2 * h)
        top = max(g, h) if self.rho > 0 else min(g, h)
        m = top * ((0.5 * (g / top) ** self.rho + 0.5 * (h / top) ** self.rho) ** (1 / self.rho))
        return m, 0.5 * (m / g) ** (1 - self.rho), 0.5 * (m / h) ** (1 - self.rho)


@dataclass(frozen=True)
class Game:
    """A journey of interfaces in their order, its actors, and the value of a success.

    `payer` values success and pays for it; it need touch no interface.
    """

    value: float
    actors: tuple[Actor, ...]
    interfaces: tuple[Interface, ...]
    payer: str

    def __post_init__(self) -> None:
        names = {a.name for a in self.actors}
        if len(names) < len(self.actors):
            raise ValueError("two actors have one name: rename one")
        if self.payer not in names:
            raise ValueError(f"the payer {self.payer!r} is no actor: list it")
        if not self.interfaces:
            raise ValueError("no interface: nothing passes between the actors")
        if not (np.isfinite(self.value) and self.value > 0):
            raise ValueError(f"a success is worth {self.value:g}: give its value, above 0")
        for a in self.actors:
            if not (np.isfinite(a.cost) and a.cost > 0):
                raise ValueError(f"{a.name}: a cost of {a.cost:g}: give one above 0")
            if not a.power >= 1:
                raise ValueError(f"{a.name}: cost of power {a.power:g} is not convex: 1 or more")
            if not 0 <= a.crowding <= 1:
                raise ValueError(f"{a.name}: crowding {a.crowding:g}: not convex outside 0 to 1")
        for k in self.interfaces:
            for who in (k.giver, k.receiver):
                if who is not None and who not in names:
                    raise ValueError(f"{k.name}: there is no actor {who!r}")
            if k.giver == k.receiver:
                raise ValueError(f"{k.name}: from {k.giver} to itself: leave the receiver out")
            if not (0 <= k.q <= 1 and k.beta >= 0 and k.rho <= 1):
                raise ValueError(f"{k.name}: q must lie in 0 to 1, beta >= 0, rho <= 1")
        if len({k.name for k in self.interfaces}) < len(self.interfaces):
            raise ValueError("two interfaces have one name: rename one")
        touched = {w for k in self.interfaces for w in (k.giver, k.receiver)}
        for a in self.actors:
            if a.name != self.payer and a.name not in touched:
                raise ValueError(f"{a.name} touches no interface: leave it out, or give it one")

    @cached_property
    def sides(self) -> tuple[tuple[int, int], ...]:
        """The efforts in their order: (actor, interface); a giver's before a receiver's."""
        place = {a.name: i for i, a in enumerate(self.actors)}
        found = []
        for k, face in enumerate(self.interfaces):
            found.append((place[face.giver], k))
            if face.receiver is not None:
                found.append((place[face.receiver], k))
        return tuple(found)

    @cached_property
    def efforts_of(self) -> tuple[npt.NDArray[np.intp], ...]:
        """For each actor the places of its efforts."""
        return tuple(
            np.array([e for e, (i, _) in enumerate(self.sides) if i == actor], dtype=np.intp)
            for actor in range(len(self.actors))
        )

    @cached_property
    def most(self) -> Vector:
        """An effort that no one would exceed: it costs more alone than all success is worth."""
        found = []
        for i, k in self.sides:
            a, beta = self.actors[i], self.interfaces[k].beta
            alone = (2 * self.value * a.power / a.cost) ** (1 / a.power) + 1.0
            if a.power == 1 and beta > 0:  # beyond here even a sure loss falls by less than c
                alone = min(alone, 4 * log(1 + self.value * beta / a.cost) / beta + 1.0)
            found.append(alone)
        return np.array(found)

    def reliabilities(self, x: Vector) -> tuple[list[float], list[float]]:
        """r of each interface, and dr of the interface for each effort."""
        r, slopes, e, xs = [], [], 0, x.tolist()
        for face in self.interfaces:
            two = face.receiver is not None
            m, dg, dh = face.mean(xs[e], xs[e + 1] if two else 0.0)
            lost = face.q * exp(-face.beta * m)
            kept = 1 - lost if face.form == "chance" else exp(-lost)
            r.append(kept)
            if face.form == "hazard":
                lost *= kept
            slopes.append(face.beta * lost * dg)
            if two:
                slopes.append(face.beta * lost * dh)
            e += 2 if two else 1
        return r, slopes

    def success(self, x: Vector) -> float:
        """P: all interfaces are passed."""
        return float(np.prod(self.reliabilities(x)[0]))

    def costs(self, x: Vector) -> Vector:
        """What each actor's efforts cost it."""
        return np.array([a.price(x[e]) for a, e in zip(self.actors, self.efforts_of, strict=True)])

    def cost_slopes(self, x: Vector) -> Vector:
        """The cost of a little more of each effort."""
        found = np.zeros(len(x))
        for a, e in zip(self.actors, self.efforts_of, strict=True):
            if len(e):
                found[e] = a.slope(x[e])
        return found

    def welfare(self, x: Vector) -> float:
        """W = V P less all costs: what there is to share."""
        return self.value * self.success(x) - float(self.costs(x).sum())


def lost(reliabilities: Sequence[float]) -> float:
    """The share of journeys that fail: 1 - product of r."""
    return 1 - float(np.prod(np.array(reliabilities)))
