"""A JSON object that says one name twice.

RFC 8259 (section 4) leaves open what such an object means: most parsers take the last one, others
the first, and whoever reads on does not learn that there were two. Of two identifiers, two answers
or two limits no one may choose here, so such a document is refused wherever a body is read.
"""

from __future__ import annotations

import json
from collections.abc import Container
from typing import Any, Final, NamedTuple

import msgspec

# No parser's limit on digits is met in a second look that only asks for names.
_NUMBERS: Final[dict[str, Any]] = {"parse_int": str, "parse_float": str, "parse_constant": str}


class Doubled(NamedTuple):
    """The members (names, places in lists) that lead to an object, and the name it says twice."""

    path: tuple[str | int, ...]
    name: str


class _Twice(NamedTuple):
    name: str


def doubled(data: bytes, value: Any = None, but: Container[str] = ()) -> Doubled | None:
    """Find the first object in `data`, which must be JSON, that says a name twice; None: none does.

    `value` spares parsing `data` once more: what it holds, parsed into plain values. The names in
    `but` may be said twice. Raises RecursionError where it nests too deeply for a parser.
    """
    if b"\\" not in data:
        # Without escapes each text, a name or a value, has two quotes: as many as are written
        # again, unless a name was lost to its double.
        plain = msgspec.json.decode(data) if value is None else value
        if data.count(b'"') == msgspec.json.encode(plain).count(b'"'):
            return None

    def read(pairs: list[tuple[str, Any]]) -> Any:
        found = dict(pairs)
        return found if len(found) == len(pairs) else _twice(pairs, but) or found

    return _where(json.loads(data.decode("utf-8-sig"), object_pairs_hook=read, **_NUMBERS))


def _twice(pairs: list[tuple[str, Any]], but: Container[str]) -> _Twice | None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen and name not in but:
            return _Twice(name)
        seen.add(name)
    return None


def _where(root: Any) -> Doubled | None:
    """Walk without recursion, in the document's order."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), root)]
    while waiting:
        path, here = waiting.pop()
        if isinstance(here, _Twice):
            return Doubled(path, here.name)
        if isinstance(here, dict):
            waiting += [((*path, name), inner) for name, inner in reversed(here.items())]
        elif isinstance(here, list):
            waiting += [((*path, n), here[n]) for n in range(len(here) - 1, -1, -1)]
    return None
