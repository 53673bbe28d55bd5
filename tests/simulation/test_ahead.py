"""Draws made ahead of time for eight entities are those that are made one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stafett.simulation import (
    Builder,
    Choice,
    Constant,
    Distribution,
    Empirical,
    Erlang,
    Exponential,
    Horizon,
    Lognormal,
    Model,
    Rates,
    Triangular,
    Uniform,
    Weibull,
    simulate,
)
from stafett.simulation.ahead import make
from stafett.simulation.draws import draw
from stafett.simulation.state import LINES, NEIGHBOURS, drawing_ahead
from stafett.simulation.twin import Twin

U = np.uint64


def one_step(d: Distribution) -> Model:
    """Everybody takes as long as `d` says."""
    b = Builder()
    b.label("in")
    b.delay("step", d)
    b.end("out")
    b.source("all", Constant(1.0), "in")
    return b.build()


@pytest.mark.parametrize(
    "d",
    [
        Exponential(10.0, 0.5),
        Uniform(1.0, 3.0),
        Triangular(1.0, 1.5, 2.0),
        Triangular(1.0, 1.0, 2.0),
        Lognormal(9.0, 0.2),
        Lognormal(1.0, 200.0),  # beyond what a float holds, on both sides
        Weibull(1.5, 40.0),
        Empirical((0.0, 1.0, 10.0)),
        Choice((1, 0, 3)),
    ],
    ids=str,
)
def test_eight_at_once_are_the_same_to_the_last_bit(d: Distribution) -> None:
    """For 8,000 entities, so that the normal's middle and tails both occur among eight."""
    T = one_step(d).tables
    line, spare = np.zeros(NEIGHBOURS), np.zeros(NEIGHBOURS)
    k0, k1, step, tag = U(11), U(3), T.stream[0], U(5 << 16)
    for first in range(0, 8000, NEIGHBOURS):
        make(line, spare, NEIGHBOURS, T.dists, T.points, 0, k0, k1, U(first), step, tag)
        one_by_one = [
            draw(T.dists, T.points, 0, k0, k1, U(first + i), U(0), step, tag)
            for i in range(NEIGHBOURS)
        ]
        assert line.tolist() == one_by_one


def test_far_out_in_the_tail_too() -> None:
    """A uniform of 2^-52 and its like occur once in 10^11 draws: here in place of a key's."""
    from numba import njit

    from stafett.simulation.ahead import normals
    from stafett.simulation.elementary import normal_quantile

    @njit
    def both(u, spare, one):  # type: ignore[no-untyped-def]
        normals(u, spare, len(u))
        for i in range(len(u)):
            one[i] = normal_quantile(u[i])

    u = np.array([2.0**-52, 1e-12, 0.07, 0.075, 0.5, 0.925, 1 - 2.0**-50, 1 - 2.0**-53])
    spare, one = np.zeros(8), np.zeros(8)
    both(u, spare, one)
    assert spare.tolist() == one.tolist()
    assert spare[0] < -8 and spare[7] > 8


def test_only_what_one_uniform_makes_is_made_ahead() -> None:
    """Not a constant, not Erlang's several, not a block of which an attribute chooses."""
    b = Builder()
    b.attribute("site")
    b.label("in")
    b.delay("fixed", Constant(1.0))
    b.delay("several", Erlang(2, 3.0))
    b.delay("by site", [Exponential(1.0), Exponential(2.0)], by="site")
    b.branch("which?", [(0.5, "in")])
    b.delay("one", Exponential(1.0))
    b.draw("luck", "site", Uniform(0.0, 1.0))
    b.end("out")
    b.source("even", Constant(1.0), "in")
    b.source("random", Exponential(1.0), "in")
    b.source("seasonal", Rates(((0.0, 1.0),)), "in")
    m = b.build()
    lines, _ = drawing_ahead(m.tables)
    steps = [*m.ops, *m.sources]
    ahead = [name for name, k in zip(steps, lines, strict=True) if k >= 0]
    assert ahead == ["one", "luck", "random"]


def test_neighbours_who_are_far_apart_draw_the_same() -> None:
    """More are under way than there are lines, from two sources, and some draw again: the twin."""
    b = Builder()
    b.attribute("came")
    b.label("in")
    b.stamp("came")
    b.delay("apart", Exponential(300.0))
    b.label("again")
    b.delay("work", Lognormal(9.0, 1.0))
    b.branch("again?", [(0.3, "again")])
    b.tally("time", "came", since=True)
    b.end("out")
    b.source("many", Exponential(0.5), "in")
    b.source("few", Exponential(3.0), "again")
    m = b.build()
    horizon = Horizon(math.inf, arrivals_until=700.0)
    sums, log = simulate(m, horizon, 4, log=True)
    assert log is not None
    assert sums.system / sums.span > LINES * NEIGHBOURS
    twin = Twin(m, horizon, 4).run()
    fast = zip(log.time, log.source, log.entity, log.lane, log.op, log.kind, log.value, strict=True)
    assert sorted(fast) == sorted(twin.log)
