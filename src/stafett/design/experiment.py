"""Running designs: systems in, figures per replication out, on all cores, with common luck."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

from stafett.design.compile import Compiled, Disruption, compile_system
from stafett.design.measures import Figures, measures
from stafett.design.reading import System
from stafett.simulation import Horizon, Store, sweep

YEAR = 365.25


@dataclass(frozen=True)
class Plan:
    """How much to run: replications of `years` counted after `warmup` years, and a tail."""

    replications: int = 40
    years: float = 2.0
    warmup: float = 1.0
    seed: int = 1

    @property
    def horizon(self) -> Horizon:
        """Referrals go on for a year after the last that is counted, so that all find their end."""
        begin, end = self.warmup * YEAR, (self.warmup + self.years) * YEAR
        return Horizon(until=end + YEAR, warmup=begin, count_until=end)


@dataclass(frozen=True)
class Run:
    """Figures of each replication, by design; `missing` were not run (interrupted)."""

    figures: dict[str, list[Figures]]
    compiled: dict[str, Compiled]
    missing: int

    def values(self, design: str, measure: str) -> list[float]:
        """One figure over the replications."""
        return [f.get(measure, float("nan")) for f in self.figures[design]]


@dataclass(frozen=True)
class Design:
    """A system, with what is closed when."""

    system: System
    disruptions: tuple[Disruption, ...] = field(default=())


def run(
    designs: Mapping[str, Design],
    plan: Plan,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    store: Store | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Run:
    """Run every design for the same replications: equal numbers mean equal patients."""
    compiled = {name: compile_system(d.system, d.disruptions) for name, d in designs.items()}
    results = sweep(
        {name: c.model for name, c in compiled.items()},
        plan.horizon,
        plan.seed,
        range(plan.replications),
        executor=executor,
        workers=workers,
        block=4,
        store=store,
        progress=progress,
    )
    # Interrupted: keep the replications that every design has, so that pairs stay pairs.
    whole = set.intersection(*({s.replication for s in sums} for sums in results.sums.values()))
    figures = {
        name: [measures(compiled[name], s) for s in sums if s.replication in whole]
        for name, sums in results.sums.items()
    }
    return Run(figures, compiled, results.missing)
