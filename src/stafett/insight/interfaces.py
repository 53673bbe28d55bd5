"""Interfaces: what each handoff costs, seen the same from both of its sides.

The cost of an interface to the whole chain is counted in hours of the patient's time: the dwell at
the handoff, and, where the handoff failed, the time until the same handoff was passed (or the case
ended). Intervals come from drawing whole cases again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from scipy import sparse

from stafett.eventlog import EventLog
from stafett.insight.hours import WorkingHours, out_of_hours

FAILED = ("refused", "quarantined", "rework", "lost", "failed")
KEYS = {
    "pair": ["giver", "receiver"],
    "interface": ["activity"],
    "both": ["activity", "giver", "receiver"],
}
CHUNK = 25


TAIL = 0.05  # the slowest twentieth


@dataclass(frozen=True)
class Interfaces:
    """The table of interfaces, dearest first, with what it rests on.

    Columns of `table`: the keys; ``n`` handoffs; ``median_h``, ``p95_h``, ``max_h`` dwell;
    ``tail`` share of the dwell borne by its slowest twentieth; ``judged`` handoffs with a recorded
    outcome; ``right_first_time`` share of them; ``returned`` share after which the case went
    straight back from receiver to giver; ``out_of_hours`` share of the dwell; ``share_of_waiting``
    of all waiting in the log; ``cost_h`` hours per case with ``cost_low``, ``cost_high``,
    ``rank_low``, ``rank_high`` (95 %).
    ``mismatches`` has one row per key and kind of deviation with its count.
    """

    table: pl.DataFrame
    mismatches: pl.DataFrame
    keys: list[str]
    cases: int
    waiting_h: float
    notes: tuple[str, ...] = field(default=())

    def seen_from(self, organisation: str) -> pl.DataFrame:
        """Return the interfaces that `organisation` gives or receives at: one page for both."""
        sides = [c for c in ("giver", "receiver") if c in self.keys]
        test = pl.any_horizontal([pl.col(c).cast(pl.String) == organisation for c in sides])
        return self.table.filter(test)


def interfaces(
    log: EventLog,
    *,
    by: str = "pair",
    hours: WorkingHours | None = None,
    draws: int = 300,
    seed: int = 1,
) -> Interfaces:
    """Measure every interface of `log`, by ``pair`` of groups, ``interface`` or ``both``."""
    keys, hours = KEYS[by], hours or WorkingHours()
    rows = handoff_rows(log, hours)
    waiting = float(rows["dwell_h"].sum()) + _waiting_in_groups(log)
    notes = []
    if rows["outcome"].null_count() == rows.height:
        notes.append(
            "No outcome of a handoff is recorded: right first time cannot be told; "
            "how often a case went straight back is shown instead."
        )
    # So many rows, not all that last as long as the quantile: where most do, that would be most.
    timed = pl.col("dwell_h").drop_nulls()
    slowest = timed.sort(descending=True).head((timed.len() * TAIL).ceil().cast(pl.UInt32))
    total = pl.col("dwell_h").sum()
    judged = pl.col("outcome").is_not_null()
    table = rows.group_by(keys).agg(
        pl.len().alias("n"),
        pl.col("dwell_h").median().alias("median_h"),
        pl.col("dwell_h").quantile(0.95).alias("p95_h"),
        pl.col("dwell_h").max().alias("max_h"),
        (slowest.sum() / total).fill_nan(0.0).alias("tail"),
        judged.sum().alias("judged"),
        (pl.col("outcome").cast(pl.String) == "ok").mean().alias("right_first_time"),
        pl.col("returned").mean().alias("returned"),
        (pl.col("out_h").sum() / total).fill_nan(0.0).alias("out_of_hours"),
        (total / waiting if waiting else pl.lit(0.0)).alias("share_of_waiting"),
    )
    table = table.sort([pl.col(k).cast(pl.String) for k in keys])
    table = _with_costs(table, rows, keys, log.cases, draws, seed).sort(
        "cost_h", descending=True, maintain_order=True
    )
    mismatches = (
        rows.filter(pl.col("deviation").is_not_null())
        .group_by([*keys, "deviation"])
        .agg(pl.len().alias("n"))
        .sort("n", descending=True)
    )
    return Interfaces(table, mismatches, keys, log.cases, waiting, tuple(notes))


def handoff_rows(log: EventLog, hours: WorkingHours) -> pl.DataFrame:
    """Return the finished handoffs with dwell_h, out_h, returned and rework_h."""
    same = pl.col("case") == pl.col("case").shift(-1)
    back = (
        same
        & (pl.col("giver") == pl.col("receiver").shift(-1))
        & (pl.col("receiver") == pl.col("giver").shift(-1))
    ).fill_null(False)
    wanted = [
        "case", "activity", "giver", "receiver", "enqueue", "end", "outcome", "deviation", "row",
    ]  # fmt: skip
    rows = log.handoffs.select(wanted).with_columns(back.alias("returned"))
    last = log.frame.group_by("case").agg(pl.col("end").max().alias("case_end"))
    failed = rows["outcome"].cast(pl.String).is_in(FAILED).fill_null(False)
    hour = pl.duration(hours=1)
    if failed.any():
        passed = pl.col("end").shift(-1).over("case", "activity")
        rows = rows.with_columns(passed.alias("passed")).join(last, on="case", how="left")
        lost = (pl.coalesce("passed", "case_end") - pl.col("end")) / hour
        rows = rows.with_columns(pl.when(failed).then(lost).otherwise(0.0).alias("rework_h"))
        rows = rows.drop("passed", "case_end")
    else:
        rows = rows.with_columns(pl.lit(0.0).alias("rework_h"))
    rows = rows.filter(pl.col("end").is_not_null())
    outside = out_of_hours(rows["enqueue"], rows["end"], hours, log.zone)
    return rows.with_columns(
        ((pl.col("end") - pl.col("enqueue")) / hour).alias("dwell_h"),
        pl.Series("out_h", outside),
    )


def _waiting_in_groups(log: EventLog) -> float:
    """Hours that steps waited inside their own group (steps of no known group aside)."""
    wait = (pl.col("start") - pl.col("enqueue")).dt.total_microseconds().sum()
    return float(log.steps.filter(pl.col("giver").is_not_null()).select(wait).item() or 0) / 3.6e9


def _with_costs(
    table: pl.DataFrame, rows: pl.DataFrame, keys: list[str], cases: int, draws: int, seed: int
) -> pl.DataFrame:
    """Add hours per case, with intervals from drawing cases again."""
    if table.is_empty():
        empty = ["cost_h", "cost_low", "cost_high", "rank_low", "rank_high"]
        return table.with_columns([pl.lit(None, dtype=pl.Float64).alias(name) for name in empty])
    numbered = table.select(keys).with_row_index("@key")
    joined = rows.join(numbered, on=keys, how="left", nulls_equal=True)
    case = joined["case"].cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1
    key = joined["@key"].to_numpy().astype(np.int64)
    hours = (joined["dwell_h"] + joined["rework_h"]).to_numpy()
    cost = sparse.csr_matrix((hours, (case, key)), (cases, table.height))
    point = np.asarray(cost.sum(axis=0)).ravel() / cases
    rng = np.random.default_rng(seed)
    drawn = np.empty((draws, table.height))
    for begin in range(0, draws, CHUNK):
        count = min(CHUNK, draws - begin)
        weights = np.stack(
            [np.bincount(rng.integers(0, cases, cases), minlength=cases) for _ in range(count)]
        )
        drawn[begin : begin + count] = (cost.T @ weights.T).T / cases
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    ranks = (-drawn).argsort(axis=1).argsort(axis=1) + 1
    best, worst = np.quantile(ranks, [0.025, 0.975], axis=0, method="nearest")
    return table.with_columns(
        pl.Series("cost_h", point),
        pl.Series("cost_low", low),
        pl.Series("cost_high", high),
        pl.Series("rank_low", best.astype(np.int64)),
        pl.Series("rank_high", worst.astype(np.int64)),
    )
