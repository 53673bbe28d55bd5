"""How values are written in a page: the filters of the templates."""

from __future__ import annotations

import operator
import re
from datetime import date, datetime
from functools import cache
from typing import Any

import jinja2
from babel.dates import format_date
from markupsafe import Markup

from stafett.protocol.model import text
from stafett.protocol.net import Net
from stafett.web import catalogue_words, naming, noting, numeral, refusals, zone
from stafett.web import language as languages
from stafett.web.country import country

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d[\d:.]*(?:Z|[+-]\d\d:\d\d)")


@cache
def environment() -> jinja2.Environment:
    """Return the templates, with the filters that they write values by."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stafett.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"when": _when, "pick": text, "plain": _plain}
    environment.filters |= {
        "refusal": refusals.said,
        "catalogue": catalogue_words.said,
        "entered": _entered,
        "day": _day,
        "figure": lambda value, language: numeral.written(str(value), language),
        "reason": _reason,
        "written": _written,
        "field": _field,
        "event": lambda kind, language: languages.words(language).get(f"event.{kind}", kind),
    }
    environment.filters |= {"noted": _noted, "told": _told, "called": _called, "meant": _meant}
    environment.filters |= {
        "country": country,
        "format": _format,
        "exact": operator.mod,
        "lasting": _lasting,
    }
    return environment


@jinja2.pass_context
def _format(context: jinja2.runtime.Context, form: str, *values: Any) -> str:
    """Write numbers as the page's language does: with a comma in Swedish and Spanish."""
    made = form % values
    return made if context.get("language", "en") == "en" else made.replace(".", ",")


def _when(at: datetime, language: str) -> str:
    """Show a moment in the organisation's zone, which it names, as the language writes it."""
    return zone.written(at, language)


def _day(value: str, language: str) -> str:
    """Write a day, a month or a year (ISO 8601) as the language does; anything else as it is."""
    form = {7: "LLLL y", 10: "d MMM y"}.get(len(str(value)))
    if form is None:
        return str(value)
    try:
        at = date.fromisoformat(f"{value}-01"[:10])
    except ValueError:
        return str(value)
    return str(format_date(at, form, locale=language))


def _entered(text: str, language: str) -> Markup:
    """Show what was entered: in the page's language if it is the catalogue's, or as it was."""
    if catalogue_words.knows(text):
        return Markup.escape(catalogue_words.said(text, language))
    return _in("", text)


def _lasting(hours: float) -> str:
    """Say a length of time in the two units that matter: 3 d 4 h, 2 h 5 min, 12 min, 7 s."""
    seconds = round(hours * 3600)
    days, hour, minute = seconds // 86400, seconds % 86400 // 3600, seconds % 3600 // 60
    if days:
        return f"{days} d {hour} h"
    if hour:
        return f"{hour} h {minute} min"
    return f"{minute} min" if minute else f"{seconds} s"


def _written(value: Any, language: str) -> str:
    """Show what was filled in: a moment as all moments are shown, anything else as it is."""
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        return _when(datetime.fromisoformat(value), language)
    return str(value)


def _field(name: str, language: str, kind: str = "field") -> str:
    """Say what a document's field is called: by its words, or by its name where it has none."""
    return languages.words(language).get(f"{kind}.{name}") or name.replace("_", " ")


def _noted(note: str, language: str, net: Net) -> Markup:
    """Say what the record noted by itself in the page's language; a person's words stay theirs.

    Nobody knows in which language a person wrote: a screen reader is not told the page's.
    """
    own = noting.said(note, language, net)
    return _in("", note) if own is None else Markup.escape(own)


def _reason(text: str, language: str) -> Markup:
    """Say why something was refused; what cannot be said in the page's language is marked."""
    if language == "en" or refusals.knows(text):
        return Markup.escape(refusals.said(text, language))
    return _in("en", text)


def _meant(meaning: str, language: str, net: Net) -> Markup:
    """Say what a signature means in the page's language, and beside it the wording signed."""
    own, spoken = naming.meanings(net, language).get(meaning, (meaning, ""))
    if own == meaning:
        lang = "" if spoken in (language, "") else spoken
        return Markup.escape(meaning) if spoken == language else _in(lang, meaning)
    signed = languages.words(language)["signatures.signed"]
    return Markup('{} <small class="soft">{}: “{}”</small>').format(
        own, signed, _in(spoken, meaning)
    )


def _in(lang: str, text: str) -> Markup:
    return Markup('<span lang="{}">{}</span>').format(lang, text)


def _told(said: str, language: str, net: Net) -> str:
    """Say a refusal with the names that the pages of its protocol use."""
    return refusals.said(said, language, naming.names_of(net, language))


def _called(name: str, language: str, net: Net) -> str:
    """Return what the pages call an identifier of the protocol."""
    return naming.names_of(net, language).get(name, name)


def _plain(event: dict[str, Any]) -> str:
    """Show an event's own fields in one line."""
    skipped = ("type", "occurred_at", "by")
    return ", ".join(
        f"{k}={v}" for k, v in event.items() if k not in skipped and v not in (None, "", [], {})
    )
