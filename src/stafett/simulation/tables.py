"""A network as tables: what the compiled loop and its plain twin both read.

An entity walks through operations. An operation is a row of small integers; whatever it needs of
numbers lies in side tables. Operations that touch only the entity (delay, branch, set, ...) are
*local*; those that touch what entities share (a resource, a batch, a parent) are *shared*. The
distinction is what makes fusing safe: see `kernel`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Operation codes; the local ones come first.
DELAY, BRANCH, SET, TEST, UNTIL, EXPOSE, INSPECT, TALLY = range(8)
SEIZE, RELEASE, FREE, FORK, JOIN, BATCH, OBSERVE, END = range(8, 16)

# Columns of an operation.
CODE, A, B, C, D, E, NEXT, ALT, DUE, LATE = range(10)
COLUMNS = 10

# Modes of SET (column C).
PUT, ADD, COPY, NOW, MINIMUM, TIMES, DRAW, GROUP, BUCKET, RECIPROCAL = range(10)

# Purposes of a draw: the low byte of the counter's last word.
FOR_STEP, FOR_PATIENCE, FOR_ARRIVAL, FOR_GROUP, FOR_FAULT = 0, 1, 2, 3, 16

# Kinds of log rows.
ARRIVE, BEGIN, FINISH, ENQUEUE, START, RENEGE, DISCHARGE, FAULT, FOUND, LEAVE, PASS = range(11)
ROWS = (
    "arrive", "begin", "finish", "enqueue", "start", "renege", "discharge", "fault", "found",
    "leave", "pass",
)  # fmt: skip

LEVELS = 8  # priority levels; 0 is served first
FIXED = 1048576.0  # sums are kept in 2^-20ths, as integers: their order cannot change them


class Tables(NamedTuple):
    """Arrays only, so that compiled code can take it whole."""

    ops: NDArray[np.int32]  # (n, COLUMNS)
    stream: NDArray[np.uint64]  # (n,) stable number of the operation's name, keys its draws
    dists: NDArray[np.float64]  # (m, 5) kind, p0, p1, p2, shift
    points: NDArray[np.float64]  # quantiles and cumulative weights
    tables: NDArray[np.int32]  # (k, 2) offset and length in `cum` and `goto`
    cum: NDArray[np.float64]  # cumulative probabilities of branches and faults
    goto: NDArray[np.int32]  # target of a branch, or the fault's number
    consts: NDArray[np.float64]
    plan: NDArray[np.int32]  # (r, 2) offset and length of a resource's capacity steps
    plan_at: NDArray[np.float64]  # time of each step
    plan_to: NDArray[np.int32]  # capacity from then on
    plan_period: NDArray[np.float64]  # (r,) repeats after this; inf: never
    lifo: NDArray[np.int32]  # (r,) 1: the last to come is served first
    hours: NDArray[np.int32]  # (c, 2) offset and length of a calendar's openings
    opens: NDArray[np.float64]
    closes: NDArray[np.float64]
    hours_period: NDArray[np.float64]
    sources: NDArray[np.int32]  # (s, 4) distribution or -1, first operation, rates offset, length
    rate_at: NDArray[np.float64]  # time at which a rate begins (within its period)
    rate: NDArray[np.float64]  # arrivals per unit of time
    rate_period: NDArray[np.float64]  # (s,)
    sense: NDArray[np.float64]  # (i, d) probability that inspection i finds fault d
    divert: NDArray[np.int32]  # (i, d) where the entity goes then; -1: on
    severity: NDArray[np.float64]  # (d,) the worst found decides where it goes
    start: NDArray[np.float64]  # (a,) attributes of a new entity


@dataclass(frozen=True)
class Model:
    """Tables with the names that make their results readable."""

    tables: Tables
    ops: tuple[str, ...]
    resources: tuple[str, ...]
    outcomes: tuple[str, ...]
    tallies: tuple[str, ...]
    attributes: tuple[str, ...]
    faults: tuple[str, ...]
    inspections: tuple[str, ...]
    sources: tuple[str, ...]
    batches: int

    @property
    def digest(self) -> str:
        """SHA-256 over tables and names: equal digests mean equal results for equal seeds."""
        h = hashlib.sha256(b"stafett simulation model 1\n")
        for name in Tables._fields:
            array: NDArray[Any] = getattr(self.tables, name)
            h.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            h.update(np.ascontiguousarray(array).tobytes())
        names: tuple[Any, ...] = (
            self.ops, self.resources, self.outcomes, self.tallies, self.attributes, self.faults,
            self.inspections, self.sources, self.batches,
        )  # fmt: skip
        h.update(repr(names).encode())
        return h.hexdigest()
