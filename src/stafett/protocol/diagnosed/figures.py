"""Figures and limits: what has no source, or that no value can satisfy."""

from __future__ import annotations

from stafett.protocol.diagnostic import Diagnostic

FIGURES: dict[str, Diagnostic] = {
    "unsourced": Diagnostic(
        "figures",
        "error",
        "A figure with no source",
        "A limit that nobody can trace is neither defended nor corrected.",
        "Add `source:` (a key of `sources`), or `proposal: true` if nobody has published it.",
    ),
    "contradictory-limits": Diagnostic(
        "figures",
        "error",
        "Limits that contradict each other",
        "No value can satisfy them: the step fails each time, or the limit is ignored each time.",
        "Correct the figures so that at least one value is allowed.",
    ),
    "limits-nothing": Diagnostic(
        "figures",
        "error",
        "A limit so wide that it limits nothing",
        "Nobody who could do anything about it is still there.",
        "Write the time within which somebody must act.",
    ),
    "deadline-unordered": Diagnostic(
        "figures",
        "error",
        "A deadline counted from something that need not have happened",
        "The clock may never start, so lateness is never seen.",
        "Count from an activity that comes before, or add it to `after`.",
    ),
}
