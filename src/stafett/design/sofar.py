"""A comparison while it runs: first the systems, then what levers, disruptions and scale do.

The systems themselves are looked at after more and more replications. Levers, disruptions and
scales come after them, a group at a time, each with all its replications: those figures are final
when they are seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from stafett.design.compare import Comparison, Sides, compare
from stafett.design.estimate import Estimate, summary
from stafett.design.experiment import Design, Plan, run
from stafett.design.reading import System
from stafett.simulation import Store


@dataclass(frozen=True)
class SoFar:
    """Figures by system and measure over the first `replications` of `of`, the same in each.

    `levers`, `resilience` and `scale`, by system: what is finished of them (of 100 referred,
    treated: gained, lost, and in all). `drawn`: as `figures`, with assumptions drawn, over the
    first `drawn_replications`.
    """

    replications: int
    of: int
    figures: dict[str, dict[str, Estimate]]
    levers: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    resilience: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    scale: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    drawn: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    drawn_replications: int = 0

    @property
    def seen(self) -> int:
        """How much there is to see; it only grows."""
        tables = (self.levers, self.resilience, self.scale)
        rows = sum(len(rows) for table in tables for rows in table.values())
        return self.replications + self.drawn_replications + rows

    def with_sides(self, sides: Sides) -> SoFar:
        """This, and what was tried on the systems."""
        levers = {
            n: {x: e["treated_share"] for x, e in found.items()}
            for n, found in sides.marginal.items()
        }
        return replace(self, levers=levers, resilience=sides.resilience, scale=sides.scale)


def looks(replications: int) -> Iterator[int]:
    """After how many replications it is looked: the least that has an interval, then doubling."""
    n = 2
    while n < replications:
        yield n
        n *= 2
    yield replications


def watched(
    systems: Mapping[str, System],
    plan: Plan,
    store: Store,
    see: Callable[[SoFar], None],
    progress: Callable[[int], None],
) -> Comparison:
    """Compare, and say what was found each time that there is more; nothing is run twice."""
    last: list[SoFar] = []

    def keep(seen: SoFar) -> None:
        last[:] = [seen]
        see(seen)

    rest = watch(systems, plan, store, keep, progress)
    return compare(
        systems, plan, store=store, progress=rest, see=lambda s: see(last[0].with_sides(s))
    )


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
