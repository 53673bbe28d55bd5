"""Whether the probabilities are right: Brier score, reliability, and histories to judge by.

G. W. Brier, Monthly Weather Review 78 (1950) 1: the mean squared difference between the probability
and what happened; 0 is perfect. A reliability table asks of all that were given about 30 % whether
about 30 % happened; intervals are Wilson's (J. Am. Stat. Assoc. 22 (1927) 209).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import sqrt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stafett.watch.course import Again, Progress
from stafett.watch.plan import Plan

if TYPE_CHECKING:
    import polars as pl

Z: Final = 1.959964  # 95 %


class Bin(NamedTuple):
    """Predictions of about one probability: their mean, how often it happened, with interval."""

    n: int
    said: float
    happened: float
    low: float
    high: float


class History(NamedTuple):
    """One journey as it was: when it opened, and when each passage began and was done."""

    case: str
    opened: float
    passages: tuple[tuple[str, float, float | None], ...]
    ended: float


def brier(said: Sequence[float], happened: Sequence[bool]) -> float:
    """Return the Brier score."""
    return sum((p - y) ** 2 for p, y in zip(said, happened, strict=True)) / len(said)


def skill(score: float, reference: float) -> float:
    """Return the share of the reference's score that is saved: 1 is perfect, 0 is no better."""
    return 1 - score / reference


def reliability(said: Sequence[float], happened: Sequence[bool], bins: int = 10) -> list[Bin]:
    """Return a table of equally wide bins; empty ones are left out."""
    found = []
    for i in range(bins):
        mine = [
            (p, y) for p, y in zip(said, happened, strict=True) if min(int(p * bins), bins - 1) == i
        ]
        if mine:
            n, hits = len(mine), sum(y for _, y in mine)
            low, high = wilson(hits, n)
            found.append(Bin(n, sum(p for p, _ in mine) / n, hits / n, low, high))
    return found


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return Wilson's interval for a share."""
    share = hits / n
    middle = share + Z * Z / (2 * n)
    half = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return (middle - half) / (1 + Z * Z / n), (middle + half) / (1 + Z * Z / n)


def histories(frame: pl.DataFrame) -> list[History]:
    """Return the journeys of an event log, in order of their beginning."""
    import polars as pl  # heavy: the pages need the scores, and no log

    by_case: dict[str, list[tuple[str, float, float | None]]] = {}
    opened: dict[str, float] = {}
    columns = frame.select(pl.col("case").cast(pl.String), pl.col("activity").cast(pl.String),
                           "enqueue", "start", "end")  # fmt: skip
    for case, activity, enqueue, start, end in columns.iter_rows():
        by_case.setdefault(case, []).append((activity, _s(start), None if end is None else _s(end)))
        opened[case] = min(opened.get(case, _s(enqueue)), _s(enqueue))
    found = [
        History(
            case,
            opened[case],
            tuple(sorted(rows, key=lambda row: row[1])),
            max(at for _, start, end in rows for at in (start, end or start)),
        )
        for case, rows in by_case.items()
    ]
    return sorted(found, key=lambda one: (one.opened, one.case))


def _s(moment: Any) -> float:
    assert isinstance(moment, datetime)
    return moment.timestamp()


def at(plan: Plan, history: History, now: float) -> Progress:
    """Return how far a journey was at `now`.

    What begins again after it was done is begun afresh, with all that comes after it in the
    protocol, at the moment when the last passage before that ended.
    """
    done: dict[str, float] = {}
    again: list[Again] = []
    ends: list[float] = []
    begun: set[str] = set()
    for activity, start, end in history.passages:
        if start > now:
            break
        if activity in begun:
            moment = max((e for e in ends if e <= start), default=start)
            names = _after(plan, activity) & begun
            for name in plan.order:
                if name in names:
                    was = done.pop(name, None)
                    again.append(Again(name, was if was and was <= moment else None, moment))
            begun -= names
        begun.add(activity)
        if end is not None and end <= now:
            ends.append(end)
            done[activity] = end
    known = {n: d for n, d in done.items() if n in plan.before}
    return Progress(history.opened, known, min(now, history.ended), tuple(again))


def _after(plan: Plan, activity: str) -> set[str]:
    """Return an activity and all that comes after it."""
    found = {activity}
    for name in plan.order:
        if found & set(plan.before[name]):
            found.add(name)
    return found


def whole(plan: Plan, history: History) -> Progress:
    """Return a journey as it was at its end."""
    return at(plan, history, history.ended)
