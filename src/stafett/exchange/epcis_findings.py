"""What the schema finds wrong with an EPCIS document or event, in words and with the place."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final, NoReturn

import jsonschema_rs

from stafett.exchange.epcis_bytes import MAX_DEPTH, too_deep
from stafett.exchange.epcis_context import MAX_PREFIXES, crowded
from stafett.exchange.epcis_schema import EVENTS, MAX_NAME, schema
from stafett.exchange.problem import Finding, Problem, pointer

MAX_FINDINGS: Final = 50
CROWDED: Final = f"declares more than {MAX_PREFIXES} prefixes"
NO_FIELD: Final = "no field of that name; an extension's name has a prefix (prefix:name)"


@cache
def validator(root: str) -> jsonschema_rs.Draft202012Validator:
    """Return the schema's judge of a Document, a QueryDocument or an Event."""
    return jsonschema_rs.Draft202012Validator(schema(root), validate_formats=True)


def _say(error: jsonschema_rs.ValidationError) -> str:
    """Say what is wrong in words that tell what to do."""
    detail: Any = error.kind  # its members depend on the keyword
    kind, field = detail.name, str(error.instance_path[-1]) if error.instance_path else ""
    shown = repr(error.instance) if not isinstance(error.instance, dict | list) else "this"
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    if kind == "required":
        return f"{detail.property!r} is required here"
    if kind == "format" and detail.format == "date-time":
        return f"{shown} is no date-time with zone (RFC 3339, as 2026-11-23T08:00:00.000+01:00)"
    if kind == "format" and detail.format == "uri":
        if field in ("bizStep", "disposition", "type", "reason", "component", "exception"):
            return f"{shown} is neither a word of CBV 2.0 for {field} nor a URI of your own"
        return f"{shown} is no URI"
    if kind == "pattern" and "cbv" in str(detail.pattern):
        return f"{shown}: write words of the CBV bare (shipping), own ones outside its namespaces"
    if kind == "falseSchema":
        return "'ilmd' belongs only to an ObjectEvent with action ADD or a TransformationEvent"
    if kind == "anyOf":
        return "the event names no object: give an EPC list or a quantity list of the right kind"
    message = error.message
    return message if len(message) <= 200 else message[:197] + "..."


def findings_of(root: str, value: Any, prefix: tuple[str | int, ...] = ()) -> list[Finding]:
    """Give what is wrong with a value, at most MAX_FINDINGS, in the order of their places."""
    found: dict[Finding, None] = {}
    for error in validator(root).iter_errors(value):
        at = (*prefix, *error.instance_path)
        for name in _strange(error):
            # The field itself is the place, unless its name is as long as a page.
            place = (*at, name) if len(name) <= MAX_NAME else at
            found.setdefault(Finding(pointer(*place), f"{name[:80]!r}: {_no_field(name)}"))
        if not _strange(error):
            found.setdefault(Finding(pointer(*at), _say(error)))
        if len(found) >= MAX_FINDINGS:
            break
    return sorted(found, key=lambda f: _place(f.pointer))[:MAX_FINDINGS]


def _place(where: str) -> list[tuple[int, str]]:
    """Order places as they stand: the eighth event before the eleventh."""
    return [(int(s), "") if _COUNT.fullmatch(s) else (-1, s) for s in where.split("/")]


_COUNT: Final = re.compile("[0-9]{1,9}")


def _no_field(name: str) -> str:
    if len(name) > MAX_NAME:
        return f"a name has at most {MAX_NAME} characters"
    if owners := [kind for kind, form in EVENTS.items() if name in form["properties"]]:
        return f"a field of {', '.join(owners)} only"
    return NO_FIELD


def _strange(error: jsonschema_rs.ValidationError) -> list[str]:
    """Give the names that no schema and no prefix stands behind, if that is the mistake."""
    detail: Any = error.kind
    found = detail.unexpected if detail.name == "additionalProperties" else ()
    return [str(name) for name in list(found)[:MAX_FINDINGS]]


def event_findings(event: Any, at: tuple[str | int, ...] = ()) -> list[Finding]:
    """Give what is wrong with one event (for a capture that proceeds past wrong events)."""
    if not isinstance(event, dict):
        return [Finding(pointer(*at), "an event is a JSON object")]
    if too_deep(event):
        return [Finding(pointer(*at), f"nests deeper than {MAX_DEPTH} levels")]
    if crowded(event.get("@context")):
        return [Finding(pointer(*at, "@context"), CROWDED)]
    if validator("Event").is_valid(event):
        return []
    return findings_of("Event", event, at)


def refuse(findings: list[Finding]) -> NoReturn:
    """Raise `Problem` 400 with what is wrong."""
    count = len(findings)
    more = "" if count < MAX_FINDINGS else " or more"
    first = findings[0]
    raise Problem(
        400,
        "ValidationException",
        f"{count}{more} mistake{'s' if count != 1 else ''}; first at {first}",
        findings,
    )
