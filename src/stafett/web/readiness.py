"""Readiness: how what manufacturers ask compares (public), and onboarding by both sides."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.protocol.builtin import ONBOARDING
from stafett.protocol.builtin import source as text
from stafett.protocol.draw import draw
from stafett.registry import process
from stafett.registry.requirement import Line as Compared
from stafett.registry.requirement import shared, table
from stafett.service import policy
from stafett.service.readiness import Act, Onboardings, Shown
from stafett.service.refusal import No
from stafett.service.tower import Tower
from stafett.web import language as languages
from stafett.web.api import Signing, ask_passkey, problem, site_of, tower_of
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import page, signed_in
from stafett.web.problem import Part, Problem
from stafett.web.registry import registry_of
from stafett.web.registry_pages import public, show

MENU = (
    Line("readiness.compare", "/registry/requirements", "menu.registry", "anyone"),
    Line("readiness.onboarding", "/onboarding", "menu.registry", "onboard"),
)
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=130)]


class Open(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Begin the onboarding of `site` to what `list` asks."""

    site: Name
    list: Name


class Comparison(msgspec.Struct, frozen=True):
    """Topic by topic; `shared` of `several` topics are met for all by one answer."""

    lists: list[str]
    lines: list[Compared]
    shared: int
    several: int


def _onboardings(request: Request) -> Onboardings:
    tower: Tower = request.app.state.tower
    return tower.onboardings


async def compare(call: Call[Nothing, Nothing]) -> Comparison:
    """Compare what all the lists ask."""
    return _comparison((await registry_of(call.request)).all("requirements"))


def _comparison(lists: list[Any]) -> Comparison:
    lines = table(lists)
    met, several = shared(lines)
    return Comparison([one.id for one in lists], lines, met, several)


async def picture(call: Call[Nothing, Nothing]) -> Response:
    """Return the protocol of onboardings as a drawing."""
    drawn = draw(process.net().protocol, languages.of(call.request))
    return Response(drawn, media_type="image/svg+xml", headers={"Vary": "Accept-Language, Cookie"})


async def source(call: Call[Nothing, Nothing]) -> Response:
    """Return the protocol of onboardings as the file that is proven and enforced."""
    return Response(text(ONBOARDING), media_type="application/yaml")


async def listed(call: Call[Nothing, Nothing]) -> list[Shown]:
    """List the onboardings of one's own organisation, as site or as asker."""
    return await _onboardings(call.request).of(call.request.state.person)


async def one(call: Call[Nothing, Nothing]) -> Shown:
    """Return one onboarding."""
    try:
        return await _onboardings(call.request).see(call.request.state.person, call.path["id"])
    except No as no:
        raise problem(no) from None


async def begin(call: Call[Open, Nothing]) -> Shown:
    """Begin an onboarding."""
    try:
        return await _onboardings(call.request).open(
            call.request.state.person, call.body.site, call.body.list
        )
    except No as no:
        raise problem(no) from None


async def act(call: Call[Act, Nothing]) -> Shown:
    """Show, accept, refuse or sign."""
    site = site_of(call.request) if call.body.passkey else None
    try:
        return await _onboardings(call.request).act(
            call.request.state.person, call.path["id"], call.body, site
        )
    except No as no:
        raise problem(no) from None


async def signing(call: Call[Nothing, Nothing]) -> Signing:
    """Return what signing would sign now, and the question to the person's passkey."""
    tower, person = tower_of(call.request), call.request.state.person
    try:
        due = await tower.onboardings.signing(person, call.path["id"])
    except No as no:
        raise problem(no) from None
    return await ask_passkey(call.request, person, due, due.content)


@public
async def requirements(request: Request, registry: Any) -> Response:
    """The comparison as a page."""
    lists = sorted(registry.all("requirements"), key=lambda one: one.id)
    return await show(request, "readiness_compare.html", lists=lists, comparison=_comparison(lists))


async def overview(request: Request) -> Response:
    """The onboardings of one's own organisation."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    registry = await registry_of(request)
    own = person.organisation
    sites, lists = registry.all("site"), registry.all("requirements")
    mine = any(site.organisation == own for site in sites)
    pairs = [
        (site, asked)
        for site in sites
        for asked in lists
        if own in (site.organisation, asked.organisation)
    ]
    found = await _onboardings(request).of(person)
    known = {(o.site, o.id.partition(".")[2]) for o in found}
    return await page(
        request,
        "readiness_overview.html",
        person,
        found=sorted(found, key=lambda o: o.opened),
        pairs=[(s, a) for s, a in pairs if (s.id, a.id) not in known],
        mine=mine,
        may=policy.allows("onboard", person),
    )


async def onboarding(request: Request) -> Response:
    """One onboarding: what is missing, and whose turn it is."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    try:
        it = await _onboardings(request).see(person, request.path_params["id"])
    except No as no:
        document = Problem(404, no.code, no.title, *(Part(r.field, r.what) for r in no.reasons))
        return await page(request, "problem.html", person, 404, problem=document.document)
    side = "site" if person.organisation == it.site_organisation else "asker"
    return await page(
        request,
        "readiness_onboarding.html",
        person,
        it=it,
        side=side,
        may=policy.allows("onboard", person),
        titles=tower_of(request).dry_runs.titles(it.protocol),
        roles=tower_of(request).dry_runs.roles(it.protocol),
        start={
            "id": it.id,
            "name": person.name,
            "passkey": bool(await tower_of(request).passkeys.of(person)),
        },
        done=sum(item.status == "accepted" for item in it.items.values()),
    )


REFUSED = {409: "It may not happen now, or is open already; the reasons say why."}
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/readiness/comparison", compare, "Compare requirements", "anyone",
             answer=Comparison, tag="readiness"),
    Endpoint("GET", "/registry/onboarding.svg", picture, "How a site becomes ready, drawn",
             "anyone", answer="image/svg+xml", tag="readiness"),
    Endpoint("GET", "/registry/onboarding.yaml", source, "How a site becomes ready, as a protocol",
             "anyone", answer="application/yaml", tag="readiness"),
    Endpoint("GET", "/api/onboardings", listed, "Own onboardings", "onboard", answer=list[Shown],
             tag="readiness"),
    Endpoint("POST", "/api/onboardings", begin, "Begin an onboarding", "onboard", Open,
             answer=Shown, status=201, tag="readiness",
             answers={**REFUSED, 404: "There is no such site or list."}),
    Endpoint("GET", "/api/onboardings/{id}", one, "One onboarding", "onboard", answer=Shown,
             tag="readiness"),
    Endpoint("POST", "/api/onboardings/{id}/acts", act, "Act on an onboarding", "onboard", Act,
             answer=Shown, tag="readiness", answers={**REFUSED, 503: "Others were quicker."}),
    Endpoint("POST", "/api/onboardings/{id}/signing", signing, "What a passkey would sign",
             "onboard", answer=Signing, tag="readiness",
             answers={409: "Not now, or there is no passkey; the reasons say which."}),
)  # fmt: skip
ROUTES = [
    Route("/registry/requirements", requirements),
    Route("/onboarding", overview),
    Route("/onboarding/{id}", onboarding),
]
