"""The event loop, compiled.

It takes the next thing that happens and lets whoever it concerns go on, operation by operation:
`steps` touch only the entity; `resources`, `entities` (fork and join) and `batches` touch what is
shared. All of it is compiled into one function, over pointers (see `compiled` and `pointers`).

**Fusing.** An entity's local operations depend on nothing but its own past and keyed draws, so they
can all be done at once, ahead of time; only when it comes to a shared operation does it wait
for that moment in the heap. Consecutive delays so become one event. With `fused` off every delay is
an event of its own; results are bit-identical because ties are broken by rank (who, not when it was
pushed) and sums of local operations are integers.
"""

# Elements of arrays are Any to mypy; compiled, they are what the signature says.
# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math

import numpy as np

from stafett.simulation.agenda import (
    ARRIVAL_RANK,
    BATCH_RANK,
    ENTITY_RANK,
    clear,
    close,
    goes_on,
    put,
)
from stafett.simulation.batches import batch, overdue
from stafett.simulation.compiled import called, inlined
from stafett.simulation.entities import arrive, end, fork, inside, join, next_from
from stafett.simulation.notes import LOG_MARGIN
from stafett.simulation.pointers import pointers, row
from stafett.simulation.resources import (
    change_capacity,
    elapse,
    free,
    observe,
    release,
    renege,
    seize,
)
from stafett.simulation.run import Run, entity, operation, trouble
from stafett.simulation.state import (
    AT,
    COMING,
    DONE,
    DRAIN,
    EVENTS,
    GROW,
    HEAP,
    LIVE,
    LOGGED,
    OPENED,
    PAUSE,
    READY,
    STUCK,
    TROUBLE,
    VACANT,
    State,
)
from stafett.simulation.steps import (
    branch,
    delay,
    expose,
    inspect,
    tally,
    test,
    wait_until_open,
)
from stafett.simulation.steps import (
    put as put_attribute,
)
from stafett.simulation.tables import (
    BATCH,
    BRANCH,
    CODE,
    DELAY,
    EXPOSE,
    FORK,
    FREE,
    INSPECT,
    JOIN,
    OBSERVE,
    RELEASE,
    SEIZE,
    SET,
    TEST,
    UNTIL,
    C,
    Tables,
)

MAX_OPS_WITHOUT_TIME = 100_000


@inlined
def full(R: Run, S: State, heap: int, width: int) -> bool:
    """Whether the next event might not find room, in the slots or in the heap."""
    live = S.n[LIVE] + width
    return live + 1 >= R.slots or S.n[HEAP] + live + 8 >= heap


@inlined
def log_is_full(R: Run, S: State) -> bool:
    """Whether the log might not hold what all who live have yet to write."""
    return R.logging and S.n[LOGGED] >= R.log_full - S.n[LIVE]


@inlined
def open_up(R: Run, S: State, T: Tables) -> None:
    """Put the first event of each source and resource into an empty system."""
    S.n[OPENED] = 1
    for r in range(R.resources):
        plan = row(T.plan, r, 2)
        S.cap[r] = T.plan_to[plan[0]]
        if plan[1] > 1:
            S.plan_i[r] = 1
            put(S, T.plan_at[plan[0] + 1], r, r)
    S.n[COMING] = R.sources
    for s in range(R.sources):
        put(S, next_from(R, S, T, s, 0.0), ARRIVAL_RANK + s, s)


@called
def run(
    arrays: State,
    tables: Tables,
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
    heap = len(arrays.heap_t)
    R = Run(
        k0,
        k1,
        warmup,
        count_until,
        arrivals_until,
        until,
        fused,
        logging,
        len(arrays.log_t) - LOG_MARGIN - len(arrays.made),
        len(arrays.pc),
        len(tables.ops),
        len(arrays.cap),
        len(arrays.made),
        len(tables.start),
        len(arrays.arrived),
        len(arrays.spare),
    )
    S = pointers(arrays)
    T = pointers(tables)
    width = 0
    for op in range(R.ops):
        o = operation(T.ops, op)
        if o[CODE] == FORK:
            width = max(width, o[C])
    if not S.n[OPENED]:
        open_up(R, S, T)
    now = S.f[AT]
    answer = DONE
    events = 0
    S.n[TROUBLE] = DONE

    while True:
        # ---- what happens next ----------------------------------------------------------------
        granted = S.n[READY] > 0
        if granted:
            S.n[READY] -= 1
            slot = S.ready[S.n[READY]]
        else:
            close(S)
            if (
                S.n[HEAP] == 0
                or S.heap_t[0] > until
                or (S.n[LIVE] == 0 and S.n[COMING] == 0 and until == math.inf)
            ):
                break
            if events >= budget:
                answer = PAUSE
                break
            if full(R, S, heap, width) and not (clear(S) and not full(R, S, heap, width)):
                answer = GROW
                break
            if log_is_full(R, S):
                answer = DRAIN
                break
            events += 1
            now = S.heap_t[0]
            rank = S.heap_r[0]
            payload = S.heap_p[0]
            S.n[VACANT] = 1
            if rank >= ENTITY_RANK:
                slot = payload
                if (rank & 1) == 1:
                    slot = renege(R, S, T, payload, now)
            elif rank < ARRIVAL_RANK:
                change_capacity(R, S, T, payload, now)
                slot = -1
            elif rank < BATCH_RANK:
                slot = arrive(R, S, T, payload, now)
            else:
                overdue(R, S, T, payload, now)
                slot = -1
        if slot < 0:
            continue

        # ---- the entity goes on ---------------------------------------------------------------
        E = entity(R, S, slot)
        pc = S.pc[slot]
        t = now
        steps = 0
        later = False
        while True:
            op = pc
            o = operation(T.ops, op)
            code = o[CODE]
            # Beyond the horizon, or no room to log: the rest must wait for its moment; what is
            # shared waits for it always.
            if t > until or log_is_full(R, S) or (code >= SEIZE and (granted or t > now)):
                later = True
                break
            steps += 1
            if steps > MAX_OPS_WITHOUT_TIME:
                trouble(S, STUCK, op)
                break
            if E.counted:
                S.visits[op] += 1
            if code < SEIZE:
                begun = t
                if code == DELAY:
                    pc, t = delay(R, S, T, E, op, o, begun)
                elif code == BRANCH:
                    pc = branch(R, S, T, E, op, o)
                elif code == SET:
                    pc = put_attribute(R, S, T, E, op, o, t)
                elif code == TEST:
                    pc = test(T, E, o)
                elif code == UNTIL:
                    pc, t = wait_until_open(R, S, T, E, op, o, begun)
                elif code == EXPOSE:
                    pc = expose(R, S, T, E, op, o, t)
                elif code == INSPECT:
                    pc = inspect(R, S, T, E, op, o, t)
                else:
                    pc = tally(R, S, E, op, o, t)
                if t > begun:
                    steps = 0
                    if not fused:
                        later = True
                        break
            # From here on t is now.
            elif code == SEIZE:
                pc = seize(R, S, T, E, op, o, now)
            elif code == RELEASE:
                pc = release(R, S, T, E, op, o, now)
            elif code == FREE:
                pc = free(R, S, T, E, op, o, now)
            elif code == OBSERVE:
                pc = observe(S, E, o)
            elif code == FORK:
                pc = fork(R, S, T, E, o)
            elif code == JOIN:
                pc = join(R, S, E, op)
            elif code == BATCH:
                pc = batch(R, S, T, E, op, o, now)
            else:
                pc = end(R, S, E, op, o, now)
            if pc < 0:
                break
        if later:
            S.pc[slot] = pc
            goes_on(S, slot, t)
        elif S.n[TROUBLE] != DONE:
            answer = S.n[TROUBLE]
            break

    S.n[EVENTS] += events
    S.f[AT] = now
    if answer == DONE:
        finish = until if until < math.inf else now
        for r in range(R.resources):
            elapse(R, S, r, finish)
        inside(R, S, finish)
        S.f[AT] = finish
    return answer
