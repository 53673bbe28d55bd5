"""What moves the rate of errors at an interface, and by how much: each alone, all else at nothing.

The system is the United Kingdom with no random effects, paper only, one owner's rates, familiar
pairs, and neither workload nor shift; then one of the five is put back.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from stafett.design.compile import KINDS, OUTSIDE, WEEKDAYS, compile_system
from stafett.design.levers import scaled, set_to, with_network
from stafett.design.network import Interfaces
from stafett.design.reading import System
from stafett.simulation import ROWS, Horizon, simulate

LONG = Horizon(4000.0)


@pytest.fixture(scope="module")
def bare(four: dict[str, System]) -> System:
    """Errors come at the bare rates of the interface model, whoever hands over what and when."""
    n, m = four["uk"].network, four["uk"].interfaces
    none = {f: scaled(getattr(n.habits, f), 0.0) for f in ("digital", "structured")}
    habits = msgspec.structs.replace(n.habits, crossing=set_to(n.habits.crossing, 1.0), **none)
    still = {
        f: scaled(getattr(n.variability, f), 0.0)
        for f in ("biological", "operational", "institutional")
    }
    n = msgspec.structs.replace(
        n, habits=habits, variability=msgspec.structs.replace(n.variability, **still)
    )
    off = {f: scaled(getattr(m, f), 0.0) for f in ("unfamiliar", "workload", "shift")}
    return System(n, four["uk"].protocol, msgspec.structs.replace(m, **off))


def with_habit(system: System, name: str, value: float) -> System:
    """The system with one habit of its interfaces at a value."""
    n = system.network
    habit = set_to(getattr(n.habits, name), value)
    return with_network(
        system,
        msgspec.structs.replace(n, habits=msgspec.structs.replace(n.habits, **{name: habit})),
    )


def with_figure(system: System, name: str, value: float) -> System:
    """The system with one figure of the interface model at a value."""
    m: Interfaces = msgspec.structs.replace(
        system.interfaces, **{name: set_to(getattr(system.interfaces, name), value)}
    )
    return System(system.network, system.protocol, m)


def with_places(system: System, factor: float) -> System:
    """The system with that many times the places everywhere."""
    n = system.network
    pools = {
        k: msgspec.structs.replace(p, places=p.places and scaled(p.places, factor))
        for k, p in n.pools.items()
    }
    centres = {
        k: msgspec.structs.replace(
            c, places={w: set_to(p, max(1.0, p.value * factor)) for w, p in c.places.items()}
        )
        for k, c in n.centres.items()
    }
    return with_network(system, msgspec.structs.replace(n, pools=pools, centres=centres))


def counted(system: System) -> tuple[np.ndarray, int]:
    """Errors made, by kind, and handoffs."""
    c = compile_system(system)
    s, _ = simulate(c.model, LONG, 1)
    visits = sum(int(s.visits[c.op[f"{h} errors"]]) for h in c.handoffs)
    return s.made.reshape(-1, len(KINDS)).sum(axis=0), visits


def rates_of(system: System) -> np.ndarray:
    """The rates as written, by kind."""
    return np.array([system.interfaces.kinds[k].rate.value for k in KINDS])


def tilted(rates: np.ndarray, odds: float) -> np.ndarray:
    """The rates when the odds of any error are multiplied."""
    p = rates.sum()
    return np.asarray(rates * odds / (1 - p + odds * p))


def agrees(count: float, visits: float, p: float) -> bool:
    """Whether a count is what a probability gives, within 3.5 standard deviations."""
    return abs(count - visits * p) < 3.5 * math.sqrt(visits * p * (1 - p))


@pytest.mark.parametrize(("halvings", "strangeness"), [(0, 1.0), (1, 0.5), (60, 0.0)])
def test_strangers_err_more_and_each_halving_of_strangeness_halves_it(
    bare: System, halvings: int, strangeness: float
) -> None:
    """Unfamiliarity of 0.6: 1.6 times the errors, 1.3 after `familiar_after` cases, then 1."""
    after = bare.interfaces.familiar_after.value
    system = with_habit(with_figure(bare, "unfamiliar", 0.6), "pair_cases", halvings * after)
    made, visits = counted(system)
    for kind, count, rate in zip(KINDS, made, rates_of(bare), strict=True):
        assert agrees(count, visits, rate * (1 + 0.6 * strangeness)), kind


@pytest.mark.parametrize("habit", ["structured", "digital"])
def test_a_habit_multiplies_the_rate_of_each_kind_by_its_effect(bare: System, habit: str) -> None:
    """All handoffs standardised, or all electronic: fewer errors, by the effect that is stated."""
    made, visits = counted(with_habit(bare, habit, 1.0))
    for kind, count, rate in zip(KINDS, made, rates_of(bare), strict=True):
        effect = getattr(bare.interfaces.kinds[kind].effect, habit).value
        assert effect <= 1
        assert agrees(count, visits, rate * effect), kind


def test_workload_raises_the_odds_of_an_error(bare: System) -> None:
    """The rates are those at 80 % load: odds of 1 / (1 + 0.8 w) when idle, above 1 when crowded."""
    loaded = with_figure(bare, "workload", 1.0)
    made, visits = counted(with_places(loaded, 1000.0))
    for kind, count, p in zip(KINDS, made, tilted(rates_of(bare), 1 / 1.8), strict=True):
        assert agrees(count, visits, p), kind
    crowded, handoffs = counted(with_places(loaded, 0.7))
    p = rates_of(bare).sum()
    assert crowded.sum() > handoffs * p + 3.5 * math.sqrt(handoffs * p * (1 - p))


def test_at_night_and_at_the_weekend_errors_are_more_likely(bare: System) -> None:
    """A shift of 1 doubles the odds outside weekdays 8 to 17; the week as a whole is as written."""
    c = compile_system(with_figure(bare, "shift", 1.0))
    _, log = simulate(c.model, LONG, 1, log=True)
    assert log is not None
    day = log.time % WEEKDAYS.period
    inside = np.zeros(len(day), dtype=bool)
    for opens, closes in WEEKDAYS.open:
        inside |= (day >= opens) & (day < closes)
    dwells = np.isin(log.op, [c.op[f"{h} dwell"] for h in c.handoffs])
    handed = dwells & (log.kind == ROWS.index("begin"))
    fault = log.kind == ROWS.index("fault")
    by_day, by_night = (
        tilted(rates_of(bare), odds).sum() for odds in (1 / (1 + OUTSIDE), 2 / (1 + OUTSIDE))
    )
    for when, p in ((inside, by_day), (~inside, by_night)):
        assert (handed & when).sum() > 5000
        assert agrees((fault & when).sum(), (handed & when).sum(), p)
    assert OUTSIDE * by_night + (1 - OUTSIDE) * by_day == pytest.approx(
        rates_of(bare).sum(), rel=0.03
    )
