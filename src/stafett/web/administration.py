"""Administration: people, sites, organisations, networks, protocols, competence. API and pages.

Every change takes a reason. The pages are forms that the script `admin.js` sends to this very API.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import wraps
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.service import policy
from stafett.service.accounts import Organisation, Person
from stafett.service.administration import KINDS, Account, Site, new_person
from stafett.service.admission import Proved
from stafett.service.competence import Wanted
from stafett.service.openid import Identity, Provider
from stafett.service.refusal import No, Reason
from stafett.web import language as languages
from stafett.web.account import Competence, shown
from stafett.web.api import problem
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import page, signed_in
from stafett.web.problem import Part, Problem
from stafett.web.signin import tower_of

Short = Annotated[str, msgspec.Meta(max_length=100)]
Because = Annotated[str, msgspec.Meta(min_length=4, max_length=500)]
Names = list[Short]


class Why(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why this is done: it stands in the audit trail."""

    reason: Because


class PersonChange(Why, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be changed of a person."""

    name: Short
    roles: Names = []
    duties: Names = []
    language: Short = "en"
    site: Short = ""


class NewPerson(PersonChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new person; `organisation` only where an operator adds one's first administrator."""

    login: Short
    organisation: Short | None = None


class Invited(msgspec.Struct, frozen=True):
    """Hand `link` to the person: it works once, for two days, and is not shown again."""

    person: str
    link: str


class SiteChange(Why, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A site: its name and time zone."""

    name: Short
    time_zone: Short


class OrganisationChange(SiteChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An organisation."""

    kind: Short
    country: Short
    phone: Short = ""


class NetworkChange(Why, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which organisation plays which role: the whole table."""

    parties: dict[str, Short]


class Grants(Why, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Competence for one person: in these roles of one protocol version (`*` every version)."""

    person: Short
    protocol: Short
    version: Short
    roles: Annotated[Names, msgspec.Meta(min_length=1, max_length=50)]
    valid_until: datetime


class ProviderChange(Why, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An identity provider; an empty secret keeps the old one, `active` "" takes it out of use."""

    organisation: Short
    name: Short
    issuer: Annotated[str, msgspec.Meta(max_length=300)]
    client: Short
    secret: Annotated[str, msgspec.Meta(max_length=500)] = ""
    active: Short = "yes"


class Link(Why, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose account it is; empty: nobody's any more."""

    provider: Short
    subject: Annotated[str, msgspec.Meta(max_length=255)]
    person: Short


class InForce(msgspec.Struct, frozen=True):
    """A protocol in force for new journeys, and its versions in the library."""

    name: str
    version: str
    sha256: str
    versions: list[str]


class Because_(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reason, beside a body that is a file."""

    reason: Because


class Tongue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The language of the texts."""

    language: Short = "en"


Handler = Callable[[Call[Any, Any]], Awaitable[Any]]


def refusing(handler: Handler) -> Handler:
    """Turn the refusals of the service, and wrong values, into problem documents."""

    @wraps(handler)
    async def handle(call: Call[Any, Any]) -> Any:
        try:
            return await handler(call)
        except No as no:
            raise problem(no) from None
        except ValueError as error:
            part = Part("", str(error))
            raise Problem(422, "bad-value", "That does not fit", part) from None

    return handle


def _by(call: Call[Any, Any]) -> Person:
    person: Person = call.request.state.person
    return person


# -- people --------------------------------------------------------------------------------------


@refusing
async def people(call: Call[Nothing, Nothing]) -> list[Account]:
    """Return the people of the administrator's organisation."""
    return await tower_of(call.request).administration.accounts(_by(call))


@refusing
async def add_person(call: Call[NewPerson, Nothing]) -> Invited:
    """Add a person; return their one-time link."""
    body, by = call.body, _by(call)
    person = new_person(
        body.login, body.name, body.organisation or by.organisation, tuple(body.roles),
        tuple(body.duties), body.language, body.site,
    )  # fmt: skip
    token = await tower_of(call.request).administration.add(by, person, body.reason)
    return Invited(person.id, f"/welcome/{token}")


@refusing
async def change_person(call: Call[PersonChange, Nothing]) -> Person:
    """Change a person."""
    body, by = call.body, _by(call)
    wanted = new_person(
        call.path["person"], body.name, by.organisation, tuple(body.roles), tuple(body.duties),
        body.language, body.site,
    )  # fmt: skip
    return await tower_of(call.request).administration.change(by, wanted, body.reason)


@refusing
async def suspend(call: Call[Why, Nothing]) -> None:
    """Suspend a person."""
    administration = tower_of(call.request).administration
    await administration.suspend(_by(call), call.path["person"], call.body.reason)


@refusing
async def resume(call: Call[Why, Nothing]) -> None:
    """Let a person act again."""
    administration = tower_of(call.request).administration
    await administration.resume(_by(call), call.path["person"], call.body.reason)


@refusing
async def link(call: Call[Why, Nothing]) -> Invited:
    """Make a one-time link."""
    administration = tower_of(call.request).administration
    token = await administration.link(_by(call), call.path["person"], call.body.reason)
    return Invited(call.path["person"], f"/welcome/{token}")


# -- sites, organisations, networks --------------------------------------------------------------


@refusing
async def sites(call: Call[Nothing, Nothing]) -> list[Site]:
    """Return the sites of the administrator's organisation."""
    return await tower_of(call.request).administration.sites(_by(call).organisation)


@refusing
async def put_site(call: Call[SiteChange, Nothing]) -> None:
    """Add or change a site."""
    by, body = _by(call), call.body
    site = Site(call.path["site"], by.organisation, body.name, body.time_zone)
    await tower_of(call.request).administration.put_site(by, site, body.reason)


@refusing
async def organisations(call: Call[Nothing, Nothing]) -> list[Organisation]:
    """Return every organisation."""
    return list((await tower_of(call.request).accounts.organisations()).values())


@refusing
async def put_organisation(call: Call[OrganisationChange, Nothing]) -> None:
    """Add or change an organisation."""
    body = call.body
    wanted = Organisation(
        call.path["organisation"], body.name, body.kind, body.country, body.time_zone, body.phone
    )
    await tower_of(call.request).administration.put_organisation(_by(call), wanted, body.reason)


@refusing
async def networks(call: Call[Nothing, Nothing]) -> dict[str, dict[str, str]]:
    """Return every network."""
    return await tower_of(call.request).networks.all()


@refusing
async def put_network(call: Call[NetworkChange, Nothing]) -> None:
    """Replace a network."""
    await tower_of(call.request).administration.put_network(
        _by(call), call.path["network"], call.body.parties, call.body.reason
    )


# -- protocols -----------------------------------------------------------------------------------


@refusing
async def in_force(call: Call[Nothing, Nothing]) -> list[InForce]:
    """Return the protocols in force."""
    return _in_force(call.request)


def _in_force(request: Request) -> list[InForce]:
    library = tower_of(request).library
    return [
        InForce(p.name, p.version, p.sha256, sorted(library.versions(p.name)))
        for p in library.current().values()
    ]


@refusing
async def prove(call: Call[bytes, Tongue]) -> Proved:
    """Prove a protocol file; nothing is kept."""
    return await tower_of(call.request).admission.prove(call.body, call.query.language)


@refusing
async def admit(call: Call[bytes, Because_]) -> Proved:
    """Put a proven protocol in force."""
    return await tower_of(call.request).admission.admit(_by(call), call.body, call.query.reason)


# -- competence ----------------------------------------------------------------------------------


@refusing
async def competence(call: Call[Nothing, Nothing]) -> list[Competence]:
    """Return every grant to the organisation's people."""
    grants = await tower_of(call.request).competences.of_organisation(_by(call).organisation)
    return [shown(grant) for grant in grants]


@refusing
async def grant(call: Call[Grants, Nothing]) -> None:
    """Grant competence."""
    by, body = _by(call), call.body
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
    await tower_of(call.request).competences.withdraw(_by(call), number, call.body.reason)


# -- identity providers --------------------------------------------------------------------------


@refusing
async def providers(call: Call[Nothing, Nothing]) -> list[Provider]:
    """Return the identity providers."""
    return await tower_of(call.request).providers.all()


@refusing
async def put_provider(call: Call[ProviderChange, Nothing]) -> None:
    """Add or change an identity provider."""
    body = call.body
    wanted = Provider(
        call.path["provider"], body.organisation, body.name, body.issuer, body.client,
        bool(body.active),
    )  # fmt: skip
    await tower_of(call.request).providers.put(_by(call), wanted, body.secret, body.reason)


@refusing
async def identities(call: Call[Nothing, Nothing]) -> list[Identity]:
    """Return the accounts seen at the organisation's providers."""
    return await tower_of(call.request).providers.identities(_by(call).organisation)


@refusing
async def link_identity(call: Call[Link, Nothing]) -> None:
    """Say whose account at a provider it is."""
    body = call.body
    await tower_of(call.request).providers.link(
        _by(call), body.provider, body.subject, body.person or None, body.reason
    )


# -- pages ---------------------------------------------------------------------------------------


async def allowed(request: Request, line: str) -> Person | Response:
    """Return who is signed in and may do what `line` says; else the way in, or the refusal."""
    person = await signed_in(request)
    if isinstance(person, Response) or policy.allows(line, person):
        return person
    duties = " or ".join(policy.TABLE[line])
    what = f"{person.name} has no duty that allows it"
    found = Problem(403, "not-allowed", "Not yours", Part("person", what, f"it takes: {duties}"))
    return await page(request, "problem.html", person, 403, problem=found.document)


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
        roles=await _roles(request, person.organisation), duties=_givable(person),
        sites=await tower.administration.sites(person.organisation), protocols=_in_force(request),
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
        request, "admin_competence.html", person, grants=grants, people=people, missing=missing
    )


async def sites_page(request: Request) -> Response:
    """The organisation's sites."""
    person = await allowed(request, "administer")
    if isinstance(person, Response):
        return person
    found = await tower_of(request).administration.sites(person.organisation)
    return await page(request, "admin_sites.html", person, sites=found)


async def organisations_page(request: Request) -> Response:
    """Every organisation, and the networks they form."""
    person = await allowed(request, "operate")
    if isinstance(person, Response):
        return person
    tower = tower_of(request)
    titles: dict[str, Any] = {}
    for pinned in tower.library.current().values():
        for name, role in pinned.document.bind().roles.items():
            titles.setdefault(name, role.title)
    return await page(
        request, "admin_organisations.html", person, kinds=KINDS,
        organisations=list((await tower.accounts.organisations()).values()),
        networks=await tower.networks.all(), titles=titles,
    )  # fmt: skip


async def providers_page(request: Request) -> Response:
    """The accounts at identity providers and whose they are; for operators, the providers."""
    person = await allowed(request, "invite")
    if isinstance(person, Response):
        return person
    tower = tower_of(request)
    operates = policy.allows("operate", person)
    every = await tower.providers.all()
    return await page(
        request, "admin_providers.html", person, operates=operates,
        back=str(request.base_url.replace(path="/sign-in/back", query="")),
        providers=[p for p in every if operates or p.organisation == person.organisation],
        identities=await tower.providers.identities(person.organisation),
        people=await tower.accounts.people(person.organisation),
        organisations=list((await tower.accounts.organisations()).values()),
    )  # fmt: skip


async def protocols_page(request: Request) -> Response:
    """The protocols in force, and the way to admit another."""
    person = await allowed(request, "operate")
    if isinstance(person, Response):
        return person
    return await page(
        request, "admin_protocols.html", person, protocols=_in_force(request),
        start={"language": languages.of(request, person.language)},
    )  # fmt: skip


REASON = {409: "It does not fit what is there; the reasons say why."}


def _put(method: str, path: str, handler: Handler, summary: str, may: str, body: type) -> Endpoint:
    """Return an endpoint that answers nothing when it worked."""
    return Endpoint(
        method, path, handler, summary, may, body, status=204, tag="administration", answers=REASON
    )


ENDPOINTS = (
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
    _put(
        "POST", "/api/admin/people/{person}/suspend", suspend, "Suspend a person", "administer",
        Why,
    ),
    _put(
        "POST", "/api/admin/people/{person}/resume", resume, "Let a person act again", "administer",
        Why,
    ),
    Endpoint(
        "POST", "/api/admin/people/{person}/link", link, "A new one-time link", "administer", Why,
        answer=Invited, status=201, tag="administration", answers=REASON,
    ),
    Endpoint(
        "GET", "/api/admin/sites", sites, "The organisation's sites", "administer",
        answer=list[Site], tag="administration",
    ),
    _put(
        "PUT", "/api/admin/sites/{site}", put_site, "Add or change a site", "administer",
        SiteChange,
    ),
    Endpoint(
        "GET", "/api/admin/organisations", organisations, "Every organisation", "operate",
        answer=list[Organisation], tag="administration",
    ),
    _put(
        "PUT", "/api/admin/organisations/{organisation}", put_organisation,
        "Add or change an organisation", "operate", OrganisationChange,
    ),
    Endpoint(
        "GET", "/api/admin/networks", networks, "Every network", "operate",
        answer=dict[str, dict[str, str]], tag="administration",
    ),
    _put(
        "PUT", "/api/admin/networks/{network}", put_network, "Say who plays which role", "operate",
        NetworkChange,
    ),
    Endpoint(
        "GET", "/api/admin/protocols", in_force, "The protocols in force", "operate",
        answer=list[InForce], tag="administration",
    ),
    Endpoint(
        "POST", "/api/admin/protocols/proof", prove, "Prove a protocol file", "operate", bytes,
        Tongue, Proved, tag="administration",
    ),
    Endpoint(
        "POST", "/api/admin/protocols", admit, "Admit a proven protocol", "operate", bytes,
        Because_, Proved, 201, tag="administration", answers=REASON,
    ),
    Endpoint(
        "GET", "/api/admin/competence", competence, "Who is competent for what", "administer",
        answer=list[Competence], tag="administration",
    ),
    Endpoint(
        "POST", "/api/admin/competence", grant, "Grant competence", "administer", Grants,
        status=204, tag="administration", answers={**REASON, 404: "No such person."},
    ),
    _put(
        "POST", "/api/admin/competence/{grant}/withdraw", withdraw, "Withdraw competence",
        "administer", Why,
    ),
    Endpoint(
        "GET", "/api/admin/providers", providers, "The identity providers", "operate",
        answer=list[Provider], tag="administration",
    ),
    _put(
        "PUT", "/api/admin/providers/{provider}", put_provider,
        "Add or change an identity provider", "operate", ProviderChange,
    ),
    Endpoint(
        "GET", "/api/admin/identities", identities, "Accounts at identity providers", "administer",
        answer=list[Identity], tag="administration",
    ),
    Endpoint(
        "POST", "/api/admin/identities", link_identity, "Say whose account it is", "administer",
        Link, status=204, tag="administration", answers={404: "No such account or person."},
    ),
)  # fmt: skip
MENU = (
    Line("admin.people", "/admin/people", "menu.admin", "administer"),
    Line("admin.competence", "/admin/competence", "menu.admin", "administer"),
    Line("admin.sites", "/admin/sites", "menu.admin", "administer"),
    Line("admin.organisations", "/admin/organisations", "menu.admin", "operate"),
    Line("admin.providers", "/admin/providers", "menu.admin", "invite"),
    Line("admin.protocols", "/admin/protocols", "menu.admin", "operate"),
)
WORDS = ("admin.said.", "admin.proof.")
ROUTES = [
    Route("/admin/people", people_page),
    Route("/admin/people/{person}", person_page),
    Route("/admin/competence", competence_page),
    Route("/admin/sites", sites_page),
    Route("/admin/organisations", organisations_page),
    Route("/admin/providers", providers_page),
    Route("/admin/protocols", protocols_page),
]
