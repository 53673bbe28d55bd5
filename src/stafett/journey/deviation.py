"""Deviations that the core raises itself, and what they are where a protocol does not define them.

A protocol's own catalogue comes first. Severities of the built-in ones are proposals of this
project after GMP practice (minor, major, critical), not published figures.
"""

from __future__ import annotations

from stafett.protocol.model import Deviation, Protocol

IDENTITY_MISMATCH = "IDENTITY_MISMATCH"
UNKNOWN_ANSWER = "UNKNOWN_ANSWER"
CHECK_FAILED = "CHECK_FAILED"
HOLD_TIME_EXCEEDED = "HOLD_TIME_EXCEEDED"
THAW_CLOCK_EXCEEDED = "THAW_CLOCK_EXCEEDED"
LATE_DELIVERY = "LATE_DELIVERY"
LATE = "LATE"
MATERIAL_LOST = "MATERIAL_LOST"
TIMELINE_IMPOSSIBLE = "TIMELINE_IMPOSSIBLE"

_BUILT_IN = {
    IDENTITY_MISMATCH: ("Identity mismatch", "identity", "critical"),
    UNKNOWN_ANSWER: ("A check could not be answered", "interpretation", "major"),
    CHECK_FAILED: ("A check failed", "condition", "major"),
    HOLD_TIME_EXCEEDED: ("Shelf life exceeded", "timing", "critical"),
    THAW_CLOCK_EXCEEDED: ("Time after thaw exceeded", "timing", "critical"),
    LATE_DELIVERY: ("Later than agreed", "timing", "major"),
    LATE: ("Later than planned", "timing", "minor"),
    MATERIAL_LOST: ("Material lost or destroyed", "custody", "critical"),
    TIMELINE_IMPOSSIBLE: ("The stated time cannot be right", "documentation", "major"),
}
BUILT_IN: dict[str, Deviation] = {
    code: Deviation(title=title, kind=kind, severity=severity, proposal=True)  # type: ignore[arg-type]
    for code, (title, kind, severity) in _BUILT_IN.items()
}


def catalogue(protocol: Protocol) -> dict[str, Deviation]:
    """Return every deviation that can be raised under `protocol`, by code."""
    return {**BUILT_IN, **protocol.deviations}


def entry(protocol: Protocol, code: str) -> Deviation:
    """Return the entry `code`; raise KeyError if neither the protocol nor the core knows it."""
    found = protocol.deviations.get(code)
    return found if found is not None else BUILT_IN[code]
