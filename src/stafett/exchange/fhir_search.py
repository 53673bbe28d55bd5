"""Searching FHIR resources: what may be asked, and whether a resource answers to it. Pure.

A parameter that is not known, a modifier, an unreadable value: each is refused, never left out,
because a search that quietly ignores a condition gives somebody the wrong list. Semantics of dates,
tokens and references after FHIR R5, 3.2.1 (Search).
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from stafett.exchange.fhir_along import Along, read_along
from stafett.exchange.fhir_parameters import (
    BY_PATIENT,
    Json,
    Kind,
    parameters,
    systems,
    values_at,
    wrong,
)
from stafett.exchange.fhir_part import Part, read_part
from stafett.exchange.fhir_sort import Sort, read_sort

CONTROLS: Final = ("_count", "_summary", "_elements", "_total", "_page", "_format", "_pretty")
# Who takes an estimate gets the very number.
_CLOSED: Final = {
    "_total": ("none", "accurate", "estimate"),
    "_pretty": ("false", "true"),
}
MORE: Final = ("_sort", "_include", "_revinclude")  # of values that have a grammar of their own
DEFAULT_COUNT: Final = 50
MAX_COUNT: Final = 500
# A date, or a time to the minute, second or a part of one (FHIR R5, 2.1.28.0.1 dateTime).
_DATE: Final = re.compile(
    r"(?a:\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?)?)?)"
)
_PREFIXES: Final = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")


class Condition(msgspec.Struct, frozen=True):
    """One parameter: a resource answers if one of `values` fits one of `paths`."""

    name: str
    kind: Kind
    paths: tuple[str, ...]
    values: tuple[str, ...]


class Search(msgspec.Struct, frozen=True):
    """A search that was understood; all conditions must hold."""

    kind: str
    conditions: tuple[Condition, ...]
    count: int
    only_count: bool
    accurate: bool
    page: str
    alongs: tuple[Along, ...] = ()
    sorts: tuple[Sort, ...] = ()
    part: Part = Part()

    def values(self, name: str) -> tuple[str, ...]:
        """Return what was asked of one parameter; () where nothing was."""
        return next((c.values for c in self.conditions if c.name == name), ())


# References to resources of the same journey: their ids say which.
WITHIN: Final = ("patient", "subject", "focus", "target", "product")


def since(search: Search, name: str = "_lastUpdated") -> Iterable[datetime]:
    """Give the moments at or after which a resource that answers has the date `name`."""
    for one in search.conditions:
        if one.name == name:
            asked = [period(value) for value in one.values]
            if all(prefix in ("eq", "gt", "ge", "sa") for prefix, _, _ in asked):
                yield min(low for _, low, _ in asked)


def read_search(kind: str, given: Sequence[tuple[str, str]], version: str = "R5") -> Search:
    """Read the parameters of a search; raise `Problem` 400 for what is not understood.

    `version` says which types there are to bring along.
    """
    known = parameters(kind)
    conditions: list[Condition] = []
    controls: dict[str, str] = {}
    alongs: list[Along] = []
    sorts: list[Sort] = []
    for name, value in given:
        if name.startswith(("_include", "_revinclude")):
            alongs += read_along(kind, name, value, version)
        elif name == "_sort":
            sorts += read_sort(kind, value)
        elif name in CONTROLS:
            controls[name] = value
        elif name == "patient.identifier" and "patient" in known:
            conditions.append(Condition(name, *BY_PATIENT, _values(name, value)))
        elif name in known:
            kind_, paths = known[name]
            values = _values(name, value)
            if kind_ == "date":
                for one in values:
                    period(one)
            conditions.append(Condition(name, kind_, paths, values))
        else:
            base, _, modifier = name.partition(":")
            why = (
                f"the modifier :{modifier} is not supported here"
                if modifier and base in known
                else f"{kind} is not searched by {name!r} here"
            )
            raise wrong(name, f"{why}; known: {', '.join((*known, *CONTROLS, *MORE))}")
    for name, allowed in _CLOSED.items():
        if controls.get(name, allowed[0]) not in allowed:
            raise wrong(name, f"{controls[name][:80]!r} is not known here: {', '.join(allowed)}")
    part = read_part(controls)
    if part.summary == "text" and alongs:
        raise wrong("_summary", "with _summary=text nothing is brought along")
    return Search(
        kind,
        tuple(conditions),
        _count(controls.get("_count")),
        part.summary == "count" or controls.get("_count") == "0",
        controls.get("_total") in ("accurate", "estimate"),
        controls.get("_page", ""),
        tuple(alongs),
        tuple(sorts),
        part,
    )


def _values(name: str, value: str) -> tuple[str, ...]:
    found = tuple(v for v in value.replace("\\,", "\x00").split(",") if v)
    if not found or len(found) > 100:
        raise wrong(name, "1 to 100 values are needed")
    return tuple(v.replace("\x00", ",") for v in found)


def _count(text: str | None) -> int:
    if text is None:
        return DEFAULT_COUNT
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise wrong("_count", "a number of resources, 0 or more")
    return min(int(text), MAX_COUNT)


def matches(search: Search, resource: Json, about: Mapping[str, Any]) -> bool:
    """Say whether a resource answers; `about` gives what it is about but does not itself say:

    `patient` (a reference) and `identifier` (the patient's).
    """
    return all(_holds(one, resource, about) for one in search.conditions)


def _holds(condition: Condition, resource: Json, about: Mapping[str, Any]) -> bool:
    found = values_at(resource, condition.paths, about)
    if condition.kind == "token":
        of = systems(resource["resourceType"], condition.name)
        return any(_token(value, wanted, of) for value in found for wanted in condition.values)
    test = {"reference": _refers, "date": _date, "text": _text}[condition.kind]
    return any(test(value, wanted) for value in found for wanted in condition.values)


def _token(value: Any, wanted: str, of: tuple[str, ...] = ()) -> bool:
    """`code`, `system|code`, `|code` (no system) or `system|`; of an identifier, coding or text.

    A bare code is of the systems `of`, too, by what its element is bound to.
    """
    system, bar, code = wanted.rpartition("|")
    if isinstance(value, dict):
        for coding in value.get("coding", ()):
            if _token(coding, wanted):
                return True
        here, there = value.get("value", value.get("code")), value.get("system", "")
    else:
        here, there = value, ""
        if bar and system in of:
            there = system
    if bar and system != there:
        return False
    return here is not None and (not code or str(here) == code)


def _refers(value: Any, wanted: str) -> bool:
    reference = value.get("reference", "") if isinstance(value, dict) else str(value)
    return bool(reference) and (reference == _tail(wanted) or reference.partition("/")[2] == wanted)


def _tail(wanted: str) -> str:
    return "/".join(wanted.rstrip("/").split("/")[-2:])


def _text(value: Any, wanted: str) -> bool:
    return wanted.casefold() in str(value).casefold()


def _date(value: Any, wanted: str) -> bool:
    prefix, low, high = period(wanted)
    at = datetime.fromisoformat(str(value))
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    inside = low <= at < high
    return {
        "eq": inside, "ne": not inside, "gt": at >= high, "sa": at >= high, "lt": at < low,
        "eb": at < low, "ge": at >= low, "le": at < high,
    }[prefix]  # fmt: skip


def period(text: str) -> tuple[str, datetime, datetime]:
    """Return (prefix, first moment, first moment after) of a date in a search; `Problem` if none.

    A date without a time is that day in UTC; a time needs its zone, and is as long as it is
    written to (a minute, a second, a part of one).
    """
    prefix = text[:2] if text[:2] in _PREFIXES else "eq"
    rest = (text[2:] if text[:2] in _PREFIXES else text).replace(" ", "+")
    try:
        shape = _DATE.fullmatch(rest)
        if shape is None:
            raise ValueError
        match len(rest):
            case 4:
                low = datetime(int(rest), 1, 1, tzinfo=UTC)
                return prefix, low, low.replace(year=low.year + 1)
            case 7:
                low = datetime.fromisoformat(rest + "-01").replace(tzinfo=UTC)
                return prefix, low, low + timedelta(days=monthrange(low.year, low.month)[1])
            case 10:
                low = datetime.fromisoformat(rest).replace(tzinfo=UTC)
                return prefix, low, low + timedelta(days=1)
        low = datetime.fromisoformat(rest)
        second, part = shape[4], shape[5]
        step = timedelta(seconds=1) if second else timedelta(minutes=1)
        if part:
            step = timedelta(microseconds=10 ** max(0, 7 - len(part)))
        return prefix, low, low + step
    except (ValueError, OverflowError):
        why = "a date, or a time with its zone: 2026-11-25, ge2026-11-25T08:00:00+01:00"
        raise wrong(text, why) from None
