"""Agreement: Krippendorff's alpha against his own published example."""

from __future__ import annotations

import pytest

from stafett.insight.agreement import AgreementError, krippendorff, wording_change

# K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, section D: four judges (rows),
# twelve units; 0 is a missing judgement.
PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
]
UNITS = [[judge[u] or None for judge in PUBLISHED] for u in range(12)]


@pytest.mark.parametrize(
    ("scale", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_the_published_values(scale: str, alpha: float) -> None:
    """The example's alpha is met to the three digits printed."""
    found = krippendorff(UNITS, scale=scale)
    assert found.alpha == pytest.approx(alpha, abs=5e-4)
    assert found.low < found.alpha < found.high or found.alpha <= found.high
    assert (found.units, found.judgements) == (11, 40)


def test_the_published_binary_example() -> None:
    """Two judges, ten units, two categories: alpha 0.095 (section A of the same paper)."""
    one = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    two = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    units = [[float(a), float(b)] for a, b in zip(one, two, strict=True)]
    assert krippendorff(units).alpha == pytest.approx(0.095, abs=5e-4)


def test_perfect_agreement_is_one() -> None:
    """Judges who always agree on varying cases reach 1."""
    assert krippendorff([["a", "a"], ["b", "b"], ["c", "c"]]).alpha == 1


def test_the_confused_categories_are_named() -> None:
    """The pair of words behind the disagreement comes first."""
    units = [["pass", "pass"]] * 10 + [["minor", "major"]] * 5 + [["pass", "minor"]]
    first = krippendorff(units).confusions[0]
    assert set(first[:2]) == {"minor", "major"}
    assert first[2] == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ([["a"], ["b"]], "no case was judged by two"),
        ([["a", "a"], ["a", "a"]], "every judgement is 'a'"),
    ],
)
def test_what_cannot_be_told_is_said(units: list[list[str | float | None]], message: str) -> None:
    """Without overlap or variation there is no alpha."""
    with pytest.raises(AgreementError, match=message):
        krippendorff(units)


def test_a_better_wording_shows() -> None:
    """After a wording that ends the confusion, the difference's interval lies above zero."""
    before: list[list[str | float | None]] = [["minor", "major"], ["minor", "minor"]] * 15
    before += [["major", "major"]] * 10
    after: list[list[str | float | None]] = [["minor", "minor"], ["major", "major"]] * 20
    change = wording_change(before, after)
    assert change.difference > 0.5 and change.low > 0
