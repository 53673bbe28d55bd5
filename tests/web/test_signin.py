"""Signing in, by every way there is, and everything that must not open a session."""

from __future__ import annotations

import re
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest

import http_
from site_ import Site
from stafett.service import accounts, demo, passwords, sessions, throttle
from stafett.service.tower import Tower
from stafett.web.app import application

GOOD = "fyra trötta hästar målar"


def add(site: Site, **more: Any) -> tuple[str, str]:
    """Add a person to the hospital through the API; return their login and link."""
    login = f"p-{uuid.uuid4().hex[:8]}"
    body = {"login": login, "name": "Nils Ny", "roles": [], "duties": [], "reason": "new here"}
    answer = site.call("administrator", "POST", "/api/admin/people", json={**body, **more})
    assert answer.status_code == 201, answer.text
    return login, answer.json()["link"]


def person(site: Site, **more: Any) -> str:
    """Add a person who has chosen the password GOOD; return their login."""
    login, link = add(site, **more)
    answer = welcome(site, link, GOOD)
    assert answer.status_code == 303, answer.text
    return login


def welcome(site: Site, link: str, password: str, **more: str) -> httpx.Response:
    """Answer a one-time link's form."""
    form = {"password": password, "again": password, **more}
    headers = {"Sec-Fetch-Site": "same-origin"}
    return http_.post(site.base + link, data=form, headers=headers)


def sign_in(site: Site, login: str, password: str, **more: Any) -> httpx.Response:
    body = {"login": login, "password": password, **more}
    return http_.post(f"{site.base}/api/session", json=body, timeout=60)


def as_(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# -- passwords -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        "short", "fourteen chars", "passwordpassword", "P@ssw0rdP@ssw0rd1!", "aaaaaaaaaaaaaaaaaaaa",
        "qwertyuiopasdfghjkl", "Stafett2026Stafett", "Nils Ny Nils Ny Ny!", "Sommar2026Hospital",
        "ababababababababab", "lösenordlösenord", "x" * 300,
    ],
)  # fmt: skip
def test_what_everybody_tries_is_no_password(password: str) -> None:
    """Too short, too long, repeated, common, or made of the person's own name: refused with why."""
    assert passwords.refused(password, "nils", "Nils Ny", "Norra sjukhuset")


@pytest.mark.parametrize("password", [GOOD, "tractor moon ladder fish", "k7#Vq!2mZx9@Lp0$Wd"])
def test_long_and_unrelated_is_enough(password: str) -> None:
    """No rule of composition is asked (NIST SP 800-63B-4, 3.1.1.2)."""
    assert passwords.refused(password, "nils", "Nils Ny") is None


# -- one-time links ------------------------------------------------------------------------------


def test_a_link_works_once_and_the_person_chooses_the_password(site: Site) -> None:
    """Nobody but the person ever knows the password; the link is void after it was used."""
    login, link = add(site)
    assert sign_in(site, login, GOOD).status_code == 401
    assert welcome(site, link, "passwordpassword").status_code == 422
    assert welcome(site, link, GOOD, again="another").status_code == 422
    assert welcome(site, link, GOOD).status_code == 303
    assert welcome(site, link, "another tractor moon ladder").status_code == 404
    assert sign_in(site, login, GOOD).status_code == 200


def test_a_second_link_voids_what_was_before(site: Site) -> None:
    """After a reset neither the old password, nor the second factor, nor a session is left."""
    login = person(site)
    token = sign_in(site, login, GOOD).json()["token"]
    _enrol_code(site, token)
    made = site.call(
        "administrator", "POST", f"/api/admin/people/{login}/link", json={"reason": "lost phone"}
    )
    assert made.status_code == 201, made.text
    other = "seven green boats sing"
    assert welcome(site, made.json()["link"], other).status_code == 303
    assert sign_in(site, login, GOOD).status_code == 401
    assert sign_in(site, login, other).status_code == 200
    assert http_.get(f"{site.base}/api/me", headers=as_(token)).status_code == 401


# -- second factor -------------------------------------------------------------------------------


def _enrol_code(site: Site, token: str) -> tuple[pyotp.TOTP, list[str]]:
    offer = http_.post(
        f"{site.base}/api/account/code/offer", json={"password": GOOD}, headers=as_(token)
    ).json()
    totp = pyotp.TOTP(offer["secret"])
    assert "<svg" in offer["svg"] and offer["uri"].startswith("otpauth://totp/")
    # The code of the step before: the present one stays unused for the sign-in. It is good for as
    # long as the present step lasts.
    if (left := 30 - time.time() % 30) < 3:
        time.sleep(left)
    body = {
        "password": GOOD,
        "secret": offer["secret"],
        "code": totp.at(int(time.time()) - 30),
    }
    answer = http_.post(f"{site.base}/api/account/code", json=body, headers=as_(token))
    assert answer.status_code == 201, answer.text
    return totp, answer.json()["codes"]


def test_with_a_second_factor_the_password_alone_opens_nothing(site: Site) -> None:
    """A code is needed; it works once; a wrong one counts as a wrong password."""
    login = person(site)
    token = sign_in(site, login, GOOD).json()["token"]
    totp, _ = _enrol_code(site, token)
    answer = sign_in(site, login, GOOD)
    assert answer.status_code == 401 and answer.json()["type"] == "/problems/second-factor"
    assert sign_in(site, login, GOOD, code="000000").status_code == 401
    code = totp.now()
    assert sign_in(site, login, GOOD, code=code).status_code == 200
    assert sign_in(site, login, GOOD, code=code).status_code == 401


def test_a_recovery_code_works_once(site: Site) -> None:
    """When the phone is lost: written with or without its dash, once."""
    login = person(site)
    token = sign_in(site, login, GOOD).json()["token"]
    _, codes = _enrol_code(site, token)
    assert len(set(codes)) == 10
    assert sign_in(site, login, GOOD, code=codes[0].lower()).status_code == 200
    assert sign_in(site, login, GOOD, code=codes[0]).status_code == 401
    assert sign_in(site, login, GOOD, code=codes[1].replace("-", "")).status_code == 200
    mine = http_.get(f"{site.base}/api/account", headers=as_(token)).json()
    assert mine["recovery_codes_left"] == 8


def test_the_form_asks_for_the_code_on_a_second_page(site: Site) -> None:
    """The page keeps no password: a token of five minutes and five tries stands for it."""
    login = person(site)
    totp, _ = _enrol_code(site, sign_in(site, login, GOOD).json()["token"])
    headers = {"Sec-Fetch-Site": "same-origin"}
    page = http_.post(
        f"{site.base}/sign-in", data={"login": login, "password": GOOD}, headers=headers
    )
    second = re.search(r'name="second" value="([^"]+)"', page.text)
    assert second is not None and "set-cookie" not in page.headers and GOOD not in page.text
    form = {"second": second[1], "code": totp.now()}
    done = http_.post(f"{site.base}/sign-in", data=form, headers=headers)
    assert done.status_code == 303 and "stafett=" in done.headers["set-cookie"]
    assert http_.post(f"{site.base}/sign-in", data=form, headers=headers).status_code == 401


def test_the_secret_is_not_readable_in_the_database(site: Site) -> None:
    """What the database holds of a second factor is sealed under a key outside of it."""
    login = person(site)
    totp, _ = _enrol_code(site, sign_in(site, login, GOOD).json()["token"])

    async def stored() -> bytes:
        async with site.tower.pool.connection() as connection:
            query = "SELECT totp FROM service.person WHERE id = %s"
            row = await (await connection.execute(query, (login,))).fetchone()
            return bytes(row[0])

    assert totp.secret.encode() not in site.inside(stored())


# -- sessions ------------------------------------------------------------------------------------


def test_a_session_can_be_ended_from_another_place(site: Site) -> None:
    """Each session is listed with how and from where; ending one ends just that one, at once."""
    login = person(site)
    first, second = (sign_in(site, login, GOOD).json()["token"] for _ in range(2))
    mine = http_.get(f"{site.base}/api/account", headers=as_(first)).json()
    others = [s for s in mine["sessions"] if s["id"] != mine["current"]]
    assert {s["method"] for s in others} == {"password", "one-time link"}
    for one in others:
        path = f"{site.base}/api/account/sessions/{one['id']}"
        assert http_.delete(path, headers=as_(first)).status_code == 204
        assert http_.delete(path, headers=as_(first)).status_code == 404
    assert http_.get(f"{site.base}/api/me", headers=as_(second)).status_code == 401
    assert http_.get(f"{site.base}/api/me", headers=as_(first)).status_code == 200


def test_nobody_ends_a_session_of_another(site: Site) -> None:
    """The name of a session is worth nothing to anybody else."""
    one, two = person(site), person(site)
    mine = sign_in(site, one, GOOD).json()["token"]
    name = http_.get(f"{site.base}/api/account", headers=as_(mine)).json()["current"]
    theirs = sign_in(site, two, GOOD).json()["token"]
    path = f"{site.base}/api/account/sessions/{name}"
    assert http_.delete(path, headers=as_(theirs)).status_code == 404
    assert http_.get(f"{site.base}/api/me", headers=as_(mine)).status_code == 200


@pytest.mark.parametrize("column", ["used", "expires"])
def test_a_session_ends_by_itself(site: Site, column: str) -> None:
    """After an hour without use, and after twelve hours in any case."""
    login = person(site)
    token = sign_in(site, login, GOOD).json()["token"]
    assert http_.get(f"{site.base}/api/me", headers=as_(token)).status_code == 200
    back = {"used": sessions.IDLE, "expires": sessions.ABSOLUTE}[column]

    async def age() -> None:
        async with site.tower.pool.connection() as connection:
            await connection.execute(
                f"UPDATE service.session SET {column} = {column} - %s::interval WHERE person = %s",
                (back, login),
            )
        await site.tower.sessions.refresh()

    site.inside(age())
    assert http_.get(f"{site.base}/api/me", headers=as_(token)).status_code == 401


def test_suspension_ends_everything_at_once(site: Site) -> None:
    """A suspended person's sessions end, and neither password nor anything else opens another."""
    login = person(site)
    token = sign_in(site, login, GOOD).json()["token"]
    path = f"/api/admin/people/{login}/suspend"
    assert site.call("administrator", "POST", path, json={"reason": "left us"}).status_code == 204
    assert http_.get(f"{site.base}/api/me", headers=as_(token)).status_code == 401
    assert sign_in(site, login, GOOD).status_code == 401


def test_a_changed_password_ends_the_other_sessions(site: Site) -> None:
    """The one that changed it goes on; the old password is worth nothing."""
    login = person(site)
    one, two = (sign_in(site, login, GOOD).json()["token"] for _ in range(2))
    new = "blue ladders rarely swim"
    body = {"password": "wrong", "new": new}
    path = f"{site.base}/api/account/password"
    assert http_.post(path, json=body, headers=as_(one)).status_code == 403
    body["password"] = GOOD
    assert http_.post(path, json=body, headers=as_(one)).status_code == 204
    assert http_.get(f"{site.base}/api/me", headers=as_(one)).status_code == 200
    assert http_.get(f"{site.base}/api/me", headers=as_(two)).status_code == 401
    assert sign_in(site, login, GOOD).status_code == 401
    assert sign_in(site, login, new).status_code == 200


# -- attacks -------------------------------------------------------------------------------------


def test_a_session_is_never_taken_over_from_outside(site: Site) -> None:
    """Fixation: a cookie planted before sign-in is replaced, and what it named is ended."""
    login = person(site)
    planted = sign_in(site, login, GOOD).json()["token"]
    answer = http_.post(
        f"{site.base}/sign-in",
        data={"login": login, "password": GOOD},
        headers={"Sec-Fetch-Site": "same-origin", "Cookie": f"stafett={planted}"},
    )
    fresh = re.search(r"stafett=([^;]+)", answer.headers["set-cookie"])
    assert fresh is not None and fresh[1] != planted
    assert http_.get(f"{site.base}/api/me", headers=as_(planted)).status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(site: Site) -> None:
    """HttpOnly, SameSite=Strict, the whole site, no domain; Secure when the address is https."""
    form = {"login": "courier-2", "password": demo.PASSWORD}
    headers = {"Sec-Fetch-Site": "same-origin"}
    cookie = http_.post(f"{site.base}/sign-in", data=form, headers=headers).headers["set-cookie"]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= parts
    assert not any(part.startswith("domain") for part in parts)
    headers["X-Forwarded-Proto"] = "https"
    cookie = http_.post(f"{site.base}/sign-in", data=form, headers=headers).headers["set-cookie"]
    assert "secure" in {part.strip().lower() for part in cookie.split(";")}


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example",
        "javascript:x", "/\t/evil.example", "///evil.example", " //evil.example", "http:evil",
    ],
)  # fmt: skip
def test_sign_in_leads_nowhere_else(site: Site, target: str) -> None:
    """No open redirect: whatever `next` says, the way leads to a page of this site."""
    answer = http_.post(
        f"{site.base}/sign-in",
        data={"login": "courier-2", "password": demo.PASSWORD, "next": target},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    there = httpx.URL(site.base + "/").join(answer.headers["location"])
    assert f"{there.scheme}://{there.netloc.decode()}" == site.base
    assert answer.headers["location"].startswith("/") and "\n" not in answer.headers["location"]


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_a_form_of_another_site_is_refused(site: Site, path: str) -> None:
    """Cross-site request forgery: no own origin, no act."""
    form = {"login": "courier-2", "password": demo.PASSWORD}
    for headers in (
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ):
        answer = http_.post(site.base + path, data=form, headers=headers)
        assert answer.status_code == 403 and "set-cookie" not in answer.headers


def test_an_account_that_is_guessed_at_is_locked_for_a_while(site: Site) -> None:
    """After the last allowed wrong password even the right one waits, and the answer says how long.

    Other accounts open as before.
    """
    login = person(site)
    answers = [sign_in(site, login, "not the password") for _ in range(accounts.LOCK_AFTER)]
    assert {a.status_code for a in answers[:-1]} == {401}
    right = sign_in(site, login, GOOD)
    assert right.status_code == 429 and "set-cookie" not in right.headers
    assert 0 < int(right.headers["retry-after"]) <= accounts.LOCK_MINUTES * 60
    assert sign_in(site, "courier-2", demo.PASSWORD).status_code == 200


def test_an_address_that_guesses_is_slowed_for_every_account(site: Site) -> None:
    """Across accounts too: after enough wrong attempts the address waits, whatever it sends."""

    async def wrong() -> None:
        for _ in range(throttle.FAILURES):
            await site.tower.signin.throttle.failed("198.51.100.7")

    site.inside(wrong())
    body = {"login": "courier-2", "password": demo.PASSWORD}
    headers = {"X-Forwarded-For": "198.51.100.7"}
    answer = http_.post(f"{site.base}/api/session", json=body, headers=headers)
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0
    assert http_.post(f"{site.base}/api/session", json=body).status_code == 200


def test_every_response_is_kept_from_frames_caches_and_foreign_scripts(site: Site) -> None:
    """Headers on pages, on the API and on errors alike."""
    for path in ("/sign-in", "/api/me", "/nowhere", "/openapi.json", "/static/dom.js"):
        headers = http_.get(site.base + path).headers
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.anyio
async def test_the_first_administrator_comes_in_by_the_printed_link(
    database: str, tmp_path: Path
) -> None:
    """With no account at all: one link, one organisation, one administrator; then never again."""
    async with Tower(database, tmp_path, cheap_hashing=True) as tower:
        link = f"/welcome/{await tower.signin.invite(None)}"
        app = application(tower, opened=True)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost",
            headers={"Sec-Fetch-Site": "same-origin"},
        ) as browser:  # fmt: skip
            assert 'name="organisation"' in (await browser.get(link)).text
            form = {
                "organisation": "Norra sjukhuset", "kind": "hospital", "country": "SE",
                "time_zone": "Europe/Stockholm", "name": "Ada Admin", "login": "ada",
                "password": GOOD, "again": GOOD,
            }  # fmt: skip
            for wrong in ({"time_zone": "Mars"}, {"login": "?"}, {"password": "x", "again": "x"}):
                assert (await browser.post(link, data={**form, **wrong})).status_code == 422
            assert (await browser.post(link, data=form)).status_code == 303
            me = (await browser.get("/api/me")).json()
            assert me["organisation"] == "norra-sjukhuset" and "operator" in me["duties"]
            assert (await browser.get(link)).status_code == 404
            other = f"/welcome/{await tower.signin.invite(None)}"
            assert (await browser.post(other, data={**form, "login": "eve"})).status_code == 422
