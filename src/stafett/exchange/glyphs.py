"""Text that a document's fonts have no shape for is spelled out: `[U+533B]`, and never refused.

PDF/A wants a shape for every character, and the fonts that come with Typst know Latin, Greek,
Cyrillic, some Arabic and signs. Somebody's name must not make a dossier impossible to print.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

# No shape for one of these: none for the others, so they are not tried one by one.
BEYOND: Final = 0x2E80  # ideographs, Hangul, kana, and what comes after them
LATIN: Final = 0xFF
ROUNDS: Final = 20
_LACKING: Final = re.compile(r'the text `"(.+?)"` could not be displayed')
_ESCAPED: Final = re.compile(r"\\u\{([0-9a-fA-F]+)\}")

Spell = Callable[[Any], Any]
Made = TypeVar("Made")


def with_every_text(make: Callable[[Spell], Made]) -> Made:
    """Call `make` with a function that spells out what cannot be shown, until all can be.

    `make` hands its texts (or lists and dicts of them) through that function. Raises what Typst
    raises where it is not about a character.
    """
    from typst import TypstError  # only here: it is large

    lacking: set[str] = set()
    end = 0x110000
    for _ in range(ROUNDS):
        try:
            return make(partial(spelled, lacking=frozenset(lacking), end=end))
        except TypstError as error:
            found = _LACKING.findall(str(error))
            if not found:
                raise
        plain = "".join(_ESCAPED.sub(lambda m: chr(int(m[1], 16)), text) for text in found)
        lacking |= {c for c in plain if ord(c) > LATIN}
        end = BEYOND if max(map(ord, plain)) >= BEYOND else end
    return make(partial(spelled, lacking=frozenset(lacking), end=LATIN + 1))


def spelled(value: Any, lacking: frozenset[str], end: int) -> Any:
    """Spell out the characters of `lacking`, and those from code point `end` on.

    >>> spelled({"name": ["Å 医"]}, frozenset("医"), 0x110000)
    {'name': ['Å [U+533B]']}
    """
    if isinstance(value, str):
        if value.isascii():
            return value
        return "".join(f"[U+{ord(c):04X}]" if c in lacking or ord(c) >= end else c for c in value)
    if isinstance(value, dict):
        return {key: spelled(one, lacking, end) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [spelled(one, lacking, end) for one in value]
    return value
