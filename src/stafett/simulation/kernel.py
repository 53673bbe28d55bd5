"""The event loop, compiled.

One function, because compiled code passes every array of a tuple at each call that is not inlined:
split up it runs at a third of the speed. It reads from top to bottom in four parts: take the next
thing that happens; entities that arrive, tire of waiting, or get what they waited for; operations
that touch only the entity; operations that touch what is shared.

**Fusing.** An entity's local operations depend on nothing but its own past and keyed draws, so they
can all be done at once, ahead of time; only when it comes to a shared operation does it wait
for that moment in the heap. Consecutive delays so become one event. With `fused` off every delay is
an event of its own; results are bit-identical because ties are broken by rank (who, not when it was
pushed) and sums of local operations are integers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stafett.simulation.compiled import compiled
from stafett.simulation.draws import draw, is_open, next_arrival, next_open, pick, pick_first
from stafett.simulation.elementary import parts
from stafett.simulation.heap import pop, push, replace
from stafett.simulation.notes import note
from stafett.simulation.philox import uniform
from stafett.simulation.state import (
    AT,
    BINS,
    BINS_PER_DOUBLING,
    COMING,
    DONE,
    DRAIN,
    EVENTS,
    GROW,
    HEAP,
    INSIDE,
    LIVE,
    LOGGED,
    LOWEST,
    NEGATIVE,
    NOT_HELD,
    PAUSE,
    SERIAL,
    STALE,
    STILL_HELD,
    STUCK,
    SYSTEM_SINCE,
    SYSTEM_SUM,
    UNUSED,
    WHERE,
    State,
)
from stafett.simulation.tables import (
    ADD,
    ALT,
    ARRIVE,
    BATCH,
    BEGIN,
    BRANCH,
    BUCKET,
    CODE,
    COPY,
    DELAY,
    DISCHARGE,
    DRAW,
    DUE,
    ENQUEUE,
    EXPOSE,
    FAULT,
    FINISH,
    FIXED,
    FOR_FAULT,
    FOR_GROUP,
    FOR_PATIENCE,
    FORK,
    FOUND,
    FREE,
    INSPECT,
    JOIN,
    LATE,
    LEAVE,
    LEVELS,
    MINIMUM,
    NEXT,
    NOW,
    OBSERVE,
    PASS,
    PUT,
    RECIPROCAL,
    RELEASE,
    RENEGE,
    SEIZE,
    SET,
    START,
    TALLY,
    TEST,
    TIMES,
    UNTIL,
    A,
    B,
    C,
    D,
    E,
    Tables,
)

# Ranks: what happens first when times are equal. Capacity before arrivals before entities (the
# older first), an entity's own move before its renege.
ARRIVAL_RANK = 1 << 20
BATCH_RANK = 1 << 30
ENTITY_RANK = 1 << 40
TICKET = 1 << 32
LOG_MARGIN = 16
MAX_OPS_WITHOUT_TIME = 100_000


@compiled
def elapse(
    area: NDArray[np.float64],
    touched: NDArray[np.float64],
    busy: NDArray[np.int64],
    waiting: NDArray[np.int64],
    cap: NDArray[np.int64],
    r: int,
    now: float,
    warmup: float,
) -> None:
    """Add what resource `r` did since it was last touched to its time integrals."""
    dt = now - max(touched[r], warmup)
    if dt > 0.0:
        area[r, 0] += busy[r] * dt
        area[r, 1] += waiting[r] * dt
        area[r, 2] += cap[r] * dt
    touched[r] = now


@compiled
def inside(f: NDArray[np.float64], entities: int, now: float, warmup: float) -> None:
    """Add the entities in the system since the last change to their time integral."""
    dt = now - max(f[SYSTEM_SINCE], warmup)
    if dt > 0.0:
        f[SYSTEM_SUM] += entities * dt
    f[SYSTEM_SINCE] = now


@compiled
def blank(
    visit: NDArray[np.uint16], fault: NDArray[np.uint8], hold: NDArray[np.uint8], slot: int
) -> None:
    """Wipe a slot: no draws made, no faults, nothing held. (Loops: slices cost far more here.)"""
    for k in range(visit.shape[1]):
        visit[slot, k] = 0
    for k in range(fault.shape[1]):
        fault[slot, k] = 0
    for k in range(hold.shape[1]):
        hold[slot, k] = 0


@compiled
def shifted(att: NDArray[np.float64], slot: int, by: int) -> int:
    """How far attribute `by` shifts an index (a site's own row of a block); -1: not at all."""
    return int(att[slot, by]) if by >= 0 else 0


@compiled
def opening(S: State, T: Tables, k0: np.uint64, k1: np.uint64) -> None:
    """Put the first event of each source and resource into an empty system."""
    for r in range(len(S.cap)):
        S.cap[r] = T.plan_to[T.plan[r, 0]]
        if T.plan[r, 1] > 1:
            S.plan_i[r] = 1
            t = T.plan_at[T.plan[r, 0] + 1]
            push(S.heap_t, S.heap_r, S.heap_p, S.n[HEAP], t, r, r)
            S.n[HEAP] += 1
    S.n[COMING] = len(S.arrived)
    for s in range(len(S.arrived)):
        t = next_arrival(
            T.dists,
            T.points,
            T.sources,
            T.rate_at,
            T.rate,
            T.rate_period,
            s,
            0.0,
            k0,
            k1,
            np.uint64(0),
        )
        push(S.heap_t, S.heap_r, S.heap_p, S.n[HEAP], t, ARRIVAL_RANK + s, s)
        S.n[HEAP] += 1


@compiled
def run(
    S: State,
    T: Tables,
    k0: np.uint64,
    k1: np.uint64,
    warmup: float,
    count_until: float,
    arrivals_until: float,
    until: float,
    fused: bool,
    logging: bool,
    budget: int,
) -> int:
    """Go on until `until`, or until something must be asked of the caller: see `state`."""
    # Unpacked once: each mention of a tuple's member would count a reference, atomically.
    S_area = S.area
    S_arrivals = S.arrivals
    S_arrived = S.arrived
    S_att = S.att
    S_batch_head = S.batch_head
    S_batch_n = S.batch_n
    S_batch_ticket = S.batch_ticket
    S_born = S.born
    S_busy = S.busy
    S_cap = S.cap
    S_counted = S.counted
    S_ended = S.ended
    S_f = S.f
    S_fault = S.fault
    S_faults = S.faults
    S_found = S.found
    S_head = S.head
    hp = S.heap_p
    hr = S.heap_r
    ht = S.heap_t
    S_hist = S.hist
    S_hold = S.hold
    S_kept = S.kept
    S_lane = S.lane
    S_late = S.late
    S_log_i = S.log_i
    S_log_t = S.log_t
    S_log_v = S.log_v
    S_made = S.made
    S_n = S.n
    S_next = S.next
    S_number = S.number
    S_parent = S.parent
    S_pc = S.pc
    S_pending = S.pending
    S_plan_base = S.plan_base
    S_plan_i = S.plan_i
    S_prev = S.prev
    S_queue = S.queue
    S_ready = S.ready
    S_reneged = S.reneged
    S_serial = S.serial
    S_since = S.since
    S_source = S.source
    S_spent = S.spent
    S_tag = S.tag
    S_tail = S.tail
    S_tally = S.tally
    S_ticket = S.ticket
    S_touched = S.touched
    S_visit = S.visit
    S_visits = S.visits
    S_waited = S.waited
    S_waiting = S.waiting
    T_closes = T.closes
    T_consts = T.consts
    T_cum = T.cum
    T_dists = T.dists
    T_divert = T.divert
    T_goto = T.goto
    T_hours = T.hours
    T_hours_period = T.hours_period
    T_lifo = T.lifo
    T_opens = T.opens
    ops = T.ops
    T_plan = T.plan
    T_plan_at = T.plan_at
    T_plan_period = T.plan_period
    T_plan_to = T.plan_to
    T_points = T.points
    T_rate = T.rate
    T_rate_at = T.rate_at
    T_rate_period = T.rate_period
    T_sense = T.sense
    T_severity = T.severity
    T_sources = T.sources
    T_start = T.start
    T_stream = T.stream
    T_tables = T.tables
    slots = len(S_pc)
    width = 0
    for i in range(len(ops)):
        if ops[i, CODE] == FORK:
            width = max(width, ops[i, C])
    patience_key = np.uint64(FOR_PATIENCE)
    group_key = np.uint64(FOR_GROUP)
    zero = np.uint64(0)
    n = S_n[HEAP]
    logn = S_n[LOGGED]
    log_full = len(S_log_t) - LOG_MARGIN - len(S_made)
    nready = 0
    vacant = False  # the first place of the heap has been taken and nothing put there yet
    now = S_f[AT]
    answer = DONE
    events = 0

    while True:
        # ---- what happens next ----------------------------------------------------------------
        granted = nready > 0
        if granted:
            nready -= 1
            slot = S_ready[nready]
        else:
            if vacant:
                pop(ht, hr, hp, n)
                n -= 1
                vacant = False
            if (
                n == 0
                or ht[0] > until
                or (S_n[LIVE] == 0 and S_n[COMING] == 0 and until == math.inf)
            ):
                answer = DONE
                break
            if events >= budget:
                answer = PAUSE
                break
            if S_n[LIVE] + width + 1 >= slots or n + S_n[LIVE] + width + 8 >= len(ht):
                # Before growing, throw away reneges of those who were served long ago.
                if S_n[STALE] > n // 2 + 16:
                    kept = 0
                    for i in range(n):
                        p = hp[i]
                        r = hr[i]
                        if (
                            r >= ENTITY_RANK
                            and (r & 1) == 1
                            and S_ticket[p % TICKET] != p // TICKET
                        ):
                            continue
                        t = ht[i]
                        push(ht, hr, hp, kept, t, r, p)
                        kept += 1
                    n = kept
                    S_n[STALE] = 0
                    if S_n[LIVE] + width + 1 < slots and n + S_n[LIVE] + width + 8 < len(ht):
                        continue
                answer = GROW
                break
            if logging and logn >= log_full - S_n[LIVE]:
                answer = DRAIN
                break
            events += 1
            now = ht[0]
            rank = hr[0]
            payload = hp[0]
            if rank < ARRIVAL_RANK:
                # ---- a capacity step ----------------------------------------------------------
                r = payload
                off = T_plan[r, 0]
                i = S_plan_i[r]
                elapse(S_area, S_touched, S_busy, S_waiting, S_cap, r, now, warmup)
                S_cap[r] = T_plan_to[off + i]
                i += 1
                if i == T_plan[r, 1]:
                    i = 0
                    S_plan_base[r] += T_plan_period[r]
                S_plan_i[r] = i
                t = S_plan_base[r] + T_plan_at[off + i]
                pop(ht, hr, hp, n)
                n -= 1
                if t < math.inf:
                    push(ht, hr, hp, n, t, rank, r)
                    n += 1
                slot = -1
            elif rank < BATCH_RANK:
                # ---- an arrival ---------------------------------------------------------------
                s = payload
                vacant = True
                if now > arrivals_until:
                    S_n[COMING] -= 1
                    continue
                slot = S_n[UNUSED]
                S_n[UNUSED] = S_next[slot]
                inside(S_f, S_n[INSIDE], now, warmup)
                S_n[LIVE] += 1
                S_n[INSIDE] += 1
                S_number[slot] = np.uint64(S_arrived[s])
                S_tag[slot] = np.uint64(s << 16)
                S_source[slot] = s
                S_lane[slot] = 0
                S_serial[slot] = S_n[SERIAL]
                S_n[SERIAL] += 1
                S_parent[slot] = -1
                S_born[slot] = now
                S_queue[slot] = -1
                S_pc[slot] = T_sources[s, 1]
                blank(S_visit, S_fault, S_hold, slot)
                S_faults[slot] = 0
                for k in range(len(T_start)):
                    S_att[slot, k] = T_start[k]
                S_counted[slot] = warmup <= now < count_until
                if S_counted[slot]:
                    S_arrivals[s] += 1
                if logging:
                    logn = note(
                        S_log_t,
                        S_log_v,
                        S_log_i,
                        logn,
                        now,
                        0.0,
                        S_number[slot],
                        S_source[slot],
                        S_lane[slot],
                        S_pc[slot],
                        ARRIVE,
                    )
                S_arrived[s] += 1
                t = next_arrival(
                    T_dists,
                    T_points,
                    T_sources,
                    T_rate_at,
                    T_rate,
                    T_rate_period,
                    s,
                    now,
                    k0,
                    k1,
                    np.uint64(S_arrived[s]),
                )
                if t <= arrivals_until:
                    replace(ht, hr, hp, n, t, rank, s)
                    vacant = False
                else:
                    S_n[COMING] -= 1
            elif rank < ENTITY_RANK:
                # ---- a batch that goes although it is not full ----------------------------------
                pop(ht, hr, hp, n)
                n -= 1
                b = payload % TICKET
                if S_batch_ticket[b] != payload // TICKET:
                    continue
                S_batch_ticket[b] += 1
                S_batch_n[b] = 0
                slot = S_batch_head[b]
                S_batch_head[b] = -1
                while slot >= 0:
                    op = S_pc[slot]
                    if S_counted[slot]:
                        wait = int((now - S_since[slot]) * FIXED + 0.5)
                        S_spent[op] += wait
                    if logging:
                        logn = note(
                            S_log_t,
                            S_log_v,
                            S_log_i,
                            logn,
                            now,
                            0.0,
                            S_number[slot],
                            S_source[slot],
                            S_lane[slot],
                            op,
                            START,
                        )
                    S_pc[slot] = ops[op, NEXT]
                    S_ready[nready] = slot
                    nready += 1
                    slot = S_next[slot]
                continue
            elif (rank & 1) == 1:
                # ---- patience or time runs out in a queue ----------------------------------
                pop(ht, hr, hp, n)
                n -= 1
                slot = payload % TICKET
                if S_ticket[slot] != payload // TICKET:
                    S_n[STALE] -= 1
                    continue
                S_ticket[slot] += 1
                q = S_queue[slot]
                r = q // LEVELS
                elapse(S_area, S_touched, S_busy, S_waiting, S_cap, r, now, warmup)
                S_waiting[r] -= 1
                before = S_prev[slot]
                after = S_next[slot]
                if before >= 0:
                    S_next[before] = after
                else:
                    S_head[q] = after
                if after >= 0:
                    S_prev[after] = before
                else:
                    S_tail[q] = before
                S_queue[slot] = -1
                op = S_pc[slot]
                late = S_late[slot]
                if S_counted[slot]:
                    S_spent[op] += int((now - S_since[slot]) * FIXED + 0.5)
                    S_reneged[op, late] += 1
                if logging:
                    logn = note(
                        S_log_t,
                        S_log_v,
                        S_log_i,
                        logn,
                        now,
                        float(late),
                        S_number[slot],
                        S_source[slot],
                        S_lane[slot],
                        op,
                        RENEGE,
                    )
                S_pc[slot] = ops[op, LATE] if late else ops[op, ALT]
            else:
                vacant = True
                slot = payload

        # ---- the entity goes on ---------------------------------------------------------------
        t = now
        freed = -1
        steps = 0
        if slot < 0:
            freed = payload  # more capacity: serve its queue, below
        pc = 0
        number = tag = zero
        if slot >= 0:
            pc = S_pc[slot]
            number = S_number[slot]
            tag = S_tag[slot]
        while slot >= 0:
            op = pc
            code = ops[op, CODE]
            steps += 1
            if steps > MAX_OPS_WITHOUT_TIME:
                answer = STUCK
                S_n[WHERE] = op
                break
            if t > until or (logging and logn >= log_full - S_n[LIVE]):
                # Beyond the horizon, or no room to log: the rest must wait for its moment.
                S_pc[slot] = op
                later = ENTITY_RANK + 2 * S_serial[slot]
                if vacant:
                    replace(ht, hr, hp, n, t, later, slot)
                    vacant = False
                else:
                    push(ht, hr, hp, n, t, later, slot)
                    n += 1
                break
            if code >= SEIZE and (granted or t > now):
                # Shared: only at its own moment.
                S_pc[slot] = op
                later = ENTITY_RANK + 2 * S_serial[slot]
                if vacant:
                    replace(ht, hr, hp, n, t, later, slot)
                    vacant = False
                else:
                    push(ht, hr, hp, n, t, later, slot)
                    n += 1
                break
            stream = T_stream[op]
            counted = S_counted[slot]
            if counted:
                S_visits[op] += 1

            # ---- local operations -------------------------------------------------------------
            if code == DELAY:
                if ops[op, A] >= 0:
                    dist = ops[op, A] + shifted(S_att, slot, ops[op, B])
                    attempt = np.uint64(S_visit[slot, op])
                    S_visit[slot, op] += 1
                    d = draw(T_dists, T_points, dist, k0, k1, number, attempt, stream, tag)
                else:
                    d = S_att[slot, -1 - ops[op, A]]
                if ops[op, C] >= 0:
                    d *= S_att[slot, ops[op, C]]
                if not d >= 0.0:
                    answer = NEGATIVE
                    S_n[WHERE] = op
                    break
                pc = ops[op, NEXT]
                begun = t
                t += d
                if ops[op, DUE] >= 0 and S_att[slot, ops[op, DUE]] < t:
                    t = max(begun, S_att[slot, ops[op, DUE]])
                    pc = ops[op, LATE]
                if counted:
                    S_spent[op] += int((t - begun) * FIXED + 0.5)
                if logging:
                    logn = note(
                        S_log_t,
                        S_log_v,
                        S_log_i,
                        logn,
                        begun,
                        0.0,
                        S_number[slot],
                        S_source[slot],
                        S_lane[slot],
                        op,
                        BEGIN,
                    )
                    logn = note(
                        S_log_t,
                        S_log_v,
                        S_log_i,
                        logn,
                        t,
                        0.0,
                        S_number[slot],
                        S_source[slot],
                        S_lane[slot],
                        op,
                        FINISH,
                    )
                if t > begun:
                    steps = 0
                    if not fused:
                        S_pc[slot] = pc
                        later = ENTITY_RANK + 2 * S_serial[slot]
                        if vacant:
                            replace(ht, hr, hp, n, t, later, slot)
                            vacant = False
                        else:
                            push(ht, hr, hp, n, t, later, slot)
                            n += 1
                        break
            elif code == BRANCH:
                table = ops[op, A] + shifted(S_att, slot, ops[op, B])
                odds = S_att[slot, ops[op, C]] if ops[op, C] >= 0 else 1.0
                attempt = np.uint64(S_visit[slot, op])
                S_visit[slot, op] += 1
                u = uniform(k0, k1, number, attempt, stream, tag)
                i = pick_first(T_tables, T_cum, table, odds, u)
                pc = ops[op, NEXT] if i < 0 else T_goto[i]
            elif code == SET:
                mode = ops[op, C]
                a = ops[op, A]
                if mode == PUT:
                    S_att[slot, a] = T_consts[ops[op, D]]
                elif mode == ADD:
                    S_att[slot, a] += (
                        S_att[slot, ops[op, B]] if ops[op, B] >= 0 else T_consts[ops[op, D]]
                    )
                elif mode == COPY:
                    S_att[slot, a] = S_att[slot, ops[op, B]]
                elif mode == NOW:
                    S_att[slot, a] = t + T_consts[ops[op, D]]
                elif mode == MINIMUM:
                    S_att[slot, a] = min(S_att[slot, a], S_att[slot, ops[op, B]])
                elif mode == TIMES:
                    S_att[slot, a] *= (
                        S_att[slot, ops[op, B]] if ops[op, B] >= 0 else T_consts[ops[op, D]]
                    )
                elif mode == RECIPROCAL:
                    S_att[slot, a] = 1.0 / S_att[slot, ops[op, B]]
                elif mode == BUCKET:
                    S_att[slot, a] = math.floor(t / T_consts[ops[op, D]])
                elif mode == DRAW:
                    dist = ops[op, E] + shifted(S_att, slot, ops[op, B])
                    attempt = np.uint64(S_visit[slot, op])
                    S_visit[slot, op] += 1
                    S_att[slot, a] = draw(
                        T_dists, T_points, dist, k0, k1, number, attempt, stream, tag
                    )
                else:  # GROUP: one draw for all entities of the same group
                    group = np.uint64(int(S_att[slot, ops[op, B]]))
                    second = zero
                    if ops[op, D] >= 0:
                        second = np.uint64(int(S_att[slot, ops[op, D]]))
                    S_att[slot, a] = draw(
                        T_dists, T_points, ops[op, E], k0, k1, group, second, stream, group_key
                    )
                pc = ops[op, NEXT]
            elif code == TEST:
                left = S_att[slot, ops[op, A]]
                right = S_att[slot, ops[op, B]] if ops[op, B] >= 0 else T_consts[ops[op, D]]
                pc = ops[op, NEXT] if left < right else ops[op, ALT]
            elif code == UNTIL:
                calendar = ops[op, A] + shifted(S_att, slot, ops[op, B])
                begun = t
                t = next_open(T_hours, T_opens, T_closes, T_hours_period, calendar, t)
                pc = ops[op, NEXT]
                if ops[op, DUE] >= 0 and S_att[slot, ops[op, DUE]] < t:
                    t = max(begun, S_att[slot, ops[op, DUE]])
                    pc = ops[op, LATE]
                if t > begun:
                    steps = 0
                    if counted:
                        S_spent[op] += int((min(t, until) - begun) * FIXED + 0.5)
                    if not fused:
                        S_pc[slot] = pc
                        later = ENTITY_RANK + 2 * S_serial[slot]
                        if vacant:
                            replace(ht, hr, hp, n, t, later, slot)
                            vacant = False
                        else:
                            push(ht, hr, hp, n, t, later, slot)
                            n += 1
                        break
            elif code == EXPOSE:
                table = ops[op, A] + shifted(S_att, slot, ops[op, B])
                odds = S_att[slot, ops[op, C]] if ops[op, C] >= 0 else 1.0
                if ops[op, D] >= 0 and not is_open(
                    T_hours, T_opens, T_closes, T_hours_period, ops[op, D], t
                ):
                    odds *= T_consts[ops[op, E]]
                attempt = np.uint64(S_visit[slot, op])
                S_visit[slot, op] += 1
                u = uniform(k0, k1, number, attempt, stream, tag)
                i = pick(T_tables, T_cum, table, odds, u)
                if i >= 0:
                    d_ = T_goto[i]
                    if counted:
                        S_made[d_] += 1
                    if S_fault[slot, d_] == 0:
                        S_fault[slot, d_] = 1
                        S_faults[slot] += 1
                    if logging:
                        logn = note(
                            S_log_t,
                            S_log_v,
                            S_log_i,
                            logn,
                            t,
                            float(d_),
                            S_number[slot],
                            S_source[slot],
                            S_lane[slot],
                            op,
                            FAULT,
                        )
                pc = ops[op, NEXT]
            elif code == INSPECT:
                pc = ops[op, NEXT]
                if S_faults[slot] > 0:
                    row = ops[op, A]
                    worst = -1
                    attempt = np.uint64(S_visit[slot, op])
                    S_visit[slot, op] += 1
                    for k in range(len(S_made)):
                        if S_fault[slot, k] and T_sense[row, k] > 0.0:
                            u = uniform(
                                k0, k1, number, attempt, stream, tag | np.uint64(FOR_FAULT + k)
                            )
                            if u < T_sense[row, k]:
                                S_fault[slot, k] = 0
                                S_faults[slot] -= 1
                                if counted:
                                    S_found[row, k] += 1
                                if worst < 0 or T_severity[k] > T_severity[worst]:
                                    worst = k
                                if logging:
                                    logn = note(
                                        S_log_t,
                                        S_log_v,
                                        S_log_i,
                                        logn,
                                        t,
                                        float(k),
                                        S_number[slot],
                                        S_source[slot],
                                        S_lane[slot],
                                        op,
                                        FOUND,
                                    )
                    if worst >= 0:
                        if ops[op, C] >= 0:
                            S_att[slot, ops[op, C]] = worst
                        if T_divert[row, worst] >= 0:
                            pc = T_divert[row, worst]
            elif code == TALLY:
                if counted:
                    k = ops[op, A]
                    value = S_att[slot, ops[op, B]]
                    if ops[op, C] == 1:
                        value = t - value
                    fixed = math.floor(value * FIXED + 0.5)
                    S_tally[k, 0] += 1
                    S_tally[k, 1] += fixed
                    S_tally[k, 2] += int(value * value * FIXED + 0.5)
                    bin_ = 0
                    if value > 0.0:
                        m, doubling = parts(value)
                        bin_ = int(doubling - LOWEST) * BINS_PER_DOUBLING + int(
                            (m - 0.5) * (2 * BINS_PER_DOUBLING)
                        )
                        bin_ = min(max(bin_, 0), BINS - 1)
                    S_hist[k, bin_] += 1
                    if logging:
                        logn = note(
                            S_log_t,
                            S_log_v,
                            S_log_i,
                            logn,
                            t,
                            value,
                            S_number[slot],
                            S_source[slot],
                            S_lane[slot],
                            op,
                            PASS,
                        )
                pc = ops[op, NEXT]

            # ---- shared operations: from here on t is now ----------------------------------------
            elif code == SEIZE:
                r = ops[op, A] + shifted(S_att, slot, ops[op, B])
                due = math.inf
                if ops[op, DUE] >= 0:
                    due = S_att[slot, ops[op, DUE]]
                if due <= now:
                    if counted:
                        S_reneged[op, 1] += 1
                    pc = ops[op, LATE]
                    continue
                if logging:
                    logn = note(
                        S_log_t,
                        S_log_v,
                        S_log_i,
                        logn,
                        now,
                        float(r),
                        S_number[slot],
                        S_source[slot],
                        S_lane[slot],
                        op,
                        ENQUEUE,
                    )
                elapse(S_area, S_touched, S_busy, S_waiting, S_cap, r, now, warmup)
                if S_busy[r] < S_cap[r]:
                    S_busy[r] += 1
                    S_hold[slot, r] += 1
                    if counted:
                        S_waited[op, 0] += 1
                    if logging:
                        logn = note(
                            S_log_t,
                            S_log_v,
                            S_log_i,
                            logn,
                            now,
                            float(r),
                            S_number[slot],
                            S_source[slot],
                            S_lane[slot],
                            op,
                            START,
                        )
                    pc = ops[op, NEXT]
                    continue
                S_late[slot] = 1
                if ops[op, E] >= 0:
                    attempt = np.uint64(S_visit[slot, op])
                    S_visit[slot, op] += 1
                    patience = draw(
                        T_dists,
                        T_points,
                        ops[op, E],
                        k0,
                        k1,
                        number,
                        attempt,
                        stream,
                        tag | patience_key,
                    )
                    if not patience >= 0.0:
                        answer = NEGATIVE
                        S_n[WHERE] = op
                        break
                    if now + patience < due:
                        due = now + patience
                        S_late[slot] = 0
                        if patience == 0.0:
                            if counted:
                                S_reneged[op, 0] += 1
                            if logging:
                                logn = note(
                                    S_log_t,
                                    S_log_v,
                                    S_log_i,
                                    logn,
                                    now,
                                    0.0,
                                    S_number[slot],
                                    S_source[slot],
                                    S_lane[slot],
                                    op,
                                    RENEGE,
                                )
                            pc = ops[op, ALT]
                            continue
                level = ops[op, C]
                if ops[op, D] >= 0:
                    level = min(max(int(S_att[slot, ops[op, D]]), 0), LEVELS - 1)
                q = r * LEVELS + level
                S_queue[slot] = q
                S_since[slot] = now
                S_pc[slot] = op
                S_waiting[r] += 1
                if T_lifo[r]:
                    S_prev[slot] = -1
                    S_next[slot] = S_head[q]
                    if S_head[q] >= 0:
                        S_prev[S_head[q]] = slot
                    else:
                        S_tail[q] = slot
                    S_head[q] = slot
                else:
                    S_next[slot] = -1
                    S_prev[slot] = S_tail[q]
                    if S_tail[q] >= 0:
                        S_next[S_tail[q]] = slot
                    else:
                        S_head[q] = slot
                    S_tail[q] = slot
                S_ticket[slot] += 1
                if due <= until and due < math.inf:
                    if vacant:
                        pop(ht, hr, hp, n)
                        n -= 1
                        vacant = False
                    push(
                        ht,
                        hr,
                        hp,
                        n,
                        due,
                        ENTITY_RANK + 2 * S_serial[slot] + 1,
                        slot + S_ticket[slot] * TICKET,
                    )
                    n += 1
                break
            elif code == RELEASE:
                r = ops[op, A] + shifted(S_att, slot, ops[op, B])
                if S_hold[slot, r] == 0:
                    answer = NOT_HELD
                    S_n[WHERE] = op
                    break
                S_hold[slot, r] -= 1
                elapse(S_area, S_touched, S_busy, S_waiting, S_cap, r, now, warmup)
                S_busy[r] -= 1
                if logging:
                    logn = note(
                        S_log_t,
                        S_log_v,
                        S_log_i,
                        logn,
                        now,
                        float(r),
                        S_number[slot],
                        S_source[slot],
                        S_lane[slot],
                        op,
                        DISCHARGE,
                    )
                pc = ops[op, NEXT]
                if S_waiting[r] > 0:
                    # Serve the queue first; this entity goes on at the same moment, in its turn.
                    freed = r
                    S_pc[slot] = pc
                    S_ready[nready] = slot
                    nready += 1
                    break
            elif code == FREE:
                r = -1
                for i in range(len(S_cap)):
                    if S_hold[slot, i] > 0:
                        r = i
                        break
                pc = ops[op, NEXT]
                if r >= 0:
                    # One at a time; come back until nothing is held.
                    S_hold[slot, r] -= 1
                    elapse(S_area, S_touched, S_busy, S_waiting, S_cap, r, now, warmup)
                    S_busy[r] -= 1
                    if logging:
                        logn = note(
                            S_log_t,
                            S_log_v,
                            S_log_i,
                            logn,
                            now,
                            float(r),
                            S_number[slot],
                            S_source[slot],
                            S_lane[slot],
                            op,
                            DISCHARGE,
                        )
                    freed = r
                    S_pc[slot] = op
                    S_ready[nready] = slot
                    nready += 1
                    break
            elif code == OBSERVE:
                r = ops[op, B] + shifted(S_att, slot, ops[op, C])
                S_att[slot, ops[op, A]] = (S_busy[r] + S_waiting[r]) / max(S_cap[r], 1)
                pc = ops[op, NEXT]
            elif code == FORK:
                children = ops[op, C]
                S_pending[slot] = children
                S_pc[slot] = ops[op, NEXT]
                off = T_tables[ops[op, A], 0]
                for i in range(children):
                    child = S_n[UNUSED]
                    S_n[UNUSED] = S_next[child]
                    S_n[LIVE] += 1
                    S_number[child] = S_number[slot]
                    S_lane[child] = S_lane[slot] * 8 + i + 1
                    S_source[child] = S_source[slot]
                    S_tag[child] = np.uint64((S_source[slot] << 16) | ((S_lane[child] & 255) << 8))
                    S_serial[child] = S_n[SERIAL]
                    S_n[SERIAL] += 1
                    S_parent[child] = slot
                    S_born[child] = S_born[slot]
                    S_queue[child] = -1
                    S_pc[child] = T_goto[off + i]
                    blank(S_visit, S_fault, S_hold, child)
                    S_faults[child] = 0
                    for k in range(len(T_start)):
                        S_att[child, k] = S_att[slot, k]
                    S_counted[child] = counted
                    S_ready[nready] = child
                    nready += 1
                break
            elif code == JOIN:
                parent = S_parent[slot]
                for i in range(len(S_cap)):
                    if S_hold[slot, i] > 0:
                        answer = STILL_HELD
                        S_n[WHERE] = op
                if answer == STILL_HELD:
                    break
                for k in range(len(S_made)):
                    if S_fault[slot, k] and not S_fault[parent, k]:
                        S_fault[parent, k] = 1
                        S_faults[parent] += 1
                S_next[slot] = S_n[UNUSED]
                S_n[UNUSED] = slot
                S_n[LIVE] -= 1
                S_pending[parent] -= 1
                if S_pending[parent] == 0:
                    S_ready[nready] = parent
                    nready += 1
                break
            elif code == BATCH:
                b = ops[op, A]
                S_pc[slot] = op
                S_since[slot] = now
                S_next[slot] = S_batch_head[b]
                S_batch_head[b] = slot
                S_batch_n[b] += 1
                if logging:
                    logn = note(
                        S_log_t,
                        S_log_v,
                        S_log_i,
                        logn,
                        now,
                        float(b),
                        S_number[slot],
                        S_source[slot],
                        S_lane[slot],
                        op,
                        ENQUEUE,
                    )
                if S_batch_n[b] == 1 and ops[op, E] >= 0:
                    attempt = np.uint64(S_visit[slot, op])
                    S_visit[slot, op] += 1
                    d = draw(
                        T_dists,
                        T_points,
                        ops[op, E],
                        k0,
                        k1,
                        number,
                        attempt,
                        stream,
                        tag | patience_key,
                    )
                    if ops[op, C] > 1 and now + d <= until:
                        if vacant:
                            pop(ht, hr, hp, n)
                            n -= 1
                            vacant = False
                        push(ht, hr, hp, n, now + d, BATCH_RANK + b, b + S_batch_ticket[b] * TICKET)
                        n += 1
                if S_batch_n[b] >= ops[op, C]:
                    S_batch_ticket[b] += 1
                    S_batch_n[b] = 0
                    member = S_batch_head[b]
                    S_batch_head[b] = -1
                    while member >= 0:
                        at = S_pc[member]
                        if S_counted[member]:
                            S_spent[at] += int((now - S_since[member]) * FIXED + 0.5)
                        if logging:
                            logn = note(
                                S_log_t,
                                S_log_v,
                                S_log_i,
                                logn,
                                now,
                                float(b),
                                S_number[member],
                                S_source[member],
                                S_lane[member],
                                at,
                                START,
                            )
                        S_pc[member] = ops[at, NEXT]
                        S_ready[nready] = member
                        nready += 1
                        member = S_next[member]
                break
            else:  # END
                for i in range(len(S_cap)):
                    if S_hold[slot, i] > 0:
                        answer = STILL_HELD
                        S_n[WHERE] = op
                if answer == STILL_HELD:
                    break
                inside(S_f, S_n[INSIDE], now, warmup)
                S_n[LIVE] -= 1
                S_n[INSIDE] -= 1
                if counted:
                    S_ended[ops[op, A]] += 1
                    if S_faults[slot] > 0:
                        for k in range(len(S_made)):
                            S_kept[k] += S_fault[slot, k]
                if logging:
                    logn = note(
                        S_log_t,
                        S_log_v,
                        S_log_i,
                        logn,
                        now,
                        float(ops[op, A]),
                        S_number[slot],
                        S_source[slot],
                        S_lane[slot],
                        op,
                        LEAVE,
                    )
                S_next[slot] = S_n[UNUSED]
                S_n[UNUSED] = slot
                break
        if answer != DONE:
            break

        # ---- whoever waited for what has just become free -------------------------------------
        if freed >= 0:
            r = freed
            while S_busy[r] < S_cap[r] and S_waiting[r] > 0:
                q = r * LEVELS
                while S_head[q] < 0:
                    q += 1
                first = S_head[q]
                after = S_next[first]
                S_head[q] = after
                if after >= 0:
                    S_prev[after] = -1
                else:
                    S_tail[q] = -1
                S_waiting[r] -= 1
                S_busy[r] += 1
                S_hold[first, r] += 1
                S_queue[first] = -1
                S_ticket[first] += 1
                S_n[STALE] += 1
                op = S_pc[first]
                if S_counted[first]:
                    wait = now - S_since[first]
                    S_spent[op] += int(wait * FIXED + 0.5)
                    S_waited[op, 0] += 1
                    S_waited[op, 1] += int(wait * FIXED + 0.5)
                    S_waited[op, 2] += int(wait * wait * FIXED + 0.5)
                if logging:
                    logn = note(
                        S_log_t,
                        S_log_v,
                        S_log_i,
                        logn,
                        now,
                        float(r),
                        S_number[first],
                        S_source[first],
                        S_lane[first],
                        op,
                        START,
                    )
                S_pc[first] = ops[op, NEXT]
                S_ready[nready] = first
                nready += 1

    S_n[HEAP] = n
    S_n[LOGGED] = logn
    S_n[EVENTS] += events
    S_f[AT] = now
    if answer == DONE:
        end = until if until < math.inf else now
        for r in range(len(S_cap)):
            elapse(S_area, S_touched, S_busy, S_waiting, S_cap, r, end, warmup)
        inside(S_f, S_n[INSIDE], end, warmup)
        S_f[AT] = end
    return answer
