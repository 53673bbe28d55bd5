"""A simulated run as the one analytic table, so that insight runs on it unchanged.

Each passage of a step or handoff becomes a row with explicit enqueue, start and end; the row in
which a patient was lost says `lost`. What a receiver found stands on the row where it was found
(`deviation`, `detected_at`); where it began stands in `true_origin`, which no real log has, and in
`origin` for the share of findings whose cause the system would have recorded (its shared record),
and for what was found where it was made. `result` names a step's result as a ledger's log does,
`case:outcome` the named end of the journey, `left` whether the patient could wait no longer; the
last row of such a journey ends when they left.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from stafett.design.compile import KINDS, LEFT, Compiled
from stafett.design.network import CENTRE
from stafett.eventlog import SCHEMA, EventLog, validated
from stafett.simulation import ROWS, Horizon, Log, simulate

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
"""Day 0 of a simulation: calendars begin the week with it."""

Row = dict[str, Any]
MORE = ("true_origin", "centre", "result", "case:outcome", "left")


def record(c: Compiled, days: float, seed: int, replication: int = 0) -> EventLog:
    """Simulate `days` from an empty system and give its log."""
    _, log = simulate(c.model, Horizon(days), seed, replication, log=True)
    assert log is not None
    rows = [row for journey in _journeys(log) for row in _rows(c, log, journey)]
    rows.sort(key=lambda row: (row["start"], row["case"]))
    schema = {**SCHEMA, "attempt": pl.Int64, **dict.fromkeys(MORE, pl.String)}
    schema.pop("row")
    frame, _ = validated(pl.DataFrame(rows, schema=schema))
    return EventLog(frame, source=f"simulation of {c.system.name}, seed {seed}", zone="UTC")


def _journeys(log: Log) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
    """Indices of each journey's rows, in its own order."""
    order = np.argsort(log.entity, kind="stable")
    entity = log.entity[order]
    cuts = np.flatnonzero(np.diff(entity)) + 1
    return (np.asarray(part) for part in np.split(order, cuts) if len(part))


def _rows(c: Compiled, log: Log, journey: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[Row]:
    """The passages of one journey."""
    names, case = c.model.ops, ""
    centres = list(c.system.network.centres)
    centre = -1
    waiting: float | None = None
    open_: Row | None = None
    left: str | None = None
    attempts: dict[str, int] = {}
    shared = c.system.network.habits.shared_record.value
    for i in journey:
        op, kind, time = names[log.op[i]], ROWS[log.kind[i]], float(log.time[i])
        activity, _, what = op.rpartition(" ")
        if kind == "arrive":
            case = f"J{int(log.entity[i]):06d}"
        elif kind == "pass" and centre < 0:
            centre = int(log.value[i])
        elif kind == "enqueue" and op.startswith("wait for "):
            waiting = time
        elif kind == "begin" and what in ("work", "dwell"):
            if open_ is not None:
                yield open_
            attempts[activity] = attempts.get(activity, 0) + 1
            open_ = _opened(c, case, centre, activity, time, waiting)
            open_ |= {"attempt": attempts[activity], "centre": centres[centre]}
            waiting = None
        elif kind == "finish" and op == LEFT:
            left = "yes"
        elif kind == "finish" and open_ is not None:
            _finished(open_, op, what, time)
        elif kind == "found" and open_ is not None:
            origin, fault = c.handoffs[int(log.value[i]) // 4], KINDS[int(log.value[i]) % 4]
            here = open_["activity"]
            # Whether the cause is known is a property of the finding: the same in each reading.
            known = origin == here or _chance(case, here, origin) < shared
            open_ |= {
                "outcome": "deviation",
                "deviation": fault,
                "detected_at": here,
                "true_origin": origin,
                "origin": origin if known else None,
            }
        elif kind == "leave" and open_ is not None:
            ended = c.model.outcomes[int(log.value[i])]
            treated = c.system.protocol.outcomes[ended].treated
            open_ |= {"case:outcome": ended, "left": left}
            if not treated and open_["outcome"] == "ok":
                open_["outcome"] = "lost"
            yield open_
            open_ = None
    if open_ is not None:
        open_["outcome"] = open_["outcome"] if open_["end"] is not None else "open"
        yield open_


def _chance(*what: str) -> float:
    """A number between 0 and 1 that is always the same for the same names."""
    return zlib.crc32("|".join(what).encode()) / 2**32


def _opened(
    c: Compiled, case: str, centre: int, activity: str, time: float, waiting: float | None
) -> Row:
    protocol = c.system.protocol
    row: Row = {
        "case": case, "activity": activity, "outcome": "ok", "end": None, "detected_at": None,
        "deviation": None, "origin": None,
        **dict.fromkeys(MORE),
    }  # fmt: skip
    if activity in protocol.steps:
        who = _who(c, protocol.steps[activity].role, centre)
        row |= {"kind": "step", "giver": who, "receiver": who}
        row |= {"enqueue": _at(waiting if waiting is not None else time), "start": _at(time)}
    else:
        handoff = protocol.handoffs[activity]
        row |= {"kind": "handoff", "enqueue": _at(time), "start": _at(time)}
        row |= {"giver": _who(c, handoff.giver, centre)}
        row |= {"receiver": _who(c, handoff.receiver, centre)}
    return row


def _finished(row: Row, op: str, what: str, time: float) -> None:
    activity = row["activity"]
    if op in (f"{activity} work", f"{activity} dwell"):
        row["end"] = _at(time)
        if what == "dwell":
            row["start"] = _at(time)
    elif op.startswith(f"{activity} was "):
        row["outcome"] = "refused" if what == "refused" else "failed"
        row["result"] = what
    elif op.startswith(f"{activity} ") and op.endswith("clarified"):
        row["end"] = _at(time)
    elif op.startswith(f"{activity} ") and op.endswith("done again"):
        row["end"], row["outcome"] = _at(time), "rework"


def _at(days: float) -> datetime:
    return MONDAY + timedelta(days=days)


def _who(c: Compiled, role: str, centre: int) -> str:
    """Organisation and role: two roles of one hospital still hand over to each other."""
    network = c.system.network
    who = network.roles[role]
    return f"{list(network.centres)[centre] if who == CENTRE else who}: {role}"
