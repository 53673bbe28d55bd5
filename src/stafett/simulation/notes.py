"""One row of the log."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stafett.simulation.compiled import compiled


@compiled
def note(
    log_t: NDArray[np.float64],
    log_v: NDArray[np.float64],
    log_i: NDArray[np.int64],
    rows: int,
    t: float,
    value: float,
    number: np.uint64,
    source: int,
    lane: int,
    op: int,
    kind: int,
) -> int:
    """Write the row after `rows` others; return how many there are now."""
    log_t[rows] = t
    log_v[rows] = value
    log_i[rows, 0] = np.int64(number)
    log_i[rows, 1] = source
    log_i[rows, 2] = lane
    log_i[rows, 3] = op
    log_i[rows, 4] = kind
    return rows + 1
