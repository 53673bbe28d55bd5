"""Shelf lives: what outlives them, and clocks that start late."""

from __future__ import annotations

from stafett.protocol.diagnostic import Diagnostic

TIME: dict[str, Diagnostic] = {
    "shelf-life-exceeded": Diagnostic(
        "time",
        "error",
        "The longest permitted path outlives the material",
        "Everyone keeps their limit and the product still expires.",
        "Shorten the limits on the path named, or use a material that keeps longer.",
    ),
    "shelf-life-unbounded": Diagnostic(
        "time",
        "error",
        "Nothing limits the time between the start of a shelf life and the use",
        "Whether the material is fit depends on luck.",
        "Give the activities named `takes:`, or the last one a deadline.",
    ),
    "shelf-life-tight": Diagnostic(
        "time",
        "warning",
        "One hold or one repetition on the way outlives the material",
        "The first quarantine or refusal makes the material expire.",
        "Shorten the limits, so that there is time for one decision.",
    ),
    "clock-restarted": Diagnostic(
        "time",
        "error",
        "A new label makes the material younger",
        "What had expired keeps again because it is called something else.",
        "Count from the same activity as before, and no longer.",
    ),
    "clock-late": Diagnostic(
        "time",
        "error",
        "A shelf life that starts when the material is older than it says",
        "The hours before are nobody's: it is used when it has expired.",
        "Count from the activity that makes it, or from one before.",
    ),
}
