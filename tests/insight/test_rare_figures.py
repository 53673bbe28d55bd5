"""Charts of rare failures as figures: u, T and g, and the rules that fired, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from stafett.eventlog import EventLog, validated
from stafett.insight.control import RULES, xmr
from stafett.insight.hours import WorkingHours
from stafett.insight.pictures.series import control_chart
from stafett.insight.report.control_figures import control_figures
from stafett.web.findings import in_language, picture

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def failing(weeks: int = 20, worse_from: int = 15) -> EventLog:
    """Return five journeys a week of one day each; one fails a week, from `worse_from` on four."""
    rows = []
    for week in range(weeks):
        for k in range(5):
            at = MONDAY + timedelta(weeks=week, days=k)
            bad = k < (4 if week >= worse_from else 1)
            rows.append(
                {"case": f"c{week}-{k}", "activity": "H1", "kind": "handoff", "giver": "plant",
                 "receiver": f"ward {k % 3}", "enqueue": at, "start": at,
                 "end": at + timedelta(days=1), "outcome": "refused" if bad else "ok"}
            )  # fmt: skip
    return EventLog(validated(pl.DataFrame(rows))[0], zone="UTC")


@pytest.fixture(scope="module")
def figures() -> dict[str, object]:
    """Return the control chapter's figures by key."""
    return {figure.key: figure for figure in control_figures(failing(), WorkingHours())[0]}


def test_the_rate_is_deviations_by_days_under_way(figures: dict[str, object]) -> None:
    """One failure in five journey-days is 20 per 100; the worse weeks are 80 and a signal."""
    table = figures["control-rate"].table  # type: ignore[attr-defined]
    assert table["journey_days"].to_list() == [5.0] * 20
    assert table["rate"][3] == pytest.approx(20) and table["rate"][17] == pytest.approx(80)
    assert not any(table["signal"][:5]) and any(table["signal"][15:])


def test_handoffs_between_failures_are_counted(figures: dict[str, object]) -> None:
    """Four go well between two weekly failures; none while four in five fail."""
    table = figures["control-counted"].table  # type: ignore[attr-defined]
    assert table["handoffs_since_last"].to_list()[:3] == [4, 4, 4]
    assert 0 in table["handoffs_since_last"].to_list()
    assert table.height == figures["control-between"].table.height  # type: ignore[attr-defined]


def test_a_point_bears_its_rules_and_the_picture_says_them() -> None:
    """A drift of nine points: its number on the diamond, its words below, in three languages."""
    chart = xmr([1.0, 5, 2, 4, 1, 5, 2, *[5.5, 5.6, 5.4, 5.5, 5.6, 5.4, 5.5, 5.6, 5.4]], (2,))
    assert {s.rule for s in chart.signals} == {2}
    svg = control_chart(chart, [str(i) for i in range(16)], title="XmR chart", unit="hours")
    assert ">2<" in svg and RULES[2] in svg and "numbers of Nelson" in svg
    assert "nio punkter i rad" in picture(svg, "sv") and "nueve puntos" in picture(svg, "es")


def test_a_chart_without_signals_names_no_rules() -> None:
    """No legend where nothing fired."""
    chart = xmr([10, 12, 11, 13, 9])
    svg = control_chart(chart, list("abcde"), title="XmR chart", unit="hours")
    assert "Nelson" not in svg


@pytest.mark.parametrize("language", ["sv", "es"])
def test_every_word_of_the_charts_is_said(language: str) -> None:
    """Titles, sentences, notes, columns, and every rule."""
    figures, notes = control_figures(failing(), WorkingHours())
    texts = [*notes, *RULES.values()]
    for figure in figures:
        texts += [figure.title, figure.sentence, figure.basis]
        texts += [column.replace("_", " ") for column in figure.table.columns]
        assert "journey-days" not in picture(figure.svg, language)
        assert "went well" not in picture(figure.svg, language)
    assert [text for text in texts if in_language(text, language) is None] == []


def test_too_few_weeks_are_said() -> None:
    """Three weeks make no chart of deviations."""
    _, notes = control_figures(failing(weeks=3), WorkingHours())
    assert any("journeys were under way in 3 periods; 8 are needed" in note for note in notes)
