"""Sites, organisations, and the networks they form. API and pages."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.service.accounts import Organisation
from stafett.service.administration import KINDS, Site
from stafett.web.administration import (
    Short,
    Why,
    allowed,
    by_of,
    no_answer,
    refusing,
)
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import page
from stafett.web.signin import tower_of


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
    """Which organisation plays which role: the whole table; and what the network is called.

    Without a `title` the network keeps the name it has; an empty one takes it away.
    """

    parties: dict[str, Short]
    title: Short | msgspec.UnsetType = msgspec.UNSET


@refusing
async def sites(call: Call[Nothing, Nothing]) -> list[Site]:
    """Return the sites of the administrator's organisation."""
    return await tower_of(call.request).administration.sites(by_of(call).organisation)


@refusing
async def put_site(call: Call[SiteChange, Nothing]) -> None:
    """Add or change a site."""
    by, body = by_of(call), call.body
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
    await tower_of(call.request).administration.put_organisation(by_of(call), wanted, body.reason)


@refusing
async def networks(call: Call[Nothing, Nothing]) -> dict[str, dict[str, str]]:
    """Return every network."""
    return await tower_of(call.request).networks.all()


@refusing
async def put_network(call: Call[NetworkChange, Nothing]) -> None:
    """Replace who plays which role in a network, and its name where one is given."""
    title = None if call.body.title is msgspec.UNSET else call.body.title
    await tower_of(call.request).administration.put_network(
        by_of(call), call.path["network"], call.body.parties, call.body.reason, title
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
        networks=await tower.networks.all(), called=await tower.networks.titles(), titles=titles,
    )  # fmt: skip


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/api/admin/sites", sites, "The organisation's sites", "administer",
        answer=list[Site], tag="administration",
    ),
    no_answer(
        "PUT", "/api/admin/sites/{site}", put_site, "Add or change a site", "administer",
        SiteChange,
    ),
    Endpoint(
        "GET", "/api/admin/organisations", organisations, "Every organisation", "operate",
        answer=list[Organisation], tag="administration",
    ),
    no_answer(
        "PUT", "/api/admin/organisations/{organisation}", put_organisation,
        "Add or change an organisation", "operate", OrganisationChange,
    ),
    Endpoint(
        "GET", "/api/admin/networks", networks, "Every network", "operate",
        answer=dict[str, dict[str, str]], tag="administration",
    ),
    no_answer(
        "PUT", "/api/admin/networks/{network}", put_network, "Say who plays which role", "operate",
        NetworkChange,
    ),
)  # fmt: skip
MENU = (
    Line("admin.sites", "/admin/sites", "menu.admin", "administer"),
    Line("admin.organisations", "/admin/organisations", "menu.admin", "operate"),
)
ROUTES = [
    Route("/admin/sites", sites_page),
    Route("/admin/organisations", organisations_page),
]
