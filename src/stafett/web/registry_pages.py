"""The registry's pages: for everyone, with no login. What a page shows is cached until an entry
changes."""

from __future__ import annotations

import gzip
import time
from collections import Counter, OrderedDict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from babel import Locale
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stafett.registry import map as maps
from stafett.registry.search import Filter
from stafett.registry.site import current, expires_soon
from stafett.registry.uptake import lines
from stafett.service import policy
from stafett.service.openings import Opening, Openings
from stafett.service.refusal import No
from stafett.service.registry import TYPES, Registry
from stafett.service.system import SystemView
from stafett.web import language as languages
from stafett.web.area import Line
from stafett.web.pages import page, signed_in
from stafett.web.problem import Part, Problem
from stafett.web.registry import registry_of
from stafett.web.session import person_of

MENU = (
    Line("registry.trials", "/registry/trials", "menu.registry", "anyone"),
    Line("registry.match", "/registry/match", "menu.registry", "anyone"),
    Line("registry.adoption", "/registry/adoption", "menu.registry", "anyone"),
    Line("registry.sites", "/registry/sites", "menu.registry", "anyone"),
    Line("registry.system", "/registry/system", "menu.registry", "anyone"),
    Line("registry.keep", "/registry/keep", "menu.registry", "change-registry"),
)
KEPT = 2000
LIVE_S = 30  # how old free capacity may be
# A page that others may show inside theirs.
EMBED_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors *"


class Pages:
    """Rendered public pages by address and language, until an entry changes."""

    def __init__(self) -> None:
        self._position = -1
        self._kept: OrderedDict[tuple[str, str], tuple[bytes, bytes]] = OrderedDict()

    def get(self, position: int, key: tuple[str, str]) -> tuple[bytes, bytes] | None:
        """Return the page and its gzip, if they are current."""
        if position != self._position:
            self._kept.clear()
            self._position = position
        return self._kept.get(key)

    def put(self, key: tuple[str, str], body: bytes) -> tuple[bytes, bytes]:
        """Keep a page."""
        made = self._kept[key] = (body, gzip.compress(body, 6, mtime=0))
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return made


def openings_of(request: Request) -> Openings:
    """Return what is open for booking."""
    openings: Openings = request.app.state.tower.openings
    return openings


async def show(request: Request, template: str, **values: Any) -> Response:
    """Render a public page."""
    return await page(request, template, await person_of(request), **values)


def public(make: Any) -> Any:
    """Serve `make`'s page from the cache where nobody is signed in."""

    async def serve(request: Request) -> Response:
        registry = await registry_of(request)
        if await person_of(request) is not None:
            return await _made(request, registry, make)
        cache: Pages = request.app.state.__dict__.setdefault("registry_pages", Pages())
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        if request.url.path.startswith(("/registry/sites", "/registry/match", "/registry/trials")):
            day = f"{day} {time.monotonic() // LIVE_S}"  # free capacity is what it is now
        key = (f"{day} {request.url.path}?{request.url.query}", languages.of(request))
        found = cache.get(registry.position, key)
        if found is None:
            answer = await _made(request, registry, make)
            if answer.status_code != 200 or "set-cookie" in answer.headers:
                return answer
            found = cache.put(key, bytes(answer.body))
        headers = {"Cache-Control": "public, max-age=30", "Vary": "Accept-Language, Cookie"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers |= {"Content-Encoding": "gzip"}
            return Response(found[1], media_type="text/html", headers=headers)
        return Response(found[0], media_type="text/html", headers=headers)

    return serve


async def _made(request: Request, registry: Registry, make: Any) -> Response:
    try:
        answer: Response = await make(request, registry)
    except No as no:
        document = Problem(404, no.code, no.title, *(Part(r.field, r.what) for r in no.reasons))
        person = await person_of(request)
        return await page(request, "problem.html", person, 404, problem=document.document)
    return answer


def asked(request: Request) -> Filter:
    """Return the filter in the address; what does not fit is left out."""
    given: dict[str, Any] = {k: v for k, v in request.query_params.items() if v}
    names = {field.name for field in msgspec.structs.fields(Filter)}
    found = Filter()
    for name, value in given.items():
        if name in names:
            try:
                one = msgspec.convert({name: value}, Filter, strict=False)
            except msgspec.ValidationError:
                continue
            found = msgspec.structs.replace(found, **{name: getattr(one, name)})
    return found


@public
async def trials(request: Request, registry: Registry) -> Response:
    """The list of trials: search, filter, map."""
    wanted = asked(request)
    index = registry.index()
    hits = index.find(wanted)
    every = index.all(wanted)
    t = languages.translator(languages.of(request))
    query = {k: v for k, v in msgspec.to_builtins(wanted).items() if v not in ("", None)}
    query = {k: v for k, v in query.items() if k not in ("page", "per_page") and v != "all"}
    return await show(
        request,
        "registry_trials.html",
        hits=hits,
        asked=wanted,
        open=sum(trial.open for trial in every),
        countries=index.countries,
        query=urlencode(query),
        picture=maps.draw(_dots(every), t("registry.map")),
        made_up=any(trial.made_up for trial in hits.trials),
    )


def _dots(trials_: list[Any]) -> list[maps.Dot]:
    found: dict[tuple[float, float], tuple[str, int]] = {}
    for trial in trials_:
        for site in trial.sites:
            if site.latitude is not None and site.longitude is not None:
                key = (site.latitude, site.longitude)
                _, count = found.get(key, ("", 0))
                found[key] = (site.city or site.name, count + 1)
    return [maps.Dot(lat, lon, name, count) for (lat, lon), (name, count) in found.items()]


@public
async def trial(request: Request, registry: Registry) -> Response:
    """One trial, with its history."""
    versions = registry.history("trial", request.path_params["id"])
    slots: dict[str, list[Opening]] = {}
    for one in await openings_of(request).of(registry.all("site")):
        slots.setdefault(one.organisation, []).append(one)
    return await show(
        request, "registry_trial.html", versions=versions, trial=versions[-1].value, slots=slots
    )


@public
async def match(request: Request, registry: Registry) -> Response:
    """Which trials could this patient be asked about: answered in the browser, on open data."""
    indications = Counter(i for t in registry.all("trial") if t.open for i in t.indications)
    countries = Counter(c for t in registry.all("trial") if t.open for c in set(t.countries))
    booking = msgspec.to_builtins(await openings_of(request).of(registry.all("site")))
    return await show(
        request,
        "registry_match.html",
        indications=sorted(indications),
        countries=sorted(countries),
        booking=booking,
    )


@public
async def adoption(request: Request, registry: Registry) -> Response:
    """Assessments by product, and what the regions did afterwards."""
    found = sorted(registry.all("assessment"), key=lambda a: a.decided or "9999", reverse=True)
    return await show(
        request, "registry_adoption.html", assessments=found, uptake=lines(registry.all("uptake"))
    )


@public
async def assessment(request: Request, registry: Registry) -> Response:
    """One assessment: question, evidence, recommendation, reasons; every version."""
    versions = registry.history("assessment", request.path_params["id"])
    return await show(request, "registry_assessment.html", versions=versions, it=versions[-1].value)


@public
async def sites(request: Request, registry: Registry) -> Response:
    """Who can do what, and until when."""
    found = sorted(
        await openings_of(request).live(registry.all("site")), key=lambda s: (s.country, s.name)
    )
    dots = [
        maps.Dot(s.latitude, s.longitude, s.city, len(s.qualifications), f"/registry/sites/{s.id}")
        for s in found
        if s.latitude is not None and s.longitude is not None
    ]
    t = languages.translator(languages.of(request))
    return await show(
        request,
        "registry_sites.html",
        sites=found,
        picture=maps.draw(dots, t("registry.map.sites")),
        today=datetime.now(UTC).date(),
        current=current,
        soon=expires_soon,
    )


@public
async def site(request: Request, registry: Registry) -> Response:
    """One site."""
    versions = registry.history("site", request.path_params["id"])
    (entry,) = await openings_of(request).live([versions[-1].value])
    mine = [
        t
        for t in registry.index().trials
        if t.open and any(s.organisation == entry.organisation for s in t.sites)
    ]
    received = await request.app.state.tower.system.of_site(entry.organisation)
    return await show(
        request,
        "registry_site.html",
        received=received,
        versions=versions,
        site=entry,
        trials=mine,
        today=datetime.now(UTC).date(),
        current=current,
        soon=expires_soon,
    )


async def system(request: Request) -> Response:
    """The whole chain of everything, a country or a region on one page.

    `?place=SE/Norra` and `?year=2026` choose; `?mine=1` counts the own organisation's journeys,
    exactly. What is not known is left out of the choice.
    """
    person = await person_of(request)
    asked = request.query_params
    year, this = asked.get("year", ""), datetime.now(UTC).year
    chosen = int(year) if year.isdigit() and 2000 <= int(year) <= this else None
    own = person.organisation if person is not None and asked.get("mine") == "1" else None
    view: SystemView = request.app.state.tower.system
    try:
        found = await view.see(chosen, own, asked.get("place", ""))
    except No as no:
        document = Problem(404, no.code, no.title, *(Part(r.field, r.what) for r in no.reasons))
        return await page(request, "problem.html", person, 404, problem=document.document)
    language = languages.of(request)
    return await show(
        request,
        "registry_system.html",
        it=found,
        year=chosen,
        mine=own is not None,
        years=range(this - 4, this + 1),
        place_name=place_name(found.place, language),
        places=[(p, place_name(p, language)) for p in found.places],
        query=urlencode({k: v for k, v in (("year", chosen), ("place", found.place)) if v}),
    )


def place_name(place: str, language: str) -> str:
    """Say "SE/Norra" as people do: Norra, Sverige. Nothing for everything."""
    country, _, region = place.partition("/")
    name = Locale(language).territories.get(country, country)
    return f"{region}, {name}" if region else name


async def embed(request: Request) -> Response:
    """The list of trials without our frame, for others' pages."""
    registry = await registry_of(request)
    hits = registry.index().find(asked(request))
    answer = await show(request, "registry_embed.html", hits=hits, asked=asked(request))
    answer.headers["Content-Security-Policy"] = EMBED_POLICY
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return answer


async def keep(request: Request) -> Response:
    """Enter, change and import: for registrars, and administrators for their own sites."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    if not policy.allows("change-registry", person):
        part = Part("person", "it takes the duty registrar or administrator")
        document = Problem(403, "not-allowed", "Your account may not do this", part).document
        return await page(request, "problem.html", person, 403, problem=document)
    registry = await registry_of(request)
    kind, id_ = request.query_params.get("kind", ""), request.query_params.get("id", "")
    if kind and kind not in TYPES:
        return RedirectResponse("/registry/keep", 303)
    start: dict[str, Any] = {"kind": kind, "id": id_, "after": 0, "value": None}
    if kind and id_:
        try:
            versions = registry.versions(person, kind, id_)  # type: ignore[arg-type]
            start |= {"after": len(versions), "value": msgspec.to_builtins(versions[-1].value)}
        except No:
            start["id"] = ""
    return await page(
        request,
        "registry_keep.html",
        person,
        start=start,
        kind=kind,
        kinds=sorted(TYPES),
        may_import=policy.allows("keep-registry", person),
        recent=registry.recent(("trial", "assessment", "site", "uptake"), 20),
    )


async def _to_trials(request: Request) -> Response:
    return RedirectResponse("/registry/trials", 303)


ROUTES = [
    Route("/registry", _to_trials),
    Route("/registry/trials", trials),
    Route("/registry/trials/{id}", trial),
    Route("/registry/match", match),
    Route("/registry/adoption", adoption),
    Route("/registry/adoption/{id}", assessment),
    Route("/registry/sites", sites),
    Route("/registry/sites/{id}", site),
    Route("/registry/system", system),
    Route("/registry/embed", embed),
    Route("/registry/keep", keep),
]
