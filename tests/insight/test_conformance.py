"""Conformance: what really happened beside what the protocol says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.eventlog import EventLog, read_log, validated
from stafett.insight.conformance import (
    Reference,
    compare,
    conformance,
    directly_follows,
    spectrum,
    typical_course,
    variants,
)
from stafett.insight.report.process_figures import process_figures


def log(*courses: str) -> EventLog:
    """Return a log in which each letter is a step, an hour after the one before."""
    start = datetime(2026, 1, 5, tzinfo=UTC)
    rows = [
        {"case": f"p{c}", "activity": letter, "kind": "step",
         "start": start + timedelta(hours=i), "end": start + timedelta(hours=i)}
        for c, course in enumerate(courses)
        for i, letter in enumerate(course)
    ]  # fmt: skip
    return EventLog(validated(pl.DataFrame(rows))[0])


@pytest.mark.parametrize(
    ("course", "skipped", "added", "reordered"),
    [
        ("abcd", "", "", ""),
        ("abd", "c", "", ""),
        ("abxcd", "", "x", ""),
        ("acbd", "", "", "b"),
        ("abccd", "", "c", ""),
        ("", "abcd", "", ""),
    ],
)
def test_what_was_skipped_added_or_moved(
    course: str, skipped: str, added: str, reordered: str
) -> None:
    """Each departure from a-b-c-d is named once, as what it is."""
    found = compare(course, "abcd")
    if course == "acbd":
        assert found in (([], [], ["b"]), ([], [], ["c"]))
    else:
        assert found == (list(skipped), list(added), list(reordered))


@given(st.text("abcde", max_size=10))
def test_nothing_is_lost_between_course_and_protocol(course: str) -> None:
    """Course minus added is the protocol minus skipped, whatever the course."""
    skipped, added, reordered = compare(course, "abcd")
    assert sorted([*course]) == sorted([*(set("abcd") - set(skipped)), *added])
    assert not set(skipped) & set(reordered)


def test_late_is_counted_from_the_expected_predecessor() -> None:
    """An hour from a to b is late when half an hour is allowed, and not when two are."""
    courses = log("ab", "ab")
    assert conformance(courses, Reference(("a", "b"), {"b": 0.5})).by_activity["late"].sum() == 2
    assert conformance(courses, Reference(("a", "b"), {"b": 2.0})).by_activity["late"].sum() == 0


def test_cases_are_counted_once_per_activity() -> None:
    """Two additions of x in one case make one case with x added."""
    found = conformance(log("axxb", "ab"), Reference(("a", "b"), {}))
    row = found.by_activity.filter(pl.col("activity") == "x").row(0, named=True)
    assert row["added"] == 1 and found.fitting == 2
    assert found.sentence() == "2 of 2 journeys (100%) did what is expected, in order."


def test_variants_are_ordered_by_frequency() -> None:
    """The commonest course comes first; what most do stands in for a missing protocol."""
    found = log("ab", "abc", "ab")
    assert variants(found)["n"].to_list() == [2, 1]
    assert typical_course(found).activities == ("a", "b")


def test_the_spectrum_has_a_line_per_case() -> None:
    """Each case that passes the segment has its line and its quarter."""
    found = spectrum(log("ab", "ab", "acb", "ab", "ab"), "a", "b")
    assert found.height == 4
    assert sorted(found["quarter"]) == [1, 2, 3, 4]


def test_the_published_log(shared: Path) -> None:
    """Directly-follows counts and times, variants and fitting cases meet the published vector."""
    folder = shared / "standards" / "process_mining"
    want = json.loads((folder / "expected.json").read_text())
    found = read_log(folder / "log.csv")
    table = {(r["from"], r["to"]): r for r in directly_follows(found).iter_rows(named=True)}
    assert len(table) == len(want["dfg"])
    for edge in want["dfg"]:
        row = table[edge["from"], edge["to"]]
        assert row["n"] == edge["count"]
        assert row["mean_h"] * 3600 == pytest.approx(edge["mean_s"], abs=1e-3)
        assert row["median_h"] * 3600 == pytest.approx(edge["median_s"], abs=1e-3)
    assert variants(found).height == want["variants"]
    judged = conformance(found, Reference(tuple(want["reference_sequence"]), {}))
    again = pl.col("added").list.set_intersection(want["reference_sequence"]).list.len()
    repeated = judged.by_case.filter(pl.col("fits") & (again == 0))
    assert repeated.height == want["token_replay_on_reference_sequence"]["fitting_cases"]


def test_sites_that_take_other_courses_stand_apart(tmp_path: Path) -> None:
    """One hospital takes the usual course, the other tests twice: each with its share."""
    rows = ["case,activity,timestamp,group"]
    for n in range(40):
        site, course = ("North", "abc") if n < 25 else ("South", "abbc")
        rows += [
            f"c{n},{activity},2026-01-{1 + n % 28:02d}T{8 + k:02d}:00:00Z,{site} / ward"
            for k, activity in enumerate(course)
        ]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(rows))
    figures, _ = process_figures(read_log(path), None, None)
    figure = next(f for f in figures if f.key == "variants-by-site")
    told = {r["site"]: (r["journeys"], r["usual"]) for r in figure.table.iter_rows(named=True)}
    assert told == {"North": (25, 25), "South": (15, 0)}
    assert figure.sentence.endswith("the sites' intervals do not all overlap.")
