"""The exchange inside the control tower: who may read what, and in which language."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

import pytest

from site_ import Site
from stafett.client import Client, Exchange, Refused
from stafett.exchange import epcis
from stafett.exchange.fhir_read import read_bundle
from stafett.web.exchange import ENDPOINTS

CLINIC = "treating-clinic-1"


def test_a_journey_is_read_as_epcis_and_as_fhir(site: Site) -> None:
    """A journey that was just ordered is valid EPCIS, valid R5 and valid R4B."""
    journey = site.order()
    answer = site.call(CLINIC, "GET", f"/api/journeys/{journey}/epcis")
    document = epcis.read(answer.content)
    assert answer.headers["content-type"] == "application/ld+json"
    assert document.events[0]["bizTransactionList"][0]["type"] == "po"
    for accept, version in (("*/*", "5.0"), ("application/fhir+json; fhirVersion=4.3", "4.3")):
        answer = site.call(
            CLINIC, "GET", f"/api/journeys/{journey}/fhir", headers={"Accept": accept}
        )
        assert answer.headers["content-type"].endswith(f"fhirVersion={version}")
        found = read_bundle(answer.content)
        assert [str(e) for e in found.errors] == []
        assert found.counts["Patient"] == found.counts["ServiceRequest"] == 1


def test_a_journey_that_is_not_yours_is_not_there(site: Site) -> None:
    """Unknown journeys are 404 in every language; nobody signed in is 401."""
    for form in ("epcis", "fhir", "captured"):
        assert site.call(CLINIC, "GET", f"/api/journeys/none/{form}").status_code == 404
        assert site.call(None, "GET", f"/api/journeys/none/{form}").status_code == 401
    assert site.call(None, "GET", "/epcis/events").status_code == 401


def test_what_a_partner_captures_joins_the_journey_it_names(site: Site) -> None:
    """An event that names the chain of identity is found at the journey; another one waits."""
    journey = site.order()
    entries = site.call(CLINIC, "GET", f"/api/journeys/{journey}/events").json()
    coi = entries[0]["event"]["coi"]

    def event(n: int, about: str) -> dict[str, Any]:
        return {
            "type": "ObjectEvent", "eventID": uuid.uuid4().urn,
            "eventTime": f"2026-11-01T08:00:0{n}+01:00", "eventTimeZoneOffset": "+01:00",
            "action": "OBSERVE", "epcList": [about], "bizStep": "transporting",
        }  # fmt: skip

    stranger = f"urn:stafett:coi:{uuid.uuid4().hex[:15].upper()}"
    body = epcis.document(
        [event(1, f"urn:stafett:coi:{coi}"), event(2, stranger)], created="2026-11-01T08:00:00Z"
    )
    answer = site.call("courier-1", "POST", "/epcis/capture", json=body)
    assert answer.status_code == 202, answer.text
    job = site.call("courier-1", "GET", answer.headers["location"]).json()
    assert job["captured"] == 2
    for _ in range(100):
        answer = site.call(CLINIC, "GET", f"/api/journeys/{journey}/captured")
        found = epcis.read(answer.content).events
        if found:
            break
        time.sleep(0.1)
    assert [e["eventID"] for e in found] == [body["epcisBody"]["eventList"][0]["eventID"]]
    waiting = epcis.read(site.call("courier-1", "GET", "/api/exchange/waiting").content).events
    assert [e["epcList"] for e in waiting] == [[stranger]]
    # The hospital has a laboratory result of its own that waits, and never the courier's event.
    for path in ("/api/exchange/waiting", "/epcis/events"):
        theirs = epcis.read(site.call(CLINIC, "GET", path).content).events
        assert stranger not in [epc for e in theirs for epc in e.get("epcList", ())], path


def test_all_that_waits_and_all_that_was_captured_is_reached_by_pages(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer says where the next page is; following them gives every event once."""
    monkeypatch.setattr("stafett.web.exchange.PAGE", 3)
    journey = site.order()
    coi = site.call(CLINIC, "GET", f"/api/journeys/{journey}/events").json()[0]["event"]["coi"]
    strange = f"urn:stafett:coi:{uuid.uuid4().hex[:15].upper()}"
    sent: dict[str, list[dict[str, Any]]] = {
        about: [
            {"type": "ObjectEvent", "eventID": uuid.uuid4().urn, "action": "OBSERVE",
             "eventTime": "2026-11-01T08:00:00+01:00", "eventTimeZoneOffset": "+01:00",
             "epcList": [about], "bizStep": "transporting"}
            for _ in range(7)
        ]
        for about in (f"urn:stafett:coi:{coi}", strange)
    }  # fmt: skip
    body = epcis.document(
        [e for each in sent.values() for e in each], created="2026-11-01T08:00:00Z"
    )
    job = site.call("courier-1", "POST", "/epcis/capture", json=body)
    assert site.call("courier-1", "GET", job.headers["location"]).json()["captured"] == 14

    def every(who: str, path: str) -> list[str]:
        async def follow() -> list[str]:
            async with Client(site.base, site.token(who)) as client:
                return [
                    event["eventID"]
                    async for document in Exchange(client).documents(path)
                    for event in epcis.judge(document).events
                ]

        return asyncio.run(follow())

    about, waiting = sent.values()
    for _ in range(100):
        found = every(CLINIC, f"/api/journeys/{journey}/captured")
        if len(found) == 7:
            break
        time.sleep(0.1)
    assert sorted(found) == sorted(e["eventID"] for e in about)
    got = every("courier-1", "/api/exchange/waiting")
    assert len(got) == len(set(got)) and {e["eventID"] for e in waiting} <= set(got)
    for path in ("exchange/waiting", f"journeys/{journey}/captured"):
        wrong = site.call(CLINIC, "GET", f"/api/{path}?nextPageToken=zzz")
        assert wrong.status_code == 400, path


def test_a_partner_subscribes_by_a_websocket_of_the_very_server(site: Site) -> None:
    """Over a real connection: new events come as asked; a wrong wish is refused in words."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    name, bag = f"ws-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex[:8].upper()
    site.call("courier-1", "POST", "/epcis/queries",
              json={"name": name, "query": {"EQ_bizStep": ["transporting"]}})  # fmt: skip
    where = site.base.replace("http", "ws") + f"/epcis/queries/{name}/events"
    mine = {"Authorization": f"Bearer {site.token('courier-1')}", "GS1-EPC-Format": "No_Preference"}
    with connect(f"{where}?stream=true", additional_headers=mine) as socket:
        assert socket.response is not None
        assert "GS1-Query-Min-Record-Time" in socket.response.headers
        event = {
            "type": "ObjectEvent", "eventTime": "2026-11-01T08:00:00+01:00", "action": "OBSERVE",
            "eventTimeZoneOffset": "+01:00", "bizStep": "transporting",
            "epcList": [f"urn:epc:id:sgtin:9529004.067890.{bag}"],
        }  # fmt: skip
        body = epcis.document([event], created="2026-11-01T08:00:00Z")
        assert site.call("courier-1", "POST", "/epcis/capture", json=body).status_code == 202
        told = epcis.read(str(socket.recv(timeout=60)).encode()).events
        assert [e["epcList"] for e in told] == [event["epcList"]]
    for query, headers, status in (("streem=true", mine, 400), ("second=61", mine, 400),
                                   ("stream=true", {}, 401)):  # fmt: skip
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{where}?{query}", additional_headers=headers)
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body or b"")["status"] == status


def test_a_foreign_page_cannot_capture_with_the_cookie(site: Site) -> None:
    """The session cookie alone changes nothing: the header X-Stafett is needed."""
    token = site.token("courier-1")
    answer = site.call(
        None, "POST", "/epcis/capture", content=b"{}",
        headers={"Cookie": f"stafett={token}", "Content-Type": "application/json"},
    )  # fmt: skip
    assert answer.status_code == 403


def test_every_route_of_the_exchange_asks_who_you_are(site: Site) -> None:
    """No endpoint of this table is open, and the description of the API names each."""
    paths = site.call(None, "GET", "/openapi.json").json()["paths"]
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{journey}", "x").replace("{webhook}", "x")
        assert site.call(None, endpoint.method, path).status_code == 401, path
        assert endpoint.method.lower() in paths[endpoint.path]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:9", "127.8.8.8", "localhost", "tower.localhost.", "[::1]", "0.0.0.0", "[::]",
     "169.254.169.254", "[fe80::1%25eth0]", "[::ffff:127.0.0.1]", "224.0.0.1"],
)  # fmt: skip
def test_an_address_of_this_machine_is_refused_when_it_is_given(site: Site, host: str) -> None:
    """At each of the three ways to subscribe, at once and with its place."""
    dest = f"http://{host}/hook"
    wish: dict[str, Any] = {"dest": dest, "mode": "binary", "secret": "s" * 20}
    made = site.call("administrator", "POST", "/api/webhooks", json=wish)
    assert made.status_code == 400 and "/dest" in made.text, made.text
    site.call("administrator", "POST", "/epcis/queries", json={"name": "any", "query": {}})
    wish = {"dest": dest, "stream": True}
    made = site.call("administrator", "POST", "/epcis/queries/any/subscriptions", json=wish)
    assert (made.status_code, made.json()["errors"][0]["pointer"]) == (400, "/dest"), made.text
    wish = {"resourceType": "Subscription", "topic": "urn:stafett:topic:journey", "endpoint": dest,
            "channelType": {"code": "rest-hook"}}  # fmt: skip
    made = site.call("administrator", "POST", "/fhir/R5/Subscription", json=wish)
    assert made.status_code == 400 and made.json()["issue"][0]["expression"] == ["/dest"]


def test_a_webhook_is_made_watched_and_revived_by_an_administrator(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What turns out to be this machine at delivery is refused there, and the reason is shown."""
    monkeypatch.setattr(site.tower.exchange.subscriptions, "refuse", None)
    wish = {"dest": "http://127.0.0.1:9/hook", "mode": "binary", "secret": "s" * 20, "position": 0}
    assert site.call(CLINIC, "POST", "/api/webhooks", json=wish).status_code == 403
    site.order()
    made = site.call("administrator", "POST", "/api/webhooks", json=wish)
    assert made.status_code == 201, made.text
    name = made.json()["subscriptionID"]
    for _ in range(100):
        (hook,) = site.call("administrator", "GET", "/api/webhooks").json()
        if hook["failures"]:
            break
        time.sleep(0.1)
    assert "this machine" in hook["lastError"]
    assert (hook["position"], hook["dead"]) == (0, False)
    assert "s" * 20 not in json.dumps(hook)
    assert site.call("administrator", "GET", "/api/webhooks?dead=true").json() == []
    where = f"/api/webhooks/{name}"
    assert site.call("administrator", "POST", f"{where}/replay", json={}).status_code == 200
    answer = site.call("administrator", "POST", f"{where}/replay", json={"position": 99})
    assert answer.status_code == 400
    assert site.call("administrator", "DELETE", where).status_code == 204
    assert site.call("administrator", "DELETE", where).status_code == 404
    wrong = site.call("administrator", "POST", "/api/webhooks", json={**wish, "dest": "ftp://x.y"})
    assert (wrong.status_code, wrong.json()["reasons"][0]["field"]) == (400, "/dest")


def test_the_typed_client_captures_queries_and_fetches(site: Site) -> None:
    """Jobs are waited for, pages followed, refusals carry their places; dossier and trace come."""
    journey = site.order()
    coi = site.call(CLINIC, "GET", f"/api/journeys/{journey}/events").json()[0]["event"]["coi"]
    place = f"https://own.example/{uuid.uuid4().hex}"
    events: list[dict[str, Any]] = [
        {
            "type": "ObjectEvent", "eventID": uuid.uuid4().urn,
            "eventTime": f"2026-11-01T08:00:{n:02d}+01:00", "eventTimeZoneOffset": "+01:00",
            "action": "OBSERVE", "epcList": [f"urn:stafett:coi:{coi}"],
            "readPoint": {"id": place}, "bizStep": "transporting",
        }
        for n in range(7)
    ]  # fmt: skip
    document = epcis.document(events, created="2026-11-01T08:00:00Z")

    async def courier() -> None:
        async with Client(site.base, site.token("courier-1")) as client:
            exchange = Exchange(client)
            job = await exchange.finished(await exchange.capture(document))
            assert (job.success, job.captured, job.errors) == (True, 7, [])
            back = [e["eventID"] async for e in exchange.events(EQ_readPoint=[place], perPage=3)]
            assert back == [e["eventID"] for e in events]
            with pytest.raises(Refused) as refused:
                await exchange.capture({**document, "epcisBody": {"eventList": [7]}})
            assert (refused.value.status, refused.value.code) == (400, "ValidationException")
            assert "/epcisBody/eventList/0: " in str(refused.value)

    async def clinic() -> None:
        async with Client(site.base, site.token(CLINIC)) as client:
            exchange = Exchange(client)
            assert (await exchange.epcis(journey))["type"] == "EPCISDocument"
            assert (await exchange.fhir(journey))["resourceType"] == "Bundle"
            (first, *_) = await exchange.release(journey)
            assert first.blocks and first.certified_at is None
            assert (await exchange.dossier(journey, "pdf"))[:5] == b"%PDF-"
            with pytest.raises(Refused, match="404"):
                await exchange.dossier("none")

    async def tracing() -> None:
        async with Client(site.base, site.token(CLINIC)) as client:
            found = await Exchange(client).trace("product", coi)
            assert [t.journey for t in found.traces] == [journey]

    for one in (courier, clinic, tracing):
        asyncio.run(one())
