"""One replication: run a model for a seed and give its sums (and its log, if asked for)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stafett.simulation import state as st
from stafett.simulation.tables import FIXED, Model

BUDGET = 200_000  # events between two looks at the clock of the world (Ctrl-C, progress)

WHY = {
    st.STUCK: "goes round without time passing: 100,000 operations at one moment",
    st.NEGATIVE: "drew a negative (or no) duration",
    st.NOT_HELD: "releases what the entity does not hold",
    st.STILL_HELD: "is the end of an entity that still holds a resource",
}


class ModelError(Exception):
    """The network cannot be run as it is written; the message names the step."""


@dataclass(frozen=True)
class Horizon:
    """When to stop (`until`), from when to count (`warmup`), when arrivals end.

    Entities born before `warmup`, or from `count_until` on, are simulated and not counted; what
    resources do is summed from `warmup` to `until`. With `until` infinite the run
    goes on until the last entity has left, so arrivals must end.
    """

    until: float
    warmup: float = 0.0
    arrivals_until: float = math.inf
    count_until: float = math.inf

    def __post_init__(self) -> None:
        """Refuse a horizon that never comes."""
        if math.isnan(self.until) or self.until <= self.warmup:
            raise ValueError(f"the run ends ({self.until}) before counting begins ({self.warmup})")
        if self.until == math.inf and self.arrivals_until == math.inf:
            raise ValueError("neither the run nor the arrivals ever end")


@dataclass(frozen=True)
class Log:
    """Rows in order of time; `kind` indexes `tables.ROWS`, `op` the model's operations."""

    time: NDArray[np.float64]
    value: NDArray[np.float64]
    entity: NDArray[np.int64]
    source: NDArray[np.int64]
    lane: NDArray[np.int64]
    op: NDArray[np.int64]
    kind: NDArray[np.int64]


@dataclass(frozen=True)
class Sums:
    """What one replication counted. Shapes: see `state.State`; times in the model's unit."""

    seed: int
    replication: int
    span: float  # time that was counted
    events: int
    system: float  # time integral of entities in the system
    arrivals: NDArray[np.int64]
    ended: NDArray[np.int64]
    visits: NDArray[np.int64]
    spent: NDArray[np.float64]  # (ops,) time in delays, and in waits that ended
    waited: NDArray[np.float64]  # (ops, 3) seizures, sum and sum of squares of their waits
    reneged: NDArray[np.int64]
    tally: NDArray[np.float64]  # (tallies, 3) n, sum, sum of squares
    hist: NDArray[np.int64]
    area: NDArray[np.float64]
    made: NDArray[np.int64]
    found: NDArray[np.int64]
    kept: NDArray[np.int64]

    @property
    def open(self) -> int:
        """Entities counted in and still inside at the end."""
        return int(self.arrivals.sum() - self.ended.sum())

    def quantile(self, tally: int, p: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Quantiles of a tally from its histogram (bins of 1.6 %, linear within); nan if empty."""
        return quantile(self.hist[tally], p)

    def same_as(self, other: Sums) -> bool:
        """Whether every number is the same to the last bit."""
        return all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name), equal_nan=True)
            for f in fields(self)
            if f.name != "events"
        )


def quantile(hist: NDArray[np.int64], p: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles of a histogram with the edges of `state.bin_edges`; nan if it is empty."""
    total = hist.sum()
    if total == 0:
        return np.full(np.shape(p), np.nan)
    edges = st.bin_edges()
    full = np.flatnonzero(hist)
    cum = np.cumsum(hist[full]) / total
    rank = np.asarray(p, float)
    i = np.minimum(np.searchsorted(cum, rank), len(full) - 1)
    below = np.where(i > 0, cum[np.maximum(i - 1, 0)], 0.0)
    part = np.clip((rank - below) / (cum[i] - below), 0, 1)
    low = edges[full[i]]
    return np.asarray(low + part * (edges[full[i] + 1] - low))


def check_seed(seed: int, replication: int) -> None:
    """Both are words of the generator's key: 0 to 2^32 - 1."""
    for name, value in (("seed", seed), ("replication", replication)):
        if not 0 <= value < 2**32:
            raise ValueError(f"{name} {value} is not between 0 and 2^32 - 1")


def simulate(
    model: Model,
    horizon: Horizon,
    seed: int,
    replication: int = 0,
    *,
    log: bool = False,
    fused: bool = True,
    stop: Any = None,
) -> tuple[Sums, Log | None]:
    """Run one replication.

    Equal (model, horizon, seed, replication) give equal results to the last bit, on any machine
    and whether `fused` or not. `stop` may be an `Interrupt`: when set, KeyboardInterrupt is raised
    within some milliseconds. ModelError if the network runs into a wall.
    """
    # The compiler loads with the first run: who only reads a network does not wait for it.
    from stafett.simulation import kernel

    check_seed(seed, replication)
    S = st.fresh(model, log)
    T = model.tables
    k0, k1 = np.uint64(seed), np.uint64(replication)
    # One type for each argument: another would be another compilation.
    warmup, until = float(horizon.warmup), float(horizon.until)
    arrivals_until, count_until = float(horizon.arrivals_until), float(horizon.count_until)
    pieces: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]] = []
    while True:
        answer = kernel.run(
            S, T, k0, k1, warmup, count_until, arrivals_until, until, bool(fused), bool(log), BUDGET
        )
        if answer == st.DONE:
            break
        if answer == st.PAUSE:
            if stop is not None and stop.is_set():
                raise KeyboardInterrupt
        elif answer == st.GROW:
            S = st.grow(S)
        elif answer == st.DRAIN:
            pieces.append(_drain(S))
            room = 4 * int(S.n[st.LIVE]) + 65536
            if room > len(S.log_t):
                S = S._replace(
                    log_t=np.zeros(room), log_v=np.zeros(room), log_i=np.zeros((room, 5), np.int64)
                )
        else:
            raise ModelError(f"{model.ops[S.n[st.WHERE]]!r} {WHY[answer]}")
    if log:
        pieces.append(_drain(S))
    return _sums(S, horizon, seed, replication), _log(pieces, horizon.until) if log else None


def _drain(
    S: st.State,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Copy the rows out and empty the buffer."""
    n = int(S.n[st.LOGGED])
    S.n[st.LOGGED] = 0
    return S.log_t[:n].copy(), S.log_v[:n].copy(), S.log_i[:n].copy()


def _log(
    pieces: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]], until: float
) -> Log:
    """Rows up to the horizon, by time; an entity's own rows keep their order."""
    time = np.concatenate([p[0] for p in pieces])
    value = np.concatenate([p[1] for p in pieces])
    rest = np.concatenate([p[2] for p in pieces])
    # Entities' rows were written ahead of time, so equal times are put in one order for all:
    # by source, entity, lane, and then as they were written.
    order = np.lexsort((rest[:, 2], rest[:, 0], rest[:, 1], time))
    order = order[time[order] <= until]
    i = rest[order]
    return Log(time[order], value[order], i[:, 0], i[:, 1], i[:, 2], i[:, 3], i[:, 4])


def _sums(S: st.State, horizon: Horizon, seed: int, replication: int) -> Sums:
    """Take the sums out of the state, fixed point turned into floats."""

    def real(x: NDArray[np.int64]) -> NDArray[np.float64]:
        y = x.astype(float)
        y[:, 1:] /= FIXED
        return y

    return Sums(
        seed=seed,
        replication=replication,
        span=float(S.f[st.AT] - horizon.warmup),
        events=int(S.n[st.EVENTS]),
        system=float(S.f[st.SYSTEM_SUM]),
        arrivals=S.arrivals,
        ended=S.ended,
        visits=S.visits,
        spent=S.spent / FIXED,
        waited=real(S.waited),
        reneged=S.reneged,
        tally=real(S.tally),
        hist=S.hist,
        area=S.area,
        made=S.made,
        found=S.found,
        kept=S.kept,
    )
