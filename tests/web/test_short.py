"""The short way: what leaves from it, and what takes the long way, is told apart by nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response

from stafett.web import areas
from stafett.web.endpoint import Call, Endpoint, Nothing, route
from stafett.web.headers import SecureHeaders
from stafett.web.problem import Part, Problem, response
from stafett.web.session import guard as real_guard
from stafett.web.short import SMALL, Short


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What the endpoint of these tests takes."""

    size: int = 0


carried_out: list[str] = []


async def act(call: Call[Body, Nothing]) -> Any:
    """Answer with `size` letters; refuse 13; fail at 14."""
    carried_out.append(call.path["thing"])
    if call.body.size == 13:
        raise Problem(409, "unlucky", "Unlucky", Part("size", "is 13"))
    if call.body.size == 14:
        raise RuntimeError("a fault")
    return {"said": "x" * call.body.size}


async def guard(request: Request, endpoint: Endpoint) -> None:
    """Let in whoever sends a token."""
    if "authorization" not in request.headers:
        raise Problem(401, "not-signed-in", "Sign in first")


def application(*, short: bool) -> Starlette:
    """Return an application of one endpoint."""
    endpoint = Endpoint("POST", "/things/{thing}", act, "Act", "act", Body, status=201, short=short)

    async def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return response(error)

    return Starlette(
        routes=[route(endpoint, guard)],
        middleware=[
            Middleware(Short, endpoints=[endpoint], guard=guard),
            Middleware(SecureHeaders),
            Middleware(GZipMiddleware, minimum_size=1000),
        ],
        exception_handlers={Problem: problem},
    )


def ask(app: Starlette, body: bytes = b'{"size": 3}', path: str = "/things/a", **more: Any) -> Any:
    """Send one request; return the answer."""
    headers = {"authorization": "Bearer x", "content-type": "application/json"}
    headers |= more.pop("headers", {})
    method = more.pop("method", "POST")

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            headers_ = {name: value for name, value in headers.items() if value}
            return await client.request(method, path, content=body, headers=headers_)

    return asyncio.run(send())


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"headers": {"accept-encoding": "identity"}},
        {"body": b'{"size": 1500}', "headers": {"accept-encoding": "identity"}},
        {"body": b'{"size": 5000}'},
        {"body": b'{"size": 5000}', "headers": {"accept-encoding": "identity"}},
        {"body": b'{"size": 13}'},
        {"body": b'{"size": 14}'},
        {"body": b'{"size": "3"}'},
        {"body": b'{"unknown": 3}'},
        {"body": b"garbage"},
        {"body": b" " * 1_000_001},
        {"headers": {"authorization": ""}},
        {"headers": {"content-type": "text/plain"}},
        {"path": "/things/a%00b"},
        {"path": "/things/a?size=%00"},
        {"path": "/things/a?%00"},
        {"path": "/things/a/b"},
        {"path": "/things/a?size=4"},
        {"method": "GET"},
    ],
)
def test_both_ways_answer_alike(request_: dict[str, Any]) -> None:
    """Status, body and headers are the same as by the long way; a small one may lack Vary."""
    by_short, by_long = (ask(application(short=short), **request_) for short in (True, False))
    assert by_short.status_code == by_long.status_code
    assert by_short.content == by_long.content
    kept = {"content-encoding", "content-length", "vary"}
    assert {k: v for k, v in by_short.headers.items() if k not in kept} == {
        k: v for k, v in by_long.headers.items() if k not in kept
    }
    if len(by_long.content) >= SMALL:
        assert by_short.headers.get("content-encoding") == by_long.headers.get("content-encoding")
        assert by_short.headers.get("vary") == by_long.headers.get("vary")


@pytest.mark.parametrize("size", [3, 13, 14, 5000])
def test_an_act_is_carried_out_once(size: int) -> None:
    """Whatever comes of it, and by whichever way its answer leaves."""
    carried_out.clear()
    ask(application(short=True), b'{"size": %d}' % size)
    assert carried_out == ["a"]


def test_a_body_in_pieces_is_one_body() -> None:
    """A body that arrives in several messages is read whole."""

    async def send() -> int:
        pieces = [b'{"si', b'ze"', b": 3}"]
        got: list[Any] = []

        async def receive() -> Any:
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def take(message: Any) -> None:
            got.append(message)

        headers = [(b"authorization", b"x"), (b"content-type", b"application/json")]
        scope = {
            "type": "http", "method": "POST", "path": "/things/a", "query_string": b"",
            "headers": headers, "root_path": "",
        }  # fmt: skip
        await application(short=True)(scope, receive, take)
        return int(got[0]["status"])

    assert asyncio.run(send()) == 201


def test_an_act_on_a_journey_takes_the_short_way() -> None:
    """The endpoint that the benchmark measures is short, and guarded as every other."""
    found = [e.path for e in areas.ENDPOINTS if e.short]
    assert found == ["/api/journeys/{journey}/commands"]
    assert real_guard is not guard
