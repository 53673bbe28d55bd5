"""Offered loads: whether queues can be stable, before anything is simulated."""

from __future__ import annotations

from dataclasses import dataclass

from stafett.design.compile import Writer
from stafett.design.reading import System

ALL = "all"
"""The whole network, where a pool is not each centre's own."""


@dataclass(frozen=True)
class Load:
    """Work that comes to a pool, as a share of what it can do; 1 or more is unstable.

    Everybody who is referred and not refused is counted, once: a lower bound where attempts are
    repeated, an upper one where many leave before.
    """

    pool: str
    where: str
    load: float

    @property
    def stable(self) -> bool:
        """Whether the queue has an end."""
        return self.load < 1

    @property
    def path(self) -> tuple[str, ...]:
        """Where in a network file the places are written that are too few."""
        if self.where == ALL:
            return ("pools", self.pool, "places")
        return ("centres", self.where, "places", self.pool)


def offered_loads(system: System) -> list[Load]:
    """The load of each pool (per centre: of the fullest centre)."""
    n = system.network
    writer = Writer(system)
    refused = sum(p.value for k, p in n.results.items() if k.endswith("=refused"))
    per_day = n.patients.per_year.value / 365.25 * max(0.0, 1 - refused)
    found = []
    for name, pool in n.pools.items():
        days = writer.expected(pool.works_from or pool.begins, pool.ends)
        if pool.per == "network":
            assert pool.places is not None
            found.append(Load(name, ALL, per_day * days / pool.places.value))
            continue
        loads = {
            centre: per_day * c.share.value * days / c.places[name].value
            for centre, c in n.centres.items()
        }
        fullest = max(loads, key=lambda c: loads[c])
        found.append(Load(name, fullest, loads[fullest]))
    return found
