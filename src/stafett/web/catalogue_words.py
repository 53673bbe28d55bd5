"""What the built-in catalogue says in English, in the reader's language.

The files of networks, of the game and of capital name owners and sites and tell of figures in
English. The words files hold each such text (`catalogue.*`): it is said in the reader's language
wherever a page shows it, also in a copy of a built-in network. A text that is not among them is a
name, or somebody's own words, and stays as it was written.
"""

from __future__ import annotations

import re
from functools import cache

from stafett.web import language as languages

PREFIXES = ("catalogue.", "design.summary.")
_NUMBERED = re.compile(r"(Academic centre|Centre) (\d+)")


def said(text: str, language: str) -> str:
    """Say a text of the catalogue in `language`; any other as it is."""
    if found := _NUMBERED.fullmatch(text):
        kind = "academic" if found[1].startswith("A") else "numbered"
        return languages.translator(language)(f"design.map.{kind}", n=found[2])
    return text if language == "en" else _said(language).get(text, text)


def knows(text: str) -> bool:
    """Say whether `text` is said in every language."""
    return _NUMBERED.fullmatch(text) is not None or text in _said("sv")


@cache
def _said(language: str) -> dict[str, str]:
    """Return what the language says, by the English text."""
    own = languages.words(language)
    return {v: own[k] for k, v in languages.words("en").items() if k.startswith(PREFIXES)}
