"""The ranges of assumptions: drawn, swept, ranked."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from stafett.cli.main import main
from stafett.design.assumptions import at, drawn, factors, ranged, sampled
from stafett.design.compare import Conclusion, compare, conclusions
from stafett.design.estimate import Estimate, central, without_luck
from stafett.design.experiment import Design, Plan, run
from stafett.design.levers import LEVERS
from stafett.design.network import Number
from stafett.design.reading import System
from stafett.design.sensitivity import screen, shares


def test_a_figure_is_drawn_within_its_range_with_its_value_in_the_middle() -> None:
    """Half of the draws below the value; the ends are the ends."""
    n = Number(value=2.0, low=1.0, high=6.0, assumption=True)
    assert (drawn(n, 0.0), drawn(n, 0.5), drawn(n, 1.0)) == (1.0, 2.0, 6.0)
    e = Number(value=2.0, low=1.0, high=6.0, source="fit", interval=True)
    assert drawn(e, 0.025) == pytest.approx(1.0, rel=1e-6)
    assert drawn(e, 0.975) == pytest.approx(6.0, rel=1e-6)
    assert drawn(e, 0.999) > 6.0


def test_what_is_drawn_is_a_possible_system(four: dict[str, System]) -> None:
    """Shares add up to one, places are whole, results of one activity at most one; 20 draws."""
    for system in four.values():
        for r in range(20):
            s = sampled(system, 3, r)
            assert sum(c.share.value for c in s.network.centres.values()) == pytest.approx(1)
            for c in s.network.centres.values():
                assert all(p.value >= 1 and p.value == round(p.value) for p in c.places.values())
            sums: dict[str, float] = {}
            for key, p in s.network.results.items():
                sums[key.partition("=")[0]] = sums.get(key.partition("=")[0], 0) + p.value
            assert max(sums.values()) <= 1 + 1e-9


def test_draws_are_the_same_twice_and_shared_where_the_unknown_is(four: dict[str, System]) -> None:
    """The interface model is one unknown for all systems; a network's own figures are its own."""
    a, b = sampled(four["sweden"], 1, 4), sampled(four["us"], 1, 4)
    assert a == sampled(four["sweden"], 1, 4)
    assert a.interfaces == b.interfaces
    assert a.interfaces != sampled(four["sweden"], 1, 5).interfaces
    quantile = [s.network.patients.unfit.value for s in (a, b)]
    assert quantile[0] != quantile[1]


def test_a_lever_is_pulled_on_what_was_drawn(four: dict[str, System]) -> None:
    """Fewer errors by a fifth: the drawn rate times e^-0.25, not the file's."""
    lever = next(x for x in LEVERS if x.name == "errors made at interfaces")
    design = Design(four["uk"], change=lever.with_effort(0.25))
    plan = Plan(2, 0.5, 0.5, assumptions="sampled")
    got = design.compiled(plan, 1).system.interfaces.kinds["timing"].rate.value
    want = sampled(four["uk"], plan.seed, 1).interfaces.kinds["timing"].rate.value
    assert got == pytest.approx(want * math.exp(-0.25))


def test_drawing_widens_what_is_not_known(four: dict[str, System]) -> None:
    """The range of draws is several times that of the luck alone."""
    d = {"spain": Design(four["spain"])}
    fixed = central(run(d, Plan(16, 1.0, 0.75)).values("spain", "treated_share"))
    wide = run(d, Plan(16, 1.0, 0.75, assumptions="sampled")).values("spain", "treated_share")
    assert central(wide).high - central(wide).low > 1.5 * (fixed.high - fixed.low)


def test_luck_is_taken_out_of_a_range_of_draws() -> None:
    """All luck: what is left is the error of the mean. No luck: the range stays."""
    rng = np.random.default_rng(2)
    only_luck = central(list(rng.normal(1.0, 2.0, 400)))
    error = 2.0 * 1.966 / math.sqrt(400)
    left = without_luck(Estimate(1, 1 - error, 1 + error), only_luck, 400)
    assert left.high - left.low < 0.5 * (only_luck.high - only_luck.low)
    sure = without_luck(Estimate(1, 0.999, 1.001), only_luck, 400)
    assert sure.high == pytest.approx(only_luck.high, abs=0.05)


def test_conclusions_that_hang_on_an_assumption_are_said_not_to_survive(
    four: dict[str, System],
) -> None:
    """Spain's shorter way from vein to vein survives; not every gain of a lever does."""
    systems = {n: four[n] for n in ("sweden", "spain")}
    plan = Plan(8, 0.5, 0.5, 3)
    one = compare(systems, plan)
    two = compare(systems, Plan(8, 0.5, 0.5, 3, "sampled"))
    found: list[Conclusion] = conclusions(one, two)
    by = {x.what: x for x in found if x.system == "spain"}
    assert by["against the first: collected_to_infused"].survives
    assert any(not x.survives for x in found)
    assert all(x.fixed.clear for x in found)
    assert 0 < two.pressure["spain"].pressure_share <= 1


def test_screening_and_shares_find_what_a_known_function_hides() -> None:
    """Ishigami: x3 does nothing alone and much with x1; the dummy nothing at all."""
    names = ["x1", "x2", "x3", "dummy"]

    def ishigami(u: np.ndarray) -> np.ndarray:
        x = (2 * u - 1) * math.pi
        return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])

    ranked = screen(ishigami, names, 32, 1)
    assert ranked[-1].factor == "dummy" and ranked[-1].mu_star == 0
    found = {s.factor: s for s in shares(ishigami, names, 1024, 1)}
    assert found["x1"].first == pytest.approx(0.31, abs=0.06)
    assert found["x2"].first == pytest.approx(0.44, abs=0.06)
    assert found["x3"].first == pytest.approx(0.0, abs=0.05)
    assert found["x3"].total == pytest.approx(0.24, abs=0.06)
    assert abs(found["dummy"].total) < 0.01


def test_the_middle_of_every_range_is_the_system_itself(four: dict[str, System]) -> None:
    """At quantile one half nothing changes but the rounding of shares; every factor is reached."""
    s = four["spain"]
    middle = at(s, dict.fromkeys(factors(s), 0.5))
    for path, n in ranged(s).items():
        if path[0] == "network" and path[-1] != "share":
            part = middle.network
            for key in path[1:]:
                part = part[key] if isinstance(part, dict) else getattr(part, key)
            assert part.value == pytest.approx(n.value), path
    assert "centres.places.bed" in factors(s)


def test_the_command_ranks_the_figures_of_a_network() -> None:
    """JSON lists every factor; a wrong measure or number of points is a sentence."""
    args = ["design", "sensitivity", "sweden-allogeneic", "--replications", "1", "--years", "1"]
    few = [*args, "--trajectories", "2", "--first", "2", "--points", "8"]
    found = CliRunner().invoke(main, [*few, "--json"])
    assert found.exit_code == 0, found.output
    report = json.loads(found.output)
    assert len(report["screened"]) > 80 and len(report["shares"]) == 2
    sizes = [s["mu_star"] for s in report["screened"]]
    assert sizes == sorted(sizes, reverse=True)
    assert CliRunner().invoke(main, [*few, "--measure", "joy"]).exit_code == 2
    assert CliRunner().invoke(main, [*args, "--points", "12"]).exit_code == 2
