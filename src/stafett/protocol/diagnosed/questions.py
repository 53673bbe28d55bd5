"""Questions that two people answer differently, or whose answer changes nothing."""

from __future__ import annotations

from stafett.protocol.diagnostic import Diagnostic

QUESTIONS: dict[str, Diagnostic] = {
    "open-question": Diagnostic(
        "questions",
        "error",
        "A check without closed answers",
        "Two people answer the same case differently, and nobody notices.",
        "Give `choices` with at least one that passes and one that does not.",
    ),
    "scan-of-nothing": Diagnostic(
        "questions",
        "error",
        "A scan that does not say what it identifies or records, and by which identifier",
        "A scan that is compared with nothing always passes.",
        "Add `identifies:` or `records:`, and `by:` one identifier of that material.",
    ),
    "no-unit": Diagnostic(
        "questions",
        "error",
        "A quantity without a unit or without limits",
        "Half of the readers take another unit, and no value is ever wrong.",
        "Add `unit:` and `min:` or `max:`.",
    ),
    "unknown-unit": Diagnostic(
        "questions",
        "error",
        "A unit that there is not",
        "Nobody can convert or compare it, and each reader takes it for another one.",
        "Write a UCUM code that the language knows, like `Cel`, `mL`, `h` or `{vial}`.",
    ),
    "unit-mismatch": Diagnostic(
        "questions",
        "error",
        "A number held against a number of another kind",
        "The limit is a thousand times too wide, or a length of time passes for a temperature.",
        "Correct the unit, or give the other number a name or a figure of its own.",
    ),
    "no-unknown": Diagnostic(
        "questions",
        "error",
        "A critical question that cannot be answered with `nobody knows`",
        "Who does not know must answer something, and answers yes.",
        "Add a choice with `means: unknown`: it stops the journey until somebody knows.",
    ),
    "unknown-passes": Diagnostic(
        "questions",
        "error",
        "An unknown answer that passes",
        "Unknown blocks; it never passes. Not knowing is how wrong bags get through.",
        "Let that choice mean `unknown`, not `pass`.",
    ),
    "no-deviation": Diagnostic(
        "questions",
        "error",
        "A check whose failure has no consequence",
        "It neither stops the journey nor raises a deviation: it can be answered anyhow.",
        "Make it `critical: true`, or name the `deviation` that its failure raises.",
    ),
    "status-word": Diagnostic(
        "questions",
        "error",
        "A status word that does not say whose",
        "`released` by the laboratory and `released` by the qualified person are different things.",
        "Qualify it by its authority: `Released by the qualified person`.",
    ),
}
