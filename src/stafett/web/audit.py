"""The auditor's pages: every change with its reason, and who looked at what. They print."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.protocol.model import text
from stafett.service.accounts import Person
from stafett.service.changes import Change
from stafett.service.readings import Look
from stafett.web import catalogue_words, changed
from stafett.web import language as languages
from stafett.web.administration import allowed
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import page, protocol_titles, role_titles
from stafett.web.signin import tower_of

Number = Annotated[int, msgspec.Meta(ge=1, le=2**62)]
Short = Annotated[str, msgspec.Meta(max_length=100)]
PAGE = 200
KINDS = (
    "journey",
    "document",
    "dossier",
    "traceability",
    "vault",
)  # what has a name in each language


class Before(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Go on from this id, which is not among the answers."""

    before: Number | None = None


class Changed(Before, frozen=True, forbid_unknown_fields=True):
    """Narrow to what one person changed, and what was changed about them."""

    person: Short = ""


class Looked(Before, frozen=True, forbid_unknown_fields=True):
    """Narrow to one person of the own organisation, or one journey."""

    person: Short = ""
    journey: Short = ""


async def changes(call: Call[Nothing, Changed]) -> list[Change]:
    """Return the organisation's changes."""
    organisation = call.request.state.person.organisation
    trail = tower_of(call.request).changes
    return await trail.of(organisation, call.query.before, PAGE, person=call.query.person)


async def readings(call: Call[Nothing, Looked]) -> list[Look]:
    """Return who looked at what."""
    return await _readings(call.request, call.request.state.person, call.query)


async def _readings(request: Request, person: Person, query: Looked) -> list[Look]:
    tower = tower_of(request)
    shared = frozenset(row.journey for row in tower.board.of(person.organisation))
    return await tower.readings.of(
        person.organisation, shared, person=query.person, journey=query.journey,
        before=query.before, limit=PAGE,
    )  # fmt: skip


async def changes_page(request: Request) -> Response:
    """Every change, with who, when, why, from what to what."""
    person = await allowed(request, "audit")
    if isinstance(person, Response):
        return person
    tower = tower_of(request)
    query = Changed(_number(request), request.query_params.get("person", "")[:100])
    found = await tower.changes.of(
        person.organisation, query.before, PAGE, person=query.person
    )  # fmt: skip
    names = await _names(request, person, found)
    language = languages.of(request, person.language)
    more = found[-1].id if len(found) == PAGE else None
    return await page(
        request, "audit_changes.html", person, names=names.people, more=more,
        query=query, people=await tower.accounts.people(person.organisation),
        changes=[(change, changed.told(change, names, language)) for change in found],
        journeys={row.journey for row in tower.board.of(person.organisation)},
    )  # fmt: skip


async def _names(request: Request, person: Person, found: list[Change]) -> changed.Names:
    """Return what the changes' identifiers are called; people only of the own organisation."""
    tower, language = tower_of(request), languages.of(request, person.language)
    people = {p.id: p.name for p in await tower.accounts.people(person.organisation)}
    for id in {change.person for change in found} | {change.about for change in found}:
        gone = None if id in people else await tower.accounts.person(id)  # acts no more
        if gone is not None and gone.organisation == person.organisation:
            people[id] = gone.name
    organisations = await tower.accounts.organisations()
    networks = await tower.networks.titles()
    return changed.Names(
        people=people,
        organisations={o.id: o.name for o in organisations.values()},
        sites={s.id: s.name for s in await tower.administration.sites(person.organisation)},
        networks={id: catalogue_words.said(title, language) for id, title in networks.items()},
        providers={p.id: p.name for p in await tower.providers.all()},
        roles={id: text(title, language) for id, title in role_titles(request).items()},
        protocols={id: text(title, language) for id, title in protocol_titles(tower).items()},
    )


async def readings_page(request: Request) -> Response:
    """Who looked at which journey, document or dossier, and when."""
    person = await allowed(request, "audit")
    if isinstance(person, Response):
        return person
    tower = tower_of(request)
    given = request.query_params
    query = Looked(_number(request), given.get("person", "")[:100], given.get("journey", "")[:100])
    found = await _readings(request, person, query)
    organisations = await tower.accounts.organisations()
    people = await tower.accounts.people(person.organisation)
    return await page(
        request, "audit_readings.html", person, looks=found, query=query, people=people,
        kinds=KINDS,
        names={p.id: p.name for p in people},
        organisations={o.id: o.name for o in organisations.values()},
        more=found[-1].id if len(found) == PAGE else None,
    )  # fmt: skip


def _number(request: Request) -> int | None:
    text = request.query_params.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 19 else None


ENDPOINTS = (
    Endpoint(
        "GET", "/api/audit/changes", changes, "Every change, with its reason", "audit",
        query=Changed, answer=list[Change], tag="audit",
    ),
    Endpoint(
        "GET", "/api/audit/readings", readings, "Who looked at what", "audit", query=Looked,
        answer=list[Look], tag="audit",
    ),
)  # fmt: skip
MENU = (
    Line("audit.changes", "/audit/changes", "menu.admin", "audit"),
    Line("audit.readings", "/audit/readings", "menu.admin", "audit"),
)
ROUTES = [Route("/audit/changes", changes_page), Route("/audit/readings", readings_page)]
