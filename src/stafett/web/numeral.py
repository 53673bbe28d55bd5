"""Numbers as a language writes them: 1,000.5 is 1 000,5 in Swedish and Spanish."""

from __future__ import annotations

import re

_DIGITS = r"[+\-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e-?\d+)?"
_NUMBER = re.compile(_DIGITS + "(%?)")
# A unit is one word behind a space, or a degree or a percent sign.
_MEASURE = re.compile(rf"({_DIGITS}%?)(| ?[%°]\w*| [^\W\d_][\w/·]*)")


def written(text: str, language: str) -> str:
    """Write a number that stands in English (with `%` or without) as `language` does.

    Anything else stays as it is. A space that holds together parts the thousands (SI Brochure,
    5.4.4) and stands before the percent sign (5.4.7).
    """
    found = _NUMBER.fullmatch(text)
    if language == "en" or found is None:
        return text
    body = text.removesuffix("%").replace(",", "\u00a0").replace(".", ",")
    return f"{body}\u00a0%" if found[1] else body


def measured(text: str, language: str) -> str:
    """Write a number with its unit as `language` does; anything else stays as it is."""
    found = _MEASURE.fullmatch(text)
    return text if found is None else written(found[1], language) + found[2]
