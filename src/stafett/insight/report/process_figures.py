"""Figures on the process: how it really runs, against the protocol, and how fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import polars as pl

from stafett.eventlog import EventLog
from stafett.insight.alignment import NoAlignmentsError, align, partial_order
from stafett.insight.conformance import (
    Reference,
    conformance,
    directly_follows,
    spectrum,
    typical_course,
    variants,
)
from stafett.insight.pictures.bars import Bar, interval_bars
from stafett.insight.pictures.flow import process_map
from stafett.insight.pictures.series import spectrum_picture
from stafett.insight.pictures.svg import Figure, cut, number
from stafett.insight.report.basis import basis
from stafett.insight.sites import site

MOST_ACTIVITIES, MOST_EDGES, SPECTRA = 22, 60, 2


def process_figures(
    log: EventLog,
    reference: Reference | None,
    after: Mapping[str, Sequence[str]] | None = None,
) -> tuple[list[Figure], list[str]]:
    """Return the process map, conformance and the spectra of the slowest segments.

    `after` says what of the protocol comes after what; with it, journeys are aligned with the
    protocol as a partial order.
    """
    follows = directly_follows(log)
    if follows.is_empty():
        return [], ["Process: no case has two steps, so nothing follows anything."]
    figures = [_map(log, follows), *_spectra(log, follows)]
    notes = []
    if reference is None:
        reference = typical_course(log)
        notes.append(
            "Conformance: no protocol was given; what most journeys do, in its usual order, stands "
            "in for it, so departures are departures from custom."
        )
    elif not after:
        after = {b: [a] for a, b in pairwise(reference.activities)}
        after[reference.activities[0]] = []
    figures[1:1] = [_conformance(log, reference), *_by_site(log)]
    if after:
        try:
            figures.insert(2, _aligned(log, reference, after))
        except NoAlignmentsError as error:
            notes.append(f"Alignments: none, {error}.")
    return figures, notes


def usual_order(log: EventLog, order: Sequence[str]) -> Reference:
    """Return the protocol's steps in its order, those that most journeys come to.

    A protocol holds the paths of refusal and loss too; who holds every journey against all of them
    finds each journey wanting.
    """
    usual = set(typical_course(log).activities)
    return Reference(tuple(name for name in order if name in usual), {})


def _aligned(log: EventLog, reference: Reference, after: Mapping[str, Sequence[str]]) -> Figure:
    """The cheapest way in which journeys and the protocol can be brought to agree."""
    found = align(log, partial_order(after, reference.activities))
    bars = []
    for name, left_out, added in found.moves.head(15).iter_rows():
        kind, k = ("left out", left_out) if left_out >= added else ("added", added)
        bars.append(Bar(f"{name} {kind}", k / found.journeys, *_wilson(k, found.journeys)))
    low, high = _wilson(round(found.perfect * found.journeys), found.journeys)
    sentence = (
        f"{found.perfect:.0%} of {found.journeys:,} journeys (95 % interval {low:.0%} to"
        f" {high:.0%}) agree with the protocol without a move, work side by side counted as in"
        " order; fitness"
        f" {number(found.fitness)} (1: every step agrees)."
    )
    if found.unknown:
        sentence += f" For {found.unknown:,} journeys the search was given up."
    return Figure(
        "alignments",
        "Alignments with the protocol",
        sentence,
        basis(log, found.journeys, "journeys"),
        interval_bars(bars, title="Moves", unit="share of journeys, 95 % interval"),
        found.moves,
    )


def _by_site(log: EventLog) -> list[Figure]:
    """Do sites take different courses? Each site's commonest courses, beside those of all."""
    steps = log.frame.filter(pl.col("kind") == "step").with_columns(
        pl.col("case").cast(pl.String), site("giver").alias("site")
    )
    # The site of a journey is the one that does most of its steps, among those that differ.
    own = steps.group_by("case", "site").len().drop_nulls("site")
    shared = own.group_by("site").agg(pl.len().alias("cases"))
    everywhere = shared.filter(pl.col("cases") > 0.9 * log.cases)["site"]
    own = own.filter(~pl.col("site").is_in(everywhere.implode()))
    home = own.sort("len", "site", descending=[True, False]).unique("case", keep="first")
    courses = steps.group_by("case", maintain_order=True).agg(
        pl.col("activity").cast(pl.String).alias("course")
    )
    table = courses.join(home.select("case", "site"), on="case")
    if table["site"].n_unique() < 2:
        return []
    common = table.group_by("course").len().sort("len", descending=True)["course"][0]
    table = table.with_columns(
        (pl.col("course").list.join(" > ") == " > ".join(common)).alias("usual")
    )
    sums = (
        table.group_by("site")
        .agg(
            pl.len().alias("journeys"),
            pl.col("course").list.join(" > ").n_unique().alias("courses"),
            pl.col("usual").sum().alias("usual"),
        )
        .filter(pl.col("journeys") >= 10)
        .sort("site")
    )
    if sums.height < 2:
        return []
    bars = [
        Bar(name, k / n, *_wilson(k, n))
        for name, n, k in sums.select("site", "journeys", "usual").iter_rows()
    ]
    low, high = min(b.value for b in bars), max(b.value for b in bars)
    apart = max(b.low for b in bars) > min(b.high for b in bars)
    sentence = (
        f"Between {low:.0%} and {high:.0%} of a site's journeys take the commonest course; the"
        f" sites' intervals {'do not all overlap' if apart else 'overlap: this may be chance'}."
    )
    return [
        Figure(
            "variants-by-site",
            "Courses by site",
            sentence,
            basis(log, int(sums["journeys"].sum()), "journeys"),
            interval_bars(
                bars, title="Share on the commonest course", unit="share of journeys, 95 % interval"
            ),
            sums,
        )
    ]


def _map(log: EventLog, follows: pl.DataFrame) -> Figure:
    rank = pl.int_range(pl.len()).over("case") / pl.len().over("case")
    steps = log.steps.with_columns(rank.alias("rank"))
    nodes = steps.group_by(pl.col("activity").cast(pl.String)).agg(
        pl.len().alias("n"), pl.col("rank").mean()
    )
    shown = nodes.sort("n", descending=True).head(MOST_ACTIVITIES).sort("rank")
    names = shown["activity"].to_list()
    edges = [
        (a, b, n)
        for a, b, n in follows.select(pl.col("from", "to").cast(pl.String), "n").iter_rows()
        if a in names and b in names
    ][:MOST_EDGES]
    courses = variants(log)
    sentence = (
        f"{log.cases:,} journeys took {courses.height:,} different courses; the commonest covers"
        f" {courses['share'][0]:.0%}. The picture shows"
        f" {sum(n for *_, n in edges) / follows['n'].sum():.0%} of all passages."
    )
    svg = process_map(
        names, dict(nodes.select("activity", "n").iter_rows()), edges, title="Process map"
    )
    return Figure(
        "process-map",
        "The process as it runs",
        sentence,
        basis(log, log.steps.height, "steps"),
        svg,
        follows.with_columns(pl.col("from", "to").cast(pl.String)),
    )


def _conformance(log: EventLog, reference: Reference) -> Figure:
    found = conformance(log, reference)
    table = found.by_activity
    concerned = table.with_columns(
        pl.sum_horizontal("skipped", "added", "reordered", "late").alias("all")
    )
    top = (
        concerned.sort("all", descending=True, maintain_order=True)
        .filter(pl.col("all") > 0)
        .head(15)
    )
    n = found.by_case.height
    bars = []
    for row in top.iter_rows(named=True):
        kind = max(("skipped", "added", "reordered", "late"), key=lambda k: row[k])
        bars.append(Bar(f"{row['activity']} {kind}", row[kind] / n, *_wilson(row[kind], n)))
    names = ", ".join(cut(a, 20) for a in reference.activities[:8])
    sentence = (
        f"{found.sentence()} Held against: {names}{' …' if len(reference.activities) > 8 else ''}."
    )
    return Figure(
        "conformance",
        "Protocol against reality",
        sentence,
        basis(log, n, "journeys"),
        interval_bars(bars, title="Commonest departures", unit="share of journeys, 95 % interval"),
        table,
    )


def _wilson(k: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion."""
    z = 1.96
    p, d = k / n, 1 + z * z / n
    half = z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, (p + z * z / (2 * n) - half) / d), min(1.0, (p + z * z / (2 * n) + half) / d)


def _spectra(log: EventLog, follows: pl.DataFrame) -> list[Figure]:
    heavy = follows.filter(
        (pl.col("n") >= 10) & (pl.col("median_h") > 0) & (pl.col("from") != pl.col("to"))
    )
    heavy = heavy.with_columns((pl.col("median_h") * pl.col("n")).alias("weight")).sort(
        "weight", descending=True
    )
    figures = []
    for number_, row in enumerate(heavy.head(SPECTRA).iter_rows(named=True), start=1):
        rows = spectrum(log, row["from"], row["to"])
        sentence = (
            f"From {row['from']} to {row['to']}: median {number(row['median_h'])} h; the slowest"
            f" quarter took over {number(float(rows['hours'].quantile(0.75) or 0))} h. Lines that"
            " keep apart are work in turn; lines that meet below are work saved up and done"
            " together."
        )
        svg = spectrum_picture(rows, row["from"], row["to"], title="Performance spectrum")
        figures.append(
            Figure(
                f"spectrum-{number_}",
                f"Performance spectrum: {row['from']} → {row['to']}",
                sentence,
                basis(log, rows.height, "passages"),
                svg,
                rows,
            )
        )
    return figures
