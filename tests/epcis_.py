"""What the tests of the EPCIS interface share: who asks, events, documents, a WebSocket."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from stafett.exchange import epcis
from stafett.exchange.problem import Problem
from stafett.web.epcis_path import Caller


async def who(request: HTTPConnection) -> Caller:
    """Read the caller from a header: all see what they captured themselves, the maker sees all."""
    name = request.headers.get("x-organisation", "maker")
    if name == "nobody":
        raise Problem(401, "SecurityException", "who are you?")
    return Caller(name, None if name == "maker" else (name,))


def event(n: int, **more: Any) -> dict[str, Any]:
    """Make an event that differs from others by its number."""
    return {
        "type": "ObjectEvent", "eventID": uuid.UUID(int=n).urn,
        "eventTime": f"2026-01-01T00:{n % 60:02d}:00Z", "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE", "epcList": [f"urn:epc:id:sgtin:9529004.067890.DP{n}"],
        "bizStep": "shipping", "readPoint": {"id": "urn:epc:id:sgln:9529004.00001.0"}, **more,
    }  # fmt: skip


def document(*events: Any) -> dict[str, Any]:
    """Wrap events in a document."""
    return epcis.document(list(events), created="2026-01-01T00:00:00Z")


def members(reply: httpx.Response) -> list[dict[str, Any]]:
    """Give the events of a query document."""
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["epcisBody"]["queryResults"]["resultsBody"][
        "eventList"
    ]
    return found


class Socket:
    """A WebSocket client on the ASGI protocol itself."""

    def __init__(
        self, app: Starlette, path: str, query: str, headers: dict[str, str] | None = None
    ) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.got: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        told = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        scope = {
            "type": "websocket", "path": "/epcis" + path, "raw_path": ("/epcis" + path).encode(),
            "query_string": query.encode(), "headers": told, "scheme": "ws", "root_path": "",
            "client": None, "server": None, "subprotocols": [], "state": {}, "extensions": {},
        }  # fmt: skip
        self.sent.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(app(scope, self.sent.get, self.got.put))  # type: ignore[arg-type]

    async def next(self) -> dict[str, Any]:
        """Wait for the next message."""
        return await asyncio.wait_for(self.got.get(), 30)

    async def close(self) -> None:
        """Leave, and see the server let go."""
        self.sent.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(self.task, 30)
