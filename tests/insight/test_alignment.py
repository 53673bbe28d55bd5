"""Alignments through r4pm: side-by-side work is in order, what is left out or added costs one."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from stafett.eventlog import EventLog, validated
from stafett.insight.alignment import NoAlignmentsError, align, partial_order

ORDER = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}


def log(*courses: str) -> EventLog:
    """Return a log in which each letter is a step, an hour after the one before."""
    start = datetime(2026, 1, 5, tzinfo=UTC)
    rows = [
        {"case": f"p{c}", "activity": letter, "kind": "step",
         "start": start + timedelta(hours=i), "end": start + timedelta(hours=i)}
        for c, course in enumerate(courses)
        for i, letter in enumerate(course)
    ]  # fmt: skip
    frame = pl.DataFrame(rows).with_columns(pl.col("start", "end").dt.cast_time_unit("us"))
    return EventLog(validated(frame)[0])


def test_work_side_by_side_is_in_order() -> None:
    """Either order of b and c agrees with the protocol."""
    pytest.importorskip("r4pm", reason="the extra `alignments` is not installed")
    found = align(log("abcd", "acbd"), ORDER)
    assert found.fitness == 1 and found.perfect == 1 and found.moves.is_empty()


def test_what_is_left_out_or_added_is_named_and_costs_one() -> None:
    """A journey without c and one with x: fitness by hand is 1 − 2 / (7 + 9)."""
    pytest.importorskip("r4pm", reason="the extra `alignments` is not installed")
    found = align(log("abd", "abxcd"), ORDER)
    assert found.moves.to_dicts() == [
        {"activity": "c", "left_out": 1, "added": 0},
        {"activity": "x", "left_out": 0, "added": 1},
    ] or {m["activity"] for m in found.moves.to_dicts()} == {"c", "x"}
    assert found.fitness == pytest.approx(1 - 2 / (7 + 9)) and found.perfect == 0


def test_a_bridge_is_made_over_what_is_left_out() -> None:
    """Where b is no part of the question, d comes after a and c."""
    order = partial_order({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}, ["a", "c", "d"])
    assert order == {"a": (), "c": ("a",), "d": ("a", "c")}


def test_without_the_extra_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "r4pm", None)
    with pytest.raises(NoAlignmentsError, match="alignments"):
        align(log("ab"), ORDER)
