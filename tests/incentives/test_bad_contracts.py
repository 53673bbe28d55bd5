"""What cannot be settled is refused with its place; what is doubtful is said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from incentives_closed import Team, Vector
from stafett.design.incentives.contract import Contract, terms
from stafett.design.incentives.equilibrium import equilibria
from stafett.design.incentives.game import Actor, Game, Interface
from stafett.design.incentives.reading import load
from stafett.design.incentives.workbench import assess, bounds
from stafett.protocol.read import ReadError

GAME = (files("stafett") / "catalogue" / "incentives" / "car-t.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("pattern", "put", "words"),
    [
        (r"manufacturer: \{value: 0.4, low: 0.3, high: 0.5", "manufacturer: {value: 0.9, low: 0.3, "
         "high: 0.9", "more than is earned"),
        (r"  courier: \{title: .*\n", r"\g<0>  lawyer: {title: L, cost: {value: 1, low: 1, high: 1,"
         " assumption: true}}\n", "lawyer touches no interface"),
        (r'title: "Courier", ', 'title: "Courier", power: 0.5, ', "not convex"),
        (r"fees:\n      manufacturer: \{release: \{value: 346, ", "fees:\n      manufacturer: "
         "{release: {", "value"),
        (r"release: \{value: 346, low: 200, high: 346, source: S33", "release: {value: 346",
         "without a source"),
        (r"source: S52", "source: S99", "no source 'S99'"),
        (r"integrator: manufacturer", "integrator: nobody", "integrator 'nobody'"),
        (r"decision: \{giver: payer", "decision: {giver: atlantis", "no actor 'atlantis'"),
        (r"pickup: \{value: 60", "nowhere: {value: 60", "no interface"),
        (r"value: \{value: 500, low: 350", "value: {value: -5, low: -9", "above 0"),
        (r"service:\n      hospital", "service:\n      courier", "no step of its own"),
    ],
)  # fmt: skip
def test_a_wrong_game_file_is_refused_with_file_and_line(
    tmp_path: Path, pattern: str, put: str, words: str
) -> None:
    """Shares beyond the whole, idle actors, costs that bend back, missing prices: FILE:LINE."""
    text, n = re.subn(pattern, put, GAME, count=1)
    assert n == 1, "the pattern finds nothing: mend the test"
    file = tmp_path / "wrong.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(ReadError, match=words) as said:
        load(str(file))
    assert re.search(r"wrong\.yaml:\d+:\d+", str(said.value))
    assert said.value.place.line > 1


def test_an_unknown_game_is_named() -> None:
    """A name that is none says which there are."""
    with pytest.raises(ReadError, match="known: car-t"):
        load("magic")


@dataclass(frozen=True)
class Pennies(Team):
    """Matching pennies with efforts from 0 to 1 and a bent payoff: nobody ever rests."""

    n: int = 2

    @property
    def most(self) -> Vector:
        """From 0 to 1."""
        return np.ones(2)

    def own(self, actor: int, x: Vector) -> tuple[float, Vector]:
        """The first wants to be where the second is; the second, far away (convex)."""
        apart = x[0] - x[1]
        sign = -1.0 if actor == 0 else 1.0
        return float(sign * apart**2), np.array([2 * apart if actor == 1 else -2 * apart]) * (
            1.0 if actor == 0 else -1.0
        )


def test_where_there_is_no_equilibrium_that_is_said_with_the_residual() -> None:
    """The nearest point alone, not settled, with what somebody still gains."""
    (point,) = equilibria(Pennies())
    assert not point.settled and point.residual > 0.01


def two() -> Game:
    """Two own steps with linear costs: nobody works unless all do."""
    actors = (Actor("a", 1, power=1), Actor("b", 1, power=1), Actor("payer", 1))
    steps = tuple(Interface(w, w, None, 1.0) for w in ("a", "b"))
    return Game(50.0, actors, steps, "payer")


def test_every_equilibrium_is_told_and_the_worst_counts() -> None:
    """Nobody works, or both do: two states, a warning, and the worse as the headline."""
    game = two()
    found = assess(Contract("pool", shares={"a": 0.5, "b": 0.5}), game, bounds(game))
    assert len(found.states) == 2 and found.states[0].success > 0.5
    assert found.state.success == 0 and found.state.fragmentation == pytest.approx(1)
    assert any("2 equilibria" in str(w) for w in found.warnings)


def test_paying_more_than_is_earned_is_said() -> None:
    """Fixed sums beyond the value: who loses what, in words."""
    game = two()
    found = assess(Contract("rich", fixed={"a": 80.0}), game, bounds(game))
    assert any("more than is earned; payer loses" in str(w) for w in found.warnings)


def test_a_bond_of_two_has_nobody_to_balance_it() -> None:
    """Two actors and no third: refused."""
    game = Game(10.0, (Actor("a", 1), Actor("p", 1)), (Interface("k", "a", "p", 0.5),), "p")
    with pytest.raises(ValueError, match="needs three actors"):
        terms(Contract("bond", bond=1.0), game, np.ones(2))


@pytest.mark.parametrize(
    ("actor", "words"),
    [({"cost": 0.0}, "above 0"), ({"power": 0.9}, "not convex"), ({"crowding": 2}, "not convex")],
)
def test_costs_that_are_not_convex_are_refused(actor: dict[str, float], words: str) -> None:
    """No silent number from a cost that bends back."""
    bent = Actor(**{"name": "a", "cost": 1.0, **actor})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        Game(10.0, (bent, Actor("p", 1)), (Interface("k", "a", "p", 0.5),), "p")
