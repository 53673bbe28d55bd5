"""Philox4x32-10, a counter-based generator (Salmon, Moraes, Dror and Shaw, SC'11).

A draw is a pure function of what it is for: (seed, replication) is the key and (entity, attempt,
step, purpose) the counter. So a draw does not depend on how many were made before it, and two
designs that meet the same patient at the same step use the same luck, whatever happened in between:
common random numbers that survive events changing order.
"""

from __future__ import annotations

import numpy as np

from stafett.simulation.compiled import compiled

M0 = np.uint64(0xD2511F53)
M1 = np.uint64(0xCD9E8D57)
W0 = np.uint64(0x9E3779B9)
W1 = np.uint64(0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)
SIX = np.uint64(6)
U26 = np.uint64(26)


@compiled
def philox(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Encrypt the counter (four 32-bit words) under the key (two) in ten rounds: four words."""
    for _ in range(10):
        p0 = M0 * c0
        p1 = M1 * c2
        c0, c1, c2, c3 = (p1 >> WORD) ^ c1 ^ k0, p1 & LOW, (p0 >> WORD) ^ c3 ^ k1, p0 & LOW
        k0 = (k0 + W0) & LOW
        k1 = (k1 + W1) & LOW
    return c0, c1, c2, c3


@compiled
def uniform(
    k0: np.uint64,
    k1: np.uint64,
    entity: np.uint64,
    attempt: np.uint64,
    step: np.uint64,
    purpose: np.uint64,
) -> float:
    """The uniform draw for one purpose: 52 bits, strictly between 0 and 1, each value exact."""
    w0, w1, _, _ = philox(entity, attempt, step, purpose, k0, k1)
    return (float(((w0 >> SIX) << U26) | (w1 >> SIX)) + 0.5) * 2.220446049250313e-16
