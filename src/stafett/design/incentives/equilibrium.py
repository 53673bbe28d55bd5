"""What is best for all together, and what each does for itself: joint optimum and equilibria.

Nothing here knows contracts: a `Play` says what each actor gains by its own efforts. An equilibrium
is verified, not assumed: its residual is the most that any actor could still gain alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stafett.design.incentives.contract import Terms
from stafett.design.incentives.game import Game, Vector

NEAR = 1e-6  # of the scale: an equilibrium if nobody gains more alone
ROUNDS = 40
FIRST = 2  # rounds of best responses before Newton's steps
STARTS = (0.0, 0.05, 0.3)  # of the most effort; then seeded random ones


class Play(Protocol):
    """A game as the solver sees it: efforts from 0 to `most`, payoffs with their slopes."""

    @property
    def efforts_of(self) -> Sequence[npt.NDArray[np.intp]]:
        """Places of each actor's efforts."""

    @property
    def most(self) -> Vector:
        """Bound of each effort."""

    @property
    def scale(self) -> float:
        """What a large payoff is: tolerances are relative to it."""

    def joint(self, x: Vector) -> tuple[float, Vector]:
        """Welfare of all, and its slopes."""

    def own(self, actor: int, x: Vector) -> tuple[float, Vector]:
        """Payoff of an actor, and its slopes in its own efforts."""

    def potential(self, x: Vector) -> tuple[float, Vector] | None:
        """A function whose maximisers are equilibria, where there is one."""


@dataclass(frozen=True)
class Point:
    """Efforts, and how far from an equilibrium they are (`residual`, a share of the scale)."""

    efforts: Vector
    residual: float

    @property
    def settled(self) -> bool:
        """Nobody gains by doing otherwise."""
        return bool(self.residual <= NEAR)


@dataclass(frozen=True)
class Settled:
    """A game under worked-out terms, as a `Play`."""

    game: Game
    terms: Terms

    @property
    def efforts_of(self) -> tuple[npt.NDArray[np.intp], ...]:
        """Places of each actor's efforts."""
        return self.game.efforts_of

    @property
    def most(self) -> Vector:
        """Bound of each effort; none where a pool gives its actor nothing for it."""
        return self._most

    @cached_property
    def _most(self) -> Vector:
        if not self.terms.is_pool:
            return self.game.most
        paid = np.array([self.terms.pool[i] > 0 for i, _ in self.game.sides])
        return np.where(paid, self.game.most, 0.0)

    @property
    def scale(self) -> float:
        """The value of a success."""
        return self.game.value

    def joint(self, x: Vector) -> tuple[float, Vector]:
        """Welfare: the value of success less all costs."""
        success, up = self._success(x)
        worth = self.game.value * success - float(self.game.costs(x).sum())
        return worth, self.game.value * up - self.game.cost_slopes(x)

    def _success(self, x: Vector) -> tuple[float, Vector]:
        """P, and its slope in each effort."""
        r, slopes = self.game.reliabilities(x)
        n = len(r)
        after = [1.0] * (n + 1)
        for k in range(n - 1, -1, -1):
            after[k] = after[k + 1] * r[k]
        before, gain = 1.0, [0.0] * n
        for k in range(n):
            gain[k] = before * after[k + 1]
            before *= r[k]
        up = [gain[k] * d for (_, k), d in zip(self.game.sides, slopes, strict=True)]
        return after[0], np.array(up)

    def own(self, actor: int, x: Vector) -> tuple[float, Vector]:
        """Pay less cost."""
        r, slopes = self.game.reliabilities(x)
        places, a = self.game.efforts_of[actor], self.game.actors[actor]
        pay, gain = self.terms.valued(r, actor)
        mine = x[places]
        if not len(mine):
            return pay, mine
        up = np.array([gain[self.game.sides[e][1]] * slopes[e] for e in places.tolist()])
        return pay - a.price(mine), up - a.slope(mine)

    def potential(self, x: Vector) -> tuple[float, Vector] | None:
        """P less each cost over its pool: what one gains, the potential gains in proportion."""
        if not self.terms.is_pool:
            return None
        success, up = self._success(x)
        weights = np.where(self.terms.pool > 0, self.terms.pool, self.game.value)
        prices = float((self.game.costs(x) / weights).sum())
        each = weights[[i for i, _ in self.game.sides]]
        return success - prices, up - self.game.cost_slopes(x) / each


def starts_of(play: Play, random: int, seed: int) -> list[Vector]:
    """Where searches begin: no effort, some, much, and `random` more."""
    rng = np.random.default_rng(seed)
    n = len(play.most)
    fixed = [s * play.most for s in STARTS]
    return fixed + [rng.uniform(0, 0.6, n) * play.most for _ in range(random)]


def _climb(f: object, x: Vector, most: Vector) -> Vector:
    from scipy.optimize import minimize  # loads slowly; a page only shows what was found

    found = minimize(
        f, x, jac=True, method="L-BFGS-B", bounds=[(0.0, m) for m in most],
        options={"ftol": 1e-13, "gtol": 1e-9, "maxiter": 300},
    )  # fmt: skip
    return np.asarray(found.x, dtype=np.float64)


def best(play: Play, *, random: int = 2, seed: int = 1) -> Vector:
    """The efforts that are best for all together (the best of several climbs)."""

    def down(x: Vector) -> tuple[float, Vector]:
        w, up = play.joint(x)
        return -w / play.scale, -up / play.scale

    found = [_climb(down, x, play.most) for x in starts_of(play, random, seed)]
    return max(found, key=lambda x: play.joint(x)[0])


def response(play: Play, actor: int, x: Vector, *, wide: bool = False) -> tuple[float, Vector]:
    """An actor's best own efforts against those of the others, and what it gains by them.

    `wide` searches from far starts too: payoffs may have several peaks.
    """
    places = play.efforts_of[actor]
    trial = x.copy()

    def down(mine: Vector) -> tuple[float, Vector]:
        trial[places] = mine
        u, up = play.own(actor, trial)
        return -u / play.scale, -up / play.scale

    most = play.most[places]
    now = -down(x[places])[0]
    begin = [x[places]] + ([s * most for s in STARTS] if wide else [])
    found = [(-down(y)[0], y) for y in (_climb(down, b, most) for b in begin)]
    top, mine = max(found, key=lambda f: f[0])
    return max(0.0, top - now), mine if top > now else x[places].copy()


def residual(play: Play, x: Vector) -> float:
    """The most that any actor gains by another effort of its own, as a share of the scale."""
    return max(
        (response(play, i, x, wide=True)[0] for i, e in enumerate(play.efforts_of) if len(e)),
        default=0.0,
    )


def iterate(play: Play, x: Vector, rounds: int = ROUNDS) -> Vector:
    """Let one actor after the other do its best until nothing moves (or rounds are over)."""
    x = x.copy()
    for _ in range(rounds):
        before = x.copy()
        for actor, places in enumerate(play.efforts_of):
            if len(places):
                x[places] = response(play, actor, x)[1]
        if np.max(np.abs(x - before), initial=0.0) <= 1e-7 * (1 + np.max(np.abs(x), initial=0.0)):
            break
    return x


def _pull(play: Play, x: Vector) -> Vector:
    """Each effort's slope in its own actor's payoff, over the scale."""
    found = np.zeros(len(x))
    for actor, places in enumerate(play.efforts_of):
        if len(places):
            found[places] = play.own(actor, x)[1]
    return found / play.scale


def newton(play: Play, x: Vector, steps: int = 12) -> Vector:
    """Where no effort's own slope pulls, or it pulls below none: min(x, -slope) = 0.

    Semi-smooth Newton steps, halved until they help; the caller verifies what is found.
    """
    x = x.copy()
    pull = _pull(play, x)
    gap = np.minimum(x, -pull)
    for _ in range(steps):
        size = float(np.max(np.abs(gap)))
        if size < 1e-11:
            break
        held = x < -pull
        slopes = np.empty((len(x), len(x)))
        for e in range(len(x)):
            h = 1e-6 * max(1.0, x[e])
            y = x.copy()
            y[e] += h
            slopes[:, e] = (pull - _pull(play, y)) / h
        slopes[held] = np.eye(len(x))[held]
        step = np.linalg.lstsq(slopes, -gap, rcond=1e-12)[0]
        share = 1.0
        while share > 1e-4:
            y = np.clip(x + share * step, 0.0, play.most)
            ahead = _pull(play, y)
            new = np.minimum(y, -ahead)
            if float(np.max(np.abs(new))) < (1 - 0.1 * share) * size:
                x, pull, gap = y, ahead, new
                break
            share /= 2
        else:
            break
    return x


def equilibria(play: Play, *, random: int = 1, seed: int = 1) -> list[Point]:
    """Every equilibrium found, each once, the best for all first.

    Where there is a potential it is climbed; else best responses are iterated and finished by
    Newton's steps. If no start leads to an equilibrium, the point nearest to one is returned,
    alone, with its residual.
    """
    if not len(play.most):
        return [Point(np.zeros(0), 0.0)]

    def down(x: Vector) -> tuple[float, Vector]:
        found = play.potential(x)
        assert found is not None
        return -found[0], -found[1]

    climbs = play.potential(play.most * 0.1) is not None
    points: list[Point] = []

    def add(x: Vector) -> Point:
        x = np.where(x < 1e-6, 0.0, x)
        for p in points:
            if np.allclose(x, p.efforts, rtol=1e-3, atol=1e-3):
                return p
        points.append(Point(x, residual(play, x)))
        return points[-1]

    for start in starts_of(play, random, seed):
        if climbs:
            add(_climb(down, start, play.most))
    for start in starts_of(play, 0 if climbs else random, seed):
        add(newton(play, iterate(play, start, FIRST)))
    if not any(p.settled for p in points):
        for p in list(points):
            add(newton(play, iterate(play, p.efforts)))
    settled = [p for p in points if p.settled]
    if not settled:
        return [min(points, key=lambda p: p.residual)]
    return sorted(settled, key=lambda p: -play.joint(p.efforts)[0])
