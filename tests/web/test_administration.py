"""Administration: competence before a signature, proven protocols only, reasons, the audit."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from site_ import Site
from stafett.registry.competence import Gap, Grant, find
from stafett.service import demo
from stafett.service.library import Library
from stafett.service.tower import Tower
from stafett.web.areas import ENDPOINTS
from stafett.web.endpoint import Endpoint
from web_hands import Under

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WHY = {"reason": "as the plan for training says"}


def grant(**more: Any) -> Grant:
    given: dict[str, Any] = {
        "person": "p", "protocol": "car-t", "version": "1.0", "role": "ward",
        "valid_from": NOW - DAY, "valid_until": NOW + DAY, "granted_by": "a", "reason": "r",
    }  # fmt: skip
    return Grant(**{**given, **more})


@pytest.mark.parametrize(
    ("grants", "found"),
    [
        ([], "none"),
        ([grant()], "holds"),
        ([grant(version="*")], "holds"),
        ([grant(version="0.9")], "other-version"),
        ([grant(role="courier")], "none"),
        ([grant(protocol="other")], "none"),
        ([grant(valid_until=NOW)], "ended"),
        ([grant(valid_from=NOW + DAY / 2)], "not-begun"),
        ([grant(withdrawn=NOW)], "withdrawn"),
        ([grant(withdrawn=NOW + DAY / 2)], "holds"),
        ([grant(withdrawn=NOW), grant()], "holds"),
    ],
)
def test_competence_is_for_a_version_a_role_and_a_time(grants: list[Grant], found: str) -> None:
    """The first moment is in, the last is not; withdrawal ends it; a new version begins anew."""
    answer = find(grants, "car-t", "1.0", "ward", NOW)
    assert (answer.kind if isinstance(answer, Gap) else "holds") == found


def test_without_current_competence_nobody_signs(
    site: Site, brought_to: Callable[[str, str], Under]
) -> None:
    """The refusal names what is missing and who grants it; nothing is recorded; then it works."""
    under = brought_to("H05", "release")
    login, role = "ward-1", "ward"
    before = site.call(login, "GET", f"/api/journeys/{under.journey}/events").json()
    grants = site.call("administrator", "GET", "/api/admin/competence").json()
    mine = [g for g in grants if g["person"] == login and g["holds"]]
    for one in mine:
        path = f"/api/admin/competence/{one['id']}/withdraw"
        assert site.call("administrator", "POST", path, json=WHY).status_code == 204
    release = {"type": "Release", "handoff": "H05"}
    refused = site.send(login, under.journey, release, role=role)
    assert refused.status_code == 403 and refused.json()["type"] == "/problems/competence"
    (reason,) = refused.json()["reasons"]
    assert "withdrawn" in reason["what"] and "Ada Admin" in reason["todo"]
    assert site.call(login, "GET", f"/api/journeys/{under.journey}/events").json() == before
    name = "autologous-car-t"
    version = next(one["version"] for one in mine if one["protocol"] == name)
    body = {
        "person": login, "protocol": name, "version": version,
        "roles": [role], "valid_until": (datetime.now(UTC) + DAY).isoformat(), **WHY,
    }  # fmt: skip
    assert site.call("administrator", "POST", "/api/admin/competence", json=body).status_code == 204
    again = site.send(login, under.journey, release, role=role)
    assert again.json().get("type") != "/problems/competence", again.text
    for wrong, status in (
        ({"person": "administrator"}, 403), ({"person": "courier-1"}, 404),
        ({"roles": ["courier"]}, 422), ({"version": "9.9.9"}, 422),
        ({"valid_until": "2020-01-01T00:00:00+00:00"}, 422), ({"reason": "  "}, 422),
    ):  # fmt: skip
        answer = site.call("administrator", "POST", "/api/admin/competence", json={**body, **wrong})
        assert answer.status_code == status, (wrong, answer.text)


def test_only_a_proven_protocol_comes_into_force(site: Site) -> None:
    """A hole is refused, with its line; a proven version is admitted, with what changes."""
    pinned = site.tower.library.current()["tissue-engineered"]

    async def text() -> bytes:
        async with site.tower.pool.connection() as connection:
            query = "SELECT text FROM service.protocol WHERE sha256 = %s"
            row = await (await connection.execute(query, (pinned.sha256,))).fetchone()
            return bytes(row[0])

    old = site.inside(text())
    version = pinned.version.encode()
    new = old.replace(b"version: " + version, b"version: 9.0.0", 1)
    assert new != old
    proof = site.call("administrator", "POST", "/api/admin/protocols/proof", content=new).json()
    assert proof["proven"] and proof["version"] == "9.0.0" and proof["in_force"] == pinned.version
    path = "/api/admin/protocols"
    broken = new.replace(b"handoffs:", b"handoffz:", 1)
    for wrong, status in ((b"{", 422), (broken, 422), (b"", 422)):
        answer = site.call(
            "administrator", "POST", path, content=wrong, params={"reason": "because"}
        )
        assert answer.status_code == status, answer.text
    slips = new.replace(b"family: ", b"familiy: ", 1).replace(b"kind: consent", b"kind: consnt", 1)
    told = site.call("administrator", "POST", f"{path}/proof", content=slips).json()["reasons"]
    assert {r["todo"] for r in told} >= {"did you mean `family`?", "did you mean `consent`?"}, told
    assert site.call("administrator", "POST", path, content=new).status_code == 422  # no reason
    made = site.call("administrator", "POST", path, content=new, params={"reason": "version nine"})
    assert made.status_code == 201, made.text
    assert site.tower.library.current()["tissue-engineered"].version == "9.0.0"
    same = new.replace(b"version: 9.0.0", b"version: 9.0.0 # other", 1)
    taken = site.call("administrator", "POST", path, content=same, params={"reason": "again"})
    assert taken.status_code == 409
    trail = site.call("administrator", "GET", "/api/audit/changes").json()
    assert trail[0]["what"] == "protocol admitted" and trail[0]["reason"] == "version nine"


def test_who_goes_back_to_a_lower_version_says_so_and_may_go_on_again(site: Site) -> None:
    """The proof says that it is lower; without `back` it is refused; forward needs a reason only.

    What was admitted last is in force for a process that starts afterwards, too.
    """
    first = site.tower.library.current()["in-vivo-aav"]
    old = site.inside(site.tower.library.text(first.sha256))
    new = old.replace(b"version: " + first.version.encode(), b"version: 10.0.0", 1)
    path = "/api/admin/protocols"

    def admit(text: bytes, **more: str) -> httpx.Response:
        asked = {"reason": "as agreed", **more}
        answer: httpx.Response = site.call(
            "administrator", "POST", path, content=text, params=asked
        )
        return answer

    def fresh() -> str:
        library = Library(site.tower.pool)
        site.inside(library.open())
        return str(library.current()["in-vivo-aav"].version)

    assert admit(new).status_code == 201
    proof = site.call("administrator", "POST", f"{path}/proof", content=old).json()
    assert proof["proven"] and proof["lower"] and proof["in_force"] == "10.0.0"
    refused = admit(old)
    assert refused.status_code == 409 and "lower-version" in refused.json()["type"], refused.text
    assert site.tower.library.current()["in-vivo-aav"].version == fresh() == "10.0.0"
    assert admit(old, back="true").status_code == 201
    assert site.tower.library.current()["in-vivo-aav"].version == fresh() == first.version
    assert admit(new).status_code == 201
    assert site.tower.library.current()["in-vivo-aav"].version == fresh() == "10.0.0"
    trail = site.call("administrator", "GET", "/api/audit/changes").json()[:2]
    assert [one["after"]["version"] for one in trail] == ["10.0.0", first.version]


def test_a_protocol_admitted_in_one_process_is_in_force_in_all(site: Site) -> None:
    """Another process over the same record learns of it at once, with no restart."""
    other = Tower(site.tower.url, site.tower.folder, cheap_hashing=True)
    site.inside(other.__aenter__())
    try:
        old = other.library.current()["allogeneic"]
        assert old.sha256 == site.tower.library.current()["allogeneic"].sha256

        async def text() -> bytes:
            async with other.pool.connection() as connection:
                query = "SELECT text FROM service.protocol WHERE sha256 = %s"
                row = await (await connection.execute(query, (old.sha256,))).fetchone()
                return bytes(row[0])

        version = old.version.encode()
        new = site.inside(text()).replace(b"version: " + version, b"version: 8.0.0", 1)
        path = "/api/admin/protocols"
        made = site.call("administrator", "POST", path, content=new, params={"reason": "eight"})
        assert made.status_code == 201, made.text
        until = time.monotonic() + 60
        while other.library.current()["allogeneic"].version != "8.0.0":
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        site.inside(other.__aexit__(None, None, None))


def test_nobody_gives_themselves_rights(site: Site) -> None:
    """Not one's own roles or duties, not an operator's by who is none, not suspending oneself."""
    own = {"name": "Torsten Ström", "roles": [], "duties": ["administrator", "auditor"], **WHY}
    path = "/api/admin/people/courier-admin"
    more = {**own, "duties": [*own["duties"], "quality"]}
    assert site.call("courier-admin", "PUT", path, json=more).status_code == 403
    assert site.call("courier-admin", "PUT", path, json=own).status_code == 200
    assert site.call("courier-admin", "POST", f"{path}/suspend", json=WHY).status_code == 403
    body = {"login": f"x-{uuid.uuid4().hex[:6]}", "name": "N N", "duties": ["operator"], **WHY}
    answer = site.call("courier-admin", "POST", "/api/admin/people", json=body)
    assert answer.status_code == 403
    other = {**body, "duties": [], "organisation": "university-hospital"}
    assert site.call("courier-admin", "POST", "/api/admin/people", json=other).status_code == 404
    foreign = {**body, "duties": [], "roles": ["ward"]}
    assert site.call("courier-admin", "POST", "/api/admin/people", json=foreign).status_code == 422


def test_the_trail_is_in_the_record_and_cannot_be_changed(site: Site) -> None:
    """Each change has its place in the ledger; the table refuses every other change of itself."""
    site_body = {"name": "Hub north", "time_zone": "Europe/Stockholm", **WHY}
    answer = site.call("courier-admin", "PUT", "/api/admin/sites/hub-north", json=site_body)
    assert answer.status_code == 204, answer.text
    change = site.call("courier-admin", "GET", "/api/audit/changes").json()[0]
    assert change["what"] == "site added" and change["reason"] == WHY["reason"]
    stream = site.inside(site.tower.ledger.stream("administration/nordic-cryo-courier"))
    assert stream[-1].position == change["recorded"]
    assert stream[-1].body["change"]["about"] == "hub-north"
    assert site.call("administrator", "GET", "/api/audit/changes").text.count("hub-north") == 0
    for statement in ("UPDATE service.change SET reason = 'x'", "DELETE FROM service.change"):
        with psycopg.connect(site.tower.url) as connection, pytest.raises(psycopg.Error):
            connection.execute(statement.encode())


def test_who_looked_at_a_journey_is_known(site: Site) -> None:
    """Own people by name; of another organisation only that it looked; not who takes no part."""
    journey = site.order()
    for login in ("treating-clinic-2", "courier-1"):
        assert site.call(login, "GET", f"/api/journeys/{journey}").status_code == 200
    query = {"journey": journey}
    looks = site.call("administrator", "GET", "/api/audit/readings", params=query).json()
    seen = {(look["organisation"], look["person"]) for look in looks}
    assert ("university-hospital", "treating-clinic-2") in seen
    assert ("nordic-cryo-courier", "") in seen
    theirs = site.call("courier-admin", "GET", "/api/audit/readings", params=query).json()
    names = {look["person"] for look in theirs}
    assert "courier-1" in names and "treating-clinic-2" not in names
    assert demo.PASSWORD not in str(looks)


READ = [
    e
    for e in ENDPOINTS
    if e.method == "GET" and "{journey}" in e.path and e.answer != "text/event-stream"
]
WHAT = {"activity": "CONSENT", "side": "step", "key": "x" * 16, "form": "pdf", "sheet": "x"}


@pytest.mark.parametrize("endpoint", READ, ids=lambda e: e.path)
def test_whatever_shows_a_journey_leaves_a_trace(site: Site, endpoint: Endpoint) -> None:
    """By the table of endpoints: who was shown anything of a journey stands in the audit of it."""
    journey = site.order()
    path = re.sub(
        r"{(\w+)(?::\w+)?}", lambda m: {**WHAT, "journey": journey}.get(m[1], "x"), endpoint.path
    )
    reader = "administrator" if endpoint.path.endswith("/erasure") else "treating-clinic-3"
    for _ in range(40):
        answer = site.call(reader, "GET", path)
        if answer.status_code != 409:  # recorded, and not sealed yet
            break
        time.sleep(0.25)
    looks = site.call("administrator", "GET", "/api/audit/readings", params={"journey": journey})
    seen = {look["person"] for look in looks.json()}
    assert answer.status_code in (200, 404), answer.text
    assert reader in seen


def test_who_may_not_is_told_the_duties_by_their_names(site: Site) -> None:
    """In the reader's language: what to ask an administrator for."""
    html = {"Accept": "text/html"}
    told = site.call("courier-1", "GET", "/audit/changes?language=sv", headers=html)
    assert told.status_code == 403
    assert "det kräver: Revisor / Administratör / Kvalitet" in told.text


def test_who_is_not_signed_in_sees_where_they_are(site: Site) -> None:
    """The public menu marks the open page too."""
    page = site.call(None, "GET", "/registry/adoption", headers={"Accept": "text/html"}).text
    assert '<a href="/registry/adoption" aria-current="page">' in page
