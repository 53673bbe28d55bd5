"""Investments: what they give for their price, who captures it, where a budget goes."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stafett.design.capital.allocate import allocate, greedy
from stafett.design.capital.map import Gain, captures, gains, pulled, spots
from stafett.design.capital.reading import load
from stafett.design.experiment import Plan
from stafett.design.incentives.reading import load as load_game
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
    captured = captures(catalogue, load_game(), "today", draws=2)
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
