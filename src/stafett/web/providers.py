"""Identity providers, and whose the accounts seen at them are. API and page."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.service import policy
from stafett.service.openid import Identity, Provider
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
    await tower_of(call.request).providers.put(by_of(call), wanted, body.secret, body.reason)


@refusing
async def identities(call: Call[Nothing, Nothing]) -> list[Identity]:
    """Return the accounts seen at the organisation's providers."""
    return await tower_of(call.request).providers.identities(by_of(call).organisation)


@refusing
async def link_identity(call: Call[Link, Nothing]) -> None:
    """Say whose account at a provider it is."""
    body = call.body
    await tower_of(call.request).providers.link(
        by_of(call), body.provider, body.subject, body.person or None, body.reason
    )


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


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/api/admin/providers", providers, "The identity providers", "operate",
        answer=list[Provider], tag="administration",
    ),
    no_answer(
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
MENU = (Line("admin.providers", "/admin/providers", "menu.admin", "invite"),)
ROUTES = [
    Route("/admin/providers", providers_page),
]
