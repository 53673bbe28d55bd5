"""The solver against answers that are known in closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from incentives_closed import Margins, Newsvendor, Team, WeakestLink, oring_failure
from stafett.design.incentives.contract import Contract, terms
from stafett.design.incentives.equilibrium import Settled, best, equilibria, residual
from stafett.design.incentives.game import Actor, Game, Interface, lost
from stafett.design.incentives.workbench import assess, bounds


@pytest.mark.parametrize("n", [2, 3, 7])
def test_a_linear_team_keeps_2n_minus_1_of_n_squared(n: int) -> None:
    """Equal shares of a sum: welfare in equilibrium over the best is (2n-1)/n^2."""
    team = Team(n)
    (point,) = equilibria(team)
    assert point.settled
    share = team.joint(point.efforts)[0] / team.joint(best(team))[0]
    assert share == pytest.approx((2 * n - 1) / n**2, rel=1e-6)


def oring(n: int, value: float, cost: float) -> Game:
    """n own steps of hazard exp(-x), linear cost; a payer without effort."""
    actors = (*(Actor(f"a{i}", cost, power=1.0) for i in range(n)), Actor("payer", 1.0))
    steps = tuple(Interface(f"s{i}", f"a{i}", None, 1.0, 1.0, form="hazard") for i in range(n))
    return Game(value, actors, steps, "payer")


def test_o_ring_equilibrium_is_lambert_w_until_it_vanishes() -> None:
    """Productive up to n = sqrt(V/(e c)), with u = -W(-c n^2/V); beyond, nobody does anything."""
    value, cost = 100.0, 1.0
    most = math.sqrt(value / (math.e * cost))  # 6.07
    for n in (3, 6, 7):
        game = oring(n, value, cost)
        shares = Contract("equal", shares={f"a{i}": 1 / n for i in range(n)})
        play = Settled(game, terms(shares, game))
        found = [p for p in equilibria(play) if p.settled]
        effortful = [p for p in found if p.efforts.min() > 0]
        if n < most:
            (p,) = effortful
            u = oring_failure(n, value, cost)
            assert -math.log(game.success(p.efforts)) == pytest.approx(u, rel=1e-4)
        else:
            assert math.isnan(oring_failure(n, value, cost))
            assert not effortful and any(p.efforts.max() == 0 for p in found)


def test_the_weakest_link_has_a_continuum_of_equilibria() -> None:
    """Any common level is one, an uneven one is none; several are listed and the best is first."""
    link = WeakestLink(3)
    for level in (0.0, 0.3, 1.0):
        assert residual(link, np.full(3, level)) < 1e-6
    assert residual(link, np.array([0.2, 0.2, 0.5])) > 0.01
    found = equilibria(link)
    assert len(found) > 1 and all(p.settled for p in found)
    worth = [link.joint(p.efforts)[0] for p in found]
    assert worth == sorted(worth, reverse=True)


def test_two_margins_leave_three_quarters_of_the_profit() -> None:
    """Double marginalisation: 3/16 of 1/4; one owner would make all of it."""
    (point,) = equilibria(Margins())
    both = Margins().joint(point.efforts)[0]
    assert both / Margins().joint(best(Margins()))[0] == pytest.approx(0.75, rel=1e-6)


@pytest.mark.parametrize("buyback", [2.0, 5.0, 8.0])
def test_buying_back_what_is_left_over_makes_the_seller_order_what_is_best(buyback: float) -> None:
    """A price alone: too little is ordered, (p-w)/p for (p-c)/p. With w = b + c (p-b)/p it is
    best for both together, and b only says how the two share it."""
    alone = Newsvendor()
    (few,) = equilibria(alone)
    top = best(alone)
    assert few.efforts[0] == pytest.approx(0.3, abs=1e-5)
    assert top[0] == pytest.approx(0.6, abs=1e-5)
    wholesale = buyback + alone.cost * (alone.price - buyback) / alone.price
    taken_back = Newsvendor(wholesale=wholesale, buyback=buyback)
    (point,) = equilibria(taken_back)
    assert point.efforts[0] == pytest.approx(0.6, abs=1e-5)
    whole, seller = taken_back.joint(point.efforts)[0], taken_back.own(0, point.efforts)[0]
    assert seller / whole == pytest.approx(1 - buyback / alone.price, rel=1e-5)


def chain(crowding: float = 0.0) -> Game:
    """Giver and receiver with a step each and a handoff between them, and a payer."""
    actors = (Actor("g", 10, 2, crowding), Actor("r", 10, 2, crowding), Actor("payer", 1.0))
    faces = (
        Interface("make", "g", None, 0.3),
        Interface("pass", "g", "r", 0.3, rho=0.5),
        Interface("use", "r", None, 0.3),
    )
    return Game(100.0, actors, faces, "payer")


def test_paying_own_steps_crowds_out_the_handoff() -> None:
    """Multitask (Holmstrom, Milgrom 1991): service levels give no handoff effort at all.

    With substitution the effort at a handoff also falls as the pay of the step rises.
    """
    game = chain(0.5)
    ends = bounds(game)
    level = Contract("level", service={"g": 60, "r": 60})
    state = assess(level, game, ends).state
    assert state.efforts[1] == state.efforts[2] == 0 and state.efforts[0] > 0.1
    pooled = [
        assess(Contract("both", shares={"g": 0.4, "r": 0.4}, service={"g": w, "r": w}), game, ends)
        for w in (0.0, 40.0)
    ]
    assert pooled[1].state.efforts[1] < pooled[0].state.efforts[1]


def test_a_full_bond_is_the_joint_best_and_costs_nobody_outside() -> None:
    """The bond's first-order condition is society's; pay adds up to the value earned."""
    game = chain()
    ends = bounds(game)
    bonded = assess(Contract("bond", shares={"g": 0.3, "r": 0.3}, bond=1.0), game, ends)
    pool = assess(Contract("pool", shares={"g": 0.3, "r": 0.3}), game, ends)
    assert bonded.state.fragmentation == pytest.approx(0, abs=1e-6)
    assert bonded.state.imbalance == pytest.approx(0, abs=1e-9)
    assert pool.state.fragmentation > 0.2


def test_a_weighted_potential_and_best_responses_find_the_same() -> None:
    """A pool solved by its potential equals the same pool solved without it."""
    game = chain()
    play = Settled(game, terms(Contract("pool", shares={"g": 0.5, "r": 0.3}), game))

    class Blind(Settled):
        def potential(self, x):  # type: ignore[no-untyped-def]
            return None

    (a,), (b,) = equilibria(play), equilibria(Blind(game, play.terms))
    assert np.allclose(a.efforts, b.efforts, atol=1e-4)


def test_slopes_are_those_of_differences() -> None:
    """Every contract's own slopes, and the joint ones, against finite differences (seed 5)."""
    rng = np.random.default_rng(5)
    game = chain(0.3)
    x0 = bounds(game).best
    for contract in (
        Contract("pool", shares={"g": 0.5, "r": 0.2}),
        Contract("bond", shares={"g": 0.5, "r": 0.2}, bond=0.6),
        Contract("fees", fees={"g": {"pass": 30}}, penalties={"pass": 9}, bears={"r": 20}),
        Contract("boss", integrator="g", subrate=0.3),
    ):
        play = Settled(game, terms(contract, game, x0))
        x = rng.uniform(0.1, 2, len(x0))
        for f, places in [
            (play.joint, np.arange(len(x))),
            *[(partial(play.own, i), e) for i, e in enumerate(game.efforts_of)],
        ]:
            up = f(x)[1]
            for slope, e in zip(up, places, strict=True):
                step = np.zeros(len(x))
                step[e] = 1e-6
                seen = (f(x + step)[0] - f(x - step)[0]) / 2e-6
                assert slope == pytest.approx(seen, rel=1e-4, abs=1e-6)


def test_loss_is_one_less_the_product() -> None:
    """Ten interfaces of 99 % lose 9.6 %."""
    assert lost([0.99] * 10) == pytest.approx(1 - 0.99**10)


def test_who_gains_by_a_change_adds_up_to_the_welfare_it_makes() -> None:
    """Gains of all actors sum to the change of welfare: no money is made by paper."""
    from stafett.design.incentives.workbench import change

    game = chain()
    ends = bounds(game)
    a = assess(Contract("a", service={"g": 20, "r": 20}), game, ends)
    b = assess(Contract("b", shares={"g": 0.3, "r": 0.3}, bond=0.5), game, ends)
    found = change(a, b)
    assert sum(found.gains.values()) == pytest.approx(found.total) and found.total > 0


def test_a_richer_bond_closes_more_of_the_gap() -> None:
    """The share lost falls with the rate, to none at the whole."""
    from stafett.design.incentives.workbench import rates

    game = chain()
    contract = Contract("bond", shares={"g": 0.2, "r": 0.2}, bond=1.0)
    lost_ = [r.fragmentation for r in rates(contract, game, bounds(game), 4)]
    assert lost_ == sorted(lost_, reverse=True) and lost_[-1] == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="no rate"):
        replace(contract, bond=0.0, shares={}).at_rate(0.5)


def test_bearing_the_failures_is_a_share_of_the_value_and_a_budget_moves_nobody() -> None:
    """Capitation: what a failure costs, a success earns; what is fixed is no reason to act."""
    game = chain()
    ends = bounds(game)
    share = assess(Contract("pool", shares={"g": 0.4}), game, ends).state
    bears = assess(Contract("capitation", fixed={"g": 350}, bears={"g": 40}), game, ends).state
    assert bears.efforts == pytest.approx(share.efforts, abs=1e-6)
    assert bears.efforts[0] > 0.1 and bears.efforts[2] == 0  # g's own step; r has no reason


def test_an_integrator_must_pass_some_of_the_value_on_and_not_all() -> None:
    """Passing on nothing, it works alone; all of it, its own reason to work at the handoff goes."""
    game = chain()
    ends = bounds(game)
    none, half, whole = (
        assess(Contract("boss", integrator="g", subrate=rate), game, ends).state
        for rate in (0.0, 0.5, 1.0)
    )
    assert none.efforts[0] > 0.1 and none.efforts[2] == none.efforts[3] == 0
    assert whole.efforts[1] == 0 < half.efforts[1]
    assert half.fragmentation < min(none.fragmentation, whole.fragmentation)
