"""Figures on interfaces: where handoffs are, what they cost, who hands to whom."""

from __future__ import annotations

from typing import Any

import polars as pl

from stafett.eventlog import EventLog
from stafett.insight.afterwards import remarks
from stafett.insight.hours import WorkingHours
from stafett.insight.interfaces import Interfaces, interfaces
from stafett.insight.pictures.bars import Bar, interval_bars
from stafett.insight.pictures.flow import sankey
from stafett.insight.pictures.heat import heat_map
from stafett.insight.pictures.svg import Figure, number
from stafett.insight.report.basis import basis
from stafett.insight.sites import LEAST_JOURNEYS, beside_all

MOST_GROUPS, MOST_BARS, FEWEST_FOR_HEADLINE = 16, 15, 30


def interface_figures(
    log: EventLog, hours: WorkingHours, seed: int, everyone: EventLog | None = None
) -> tuple[list[Figure], list[str]]:
    """Return the figures on interfaces, and notes."""
    found = interfaces(log, by="pair", hours=hours, seed=seed)
    if found.table.is_empty():
        return [], ["Interfaces: the log shows no handoff, so there is nothing to compare."]
    figures = [_ranking(log, found), _heat(log, found), _sankey(log, found)]
    if found.mismatches.height:
        figures.append(_mismatches(log, found))
    if everyone is not None and everyone.cases > log.cases:
        figures.append(_beside_all(log, everyone, hours))
    notes = [*remarks(log), *found.notes, f"Out of hours is what lies outside {hours.sentence()}."]
    return figures, notes


def _beside_all(log: EventLog, everyone: EventLog, hours: WorkingHours) -> Figure:
    table = beside_all(log, everyone, hours)
    told = table.drop_nulls("others_median_h")
    slower = told.filter(pl.col("median_h") > pl.col("others_median_h"))
    sentence = (
        f"Journeys of others are told in sums only, from {LEAST_JOURNEYS} of them on: that is so at"
        f" {told.height} of {table.height} interfaces. At {slower.height} of these half of your"
        " handoffs take longer than half of theirs; this is a comparison without intervals."
    )
    bars = [
        Bar(r["interface"], r["median_h"] - r["others_median_h"], 0.0, 0.0) for r in told.to_dicts()
    ]
    bars = [Bar(b.name, b.value, b.value, b.value) for b in bars]
    return Figure(
        "interfaces-all",
        "Beside all journeys of the network",
        sentence,
        basis(log, int(told["journeys"].sum()), "passages of yours"),
        interval_bars(
            bars, title="Yours less others'", unit="hours of median dwell, yours less others'"
        ),
        table,
    )


def _named(table: pl.DataFrame) -> pl.DataFrame:
    pair = pl.concat_str(
        [pl.col("giver").cast(pl.String), pl.col("receiver").cast(pl.String)], separator=" → "
    )
    return table.with_columns(pair.alias("interface"))


def _ranking(log: EventLog, found: Interfaces) -> Figure:
    table = _named(found.table)
    top = table.head(MOST_BARS)
    bars = [
        Bar(r["interface"], r["cost_h"], r["cost_low"], r["cost_high"])
        for r in top.iter_rows(named=True)
    ]
    first = top.row(0, named=True)
    right = first["right_first_time"]
    told = "" if right is None else f" It is right first time in {right:.0%} of handoffs."
    sentence = (
        f"{first['interface']} costs the chain most: {number(first['cost_h'])} hours per journey "
        f"(95 % interval {number(first['cost_low'])} to {number(first['cost_high'])}), "
        f"{first['share_of_waiting']:.0%} of all waiting.{told}{_mostly(log, first)}"
    )
    few = int(first["n"]) < FEWEST_FOR_HEADLINE
    headline = (
        f"The handoff {first['interface']} costs patients most: {number(first['cost_h'])} hours of"
        f" each journey (95 % interval {number(first['cost_low'])} to"
        f" {number(first['cost_high'])}), {first['share_of_waiting']:.0%} of all waiting."
        + _mostly(log, first)
        + (f" It rests on {first['n']} handoffs only." if few else "")
    )
    svg = interval_bars(
        bars, title="Cost of interfaces", unit="hours per journey (dwell and rework), 95 % interval"
    )
    return Figure(
        "interfaces",
        "What each interface costs",
        sentence,
        basis(log, int(found.table["n"].sum()), "handoffs"),
        svg,
        table.drop("giver", "receiver").select("interface", pl.exclude("interface")),
        headline,
    )


def _mostly(log: EventLog, pair: dict[str, Any]) -> str:
    """Say from which step to which a pair loses most: other figures name interfaces by these."""
    sums = (
        log.handoffs.filter(
            (pl.col("giver").cast(pl.String) == str(pair["giver"]))
            & (pl.col("receiver").cast(pl.String) == str(pair["receiver"]))
        )
        .group_by(pl.col("activity").cast(pl.String))
        .agg((pl.col("end") - pl.col("enqueue")).dt.total_seconds().sum().alias("s"))
        .sort("s", "activity", descending=[True, False])
    )
    whole = sums["s"].sum()
    if sums.height < 2 or not whole:
        return ""
    return f" The largest part of its time is {sums['activity'][0]}: {sums['s'][0] / whole:.0%}."


def _heat(log: EventLog, found: Interfaces) -> Figure:
    table = found.table.with_columns(pl.col("giver", "receiver").cast(pl.String))
    volume: dict[str, int] = {}
    for giver, receiver, n in table.select("giver", "receiver", "n").iter_rows():
        volume[giver] = volume.get(giver, 0) + n
        volume[receiver] = volume.get(receiver, 0) + n
    names = sorted(volume, key=lambda name: -volume[name])[:MOST_GROUPS]
    left_out = len(volume) - len(names)
    values = {
        (g, r): m
        for g, r, m in table.select("giver", "receiver", "median_h").iter_rows()
        if g in names and r in names
    }
    often = table.filter(pl.col("n") >= 10)
    slowest = (
        (often if often.height else table).sort("median_h", descending=True).row(0, named=True)
    )
    sentence = (
        "Among interfaces seen at least ten times the longest median dwell is from"
        f" {slowest['giver']} to {slowest['receiver']}: {number(slowest['median_h'])} hours."
        if often.height
        else (
            f"No interface was seen ten times; the longest median is {number(slowest['median_h'])}"
            " hours."
        )
    )
    if left_out > 0:
        sentence += f" The {left_out} groups with fewest handoffs are left out of the picture."
    svg = heat_map(
        names,
        names,
        values,
        title="Heat map of interfaces",
        row_title="giver",
        column_title="receiver",
        unit="median hours",
    )
    keep = ["giver", "receiver", "n", "median_h", "p95_h", "tail", "out_of_hours", "returned"]
    return Figure(
        "heat-map",
        "Dwell from giver to receiver",
        sentence,
        basis(log, int(found.table["n"].sum()), "handoffs"),
        svg,
        table.select(keep),
    )


def _sankey(log: EventLog, found: Interfaces) -> Figure:
    table = found.table.with_columns(pl.col("giver", "receiver").cast(pl.String)).sort(
        "n", descending=True
    )
    flows = {(g, r): n for g, r, n in table.head(40).select("giver", "receiver", "n").iter_rows()}
    total = int(table["n"].sum())
    first = table.row(0, named=True)
    shown = sum(flows.values()) / total
    sentence = (
        f"The busiest interface is {first['giver']} → {first['receiver']} with {first['n']:,} of "
        f"{total:,} handoffs; the picture shows {shown:.0%} of them."
    )
    return Figure(
        "flow",
        "Who hands to whom",
        sentence,
        basis(log, total, "handoffs"),
        sankey(flows, title="Handoffs from giver to receiver"),
        table.select("giver", "receiver", "n"),
    )


def _mismatches(log: EventLog, found: Interfaces) -> Figure:
    total = found.mismatches.group_by(pl.col("deviation").cast(pl.String)).agg(pl.col("n").sum())
    total = total.sort("n", descending=True)
    bars = [Bar(name, n, n - 1.96 * n**0.5, n + 1.96 * n**0.5) for name, n in total.iter_rows()]
    bars = [Bar(b.name, b.value, max(0.0, b.low), b.high) for b in bars]
    count = int(total["n"].sum())
    sentence = (
        f"{total['deviation'][0]} is the commonest kind: {total['n'][0]:,} of {count:,} mismatches."
    )
    table = _named(found.mismatches).select("interface", "deviation", "n")
    return Figure(
        "mismatches",
        "Mismatches by kind",
        sentence,
        basis(log, count, "mismatches"),
        interval_bars(bars, title="Mismatches by kind", unit="mismatches, 95 % interval (Poisson)"),
        table,
    )
