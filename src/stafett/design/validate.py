"""Hold the simulation against published figures, and print the misses as plainly as the hits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stafett.design.estimate import Estimate, summary
from stafett.design.experiment import Design, Plan, run
from stafett.design.network import Published
from stafett.design.reading import System
from stafett.simulation import Store


@dataclass(frozen=True)
class Row:
    """One published figure, what the simulation gives, and whether it lies in the range."""

    system: str
    published: Published
    simulated: Estimate

    @property
    def inside(self) -> bool:
        """Whether the simulated mean lies in the published range."""
        return self.published.low <= self.simulated.mean <= self.published.high


@dataclass(frozen=True)
class Validation:
    """One row for each published figure; `missing` replications were not run (interrupted)."""

    rows: list[Row]
    missing: int


def validate(
    systems: Mapping[str, System],
    plan: Plan,
    *,
    workers: int | None = None,
    store: Store | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Validation:
    """Hold each system against each of its published figures."""
    chosen = {n: Design(s) for n, s in systems.items() if s.network.published}
    if not chosen:
        return Validation([], 0)
    results = run(chosen, plan, workers=workers, store=store, progress=progress)
    rows = [
        Row(name, p, summary(results.values(name, p.measure), plan.assumptions))
        for name in chosen
        for p in systems[name].network.published
    ]
    return Validation(rows, results.missing)
