"""FHIR searches: their order (`_sort`), and what they bring along, forth, back and again."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from functools import cmp_to_key
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

import http_
import naive_fhir
from site_ import Site
from stafett.exchange.fhir_along import includable, revincludable
from stafett.exchange.fhir_keys import wanted
from stafett.exchange.fhir_parameters import parameters, references, types, values_at
from stafett.exchange.fhir_search import read_search
from stafett.exchange.fhir_sort import compare, keys, sortable
from stafett.exchange.fhir_store import Place, conditions, ways
from stafett.exchange.fhir_write import Version
from stafett.exchange.problem import Problem
from stafett.journey.label import Labels
from stafett.service import fhir_along
from stafett.service.fhir_along import OTHERS
from web_walk import walk

CLINIC, ADMIN = "treating-clinic-1", "administrator"
VERSIONS: tuple[Version, ...] = ("R5", "R4B")
Json = dict[str, Any]


@pytest.fixture(scope="module")
def treated(site: Site) -> str:
    """Carry one journey up to the follow-up, one into a handoff, and order two more."""
    product = next(iter(site.day().nets))
    journeys = []
    for until in (("FOLLOW_UP", "step"), ("H02", "accept")):
        labels = Labels(random.SystemRandom().randrange(1, 900_000))
        journeys.append(site.order(labels.patient, coi=labels.coi, product=product))
        site.inside(walk(site, journeys[-1], labels, until))
    site.order("19121225-1212")
    site.order("19121226-1212")
    site.inside(site.tower.board.caught_up())
    return journeys[0]


def get(site: Site, path: str, login: str | None = CLINIC, **more: Any) -> httpx.Response:
    """Read something of `/fhir`."""
    return site.call(login, "GET", f"/fhir/{path}", **more)


def entries(answer: httpx.Response, mode: str = "match") -> list[Json]:
    """Give the resources of a searchset that match, or that were brought along."""
    assert answer.status_code == 200, answer.text
    every = answer.json().get("entry", [])
    return [e["resource"] for e in every if e["search"]["mode"] == mode]


def walked(site: Site, path: str, login: str | None = CLINIC) -> list[str]:
    """Follow `next` and give all ids that match."""
    found: list[str] = []
    url: str | None = f"{site.base}/fhir/{path}"
    headers = {"Authorization": f"Bearer {site.token(login)}"} if login else {}
    asked = {k: v for k, v in parse_qsl(urlsplit(path).query) if k != "_page"}
    while url:
        answer = http_.get(url, headers=headers)
        found += [one["id"] for one in entries(answer)]
        links = {k["relation"]: k["url"] for k in answer.json()["link"]}
        url = links.get("next")
        for link in links.values():
            kept = dict(parse_qsl(urlsplit(link).query))
            kept.pop("_page", None)
            assert kept == asked
    return found


def every_of(site: Site, version: Version) -> list[tuple[Json, Json]]:
    """Make everything that the clinic may read."""
    organisation = next(p.organisation for p in site.people if CLINIC in (p.id, p.login))
    return naive_fhir.everything(site, version, organisation)


# -- order -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_every_order_is_that_of_sorting_all_there_is(
    site: Site, treated: str, version: Version
) -> None:
    """Each type by each thing it is sorted by, up and down, page by page: none lost or doubled."""
    every = every_of(site, version)
    tried = 0
    for kind in [t for t in types(version) if t not in OTHERS]:
        mine = [(r, about) for r, about in every if r["resourceType"] == kind]
        names = sortable(kind)
        orders = [
            *names,
            *(f"-{n}" for n in names),
            f"{names[-1]},-_lastUpdated",
            "-_id,identifier",
        ]
        for order in orders:
            sorts = read_search(kind, [("_sort", order)]).sorts
            held = [(keys(sorts, r, about), r["id"]) for r, about in mine]
            held.sort(key=cmp_to_key(lambda a, b: compare(sorts, a[0], b[0])))  # noqa: B023
            count = max(2, len(mine) // 3)
            found = walked(site, f"{version}/{kind}?_sort={order}&_count={count}")
            assert found == [name for _, name in held], (kind, order)
            tried += 1
    assert tried > 60


def test_the_newest_come_first_if_that_is_asked(site: Site, treated: str) -> None:
    """`-_lastUpdated` beside conditions; what has no date comes last, up and down."""
    told = get(site, "R5/Task?_sort=-_lastUpdated&_count=500&status=completed,requested")
    times = [one["meta"]["lastUpdated"] for one in entries(told)]
    assert len(times) > 5 and times == sorted(times, reverse=True)
    for order in ("modified", "-modified"):
        tasks = entries(get(site, f"R5/Task?_sort={order}&_count=500"))
        dated = ["lastModified" in one for one in tasks]
        assert dated == sorted(dated, reverse=True) and True in dated and False in dated


@pytest.mark.parametrize("order", ["_lastUpdated", "-_lastUpdated", "-_lastUpdated,status"])
def test_the_order_of_change_is_walked_by_its_index(site: Site, treated: str, order: str) -> None:
    """Up and down, and from any place: what is frequent is not all sorted for a page of it."""
    get(site, "R5/Task?_count=1")
    search = wanted(read_search("Task", [("_sort", order)]))
    where, values = conditions("R5", "Task", "university-hospital", search)
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    place = Place(moment, "J", 1, (moment, "x")[: len(search.sorts)])

    async def plan(after: Place | None) -> str:
        query, of = next(iter(ways(where, values, after, 50, search.sorts)))
        async with site.tower.pool.connection() as connection, connection.transaction():
            for other in ("seqscan", "bitmapscan", "sort"):
                await connection.execute(f"SET LOCAL enable_{other} = off".encode())
            rows = await connection.execute(f"EXPLAIN {query}".encode(), of)
            return "\n".join(row[0] for row in await rows.fetchall())

    for after in (None, place):
        shown = site.inside(plan(after))
        back = "Backward " if order.startswith("-") else ""
        assert f"Index Scan {back}using fhir_resource_updated" in shown, shown


def test_a_page_of_one_order_is_none_of_another(site: Site, treated: str) -> None:
    """The `next` link belongs to its order; changed by hand it is refused, not answered oddly."""
    links = get(site, "R5/Task?_sort=status&_count=2").json()["link"]
    page = dict(parse_qsl(urlsplit(links[-1]["url"]).query))["_page"]
    for order in ("-status", "_lastUpdated", ""):
        params = {"_count": "2", "_page": page, **({"_sort": order} if order else {})}
        refused = get(site, "R5/Task", params=params)
        assert refused.status_code == 400
        assert refused.json()["issue"][0]["expression"] == ["_page"]


def test_studies_are_sorted_too_and_looks_are_the_latest_first(site: Site, treated: str) -> None:
    """The public trials by title, up and down; the audit of reads in its one order."""
    up = walked(site, "R5/ResearchStudy?_sort=title&_count=7", None)
    titles = {s["id"]: s["title"].casefold() for s in
              entries(get(site, "R5/ResearchStudy?_count=500", None))}  # fmt: skip
    assert len(up) > 7 and [titles[one] for one in up] == sorted(titles.values())
    down = walked(site, "R5/ResearchStudy?_sort=-title&_count=7", None)
    assert [titles[one] for one in down] == sorted(titles.values(), reverse=True)
    looks = entries(get(site, "R5/AuditEvent?_sort=-date&_count=50", ADMIN))
    assert looks == entries(get(site, "R5/AuditEvent?_count=50", ADMIN))
    times = [one["recorded"] for one in looks]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("Task?_sort=colour", "_sort"), ("Task?_sort=", "_sort"), ("Task?_sort=status,", "_sort"),
        ("Task?_sort=--status", "_sort"), ("Task?_sort=owner", "_sort"),
        ("Task?_sort=patient.identifier", "_sort"), ("Task?_sort:desc=status", "_sort:desc"),
        ("Task?_sort=" + ",".join(["status"] * 9), "_sort"), ("AuditEvent?_sort=date", "_sort"),
        ("Task?_revinclude=Task:focus", "_revinclude"), ("Task?_revinclude=*", "_revinclude"),
        ("Patient?_revinclude=AuditEvent:entity", "_revinclude"),
        ("Patient?_revinclude=Task:patient:Organization", "_revinclude"),
        ("Patient?_revinclude=Task:patient:", "_revinclude"),
        ("Patient?_revinclude=:*", "_revinclude"), ("Task?_include=Task:owner:Patient", "_include"),
        ("Task?_include:iterate=Task:nothing", "_include:iterate"),
        ("Task?_include:once=Task:focus", "_include:once"), ("Task?_includes=x", "_includes"),
        ("Patient?_revinclude:iterate=SupplyDelivery:patient", "_revinclude:iterate"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("handling", ["strict", "lenient"])
def test_what_is_not_sorted_by_or_brought_along_is_refused_at_its_place(
    site: Site, path: str, place: str, handling: str
) -> None:
    """Also where a client would have it ignored: an order that is not kept misleads."""
    answer = get(site, f"R5/{path}", ADMIN, headers={"Prefer": f"handling={handling}"})
    assert answer.status_code == 400, answer.text
    assert [i.get("expression") for i in answer.json()["issue"]] == [[place]]


# -- along -----------------------------------------------------------------------------------------


def _refers(resource: Json, about: Json, kind: str, name: str) -> set[str]:
    found = values_at(resource, parameters(kind)[name][1], about)
    return {v["reference"] if isinstance(v, dict) else v for v in found
            if not isinstance(v, dict) or "reference" in v}  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_all_that_metadata_names_is_brought_back_and_nothing_else(
    site: Site, treated: str, version: Version
) -> None:
    """Of each type by each way back: just what refers to what was found, each once."""
    every = every_of(site, version)
    tried = 0
    listed = get(site, f"{version}/metadata", None).json()["rest"][0]["resource"]
    for entry in listed:
        kind = entry["type"]
        assert entry.get("searchRevInclude", []) == list(revincludable(kind, version))
        assert entry.get("searchInclude", []) == list(includable(kind))
        for way in entry.get("searchRevInclude", []):
            told = get(site, f"{version}/{kind}?_count=500&_revinclude={way}")
            here = {f"{kind}/{one['id']}" for one in entries(told)}
            source, _, name = way.partition(":")
            wanted = sorted(
                r["id"] for r, about in every
                if r["resourceType"] == source and _refers(r, about, source, name) & here
                and f"{source}/{r['id']}" not in here
            )  # fmt: skip
            along = entries(told, "include")
            assert {one["resourceType"] for one in along} <= {source}
            assert sorted(one["id"] for one in along) == wanted, way
            tried += bool(wanted)
    assert tried > 10


@pytest.mark.parametrize("version", VERSIONS)
def test_what_references_lead_to_is_what_is_said(
    site: Site, treated: str, version: Version
) -> None:
    """Of all resources that are made, no reference leads to a type that its parameter does not."""
    led: set[tuple[str, str]] = set()
    for resource, about in every_of(site, version):
        kind = resource["resourceType"]
        for name, targets in references(kind).items():
            for one in _refers(resource, about, kind, name):
                assert one.partition("/")[0] in targets, (kind, name, one)
                led.add((kind, name))
    assert len(led) > 10


def test_again_and_again_brings_what_was_brought_along_refers_to(site: Site, treated: str) -> None:
    """The patient, their tasks, what these are about and whose, and what was signed of it."""
    order = f"R5/ServiceRequest?identifier={treated}"
    one = get(site, f"{order}&_include=ServiceRequest:patient&_revinclude=Provenance:target")
    assert {r["resourceType"] for r in entries(one, "include")} == {"Patient", "Provenance"}
    name = entries(get(site, order))[0]["subject"]["reference"].partition("/")[2]
    patient = f"R5/Patient?_id={name}"
    tasks = entries(get(site, f"{patient}&_revinclude=Task:patient"), "include")
    assert {r["resourceType"] for r in tasks} == {"Task"}
    both = f"{patient}&_revinclude=Task:patient&_include:iterate=Task:focus:Specimen"
    chain = f"{both}&_include:iterate=Task:owner&_revinclude:iterate=Provenance:target"
    found = entries(get(site, chain), "include")
    kinds = {r["resourceType"] for r in found}
    assert {"Task", "Organization", "Provenance"} <= kinds
    assert "BiologicallyDerivedProduct" not in kinds
    names = [f"{r['resourceType']}/{r['id']}" for r in found]
    assert len(names) == len(set(names)) and f"Patient/{name}" not in names
    owners = {t["owner"]["reference"] for t in tasks}
    assert owners <= set(names)


def test_too_much_along_is_refused_and_not_cut(
    site: Site, treated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that was quietly cut would look whole: fewer at a time is what helps."""
    path = "R5/Patient?_count=500&_revinclude=Task:patient"
    whole = len(entries(get(site, path), "include"))
    monkeypatch.setattr(fhir_along, "MOST", whole - 1)
    refused = get(site, path)
    assert refused.status_code == 400 and "_count" in refused.text
    assert refused.json()["issue"][0]["expression"] == ["_revinclude"]
    monkeypatch.setattr(fhir_along, "MOST", whole)
    assert len(entries(get(site, path), "include")) == whole


def test_what_is_brought_back_is_the_askers_own(site: Site, treated: str) -> None:
    """Of types there are only in the other version nothing is claimed: refused, with what is."""
    with pytest.raises(Problem, match="SupplyDelivery:patient"):
        read_search("Patient", [("_revinclude", "Transport:patient")], "R4B")
    assert "Transport:patient" in revincludable("Patient", "R5")
    every = get(site, "R5/Organization?_count=1&_revinclude=Task:owner")
    owner = f"Organization/{entries(every)[0]['id']}"
    assert all(t["owner"]["reference"] == owner for t in entries(every, "include"))
