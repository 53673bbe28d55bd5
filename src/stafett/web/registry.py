"""The registry's API: public to read (open data), kept by registrars."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stafett.protocol.fit import plain
from stafett.registry import feed
from stafett.registry.adoption import Assessment
from stafett.registry.importing import read
from stafett.registry.rows import NotALayout
from stafett.registry.search import Filter, Hits
from stafett.registry.site import SiteEntry
from stafett.registry.trial import Trial
from stafett.registry.uptake import Line, lines
from stafett.service.refusal import No
from stafett.service.registry import TYPES, Imported, Kind, Registry, Version
from stafett.service.system import System
from stafett.web import refusals
from stafett.web.api import problem
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.problem import Part, Problem
from stafett.web.session import person_of

MADE_UP = "made up for demonstration"


class Entered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new version of an entry: its value, why, and the version that was seen before."""

    value: msgspec.Raw
    reason: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    after: int | None = None


class How(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to import: leave out broken rows or take nothing; only say what would happen."""

    partial: bool = False
    dry_run: bool = False
    reason: str = ""


async def registry_of(request: Request) -> Registry:
    """Return the registry, as new as the record."""
    registry: Registry = request.app.state.tower.registry
    await registry.refresh()
    return registry


async def trials(call: Call[Nothing, Filter]) -> Hits:
    """Search the list of trials."""
    return (await registry_of(call.request)).index().find(call.query)


async def trials_json(call: Call[Nothing, Filter]) -> Response:
    """Return every trial that fits, as JSON."""
    found = (await registry_of(call.request)).index().all(call.query)
    data = msgspec.json.encode({"trials": found})
    return Response(data, media_type="application/json", headers=_kept())


async def trials_csv(call: Call[Nothing, Filter]) -> Response:
    """Return every trial that fits, as CSV."""
    found = (await registry_of(call.request)).index().all(call.query)
    return Response(as_csv(found), media_type="text/csv; charset=utf-8", headers=_kept())


def as_csv(found: list[Trial]) -> str:
    """Return trials as CSV, a line a trial; lists are parted by `|`."""
    out = io.StringIO()
    writer = csv.writer(out)
    names = [field.name for field in msgspec.structs.fields(Trial)]
    writer.writerow([*names, "note"])
    for trial in found:
        plain = msgspec.to_builtins(trial)
        line = [_cell(name, plain[name]) for name in names]
        writer.writerow([*line, MADE_UP if trial.made_up else ""])
    return out.getvalue()


def _cell(name: str, value: Any) -> str:
    if name == "sites":
        value = [", ".join(filter(None, (s["name"], s["city"], s["country"]))) for s in value]
    if name == "contact" and value:
        value = [v for v in value.values() if v]
    text = "|".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")
    # A spreadsheet runs what begins like a formula.
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


async def atom(call: Call[Nothing, Nothing]) -> Response:
    """Return the newest changes as an Atom feed."""
    registry = await registry_of(call.request)
    base = str(call.request.base_url).rstrip("/")
    paths = {"trial": "trials", "assessment": "adoption", "site": "sites"}
    entries = [
        feed.Entry(
            f"urn:stafett:registry:{v.kind}:{v.id}:{v.version}",
            title_of(v),
            f"{base}/registry/{paths[v.kind]}/{v.id}",
            v.recorded_at,
            v.reason,
        )
        for v in registry.recent(("trial", "assessment", "site"))
    ]
    data = feed.atom("Stafett registry", f"{base}/registry/feed.atom", entries)
    return Response(data, media_type="application/atom+xml", headers=_kept())


def title_of(version: Version) -> str:
    """Say in one line what a version is of."""
    value = version.value
    title = getattr(value, "title", None) or getattr(value, "name", None)
    return f"{version.id}: {title or f'{value.product}, {value.indication}'}"


async def versions(call: Call[Nothing, Nothing]) -> list[Version]:
    """Return every version of one entry, the newest last."""
    kind = _kind(call.path["kind"])
    registry = await registry_of(call.request)
    try:
        return registry.versions(await person_of(call.request), kind, call.path["id"])
    except No as no:
        raise problem(no) from None


async def assessments(call: Call[Nothing, Nothing]) -> list[Assessment]:
    """Return every assessment."""
    return (await registry_of(call.request)).all("assessment")


async def sites(call: Call[Nothing, Nothing]) -> list[SiteEntry]:
    """Return every site."""
    return (await registry_of(call.request)).all("site")


async def uptake(call: Call[Nothing, Nothing]) -> list[Line]:
    """Return patients treated, by product, country, period and region, as may be published."""
    return lines((await registry_of(call.request)).all("uptake"))


async def document(call: Call[Nothing, Nothing]) -> Response:
    """Return a document that an entry of the registry names, as it was when it was named."""
    try:
        kind, data = await (await registry_of(call.request)).document(call.path["sha256"])
    except No as no:
        raise problem(no) from None
    # Another's file: it is saved, never run as a page of ours.
    headers = {
        **_kept(),
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Disposition": "attachment",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, media_type=kind, headers=headers)


class Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A year (none: the last 365 days) and a country or region ("SE", "SE/Norra"; none: all)."""

    year: Annotated[int, msgspec.Meta(ge=2000, le=2100)] | None = None
    place: Annotated[str, msgspec.Meta(max_length=320)] = ""


async def system(call: Call[Nothing, Scope]) -> System:
    """Return the whole chain, of everything or of a place, as it may be published."""
    tower, asked = call.request.app.state.tower, call.query
    try:
        return await tower.system.see(asked.year, place=asked.place)  # type: ignore[no-any-return]
    except No as no:
        raise problem(no) from None


async def put(call: Call[Entered, Nothing]) -> Version:
    """Record an entry, or its next version."""
    kind = _kind(call.path["kind"])
    try:
        value = msgspec.json.decode(call.body.value, type=TYPES[kind])
    except msgspec.ValidationError as error:
        what, path, todo = plain(error, TYPES[kind])
        field = "/".join(("/value", *path))
        raise Problem(422, "invalid", "The entry does not fit", Part(field, what, todo)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        part = Part("/value", str(error) or "nested too deeply", "send valid JSON")
        raise Problem(400, "not-json", "The entry is not JSON", part) from None
    if value.id != call.path["id"]:  # type: ignore[attr-defined]
        part = Part("/value/id", "is another than the address names")
        raise Problem(422, "invalid", "The entry does not fit", part)
    registry = await registry_of(call.request)
    try:
        return await registry.put(
            call.request.state.person, kind, value, call.body.reason, after=call.body.after
        )
    except No as no:
        raise problem(no) from None


async def take_in(call: Call[bytes, How]) -> Imported:
    """Import a register's export: all of it, or (`partial`) all but its broken rows."""
    try:
        found = read(call.body)
    except NotALayout as error:
        raise Problem(
            422, "not-a-layout", "This cannot be imported", Part("", str(error))
        ) from None
    registry = await registry_of(call.request)
    how = call.query
    try:
        done = await registry.take_in(
            call.request.state.person,
            found,
            reason=how.reason,
            partial=how.partial,
            dry_run=how.dry_run,
        )
    except No as no:
        raise problem(no) from None
    if done.written or how.dry_run:
        return _said(call.request, done)
    parts = [Part(f"row {p.row}", f"{p.id}: {p.field}: {p.what}") for p in done.problems[:100]]
    title = f"{len(done.problems)} rows are broken; nothing was imported"
    raise Problem(422, "broken-rows", title, *parts)


def _said(request: Request, done: Imported) -> Imported:
    """Say what is wrong with the rows that were left out in the language of the page."""
    language = refusals.language_of(request)
    problems = tuple(
        msgspec.structs.replace(p, what=refusals.row_said(p.id, p.field, p.what, language))
        for p in done.problems
    )
    return msgspec.structs.replace(done, problems=problems)


async def schema(call: Call[Nothing, Nothing]) -> Response:
    """Return the JSON Schema of a kind of entry; the forms are made from it."""
    kind = _kind(call.path["kind"])
    document = msgspec.json.schema(TYPES[kind])
    return Response(msgspec.json.encode(document), media_type="application/schema+json")


def _kind(name: str) -> Kind:
    if name not in TYPES:
        part = Part("kind", f"{name!r} is none of {', '.join(TYPES)}")
        raise Problem(404, "unknown", "There is no such kind of entry", part)
    return name  # type: ignore[return-value]


def _kept() -> dict[str, str]:
    return {"Cache-Control": "public, max-age=60", "Access-Control-Allow-Origin": "*"}


Accepted = Literal["application/json"]
TAG = "registry"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/registry/trials", trials, "Search trials", "anyone", query=Filter,
             answer=Hits, tag=TAG),
    Endpoint("GET", "/registry/trials.json", trials_json, "Trials as open data", "anyone",
             query=Filter, answer="application/json", tag=TAG),
    Endpoint("GET", "/registry/trials.csv", trials_csv, "Trials as CSV", "anyone", query=Filter,
             answer="text/csv", tag=TAG),
    Endpoint("GET", "/registry/feed.atom", atom, "Newest changes", "anyone",
             answer="application/atom+xml", tag=TAG),
    Endpoint("GET", "/registry/documents/{sha256}/{name}", document, "A document of a decision",
             "anyone", answer="application/octet-stream", tag=TAG,
             answers={404: "No entry names it."}),
    Endpoint("GET", "/api/registry/assessments", assessments, "Assessments", "anyone",
             answer=list[Assessment], tag=TAG),
    Endpoint("GET", "/api/registry/sites", sites, "Sites", "anyone", answer=list[SiteEntry],
             tag=TAG),
    Endpoint("GET", "/api/registry/uptake", uptake, "Uptake by region", "anyone",
             answer=list[Line], tag=TAG),
    Endpoint("GET", "/api/registry/system", system, "The whole chain", "anyone", query=Scope,
             answer=System, tag=TAG, answers={404: "No site is known there."}),
    Endpoint("GET", "/api/registry/schema/{kind}", schema, "Schema of an entry", "anyone",
             answer="application/schema+json", tag=TAG, answers={404: "No such kind."}),
    Endpoint("GET", "/api/registry/{kind}/{id}", versions, "Every version of an entry", "anyone",
             answer=list[Version], tag=TAG,
             answers={403: "Exact counts of patients: registrars' only.", 404: "No such entry."}),
    Endpoint("PUT", "/api/registry/{kind}/{id}", put, "Record an entry", "change-registry",
             Entered, answer=Version, tag=TAG,
             answers={409: "It may not follow what stands.", 503: "Changed in between."}),
    Endpoint("POST", "/api/registry/import", take_in, "Import a register's export",
             "keep-registry", bytes, How, answer=Imported, tag=TAG,
             answers={422: "Not a known layout, or broken rows: each is named."}),
)  # fmt: skip
