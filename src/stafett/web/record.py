"""The record as everyone may check it: how it stands, receipts, proofs, and the tree over HTTP.

`/log` serves C2SP tlog-tiles, read-only and without sign-in: hashes and checkpoints give nothing
away, since every leaf is salted. Entries are an organisation's own to read, each by its audience.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from stafett.ledger.publish import NotYet
from stafett.ledger.tlog_app import tlog_app
from stafett.service.keeping import Retention
from stafett.service.publishing import Sealed, Standing
from stafett.service.refusal import No
from stafett.service.tower import Tower
from stafett.web import pages
from stafett.web.api import problem
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.problem import Part, Problem

MENU = (Line("record", "/record", "menu.record"),)


class Newest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many of the newest."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 20


def routes(tower: Tower) -> list[BaseRoute]:
    """Serve the tree of `tower`'s record."""
    publishing = tower.publishing
    app = tlog_app(tower.ledger.pool, publishing.signer, lambda: publishing.policy)
    return [Mount("/log", app)]


def _tower(request: Request) -> Tower:
    tower: Tower = request.app.state.tower
    return tower


async def standing(call: Call[Nothing, Nothing]) -> Standing:
    """Say how the record stands: what is signed, and who has cosigned it."""
    return await _tower(call.request).publishing.standing()


async def checkpoints(call: Call[Nothing, Newest]) -> list[Sealed]:
    """List the newest checkpoints."""
    return await _tower(call.request).publishing.checkpoints(call.query.limit)


async def policy(call: Call[Nothing, Nothing]) -> Response:
    """Return the trust policy that the log holds itself to."""
    return PlainTextResponse(_tower(call.request).publishing.policy.text)


async def receipt(call: Call[Nothing, Nothing]) -> Response:
    """Return an event's receipt, if the person's organisation may read the event."""
    tower, person = _tower(call.request), call.request.state.person
    text = call.path["position"]
    position = int(text) if text.isdigit() and len(text) < 18 else 0
    found = await tower.ledger.read(position - 1, 1, organisation=person.organisation)
    if not position or not found or found[0].position != position:
        part = Part("position", "not an event that your organisation may read")
        raise Problem(404, "unknown", "There is no such event", part)
    try:
        made = await tower.publishing.receipt(position)
    except NotYet as error:
        raise _not_yet("position", error) from None
    name = f'attachment; filename="event-{position}.tlog-proof"'
    headers = {"Content-Disposition": name, "Cache-Control": "private, no-store"}
    return PlainTextResponse(made.text, headers=headers)


async def journey_proof(call: Call[Nothing, Nothing]) -> Response:
    """Return a journey's proof bundle."""
    tower, person = _tower(call.request), call.request.state.person
    journey = call.path["journey"]
    try:
        await tower.journeys.see(person, journey)
        made = await tower.publishing.journey_proof(journey, person.organisation)
    except No as no:
        raise problem(no) from None
    except NotYet as error:
        raise _not_yet("journey", error) from None
    name = f'attachment; filename="{journey}.proof.json"'
    headers = {"Content-Disposition": name, "Cache-Control": "private, no-store"}
    return Response(made.text, headers=headers, media_type="application/json")


async def retention(call: Call[Nothing, Nothing]) -> Retention:
    """Say how long the journey must be kept at least."""
    try:
        return await _tower(call.request).keeping.retention(
            call.request.state.person, call.path["journey"]
        )
    except No as no:
        raise problem(no) from None


def _not_yet(field: str, error: NotYet) -> Problem:
    part = Part(field, str(error), "ask again in a few seconds")
    return Problem(
        409, "not-yet", "It is recorded and not sealed yet", part, headers={"Retry-After": "2"}
    )


async def page(request: Request) -> Response:
    """The audit page."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    tower = _tower(request)
    publishing = tower.publishing
    return await pages.page(
        request,
        "record.html",
        person,
        standing=await publishing.standing(),
        checkpoints=await publishing.checkpoints(20),
        policy=publishing.policy.text,
        evidence=publishing.evidence,
        journeys=[row.journey for row in tower.board.of(person.organisation)][-200:],
    )


ROUTES = (Route("/record", page),)
ENDPOINTS = (
    Endpoint(
        "GET", "/api/record", standing, "How the record stands: signed, cosigned by whom", "see",
        answer=Standing, tag="record",
    ),
    Endpoint(
        "GET", "/api/record/checkpoints", checkpoints, "The newest checkpoints", "see",
        query=Newest, answer=list[Sealed], tag="record",
    ),
    Endpoint(
        "GET", "/api/record/policy", policy, "The trust policy (C2SP tlog-policy)", "see",
        answer="text/plain", tag="record",
    ),
    Endpoint(
        "GET", "/api/record/receipts/{position}", receipt, "An event's receipt (C2SP tlog-proof)",
        "read-record", answer="text/plain", tag="record",
        answers={404: "Not an event that you may read.", 409: "Recorded, and not sealed yet."},
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/proof", journey_proof, "A journey's proof bundle",
        "read-record", answer="application/json", tag="record",
        answers={409: "Recorded, and not sealed yet."},
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/retention", retention, "How long it must be kept", "see",
        answer=Retention, tag="record",
    ),
)  # fmt: skip
