"""What the pages and API of administration have in common: reasons, who may, how a no is told.

The rooms are people, places, protocols, providers and keys. Their pages are forms that the script
`admin.js` sends to the very API.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stafett.service import policy
from stafett.service.accounts import Person
from stafett.service.refusal import No
from stafett.web import language as languages
from stafett.web.api import problem
from stafett.web.endpoint import Call, Endpoint
from stafett.web.pages import page, signed_in
from stafett.web.problem import Part, Problem

Short = Annotated[str, msgspec.Meta(max_length=100)]
Because = Annotated[str, msgspec.Meta(min_length=4, max_length=500)]
Names = list[Short]
Handler = Callable[[Call[Any, Any]], Awaitable[Any]]
REASON = {409: "It does not fit what is there; the reasons say why."}


class Why(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why this is done: it stands in the audit trail."""

    reason: Because


class Tongue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The language of the texts."""

    language: Short = "en"


def refusing(handler: Handler) -> Handler:
    """Turn the refusals of the service, and wrong values, into problem documents."""

    @wraps(handler)
    async def handle(call: Call[Any, Any]) -> Any:
        try:
            return await handler(call)
        except No as no:
            raise problem(no) from None
        except ValueError as error:
            part = Part("", str(error))
            raise Problem(422, "bad-value", "That does not fit", part) from None

    return handle


def by_of(call: Call[Any, Any]) -> Person:
    """Return who makes the change."""
    person: Person = call.request.state.person
    return person


async def allowed(request: Request, line: str) -> Person | Response:
    """Return who is signed in and may do what `line` says; else the way in, or the refusal."""
    person = await signed_in(request)
    if isinstance(person, Response) or policy.allows(line, person):
        return person
    words = languages.words(languages.of(request, person.language))
    duties = " / ".join(words.get(f"duty.{duty}", duty) for duty in policy.TABLE[line])
    what = f"{person.name} has no duty that allows it"
    found = Problem(403, "not-allowed", "Not yours", Part("person", what, f"it takes: {duties}"))
    return await page(request, "problem.html", person, 403, problem=found.document)


def no_answer(
    method: str, path: str, handler: Handler, summary: str, may: str, body: type
) -> Endpoint:
    """Return an endpoint that answers nothing when it worked."""
    return Endpoint(
        method, path, handler, summary, may, body, status=204, tag="administration", answers=REASON
    )
