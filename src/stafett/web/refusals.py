"""Refusals in the reader's language, with the names that the reader's pages use.

The core and the use cases say why something is refused in English, with its names in place. The
words files hold each such sentence as a pattern (`refusal.*`), in English and in the other
languages: a text that fits one is said again with the same names. What fits none stays English.
What the record notes by itself (a limit that passed) and why somebody is told are said the same
way. A program that sends a bearer token gets English always: it reads the codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import cache, lru_cache
from types import MappingProxyType

import msgspec
from babel.dates import format_date
from starlette.requests import Request

from stafett.web import language as languages
from stafett.web import numeral, zone
from stafett.web.naming import named
from stafett.web.problem import Document, Part

PREFIX = "refusal."
# The moves of a counterexample and what a version of a protocol changes: too short to be told from
# other texts, so they are looked for only where they stand.
MOVE, CHANGE = "move.", "change."
_HOLE = re.compile(r"\\\{(\w+)\\\}")
_PROSE = re.compile(r"\b(?:the|is|are|was|not|it|its|this|that|has|have|no|must|may)\b")
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
_DAY = re.compile(r"(?<![\w-])\d{4}-\d\d-\d\d(?![\w-])")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d[\d:.]*(?:Z|[+-]\d\d:\d\d)")
TEXT = "text"  # the place of what a person wrote: in their words, whatever they are
LONGEST = 600  # a text that is longer is nobody's sentence
NOBODY: Mapping[str, str] = MappingProxyType({})


def said(text: str, language: str, names: Mapping[str, str] = NOBODY) -> str:
    """Say `text` in `language`; where no pattern fits it, as it is.

    `names` are what the page calls the things that a text names by their identifiers.
    """
    if language == "en" and not names:
        return text
    return _known(text, language, names) or text


def all_said(
    texts: Iterable[str], language: str, names: Mapping[str, str] = NOBODY
) -> tuple[str, ...]:
    """Say each of `texts` in `language`."""
    return tuple(said(text, language, names) for text in texts)


def knows(text: str) -> bool:
    """Say whether `text` is said in every language."""
    return _fit(text) is not None


def pieces(text: str) -> list[tuple[str, dict[str, str]]]:
    """Return the messages that `text` is made of, with what stands in each; [] if it is none."""
    fit = _fit(text)
    if fit is None:
        return []
    if len(fit) == 2:
        return [(fit[0], dict(fit[1]))]
    first, mark, rest = fit
    return pieces(rest) if mark == ": " else [*pieces(first), *pieces(rest)]


def of_part_said(text: str, language: str) -> str:
    """Say what is wrong with a part that is named first (`H08: bag is used up`)."""
    head, mark, rest = text.partition(": ")
    if knows(text) or not knows(rest):
        return said(text, language)
    return f"{head}{mark}{said(rest, language)}"


def move_said(text: str, language: str) -> str:
    """Say one move of a counterexample; its names are the protocol's own."""
    return _of(MOVE, text, language) or text


def change_said(text: str, language: str) -> str:
    """Say what one version of a protocol changes; titles are in the reader's language already."""
    return _of(CHANGE, text, language) or text


def _of(prefix: str, text: str, language: str) -> str | None:
    """Say a text of one kind, with what stands in its places said too; None if nothing fits it."""
    for key, pattern in _patterns(prefix):
        if found := pattern.fullmatch(text):
            message = languages.words(language)[key]
            for hole, value in found.groupdict().items():
                message = message.replace("{" + hole + "}", _of(prefix, value, language) or value)
            return message
    return None


def language_of(request: Request) -> str:
    """Return the language of whoever asks: the page's; English for a program."""
    if "authorization" in request.headers:
        return "en"
    person = getattr(request.state, "person", None)
    return languages.of(request, person.language if person else None)


def in_language_of(
    request: Request, document: Document, names: Mapping[str, str] = NOBODY
) -> Document:
    """Return a problem as whoever sits at the page of `request` reads it."""
    language = language_of(request)
    if "authorization" in request.headers or (language == "en" and not names):
        return document
    reasons = tuple(
        Part(part.field, said(part.what, language, names), said(part.todo, language, names))
        for part in document.reasons
    )
    return msgspec.structs.replace(
        document,
        title=said(document.title, language, names),
        detail=said(document.detail, language, names),
        reasons=reasons,
    )


def row_said(id_: str, field: str, what: str, language: str) -> str:
    """Say what is wrong with a field of a row: the row's patterns name it and its field too."""
    head = f"{id_}: {field}: "
    return said(head + what, language).removeprefix(head)


def _known(text: str, language: str, names: Mapping[str, str]) -> str | None:
    fit = _fit(text)
    if fit is None:
        return None
    if len(fit) == 3:
        first, mark, rest = fit
        if mark == ": ":
            head = named(first, language, names) or first
            return f"{head}{mark}{said(rest, language, names)}"
        return f"{said(first, language, names)}{mark}{said(rest, language, names)}"
    key, holes = fit
    message, english = languages.words(language)[key], languages.words("en")[key]
    for hole, value in holes:
        if hole == TEXT:
            message = message.replace("{text}", value)
            continue
        known = _known(value, language, names) or named(value, language, names)
        if not known and f"version {{{hole}}}" not in english:  # the name 2.0 is no number
            known = _figure(value, language)
        message = message.replace("{" + hole + "}", known or value)
    return message


def _figure(value: str, language: str) -> str:
    """Write a moment, or a number with its unit, as the pages do; a name stays as it is."""
    head, mark, rest = value.partition(": ")
    if mark and _IDENTIFIER.fullmatch(head):
        return f"{head}{mark}{_figure(rest, language)}"
    dated = _MOMENT.sub(lambda found: _moment(found[0], language), value)
    dated = _DAY.sub(lambda found: _day(found[0], language), dated)
    return numeral.measured(value, language) if dated == value else dated


def _moment(value: str, language: str) -> str:
    return zone.written(datetime.fromisoformat(value), language, "d MMM y HH:mm")


def _day(value: str, language: str) -> str:
    try:
        return str(format_date(date.fromisoformat(value), "d MMM y", locale=language))
    except ValueError:  # somebody typed what is no day
        return value


Fit = tuple[str, tuple[tuple[str, str], ...]] | tuple[str, str, str]


@lru_cache(maxsize=10_000)
def _fit(text: str) -> Fit | None:
    """Return the message that `text` is and what stands in its places; or two texts and a mark."""
    if not text or len(text) > LONGEST:
        return None
    if (key := _plain().get(text)) is not None:
        return key, ()
    # A check that went wrong is named first (`seal: this is not the seal of shipper_out`). Where
    # the rest names nothing it is looked for before the patterns: in `seal: answered so` nobody
    # has answered anything.
    first, parted, rest = text.partition(": ")
    named = bool(parted) and _IDENTIFIER.fullmatch(first) is not None
    if named and rest in _plain():
        return first, parted, rest
    for key, pattern in _patterns(PREFIX):
        if found := pattern.fullmatch(text):
            holes = tuple(found.groupdict().items())
            if all(
                hole == TEXT or _fit(value) is not None or _is_name(value) for hole, value in holes
            ):
                return key, holes
    for mark in ("\n", "; "):
        before, cut, after = text.partition(mark)
        if cut and _fit(before) is not None and _fit(after) is not None:
            return before, mark, after
    if named and _fit(rest) is not None:
        return first, parted, rest
    return None


def _is_name(value: str) -> bool:
    """Say whether this is a name, and no piece of another English sentence.

    Half a sentence in each language would be worse than all of it in English.
    """
    return not _PROSE.search(value) or value[0] in "'\""


@cache
def _plain() -> dict[str, str]:
    """Return the messages that name nothing, by what they say."""
    return {v: k for k, v in languages.words("en").items() if k.startswith(PREFIX) and "{" not in v}


@cache
def _patterns(prefix: str) -> list[tuple[str, re.Pattern[str]]]:
    """Return each message with its pattern. The wordiest come first: what says more fits better.

    A name in a refusal does not reach over a semicolon: there the next sentence begins.
    """
    place = _place if prefix == PREFIX else r"(?P<\1>.+?)"
    found = {k: v for k, v in languages.words("en").items() if k.startswith(prefix)}
    if prefix == PREFIX:
        found = {k: v for k, v in found.items() if "{" in v}
    return [
        (key, re.compile(_HOLE.sub(place, re.escape(message)), re.DOTALL))
        for key, message in sorted(
            found.items(), key=lambda kv: -len(re.sub(r"\{\w+\}", "", kv[1]))
        )
    ]


def _place(hole: re.Match[str]) -> str:
    return f"(?P<{hole[1]}>{'.+' if hole[1] == TEXT else '[^;]+?'})"
