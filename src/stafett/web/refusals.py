"""Refusals in the reader's language.

The core and the use cases say why something is refused in English, with its names in place. The
words files hold each such sentence as a pattern (`refusal.*`), in English and in the other
languages: a text that fits one is said again with the same names. What fits none stays English.
A program that sends a bearer token gets English always: it reads the codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache

import msgspec
from starlette.requests import Request

from stafett.web import language as languages
from stafett.web.problem import Document, Part

PREFIX = "refusal."
_HOLE = re.compile(r"\\\{(\w+)\\\}")
_PROSE = re.compile(r"\b(?:the|is|are|was|not|it|its|this|that|has|have|no|must|may)\b")
LONGEST = 600  # a text that is longer is nobody's sentence


def said(text: str, language: str) -> str:
    """Say `text` in `language`; where no pattern fits it, as it is."""
    return text if language == "en" else _known(text, language) or text


def all_said(texts: Iterable[str], language: str) -> tuple[str, ...]:
    """Say each of `texts` in `language`."""
    return tuple(said(text, language) for text in texts)


def knows(text: str) -> bool:
    """Say whether `text` is said in every language."""
    return _known(text, "sv") is not None


def in_language_of(request: Request, document: Document) -> Document:
    """Return a problem as whoever sits at the page of `request` reads it."""
    if "authorization" in request.headers:
        return document
    person = getattr(request.state, "person", None)
    language = languages.of(request, person.language if person else None)
    if language == "en":
        return document
    reasons = tuple(
        Part(part.field, said(part.what, language), said(part.todo, language))
        for part in document.reasons
    )
    return msgspec.structs.replace(document, title=said(document.title, language), reasons=reasons)


@lru_cache(maxsize=10_000)
def _known(text: str, language: str) -> str | None:
    if not text or len(text) > LONGEST:
        return None
    for key, pattern in _patterns():
        if found := pattern.fullmatch(text):
            names = {k: _known(v, language) or _name(v) for k, v in found.groupdict().items()}
            if None in names.values():
                continue
            message = languages.words(language)[key]
            for name, value in names.items():
                message = message.replace("{" + name + "}", str(value))
            return message
    first, parted, rest = text.partition("; ")
    if parted:
        known = (_known(first, language), _known(rest, language))
        if all(known):
            return f"{known[0]}; {known[1]}"
    return None


def _name(value: str) -> str | None:
    """Return a name as it is; None for what is a piece of another English sentence.

    Half a sentence in each language would be worse than all of it in English.
    """
    return None if _PROSE.search(value) and value[0] not in "'\"" else value


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Return each message with its pattern. The wordiest come first: what says more fits better.

    A name does not reach over a semicolon: there the next sentence begins.
    """
    found = {k: v for k, v in languages.words("en").items() if k.startswith(PREFIX)}
    return [
        (key, re.compile(_HOLE.sub(r"(?P<\1>[^;]+?)", re.escape(message)), re.DOTALL))
        for key, message in sorted(
            found.items(), key=lambda kv: -len(re.sub(r"\{\w+\}", "", kv[1]))
        )
    ]
