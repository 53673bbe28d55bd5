"""Tier two: where did a defect that was detected late begin? Estimated, with its uncertainty.

Stages 0..K−1 in order. A defect arises at stage k with a chance that depends on the unit (site,
team) that did it, p_k(unit); a check at stage m ≥ k finds it with chance d_km. So

    P(origin k, surfaced at j) = p_k Π_{m<k}(1−p_m) · Π_{k≤m<j}(1−d_km) · d_kj.

Origins are told apart by their units: where the cases of one collection site surface more often
downstream than those of another, the defect began at collection. Recorded cause codes enter as
labels. At least one detector's sensitivity must be known (the anchor): by default the last stage
finds all that is left. Fitted by EM; intervals by drawing journeys again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PRIOR = 4.0  # journeys' worth of the stage's mean in each unit's rate: holds rare units back


@dataclass(frozen=True)
class Journeys:
    """What is known of n journeys over K stages.

    `surfaced` (n,): the stage at which a defect was found, −1 for none; `units` (n, K): who did
    each stage, numbered from 0 within the stage; `cause` (n,): the recorded origin, −1 for none.
    """

    stages: tuple[str, ...]
    surfaced: Ints
    units: Ints
    cause: Ints

    def pick(self, rows: Ints) -> Journeys:
        """Return the journeys `rows` (with repetition)."""
        return Journeys(self.stages, self.surfaced[rows], self.units[rows], self.cause[rows])


@dataclass(frozen=True)
class LatentOrigin:
    """Where defects began.

    `began` and `seen` (K,): shares of the surfaced defects by origin and by the stage where they
    surfaced; `low`, `high` (K,): 95 % interval of `began`; `matrix` (K, K): expected number of
    journeys detected at row's stage that began at column's; `detection` (K, K): d_km;
    `rates`: per stage the chance per unit.
    """

    stages: tuple[str, ...]
    began: Floats
    low: Floats
    high: Floats
    seen: Floats
    matrix: Floats
    detection: Floats
    rates: tuple[Floats, ...]
    notes: tuple[str, ...]

    @property
    def upstream(self) -> float:
        """The share of surfaced defects that began before the stage where they surfaced."""
        total = self.matrix.sum()
        return float(1 - np.trace(self.matrix) / total) if total else 0.0


def latent_origin(
    journeys: Journeys,
    *,
    anchors: Mapping[int, float] | None = None,
    draws: int = 40,
    seed: int = 1,
) -> LatentOrigin:
    """Estimate origins; `anchors` gives the known sensitivity of the checks of some stages.

    Raises:
        ValueError: no defect surfaced, or fewer than two stages.
    """
    k = len(journeys.stages)
    if k < 2:
        raise ValueError("an origin needs at least two stages to choose from")
    if not (journeys.surfaced >= 0).any():
        raise ValueError("no journey has a defect that surfaced, so there is no origin to find")
    anchors = dict(anchors) if anchors else {k - 1: 1.0}
    fitted = _em(journeys, anchors)
    matrix = _shares(journeys, fitted)
    began = matrix.sum(axis=0) / matrix.sum()
    rng = np.random.default_rng(seed)
    n = len(journeys.surfaced)
    drawn = []
    for _ in range(draws):
        again = journeys.pick(rng.integers(0, n, n))
        if (again.surfaced >= 0).any():
            share = _shares(again, _em(again, anchors, start=fitted, rounds=60)).sum(axis=0)
            drawn.append(share / share.sum())
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0) if drawn else (began, began)
    seen = np.bincount(journeys.surfaced[journeys.surfaced >= 0], minlength=k).astype(float)
    notes = [
        f"Anchored on {', '.join(f'{journeys.stages[s]} = {v:.0%}' for s, v in anchors.items())} "
        "(sensitivity taken as known).",
        "The intervals are too narrow: on simulated journeys the nominal 95 % held the truth about "
        "half of the time. Read them as the least doubt there is.",
    ]
    few = [journeys.stages[s] for s in range(k) if journeys.units[:, s].max() < 4]
    if few:
        notes.append(
            f"{', '.join(few)}: fewer than five units, so defects that begin there are told from "
            "others mostly by the model; read their intervals, not their points."
        )
    return LatentOrigin(
        journeys.stages, began, np.minimum(low, began), np.maximum(high, began), seen / seen.sum(),
        matrix, fitted.detection, tuple(fitted.rates), tuple(notes),
    )  # fmt: skip


@dataclass
class _Fitted:
    rates: list[Floats]
    detection: Floats


def _posterior(journeys: Journeys, fitted: _Fitted) -> tuple[Floats, Floats]:
    """Return P(origin = k | data) (n, K) and P(no defect | data) (n,)."""
    n, k = journeys.units.shape
    p = np.column_stack([fitted.rates[s][journeys.units[:, s]] for s in range(k)])
    clean = np.cumprod(np.column_stack([np.ones(n), 1 - p]), axis=1)
    arise = p * clean[:, :-1]
    d = fitted.detection
    found = np.zeros((k, k + 1))  # P(surfaced at j, or never (last column) | origin k)
    for origin in range(k):
        missed = 1.0
        for j in range(origin, k):
            found[origin, j] = missed * d[origin, j]
            missed *= 1 - d[origin, j]
        found[origin, k] = missed
    at = np.where(journeys.surfaced >= 0, journeys.surfaced, k)
    weight = arise * found[:, at].T
    known = journeys.cause >= 0
    if known.any():
        only = np.zeros((int(known.sum()), k))
        only[np.arange(len(only)), journeys.cause[known]] = 1
        weight[known] = only * np.maximum(weight[known], 1e-300)
    none = np.where(at == k, clean[:, -1], 0.0)
    total = weight.sum(axis=1) + none
    # A defect that the model holds impossible counts nowhere.
    safe = np.where(total > 0, total, 1.0)
    return weight / safe[:, None], none / safe


def _em(
    journeys: Journeys,
    anchors: Mapping[int, float],
    start: _Fitted | None = None,
    rounds: int = 400,
    tolerance: float = 1e-7,
) -> _Fitted:
    """Climb the likelihood; the anchored detectors stay where they are."""
    k = journeys.units.shape[1]
    sizes = [int(journeys.units[:, s].max()) + 1 for s in range(k)]
    rate = max((journeys.surfaced >= 0).mean() / k, 1e-6)
    if start is None:
        fitted = _Fitted([np.full(size, rate) for size in sizes], np.triu(np.full((k, k), 0.5)))
    else:
        rates = [np.full(max(len(r), z), rate) for r, z in zip(start.rates, sizes, strict=True)]
        for new, old in zip(rates, start.rates, strict=True):
            new[: len(old)] = old
        fitted = _Fitted(rates, start.detection.copy())
    for stage, value in anchors.items():
        fitted.detection[: stage + 1, stage] = value
    at = np.where(journeys.surfaced >= 0, journeys.surfaced, k)
    for _ in range(rounds):
        r, none = _posterior(journeys, fitted)
        later = r[:, ::-1].cumsum(axis=1)[:, ::-1] + none[:, None]  # P(origin ≥ k or none)
        moved = 0.0
        for s in range(k):
            size = len(fitted.rates[s])
            hits = np.bincount(journeys.units[:, s], r[:, s], size)
            risk = np.bincount(journeys.units[:, s], later[:, s], size)
            mean = hits.sum() / max(risk.sum(), 1e-12)
            new = (hits + PRIOR * mean) / (risk + PRIOR)
            moved = max(moved, float(np.abs(new - fitted.rates[s]).max()))
            fitted.rates[s] = new
        for origin in range(k):
            for stage in range(origin, k):
                if stage in anchors:
                    continue
                hit = r[at == stage, origin].sum()
                risk_d = r[at >= stage, origin].sum()
                value = (hit + 0.5) / (risk_d + 1.0)
                moved = max(moved, abs(value - fitted.detection[origin, stage]))
                fitted.detection[origin, stage] = value
        if moved < tolerance:
            break
    return fitted


def _shares(journeys: Journeys, fitted: _Fitted) -> Floats:
    """Return the expected journeys detected at stage (row) that began at stage (column), (K, K)."""
    r, _ = _posterior(journeys, fitted)
    k = r.shape[1]
    out = np.zeros((k, k))
    for stage in range(k):
        out[stage] = r[journeys.surfaced == stage].sum(axis=0)
    return out


def journeys_from_table(table: pl.DataFrame, stages: Sequence[str]) -> Journeys:
    """Build from a row per journey: ``detected_at``, ``origin`` (optional), a column per stage.

    A stage's column names the unit that did it; null counts as a unit of its own.
    """
    place = {stage: i for i, stage in enumerate(stages)}

    def number(column: str) -> Ints:
        if column not in table.columns:
            return np.full(table.height, -1, np.int64)
        text = table[column].cast(pl.String)
        return (
            text.replace_strict(place, default=-1, return_dtype=pl.Int64).fill_null(-1).to_numpy()
        )

    units = np.column_stack(
        [
            table[stage].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
            for stage in stages
        ]
    )
    return Journeys(tuple(stages), number("detected_at"), units, number("origin"))
