"""Reading the catalogue of investments: categories, prices, and what is published of capital."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

from stafett.design.incentives.reading import sourced
from stafett.design.levers import LEVERS
from stafett.design.network import Number
from stafett.protocol.model import Base, Source
from stafett.protocol.read import Document, ReadError, parse, read

DEMAND = "demand"


class Published(Base, frozen=True, kw_only=True):
    """A published figure of capital, price or cost."""

    title: str
    unit: str
    figure: Number


class Category(Base, frozen=True, kw_only=True):
    """An investment: which levers it pulls, who would pay for it, where its value arises.

    `price`: thousand US dollars a year for 100 patients referred a year, for an effort of 0.25.
    """

    title: str
    levers: list[str]
    investor: str
    works: Literal["journeys"] | list[str]
    price: Number


class Catalogue(Base, frozen=True, kw_only=True):
    """The file."""

    stafett_capital: Literal[1]
    sources: dict[str, Source]
    published: dict[str, Published]
    split: dict[str, Number]
    categories: dict[str, Category]


def load(file: str | None = None) -> Catalogue:
    """Read the built-in catalogue, or a file; ReadError says what is wrong, where."""
    if file is not None:
        return _checked(read(file))
    return _built_in()


@cache
def _built_in() -> Catalogue:
    entry = files("stafett") / "catalogue" / "capital.yaml"
    return _checked(parse(entry.read_bytes(), "capital.yaml"))


def _checked(doc: Document) -> Catalogue:
    for name, entry in (doc.at("categories") or {}).items():
        if isinstance(entry, dict) and "price" not in entry:
            raise ReadError(
                doc.place("categories", name), f"{name} has no price",
                "give one with its range: without it patients per money mean nothing",
            )  # fmt: skip
    found = doc.convert(doc.value, Catalogue)
    sourced(doc, found, set(found.sources))
    known = {x.name for x in LEVERS} | {DEMAND}
    for name, c in found.categories.items():
        place = doc.place("categories", name)
        for lever in c.levers:
            if lever not in known:
                raise ReadError(place, f"there is no lever {lever!r}", f"has: {sorted(known)}")
        if not c.levers:
            raise ReadError(place, f"{name} pulls no lever", "name at least one")
        low = c.price.value if c.price.low is None else c.price.low
        if low <= 0:
            raise ReadError(place, "a price that may be 0 or less", "above 0, its range too")
    return found
