"""What a FHIR resource of a journey is found by, as rows of an index can hold it. Pure.

Tokens and references become digests: a resource has one for each way of asking for each of its
words, so that "does it answer" is "does it have this digest". Dates are columns. This says exactly
what `fhir_search.matches` says (a test holds the two against each other, search by search).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from stafett.exchange import fhir_sort
from stafett.exchange.fhir_parameters import BY_PATIENT, Json, parameters, systems, values_at
from stafett.exchange.fhir_search import Condition, Search, period
from stafett.exchange.fhir_sort import Sort

# Date parameters -> the column that holds them; no type has two of one column.
COLUMNS: Final = {
    "_lastUpdated": "updated", "modified": "modified",
    "authored": "made", "authored-on": "made", "collected": "made", "recorded": "made",
}  # fmt: skip


class Found(NamedTuple):
    """What one resource is found by: as the columns of `exchange.fhir_resource`."""

    kind: str
    updated: datetime
    made: datetime | None
    modified: datetime | None
    words: str
    sorts: dict[str, list[str]]
    keys: tuple[UUID, ...]


class Wanted(NamedTuple):
    """A search as conditions on those columns; all must hold.

    `one_of`: of each of these sets, a resource has a digest. `within`: each column lies in one of
    its stretches [low, high), None being open. `words`: each holds one of these texts.
    """

    one_of: tuple[frozenset[UUID], ...]
    within: tuple[tuple[str, tuple[tuple[datetime | None, datetime | None], ...]], ...]
    words: tuple[tuple[str, ...], ...]
    sorts: tuple[Sort, ...] = ()


@lru_cache(maxsize=100_000)
def _key(*parts: str | None) -> UUID:
    # As JSON, so that no value can be written to look like another's.
    return UUID(bytes=hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).digest())


def reader(kind: str, organisation: str) -> UUID:
    """Give the digest that the resources of a type have which an organisation may read."""
    return _key(kind, "#reader", organisation)


def found_by(resource: Json, about: Mapping[str, Any], audience: Iterable[str]) -> Found:
    """Give what a resource is found by; `about` as in `fhir_search.matches`."""
    kind = str(resource["resourceType"])
    keys = {reader(kind, one) for one in audience}
    times: dict[str, datetime] = {}
    words: list[str] = []
    for name, (sort, paths) in {**parameters(kind), **_patient(kind)}.items():
        for value in values_at(resource, paths, about):
            if sort == "token":
                keys |= _tokens(kind, name, value)
            elif sort == "reference":
                keys |= _references(kind, name, value)
            elif sort == "date":
                at = datetime.fromisoformat(str(value))
                times[COLUMNS[name]] = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
            else:
                words.append(str(value).casefold().replace("\0", ""))
    return Found(
        kind, times["updated"], times.get("made"), times.get("modified"), "\n".join(words),
        fhir_sort.texts(resource, about), tuple(sorted(keys)),
    )  # fmt: skip


def _patient(kind: str) -> dict[str, Any]:
    return {"patient.identifier": BY_PATIENT} if "patient" in parameters(kind) else {}


def _tokens(kind: str, name: str, value: Any) -> set[UUID]:
    out: set[UUID] = set()
    here, there = value, ""
    if isinstance(value, dict):
        for coding in value.get("coding", ()):
            out |= _tokens(kind, name, coding)
        here, there = value.get("value", value.get("code")), value.get("system", "")
    if here is not None:
        out.add(_key(kind, name, "code", None, str(here)))
        for system in (str(there), *(() if isinstance(value, dict) else systems(kind, name))):
            out.add(_key(kind, name, "code", system, str(here)))
            out.add(_key(kind, name, "code", system, None))
    return out


def _references(kind: str, name: str, value: Any) -> set[UUID]:
    reference = value.get("reference", "") if isinstance(value, dict) else str(value)
    if not reference:
        return set()
    inside = reference.partition("/")[2]
    return {_key(kind, name, "whole", reference), _key(kind, name, "id", inside)}


def wanted(search: Search) -> Wanted:
    """Give a search as conditions on the columns of an index."""
    one_of: list[frozenset[UUID]] = []
    within: list[tuple[str, tuple[tuple[datetime | None, datetime | None], ...]]] = []
    words: list[tuple[str, ...]] = []
    for one in search.conditions:
        if one.kind == "token":
            one_of.append(frozenset(_asked_token(search.kind, one.name, v) for v in one.values))
        elif one.kind == "reference":
            ways = (_asked_reference(search.kind, one.name, v) for v in one.values)
            one_of.append(frozenset(key for both in ways for key in both))
        elif one.kind == "date":
            within.append((COLUMNS[one.name], tuple(_stretches(one))))
        else:
            words.append(tuple(v.casefold() for v in one.values))
    return Wanted(tuple(one_of), tuple(within), tuple(words), search.sorts)


def _asked_token(kind: str, name: str, value: str) -> UUID:
    system, bar, code = value.rpartition("|")
    return _key(kind, name, "code", system if bar else None, code or None)


def _asked_reference(kind: str, name: str, value: str) -> Iterable[UUID]:
    tail = "/".join(value.rstrip("/").split("/")[-2:])
    return _key(kind, name, "whole", tail), _key(kind, name, "id", value)


def _stretches(one: Condition) -> Iterable[tuple[datetime | None, datetime | None]]:
    for value in one.values:
        prefix, low, high = period(value)
        yield from {
            "eq": ((low, high),), "ne": ((None, low), (high, None)),
            "gt": ((high, None),), "sa": ((high, None),), "ge": ((low, None),),
            "lt": ((None, low),), "eb": ((None, low),), "le": ((None, high),),
        }[prefix]  # fmt: skip
