"""Replanning in the control tower: what happened, what follows, the options, and who accepts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.capacity.chain import templates
from stafett.capacity.disruption import Cause
from stafett.capacity.replanned import Replan
from stafett.service import policy
from stafett.service.refusal import No
from stafett.service.replanning import Replanning
from stafett.service.request import Key
from stafett.web import pages, zone
from stafett.web.api import problem, tower_of
from stafett.web.area import Line as MenuLine
from stafett.web.endpoint import Call, Endpoint, Nothing

MENU = (MenuLine("replans", "/capacity/replans", "menu.watch"),)
SIGN = {"open": "◌", "chosen": "▸", "applied": "✓", "declined": "✖", "overtaken": "⚠", "ended": "■"}
Seen = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Why = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class Choosing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An option (the first is 0) of a replan as it was seen, and why."""

    key: Key
    seen: Seen
    option: Annotated[int, msgspec.Meta(ge=0, le=20)]
    reason: Why


class Accepting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The acceptance of what was chosen, as it was seen."""

    key: Key
    seen: Seen


class Declining(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That nothing is to move, and why."""

    key: Key
    seen: Seen
    reason: Why


def _replans(request: Request) -> Replanning:
    return tower_of(request).bookings.replans


async def work_out(call: Call[Cause, Nothing]) -> Replan:
    """Work out what follows."""
    try:
        return await _replans(call.request).work_out(call.request.state.person, call.body)
    except No as no:
        raise problem(no) from None


async def listed(call: Call[Nothing, Nothing]) -> list[Replan]:
    """List the replans of the organisation."""
    return await _replans(call.request).all(call.request.state.person)


async def one(call: Call[Nothing, Nothing]) -> Replan:
    """Show a replan."""
    try:
        return await _replans(call.request).see(call.request.state.person, call.path["replan"])
    except No as no:
        raise problem(no) from None


async def choose(call: Call[Choosing, Nothing]) -> Replan:
    """Propose an option."""
    body = call.body
    try:
        return await _replans(call.request).choose(
            call.request.state.person, call.path["replan"], body.seen, body.option, body.key,
            body.reason,
        )  # fmt: skip
    except No as no:
        raise problem(no) from None


async def accept(call: Call[Accepting, Nothing]) -> Replan:
    """Accept what was proposed."""
    body = call.body
    try:
        return await _replans(call.request).accept(
            call.request.state.person, call.path["replan"], body.seen, body.key
        )
    except No as no:
        raise problem(no) from None


async def decline(call: Call[Declining, Nothing]) -> Replan:
    """Decline it."""
    body = call.body
    try:
        return await _replans(call.request).decline(
            call.request.state.person, call.path["replan"], body.seen, body.key, body.reason
        )
    except No as no:
        raise problem(no) from None


# -- pages ---------------------------------------------------------------------------------------


async def list_page(request: Request) -> Response:
    """The replans, and the form for a calendar of one's own that has changed."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    found = await _replans(request).all(person)
    own = await tower_of(request).bookings.calendars.own(person)
    organisations = await tower_of(request).accounts.organisations()
    closed = {one.cause.resource for one in found if one.cause.resource}
    called = await request.app.state.tower.bookings.calendars.titles(closed)
    return await pages.page(
        request, "replans.html", person, names={o.id: o.name for o in organisations.values()},
        replans=found, own=own, sign=SIGN, mine=person.organisation,
        may=policy.allows("book", person), link_titles=_titles(), called=called, start={},
    )  # fmt: skip


async def replan_page(request: Request) -> Response:
    """One replan: what no longer holds, the options side by side, and who has accepted."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    try:
        found = await _replans(request).see(person, request.path_params["replan"])
    except No as no:
        return await pages.no_such(request, person, no)
    names = {o.id: o.name for o in (await tower_of(request).accounts.organisations()).values()}
    may = policy.allows("book", person)
    moved = {p.resource for o in found.options for m in o.moves for p in (*m.before, *m.after)}
    moved |= {found.cause.resource} if found.cause.resource else set()
    called = await request.app.state.tower.bookings.calendars.titles(moved)
    return await pages.page(
        request, "replan.html", person,
        replan=found, names=names, sign=SIGN, link_titles=_titles(), called=called,
        chooses=may and found.status == "open" and found.organisation == person.organisation,
        accepts=may and found.status == "chosen" and person.organisation in found.needs
        and person.organisation not in found.accepted,
        declines=may and found.status in ("open", "chosen"),
        start={"replan": found.id, "seen": found.version},
    )  # fmt: skip


def _titles() -> dict[str, Any]:
    return {link.name: link.title for one in templates().values() for link in one.links}


def earliest() -> str:
    """Return the present for a form's field, in the tower's zone."""
    return datetime.now(UTC).astimezone(zone.here()).strftime("%Y-%m-%dT%H:%M")


ROUTES = [
    Route("/capacity/replans", list_page),
    Route("/capacity/replans/{replan}", replan_page),
]
_T: Any = {"tag": "capacity"}
_R = "/api/capacity/replans/{replan}"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/capacity/replans", listed, "Replans of the organisation", "see",
             answer=list[Replan], **_T),
    Endpoint("POST", "/api/capacity/replans", work_out, "What follows of what happened; options",
             "book", Cause, answer=Replan, status=201, **_T),
    Endpoint("GET", _R, one, "One replan", "see", answer=Replan, **_T),
    Endpoint("POST", _R + "/choose", choose, "Propose an option", "book", Choosing,
             answer=Replan, **_T),
    Endpoint("POST", _R + "/accept", accept, "Accept what was proposed", "book", Accepting,
             answer=Replan, **_T),
    Endpoint("POST", _R + "/decline", decline, "Decline it: nothing moves", "book", Declining,
             answer=Replan, **_T),
)  # fmt: skip
