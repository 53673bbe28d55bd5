"""The experiment at the heart: the same effort on components against the same on interfaces.

Effort is the sum of the logarithms of all improvements (see `levers`); it is spread evenly over the
levers of a group. Beside the groups each lever alone is given the whole effort, and half of it, to
show which one carries its group and whether its return diminishes. The levers that help most are
also pulled two at a time: what the pair gives beyond the sum of its parts is their interaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations

from stafett.design.estimate import Estimate, difference, paired, summary
from stafett.design.experiment import Design, Plan, Run, run
from stafett.design.levers import LEVERS, spread
from stafett.design.reading import System
from stafett.simulation import Store

PAIRED = 4  # levers that help a system most, each with each
MEASURES = ("treated_share", "referred_to_infused", "collected_to_infused", "cost")


@dataclass(frozen=True)
class Outcome:
    """Effects on one system: of each group, of interfaces minus components, of each lever."""

    groups: dict[str, dict[str, Estimate]]
    interfaces_minus_components: dict[str, Estimate]
    levers: dict[str, dict[str, Estimate]]
    half: dict[str, dict[str, Estimate]]  # with half of the effort
    interactions: dict[str, dict[str, Estimate]]  # "a × b": beyond the sum of both alone
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

    together = pairs_of(systems, results)
    pairs = run(
        {
            f"{n}+{a}+{b}": Design(systems[n], change=partial(both, a=a, b=b, effort=effort))
            for n, ab in together.items()
            for a, b in ab
        },
        plan, workers=workers, store=store, progress=progress, only_kept=results.missing > 0,
    )  # fmt: skip

    def interaction(n: str, a: str, b: str, m: str) -> Estimate:
        """(both - neither) - (a - neither) - (b - neither), replication by replication."""
        two = pairs.values(f"{n}+{a}+{b}", m)
        one, other, none = (
            results.values(f"{n}{x}", m)[: len(two)] for x in (f"+{a}", f"+{b}", "")
        )
        beyond = [t - x - y + z for t, x, y, z in zip(two, one, other, none, strict=True)]
        return summary(beyond, plan.assumptions)

    return {
        name: Outcome(
            groups={
                g: effect(f"{name}+{g}", name) for g in ("component", "interface", "institution")
            },
            interfaces_minus_components=effect(f"{name}+interface", f"{name}+component"),
            levers={x.name: effect(f"{name}+{x.name}", name) for x in LEVERS},
            half={x.name: effect(f"{name}+{x.name}/2", name) for x in LEVERS},
            interactions={
                f"{a} × {b}": {m: interaction(name, a, b, m) for m in MEASURES}
                for a, b in together[name]
            },
            missing=results.missing + pairs.missing,
        )
        for name in systems
    }


def both(system: System, a: str, b: str, effort: float) -> System:
    """Two levers pulled, each with the whole effort."""
    by_name = {x.name: x for x in LEVERS}
    return by_name[b].apply(by_name[a].apply(system, effort), effort)


def pairs_of(systems: Mapping[str, System], results: Run) -> dict[str, list[tuple[str, str]]]:
    """For each system the pairs among the levers that treat most more, in the order of LEVERS."""
    found = {}
    for name in systems:
        gains = {
            x.name: difference(
                results.values(f"{name}+{x.name}", MEASURES[0]), results.values(name, MEASURES[0])
            ).mean
            for x in LEVERS
        }
        most = sorted(gains, key=lambda x: -gains[x])[:PAIRED]
        found[name] = list(combinations([x.name for x in LEVERS if x.name in most], 2))
    return found
