"""Countries by their names in the reader's language; registers write English names, or codes."""

from __future__ import annotations

from functools import cache

from babel import Locale

# As ClinicalTrials.gov writes them, where CLDR's English is another.
OTHERWISE = {
    "Czech Republic": "CZ", "Hong Kong": "HK", "Korea, Republic of": "KR", "Macau": "MO",
    "Puerto Rico": "PR", "Russian Federation": "RU", "Turkey": "TR", "Turkey (Türkiye)": "TR",
    "Viet Nam": "VN", "Iran, Islamic Republic of": "IR", "Moldova, Republic of": "MD",
}  # fmt: skip


@cache
def _codes() -> dict[str, str]:
    english = {name: code for code, name in Locale("en").territories.items() if len(code) == 2}
    return {**english, **OTHERWISE}


def country(name: str, language: str) -> str:
    """Return what `language` calls a country of this English name or ISO 3166 code.

    A name that nobody knows stays as it is.
    """
    code = name if len(name) == 2 else _codes().get(name, "")
    return str(Locale(language).territories.get(code, name))
