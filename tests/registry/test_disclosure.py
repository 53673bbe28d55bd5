"""Small numbers: what is published never tells a count from 1 to 4."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.registry.disclosure import MINIMUM, RATE_MINIMUM, Shown, one, rate, table, wilson

NAMES = st.text("abcdef", min_size=1, max_size=3)
COUNTS = st.dictionaries(NAMES, st.integers(0, 60), min_size=1)


def test_counts_are_hidden_rounded_or_zero() -> None:
    """Nobody is shown as nobody; one to four are hidden; the others are rounded to five."""
    assert [str(one(n)) for n in (0, 1, 4, 5, 7, 8, 12, 13)] == [
        *("0", "<5", "<5", "5", "5", "10", "10", "15")
    ]
    with pytest.raises(ValueError, match="negative"):
        one(-1)


def test_a_single_hidden_part_takes_a_second_with_it() -> None:
    """Else it would be the total less the others."""
    shown, total = table({"north": 3, "south": 22, "west": 9})
    assert shown["north"].why == "<5" and shown["west"].why == "hidden"
    assert shown["south"] == Shown(20) and total == Shown(35)


@given(COUNTS)
def test_a_hidden_part_never_stands_alone_beside_its_total(parts: dict[str, int]) -> None:
    """What is shown is rounded and never below five; one hidden part alone hides the total too."""
    shown, total = table(parts)
    hidden = [name for name in parts if shown[name].why is not None]
    assert all(s.value is None or s.value == 0 or s.value >= MINIMUM for s in shown.values())
    assert len(hidden) != 1 or total.why is not None
    if not hidden:
        assert total == one(sum(parts.values()))


def test_every_hidden_part_stays_ambiguous() -> None:
    """With three regions, several splits fit what is shown, whatever the truth was."""
    for a, b, c in product(range(12), repeat=3):
        parts = {"a": a, "b": b, "c": c}
        shown, total = table(parts)
        hidden = [n for n in parts if shown[n].why is not None]
        if not hidden or total.why is not None:
            continue
        left = sum(parts[n] for n in hidden)
        small = [n for n in hidden if shown[n].why == "<5"]
        fits = {
            split
            for split in product(range(left + 1), repeat=len(hidden))
            if sum(split) == left
            and all(
                0 < v < MINIMUM if n in small else v >= MINIMUM
                for n, v in zip(hidden, split, strict=True)
            )
        }
        for place, name in enumerate(hidden):
            assert len({split[place] for split in fits}) > 1, (parts, name)


def test_rates_rest_on_enough_cases_and_carry_their_interval() -> None:
    """Below twenty cases there is none; Wilson's interval for 8 of 10 hundreds is the book's."""
    assert rate(9, RATE_MINIMUM - 1) is None
    found = rate(80, 100)
    assert found is not None and (found.value, found.low, found.high) == (0.8, 0.71, 0.87)
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662; 15 of 148 gives 0.0624 to 0.1605.
    assert wilson(81, 263) == (0.26, 0.37) and wilson(15, 148) == (0.06, 0.16)


@given(st.integers(RATE_MINIMUM, 400), st.data())
def test_a_rate_never_tells_a_small_minority(cases: int, data: st.DataObject) -> None:
    """One to four of either kind look alike; the interval covers the truth's proportion."""
    successes = data.draw(st.integers(0, cases))
    found = rate(successes, cases)
    assert found is not None and found.low <= round(successes / cases, 2) <= found.high
    for other in range(1, MINIMUM):
        if 0 < successes < MINIMUM:
            assert found == rate(other, cases)
        if 0 < cases - successes < MINIMUM:
            assert found == rate(cases - other, cases)
