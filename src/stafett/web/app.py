"""The web application: API, pages and static files over one Tower."""

from __future__ import annotations

import contextlib
import gzip
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import cast

import msgspec
import psycopg
from psycopg_pool import PoolTimeout
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from stafett.ledger import NotAcknowledged
from stafett.service.accounts import Person
from stafett.service.recording import unreached
from stafett.service.tower import Tower
from stafett.web import naming, openapi, pace, pages, refusals
from stafett.web.api import problem
from stafett.web.areas import AREAS, ENDPOINTS
from stafett.web.endpoint import route
from stafett.web.headers import POLICY, SecureHeaders
from stafett.web.problem import Part, Problem, response
from stafett.web.session import guard
from stafett.web.short import Short

log = logging.getLogger(__name__)

# Workers that may compile WebAssembly; no page may.
COMPILES = frozenset({"camera-worker.js"})
COMPILING = POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")


class Static(StaticFiles):
    """Static files; a stamped address (`?stamp`) may be kept for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file, with how long it may be kept."""
        found = await super().get_response(path, scope)
        kept = "public, max-age=31536000, immutable" if scope["query_string"] else "no-cache"
        found.headers["Cache-Control"] = kept
        if path in COMPILES:
            found.headers["Content-Security-Policy"] = COMPILING
        if isinstance(found, FileResponse) and found.status_code == 200 and _takes_gzip(scope):
            return _packed_response(found)
        return found


def _takes_gzip(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    whole = scope["method"] == "GET" and "range" not in headers
    return whole and "gzip" in headers.get("accept-encoding", "")


def _packed_response(found: FileResponse) -> Response:
    """Return the file compressed; that is done once, not at each request."""
    stat = found.stat_result
    assert stat is not None
    data = _packed(str(found.path), stat.st_mtime_ns, stat.st_size)
    if data is None:
        return found
    headers = dict(found.headers) | {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    del headers["content-length"]
    return Response(data, headers=headers)


@lru_cache(maxsize=256)
def _packed(path: str, changed: int, size: int) -> bytes | None:
    """Return a file's bytes compressed; None where that saves nothing worth it."""
    data = gzip.compress(Path(path).read_bytes(), 9, mtime=0)
    return data if len(data) < 0.9 * size else None


def application(
    tower: Tower,
    demo: Sequence[Person] = (),
    demo_password: str = "",
    more: Sequence[BaseRoute] = (),
    *,
    opened: bool = False,
) -> Starlette:
    """Return the ASGI application.

    `demo` are the people whose sign-ins the first page shows. The application opens and closes
    the tower with itself, unless it is `opened` already.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if opened:
            yield
            return
        async with tower:
            yield

    also = [area.described() for area in AREAS if area.described]
    description = msgspec.json.encode(openapi.document(ENDPOINTS, also))

    async def describe(request: Request) -> Response:
        return Response(description, media_type="application/json")

    folder = cast(Path, resources.files("stafett.web") / "static")
    app = Starlette(
        routes=[
            *more,
            *(route(endpoint, guard) for endpoint in ENDPOINTS),
            *(mount for area in AREAS if area.mounts for mount in area.mounts(tower)),
            Route("/openapi.json", describe),
            Mount("/static", Static(directory=folder)),
            *(page for area in AREAS for page in area.routes),
        ],
        middleware=[
            Middleware(Short, endpoints=ENDPOINTS, guard=guard),
            Middleware(SecureHeaders),
            Middleware(GZipMiddleware, minimum_size=1000),
        ],
        exception_handlers={
            Problem: _problem,
            HTTPException: _http,
            psycopg.OperationalError: _away,
            PoolTimeout: _away,
            NotAcknowledged: _in_doubt,
            Exception: _unexpected,
        },
        lifespan=lifespan,
    )
    app.state.tower = tower
    if tower.mail is not None:  # mail is worded as the pages are
        tower.mail.say = _speaker(tower)
    app.state.paces = pace.configured()
    app.state.areas = AREAS
    app.state.demo = tuple(demo)
    app.state.demo_password = demo_password
    return app


def _speaker(tower: Tower) -> Callable[[str, str, str], str]:
    def say(text: str, journey: str, language: str) -> str:
        live = tower.journeys.known(journey)
        names = refusals.NOBODY if live is None else naming.names_of(live.net, language)
        return names.get(text) or refusals.said(text, language, names)

    return say


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    names = _names(request, refusals.language_of(request))
    error.document = refusals.in_language_of(request, error.document, names)
    return response(error)


def _names(request: Request, language: str) -> Mapping[str, str]:
    """Return what the pages call the things of the journey that `request` is about, if any."""
    live = request.app.state.tower.journeys.known(request.path_params.get("journey", ""))
    return refusals.NOBODY if live is None else naming.names_of(live.net, language)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    title = {404: "There is nothing here", 405: "This cannot be done here"}
    problem = Problem(
        error.status_code,
        f"http-{error.status_code}",
        title.get(error.status_code, error.detail),
        Part("path", request.url.path),
        headers=dict(error.headers or {}),
    )
    if pages.wants_page(request):
        return await pages.problem(request, problem)
    return response(problem)


async def _away(request: Request, error: Exception) -> Response:
    """Say that the database cannot be reached: whoever sends an act again has its key."""
    log.warning("%s %s: the database: %s", request.method, request.url.path, error)
    what = "the database does not answer; what was acknowledged is safe"
    part = Part("", what, "send the same request again, with the same key")
    problem = Problem(503, "away", "Not available now", part, headers={"Retry-After": "2"})
    if pages.wants_page(request):
        with contextlib.suppress(psycopg.Error, PoolTimeout):  # a page asks who is signed in
            return await pages.problem(request, problem)
    return response(problem)


async def _in_doubt(request: Request, error: Exception) -> Response:
    """Say that the record could not be reached in time: what was asked for may be in it."""
    assert isinstance(error, NotAcknowledged)
    log.warning("%s %s: the record: %s", request.method, request.url.path, error)
    return await _problem(request, problem(unreached(error)))


async def _unexpected(request: Request, error: Exception) -> Response:
    problem = Problem(
        500, "unexpected", "Something went wrong here; nothing was recorded by this request"
    )
    return response(problem)
