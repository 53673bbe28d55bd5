"""Findings in the reader's language.

The analyses say what they found in English, with its numbers in place. The words files hold each
such sentence as a pattern (`finding.*`), in English and in the other languages: a text is cut into
sentences that fit a pattern, and said again with the same values. Numbers and dates are written as
the language writes them. What fits no pattern stays English and is marked so.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import cache, lru_cache
from html import escape, unescape

from babel.dates import format_date
from markupsafe import Markup

from stafett.web import language as languages
from stafett.web import numeral

PREFIX = "finding."
# Words of pictures: their patterns would fit too much of a text.
PICTURED = ("finding.pic.", "finding.hint.")
_HOLE = re.compile(r"\\\{(\w+)\\\}")
_DAYS = (("%d %b %Y", "d MMM y"), ("%d %b %y", "d MMM y"), ("%B %Y", "LLLL y"), ("%b %Y", "MMM y"))
_DATE = re.compile(r"(?:\d{1,2} )?[A-Z][a-z]{2,8} \d{2,4}")
_NODE = re.compile(r"(<(text|title)[^>]*>)([^<]*)(</\2>)")
_END = re.compile(r"[.?!] (?=[A-Z0-9])")
_WORD = re.compile(r"[^\W\d_]{2,}")


def said(text: str, language: str) -> Markup:
    """Say `text` in `language`, as HTML; what cannot be said in it is marked as English."""
    found = in_language(text, language)
    if found is None:
        return Markup('<span lang="en">{}</span>').format(text)
    return Markup.escape(found)


def picture(svg: str, language: str) -> str:
    """Return a picture whose words are said in `language` as far as they are known."""
    if language == "en":
        return svg

    def node(found: re.Match[str]) -> str:
        words = _sentences(unescape(found[3]), language, pictured=True)
        return found[0] if words is None else f"{found[1]}{escape(words)}{found[4]}"

    return _NODE.sub(node, svg)


def in_language(text: str, language: str) -> str | None:
    """Say `text` in `language`; None if no pattern fits it."""
    return text if language == "en" else _sentences(text, language)


@lru_cache(maxsize=20_000)
def _sentences(text: str, language: str, pictured: bool = False) -> str | None:
    if not _WORD.search(text):
        return _plain(text, language)
    dated = _plain(text, language)
    if dated != text:
        return dated
    # One sentence after the other, each as short as it can be; only then the text as a whole.
    for key, whole, first in _patterns(pictured):
        if first is not None and (found := first.match(text)) and _within(found):
            rest = _sentences(text[found.end() :].lstrip(), language, pictured)
            if rest is not None:
                return f"{_fill(key, found, language, pictured)} {rest}"
        if (
            (found := whole.fullmatch(text))
            and _within(found)
            and not (first and first.match(text))
        ):
            return _fill(key, found, language, pictured)
    for key, whole, _ in _patterns(pictured):
        if found := whole.fullmatch(text):
            return _fill(key, found, language, pictured)
    return None


def _within(found: re.Match[str]) -> bool:
    """Say that no place of the pattern swallowed where one sentence ends and another begins."""
    return not any(_END.search(value) for value in found.groupdict().values())


def _fill(key: str, found: re.Match[str], language: str, pictured: bool) -> str:
    """Say a pattern with its values, each of which may be a finding, a number, a day or a name."""
    message = languages.words(language)[key]
    for name, value in found.groupdict().items():
        known = _sentences(value, language, pictured)
        message = message.replace("{" + name + "}", value if known is None else known)
    return message


@cache
def _patterns(pictured: bool) -> list[tuple[str, re.Pattern[str], re.Pattern[str] | None]]:
    """Return each message with its patterns, of a whole text and of a first sentence of more.

    The wordiest come first: what says more is the better fit.
    """
    out = []
    found = {
        k: v
        for k, v in languages.words("en").items()
        if k.startswith(PREFIX) and (pictured or not k.startswith(PICTURED))
    }
    for key, message in sorted(found.items(), key=lambda kv: -len(re.sub(r"\{\w+\}", "", kv[1]))):
        pattern = _HOLE.sub(r"(?P<\1>.+?)", re.escape(message))
        first = re.compile(pattern + "(?= )", re.DOTALL) if message.endswith(".") else None
        out.append((key, re.compile(pattern, re.DOTALL), first))
    return out


def _plain(text: str, language: str) -> str:
    """Write a number or a day as `language` does; anything else stays as it is."""
    if _DATE.fullmatch(text):
        for written, form in _DAYS:
            day = _day(text, written)
            if day is not None:
                return str(format_date(day, form, locale=language))
    return numeral.written(text, language)


def _day(text: str, written: str) -> date | None:
    try:
        return datetime.strptime(text, written).date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None
