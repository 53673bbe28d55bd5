"""Shapley values: exact by all coalitions up to twelve players, by sampled orders beyond.

A coalition is a bit mask; `worth[mask]` is what it is worth. The exact value of player i is the sum
over coalitions S without i of |S|! (n-|S|-1)! / n! times (worth(S + i) - worth(S)).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

MOST_EXACT = 12
Vector = npt.NDArray[np.float64]
Masks = npt.NDArray[np.int64]


def exact(worth: Vector) -> Vector:
    """The value of each of n players, from the 2^n worths of all coalitions."""
    n = (len(worth) - 1).bit_length()
    if len(worth) != 1 << n or n > 20:
        raise ValueError(f"{len(worth)} worths: give one for each coalition, 2^n of them, n to 20")
    masks = np.arange(1 << n)
    sizes = np.array([int(m).bit_count() for m in masks])
    weight = np.array([1 / (n * math.comb(n - 1, s)) for s in range(n)])
    found = np.empty(n)
    for i in range(n):
        without = masks[(masks >> i) & 1 == 0]
        gain = worth[without | (1 << i)] - worth[without]
        found[i] = float((weight[sizes[without]] * gain).sum())
    return found


def sampled(
    worth: Callable[[int], float], players: int, orders: int = 256, seed: int = 1
) -> tuple[Vector, Vector]:
    """Mean gain over random orders and its standard error, each order walked both ways."""
    rng = np.random.default_rng(seed)
    gains = np.empty((orders, players))
    for k in range(orders):
        order = rng.permutation(players)
        row = np.zeros(players)
        for walk in (order, order[::-1]):
            mask, before = 0, worth(0)
            for i in walk.tolist():
                mask |= 1 << i
                after = worth(mask)
                row[i] += (after - before) / 2
                before = after
        gains[k] = row
    return gains.mean(axis=0), gains.std(axis=0, ddof=1) / math.sqrt(orders)


def lost_by(failed: npt.NDArray[np.bool_]) -> Vector:
    """Worth of coalitions of interfaces: journeys that lose something at one of them.

    `failed` is journeys by interfaces (up to 20). Masks are counted once, then summed over subsets.
    """
    n = failed.shape[1]
    masks = failed.astype(np.int64) @ (1 << np.arange(n, dtype=np.int64))
    inside = np.bincount(masks, minlength=1 << n).astype(np.float64)
    for i in range(n):  # inside[S]: journeys whose failures all lie in S
        view = inside.reshape(-1, 2, 1 << i)
        view[:, 1] += view[:, 0]
    every = (1 << n) - 1
    found: Vector = len(failed) - inside[every ^ np.arange(1 << n)]
    return found


def shares_of_journeys(failed: npt.NDArray[np.bool_]) -> Vector:
    """Shapley values of `lost_by` by its closed form: a journey is shared by what failed in it.

    For any number of interfaces; equal to the exact value.
    """
    count = failed.sum(axis=1, keepdims=True)
    shares = np.divide(failed, count, out=np.zeros(failed.shape), where=count > 0)
    found: Vector = shares.sum(axis=0)
    return found
