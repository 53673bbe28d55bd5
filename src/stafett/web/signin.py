"""The ways in: password and code, passkey, one-time link; and the way out."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stafett.service.accounts import Organisation, Person, SignInRefused
from stafett.service.openid import NotLinked, ProviderRefused
from stafett.service.passkeys import Assertion, PasskeyRefused, Site
from stafett.service.policy import DUTIES
from stafett.service.signin import SecondFactorNeeded
from stafett.service.tower import Tower
from stafett.web.endpoint import Call, Endpoint, Nothing, read_body
from stafett.web.pages import page
from stafett.web.problem import Part, Problem
from stafett.web.session import (
    COOKIE,
    client_of,
    is_same_origin,
    person_of,
    remember,
    token_of,
)

BINDING = "stafett-provider"
FORM = 20_000
Text = Annotated[str, msgspec.Meta(max_length=300)]


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A login and its password; `code` where the account has a second factor."""

    login: Text
    password: Text
    code: Text | None = None


class Session(msgspec.Struct, frozen=True):
    """A session: send `token` as a bearer token."""

    token: str
    person: Person


class Options(msgspec.Struct, frozen=True):
    """WebAuthn's options, for `navigator.credentials`."""

    options: Any


class PasskeySignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A passkey's answer to the options; `cookie` asks for the session as a cookie too."""

    assertion: Assertion
    cookie: bool = False


def tower_of(request: Request) -> Tower:
    """Return the use cases of this application."""
    tower: Tower = request.app.state.tower
    return tower


def site_of(request: Request) -> Site:
    """Return where the browser is, or the problem that says where passkeys work."""
    try:
        return Site.of(str(request.base_url))
    except PasskeyRefused as error:
        raise Problem(409, "no-passkey", "No passkey here", Part("Host", str(error))) from None


def refused(error: SignInRefused) -> Problem:
    """Return the problem of a refused sign-in."""
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    status = 429 if error.retry_after else 401
    return Problem(status, "sign-in", "Not signed in", Part("login", str(error)), headers=headers)


async def open_session(call: Call[SignIn, Nothing]) -> Session:
    """Open a session."""
    body = call.body
    try:
        token, person = await tower_of(call.request).signin.with_password(
            body.login, body.password, client_of(call.request), body.code
        )
    except SecondFactorNeeded:
        part = Part("code", "the account has a second factor", "send a code of it with the rest")
        raise Problem(401, "second-factor", "A code is needed", part) from None
    except SignInRefused as error:
        raise refused(error) from None
    return Session(token, person)


async def end_session(call: Call[Nothing, Nothing]) -> None:
    """End the session."""
    token = token_of(call.request)
    if token:
        await tower_of(call.request).sessions.end(token)


async def me(call: Call[Nothing, Nothing]) -> Person:
    """Say who is signed in."""
    person: Person = call.request.state.person
    return person


async def ask_passkey(call: Call[Nothing, Nothing]) -> Options:
    """Return the question to whatever passkey the browser has."""
    options = await tower_of(call.request).passkeys.ask(site_of(call.request))
    return Options(msgspec.Raw(options.encode()))


async def passkey(call: Call[PasskeySignIn, Nothing]) -> Response:
    """Open a session by a passkey."""
    request, tower = call.request, tower_of(call.request)
    try:
        token, person = await tower.signin.with_passkey(
            call.body.assertion, site_of(request), client_of(request)
        )
    except SignInRefused as error:
        raise refused(error) from None
    answer = Response(
        msgspec.json.encode(Session("" if call.body.cookie else token, person)),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
    if call.body.cookie:
        if not is_same_origin(request):
            raise Problem(403, "csrf", "This did not come from a page here", Part("Origin", "?"))
        await _leave(request)
        remember(answer, request, token)
    return answer


# -- pages ---------------------------------------------------------------------------------------


async def front(request: Request) -> Response:
    """The first page: the board for who is signed in, the sign-in for others."""
    if await person_of(request) is not None:
        return RedirectResponse("/board", 303)
    return await _page(request, next_="/board")


async def sign_in(request: Request) -> Response:
    """Show the sign-in form, or sign in."""
    if request.method == "GET":
        return await _page(request, next_=request.query_params.get("next", "/board"))
    form = await read_form(request)
    login, next_ = form.get("login", ""), form.get("next", "")
    signin, client = tower_of(request).signin, client_of(request)
    try:
        if form.get("second"):
            token, _ = await signin.with_code(form["second"], form.get("code", ""), client)
        else:
            token, _ = await signin.with_password(login, form.get("password", ""), client)
    except SecondFactorNeeded as needed:
        return await _page(request, next_=next_, second=needed.token)
    except SignInRefused as error:
        status = 429 if error.retry_after else 401
        second = form.get("second", "") if "code" in str(error) else ""
        return await _page(request, str(error), login, next_, second, status)
    await _leave(request)
    done = RedirectResponse(local(next_), 303)
    remember(done, request, token)
    return done


async def sign_out(request: Request) -> Response:
    """End the session."""
    _own_form(request)
    await _leave(request)
    done = RedirectResponse("/sign-in", 303)
    done.delete_cookie(COOKIE)
    return done


async def welcome(request: Request) -> Response:
    """A one-time link: the person makes their password; the very first one, their organisation."""
    tower, token = tower_of(request), request.path_params["token"]
    good, person = await tower.signin.invited(token)
    if not good:
        return await page(request, "welcome.html", None, 404, good=False)
    if request.method == "GET":
        return await page(request, "welcome.html", None, **_welcome(person, {}, ""))
    form = await read_form(request)
    try:
        if form.get("password", "") != form.get("again", ""):
            raise ValueError("the two passwords are not the same")
        if person is not None:
            session, _ = await tower.signin.accept(token, form["password"], client_of(request))
        else:
            organisation, first = _founding(form)
            session, _ = await tower.signin.found(
                token, organisation, first, form["password"], client_of(request)
            )
    except ValueError as error:
        return await page(request, "welcome.html", None, 422, **_welcome(person, form, str(error)))
    await _leave(request)
    done = RedirectResponse("/account", 303)
    remember(done, request, session)
    return done


def _welcome(person: Person | None, form: dict[str, str], said: str) -> dict[str, Any]:
    return {"good": True, "invited": person, "form": form, "said": said}


def _founding(form: dict[str, str]) -> tuple[Organisation, Person]:
    """Return the first organisation and administrator of a form. Raises ValueError."""
    from stafett.service.administration import new_organisation, new_person

    organisation = new_organisation(
        form.get("organisation", ""), form.get("kind", ""), form.get("country", ""),
        form.get("time_zone", ""),
    )  # fmt: skip
    duties = ("administrator", "operator", "auditor")
    assert set(duties) <= set(DUTIES)
    person = new_person(form.get("login", ""), form.get("name", ""), organisation.id, (), duties)
    return organisation, person


async def with_provider(request: Request) -> Response:
    """Send the browser to an identity provider."""
    next_ = local(request.query_params.get("next", "/board"))
    try:
        begun = await tower_of(request).providers.begin(
            request.path_params["provider"], _back(request), next_
        )
    except ProviderRefused as error:
        return await _page(request, str(error), next_=next_, status=502)
    going = RedirectResponse(begun.url, 303)
    # Lax: it must come back with the browser when the provider sends it here.
    going.set_cookie(
        BINDING, begun.binding, max_age=300, path="/sign-in", httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return going


async def back(request: Request) -> Response:
    """Receive the browser from an identity provider."""
    query, tower = request.query_params, tower_of(request)
    if "error" in query:
        said = "".join(c for c in query["error"] if c.isprintable())[:80]
        return await _page(request, f"the provider says no: {said}", status=401)
    client = client_of(request)
    try:
        await tower.signin.check(client)
        person, provider, next_ = await tower.providers.finish(
            query.get("state", ""), query.get("code", ""), request.cookies.get(BINDING, "")
        )
    except (ProviderRefused, NotLinked, SignInRefused) as error:
        if isinstance(error, ProviderRefused):
            await tower.signin.throttle.failed(client.address)
        return await _page(request, str(error), status=401)
    token, _ = await tower.signin.with_provider(person, provider.id, client)
    await _leave(request)
    # A redirect would still count as coming from the provider, and the cookie is SameSite=Strict:
    # a page of our own leads on.
    done = await page(request, "going.html", None, next=local(next_))
    remember(done, request, token)
    done.delete_cookie(BINDING, path="/sign-in")
    return done


def _back(request: Request) -> str:
    return str(request.base_url.replace(path="/sign-in/back", query=""))


async def _leave(request: Request) -> None:
    """End the session that the browser still has: a sign-in never takes one over (fixation)."""
    old = request.cookies.get(COOKIE)
    if old:
        await tower_of(request).sessions.end(old)


def _own_form(request: Request) -> None:
    if not is_same_origin(request):
        raise Problem(403, "csrf", "This form did not come from here", Part("Origin", "foreign"))


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form that came from a page of this origin; U+0000 is refused."""
    _own_form(request)
    request._body = await read_body(request, FORM)  # with a limit; Starlette keeps it for `form()`
    form = await request.form()
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    if any("\x00" in value for value in fields.values()):
        raise Problem(422, "invalid", "The form holds the character U+0000", Part("form", "U+0000"))
    return fields


def local(path: str) -> str:
    """Return `path` if it is on this site, else the board: no open redirect."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if inside and path.isprintable() else "/board"


async def _page(
    request: Request,
    said: str = "",
    login: str = "",
    next_: str = "",
    second: str = "",
    status: int = 200,
) -> Response:
    demo = []
    tower = tower_of(request)
    if request.app.state.demo:
        organisations = await tower.accounts.organisations()
        demo = [
            {"login": p.login, "name": p.name, "organisation": organisations[p.organisation].name}
            for p in request.app.state.demo
        ]
    return await page(
        request,
        "sign_in.html",
        None,
        status,
        problem=said,
        login=login,
        next=local(next_),
        second=second,
        providers=await tower.providers.all(active=True),
        start={"next": local(next_)},
        demo=demo,
        demo_password=request.app.state.demo_password,
    )


ENDPOINTS = (
    Endpoint(
        "POST", "/api/session", open_session, "Sign in", "anyone", SignIn, answer=Session,
        tag="session",
        answers={401: "Wrong name, password or code; or a code is needed.", 429: "Wait a while."},
    ),
    Endpoint(
        "DELETE", "/api/session", end_session, "Sign out", "see", status=204, tag="session"
    ),
    Endpoint(
        "POST", "/api/session/passkey/options", ask_passkey, "Ask for a passkey", "anyone",
        answer=Options, tag="session", answers={409: "Browsers allow no passkeys at this address."},
    ),
    Endpoint(
        "POST", "/api/session/passkey", passkey, "Sign in with a passkey", "anyone", PasskeySignIn,
        answer=Session, tag="session",
        answers={
            401: "The passkey is not known or does not hold.", 403: "Not from a page here.",
            409: "Browsers allow no passkeys at this address.", 429: "Wait a while.",
        },
    ),
    Endpoint("GET", "/api/me", me, "Who am I", "see", answer=Person, tag="session"),
)  # fmt: skip
ROUTES = [
    Route("/", front),
    Route("/sign-in", sign_in, methods=["GET", "POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
    Route("/sign-in/with/{provider}", with_provider),
    Route("/sign-in/back", back),
    Route("/welcome/{token}", welcome, methods=["GET", "POST"]),
]
