"""The exchange in the control tower: EPCIS below /epcis, and journeys in the field's languages.

An organisation reads through /epcis what it captured itself; what partners captured about a journey
it takes part in is at /api/journeys/{journey}/captured.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount

from stafett.exchange.epcis_answers import query_document
from stafett.exchange.fhir_write import journey_bundle
from stafett.exchange.problem import Problem as Refusal
from stafett.exchange.subscriptions import Webhook
from stafett.exchange.views import ADMINISTERING, administering_steps, journey_document
from stafett.service.tower import Tower
from stafett.web import dossiers, fhir, fhir_described
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.epcis import Epcis
from stafett.web.epcis_path import Caller
from stafett.web.problem import Part, Problem
from stafett.web.session import COOKIE, SAFE, writable


def routes(tower: Tower) -> list[BaseRoute]:
    """Give the routes of the EPCIS interface over a tower."""
    room = tower.exchange

    async def who(request: HTTPConnection) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = scheme.lower() == "bearer" and token.strip()
        person = await tower.sessions.of_token(bearer or request.cookies.get(COOKIE, ""))
        if person is None:
            raise Refusal(401, "SecurityException", "sign in: POST /api/session gives a token")
        method = request.scope.get("method", "GET")
        if method not in SAFE and not bearer and "x-stafett" not in request.headers:
            raise Refusal(403, "SecurityException", "send the header X-Stafett: 1")
        if method not in SAFE:
            try:
                request.app.state.paces.take(request, person.id)
            except Problem as problem:
                told = "; ".join(f"{r.what}: {r.todo}" for r in problem.document.reasons)
                wait = int(problem.headers["Retry-After"])
                raise Refusal(429, "SecurityException", told, retry_after_s=wait) from None
            try:
                writable(request)
            except Problem as problem:
                why = problem.document.reasons[0].what
                told = f"{problem.document.title}: {why}"
                raise Refusal(503, "ImplementationException", told) from None
        return Caller(person.organisation, (person.organisation,))

    return [
        Mount("/epcis", Epcis(room.store, who, room.captures, room.subscriptions)),
        *fhir.routes(tower),
    ]


async def _record(call: Call[Nothing, Any]) -> list[tuple[int, dict[str, Any]]]:
    tower: Tower = call.request.app.state.tower
    person = call.request.state.person
    entries = await tower.record.entries(call.path["journey"], person.organisation)
    if not entries:
        part = Part("journey", "not known, or not yours")
        raise Problem(404, "unknown", "There is no such journey", part)
    await tower.readings.note(person, "journey", call.path["journey"])
    return [(entry.version, entry.event) for entry in entries]


def _administering(tower: Tower, record: list[tuple[int, dict[str, Any]]]) -> frozenset[str]:
    names = {e["protocol"] for _, e in record if e["type"] == "JourneyOpened"}
    known = [p for name, p in tower.library.current().items() if name in names]
    return ADMINISTERING.union(*(administering_steps(p.document.value) for p in known))


def _json(value: Any, kind: str) -> Response:
    return Response(
        msgspec.json.encode(value), media_type=kind, headers={"Cache-Control": "no-store"}
    )


async def as_epcis(call: Call[Nothing, Nothing]) -> Response:
    """Give a journey as an EPCIS document."""
    record = await _record(call)
    document = journey_document(
        call.path["journey"],
        record,
        created=datetime.now(UTC).isoformat(),
        administering=_administering(call.request.app.state.tower, record),
    )
    return _json(document, "application/ld+json")


async def as_fhir(call: Call[Nothing, Nothing]) -> Response:
    """Give a journey as a FHIR R5 bundle; R4B or R4 where fhirVersion=4.3 or =4.0 is accepted."""
    wish = _accept(call.request)
    number = next((n for n in ("4.3", "4.0") if f"fhirversion={n}" in wish), "5.0")
    version = "R5" if number == "5.0" else "R4B"  # R4 has the very same resources
    record = await _record(call)
    bundle = journey_bundle(
        call.path["journey"],
        record,
        "R4B" if version == "R4B" else "R5",
        _administering(call.request.app.state.tower, record),
    )
    return _json(bundle, f"application/fhir+json; fhirVersion={number}")


def _accept(request: Request) -> str:
    return request.headers.get("accept", "").lower().replace(" ", "")


PAGE = 1000


class Paged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which page: the token of the Link that led to it."""

    nextPageToken: Annotated[str, msgspec.Meta(max_length=400)] = ""


def _paged(call: Call[Any, Any], answer: Response, token: str | None) -> Response:
    """Say where the next page is, if there is one: nothing is cut off silently."""
    if token:
        here = call.request.url.include_query_params(nextPageToken=token)
        answer.headers["Link"] = f'<{here}>; rel="next"'
    return answer


async def captured(call: Call[Nothing, Paged]) -> Response:
    """Give what partners captured about a journey, by pages of a thousand events.

    What such an event says of journeys that the organisation takes no part in is withheld.
    """
    await _record(call)  # only who takes part in it may ask
    tower: Tower = call.request.app.state.tower
    try:
        page = await tower.exchange.joins.events(
            call.path["journey"], limit=PAGE, token=call.query.nextPageToken or None
        )
    except Refusal as refusal:
        raise _refused(refusal) from None
    own = (row.journey for row in tower.board.of(call.request.state.person.organisation))
    events = await tower.exchange.joins.withheld(page.events, own)
    answer = _json(query_document(events), "application/ld+json")
    return _paged(call, answer, page.next_token)


async def waiting(call: Call[Nothing, Paged]) -> Response:
    """Give the caller's captured events that no journey is known for yet, a thousand a page."""
    tower: Tower = call.request.app.state.tower
    own = call.request.state.person.organisation
    token = call.query.nextPageToken or "0"
    if not token.isascii() or not token.isdigit() or len(token) > 18:
        part = Part("nextPageToken", "it is no page that was given", "take the link as it came")
        raise Problem(400, "query", "There is no such page", part)
    found = await tower.exchange.joins.waiting(limit=PAGE + 1, after=int(token), owner=own)
    shown = found[:PAGE]
    answer = _json(query_document(shown), "application/ld+json")
    return _paged(call, answer, str(shown[-1].seq) if len(found) > PAGE else None)


class Announce(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tell `dest` of the record, or of alerts, beyond `position` (from now on, if not given)."""

    dest: Annotated[str, msgspec.Meta(min_length=8, max_length=2000)]
    of: Literal["record", "alerts"] = "record"
    mode: Literal["structured", "binary"] = "structured"
    secret: Annotated[str, msgspec.Meta(min_length=16, max_length=500)] | None = None
    position: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None = None


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Begin again, from where it stood or from an earlier position."""

    position: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None = None


class Which(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only those that were given up (the dead letters), or all."""

    dead: bool = False


def _refused(refusal: Refusal) -> Problem:
    parts = [Part(f.pointer, f.detail) for f in refusal.findings]
    return Problem(refusal.status, "webhook", refusal.detail, *parts)


async def _hook(call: Call[Any, Any]) -> Webhook:
    tower: Tower = call.request.app.state.tower
    try:
        hook = await tower.exchange.subscriptions.webhook(uuid.UUID(call.path["webhook"]))
    except (ValueError, Refusal):
        raise Problem(
            404, "unknown", "There is no such webhook", Part("webhook", "not known")
        ) from None
    if hook.owner != call.request.state.person.organisation:
        raise Problem(404, "unknown", "There is no such webhook", Part("webhook", "not known"))
    return hook


async def announce(call: Call[Announce, Nothing]) -> dict[str, Any]:
    """Send the organisation's part of the record to an address, as signed CloudEvents."""
    tower: Tower = call.request.app.state.tower
    wish = call.body
    position = wish.position
    if position is None:
        position = await (tower.alerts.size() if wish.of == "alerts" else tower.ledger.size())
    try:
        hook = await tower.exchange.subscriptions.announce(
            wish.dest, wish.mode, owner=call.request.state.person.organisation,
            secret=wish.secret, position=position,
            source="alerts" if wish.of == "alerts" else "ledger",
        )  # fmt: skip
    except Refusal as refusal:
        raise _refused(refusal) from None
    return hook.body()


async def hooks(call: Call[Nothing, Which]) -> list[dict[str, Any]]:
    """List the organisation's webhooks, or only the dead ones with their last error."""
    tower: Tower = call.request.app.state.tower
    found = await tower.exchange.subscriptions.webhooks(dead=call.query.dead)
    own = call.request.state.person.organisation
    return [h.body() for h in found if h.owner == own]


async def silence(call: Call[Nothing, Nothing]) -> None:
    """End a webhook."""
    tower: Tower = call.request.app.state.tower
    await tower.exchange.subscriptions.unsubscribe((await _hook(call)).id)


async def replay(call: Call[Replay, Nothing]) -> dict[str, Any]:
    """Revive a webhook."""
    tower: Tower = call.request.app.state.tower
    hook = await _hook(call)
    try:
        revived = await tower.exchange.subscriptions.replay(hook.id, call.body.position)
    except Refusal as refusal:
        raise _refused(refusal) from None
    return revived.body()


LD = "application/ld+json"
MENU = (*dossiers.MENU,)
ROUTES = (*dossiers.ROUTES,)
ENDPOINTS: tuple[Endpoint, ...] = (
    *dossiers.ENDPOINTS,
    Endpoint(
        "GET", "/api/journeys/{journey}/epcis", as_epcis, "A journey as EPCIS 2.0", "read-record",
        answer=dict[str, Any], kind=LD, tag="exchange",
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/fhir", as_fhir, "A journey as FHIR", "read-record",
        answer=dict[str, Any], kind="application/fhir+json", tag="exchange",
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/captured", captured, "What partners captured about it",
        "read-record", query=Paged, answer=dict[str, Any], kind=LD,
        answers={400: "There is no such page."}, tag="exchange",
    ),
    Endpoint(
        "GET", "/api/exchange/waiting", waiting, "Captured events that wait for a journey", "see",
        query=Paged, answer=dict[str, Any], kind=LD, answers={400: "There is no such page."},
        tag="exchange",
    ),
    Endpoint(
        "POST", "/api/webhooks", announce, "Be told of the record or of alerts", "administer",
        Announce, answer=dict[str, Any], status=201, answers={400: "The address is none."},
        tag="exchange",
    ),
    Endpoint(
        "GET", "/api/webhooks", hooks, "Webhooks; the dead ones with ?dead=true", "administer",
        query=Which, answer=list[dict[str, Any]], tag="exchange",
    ),
    Endpoint(
        "DELETE", "/api/webhooks/{webhook}", silence, "End a webhook", "administer", status=204,
        tag="exchange",
    ),
    Endpoint(
        "POST", "/api/webhooks/{webhook}/replay", replay, "Revive a webhook", "administer", Replay,
        answer=dict[str, Any], answers={400: "No such position."}, tag="exchange",
    ),
)  # fmt: skip
described = fhir_described.described
