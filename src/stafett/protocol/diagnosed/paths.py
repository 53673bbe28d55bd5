"""What breaks on some path: custody, gates and ends."""

from __future__ import annotations

from stafett.protocol.diagnostic import Diagnostic

PATHS: dict[str, Diagnostic] = {
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
    "treated-ungiven": Diagnostic(
        "paths",
        "error",
        "Ends as treated, and no dose was given",
        "The record counts a treatment that there was not.",
        "Lead that path to an outcome without `treated: true`.",
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
}
