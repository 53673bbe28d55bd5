"""The experiment at the heart: the same effort on components against the same on interfaces.

Effort is the sum of the logarithms of all improvements (see `levers`); it is spread evenly over the
levers of a group. Beside the groups each lever alone is given the whole effort, and half of it, to
show which one carries its group and whether its return diminishes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from stafett.design.estimate import Estimate, paired
from stafett.design.experiment import Design, Plan, run
from stafett.design.levers import LEVERS, spread
from stafett.design.reading import System
from stafett.simulation import Store

MEASURES = ("treated_share", "referred_to_infused", "collected_to_infused", "cost")


@dataclass(frozen=True)
class Outcome:
    """Effects on one system: of each group, of interfaces minus components, of each lever."""

    groups: dict[str, dict[str, Estimate]]
    interfaces_minus_components: dict[str, Estimate]
    levers: dict[str, dict[str, Estimate]]
    half: dict[str, dict[str, Estimate]]  # with half of the effort
    missing: int = 0  # replications of the whole experiment that were not run (interrupted)


def levers(
    systems: Mapping[str, System],
    plan: Plan,
    effort: float = 0.7,
    *,
    workers: int | None = None,
    store: Store | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Outcome]:
    """Run the experiment for each system."""
    designs: dict[str, Design] = {}
    for name, system in systems.items():
        designs[name] = Design(system)
        for group in ("component", "interface", "institution"):
            designs[f"{name}+{group}"] = Design(
                system, change=partial(spread, group=group, effort=effort)
            )
        for lever in LEVERS:
            designs[f"{name}+{lever.name}"] = Design(system, change=lever.with_effort(effort))
            half = lever.with_effort(effort / 2)
            designs[f"{name}+{lever.name}/2"] = Design(system, change=half)
    results = run(designs, plan, workers=workers, store=store, progress=progress)

    def effect(after: str, before: str) -> dict[str, Estimate]:
        return {
            m: paired(results.values(after, m), results.values(before, m), plan.assumptions)
            for m in MEASURES
        }

    return {
        name: Outcome(
            groups={
                g: effect(f"{name}+{g}", name) for g in ("component", "interface", "institution")
            },
            interfaces_minus_components=effect(f"{name}+interface", f"{name}+component"),
            levers={x.name: effect(f"{name}+{x.name}", name) for x in LEVERS},
            half={x.name: effect(f"{name}+{x.name}/2", name) for x in LEVERS},
            missing=results.missing,
        )
        for name in systems
    }
