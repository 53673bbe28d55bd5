"""Acts are taken at a pace: one asker cannot take the tower from everybody else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx
import pytest

import http_
from site_ import Site
from stafett.service import demo
from stafett.web.pace import PER_MINUTE, Pace, Paces, configured


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_acts_may_come_at_once_and_then_one_by_one() -> None:
    """A station that was offline sends what it holds; then each act waits for its turn."""
    clock = Clock()
    pace = Pace(60, clock)
    assert [pace.wait_s("anna") for _ in range(60)] == [0.0] * 60
    assert pace.wait_s("anna") == pytest.approx(1.0)
    assert pace.wait_s("bo") == 0.0
    clock.now = 1.0
    assert pace.wait_s("anna") == 0.0
    assert pace.wait_s("anna") == pytest.approx(1.0)
    clock.now = 61.0
    assert [pace.wait_s("anna") for _ in range(61)].count(0.0) == 60


def test_a_refused_act_costs_nothing() -> None:
    """Whoever asks again and again waits no longer for it."""
    pace = Pace(1, clock := Clock())
    pace.wait_s("anna")
    waits = {pace.wait_s("anna") for _ in range(100)}
    assert waits == {60.0}
    clock.now = 60.0
    assert pace.wait_s("anna") == 0.0


def test_the_limits_are_configured_and_zero_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """One variable; what it does not name keeps its default; what it cannot mean is refused."""
    monkeypatch.setenv("STAFETT_PER_MINUTE", "person=5 program=0")
    assert configured().per_minute == {**PER_MINUTE, "person": 5, "program": 0}
    assert [Pace(0).wait_s("anyone") for _ in range(1000)] == [0.0] * 1000
    for wrong in ("person=-1", "nurse=3", "person", "person=1.5"):
        monkeypatch.setenv("STAFETT_PER_MINUTE", wrong)
        with pytest.raises(ValueError, match="STAFETT_PER_MINUTE"):
            configured()


@pytest.fixture
def slow(site: Site) -> Iterator[Site]:
    """Give a site that takes three acts a minute from a person, four from an address."""
    usual = site.app.state.paces
    site.app.state.paces = Paces({"person": 3, "address": 4})
    yield site
    site.app.state.paces = usual


def test_a_person_who_acts_too_fast_is_told_when_to_go_on(slow: Site) -> None:
    """429 with Retry-After and the reason in the page's language; reading goes on."""
    with httpx.Client(verify=http_.TLS, base_url=slow.base, timeout=60) as page:
        body = {"login": "courier-1", "password": demo.PASSWORD}
        token = page.post("/api/session", json=body).json()["token"]
        page.cookies.clear()
        page.cookies.set("stafett", token)
        page.cookies.set("stafett-language", "sv")
        page.headers.update({"X-Stafett": "1"})
        views = [f"/api/board/views/{uuid.uuid4().hex[:8]}" for _ in range(4)]
        answers = [page.delete(view) for view in views]
        assert 429 not in {a.status_code for a in answers[:3]}
        refused = answers[3]
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["Content-Type"] == "application/problem+json"
        document = refused.json()
        assert document["title"] == "För många handlingar på en gång"
        assert document["reasons"][0]["what"] == "3 i minuten tas emot"
        assert page.get("/api/board/views").status_code == 200
    # A program of the same person has a limit of its own.
    program = slow.call("courier-1", "DELETE", views[0])
    assert program.status_code != 429


def test_epcis_and_fhir_say_in_their_own_words_when_to_go_on(slow: Site) -> None:
    """429 with Retry-After: a problem document of EPCIS, an OperationOutcome; reading goes on."""
    slow.token("courier-1")  # signing in is an act of its own
    slow.app.state.paces = Paces({"program": 2})

    def spent(path: str, kind: str) -> httpx.Response:
        head = {"Content-Type": kind}
        found = [slow.call("courier-1", "POST", path, content=b"{}", headers=head) for _ in "123"]
        assert [a.status_code == 429 for a in found] == [False, False, True], path
        assert 1 <= int(found[-1].headers["Retry-After"]) <= 60
        slow.app.state.paces = Paces({"program": 2})
        return found[-1]

    problem = spent("/epcis/capture", "application/json")
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert problem.json()["title"] == "Too many acts at once"
    assert "2 a minute are taken" in problem.json()["detail"]
    outcome = spent("/fhir/R5", "application/fhir+json").json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"][0]["code"] == "throttled"
    assert "2 a minute are taken: wait" in outcome["issue"][0]["diagnostics"]
    slow.app.state.paces = Paces({"program": 0, "person": 1})
    for path in ("/epcis/events", "/fhir/R5/Patient"):
        assert {slow.call("courier-1", "GET", path).status_code for _ in range(5)} == {200}


def test_an_address_that_nobody_is_signed_in_at_is_held_too(slow: Site) -> None:
    """Whoever is not signed in is refused for that, and after some tries for the trying."""
    statuses = [
        http_.put(f"{slow.base}/api/me/mail", json={"mail": "a@b.se"}).status_code for _ in range(6)
    ]
    assert statuses[0] == 401
    assert statuses[-1] == 429
