"""No organisation sees what is another's: held for every endpoint that the server describes.

Nothing here lists endpoints: they come from the OpenAPI document, so a new one is tried too. An
outsider has every role and every duty, in an organisation that takes part in no journey. For them a
journey that is there and one that is not must look alike, to the byte, whatever they send.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

import http_
from site_ import Site
from stafett.service import demo, policy
from stafett.service.accounts import Organisation, Person
from stafett.web.areas import AREAS, ENDPOINTS
from stafett.web.endpoint import Endpoint
from told_ import wait_for

FAKE = "CHA999926NEVER0"
STREAMS = {e.path for e in ENDPOINTS if e.answer == "text/event-stream"}
OF_JOURNEY = [e for e in ENDPOINTS if "{journey}" in e.path and e.path not in STREAMS]
HOSPITAL = "treating-clinic-1"


@dataclass
class Theirs:
    """What the hospital has, by the name of the parameter that an endpoint calls it by."""

    journey: str
    values: dict[str, str]


@pytest.fixture(scope="module")
def outsider(site: Site) -> str:
    """Add an organisation that takes part in nothing, and a person there who may do anything."""
    roles = tuple(sorted({role for person in site.people for role in person.roles}))
    site.inside(
        site.tower.accounts.add_organisation(Organisation("elsewhere", "Elsewhere", "hospital"))
    )
    person = Person("outsider", "outsider", "Otto Outside", "elsewhere", roles, policy.DUTIES)
    site.inside(site.tower.accounts.add_person(person, demo.PASSWORD))
    return person.login


@pytest.fixture(scope="module")
def theirs(site: Site) -> Theirs:
    """Let the hospital have a journey, a document, labels, sessions and people."""
    journey = site.order()
    data = b"a consent"
    headers = {"Content-Type": "text/plain"}
    site.call(HOSPITAL, "POST", "/api/documents", content=data, headers=headers)
    sheet = site.call(
        HOSPITAL, "POST", f"/api/journeys/{journey}/labels", json={"identifier": "coi"}
    ).json()["sheet"]
    labels = site.call(HOSPITAL, "GET", f"/api/journeys/{journey}/labels").json()["labels"]
    mine = site.call(HOSPITAL, "GET", "/api/account").json()
    return Theirs(
        journey,
        {
            "journey": journey,
            "sha256": hashlib.sha256(data).hexdigest(),
            "sheet": sheet,
            "label": labels[0]["id"],
            "session": mine["current"],
            "person": "pharmacy-1",
            "grant": "1",
            "form": "pdf",
            "activity": "H01",
            "side": "release",
            "key": "x" * 16,
        },
    )


@pytest.fixture(scope="module")
def description(site: Site) -> schemathesis.schemas.BaseSchema:
    """Load the description that the server itself gives."""
    return schemathesis.openapi.from_url(site.base + "/openapi.json")


def path_of(endpoint: Endpoint, values: dict[str, str]) -> str:
    """Fill the parameters of an endpoint's address."""
    return re.sub(r"{(\w+)(?::\w+)?}", lambda m: values.get(m[1], "x"), endpoint.path)


def anonymous(answer: httpx.Response, name: str) -> str:
    """Return an answer without the name that was asked for."""
    return answer.text.replace(name, "NAME")


@pytest.mark.parametrize("endpoint", OF_JOURNEY, ids=lambda e: f"{e.method} {e.path}")
def test_a_strangers_journey_looks_like_none(
    site: Site,
    outsider: str,
    theirs: Theirs,
    description: schemathesis.schemas.BaseSchema,
    endpoint: Endpoint,
) -> None:
    """Right and wrong requests alike: the same status and the same words as for no journey."""
    operation = description[endpoint.path.replace(":path", "")][endpoint.method]
    headers = {"Authorization": f"Bearer {site.token(outsider)}"}
    seen: set[int] = set()

    def ask(name: str, case: schemathesis.Case) -> httpx.Response:
        path = path_of(endpoint, {**theirs.values, "journey": name})
        body: dict[str, Any] = {}
        if endpoint.method != "GET" and isinstance(case.body, dict | list):
            body["json"] = case.body
        query = {k: v for k, v in (case.query or {}).items() if isinstance(v, str | int)}
        return http_.request(
            endpoint.method, site.base + path, headers=headers, params=query, timeout=60, **body
        )

    @given(case=operation.as_strategy())
    @settings(
        max_examples=2, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def alike(case: schemathesis.Case) -> None:
        real, none = ask(theirs.journey, case), ask(FAKE, case)
        assert real.status_code >= 400, real.text
        assert real.status_code == none.status_code
        assert anonymous(real, theirs.journey) == anonymous(none, FAKE)
        seen.add(real.status_code)

    alike()
    if endpoint.method == "GET":
        assert 404 in seen, seen


PAGES = sorted(
    {
        str(route.path)
        for area in AREAS
        for route in area.routes
        if "{journey}" in str(getattr(route, "path", ""))
    }
)


@pytest.mark.parametrize("path", PAGES)
def test_a_strangers_page_looks_like_none(
    site: Site, outsider: str, theirs: Theirs, path: str
) -> None:
    """The pages too say the same of a stranger's journey and of none, and show no part of it."""
    answers = []
    for name in (theirs.journey, FAKE):
        values = {**theirs.values, "journey": name}
        filled = re.sub(r"{(\w+)}", lambda m, v=values: v.get(m[1], "x"), path)
        answers.append(site.call(outsider, "GET", filled, headers={"Accept": "text/html"}))
    real, none = answers
    assert real.status_code == none.status_code == 404
    assert anonymous(real, theirs.journey) == anonymous(none, FAKE)


def lists() -> Iterator[Endpoint]:
    """Give the endpoints that are asked for nothing in particular."""
    for endpoint in ENDPOINTS:
        if endpoint.method == "GET" and "{" not in endpoint.path and endpoint.path not in STREAMS:
            yield endpoint


@pytest.mark.parametrize("endpoint", list(lists()), ids=lambda e: e.path)
def test_no_list_names_a_strangers_journey(
    site: Site, outsider: str, theirs: Theirs, endpoint: Endpoint
) -> None:
    """Whatever is listed to an outsider, the journey and its people's logins are not in it."""
    answer = site.call(outsider, "GET", endpoint.path)
    assert answer.status_code < 500, answer.text
    assert theirs.journey not in answer.text
    assert "pharmacy-1" not in answer.text
    assert "19121212-1212" not in answer.text


def listened(site: Site, login: str, path: str, into: list[str], open_: threading.Barrier) -> None:
    """Collect what a stream says to `login`, until the server ends it."""
    headers = {"Authorization": f"Bearer {site.token(login)}"}
    with (
        httpx.Client(verify=http_.TLS, base_url=site.base, headers=headers, timeout=60) as client,
        contextlib.suppress(httpx.HTTPError),
        client.stream("GET", path) as answer,
    ):
        assert answer.status_code == 200, path
        open_.wait(60)
        for line in answer.iter_lines():
            into.append(line)


def test_no_stream_tells_of_a_strangers_journey(site: Site, outsider: str) -> None:
    """While a journey is opened and a deviation raised, its own people hear of it; nobody else."""
    ours = sorted(path for path in STREAMS if "{" not in path)
    heard: dict[tuple[str, str], list[str]] = {
        (login, path): [] for login in (outsider, HOSPITAL) for path in ours
    }
    open_ = threading.Barrier(len(heard) + 1)
    for who, into in heard.items():
        threading.Thread(target=listened, args=(site, *who, into, open_), daemon=True).start()
    open_.wait(60)
    journey = site.order()
    late = {"type": "RaiseDeviation", "code": "LATE_DELIVERY", "about": "H01", "note": "seen"}
    assert site.send(HOSPITAL, journey, late).status_code == 200
    wait_for(lambda: journey in "\n".join(heard[HOSPITAL, "/api/stream"]))
    time.sleep(1.5)  # whoever else is told is told by then
    said = {who: "\n".join(lines) for who, lines in heard.items()}
    assert len(ours) >= 3
    assert journey in said[HOSPITAL, "/api/stream"]
    for path in ours:
        assert journey not in said[outsider, path], path


def test_people_sessions_documents_and_grants_of_others_are_not_there(
    site: Site, outsider: str, theirs: Theirs
) -> None:
    """An administrator elsewhere gets the very answer that a name nobody has would get."""
    why = {"reason": "I am curious"}
    person = {"name": "N N", "reason": "I am curious"}
    for method, path, body in (
        ("GET", "/api/documents/{sha256}", None),
        ("DELETE", "/api/account/sessions/{session}", None),
        ("PUT", "/api/admin/people/{person}", person),
        ("POST", "/api/admin/people/{person}/suspend", why),
        ("POST", "/api/admin/people/{person}/resume", why),
        ("POST", "/api/admin/people/{person}/link", why),
        ("POST", "/api/admin/competence/{grant}/withdraw", why),
    ):
        name = re.findall(r"{(\w+)}", path)[0]
        made_up = {"sha256": "0" * 64, "grant": "999999999"}.get(name, "nobody-at-all")
        answers = [
            site.call(outsider, method, path.replace("{" + name + "}", value),
                      **({"json": body} if body else {}))
            for value in (theirs.values[name], made_up)
        ]  # fmt: skip
        assert [a.status_code for a in answers] == [404, 404], (path, answers[0].text)
        texts = [a.text.replace(v, "NAME") for a, v in zip(
            answers, (theirs.values[name], made_up), strict=True)]  # fmt: skip
        assert texts[0] == texts[1]
    assert site.call("pharmacy-1", "GET", "/api/me").status_code == 200


@pytest.mark.parametrize("duty", ["nothing", "a role", *policy.DUTIES])
def test_the_matrix_of_duties_and_endpoints_holds(
    site: Site, description: schemathesis.schemas.BaseSchema, duty: str
) -> None:
    """Whoever has one duty and no other is let in exactly where the policy table says so."""
    login = f"only-{duty.replace(' ', '-')}"
    roles = ("ward",) if duty == "a role" else ()
    duties = (duty,) if duty in policy.DUTIES else ()
    person = Person(login, login, f"Only {duty}", "university-hospital", roles, duties)
    site.inside(site.tower.accounts.add_person(person, demo.PASSWORD))
    headers = {"Authorization": f"Bearer {site.token(login)}"}
    with httpx.Client(verify=http_.TLS, base_url=site.base, headers=headers, timeout=60) as client:
        for endpoint in ENDPOINTS:
            if endpoint.path in STREAMS or endpoint.path.startswith("/api/session"):
                continue
            answer = client.request(endpoint.method, path_of(endpoint, {}))
            refused = answer.status_code == 403 and "not-allowed" in answer.text
            allowed = policy.allows(endpoint.may, person)
            assert refused != allowed, (duty, endpoint.method, endpoint.path, answer.status_code)


def test_without_a_session_only_the_open_endpoints_answer(site: Site) -> None:
    """Every other one says 401, with or without a made-up token."""
    for endpoint in ENDPOINTS:
        if endpoint.may == "anyone":
            continue
        for headers in ({}, {"Authorization": "Bearer made-up"}, {"Cookie": "stafett=made-up"}):
            path = site.base + path_of(endpoint, {})
            answer = http_.request(endpoint.method, path, headers=headers, timeout=60)
            assert answer.status_code == 401, (endpoint.method, endpoint.path)


def test_no_change_is_made_by_a_cookie_alone(site: Site) -> None:
    """CSRF: with the cookie but without our header or origin, nothing that changes is let in."""
    headers = {"Cookie": f"stafett={site.token('ward-3')}", "Origin": "https://evil.example"}
    for endpoint in ENDPOINTS:
        if endpoint.method == "GET" or endpoint.may == "anyone":
            continue
        path = site.base + path_of(endpoint, {})
        answer = http_.request(endpoint.method, path, headers=headers, timeout=60)
        assert answer.status_code == 403, (endpoint.method, endpoint.path, answer.status_code)
        assert answer.json()["type"] == "/problems/csrf"
