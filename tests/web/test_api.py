"""The public API: what it accepts, what it refuses, and that a refusal changes nothing."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

import http_
from site_ import PROTOCOL, Site
from stafett.client import Client
from stafett.identity.coi import Coi
from stafett.journey.script import Fault
from stafett.service import demo
from stafett.web.api import ENDPOINTS


def events(site: Site, journey: str) -> list[dict[str, Any]]:
    answer = site.call("treating-clinic-1", "GET", f"/api/journeys/{journey}/events")
    assert answer.status_code == 200
    return list(answer.json())


def test_scripted_people_carry_a_journey_from_order_to_traceability(site: Site) -> None:
    """With every check answered rightly, the journey ends treated, through the API alone."""
    day = site.day(fault_share=0.0, at_once=1)

    async def play() -> str:
        async with Client(site.base) as client:
            return await day.journey(client, 4711)

    journey = asyncio.run(play())
    row = site.call("treating-clinic-1", "GET", f"/api/journeys/{journey}").json()
    assert row["status"] == "ended"
    net = next(iter(day.nets.values()))
    assert net.protocol.outcomes[row["outcome"]].treated
    kinds = [entry["kind"] for entry in events(site, journey)]
    assert kinds[0] == "JourneyOpened" and "JourneyEnded" in kinds
    assert day.refusals == 0


def test_scripted_people_decide_on_an_excursion_before_they_go_on(site: Site) -> None:
    """It was too warm at a handoff: assessed, decided with a signature, and only then used."""
    day = site.day(at_once=1)
    day._faults = lambda net, chance: [Fault("TEMP_EXCURSION", check="temperature")]  # type: ignore[method-assign]

    day.transport = httpx.ASGITransport(app=site.app)  # half the work: no socket is the test

    async def play() -> str:
        async with day.client() as client:
            return await day.journey(client, 4712)

    journey = site.inside(play())
    kinds = [entry["kind"] for entry in events(site, journey)]
    assert "DeviationRaised" in kinds and kinds[-1] == "JourneyEnded"
    assert kinds.index("DeviationTriaged") < kinds.index("DeviationDecided")


def test_scripted_people_take_care_of_a_deviation_until_it_is_closed(site: Site) -> None:
    """Seen, assessed, its cause named, decided on and closed, each by whoever may."""
    day = site.day(at_once=1)
    net = next(iter(day.nets.values()))
    journey = site.order()
    raised = {"type": "RaiseDeviation", "code": "IDENTITY_MISMATCH", "about": "H01"}
    answer = site.send("treating-clinic-1", journey, {**raised, "note": "two wristbands"})
    assert answer.status_code == 200, answer.text

    async def care() -> int:
        acts, chance = 0, random.Random(1)
        async with Client(site.base) as client:
            while await day._care(client, net, journey, chance):
                acts += 1
                assert acts < 20
        return acts

    assert asyncio.run(care()) >= 5
    kinds = [entry["kind"] for entry in events(site, journey)]
    order = [
        "DeviationRaised", "DeviationAcknowledged", "DeviationTriaged", "CauseNamed",
        "DeviationDecided", "DeviationClosed",
    ]  # fmt: skip
    assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order)


class Breaking(httpx.AsyncBaseTransport):
    """A network on which every first answer is lost on its way back."""

    def __init__(self) -> None:
        self.inner, self.sent = httpx.AsyncHTTPTransport(), 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on; lose every other answer."""
        self.sent += 1
        answer = await self.inner.handle_async_request(request)
        if self.sent % 2:
            await answer.aclose()
            raise httpx.ReadError("the connection broke", request=request)
        return answer


def test_a_call_whose_answer_was_lost_is_sent_again_and_counts_once(site: Site) -> None:
    """The client asks again with the same key: one journey is opened, and it is told so."""
    network = Breaking()

    async def open_one() -> tuple[str, int, int]:
        async with Client(site.base, transport=network) as client:
            await client.sign_in("treating-clinic-1", demo.PASSWORD)
            before = len((await client.rows()).rows)
            order = {"role": "treating_clinic", "protocol": PROTOCOL, "wristband": "20101010-1010"}
            done = await client.order({**order, "network": demo.NETWORK})
            return done.journey, before, len((await client.rows()).rows)

    journey, before, after = asyncio.run(open_one())
    assert network.sent == 8 and after == before + 1
    assert site.call("treating-clinic-1", "GET", f"/api/journeys/{journey}").status_code == 200


def test_an_order_sent_twice_opens_one_journey(site: Site) -> None:
    """The same key gives the same answer; a different body under it is refused."""
    key = uuid.uuid4().hex
    first = site.order(key=key)
    again = site.call(
        "treating-clinic-1",
        "POST",
        "/api/journeys",
        json={
            "key": key,
            "role": "treating_clinic",
            "protocol": "autologous-car-t",
            "network": demo.NETWORK,
            "wristband": "19121212-1212",
        },
    )
    assert again.status_code == 201
    assert again.json()["journey"] == first and again.json()["replayed"]
    other = site.call(
        "treating-clinic-1",
        "POST",
        "/api/journeys",
        json={**_order(), "key": key, "wristband": "somebody else"},
    )
    assert other.status_code == 422
    assert other.json()["type"] == "/problems/key-reused"
    record = events(site, first)
    assert [entry["kind"] for entry in record] == ["JourneyOpened"]


def journeys(site: Site) -> list[str]:
    """Return the journeys that the hospital sees."""
    rows = site.call("treating-clinic-1", "GET", "/api/journeys").json()["rows"]
    return [row["journey"] for row in rows]


def _order(**more: Any) -> dict[str, Any]:
    return {
        "key": uuid.uuid4().hex,
        "role": "treating_clinic",
        "protocol": "autologous-car-t",
        "network": demo.NETWORK,
        "wristband": "19121212-1212",
        **more,
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"protocol": "no-such"}, "protocol"),
        ({"product": "no-such"}, "product"),
        ({"network": "no-such"}, "network"),
        ({"wristband": "x"}, "/wristband"),
        ({"wristband": 7}, "/wristband"),
        ({"wristband": "    "}, "wristband"),
        ({"wristband": "\u202e1234"}, "wristband"),
        ({"key": "watch." + "0" * 64}, "key"),
        ({"key": "key." + "0" * 16 + ".retired"}, "key"),
        ({"key": "loggerfile.withdrawn.7"}, "key"),
        ({"surprise": True}, ""),
        ({"key": "short"}, "/key"),
        ({"coi": "not a CoI"}, "coi"),
        ({"role": "courier"}, "by.role"),
    ],
)
def test_a_wrong_order_is_refused_with_the_field(
    site: Site, change: dict[str, Any], field: str
) -> None:
    """Each wrong field is named, and no journey exists afterwards."""
    before = journeys(site)
    answer = site.call("treating-clinic-1", "POST", "/api/journeys", json=_order(**change))
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["reasons"] and field in problem["reasons"][0]["field"], problem
    assert journeys(site) == before


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b" " * 1_100_000, "application/json", 413),
        (b"{}", "application/json", 422),
        (b"null", "application/json", 422),
    ],
)
def test_garbage_is_refused_with_the_right_status(
    site: Site, content: bytes, kind: str, status: int
) -> None:
    """What is not JSON, too large or of another type never reaches a use case."""
    headers = {"Content-Type": kind} if kind else {}
    answer = site.call(
        "treating-clinic-1", "POST", "/api/journeys", content=content, headers=headers
    )
    assert answer.status_code == status
    assert answer.json()["status"] == status


def test_a_body_in_another_encoding_is_told_at_its_byte(site: Site) -> None:
    """Latin-1 is no JSON: which byte, in words and not in a program's."""
    answer = site.call(
        "treating-clinic-1", "POST", "/api/journeys", content='{"key":"å"}'.encode("latin-1"),
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert answer.status_code == 400
    assert answer.json()["reasons"][0]["what"] == "is not UTF-8 (byte 8)"


def test_a_time_that_no_record_is_about_is_refused_wherever_it_is_sent(site: Site) -> None:
    """In some zone it is no moment at all, and what holds it could be read by nobody."""
    for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        answer = site.call(
            "courier-1", "POST", "/api/loggers",
            json={"number": "(8004)735005399000999", "calibrated_until": moment},
        )  # fmt: skip
        assert answer.status_code == 422, answer.text
        assert answer.json()["reasons"][0]["field"] == "/calibrated_until"


def test_a_body_that_says_a_name_twice_is_refused(site: Site) -> None:
    """Of two answers neither is taken for the one that was meant."""
    answer = site.call(
        "treating-clinic-1", "POST", "/api/journeys/x/commands",
        content=b'{"key":"twice-0001","role":"r","command":{"type":"Start","step":"H06",'
        b'"step":"KIT","occurred_at":"2026-11-23T08:30:00+01:00"}}',
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert answer.status_code == 400
    assert answer.json()["type"].endswith("said-twice")
    assert answer.json()["reasons"][0]["field"] == "/command/step"


def _answer(value: Any, **more: Any) -> dict[str, Any]:
    return {
        "type": "Answer", "occurred_at": "2026-11-23T08:30:00+01:00", "activity": "H01",
        "side": "release", "check": "eligible", "value": value, "method": "seen", **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        _answer(2**53),
        _answer(-(2**63)),
        _answer(10**400),
        _answer(1e300),
        _answer("x" * 90_000),
        {
            "type": "RaiseDeviation", "occurred_at": "2026-11-23T08:30:00+01:00",
            "code": "LATE", "about": "H01", "note": "x" * 90_000,
        },
    ],
    ids=["beyond 2^53", "least integer", "400 digits", "large float", "long text", "long note"],
)  # fmt: skip
def test_what_the_record_cannot_hold_is_refused(site: Site, command: dict[str, Any]) -> None:
    """A number that no double holds, a text longer than an entry: refused, nothing has changed."""
    journey = site.order()
    before = events(site, journey)
    answer = site.send("referring-clinic-1", journey, command)
    assert 400 <= answer.status_code < 500, answer.text
    problem = answer.json()
    assert problem["reasons"][0]["what"] and len(answer.text) < 2_000
    assert events(site, journey) == before


def test_a_scan_of_garbage_is_refused_and_changes_nothing(
    site: Site, brought_to: Callable[[str, str], Any]
) -> None:
    """Half a label, another kind of label, letters: 422 that says what to do, and no event."""
    journey = brought_to("H02", "accept").journey
    before = events(site, journey)
    for scanned in ("", "&/CHA99992400", "=G12341765432171", "\u00e5\u00e4\u00f6", "\x1d\x1d", 7):
        command = {
            "type": "Answer", "occurred_at": "2026-11-23T08:30:00+01:00", "activity": "H02",
            "side": "accept", "check": "coi", "value": scanned, "method": "scan",
        }  # fmt: skip
        answer = site.send("case-management-1", journey, command)
        assert answer.status_code == 422, (scanned, answer.text)
        problem = answer.json()
        assert problem["type"] == "/problems/unreadable-scan"
        assert problem["reasons"][0]["field"] and problem["reasons"][0]["todo"]
    assert events(site, journey) == before


def test_another_organisation_cannot_tell_a_journey_from_none(site: Site) -> None:
    """A journey one takes no part in looks exactly like one that does not exist."""
    journey = site.order()
    outsider = _outsider(site)
    for path in (
        f"/api/journeys/{journey}",
        f"/api/journeys/{journey}/events",
        f"/api/journeys/{journey}/stations/H01/release",
    ):
        real = http_.get(site.base + path, headers=outsider)
        none = http_.get(site.base + path.replace(journey, "CHA999926NOSUCH"), headers=outsider)
        assert real.status_code == none.status_code == 404
        assert real.json()["title"] == none.json()["title"]
    rows = http_.get(site.base + "/api/journeys", headers=outsider).json()["rows"]
    assert rows == []


def _outsider(site: Site) -> dict[str, str]:
    from stafett.service.accounts import Organisation, Person

    async def add() -> None:
        await site.tower.accounts.add_organisation(
            Organisation("other-hospital", "Another hospital", "hospital")
        )
        person = Person("outsider", "outsider", "Otto Outside", "other-hospital", ("ward",))
        await site.tower.accounts.add_person(person, demo.PASSWORD)

    site.inside(add())
    return {"Authorization": f"Bearer {site.token('outsider')}"}


def test_every_endpoint_but_the_open_ones_asks_who_you_are(site: Site) -> None:
    """The matrix is the endpoint table itself: no endpoint can be forgotten."""
    for endpoint in ENDPOINTS:
        path = endpoint.path
        for name in ("journey", "activity", "side", "sha256"):
            path = path.replace("{" + name + "}", "x")
        answer = site.call(None, endpoint.method, path)
        if endpoint.may == "anyone":
            assert answer.status_code != 401, path
        else:
            assert answer.status_code == 401, path
            assert answer.json()["reasons"][0]["todo"]


def test_a_cookie_alone_cannot_change_anything(site: Site) -> None:
    """Without the header that only our own pages set, a cookie-borne request is refused."""
    cookies = {"stafett": site.token("treating-clinic-1")}
    bare = http_.post(site.base + "/api/journeys", json=_order(), cookies=cookies)
    assert bare.status_code == 403
    assert bare.json()["type"] == "/problems/csrf"
    ours = http_.post(
        site.base + "/api/journeys", json=_order(), cookies=cookies, headers={"X-Stafett": "1"}
    )
    assert ours.status_code == 201


def test_a_wristband_never_reaches_the_record(site: Site) -> None:
    """The direct identifier is nowhere in the ledger, in any form of its text."""
    journey = site.order(wristband="19340506-9876")
    assert "19340506" not in str(events(site, journey))


def test_a_refused_order_leaves_nobody_in_the_vault(site: Site) -> None:
    """Who is ordered for wrongly, or twice, is not kept: no direct identifier stays behind."""

    async def kept() -> int:
        async with site.tower.pool.connection() as connection:
            found = await connection.execute(
                "SELECT count(*) FROM vault.patient WHERE wrapped_key IS NOT NULL"
            )
            row = await found.fetchone()
        assert row is not None
        return int(row[0])

    taken = site.order()
    before = site.inside(kept())
    # The same number as its symbol, or typed with its check, is the same journey.
    again = [{"coi": form} for form in (taken, f"&/{taken}", Coi(taken).printed(), f" {taken}\n")]
    for change, status in (({"coi": "not a CoI"}, 422), *((one, 409) for one in again)):
        answer = site.call("treating-clinic-1", "POST", "/api/journeys", json=_order(**change))
        assert answer.status_code == status, answer.text
    assert site.inside(kept()) == before


def test_repeated_wrong_passwords_lock_for_a_while(site: Site) -> None:
    """After eight wrong passwords even the right one has to wait, and is told how long."""
    body = {"login": "courier-3", "password": "wrong"}
    statuses = [http_.post(f"{site.base}/api/session", json=body).status_code for _ in range(9)]
    assert statuses[:8] == [401] * 8
    right = http_.post(
        f"{site.base}/api/session", json={"login": "courier-3", "password": demo.PASSWORD}
    )
    assert right.status_code == 429
    assert int(right.headers["Retry-After"]) > 0


def test_the_description_of_the_api_is_complete(site: Site) -> None:
    """The OpenAPI document names every endpoint, and every reference in it resolves."""
    document = http_.get(site.base + "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for endpoint in ENDPOINTS:
        assert endpoint.method.lower() in document["paths"][endpoint.path]

    def refs(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [r for v in value.values() for r in refs(v)]
        return [r for v in value for r in refs(v)] if isinstance(value, list) else []

    for ref in refs(document):
        assert ref.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def test_the_stream_tells_what_changed_since_a_position(site: Site) -> None:
    """A follower that comes back gets each changed journey once, with its newest row."""
    start = site.call("treating-clinic-1", "GET", "/api/journeys").json()["position"]
    first, second = site.order(), site.order(wristband="20000101-0101")

    async def follow() -> list[tuple[int, str]]:
        found = []
        async with Client(site.base, site.token("treating-clinic-1")) as client:
            async for position, row in client.follow(start):
                found.append((position, row.journey))
                if len(found) == 2:
                    return found
        return found

    found = asyncio.run(asyncio.wait_for(follow(), 60))
    assert [journey for _, journey in found] == [first, second]
    assert found[0][0] < found[1][0]


def test_the_nul_character_is_refused_wherever_it_stands(site: Site) -> None:
    """No text may hold U+0000: in a body, an address or a form it is a plain no, never a 500."""
    body = {"login": "a\x00b", "password": "x"}
    assert http_.post(f"{site.base}/api/session", json=body).status_code == 422
    assert site.call("treating-clinic-1", "GET", "/api/journeys/x%00y").status_code == 404
    form = {"login": "a\x00b", "password": "x", "next": "/"}
    headers = {"Sec-Fetch-Site": "same-origin"}
    assert http_.post(f"{site.base}/sign-in", data=form, headers=headers).status_code == 422


def test_a_database_that_is_away_is_not_the_clients_fault(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its database the tower says so, and that the same request may be sent again."""

    async def gone(token: str) -> None:
        raise psycopg.OperationalError("the connection is closed")

    site.token("courier-1")
    monkeypatch.setattr(site.tower.sessions, "of_token", gone)
    for accept in ("application/json", "text/html"):
        headers = {"Accept": accept}
        answer = site.call("courier-1", "GET", "/api/journeys", headers=headers)
        assert answer.status_code == 503 and answer.headers["retry-after"]
        assert answer.json()["reasons"][0]["todo"]
    assert site.call("courier-1", "GET", "/board", headers=headers).status_code == 503


def test_a_static_file_arrives_whole_packed_or_not(site: Site) -> None:
    """Packed for who takes it, plain or in parts for who does not; unchanged, not sent again."""
    plain = site.call(None, "GET", "/static/board.js", headers={"Accept-Encoding": "identity"})
    packed = site.call(None, "GET", "/static/board.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip" and packed.content == plain.content
    assert int(packed.headers["content-length"]) < 0.6 * len(plain.content)
    part = site.call(None, "GET", "/static/board.js", headers={"Range": "bytes=0-9"})
    assert part.status_code == 206 and part.content == plain.content[:10]
    known = {"If-None-Match": packed.headers["etag"]}
    assert site.call(None, "GET", "/static/board.js", headers=known).status_code == 304


def test_a_moment_without_a_zone_and_a_language_nobody_speaks_are_refused(site: Site) -> None:
    """Both are named in the refusal; the description says both, so that a client need not try."""
    journey = site.order()
    start = {"type": "Start", "step": "CONSENT", "occurred_at": "2026-11-01T08:00:00"}
    refused = site.send("treating-clinic-1", journey, start)
    assert refused.status_code == 422, refused.text
    assert refused.json()["reasons"][0]["field"] == "/command/occurred_at"
    path = f"/api/journeys/{journey}/stations/CONSENT/step"
    assert site.call("treating-clinic-1", "GET", path, params={"language": "xx"}).status_code == 422
    schemas = site.call(None, "GET", "/openapi.json").json()["components"]["schemas"]
    moment = schemas["Start"]["properties"]["occurred_at"]
    assert moment == {"type": "string", "format": "date-time"}
