"""The pages people work at. Each is a template, and a script that talks to the API."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

import stafett
from stafett.protocol.model import Text, text
from stafett.service import policy
from stafett.service.accounts import Person
from stafett.service.live import Live
from stafett.service.refusal import No
from stafett.service.signatures import Checked
from stafett.service.tower import Tower
from stafett.web import (
    catalogue_words,
    spoken,
    zone,
)
from stafett.web import language as languages
from stafett.web.area import Line, seen_by
from stafett.web.filters import environment
from stafett.web.problem import Part, Problem
from stafett.web.session import person_of

MENU = (Line("board", "/board"), Line("tasks", "/tasks"), Line("order.new", "/order", may="order"))


@cache
def stamp() -> str:
    """Return a short digest of all static files: the address changes when one of them does."""
    digest = hashlib.sha256()
    folder = resources.files("stafett.web") / "static"
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.is_file():
            digest.update(entry.read_bytes())
    return digest.hexdigest()[:12]


async def page(
    request: Request, template: str, person: Person | None, status: int = 200, **values: Any
) -> HTMLResponse:
    """Render a template with what every page has."""
    tower: Tower = request.app.state.tower
    language = languages.of(request, person.language if person else None)
    organisations = await tower.accounts.organisations()
    organisation = organisations.get(person.organisation) if person else None
    areas = request.app.state.areas
    menu = seen_by(person, areas)
    body = (
        environment()
        .get_template(template)
        .render(
            t=languages.translator(language),
            language=language,
            languages=languages.LANGUAGES.items(),
            words=spoken.words,
            person=person,
            organisation=organisation,
            zone=zone.here().key,
            menu=menu,
            erasures=await tower.erasing.waiting_for(person) if person else (),
            clocks=tower.publishing.clocks.wrong() if person else (),
            here=request.url.path,
            stamp=stamp(),
            version=stafett.__version__,
            role_name=lambda role: _role_name(request, role, language),
            organisation_name=lambda id: organisations[id].name if id in organisations else id,
            protocol_name=lambda named: _protocol_name(tower, named, language),
            **values,
        )
    )
    found = HTMLResponse(body, status, {"Cache-Control": "no-store"})
    if request.query_params.get("language") in languages.LANGUAGES:
        found.set_cookie(languages.COOKIE, language, max_age=31_536_000, samesite="lax")
    return found


def _role_name(request: Request, role: str, language: str) -> str:
    """Return what the current protocols call a role; its identifier where none has it."""
    return text(role_titles(request).get(role, role), language)


def _protocol_name(tower: Tower, named: str, language: str) -> str:
    """Return the title of a protocol that is named by its identifier, with the version if given."""
    name, space, version = named.partition(" ")
    known = protocol_titles(tower).get(name, name)
    return f"{text(known, language)}{space}{version}"


def protocol_titles(tower: Tower) -> dict[str, Text]:
    """What each current protocol is called."""
    current = tower.library.current().items()
    return {name: pinned.document.value.get("title", name) for name, pinned in current}


def fragment(template: str, language: str, **values: Any) -> str:
    """Render a part of a page by itself, for a script that puts it where the old one was."""
    t = languages.translator(language)
    return environment().get_template(template).render(t=t, language=language, **values)


def _may(person: Person, line: str) -> bool:
    return policy.allows(line, person)


def wants_page(request: Request) -> bool:
    """Say whether the request is a browser's, asking for a page."""
    path = request.url.path
    return "text/html" in request.headers.get("accept", "") and not path.startswith("/api/")


async def problem(request: Request, found: Problem) -> Response:
    """Show a problem as a page."""
    person = await person_of(request)
    document = found.document
    return await page(request, "problem.html", person, document.status, problem=document)


async def signed_in(request: Request) -> Person | Response:
    """Return who is signed in, or the way to the sign-in page and back."""
    person = await person_of(request)
    if person is not None:
        return person
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"/sign-in?next={quote(request.url.path + query)}", 303)


async def journey_of(request: Request) -> tuple[Person, Live] | Response:
    """Return who is signed in and the journey that the path names; else what is shown instead."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    tower: Tower = request.app.state.tower
    try:
        return person, await tower.journeys.see(person, request.path_params["journey"])
    except No as no:
        return await no_such(request, person, no)


async def start_of(request: Request, person: Person) -> dict[str, Any]:
    """What the scripts need to know about who sits there."""
    organisations = await request.app.state.tower.accounts.organisations()
    return {
        "organisation": person.organisation,
        "organisations": {o.id: o.name for o in organisations.values()},
        "phones": {o.id: o.phone for o in organisations.values() if o.phone},
        "person": person.id,
        "name": person.name,
        "roles": list(person.roles),
        "passkey": bool(await request.app.state.tower.passkeys.of(person)),
        "protocols": protocol_titles(request.app.state.tower),
    }


async def tasks_start(request: Request, person: Person) -> dict[str, Any]:
    """What the list of tasks needs beside that: what the roles are called."""
    return {**await start_of(request, person), "role_titles": role_titles(request)}


def role_titles(request: Request) -> dict[str, Text]:
    """What the current protocols call their roles; the first that names one is followed."""
    titles: dict[str, Text] = {}
    for pinned in request.app.state.tower.library.current().values():
        for name, role in pinned.document.bind().roles.items():
            titles.setdefault(name, role.title)
    return titles


async def board(request: Request) -> Response:
    """Every journey the organisation takes part in."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    return await page(
        request,
        "board.html",
        person,
        start=await start_of(request, person),
        wall="wall" in request.query_params,
        may_order=_may(person, "order"),
    )


async def tasks(request: Request) -> Response:
    """My handoffs: what waits for this person, across all protocols."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    return await page(request, "tasks.html", person, start=await tasks_start(request, person))


async def order(request: Request) -> Response:
    """Order a therapy: open a journey."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    current = request.app.state.tower.library.current().values()
    products = {
        name: product.title
        for pinned in current
        for name, product in pinned.document.bind().products.items()
    }
    language = languages.of(request, person.language)
    titles = await request.app.state.tower.networks.titles()
    called = {name: catalogue_words.said(title, language) for name, title in titles.items()}
    return await page(
        request,
        "order.html",
        person,
        start={**await start_of(request, person), "products": products, "networks": called},
        titles=role_titles(request),
    )


async def people_of(tower: Tower, person: Person, signatures: Sequence[Checked]) -> dict[str, str]:
    """Return names of people: the own organisation's, and of others the names that they signed."""
    signed = {one.person: one.name for one in signatures}
    return signed | {p.id: p.name for p in await tower.accounts.people(person.organisation)}


async def no_such(request: Request, person: Person, no: No) -> Response:
    """Say as a page why a use case said no: what is not there and what is not yours look alike."""
    parts = tuple(Part(r.field, r.what, r.todo) for r in no.reasons)
    document = Problem(404, no.code, no.title, *parts).document
    return await page(request, "problem.html", person, 404, problem=document)


ROUTES = [
    Route("/board", board),
    Route("/tasks", tasks),
    Route("/order", order),
]
