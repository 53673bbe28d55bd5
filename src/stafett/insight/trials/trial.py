"""A trial of a change at one interface: what was registered, and what came of it.

Registered are who, what, when, at which interface and with which expected effect, before the
outcome is looked at. Where at least three sites begin at different times the effect is estimated as
a stepped wedge, otherwise as an interrupted time series.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from stafett.eventlog import EventLog
from stafett.insight.hours import WorkingHours
from stafett.insight.interfaces import handoff_rows
from stafett.insight.layers.design import NotIdentifiableError
from stafett.insight.registered import Trial
from stafett.insight.sites import site
from stafett.insight.trials.series import Interrupted, SeriesError, interrupted
from stafett.insight.trials.wedge import FEWEST_SITES, Wedge, wedge

MINUTE = 1 / 60
FEWEST_IN_WEEK = 1


class TrialError(ValueError):
    """A trial that cannot be judged yet; the message says why and what is missing."""


@dataclass(frozen=True)
class Effect:
    """The effect in the units of `Trial.expected`, with its 95 % interval.

    `weekly` has ``week``, ``n``, ``value`` (median hours or share) and ``changed``; `model` is the
    fitted series or wedge.
    """

    effect: float
    low: float
    high: float
    p: float
    n: int
    weekly: pl.DataFrame
    model: Interrupted | Wedge

    def verdict(self, expected: float) -> str:
        """Say in words how the effect stands to what was expected."""
        if self.low > 0 or self.high < 0:
            same = (self.effect < 0) == (expected < 0)
            way = "as expected" if same else "against what was expected"
            within = self.low <= expected <= self.high
            more = "; the expected size lies inside the interval" if within else ""
            return f"a change, {way} in direction{more}"
        return "no change that could not be chance; the interval says what is not ruled out"


def judge(log: EventLog, trial: Trial, hours: WorkingHours | None = None) -> Effect:
    """Estimate the effect of `trial` in `log`.

    Raises:
        TrialError: too little of the interface, of time or of sites.
    """
    rows = handoff_rows(log, hours or WorkingHours())
    rows = rows.filter(pl.col("activity").cast(pl.String) == trial.interface).sort("enqueue")
    if rows.is_empty():
        raise TrialError(f"no finished handoff is called {trial.interface!r}")
    if trial.outcome == "dwell":
        rows = rows.with_columns((pl.col("dwell_h") + MINUTE).log().alias("outcome_"))
    else:
        rows = rows.filter(pl.col("outcome").is_not_null())
        right = pl.col("outcome").cast(pl.String) == "ok"
        rows = rows.with_columns(right.cast(pl.Float64).alias("outcome_"))
    at = {name: _at(rows, name, began) for name, began in trial.starts.items()}
    unknown = [name for name, found in at.items() if found.is_empty()]
    if unknown:
        raise TrialError(
            f"{', '.join(unknown)} neither gives nor receives at {trial.interface} in this data"
        )
    mine = pl.concat(at.values()).with_columns(
        (pl.col("enqueue").dt.date() >= pl.col("began")).alias("changed"),
        pl.col("enqueue").dt.truncate("1w").dt.date().alias("week"),
    )
    staggered = len(trial.starts) >= FEWEST_SITES and len(set(trial.starts.values())) > 1
    try:
        model = _wedge(mine) if staggered else _series(mine, min(trial.starts.values()))
    except (SeriesError, NotIdentifiableError) as error:
        raise TrialError(str(error)) from None
    ends = [model.effect, model.low, model.high]
    effect, low, high = (
        100 * float(np.expm1(e)) if trial.outcome == "dwell" else 100 * e for e in ends
    )
    value = pl.col("dwell_h").median() if trial.outcome == "dwell" else pl.col("outcome_").mean()
    weekly = mine.group_by("week").agg(
        pl.len().alias("n"), value.alias("value"), pl.col("changed").mean()
    )
    return Effect(effect, low, high, model.p, mine.height, weekly.sort("week"), model)


def _at(rows: pl.DataFrame, name: str, began: date) -> pl.DataFrame:
    """Return the handoffs at which `name` gives or receives, with the day on which it began."""
    here = (site("giver") == name) | (site("receiver") == name)
    return rows.filter(here.fill_null(False)).with_columns(
        pl.lit(name).alias("site"), pl.lit(began).alias("began")
    )


def _series(rows: pl.DataFrame, began: date) -> Interrupted:
    weeks = (
        rows.group_by("week")
        .agg(pl.col("outcome_").mean(), pl.len().alias("n"))
        .sort("week")
        .filter(pl.col("n") >= FEWEST_IN_WEEK)
    )
    start = int((weeks["week"] < began - timedelta(days=began.weekday())).sum())
    return interrupted(weeks["outcome_"].to_numpy(), start, weights=weeks["n"].to_numpy())


def _wedge(rows: pl.DataFrame) -> Wedge:
    month = pl.col("enqueue").dt.strftime("%Y-%m")
    return wedge(
        rows.select(
            pl.col("outcome_").alias("outcome"), "site", month.alias("period"), pl.col("changed")
        )
    )
