"""Places that are few: taken, waited for, given back; and what they did, summed over time."""

# Elements of arrays are Any to mypy; compiled, they are what the signature says.
# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stafett.simulation.agenda import TICKET, gives_up, put
from stafett.simulation.compiled import inlined
from stafett.simulation.draws import draw
from stafett.simulation.notes import note
from stafett.simulation.pointers import row
from stafett.simulation.run import STOP, Entity, Run, attempt, operation, shifted, trouble
from stafett.simulation.state import (
    NEGATIVE,
    NOT_HELD,
    READY,
    STALE,
    STILL_HELD,
    State,
)
from stafett.simulation.tables import (
    ALT,
    DISCHARGE,
    DUE,
    ENQUEUE,
    FIXED,
    FOR_PATIENCE,
    LATE,
    LEVELS,
    NEXT,
    RENEGE,
    START,
    A,
    B,
    C,
    D,
    E,
    Tables,
)


@inlined
def patience_of(
    R: Run, S: State, T: Tables, entity: Entity, op: int, o: NDArray[np.int32]
) -> float:
    """Draw how long an entity waits at operation `op` before something else is done."""
    return draw(
        T.dists,
        T.points,
        o[E],
        R.k0,
        R.k1,
        S.number[entity.slot],
        attempt(entity, op),
        T.stream[op],
        S.tag[entity.slot] | np.uint64(FOR_PATIENCE),
    )


@inlined
def elapse(R: Run, S: State, r: int, now: float) -> None:
    """Add what resource `r` did since it was last touched to its time integrals."""
    dt = now - max(S.touched[r], R.warmup)
    if dt > 0.0:
        area = row(S.area, r, 3)
        area[0] += S.busy[r] * dt
        area[1] += S.waiting[r] * dt
        area[2] += S.cap[r] * dt
    S.touched[r] = now


@inlined
def ready(S: State, slot: int, pc: int) -> None:
    """The entity goes on at this moment, before anything else does."""
    S.pc[slot] = pc
    S.ready[S.n[READY]] = slot
    S.n[READY] += 1


@inlined
def waited(R: Run, S: State, slot: int, op: int, now: float) -> float:
    """Count the time that the entity waited at an operation; give it."""
    wait = now - S.since[slot]
    if S.counted[slot]:
        S.spent[op] += int(wait * FIXED + 0.5)
    return wait


@inlined
def change_capacity(R: Run, S: State, T: Tables, r: int, now: float) -> None:
    """The next step of a plan; those who wait for what is there now are served."""
    off, n = row(T.plan, r, 2)[0], row(T.plan, r, 2)[1]
    i = S.plan_i[r]
    elapse(R, S, r, now)
    S.cap[r] = T.plan_to[off + i]
    i += 1
    if i == n:
        i = 0
        S.plan_base[r] += T.plan_period[r]
    S.plan_i[r] = i
    t = S.plan_base[r] + T.plan_at[off + i]
    if t < math.inf:
        put(S, t, r, r)
    serve(R, S, T, r, now)


@inlined
def seize(
    R: Run, S: State, T: Tables, entity: Entity, op: int, o: NDArray[np.int32], now: float
) -> int:
    """Take a place, or wait for one: in the queue, and perhaps not for ever."""
    slot = entity.slot
    r = o[A] + shifted(entity.att, o[B])
    due = math.inf
    if o[DUE] >= 0:
        due = entity.att[o[DUE]]
    if due <= now:
        if entity.counted:
            S.reneged[2 * op + 1] += 1
        return o[LATE]
    note(R, S, slot, now, op, ENQUEUE, float(r))
    elapse(R, S, r, now)
    if S.busy[r] < S.cap[r]:
        S.busy[r] += 1
        row(S.hold, slot, R.resources)[r] += 1
        if entity.counted:
            S.waited[3 * op] += 1
        note(R, S, slot, now, op, START, float(r))
        return o[NEXT]
    late = 1
    if o[E] >= 0:
        patience = patience_of(R, S, T, entity, op, o)
        if not patience >= 0.0:
            return trouble(S, NEGATIVE, op)
        if now + patience < due:
            due = now + patience
            late = 0
            if patience == 0.0:
                if entity.counted:
                    S.reneged[2 * op] += 1
                note(R, S, slot, now, op, RENEGE, 0.0)
                return o[ALT]
    S.late[slot] = late
    level = o[C]
    if o[D] >= 0:
        level = min(max(int(entity.att[o[D]]), 0), LEVELS - 1)
    S.since[slot] = now
    S.pc[slot] = op
    enqueue(S, T, slot, r, level)
    S.ticket[slot] += 1
    if due <= R.until and due < math.inf:
        gives_up(S, slot, due)
    return STOP


@inlined
def enqueue(S: State, T: Tables, slot: int, r: int, level: int) -> None:
    """Stand in the queue of resource `r`: last, or first if it serves the last to come first."""
    q = r * LEVELS + level
    S.queue[slot] = q
    S.waiting[r] += 1
    if T.lifo[r]:
        first = S.head[q]
        S.prev[slot] = -1
        S.next[slot] = first
        if first >= 0:
            S.prev[first] = slot
        else:
            S.tail[q] = slot
        S.head[q] = slot
    else:
        last = S.tail[q]
        S.next[slot] = -1
        S.prev[slot] = last
        if last >= 0:
            S.next[last] = slot
        else:
            S.head[q] = slot
        S.tail[q] = slot


@inlined
def renege(R: Run, S: State, T: Tables, payload: int, now: float) -> int:
    """Patience or time has run out in a queue: the slot of who goes on elsewhere, or -1."""
    slot = payload % TICKET
    if S.ticket[slot] != payload // TICKET:
        S.n[STALE] -= 1
        return -1
    S.ticket[slot] += 1
    q = S.queue[slot]
    r = q // LEVELS
    elapse(R, S, r, now)
    S.waiting[r] -= 1
    before = S.prev[slot]
    after = S.next[slot]
    if before >= 0:
        S.next[before] = after
    else:
        S.head[q] = after
    if after >= 0:
        S.prev[after] = before
    else:
        S.tail[q] = before
    S.queue[slot] = -1
    op = S.pc[slot]
    late = S.late[slot]
    waited(R, S, slot, op, now)
    if S.counted[slot]:
        S.reneged[2 * op + late] += 1
    note(R, S, slot, now, op, RENEGE, float(late))
    o = operation(T.ops, op)
    S.pc[slot] = o[LATE] if late else o[ALT]
    return slot


@inlined
def give_back(R: Run, S: State, slot: int, op: int, r: int, now: float) -> None:
    """One place of resource `r` that the entity held is free."""
    row(S.hold, slot, R.resources)[r] -= 1
    elapse(R, S, r, now)
    S.busy[r] -= 1
    note(R, S, slot, now, op, DISCHARGE, float(r))


@inlined
def held(R: Run, S: State, slot: int) -> int:
    """The first resource of which the entity holds a place, or -1."""
    hold = row(S.hold, slot, R.resources)
    for r in range(R.resources):
        if hold[r] > 0:
            return r
    return -1


@inlined
def release(
    R: Run, S: State, T: Tables, entity: Entity, op: int, o: NDArray[np.int32], now: float
) -> int:
    """Give one place back. Who waits for it is served first; this entity goes on in its turn."""
    r = o[A] + shifted(entity.att, o[B])
    if row(S.hold, entity.slot, R.resources)[r] == 0:
        return trouble(S, NOT_HELD, op)
    give_back(R, S, entity.slot, op, r, now)
    if S.waiting[r] > 0:
        ready(S, entity.slot, o[NEXT])
        serve(R, S, T, r, now)
        return STOP
    return o[NEXT]


@inlined
def free(
    R: Run, S: State, T: Tables, entity: Entity, op: int, o: NDArray[np.int32], now: float
) -> int:
    """Give everything back, one at a time: come back here until nothing is held."""
    r = held(R, S, entity.slot)
    if r < 0:
        return o[NEXT]
    give_back(R, S, entity.slot, op, r, now)
    ready(S, entity.slot, op)
    serve(R, S, T, r, now)
    return STOP


@inlined
def empty_handed(R: Run, S: State, slot: int, op: int) -> bool:
    """Whether the entity holds nothing, as it must where its way ends."""
    if held(R, S, slot) < 0:
        return True
    trouble(S, STILL_HELD, op)
    return False


@inlined
def observe(S: State, entity: Entity, o: NDArray[np.int32]) -> int:
    """Set an attribute to the load of a resource."""
    r = o[B] + shifted(entity.att, o[C])
    entity.att[o[A]] = (S.busy[r] + S.waiting[r]) / max(S.cap[r], 1)
    return o[NEXT]


@inlined
def serve(R: Run, S: State, T: Tables, r: int, now: float) -> None:
    """Give what is free of resource `r` to those who wait, by level and in their order."""
    while S.busy[r] < S.cap[r] and S.waiting[r] > 0:
        q = r * LEVELS
        while S.head[q] < 0:
            q += 1
        first = S.head[q]
        after = S.next[first]
        S.head[q] = after
        if after >= 0:
            S.prev[after] = -1
        else:
            S.tail[q] = -1
        S.waiting[r] -= 1
        S.busy[r] += 1
        row(S.hold, first, R.resources)[r] += 1
        S.queue[first] = -1
        S.ticket[first] += 1
        S.n[STALE] += 1
        op = S.pc[first]
        wait = waited(R, S, first, op, now)
        if S.counted[first]:
            waits = row(S.waited, op, 3)
            waits[0] += 1
            waits[1] += int(wait * FIXED + 0.5)
            waits[2] += int(wait * wait * FIXED + 0.5)
        note(R, S, first, now, op, START, float(r))
        ready(S, first, operation(T.ops, op)[NEXT])
