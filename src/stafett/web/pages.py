"""The pages people work at. Each is a template, and a script that talks to the API."""

from __future__ import annotations

import hashlib
import operator
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

import jinja2
from babel.dates import format_date
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

import stafett
from stafett.protocol.model import Text, text
from stafett.protocol.net import Net
from stafett.service import policy
from stafett.service.accounts import Person
from stafett.service.refusal import No
from stafett.service.signatures import Checked
from stafett.service.tower import Tower
from stafett.web import (
    catalogue_words,
    chart,
    evidence,
    naming,
    noting,
    numeral,
    refusals,
    relay,
    spoken,
    zone,
)
from stafett.web import language as languages
from stafett.web.area import Line, seen_by
from stafett.web.country import country
from stafett.web.problem import Part, Problem
from stafett.web.session import person_of

MENU = (Line("board", "/board"), Line("tasks", "/tasks"), Line("order.new", "/order", may="order"))
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d[\d:.]*(?:Z|[+-]\d\d:\d\d)")


@cache
def _environment() -> jinja2.Environment:
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
        _environment()
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
    return _environment().get_template(template).render(t=t, language=language, **values)


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


async def journey(request: Request) -> Response:
    """One journey: the relay drawn, and everything that is known of it."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    tower: Tower = request.app.state.tower
    try:
        live = await tower.journeys.see(person, request.path_params["journey"])
    except No as no:
        return await no_such(request, person, no)
    entries = await tower.record.entries(live.state.journey, person.organisation)
    organisations = await tower.accounts.organisations()
    language = languages.of(request, person.language)
    names = {o.id: o.name for o in organisations.values()}
    t = languages.translator(language)
    picture = relay.draw(live.net, live.state, names, t, language)
    signatures = await tower.record.signatures(live.state.journey, person.organisation)
    return await page(
        request,
        "journey.html",
        person,
        start={**await start_of(request, person), "journey": live.state.journey},
        row=tower.board.current(live),
        state=live.state,
        net=live.net,
        entries=entries,
        names=names,
        picture=picture,
        now=datetime.now(UTC),
        charts=[
            (seen.shipment, chart.chart(seen, t, language))
            for seen in await tower.conditions.of_journey(person, live)
            if len(seen.series.times)
        ],
        answers=evidence.answers(live.net, live.state, person, language),
        documents=evidence.documents(live.net, entries, language),
        openable=await tower.papers.openable(person, live.net, live.state.parties, entries),
        story=relay.story(live.net, live.state, names, t, language),
        signatures=signatures,
        who=await people_of(tower, person, signatures),
    )


async def people_of(tower: Tower, person: Person, signatures: Sequence[Checked]) -> dict[str, str]:
    """Return names of people: the own organisation's, and of others the names that they signed."""
    signed = {one.person: one.name for one in signatures}
    return signed | {p.id: p.name for p in await tower.accounts.people(person.organisation)}


async def events(request: Request) -> Response:
    """The record of one journey, entry by entry: what the page of the journey tells in words."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    tower: Tower = request.app.state.tower
    try:
        live = await tower.journeys.see(person, request.path_params["journey"])
    except No as no:
        return await no_such(request, person, no)
    organisations = await tower.accounts.organisations()
    return await page(
        request,
        "journey_events.html",
        person,
        journey=live.state.journey,
        coi=live.state.coi,
        entries=await tower.record.entries(live.state.journey, person.organisation),
        who=await people_of(
            tower,
            person,
            await tower.record.signatures(live.state.journey, person.organisation),
        ),
        names={o.id: o.name for o in organisations.values()},
    )


async def no_such(request: Request, person: Person, no: No) -> Response:
    """Say as a page why a use case said no: what is not there and what is not yours look alike."""
    parts = tuple(Part(r.field, r.what, r.todo) for r in no.reasons)
    document = Problem(404, no.code, no.title, *parts).document
    return await page(request, "problem.html", person, 404, problem=document)


ROUTES = [
    Route("/board", board),
    Route("/tasks", tasks),
    Route("/order", order),
    Route("/journeys/{journey}", journey),
    Route("/journeys/{journey}/events", events),
]
