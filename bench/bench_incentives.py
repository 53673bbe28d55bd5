"""Equilibria of six actors and ten interfaces, exact Shapley of 100,000 journeys, capital maps.

Run: OPENBLAS_NUM_THREADS=1 python bench/bench_incentives.py [--maps]

CPU seconds, in one process. A peer where one fits: `nashpy` (if it is installed, in the bench's own
environment) on the two-player game of giver and receiver at one handoff, efforts on a grid; it
lists equilibria of a matrix, not of a chain, so only that size can be compared.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from stafett.design.capital.map import captures, gains, spots
from stafett.design.capital.reading import load as load_capital
from stafett.design.experiment import Plan
from stafett.design.incentives.contract import Contract, terms
from stafett.design.incentives.equilibrium import Settled, equilibria
from stafett.design.incentives.game import Actor, Game, Interface
from stafett.design.incentives.owned import ownerships
from stafett.design.incentives.reading import load
from stafett.design.incentives.shapley import exact, lost_by, shares_of_journeys
from stafett.design.incentives.workbench import assess, bounds
from stafett.design.reading import load as load_system

SYSTEMS = ("sweden", "spain", "us", "uk")


def timed(label: str, work, times: int = 1):  # type: ignore[no-untyped-def]
    """Run, print CPU seconds, hand back the result."""
    begin, wall = time.process_time(), time.perf_counter()
    for _ in range(times):
        found = work()
    cpu, wall = (time.process_time() - begin) / times, (time.perf_counter() - wall) / times
    print(f"{label:58s} {cpu:9.4f} s CPU {wall:9.4f} s wall")
    return found


def chain() -> None:
    """The built-in chain, each contract."""
    table = load()
    ends = timed("best joint outcome, 6 actors x 10 interfaces", lambda: bounds(table.game))
    for name, c in table.contracts.items():
        f = timed(f"  equilibria under {name}", lambda c=c: assess(c, table.game, ends))
        assert f.state.settled, name


def pair() -> None:
    """Giver and receiver at one handoff: ours on the continuum, nashpy on a grid."""
    actors = (Actor("g", 10), Actor("r", 10), Actor("payer", 1))
    game = Game(100.0, actors, (Interface("k", "g", "r", 0.3, rho=0.5),), "payer")
    play = Settled(game, terms(Contract("pool", shares={"g": 0.4, "r": 0.4}), game))
    ours = timed("one handoff, continuum", lambda: equilibria(play))
    try:
        import nashpy
    except ImportError:
        print("nashpy is not installed here: no peer was run")
        return
    for size in (6, 12):
        grid = np.linspace(0, 2.0, size)
        tables = [
            np.array([[play.own(i, np.array([x, y]))[0] for y in grid] for x in grid])
            for i in (0, 1)
        ]
        peer = nashpy.Game(*tables)
        found = timed(f"one handoff, nashpy vertex enumeration, {size} x {size}",
                      lambda peer=peer: list(peer.vertex_enumeration()))  # fmt: skip
        near = min(
            max(abs(float(a @ grid) - p.efforts[0]), abs(float(b @ grid) - p.efforts[1]))
            for a, b in found for p in ours
        )  # fmt: skip
        print(f"  nearest of nashpy's {len(found)} to ours: {near:.3f} (grid {grid[1]:.3f})")


def shapley() -> None:
    """12 interfaces, 100,000 journeys, seed 1."""
    failed = np.random.default_rng(1).random((100_000, 12)) < np.linspace(0.01, 0.15, 12)
    by_all = timed("exact Shapley, 12 interfaces, 100,000 journeys (4,096 coalitions)",
                   lambda: exact(lost_by(failed)))  # fmt: skip
    closed = timed("  the same by its closed form", lambda: shares_of_journeys(failed))
    assert np.allclose(by_all, closed)


def maps() -> None:
    """Four systems, eight categories, assumptions drawn, 8 replications of a year, two threads."""
    catalogue, plan = load_capital(), Plan(8, 1.0, seed=1, assumptions="sampled")

    def work() -> int:
        systems, table = {s: load_system(s) for s in SYSTEMS}, load()
        found = gains(systems, catalogue, plan, workers=2)
        captured = {
            n: captures(catalogue, table, "today", draws=8, ownership=ownerships(s, table.spec))
            for n, s in systems.items()
        }
        return len(spots(found, captured, catalogue))

    assert timed("capital maps of four systems with intervals", work) == 32


if __name__ == "__main__":
    chain()
    pair()
    shapley()
    if "--maps" in sys.argv:
        maps()
