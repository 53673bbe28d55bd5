"""The table of diagnostics: every code the proof can give, why it matters and how to mend it.

`docs/reference/diagnostics.md` is made from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One kind of hole: its title, why it matters and how to mend it."""

    group: str
    severity: Severity
    title: str
    why: str
    mend: str


# The groups, in the order in which they are checked and documented.
GROUPS: dict[str, str] = {
    "names": "Names and shape",
    "figures": "Figures and limits",
    "questions": "Questions that are unambiguous",
    "matching": "Identity matched on both sides",
    "safeguards": "Routes, ladders and signatures",
    "paths": "Every path: custody, gates and ends",
    "time": "Shelf life against the longest permitted path",
}

# What the summary line says when a group is without error.
HELD: dict[str, str] = {
    "names": "every name exists and every part fits",
    "figures": "every figure has its source and no limits contradict each other",
    "questions": "every question has closed answers or a unit and limits",
    "matching": "identity is matched on both sides at each change of custodian and of container",
    "safeguards": "every interface has its routes, limits, ladder and signatures",
    "paths": "one custodian and one owner at each moment; gates hold; every path ends",
    "time": "the longest permitted path fits each shelf life",
}

DIAGNOSTICS: dict[str, Diagnostic] = {
    # -- names and shape -----------------------------------------------------------------------
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
    # -- figures -------------------------------------------------------------------------------
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
    "deadline-unordered": Diagnostic(
        "figures",
        "error",
        "A deadline counted from something that need not have happened",
        "The clock may never start, so lateness is never seen.",
        "Count from an activity that comes before, or add it to `after`.",
    ),
    # -- questions -----------------------------------------------------------------------------
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
        "An unknown answer that passes a critical check",
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
    # -- matching ------------------------------------------------------------------------------
    "identity-giver": Diagnostic(
        "matching",
        "error",
        "The giver does not identify what is handed over",
        "A wrong bag leaves, and is found only where it arrives, or not at all.",
        "Add a critical scan to `release` that identifies the material or its sealed container.",
    ),
    "identity-receiver": Diagnostic(
        "matching",
        "error",
        "The receiver does not identify what is handed over",
        "The receiver trusts the giver's paper: the error travels on to the patient.",
        "Add a critical scan to `accept` that identifies the material or its sealed container.",
    ),
    "identity-weak": Diagnostic(
        "matching",
        "error",
        "A mismatch of identity that does not stop the journey",
        "A wrong identity that only raises a note reaches the patient.",
        "Make the scan `critical: true`.",
    ),
    "papers-unmatched": Diagnostic(
        "matching",
        "error",
        "Papers are handed over for nobody in particular",
        "Another patient's results, order or go-ahead are taken for this one's.",
        "Add a critical scan to that side that identifies the patient or the material.",
    ),
    "identity-container": Diagnostic(
        "matching",
        "error",
        "A change of container or label that is not matched before and after",
        "Swaps happen while the old label is gone and the new one not yet checked.",
        "Scan the old one (`identifies`, before) and the new one (`records`, after), critical.",
    ),
    "identity-bedside": Diagnostic(
        "matching",
        "error",
        "Patient and dose are not matched at the bedside by two people",
        "The last place where a wrong product can be stopped.",
        "Two critical scans with `people: 2`: one of the patient, one of each dose.",
    ),
    "identity-collection": Diagnostic(
        "matching",
        "error",
        "The patient is not identified at collection",
        "Everything later is matched against what is labelled here.",
        "Add a critical scan that identifies the patient before collecting.",
    ),
    "label-unrecorded": Diagnostic(
        "matching",
        "error",
        "An identifier is compared that nobody has recorded before",
        "The scan has nothing to be compared with: it always fails, or is skipped.",
        "Add a scan that `records` it when the label is applied.",
    ),
    # -- safeguards ----------------------------------------------------------------------------
    "no-stop-route": Diagnostic(
        "safeguards",
        "error",
        "A critical check with no way on when it fails",
        "People who meet a mismatch and have no route go round it.",
        "Add `on_stop:`.",
    ),
    "no-quarantine-route": Diagnostic(
        "safeguards",
        "error",
        "A receiver cannot take material into quarantine",
        "A receiver with doubts has to choose between accepting and sending back.",
        "Add `on_quarantine:`.",
    ),
    "no-refuse-route": Diagnostic(
        "safeguards",
        "error",
        "A receiver cannot refuse",
        "What cannot be refused is accepted.",
        "Add `on_refuse:`.",
    ),
    "no-limit": Diagnostic(
        "safeguards",
        "error",
        "A handoff with no time limit",
        "Nobody notices when it does not happen.",
        "Add `takes:` or `deadlines:`.",
    ),
    "no-escalation": Diagnostic(
        "safeguards",
        "error",
        "A handoff whose silence does not reach the accountable owner",
        "When nobody accepts, nobody is called.",
        "Add an `escalation` ladder with rising times whose last rung tells `owner`.",
    ),
    "no-loss-route": Diagnostic(
        "safeguards",
        "error",
        "A material that may not be lost",
        "Material is lost and destroyed; then nobody knows what happens to the patient.",
        "Add `on_lost:`.",
    ),
    "no-expiry-route": Diagnostic(
        "safeguards",
        "error",
        "A shelf life with no way on when it ends",
        "Expired material is used, or lies about.",
        "Add `on_expired:`.",
    ),
    "no-shelf-life": Diagnostic(
        "safeguards",
        "warning",
        "A living material without a shelf life",
        "Its clock runs whether or not the protocol knows it.",
        "Add `shelf_life:` with its source.",
    ),
    "no-interrupt": Diagnostic(
        "safeguards",
        "error",
        "Withdrawal of consent or death is not provided for",
        "Both happen; the product must not go on without the patient.",
        "Add `interrupts:` `consent_withdrawn` and `patient_died`.",
    ),
    "no-failing-result": Diagnostic(
        "safeguards",
        "error",
        "A step that may not fail",
        "Patients refuse; collections, cultures, tests and certifications do fail.",
        "Add a result with `then:` for the failure.",
    ),
    "result-ignored": Diagnostic(
        "safeguards",
        "error",
        "The journey goes on whatever was decided",
        "A refusal of consent or of a certificate that changes nothing is worse than none.",
        "Give the other results a `then`, or come after one result: `after: [certify=released]`.",
    ),
    "certified-untested": Diagnostic(
        "safeguards",
        "error",
        "A certificate that waits for no test",
        "The batch can be certified before anybody knows what is in it.",
        "Let the certification come after a step of kind `test`.",
    ),
    "dose-kept": Diagnostic(
        "safeguards",
        "error",
        "A dose that still exists after it was given",
        "The record says that it can be given once more, and nobody answers for what is left.",
        "Name the dose in `consumes` of the step that gives it.",
    ),
    "no-prerequisite": Diagnostic(
        "safeguards",
        "error",
        "An act that cannot be undone, without its prerequisite",
        "The order alone is not enforced against corrections and second attempts.",
        "Add it to `prerequisites`: what must be done, which dose must be on site, and where.",
    ),
    "unsigned": Diagnostic(
        "safeguards",
        "error",
        "A decision that nobody signs",
        "Afterwards nobody can say who decided, or who saw it given.",
        "Add `sign:` with its meaning; with `people: 2` where a dose is given.",
    ),
    "one-sided": Diagnostic(
        "safeguards",
        "error",
        "A side of a handoff without a check of its own",
        "A handoff that one side only acknowledges is a delivery, not a control point.",
        "Give that side at least one check of its own.",
    ),
    "condition-unchecked": Diagnostic(
        "safeguards",
        "error",
        "Living material is accepted by its label alone",
        "A broken seal or a warm shipper is found when nothing can be done any more.",
        "Add a choice or a quantity to `accept`: seal, temperature, appearance.",
    ),
    # -- paths ---------------------------------------------------------------------------------
    "custody-gap": Diagnostic(
        "paths",
        "error",
        "Someone acts on material that another holds",
        "At each moment exactly one custodian holds each material; here there are none or two.",
        "Add the missing handoff, or order the activities one after the other.",
    ),
    "accountability-gap": Diagnostic(
        "paths",
        "error",
        "Accountability is handed over by someone who does not have it",
        "Two believe that they answer for the journey, or none.",
        "Let the one who is accountable then hand it over (`transfers_accountability`).",
    ),
    "material-missing": Diagnostic(
        "paths",
        "error",
        "An activity needs material that is not there, or makes it twice",
        "On this path it was lost, used up or never made; the journey stands still.",
        "Order it after what makes the material, or send the route further back.",
    ),
    "quarantine-breach": Diagnostic(
        "paths",
        "error",
        "Quarantined material is used",
        "A doubt that was never resolved travels on.",
        "Let a decision lift the quarantine, or discard the material on that route.",
    ),
    "container-mismatch": Diagnostic(
        "paths",
        "error",
        "A material is used while packed, or a container lost with what is in it",
        "What is scanned is not what is used.",
        "Unpack before use; pack only what is in no other container.",
    ),
    "prerequisite-broken": Diagnostic(
        "paths",
        "error",
        "A prerequisite does not hold on some path",
        "Something that cannot be undone begins before it is safe.",
        "Order it after what it requires, on each route.",
    ),
    "conditioning-unready": Diagnostic(
        "paths",
        "error",
        "Lymphodepletion can begin before the product is certified and on site",
        "The patient loses their bone marrow for a product that may never come.",
        "Order it after certification and after the hospital has accepted the product.",
    ),
    "conditioning-fresh": Diagnostic(
        "paths",
        "warning",
        "Lymphodepletion begins before a fresh product is certified and on site",
        "With a fresh product it cannot wait for it; the risk has to be taken knowingly.",
        "Keep the interval short and state the rescue plan in the protocol's summary.",
    ),
    "thaw-unready": Diagnostic(
        "paths",
        "error",
        "The dose can be thawed before it is certified and on site",
        "Thawing cannot be undone: the only dose is spent.",
        "Order it after certification and after the hospital has accepted the product.",
    ),
    "administer-unready": Diagnostic(
        "paths",
        "error",
        "The dose can be given without consent, certification, or the dose on site",
        "The act for which everything else exists, and it cannot be undone.",
        "Order it after consent, certification and acceptance by the hospital.",
    ),
    "collect-unready": Diagnostic(
        "paths",
        "error",
        "Cells can be collected without consent",
        "Consent comes first, in law and in fact.",
        "Order the collection after the consent step.",
    ),
    "deadlock": Diagnostic(
        "paths",
        "error",
        "A path that stands still",
        "Nothing more can happen and no outcome is reached: the patient waits.",
        "Add the missing route, or order something after this.",
    ),
    "livelock": Diagnostic(
        "paths",
        "error",
        "A path from which no end can be reached",
        "The journey goes on, but never to an outcome.",
        "Give the circle a way out to a named outcome.",
    ),
    "never-treated": Diagnostic(
        "paths",
        "error",
        "No path treats the patient",
        "The chain cannot deliver.",
        "Lead the last step to an outcome with `treated: true`.",
    ),
    "never-reached": Diagnostic(
        "paths",
        "error",
        "An activity that no path reaches",
        "A safeguard that never happens is not one.",
        "Correct its `after`, or remove it.",
    ),
    "material-left": Diagnostic(
        "paths",
        "error",
        "Material is left when none may be",
        "Nobody has to do anything about it: it stays in someone's freezer.",
        "Use it up on that path, or say who destroys or retains it (`materials:`).",
    ),
    "too-large": Diagnostic(
        "paths",
        "error",
        "More markings than can be explored",
        "What was not explored is not proven.",
        "Order activities that need not run side by side, or use fewer routes to decisions.",
    ),
    # -- time ----------------------------------------------------------------------------------
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
}
