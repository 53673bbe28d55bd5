"""Stepped wedge: sites take up a change one after another; each is its own comparison.

A mixed model with a fixed effect for each period (whatever changes everywhere is no effect of the
change), a fixed effect of the change, and random effects of the site and of the site in a period:
Hussey and Hughes, Contemp. Clin. Trials 28, 2007; Hooper et al., Stat. Med. 35, 2016. Error and
degrees of freedom are Kenward and Roger's. As many degrees as there are sites less two were tried:
most of what is known of the effect lies within sites, and those intervals held the truth in all of
400 simulated wedges (`tests/insight/test_trials.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from stafett.insight.layers import Factor, Fit, design, fit
from stafett.insight.layers.contrast import Contrast, TooManyGroupsError, contrast
from stafett.insight.layers.design import NotIdentifiableError

FEWEST_SITES = 3
NO_REST = 1e-6  # a residual so small beside the outcome's spread is rounding


@dataclass(frozen=True)
class Wedge:
    """The effect of the change, in units of the outcome, with its interval; and its model.

    `se` is its small-sample error and `freedom` the degrees of Student's t for the interval.
    """

    effect: float
    se: float
    freedom: float
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
    rows = _without_copies(rows)
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
    if found.residual_sd <= NO_REST * float(model.y.std()):
        raise NotIdentifiableError(
            "site, period and change explain every outcome exactly, so there is no chance against"
            " which to hold the effect"
        )
    told = _told(found, model.x_names.index("changed"), sites)
    half = float(stats.t.ppf((1 + level) / 2, told.freedom)) * told.se
    p = float(2 * stats.t.sf(abs(told.estimate) / told.se, told.freedom))
    low, high = told.estimate - half, told.estimate + half
    return Wedge(
        told.estimate, told.se, told.freedom, low, high, p, sites, periods, found
    )  # fmt: skip


def _without_copies(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row a site, period and state where outcomes within each are all the same.

    They are then copies of one observation: the model's residual would be none, its ratios of
    variances without bound, and the error too small.
    """
    outcome = pl.col("outcome").cast(pl.Float64).fill_nan(None)
    cells = rows.with_columns(outcome).group_by("site", "period", "changed", maintain_order=True)
    found = cells.agg(
        pl.col("outcome").mean(), (pl.col("outcome").max() - pl.col("outcome").min()).alias("range")
    )
    widest = found["range"].drop_nulls().to_numpy().max(initial=0.0)
    means = found["outcome"].drop_nulls().to_numpy()
    spread = means.max(initial=-np.inf) - means.min(initial=np.inf)
    return found.drop("range") if spread > 0 and widest <= NO_REST * spread else rows


def _told(found: Fit, at: int, sites: int) -> Contrast:
    """Return the effect with its error; in very large wedges on the safe side."""
    try:
        return contrast(found, at)
    except TooManyGroupsError:
        return Contrast(float(found.beta[at]), float(found.beta_se[at]), float(max(sites - 2, 1)))
