"""People and their competence, kept by their own administrator. API and pages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.service import policy
from stafett.service.accounts import Person
from stafett.service.administration import Account, new_person
from stafett.service.competence import Wanted
from stafett.service.refusal import No, Reason
from stafett.web.account import Competence, granters, shown
from stafett.web.administration import (
    REASON,
    Names,
    Short,
    Why,
    allowed,
    by_of,
    no_answer,
    refusing,
)
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import page, role_titles
from stafett.web.problem import Part, Problem
from stafett.web.protocols import current
from stafett.web.signin import tower_of


class PersonChange(Why, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be changed of a person."""

    name: Short
    roles: Names = msgspec.field(default_factory=list)
    duties: Names = msgspec.field(default_factory=list)
    language: Short = ""  # "": as their browser asks
    site: Short = ""


class NewPerson(PersonChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new person; `organisation` only where an operator adds one's first administrator."""

    login: Short
    organisation: Short | None = None


class Invited(msgspec.Struct, frozen=True):
    """Hand `link` to the person: it works once, for two days, and is not shown again."""

    person: str
    link: str


class Grants(Why, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Competence for one person: in these roles of one protocol version (`*` every version)."""

    person: Short
    protocol: Short
    version: Short
    roles: Annotated[Names, msgspec.Meta(min_length=1, max_length=50)]
    valid_until: datetime


@refusing
async def people(call: Call[Nothing, Nothing]) -> list[Account]:
    """Return the people of the administrator's organisation."""
    return await tower_of(call.request).administration.accounts(by_of(call))


@refusing
async def add_person(call: Call[NewPerson, Nothing]) -> Invited:
    """Add a person; return their one-time link."""
    body, by = call.body, by_of(call)
    person = new_person(
        body.login, body.name, body.organisation or by.organisation, tuple(body.roles),
        tuple(body.duties), body.language, body.site,
    )  # fmt: skip
    token = await tower_of(call.request).administration.add(by, person, body.reason)
    return Invited(person.id, f"/welcome/{token}")


@refusing
async def change_person(call: Call[PersonChange, Nothing]) -> Person:
    """Change a person."""
    body, by = call.body, by_of(call)
    wanted = new_person(
        call.path["person"], body.name, by.organisation, tuple(body.roles), tuple(body.duties),
        body.language, body.site,
    )  # fmt: skip
    return await tower_of(call.request).administration.change(by, wanted, body.reason)


@refusing
async def suspend(call: Call[Why, Nothing]) -> None:
    """Suspend a person."""
    administration = tower_of(call.request).administration
    await administration.suspend(by_of(call), call.path["person"], call.body.reason)


@refusing
async def resume(call: Call[Why, Nothing]) -> None:
    """Let a person act again."""
    administration = tower_of(call.request).administration
    await administration.resume(by_of(call), call.path["person"], call.body.reason)


@refusing
async def link(call: Call[Why, Nothing]) -> Invited:
    """Make a one-time link."""
    administration = tower_of(call.request).administration
    token = await administration.link(by_of(call), call.path["person"], call.body.reason)
    return Invited(call.path["person"], f"/welcome/{token}")


@refusing
async def competence(call: Call[Nothing, Nothing]) -> list[Competence]:
    """Return every grant to the organisation's people."""
    grants = await tower_of(call.request).competences.of_organisation(by_of(call).organisation)
    return [shown(grant) for grant in grants]


@refusing
async def grant(call: Call[Grants, Nothing]) -> None:
    """Grant competence."""
    by, body = by_of(call), call.body
    if body.person == by.id:
        what = "nobody grants competence to themselves"
        raise No("wrong-person", "Not yourself", Reason("person", what, "ask a colleague"))
    library = tower_of(call.request).library
    known = library.versions(body.protocol)
    if not known or body.version not in (*known, "*"):
        todo = f"one of: {', '.join(sorted(known))} or *" if known else "see /api/protocols"
        what = f"{body.protocol} {body.version} is not in the library"
        raise No("unknown-name", "No such protocol", Reason("protocol", what, todo))
    wanted = [
        Wanted(body.person, body.protocol, body.version, role, body.valid_until)
        for role in body.roles
    ]
    await tower_of(call.request).competences.grant(by, wanted, body.reason)


@refusing
async def withdraw(call: Call[Why, Nothing]) -> None:
    """Withdraw a grant."""
    name = call.path["grant"]
    number = int(name) if name.isdigit() and len(name) < 16 else 0
    await tower_of(call.request).competences.withdraw(by_of(call), number, call.body.reason)


async def _roles(request: Request, organisation: str) -> list[str]:
    """Return the roles that an organisation plays in any network."""
    every = await tower_of(request).networks.all()
    return sorted(
        {r for parties in every.values() for r, o in parties.items() if o == organisation}
    )


async def people_page(request: Request) -> Response:
    """Everybody of the organisation, and a form for one more."""
    person = await allowed(request, "administer")
    if isinstance(person, Response):
        return person
    tower = tower_of(request)
    return await page(
        request, "admin_people.html", person,
        accounts=await tower.administration.accounts(person),
        roles=await _roles(request, person.organisation),
        duties=_givable(person), sites=await tower.administration.sites(person.organisation),
    )  # fmt: skip


def _givable(person: Person) -> list[str]:
    own = "operator" in person.duties
    return [duty for duty in policy.DUTIES if own or duty != "operator"]


async def person_page(request: Request) -> Response:
    """One person: what they are, may and can."""
    person = await allowed(request, "administer")
    if isinstance(person, Response):
        return person
    tower = tower_of(request)
    accounts = await tower.administration.accounts(person)
    about = next((a for a in accounts if a.person.id == request.path_params["person"]), None)
    if about is None:
        part = Part("person", "not known, or not of your organisation")
        found = Problem(404, "unknown", "There is no such person", part)
        return await page(request, "problem.html", person, 404, problem=found.document)
    grants = [shown(g) for g in await tower.competences.of(about.person.id)]
    return await page(
        request, "admin_person.html", person, about=about, grants=grants,
        role_names=role_titles(request), granters=await granters(request, grants),
        roles=await _roles(request, person.organisation), duties=_givable(person),
        sites=await tower.administration.sites(person.organisation), protocols=current(request),
    )  # fmt: skip


async def competence_page(request: Request) -> Response:
    """Who is competent for what, what runs out soon first."""
    person = await allowed(request, "administer")
    if isinstance(person, Response):
        return person
    tower = tower_of(request)
    grants = [shown(g) for g in await tower.competences.of_organisation(person.organisation)]
    people = {p.id: p for p in await tower.accounts.people(person.organisation)}
    grants.sort(key=lambda g: (not g.holds, g.valid_until))
    missing = [
        (one, role)
        for one in people.values()
        for role in one.roles
        if not any(g.person == one.id and g.role == role and g.holds for g in grants)
    ]
    return await page(
        request,
        "admin_competence.html",
        person,
        grants=grants,
        granters=await granters(request, grants),
        people=people,
        missing=missing,
        role_names=role_titles(request),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/api/admin/people", people, "The organisation's people", "administer",
        answer=list[Account], tag="administration",
    ),
    Endpoint(
        "POST", "/api/admin/people", add_person, "Add a person", "invite", NewPerson,
        answer=Invited, status=201, tag="administration", answers={**REASON, 404: "No such name."},
    ),
    Endpoint(
        "PUT", "/api/admin/people/{person}", change_person, "Change a person", "administer",
        PersonChange, answer=Person, tag="administration", answers=REASON,
    ),
    no_answer(
        "POST", "/api/admin/people/{person}/suspend", suspend, "Suspend a person", "administer",
        Why,
    ),
    no_answer(
        "POST", "/api/admin/people/{person}/resume", resume, "Let a person act again", "administer",
        Why,
    ),
    Endpoint(
        "POST", "/api/admin/people/{person}/link", link, "A new one-time link", "administer", Why,
        answer=Invited, status=201, tag="administration", answers=REASON,
    ),
    Endpoint(
        "GET", "/api/admin/competence", competence, "Who is competent for what", "administer",
        answer=list[Competence], tag="administration",
    ),
    Endpoint(
        "POST", "/api/admin/competence", grant, "Grant competence", "administer", Grants,
        status=204, tag="administration", answers={**REASON, 404: "No such person."},
    ),
    no_answer(
        "POST", "/api/admin/competence/{grant}/withdraw", withdraw, "Withdraw competence",
        "administer", Why,
    ),
)  # fmt: skip
MENU = (
    Line("admin.people", "/admin/people", "menu.admin", "administer"),
    Line("admin.competence", "/admin/competence", "menu.admin", "administer"),
)
ROUTES = [
    Route("/admin/people", people_page),
    Route("/admin/people/{person}", person_page),
    Route("/admin/competence", competence_page),
]
