"""Shipments and loggers: the API, and the way in for readings over HTTP."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stafett.service.accounts import Person
from stafett.service.conditions import Seen
from stafett.service.live import Live
from stafett.service.loggers import Id, Logger, Registered
from stafett.service.refusal import No
from stafett.service.tower import Tower
from stafett.watch.shipment import Shipment
from stafett.web import language as languages
from stafett.web import sse
from stafett.web.api import problem, tower_of
from stafett.web.chart import chart
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.problem import Part, Problem

NDJSON = "application/x-ndjson"
MOST_LINES = 500


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A logger of one's own organisation. `renew` asks for a new key.

    `live`: it sends on its way; false for one that stores and is read as a file after arrival.
    """

    number: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    model: Annotated[str, msgspec.Meta(max_length=100)] = ""
    calibrated_until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    renew: bool = False
    live: bool = True


class Placing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a logger is fixed: a place of a role that its organisation plays.

    No `place`: it stands in none any more. `since`: a moment that has been; without it, now.
    """

    place: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    role: Annotated[str, msgspec.Meta(max_length=100)] = ""
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Stood(msgspec.Struct, frozen=True):
    """Where one of the organisation's loggers stands or stood; `until` is None while it does."""

    number: str
    role: str
    place: str
    since: datetime
    until: datetime | None


class Kept(msgspec.Struct, frozen=True):
    """What became of the chunks: all are durable and in the record; `known` were there before."""

    chunks: int
    readings: int
    known: int


class Told(msgspec.Struct, frozen=True):
    """One finding, as the judgement has it. Times are ISO 8601."""

    kind: str
    verdict: str
    since: datetime
    until: datetime
    value: float


class ShipmentRow(msgspec.Struct, frozen=True):
    """A shipment: what it is, where it is, and what its conditions say.

    `place`: it stands there, and the logger of the place tells of it; its `lot` ends in which stay.
    `verdict` is None until this process has looked at it. Exposure is in seconds outside the
    limits: `most_s` adds what is not known.
    """

    journey: str
    lot: str
    logger: str | None
    shipper: str | None
    since: datetime
    until: datetime | None
    holder: str | None
    verdict: str | None = None
    low_c: float | None = None
    high_c: float | None = None
    latest_c: float | None = None
    latest_at: datetime | None = None
    coldest_c: float | None = None
    warmest_c: float | None = None
    mean_kinetic_c: float | None = None
    least_s: float = 0.0
    most_s: float = 0.0
    hold_left_least_s: float | None = None
    hold_left_most_s: float | None = None
    readings: int = 0
    findings: tuple[Told, ...] = ()
    place: str | None = None


class Report(msgspec.Struct, frozen=True):
    """The stored series as the logger's report: attach `sha256` with these fields."""

    sha256: str
    fields: dict[str, str]


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _row(shipment: Shipment, seen: Seen | None) -> ShipmentRow:
    holder = shipment.legs[-1].organisation if shipment.legs else None
    row = ShipmentRow(
        shipment.journey, shipment.lot, shipment.logger, shipment.shipper, shipment.since,
        shipment.until, holder, place=shipment.place,
    )  # fmt: skip
    if seen is None:
        return row
    made = seen.judgement
    return msgspec.structs.replace(
        row,
        verdict=made.verdict,
        low_c=seen.rules.limit.low_c,
        high_c=seen.rules.limit.high_c,
        latest_c=made.latest,
        latest_at=_moment(made.latest_at) if made.latest_at else None,
        coldest_c=made.coldest,
        warmest_c=made.warmest,
        mean_kinetic_c=made.mean_kinetic,
        least_s=made.exposure.least_s,
        most_s=made.exposure.most_s,
        hold_left_least_s=made.hold.left_least_s if made.hold else None,
        hold_left_most_s=made.hold.left_most_s if made.hold else None,
        readings=made.readings,
        findings=tuple(
            Told(f.kind, f.verdict, _moment(f.since), _moment(f.until), f.value)
            for f in made.findings
        ),
    )


async def find(request: Request, person: Person) -> tuple[Live, Seen]:
    """Return the journey and the shipment that the path names; a problem if it is not theirs."""
    path = request.path_params
    tower = tower_of(request)
    try:
        live = await tower.journeys.see(person, path["journey"])
        lot = f"{path['material']}/{path['number']}"
        return live, await tower.conditions.see(person, path["journey"], lot)
    except No as no:
        raise problem(no) from None


# -- readings come in --------------------------------------------------------------------------


async def proven(call: Call[Any, Any]) -> Id:
    """Return the logger that the path names; a problem if the caller does not have its key."""
    id = Id(call.path["organisation"], call.path["number"])
    scheme, _, key = call.request.headers.get("authorization", "").partition(" ")
    loggers = tower_of(call.request).loggers
    if scheme.lower() != "bearer" or not await loggers.proves(id, key.strip()):
        raise Problem(
            401,
            "not-this-logger",
            "The key is not this logger's",
            Part("Authorization", "no valid key", "send `Authorization: Bearer KEY`"),
            headers={"WWW-Authenticate": "Bearer"},
        )
    return id


async def put_readings(call: Call[bytes, Nothing]) -> Kept:
    """Take one chunk (JSON or binary) or several (a JSON chunk on each line)."""
    tower = tower_of(call.request)
    id = await proven(call)
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    parts = [line for line in call.body.split(b"\n") if line.strip()]
    if kind != NDJSON:
        parts = [call.body]
    if len(parts) > MOST_LINES:
        part = Part("", f"{len(parts)} chunks", f"send at most {MOST_LINES} at a time")
        raise Problem(413, "too-large", "Too many chunks at once", part)
    try:
        tower.intake.allow(id, len(parts))
        chunks = []
        for n, payload in enumerate(parts, 1):
            try:
                chunks.append(tower.intake.check(id, payload))
            except No as no:
                reasons = [Part(f"{n}/{r.field}", r.what, r.todo) for r in no.reasons]
                raise Problem(422, no.code, no.title, *reasons) from None
        taken = [
            await tower.intake.take(id, chunk, payload, "http")
            for chunk, payload in zip(chunks, parts, strict=True)
        ] if len(parts) == 1 else await _together(tower, id, chunks, parts)  # fmt: skip
    except No as no:
        status = {"too-many": 429, "not-acknowledged": 503}.get(no.code, 422)
        reasons = [Part(r.field, r.what, r.todo) for r in no.reasons]
        headers = {"Retry-After": "5"} if status in (429, 503) else None
        raise Problem(status, no.code, no.title, *reasons, headers=headers) from None
    return Kept(len(taken), sum(len(c) for c in chunks), sum(one.again for one in taken))


async def _together(tower: Tower, id: Id, chunks: list[Any], parts: list[bytes]) -> list[Any]:
    import asyncio

    made = (
        tower.intake.take(id, chunk, payload, "http")
        for chunk, payload in zip(chunks, parts, strict=True)
    )
    return list(await asyncio.gather(*made))


# -- loggers -----------------------------------------------------------------------------------


async def register(call: Call[Registration, Nothing]) -> Registered:
    """Register a logger of one's own organisation; its key is told once."""
    tower = tower_of(call.request)
    body = call.body
    try:
        found = await tower.loggers.register(
            call.request.state.person, body.number, body.model, body.calibrated_until,
            renew=body.renew, live=body.live,
        )  # fmt: skip
    except No as no:
        raise problem(no) from None
    await tower.conditions.rebind()
    return found


async def loggers(call: Call[Nothing, Nothing]) -> list[Logger]:
    """List the organisation's own loggers."""
    return await tower_of(call.request).loggers.of(call.request.state.person.organisation)


async def place(call: Call[Placing, Nothing]) -> Stood | None:
    """Fix a logger of one's own organisation to a place, or take it away."""
    tower, body = tower_of(call.request), call.body
    person, number = call.request.state.person, call.path["number"]
    try:
        if body.place is None:
            await tower.stands.take_away(person, number)
            found = None
        else:
            found = await tower.stands.place(person, number, body.role, body.place, body.since)
    except No as no:
        raise problem(no) from None
    await tower.conditions.rebind()
    return found and Stood(found.number, found.role, found.place, found.since, found.until)


async def places(call: Call[Nothing, Nothing]) -> list[Stood]:
    """List where the organisation's own loggers stand and have stood, the latest first."""
    own = call.request.state.person.organisation
    return [
        Stood(one.number, one.role, one.place, one.since, one.until)
        for one in reversed(await tower_of(call.request).stands.all())
        if one.organisation == own
    ]


# -- shipments ---------------------------------------------------------------------------------


async def shipment_rows(call: Call[Nothing, Nothing]) -> list[ShipmentRow]:
    """List the shipments of the organisation's journeys, those on their way first."""
    watch = tower_of(call.request).conditions
    found = watch.of(call.request.state.person.organisation)
    return [_row(one, watch.latest(one)) for one in found[:500]]


async def shipment_row(call: Call[Nothing, Nothing]) -> ShipmentRow:
    """Give one shipment with its findings, judged now."""
    _, seen = await find(call.request, call.request.state.person)
    return _row(seen.shipment, seen)


async def readings_csv(call: Call[Nothing, Nothing]) -> Response:
    """Give a shipment's readings as a table; `believed` is no where one is doubted."""
    _, seen = await find(call.request, call.request.state.person)
    name = f"{seen.shipment.id.replace('/', '-')}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(as_csv(seen), media_type="text/csv", headers=headers)


def as_csv(seen: Seen) -> bytes:
    """Write the series: UTC times, one column a channel, empty where nothing was told."""
    series, out = seen.series, io.StringIO()
    names = list(series.channels)
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180
    writer.writerow(["time", *names, "believed"])
    for i, at in enumerate(series.times):
        told = [series.channels[name][i] for name in names]
        doubted = bool(
            math.isnan(seen.judgement.believed[i]) and not math.isnan(series.of("temperature_c")[i])
        )
        moment = _moment(float(at)).isoformat(timespec="milliseconds")
        values = ["" if math.isnan(v) else f"{v:.5f}".rstrip("0").rstrip(".") for v in told]
        writer.writerow([moment, *values, "no" if doubted else "yes"])
    return out.getvalue().encode()


async def chart_svg(call: Call[Nothing, Nothing]) -> Response:
    """Give a shipment's chart, to keep or to print."""
    person = call.request.state.person
    _, seen = await find(call.request, person)
    language = languages.of(call.request, person.language)
    picture = str(chart(seen, languages.translator(language), language))
    styled = picture.replace("<defs>", f"<style>{PLAIN}</style><defs>", 1)
    name = f"{seen.shipment.id.replace('/', '-')}.svg"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(styled.encode(), media_type="image/svg+xml", headers=headers)


PLAIN = (
    "text{font:12px sans-serif;fill:#16191d}.soft{fill:#4b5563}.tick{stroke:#c9ced6}"
    ".curve{fill:none;stroke:#1f4f8f;stroke-width:1.6}.limit{stroke:#b3121d;stroke-dasharray:6 3}"
    ".hatch{stroke:#b3121d;stroke-width:2;opacity:.45}.dot{fill:#4b5563}"
    ".doubted{fill:none;stroke:#8a4b00}.now{stroke:#b3121d}.mark{stroke:#8a4b00}"
)


async def report(call: Call[Nothing, Nothing]) -> Report:
    """Keep the series as the logger's report, to be attached at the handoff."""
    person = call.request.state.person
    _, seen = await find(call.request, person)
    made = seen.judgement
    if made.coldest is None or made.warmest is None:
        part = Part("readings", "there is no reading that can be believed", "import the logger")
        raise Problem(409, "no-readings", "There is nothing to report", part)
    tower = tower_of(call.request)
    sha256 = await tower.documents.put(as_csv(seen), "text/csv", person.organisation)
    await tower.documents.share(sha256, sorted(seen.shipment.readers))
    fields = {
        "minimum_c": f"{made.coldest:.1f}",
        "maximum_c": f"{made.warmest:.1f}",
        "started": _moment(float(seen.series.times[0])).isoformat(),
        "stopped": _moment(float(seen.series.times[-1])).isoformat(),
    }
    return Report(sha256, fields)


async def shipment_stream(call: Call[Nothing, Nothing]) -> Response:
    """Follow the shipments: a `shipment` event, with its id, whenever one was looked at."""
    watch = tower_of(call.request).conditions
    person = call.request.state.person

    async def events() -> AsyncGenerator[bytes, None]:
        yield sse.OPENING + sse.event("beat", b"{}")
        async for id in watch.follow(person.organisation, sse.BEAT_S):
            if id is None:
                yield sse.event("beat", b"{}")
            else:
                yield sse.event("shipment", msgspec.json.encode({"id": id}))

    return sse.response(call.request, events())


_ONE = "/api/shipments/{journey}/{material}/{number}"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST", "/api/loggers/{organisation}/{number}/readings", put_readings,
        "Take readings from a logger (with its key)", "anyone", bytes, answer=Kept, status=201,
        answers={401: "The key is not this logger's.", 429: "It sends too much; keep the chunk.",
                 503: "Not kept; send it again."},
        tag="conditions", paced=False,
    ),
    Endpoint("GET", "/api/loggers", loggers, "Own loggers", "see", answer=list[Logger],
             tag="conditions"),
    Endpoint("POST", "/api/loggers", register, "Register a logger", "register-logger",
             Registration, answer=Registered, status=201, tag="conditions"),
    Endpoint("GET", "/api/loggers/places", places, "Where own loggers stand", "see",
             answer=list[Stood], tag="conditions"),
    Endpoint("POST", "/api/loggers/{number}/place", place, "Fix a logger to a place",
             "register-logger", Placing, answer=Stood | None, tag="conditions"),
    Endpoint("GET", "/api/shipments", shipment_rows, "Shipments", "see",
             answer=list[ShipmentRow], tag="conditions"),
    Endpoint("GET", "/api/shipments/stream", shipment_stream, "Follow the shipments", "see",
             answer="text/event-stream", tag="conditions"),
    Endpoint("GET", _ONE, shipment_row, "One shipment's conditions", "see", answer=ShipmentRow,
             tag="conditions"),
    Endpoint("GET", f"{_ONE}/readings.csv", readings_csv, "A shipment's readings", "see",
             answer="text/csv", tag="conditions"),
    Endpoint("GET", f"{_ONE}/chart.svg", chart_svg, "A shipment's chart", "see",
             answer="image/svg+xml", tag="conditions"),
    Endpoint("POST", f"{_ONE}/report", report, "Keep the series as the logger's report", "act",
             answer=Report, status=201, tag="conditions",
             answers={409: "There is no reading to report."}),
)  # fmt: skip
