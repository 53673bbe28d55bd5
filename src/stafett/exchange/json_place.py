"""Where in the bytes of a JSON document something is wrong: for documents that cannot be parsed.

A parser that gives up knows the byte at best. A partner's developer looks for a line, or for a
field: here are both, found by a second look that only a refused document pays for.
"""

from __future__ import annotations

import re
from typing import Any, Final

from stafett.exchange.problem import Finding, pointer

# No second look beyond this: a hostile document must not cost more by being wrong at its end.
LOOK: Final = 4 * 1024 * 1024
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)
_STRING_OR_NUMBER: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*', re.DOTALL)
_LONG: Final = 4_000  # digits: a number that no parser takes
_HALF: Final = re.compile(rb"(?<!\\)(?:\\\\)*(\\u[dD](?:[89abAB]..(?!\\u[dD][c-fC-F])|[c-fC-F]..))")
_PAIR: Final = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..")
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def finding(data: bytes, at: int, detail: str) -> Finding:
    """Say what is wrong at a byte: its line and column, and the field that it stands in.

    >>> str(finding(b'{"a": [1,\\n tru', 14, "it ends here"))
    '/a/1: it ends here (line 2, column 5, byte 14)'
    """
    start = data.rfind(b"\n", 0, at) + 1
    line = data.count(b"\n", 0, at) + 1
    return Finding(
        field_at(data, at) if at <= LOOK else "",
        f"{detail} (line {line}, column {at - start + 1}, byte {at})",
    )


def field_at(data: bytes, at: int) -> str:
    """Give the JSON pointer of the innermost member that is open at a byte."""
    return pointer(*_walk(data, at, None)[1])


def too_deep_at(data: bytes, limit: int) -> int | None:
    """Give the byte at which more than `limit` levels are open; None if not found within reach."""
    return _walk(data[:LOOK], len(data), limit)[0]


def nul_at(data: bytes) -> int | None:
    r"""Give the byte of an escaped U+0000; `\\u0000` is a backslash and five characters."""
    found = _NUL.search(data) if b"\\u0000" in data else None
    return found.end() - 6 if found else None


def half_at(data: bytes) -> int | None:
    """Give the byte of an escaped half of a surrogate pair that stands alone."""
    rest = _PAIR.sub(lambda pair: b"." * len(pair.group()), data[:LOOK])
    found = _HALF.search(rest)
    return found.start(1) if found else None


def huge_at(data: bytes) -> int | None:
    """Give the byte of a number that is larger than any number here may be."""
    for token in _STRING_OR_NUMBER.finditer(data[:LOOK]):
        text = token.group()
        if text[:1] != b'"' and (len(text) > _LONG or _too_large(text)):
            return token.start()
    return None


def _too_large(text: bytes) -> bool:
    try:
        return b"e" in text.lower() and float(text) in (float("inf"), float("-inf"))
    except ValueError:
        return False


def _walk(data: bytes, at: int, limit: int | None) -> tuple[int | None, list[str | int]]:
    """Walk to a byte, or to where `limit` is passed; give that byte, and the members open there."""
    path: list[str | int | None] = []  # of each open container: the member that it is at
    for token in _TOKEN.finditer(data):
        first, start = token.group()[:1], token.start()
        if start >= at:
            break
        if first in b"[{":
            path.append(0 if first == b"[" else None)
            if limit is not None and len(path) > limit:
                return start, [p for p in path if p is not None]
        elif first in b"]}":
            path[-1:] = []
        elif first == b",":
            path[-1:] = [None if path and not isinstance(path[-1], int) else _next(path)]
        elif len(token.group()) == 1:
            break  # a text that does not end
        elif token.end() > at:
            break
        elif path and path[-1] is None:
            path[-1] = token.group()[1:-1].decode("utf-8", "replace")[:80]
    return None, [p for p in path if p is not None]


def _next(path: list[Any]) -> Any:
    return path[-1] + 1 if path else None


def deep_field(value: Any, limit: int) -> str:
    """Give the JSON pointer of a first container that lies deeper than `limit` levels."""
    level: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    for _ in range(limit):
        level = [
            ((*path, key), member)
            for path, item in level
            for key, member in (item.items() if isinstance(item, dict) else enumerate(item))
            if isinstance(member, dict | list)
        ]
    return pointer(*level[0][0]) if level else ""
