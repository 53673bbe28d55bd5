"""Server-sent events: what follows a position, without a gap and without a double.

Sent over a plain streaming response; the ledger position is the event id, so that a browser that
comes back says where it was (`Last-Event-ID`). A `beat` every few seconds tells a live connection
from a dead one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import StreamingResponse

from stafett.web.session import token_of

T = TypeVar("T")
BEAT_S = 5.0
OPENING = b"retry: 1000\n\n"  # ms until a browser whose stream broke tries again


def event(name: str, data: bytes, id: int | None = None) -> bytes:
    """Return one event as bytes. `data` must hold no line break (JSON does not)."""
    head = f"id: {id}\n" if id is not None else ""
    return f"{head}event: {name}\ndata: ".encode() + data + b"\n\n"


def response(request: Request, events: AsyncGenerator[bytes, None]) -> StreamingResponse:
    """Return the streaming response; proxies are told not to buffer it.

    It ends with the session: who signed out, was suspended or timed out is shown nothing more.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    shown = _while_signed_in(request, events)
    return StreamingResponse(shown, media_type="text/event-stream", headers=headers)


def states(
    request: Request, steps: AsyncGenerator[T | None, None], told: Callable[[T], object]
) -> StreamingResponse:
    """Stream a `state` event for each step, as JSON of what is `told` of it; a beat for None."""

    async def events() -> AsyncGenerator[bytes, None]:
        yield OPENING
        async with aclosing(steps):
            async for step in steps:
                if step is None:
                    yield event("beat", b"{}")
                else:
                    yield event("state", msgspec.json.encode(told(step)))

    return response(request, events())


async def _while_signed_in(
    request: Request, events: AsyncGenerator[bytes, None]
) -> AsyncIterator[bytes]:
    token, sessions = token_of(request), request.app.state.tower.sessions
    async with aclosing(events):
        async for data in events:
            if token and not await sessions.still(token):
                return
            yield data
