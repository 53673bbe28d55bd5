"""The typed client keeps to the OpenAPI document: each path, method, field and type it uses."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest

import stafett
from stafett.client import Client, Exchange
from stafett.web import openapi
from stafett.web.areas import ENDPOINTS

DOCUMENT = openapi.document(ENDPOINTS)
Use = Callable[[Client], Coroutine[Any, Any, Any]]
EPCIS = {"@context": [], "type": "EPCISDocument"}


async def _first(client: Client) -> Any:
    return [e async for e in Exchange(client).events(EQ_bizStep="shipping", perPage=30)]


USES: dict[str, Use] = {
    "sign_in": lambda c: c.sign_in("courier-1", "secret"),
    "rows": lambda c: c.rows(),
    "row": lambda c: c.row("J1"),
    "order": lambda c: c.order(
        {"role": "r", "protocol": "p", "network": "n", "wristband": "12345"}
    ),
    "submit": lambda c: c.submit(
        "J1",
        "courier",
        {"type": "Start", "occurred_at": "2026-11-01T08:00:00+01:00", "step": "S"},
    ),
    "station": lambda c: c.station("J1", "H01", "accept"),
    "store": lambda c: c.store(b"data"),
    "deviations": lambda c: c.deviations(),
    "events": lambda c: c.events("J1"),
    "exchange.epcis": lambda c: Exchange(c).epcis("J1"),
    "exchange.fhir": lambda c: Exchange(c).fhir("J1"),
    "exchange.captured": lambda c: Exchange(c).captured("J1"),
    "exchange.waiting": lambda c: Exchange(c).waiting(),
    "exchange.release": lambda c: Exchange(c).release("J1"),
    "exchange.trace": lambda c: Exchange(c).trace("patient", "P-1"),
    "exchange.dossier": lambda c: Exchange(c).dossier("J1", "pdf"),
}
# EPCIS is described by GS1's own document, not by ours.
OF_EPCIS: dict[str, Use] = {
    "exchange.capture": lambda c: Exchange(c).capture(EPCIS),
    "exchange.job": lambda c: Exchange(c).job("J/1"),
    "exchange.events": _first,
}


def operation(method: str, path: str, document: dict[str, Any] = DOCUMENT) -> dict[str, Any]:
    """Give the operation of the document that a request is; fail if there is none."""
    # A path that is written out goes before one with a place for a name (OpenAPI 3.1).
    for template, methods in sorted(document["paths"].items(), key=lambda p: p[0].count("{")):
        pattern = re.sub(r"{\w+}", "[^/]+", template)
        if re.fullmatch(pattern, path) and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]
            return found
    raise AssertionError(f"{method} {path} is not in the document")


class _Seen(Exception):
    """Carries what the client sent, and what it wants to read the answer as."""

    def __init__(self, request: httpx.Request, kind: Any) -> None:
        super().__init__()
        self.request, self.kind = request, kind


async def _sent(use: Use) -> _Seen:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(204)

    client = Client("http://stafett.test", transport=httpx.MockTransport(answer))
    kinds: list[Any] = []
    call = client._call

    async def watched(method: str, path: str, kind: Any, *more: Any, **named: Any) -> Any:
        kinds.append(kind)
        return await call(method, path, kind, *more, **named)

    client._call = watched  # type: ignore[method-assign]
    # An empty answer cannot be read further.
    with contextlib.suppress(TypeError, KeyError, json.JSONDecodeError):
        await use(client)
    await client._http.aclose()
    return _Seen(requests[0], kinds[0] if kinds else None)


def agree(mine: Any, theirs: Any, parts: dict[str, Any], at: str = "") -> None:
    """Hold what the client reads to what the document says is sent, member by member."""
    mine, theirs = _behind(mine, parts), _behind(theirs, DOCUMENT["components"]["schemas"])
    if "anyOf" in mine:
        assert len(mine["anyOf"]) == len(theirs.get("anyOf", ())), at
        for one, other in zip(mine["anyOf"], theirs["anyOf"], strict=True):
            agree(one, other, parts, at)
        return
    for key in ("type", "format", "enum", "contentEncoding"):
        if key in mine:
            assert mine[key] == theirs.get(key), (at, key, mine[key], theirs.get(key))
    for name, member in mine.get("properties", {}).items():
        assert name in theirs.get("properties", {}), f"{at}/{name}"
        agree(member, theirs["properties"][name], parts, f"{at}/{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(mine.get(key), dict):
            agree(mine[key], theirs[key], parts, f"{at}/*")


def _behind(schema: Any, parts: dict[str, Any]) -> dict[str, Any]:
    """Follow references; `true` and `false` are schemas too."""
    while isinstance(schema, dict) and "$ref" in schema:
        schema = parts[schema["$ref"].rpartition("/")[2]]
    return schema if isinstance(schema, dict) else {}


@pytest.mark.parametrize("name", USES)
def test_each_method_is_an_operation_of_the_document(name: str) -> None:
    """Path, method, query and body fit; what the client decodes is what is sent, type by type."""
    seen = asyncio.run(_sent(USES[name]))
    request = seen.request
    found = operation(request.method, request.url.path)
    known = {p["name"] for p in found["parameters"] if p["in"] == "query"}
    assert set(request.url.params) <= known
    if request.content and "json" in request.headers.get("content-type", ""):
        schema = found["requestBody"]["content"]["application/json"]["schema"]
        body = json.loads(request.content)
        whole = {**schema, "components": DOCUMENT["components"]}
        jsonschema_rs.Draft202012Validator(whole).validate(body)
        assert set(body) <= set(_behind(schema, DOCUMENT["components"]["schemas"])["properties"])
    ok = next(s for s in found["responses"] if s.startswith("2"))
    ((kind, content),) = found["responses"][ok]["content"].items()
    if seen.kind is None:
        assert kind != "application/json"  # bytes are given as they are
        return
    assert kind.endswith("json")
    (mine,), parts = msgspec.json.schema_components([seen.kind], ref_template="#/{name}")
    agree(mine, content["schema"], parts)


@pytest.mark.parametrize("name", OF_EPCIS)
def test_each_method_of_epcis_is_an_operation_of_the_published_document(
    name: str, shared: Path
) -> None:
    """GS1's description has the path, the method, and each parameter that is no query's own."""
    published = json.loads((shared / "standards/schema/openapi.json").read_text())
    request = asyncio.run(_sent(OF_EPCIS[name])).request
    path = request.url.raw_path.decode().partition("?")[0].removeprefix("/epcis")
    found = operation(request.method, path, published)
    parts = published["components"]["parameters"]
    named = {_behind(p, parts)["name"] for p in found.get("parameters", [])}
    assert set(request.url.params) <= named


def test_every_public_method_is_held_to_a_document() -> None:
    """A new method of the client needs its line above (`follow` and others are only ways there)."""

    def public(kind: type) -> set[str]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {name for name, _ in methods if not name.startswith("_")}

    assert public(Client) - {"follow", "send", "get"} == {n for n in USES if "." not in n}
    held = {n.removeprefix("exchange.") for n in USES.keys() | OF_EPCIS.keys() if "." in n}
    assert public(Exchange) - {"finished", "documents"} == held
    assert "/api/stream" in DOCUMENT["paths"]


def paths_of(file: Path) -> Iterator[str]:
    """Give each path of the API that is written in a module; what is put in is a star."""
    for node in ast.walk(ast.parse(file.read_text())):
        text = ""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(
                str(v.value) if isinstance(v, ast.Constant) else "*" for v in node.values
            )
        if text.startswith("/api/"):
            yield text.partition("?")[0].rstrip("/")


def test_every_path_that_the_commands_and_clients_write_is_in_the_document() -> None:
    """Also where a command speaks HTTP by itself: no path of `src/` that the API does not have."""
    room = Path(stafett.__file__).parent
    templates = [re.sub(r"{\w+}", "*", template) for template in DOCUMENT["paths"]]
    found = {
        (file.name, path)
        for folder in ("client", "cli")
        for file in sorted((room / folder).glob("*.py"))
        for path in paths_of(file)
    }
    assert len(found) > 25
    for file, path in found:
        pattern = re.escape(path).replace(r"\*", r"[^/]+")
        # The beginning of a path that is written in two parts counts too.
        assert any(re.match(pattern + r"(/|$)", template) for template in templates), (file, path)


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
