"""Interfaces: what is counted at a handoff, and how sure the ranking is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stafett.eventlog import EventLog, validated
from stafett.insight.hours import WorkingHours, out_of_hours
from stafett.insight.interfaces import interfaces

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def at(hours: float) -> datetime:
    """Return the instant so many hours after Monday 5 January 2026, 00:00 UTC."""
    return MONDAY + timedelta(hours=hours)


def log(*rows: tuple[str, str, str, str, float, float, str | None, str | None]) -> EventLog:
    """Return a log of handoffs: case, activity, giver, receiver, from, to, outcome, deviation."""
    names = ("case", "activity", "giver", "receiver", "start", "end", "outcome", "deviation")
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.Series("start", [at(r[4]) for r in rows]).dt.cast_time_unit("us"),
        pl.Series("end", [at(r[5]) for r in rows]).dt.cast_time_unit("us"),
        pl.lit("handoff").alias("kind"),
    )
    return EventLog(validated(frame)[0])


TWO = log(
    ("p1", "ship", "A", "B", 8, 10, "ok", None),
    ("p1", "return", "B", "A", 20, 24, "refused", "labelling"),
    ("p1", "return", "B", "A", 30, 31, "ok", None),
    ("p2", "ship", "A", "B", 8, 14, "ok", None),
)


def test_volume_dwell_and_right_first_time() -> None:
    """Each pair has its count, its dwell and the share that passed at once."""
    table = {(r["giver"], r["receiver"]): r for r in interfaces(TWO).table.iter_rows(named=True)}
    assert table["A", "B"]["n"] == 2 and table["A", "B"]["median_h"] == 4
    assert table["A", "B"]["right_first_time"] == 1
    assert table["B", "A"]["right_first_time"] == 0.5


def test_the_tail_is_what_the_slowest_twentieth_bears() -> None:
    """Nineteen dwells of one hour and one of 21: p95, the greatest, and 21 of 40 hours."""
    rows = [
        (f"p{n}", "ship", "A", "B", 0.0, 21.0 if n == 19 else 1.0, "ok", None) for n in range(20)
    ]
    (row,) = interfaces(log(*rows)).table.iter_rows(named=True)
    assert (row["n"], row["median_h"], row["max_h"]) == (20, 1, 21)
    assert row["p95_h"] in (1, 21) and row["tail"] == pytest.approx(21 / 40)
    even = interfaces(log(*[(*r[:5], 1.0, *r[6:]) for r in rows])).table
    assert even["tail"][0] == pytest.approx(1 / 20), "where all are alike the slowest bear no more"


def test_a_failure_costs_until_the_handoff_is_passed() -> None:
    """The refused return costs its dwell (4 h + 1 h) and the 7 h until it was passed."""
    table = {(r["giver"], r["receiver"]): r for r in interfaces(TWO).table.iter_rows(named=True)}
    assert table["B", "A"]["cost_h"] == pytest.approx((4 + 1 + 7) / 2)
    assert table["A", "B"]["cost_h"] == pytest.approx((2 + 6) / 2)


def test_mismatches_are_counted_by_kind() -> None:
    """The kind of deviation is kept with its count."""
    (row,) = interfaces(TWO).mismatches.iter_rows(named=True)
    assert (row["giver"], row["deviation"], row["n"]) == ("B", "labelling", 1)


def test_giver_and_receiver_see_the_same_page() -> None:
    """The rows about an interface are identical from either side."""
    found = interfaces(TWO)
    assert found.seen_from("A").equals(found.seen_from("B"))


def test_shares_of_waiting_add_up() -> None:
    """In a log of handoffs only, their shares of all waiting sum to one."""
    assert interfaces(TWO).table["share_of_waiting"].sum() == pytest.approx(1)


def test_the_interval_holds_the_cost() -> None:
    """With many cases the bootstrap interval is narrow and holds the point."""
    rows = [(f"p{i}", "ship", "A", "B", 8.0, 8.0 + i % 7, "ok", None) for i in range(200)]
    (row,) = interfaces(log(*rows)).table.iter_rows(named=True)
    assert row["cost_low"] < row["cost_h"] < row["cost_high"] < row["cost_low"] + 1.5
    assert (row["rank_low"], row["rank_high"]) == (1, 1)


def test_a_missing_outcome_is_said() -> None:
    """Without recorded outcomes right first time is empty, not a hundred per cent."""
    found = interfaces(log(("p1", "ship", "A", "B", 8, 10, None, None)))
    assert found.table["right_first_time"].to_list() == [None]
    assert "cannot be told" in found.notes[0]


def test_a_log_without_handoffs_has_an_empty_table() -> None:
    """Nothing to rank is an empty table, not a failure."""
    frame = pl.DataFrame(
        {"case": ["p"], "activity": ["x"], "kind": ["step"], "start": [at(1)], "end": [at(2)]}
    )
    found = interfaces(EventLog(validated(frame)[0]))
    assert found.table.is_empty() and found.waiting_h == 0


def test_a_night_lies_out_of_hours() -> None:
    """From Monday 16:00 to Tuesday 09:00 the thirteen hours from 18 to 7 lie outside."""
    start, end = pl.Series([at(16)]), pl.Series([at(33)])
    assert out_of_hours(start, end, WorkingHours(7, 18), None)[0] == pytest.approx(13)


def test_the_weekend_lies_out_of_hours() -> None:
    """From Friday 18:00 to Monday 07:00 every hour lies outside."""
    start, end = pl.Series([at(4 * 24 + 18)]), pl.Series([at(7 * 24 + 7)])
    assert out_of_hours(start, end, WorkingHours(7, 18), None)[0] == pytest.approx(61)


@settings(deadline=None)
@given(st.integers(0, 20_000), st.integers(0, 20_000))
def test_hours_out_agree_with_counting_minutes(first: int, length: int) -> None:
    """The closed form agrees with looking at every minute."""
    length %= 3_000
    hours = WorkingHours(7, 18)
    start, end = MONDAY + timedelta(minutes=first), MONDAY + timedelta(minutes=first + length)
    moments = [start + timedelta(minutes=i) for i in range(length)]
    naive = sum(not (m.weekday() < 5 and 7 <= m.hour < 18) for m in moments) / 60
    assert out_of_hours(pl.Series([start]), pl.Series([end]), hours, None)[0] == pytest.approx(
        naive
    )
