"""Running designs: systems in, figures per replication out, on all cores, with common luck."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from stafett.design.assumptions import sampled
from stafett.design.compile import Compiled, Disruption, compile_system
from stafett.design.measures import Figures, measures
from stafett.design.reading import System
from stafett.simulation import Horizon, Model, Store, sweep

YEAR = 365.25


@dataclass(frozen=True)
class Plan:
    """How much to run: replications of `years` counted after `warmup` years, and a tail.

    `assumptions`: "fixed", every figure at its value; "sampled", every figure that has a range is
    drawn anew in each replication, alike in every design, so that intervals carry the ranges.
    """

    replications: int = 40
    years: float = 2.0
    warmup: float = 1.0
    seed: int = 1
    assumptions: Literal["fixed", "sampled"] = "fixed"

    @property
    def horizon(self) -> Horizon:
        """Referrals go on for a year after the last that is counted, so that all find their end."""
        begin, end = self.warmup * YEAR, (self.warmup + self.years) * YEAR
        return Horizon(until=end + YEAR, warmup=begin, count_until=end)


@dataclass(frozen=True)
class Run:
    """Figures of each replication, by design; `missing` were not run (interrupted)."""

    figures: dict[str, list[Figures]]
    missing: int

    def values(self, design: str, measure: str) -> list[float]:
        """One figure over the replications."""
        return [f.get(measure, float("nan")) for f in self.figures[design]]

    def whole(self) -> Run:
        """This, for figures that are nothing without every replication.

        Raises KeyboardInterrupt where some were not run: they were interrupted.
        """
        if self.missing:
            raise KeyboardInterrupt
        return self

    def with_(self, other: Run) -> Run:
        """This and what other designs gave."""
        return Run({**self.figures, **other.figures}, self.missing + other.missing)


@dataclass(frozen=True)
class Design:
    """A system, with what is closed when, and a change that is made to it.

    The change is made after the assumptions are drawn: a lever improves what is there, whatever
    that is.
    """

    system: System
    disruptions: tuple[Disruption, ...] = field(default=())
    change: Callable[[System], System] = field(default=lambda system: system)

    def compiled(self, plan: Plan, replication: int) -> Compiled:
        """What is simulated in a replication; the same in all if assumptions are fixed."""
        system = self.system
        if plan.assumptions == "sampled":
            system = sampled(system, plan.seed, replication)
        return compile_system(self.change(system), self.disruptions)


class _Models(Mapping[str, Model]):
    """Models written when they are asked for: the first are run while the last are written."""

    def __init__(self, makers: Mapping[str, Callable[[], Compiled]]) -> None:
        self._makers = makers
        self._made: dict[str, Compiled] = {}

    def compiled(self, name: str) -> Compiled:
        """The model with what its places mean."""
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __getitem__(self, name: str) -> Model:
        return self.compiled(name).model

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def run(
    designs: Mapping[str, Design],
    plan: Plan,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    store: Store | None = None,
    progress: Callable[[int], None] = lambda done: None,
    only_kept: bool = False,
) -> Run:
    """Run every design for the same replications: equal numbers mean equal patients.

    `executor` is anything with the interface of `concurrent.futures.Executor`; None: all cores of
    this machine. Results do not depend on it.
    """
    every = range(plan.replications)
    fixed = plan.assumptions == "fixed"
    # One model for all replications, or one for each.
    parts = {n: {0: every} if fixed else {r: range(r, r + 1) for r in every} for n in designs}
    models = _Models(
        {
            f"{n} {r}": partial(designs[n].compiled, plan, r)
            for n, blocks in parts.items()
            for r in blocks
        }
    )
    results = sweep(
        models,
        plan.horizon,
        plan.seed,
        {f"{n} {r}": block for n, blocks in parts.items() for r, block in blocks.items()},
        executor=executor,
        workers=workers,
        block=4,
        store=store,
        progress=progress,
        only_kept=only_kept,
    )
    done = {
        n: {s.replication: (f"{n} {r}", s) for r in blocks for s in results.sums[f"{n} {r}"]}
        for n, blocks in parts.items()
    }
    # Interrupted: keep the replications that every design has, so that pairs stay pairs.
    whole = sorted(set.intersection(*(set(d) for d in done.values())))
    figures = {
        n: [measures(models.compiled(d[r][0]), d[r][1]) for r in whole] for n, d in done.items()
    }
    return Run(figures, results.missing)
