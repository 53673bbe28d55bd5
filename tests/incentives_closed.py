"""Games with known answers, as the solver sees them; formulas beside their sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import lambertw

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Team:
    """n members, output sum of x, cost x^2/2 each, output shared equally (Holmstrom 1982)."""

    n: int
    scale: float = 1.0

    @property
    def efforts_of(self) -> list[npt.NDArray[np.intp]]:
        """One effort each."""
        return [np.array([i], dtype=np.intp) for i in range(self.n)]

    @property
    def most(self) -> Vector:
        """More than anybody would do."""
        return np.full(self.n, 3.0)

    def joint(self, x: Vector) -> tuple[float, Vector]:
        """Output less cost."""
        return float(x.sum() - (x**2).sum() / 2), 1 - x

    def own(self, actor: int, x: Vector) -> tuple[float, Vector]:
        """A share of output less own cost."""
        mine = x[actor]
        return float(x.sum() / self.n - mine**2 / 2), np.array([1 / self.n - mine])

    def potential(self, x: Vector) -> tuple[float, Vector] | None:
        """Not told to the solver: it must find its way by best responses."""
        return None


@dataclass(frozen=True)
class WeakestLink(Team):
    """Output b min(x), cost a x each, b > a: every common level is an equilibrium (Bryant 1983)."""

    benefit: float = 2.0

    @property
    def most(self) -> Vector:
        """Levels from 0 to 1."""
        return np.ones(self.n)

    def joint(self, x: Vector) -> tuple[float, Vector]:
        """Sum of payoffs."""
        least = int(np.argmin(x))
        up = -np.ones(self.n)
        up[least] += self.n * self.benefit
        return float(self.n * self.benefit * x.min() - x.sum()), up

    def own(self, actor: int, x: Vector) -> tuple[float, Vector]:
        """More effort than the least of the others' is wasted."""
        binds = x[actor] <= np.delete(x, actor).min()
        slope = (self.benefit if binds else 0.0) - 1.0
        return float(self.benefit * x.min() - x[actor]), np.array([slope])


@dataclass(frozen=True)
class Margins(Team):
    """Maker and seller each add a margin; demand 1 - price (Spengler 1950). Efforts: margins."""

    n: int = 2

    @property
    def most(self) -> Vector:
        """No margin above the highest price."""
        return np.ones(2)

    def joint(self, x: Vector) -> tuple[float, Vector]:
        """Profit of both."""
        p = x.sum()
        return float(p * (1 - p)), np.full(2, 1 - 2 * p)

    def own(self, actor: int, x: Vector) -> tuple[float, Vector]:
        """The maker (0) leads: it knows that the seller will take half of what is left."""
        if actor == 0:
            m = x[0]
            return float(m * (1 - m) / 2), np.array([(1 - 2 * m) / 2])
        p = x.sum()
        return float(x[1] * (1 - p)), np.array([1 - p - x[1]])


@dataclass(frozen=True)
class Newsvendor(Team):
    """A seller orders x at price w before demand, uniform on 0 to 1, is known (Pasternack 1985).

    It sells at `price`; the maker makes at `cost`, sets `wholesale`, and takes what is left over
    back at `buyback`.
    """

    n: int = 1
    price: float = 10.0
    cost: float = 4.0
    wholesale: float = 7.0
    buyback: float = 0.0

    @property
    def most(self) -> Vector:
        """No order above the highest demand."""
        return np.ones(1)

    def joint(self, x: Vector) -> tuple[float, Vector]:
        """Sales less what making costs: what the two have together."""
        q = float(x[0])
        return self.price * (q - q * q / 2) - self.cost * q, np.array(
            [self.price * (1 - q) - self.cost]
        )

    def own(self, actor: int, x: Vector) -> tuple[float, Vector]:
        """The seller's: sales and what is given back, less what it paid."""
        q = float(x[0])
        worth = self.price * (q - q * q / 2) + self.buyback * q * q / 2 - self.wholesale * q
        slope = self.price * (1 - q) + self.buyback * q - self.wholesale
        return worth, np.array([slope])


def oring_failure(n: int, value: float, cost: float) -> float:
    """Total hazard u of the productive equilibrium: u exp(-u) = c n^2 / V, u < 1; nan if none.

    n members with r = exp(-exp(-x)), linear cost c, equal shares V/n of the success.
    """
    z = cost * n**2 / value
    if z > np.exp(-1):
        return float("nan")
    return float(-lambertw(-z, 0).real)
