"""One row of the log."""

from __future__ import annotations

from stafett.simulation.compiled import inlined
from stafett.simulation.run import Run
from stafett.simulation.state import LOGGED, State

LOG_MARGIN = 16


@inlined
def note(R: Run, S: State, slot: int, t: float, op: int, kind: int, value: float) -> None:
    """Write what happened to the entity in a slot, if there is a log."""
    if R.logging:
        rows = S.n[LOGGED]
        S.n[LOGGED] = rows + 1
        S.log_t[rows] = t
        S.log_v[rows] = value
        i = rows * 5
        S.log_i[i] = S.number[slot]
        S.log_i[i + 1] = S.source[slot]
        S.log_i[i + 2] = S.lane[slot]
        S.log_i[i + 3] = op
        S.log_i[i + 4] = kind
