"""What a page waits for: how far the computations are that it asked for, together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from stafett.service.computing import Computation, Computing

EVERYBODY = ""  # the organisation of what belongs to none
PAUSE_S = 0.2  # between two steps that are told


@dataclass(frozen=True)
class Going:
    """What is still being computed, or why it was not: parts of all parts; which computations."""

    done: int
    total: int
    problem: str = ""
    runs: tuple[str, ...] = ()
    going: bool = True


def of(*computations: Computation) -> Going:
    """How far some computations are, together."""
    return Going(
        sum(c.done for c in computations),
        sum(c.total for c in computations),
        " ".join(c.problem for c in computations if c.problem),
        tuple(c.id for c in computations),
        any(c.going for c in computations),
    )


def together(parts: Sequence[Going]) -> Going:
    """How far several waits are, as one."""
    return Going(
        sum(p.done for p in parts),
        sum(p.total for p in parts),
        " ".join(p.problem for p in parts if p.problem),
        tuple(dict.fromkeys(run for p in parts for run in p.runs)),
        any(p.going for p in parts),
    )


async def look(computing: Computing, organisation: str, runs: Sequence[str]) -> Going | None:
    """How far computations for pages are; None where one is not there for the organisation."""
    found = await computing.for_pages((organisation, EVERYBODY), runs)
    return of(*found) if {c.id for c in found} == set(runs) else None


async def follow(
    computing: Computing, organisation: str, runs: Sequence[str], beat_s: float
) -> AsyncGenerator[Going | None, None]:
    """Yield how far they are now and at each step, until all have ended; None at `beat_s` of calm.

    Steps that come faster than a reader follows are told as one.
    """
    last, told = None, time.monotonic()
    with computing.watched() as moved:
        while (now := await look(computing, organisation, runs)) is not None:
            if now != last:
                yield now
                last, told = now, time.monotonic()
            elif time.monotonic() - told > beat_s:
                yield None
                told = time.monotonic()
            if not now.going:
                return
            await asyncio.sleep(PAUSE_S)
            await moved()
