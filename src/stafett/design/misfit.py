"""What does not fit the types of a network file, said with its line and with what to write instead.

The types know names and kinds; this knows what whoever wrote the file is likely to have meant.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

import msgspec

from stafett.design.network import (
    Centre,
    Habits,
    Lane,
    Network,
    Number,
    Organisation,
    Patients,
    Pool,
    Route,
    Supply,
    Variability,
    Work,
)
from stafett.protocol.fit import plain
from stafett.protocol.read import Document, ReadError

AT = re.compile(r"(.*) \(at ([^)]*)\)", re.S)
MISSING = re.compile(r"Object missing required field `([^`]+)` \(at [^)]*\)")
UNKNOWN = re.compile(r"Object contains unknown field `([^`]+)` \(at ([^)]*)\)")
NO_NUMBER = re.compile(r"Expected `float(?: \| null)?`, got `str` \(at [^)]*\)")
NO_FIGURE = re.compile(r"Expected `object(?: \| null)?`, got `(?:int|float|str)` \(at ([^)]*)\)")
ALONE = "write the number alone: its unit is that of its field, days where the field names none"
WHOLE = "write {value: NUMBER, source: KEY}, or {value, low, high, assumption: true}"
SECTIONS: dict[str, type[Any]] = {
    "patients": Patients, "habits": Habits, "variability": Variability,
}  # fmt: skip
ENTRIES: dict[str, type[Any]] = {
    "organisations": Organisation, "centres": Centre, "work": Work, "lanes": Lane,
    "routes": Route, "pools": Pool, "supplies": Supply,
}  # fmt: skip


def network_of(doc: Document) -> Network:
    """The network that a document writes; ReadError names what does not fit, and what would."""
    try:
        return doc.convert(doc.value, Network)
    except ReadError as problem:
        raise _plainer(doc, problem) from None


def _plainer(doc: Document, problem: ReadError) -> ReadError:
    what = problem.what
    if (located := AT.fullmatch(what)) is None:
        return problem
    where = located[2]
    at = "" if where == "the top" else f" - at `$.{where}`"
    misfit = plain(located[1] + at, Network)
    of = "the file" if where == "the top" else where
    said = misfit.what if where == "the top" else f"`{where}` {misfit.what}"
    if NO_NUMBER.fullmatch(what):
        return ReadError(problem.place, said, ALONE)
    if (found := NO_FIGURE.fullmatch(what)) and "." in found[1]:
        return ReadError(problem.place, said, WHOLE)
    if found := UNKNOWN.fullmatch(what):
        path = [] if where == "the top" else where.split(".")
        near = get_close_matches(found[1], _fields(path), 1, 0.5)
        todo = f"did you mean `{near[0]}`?" if near else ""
        return ReadError(doc.place(*path, found[1]), f"`{found[1]}` is no field of {of}", todo)
    if found := MISSING.fullmatch(what):
        return ReadError(problem.place, f"`{found[1]}` is missing in {of}", misfit.todo)
    return ReadError(problem.place, said, misfit.todo)


def _fields(path: list[str]) -> list[str]:
    """What may be written at a path."""
    if not path:
        kind: type[Any] = Network
    elif len(path) == 1:
        kind = SECTIONS.get(path[0], Number)
    elif len(path) == 2:
        kind = ENTRIES.get(path[0], Number)
    else:
        kind = Number
    return [f.encode_name for f in msgspec.structs.fields(kind)]
