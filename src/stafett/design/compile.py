"""Protocol and network into a network of the kernel: the file that is enforced is simulated.

Each activity of the protocol becomes a few operations in the order that `after` gives (parallel
branches one after the other, which is the cautious reading). Steps take time and places and have
results; routes (`go`, `decide`, `end`, `resume`) go where the protocol says. A handoff makes errors
(latent), dwells until it is accepted, and is inspected by its receiver for errors of its own and of
all handoffs before it.

Every wait and delay ends when the patient dies, becomes unfit or withdraws.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from stafett.design.activities import order, out_of_spec, phase_of, restart
from stafett.design.network import CENTRE, Network, Number, Work
from stafett.design.reading import System
from stafett.design.routes import own
from stafett.protocol.model import Protocol, Route, Step
from stafett.simulation import (
    Builder,
    Choice,
    Constant,
    Exponential,
    Hours,
    Lognormal,
    Model,
    Plan,
)
from stafett.simulation.distributions import Distribution

KINDS: tuple[Literal["documentation", "labelling", "timing", "interpretation"], ...] = (
    "documentation",
    "labelling",
    "timing",
    "interpretation",
)
WEEKDAYS = Hours(tuple((d + 8 / 24, d + 17 / 24) for d in range(5)), period=7.0)
OUTSIDE = 1 - sum(closes - opens for opens, closes in WEEKDAYS.open) / WEEKDAYS.period
# Which interrupt of a protocol is meant by which hazard of a network.
INTERRUPTS = {"unfit": "patient_unfit", "withdraws": "consent_withdrawn", "dies": "patient_died"}
LEAVES = ("leaves", "left")
LEFT = "could wait no longer"
FORTNIGHT = 14.0
TALLIES = (
    "referred_to_collected",
    "collected_to_released",
    "collected_to_infused",
    "referred_to_infused",
)


@dataclass(frozen=True)
class Disruption:
    """Something closed from day `begins` for `lasts` days.

    `what`: a pool (of one centre, or all), "lane STEP", "carriage" (see `carried`), or the
    deliveries of "supply NAME", whose stock is used up first.
    """

    what: str
    begins: float
    lasts: float
    centre: str | None = None


@dataclass(frozen=True)
class Compiled:
    """The model and how to read its results."""

    system: System
    model: Model
    order: tuple[str, ...]
    crossing: dict[str, float]  # handoff -> share of journeys whose owners differ there

    @cached_property
    def op(self) -> dict[str, int]:
        """Index of an operation by its name."""
        return {name: i for i, name in enumerate(self.model.ops)}

    @property
    def handoffs(self) -> tuple[str, ...]:
        """The interfaces in the order of the journey."""
        return tuple(a for a in self.order if a in self.system.protocol.handoffs)


def log_normal(median: float, sigma: float) -> Lognormal:
    """A duration; a tiny median stands for none."""
    return Lognormal(max(median, 1e-6), sigma)


def unit_mean(sigma: float) -> Lognormal:
    """A random effect: lognormal with mean 1."""
    return Lognormal(math.exp(-(sigma**2) / 2), sigma)


class Writer:
    """Writes one system down as operations."""

    def __init__(self, system: System, disruptions: tuple[Disruption, ...] = ()) -> None:
        self.system = system
        self.n: Network = system.network
        self.p: Protocol = system.protocol
        self.order = order(self.p)
        self.phase = phase_of(self.p, self.order)
        self.disruptions = disruptions
        self.centres = list(self.n.centres.values())
        self.b = Builder()
        self.crossing: dict[str, float] = {}
        self._ended: set[str] = set()
        self._going: set[str] = set()
        self._deciding: set[str] = set()
        self._later: list[tuple[str, tuple[object, ...]]] = []
        self._known_rates: dict[bool, dict[str, float]] = {}
        self._restart = restart(self.p, self.order)
        self._oos = out_of_spec(self.p)

    # ---- what things take ----------------------------------------------------------------------

    def duration(self, name: str, factor: float = 1.0) -> Distribution:
        """How long a step takes: the network's figure, else the protocol's usual or half limit."""
        work = self.n.lanes.get(name) or self.n.work.get(name)
        if work is not None:
            return log_normal(work.median.value * factor, work.spread.value)
        takes = (self.p.steps.get(name) or self.p.handoffs[name]).takes
        if takes is None:
            return log_normal(0.0, 0.0)
        usual = takes.usual.seconds if takes.usual else takes.at_most.seconds / 2
        return log_normal(usual / 86400 * factor, 0.35)

    def durations(self, name: str) -> list[Distribution]:
        """How long a transport takes, by centre, where any has a lane of its own; else empty."""
        routes = own(self.n, self.p, name)
        return [
            log_normal(r.median.value, r.spread.value) if (r := routes.get(c)) else usual
            for usual in ([self.duration(name)] if routes else [])
            for c in self.n.centres
        ]

    def dwell(self, name: str) -> list[Lognormal]:
        """Time between release and acceptance of a handoff, by centre."""
        h = self.n.habits
        if name in self.n.work:
            work: Work = self.n.work[name]
            return [log_normal(work.median.value, work.spread.value)] * len(self.centres)
        base = h.dwell_hours.value / 24
        takes = self.p.handoffs[name].takes
        # A handoff that must be quick is quick: never a median beyond half its limit.
        most = takes.at_most.seconds / 86400 / 2 if takes else math.inf
        return [
            log_normal(min(base * self.across(name, c, h.crossing), most), h.dwell_spread.value)
            for c in range(len(self.centres))
        ]

    def differs(self, name: str, centre: int) -> bool:
        """Whether giver and receiver of a handoff have different owners, for a centre."""
        handoff = self.p.handoffs[name]
        return self.owner(handoff.giver, centre) != self.owner(handoff.receiver, centre)

    def owner(self, role: str, centre: int) -> str:
        """To whom the organisation belongs that plays a role."""
        who = self.n.roles[role]
        return self.centres[centre].owner if who == CENTRE else self.n.organisations[who].owner

    def across(self, name: str, centre: int, factor: Number) -> float:
        """The factor where owners differ, 1 where not."""
        return factor.value if self.differs(name, centre) else 1.0

    def expected(self, first: str, last: str) -> float:
        """Mean days from the start of one activity to the end of another, without queues."""
        names = self.order[self.order.index(first) : self.order.index(last) + 1]
        total = 0.0
        for name in names:
            if name in self.p.handoffs:
                total += sum(d.mean() for d in self.dwell(name)) / len(self.centres)
            elif ways := self.durations(name):
                total += sum(d.mean() for d in ways) / len(ways)
            else:
                total += self.duration(name).mean()
        return total

    # ---- the whole -----------------------------------------------------------------------------

    def write(self) -> Compiled:
        """Every activity, then whatever routes have asked for."""
        self._declare()
        self._arrive()
        phase = ""
        for name in self.order:
            self.b.label(name)
            if self.phase[name] != phase:
                phase = self.phase[name]
                self._circumstances(phase)
            self._begin_pools(name)
            if name in self.p.handoffs:
                self._handoff(name)
            else:
                self._step(name)
            self._end_pools(name)
        self._end("treated" if "treated" in self.p.outcomes else next(iter(self.p.outcomes)))
        self._left()
        while self._later:
            what, args = self._later.pop(0)
            getattr(self, what)(*args)
        rate = self.n.patients.per_year.value / 365.25
        self.b.source("patients", Exponential(1 / rate), "referred")
        return Compiled(self.system, self.b.build(), self.order, self.crossing)

    def _declare(self) -> None:
        b = self.b
        for name in ("centre", "again", "referred", "collected", "site", "team", "week", "load"):
            b.attribute(name, 1.0 if name == "again" else 0.0)
        b.attribute("odds", 1.0)
        b.attribute("frailty", 1.0)
        b.attribute("sturdy", 1.0)
        b.attribute("leaves", math.inf)
        for name in self.order:
            activity = self.p.steps.get(name) or self.p.handoffs[name]
            if activity.attempts is not None:
                b.attribute(f"tries of {name}")
        severity = {"documentation": 1.0, "interpretation": 2.0, "timing": 3.0, "labelling": 4.0}
        for name in self.order:
            if name in self.p.handoffs:
                for kind in KINDS:
                    b.fault(f"{name}:{kind}", severity[kind])
        b.calendar("weekdays", WEEKDAYS)
        for name, pool in self.n.pools.items():
            if pool.per == "centre":
                places = [float(round(c.places[name].value)) for c in self.centres]
            else:
                assert pool.places is not None
                held = 1.0
                if pool.works_from is not None:
                    worked = self.expected(pool.works_from, pool.ends)
                    held = self.expected(pool.begins, pool.ends) / worked
                places = [pool.places.value * held]
            b.block(name, [self._plan(name, i, c) for i, c in enumerate(places)])
        for name, step in self.p.steps.items():
            if step.kind == "transport":
                b.block(f"lane {name}", [self._plan(f"lane {name}", 0, 1e6)])
        self.stopped = {d.what for d in self.disruptions}
        if "carriage" in self.stopped:
            road = ["none" if c.beside_maker else "carriage" for c in self.centres]
            b.block("carriage", [self._plan(what, i, 1e6) for i, what in enumerate(road)])
        for name in self.n.supplies:
            if f"supply {name}" in self.stopped:
                b.block(f"supply {name}", [self._plan(f"supply {name}", 0, 1e6)])

    def _plan(self, what: str, index: int, capacity: float) -> int | Plan:
        """The capacity, with the disruptions that hit it.

        A part of a place is a place for that part of each fortnight: so that a little more capacity
        has a little more effect.
        """
        supply = self.n.supplies.get(what.removeprefix("supply "))
        stock = supply.on_hand.value if supply is not None and what.startswith("supply ") else 0.0
        closed = [
            (d.begins + stock, d.begins + d.lasts)
            for d in self.disruptions
            if d.what == what
            and d.lasts > stock
            and (d.centre is None or list(self.n.centres).index(d.centre) == index)
        ]
        low, part = math.floor(capacity), capacity % 1.0
        if part < 0.02 or part > 0.98:
            low, part = round(capacity), 0.0
        pattern = [(0.0, low + 1), (part * FORTNIGHT, low)] if part else [(0.0, low)]
        if not closed:
            return Plan(tuple(pattern), FORTNIGHT) if part else low
        last = max(end for _, end in closed)
        turns = math.ceil(last / FORTNIGHT) + (200 if part else 1)
        steps = {k * FORTNIGHT + at: c for k in range(turns if part else 1) for at, c in pattern}
        for begins, ends in closed:
            after = steps[max(at for at in steps if at <= ends)]
            steps = {at: (0 if begins <= at < ends else c) for at, c in steps.items()}
            steps |= {begins: 0, ends: after}
        return Plan(tuple(sorted(steps.items())))

    def _arrive(self) -> None:
        b, n = self.b, self.n
        b.label("referred")
        b.stamp("referred")
        b.draw("centre", "centre", Choice(tuple(c.share.value for c in self.centres)))
        b.tally("centre", "centre")  # the log names the centre by this row
        b.draw("frailty", "frailty", unit_mean(n.variability.biological.value))
        b.invert("sturdy", "frailty")
        hazard = n.patients.dies.value + n.patients.unfit.value + n.patients.withdraws.value
        if hazard > 0:
            b.draw("leaves after", "leaves", Exponential(7 / hazard))
            b.multiply("leaves", "sturdy")
            b.add("leaves", "referred")
        effect = unit_mean(n.variability.institutional.value)
        b.shared_draw("site effect", "site", effect, group="centre")

    def _circumstances(self, phase: str) -> None:
        """The odds of an error in this phase by day: the site's, its team's, how full it is."""
        b, n = self.b, self.n
        b.bucket("week", 7.0)
        effect = unit_mean(n.variability.operational.value)
        b.shared_draw(f"team {phase}", "team", effect, group="centre", second="week")
        b.copy("odds", "team")
        b.multiply("odds", "site")
        # Over a whole week the rates are as given: fewer by day for what is more by night.
        by_day = 1 / (1 + OUTSIDE * self.system.interfaces.shift.value)
        pools = list(n.pools)
        if not pools:
            b.multiply("odds", by_day)
        else:
            begins = [self.order.index(n.pools[x].begins) for x in pools]
            here = self.order.index(next(a for a in self.order if self.phase[a] == phase))
            near = min(range(len(pools)), key=lambda i: abs(begins[i] - here))
            pool = pools[near]
            w = self.system.interfaces.workload.value
            b.observe("load", pool, by="centre" if n.pools[pool].per == "centre" else None)
            b.multiply("load", w)
            b.add("load", 1.0)
            b.multiply("load", by_day / (1 + 0.8 * w))  # at 80 % load the rates are as given
            b.multiply("odds", "load")

    def _begin_pools(self, name: str) -> None:
        for pool, spec in self.n.pools.items():
            if spec.begins == name:
                by = "centre" if spec.per == "centre" else None
                self.b.seize(f"wait for {pool}", pool, by=by, priority="again", deadline=LEAVES)

    def _end_pools(self, name: str) -> None:
        for pool, spec in self.n.pools.items():
            if spec.ends == name:
                self.b.release(pool, by="centre" if spec.per == "centre" else None)

    # ---- steps ---------------------------------------------------------------------------------

    def _step(self, name: str) -> None:
        b, step = self.b, self.p.steps[name]
        work = self.n.work.get(name)
        if work is not None and work.working_hours:
            b.until("weekdays", deadline=LEAVES)
        for supply, spec in self.n.supplies.items():
            if spec.before == name and f"supply {supply}" in self.stopped:
                self._pass(f"{name} {supply}", f"supply {supply}")
        if step.kind == "collect" and "carriage" in self.stopped:
            self._pass(f"{name} carriage", "carriage", by="centre")
        if step.kind == "transport":
            b.seize(f"{name} lane", f"lane {name}", deadline=LEAVES)
        if ways := self.durations(name):
            b.delay(f"{name} work", ways, by="centre", deadline=LEAVES)
        else:
            b.delay(f"{name} work", self.duration(name), deadline=LEAVES)
        if step.kind == "transport":
            b.release(f"lane {name}")
        if step.kind == "administer":
            b.put("leaves", math.inf)
        self._results(name, step)
        if step.kind == "collect":
            b.stamp("collected")
            b.tally("referred_to_collected", "referred", since=True)
        if step.kind == "certify" and name == self._first("certify"):
            b.tally("collected_to_released", "collected", since=True)
        if step.kind == "administer":
            b.tally("collected_to_infused", "collected", since=True)
            b.tally("referred_to_infused", "referred", since=True)

    def _pass(self, name: str, gate: str, by: str | None = None) -> None:
        """Wait while a gate is closed; it holds nobody who has passed."""
        self.b.seize(name, gate, by=by, deadline=LEAVES)
        self.b.release(gate, by=by)

    def _first(self, kind: str) -> str | None:
        """The first step of a kind: a release that is confirmed later counts from the release."""
        return next((a for a in self.order if self._kind(a) == kind), None)

    def _results(self, name: str, step: Step) -> None:
        """Where each result leads; what no figure is given for does not happen."""
        ways, rest = [], None
        for result, entry in step.results.items():
            p = self.n.results.get(f"{name}={result}")
            if p is not None and p.value > 0 and entry.then is not None:
                ways.append((p.value, self._counted(name, result, entry.then)))
            elif entry.then is None:
                rest = "on"
            elif rest is None:
                rest = result
        repeated = self._ways_again(name, step)
        if repeated:
            b = self.b
            b.test("again", 0.5, f"{name} for the first time")
            b.branch(f"{name} result again", repeated)
            b.label(f"{name} for the first time")
        if ways:
            odds = "frailty" if step.kind == "manufacture" else None
            self.b.branch(f"{name} result", ways, odds=odds)
        if rest not in (None, "on"):
            then = step.results[str(rest)].then
            assert then is not None
            self.b.goto(self._route(then, f"{name} goes on", name))
        self.b.label(f"{name} goes on")

    def _ways_again(self, name: str, step: Step) -> list[tuple[float, str]]:
        """Results that only a second or later attempt can have."""
        ways = []
        for result, entry in step.results.items():
            p = self.n.results_again.get(f"{name}={result}")
            if p is not None and p.value > 0 and entry.then is not None:
                to = self._route(entry.then, f"{name} goes on", name)
                ways.append((p.value, to))
        return ways

    def _counted(self, name: str, result: str, route: Route) -> str:
        """A label from which a route is taken after the result has been counted."""
        mark = f"{name} was {result}"
        to = self._route(route, f"{name} goes on", name)
        self._later.append(("_mark", (mark, to)))
        return mark

    def _mark(self, mark: str, to: str) -> None:
        self.b.label(mark)
        self.b.delay(mark, Constant(0.0))
        self.b.goto(to)

    # ---- handoffs ------------------------------------------------------------------------------

    def _handoff(self, name: str) -> None:
        b, handoff = self.b, self.p.handoffs[name]
        shares = [c.share.value for c in self.centres]
        self.crossing[name] = sum(
            s for i, s in enumerate(shares) if self.differs(name, i)
        ) / sum(shares)  # fmt: skip
        work = self.n.work.get(name)
        b.label(f"{name} again")
        b.expose(
            f"{name} errors",
            [
                [(rate, f"{name}:{kind}") for kind, rate in self._rates(crosses).items()]
                for crosses in (self.differs(name, c) for c in range(len(self.centres)))
            ],
            by="centre",
            odds="odds",
            outside=("weekdays", 1 + self.system.interfaces.shift.value),
        )
        b.delay(f"{name} dwell", self.dwell(name), by="centre", deadline=LEAVES)
        if work is not None and work.working_hours:
            b.until("weekdays", deadline=LEAVES)
        refused = self.n.results.get(f"{name}=refused")
        if refused is not None and refused.value > 0 and handoff.on_refuse is not None:
            to = self._counted(name, "refused", handoff.on_refuse)
            b.branch(f"{name} refused", [(refused.value, to)])
        b.inspect(f"{name} acceptance", dict(self._finds(name)))
        b.label(f"{name} goes on")
        for kind in KINDS:
            self._later.append(("_found", (name, kind)))

    def _rates(self, crosses: bool) -> dict[str, float]:
        """Probability of each kind of error, by the habits of the system and of the pair."""
        if crosses in self._known_rates:
            return self._known_rates[crosses]
        h, m = self.n.habits, self.system.interfaces
        strange = m.unfamiliar.value * 0.5 ** (h.pair_cases.value / m.familiar_after.value)
        factor = (1 + strange) * (h.crossing.value if crosses else 1.0)
        rates = {}
        for kind in KINDS:
            k = m.kinds[kind]
            rates[kind] = k.rate.value * factor
            rates[kind] *= mixed(h.digital.value, k.effect.digital.value)
            rates[kind] *= mixed(h.structured.value, k.effect.structured.value)
        scale = 0.95 / max(0.95, sum(rates.values()))
        self._known_rates[crosses] = {kind: rate * scale for kind, rate in rates.items()}
        return self._known_rates[crosses]

    def _finds(self, name: str) -> Iterator[tuple[str, tuple[float, str | None]]]:
        """What the receiver finds: errors of this handoff, and of those before it."""
        digital = self.n.habits.digital.value
        for earlier in self.order[: self.order.index(name) + 1]:
            if earlier not in self.p.handoffs:
                continue
            for kind in KINDS:
                k = self.system.interfaces.kinds[kind]
                found = k.found_here if earlier == name else k.found_later
                missed = (1 - found.value) * mixed(digital, k.digital_finds.value)
                yield f"{earlier}:{kind}", (1 - missed, f"{name} found {kind}")

    def _found(self, name: str, kind: str) -> None:
        """What follows when an error is found at a handoff."""
        b, m = self.b, self.system.interfaces
        c = m.kinds[kind].consequences[self.phase[name]]  # type: ignore[index]
        back = f"{name} goes on"
        tag = f"{name} {kind}"
        ways = [(c.rework.value, f"{tag} rework")]
        if c.restart.value > 0 and self._restart is not None:
            ways.append((c.restart.value, self._route(self._restart, back, tag)))
        if c.out_of_spec.value > 0 and self._oos is not None:
            ways.append((c.out_of_spec.value, self._route(self._oos, back, tag)))
        if c.lost.value > 0:
            ways.append((c.lost.value, self._end_label(self._lost())))
        b.label(f"{name} found {kind}")
        b.branch(f"{tag} consequence", ways)
        hours = m.clarify_hours.value / 24
        b.delay(f"{tag} clarified", log_normal(hours, 0.8), deadline=LEAVES)
        b.goto(back)
        b.label(f"{tag} rework")
        b.delay(f"{tag} done again", log_normal(m.rework_days.value, 0.5), deadline=LEAVES)
        b.goto(f"{name} again")

    # ---- routes --------------------------------------------------------------------------------

    def _kind(self, name: str) -> str:
        return self.p.steps[name].kind if name in self.p.steps else "handoff"

    def _lost(self) -> str:
        """The outcome of a journey whose product is lost for good."""
        restart = self._restart
        if restart is None or restart.go is None:
            return list(self.p.outcomes)[-1]
        step = self.p.steps.get(restart.go) or self.p.handoffs[restart.go]
        return self.outcome_of(step.exhausted) if step.exhausted else list(self.p.outcomes)[-1]

    def outcome_of(self, route: Route) -> str:
        """The named end that a route, or the decision it leads to, can come to."""
        if route.end:
            return route.end
        if route.decide:
            for result in self.p.steps[route.decide].results.values():
                if result.then and result.then.end:
                    return result.then.end
        return list(self.p.outcomes)[-1]

    def _route(self, route: Route, back: str, who: str) -> str:
        """The label that a route leads to; `back` is where `resume` goes on."""
        if route.end:
            return self._end_label(route.end)
        if route.go:
            label = f"back to {route.go}"
            if label not in self._going:
                self._going.add(label)
                self._later.append(("_go", (route.go,)))
            return label
        if route.decide:
            returns = self._returns(route.decide)
            label = f"{who} {route.decide}" if returns else route.decide
            if label not in self._deciding:
                self._deciding.add(label)
                self._later.append(("_decide", (route.decide, label, back)))
            return label
        return back

    def _returns(self, decision: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a decision can resume: then each caller needs its own copy."""
        for result in self.p.steps[decision].results.values():
            if result.then is None or result.then.resume:
                return True
            further = result.then.decide
            if further and further not in seen and self._returns(further, seen | {decision}):
                return True
        return False

    def _decide(self, decision: str, label: str, back: str) -> None:
        step = self.p.steps[decision]
        self.b.label(label)
        self.b.delay(f"{label} decided", self.duration(decision), deadline=LEAVES)
        ways: list[tuple[float, str]] = []
        rest = back
        undecided = True
        for result, entry in step.results.items():
            to = self._route(entry.then, back, label) if entry.then else back
            p = self.n.results.get(f"{decision}={result}")
            if p is not None:
                ways.append((p.value, to))
            elif undecided:
                rest, undecided = to, False
        if ways:
            self.b.branch(f"{label} result", ways)
        self.b.goto(rest)

    def _go(self, name: str) -> None:
        """Back to an activity: give everything back, count the attempt, begin afresh."""
        b = self.b
        activity = self.p.steps.get(name) or self.p.handoffs[name]
        b.label(f"back to {name}")
        # Places held for activities that are all done again are given back.
        if any(self.order.index(s.begins) >= self.order.index(name) for s in self.n.pools.values()):
            b.free()
        b.put("again", 0.0)
        if activity.attempts is not None:
            b.add(f"tries of {name}", 1.0)
            to = self._route(activity.exhausted, name, f"{name} exhausted") if (
                activity.exhausted
            ) else self._end_label(self._lost())  # fmt: skip
            b.test(f"tries of {name}", float(activity.attempts), to)
        for later in self.order[self.order.index(name) + 1 :]:
            other = self.p.steps.get(later) or self.p.handoffs[later]
            if other.attempts is not None:
                b.put(f"tries of {later}", 0.0)
        b.goto(name)

    def _end_label(self, outcome: str) -> str:
        if outcome not in self._ended:
            self._ended.add(outcome)
            self._later.append(("_end_at", (outcome,)))
        return f"end {outcome}"

    def _end_at(self, outcome: str) -> None:
        self.b.label(f"end {outcome}")
        self._end(outcome)

    def _end(self, outcome: str) -> None:
        self.b.free()
        self.b.end(outcome)

    def _left(self) -> None:
        """The patient could wait no longer."""
        b, patients = self.b, self.n.patients
        hazards = {h: getattr(patients, h).value for h in INTERRUPTS}
        total = sum(hazards.values()) or 1.0
        b.label("left")
        b.free()
        b.delay(LEFT, Constant(0.0))  # so that a log says why the journey ended
        ways = []
        for hazard, interrupt in INTERRUPTS.items():
            entry = self.p.interrupts.get(interrupt)
            outcome = self.outcome_of(entry.then) if entry else list(self.p.outcomes)[-1]
            ways.append((hazards[hazard] / total, self._end_label(outcome)))
        b.branch("why they left", ways)
        b.goto(ways[-1][1])


def mixed(share: float, effect: float) -> float:
    """The mean multiplier when `effect` is in force for a share of cases."""
    return 1 - share + share * effect


def compile_system(system: System, disruptions: tuple[Disruption, ...] = ()) -> Compiled:
    """The kernel's model of a system, with what is closed when."""
    return Writer(system, disruptions).write()
