"""My account: how I sign in, where I am signed in, what I am competent for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stafett.registry.competence import Grant
from stafett.service.accounts import Person, SignInRefused
from stafett.service.factors import Enrolment
from stafett.service.passkeys import Passkey, PasskeyRefused
from stafett.service.sessions import Session
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import page, role_titles, signed_in
from stafett.web.problem import Part, Problem
from stafett.web.session import token_of
from stafett.web.signin import Options, Text, site_of, tower_of

FRESH = timedelta(minutes=10)
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]


class Again(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The password again, before anything of the account is changed."""

    password: Text


class Password(Again, frozen=True, forbid_unknown_fields=True):
    """A new password, and the old one."""

    new: Text


class Code(Again, frozen=True, forbid_unknown_fields=True):
    """A secret that was offered, and the code that the app shows for it now."""

    secret: Annotated[str, msgspec.Meta(pattern=r"^[A-Z2-7]{32}$")]
    code: Text


class NewPasskey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the browser answered to the options of enrolment, and a name for the passkey."""

    name: Name
    credential: dict[str, Any]


class Codes(msgspec.Struct, frozen=True):
    """Recovery codes: shown this once."""

    codes: list[str]


class Mine(msgspec.Struct, frozen=True):
    """How I sign in. `current` is the session that asks."""

    person: Person
    second_factor: bool
    recovery_codes_left: int
    passkeys: list[Passkey]
    sessions: list[Session]
    current: str | None
    competence: list[Competence]


class Competence(msgspec.Struct, frozen=True):
    """What I may sign: protocol, version (`*` every one), role, until when; `holds` now."""

    protocol: str
    version: str
    role: str
    valid_from: datetime
    valid_until: datetime
    granted_by: str
    reason: str
    holds: bool
    withdrawn: datetime | None = None
    id: int = 0
    person: str = ""


def shown(grant: Grant) -> Competence:
    """Return a grant as the API shows it."""
    return Competence(
        grant.protocol,
        grant.version,
        grant.role,
        grant.valid_from,
        grant.valid_until,
        grant.granted_by,
        grant.reason,
        grant.covers(datetime.now().astimezone()),
        grant.withdrawn,
        grant.id,
        grant.person,
    )


async def granters(request: Request, grants: list[Competence]) -> dict[str, str]:
    """Return the names of those who gave `grants`, also of who has left since."""
    accounts = tower_of(request).accounts
    found = [await accounts.person(id) for id in sorted({grant.granted_by for grant in grants})]
    return {person.id: person.name for person in found if person is not None}


async def mine(call: Call[Nothing, Nothing]) -> Mine:
    """Return how I sign in."""
    return await _mine(call.request, call.request.state.person)


async def _mine(request: Request, person: Person) -> Mine:
    tower = tower_of(request)
    token = token_of(request) or ""
    return Mine(
        person,
        await tower.factors.has(person),
        await tower.factors.codes_left(person),
        await tower.passkeys.of(person),
        await tower.sessions.list(person),
        await tower.sessions.id_of(token),
        [shown(grant) for grant in await tower.competences.of(person.id)],
    )


async def _confirm(request: Request, password: str) -> Person:
    """Return who asks, once their password was right again; raise the problem otherwise."""
    person: Person = request.state.person
    accounts = tower_of(request).accounts
    if not password and not await accounts.has_password(person):
        await _fresh(request, person)
        return person
    try:
        await accounts.unlocked(person.id)
        right = await accounts.confirms(person, password)
    except SignInRefused as error:
        headers = {"Retry-After": str(error.retry_after)}
        part = Part("password", str(error))
        raise Problem(429, "sign-in", "Wait a while", part, headers=headers) from None
    if not right:
        part = Part("password", "it is not your password", "enter it again")
        raise Problem(403, "signature", "The password is wrong", part)
    return person


async def _fresh(request: Request, person: Person) -> None:
    """Raise the problem unless the session of who has no password was opened minutes ago."""
    sessions = tower_of(request).sessions
    current = await sessions.id_of(token_of(request) or "")
    now = datetime.now().astimezone()
    if not any(s.id == current and now - s.opened < FRESH for s in await sessions.list(person)):
        part = Part("password", "you have none, and signed in some time ago", "sign in again")
        raise Problem(403, "signature", "Sign in again first", part)


async def password(call: Call[Password, Nothing]) -> None:
    """Change my password; every other session ends."""
    tower = tower_of(call.request)
    person = await _confirm(call.request, call.body.password)
    try:
        await tower.accounts.set_password(person, call.body.new)
    except ValueError as error:
        part = Part("/new", str(error))
        raise Problem(422, "password", "That cannot be your password", part) from None
    await tower.sessions.end_all(person.id, but=token_of(call.request))


async def offer_code(call: Call[Again, Nothing]) -> Enrolment:
    """Offer a secret for an app that shows codes."""
    person = await _confirm(call.request, call.body.password)
    return tower_of(call.request).factors.offer(person, "Stafett")


async def enrol_code(call: Call[Code, Nothing]) -> Codes:
    """Turn the second factor on; return recovery codes, once."""
    person = await _confirm(call.request, call.body.password)
    try:
        codes = await tower_of(call.request).factors.enrol(
            person, call.body.secret, call.body.code.replace(" ", "")
        )
    except ValueError as error:
        raise Problem(422, "code", "The code is wrong", Part("/code", str(error))) from None
    return Codes(codes)


async def remove_code(call: Call[Again, Nothing]) -> None:
    """Turn the second factor off."""
    person = await _confirm(call.request, call.body.password)
    await tower_of(call.request).factors.remove(person.id)


async def new_codes(call: Call[Again, Nothing]) -> Codes:
    """Make new recovery codes; the old ones are void."""
    tower = tower_of(call.request)
    person = await _confirm(call.request, call.body.password)
    if not await tower.factors.has(person):
        part = Part("code", "there is no second factor", "turn it on first")
        raise Problem(409, "code", "No second factor", part)
    return Codes(await tower.factors.new_codes(person))


async def offer_passkey(call: Call[Again, Nothing]) -> Options:
    """Return the options with which the browser makes a passkey."""
    site = site_of(call.request)
    person = await _confirm(call.request, call.body.password)
    return Options(
        msgspec.Raw((await tower_of(call.request).passkeys.offer(person, site)).encode())
    )


async def enrol_passkey(call: Call[NewPasskey, Nothing]) -> Passkey:
    """Keep the passkey that the browser made."""
    person = call.request.state.person
    try:
        return await tower_of(call.request).passkeys.enrol(
            person, call.body.name, call.body.credential, site_of(call.request)
        )
    except PasskeyRefused as error:
        part = Part("/credential", str(error))
        raise Problem(422, "passkey", "The passkey was not kept", part) from None


async def remove_passkey(call: Call[Again, Nothing]) -> None:
    """Take a passkey away."""
    person = await _confirm(call.request, call.body.password)
    try:
        gone = await tower_of(call.request).passkeys.remove(person, call.path["passkey"])
    except PasskeyRefused:
        gone = False
    if not gone:
        raise Problem(404, "unknown", "There is no such passkey", Part("passkey", "not yours"))


async def end_session(call: Call[Nothing, Nothing]) -> None:
    """End one of my sessions."""
    person = call.request.state.person
    if not await tower_of(call.request).sessions.end_one(person, call.path["session"]):
        raise Problem(404, "unknown", "There is no such session", Part("session", "not yours"))


async def end_others(call: Call[Nothing, Nothing]) -> None:
    """End all my sessions but this one."""
    token = token_of(call.request)
    await tower_of(call.request).sessions.end_all(call.request.state.person.id, but=token)


async def account_page(request: Request) -> Response:
    """Show my account."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    found = await _mine(request, person)
    try:
        passkeys_here = bool(site_of(request))
    except Problem:
        passkeys_here = False
    return await page(
        request, "account.html", person, mine=found, passkeys_here=passkeys_here,
        role_names=role_titles(request), granters=await granters(request, found.competence),
        start={"passkeys": passkeys_here},
    )  # fmt: skip


async def well_known(request: Request) -> Response:
    """Send password managers to where a password is changed (well-known change-password)."""
    return RedirectResponse("/account", 302)


WRONG = {403: "The password is wrong.", 429: "Wait a while."}
ENDPOINTS = (
    Endpoint("GET", "/api/account", mine, "How I sign in", "see", answer=Mine, tag="account"),
    Endpoint(
        "POST", "/api/account/password", password, "Change my password", "see", Password,
        status=204, tag="account", answers=WRONG,
    ),
    Endpoint(
        "POST", "/api/account/code/offer", offer_code, "Offer a second factor", "see", Again,
        answer=Enrolment, tag="account", answers=WRONG,
    ),
    Endpoint(
        "POST", "/api/account/code", enrol_code, "Turn the second factor on", "see", Code,
        answer=Codes, status=201, tag="account", answers=WRONG,
    ),
    Endpoint(
        "POST", "/api/account/code/remove", remove_code, "Turn the second factor off", "see", Again,
        status=204, tag="account", answers=WRONG,
    ),
    Endpoint(
        "POST", "/api/account/code/recovery", new_codes, "New recovery codes", "see", Again,
        answer=Codes, status=201, tag="account",
        answers={**WRONG, 409: "There is no second factor."},
    ),
    Endpoint(
        "POST", "/api/account/passkeys/offer", offer_passkey, "Begin a passkey", "see", Again,
        answer=Options, tag="account",
        answers={**WRONG, 409: "Browsers allow no passkeys at this address."},
    ),
    Endpoint(
        "POST", "/api/account/passkeys", enrol_passkey, "Keep a passkey", "see", NewPasskey,
        answer=Passkey, status=201, tag="account",
        answers={409: "Browsers allow no passkeys at this address."},
    ),
    Endpoint(
        "POST", "/api/account/passkeys/{passkey}/remove", remove_passkey, "Remove a passkey",
        "see", Again, status=204, tag="account", answers=WRONG,
    ),
    Endpoint(
        "DELETE", "/api/account/sessions/{session}", end_session, "End one of my sessions", "see",
        status=204, tag="account",
    ),
    Endpoint(
        "DELETE", "/api/account/sessions", end_others, "End my other sessions", "see", status=204,
        tag="account",
    ),
)  # fmt: skip
MENU = (Line("account", "/account", "menu.admin"),)
ROUTES = [
    Route("/account", account_page),
    Route("/.well-known/change-password", well_known),
]
