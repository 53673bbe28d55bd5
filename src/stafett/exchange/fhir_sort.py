"""The order of a FHIR search's answer: `_sort` by dates, tokens and texts. Pure.

Tokens go by their code, texts without regard to case, both by code points; dates by their moment.
Of several values the first counts going up and the last going down (FHIR R5, 3.2.1, "Sorting").
What has no value comes last, whichever way. Equals stay in the order that there is without `_sort`.
References are not sorted by: the standard leaves open by what, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from stafett.exchange.fhir_parameters import Json, Kind, parameters, values_at, wrong

# They are as many as there were looks, and read from the latest on: that order, and no other.
_LATEST_FIRST: Final = {"AuditEvent": ("date", "_lastUpdated")}
Key = str | datetime | None


class Sort(msgspec.Struct, frozen=True):
    """One thing to sort by; `down`: the largest first."""

    name: str
    kind: Kind
    paths: tuple[str, ...]
    down: bool

    def __str__(self) -> str:
        return f"-{self.name}" if self.down else self.name


def sortable(kind: str) -> tuple[str, ...]:
    """Return what `_sort` takes for a type: `date`, and where only so, `-date`."""
    if kind in _LATEST_FIRST:
        return tuple(f"-{name}" for name in _LATEST_FIRST[kind])
    return tuple(n for n, (what, _) in parameters(kind).items() if what != "reference")


def read_sort(kind: str, value: str) -> list[Sort]:
    """Read `_sort`; raise `Problem` 400 for what is not sorted by."""
    known = sortable(kind)
    found: list[Sort] = []
    for one in value.split(","):
        name = one.removeprefix("-")
        if one not in known and name not in known:
            told = ", ".join(known)
            raise wrong("_sort", f"{kind} is not sorted by {one[:80]!r} here; known: {told}")
        what, paths = parameters(kind)[name]
        found.append(Sort(name, what, paths, one.startswith("-")))
    if len(found) > 8:
        raise wrong("_sort", "at most eight things to sort by")
    return found


def texts(resource: Json, about: Mapping[str, Any]) -> dict[str, list[str]]:
    """Give the values that a resource is sorted by, its dates apart, in their order."""
    out: dict[str, list[str]] = {}
    for name, (what, paths) in parameters(str(resource["resourceType"])).items():
        if what in ("token", "text"):
            values = values_at(resource, paths, about)
            said = sorted({text for value in values for text in _said(value, what)})
            if said:
                out[name] = said
    return out


def _said(value: Any, what: Kind) -> Iterable[str]:
    if what == "text":
        yield str(value).casefold().replace("\0", "")
        return
    if isinstance(value, dict):
        for coding in value.get("coding", ()):
            yield from _said(coding, what)
        value = value.get("value", value.get("code"))
    if value is not None:
        yield str(value).replace("\0", "")


def keys(sorts: Sequence[Sort], resource: Json, about: Mapping[str, Any]) -> tuple[Key, ...]:
    """Give what a resource is sorted by."""
    held = texts(resource, about)
    out: list[Key] = []
    for one in sorts:
        if one.kind == "date":
            found = [_moment(v) for v in values_at(resource, one.paths, about)]
            out.append((max if one.down else min)(found, default=None))
        else:
            out.append(held[one.name][-1 if one.down else 0] if one.name in held else None)
    return tuple(out)


def compare(sorts: Sequence[Sort], one: Sequence[Any], other: Sequence[Any]) -> int:
    """Say whether keys come before (-1) or after (1) others, or (0) neither.

    >>> from stafett.exchange.fhir_parameters import parameters
    >>> down = [Sort("status", *parameters("Task")["status"], down=True)]
    >>> compare(down, ["a"], ["b"]), compare(down, ["a"], [None]), compare(down, ["a"], ["a"])
    (1, -1, 0)
    """
    for how, a, b in zip(sorts, one, other, strict=True):
        if a == b:
            continue
        if a is None or b is None:
            return 1 if a is None else -1
        return -1 if (a < b) != how.down else 1
    return 0


def _moment(value: Any) -> datetime:
    at = datetime.fromisoformat(str(value))
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
