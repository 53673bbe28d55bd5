"""Labels of a journey: print them, say what became of each, see that the counts add up."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.service import labels
from stafett.service.accounts import Person
from stafett.service.labels import Count, Printed, Target
from stafett.service.refusal import No
from stafett.web import language as languages
from stafett.web.administration import Tongue, refusing
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import no_such, page, signed_in
from stafett.web.signin import tower_of

Short = Annotated[str, msgspec.Meta(max_length=100)]
Words = Annotated[str, msgspec.Meta(max_length=500)]
Copies = Annotated[int, msgspec.Meta(ge=1, le=labels.MOST)]


class Print(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Labels to print: for a lot (empty: the journey itself) and one of its identifiers."""

    identifier: Short
    lot: Short = ""
    copies: Copies = 1
    reason: Words = ""


class Sheet(msgspec.Struct, frozen=True):
    """A sheet that was printed: where its two forms are."""

    sheet: str
    pdf: str
    zpl: str


class Fate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of a label; `spoiled` needs a reason."""

    fate: Literal["used", "spoiled"]
    reason: Words = ""


class All(msgspec.Struct, frozen=True):
    """What can be printed, what was, and whether it adds up."""

    targets: list[Target]
    labels: list[Printed]
    count: Count


async def _of(request: Request, person: Person) -> labels.Journey:
    live = await tower_of(request).journeys.see(person, request.path_params["journey"])
    return labels.Journey(live.net, live.state)


async def _all(request: Request, person: Person, language: str) -> All:
    room, journey = tower_of(request).labels, request.path_params["journey"]
    return All(
        labels.targets(await _of(request, person), language),
        await room.of(person.organisation, journey),
        await room.count(person.organisation, journey),
    )


@refusing
async def listed(call: Call[Nothing, Tongue]) -> All:
    """Return the journey's labels, as far as the person's organisation printed them."""
    return await _all(call.request, call.request.state.person, call.query.language)


@refusing
async def print_(call: Call[Print, Nothing]) -> Sheet:
    """Print labels."""
    person, body, journey = call.request.state.person, call.body, call.path["journey"]
    sheet = await tower_of(call.request).labels.print(
        person, await _of(call.request, person), body.lot, body.identifier, body.copies,
        body.reason, languages.of(call.request, person.language),
    )  # fmt: skip
    where = f"/api/journeys/{journey}/labels/sheets/{sheet}"
    return Sheet(sheet, f"{where}/pdf", f"{where}/zpl")


@refusing
async def document(call: Call[Nothing, Nothing]) -> Response:
    """Return a sheet as it was printed."""
    person, form = call.request.state.person, call.path["form"]
    if form not in ("pdf", "zpl"):
        from stafett.service.refusal import unknown

        raise unknown("form", form)
    await _of(call.request, person)
    data = await tower_of(call.request).labels.document(
        person.organisation, call.path["journey"], call.path["sheet"], form
    )
    kind = "application/pdf" if form == "pdf" else "text/plain; charset=utf-8"
    name = f"labels-{call.path['sheet']}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(data, media_type=kind, headers=headers)


@refusing
async def decide(call: Call[Fate, Nothing]) -> None:
    """Say what became of a label."""
    person = call.request.state.person
    await _of(call.request, person)
    await tower_of(call.request).labels.decide(
        person, call.path["journey"], call.path["label"], call.body.fate, call.body.reason
    )


async def labels_page(request: Request) -> Response:
    """Print and reconcile a journey's labels."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    try:
        found = await _all(request, person, languages.of(request, person.language))
    except No as no:
        return await no_such(request, person, no)
    who = {login for one in found.labels for login in (one.person, one.fate_by) if login}
    known = [await tower_of(request).accounts.person(login) for login in sorted(who)]
    return await page(
        request, "labels.html", person, journey=request.path_params["journey"], all=found,
        people={p.id: p.name for p in known if p},
        start={},
    )  # fmt: skip


REFUSED = {409: "It does not fit what is there; the reasons say why."}
ENDPOINTS = (
    Endpoint(
        "GET", "/api/journeys/{journey}/labels", listed, "Labels, and whether they add up", "see",
        query=Tongue, answer=All, tag="labels",
    ),
    Endpoint(
        "POST", "/api/journeys/{journey}/labels", print_, "Print labels", "act", Print,
        answer=Sheet, status=201, tag="labels", answers=REFUSED,
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/labels/sheets/{sheet}/{form}", document,
        "A sheet as PDF or ZPL", "see", answer="application/pdf", tag="labels",
    ),
    Endpoint(
        "POST", "/api/journeys/{journey}/labels/{label}", decide, "Say what became of a label",
        "act", Fate, status=204, tag="labels", answers=REFUSED,
    ),
)  # fmt: skip
ROUTES = [Route("/journeys/{journey}/labels", labels_page)]
