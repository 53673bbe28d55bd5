"""Protocols in force, and the way another one is admitted: proven first. API and page."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.service.admission import Differs, Found, Proved
from stafett.web import language as languages
from stafett.web import refusals
from stafett.web.administration import (
    REASON,
    Because,
    Tongue,
    allowed,
    by_of,
    refusing,
)
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import page, role_titles
from stafett.web.signin import tower_of


class InForce(msgspec.Struct, frozen=True):
    """A protocol in force for new journeys, and its versions in the library.

    `shipped` is another version that this release brings and nobody has admitted.
    """

    name: str
    version: str
    sha256: str
    versions: list[str]
    shipped: str | None = None


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reason, beside a body that is a file; `back` to a version lower than the one in force."""

    reason: Because
    back: bool = False


@refusing
async def in_force(call: Call[Nothing, Nothing]) -> list[InForce]:
    """Return the protocols in force."""
    return current(call.request)


def current(request: Request) -> list[InForce]:
    """Return the protocols in force."""
    library = tower_of(request).library
    return [
        InForce(
            p.name, p.version, p.sha256, sorted(library.versions(p.name)), library.shipped(p.name)
        )
        for p in library.current().values()
    ]


@refusing
async def prove(call: Call[bytes, Tongue]) -> Proved:
    """Prove a protocol file; nothing is kept."""
    language = call.query.language if call.query.language in languages.LANGUAGES else "en"
    proved = await tower_of(call.request).admission.prove(call.body, language)
    findings = [_said(one, language) for one in proved.findings]
    differs = [
        Differs(one.role, *(refusals.change_said(x, language) for x in (one.where, one.what)))
        for one in proved.differs
    ]
    return msgspec.structs.replace(proved, findings=findings, differs=differs)


def _said(found: Found, language: str) -> Found:
    """Say a finding in `language`; the code and the names stay."""
    what = refusals.of_part_said(found.what, language)
    trace = [refusals.move_said(move, language) for move in found.trace]
    for move, said in zip(found.trace, trace, strict=True):
        what = what.replace(move, said)
    return msgspec.structs.replace(
        found,
        title=refusals.said(found.title, language),
        what=what,
        why=refusals.said(found.why, language),
        mend=refusals.said(found.mend, language),
        trace=trace,
    )


@refusing
async def admit(call: Call[bytes, Told]) -> Proved:
    """Put a proven protocol in force."""
    asked = call.query
    admission = tower_of(call.request).admission
    return await admission.admit(by_of(call), call.body, asked.reason, back=asked.back)


async def protocols_page(request: Request) -> Response:
    """The protocols in force, and the way to admit another."""
    person = await allowed(request, "operate")
    if isinstance(person, Response):
        return person
    library = tower_of(request).library
    return await page(
        request, "admin_protocols.html", person, protocols=current(request),
        titles={p.name: p.document.value["title"] for p in library.current().values()},
        start={
            "language": languages.of(request, person.language),
            "role_titles": role_titles(request),
        },
    )  # fmt: skip


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/api/admin/protocols", in_force, "The protocols in force", "operate",
        answer=list[InForce], tag="administration",
    ),
    Endpoint(
        "POST", "/api/admin/protocols/proof", prove, "Prove a protocol file", "operate", bytes,
        Tongue, Proved, tag="administration",
    ),
    Endpoint(
        "POST", "/api/admin/protocols", admit, "Admit a proven protocol", "operate", bytes,
        Told, Proved, 201, tag="administration", answers=REASON,
    ),
)  # fmt: skip
MENU = (Line("admin.protocols", "/admin/protocols", "menu.admin", "operate"),)
ROUTES = [
    Route("/admin/protocols", protocols_page),
]
