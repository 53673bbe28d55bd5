"""Agreement: Krippendorff's alpha against his own published example."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from stafett.eventlog import EventLog, validated
from stafett.eventlog.table import JUDGEMENTS
from stafett.insight.agreement import AgreementError, krippendorff, wording_change
from stafett.insight.report.agreement_figures import agreement_figures, scale_of

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


def judged(*checks: tuple[str, str, list[tuple[str, str]]]) -> EventLog:
    """Return a log of judgements: check, version, and what two said of each thing."""
    rows = [
        ("c1", "H02", check, f"{check} {version} {n}", f"judge {side}", answer, version)
        for check, version, said in checks
        for n, answers in enumerate(said)
        for side, answer in enumerate(answers)
    ]
    handoff = pl.DataFrame(
        {
            "case": ["c1"], "activity": ["H02"], "kind": ["handoff"], "giver": ["A"],
            "receiver": ["B"], "start": [datetime(2026, 1, 5, 8, tzinfo=UTC)],
            "end": [datetime(2026, 1, 5, 9, tzinfo=UTC)],
        }
    ).with_columns(pl.col("start", "end").dt.cast_time_unit("us"))  # fmt: skip
    table = pl.DataFrame(rows, schema=JUDGEMENTS, orient="row")
    return EventLog(validated(handoff)[0], judgements=table)


AGREED = [("pass", "pass"), ("fail", "fail")] * 15
TORN = [("pass", "pass"), ("pass", "fail"), ("fail", "pass"), ("fail", "fail")] * 8


def test_the_check_that_causes_the_spread_is_named() -> None:
    """Of two checks the one that judges differ on comes first, with what they confuse."""
    figures, _ = agreement_figures(judged(("clear", "1", AGREED), ("vague", "1", TORN)), seed=1)
    first, second = figures[0].table.iter_rows(named=True)
    assert first["check"] == "H02 vague" and first["high"] < 0.8
    assert set(first["commonest_disagreement"].split(" / ")) == {"pass", "fail"}
    assert second["alpha"] == 1 and "H02 vague" in figures[0].sentence


def test_a_new_version_s_wording_is_compared_with_the_last() -> None:
    """The check whose wording ended the confusion changed beyond chance; the other did not."""
    log = judged(
        ("reworded", "1", TORN), ("same", "1", TORN), ("reworded", "2", AGREED), ("same", "2", TORN)
    )
    changed = next(f for f in agreement_figures(log, seed=1)[0] if f.key == "agreement-change")
    assert changed.sentence == "Agreement changed beyond chance at: H02 reworded."
    by_check = {r["check"]: r for r in changed.table.iter_rows(named=True)}
    assert by_check["H02 reworded"]["low"] > 0 > by_check["H02 same"]["low"]


@pytest.mark.parametrize(
    ("answers", "scale", "order"),
    [
        (("critical", "minor", "major"), "ordinal", ["minor", "major", "critical"]),
        (("minor", "critical"), "nominal", None),
        (("10", "9", "2"), "ordinal", ["2", "9", "10"]),
        (("pass", "fail", "unknown"), "nominal", None),
        (("minor", "major", "harmless"), "nominal", None),
    ],
)
def test_answers_that_stand_in_an_order_are_measured_on_it(
    answers: tuple[str, ...], scale: str, order: list[str] | None
) -> None:
    """Known orders and numbers of three values or more; everything else is nominal."""
    assert scale_of([list(answers)]) == (scale, order)


def test_a_severity_that_is_one_apart_is_a_smaller_disagreement() -> None:
    """Sites that call major what others call minor agree more than those that call it critical."""
    near = [("minor", "minor"), ("minor", "major"), ("major", "major"), ("critical", "critical")]
    far = [("minor", "minor"), ("minor", "critical"), ("major", "major"), ("critical", "critical")]
    (figure, *_), _ = agreement_figures(judged(("near", "1", near * 8), ("far", "1", far * 8)), 1)
    rows = {row["check"]: row for row in figure.table.iter_rows(named=True)}
    assert {row["scale"] for row in rows.values()} == {"ordinal"}
    assert rows["H02 near"]["alpha"] > rows["H02 far"]["alpha"] + 0.1
    plain = krippendorff([list(pair) for pair in near * 8])
    assert rows["H02 near"]["alpha"] > plain.alpha
