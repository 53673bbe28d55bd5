"""Erasing a patient: who it is, what would be destroyed and what stays, two signatures, the proof.

For administrators of the hospital that enrolled the patient, and for the second person who confirms
what one of them asked for; nobody else finds anybody here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.service import policy
from stafett.service.asked import Basis
from stafett.service.erasing import Prospect, Sought
from stafett.service.keeping import Erased, Erasure
from stafett.service.refusal import No
from stafett.service.request import Signed
from stafett.web import language as languages
from stafett.web.administration import allowed, by_of, refusing
from stafett.web.api import Signing, ask_passkey, site_of, tower_of
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import page
from stafett.web.problem import Part, Problem
from stafett.web.refusals import language_of

MENU = (Line("erasing", "/admin/erasure", "menu.admin", "confirm-erasure"),)
NEWEST = 20


class Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Part of what the hospital knows of the patient; in the body, so that no log has it."""

    patient: Annotated[str, msgspec.Meta(max_length=200)]


class Erase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask that the patient of a journey be erased: on which legal basis, and why.

    `documents` are those that name the patient, by SHA-256: they are erased too. `password` signs,
    or `passkey` answers what `.../signing` gave for the same.
    """

    basis: Basis
    reason: str
    documents: tuple[str, ...] = ()
    password: str | None = None
    passkey: Signed | None = None

    @property
    def asked(self) -> Erasure:
        """What is to be erased, without what signs it."""
        return Erasure(self.basis, self.reason, self.documents)


class Confirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Confirm what somebody else has asked for, whole: `password` signs, or `passkey`."""

    password: str | None = None
    passkey: Signed | None = None


class Withdraw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Take back what was asked, or decline to confirm it, with a reason."""

    reason: str


class AskedFor(msgspec.Struct, frozen=True):
    """It waits for a second person until the moment said; nothing is destroyed before."""

    journey: str
    pseudonym: str
    until: datetime


@refusing
async def search(call: Call[Search, Nothing]) -> list[Sought]:
    """Find patients of the own hospital by what it knows."""
    return await tower_of(call.request).erasing.find(by_of(call), call.body.patient)


@refusing
async def prospect(call: Call[Nothing, Nothing]) -> Prospect:
    """Say what erasing comes to, or that it is done."""
    erasing, language = tower_of(call.request).erasing, language_of(call.request)
    return await erasing.prospect(by_of(call), call.path["journey"], language)


@refusing
async def signing(call: Call[Erase, Nothing]) -> Signing:
    """Return what erasing would sign, and the question to the person's passkey."""
    keeping = tower_of(call.request).keeping
    due = await keeping.signing(by_of(call), call.path["journey"], call.body.asked)
    return await ask_passkey(call.request, by_of(call), due, due.content)


@refusing
async def ask(call: Call[Erase, Nothing]) -> AskedFor:
    """Ask for it; a second person confirms."""
    body, site = call.body, site_of(call.request) if call.body.passkey else None
    made = await tower_of(call.request).keeping.ask(
        by_of(call), call.path["journey"], body.asked, body.password, body.passkey, site
    )
    return AskedFor(made.journey, made.pseudonym, made.until)


@refusing
async def confirm_signing(call: Call[Nothing, Nothing]) -> Signing:
    """Return what confirming would sign, and the question to the person's passkey."""
    due = await tower_of(call.request).keeping.confirm_signing(by_of(call), call.path["journey"])
    return await ask_passkey(call.request, by_of(call), due, due.content)


@refusing
async def confirm(call: Call[Confirm, Nothing]) -> Erased:
    """Destroy the key of a journey's patient in the hospital's vault, and documents on them."""
    body, site = call.body, site_of(call.request) if call.body.passkey else None
    return await tower_of(call.request).keeping.confirm(
        by_of(call), call.path["journey"], body.password, body.passkey, site
    )


@refusing
async def withdraw(call: Call[Withdraw, Nothing]) -> None:
    """Take back what was asked."""
    keeping = tower_of(call.request).keeping
    await keeping.withdraw(by_of(call), call.path["journey"], call.body.reason)


async def search_page(request: Request) -> Response:
    """Find the patient; what waits for a second person; whom the hospital has erased."""
    person = await allowed(request, "confirm-erasure")
    if isinstance(person, Response):
        return person
    tower = tower_of(request)
    return await page(
        request, "erasing_search.html", person, names=await _names(request, person.organisation),
        told=await tower.erasing.told(person, limit=NEWEST),
        waiting=await tower.erasing.waiting(person), finds=policy.allows("erase", person),
    )  # fmt: skip


async def prospect_page(request: Request) -> Response:
    """One patient: everything that there is to know before it is signed, and after."""
    person = await allowed(request, "confirm-erasure")
    if isinstance(person, Response):
        return person
    tower, journey = tower_of(request), request.path_params["journey"]
    try:
        it = await tower.erasing.prospect(person, journey, languages.of(request, person.language))
    except No as no:
        document = Problem(404, no.code, no.title, *(Part(r.field, r.what) for r in no.reasons))
        return await page(request, "problem.html", person, 404, problem=document.document)
    organisations = await tower.accounts.organisations()
    return await page(
        request, "erasing.html", person, it=it, journey=journey,
        names=await _names(request, person.organisation),
        holders=[organisations[id].name for id in it.holders if id in organisations],
        start={
            "journey": journey,
            "name": person.name,
            "waits": bool(it.told) and it.told[0].position is None,
            "confirms": it.waits is not None,
            "own": it.waits is not None and it.waits.person == person.id,
            "passkey": bool(await tower.passkeys.of(person)),
        },
    )  # fmt: skip


async def _names(request: Request, organisation: str) -> dict[str, str]:
    return {p.id: p.name for p in await tower_of(request).accounts.people(organisation)}


REFUSED = {
    403: "It is not your duty, or the signature does not hold.",
    404: "Not a patient of your own hospital.",
    409: "The law asks for the record longer, or it is asked for already.",
    422: "There is no reason, or a document that another journey rests on.",
}
CONFIRMED = {
    403: "It is not your duty, you asked for it yourself, or the signature does not hold.",
    404: "Nobody has asked for it, or it has lapsed.",
    409: "The law asks for the record longer, or somebody was faster.",
}
ONE = "/api/journeys/{journey}/erasure"
ROUTES = (
    Route("/admin/erasure", search_page),
    Route("/admin/erasure/{journey}", prospect_page),
)
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST", "/api/erasures/search", search, "Find a patient of the own hospital's", "erase",
        Search, answer=list[Sought], tag="record",
    ),
    Endpoint(
        "GET", ONE, prospect, "What erasing the patient comes to", "confirm-erasure",
        answer=Prospect, tag="record", answers={404: REFUSED[404]},
    ),
    Endpoint(
        "POST", f"{ONE}/signing", signing, "What a passkey would sign", "erase", Erase,
        answer=Signing, tag="record", answers=REFUSED,
    ),
    Endpoint(
        "POST", ONE, ask, "Ask that the patient of a journey be erased", "erase", Erase,
        answer=AskedFor, tag="record", answers=REFUSED,
    ),
    Endpoint(
        "POST", f"{ONE}/confirmation/signing", confirm_signing,
        "What a second person's passkey would sign", "confirm-erasure", answer=Signing,
        tag="record", answers=CONFIRMED,
    ),
    Endpoint(
        "POST", f"{ONE}/confirmation", confirm, "Erase, as the second person", "confirm-erasure",
        Confirm, answer=Erased, tag="record", answers=CONFIRMED,
    ),
    Endpoint(
        "POST", f"{ONE}/withdrawal", withdraw, "Take back what was asked", "confirm-erasure",
        Withdraw, status=204, tag="record",
        answers={404: CONFIRMED[404], 422: "There is no reason."},
    ),
)  # fmt: skip
