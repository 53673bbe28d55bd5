"""Versions of a protocol: which of two is the lower.

Numbers count as numbers (1.9 is lower than 1.10), and what has a hyphen comes before what has none
(1.3.0-rc.1 is lower than 1.3.0), as Semantic Versioning 2.0.0 §11 has it. What it does not permit
is ordered too, letters after numbers, since a version here may be 2026a.
"""

from __future__ import annotations

import re

_PART = re.compile(r"[0-9]+|[A-Za-z]+")

Rank = tuple[list[tuple[bool, int, str]], bool, list[tuple[bool, int, str]]]


def lower(one: str, than: str) -> bool:
    """Say whether version `one` comes before version `than`; 1.0 and 1.0.0 are the same."""
    return _rank(one) < _rank(than)


def _rank(version: str) -> Rank:
    main, hyphen, before = version.partition("+")[0].partition("-")
    parts = _parts(main)
    while parts and parts[-1] == (False, 0, ""):
        parts.pop()
    return parts, not hyphen, _parts(before)


def _parts(text: str) -> list[tuple[bool, int, str]]:
    found = _PART.findall(text)
    return [(False, int(p), "") if p.isdigit() else (True, 0, p.lower()) for p in found]
