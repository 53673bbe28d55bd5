"""Who is asking: the session behind a request, and the guard in front of every endpoint.

Browsers carry the session in a cookie (HttpOnly, SameSite=Strict); programs send it as a bearer
token. A request that changes something with the cookie must also carry the header `X-Stafett`,
which another site's form cannot set (CSRF), or be a same-origin form post.
"""

from __future__ import annotations

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from stafett.service import policy
from stafett.service.accounts import Person
from stafett.service.sessions import ABSOLUTE, Sessions
from stafett.service.signin import Client
from stafett.web import zone
from stafett.web.endpoint import Endpoint
from stafett.web.problem import Part, Problem

COOKIE = "stafett"
SAFE = ("GET", "HEAD", "OPTIONS")
SESSIONS = "/api/session"  # signing in and out goes on


def token_of(request: Request) -> str | None:
    """Return the session token of `request`, from the header or the cookie."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value:
        return value.strip()
    return request.cookies.get(COOKIE)


async def person_of(request: Request) -> Person | None:
    """Return who is signed in, if anyone; this request's times are shown in their zone."""
    token = token_of(request)
    sessions: Sessions = request.app.state.tower.sessions
    person = await sessions.of_token(token) if token else None
    if person is not None:
        zone.stand_in((await request.app.state.tower.administration.zone_of(person)).key)
    return person


def client_of(request: Request) -> Client:
    """Return where a request came from. Behind a proxy, uvicorn takes the address it trusts."""
    address = request.client.host if request.client else ""
    return Client(address, request.headers.get("user-agent", ""))


async def guard(request: Request, endpoint: Endpoint) -> None:
    """Stop a request that its person may not make; leave the person in `request.state.person`."""
    person = await person_of(request)
    request.state.person = person
    if request.method not in SAFE and endpoint.paced:
        request.app.state.paces.take(request, person.id if person else None)
    if endpoint.may == "anyone":
        return
    if person is None:
        raise Problem(
            401,
            "not-signed-in",
            "Sign in first",
            Part("Authorization", "no valid session", "POST /api/session gives one"),
            headers={"WWW-Authenticate": "Bearer"},
        )
    if request.method not in SAFE and not _is_own(request):
        raise Problem(
            403,
            "csrf",
            "This request did not come from a page of Stafett",
            Part("X-Stafett", "the header is missing", "send `X-Stafett: 1`"),
        )
    if not policy.allows(endpoint.may, person):
        duties = " or ".join(policy.TABLE[endpoint.may])
        raise Problem(
            403,
            "not-allowed",
            "Your account may not do this",
            Part("person", f"{person.name} has no duty that allows it", f"it takes: {duties}"),
        )
    if request.method not in SAFE and not endpoint.path.startswith(SESSIONS):
        writable(request)


def writable(request: HTTPConnection) -> None:
    """Stop what would be acknowledged and lost: a record that was rolled back is for looking only.

    Whatever is changed beside the record waits to be told to it, here for ever.
    """
    if request.app.state.tower.ledger.halted:
        raise Problem(
            503,
            "stopped",
            "The record is stopped: nothing is changed here",
            Part(
                "record",
                "witnesses have signed more of it than is in this database, so it was restored to "
                "an earlier moment",
                "restore the entries that are missing, from the archive or a mirror",
            ),
        )


def _is_own(request: Request) -> bool:
    if "authorization" in request.headers or "x-stafett" in request.headers:
        return True
    return is_same_origin(request)


def is_same_origin(request: Request) -> bool:
    """Say whether a form post came from a page of this very origin."""
    if request.headers.get("sec-fetch-site") == "same-origin":
        return True
    origin = request.headers.get("origin", "")
    return bool(origin) and origin.partition("://")[2] == request.headers.get("host", "")


def remember(response: Response, request: Request, token: str) -> None:
    """Set the session cookie."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(ABSOLUTE.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
