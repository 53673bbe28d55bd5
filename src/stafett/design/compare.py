"""Compare systems: figures with intervals, what they stand or fall with, and what breaks them.

The question behind every table is which constraint a system relieves and where the pressure goes
instead. It is answered by marginal effects: each lever is pulled with the same effort in each
system, under the same luck. Where a lever does little compared with the other systems, its
constraint is relieved; where it does most, there the pressure is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

from stafett.design.activities import carried
from stafett.design.compile import Disruption
from stafett.design.estimate import Estimate, estimate, paired, summary, without_luck
from stafett.design.experiment import YEAR, Design, Plan, Run, run
from stafett.design.levers import GROUPS, LEVERS, demand
from stafett.design.reading import System
from stafett.simulation import Store

EFFORT = 0.25
SCALES = (2.0, 5.0, 20.0)
MARGINAL = ("treated_share", "referred_to_infused", "cost")


@dataclass(frozen=True)
class Pressure:
    """What the marginal effects say of one system.

    `relieved`: the lever that helps it least compared with the others (its effect minus their
    mean is lowest, and the interval of that difference leaves out zero), or None. `pressure`: the
    lever that helps it most, `pressure_share`: in which share of replications it is first. Effects
    are additional patients treated of 100 referred.
    """

    relieved: str | None
    relieved_by: Estimate | None
    pressure: str
    pressure_effect: Estimate
    pressure_share: float

    @property
    def clear(self) -> bool:
        """Whether that effect is clear: if not, no pressure may be claimed."""
        return self.pressure_effect.clear


@dataclass(frozen=True)
class Sides:
    """What levers, scale and disruptions do in each system, as far as they were run.

    `marginal`: system, lever, measure; `scale`: system, "2x" -> treated of 100 referred;
    `resilience`: system, disruption -> difference of treated of 100 referred.
    """

    marginal: dict[str, dict[str, dict[str, Estimate]]]
    scale: dict[str, dict[str, Estimate]]
    resilience: dict[str, dict[str, Estimate]]


@dataclass(frozen=True)
class Comparison:
    """All tables, by system name."""

    plan: Plan
    figures: dict[str, dict[str, Estimate]]
    against_first: dict[str, dict[str, Estimate]]
    marginal: dict[str, dict[str, dict[str, Estimate]]]  # system, lever, measure
    pressure: dict[str, Pressure]
    scale: dict[str, dict[str, Estimate]]  # system, "2x" -> treated of 100 referred
    resilience: dict[str, dict[str, Estimate]]  # system, disruption -> treated, difference
    missing: int


def disruptions(system: System, plan: Plan) -> dict[str, tuple[Disruption, ...]]:
    """What may happen: the plant closed, the largest centre without beds, a lane, a strike, no
    deliveries. A strike stops deliveries too, until their stock is used up."""
    begins = (plan.warmup + plan.years / 4) * YEAR
    n = system.network
    largest = max(n.centres, key=lambda c: n.centres[c].share.value)
    lanes = [k for k, s in system.protocol.steps.items() if s.kind == "transport"]
    found: dict[str, tuple[Disruption, ...]] = {}
    for pool, spec in n.pools.items():
        if spec.per == "network":
            found[f"{spec.title.lower()} closed 60 days"] = (Disruption(pool, begins, 60),)
    if "bed" in n.pools:
        found["largest centre without beds 90 days"] = (Disruption("bed", begins, 90, largest),)
    if lanes:
        first = Disruption(f"lane {lanes[0]}", begins, 30)
        found[f"lane {lanes[0]} closed 30 days"] = (first,)
    supplies = [f"supply {name}" for name in n.supplies]
    carriage = ["carriage"] if carried(system.protocol) else []
    if stops := [*(f"lane {lane}" for lane in lanes), *carriage, *supplies]:
        found["couriers on strike 14 days"] = tuple(Disruption(x, begins, 14) for x in stops)
    if supplies:
        found["no deliveries of supplies 60 days"] = tuple(
            Disruption(x, begins, 60) for x in supplies
        )
    return found


def designs(systems: Mapping[str, System], plan: Plan) -> dict[str, Design]:
    """Every design that a comparison needs."""
    out: dict[str, Design] = {}
    for name, system in systems.items():
        out[name] = Design(system)
        for lever in LEVERS:
            out[f"{name}+{lever.name}"] = Design(system, change=lever.with_effort(EFFORT))
        for factor in SCALES:
            out[f"{name}*{factor:g}"] = Design(system, change=partial(demand, factor=factor))
        for what, when in disruptions(system, plan).items():
            out[f"{name}-{what}"] = Design(system, when)
    return out


def compare(
    systems: Mapping[str, System],
    plan: Plan,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    store: Store | None = None,
    progress: Callable[[int], None] = lambda done: None,
    see: Callable[[Sides], None] | None = None,
) -> Comparison:
    """Run everything and put it into tables; interrupted, those of what is finished.

    `see` is told after each group of levers, the disruptions and the scales what was found; the
    figures that it is told are final.
    """
    every = designs(systems, plan)
    base = {n: d for n, d in every.items() if n in systems}
    # More demand is more journeys: fewer replications carry as much.
    more = {n: d for n, d in every.items() if "*" in n}
    rest = {n: d for n, d in every.items() if n not in systems and n not in more}
    fewer = _fewer(plan)
    few = replace(
        plan, replications=max(2, plan.replications // 10), years=min(plan.years, 1.0)
    )  # fmt: skip
    go = partial(run, executor=executor, workers=workers, store=store, progress=progress)
    runs = go(base, plan)
    side = big = Run({}, 0)

    def so_far() -> Sides:
        return _sides(systems, plan, runs, side, big)

    # Ctrl-C ends the whole, not the part that it happens to be in.
    for part in [rest] if see is None else _groups(systems, rest):
        side = side.with_(go(part, fewer, only_kept=runs.missing + side.missing > 0))
        if see is not None:
            see(so_far())
    big = go(more, few, only_kept=runs.missing + side.missing > 0)
    sides = so_far()
    if see is not None:
        see(sides)
    first = next(iter(systems))
    how = plan.assumptions
    figures, against = {}, {}
    for name in systems:
        keys = runs.figures[name][0] if runs.figures[name] else {}
        figures[name] = {k: summary(runs.values(name, k), how) for k in keys}
        if name != first:
            against[name] = {
                k: paired(runs.values(name, k), runs.values(first, k), how)
                for k in keys
                if k in runs.figures[first][0]
            }
    effects = {n: _effects(n, runs, side) for n in systems}
    return Comparison(
        plan=plan,
        figures=figures,
        against_first=against,
        marginal=sides.marginal,
        pressure={n: _pressure(n, effects, how) for n in systems},
        scale=sides.scale,
        resilience=sides.resilience,
        missing=runs.missing + side.missing + big.missing,
    )


def _groups(
    systems: Mapping[str, System], rest: Mapping[str, Design]
) -> Iterator[dict[str, Design]]:
    """Levers and disruptions in parts that each say something: by the levers' groups, then those.

    Few parts: each waits for its last replication.
    """
    levers = {f"{n}+{x.name}": x.group for n in systems for x in LEVERS}
    for group in GROUPS:
        yield {n: d for n, d in rest.items() if levers.get(n) == group}
    if events := {n: d for n, d in rest.items() if n not in levers}:
        yield events


def _sides(systems: Mapping[str, System], plan: Plan, runs: Run, side: Run, big: Run) -> Sides:
    how = plan.assumptions
    effects = {n: _effects(n, runs, side) for n in systems}
    scales = {n: [f for f in SCALES if f"{n}*{f:g}" in big.figures] for n in systems}
    events = {n: [w for w in disruptions(systems[n], plan) if f"{n}-{w}" in side.figures]
              for n in systems}  # fmt: skip
    return Sides(
        marginal={
            n: {x: {m: summary(e[m], how) for m in MARGINAL} for x, e in effects[n].items()}
            for n in systems
        },
        scale={
            n: {f"{f:g}x": summary(big.values(f"{n}*{f:g}", "treated_share"), how) for f in found}
            for n, found in scales.items()
        },
        resilience={
            n: {w: _against(side, f"{n}-{w}", runs, n, "treated_share", how) for w in found}
            for n, found in events.items()
        },
    )


def _fewer(plan: Plan) -> Plan:
    """Levers and disruptions are paired: two fifths of the replications carry as much."""
    return replace(plan, replications=max(2, plan.replications * 2 // 5))


def _against(one: Run, a: str, other: Run, b: str, measure: str, how: str) -> Estimate:
    x = one.values(a, measure)
    return paired(x, other.values(b, measure)[: len(x)], how)


def _effects(name: str, base: Run, side: Run) -> dict[str, dict[str, list[float]]]:
    """Paired effects of each lever that was run, replication by replication."""
    out: dict[str, dict[str, list[float]]] = {}
    for lever in LEVERS:
        if f"{name}+{lever.name}" not in side.figures:
            continue
        out[lever.name] = {}
        for m in MARGINAL:
            after = side.values(f"{name}+{lever.name}", m)
            before = base.values(name, m)[: len(after)]
            out[lever.name][m] = [a - b for a, b in zip(after, before, strict=True)]
    return out


def _pressure(
    name: str, effects: dict[str, dict[str, dict[str, list[float]]]], how: str
) -> Pressure:
    mine = {lever: values["treated_share"] for lever, values in effects[name].items()}
    others = [effects[o] for o in effects if o != name]
    most = max(mine, key=lambda x: estimate(mine[x]).mean)
    runs = range(len(mine[most]))
    firsts = [max(mine, key=lambda x: mine[x][i]) for i in runs]
    relieved, by = None, None
    for lever, values in mine.items():
        if not others:
            break
        theirs = [o[lever]["treated_share"] for o in others]
        n = min(len(values), *(len(t) for t in theirs))
        gap = summary([values[i] - sum(t[i] for t in theirs) / len(theirs) for i in range(n)], how)
        if gap.high < 0 and (by is None or gap.mean < by.mean):
            relieved, by = lever, gap
    share = firsts.count(most) / max(1, len(firsts))
    return Pressure(relieved, by, most, summary(mine[most], how), share)


@dataclass(frozen=True)
class Conclusion:
    """Something the comparison says, with the values of all assumptions fixed and with them drawn.

    `survives`: the 95 % of draws lie on the same side of zero as the fixed interval. What is not
    clear with assumptions fixed is no conclusion and is not listed.
    """

    system: str
    what: str
    fixed: Estimate
    drawn: Estimate
    survives: bool


def conclusions(fixed: Comparison, drawn: Comparison) -> list[Conclusion]:
    """Which conclusions of a comparison survive the ranges of the assumptions.

    The luck of one replication's patients is in the draws too; its variance is known from the fixed
    runs and taken out, so that a small country is not held to be uncertain for being small.
    """
    found: list[Conclusion] = []
    whole = fixed.plan.replications
    fewer = _fewer(fixed.plan).replications

    def add(system: str, what: str, a: Estimate, b: Estimate, n: int) -> None:
        b = without_luck(a, b, n)
        if a.clear:
            found.append(Conclusion(system, what, a, b, b.clear and (a.mean > 0) == (b.mean > 0)))

    for name, against in fixed.against_first.items():
        for measure in ("treated_share", "collected_to_infused", "left_share", "cost"):
            other = drawn.against_first[name]
            if measure in against and measure in other:
                add(name, f"against the first: {measure}", against[measure], other[measure], whole)
    for name, levers in fixed.marginal.items():
        for lever, effects in levers.items():
            after = drawn.marginal[name][lever]["treated_share"]
            add(name, f"a fifth better helps: {lever}", effects["treated_share"], after, fewer)
    for name, events in fixed.resilience.items():
        for what, effect in events.items():
            add(name, what, effect, drawn.resilience[name][what], fewer)
    return found
