"""What the loop changes: the heap, the entities alive, the queues, the sums. Arrays only.

Memory grows with the entities *alive*, not with those that have passed: a slot is used again as
soon as its entity leaves. The loop stops and asks (`status`) when an array is full; `grow` doubles
it and the loop goes on where it stopped.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stafett.simulation.distributions import CONSTANT, ERLANG
from stafett.simulation.tables import (
    CODE,
    DELAY,
    DRAW,
    LEVELS,
    SET,
    A,
    B,
    C,
    E,
    Model,
    Tables,
)

# Scalars in `n`.
HEAP, STALE, UNUSED, LIVE, SERIAL, LOGGED, EVENTS, WHERE, INSIDE, COMING = range(10)
VACANT, READY, TROUBLE, OPENED = range(10, 14)
SCALARS = 14
# Scalars in `f`.
AT, SYSTEM_SINCE, SYSTEM_SUM = range(3)

# What the loop answers.
DONE, GROW, DRAIN, PAUSE, STUCK, NEGATIVE, NOT_HELD, STILL_HELD = range(8)

BINS_PER_DOUBLING = 64
LOWEST = -10  # exponent of the first doubling of a histogram: values below 2^-11 share bin 0
BINS = BINS_PER_DOUBLING * 32

NEIGHBOURS = 8  # draws made at once: see `ahead`
LINES = 8  # of them an operation; a power of two


class State(NamedTuple):
    """One replication in progress."""

    n: NDArray[np.int64]
    f: NDArray[np.float64]
    heap_t: NDArray[np.float64]
    heap_r: NDArray[np.int64]  # rank: breaks ties in time, the same whatever was fused
    heap_p: NDArray[np.int64]  # payload
    # entities (one row a slot)
    att: NDArray[np.float64]
    pc: NDArray[np.int64]
    number: NDArray[np.uint64]  # arrival number within its source
    tag: NDArray[np.uint64]  # source and lane, as they enter the key of a draw
    source: NDArray[np.int64]
    lane: NDArray[np.int64]  # 0, or which child of a fork
    serial: NDArray[np.int64]
    counted: NDArray[np.uint8]
    parent: NDArray[np.int64]
    pending: NDArray[np.int64]
    visit: NDArray[np.uint16]  # (slots, ops) how often this entity drew at this operation
    fault: NDArray[np.uint8]  # (slots, faults)
    faults: NDArray[np.int64]  # how many of them
    hold: NDArray[np.uint8]  # (slots, resources)
    since: NDArray[np.float64]  # began to wait
    queue: NDArray[np.int64]  # resource * LEVELS + level, or -1
    late: NDArray[np.uint8]  # its pending renege is the deadline, not the patience
    prev: NDArray[np.int64]
    next: NDArray[np.int64]
    ticket: NDArray[np.int64]  # the renege event with another ticket is stale
    ready: NDArray[np.int64]
    # resources, batches, sources
    cap: NDArray[np.int64]
    busy: NDArray[np.int64]
    waiting: NDArray[np.int64]
    head: NDArray[np.int64]  # (resources * LEVELS,)
    tail: NDArray[np.int64]
    plan_i: NDArray[np.int64]
    plan_base: NDArray[np.float64]
    touched: NDArray[np.float64]
    batch_head: NDArray[np.int64]
    batch_n: NDArray[np.int64]
    batch_ticket: NDArray[np.int64]
    arrived: NDArray[np.int64]  # all, from time 0: numbers the next one
    # sums, of entities born after the warm-up
    arrivals: NDArray[np.int64]  # (sources,)
    ended: NDArray[np.int64]  # (outcomes,)
    visits: NDArray[np.int64]  # (ops,)
    spent: NDArray[np.int64]  # (ops,) fixed point: delays begun, waits ended
    waited: NDArray[np.int64]  # (ops, 3) seizures, waits and squared waits (fixed point)
    reneged: NDArray[np.int64]  # (ops, 2) out of patience, past the deadline
    tally: NDArray[np.int64]  # (tallies, 3) n, sum, sum of squares (fixed point)
    hist: NDArray[np.int64]  # (tallies, BINS)
    area: NDArray[np.float64]  # (resources, 3) time integrals of busy, waiting, capacity
    made: NDArray[np.int64]  # (faults,)
    found: NDArray[np.int64]  # (inspections, faults)
    kept: NDArray[np.int64]  # (faults,) still there at the end: nobody saw it
    # draws made ahead: see `ahead`
    ahead: NDArray[np.int64]  # (ops + sources,) which lines are its, or -1
    line_dist: NDArray[np.int64]  # distribution of what lies in them
    line_key: NDArray[np.uint64]  # (lines,) whose draws
    line: NDArray[np.float64]  # (lines, NEIGHBOURS)
    spare: NDArray[np.float64]  # (NEIGHBOURS,) for reckoning
    # log
    log_t: NDArray[np.float64]
    log_v: NDArray[np.float64]
    log_i: NDArray[np.int64]  # (rows, 5) entity, source, lane, operation, kind


# Arrays with one row a slot; `grow` doubles them.
PER_SLOT = (
    "att", "pc", "number", "tag", "source", "lane", "serial", "counted", "parent",
    "pending", "visit", "fault", "faults", "hold", "since", "queue", "late", "prev", "next",
    "ticket", "ready",
)  # fmt: skip


def fresh(model: Model, log: bool, slots: int = 256) -> State:
    """An empty system with room for `slots` entities."""
    T = model.tables
    ops, res, kinds = len(T.ops), len(model.resources), len(model.faults)
    src, tal, insp = len(T.sources), len(model.tallies), len(model.inspections)

    def i8(*shape: int) -> NDArray[np.int64]:
        return np.zeros(shape, np.int64)

    def f8(*shape: int) -> NDArray[np.float64]:
        return np.zeros(shape, np.float64)

    rows = 65536 if log else 1
    events = 4 * slots + res + src
    ahead, of = drawing_ahead(T)
    state = State(
        n=i8(SCALARS), f=f8(3),
        heap_t=f8(events), heap_r=i8(events), heap_p=i8(events),
        att=f8(slots, len(T.start)), pc=i8(slots),
        number=np.zeros(slots, np.uint64), tag=np.zeros(slots, np.uint64),
        source=i8(slots), lane=i8(slots), serial=i8(slots), counted=np.zeros(slots, np.uint8),
        parent=i8(slots), pending=i8(slots), visit=np.zeros((slots, ops), np.uint16),
        fault=np.zeros((slots, kinds), np.uint8), faults=i8(slots),
        hold=np.zeros((slots, res), np.uint8), since=f8(slots), queue=i8(slots),
        late=np.zeros(slots, np.uint8), prev=i8(slots), next=i8(slots), ticket=i8(slots),
        ready=i8(slots),
        cap=i8(res), busy=i8(res), waiting=i8(res),
        head=i8(res * LEVELS) - 1, tail=i8(res * LEVELS) - 1,
        plan_i=i8(res), plan_base=f8(res), touched=f8(res),
        batch_head=i8(model.batches) - 1, batch_n=i8(model.batches), batch_ticket=i8(model.batches),
        arrived=i8(src), arrivals=i8(src), ended=i8(len(model.outcomes)), visits=i8(ops),
        spent=i8(ops), waited=i8(ops, 3), reneged=i8(ops, 2), tally=i8(tal, 3),
        hist=i8(tal, BINS), area=f8(res, 3), made=i8(kinds), found=i8(insp, kinds), kept=i8(kinds),
        ahead=ahead, line_dist=of, line_key=np.zeros(LINES * len(of), np.uint64),
        line=f8(LINES * len(of), NEIGHBOURS), spare=f8(NEIGHBOURS),
        log_t=f8(rows), log_v=f8(rows), log_i=i8(rows, 5),
    )  # fmt: skip
    free_from(state, 0)
    return state


def drawing_ahead(T: Tables) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(which lines each operation and source has, or -1; the distribution of each of these).

    Those have lines that draw from one distribution of which one uniform makes one value. Bare
    uniforms have none: they cost less than to look where they lie.
    """
    single = ~np.isin(T.dists[:, 0], (CONSTANT, ERLANG))
    code, a, by, mode, e = (T.ops[:, k].astype(np.int64) for k in (CODE, A, B, C, E))
    dist = np.where((code == DELAY) & (by < 0), a, -1)
    dist = np.where((code == SET) & (mode == DRAW) & (by < 0), e, dist)
    dist = np.concatenate([dist, T.sources[:, 0].astype(np.int64)])
    wanted = (dist >= 0) & single[np.maximum(dist, 0)]
    return np.where(wanted, np.cumsum(wanted) - 1, -1), dist[wanted]


def free_from(state: State, first: int) -> None:
    """Chain the slots from `first` on into the list of unused ones."""
    slots = len(state.pc)
    state.next[first:] = np.arange(first + 1, slots + 1)
    state.next[slots - 1] = state.n[UNUSED] if first else -1
    state.n[UNUSED] = first


def grow(state: State) -> State:
    """The same state with twice the room for entities and events."""
    slots = len(state.pc)
    bigger = {}
    for name in PER_SLOT:
        old = getattr(state, name)
        bigger[name] = np.concatenate([old, np.zeros_like(old)])
    for name in ("heap_t", "heap_r", "heap_p"):
        old = getattr(state, name)
        bigger[name] = np.concatenate([old, np.zeros_like(old)])
    grown = state._replace(**bigger)
    free_from(grown, slots)
    return grown


def bin_edges() -> NDArray[np.float64]:
    """Lower edges of the histogram's bins, (BINS + 1,): 64 to a doubling, so within 1.6 %."""
    steps = np.arange(BINS + 1)
    doubling, part = np.divmod(steps, BINS_PER_DOUBLING)
    edges = np.ldexp(0.5 + part / (2 * BINS_PER_DOUBLING), doubling + LOWEST)
    edges[0] = 0.0
    assert math.isfinite(edges[-1])
    return np.asarray(edges)
