"""Conformance: the protocol against reality, and the process as it really runs.

A protocol's expected order is a sequence, for which the longest common subsequence says what was
skipped, added or moved. Alignments against arbitrary nets are no part of this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from stafett.eventlog import EventLog


def directly_follows(log: EventLog) -> pl.DataFrame:
    """Return which step follows which: ``from``, ``to``, ``n``, ``mean_h``, ``median_h``.

    Times are from completion to completion.
    """
    steps = log.steps
    same = pl.col("case") == pl.col("case").shift(1)
    gap = (pl.col("end") - pl.col("end").shift(1)).dt.total_microseconds() / 3.6e9
    return (
        steps.select(
            pl.col("activity").shift(1).alias("from"),
            pl.col("activity").alias("to"),
            gap.alias("hours"),
            same.alias("same"),
        )
        .filter("same")
        .group_by("from", "to")
        .agg(
            pl.len().alias("n"),
            pl.col("hours").mean().alias("mean_h"),
            pl.col("hours").median().alias("median_h"),
        )
        .sort(
            "n",
            pl.col("from").cast(pl.String),
            pl.col("to").cast(pl.String),
            descending=[True, False, False],
        )
    )


def variants(log: EventLog) -> pl.DataFrame:
    """Return the distinct courses, commonest first: ``course``, ``n``, ``share``, ``example``."""
    return (
        log.steps.group_by("case", maintain_order=True)
        .agg(pl.col("activity").cast(pl.String).alias("course"))
        .group_by("course", maintain_order=True)
        .agg(pl.len().alias("n"), pl.col("case").first().cast(pl.String).alias("example"))
        .with_columns((pl.col("n") / pl.col("n").sum()).alias("share"))
        .sort("n", descending=True, maintain_order=True)
    )


def spectrum(log: EventLog, source: str, target: str) -> pl.DataFrame:
    """Return the performance spectrum of a segment: one row per case that passes it.

    ``case``, ``start`` (end of `source`), ``end`` (end of the `target` that directly follows),
    ``hours``, ``quarter`` (1 quickest to 4 slowest). Denisov, Fahland and van der Aalst, BPM 2018.
    """
    follows = pl.col("case") == pl.col("case").shift(1)
    before = pl.col("activity").cast(pl.String).shift(1) == source
    rows = log.steps.select(
        pl.col("case").cast(pl.String),
        pl.col("end").shift(1).alias("start"),
        pl.col("end"),
        (follows & before & (pl.col("activity").cast(pl.String) == target)).alias("hit"),
    )
    rows = rows.filter(pl.col("hit").fill_null(False)).drop("hit").drop_nulls()
    hours = (pl.col("end") - pl.col("start")).dt.total_microseconds() / 3.6e9
    rows = rows.with_columns(hours.alias("hours")).sort("start")
    rank = pl.col("hours").rank("ordinal")
    return rows.with_columns(((rank - 1) * 4 // pl.len() + 1).cast(pl.Int64).alias("quarter"))


@dataclass(frozen=True)
class Reference:
    """What the protocol expects: activities in order and, for some, the hours they may take.

    `within_h` counts from the completion of the expected predecessor.
    """

    activities: tuple[str, ...]
    within_h: Mapping[str, float]


@dataclass(frozen=True)
class Conformance:
    """Reality against the protocol.

    `by_activity`: ``activity``, ``skipped``, ``added``, ``reordered``, ``late`` (numbers of cases),
    in the protocol's order, then what the protocol does not know. `by_case`: ``case``, ``fits`` and
    the activities concerned as lists.
    """

    by_activity: pl.DataFrame
    by_case: pl.DataFrame

    @property
    def fitting(self) -> int:
        """The number of cases that went as the protocol says (additions aside)."""
        return int(self.by_case["fits"].sum())

    def sentence(self) -> str:
        """Say in words what was found."""
        total = self.by_case.height
        share = self.fitting / max(1, total)
        return (
            f"{self.fitting:,} of {total:,} journeys ({share:.0%}) did what is expected, in order."
        )


def conformance(log: EventLog, reference: Reference) -> Conformance:
    """Hold every case of `log` against `reference`."""
    courses = log.steps.group_by("case", maintain_order=True).agg(
        pl.col("activity").cast(pl.String).alias("course"), pl.col("end").alias("times")
    )
    judged: dict[tuple[str, ...], tuple[list[str], list[str], list[str]]] = {}
    rows = []
    for case, course, times in courses.iter_rows():
        key = tuple(course)
        if key not in judged:
            judged[key] = compare(key, reference.activities)
        skipped, added, reordered = judged[key]
        rows.append(
            {
                "case": str(case),
                "fits": not (skipped or reordered),
                "skipped": skipped,
                "added": added,
                "reordered": reordered,
                "late": _late(course, times, reference),
            }
        )
    kinds = ("skipped", "added", "reordered", "late")
    # Explicit, so that a log in which nothing departs has the same columns.
    lists = dict.fromkeys(kinds, pl.List(pl.String))
    schema: dict[str, Any] = {"case": pl.String, "fits": pl.Boolean, **lists}
    by_case = pl.DataFrame(rows, schema=schema)
    names = list(reference.activities)
    seen = log.steps["activity"].cast(pl.String).unique().sort()
    names += [name for name in seen if name not in names]
    table = pl.DataFrame({"activity": names})
    for kind in kinds:
        counts = (
            by_case.select(pl.col(kind).list.unique().alias("activity")).explode("activity").drop_nulls()
            .group_by("activity").agg(pl.len().alias(kind))
        )  # fmt: skip
        table = table.join(counts, on="activity", how="left", maintain_order="left")
    return Conformance(table.with_columns(pl.col(kinds).fill_null(0)), by_case)


def compare(
    course: Sequence[str], expected: Sequence[str]
) -> tuple[list[str], list[str], list[str]]:
    """Return what of `expected` was skipped, what was added, what was done out of order.

    The longest common subsequence is taken as in order. An expected activity outside it that was
    done all the same is reordered; one that was not done is skipped; what is left of the course,
    repetitions included, is added.
    """
    n, m = len(course), len(expected)
    length = [[0] * (m + 1) for _ in range(n + 1)]
    for i in range(n - 1, -1, -1):
        for j in range(m - 1, -1, -1):
            if course[i] == expected[j]:
                length[i][j] = length[i + 1][j + 1] + 1
            else:
                length[i][j] = max(length[i + 1][j], length[i][j + 1])
    i = j = 0
    rest: list[str] = []
    missing: list[str] = []
    while i < n and j < m:
        if course[i] == expected[j]:
            i, j = i + 1, j + 1
        elif length[i + 1][j] >= length[i][j + 1]:
            rest.append(course[i])
            i += 1
        else:
            missing.append(expected[j])
            j += 1
    rest += course[i:]
    missing += expected[j:]
    reordered = []
    for name in list(missing):
        if name in rest:
            rest.remove(name)
            missing.remove(name)
            reordered.append(name)
    return missing, rest, reordered


def _late(course: Sequence[str], times: Sequence[object], reference: Reference) -> list[str]:
    """Return the activities that took longer than the protocol allows since their predecessor."""
    late = []
    done: dict[str, object] = {}
    for name, time in zip(course, times, strict=True):
        done.setdefault(name, time)
    for before, name in zip(reference.activities, reference.activities[1:], strict=False):
        allowed = reference.within_h.get(name)
        start, end = done.get(before), done.get(name)
        if allowed is None or start is None or end is None:
            continue
        if (end - start).total_seconds() > allowed * 3600:  # type: ignore[operator]
            late.append(name)
    return late


def typical_course(log: EventLog) -> Reference:
    """Return what most cases do, in its usual order, as a stand-in where no protocol is given.

    The commonest variant would be no stand-in: in a log with many variants it is a short one.
    """
    place = pl.int_range(pl.len()).over("case") / pl.len().over("case")
    first = log.steps.select("case", pl.col("activity").cast(pl.String), place.alias("place"))
    first = first.group_by("case", "activity").agg(pl.col("place").min())
    usual = first.group_by("activity").agg(pl.len().alias("n"), pl.col("place").median())
    usual = usual.filter(pl.col("n") * 2 > log.steps["case"].n_unique()).sort("place", "activity")
    return Reference(tuple(usual["activity"]), {})
