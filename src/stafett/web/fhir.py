"""FHIR over HTTP at `/fhir/R5`, `/fhir/R4B` and `/fhir/R4`: thin; the rest is in `service.fhir`.

R4 has the very resources of R4B: none of those that are served here changed between the two (FHIR
4.3.0, "Version History": medicinal products, evidence, subscription topics and statuses did).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from stafett.exchange import fhir_extra as extra
from stafett.exchange.epcis import DEEP, deep, parse, too_deep
from stafett.exchange.fhir_parameters import types, wrong
from stafett.exchange.fhir_part import part_of, read_part
from stafett.exchange.fhir_search import Search, read_search
from stafett.exchange.fhir_validate import mode_asked, validation, wrapped
from stafett.exchange.fhir_write import Version
from stafett.exchange.problem import Finding, Problem
from stafett.service.accounts import Person
from stafett.service.fhir import PUBLIC, Found, allowed
from stafett.service.refusal import No
from stafett.service.tower import Tower
from stafett.web.api import STATUS
from stafett.web.endpoint import read_body
from stafett.web.problem import Problem as WebProblem
from stafett.web.session import SAFE, person_of, writable

MAX_BODY = 4_000_000
MAX_QUERY = 8_000
JSON = ("application/fhir+json", "application/json", "text/json")
STARTED = datetime.now(UTC).replace(microsecond=0).isoformat()
EVERY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
Handler = Callable[[Request, Version], Awaitable[Response]]


NAMES: tuple[tuple[str, Version], ...] = (("R5", "R5"), ("R4B", "R4B"), ("R4", "R4B"))
R4 = "4.0.1"
SPOKEN = {"R5": "5.0", "R4B": "4.3", "R4": "4.0"}


def _answer(version: Version, body: Any, status: int = 200, **headers: str) -> Response:
    kind = f"application/fhir+json; fhirVersion={extra.NUMBER[version][:3]}"
    content = msgspec.json.encode(body) if body is not None else b""
    return Response(content, status, {"Cache-Control": "no-store", **headers}, kind)


def _base(request: Request, version: Version) -> str:
    name = request.scope.get("stafett.fhir", version)
    return f"{str(request.base_url).rstrip('/').removesuffix(f'/fhir/{name}')}/fhir/{name}"


def _guarded(
    handler: Handler, version: Version, name: str
) -> Callable[[Request], Awaitable[Response]]:
    """Let a handler answer; whatever it refuses is an OperationOutcome. `name` is the address's."""

    async def serve(request: Request) -> Response:
        request.scope["stafett.fhir"] = name
        answer = await guarded(request)
        if name == "R4" and "content-type" in answer.headers:
            told = answer.headers["content-type"].replace("=4.3", f"={R4[:3]}")
            answer.headers["content-type"] = told
        if request.query_params.get("_pretty") == "true" and answer.body:
            answer.body = msgspec.json.format(bytes(answer.body), indent=2)
            answer.headers["content-length"] = str(len(answer.body))
        return answer

    async def guarded(request: Request) -> Response:
        try:
            if any("\x00" in str(v) for v in request.path_params.values()):
                raise Problem(404, "NoSuchResourceException", "no such address")
            _negotiated(request)
            return await handler(request, version)
        except Problem as problem:
            headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else {}
            return _answer(version, extra.of_problem(problem), problem.status, **headers)
        except No as no:
            status = STATUS.get(no.code, 409)
            found = [(r.field, f"{r.what}" + (f"; {r.todo}" if r.todo else "")) for r in no.reasons]
            return _answer(version, extra.outcome(status, no.title, found), status)
        except WebProblem as problem:
            document = problem.document
            said = "; ".join(f"{r.what}: {r.todo}" if r.todo else r.what for r in document.reasons)
            told = f"{document.title}: {said}" if said else document.title
            body = extra.outcome(document.status, told)
            return _answer(version, body, document.status, **problem.headers)

    return serve


def _negotiated(request: Request) -> None:
    wish = request.query_params.get("_format") or request.headers.get("accept", "*/*")
    here = [part for part in wish.split(",") if _of_version(request, part)]
    if not here:
        name = request.scope["stafett.fhir"]
        why = f"here is FHIR {SPOKEN[name]}, not {wish[:80]!r}; other versions have other addresses"
        raise Problem(406, "NotAcceptableException", why)
    kinds = {part.partition(";")[0].strip().lower() for part in here}
    if not kinds & {*JSON, "*/*", "application/*", "json", "text/html", ""}:
        raise Problem(406, "NotAcceptableException", f"of forms only JSON, not {wish[:80]!r}")


def _of_version(request: Request, kind: str) -> bool:
    """Say whether a media type names no version of FHIR, or that of the address."""
    for parameter in kind.lower().split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name == "fhirversion":
            return value.strip('"')[:3] == SPOKEN[request.scope["stafett.fhir"]]
    return True


async def _person(request: Request) -> Person:
    person = await person_of(request)
    if person is None:
        raise Problem(401, "SecurityException", "sign in: POST /api/session gives a token")
    own = "authorization" in request.headers or "x-stafett" in request.headers
    if request.method not in SAFE and not own:
        raise Problem(403, "SecurityException", "send a bearer token, or the header X-Stafett: 1")
    if request.method not in SAFE:
        request.app.state.paces.take(request, person.id)
        writable(request)
    return person


def _tower(request: Request) -> Tower:
    tower: Tower = request.app.state.tower
    return tower


async def metadata(request: Request, version: Version) -> Response:
    """Say what this server can do."""
    number = R4 if request.scope["stafett.fhir"] == "R4" else ""
    return _answer(version, extra.capabilities(version, _base(request, version), STARTED, number))


async def read(request: Request, version: Version) -> Response:
    """Read one resource."""
    kind, id_ = request.path_params["kind"], request.path_params["id"]
    allowed(kind, version)
    person = None if kind in PUBLIC else await _person(request)
    part = read_part(dict(request.query_params))
    if part.summary == "count":
        raise wrong("_summary", "one resource is not counted: true, text, data or false")
    found = await _tower(request).outside.fhir.read(person, version, kind, id_)
    headers = _headers(found)
    known = {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}
    if known & {headers.get("ETag", "-"), "*"}:
        return Response(status_code=304, headers={"Cache-Control": "no-store", **headers})
    return _answer(version, part_of(found, part, version), 200, **headers)


def _headers(resource: dict[str, Any]) -> dict[str, str]:
    meta = resource["meta"]
    at = datetime.fromisoformat(meta["lastUpdated"]).astimezone(UTC)
    headers = {"Last-Modified": format_datetime(at, usegmt=True)}
    return headers | ({"ETag": f'W/"{meta["versionId"]}"'} if "versionId" in meta else {})


async def vread(request: Request, version: Version) -> Response:
    """Read one resource as it was at a version."""
    for found in await _versions(request, version):
        if found["meta"]["versionId"] == request.path_params["number"]:
            return _answer(version, found, 200, **_headers(found))
    kind, id_ = request.path_params["kind"], request.path_params["id"]
    why = f"{kind}/{id_[:80]} has no version {request.path_params['number'][:20]!r}"
    raise Problem(404, "NoSuchResourceException", f"{why}: _history lists them")


async def history(request: Request, version: Version) -> Response:
    """Give one resource as it was at each version, the latest first."""
    given = parse_qsl(request.url.query, keep_blank_values=True)
    for name, _ in given:
        if name not in ("_format", "_pretty"):
            raise wrong(name, "a history is given whole here: it has no parameters")
    entries = []
    name = f"{request.path_params['kind']}/{request.path_params['id']}"
    for n, one in enumerate(await _versions(request, version)):
        how = {"method": "PUT", "url": name} if n else {"method": "POST", "url": name.split("/")[0]}
        told = {"status": "200 OK" if n else "201 Created", "etag": _headers(one)["ETag"],
                "lastModified": one["meta"]["lastUpdated"]}  # fmt: skip
        entries.append({"fullUrl": f"{_base(request, version)}/{name}", "resource": one,
                        "request": how, "response": told})  # fmt: skip
    link = {"relation": "self", "url": f"{_base(request, version)}/{name}/_history"}
    body = {"resourceType": "Bundle", "type": "history", "total": len(entries), "link": [link]}
    return _answer(version, {**body, "entry": entries[::-1]})


async def _versions(request: Request, version: Version) -> list[dict[str, Any]]:
    kind, id_ = request.path_params["kind"], request.path_params["id"]
    allowed(kind, version)
    person = await _person(request)
    return await _tower(request).outside.fhir.versions(person, version, kind, id_)


async def search(request: Request, version: Version) -> Response:
    """Search one type, by the address or by a form posted to `_search`."""
    kind = request.path_params["kind"]
    allowed(kind, version)
    given = parse_qsl(request.url.query, keep_blank_values=True)
    if len(request.url.query) > MAX_QUERY:
        raise Problem(414, "URITooLongException", f"a query has at most {MAX_QUERY:,} bytes")
    person = None if kind in PUBLIC else await _person_of_search(request)
    if request.method == "POST":
        data = await read_body(request, MAX_QUERY)
        given += parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True)
    asked = read_search(kind, given, version)
    found = await _tower(request).outside.fhir.search(person, version, asked)
    return _answer(version, _bundle(request, version, asked, given, found))


async def _person_of_search(request: Request) -> Person:
    person = await person_of(request)
    if person is None:
        raise Problem(401, "SecurityException", "sign in: POST /api/session gives a token")
    return person


def _bundle(
    request: Request,
    version: Version,
    asked: Search,
    given: list[tuple[str, str]],
    found: Found,
) -> dict[str, Any]:
    base = _base(request, version)
    here = f"{base}/{asked.kind}"
    plain = [(k, v) for k, v in given if k != "_page"]
    links = [{"relation": "self", "url": f"{here}?{urlencode(given)}"}]
    if found.next:
        following = urlencode([*plain, ("_page", found.next)])
        links.append({"relation": "next", "url": f"{here}?{following}"})
    body: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "link": links}
    if found.total is not None:
        body["total"] = found.total
    if found.resources:
        body["entry"] = [
            {
                "fullUrl": f"{here}/{one['id']}",
                "resource": part_of(one, asked.part, version),
                "search": {"mode": "match"},
            }
            for one in found.resources
        ]
    if found.included:
        body["entry"] += [
            {"fullUrl": f"{base}/{one['resourceType']}/{one['id']}",
             "resource": part_of(one, asked.part, version) if not asked.part.elements else one,
             "search": {"mode": "include"}}
            for one in found.included
        ]  # fmt: skip
    return body


async def _json(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in JSON:
        raise Problem(415, "UnsupportedMediaTypeException", "send application/fhir+json")
    if not _of_version(request, request.headers.get("content-type", "")):
        why = f"here is FHIR {SPOKEN[request.scope['stafett.fhir']]}; what is sent says another one"
        raise Problem(415, "UnsupportedMediaTypeException", why)
    if request.headers.get("content-encoding", "identity") not in ("identity", ""):
        raise Problem(415, "UnsupportedMediaTypeException", "send it without Content-Encoding")
    value = parse(await read_body(request, MAX_BODY), max_bytes=MAX_BODY)
    if not isinstance(value, dict):
        raise Problem(400, "ValidationException", "a resource is an object")
    if too_deep(value):
        raise Problem(400, "ValidationException", DEEP, [deep(value)])
    return value


async def transact(request: Request, version: Version) -> Response:
    """Open a journey by a transaction Bundle."""
    person = await _person(request)
    return _answer(
        version,
        await _tower(request).outside.fhir.transaction(person, version, await _json(request)),
    )


async def create(request: Request, version: Version) -> Response:
    """Make a Subscription; everything else is made by what happens in a journey."""
    kind = request.path_params["kind"]
    allowed(kind, version)
    person = await _person(request)
    if kind != "Subscription":
        raise Problem(405, "SecurityException", f"{kind} is not created here; it is a view")
    if "if-none-exist" in request.headers:
        why = "If-None-Exist is not heeded here: search first; nothing was made"
        raise Problem(400, "ValidationException", why, [Finding("If-None-Exist", why)])
    body = await _json(request)
    if body.get("resourceType") != kind:
        raise Problem(422, "ValidationException", "resourceType must be Subscription")
    made = await _tower(request).outside.fhir.subscribe(person, version, body)
    where = f"{_base(request, version)}/Subscription/{made['id']}"
    return _answer(version, made, 201, Location=where)


async def remove(request: Request, version: Version) -> Response:
    """End a Subscription."""
    kind = request.path_params["kind"]
    allowed(kind, version)
    person = await _person(request)
    if kind != "Subscription":
        raise Problem(405, "SecurityException", f"{kind} is never deleted")
    await _tower(request).outside.fhir.unsubscribe(person, version, request.path_params["id"])
    return Response(status_code=204)


async def validate(request: Request, version: Version) -> Response:
    """Say whether a resource is right: one that is sent, or (by its id) one that is here.

    Whatever is found, the answer is 200 with an OperationOutcome; nothing is kept.
    """
    kind, id_ = request.path_params["kind"], request.path_params.get("id")
    if kind != "Bundle" or id_ is not None:
        allowed(kind, version)
    person = await _person(request)
    asked = dict(request.query_params)
    stored = None
    if id_ is not None:
        stored = await _tower(request).outside.fhir.read(person, version, kind, id_)
    if request.method == "POST" and (id_ is None or request.headers.get("content-length") != "0"):
        given, more = wrapped(await _json(request))
        asked |= more
    else:
        given = stored
    mode_asked(asked)
    if given is None:
        raise Problem(400, "ValidationException", "send a resource, alone or in Parameters")
    return _answer(version, validation(given, kind, id_, version))


async def nowhere(request: Request, version: Version) -> Response:
    """Refuse what the CapabilityStatement does not name: histories, updates, operations."""
    where = request.path_params.get("rest", "")[:80]
    known = request.method in ("GET", "HEAD") or where in types(version)
    if "_history" in where:
        why = "of histories only that of one resource: {type}/{id}/_history"
        raise Problem(404, "NoSuchResourceException", why)
    if where.partition("/")[0] in types(version) and request.method not in ("GET", "HEAD"):
        raise Problem(405, "SecurityException", f"{request.method} is not done to {where} here")
    why = f"{where!r} is none of what {version}/metadata names"
    if not where:
        why = f"types are searched one by one here: {version}/Task; {version}/metadata has them all"
    raise Problem(404 if known else 405, "NoSuchResourceException", why)


class _Under(Mount):
    """What stands under an address, line breaks in it or not: who speaks FHIR is answered so."""

    def __init__(self, path: str, routes: Sequence[BaseRoute]) -> None:
        super().__init__(path, routes=routes)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


def routes(tower: Tower) -> list[BaseRoute]:
    """Give the routes of both versions."""
    found: list[BaseRoute] = []
    for name, version in NAMES:
        under = partial(_guarded, version=version, name=name)
        found.append(
            _Under(
                f"/fhir/{name}",
                routes=[
                    Route("/metadata", under(metadata)),
                    Route("/", under(transact), methods=["POST"]),
                    Route("/{kind}/$validate", under(validate), methods=["POST"]),
                    Route("/{kind}/{id}/$validate", under(validate), methods=["GET", "POST"]),
                    Route("/{kind}/_search", under(search), methods=["POST"]),
                    Route("/{kind}/{id}", under(read)),
                    Route("/{kind}/{id}", under(remove), methods=["DELETE"]),
                    Route("/{kind}/{id}/_history", under(history)),
                    Route("/{kind}/{id}/_history/{number}", under(vread)),
                    Route("/{kind}", under(search)),
                    Route("/{kind}", under(create), methods=["POST"]),
                    Route("/{rest:path}", under(nowhere), methods=EVERY),
                ],
            )
        )
        found.append(Route(f"/fhir/{name}", under(transact), methods=["POST"]))
        found.append(Route(f"/fhir/{name}", under(nowhere), methods=EVERY))
    return found
