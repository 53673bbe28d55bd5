"""A small chain whose truth is known: collect, ship, make, return, infuse.

Every draw is keyed by (seed, patient, attempt, work), so that repairing an interface changes only
what it must, and the truth of a counterfactual is the same chain run again.
"""

from __future__ import annotations

import os

# Many small matrices: on a busy machine two threads per product wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any

import numpy as np
import polars as pl
import pytest

from stafett.eventlog import EventLog, validated

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
GROUPS = {"collect": "Clinic", "make": "Factory", "infuse": "Ward"}
SERVERS = {"Clinic": 3, "Factory": 4, "Ward": 3}
HANDOFFS = {"ship": ("Clinic", "Factory", 6.0, 0.15), "return": ("Factory", "Ward", 8.0, 0.10)}
HOURS = {"collect": 4.0, "make": 60.0, "infuse": 3.0}
GOOD_DWELL = 2.0


def draw(seed: int, patient: int, attempt: int, work: str) -> tuple[float, float]:
    """Return two keyed uniforms."""
    rng = np.random.default_rng([seed, patient, attempt, sum(map(ord, work))])
    return tuple(rng.random(2))  # type: ignore[return-value]


def simulate(
    patients: int = 150,
    seed: int = 1,
    repaired: tuple[str, ...] = (),
    patience_h: float | None = None,
) -> EventLog:
    """Run the chain; `repaired` interfaces never fail and dwell at most `GOOD_DWELL` hours.

    A failed ship sends the patient back to collection; a failed return takes a second place at the
    factory. With `patience_h` half of the patients leave when they wait that long to be made for.
    """
    rows: list[dict[str, Any]] = []
    free = dict(SERVERS)
    queue: dict[str, list[Any]] = {name: [] for name in SERVERS}
    events: list[tuple[float, int, int, str, int, int]] = []
    arrival, count = 0.0, 0
    for p in range(patients):
        arrival += -np.log(1 - draw(seed, p, 0, "arrival")[0]) * 19.0
        count += 1
        heappush(events, (arrival, 2, count, "collect", p, 1))
    left: set[int] = set()

    def row(p: int, work: str, kind: str, pair: tuple[str, str], times: Any, outcome: str) -> None:
        enqueue, start, end = (EPOCH + timedelta(microseconds=round(t * 3.6e9)) for t in times)
        rows.append({"case": f"p{p:04d}", "activity": work, "kind": kind, "giver": pair[0],
                     "receiver": pair[1], "enqueue": enqueue, "start": start, "end": end,
                     "outcome": outcome})  # fmt: skip

    while events:
        now, kind, _, work, p, attempt = heappop(events)
        count += 1
        if kind == 0:
            free[GROUPS[work]] += 1
        elif kind == 1:
            waiting = [e for e in queue["Factory"] if e[3] == p]
            if waiting:
                queue["Factory"].remove(waiting[0])
                left.add(p)
                row(p, work, "step", ("Factory", "Factory"), (waiting[0][0], now, now), "withdrawn")
        else:
            heappush(queue[GROUPS[work]], (now, count, work, p, attempt))
            impatient = patience_h is not None and draw(seed, p, 0, "patience")[0] < 0.5
            if work == "make" and attempt == 1 and impatient:
                heappush(events, (now + float(patience_h or 0), 1, count, work, p, attempt))
        if events and events[0][0] == now:
            continue
        for group in SERVERS:
            while free[group] and queue[group]:
                ready, _, task, q, n = heappop(queue[group])
                free[group] -= 1
                u, _ = draw(seed, q, n, task)
                done = now + HOURS[task] * (0.6 + 0.8 * u)
                row(q, task, "step", (group, group), (ready, now, done), "ok")
                count += 1
                heappush(events, (done, 0, count, task, q, n))
                after = {"collect": "ship", "make": "return"}.get(task)
                if after is None:
                    continue
                giver, receiver, mean, risk = HANDOFFS[after]
                u, v = draw(seed, q, n, after)
                dwell, failed = GOOD_DWELL - np.log(1 - u) * mean, v < risk and n < 4
                if after in repaired:
                    dwell, failed = min(dwell, GOOD_DWELL), False
                there = done + dwell
                row(
                    q,
                    after,
                    "handoff",
                    (giver, receiver),
                    (done, there, there),
                    "refused" if failed else "ok",
                )
                then = {"ship": "make", "return": "infuse"}[after] if not failed else task
                count += 1
                heappush(events, (there, 2, count, then, q, n + 1 if failed else n))
    frame = pl.DataFrame(rows).with_columns(
        pl.col("enqueue", "start", "end").dt.cast_time_unit("us")
    )
    frame = frame.sort("case", "start", "end", maintain_order=True)
    return EventLog(validated(frame)[0], zone="UTC")


@pytest.fixture(scope="session")
def chain() -> Callable[..., EventLog]:
    """Return the simulator of the small chain."""
    return simulate
