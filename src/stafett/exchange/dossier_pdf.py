"""A dossier as PDF/A-2a that is tagged for readers (PDF/UA-1), set by Typst.

The bytes depend on the dossier, its words and the version of Typst, on nothing else: no clock, no
fonts of this machine. Times are shown as they were stated, to the second, with their offset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

import msgspec

import stafett
from stafett.exchange.dossier import Dossier
from stafett.exchange.glyphs import Spell, with_every_text

STANDARDS: Final = ("a-2a", "ua-1")
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")
# Characters that no PDF/A may hold, or that the fonts here have no shape for.
_ODD: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufff0-\uffff]"
)

WORDS: Final[dict[str, str]] = {
    "title": "Dossier of one journey",
    "lead": "Made from the record, as the reader's organisation may see it. Nothing here was "
    "entered by hand. What is not known is said to be unknown.",
    "as_of": "as of event",
    "pinned": "file",
    "what": "What",
    "value": "Value",
    "coi": "Chain of identity",
    "journey": "Journey",
    "patient": "Patient (pseudonym)",
    "opened": "Opened",
    "ended": "Ended",
    "still": "still",
    "outcome": "Outcome",
    "reader": "Made for",
    "none": "none",
    "unknown": "unknown",
    "parties": "Who takes part",
    "role": "Role",
    "organisation": "Organisation",
    "name": "Name",
    "materials": "Chain of identity: materials and their labels",
    "material": "Material",
    "lot": "Lot",
    "made_from": "Made from",
    "identifiers": "Identifiers",
    "made": "Made",
    "end": "What became of it",
    "custody": "Chain of custody",
    "since": "Since",
    "until": "Until",
    "accountability": "Who answered for the journey",
    "handovers": "Accountability offered by hand",
    "accountable": "From and to",
    "answer": "Answer",
    "answer_open": "not answered yet",
    "answer_accepted": "taken",
    "answer_declined": "declined",
    "answer_withdrawn": "taken back",
    "answer_overtaken": "overtaken by a handoff of the protocol",
    "answer_lapsed": "the journey ended",
    "passed": "Steps, handoffs and decisions",
    "number": "No.",
    "time": "Time",
    "act": "Act",
    "result": "Result",
    "person": "By",
    "checks": "Checks",
    "activity": "Where",
    "check": "Check",
    "expected": "expected",
    "conditions": "Conditions in transport",
    "logger": "Logger",
    "verdict": "Verdict",
    "readings": "Readings",
    "coldest": "Coldest, °C",
    "warmest": "Warmest, °C",
    "limits": "Limits, °C",
    "findings": "Findings",
    "deviations": "Deviations",
    "deviation": "No.",
    "severity": "Severity",
    "raised": "Raised",
    "seen_began": "Detected / began at",
    "cause": "Cause",
    "decided": "Handling",
    "corrections": "Corrections",
    "of": "Of event",
    "old": "Was",
    "new": "Is",
    "reason": "Reason",
    "documents": "Documents",
    "document": "Document",
    "fields": "Fields",
    "signatures": "Signatures",
    "meaning": "Meaning",
    "method": "Method",
    "digest": "Digest of what was signed",
    "over_bytes": "passkey of the person named, over the event's own bytes",
    "proof": "Proof",
    "proof_lead": "Each line is one event of the journey and its leaf in the tree whose root is "
    "signed by the log and cosigned by witnesses. The package's proof.json shows the path of each.",
    "event": "Event",
    "leaf": "Leaf hash (RFC 6962)",
}


_FINDING: Final = re.compile(r"([a-z-]+) \(([a-z]+)\)")
_CODES: Final = {
    "conditions": ("verdict",),
    "checks": ("result",),
    "deviations": ("severity", "stage", "cause", "disposition"),
}


def _say_codes(plain: dict[str, Any], words: Mapping[str, str]) -> None:
    """Put words in the place of codes, where there are words for them."""
    for check in plain["checks"]:
        check["passed"] = check["result"] == "pass"
    for part, fields in _CODES.items():
        for one in plain[part]:
            for field in fields:
                one[field] = words.get(f"code.{field}.{one[field]}", one[field])
    for one in plain["conditions"]:
        one["findings"] = [_say_finding(told, words) for told in one["findings"]]


def _say_finding(told: str, words: Mapping[str, str]) -> str:
    found = _FINDING.fullmatch(told)
    if found is None:
        return words.get(f"code.finding.{told.replace(' ', '-')}", told)
    kind, verdict = found.groups()
    said = words.get(f"code.finding.{kind}", kind)
    return f"{said} ({words.get(f'code.verdict.{verdict}', verdict)})"


def pdf(dossier: Dossier, words: Mapping[str, str] = WORDS, language: str = "en") -> bytes:
    """Return the PDF; `words` as `WORDS`, in `language`.

    A word `code.FIELD.VALUE` says a code of the record (a verdict, a severity, a cause); without
    one the code itself stands there, as in the package beside it.
    """
    import typst  # only here: it is large, and only this page needs it

    plain: dict[str, Any] = _shown(msgspec.to_builtins(dossier))
    moment = dossier.as_of_at
    plain["stamp"] = [moment.year, moment.month, moment.day, moment.hour, moment.minute,
                      moment.second]  # fmt: skip
    plain["leaves"] = [
        [n, event["type"], leaf]
        for n, (event, leaf) in enumerate(zip(dossier.events, dossier.leaves, strict=True), 1)
    ]
    del plain["events"]
    said = {**WORDS, **words, "language": language, "software": stafett.__version__}
    _say_codes(plain, said)
    template = resources.files("stafett.exchange") / "dossier.typ"

    def made(spell: Spell) -> bytes:
        found = typst.compile(
            template.read_bytes(),
            format="pdf",
            ignore_system_fonts=True,
            pdf_standards=list(STANDARDS),
            timestamp=int(moment.timestamp()),
            sys_inputs={
                "dossier": msgspec.json.encode(spell(plain)).decode(),
                "words": msgspec.json.encode(spell(said)).decode(),
            },
        )
        assert isinstance(found, bytes)
        return found

    return with_every_text(made)


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        whole = _TIME.fullmatch(value)
        if whole:
            zone = "UTC" if whole[3] in ("Z", "+00:00") else whole[3]
            return f"{whole[1]} {whole[2]} {zone}"
        return _ODD.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {key: _shown(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    return value
