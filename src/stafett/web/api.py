"""The API: one table of endpoints. Handlers are thin: what they do is in `stafett.service`."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stafett.identity import keyboard
from stafett.identity.errors import IdentifierError
from stafett.journey.view import Station, station
from stafett.service.accounts import Person
from stafett.service.board import Row
from stafett.service.health import Health
from stafett.service.health import health as look_at_health
from stafett.service.passkeys import PasskeyRefused, Site
from stafett.service.record import Entry
from stafett.service.recording import Done
from stafett.service.refusal import No
from stafett.service.request import Ask, Order
from stafett.service.signatures import Checked
from stafett.service.signing import ToSign
from stafett.service.tower import Tower
from stafett.web import naming, refusals, sse
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.problem import Part, Problem

STATUS = {
    "unknown": 404,
    "wrong-role": 403,
    "wrong-organisation": 403,
    "key-reused": 422,
    "unknown-name": 422,
    "bad-value": 422,
    "label-elsewhere": 409,
    "bad-time": 422,
    "file-unreadable": 422,
    "not-recordable": 422,
    "unreadable-scan": 422,
    "network": 422,
    "signature": 403,
    "wrong-person": 403,
    "not-acknowledged": 503,
    "busy": 503,
    "clock-wrong": 503,
    "competence": 403,
    "reason-missing": 422,
    "taken": 409,
    "lower-version": 409,
    "lead-time": 422,
}


class Rows(msgspec.Struct, frozen=True):
    """The board: every row, as of `position` in the record."""

    position: int
    rows: list[Row]


class Since(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From which position on."""

    after: int = 0


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For a decision: what it is about. The language of the texts."""

    about: str = ""
    language: Literal["en", "sv", "es"] = "en"


class Within(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The journey that a document is opened as a part of."""

    journey: Annotated[str, msgspec.Meta(max_length=100)] = ""


class ProtocolLine(msgspec.Struct, frozen=True):
    """A protocol that journeys can be opened under."""

    name: str
    version: str
    sha256: str
    title: Any
    products: list[str]


class Signing(msgspec.Struct, frozen=True):
    """What a passkey is asked to sign: its meaning, the moment, the bytes, WebAuthn's options.

    `content` are the bytes themselves (of an act that makes an event: the event's own); their
    SHA-256, `digest` in hexadecimal, is the challenge. Within five minutes, and while the journey
    stands where it stood: send the same act again with the passkey's answer and `signed_at` = `at`.
    """

    meaning: str
    at: datetime
    content: str
    digest: str
    options: Any


class Stored(msgspec.Struct, frozen=True):
    """A document that was stored: its content address."""

    sha256: str
    bytes: int


class DeviceKey(msgspec.Struct, frozen=True):
    """The key, in base64: the same at every sign-in of this person."""

    key: bytes


class SelfTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What arrived when the self-test symbol was scanned."""

    typed: Annotated[str, msgspec.Meta(max_length=200)]


class Sealed(msgspec.Struct, frozen=True):
    """How much of the record the newest signed checkpoint covers."""

    sealed: int


def problem(no: No) -> Problem:
    """Return the problem document for a refusal of the service."""
    parts = tuple(Part(r.field, r.what, r.todo) for r in no.reasons)
    headers = {"Retry-After": "1"} if STATUS.get(no.code) == 503 else None
    return Problem(STATUS.get(no.code, 409), no.code, no.title, *parts, headers=headers)


def tower_of(request: Request) -> Tower:
    """Return the use cases of this application."""
    tower: Tower = request.app.state.tower
    return tower


async def protocols(call: Call[Nothing, Nothing]) -> list[ProtocolLine]:
    """List the protocols."""
    return [
        ProtocolLine(
            p.name, p.version, p.sha256, p.document.value.get("title"), list(p.document.products)
        )
        for p in tower_of(call.request).library.current().values()
    ]


async def networks(call: Call[Nothing, Nothing]) -> dict[str, dict[str, str]]:
    """List the networks that the person's organisation is part of."""
    every = await tower_of(call.request).networks.all()
    own = call.request.state.person.organisation
    return {name: parties for name, parties in every.items() if own in parties.values()}


async def order(call: Call[Order, Nothing]) -> Done:
    """Open a journey."""
    try:
        return await tower_of(call.request).journeys.order(call.request.state.person, call.body)
    except No as no:
        raise problem(no) from None


async def submit(call: Call[Ask, Nothing]) -> Done:
    """Carry out one command."""
    try:
        return await tower_of(call.request).journeys.submit(
            call.request.state.person,
            call.path["journey"],
            call.body,
            site_of(call.request) if call.body.proof else None,
        )
    except No as no:
        raise problem(no) from None


async def signing(call: Call[Ask, Nothing]) -> Signing:
    """Return what would be signed, and the question to the passkey of whoever signs."""
    tower, person = tower_of(call.request), call.request.state.person
    try:
        signer, due, content = await tower.journeys.signing(person, call.path["journey"], call.body)
    except No as no:
        raise problem(no) from None
    return await ask_passkey(call.request, signer, due, content)


async def ask_passkey(request: Request, signer: Person, due: ToSign, content: bytes) -> Signing:
    """Return what `signer` would sign, and the question to their passkey. Raises Problem."""
    digest = hashlib.sha256(content).digest()
    tower, site = tower_of(request), site_of(request)
    try:
        if site is None:
            raise PasskeyRefused("browsers allow no passkeys at this address")
        options = await tower.passkeys.ask_signature(signer, digest, site)
    except PasskeyRefused as error:
        raise Problem(409, "no-passkey", "No passkey", Part("passkey", str(error))) from None
    options_ = msgspec.Raw(options.encode())
    return Signing(due.meaning, due.at, content.decode(), digest.hex(), options_)


def site_of(request: Request) -> Site | None:
    """Return where the browser is, as passkeys see it; None where they cannot be used."""
    try:
        return Site.of(str(request.base_url))
    except PasskeyRefused:
        return None


async def outcome(call: Call[Nothing, Nothing]) -> Done:
    """Say what an act came to whose answer was lost."""
    try:
        return await tower_of(call.request).journeys.outcome(
            call.request.state.person, call.path["journey"], call.path["key"]
        )
    except No as no:
        raise problem(no) from None


async def device_key(call: Call[Nothing, Nothing]) -> DeviceKey:
    """Give the person's browser the key under which it keeps what is not shared yet."""
    key = await tower_of(call.request).vault.device_key(call.request.state.person.id)
    return DeviceKey(key)


async def self_test(call: Call[SelfTest, Nothing]) -> None:
    """Check what a scanner made of the self-test symbol."""
    try:
        keyboard.self_test(call.body.typed)
    except IdentifierError as error:
        part = Part("typed", error.what, error.todo)
        raise Problem(422, "scanner", "The scanner is not set up rightly", part) from None


async def rows(call: Call[Nothing, Nothing]) -> Rows:
    """Return the board."""
    board = tower_of(call.request).board
    await board.ready.wait()
    await board.heard()
    return Rows(board.position, board.of(call.request.state.person.organisation))


async def row(call: Call[Nothing, Nothing]) -> Row:
    """Return one journey's row."""
    try:
        tower = tower_of(call.request)
        live = await tower.journeys.see(call.request.state.person, call.path["journey"])
    except No as no:
        raise problem(no) from None
    await tower.board.heard()
    return tower.board.current(live)


async def record(call: Call[Nothing, Since]) -> list[Entry]:
    """Return a journey's events, as the record holds them."""
    tower = tower_of(call.request)
    person = call.request.state.person
    try:
        await tower.journeys.see(person, call.path["journey"])
    except No as no:
        raise problem(no) from None
    return await tower.record.entries(
        call.path["journey"], person.organisation, after=max(0, call.query.after)
    )


async def signatures(call: Call[Nothing, Nothing]) -> list[Checked]:
    """Return the journey's signatures, each computed again from the record."""
    tower, person = tower_of(call.request), call.request.state.person
    try:
        await tower.journeys.see(person, call.path["journey"])
    except No as no:
        raise problem(no) from None
    return await tower.record.signatures(call.path["journey"], person.organisation)


async def station_view(call: Call[Nothing, About]) -> Station:
    """Return what a station shows: blind for the receiver."""
    tower = tower_of(call.request)
    person = call.request.state.person
    try:
        live = await tower.journeys.see(person, call.path["journey"])
    except No as no:
        raise problem(no) from None
    try:
        found = station(
            live.net,
            live.state,
            call.path["activity"],
            call.path["side"],  # type: ignore[arg-type]
            call.query.language,
            about=call.query.about,
            at=datetime.now().astimezone(),
        )
    except LookupError as error:
        part = Part("activity", str(error))
        raise Problem(404, "unknown", "There is no such station", part) from None
    names = naming.names_of(live.net, call.query.language)
    blocked = refusals.all_said(found.blocked, call.query.language, names)
    return msgspec.structs.replace(found, blocked=blocked)


async def put_document(call: Call[bytes, Nothing]) -> Stored:
    """Store a document for the person's organisation; attach it by its hash."""
    data = call.body
    if not data:
        raise Problem(422, "empty", "The document is empty", Part("", "0 bytes", "choose a file"))
    kind = call.request.headers.get("content-type", "application/octet-stream")
    person = call.request.state.person
    sha256 = await tower_of(call.request).documents.put(data, kind, person.organisation)
    return Stored(sha256, len(data))


async def get_document(call: Call[Nothing, Within]) -> Response:
    """Return a document's bytes, re-hashed; the look is noted."""
    tower, person = tower_of(call.request), call.request.state.person
    try:
        kind, data = await tower.papers.open(person, call.path["sha256"], call.query.journey)
    except No as no:
        raise problem(no) from None
    assert hashlib.sha256(data).hexdigest() == call.path["sha256"]
    headers = {"Content-Disposition": "attachment", "Cache-Control": "private, max-age=31536000"}
    return Response(data, media_type=kind, headers=headers)


async def stream(call: Call[Nothing, Since]) -> Response:
    """Follow the board: a `row` event for each change, with the position as its id."""
    board = tower_of(call.request).board
    person = call.request.state.person
    resumed = call.request.headers.get("last-event-id", "")
    after = int(resumed) if resumed.isdigit() else call.query.after

    async def events() -> AsyncGenerator[bytes, None]:
        beat = Sealed(await tower_of(call.request).record.sealed())
        yield sse.OPENING + sse.event("beat", msgspec.json.encode(beat))
        async for rows in board.follow(after, person.organisation, sse.BEAT_S):
            if rows is None:
                beat = Sealed(await tower_of(call.request).record.sealed())
                yield sse.event("beat", msgspec.json.encode(beat))
                continue
            data = (sse.event("row", board.encoded(row), row.position) for row in rows)
            yield b"".join(data)

    return sse.response(call.request, events())


async def health(call: Call[Nothing, Nothing]) -> Health | Response:
    """Say whether this process can serve, and what of its own work fails."""
    found = await look_at_health(tower_of(call.request))
    if found.ready:
        return found
    headers = {"Cache-Control": "no-store", "Retry-After": "2"}
    return Response(msgspec.json.encode(found), 503, headers, "application/json")


UNWELL = {503: "It cannot serve now; the body says what fails, or that the database is away."}
REFUSED = {409: "The protocol or the state of the journey does not permit it; the reasons say why."}
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/protocols", protocols, "Protocols", "see", answer=list[ProtocolLine]),
    Endpoint("GET", "/api/networks", networks, "Networks", "see", answer=dict[str, dict[str, str]]),
    Endpoint("GET", "/api/journeys", rows, "The board", "see", answer=Rows),
    Endpoint(
        "POST", "/api/journeys", order, "Order: open a journey", "order", Order, answer=Done,
        status=201, answers=REFUSED,
    ),
    Endpoint("GET", "/api/journeys/{journey}", row, "One journey's row", "see", answer=Row),
    Endpoint(
        "POST", "/api/journeys/{journey}/commands", submit, "Act on a journey", "act", Ask,
        answer=Done, answers={**REFUSED, 503: "The record could not be reached; send it again."},
        short=True,
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/signatures", signatures, "Signatures, verified again",
        "read-record", answer=list[Checked], tag="signatures",
    ),
    Endpoint(
        "POST", "/api/journeys/{journey}/signing", signing, "What a passkey would sign", "act", Ask,
        answer=Signing, answers=REFUSED, tag="signatures",
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/acts/{key}", outcome, "What an act came to", "see",
        answer=Done,
    ),
    Endpoint(
        "GET", "/api/device-key", device_key, "The key of a device", "see", answer=DeviceKey,
        tag="session",
    ),
    Endpoint(
        "POST", "/api/scanner/self-test", self_test, "Check a scanner", "see", SelfTest,
        status=204, tag="stations",
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/events", record, "A journey's record", "read-record",
        query=Since, answer=list[Entry],
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/stations/{activity}/{side}", station_view,
        "What a station shows", "see", query=About, answer=Station,
    ),
    Endpoint(
        "POST", "/api/documents", put_document, "Store a document", "store", bytes, answer=Stored,
        status=201, tag="documents",
    ),
    Endpoint(
        "GET", "/api/documents/{sha256}", get_document, "A document", "see", query=Within,
        answer="application/octet-stream", tag="documents",
    ),
    Endpoint("GET", "/api/stream", stream, "Follow the board", "see", query=Since,
             answer="text/event-stream"),
    Endpoint("GET", "/api/health", health, "Health", "anyone", answer=Health, tag="service",
             answers=UNWELL),
)  # fmt: skip
