"""Questions: each check is unambiguous, and each failure has a consequence."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stafett.protocol import units
from stafett.protocol.chain import Chain
from stafett.protocol.finding import Finding
from stafett.protocol.model import Check, Field, text
from stafett.protocol.read import Path_

# Words that more than one authority uses of the same material: alone they do not say whose.
STATUS_WORDS = frozenset(
    {
        "accepted",
        "approved",
        "available",
        "certified",
        "cleared",
        "confirmed",
        "ready",
        "released",
        "valid",
        "verified",
    }
)
# "Is it released?" does not say by whom either; "Has the pharmacy released it?" does.
PASSIVE = re.compile(
    r"\b(is|are|was|were|been|be)\b[^.?;]*\b(released|approved|cleared|certified|authori[sz]ed)\b",
    re.I,
)
# Answers that mean that nobody knows.
UNKNOWN_WORDS = frozenset(
    {
        "unknown",
        "not known",
        "not checked",
        "unchecked",
        "not applicable",
        "n/a",
        "na",
        "not sure",
        "unsure",
        "unreadable",
        "illegible",
        "cannot tell",
        "not done",
        "missing",
        "pending",
    }
)


def questions(chain: Chain) -> Iterator[Finding]:
    """Yield every check that two people answer differently, or whose answer changes nothing."""
    for path, name, _, check in chain.checks():
        where = f"{check.id} in {name}"
        match check.kind:
            case "scan":
                yield from _scan(chain, path, where, check)
            case "choice":
                yield from _choice(chain, path, where, check)
            case "quantity":
                yield from _quantity(chain, path, where, check)
            case "time":
                pass
        asked = text(check.ask)
        if (found := PASSIVE.search(asked)) and not re.search(r"\bby\b", asked, re.I):
            what = f"{where}: {found[2].lower()} by whom? ({asked})"
            yield chain.found("status-word", (*path, "ask"), what)
        yield from _foreign(chain, path, where, check)
        yield from _consequence(chain, path, where, check)
    for name, document in chain.protocol.documents.items():
        if isinstance(document.fields, dict):
            for field, holds in document.fields.items():
                yield from _field(chain, ("documents", name, "fields", field), holds)


def _field(chain: Chain, path: Path_, field: Field) -> Iterator[Finding]:
    """Find fields of documents that cannot be filled in as they say, or mean two things."""
    where = f"{path[3]} of {path[1]}"
    parts = {"choice": ("choices",), "number": ("unit", "min", "max")}
    for kind, names in parts.items():
        for name in names:
            if kind != field.kind and getattr(field, name) not in (None, ()):
                what = f"{where} is a {field.kind}: {name} means nothing there"
                yield chain.found("unfit-part", (*path, name), what)
    if field.kind == "number" and not field.unit:
        yield chain.found("no-unit", path, f"{where} is a number of what?")
    if field.kind == "choice" and len(set(field.choices)) < 2:
        yield chain.found("open-question", path, f"{where} has no closed answers")
    if field.min is not None and field.max is not None and field.min > field.max:
        what = f"{where}: min {field.min:g} is above max {field.max:g}"
        yield chain.found("contradictory-limits", (*path, "min"), what)


def _scan(chain: Chain, path: Path_, where: str, check: Check) -> Iterator[Finding]:
    subject = check.identifies or check.records
    if subject is None:
        yield chain.found("scan-of-nothing", path, f"{where} scans, but compares with nothing")
        return
    if check.identifies is not None and check.records is not None:
        what = f"{where} both identifies {check.identifies} and records {check.records}"
        yield chain.found("scan-of-nothing", path, what)
        return
    if check.by is None:
        yield chain.found("scan-of-nothing", path, f"{where} does not say by which identifier")
        return
    identifier = chain.protocol.identifiers[check.by]
    if subject == "patient":
        if identifier.of != "journey":
            what = f"{where} identifies the patient by {check.by}, which belongs to a material"
            yield chain.found("scan-of-nothing", (*path, "by"), what)
    elif check.by not in chain.material(subject).identifiers:
        what = f"{where}: {subject} carries no {check.by}"
        yield chain.found("scan-of-nothing", (*path, "by"), what)


def _choice(chain: Chain, path: Path_, where: str, check: Check) -> Iterator[Finding]:
    meanings = {choice.means for choice in check.choices.values()}
    if not check.choices:
        yield chain.found("open-question", path, f"{where} has no closed answers")
    elif "pass" not in meanings:
        yield chain.found("open-question", (*path, "choices"), f"{where} can't be passed")
    elif "fail" not in meanings:
        yield chain.found("open-question", (*path, "choices"), f"{where} can't fail")
    elif check.critical and "unknown" not in meanings:
        what = f"{where} is critical, and nobody may say that they do not know"
        yield chain.found("no-unknown", (*path, "choices"), what)
    for key, choice in check.choices.items():
        at = (*path, "choices", key)
        words = {_plain(key), _plain(text(choice.title))}
        if choice.means == "pass" and words & UNKNOWN_WORDS:
            what = f"{where} passes with {text(choice.title)!r}"
            yield chain.found("unknown-passes", at, what)
        if _plain(text(choice.title)) in STATUS_WORDS:
            what = f"{where}: {text(choice.title)!r} by whom?"
            yield chain.found("status-word", at, what)


def _plain(words: str) -> str:
    return " ".join(words.lower().replace("-", " ").replace("_", " ").split()).strip(".!?")


def _quantity(chain: Chain, path: Path_, where: str, check: Check) -> Iterator[Finding]:
    if not check.unit:
        yield chain.found("no-unit", path, f"{where} is a number of what?")
    if check.min is None and check.max is None:
        yield chain.found("no-unit", path, f"{where} has no limits: no value is ever wrong")
    elif check.max is None and check.unit and units.comparable(check.unit, "Cel"):
        yield chain.found("no-unit", path, f"{where} is a temperature, and none is too warm")


def _foreign(chain: Chain, path: Path_, where: str, check: Check) -> Iterator[Finding]:
    """Find fields that mean nothing for this kind of check."""
    fields = {
        "scan": ("identifies", "records", "by"),
        "choice": ("choices",),
        "quantity": ("unit", "min", "max"),
    }
    for kind, names in fields.items():
        for field in names:
            if kind != check.kind and getattr(check, field) not in (None, {}):
                what = f"{where} is a {check.kind}: {field} means nothing there"
                yield chain.found("unfit-part", (*path, field), what)


def _consequence(chain: Chain, path: Path_, where: str, check: Check) -> Iterator[Finding]:
    if check.critical or check.deviation is not None or check.kind == "time":
        return
    if check.kind == "scan" and check.records is not None:
        return
    bad = [c for c in check.choices.values() if c.means != "pass"]
    if not bad or any(choice.deviation is None for choice in bad):
        yield chain.found("no-deviation", path, f"nothing happens when {where} fails")
