"""A typed client of the public API, for integrators, the scripted day and the tests.

async with Client("http://127.0.0.1:8000") as client:
    await client.sign_in("apheresis-unit-1", "...")
    board = await client.rows()
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

import httpx
import msgspec

from stafett.journey.view import Station
from stafett.service.accounts import Person
from stafett.service.board import Row
from stafett.service.deviations import Line
from stafett.service.record import Entry
from stafett.service.recording import Done

PAUSES_S = (0.2, 1.0)  # before a call is sent again whose connection broke


class Refused(Exception):
    """The server said no: `status`, the stable `code`, and the reasons in words."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status, self.problem = status, problem
        kind = str(problem.get("type", ""))
        self.code = kind.removeprefix("/problems/").removeprefix("epcisException:")
        self.reasons: list[dict[str, str]] = problem.get("reasons", [])
        parts = [f"{r['field']}: {r['what']}" for r in self.reasons]
        parts += [f"{e['pointer']}: {e['detail']}" for e in problem.get("errors", [])]  # EPCIS
        super().__init__(f"{status} {problem.get('title', '')}" + "; ".join(["", *parts]))


class Board(msgspec.Struct, frozen=True):
    """Every row, as of `position` in the record."""

    position: int
    rows: list[Row]


class Client:
    """One connection pool to one server; signed in as one person at a time.

    `transport` is how the server is reached, if not over the network: an application in this
    process (`httpx.ASGITransport`), a recording.
    """

    def __init__(
        self,
        base: str,
        token: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(base_url=base, timeout=60, transport=transport)
        self.token = token

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request: `body` as bytes, or as what becomes JSON. Raises Refused."""
        token = token or self.token
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        content = None
        if isinstance(body, bytes):
            content = body
        elif body is not None:
            content = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        answer = await self._sent(method, path, content, headers)
        if answer.is_error:
            try:
                problem = answer.json()
            except json.JSONDecodeError:
                problem = {"title": answer.text[:200]}
            raise Refused(answer.status_code, problem)
        return answer

    async def _call(
        self, method: str, path: str, kind: Any, body: Any = None, token: str | None = None
    ) -> Any:
        answer = await self.send(method, path, body, token)
        return msgspec.json.decode(answer.content, type=kind) if answer.content else None

    async def _sent(
        self, method: str, path: str, content: bytes | None, headers: dict[str, str]
    ) -> httpx.Response:
        """Send, and send again where the connection broke: each call counts once however often.

        What changes the record carries a key, a document is known by its content.
        """
        for pause in PAUSES_S:
            try:
                return await self._http.request(method, path, content=content, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(pause)
        return await self._http.request(method, path, content=content, headers=headers)

    async def get(self, path: str, kind: Any) -> Any:
        """Read what is at `path` as `kind`, a type that the answer must fit. Raises Refused."""
        return await self._call("GET", path, kind)

    async def sign_in(self, login: str, password: str) -> Person:
        """Sign in; the client keeps the token. Raises Refused."""
        body = {"login": login, "password": password}
        answer = await self._call("POST", "/api/session", dict[str, Any], body)
        self.token = answer["token"]
        return msgspec.convert(answer["person"], Person)

    async def rows(self) -> Board:
        """Return the board."""
        board: Board = await self._call("GET", "/api/journeys", Board)
        return board

    async def row(self, journey: str, token: str | None = None) -> Row:
        """Return one journey's row."""
        row: Row = await self._call("GET", f"/api/journeys/{journey}", Row, token=token)
        return row

    async def order(self, order: dict[str, Any], token: str | None = None) -> Done:
        """Open a journey. `order` as in the API; a key is made if it has none."""
        body = {"key": uuid.uuid4().hex, **order}
        done: Done = await self._call("POST", "/api/journeys", Done, body, token)
        return done

    async def submit(
        self,
        journey: str,
        role: str,
        command: dict[str, Any],
        *,
        password: str | None = None,
        colleague: dict[str, str] | None = None,
        key: str | None = None,
        token: str | None = None,
    ) -> Done:
        """Carry out one command; `key` makes it safe to send again."""
        body = {
            "key": key or uuid.uuid4().hex,
            "role": role,
            "command": command,
            "password": password,
            "colleague": colleague,
        }
        path = f"/api/journeys/{journey}/commands"
        done: Done = await self._call("POST", path, Done, body, token)
        return done

    async def station(
        self, journey: str, activity: str, side: str, about: str = "", token: str | None = None
    ) -> Station:
        """Return what a station shows."""
        path = f"/api/journeys/{journey}/stations/{activity}/{side}"
        query = str(httpx.QueryParams({"about": about}))
        view: Station = await self._call("GET", f"{path}?{query}", Station, token=token)
        return view

    async def store(self, data: bytes, token: str | None = None) -> str:
        """Store a document; return its SHA-256, by which it is attached."""
        answer = await self._call("POST", "/api/documents", dict[str, Any], data, token)
        return str(answer["sha256"])

    async def deviations(self, token: str | None = None) -> list[Line]:
        """Return the deviations of the organisation's journeys."""
        lines: list[Line] = await self._call("GET", "/api/deviations", list[Line], token=token)
        return lines

    async def events(self, journey: str, after: int = 0) -> list[Entry]:
        """Return a journey's record."""
        path = f"/api/journeys/{journey}/events?after={after}"
        entries: list[Entry] = await self._call("GET", path, list[Entry])
        return entries

    async def follow(self, after: int = 0) -> AsyncIterator[tuple[int, Row]]:
        """Yield (position, row) for each change on the board beyond `after`, for ever."""
        headers = {"Authorization": f"Bearer {self.token}"}
        path = f"/api/stream?after={after}"
        async with self._http.stream("GET", path, headers=headers, timeout=None) as answer:
            position = after
            name = ""
            async for line in answer.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "id":
                    position = int(value)
                elif field == "event":
                    name = value
                elif field == "data" and name == "row":
                    yield position, msgspec.json.decode(value, type=Row)
