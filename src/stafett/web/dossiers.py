"""One journey for the file: dossier, release view, and the 30-year traceability record."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.exchange.dossier import Dossier
from stafett.exchange.dossier_pdf import WORDS as PAPER_WORDS
from stafett.exchange.release import Release
from stafett.ledger.publish import NotYet
from stafett.service import policy
from stafett.service.accounts import Person
from stafett.service.refusal import No
from stafett.service.tower import Tower
from stafett.service.traceability import Found
from stafett.web import language as languages
from stafett.web import pages
from stafett.web.api import problem, tower_of
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.problem import Part, Problem
from stafett.web.shipments import why

MENU = (Line("trace", "/traceability", "menu.record", may="trace"),)
Language = Annotated[str, msgspec.Meta(pattern="^(en|sv|es)$")]


class Spoken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The language of the texts."""

    language: Language = "en"


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A patient's pseudonym, or an identifier from a product's label: one of the two."""

    patient: Annotated[str, msgspec.Meta(max_length=200)] = ""
    product: Annotated[str, msgspec.Meta(max_length=200)] = ""
    language: Language = "en"


# Which messages say the codes of the record in the PDF.
CODES = {
    "verdict": "verdict.", "result": "station.result.", "severity": "severity.",
    "stage": "work.stage.", "cause": "work.cause.", "disposition": "work.disposition.",
    "finding": "dossier.finding.",
}  # fmt: skip


def paper_words(language: str) -> dict[str, str]:
    """Return the words of the PDF in a language."""
    t = languages.translator(language)
    said = {key: t(f"dossier.{key}") for key in PAPER_WORDS}
    for field, prefix in CODES.items():
        for key, message in languages.words(language).items():
            if key.startswith(prefix):
                said[f"code.{field}.{key.removeprefix(prefix)}"] = message
    return said


def _attached(data: bytes, kind: str, name: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "private, no-store",
    }
    return Response(data, headers=headers, media_type=kind)


async def as_json(call: Call[Nothing, Spoken]) -> Dossier:
    """Give the dossier as JSON."""
    person, tower = call.request.state.person, tower_of(call.request)
    try:
        return await tower.outside.dossiers.of(person, call.path["journey"], call.query.language)
    except No as no:
        raise problem(no) from None


async def as_pdf(call: Call[Nothing, Spoken]) -> Response:
    """Give the dossier as PDF/A-2a."""
    person, tower = call.request.state.person, tower_of(call.request)
    journey, language = call.path["journey"], call.query.language
    try:
        made = await tower.outside.dossiers.pdf(person, journey, paper_words(language), language)
    except No as no:
        raise problem(no) from None
    return _attached(made, "application/pdf", f"{journey}.pdf")


async def as_package(call: Call[Nothing, Spoken]) -> Response:
    """Give the package: dossier, PDF, proof and documents in one zip."""
    person, tower = call.request.state.person, tower_of(call.request)
    journey, language = call.path["journey"], call.query.language
    try:
        made = await tower.outside.dossiers.package(
            person, journey, paper_words(language), language
        )
    except No as no:
        raise problem(no) from None
    except NotYet as error:
        part = Part("journey", str(error), "ask again in a few seconds")
        raise Problem(
            409, "not-yet", "It is recorded and not sealed yet", part, headers={"Retry-After": "2"}
        ) from None
    return _attached(made, "application/zip", f"{journey}.zip")


async def release(call: Call[Nothing, Spoken]) -> tuple[Release, ...]:
    """Say of each certification what blocks, what is open, and on which evidence it rests."""
    person, tower = call.request.state.person, tower_of(call.request)
    try:
        return await tower.outside.dossiers.release(
            person, call.path["journey"], call.query.language
        )
    except No as no:
        raise problem(no) from None


async def trace(call: Call[Nothing, Wanted]) -> Found:
    """Search the traceability record."""
    person, wanted = call.request.state.person, call.query
    try:
        return await tower_of(call.request).outside.traceability.find(
            person, wanted.patient, wanted.product, wanted.language
        )
    except No as no:
        raise problem(no) from None


# -- pages ---------------------------------------------------------------------------------------


def _spoken(request: Request, person: Person) -> str:
    return languages.of(request, person.language)


async def release_page(request: Request) -> Response:
    """The release view of a journey."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    tower: Tower = request.app.state.tower
    journey = request.path_params["journey"]
    try:
        found = await tower.outside.dossiers.release(person, journey, _spoken(request, person))
        live = await tower.journeys.see(person, journey)
        travelled = await tower.conditions.of_journey(person, live)
    except No as no:
        return await pages.no_such(request, person, no)
    language = _spoken(request, person)
    t = languages.translator(language)
    judged: dict[tuple[str, str], list[str]] = {}
    for seen in travelled:
        said = [f"{f['sign']} {f['what']}" for f in why(seen, t, language) if f["verdict"] != "ok"]
        verdict = seen.judgement.verdict if seen.judgement.readings else "unknown"
        judged.setdefault((seen.shipment.lot, verdict), []).extend(said)
    names = {o.id: o.name for o in (await tower.accounts.organisations()).values()}
    signatures = await tower.record.signatures(live.state.journey, person.organisation)
    return await pages.page(
        request, "release.html", person, start=await pages.start_of(request, person),
        releases=found, state=live.state, net=live.net, names=names, row=tower.board.current(live),
        judged=judged, who=await pages.people_of(tower, person, signatures),
    )  # fmt: skip


async def trace_page(request: Request) -> Response:
    """The traceability record: one field each way."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    if not policy.allows("trace", person):
        no = No("wrong-role", "This is for those who answer for traceability")
        return await pages.no_such(request, person, no)
    patient = request.query_params.get("patient", "")[:200]
    product = request.query_params.get("product", "")[:200]
    found = refused = None
    if (patient or product) and "\x00" not in patient + product:
        tower: Tower = request.app.state.tower
        try:
            found = await tower.outside.traceability.find(
                person, patient, product, _spoken(request, person)
            )
        except No as no:
            refused = no
    return await pages.page(
        request, "traceability.html", person, 422 if refused else 200, found=found,
        refused=refused, patient=patient, product=product,
    )  # fmt: skip


ROUTES = (
    Route("/journeys/{journey}/release", release_page),
    Route("/traceability", trace_page),
)
NOT_YET = {409: "Recorded, and not sealed yet."}
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/api/journeys/{journey}/dossier", as_json, "A journey's dossier", "read-record",
        query=Spoken, answer=Dossier, tag="exchange",
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/dossier.pdf", as_pdf, "The dossier as PDF/A-2a",
        "read-record", query=Spoken, answer="application/pdf", tag="exchange",
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/dossier.zip", as_package,
        "The dossier as a package with its proof and documents", "read-record", query=Spoken,
        answer="application/zip", answers=NOT_YET, tag="exchange",
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/release", release,
        "What blocks the certification, what is open, what was certified on which evidence",
        "read-record", query=Spoken, answer=tuple[Release, ...], tag="exchange",
    ),
    Endpoint(
        "GET", "/api/traceability", trace,
        "The 30-year record: a patient's products, or a product's patient and hospital", "trace",
        query=Wanted, answer=Found, tag="exchange",
    ),
)  # fmt: skip
