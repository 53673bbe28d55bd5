"""Identity: what is not matched, too late, by one side only, or for somebody."""

from __future__ import annotations

from stafett.protocol.diagnostic import Diagnostic

MATCHING: dict[str, Diagnostic] = {
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
    "identity-one-sided": Diagnostic(
        "matching",
        "error",
        "A label that only one side of a handoff compares",
        "A seal or a number that was exchanged on the way is not noticed.",
        "Add the same critical scan to the other side.",
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
    "identity-late": Diagnostic(
        "matching",
        "error",
        "Identified only when it is too late",
        "What has been collected, emptied or thawed by mistake cannot be given back.",
        "Let the scan come before the work.",
    ),
    "identity-act": Diagnostic(
        "matching",
        "error",
        "The patient is not identified before a decision or an act that concerns them",
        "The wrong patient agrees, or loses their bone marrow.",
        "Add a critical scan that identifies the patient, before the work.",
    ),
    "identity-sample": Diagnostic(
        "matching",
        "error",
        "A sample is tested that nobody has identified",
        "The results of one patient certify the batch of another.",
        "Add a critical scan that identifies the sample to the test.",
    ),
    "label-unrecorded": Diagnostic(
        "matching",
        "error",
        "An identifier is compared that nobody has recorded before",
        "The scan has nothing to be compared with: it always fails, or is skipped.",
        "Add a scan that `records` it when the label is applied.",
    ),
    "label-unread": Diagnostic(
        "matching",
        "error",
        "A label is recorded that nobody ever compares",
        "A seal, a logger or a number was exchanged on the way, and nobody looked.",
        "Add a scan that `identifies` it where the material arrives, or do not record it.",
    ),
    "donation-not-kept": Diagnostic(
        "matching",
        "error",
        "A donation number that may change on the way",
        "A new label with another donor's number is taken for a new number.",
        "Add `kept: true` to the identifier.",
    ),
    "direct-unsaid": Diagnostic(
        "matching",
        "error",
        "Nothing says whether a number tells who the patient is",
        "What does reaches the record, where it can never be erased.",
        "Add `direct: true`; `direct: false` where it is a pseudonym.",
    ),
}
