"""Tier three, the shares: what each interface costs the chain, by repairing them in every order.

The Shapley value of an interface is what its repair saves, averaged over the orders in which the
interfaces could be repaired; the shares add up to what repairing all of them saves. Up to eight
interfaces all orders are counted; beyond that 32 orders are drawn, each with its reverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np
import numpy.typing as npt

from stafett.insight.origin.replay import ASSUMPTIONS, Outcome, Replay

Floats = npt.NDArray[np.float64]

EXACT_UP_TO = 8
ORDERS = 32


@dataclass(frozen=True)
class Contribution:
    """What repairing one interface gives: hours saved per journey and journeys completed more.

    `error` is the standard error of `hours` (journeys drawn again, and orders where drawn).
    """

    interface: str
    hours: float
    error: float
    completed: float


@dataclass(frozen=True)
class Counterfactual:
    """All contributions, dearest first; `hours`: mean journey as logged, `best`: all repaired."""

    contributions: tuple[Contribution, ...]
    hours: float
    best: float
    journeys: int
    completed: int
    replays: int
    assumptions: tuple[str, ...]


def shapley(
    replay: Replay, *, orders: int = ORDERS, exact_up_to: int = EXACT_UP_TO, seed: int = 1
) -> Counterfactual:
    """Share the savings among the players (hours over journeys completed in the log)."""
    count = len(replay.players)
    base = replay.outcome(0)
    kept = base.completed if base.completed.any() else np.ones_like(base.completed)
    memo: dict[int, tuple[Floats, float]] = {}

    def value(bits: int) -> tuple[Floats, float]:
        if bits not in memo:
            found: Outcome = replay.outcome(bits) if bits else base
            memo[bits] = (base.hours[kept] - found.hours[kept], float(found.completed.sum()))
        return memo[bits]

    n = int(kept.sum())
    saved = np.zeros((count, n))
    treated = np.zeros(count)
    spread = np.zeros(count)
    if count <= exact_up_to:
        for k in range(count):
            others = [1 << j for j in range(count) if j != k]
            for size in range(count):
                weight = factorial(size) * factorial(count - size - 1) / factorial(count)
                for group in combinations(others, size):
                    without, with_ = value(sum(group)), value(sum(group) | 1 << k)
                    saved[k] += weight * (with_[0] - without[0])
                    treated[k] += weight * (with_[1] - without[1])
    else:
        rng = np.random.default_rng(seed)
        half = [rng.permutation(count) for _ in range(max(1, orders // 2))]
        marginal = np.zeros((2 * len(half), count))
        for i, order in enumerate([o for p in half for o in (p, p[::-1])]):
            bits, before = 0, value(0)
            for k in order:
                bits |= 1 << int(k)
                after = value(bits)
                gain = after[0] - before[0]
                saved[k] += gain / (2 * len(half))
                treated[k] += (after[1] - before[1]) / (2 * len(half))
                marginal[i, k] = gain.mean()
                before = after
            # Only whole orders are averaged; partial coalitions are rarely met again.
            memo = {bits: memo[bits] for bits in (0, bits)}
        pairs = marginal.reshape(len(half), 2, count).mean(axis=1)
        spread = pairs.var(axis=0, ddof=1) / len(half) if len(half) > 1 else spread
    error = np.sqrt(saved.var(axis=1, ddof=1) / n + spread) if n > 1 else np.full(count, np.nan)
    found = [
        Contribution(name, float(saved[k].mean()), float(error[k]), float(treated[k]))
        for k, name in enumerate(replay.players)
    ]
    everything = replay.outcome((1 << count) - 1)
    return Counterfactual(
        tuple(sorted(found, key=lambda item: -item.hours)),
        float(base.hours[kept].mean()),
        float(everything.hours[kept].mean()),
        len(base.hours),
        int(base.completed.sum()),
        len(memo) if count <= exact_up_to else 2 * max(1, orders // 2) * count,
        (*ASSUMPTIONS, *replay.notes),
    )
