"""Signing in by an organisation's own provider: a whole flow, and every way it can be wrong."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey
from playwright.sync_api import Browser, expect

import http_
from openid_provider import CLIENT, SECRET, Provider, provider
from site_ import Site
from stafett.service import demo

HOSPITAL = "university-hospital"


@pytest.fixture(scope="module")
def there(site: Site) -> Iterator[Provider]:
    """Serve a provider, and let the operator enter it for the hospital."""
    with provider() as found:
        body = {
            "organisation": HOSPITAL, "name": "Hospital login", "issuer": found.issuer,
            "client": CLIENT, "secret": SECRET, "reason": "the hospital's own sign-in",
        }  # fmt: skip
        path = "/api/admin/providers/hospital"
        assert site.call("administrator", "PUT", path, json=body).status_code == 204
        yield found


@pytest.fixture(autouse=True)
def as_it_was(site: Site, there: Provider) -> Iterator[None]:
    """Put the provider back to how a good one behaves."""
    key = there.key
    yield
    there.claims, there.algorithm, there.key, there.published = {}, "RS256", key, [key]
    there.subject, there.says = "subject-1", None
    site.tower.providers.forget()


def sign_in(site: Site, change: Callable[[str], str] = str, cookie: bool = True) -> httpx.Response:
    """Walk a browser's way: to the provider and back; `change` tampers with the way back."""
    with httpx.Client(base_url=site.base) as browser:
        going = browser.get("/sign-in/with/hospital", params={"next": "/tasks"})
        assert going.status_code == 303, going.text
        asked = {k: v[0] for k, v in parse_qs(urlsplit(going.headers["location"]).query).items()}
        assert asked["code_challenge_method"] == "S256" and asked["scope"].startswith("openid")
        back = http_.get(going.headers["location"]).headers["location"]
        assert back.startswith(site.base)
        if not cookie:
            browser.cookies.clear()
        return browser.get(change(back))


def link(site: Site, subject: str, person: str) -> httpx.Response:
    """Let the hospital's administrator say whose account it is."""
    body = {"provider": "hospital", "subject": subject, "person": person, "reason": "I know them"}
    return site.call("administrator", "POST", "/api/admin/identities", json=body)


def refused(answer: httpx.Response) -> bool:
    return answer.status_code == 401 and "stafett=" not in answer.headers.get("set-cookie", "")


def test_only_who_was_linked_by_an_administrator_comes_in(site: Site, there: Provider) -> None:
    """The first time nothing opens; the administrator sees the account, links it, and it does."""
    there.subject = "subject-new"
    answer = sign_in(site)
    assert refused(answer) and "not linked" in answer.text
    seen = site.call("administrator", "GET", "/api/admin/identities").json()
    assert {"subject-new"} <= {i["subject"] for i in seen if i["person"] is None}
    assert link(site, "subject-new", "pharmacy-1").status_code == 204
    answer = sign_in(site)
    assert answer.status_code == 200 and "url=/tasks" in answer.text
    token = re.search(r"stafett=([^;]+)", answer.headers["set-cookie"])
    assert token is not None and "samesite=strict" in answer.headers["set-cookie"].lower()
    me = http_.get(f"{site.base}/api/me", headers={"Authorization": f"Bearer {token[1]}"})
    assert me.json()["login"] == "pharmacy-1"
    trail = site.call("administrator", "GET", "/api/audit/changes").json()
    assert any(c["what"] == "identity linked" and c["reason"] == "I know them" for c in trail)


def test_a_provider_vouches_for_its_own_organisation_only(site: Site, there: Provider) -> None:
    """Nobody of another organisation can be linked, and no other administrator can link."""
    sign_in(site)
    assert link(site, "subject-1", "courier-1").status_code == 404
    body = {"provider": "hospital", "subject": "subject-1", "person": "courier-1", "reason": "mine"}
    answer = site.call("courier-admin", "POST", "/api/admin/identities", json=body)
    assert answer.status_code == 404
    assert site.call("courier-admin", "GET", "/api/admin/identities").json() == []


@pytest.mark.parametrize(
    ("wrong", "claims"),
    [
        ("another issuer", {"iss": "http://127.0.0.1:1"}),
        ("another audience", {"aud": "somebody-else"}),
        ("no audience", {"aud": None}),
        ("several audiences, for none", {"aud": [CLIENT, "somebody-else"]}),
        ("made for another", {"azp": "somebody-else"}),
        ("expired", {"exp": int(time.time()) - 600}),
        ("never expires", {"exp": None}),
        ("not yet", {"iat": int(time.time()) + 3600}),
        ("another sign-in's nonce", {"nonce": "replayed"}),
        ("no nonce", {"nonce": None}),
        ("nobody", {"sub": None}),
    ],
)
def test_an_id_token_that_is_not_ours_opens_nothing(
    site: Site, there: Provider, wrong: str, claims: dict[str, Any]
) -> None:
    """Every rule of OpenID Connect Core 3.1.3.7, broken one at a time."""
    link(site, "subject-1", "pharmacy-2")
    there.claims = claims
    assert refused(sign_in(site)), wrong


def test_a_token_of_another_key_opens_nothing(site: Site, there: Provider) -> None:
    """Signed by a key that the provider does not publish, under a published name."""
    there.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
    assert refused(sign_in(site))


def test_an_unsigned_token_opens_nothing(site: Site, there: Provider) -> None:
    """`alg: none` is no signature."""
    there.algorithm = "none"
    assert refused(sign_in(site))


def test_a_new_key_is_fetched_when_it_is_needed(site: Site, there: Provider) -> None:
    """A provider that has changed its key meanwhile is asked for its keys again."""
    sign_in(site)
    link(site, "subject-1", "pharmacy-2")
    there.key = RSAKey.generate_key(2048, {"kid": "two", "use": "sig", "alg": "RS256"})
    there.published = [there.key]
    assert sign_in(site).status_code == 200


def test_the_way_back_belongs_to_the_browser_that_left(site: Site, there: Provider) -> None:
    """A link that an attacker began (login CSRF), a second use, a wrong state: nothing opens."""
    sign_in(site)
    link(site, "subject-1", "pharmacy-2")
    assert refused(sign_in(site, cookie=False))
    assert refused(sign_in(site, lambda back: re.sub("state=[^&]+", "state=guessed", back)))
    assert refused(sign_in(site, lambda back: re.sub("code=[^&]+", "code=guessed", back)))
    assert refused(sign_in(site, lambda back: back.partition("?")[0] + "?error=access_denied"))


def test_a_provider_that_says_it_is_another_is_not_asked(site: Site, there: Provider) -> None:
    """The issuer in its description must be the one that was entered (mix-up)."""
    there.says = "https://other.example"
    site.tower.providers.forget()
    answer = http_.get(f"{site.base}/sign-in/with/hospital")
    assert answer.status_code == 502 and "says that it is" in answer.text


def test_a_suspended_person_comes_in_by_no_provider(site: Site, there: Provider) -> None:
    """What the provider says counts for nothing once the organisation has suspended them."""
    there.subject = "subject-gone"
    sign_in(site)
    assert link(site, "subject-gone", "pharmacy-3").status_code == 204
    why = {"reason": "left us"}
    path = "/api/admin/people/pharmacy-3"
    assert site.call("administrator", "POST", f"{path}/suspend", json=why).status_code == 204
    assert refused(sign_in(site))
    assert site.call("administrator", "POST", f"{path}/resume", json=why).status_code == 204


def test_only_an_operator_enters_providers_and_only_safe_ones(site: Site, there: Provider) -> None:
    """No plain http outside this machine, no credentials in the address, a secret, a reason."""
    good = {
        "organisation": HOSPITAL, "name": "N", "issuer": "https://id.example", "client": "c",
        "secret": "s", "reason": "because",
    }  # fmt: skip
    path = "/api/admin/providers/other"
    assert site.call("courier-admin", "PUT", path, json=good).status_code == 403
    for wrong in (
        {"issuer": "http://id.example"}, {"issuer": "https://u:p@id.example"}, {"issuer": "ftp://x"},
        {"secret": ""}, {"reason": "    "}, {"organisation": "nobody"},
    ):  # fmt: skip
        answer = site.call("administrator", "PUT", path, json={**good, **wrong})
        assert answer.status_code in (404, 422), (wrong, answer.text)
    shown = site.call("administrator", "GET", "/api/admin/providers").text
    assert SECRET not in shown
    assert SECRET not in site.call("administrator", "GET", "/api/audit/changes").text


@pytest.mark.browser
def test_a_browser_comes_back_signed_in(site: Site, there: Provider, chromium: Browser) -> None:
    """From another site and back: the strict cookie is there on the page that was asked for."""
    there.subject = "subject-browser"
    sign_in(site)
    assert link(site, "subject-browser", "ward-2").status_code == 204
    context = chromium.new_context(base_url=site.base.replace("127.0.0.1", "localhost"))
    page = context.new_page()
    page.goto("/sign-in?next=/tasks")
    page.get_by_role("link", name="Hospital login").click()
    page.wait_for_url("**/tasks")
    expect(page.locator(".who")).to_contain_text(
        next(p.name for p in site.people if p.login == "ward-2")
    )
    assert demo.PASSWORD not in page.content()
    context.close()
