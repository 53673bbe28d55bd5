"""The bytes of a JSON document: parsed within limits, with the place of a mistake.

The limits keep a hostile document from costing more than it is worth.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from stafett.exchange import json_place
from stafett.exchange.problem import Finding, Problem, pointer
from stafett.protocol.doubled import doubled

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 48
DEEP: Final = f"the document nests deeper than {MAX_DEPTH} levels"
# An event has one, and GS1's own example AssociationEvent-h has two: both name it, the last counts.
ALIASES: Final = ("eventID",)
SAID_TWICE: Final = "stands there twice; neither is taken for the one that was meant"
_BYTE: Final = re.compile(r" \(byte (\d+)\)")


def parse(data: bytes, *, max_bytes: int = MAX_BYTES) -> Any:
    """Parse JSON within limits of size and nesting; raise `Problem` 413 or 400, with the place."""
    if len(data) > max_bytes:
        raise Problem(
            413,
            "CaptureLimitExceededException",
            f"the document has {len(data):,} bytes; this server takes {max_bytes:,} at a time: "
            "split it into several documents",
        )
    if (nul := json_place.nul_at(data)) is not None:
        what = "U+0000 (\\u0000) in a text"
        raise _unreadable(f"the document holds {what}", data, nul, what)
    try:
        value = msgspec.json.decode(data)
        twice = doubled(data, value, ALIASES)
    except RecursionError:
        at = json_place.too_deep_at(data, MAX_DEPTH)
        raise _unreadable(DEEP, data, at, "a level too many begins here") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise _not_json(data, str(wrong)) from None
    if twice is not None:
        where = Finding(pointer(*twice.path, twice.name), SAID_TWICE)
        raise Problem(
            400, "ValidationException", f"the document says a name twice: {where}", [where]
        )
    return value


def _not_json(data: bytes, said: str) -> Problem:
    """Say of bytes that are no JSON where they stop being it."""
    head = "the document is not JSON"
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        what = f"byte 0x{data[wrong.start]:02x} is no UTF-8"
        return _unreadable(f"{head}: {what}", data, wrong.start, what)
    half = json_place.half_at(data) if "truncated" in said or "surrogate" in said else None
    if half is not None:
        what = "half of a surrogate pair"
        return _unreadable(f"{head}: {what}", data, half, what)
    if "out of range" in said:
        what = "a number out of range"
        return _unreadable(f"{head}: {what}", data, json_place.huge_at(data), what)
    if "truncated" in said:
        return _unreadable(f"{head}: it ends too early", data, len(data), "it ends here")
    found = _BYTE.search(said)
    what = _BYTE.sub("", said.removeprefix("JSON is malformed: "))[:300]
    at = int(found[1]) if found else None
    if at and "character" in what:
        at -= 1  # the parser has read the character that it complains of
    return _unreadable(f"{head}: {what}", data, at, what)


def _unreadable(what: str, data: bytes, at: int | None, here: str) -> Problem:
    if at is None:
        return Problem(400, "ValidationException", what)
    place = json_place.finding(data, at, here)
    where = place.detail.rpartition(" (")[2].removesuffix(")")
    return Problem(400, "ValidationException", f"{what} ({where})", [place])


def too_deep(value: Any, limit: int = MAX_DEPTH) -> bool:
    """Tell whether a parsed value nests deeper than `limit` (without recursion)."""
    level = [value]
    for _ in range(limit):
        deeper: list[Any] = []
        for item in level:
            if type(item) is dict:
                deeper += [v for v in item.values() if type(v) is dict or type(v) is list]
            elif type(item) is list:
                deeper += [v for v in item if type(v) is dict or type(v) is list]
        if not deeper:
            return False
        level = deeper
    return True


def deep(value: Any) -> Finding:
    """Name the place in a value that is `too_deep`."""
    return Finding(json_place.deep_field(value, MAX_DEPTH), "a level too many begins here")
