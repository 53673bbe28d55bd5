"""The EPCIS REST interface, spoken to over HTTP without a network."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import httpx
import pytest
from starlette.applications import Starlette

from epcis_ import Socket, document, event, members
from stafett.exchange import epcis, epcis_xml

pytestmark = pytest.mark.anyio
EPC = "https://id.gs1.org/01/09529004678905/21/DP1"


async def all_pages(http: httpx.AsyncClient, path: str, params: dict[str, Any]) -> list[str]:
    """Follow the Link headers and give all eventIDs."""
    reply = await http.get(path, params=params)
    found = []
    while True:
        for e in members(reply):
            found.append(e["eventID"] + ("#err" if "errorDeclaration" in e else ""))
        epcis.read(reply.content)  # every page is a valid document by itself
        if "next" not in reply.links:
            return found
        reply = await http.get(reply.links["next"]["url"])


async def test_captured_documents_are_queried_back_with_the_published_answers(
    http: httpx.AsyncClient, shared: Path
) -> None:
    """Capture the corpus over HTTP, then all 69 queries: in the URL and as named queries."""
    folder = shared / "standards/celltherapy"
    reply = await http.post(
        "/capture", content=(folder / "corpus.json").read_bytes(),
        headers={"content-type": "application/json"},
    )  # fmt: skip
    assert reply.status_code == 202
    job = (await http.get(httpx.URL("http://s" + reply.headers["location"]))).json()
    assert (job["running"], job["success"], job["captured"]) == (False, True, 82)
    for item in json.loads((folder / "queries.json").read_text())["queries"]:
        expect = item["expect"]
        url = {k: "|".join(v) if isinstance(v, list) else v for k, v in item["query"].items()}
        if expect["status"] == 200:
            got = await all_pages(http, "/events", {**url, "perPage": 25})
            assert sorted(got) == sorted(expect["events"]), item["id"]
        else:
            reply = await http.get("/events", params=url)
            assert reply.status_code == expect["status"]
            assert reply.json()["type"] == f"epcisException:{expect['exception']}"
            assert reply.headers["content-type"] == "application/problem+json"
        body = {"name": item["id"], "query": item["query"]}
        reply = await http.post("/queries", json=body)
        if expect["status"] == 400:
            assert reply.status_code == 400
            continue
        assert reply.status_code == 201
        reply = await http.get(f"/queries/{item['id']}/events", params={"perPage": 1000})
        assert reply.status_code == expect["status"]
        if expect["status"] == 200:
            got = [e["eventID"] for e in members(reply)]
            assert sorted(got) == sorted(i.removesuffix("#err") for i in expect["events"])


async def test_a_wrong_document_is_a_problem_that_names_each_place(
    http: httpx.AsyncClient,
) -> None:
    """400 with a JSON pointer for each mistake, and nothing captured."""
    reply = await http.post("/capture", json=document(event(1), event(2, bizStep="flying")))
    assert reply.status_code == 400
    body = reply.json()
    assert body["type"] == "epcisException:ValidationException"
    assert [e["pointer"] for e in body["errors"]] == ["/epcisBody/eventList/1/bizStep"]
    assert members(await http.get("/events")) == []


@pytest.mark.parametrize("name", ["application/pdf", "text/plain", ""])
async def test_other_content_types_are_415(http: httpx.AsyncClient, name: str) -> None:
    """XML and text are not taken, whatever they hold (nor is a billion laughs expanded)."""
    laughs = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><l>&b;</l>'
    reply = await http.post("/capture", content=laughs, headers={"content-type": name})
    assert reply.status_code == 415


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"accept": "application/xml"}, 200),
        ({"accept": "application/xml", "gs1-cbv-xml-format": "Sometimes"}, 406),
        ({"accept": "application/pdf, application/json;q=0"}, 406),
        ({"accept": ""}, 200),
        ({"accept": "text/html, application/ld+json;q=0.5"}, 200),
        ({"gs1-epcis-min": "3.0"}, 406),
        ({"gs1-epcis-max": "1.2"}, 406),
        ({"gs1-cbv-version": "2.0"}, 200),
        ({"gs1-epcis-version": "two"}, 400),
        ({"gs1-epc-format": "Always_EPC_URN"}, 200),
        ({"gs1-epc-format": "Sometimes"}, 406),
    ],
)
async def test_what_is_asked_for_is_given_or_refused(
    http: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    """Formats and versions that this server does not speak are 406, with the reason."""
    assert (await http.get("/events", headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/xml", "text/xml; charset=utf-8"),
        ("text/html, application/xml;q=0.9, */*;q=0.8", "application/xml; charset=utf-8"),
        ("application/xml;q=0.4, application/json;q=0.5", "application/json"),
        ("application/xml;q=nonsense, application/json;q=0.1", "application/json"),
    ],
)
async def test_the_format_is_the_one_wished_most(
    http: httpx.AsyncClient, accept: str, kind: str
) -> None:
    """Weights decide between JSON and XML; JSON among equals."""
    assert (await http.get("/events", headers={"accept": accept})).headers["content-type"] == kind


async def test_an_answer_in_xml_can_be_captured_elsewhere(http: httpx.AsyncClient) -> None:
    """Every way to events gives XML; what it says is what JSON says, with the links of pages."""
    one = event(1, **{"ext:lot": ["A", "B"], "bizStep": "https://own.example/steps/thaw"})
    await http.post("/capture", json={**document(one, event(2)), "@context": [
        epcis.CONTEXT_URI, {"ext": "https://ns.example/x/"}]})  # fmt: skip
    await http.post("/queries", json={"name": "all", "query": {}})
    for path in ("/events", f"/events/{uuid.UUID(int=1).urn}", "/queries/all/events",
                 "/eventTypes/ObjectEvent/events"):  # fmt: skip
        wish = {"accept": "application/xml", "gs1-cbv-xml-format": "Always_URN"}
        reply = await http.get(path, params={"perPage": 1}, headers=wish)
        assert reply.status_code == 200, reply.text
        told = epcis.judge(epcis_xml.read_xml(reply.content))
        same = epcis.judge((await http.get(path, params={"perPage": 1})).json())
        assert told.events == same.events, path
        assert told.prefixes["ext"] == "https://ns.example/x/"
        assert reply.headers["vary"] == "Accept"
        assert ("link" in reply.headers) == (len(path.split("/")) != 3)
    page = await http.get("/events?orderBy=eventTime&orderDirection=DESC", headers=wish)
    assert b"urn:epcglobal:cbv:bizstep:shipping" in page.content


async def test_a_partner_who_speaks_only_xml_is_served_in_xml(
    http: httpx.AsyncClient, shared: Path
) -> None:
    """Capture, job and refusal, in the names that GS1's description gives them."""
    only = {"Content-Type": "application/xml", "Accept": "application/xml"}
    path = shared / "standards/hash_reference/epcisDocWithShippingAndTransportingEvent.xml"
    sent = await http.post("/capture", content=path.read_bytes(), headers=only)
    assert sent.status_code == 202, sent.text
    job = await http.get(sent.headers["location"].removeprefix("/epcis"), headers=only)
    assert job.headers["content-type"] == "application/xml; charset=utf-8"
    told = ElementTree.fromstring(job.content)
    assert told.tag == "{urn:epcglobal:epcis:xsd:2}EPCISCaptureJob"
    assert (told.get("running"), told.get("success")) == ("false", "true")
    assert told.findtext("captured") == "2"
    wrong = b"<epcis:EPCISDocument xmlns:epcis='urn:epcglobal:epcis:xsd:2'><a\x01"
    refused = await http.post("/capture", content=wrong, headers=only)
    assert (refused.status_code, refused.headers["content-type"]) == (
        400, "application/problem+xml",
    )  # fmt: skip
    said = ElementTree.fromstring(refused.content)
    assert said.tag == "{urn:epcglobal:epcis:xsd:2}EPCISException"
    assert said.findtext("type") == "epcisException:ValidationException"
    assert said.findtext("status") == "400" and said.findtext("errors/detail")
    nowhere = await http.get("/nowhere", headers={"Accept": "application/json, text/xml;q=0.9"})
    assert nowhere.headers["content-type"] == "application/problem+json"


async def test_what_xml_cannot_say_is_406_with_its_place(http: httpx.AsyncClient) -> None:
    """Nothing is left out of an answer in XML: it is refused, and JSON has it."""
    context = [epcis.CONTEXT_URI, {"ext": "urn:x"}]
    rows = event(1, **{"ext:rows": [[1], [2]]})
    await http.post("/capture", json={**document(rows), "@context": context})
    reply = await http.get("/events", headers={"accept": "application/xml"})
    assert reply.status_code == 406
    place = ElementTree.fromstring(reply.content).findtext("errors/pointer")
    assert str(place).endswith("/eventList/0/ext:rows")
    assert len(members(await http.get("/events"))) == 1


async def test_discovery_says_versions_limits_and_methods(http: httpx.AsyncClient) -> None:
    """OPTIONS on each resource answers 204 with its methods and the standard's headers."""
    await http.post("/capture", json={**document(), "@context": [{"ct": "https://ns.example/"}]})
    for path, allow in (
        ("/", "OPTIONS, GET"), ("/capture", "OPTIONS, POST, GET"),
        ("/events", "OPTIONS, GET, POST"), ("/queries", "OPTIONS, GET, POST"),
        ("/queries/x", "OPTIONS, GET, DELETE"), ("/bizSteps", "OPTIONS, GET"),
        ("/epcs/x/events", "OPTIONS, GET"), ("/nextPageToken/x", "OPTIONS, DELETE"),
    ):  # fmt: skip
        reply = await http.options(path)
        assert (reply.status_code, reply.headers["allow"]) == (204, allow), path
        assert reply.headers["gs1-epcis-version"] == "2.0.0"
    assert "ct=https://ns.example/" in reply.headers["gs1-extensions"]
    capture = await http.options("/capture")
    assert capture.headers["gs1-epcis-capture-limit"] == "20000"
    # One word each, as the schema of the headers has it: both behaviours, every format.
    assert capture.headers["gs1-capture-error-behaviour"] == "all"
    assert capture.headers["gs1-epc-format"] == "No_Preference"
    assert capture.headers["gs1-cbv-xml-format"] == "No_Preference"
    for name in ("epcis-min", "epcis-max", "cbv-min", "cbv-max"):
        assert capture.headers[f"gs1-{name}"] == "2.0.0"


async def test_single_events_have_addresses_and_are_not_doubled(
    http: httpx.AsyncClient,
) -> None:
    """201 with Location and the event; the same again is 200; another under its ID is 409."""
    one = {**event(1), "@context": [epcis.CONTEXT_URI]}
    first = await http.post("/events", json=one)
    assert (first.status_code, first.json()) == (201, one)
    got = members(await http.get(httpx.URL("http://s" + first.headers["location"])))
    assert [e["eventID"] for e in got] == [event(1)["eventID"]]
    assert (await http.post("/events", json=one)).status_code == 200
    reply = await http.post("/events", json={**one, "action": "ADD"})
    assert (reply.status_code, reply.json()["type"]) == (
        409, "epcisException:ResourceAlreadyExistsException",
    )  # fmt: skip
    assert (await http.get("/events/urn:none")).status_code == 404
    unnamed = {k: v for k, v in {**one, "eventTime": "2026-02-01T00:00:00Z"}.items()
               if k != "eventID"}  # fmt: skip
    named = await http.post("/events", json=unnamed)
    assert named.json() == {**unnamed, "eventID": named.json()["eventID"]}
    assert named.headers["location"].endswith(quote(named.json()["eventID"], safe=""))
    epcis.read(named.content)


async def test_resources_lead_to_their_events(http: httpx.AsyncClient) -> None:
    """Each step, place, disposition, type and EPC is listed once and leads to its events."""
    await http.post("/capture", json=document(*[event(n) for n in range(4)]))
    assert (await http.get("/bizSteps")).json()["member"] == ["shipping"]
    assert (await http.get("/readPoints")).json()["member"] == [
        "https://id.gs1.org/414/9529004000010"
    ]
    assert len((await http.get("/eventTypes")).json()["member"]) == 5
    many = [f"urn:x:epc:{n}" for n in range(7)]
    await http.post("/capture", json=document(event(9, epcList=many, bizStep="packing")))
    listed, reply = [], await http.get("/epcs", params={"perPage": 3})
    while True:
        assert len(reply.json()["member"]) <= 3  # also of one event that names more
        listed += reply.json()["member"]
        if "next" not in reply.links:
            break
        reply = await http.get(reply.links["next"]["url"])
    assert listed == [*(EPC[:-1] + str(n) for n in range(4)), *many]
    for path, count in (
        ("/bizSteps/shipping/events", 4),
        (f"/bizSteps/{quote('https://ref.gs1.org/cbv/BizStep-shipping', safe='')}/events", 4),
        (f"/epcs/{quote(EPC, safe='')}/events", 1),
        ("/epcs/urn:epc:id:sgtin:9529004.067890.DP1/events", 1),
        ("/eventTypes/ObjectEvent/events", 5),
    ):
        assert len(members(await http.get(path))) == count, path
    assert len(members(await http.get("/bizSteps/shipping/events?MATCH_epc=" + quote(EPC)))) == 1
    for path in ("/bizSteps/receiving/events", "/epcs/urn:none", "/nothing", "/capture/7"):
        assert (await http.get(path)).status_code == 404, path


async def test_an_organisation_sees_what_it_may(http: httpx.AsyncClient) -> None:
    """No caller is 401; the courier sees its own; jobs, queries and hooks are their owner's."""
    job = await http.post("/capture", json=document(event(1)))
    courier = {"x-organisation": "courier"}
    await http.post("/capture", json=document(event(2)), headers=courier)
    assert (await http.get("/events", headers={"x-organisation": "nobody"})).status_code == 401
    seen = members(await http.get("/events", headers=courier))
    assert [e["eventID"] for e in seen] == [event(2)["eventID"]]
    where = httpx.URL("http://s" + job.headers["location"])
    assert (await http.get(where)).status_code == 200
    assert (await http.get(where, headers=courier)).status_code == 404
    await http.post("/queries", json={"name": "q", "query": {}})
    assert (await http.delete("/queries/q", headers=courier)).status_code == 404
    assert (await http.get("/queries", headers=courier)).json() == []
    for path in ("/queries/q", "/queries/q/events", "/queries/q/subscriptions"):
        assert (await http.get(path, headers=courier)).status_code == 404
    own = [epcis.CONTEXT_URI, {"mine": "https://maker.example/"}]
    await http.post("/capture", json={**document(event(9)), "@context": own})
    assert "maker.example" in (await http.options("/capture")).headers["gs1-extensions"]
    assert "maker" not in (await http.options("/capture", headers=courier)).headers.get(
        "gs1-extensions", ""
    )
    await http.post("/capture", json=document(event(3, bizStep="destroying")))
    assert (await http.get("/bizSteps", headers=courier)).json()["member"] == ["shipping"]
    epcs = (await http.get("/epcs", headers=courier)).json()["member"]
    assert epcs == [EPC[:-1] + "2"]
    for path in ("/bizSteps/destroying", f"/epcs/{quote(EPC, safe='')}/events"):
        assert (await http.get(path, headers=courier)).status_code == 404
    nobody = await http.options("/capture", headers={"x-organisation": "nobody"})
    assert "gs1-extensions" not in nobody.headers


async def test_subscriptions_are_made_shown_and_ended(http: httpx.AsyncClient) -> None:
    """A webhook has an address, hides its secret, and is gone after DELETE."""
    await http.post("/queries", json={"name": "q", "query": {"EQ_bizStep": ["shipping"]}})
    wish = {"dest": "https://p.example/h", "stream": True, "signatureToken": "x" * 20}
    made = await http.post("/queries/q/subscriptions", json=wish)
    assert made.status_code == 201
    assert "x" * 20 not in made.text
    where = httpx.URL("http://s" + made.headers["location"])
    listed = (await http.get("/queries/q/subscriptions")).json()
    assert [h["subscriptionID"] for h in listed] == [made.json()["subscriptionID"]]
    assert (await http.post(where, json={"position": 0})).status_code == 200
    assert (await http.delete(where)).status_code == 204
    assert (await http.get(where)).status_code == 404
    reply = await http.post("/queries/none/subscriptions", json=wish)
    assert reply.json()["type"] == "epcisException:NoSuchNameException"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/events?perPage=0", 400),
        ("/events?perPage=many", 400),
        ("/events?nextPageToken=zzz", 400),
        ("/events?EQ_bizStep=%FF", 400),
        ("/events?EQ_bizStep=a%00b", 400),
        ("/events?" + "MATCH_epc=" + "x" * 20000, 414),
        ("/capture?nextPageToken=1", 400),
        ("/epcs?nextPageToken=one", 400),
        ("/queries?EQ_bizStep=x", 400),
        ("/events/%FF", 404),
        ("/a/b/c/d", 404),
        ("/events?EQ_type=;--", 200),
    ],
)
async def test_hostile_addresses_are_answered_calmly(
    http: httpx.AsyncClient, path: str, status: int
) -> None:
    """No address makes the server fail."""
    assert (await http.get(path)).status_code == status


async def test_other_methods_are_405(http: httpx.AsyncClient) -> None:
    """Events cannot be deleted or put."""
    reply = await http.delete("/events")
    assert (reply.status_code, reply.headers["allow"]) == (405, "OPTIONS, GET, POST")
    put = await http.put("/capture")
    assert (put.status_code, put.json()["type"]) == (
        405,
        "epcisException:MethodNotAllowedException",
    )
    assert (put.json()["instance"], put.json()["detail"]) == (
        "/epcis/capture", "PUT is not allowed here, only OPTIONS, POST, GET",
    )  # fmt: skip


async def test_a_body_that_is_too_large_is_refused_while_it_arrives(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With or without Content-Length, more than the limit is 413 with the limits in headers."""
    monkeypatch.setattr(epcis, "MAX_BYTES", 1000)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b" " * 100

    kind = {"content-type": "application/json"}
    for content in (b" " * 5000, chunks()):
        reply = await http.post("/capture", content=content, headers=kind)
        assert reply.status_code == 413
        assert "gs1-epcis-capture-file-size-limit" in reply.headers


async def test_a_websocket_gets_what_matches_as_it_is_captured(
    http: httpx.AsyncClient, app: Starlette
) -> None:
    """A subscriber to a named query gets valid documents with the new events only."""
    await http.post("/queries", json={"name": "q", "query": {"EQ_bizStep": ["shipping"]}})
    await http.post("/capture", json=document(event(1)))
    socket = Socket(app, "/queries/q/events", "stream=true")
    assert (await socket.next())["type"] == "websocket.accept"
    await http.post("/capture", json=document(event(2), event(3, bizStep="storing")))
    message = await socket.next()
    assert [e["eventID"] for e in epcis.read(message["text"].encode()).events] == [
        event(2)["eventID"]
    ]
    await socket.close()


async def test_a_websocket_begins_in_the_past_if_it_asks_to(
    http: httpx.AsyncClient, app: Starlette
) -> None:
    """What was captured from `initialRecordTime` on comes first, before anything new."""
    await http.post("/queries", json={"name": "q", "query": {"EQ_bizStep": ["shipping"]}})
    await http.post("/capture", json=document(event(1), event(2)))
    socket = Socket(app, "/queries/q/events", "stream=true&initialRecordTime=2020-01-01T00:00:00Z")
    assert (await socket.next())["type"] == "websocket.accept"
    message = await socket.next()
    assert [e["eventID"] for e in epcis.read(message["text"].encode()).events] == [
        event(1)["eventID"], event(2)["eventID"]
    ]  # fmt: skip
    await socket.close()


async def test_a_websocket_follows_its_schedule(http: httpx.AsyncClient, app: Starlette) -> None:
    """Each second a document: an empty one, since that is wished, then what has come."""
    await http.post("/queries", json={"name": "q", "query": {"EQ_bizStep": ["shipping"]}})
    socket = Socket(app, "/queries/q/events", "second=[0-59]&reportIfEmpty=true")
    assert (await socket.next())["type"] == "websocket.accept"
    results = json.loads((await socket.next())["text"])["epcisBody"]["queryResults"]
    assert results["resultsBody"]["eventList"] == []
    await http.post("/capture", json=document(event(1)))
    for _ in range(3):
        found = epcis.read((await socket.next())["text"].encode()).events
        if found:
            break
    assert [e["eventID"] for e in found] == [event(1)["eventID"]]
    await socket.close()


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/queries/none/events", "stream=true", 4404),
        ("/queries/q/events", "", 4400),
        ("/queries/q/events", "stream=true&hour=1", 4400),
        ("/queries/q/events", "hour=99", 4400),
        ("/queries/q/events", "stream=true&colour=red", 4400),
        ("/queries/q/events", "stream=true&reportIfEmpty=perhaps", 4400),
        ("/queries/newest/events", "stream=true", 4400),
        ("/other", "stream=true", 4404),
    ],
)
async def test_a_wrong_websocket_is_closed_with_the_reason(
    http: httpx.AsyncClient, app: Starlette, path: str, query: str, code: int
) -> None:
    """The close code is 4000 + the HTTP status, the reason says why."""
    await http.post("/queries", json={"name": "q", "query": {}})
    await http.post("/queries", json={"name": "newest", "query": {"orderBy": "eventTime"}})
    message = await Socket(app, path, query).next()
    assert (message["type"], message["code"]) == ("websocket.close", code)
    assert message["reason"]


async def test_a_document_in_xml_is_captured_and_a_wrong_one_is_refused_with_its_line(
    http: httpx.AsyncClient,
) -> None:
    """XML of 1.2 is brought into JSON; queries answer in JSON; an entity bomb is a 400."""
    text = (
        '<e:EPCISDocument xmlns:e="urn:epcglobal:epcis:xsd:1" schemaVersion="1.2"'
        ' creationDate="2026-01-01T00:00:00Z"><EPCISBody><EventList><ObjectEvent>'
        "<eventTime>2026-01-01T00:00:00Z</eventTime><eventTimeZoneOffset>+00:00"
        "</eventTimeZoneOffset><epcList><epc>urn:epc:id:sscc:4012345.1112223334</epc></epcList>"
        "<action>OBSERVE</action><bizStep>urn:epcglobal:cbv:bizstep:shipping</bizStep>"
        "</ObjectEvent></EventList></EPCISBody></e:EPCISDocument>"
    )
    kind = {"content-type": "application/xml"}
    accepted = await http.post("/capture", content=text, headers=kind)
    assert accepted.status_code == 202, accepted.text
    found = await http.get("/events", params={"EQ_bizStep": "shipping"})
    assert len(found.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]) == 1
    for wrong, words in (
        ('<!DOCTYPE l [<!ENTITY a "ha">]><l>&a;</l>', "document type"),
        (text.replace("<action>OBSERVE", "<action>LOOK"), "action"),
        (text[:-20], "no XML"),
    ):
        refused = await http.post("/capture", content=wrong, headers=kind)
        assert refused.status_code == 400 and words in refused.text
    found = await http.get("/events")
    assert len(found.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]) == 1


async def test_a_finding_in_xml_names_its_line_whether_all_is_refused_or_one_event_left_out(
    http: httpx.AsyncClient,
) -> None:
    """In the problem document, and in the job that proceeds past it."""
    event = (
        "<ObjectEvent>\n<eventTime>2026-01-01T00:00:00Z</eventTime>\n<eventTimeZoneOffset>+00:00"
        "</eventTimeZoneOffset>\n<epcList><epc>urn:epc:id:sscc:4012345.1112223335</epc></epcList>\n"
        "<action>OBSERVE</action>\n<bizStep>{}</bizStep></ObjectEvent>\n"
    )
    text = (
        '<e:EPCISDocument xmlns:e="urn:epcglobal:epcis:xsd:2" schemaVersion="2.0"'
        ' creationDate="2026-01-01T00:00:00Z"><EPCISBody><EventList>\n'
        f"{event.format('shipping')}{event.format('teleporting')}"
        "</EventList></EPCISBody></e:EPCISDocument>"
    )
    kind = {"content-type": "application/xml"}
    refused = await http.post("/capture", content=text, headers=kind)
    assert refused.status_code == 400
    assert "(<bizStep>, line 13 of the XML)" in refused.json()["errors"][0]["detail"]
    proceed = {**kind, "GS1-Capture-Error-Behaviour": "proceed"}
    accepted = await http.post("/capture", content=text, headers=proceed)
    job = (await http.get(httpx.URL("http://s" + accepted.headers["location"]))).json()
    assert job["captured"] == 1
    assert [("line 13 of the XML" in e["detail"]) for e in job["errors"]] == [True]
