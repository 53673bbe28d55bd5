"""Batches: entities wait for one another, and go when they are enough or it has taken too long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stafett.simulation.agenda import BATCH_RANK, TICKET, put
from stafett.simulation.compiled import inlined
from stafett.simulation.notes import note
from stafett.simulation.resources import patience_of, ready, waited
from stafett.simulation.run import STOP, Entity, Run, operation
from stafett.simulation.state import State
from stafett.simulation.tables import ENQUEUE, NEXT, START, A, C, E, Tables


@inlined
def batch(
    R: Run, S: State, T: Tables, entity: Entity, op: int, o: NDArray[np.int32], now: float
) -> int:
    """Join a batch; the first sets its limit of time, the last lets it go."""
    slot = entity.slot
    b = o[A]
    S.pc[slot] = op
    S.since[slot] = now
    S.next[slot] = S.batch_head[b]
    S.batch_head[b] = slot
    S.batch_n[b] += 1
    note(R, S, slot, now, op, ENQUEUE, float(b))
    if S.batch_n[b] == 1 and o[E] >= 0:
        at_most = patience_of(R, S, T, entity, op, o)
        if o[C] > 1 and now + at_most <= R.until:
            put(S, now + at_most, BATCH_RANK + b, b + S.batch_ticket[b] * TICKET)
    if S.batch_n[b] >= o[C]:
        depart(R, S, T, b, now, float(b))
    return STOP


@inlined
def overdue(R: Run, S: State, T: Tables, payload: int, now: float) -> None:
    """The batch goes although it is not full, unless it has gone already."""
    b = payload % TICKET
    if S.batch_ticket[b] == payload // TICKET:
        depart(R, S, T, b, now, 0.0)


@inlined
def depart(R: Run, S: State, T: Tables, b: int, now: float, value: float) -> None:
    """All who wait in batch `b` go on."""
    S.batch_ticket[b] += 1
    S.batch_n[b] = 0
    member = S.batch_head[b]
    S.batch_head[b] = -1
    while member >= 0:
        after = S.next[member]
        op = S.pc[member]
        waited(R, S, member, op, now)
        note(R, S, member, now, op, START, value)
        ready(S, member, operation(T.ops, op)[NEXT])
        member = after
