"""The typed client keeps to the OpenAPI document: each path, method, field and type it uses."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import msgspec
import pytest

from stafett.client import Client
from stafett.web import openapi
from stafett.web.areas import ENDPOINTS

DOCUMENT = openapi.document(ENDPOINTS)
Use = Callable[[Client], Coroutine[Any, Any, Any]]

USES: dict[str, Use] = {
    "sign_in": lambda c: c.sign_in("courier-1", "secret"),
    "rows": lambda c: c.rows(),
    "row": lambda c: c.row("J1"),
    "order": lambda c: c.order(
        {"role": "r", "protocol": "p", "network": "n", "wristband": "12345"}
    ),
    "submit": lambda c: c.submit("J1", "courier", {"type": "Start", "step": "S"}),
    "station": lambda c: c.station("J1", "H01", "accept"),
    "store": lambda c: c.store(b"data"),
    "deviations": lambda c: c.deviations(),
    "events": lambda c: c.events("J1"),
}


def operation(method: str, path: str) -> dict[str, Any]:
    """Give the operation of the document that a request is; fail if there is none."""
    for template, methods in DOCUMENT["paths"].items():
        pattern = re.sub(r"{\w+}", "[^/]+", template)
        if re.fullmatch(pattern, path) and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]
            return found
    raise AssertionError(f"{method} {path} is not in the document")


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return DOCUMENT["components"]["schemas"][name] if name else schema


class _Seen(Exception):
    """Carries what the client sent."""

    def __init__(self, request: httpx.Request, kind: Any) -> None:
        super().__init__()
        self.request, self.kind = request, kind


async def _sent(use: Use) -> _Seen:
    client = Client("http://stafett.test")
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(204)

    await client._http.aclose()
    client._http = httpx.AsyncClient(
        base_url="http://stafett.test", transport=httpx.MockTransport(answer)
    )
    kinds: list[Any] = []
    call = client._call

    async def watched(method: str, path: str, kind: Any, *more: Any, **named: Any) -> Any:
        kinds.append(kind)
        return await call(method, path, kind, *more, **named)

    client._call = watched  # type: ignore[method-assign]
    with contextlib.suppress(TypeError):  # an empty answer cannot be read further
        await use(client)
    await client._http.aclose()
    return _Seen(requests[0], kinds[0])


@pytest.mark.parametrize("name", USES)
def test_each_method_is_an_operation_of_the_document(name: str) -> None:
    """Path, method, query and body fit; what the client decodes has only fields that are sent."""
    seen = asyncio.run(_sent(USES[name]))
    request = seen.request
    found = operation(request.method, request.url.path)
    known = {p["name"] for p in found["parameters"] if p["in"] == "query"}
    assert set(request.url.params) <= known
    if request.content and "json" in request.headers.get("content-type", ""):
        schema = resolved(found["requestBody"]["content"]["application/json"]["schema"])
        body = json.loads(request.content)
        assert set(body) <= set(schema["properties"])
        assert set(schema.get("required", ())) <= set(body)
    ok = next(s for s in found["responses"] if s.startswith("2"))
    answer = resolved(found["responses"][ok]["content"]["application/json"]["schema"])
    (mine,), parts = msgspec.json.schema_components([seen.kind], ref_template="{name}")
    mine = parts.get(mine.get("$ref", ""), mine)
    if mine.get("type") == "array":
        assert answer["type"] == "array"
        answer, mine = resolved(answer["items"]), parts[mine["items"]["$ref"]]
    assert set(mine.get("required", ())) <= set(answer.get("properties", mine.get("required", ())))


def test_every_public_method_is_held_to_the_document() -> None:
    """A new method of the client needs its line above (`follow` is a stream)."""
    public = {
        name
        for name, member in inspect.getmembers(Client, inspect.isfunction)
        if not name.startswith("_")
    }
    assert public - {"follow"} == set(USES)
    assert "/api/stream" in DOCUMENT["paths"]


def test_the_shell_completes_commands() -> None:
    """`_STAFETT_COMPLETE=bash_source stafett` gives a script; it completes verbs and options."""
    code = "from stafett.cli.main import main; main(prog_name='stafett')"

    def complete(kind: str, words: str, at: int) -> str:
        environment = {"_STAFETT_COMPLETE": kind, "COMP_WORDS": words, "COMP_CWORD": str(at)}
        made = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | environment, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        return made.stdout

    assert "complete" in complete("bash_source", "", 0)
    assert "exchange" in complete("bash_complete", "stafett exch", 1)
    assert "--mapping" in complete("bash_complete", "stafett exchange import --map", 3)
