"""Entities come, split into children, and leave; slots are used again."""

# Elements of arrays are Any to mypy; compiled, they are what the signature says.
# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stafett.simulation.agenda import ARRIVAL_RANK, put
from stafett.simulation.ahead import first_draw
from stafett.simulation.compiled import inlined
from stafett.simulation.draws import next_arrival
from stafett.simulation.notes import note
from stafett.simulation.pointers import row
from stafett.simulation.resources import empty_handed, ready
from stafett.simulation.run import STOP, Entity, Run
from stafett.simulation.state import (
    COMING,
    INSIDE,
    LIVE,
    SERIAL,
    SYSTEM_SINCE,
    SYSTEM_SUM,
    UNUSED,
    State,
)
from stafett.simulation.tables import ARRIVE, FOR_ARRIVAL, LEAVE, NEXT, A, C, Tables


@inlined
def inside(R: Run, S: State, now: float) -> None:
    """Add the entities in the system since the last change to their time integral."""
    dt = now - max(S.f[SYSTEM_SINCE], R.warmup)
    if dt > 0.0:
        S.f[SYSTEM_SUM] += S.n[INSIDE] * dt
    S.f[SYSTEM_SINCE] = now


@inlined
def admit(R: Run, S: State) -> int:
    """A slot for one more entity, wiped: no draws made, no faults, nothing held."""
    slot = S.n[UNUSED]
    S.n[UNUSED] = S.next[slot]
    S.n[LIVE] += 1
    S.serial[slot] = S.n[SERIAL]
    S.n[SERIAL] += 1
    S.queue[slot] = -1
    S.faults[slot] = 0
    visit = row(S.visit, slot, R.ops)
    for k in range(R.ops):
        visit[k] = 0
    fault = row(S.fault, slot, R.faults)
    for k in range(R.faults):
        fault[k] = 0
    hold = row(S.hold, slot, R.resources)
    for k in range(R.resources):
        hold[k] = 0
    return slot


@inlined
def vacate(S: State, slot: int) -> None:
    """The slot is for another."""
    S.next[slot] = S.n[UNUSED]
    S.n[UNUSED] = slot
    S.n[LIVE] -= 1


@inlined
def next_from(R: Run, S: State, T: Tables, s: int, now: float) -> float:
    """When the next entity of source `s` comes, the one before it having come at `now`."""
    number = np.uint64(S.arrived[s])
    a = S.ahead[R.ops + s]
    if a >= 0:
        return now + first_draw(R, S, T, a, number, np.uint64(s), np.uint64(FOR_ARRIVAL))
    return next_arrival(
        T.dists,
        T.points,
        T.sources,
        T.rate_at,
        T.rate,
        T.rate_period,
        s,
        now,
        R.k0,
        R.k1,
        number,
    )


@inlined
def arrive(R: Run, S: State, T: Tables, s: int, now: float) -> int:
    """An entity of source `s` comes, and the next one is entered: its slot, or -1 if too late."""
    if now > R.arrivals_until:
        S.n[COMING] -= 1
        return -1
    slot = admit(R, S)
    inside(R, S, now)
    S.n[INSIDE] += 1
    S.number[slot] = np.uint64(S.arrived[s])
    S.tag[slot] = np.uint64(s << 16)
    S.source[slot] = s
    S.lane[slot] = 0
    S.parent[slot] = -1
    S.pc[slot] = row(T.sources, s, 4)[1]
    att = row(S.att, slot, R.attributes)
    for k in range(R.attributes):
        att[k] = T.start[k]
    counted = R.warmup <= now < R.count_until
    S.counted[slot] = counted
    if counted:
        S.arrivals[s] += 1
    note(R, S, slot, now, S.pc[slot], ARRIVE, 0.0)
    S.arrived[s] += 1
    t = next_from(R, S, T, s, now)
    if t <= R.arrivals_until:
        put(S, t, ARRIVAL_RANK + s, s)
    else:
        S.n[COMING] -= 1
    return slot


@inlined
def end(R: Run, S: State, entity: Entity, op: int, o: NDArray[np.int32], now: float) -> int:
    """Leave, with an outcome."""
    slot = entity.slot
    if not empty_handed(R, S, slot, op):
        return STOP
    inside(R, S, now)
    S.n[INSIDE] -= 1
    if entity.counted:
        S.ended[o[A]] += 1
        if S.faults[slot] > 0:
            fault = row(S.fault, slot, R.faults)
            for k in range(R.faults):
                S.kept[k] += fault[k]
    note(R, S, slot, now, op, LEAVE, float(o[A]))
    vacate(S, slot)
    return STOP


@inlined
def fork(R: Run, S: State, T: Tables, entity: Entity, o: NDArray[np.int32]) -> int:
    """Children go all ways at once; the parent waits for them at the next operation."""
    slot = entity.slot
    children = o[C]
    S.pending[slot] = children
    S.pc[slot] = o[NEXT]
    off = row(T.tables, o[A], 2)[0]
    for i in range(children):
        child = admit(R, S)
        S.number[child] = S.number[slot]
        S.lane[child] = S.lane[slot] * 8 + i + 1
        S.source[child] = S.source[slot]
        S.tag[child] = np.uint64((S.source[slot] << 16) | ((S.lane[child] & 255) << 8))
        S.parent[child] = slot
        att = row(S.att, child, R.attributes)
        for k in range(R.attributes):
            att[k] = entity.att[k]
        S.counted[child] = entity.counted
        ready(S, child, T.goto[off + i])
    return STOP


@inlined
def join(R: Run, S: State, entity: Entity, op: int) -> int:
    """A child's way ends; its faults are the parent's. The last one lets the parent go on."""
    slot = entity.slot
    if not empty_handed(R, S, slot, op):
        return STOP
    parent = S.parent[slot]
    fault = row(S.fault, slot, R.faults)
    faults = row(S.fault, parent, R.faults)
    for k in range(R.faults):
        if fault[k] and not faults[k]:
            faults[k] = 1
            S.faults[parent] += 1
    vacate(S, slot)
    S.pending[parent] -= 1
    if S.pending[parent] == 0:
        ready(S, parent, S.pc[parent])
    return STOP
