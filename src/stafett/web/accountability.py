"""Who answers for a journey: whose turn it was, and handing it over, offered and taken."""

from __future__ import annotations

from datetime import datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.journey import accountability
from stafett.journey.state import Offer, Spell, State
from stafett.protocol.net import NONE, Net
from stafett.service.refusal import No
from stafett.service.tower import Tower
from stafett.web import pages
from stafett.web.api import problem, tower_of
from stafett.web.endpoint import Call, Endpoint, Nothing


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An offer that waits for an answer: who asks whom, since when and why."""

    offer: str
    giver: str
    to: str
    organisation: str
    reason: str
    at: datetime


class Accountability(msgspec.Struct, frozen=True, kw_only=True):
    """The accountable owner now and before, the open offer, and who can be asked.

    The spells follow one another without a gap; the last has no end.
    """

    journey: str
    spells: list[Spell]
    offer: Asked | None
    receivers: list[str]


def told(net: Net, state: State) -> Accountability:
    """Return who answers for a journey."""
    return Accountability(
        journey=state.journey,
        spells=list(state.accountability),
        offer=_asked(state.offer),
        receivers=list(_receivers(net, state)),
    )


def _asked(offer: Offer | None) -> Asked | None:
    if offer is None:
        return None
    return Asked(
        offer=offer.offer, giver=offer.giver, to=offer.to, organisation=offer.organisation,
        reason=offer.reason, at=offer.at,
    )  # fmt: skip


def _receivers(net: Net, state: State) -> tuple[str, ...]:
    return () if state.marking.outcome != NONE else accountability.receivers(net, state)


async def read(call: Call[Nothing, Nothing]) -> Accountability:
    """Say who answers for a journey."""
    try:
        live = await tower_of(call.request).journeys.see(
            call.request.state.person, call.path["journey"]
        )
    except No as no:
        raise problem(no) from None
    return told(live.net, live.state)


async def page(request: Request) -> Response:
    """Who answers for it, who did, and the two sides of handing it over."""
    found = await pages.journey_of(request)
    if isinstance(found, Response):
        return found
    person, live = found
    tower: Tower = request.app.state.tower
    state = live.state
    organisations = await tower.accounts.organisations()
    mine = {r for r in person.roles if state.parties.get(r) == person.organisation}
    running = state.marking.outcome == NONE
    return await pages.page(
        request,
        "accountability.html",
        person,
        start={**await pages.start_of(request, person), "journey": state.journey},
        row=tower.board.current(live),
        state=state,
        net=live.net,
        names={o.id: o.name for o in organisations.values()},
        owns=running and state.owner.role in mine,
        asked=running and state.offer is not None and state.offer.to in mine,
        receivers=_receivers(live.net, state),
    )


ROUTES = [Route("/journeys/{journey}/accountability", page)]
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/api/journeys/{journey}/accountability", read, "Who answers for a journey", "see",
        answer=Accountability, tag="watch",
    ),
)  # fmt: skip
