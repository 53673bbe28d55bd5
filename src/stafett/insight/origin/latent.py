"""Tier two: where did a defect that was detected late begin? Estimated, with its uncertainty.

Stages 0..K−1 in order. A defect arises at stage k with a chance that depends on the unit (site,
team) that did it, p_k(unit); a check at stage m ≥ k finds it with chance d_km. So

    P(origin k, surfaced at j) = p_k Π_{m<k}(1−p_m) · Π_{k≤m<j}(1−d_km) · d_kj.

Origins are told apart by their units: where the cases of one collection site surface more often
downstream than those of another, the defect began at collection. Recorded cause codes enter as
labels. At least one detector's sensitivity must be known (the anchor): by default the last stage
finds all that is left.

The answer is a posterior distribution, drawn by Gibbs sampling with data augmentation: each
defect's origin, then the chances given the origins. The units of a stage are a beta distribution
whose mean and spread are estimated with everything else (log-uniform spread), d_km are uniform
beforehand. So an interval holds all that is not known: which defect began where, every chance, how
much the units differ, and the anchor's own doubt. An EM with resampled journeys, which this
replaces, gave nominal 95 % intervals that held the truth about half of the time: it resampled the
journeys, but not what they leave open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lgamma

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CHAINS = 3
FEWEST_IN_UNIT = 5
MIXED = 1.1  # a larger ratio of the chains' spreads is told (Gelman and Rubin, Stat. Sci. 7, 1992)
LEAST, MOST = 0.0, 7.6  # log of the prior count of the units' beta distribution: 1 to 2,000


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


@dataclass(frozen=True, slots=True)
class Anchor:
    """A check of known sensitivity, whatever the origin: a share, and what the knowledge is worth.

    `worth` is the number of defects behind the figure (a study with 40 defects: 40); infinite
    means that it is taken as exact.
    """

    sensitivity: float
    worth: float = np.inf

    def __post_init__(self) -> None:
        if not 0 <= self.sensitivity <= 1 or not self.worth > 0:
            raise ValueError(
                "an anchor is a sensitivity from 0 to 1, worth a positive number of defects"
            )


@dataclass(frozen=True)
class LatentOrigin:
    """Where defects began.

    `began` and `seen` (K,): shares of the surfaced defects by origin and by the stage where they
    surfaced; `low`, `high` (K,): 95 % interval of `began`; `matrix` (K, K): expected number of
    journeys detected at row's stage that began at column's; `upstream`: the share that began before
    the stage where it surfaced, with `upstream_low`, `upstream_high`; `detection` (K, K): d_km;
    `mixing`: how well the chains agree, 1 is perfectly.
    """

    stages: tuple[str, ...]
    began: Floats
    low: Floats
    high: Floats
    seen: Floats
    matrix: Floats
    upstream: float
    upstream_low: float
    upstream_high: float
    detection: Floats
    mixing: float
    notes: tuple[str, ...]


def latent_origin(
    journeys: Journeys,
    *,
    anchors: Mapping[int, Anchor] | None = None,
    sweeps: int = 6000,
    seed: int = 1,
) -> LatentOrigin:
    """Estimate origins; `anchors` gives the known sensitivity of the checks of some stages.

    `sweeps` are drawn in each of the chains after as many again half were thrown away.

    Raises:
        ValueError: no defect surfaced, fewer than two stages, or a cause after its detection.
    """
    k = len(journeys.stages)
    if k < 2:
        raise ValueError("an origin needs at least two stages to choose from")
    found = journeys.surfaced >= 0
    if not found.any():
        raise ValueError("no journey has a defect that surfaced, so there is no origin to find")
    if (found & (journeys.cause > journeys.surfaced)).any():
        raise ValueError("a recorded cause lies after the stage where the defect surfaced")
    anchors = dict(anchors) if anchors else {k - 1: Anchor(1.0)}
    chains = [_Chain(journeys, anchors, np.random.default_rng([seed, c])) for c in range(CHAINS)]
    drawn = np.stack([chain.run(sweeps) for chain in chains])  # (chains, sweeps, K, K) counts
    total = int(found.sum())
    shares = drawn.sum(axis=2) / total
    upstream = 1 - np.trace(drawn, axis1=2, axis2=3) / total
    low, high = np.quantile(shares.reshape(-1, k), [0.025, 0.975], axis=0)
    ends = np.quantile(upstream, [0.025, 0.975])
    mixing = max(_ratio(shares[:, :, s]) for s in range(k))
    seen = np.bincount(journeys.surfaced[found], minlength=k) / total
    return LatentOrigin(
        journeys.stages, shares.mean(axis=(0, 1)), low, high, seen, drawn.mean(axis=(0, 1)),
        float(upstream.mean()), float(ends[0]), float(ends[1]),
        np.mean([chain.mean_detection for chain in chains], axis=0), mixing,
        _notes(journeys, anchors, mixing),
    )  # fmt: skip


def units_differ(journeys: Journeys) -> float:
    """Return the chance that the units of no stage differ in how often their journeys' defects
    surface (the least χ² p over the stages, times their number).

    Origins are told apart by units that differ; where none do, what comes out is what was assumed.
    """
    bad = journeys.surfaced >= 0
    least = []
    for s in range(len(journeys.stages)):
        unit = journeys.units[:, s]
        table = np.stack([np.bincount(unit[bad == v], minlength=unit.max() + 1) for v in (0, 1)])
        table = table[:, table.sum(axis=0) >= FEWEST_IN_UNIT]
        if table.shape[1] > 1 and (table.sum(axis=1) > 0).all():
            least.append(float(stats.chi2_contingency(table).pvalue))
    return min(1.0, min(least) * len(least)) if least else 1.0


def _notes(journeys: Journeys, anchors: Mapping[int, Anchor], mixing: float) -> tuple[str, ...]:
    k = len(journeys.stages)
    named = ", ".join(
        f"{journeys.stages[s]} = {a.sensitivity:.0%}"
        + (" (taken as exact)" if np.isinf(a.worth) else f" (worth {a.worth:g} defects)")
        for s, a in anchors.items()
    )
    notes = [f"Anchored on the sensitivity of {named}."]
    if (journeys.cause >= 0).any():
        notes.append(
            "Recorded causes are taken as they stand, and their absence as chance: where obvious "
            "causes are recorded more often than hidden ones, what is hidden is understated."
        )
    few = [journeys.stages[s] for s in range(k) if journeys.units[:, s].max() < 4]
    if few:
        notes.append(
            f"{', '.join(few)}: fewer than five units, so defects that begin there are told from "
            "others mostly by the model; read their intervals, not their points."
        )
    if mixing > MIXED:
        notes.append(
            f"The chains had not quite agreed (ratio {mixing:.2f}; below {MIXED} is good): the "
            "data hardly tell some origins apart, and the intervals may be too narrow."
        )
    return tuple(notes)


def _ratio(draws: Floats) -> float:
    """Return the potential scale reduction of one quantity, draws (chains, sweeps)."""
    within = float(draws.var(axis=1, ddof=1).mean())
    between = float(draws.mean(axis=1).var(ddof=1))
    return float(np.sqrt(1 + between / within)) if within > 0 else 1.0


class _Chain:
    """One Gibbs chain from its own random start."""

    def __init__(
        self, journeys: Journeys, anchors: Mapping[int, Anchor], rng: np.random.Generator
    ) -> None:
        self.rng = rng
        k = journeys.units.shape[1]
        sizes = [int(journeys.units[:, s].max()) + 1 for s in range(k)]
        self.first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        units = journeys.units + self.first[:-1]
        at = np.where(journeys.surfaced >= 0, journeys.surfaced, k)
        # Nothing slips past an exact last check: then who surfaced nothing had nothing.
        last = anchors.get(k - 1)
        sealed = last is not None and last.sensitivity == 1 and np.isinf(last.worth)
        active = (at < k) | (not sealed)
        self.units, self.at, self.cause = units[active], at[active], journeys.cause[active]
        self.clean = np.bincount(units[~active].ravel(), minlength=int(self.first[-1])).astype(
            np.float64
        )
        rate = max(float((at < k).mean()) / k, 1e-4)
        self.mean = np.clip(rate * np.exp(rng.normal(0, 1, k)), 1e-5, 0.5)
        self.weight = np.exp(rng.uniform(np.log(5), np.log(100), k))
        m, w = np.repeat(self.mean, sizes), np.repeat(self.weight, sizes)
        self.rates = rng.beta(m * w, (1 - m) * w).clip(1e-9, 1 - 1e-9)
        self.detection = np.triu(rng.uniform(0.05, 0.95, (k, k)))
        # (sensitivity, worth) by stage; a worth of −1 is no anchor, of 0 an exact one.
        self.anchor = np.full((k, 2), -1.0)
        for stage, known in anchors.items():
            self.anchor[stage] = known.sensitivity, 0.0 if np.isinf(known.worth) else known.worth
            self.detection[: stage + 1, stage] = known.sensitivity
        self.mean_detection = np.zeros((k, k))

    def run(self, sweeps: int) -> Floats:
        """Draw; return the counts detected at (row) and begun at (column), (sweeps, K, K)."""
        k, warm = len(self.mean), sweeps // 2
        counts = np.zeros((sweeps, k, k))
        _gibbs(
            self.rng, warm, self.units, self.at, self.cause, self.first, self.clean, self.mean,
            self.weight, self.rates, self.detection, self.anchor, counts, self.mean_detection,
        )  # fmt: skip
        self.mean_detection /= sweeps
        return counts


@numba.njit(cache=True)
def _gibbs(
    rng: np.random.Generator, warm: int, units: Ints, at: Ints, cause: Ints, first: Ints,
    clean: Floats, mean: Floats, weight: Floats, rates: Floats, detection: Floats, anchor: Floats,
    counts: Floats, mean_detection: Floats,
) -> None:  # pragma: no cover  # fmt: skip
    """Sweep `warm` times in vain and then once for each of `counts`; all else is changed in place.

    `clean` counts by unit the journeys of which it is known that nothing began in them.
    """
    n, k = units.shape
    reached = np.zeros((k, k + 1))  # P(surfaced at j, or never (last column) | origin k)
    cumulative = np.zeros(k + 1)
    for sweep in range(-warm, counts.shape[0]):
        for o in range(k):
            missed = 1.0
            for j in range(o, k):
                reached[o, j] = missed * detection[o, j]
                missed *= 1 - detection[o, j]
            reached[o, k] = missed
        hits, risk = np.zeros(first[k]), clean.copy()
        cells = np.zeros((k + 1, k + 1))
        for i in range(n):
            # Draw the defect's origin given all chances; k is none.
            j, total, free = at[i], 0.0, 1.0
            for s in range(k):
                p = rates[units[i, s]]
                if cause[i] < 0 or cause[i] == s:
                    total += free * p * reached[s, j]
                free *= 1 - p
                cumulative[s] = total
            if j == k and cause[i] < 0:
                total += free
            # What no chance allows (a check at exactly 0 that found) stays where it surfaced.
            origin = cause[i] if cause[i] >= 0 else j
            if total > 0:
                draw, origin = rng.random() * total, 0
                while origin < k and cumulative[origin] <= draw:
                    origin += 1
            for s in range(min(origin + 1, k)):
                risk[units[i, s]] += 1
            if origin < k:
                hits[units[i, origin]] += 1
            cells[origin, j] += 1
        for s in range(k):
            h, r = hits[first[s] : first[s + 1]], risk[first[s] : first[s + 1]]
            _common(rng, s, h, r, mean, weight)
            a, b = mean[s] * weight[s], (1 - mean[s]) * weight[s]
            for u in range(len(h)):
                drawn = rng.beta(a + h[u], b + r[u] - h[u])
                rates[first[s] + u] = min(max(drawn, 1e-9), 1 - 1e-9)
        for stage in range(k):
            found_all, missed_all = 0.0, 0.0
            for o in range(stage + 1):
                found, gone = cells[o, stage], cells[o, stage + 1 :].sum()
                found_all += found
                missed_all += gone
                if anchor[stage, 1] < 0:
                    detection[o, stage] = rng.beta(1 + found, 1 + gone)
            if anchor[stage, 1] > 0:  # one sensitivity for every origin
                a = anchor[stage, 0] * anchor[stage, 1] + found_all
                b = (1 - anchor[stage, 0]) * anchor[stage, 1] + missed_all
                detection[: stage + 1, stage] = rng.beta(max(a, 1e-6), max(b, 1e-6))
        if sweep >= 0:
            counts[sweep] = cells[:k, :k].T
            mean_detection += detection


@numba.njit(cache=True)
def _common(
    rng: np.random.Generator, s: int, hits: Floats, risk: Floats, mean: Floats, weight: Floats
) -> None:  # pragma: no cover
    """Move mean and spread of a stage's units by two Metropolis steps, their chances integrated
    out: one step mostly along the mean, one mostly along the spread."""
    value = _marginal(hits, risk, mean[s], weight[s])
    for by_mean, by_weight in ((0.25, 0.6), (0.8, 0.25)):
        logit = np.log(mean[s]) - np.log1p(-mean[s]) + rng.normal(0, by_mean)
        log_weight = np.log(weight[s]) + rng.normal(0, by_weight)
        accept = np.log(rng.random())
        if abs(logit) > 14 or not LEAST < log_weight < MOST:
            continue
        m, w = 1 / (1 + np.exp(-logit)), np.exp(log_weight)
        new = _marginal(hits, risk, m, w)
        if accept < new - value:
            mean[s], weight[s], value = m, w, new


@numba.njit(cache=True)
def _marginal(hits: Floats, risk: Floats, mean: float, weight: float) -> float:  # pragma: no cover
    """Log density of the units' counts, beta-binomial; uniform in the mean and in log weight."""
    a, b = mean * weight, (1 - mean) * weight
    out: float = np.log(mean) + np.log1p(-mean)  # the walk is over the logit
    base = lgamma(weight) - lgamma(a) - lgamma(b)
    for u in range(len(hits)):
        if risk[u] > 0:
            out += lgamma(a + hits[u]) + lgamma(b + risk[u] - hits[u]) - lgamma(weight + risk[u])
            out += base
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
