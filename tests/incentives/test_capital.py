"""Investments: what they give for their price, who captures it, where a budget goes."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stafett.design.capital.allocate import allocate, greedy
from stafett.design.capital.map import Gain, captures, gains, pulled, spots
from stafett.design.capital.reading import load
from stafett.design.experiment import Plan
from stafett.design.incentives.contract import terms
from stafett.design.incentives.equilibrium import Settled, equilibria
from stafett.design.incentives.owned import Owned, ownerships
from stafett.design.incentives.reading import load as load_game
from stafett.design.incentives.workbench import bounds
from stafett.design.reading import load as load_system
from stafett.protocol.read import ReadError

FILE = (files("stafett") / "catalogue" / "capital.yaml").read_text("utf-8")
NAMES = {
    "therapeutic-assets", "platform-technology", "manufacturing-capacity", "quality-capacity",
    "logistics", "coordination", "workforce", "identity-custody",
}  # fmt: skip


def test_the_catalogue_has_the_eight_categories_and_says_that_no_split_is_published() -> None:
    """Each with a ranged price; the split of the sector's capital is an assumption with a range."""
    c = load()
    assert set(c.categories) == NAMES
    assert all(x.price.low and x.price.high for x in c.categories.values())
    for part in c.split.values():
        assert part.assumption and part.low and "no split is published" in str(part.note)
    assert all(x.figure.source for x in c.published.values())


@pytest.mark.parametrize(
    ("pattern", "put", "words"),
    [
        (r"    price: \{value: 300, low: 100, high: 900, assumption: true\}\n", "", "has no price"),
        (r"price: \{value: 500, low: 150", "price: {value: 500, low: 0", "0 or less"),
        (r"levers: \[demand\]", "levers: [magic]", "no lever 'magic'"),
        (r"source: S66", "source: S1", "no source 'S1'"),
    ],
)
def test_a_wrong_catalogue_is_refused_with_file_and_line(
    tmp_path: Path, pattern: str, put: str, words: str
) -> None:
    """Missing prices above all: FILE:LINE and what to do."""
    text, n = re.subn(pattern, put, FILE, count=1)
    assert n == 1
    file = tmp_path / "wrong.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(ReadError, match=words) as said:
        load(str(file))
    assert re.search(r"wrong\.yaml:\d+", str(said.value)) and said.value.place.line > 1


def test_a_map_has_intervals_on_both_axes_and_no_effort_changes_nothing() -> None:
    """Two replications of Spain: every category has a place; pulled by nothing, nothing moves."""
    spain = load_system("spain")
    catalogue = load()
    plan = Plan(2, 0.5, 0.25, 3, "sampled")
    found = gains({"spain": spain}, catalogue, plan, workers=1)
    captured = {"spain": captures(catalogue, load_game(), "today", draws=2)}
    table = spots(found, captured, catalogue)
    assert {s.category for s in table} == NAMES
    for s in table:
        assert s.criticality.low <= s.criticality.mean <= s.criticality.high
        assert 0 <= s.fundability.low <= s.fundability.mean <= s.fundability.high <= 1
    still = pulled(spain, catalogue.categories["logistics"], 0.0)
    assert still.network.lanes == spain.network.lanes or all(
        a.median.value == b.median.value
        for a, b in zip(still.network.lanes.values(), spain.network.lanes.values(), strict=True)
    )


def test_coordination_is_less_fundable_than_capacity_and_a_bond_or_the_public_mend_it() -> None:
    """The finding: what falls between owners cannot be captured; contracts and taxes can."""
    catalogue, table = load(), load_game()
    today = captures(catalogue, table, "today", draws=3)
    bond = captures(catalogue, table, "bond", draws=3)
    alone = today["coordination"].fundability()
    assert alone.mean < today["manufacturing-capacity"].fundability().mean
    assert bond["coordination"].fundability().mean > alone.mean
    public = today["coordination"].fundability(public=0.5)
    shared = today["coordination"].fundability(shared=1.0)
    assert public.mean > alone.mean and shared.mean >= alone.mean
    assert today["coordination"].fundability(public=1.0).mean == pytest.approx(1)
    with pytest.raises(ValueError, match="0 to 1"):
        today["coordination"].fundability(public=1.2)


def test_who_owns_both_sides_of_an_interface_captures_what_it_creates() -> None:
    """Read off the networks: industry owns its quality everywhere, a Spanish region the hospital
    too for its own patients; so more of the value of quality and of identity is its payer's."""
    catalogue, table = load(), load_game()
    place = {name: i for i, name in enumerate(table.spec.actors)}
    industry = {place["manufacturer"], place["quality"], place["supplier"]}
    ((share, owners),) = ownerships(load_system("us"), table.spec)
    assert share == pytest.approx(1) and industry in [set(o) for o in owners]
    spain = ownerships(load_system("spain"), table.spec)
    joint = {place["hospital"], place["manufacturer"], place["quality"]}
    ((catalan,),) = ([s for s, o in spain if joint in [set(g) for g in o]],)
    assert catalan == pytest.approx(0.2916 / sum(s for s, _ in spain), abs=0.01)
    alone = captures(catalogue, table, "today", draws=1)
    owned = captures(catalogue, table, "today", draws=1, ownership=spain)
    for category in ("quality-capacity", "identity-custody"):
        assert owned[category].investor[0] > alone[category].investor[0]


def test_an_owner_of_all_does_what_is_best_for_all() -> None:
    """One owner of every actor, whatever the contract between them: the joint best; and each
    actor its own owner: the game as it was."""
    table = load_game()
    game = table.game
    every = terms(table.contracts["today"], game)
    whole = Owned(game, every, (tuple(range(len(game.actors))),))
    top = game.welfare(bounds(game).best)
    assert max(game.welfare(p.efforts) for p in equilibria(whole)) == pytest.approx(top, rel=1e-4)
    x = 0.1 * game.most
    lone = Owned(game, every, tuple((i,) for i in range(len(game.actors))))
    for i in range(len(game.actors)):
        a, b = lone.own(i, x), Settled(game, every).own(i, x)
        assert a[0] == pytest.approx(b[0]) and np.allclose(a[1], b[1])


GAINS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(
        lambda h, w, p: Gain((h,), (w,), (p,)),
        st.floats(-5, 20), st.floats(-5, 20), st.floats(1, 1000),
    ),
    min_size=1,
)  # fmt: skip


@given(GAINS, st.floats(0, 3000))
@settings(max_examples=60, deadline=None)
def test_the_best_allocation_is_the_greedy_one_and_stays_in_budget(
    found: dict[str, Gain], budget: float
) -> None:
    """HiGHS against the greedy oracle; nothing is spent on what does not help."""
    a, b = allocate(found, budget), greedy(found, budget)
    assert a.patients == pytest.approx(b.patients, rel=1e-6, abs=1e-6)
    assert sum(a.spent.values()) <= budget + 1e-6
    assert a.left == pytest.approx(budget - sum(a.spent.values()), abs=1e-6)
    for key, g in found.items():
        if g.whole[0] <= 0 and g.half[0] <= 0:
            assert a.spent[key] == 0


def test_a_budget_below_nothing_is_refused() -> None:
    """A clear answer, never a silent number."""
    with pytest.raises(ValueError, match="0 or more"):
        allocate({"a": Gain((1.0,), (2.0,), (3.0,))}, -1)
