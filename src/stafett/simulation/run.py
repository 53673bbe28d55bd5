"""What the compiled functions hand to one another: tuples, which cost nothing once compiled in."""

# Elements of arrays are Any to mypy; compiled, they are what the signature says.
# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stafett.simulation.compiled import inlined
from stafett.simulation.pointers import row
from stafett.simulation.state import TROUBLE, WHERE, State
from stafett.simulation.tables import COLUMNS

STOP = -1  # instead of the next operation: the entity waits, has gone, or is in trouble


class Run(NamedTuple):
    """What stays as it is during a replication."""

    k0: np.uint64  # the key of every draw: seed
    k1: np.uint64  # and replication
    warmup: float
    count_until: float
    arrivals_until: float
    until: float
    fused: bool
    logging: bool
    log_full: int
    # widths of the tables with a row a slot
    slots: int
    ops: int
    resources: int
    faults: int
    attributes: int
    sources: int
    neighbours: int


class Entity(NamedTuple):
    """An entity on its way through operations; pointers to its own rows.

    Its number and tag are read where a draw needs them: as values that stay the same they would be
    worked on before it is known whether there will be a draw (a twentieth of the run time).
    """

    slot: int
    counted: bool
    att: NDArray[np.float64]
    visit: NDArray[np.uint16]


@inlined
def entity(R: Run, S: State, slot: int) -> Entity:
    """The entity in a slot."""
    return Entity(
        slot,
        S.counted[slot] != 0,
        row(S.att, slot, R.attributes),
        row(S.visit, slot, R.ops),
    )


@inlined
def operation(ops: NDArray[np.int32], op: int) -> NDArray[np.int32]:
    """The row of an operation."""
    return row(ops, op, COLUMNS)


@inlined
def shifted(att: NDArray[np.float64], by: int) -> int:
    """How far attribute `by` shifts an index (a site's own row of a block); -1: not at all."""
    return int(att[by]) if by >= 0 else 0


@inlined
def attempt(E: Entity, op: int) -> np.uint64:
    """How often the entity has drawn at the operation before; now once more."""
    times = np.uint64(E.visit[op])
    E.visit[op] += 1
    return times


@inlined
def trouble(S: State, why: int, op: int) -> int:
    """The run cannot go on: say why and where."""
    S.n[TROUBLE] = why
    S.n[WHERE] = op
    return STOP
