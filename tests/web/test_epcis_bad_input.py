"""Bad input at the capture interface: the status, the place, and nothing of it kept."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from epcis_ import document, event
from stafett.exchange import epcis
from stafett.exchange.captures import Captures
from stafett.exchange.epcis_store import EpcisStore

pytestmark = pytest.mark.anyio
JSON, XML = "application/json", "application/xml"
LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]><l>&a9;</l>"
)


def sent(*events: Any, context: Any = None) -> bytes:
    """Give a document as bytes."""
    found = document(*events)
    return json.dumps(found if context is None else {**found, "@context": context}).encode()


def deep(levels: int) -> Any:
    """Nest a value."""
    value: Any = "x"
    for _ in range(levels):
        value = {"ext:in": value}
    return value


def xml(body: str) -> bytes:
    """Give a document of XML with one event that holds `body`."""
    return (
        '<e:EPCISDocument xmlns:e="urn:epcglobal:epcis:xsd:2" schemaVersion="2.0"'
        ' creationDate="2026-01-01T00:00:00Z">\n<EPCISBody><EventList>\n<ObjectEvent>'
        "<eventTime>2026-01-01T00:00:00Z</eventTime><eventTimeZoneOffset>+00:00"
        "</eventTimeZoneOffset><epcList><epc>urn:epc:id:sscc:4012345.1112223334</epc></epcList>"
        f"<action>OBSERVE</action>\n{body}"
        "</ObjectEvent></EventList></EPCISBody></e:EPCISDocument>"
    ).encode()


OWN = [epcis.CONTEXT_URI, {"ext": "https://ns.example/"}]
PREFIXES = {f"p{n}": f"https://p{n}.example/" for n in range(1000)}
LIST = "/epcisBody/eventList"
# What is sent, as what, the status, and what the answer must name.
BAD: dict[str, tuple[bytes, str, int, str]] = {
    "truncated": (sent(event(1), event(2))[:-30], JSON, 400, f"{LIST}/1/readPoint/id"),
    "truncated XML": (xml("")[:-30], XML, 400, "line 4"),
    "too many events": (sent(*[event(n) for n in range(20_001)]), JSON, 413, "20,000"),
    "deep": (sent(event(1), {**event(2), "ext:in": deep(60)}, context=OWN), JSON, 400,
             f"{LIST}/1/ext:in/"),
    "bottomless": (b"[" * 200_000, JSON, 400, "byte 48"),
    "bottomless XML": (xml("<a>" * 100_000 + "</a>" * 100_000), XML, 400, "deep"),
    "a billion laughs": (LAUGHS.encode(), XML, 400, "document type"),
    "an outer entity": (
        b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><l>&a;</l>', XML, 400,
        "document type",
    ),
    "laughs as JSON": (LAUGHS.encode(), JSON, 400, "byte 0"),
    "another content type": (sent(event(1)), "application/pdf", 415, "application/pdf"),
    "no content type": (sent(event(1)), "", 415, "no content type"),
    "not UTF-8": (sent(event(1)).replace(b"OBSERVE", b"OBS\xffRVE"), JSON, 400, f"{LIST}/0/action"),
    "no such time": (sent(event(1), event(2, eventTime="2026-02-30T00:00:00Z")), JSON, 400,
                     f"{LIST}/1/eventTime"),
    "a time without zone": (sent(event(1), event(2, eventTime="2026-02-03T00:00:00")), JSON, 400,
                            f"{LIST}/1/eventTime"),
    "no such offset": (sent(event(1, eventTimeZoneOffset="+99:00")), JSON, 400,
                       f"{LIST}/0/eventTimeZoneOffset"),
    "an unknown word": (sent(event(1), event(2, bizStep="flying")), JSON, 400, f"{LIST}/1/bizStep"),
    "an unknown word in XML": (
        xml("<bizStep>flying</bizStep>"), XML, 400, "bizStep",
    ),
    "an unknown type": (sent(event(1), event(2, type="LaunchEvent")), JSON, 400, f"{LIST}/1/type"),
    "a name without prefix": (sent(event(1), event(2, flight="x")), JSON, 400, f"{LIST}/1/flight"),
    "a prototype": (sent(event(1, __proto__={"admin": True})), JSON, 400, f"{LIST}/0/__proto__"),
    "a name with SQL": (sent(event(1, **{"'; DROP TABLE x; --": 1})), JSON, 400, f"{LIST}/0/"),
    "a name with NUL": (sent(event(1, **{"ext:\x00": 1}), context=OWN), JSON, 400,
                        f'"{LIST}/0"'),
    "an absurd name": (sent(event(1, **{"ext:" + "a" * 5000: 1}), context=OWN), JSON, 400,
                       "512 characters"),
    "no event": (sent(event(1), 7), JSON, 400, f"{LIST}/1"),
    "a thousand prefixes": (sent(event(1), context=[epcis.CONTEXT_URI, PREFIXES]), JSON, 400,
                            '"/@context"'),
    "a thousand prefixes of one event": (
        sent(event(1), {**event(2), "@context": PREFIXES}), JSON, 400, f"{LIST}/1/@context",
    ),
    "half a surrogate pair": (
        sent(event(1, **{"ext:a": "x"}), context=OWN).replace(b'"x"', b'"\\ud83e\\udde9 \\ud800"'),
        JSON, 400, f"{LIST}/0/ext:a",
    ),
    "a number beyond all": (sent(event(1, **{"ext:a": "N"}), context=OWN).replace(
        b'"N"', b"1e999"), JSON, 400, f"{LIST}/0/ext:a"),
    "a number of many digits": (
        sent(event(1), event(2, **{"ext:a": [1, "N"]}), context=OWN).replace(
            b'"N"', b"9" * 5000), JSON, 400, f"{LIST}/1/ext:a/1",
    ),
}  # fmt: skip


async def kept(http: httpx.AsyncClient) -> tuple[int, int]:
    """Give how many events and how many jobs there are."""
    found = (await http.get("/events?perPage=1000")).json()
    events = found["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    return len(events), len((await http.get("/capture")).json())


async def refused(
    http: httpx.AsyncClient, name: str, content: bytes, kind: str, status: int, place: str
) -> None:
    """Send it, and hold the answer to what it must be."""
    reply = await http.post("/capture", content=content, headers={"content-type": kind})
    assert reply.status_code == status, (name, reply.text[:300])
    assert reply.headers["content-type"] == "application/problem+json", name
    problem = reply.json()
    assert (problem["status"], problem["instance"]) == (status, "/epcis/capture"), name
    assert problem["type"].startswith("epcisException:") and problem["title"], name
    assert len(reply.content) < 20_000, name
    where = json.dumps([problem["detail"], problem.get("errors", [])])
    assert place in where, (name, where[:300])


async def test_each_kind_of_bad_input_is_refused_at_its_place_and_leaves_nothing(
    http: httpx.AsyncClient,
) -> None:
    """Of every document the status and the place; no event, no job, though some of it was right."""
    for name, (content, kind, status, place) in BAD.items():
        await refused(http, name, content, kind, status, place)
        assert await kept(http) == (0, 0), name


async def test_each_published_invalid_document_is_refused_at_its_place(
    http: httpx.AsyncClient, shared: Path
) -> None:
    """What the publishers say is invalid: 400 with a pointer, and nothing of it captured."""
    folder = shared / "standards/examples"
    said = json.loads((folder / "expected_validity.json").read_text())
    wrong = [n for n, v in said.items() if v["gs1_repo_schema_with_formats"] is False]
    assert len(wrong) > 3
    for name in wrong:
        await refused(http, name, (folder / name).read_bytes(), JSON, 400, '"pointer": "')
        assert await kept(http) == (0, 0), name


@pytest.mark.parametrize(
    ("second", "captured", "place"),
    [
        (event(1), 2, ""),  # the same event told twice is one event
        (event(1, action="ADD"), 0, f"{LIST}/2/eventID"),
    ],
)
async def test_an_event_id_twice_in_a_document(
    http: httpx.AsyncClient, second: dict[str, Any], captured: int, place: str
) -> None:
    """The same event is captured once; two events under one ID refuse the whole document."""
    content = sent(event(1), event(2), second)
    reply = await http.post("/capture", content=content, headers={"content-type": JSON})
    assert reply.status_code == 202
    job = (await http.get(httpx.URL("http://s" + reply.headers["location"]))).json()
    assert (job["success"], job["captured"]) == (not place, captured)
    assert place in json.dumps(job["errors"])
    assert (await kept(http))[0] == captured


async def test_what_is_odd_and_allowed_is_captured_whole(http: httpx.AsyncClient) -> None:
    """A foreign vocabulary, a prefixed name that is hostile, a clock years ahead, a new word."""
    odd: list[Callable[[], dict[str, Any]]] = [
        lambda: event(1, bizStep="https://own.example/steps/thaw"),
        lambda: event(2, **{"ext:constructor": {"ext:__proto__": "'; DROP TABLE x; --"}}),
        lambda: event(3, eventTime="2099-01-01T00:00:00Z"),
        lambda: event(4, disposition="https://ref.gs1.org/cbv/Disp-flying"),
        lambda: event(5, **{"ext:text": "\\u0000 and \\"}),
    ]
    content = sent(*[make() for make in odd], context=OWN)
    reply = await http.post("/capture", content=content, headers={"content-type": JSON})
    job = (await http.get(httpx.URL("http://s" + reply.headers["location"]))).json()
    assert (job["success"], job["captured"], len(job["remarks"])) == (True, 5, 2)
    back = (await http.get("/events")).json()
    events = back["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    assert [e.get("ext:constructor") for e in events][1] == odd[1]()["ext:constructor"]
    assert events[4]["ext:text"] == odd[4]()["ext:text"]
    assert [r["pointer"] for r in job["remarks"]] == [
        f"{LIST}/3/disposition", f"{LIST}/2/eventTime",
    ]  # fmt: skip


async def test_a_compressed_body_is_refused_as_what_it_is(http: httpx.AsyncClient) -> None:
    """415 names the coding and the one that is taken; it is not called broken JSON."""
    kind = {"content-type": JSON, "content-encoding": "gzip"}
    reply = await http.post("/capture", content=gzip.compress(sent(event(1))), headers=kind)
    assert (reply.status_code, reply.headers["accept-encoding"]) == (415, "identity")
    assert "'gzip'" in reply.json()["detail"]
    plain = {"content-type": JSON, "content-encoding": "identity"}
    assert (await http.post("/capture", content=sent(event(1)), headers=plain)).status_code == 202


async def test_a_byte_order_mark_before_json_is_passed_over(
    http: httpx.AsyncClient, store: EpcisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some systems write it: captured at once, and by the job that comes after the answer."""
    monkeypatch.setattr("stafett.exchange.captures.INLINE", 1)
    for events in ((event(1),), (event(2), event(3))):
        reply = await http.post(
            "/capture", content=b"\xef\xbb\xbf" + sent(*events), headers={"content-type": JSON}
        )
        assert reply.status_code == 202, reply.text
    job = httpx.URL("http://s" + reply.headers["location"])
    assert (await http.get(job)).json()["running"]
    assert await Captures(store).work_once()
    done = (await http.get(job)).json()
    assert (done["success"], done["captured"], await store.size()) == (True, 2, 3)
