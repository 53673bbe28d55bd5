"""Names and shape: what cannot be read or does not fit together."""

from __future__ import annotations

from stafett.protocol.diagnostic import Diagnostic

NAMES: dict[str, Diagnostic] = {
    "unreadable": Diagnostic(
        "names",
        "error",
        "The file cannot be read as a protocol",
        "What cannot be read cannot be proven or enforced.",
        "Correct the place named; `stafett protocol schema` gives an editor the language.",
    ),
    "unknown-name": Diagnostic(
        "names",
        "error",
        "A name that is not defined",
        "A rule about something that does not exist protects nobody.",
        "Correct the spelling, or define what is named.",
    ),
    "name-twice": Diagnostic(
        "names",
        "error",
        "One name for two things",
        "People and programs would read the same word differently.",
        "Rename one of them.",
    ),
    "unfit-part": Diagnostic(
        "names",
        "error",
        "Parts that do not fit together",
        "It cannot be carried out as written, so each site would do something else.",
        "Change the part so that it fits what the message says.",
    ),
    "on-demand-misused": Diagnostic(
        "names",
        "error",
        "An on-demand activity used as part of the order, or the reverse",
        "A decision that nobody sends for is never made; what waits for it waits for ever.",
        "Use `decide:` to reach decisions with `on_demand: true`, `go:` to reach all else.",
    ),
    "undecided": Diagnostic(
        "names",
        "error",
        "A decision whose result says nothing",
        "The held material stays in quarantine while everyone believes that it was decided.",
        "Give each result a `then`: go, end, resume, or decide.",
    ),
    "never-made": Diagnostic(
        "names",
        "error",
        "A material that nothing brings into being",
        "It has no origin, so no chain of identity.",
        "Name it in the `outputs` of a step or in `becomes` of a handoff, or remove it.",
    ),
    "endless-retry": Diagnostic(
        "names",
        "error",
        "Sent back with no last resort",
        "When the attempts run out the journey stands still and nobody decides.",
        "Give the activity `attempts` and `exhausted: {end: ...}` (or `decide`).",
    ),
    "cycle": Diagnostic(
        "names",
        "error",
        "Activities that wait for each other",
        "None of them can ever begin.",
        "Remove one of the `after`; to repeat something use a route with `go`.",
    ),
    "unused-name": Diagnostic(
        "names",
        "warning",
        "Something defined and never used",
        "Often the trace of a safeguard that was removed, or of a misspelt name.",
        "Use it or remove it.",
    ),
}
