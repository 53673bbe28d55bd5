"""The short way for what is asked most: an act on a journey.

The same guard, the same strict decoding, the same handler (`endpoint.carrying`); left out is what
stands between the socket and them: four layers that each take every message into their hands, and
the list of all routes, which is gone through one by one. That is more than half of what an act
costs outside its use case.

Only a plain, small answer leaves from here, with the same headers. Whatever else came of it
(a refusal, a fault, a large answer to be compressed) takes the long way through all layers, which
find what it came to in the request's scope: nothing is carried out twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from stafett.web.endpoint import OUTCOME, Carrying, Endpoint, Guard, carrying
from stafett.web.headers import RAW

SMALL = 2_000  # bytes: two packets with its headers, and compressed still one or two
_HEAD = [*RAW, (b"cache-control", b"no-store"), (b"content-type", b"application/json")]
_Way = tuple[re.Pattern[str], Carrying, int]


class Short:
    """ASGI middleware, the outermost: answers the `short` endpoints of a table itself."""

    def __init__(self, app: ASGIApp, endpoints: Sequence[Endpoint], guard: Guard) -> None:
        self.app = app
        self._ways: dict[str, list[_Way]] = {}
        for one in endpoints:
            if one.short:
                way = (compile_path(one.path)[0], carrying(one, guard), one.status)
                self._ways.setdefault(one.method, []).append(way)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        if scope["type"] == "http" and not scope.get("root_path"):
            for pattern, carry_out, status in self._ways.get(scope["method"], ()):
                found = pattern.match(scope["path"])
                if found:
                    scope["path_params"] = found.groupdict()
                    await self._answer(scope, receive, send, carry_out, status)
                    return
        await self.app(scope, receive, send)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, carry_out: Carrying, status: int
    ) -> None:
        try:
            result = await carry_out(Request(scope, receive))
        except Exception as error:
            scope[OUTCOME] = _raising(error)
        else:
            if type(result) is bytes and len(result) < SMALL:
                length = (b"content-length", b"%d" % len(result))
                head = {
                    "type": "http.response.start",
                    "status": status,
                    "headers": [*_HEAD, length],
                }
                await send(head)
                await send({"type": "http.response.body", "body": result})
                return
            scope[OUTCOME] = lambda: result
        try:
            await self.app(scope, receive, send)
        finally:
            del scope[OUTCOME]  # an error holds its frames, and they the scope


def _raising(error: Exception) -> Any:
    def outcome() -> Any:
        raise error

    return outcome
