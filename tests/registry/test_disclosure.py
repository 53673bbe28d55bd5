"""Small numbers: what is published never tells a count from 1 to 4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.registry.disclosure import MINIMUM, RATE_MINIMUM, one, rate, wilson


def test_counts_are_hidden_rounded_or_zero() -> None:
    """Nobody is shown as nobody; one to four are hidden; the others are rounded to five."""
    assert [str(one(n)) for n in (0, 1, 4, 5, 7, 8, 12, 13)] == [
        *("0", "<5", "<5", "5", "5", "10", "10", "15")
    ]
    with pytest.raises(ValueError, match="negative"):
        one(-1)


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
