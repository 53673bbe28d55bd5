"""The monthly page of a site: how it compares, what changed, the one interface worth working on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from stafett.eventlog import EventLog
from stafett.insight.control import ControlError, in_words, xmr
from stafett.insight.hours import WorkingHours
from stafett.insight.interfaces import handoff_rows, interfaces
from stafett.insight.layers import Factor, design, fit
from stafett.insight.layers.design import NotIdentifiableError
from stafett.insight.pictures.bars import Bar, forest
from stafett.insight.pictures.series import control_chart
from stafett.insight.pictures.svg import Figure, number
from stafett.insight.report.basis import basis
from stafett.insight.report.control_figures import FEWEST_POINTS, by_period
from stafett.insight.sites import site, sites

FEWEST = 10  # handoffs at an interface before anything is said of it
BEFORE_MONTHS = 6
DRAWS = 1000
MINUTE = 1 / 60


def feedback_figures(
    log: EventLog, hours: WorkingHours, name: str | None, seed: int
) -> tuple[list[Figure], list[str]]:
    """Return the page of the site `name` (default: the one with most handoffs), and notes."""
    known = sites(log)
    if not known:
        return [], ["Feedback: the log shows no handoff, so no site has anything to compare."]
    rows = handoff_rows(log, hours).with_columns(
        pl.col("activity").cast(pl.String),
        site("giver").alias("gives"),
        site("receiver").alias("receives"),
    )
    if name is None:
        name = str(rows["receives"].drop_nulls().value_counts(sort=True)["receives"][0])
    mine = rows.filter(((pl.col("gives") == name) | (pl.col("receives") == name)).fill_null(False))
    if mine.is_empty():
        return [], [f"Feedback: {name} neither gives nor receives here; known are: "
                    f"{', '.join(known[:20])}."]  # fmt: skip
    figures: list[Figure] = []
    notes = [f"Feedback: this page is about {name}; both sides of an interface see the same."]
    parts: list[Callable[[], Figure]] = [
        lambda: _worth(log, hours, mine, name, seed),
        lambda: _compared(log, rows, name),
        lambda: _changed(log, mine, name, seed),
    ]
    for part in parts:
        try:
            figures.append(part())
        except (ControlError, NotIdentifiableError) as error:
            notes.append(f"Feedback: {error}")
    return figures, notes


def _worth(log: EventLog, hours: WorkingHours, mine: pl.DataFrame, name: str, seed: int) -> Figure:
    """The interface whose cost is largest even at the lower end of its interval."""
    cases = mine["case"].cast(pl.String).unique()
    part = EventLog(
        log.frame.filter(pl.col("case").cast(pl.String).is_in(cases.implode())),
        log.source,
        log.zone,
    )
    table = interfaces(part, by="interface", hours=hours, seed=seed).table.with_columns(
        pl.col("activity").cast(pl.String)
    )
    here = mine["activity"].unique()
    table = table.filter(pl.col("activity").is_in(here.implode()) & (pl.col("n") >= FEWEST))
    if table.is_empty():
        raise ControlError(f"no interface of {name} has {FEWEST} finished handoffs yet.")
    top = table.sort("cost_low", descending=True).row(0, named=True)
    which = top["activity"]
    at = mine.filter(pl.col("activity") == which)
    right = top["right_first_time"]
    evidence = [
        f"it costs {number(top['cost_h'])} hours of each journey (95 % interval"
        f" {number(top['cost_low'])} to {number(top['cost_high'])}), rank {top['rank_low']} to"
        f" {top['rank_high']} of all",
        f"half of the handoffs take over {number(top['median_h'])} h, one in twenty over"
        f" {number(top['p95_h'])} h",
        f"{top['out_of_hours']:.0%} of that time lies out of hours",
    ]
    if right is not None:
        evidence.append(f"{right:.0%} are right first time")
    weeks = by_period(at, pl.col("dwell_h").median().alias("median_h"))
    if weeks.height < FEWEST_POINTS:
        raise ControlError(
            f"{which} is the interface worth working on ({'; '.join(evidence)}), but it has only"
            f" {weeks.height} periods to chart."
        )
    chart = xmr(weeks["median_h"].to_numpy(), floor=0.0)
    sentence = f"Work on {which}: {'; '.join(evidence)}. {chart.sentence()}"
    table_ = weeks.with_columns(
        pl.Series("centre", chart.centre), pl.Series("lower", chart.lower),
        pl.Series("upper", chart.upper),
        pl.Series("signal", in_words(chart.signals, weeks.height)),
    )  # fmt: skip
    return Figure(
        "feedback-worth",
        f"The one interface worth working on: {which}",
        sentence,
        basis(log, at.height, "handoffs"),
        control_chart(
            chart, weeks["period"].to_list(), title=f"{which} at {name}", unit="median hours"
        ),
        table_,
        f"Worth working on at {name}: {which}, which {evidence[0].removeprefix('it ')}.",
    )


def _compared(log: EventLog, rows: pl.DataFrame, name: str) -> Figure:
    """Each interface at which the site receives, beside the same elsewhere, shrunken."""
    table = rows.filter(pl.col("receives").is_not_null()).select(
        (pl.col("dwell_h") + MINUTE).log().alias("log_dwell"),
        pl.col("case").cast(pl.String).alias("patient"),
        pl.col("receives").alias("site"),
        pl.col("activity").alias("interface"),
    )
    here = set(table.filter(pl.col("site") == name)["interface"])
    shared = table.group_by("interface").agg(pl.col("site").n_unique().alias("k"))
    shared = shared.filter((pl.col("k") > 1) & pl.col("interface").is_in(list(here)))
    table = table.filter(pl.col("interface").is_in(shared["interface"].implode()))
    if table.is_empty():
        raise ControlError(f"no other site receives where {name} does: nothing to compare with.")
    factors = [
        Factor("patient", "biological"),
        Factor("site", "institutional"),
        Factor("site at interface", "institutional", ("interface", "site")),
    ]
    found = fit(design(table, "log_dwell", factors, ["interface"]))
    names = [f.name for f in found.design.factors]
    effects = dict(zip(names, found.estimates(), strict=True))
    labels = dict(zip(names, found.design.labels, strict=True))

    def effect(factor: str, level: str) -> tuple[float, float]:
        if factor not in effects or level not in labels[factor]:
            return 0.0, 0.0
        i = labels[factor].index(level)
        return float(effects[factor][0][i]), float(effects[factor][1][i])

    out = []
    for interface in sorted(shared["interface"]):
        own = table.filter((pl.col("interface") == interface) & (pl.col("site") == name))
        a, b = effect("site", name), effect("site at interface", f"{interface} × {name}")
        centre, sd = a[0] + b[0], float(np.hypot(a[1], b[1]))
        ends = [float(np.exp(centre + k * sd)) for k in (0, -1.96, 1.96)]
        others = table.filter((pl.col("interface") == interface) & (pl.col("site") != name))
        out.append((interface, own.height, others.height, *ends))
    answer = pl.DataFrame(
        out, schema=["interface", "here", "elsewhere", "times_usual", "low", "high"], orient="row"
    ).sort("times_usual", descending=True)
    slow = answer.filter(pl.col("low") > 1)["interface"].to_list()
    quick = answer.filter(pl.col("high") < 1)["interface"].to_list()
    sentence = (
        f"Slower than elsewhere beyond doubt: {', '.join(slow) or 'none'}. Quicker beyond doubt:"
        f" {', '.join(quick) or 'none'}. Small numbers are pulled towards the usual."
    )
    bars = [Bar(r[0], *r[3:]) for r in answer.iter_rows()][:30]
    return Figure(
        "feedback-compared",
        f"How {name} compares where it takes over",
        sentence,
        basis(log, int(answer["here"].sum()), "handoffs received"),
        forest(bars, title="Dwell here", unit="times the usual dwell, 95 % interval", centre=1.0),
        answer,
    )


def _changed(log: EventLog, mine: pl.DataFrame, name: str, seed: int) -> Figure:
    """The last whole month beside the half year before it."""
    last = mine["end"].max()
    assert isinstance(last, datetime)
    month = _month(last)
    cut = (month.year * 12 + month.month - 1) - BEFORE_MONTHS
    first = datetime(cut // 12, cut % 12 + 1, 1, tzinfo=UTC)
    begin = datetime(month.year, month.month, 1, tzinfo=UTC)
    end = (begin + timedelta(days=32)).replace(day=1)
    now = mine.filter((pl.col("end") >= begin) & (pl.col("end") < end))
    before = mine.filter((pl.col("end") >= first) & (pl.col("end") < begin))
    rng = np.random.default_rng(seed)
    pairs = []
    for which in sorted(set(now["activity"])):
        a = now.filter(pl.col("activity") == which)["dwell_h"].to_numpy() + MINUTE
        b = before.filter(pl.col("activity") == which)["dwell_h"].to_numpy() + MINUTE
        if len(a) >= 5 and len(b) >= FEWEST:
            pairs.append((which, a, b))
    if not pairs:
        raise ControlError(
            f"in {month:%B %Y} no interface of {name} had five handoffs with {FEWEST} in the half"
            " year before: what changed cannot be told."
        )
    # As many comparisons as interfaces: each interval is widened so that all hold together.
    tail = 0.025 / len(pairs)
    out = []
    for which, a, b in pairs:
        drawn = np.log([
            np.median(rng.choice(a, len(a))) / np.median(rng.choice(b, len(b)))
            for _ in range(DRAWS)
        ])  # fmt: skip
        half = max(1e-9, float(np.quantile(drawn, 0.84) - np.quantile(drawn, 0.16)) / 2)
        ratio = float(np.log(np.median(a) / np.median(b)))
        reach = half * _normal(1 - tail)
        ends = (float(np.exp(ratio - reach)), float(np.exp(ratio + reach)))
        out.append((which, len(a), len(b), float(np.median(a)), float(np.median(b)),
                    float(np.exp(ratio)), *ends))  # fmt: skip
    names = ["interface", "n", "n_before", "median_h", "before_h", "ratio", "low", "high"]
    table = pl.DataFrame(out, schema=names, orient="row").sort("ratio", descending=True)
    up = table.filter(pl.col("low") > 1)["interface"].to_list()
    down = table.filter(pl.col("high") < 1)["interface"].to_list()
    sentence = (
        f"{month:%B %Y} beside the {BEFORE_MONTHS} months before. Slower beyond chance:"
        f" {', '.join(up) or 'none'}. Quicker beyond chance: {', '.join(down) or 'none'}. Intervals"
        f" are widened for {len(pairs)} comparisons."
    )
    bars = [Bar(r["interface"], r["ratio"], r["low"], r["high"]) for r in table.to_dicts()][:30]
    return Figure(
        "feedback-changed",
        f"What changed at {name}",
        sentence,
        basis(log, now.height, f"handoffs in {month:%B %Y}"),
        forest(bars, title="Change of dwell", unit="times the months before", centre=1.0),
        table,
    )


def _month(last: datetime) -> date:
    """Return the last month that has ended by `last`, or its own when it is all there is."""
    whole = (last + timedelta(days=1)).day == 1
    return last.date() if whole else last.date().replace(day=1) - timedelta(days=1)


def _normal(p: float) -> float:
    from scipy import stats

    return float(stats.norm.ppf(p))
