"""Headers that choose the form of an EPCIS answer: GS1-EPC-Format and GS1-CBV-XML-Format."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from epcis_ import Socket, who
from stafett.exchange import epcis
from stafett.exchange.deliveries import Deliveries
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.subscriptions import Subscriptions
from stafett.web.epcis import epcis_app

pytestmark = pytest.mark.anyio
BAG = ("urn:epc:id:sgtin:9529004.067890.DP1", "https://id.gs1.org/01/09529004678905/21/DP1")
WARD = ("urn:epc:id:sgln:9529004.00001.0", "https://id.gs1.org/414/9529004000010")
OWN = "https://maker.example/gtin/09529004678905/ser/DP2"


def event(n: int, **more: Any) -> dict[str, Any]:
    """Make an event that names things by URN, each in another field."""
    return {
        "type": "ObjectEvent", "eventID": uuid.UUID(int=n).urn,
        "eventTime": "2026-01-01T00:00:00Z", "eventTimeZoneOffset": "+00:00", "action": "OBSERVE",
        "bizStep": "shipping", "epcList": [BAG[0], "urn:uuid:4ef8aa38-9227-4658-9e27-a1c08a6a63ec"],
        "readPoint": {"id": WARD[0]}, **more,
    }  # fmt: skip


def rich() -> dict[str, Any]:
    """Make an event with every field that may hold a GS1 identifier of an object event."""
    return event(
        1,
        quantityList=[{"epcClass": "urn:epc:class:lgtin:9529004.067890.L1", "quantity": 2}],
        bizTransactionList=[{"type": "po", "bizTransaction": "urn:epc:id:gdti:9529004.00002.77"}],
        sourceList=[{"type": "possessing_party", "source": "urn:epc:id:pgln:9529004.00003"}],
        destinationList=[{"type": "location", "destination": WARD[0]}],
        sensorElementList=[{
            "sensorMetadata": {"deviceID": "urn:epc:id:giai:9529004.LOGGER"},
            "sensorReport": [{"type": "Temperature", "value": -150, "uom": "CEL",
                              "deviceID": "urn:epc:id:giai:9529004.PROBE"}],
        }],
    )  # fmt: skip


async def put(store: EpcisStore, *events: Any, owner: str = "maker") -> None:
    """Capture events as an organisation."""
    document = epcis.document(list(events), created="2026-01-01T00:00:00Z")
    await store.capture(epcis.judge(document), owner=owner)


async def ask(
    http: httpx.AsyncClient, wanted: str | None, path: str = "/events", asker: str = "maker"
) -> Any:
    """Ask with a format; give the answer's events, or its problem."""
    headers = {"x-organisation": asker, **({"gs1-epc-format": wanted} if wanted else {})}
    reply = await http.get(path, headers=headers)
    if reply.status_code != 200:
        return reply.json()
    assert reply.headers["gs1-epc-format"] == (wanted or "Always_GS1_Digital_Link")
    epcis.read(reply.content)
    return reply.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]


def plain(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the server adds to an event."""
    return {k: v for k, v in found.items() if k != "recordTime"}


async def test_without_the_header_identifiers_are_links_as_the_standard_has_it(
    http: httpx.AsyncClient, store: EpcisStore
) -> None:
    """Every URN of an event becomes a link; a link in another domain is one, and stays."""
    await put(store, rich(), event(2, epcList=[OWN]))
    for wanted in (None, "Always_GS1_Digital_Link"):
        found, other = await ask(http, wanted)
        assert found["epcList"][0] == BAG[1]
        assert found["readPoint"]["id"] == found["destinationList"][0]["destination"] == WARD[1]
        assert "urn:epc" not in json.dumps(found)
        assert found["epcList"][1].startswith("urn:uuid:")  # no GS1 identifier: as it is
        assert other["epcList"] == [OWN]


@pytest.mark.parametrize("wanted", ["No_Preference", "Never_Translates"])
async def test_identifiers_are_given_as_captured_if_that_is_asked(
    http: httpx.AsyncClient, store: EpcisStore, wanted: str
) -> None:
    """What was captured is what comes back."""
    await put(store, rich(), event(2, epcList=[OWN]))
    assert [plain(e) for e in await ask(http, wanted)] == [rich(), event(2, epcList=[OWN])]


async def test_links_come_back_as_the_urns_that_they_were(
    http: httpx.AsyncClient, store: EpcisStore
) -> None:
    """A partner's links become URNs by the company prefix that one captured URN told."""
    await put(store, rich())
    as_links = (await ask(http, "Always_GS1_Digital_Link"))[0]
    await put(store, {**plain(as_links), "eventID": uuid.UUID(int=9).urn}, event(2, epcList=[OWN]))
    found = {e["eventID"]: plain(e) for e in await ask(http, "Always_EPC_URN")}
    assert found[uuid.UUID(int=9).urn] == {**rich(), "eventID": uuid.UUID(int=9).urn}
    assert found[uuid.UUID(int=2).urn]["epcList"] == ["urn:epc:id:sgtin:9529004.067890.DP2"]


async def test_a_link_without_a_known_company_prefix_is_406_with_its_place(
    http: httpx.AsyncClient, store: EpcisStore
) -> None:
    """Nothing is guessed, and what another organisation captured tells this one nothing."""
    await put(store, event(1), owner="courier")
    link = event(2, epcList=[BAG[1]], readPoint={"id": "https://ward.example/7"})
    await put(store, link, owner="ward")
    problem = await ask(http, "Always_EPC_URN", asker="ward")
    assert problem["status"] == 406
    where = "/epcisBody/queryResults/resultsBody/eventList/0/epcList/0"
    assert [e["pointer"] for e in problem["errors"]] == [where]
    assert BAG[1] in problem["errors"][0]["detail"]


async def test_a_prefix_may_be_settled_where_no_urn_tells_it(database: str) -> None:
    """STAFETT_GS1_PREFIXES names prefixes that no captured event parts."""
    async with EpcisStore(database, companies=["9529004"]) as store:
        transport = httpx.ASGITransport(app=Starlette(routes=[Mount("/e", epcis_app(store, who))]))
        await put(store, event(1, epcList=[BAG[1]], readPoint={"id": WARD[1]}))
        async with httpx.AsyncClient(transport=transport, base_url="http://s/e") as http:
            found = (await ask(http, "Always_EPC_URN"))[0]
    assert (found["epcList"], found["readPoint"]["id"]) == ([BAG[0]], WARD[0])


async def test_lists_of_places_and_things_are_links_or_urns(
    http: httpx.AsyncClient, store: EpcisStore
) -> None:
    """A member is listed once in one form, and the answer says in which."""
    await put(store, event(1), event(2, epcList=[BAG[1]], readPoint={"id": WARD[1]}))
    for wanted, n, told in (("Always_EPC_URN", 0, "Always_EPC_URN"),
                            ("Never_Translates", 1, "Always_GS1_Digital_Link")):  # fmt: skip
        for path, one in (("/epcs", BAG), ("/readPoints", WARD)):
            reply = await http.get(path, headers={"gs1-epc-format": wanted})
            assert one[n] in reply.json()["member"]
            assert one[1 - n] not in reply.json()["member"]
            assert reply.headers["gs1-epc-format"] == told


@pytest.mark.parametrize(
    ("wanted", "captured", "given"),
    [
        ("Always_Web_URI", "shipping", "https://ref.gs1.org/cbv/BizStep-shipping"),
        ("Always_URN", "shipping", "urn:epcglobal:cbv:bizstep:shipping"),
        ("Never_Translates", "shipping", "https://ref.gs1.org/cbv/BizStep-shipping"),
        ("No_Preference", "shipping", "https://ref.gs1.org/cbv/BizStep-shipping"),
    ],
)
async def test_words_of_the_vocabulary_in_xml_are_in_the_form_asked_for(
    http: httpx.AsyncClient, store: EpcisStore, wanted: str, captured: str, given: str
) -> None:
    """XML has no bare words, so one that was captured bare is a Web URI unless URNs are asked."""
    await put(store, event(1, bizStep=captured))
    headers = {"accept": "application/xml", "gs1-cbv-xml-format": wanted}
    reply = await http.get("/events", headers=headers)
    assert f"<bizStep>{given}</bizStep>" in reply.text
    assert reply.headers["gs1-cbv-xml-format"] == wanted
    assert BAG[1] in reply.text  # the header for identifiers holds in XML too


async def test_a_subscription_keeps_the_form_that_it_was_made_with(
    http: httpx.AsyncClient, store: EpcisStore
) -> None:
    """Each receiver is told in its own form; OPTIONS says from which record time on."""
    got: dict[str, list[Any]] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)["epcisBody"]["queryResults"]["resultsBody"]
        got[request.url.path] = [request.headers["gs1-epc-format"], body["eventList"][0]["epcList"]]
        return httpx.Response(200)

    await http.post("/queries", json={"name": "q", "query": {}})
    for wanted in ("Always_EPC_URN", "Always_GS1_Digital_Link"):
        made = await http.post(
            "/queries/q/subscriptions", headers={"gs1-epc-format": wanted},
            json={"dest": f"https://partner.example/{wanted}", "stream": True},
        )  # fmt: skip
        assert made.json()["epcFormat"] == wanted
    discovered = await http.options(httpx.URL("http://s" + made.headers["location"]))
    assert discovered.headers["gs1-query-min-record-time"] == made.json()["createdAt"]
    await put(store, event(1, epcList=[BAG[0]]))
    sending = Deliveries(
        Subscriptions(store), client=httpx.AsyncClient(transport=httpx.MockTransport(answer))
    )
    while len(got) < 2:
        assert await sending.once()
    assert got == {
        "/Always_EPC_URN": ["Always_EPC_URN", [BAG[0]]],
        "/Always_GS1_Digital_Link": ["Always_GS1_Digital_Link", [BAG[1]]],
    }


async def test_a_websocket_that_cannot_be_told_in_its_form_is_closed_with_the_reason(
    http: httpx.AsyncClient, app: Starlette, store: EpcisStore
) -> None:
    """Links come until an identifier has no URN; then the socket closes, and leaves none out."""
    await http.post("/queries", json={"name": "q", "query": {}})
    since = "stream=true&initialRecordTime=" + quote("2020-01-01T00:00:00Z")
    socket = Socket(app, "/queries/q/events", since, {"gs1-epc-format": "Always_EPC_URN"})
    accepted = await socket.next()
    told = dict(accepted["headers"])
    assert told[b"gs1-query-min-record-time"] == b"2020-01-01T00:00:00+00:00"
    assert told[b"gs1-epc-format"] == b"Always_EPC_URN"
    await put(store, event(1, epcList=["https://id.gs1.org/00/123456789012345675"]))
    closed = await socket.next()
    assert (closed["type"], closed["code"]) == ("websocket.close", 4406)
    await socket.close()
