"""What a page calls the things of a protocol that a text names by their identifiers.

The core says `'seal' is not answered`; the station asks "Is the seal whole?". Here each identifier
of a protocol has the words that its pages show, in the reader's language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Protocol as Shape
from typing import TypeVar

from stafett.journey.deviation import catalogue
from stafett.protocol.model import Check, Handoff, Protocol, Sign, Step, Text, text
from stafett.protocol.net import Net
from stafett.web import language as languages


class Titled(Shape):
    """What has a title."""

    @property
    def title(self) -> Text:
        """The words for it, by language."""


T = TypeVar("T")
QUOTES = {"en": "“{}”", "sv": "”{}”", "es": "«{}»"}
_BETWEEN = re.compile(r"(, | or | and |=)")


MOST = 200  # nets and languages of which the words are kept


def _kept(make: Callable[[Net, str], T]) -> Callable[[Net, str], T]:
    """Keep what `make` finds for a net, which is known by being the same object."""
    kept: dict[tuple[int, str], tuple[Net, T]] = {}

    @wraps(make)
    def found(net: Net, language: str) -> T:
        key = id(net), language
        if key not in kept:
            if len(kept) >= MOST:
                kept.clear()
            kept[key] = net, make(net, language)  # the net itself too: its id is not used again
        return kept[key][1]

    return found


@_kept
def names_of(net: Net, language: str) -> Mapping[str, str]:
    """Return what the pages call each activity, material, role, check and so on of a protocol."""
    return _names(net.protocol, language)


def _names(protocol: Protocol, language: str) -> dict[str, str]:
    """Name everything; an activity is shown with its identifier.

    A choice that two checks word differently has no one name: it keeps its identifier.
    """
    found: dict[str, str] = {}
    seen: dict[str, set[str]] = {}
    for choice, title in _choices(protocol):
        seen.setdefault(choice, set()).add(text(title, language))
    found |= {choice: next(iter(titles)) for choice, titles in seen.items() if len(titles) == 1}
    found |= {code: text(known.title, language) for code, known in catalogue(protocol).items()}
    for check in _checks(protocol):
        found[check.id] = QUOTES[language].format(text(check.ask, language))
    titled: tuple[Mapping[str, Titled], ...] = (
        protocol.documents, protocol.identifiers, protocol.outcomes, protocol.interrupts,
        protocol.roles, protocol.materials,
    )  # fmt: skip
    for kind in titled:
        found |= {key: text(one.title, language) for key, one in kind.items()}
    activities: tuple[Mapping[str, Titled], ...] = (protocol.steps, protocol.handoffs)
    for kind in activities:
        found |= {key: f"{key} {text(one.title, language)}" for key, one in kind.items()}
    return found


@_kept
def meanings(net: Net, language: str) -> Mapping[str, tuple[str, str]]:
    """Return what each signature means in `language`, by the wording that was signed.

    With it comes the language of that wording: what was signed is shown beside it, as it was.
    """
    english, own = languages.words("en"), languages.words(language)
    found = {english[key]: (own[key], "en") for key in english if ".meaning" in key}
    for sign in _signs(net.protocol):
        if not isinstance(sign.meaning, str):
            for spoken, wording in sign.meaning.items():
                found[wording] = (text(sign.meaning, language), spoken)
    return found


def _signs(protocol: Protocol) -> Iterator[Sign]:
    for activity in _activities(protocol):
        if isinstance(activity, Handoff):
            yield from (activity.release.sign, activity.accept.sign)
        elif activity.sign is not None:
            yield activity.sign


def named(value: str, language: str, names: Mapping[str, str]) -> str | None:
    """Return the page's name of `value`, or of each in a list of identifiers; None if it has none.

    An identifier may stand in quotes, as the core writes what somebody typed.
    """
    if not names:
        return None
    pieces = _BETWEEN.split(value)
    if not any(piece.strip("'\"") in names for piece in pieces[::2]):
        return None
    return "".join(
        names.get(piece.strip("'\""), piece) if n % 2 == 0 else _mark(piece, language)
        for n, piece in enumerate(pieces)
    )


def _mark(piece: str, language: str) -> str:
    words = {" or ": {"sv": " eller ", "es": " o "}, " and ": {"sv": " och ", "es": " y "}}
    return " · " if piece == "=" else words.get(piece, {}).get(language, piece)


def _activities(protocol: Protocol) -> Iterator[Step | Handoff]:
    yield from protocol.steps.values()
    yield from protocol.handoffs.values()


def _checks(protocol: Protocol) -> Iterator[Check]:
    for activity in _activities(protocol):
        if isinstance(activity, Handoff):
            yield from (*activity.release.checks, *activity.accept.checks)
        else:
            yield from activity.checks


def _choices(protocol: Protocol) -> Iterator[tuple[str, Text]]:
    for check in _checks(protocol):
        yield from ((name, choice.title) for name, choice in check.choices.items())
    for step in protocol.steps.values():
        yield from ((name, result.title) for name, result in step.results.items())
