"""A region beside its country beside the whole: no difference tells a hidden count."""

from __future__ import annotations

import random
from itertools import product

import pytest

from stafett.registry.disclosure import MINIMUM, Shown
from stafett.registry.suppression import Sum, protect

REACH = 6  # how far above the truth the attacker below looks for another table that fits


def nested(cells: dict[str, dict[str, int]]) -> tuple[dict[tuple[str, str], int], list[Sum]]:
    """Return counts and sums of acts by region, with each act's whole and each region's total."""
    regions = next(iter(cells.values()))
    counts = {(act, region): n for act, row in cells.items() for region, n in row.items()}
    counts |= {(act, "whole"): sum(row.values()) for act, row in cells.items()}
    for place in (*regions, "whole"):
        counts["total", place] = sum(counts[act, place] for act in cells)
    sums = [
        Sum((act, "whole"), tuple((act, region) for region in regions)) for act in (*cells, "total")
    ]
    sums += [Sum(("total", p), tuple((a, p) for a in cells)) for p in (*regions, "whole")]
    return counts, sums


def others(counts: dict, sums: list[Sum], shown: dict[object, Shown]) -> dict[object, set[int]]:
    """Return every value that a hidden count has in some table that fits what is shown.

    The attacker knows the shown counts exactly, though only rounded ones are published.
    """
    hidden = [name for name in counts if shown[name].why is not None]
    ranges = [
        range(1, MINIMUM) if shown[n].why == "<5" else range(1, counts[n] + REACH) for n in hidden
    ]
    found: dict[object, set[int]] = {name: set() for name in hidden}
    place = {name: k for k, name in enumerate(hidden)}
    # A sum is looked at as soon as its last hidden member has a value.
    due: dict[int, list[tuple[int, list[tuple[int, int]]]]] = {}
    for line in sums:
        signs = [(place[p], 1) for p in line.parts if p in place]
        signs += [(place[line.total], -1)] if line.total in place else []
        if signs:
            right = sum(s * counts[hidden[k]] for k, s in signs)
            due.setdefault(max(k for k, _ in signs), []).append((right, signs))
    value = [0] * len(hidden)

    def fill(k: int) -> bool:
        if k == len(hidden):
            for name, v in zip(hidden, value, strict=True):
                found[name].add(v)
            return True
        some = False
        for v in ranges[k]:
            value[k] = v
            if all(sum(s * value[j] for j, s in signs) == r for r, signs in due.get(k, ())):
                some = fill(k + 1) or some
        return some

    assert fill(0), "the truth itself fits"
    return found


def test_a_small_region_is_not_the_country_less_the_others() -> None:
    """Three in the north: another region is hidden beside it, else the difference would tell."""
    counts, sums = nested({"wait": {"north": 3, "south": 22, "west": 9}})
    shown = protect(counts, sums)
    assert shown["wait", "north"].why == "<5" and shown["wait", "west"].why == "hidden"
    assert shown["wait", "south"] == Shown(20) and shown["wait", "whole"] == Shown(35)


def test_what_is_outside_a_region_is_not_told_by_the_whole() -> None:
    """A whole of 22 beside a region of 19 would tell the three elsewhere: one of them is hidden."""
    counts, sums = nested({"wait": {"north": 19, "elsewhere": 3}})
    shown = protect(counts, sums)
    assert shown["wait", "north"].why == "hidden"
    assert len(others(counts, sums, shown)["wait", "elsewhere"]) > 1


def test_nothing_is_hidden_where_nothing_is_small() -> None:
    """Counts of five and more, and zeros, stand as they are (rounded)."""
    counts, sums = nested({"a": {"north": 5, "south": 0}, "b": {"north": 12, "south": 30}})
    shown = protect(counts, sums)
    assert all(one.why is None for one in shown.values())
    assert shown["b", "whole"] == Shown(40)


def test_four_ones_are_not_told_by_a_total_below_five() -> None:
    """Four small parts in a total below five could only be ones: the total is then vague."""
    counts, sums = nested({"a": {"n": 1, "s": 1, "w": 1, "e": 1}})
    shown = protect(counts, sums)
    assert all(len(v) > 1 for v in others(counts, sums, shown).values())


def test_a_sum_that_does_not_hold_is_refused() -> None:
    """Nothing is published from a table that contradicts itself."""
    with pytest.raises(ValueError, match="not the sum"):
        protect({"a": 5, "all": 6}, [Sum("all", ("a",))])


def test_no_difference_of_places_tells_a_hidden_count() -> None:
    """Every table of two acts in two regions with small counts: each hidden one stays ambiguous."""
    for a, b, c, d in product((0, 1, 3, 7), repeat=4):
        counts, sums = nested({"a": {"n": a, "s": b}, "b": {"n": c, "s": d}})
        shown = protect(counts, sums)
        for name, values in others(counts, sums, shown).items():
            assert len(values) > 1, (a, b, c, d, name)


def test_three_regions_stay_ambiguous_too() -> None:
    """The same for drawn tables of three regions, where rows and columns can be combined."""
    draw = random.Random(9)
    for _ in range(40):
        cells = {
            act: {region: draw.choice((0, 0, 1, 2, 6, 11)) for region in "nsw"} for act in "ab"
        }
        counts, sums = nested(cells)
        shown = protect(counts, sums)
        if sum(one.why is not None for one in shown.values()) > 8:
            continue  # too many for the attacker of this test
        for name, values in others(counts, sums, shown).items():
            assert len(values) > 1, (cells, name)
