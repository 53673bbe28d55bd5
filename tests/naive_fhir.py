"""FHIR searches by the shortest way: make everything, look at each. The oracle of the index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from site_ import Site
from stafett.exchange.fhir_parameters import parameters, systems, values_at
from stafett.exchange.fhir_search import matches, read_search
from stafett.exchange.fhir_write import PSEUDONYM, Version
from stafett.service.row import Row

Json = dict[str, Any]


def everything(site: Site, version: Version, organisation: str) -> list[tuple[Json, Json]]:
    """Make every resource of an organisation's journeys, with what it is about, in their order."""
    rows: list[Row] = sorted(
        site.tower.board.of(organisation), key=lambda row: (row.opened, row.journey)
    )
    out: list[tuple[Json, Json]] = []
    for row in rows:
        kept = site.inside(site.tower.outside.fhir_index.made_of(version, row))
        (patient,) = [r for r in kept.resources.values() if r["resourceType"] == "Patient"]
        name = next(i["value"] for i in patient["identifier"] if i["system"] == PSEUDONYM)
        about = {"patient": f"Patient/{patient['id']}",
                 "identifier": {"system": PSEUDONYM, "value": name}}  # fmt: skip
        out += [(resource, about) for resource in kept.resources.values()]
    return out


def search(every: list[tuple[Json, Json]], kind: str, given: list[tuple[str, str]]) -> list[str]:
    """Give the ids of what answers, in order."""
    asked = read_search(kind, given)
    return [r["id"] for r, about in every if r["resourceType"] == kind and matches(asked, r, about)]


def questions(every: list[tuple[Json, Json]], kind: str) -> Iterator[tuple[str, str]]:
    """Ask for each value that a resource of a type has, in each way that it may be asked for."""
    for name, (sort, paths) in parameters(kind).items():
        for resource, about in every:
            if resource["resourceType"] != kind:
                continue
            for value in values_at(resource, paths, about):
                for text in _spoken(sort, value):
                    yield name, text.replace(",", "\\,")
                if sort == "token" and isinstance(value, str):
                    yield from ((name, f"{of}|{value}") for of in systems(kind, name))
                    yield from ((name, f"{of}|") for of in systems(kind, name))
    if "patient" in parameters(kind):
        for _, about in every:
            yield "patient.identifier", about["identifier"]["value"]
            yield "patient.identifier", f"{PSEUDONYM}|{about['identifier']['value']}"


def _spoken(sort: str, value: Any) -> Iterator[str]:
    if sort == "date":
        for prefix in ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"):
            yield f"{prefix}{value}"
            yield f"{prefix}{str(value)[:10]}"
    elif sort == "reference":
        reference = value.get("reference", "") if isinstance(value, dict) else value
        if not reference:
            return
        yield from (reference, reference.partition("/")[2], f"https://here.example/{reference}")
        yield f"Nothing/{reference.partition('/')[2]}"
    elif sort == "text":
        yield from (str(value), str(value)[1:3].upper(), "nothing\0", "%")
    elif isinstance(value, dict):
        for one in (*value.get("coding", ()), value):
            code, system = one.get("value", one.get("code")), one.get("system", "")
            if code is not None:
                yield from (str(code), f"{system}|{code}", f"|{code}", f"{system}|", f"x|{code}")
    else:
        yield from (str(value), f"|{value}", f"x|{value}", "|")


def url(kind: str, given: list[tuple[str, str]]) -> str:
    """Write a search as an address."""
    return f"{kind}?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in given)
