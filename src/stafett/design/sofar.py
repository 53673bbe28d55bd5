"""A comparison while it runs: the figures of the systems after the first replications."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from stafett.design.estimate import Estimate, summary
from stafett.design.experiment import Design, Plan, run
from stafett.design.reading import System
from stafett.simulation import Store


@dataclass(frozen=True)
class SoFar:
    """Figures by system and measure over the first `replications` of `of`, the same in each."""

    replications: int
    of: int
    figures: dict[str, dict[str, Estimate]]


def looks(replications: int) -> Iterator[int]:
    """After how many replications it is looked: the least that has an interval, then doubling."""
    n = 2
    while n < replications:
        yield n
        n *= 2
    yield replications


def watch(
    systems: Mapping[str, System],
    plan: Plan,
    store: Store,
    see: Callable[[SoFar], None],
    progress: Callable[[int], None],
) -> Callable[[int], None]:
    """Run the systems themselves and say what was found each time that there is more.

    Nothing is run twice: every replication is put into `store`, from which the comparison takes
    it. What comes back is the `progress` to hand to that comparison: it leaves out what was told
    here, which the comparison tells again as kept.
    """
    base = {name: Design(system) for name, system in systems.items()}
    told = 0
    for n in looks(plan.replications):
        tell = _beyond(told, progress)
        found = run(base, replace(plan, replications=n), store=store, progress=tell)
        if found.missing:
            break
        told = n * len(base)
        figures = {
            name: {k: summary(found.values(name, k), plan.assumptions) for k in rows[0]}
            for name, rows in found.figures.items()
        }
        see(SoFar(n, plan.replications, figures))
    return _beyond(told, progress)


def _beyond(told: int, progress: Callable[[int], None]) -> Callable[[int], None]:
    """A progress that passes on only what comes after the first `told` parts."""
    left = told

    def tell(parts: int) -> None:
        nonlocal left
        passed = max(0, parts - left)
        left -= parts - passed
        if passed:
            progress(passed)

    return tell
