"""What touches only the entity: it can all be done ahead of time.

Each gives the operation that follows (`STOP`: trouble), and the time if that may have passed.
"""

# Elements of arrays are Any to mypy; compiled, they are what the signature says.
# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stafett.simulation.ahead import first_draw
from stafett.simulation.compiled import inlined
from stafett.simulation.draws import (
    draw,
    is_open,
    next_open,
    pick,
    pick_first,
)
from stafett.simulation.elementary import parts
from stafett.simulation.notes import note
from stafett.simulation.philox import uniform
from stafett.simulation.pointers import row
from stafett.simulation.run import Entity, Run, attempt, shifted, trouble
from stafett.simulation.state import (
    BINS,
    BINS_PER_DOUBLING,
    LOWEST,
    NEGATIVE,
    State,
)
from stafett.simulation.tables import (
    ADD,
    ALT,
    BEGIN,
    BUCKET,
    COPY,
    DRAW,
    DUE,
    FAULT,
    FINISH,
    FIXED,
    FOR_FAULT,
    FOR_GROUP,
    FOUND,
    LATE,
    MINIMUM,
    NEXT,
    NOW,
    PASS,
    PUT,
    RECIPROCAL,
    TIMES,
    A,
    B,
    C,
    D,
    E,
    Tables,
)

Row = NDArray[np.int32]


@inlined
def drawn(R: Run, S: State, T: Tables, entity: Entity, op: int, dist: int) -> float:
    """The entity's next draw of a distribution at an operation."""
    times = attempt(entity, op)
    number, tag = S.number[entity.slot], S.tag[entity.slot]
    a = S.ahead[op]
    if a >= 0 and times == 0:
        return first_draw(R, S, T, a, number, T.stream[op], tag)
    return draw(T.dists, T.points, dist, R.k0, R.k1, number, times, T.stream[op], tag)


@inlined
def luck(R: Run, S: State, T: Tables, entity: Entity, op: int) -> float:
    """The entity's next uniform draw at an operation."""
    number, tag = S.number[entity.slot], S.tag[entity.slot]
    return uniform(R.k0, R.k1, number, attempt(entity, op), T.stream[op], tag)


@inlined
def in_time(entity: Entity, o: Row, begun: float, t: float) -> tuple[int, float]:
    """(what follows, when): as planned, or the deadline's way at the deadline."""
    if o[DUE] >= 0 and entity.att[o[DUE]] < t:
        return int(o[LATE]), max(begun, entity.att[o[DUE]])
    return int(o[NEXT]), t


@inlined
def delay(
    R: Run, S: State, T: Tables, entity: Entity, op: int, o: Row, begun: float
) -> tuple[int, float]:
    """Time passes: as drawn, or as an attribute says."""
    if o[A] >= 0:
        d = drawn(R, S, T, entity, op, o[A] + shifted(entity.att, o[B]))
    else:
        d = entity.att[-1 - o[A]]
    if o[C] >= 0:
        d *= entity.att[o[C]]
    if not d >= 0.0:
        return trouble(S, NEGATIVE, op), begun
    pc, t = in_time(entity, o, begun, begun + d)
    if entity.counted:
        S.spent[op] += int((t - begun) * FIXED + 0.5)
    note(R, S, entity.slot, begun, op, BEGIN, 0.0)
    note(R, S, entity.slot, t, op, FINISH, 0.0)
    return pc, t


@inlined
def wait_until_open(
    R: Run, S: State, T: Tables, entity: Entity, op: int, o: Row, begun: float
) -> tuple[int, float]:
    """Time passes until a calendar is open."""
    calendar = o[A] + shifted(entity.att, o[B])
    opens = next_open(T.hours, T.opens, T.closes, T.hours_period, calendar, begun)
    pc, t = in_time(entity, o, begun, opens)
    if t > begun and entity.counted:
        S.spent[op] += int((min(t, R.until) - begun) * FIXED + 0.5)
    return pc, t


@inlined
def branch(R: Run, S: State, T: Tables, entity: Entity, op: int, o: Row) -> int:
    """Go one way or another, by luck; an attribute may multiply the odds of the first."""
    table = o[A] + shifted(entity.att, o[B])
    odds = entity.att[o[C]] if o[C] >= 0 else 1.0
    i = pick_first(T.tables, T.cum, table, odds, luck(R, S, T, entity, op))
    return o[NEXT] if i < 0 else T.goto[i]


@inlined
def test(T: Tables, entity: Entity, o: Row) -> int:
    """Go one way if an attribute is less than another, or a constant; else the other."""
    right = entity.att[o[B]] if o[B] >= 0 else T.consts[o[D]]
    return o[NEXT] if entity.att[o[A]] < right else o[ALT]


@inlined
def put(R: Run, S: State, T: Tables, entity: Entity, op: int, o: Row, t: float) -> int:
    """Change an attribute."""
    mode = o[C]
    a = o[A]
    att = entity.att
    if mode == PUT:
        att[a] = T.consts[o[D]]
    elif mode == ADD:
        att[a] += att[o[B]] if o[B] >= 0 else T.consts[o[D]]
    elif mode == COPY:
        att[a] = att[o[B]]
    elif mode == NOW:
        att[a] = t + T.consts[o[D]]
    elif mode == MINIMUM:
        att[a] = min(att[a], att[o[B]])
    elif mode == TIMES:
        att[a] *= att[o[B]] if o[B] >= 0 else T.consts[o[D]]
    elif mode == RECIPROCAL:
        att[a] = 1.0 / att[o[B]]
    elif mode == BUCKET:
        att[a] = math.floor(t / T.consts[o[D]])
    elif mode == DRAW:
        att[a] = drawn(R, S, T, entity, op, o[E] + shifted(att, o[B]))
    else:  # GROUP: one draw for all entities of the same group
        group = np.uint64(int(att[o[B]]))
        second = np.uint64(0)
        if o[D] >= 0:
            second = np.uint64(int(att[o[D]]))
        att[a] = draw(
            T.dists,
            T.points,
            o[E],
            R.k0,
            R.k1,
            group,
            second,
            T.stream[op],
            np.uint64(FOR_GROUP),
        )
    return o[NEXT]


@inlined
def expose(R: Run, S: State, T: Tables, entity: Entity, op: int, o: Row, t: float) -> int:
    """Perhaps a fault is made; nobody sees it yet."""
    table = o[A] + shifted(entity.att, o[B])
    odds = entity.att[o[C]] if o[C] >= 0 else 1.0
    if o[D] >= 0 and not is_open(T.hours, T.opens, T.closes, T.hours_period, o[D], t):
        odds *= T.consts[o[E]]
    i = pick(T.tables, T.cum, table, odds, luck(R, S, T, entity, op))
    if i >= 0:
        made = T.goto[i]
        if entity.counted:
            S.made[made] += 1
        fault = row(S.fault, entity.slot, R.faults)
        if fault[made] == 0:
            fault[made] = 1
            S.faults[entity.slot] += 1
        note(R, S, entity.slot, t, op, FAULT, float(made))
    return o[NEXT]


@inlined
def inspect(R: Run, S: State, T: Tables, entity: Entity, op: int, o: Row, t: float) -> int:
    """Each fault carried is found, or not; the worst one found decides where to go."""
    slot = entity.slot
    pc = o[NEXT]
    if S.faults[slot] > 0:
        fault = row(S.fault, slot, R.faults)
        sense = row(T.sense, o[A], R.faults)
        worst = -1
        times = attempt(entity, op)
        for k in range(R.faults):
            if fault[k] and sense[k] > 0.0:
                purpose = S.tag[entity.slot] | np.uint64(FOR_FAULT + k)
                u = uniform(R.k0, R.k1, S.number[entity.slot], times, T.stream[op], purpose)
                if u < sense[k]:
                    fault[k] = 0
                    S.faults[slot] -= 1
                    if entity.counted:
                        row(S.found, o[A], R.faults)[k] += 1
                    if worst < 0 or T.severity[k] > T.severity[worst]:
                        worst = k
                    note(R, S, slot, t, op, FOUND, float(k))
        if worst >= 0:
            if o[C] >= 0:
                entity.att[o[C]] = worst
            divert = row(T.divert, o[A], R.faults)[worst]
            if divert >= 0:
                pc = divert
    return pc


@inlined
def tally(R: Run, S: State, entity: Entity, op: int, o: Row, t: float) -> int:
    """Record an attribute, or the time since the moment that it holds."""
    if entity.counted:
        value = entity.att[o[B]]
        if o[C] == 1:
            value = t - value
        sums = row(S.tally, o[A], 3)
        sums[0] += 1
        sums[1] += math.floor(value * FIXED + 0.5)
        sums[2] += int(value * value * FIXED + 0.5)
        place = 0
        if value > 0.0:
            m, doubling = parts(value)
            place = int(doubling - LOWEST) * BINS_PER_DOUBLING + int(
                (m - 0.5) * (2 * BINS_PER_DOUBLING)
            )
            place = min(max(place, 0), BINS - 1)
        row(S.hist, o[A], BINS)[place] += 1
        note(R, S, entity.slot, t, op, PASS, value)
    return o[NEXT]
