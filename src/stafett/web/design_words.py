"""What the design pages call measures, levers, events and conclusions, in the page's language."""

from __future__ import annotations

import re

from starlette.requests import Request

from stafett.design.estimate import Estimate
from stafett.design.levers import LEVERS
from stafett.design.measures import TITLES
from stafett.design.reading import System
from stafett.service.accounts import Person
from stafett.service.design_report import cell
from stafett.service.pictures.lanes import WORDS
from stafett.service.studio import Wish, as_written
from stafett.web import numeral
from stafett.web.design_figures import T, known, path
from stafett.web.language import of, translator

POOLS = ("line", "chair", "bed", "theatre")
EVENTS = (
    (r"lane (?P<what>\w+) closed 30 days", "lane"),
    (r"couriers on strike 14 days", "strike"),
    (r"no deliveries of supplies 60 days", "supplies"),
    (r"largest centre without beds 90 days", "centre"),
    (r"(?P<what>.+) closed 60 days", "pool"),
)


def words_of(request: Request, person: Person) -> T:
    """The translator for who asks."""
    return translator(of(request, person.language))


def figure(e: Estimate | None, digits: int, language: str) -> str:
    """A figure with its interval, as `language` writes numbers."""
    text = cell(e, digits)
    return text if language == "en" else text.replace(" to ", " – ").replace(".", ",")


def system(t: T, name: str) -> str:
    """A short name of a network; of one of an organisation's own, its name and version."""
    own, _, version = name.partition("@")
    if version:
        return t("design.own.called", name=own, version=version)
    return known(t, f"design.system.{name}", name)


def title(system_: System, t: T, language: str) -> str:
    """A network's title as it was written, or its short name where that is in another language."""
    if "@" in system_.name:
        return f"{system_.network.title} ({system(t, system_.name)})"
    return system_.network.title if language == "en" else system(t, system_.name)


def changes(wish: Wish, t: T, language: str) -> list[str]:
    """What was changed, a sentence for each figure: whose, which, and to what."""
    return [
        f"{system(t, name)}: {path(as_written(wish, name), which, t, language)}"
        f" = {number(value, language)}"
        for name, figures in wish.changes.items()
        for which, value in figures.items()
    ]


def number(value: float, language: str) -> str:
    """A number as the language writes it."""
    return numeral.written(f"{value:g}", language)


def measure(t: T, key: str) -> str:
    """What a figure is."""
    return known(t, f"design.measure.{key}", TITLES.get(key, key))


def lever(t: T, name: str) -> str:
    """What a lever is called."""
    return known(t, f"design.lever.{name.replace(' ', '-')}", name)


def levers(t: T) -> dict[str, str]:
    """Every lever with the group that it belongs to."""
    return {x.name: f"{lever(t, x.name)} ({t(f'design.group.{x.group}')})" for x in LEVERS}


def event(t: T, what: str) -> str:
    """What happens in a disruption."""
    for pattern, kind in EVENTS:
        if found := re.fullmatch(pattern, what):
            named = found.groupdict().get("what", "")
            pools = {translator("en")(f"design.pool.{p}"): t(f"design.pool.{p}") for p in POOLS}
            if kind == "lane":
                named = known(t, f"design.lane.{named}", named)
            return t(f"design.event.{kind}", what=pools.get(named, named))
    return what


def conclusion(t: T, what: str) -> str:
    """What a conclusion is about."""
    head, _, tail = what.partition(": ")
    if head == "against the first":
        return t("design.conclusion.against", what=measure(t, tail))
    if head == "a fifth better helps":
        return t("design.conclusion.better", what=lever(t, tail))
    return event(t, what)


def lanes(t: T) -> dict[str, str]:
    """The words of the lanes' picture."""
    pools = {p: t(f"design.pool.{p}") for p in POOLS}
    return {**{k: t(f"design.svg.{k}") for k in WORDS}, **pools}
