"""What is simulated is the protocol that is enforced, on the network as written."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from stafett.design.activities import order
from stafett.design.compile import KINDS, Disruption, compile_system
from stafett.design.experiment import Plan
from stafett.design.levers import LEVERS, demand, scaled, with_network
from stafett.design.measures import measures
from stafett.design.reading import System
from stafett.protocol.net import target
from stafett.simulation import ROWS, Horizon, Sums, simulate
from stafett.simulation.twin import Twin

SHORT = Plan(replications=1, years=1.0, warmup=0.5)


def run(system: System, seed: int = 3, *closed: Disruption) -> tuple[Sums, dict[str, int]]:
    """One replication and its outcomes by name."""
    c = compile_system(system, closed)
    s, _ = simulate(c.model, SHORT.horizon, seed)
    return s, {o: int(n) for o, n in zip(c.model.outcomes, s.ended, strict=True)}


def without_errors(system: System) -> System:
    """The same system, whose interfaces never err."""
    kinds = {
        k: msgspec.structs.replace(e, rate=scaled(e.rate, 0.0))
        for k, e in system.interfaces.kinds.items()
    }
    return System(
        system.network,
        system.protocol,
        msgspec.structs.replace(system.interfaces, kinds=kinds),
    )


def without_losses(system: System) -> System:
    """Nobody dies or leaves, nothing fails, is refused or goes wrong."""
    n = system.network
    patients = msgspec.structs.replace(
        n.patients,
        dies=scaled(n.patients.dies, 0.0),
        unfit=scaled(n.patients.unfit, 0.0),
        withdraws=scaled(n.patients.withdraws, 0.0),
    )
    calm = msgspec.structs.replace(n, patients=patients, results={}, results_again={})
    return without_errors(with_network(system, calm))


def test_activities_follow_what_they_come_after(four: dict[str, System]) -> None:
    """Every activity that is not on demand, once, each after its `after`."""
    p = four["sweden"].protocol
    names = order(p)
    activities = {**p.steps, **p.handoffs}
    assert sorted(names) == sorted(n for n, a in activities.items() if not a.on_demand)
    for i, name in enumerate(names):
        assert all(target(r) in names[:i] for r in activities[name].after), name


def test_no_journey_is_lost_in_any_system(four: dict[str, System]) -> None:
    """Referred = the sum of the named outcomes of the protocol, nobody left over."""
    for name, system in four.items():
        s, outcomes = run(system)
        assert s.open == 0, name
        assert sum(outcomes.values()) == s.arrivals.sum()
        assert set(outcomes) <= set(system.protocol.outcomes)
        assert outcomes["treated"] > outcomes["died"] > 0


def test_with_no_losses_everybody_is_treated_and_passes_every_activity(
    four: dict[str, System],
) -> None:
    """And each activity is done exactly once by each."""
    for system in four.values():
        calm = without_losses(system)
        c = compile_system(calm)
        s, _ = simulate(c.model, SHORT.horizon, 3)
        figures = measures(c, s)
        assert figures["treated_share"] == 100.0
        assert figures["right_first_time"] == 100.0
        for name in c.order:
            op = f"{name} errors" if name in calm.protocol.handoffs else f"{name} work"
            assert s.visits[c.op[op]] == s.arrivals.sum(), name


def test_the_prerequisites_of_the_protocol_hold_in_every_simulated_journey(
    four: dict[str, System],
) -> None:
    """No journey begins `before` ahead of what it requires, whatever was repeated."""
    system = four["sweden"]
    c = compile_system(system)
    _, log = simulate(c.model, Horizon(300.0), 4, log=True)
    assert log is not None
    done: dict[int, list[str]] = {}
    begun = ROWS.index("begin")
    checked = 0
    for entity, op, kind in zip(log.entity, log.op, log.kind, strict=True):
        if kind != begun:
            continue
        name = c.model.ops[op]
        activity, _, what = name.rpartition(" ")
        if what not in ("work", "dwell"):
            continue
        for rule in system.protocol.prerequisites:
            if rule.before == activity:
                assert {target(r) for r in rule.require} <= set(done[entity]), name
                checked += 1
        done.setdefault(entity, []).append(activity)
    assert checked > 100


def test_the_compiled_system_is_what_the_plain_twin_sees(four: dict[str, System]) -> None:
    """The whole of a country, row by row."""
    model = compile_system(four["sweden"]).model
    horizon = Horizon(150.0)
    _, log = simulate(model, horizon, 5, log=True)
    assert log is not None
    twin = Twin(model, horizon, 5).run()
    fast = zip(log.time, log.source, log.entity, log.lane, log.op, log.kind, log.value, strict=True)
    assert sorted(fast) == sorted(r for r in twin.log if r[0] <= 150.0)


def test_errors_are_made_at_the_rates_of_the_interface_model(four: dict[str, System]) -> None:
    """With all habits at nothing and one owner, a familiar pair: the bare rates."""
    system = four["uk"]
    n, m = system.network, system.interfaces
    zero = {f: scaled(getattr(n.habits, f), 0.0) for f in ("digital", "structured")}
    one = msgspec.structs.replace(n.habits.crossing, value=1.0)
    habits = msgspec.structs.replace(n.habits, crossing=one, **zero)
    still = msgspec.structs.replace(
        n.variability, operational=scaled(n.variability.operational, 0.0),
        institutional=scaled(n.variability.institutional, 0.0),
    )  # fmt: skip
    bare = msgspec.structs.replace(
        m,
        unfamiliar=scaled(m.unfamiliar, 0.0),
        workload=scaled(m.workload, 0.0),
        shift=scaled(m.shift, 0.0),
    )
    network = msgspec.structs.replace(n, habits=habits, variability=still)
    c = compile_system(System(network, system.protocol, bare))
    s, _ = simulate(c.model, Plan(1, 20.0, 0.5).horizon, 1)
    made = s.made.reshape(-1, 4).sum(axis=0)
    visits = sum(s.visits[c.op[f"{h} errors"]] for h in c.handoffs)
    for kind, count in zip(KINDS, made, strict=True):
        p = m.kinds[kind].rate.value
        z = (count - visits * p) / math.sqrt(visits * p * (1 - p))
        assert abs(z) < 3.5, (kind, z)


def test_every_error_is_found_or_kept_or_left_with_its_patient(four: dict[str, System]) -> None:
    """Made again while still there counts twice: made >= found + kept, nearly equal."""
    s, _ = run(four["sweden"])
    accounted = s.found.sum() + s.kept.sum()
    assert 0.9 * s.made.sum() <= accounted <= s.made.sum()


def test_each_random_effect_shows(four: dict[str, System]) -> None:
    """Without them, errors vary less between centres and weeks than with them."""
    system = four["us"]
    n = system.network

    def spread(sigma: float) -> float:
        v = msgspec.structs.replace(n.variability.institutional, value=sigma, high=2.0)
        w = msgspec.structs.replace(n.variability, institutional=v)
        c = compile_system(with_network(system, msgspec.structs.replace(n, variability=w)))
        totals = [
            simulate(c.model, SHORT.horizon, 1, r)[0].made.sum() for r in range(8)
        ]  # fmt: skip
        return float(np.std(totals) / np.mean(totals))

    assert spread(1.0) > 2 * spread(0.0)


def test_a_closed_plant_delays_and_a_closed_lane_delays(four: dict[str, System]) -> None:
    """Both cost patients; nothing is lost for good when they open again."""
    system = without_errors(four["sweden"])
    open_, before = run(system)
    for closed in (Disruption("line", 300.0, 120.0), Disruption("lane TRANSPORT_OUT", 300, 120)):
        s, after = run(system, 3, closed)
        assert s.arrivals.sum() == open_.arrivals.sum()
        assert after["treated"] < before["treated"], closed.what
        assert s.open == 0


@pytest.mark.parametrize("lever", LEVERS, ids=lambda x: x.name)
def test_no_effort_changes_nothing(four: dict[str, System], lever) -> None:
    """Effort 0 is the system as it is, to the bit."""
    one = compile_system(four["sweden"]).model
    other = compile_system(lever.apply(four["sweden"], 0.0)).model
    assert one.digest == other.digest


def test_more_patients_for_the_same_places_wait_longer(four: dict[str, System]) -> None:
    """Twice the demand: a smaller share is treated."""
    once, _ = run(four["sweden"])
    twice, _ = run(demand(four["sweden"], 2.0))
    assert twice.arrivals.sum() > 1.7 * once.arrivals.sum()
    assert twice.ended[0] / twice.arrivals.sum() < once.ended[0] / once.arrivals.sum()
