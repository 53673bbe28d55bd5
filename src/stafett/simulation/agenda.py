"""What is to happen, by time and rank: a heap whose first place may stand vacant for a moment.

Nearly every event takes an entity out and puts it back for a later moment, so the first place is
only emptied when something else is wanted of the heap: one walk through it instead of two.
"""

from __future__ import annotations

from stafett.simulation.compiled import inlined
from stafett.simulation.heap import pop, push, replace
from stafett.simulation.state import HEAP, STALE, VACANT, State

# Ranks: what happens first when times are equal. Capacity before arrivals before entities (the
# older first), an entity's own move before its renege.
ARRIVAL_RANK = 1 << 20
BATCH_RANK = 1 << 30
ENTITY_RANK = 1 << 40
TICKET = 1 << 32  # a payload that may be withdrawn is a number and, above this, a ticket


@inlined
def close(S: State) -> None:
    """Fill the first place if it stands vacant."""
    if S.n[VACANT]:
        S.n[VACANT] = 0
        pop(S.heap_t, S.heap_r, S.heap_p, S.n[HEAP])
        S.n[HEAP] -= 1


@inlined
def put(S: State, t: float, rank: int, payload: int) -> None:
    """Enter what is to happen at `t`."""
    if S.n[VACANT]:
        S.n[VACANT] = 0
        replace(S.heap_t, S.heap_r, S.heap_p, S.n[HEAP], t, rank, payload)
    else:
        push(S.heap_t, S.heap_r, S.heap_p, S.n[HEAP], t, rank, payload)
        S.n[HEAP] += 1


@inlined
def goes_on(S: State, slot: int, t: float) -> None:
    """Enter that an entity goes on at `t`."""
    put(S, t, ENTITY_RANK + 2 * S.serial[slot], slot)


@inlined
def gives_up(S: State, slot: int, t: float) -> None:
    """Enter that an entity tires of waiting at `t`; void once its ticket is another."""
    put(S, t, ENTITY_RANK + 2 * S.serial[slot] + 1, slot + S.ticket[slot] * TICKET)


@inlined
def clear(S: State) -> bool:
    """Throw away the reneges of those who were served long ago, if they are many."""
    n = S.n[HEAP]
    if S.n[STALE] <= n // 2 + 16:
        return False
    kept = 0
    for i in range(n):
        t = S.heap_t[i]
        rank = S.heap_r[i]
        payload = S.heap_p[i]
        if (
            rank >= ENTITY_RANK
            and (rank & 1) == 1
            and S.ticket[payload % TICKET] != payload // TICKET
        ):
            continue
        push(S.heap_t, S.heap_r, S.heap_p, kept, t, rank, payload)
        kept += 1
    S.n[HEAP] = kept
    S.n[STALE] = 0
    return True
