"""One table of endpoints: the routes, the checks of what comes in, and the OpenAPI document.

An endpoint declares its body, query and answer as msgspec types. Bodies are decoded strictly (no
coercion, no unknown field) before the handler runs; whatever does not fit is a problem document
that names the field.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.journey.clock import UNKEPT, is_kept
from stafett.protocol.doubled import Doubled, doubled
from stafett.protocol.fit import plain
from stafett.web.problem import Part, Problem

MAX_BODY = 1_000_000
# In a request's scope: gives what it came to, or raises it, where it was carried out already.
OUTCOME = "stafett.outcome"
# What may be a moment in another century, or is written so that it cannot be told.
_ODD_YEAR = re.compile(rb'"(?!19|20|21)\d{4}-\d\d-\d\d|\\u')
Handler = Callable[["Call[Any, Any]"], Awaitable[Any]]
Body = TypeVar("Body")
Query = TypeVar("Query")


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No fields at all."""


@dataclass(frozen=True)
class Call(Generic[Body, Query]):
    """What a handler gets: the request, its decoded body and query, and its path parameters."""

    request: Request
    body: Body
    query: Query
    path: dict[str, str]


@dataclass(frozen=True)
class Endpoint:
    """One method on one path.

    `may` names the line of the policy table (stafett.service.policy) that guards it; "anyone"
    needs no sign-in. `answers` are further statuses a client should expect, with their meaning.
    `paced`: its acts are counted (stafett.web.pace); where they have a limit of their own, not.
    `kind` is the content type of an answer that is JSON and declared as a type.
    `short`: it is asked so often that it is answered before the layers and the list of routes
    (stafett.web.short).
    """

    method: str
    path: str
    handler: Handler
    summary: str
    may: str
    body: type = Nothing
    query: type = Nothing
    answer: Any = Nothing
    status: int = 200
    answers: dict[int, str] = field(default_factory=dict)
    tag: str = "journeys"
    paced: bool = True
    short: bool = False
    kind: str = "application/json"


Guard = Callable[[Request, Endpoint], Awaitable[None]]
Carrying = Callable[[Request], Awaitable[Any]]


def carrying(endpoint: Endpoint, guard: Guard) -> Carrying:
    """Return what carries out a request: guard, then decode, then the handler, then encode.

    It returns the answer's JSON, or a Response where the handler gives one, or nothing is said.
    """
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(endpoint.body, strict=True)

    async def carry_out(request: Request) -> Any:
        _no_nul(request)
        await guard(request, endpoint)
        body = await _body(request, endpoint, decoder)
        query = _query(request, endpoint.query)
        result = await endpoint.handler(Call(request, body, query, dict(request.path_params)))
        if isinstance(result, Response | bytes):
            return result
        return Response(status_code=204) if endpoint.status == 204 else msgspec.json.encode(result)

    return carry_out


def route(endpoint: Endpoint, guard: Guard) -> Route:
    """Return the Starlette route of an endpoint."""
    carry_out = carrying(endpoint, guard)

    async def serve(request: Request) -> Response:
        outcome = request.scope.get(OUTCOME)
        result = await carry_out(request) if outcome is None else outcome()
        if isinstance(result, Response):
            return result
        headers = {"Cache-Control": "no-store"}
        return Response(result, endpoint.status, headers, "application/json")

    return Route(endpoint.path, serve, methods=[endpoint.method])


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """Return the whole body, or a 413 problem as soon as it is larger than `limit` bytes."""
    if int(request.headers.get("content-length") or 0) > limit:
        raise _too_large(limit)
    # Not by `request.stream()`: the event loop keeps book of each asynchronous generator.
    data, more = b"", True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        data += message.get("body", b"")
        more = message.get("more_body", False)
        if len(data) > limit:
            raise _too_large(limit)
    return data


def _too_large(limit: int) -> Problem:
    title = f"The body is larger than {limit} bytes"
    return Problem(413, "too-large", title, Part("", "too large"))


async def _body(request: Request, endpoint: Endpoint, decoder: msgspec.json.Decoder[Any]) -> Any:
    if endpoint.body is bytes:
        return await read_body(request, 20 * MAX_BODY)
    if endpoint.body is Nothing:
        return Nothing()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(
            415,
            "media-type",
            "The body must be application/json",
            Part("Content-Type", f"is {kind or 'missing'}", "send application/json"),
        )
    data = await read_body(request)
    if b"\\u0000" in data:
        part = Part("", "holds the character U+0000", "take it out: no text may hold it")
        raise Problem(422, "invalid", "The body does not fit", part)
    try:
        value = decoder.decode(data)
        twice = doubled(data)
    except msgspec.ValidationError as error:
        what, path, todo = plain(error, endpoint.body)
        field = "".join(f"/{step}" for step in path)
        part = Part(field, what, todo or "GET /openapi.json says what fits")
        raise Problem(422, "invalid", "The body does not fit", part) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        part = Part("", _unreadable(data, error), "send valid JSON")
        raise Problem(400, "not-json", "The body is not JSON", part) from None
    if twice is not None:
        raise said_twice("The body says a name twice", twice)
    if _ODD_YEAR.search(data):
        _times_kept("The body does not fit", value)
    return value


def _times_kept(title: str, value: Any) -> None:
    """Refuse a moment that no record is about: it would be kept, and could be shown to nobody."""
    waiting = [("", value)] if isinstance(value, msgspec.Struct | list | tuple) else []
    while waiting:
        field, whole = waiting.pop()
        if isinstance(whole, list | tuple):
            inner: Iterable[tuple[Any, Any]] = enumerate(whole)
        else:
            inner = [(name, getattr(whole, name)) for name in whole.__struct_fields__]
        for name, here in inner:
            if type(here) is datetime:
                if not is_kept(here if here.tzinfo else here.replace(tzinfo=UTC)):
                    what = f"no record is about {here.isoformat()}"
                    part = Part(f"{field}/{name}", what, UNKEPT)
                    raise Problem(422, "invalid", title, part)
            elif isinstance(here, msgspec.Struct | list | tuple):
                waiting.append((f"{field}/{name}", here))


def said_twice(title: str, twice: Doubled) -> Problem:
    """Refuse what says one name twice: neither of the two is taken for the one that was meant."""
    field = "".join(f"/{step}" for step in (*twice.path, twice.name))
    return Problem(400, "said-twice", title, Part(field, "stands there twice", "send it once"))


def _unreadable(data: bytes, error: Exception) -> str:
    """Say why a body is no JSON (the parser counts a wrong letter from where its text begins)."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return f"is not UTF-8 (byte {wrong.start})"
    return str(error) or "nested too deeply"


def _no_nul(request: Request) -> None:
    """Refuse U+0000 in the address: no text here may hold it, and PostgreSQL takes none."""
    sent = request.scope["query_string"]
    if "\x00" not in request.scope["path"] and b"%00" not in sent and b"\x00" not in sent:
        return
    values = (*request.path_params.values(), *request.query_params.values())
    if any("\x00" in str(value) for value in (*values, *request.query_params.keys())):
        part = Part("path", "holds the character U+0000", "take it out")
        raise Problem(404 if request.path_params else 422, "invalid", "No such address", part)


def _query(request: Request, kind: type) -> Any:
    if kind is Nothing:
        return Nothing()
    given = {key: request.query_params.getlist(key) for key in request.query_params}
    single: dict[str, Any] = {}
    for key, values in given.items():
        if len(values) > 1:
            raise Problem(422, "invalid", "The query does not fit", Part(key, "given twice"))
        single[key] = values[0]
    try:
        found: Any = msgspec.convert(single, kind, strict=False)
    except msgspec.ValidationError as error:
        misfit = plain(error, kind)
        part = Part(misfit.where or "query", misfit.what, misfit.todo)
        raise Problem(422, "invalid", "The query does not fit", part) from None
    _times_kept("The query does not fit", found)
    return found
