"""The page of an organisation's signing keys: which there were, where they hold, and a new one."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.service.keys import Shown
from stafett.web.administration import REASON, Why, allowed, refusing
from stafett.web.api import tower_of
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import page

MENU = (Line("admin.keys", "/admin/keys", "menu.admin", "administer"),)


class Replaced(msgspec.Struct, frozen=True):
    """The new key's id."""

    key: str


async def keys(call: Call[Nothing, Nothing]) -> list[Shown]:
    """Return every key that the organisation ever had."""
    return await tower_of(call.request).keys.of(call.request.state.person.organisation)


@refusing
async def replace(call: Call[Why, Nothing]) -> Replaced:
    """Replace the organisation's signing key."""
    by = call.request.state.person
    return Replaced(await tower_of(call.request).keys.replace(by, call.body.reason))


async def keys_page(request: Request) -> Response:
    """Every key, and a form for a new one."""
    person = await allowed(request, "administer")
    if isinstance(person, Response):
        return person
    tower = tower_of(request)
    return await page(
        request, "admin_keys.html", person, keys=await tower.keys.of(person.organisation),
        log=tower.publishing.signer,
    )  # fmt: skip


ROUTES = [Route("/admin/keys", keys_page)]
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/api/admin/keys", keys, "The organisation's signing keys", "administer",
        answer=list[Shown], tag="administration",
    ),
    Endpoint(
        "POST", "/api/admin/keys/replace", replace, "Replace the organisation's signing key",
        "administer", Why, answer=Replaced, tag="administration", answers=REASON,
    ),
)  # fmt: skip
