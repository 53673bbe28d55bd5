"""The game where several actors have one owner: it chooses for them all and adds up what they get.

Who belongs to whom is read off a network: the owners of those who play an actor's roles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from stafett.design.incentives.contract import Terms
from stafett.design.incentives.equilibrium import Settled
from stafett.design.incentives.game import Game, Vector
from stafett.design.incentives.reading import Specification
from stafett.design.network import CENTRE
from stafett.design.reading import System

Owners = tuple[tuple[int, ...], ...]
"""Places of the actors, together where they have one owner."""


@dataclass(frozen=True)
class Owned:
    """A game under worked-out terms, played by owners."""

    game: Game
    terms: Terms
    owners: Owners

    @cached_property
    def efforts_of(self) -> tuple[npt.NDArray[np.intp], ...]:
        """Places of each owner's efforts."""
        each = self.game.efforts_of
        return tuple(np.concatenate([each[i] for i in o]).astype(np.intp) for o in self.owners)

    @cached_property
    def most(self) -> Vector:
        """Bound of each effort; none where a pool gives its owner nothing for it."""
        if not self.terms.is_pool:
            return self.game.most
        paid = np.zeros(len(self.game.sides), dtype=np.bool_)
        for owner, places in zip(self.owners, self.efforts_of, strict=True):
            paid[places] = self.terms.pool[list(owner)].sum() > 0
        return np.where(paid, self.game.most, 0.0)

    @property
    def scale(self) -> float:
        """The value of a success."""
        return self.game.value

    def joint(self, x: Vector) -> tuple[float, Vector]:
        """Welfare does not depend on who owns whom."""
        return Settled(self.game, self.terms).joint(x)

    def own(self, actor: int, x: Vector) -> tuple[float, Vector]:
        """An owner's pay less cost: what its actors get together."""
        r, slopes = self.game.reliabilities(x)
        places = self.efforts_of[actor]
        pay, gain = 0.0, np.zeros(len(r))
        price, up = 0.0, np.zeros(len(x))
        for i in self.owners[actor]:
            worth, each = self.terms.valued(r, i)
            pay, gain = pay + worth, gain + np.array(each)
            mine = self.game.efforts_of[i]
            if len(mine):
                price += self.game.actors[i].price(x[mine])
                up[mine] -= self.game.actors[i].slope(x[mine])
        for e in places.tolist():
            up[e] += gain[self.game.sides[e][1]] * slopes[e]
        return pay - price, up[places]

    def potential(self, x: Vector) -> tuple[float, Vector] | None:
        """Not told to the solver: it finds its way by best responses."""
        return None


def ownerships(system: System, spec: Specification) -> list[tuple[float, Owners]]:
    """Who of a game has one owner in a system, with the share of patients for whom it is so.

    An actor none of whose roles the network has belongs to itself; so does the payer.
    """
    n, names = system.network, list(spec.actors)
    found: dict[Owners, float] = {}
    for centre in n.centres.values():
        owner_of = {}
        for name, actor in spec.actors.items():
            role = next((r for r in actor.roles if r in n.roles), None)
            who = n.roles[role] if role is not None else None
            if who is None or name == spec.payer:
                owner_of[name] = f"itself: {name}"
            else:
                owner_of[name] = centre.owner if who == CENTRE else n.organisations[who].owner
        groups: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            groups.setdefault(owner_of[name], []).append(place)
        owners = tuple(tuple(g) for g in groups.values())
        found[owners] = found.get(owners, 0.0) + centre.share.value
    total = sum(found.values())
    return [(share / total, owners) for owners, share in found.items()]


def owner_of(owners: Sequence[tuple[int, ...]], actor: int) -> tuple[int, ...]:
    """Everybody who has the owner of an actor, itself among them."""
    return next(o for o in owners if actor in o)
