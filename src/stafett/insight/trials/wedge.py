"""Stepped wedge: sites take up a change one after another; each is its own comparison.

A mixed model with a fixed effect for each period (whatever changes everywhere is no effect of the
change), a fixed effect of the change, and random effects of the site and of the site in a period:
Hussey and Hughes, Contemp. Clin. Trials 28, 2007; Hooper et al., Stat. Med. 35, 2016. The interval
uses Student's t with as many degrees of freedom as there are sites less two, since few sites say
little about how much sites differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from scipy import stats

from stafett.insight.layers import Factor, Fit, design, fit
from stafett.insight.layers.design import NotIdentifiableError

FEWEST_SITES = 3


@dataclass(frozen=True)
class Wedge:
    """The effect of the change, in units of the outcome, with its interval; and its model."""

    effect: float
    low: float
    high: float
    p: float
    sites: int
    periods: int
    fitted: Fit


def wedge(rows: pl.DataFrame, *, level: float = 0.95) -> Wedge:
    """Estimate from rows with ``outcome``, ``site``, ``period`` and ``changed`` (0 or 1).

    Raises:
        NotIdentifiableError: too few sites, nobody changed or everybody at once, in words.
    """
    rows = rows.with_columns(
        pl.col("changed").cast(pl.Float64), pl.col("site", "period").cast(pl.String)
    )
    sites, periods = rows["site"].n_unique(), rows["period"].n_unique()
    if sites < FEWEST_SITES:
        raise NotIdentifiableError(f"{sites} sites are too few; it takes {FEWEST_SITES}")
    mixed = rows.group_by("period").agg(pl.col("changed").n_unique() == 2)
    if not mixed["changed"].any():
        raise NotIdentifiableError(
            "in no period were some sites changed and others not yet, so the change cannot be told"
            " from the time"
        )
    both = pl.concat_str(["site", "period"], separator=" in ")
    model = design(
        rows.with_columns(both.alias("site in period")),
        "outcome",
        [Factor("site", "institutional"), Factor("site in period", "operational")],
        ["changed", "period"],
    )
    if "changed" not in model.x_names:
        raise NotIdentifiableError("the change cannot be told from the periods")
    found = fit(model)
    at = model.x_names.index("changed")
    effect, se = float(found.beta[at]), float(found.beta_se[at])
    freedom = max(sites - 2, 1)
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * se
    p = float(2 * stats.t.sf(abs(effect) / se, freedom))
    return Wedge(effect, effect - half, effect + half, p, sites, periods, found)
