"""What every figure states beneath its title: how many, of what, from when to when."""

from __future__ import annotations

from stafett.eventlog import EventLog


def period(log: EventLog) -> str:
    """Return the period of a log in words."""
    ends = log.period
    if ends is None:
        return "no period"
    first, last = ends
    return f"{first.day} {first:%b %Y} – {last.day} {last:%b %Y}"


def basis(log: EventLog, n: int, what: str) -> str:
    """Return the line under a figure's title."""
    return f"n = {n:,} {what}, {period(log)}"
