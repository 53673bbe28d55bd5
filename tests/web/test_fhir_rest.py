"""FHIR over HTTP: what may be read, searched and ordered, and what is refused with an outcome."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

import http_
import naive_fhir
from site_ import PROTOCOL, Site
from stafett.exchange.fhir_keys import wanted
from stafett.exchange.fhir_parameters import BY_PATIENT, PARAMETERS, parameters, types
from stafett.exchange.fhir_search import read_search
from stafett.exchange.fhir_store import FhirStore, conditions, ways
from stafett.exchange.fhir_write import Version
from stafett.exchange.room import refused_host, refused_name
from stafett.journey.label import Labels
from stafett.service import fhir_index
from stafett.service.accounts import Organisation, Person
from stafett.service.demo import NETWORK, PASSWORD
from stafett.service.fhir import OTHERS
from stafett.service.fhir_index import FhirIndex
from web_walk import walk

CLINIC, COURIER, ADMIN = "treating-clinic-1", "courier-1", "administrator"
VERSIONS = ("R5", "R4B")


@pytest.fixture(scope="module")
def treated(site: Site) -> str:
    """Carry one journey up to the follow-up."""
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    product = next(iter(site.day().nets))
    journey = site.order(labels.patient, coi=labels.coi, product=product)
    site.inside(walk(site, journey, labels, ("FOLLOW_UP", "step")))
    return journey


@pytest.fixture(scope="module")
def outsider(site: Site) -> str:
    """Give somebody of an organisation that takes part in nothing."""
    who = Person("stranger", "stranger", "Stranger", "elsewhere", ("courier",), ("administrator",))
    site.inside(site.tower.accounts.add_organisation(Organisation("elsewhere", "Else", "courier")))
    site.inside(site.tower.accounts.add_person(who, PASSWORD))
    return "stranger"


def get(site: Site, path: str, login: str | None = CLINIC, **more: Any) -> httpx.Response:
    """Read something of `/fhir`."""
    return site.call(login, "GET", f"/fhir/{path}", **more)


def resources(answer: httpx.Response) -> list[dict[str, Any]]:
    """Give the resources of a searchset."""
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def organisation(site: Site) -> str:
    """Give the clinic's organisation."""
    return next(p.organisation for p in site.people if CLINIC in (p.id, p.login))


def valid(version: str, resource: dict[str, Any]) -> None:
    """Validate a resource by fhir.resources."""
    pytest.importorskip("fhir.resources")
    if version == "R4B":
        from fhir.resources.R4B import get_fhir_model_class as model
    else:
        from fhir.resources import get_fhir_model_class as model
    model(resource["resourceType"]).model_validate(resource)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_server_says_what_it_can_do_and_does_it(site: Site, treated: str, version: str) -> None:
    """Each type of the CapabilityStatement can be searched and read; each resource is valid."""
    said = get(site, f"{version}/metadata", None)
    assert said.headers["content-type"].startswith("application/fhir+json")
    valid(version, said.json())
    listed = {r["type"]: r for r in said.json()["rest"][0]["resource"]}
    assert set(listed) == set(types(version))
    for kind, entry in listed.items():
        names = {p["name"] for p in entry["searchParam"]}
        assert names == {"_id", "_lastUpdated", "identifier", *PARAMETERS[kind]}
        login = ADMIN if kind in ("AuditEvent", "Subscription") else CLINIC
        answer = get(site, f"{version}/{kind}", login, params={"_count": "3"})
        valid(version, answer.json())
        found = resources(answer)
        assert found or kind == "Subscription", kind
        for one in found:
            valid(version, one)
            assert get(site, f"{version}/{kind}/{one['id']}", login).json() == one


@pytest.mark.parametrize("version", ["R5", "R4B", "R4"])
def test_a_search_brings_along_what_its_answers_refer_to(
    site: Site, treated: str, version: str
) -> None:
    """Each thing once, marked so, under its own address; `total` does not count it."""
    wish = [("_include", "Task:focus"), ("_include", "Task:patient"), ("_count", "500"),
            ("_total", "accurate")]  # fmt: skip
    told = get(site, f"{version}/Task", params=wish)
    valid(version.replace("R4B", "R4").replace("R4", "R4B"), told.json())
    entries = told.json()["entry"]
    tasks = [e["resource"] for e in entries if e["search"]["mode"] == "match"]
    along = [e for e in entries if e["search"]["mode"] == "include"]
    assert told.json()["total"] == len(tasks)
    wanted = {t[field]["reference"] for t in tasks for field in ("focus", "for") if field in t}
    names = [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in along]
    assert sorted(names) == sorted(wanted) and len(wanted) > 1
    for entry, name in zip(along, names, strict=True):
        assert entry["fullUrl"].endswith(f"/fhir/{version}/{name}")
    assert get(site, f"{version}/{names[0]}").json() == along[0]["resource"]
    some = [*wish[2:], ("_include", "Task:*:Patient")]
    only = [r["resourceType"] for r in resources(get(site, f"{version}/Task", params=some))]
    assert set(only) == {"Task", "Patient"}


def test_the_patient_of_what_names_none_comes_from_the_order(site: Site, treated: str) -> None:
    """A Provenance has no subject; the patient of its journey is brought along all the same."""
    wish = {"_include": "Provenance:patient", "_count": "1"}
    _, patient = resources(get(site, "R5/Provenance", params=wish))
    assert patient["resourceType"] == "Patient"


def test_nothing_is_brought_along_that_is_not_theirs(
    site: Site, treated: str, outsider: str
) -> None:
    """An outsider's search brings nothing, whatever it asks to be brought."""
    wish = {"_include": "Task:*"}
    assert resources(get(site, "R5/Task", outsider, params=wish)) == []


def test_r4_is_the_same_under_its_own_number(site: Site, treated: str) -> None:
    """`/fhir/R4` says 4.0.1 and links to itself; its resources are those of R4B, byte for byte."""
    said = get(site, "R4/metadata", None)
    assert said.json()["fhirVersion"] == "4.0.1"
    assert said.headers["content-type"] == "application/fhir+json; fhirVersion=4.0"
    one = get(site, "R4/Task", params={"_count": "1"})
    assert all("/fhir/R4/Task" in link["url"] for link in one.json()["link"])
    assert resources(one) == resources(get(site, "R4B/Task", params={"_count": "1"}))
    missing = get(site, "R4/Task/none")
    assert (missing.status_code, missing.json()["resourceType"]) == (404, "OperationOutcome")
    assert missing.headers["content-type"] == "application/fhir+json; fhirVersion=4.0"


def test_a_patient_is_known_by_pseudonym_only(site: Site, treated: str) -> None:
    """No name, no date of birth, no wristband; what is about the patient is found by it."""
    order = resources(get(site, "R5/ServiceRequest", params={"identifier": treated}))[0]
    patient = order["subject"]["reference"]
    read = get(site, f"R5/{patient}").json()
    assert set(read) == {"resourceType", "id", "meta", "identifier"}
    pseudonym = read["identifier"][0]["value"]
    assert pseudonym.startswith("P-")
    for kind in ("Task", "Specimen", "BiologicallyDerivedProduct", "Transport", "Provenance",
                 "BiologicallyDerivedProductDispense"):  # fmt: skip
        by_id = resources(get(site, f"R5/{kind}", params={"patient": patient}))
        by_name = resources(get(site, f"R5/{kind}", params={"patient.identifier": pseudonym}))
        assert by_id and by_id == by_name, kind
        assert all(treated in r["id"] for r in by_id)
    told = resources(get(site, "R5/Provenance", params={"patient": patient, "_count": "500"}))
    signed = [p for p in told if "signature" in p]
    assert signed and all(s["who"]["display"] for p in signed for s in p["signature"])


def test_pages_give_each_resource_once_and_conditions_narrow(site: Site, treated: str) -> None:
    """Following `next` gives all that `_total` counted; status, date and several values narrow."""
    site.order()
    everything = get(site, "R5/Task", params={"_total": "accurate", "_count": "500"})
    total = everything.json()["total"]
    seen: list[str] = []
    url: str | None = f"{site.base}/fhir/R5/Task?_count=7"
    while url:
        page = http_.get(url, headers={"Authorization": f"Bearer {site.token(CLINIC)}"}).json()
        seen += [e["resource"]["id"] for e in page["entry"]]
        assert len(page["entry"]) <= 7
        url = next((k["url"] for k in page["link"] if k["relation"] == "next"), None)
    assert len(seen) == len(set(seen)) == total > 20
    count = get(site, "R5/Task", params={"_summary": "count"}).json()
    assert count["total"] == total and "entry" not in count
    done = resources(get(site, "R5/Task", params={"status": "completed", "_count": "500"}))
    assert done and {t["status"] for t in done} == {"completed"}
    both = resources(get(site, "R5/Task", params={"status": "completed,requested"}))
    assert len(both) >= len(done[:50])
    assert not resources(get(site, "R5/Task", params={"_lastUpdated": "lt2020-01-01"}))
    assert resources(get(site, "R5/Task", params={"_lastUpdated": "ge2020-01-01"}))
    form = site.call(CLINIC, "POST", "/fhir/R5/Task/_search", data={"status": "completed"})
    assert len(resources(form)) == len(resources(get(site, "R5/Task?status=completed")))


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("R5/Task?colour=red", 400, "known:"),
        ("R5/Task?status:not=completed", 400, "modifier"),
        ("R5/Task?_count=many", 400, "number"),
        ("R5/Task?_summary=some", 400, "_summary"),
        ("R5/Task?_summary=true&_elements=status", 400, "not for both"),
        ("R5/Task?_summary=text&_include=Task:focus", 400, "brought along"),
        ("R5/Task?_total=perhaps", 400, "_total"),
        ("R5/Task?_elements=for.reference", 400, "_elements"),
        ("R5/Task?_elements=", 400, "_elements"),
        ("R5", 404, "one by one"),
        ("R5/", 404, "one by one"),
        ("R5/Task?_lastUpdated=yesterday", 400, "a date"),
        ("R5/Task?_lastUpdated=2026-11-25T08:00:00", 400, "zone"),
        ("R5/Task?_page=%FF", 400, "next"),
        ("R5/Task?status=", 400, "values"),
        ("R5/Observation", 404, "not served"),
        ("R4B/Transport", 404, "not served"),
        ("R5/Task/nothing", 404, "there is no"),
        ("R5/Task?_format=xml", 406, "JSON"),
        ("R5/Task?status=" + "x" * 9000, 414, "bytes"),
    ],
)
def test_what_is_not_understood_is_refused_with_an_outcome(
    site: Site, path: str, status: int, says: str
) -> None:
    """Never ignored: a search that leaves a condition out gives somebody the wrong list."""
    answer = get(site, path)
    assert answer.status_code == status, answer.text
    outcome = answer.json()
    valid("R5", outcome)
    assert says in json.dumps(outcome)


def test_a_read_says_when_it_changed_and_is_spared_who_knows_it(site: Site, treated: str) -> None:
    """Last-Modified and ETag; with If-None-Match of the latter 304; `_pretty` only sets it out."""
    one = resources(get(site, "R5/Task?_count=1"))[0]
    path = f"R5/Task/{one['id']}"
    answer = get(site, path)
    moment = parsedate_to_datetime(answer.headers["last-modified"])
    assert abs((moment - datetime.fromisoformat(one["meta"]["lastUpdated"])).total_seconds()) < 1
    for tag, status in ((answer.headers["etag"], 304), ('W/"0"', 200), ('W/"0", *', 304)):
        again = get(site, path, headers={"If-None-Match": tag})
        assert again.status_code == status and bool(again.content) == (status == 200), tag
    pretty = get(site, f"{path}?_pretty=true")
    assert pretty.json() == one and "\n  " in pretty.text and "\n" not in answer.text
    assert get(site, "R5/Task?_count=1&_pretty=true").json()["entry"][0]["resource"] == one


@pytest.mark.parametrize("version", ["R5", "R4B", "R4"])
def test_a_resource_is_read_as_it_was_after_each_event_that_changed_it(
    site: Site, treated: str, outsider: str, version: str
) -> None:
    """The latest is what a read gives; each has its number; who may not read it sees none."""
    tasks = resources(get(site, f"{version}/Task?status=completed&_count=500"))
    task = next(t for t in tasks if treated in t["id"])
    path = f"{version}/Task/{task['id']}"
    told = get(site, f"{path}/_history")
    valid(version.replace("R4B", "R4").replace("R4", "R4B"), told.json())
    versions = resources(told)
    assert versions[0] == task and told.json()["total"] == len(versions) > 1
    numbers = [int(v["meta"]["versionId"]) for v in versions]
    assert numbers == sorted(set(numbers), reverse=True)
    assert [v["status"] for v in versions] == ["completed", "requested"]
    for one in versions:
        read = get(site, f"{path}/_history/{one['meta']['versionId']}")
        assert read.json() == one
        assert read.headers["etag"] == f'W/"{one["meta"]["versionId"]}"'
    missing = get(site, f"{path}/_history/{numbers[0] + 1}")
    assert missing.status_code == 404 and "_history lists them" in missing.text
    assert get(site, f"{path}/_history?_count=1").status_code == 400
    assert get(site, f"{path}/_history", outsider).status_code == 404
    assert get(site, f"{path}/_history", None).status_code == 401


def test_where_an_order_says_its_resources_are_they_are(site: Site) -> None:
    """Each `location` of a transaction's answer can be read, as the resource that was made."""
    answer = site.call(CLINIC, "POST", "/fhir/R5", json=bundle("R5"))
    assert answer.status_code == 200, answer.text
    for entry in answer.json()["entry"]:
        made = get(site, f"R5/{entry['response']['location']}")
        assert made.status_code == 200, made.text
        assert made.headers["etag"] == entry["response"]["etag"]


def test_nobody_finds_what_is_not_theirs(site: Site, treated: str, outsider: str) -> None:
    """Without sign-in 401; an outsider finds no journey, and by id it is not there. Studies are
    public."""
    mine = resources(get(site, "R5/Task"))[0]["id"]
    assert get(site, "R5/Task", None).status_code == 401
    assert get(site, f"R5/Task/{mine}", outsider).status_code == 404
    for kind in ("Patient", "ServiceRequest", "Task", "Provenance"):
        assert resources(get(site, f"R5/{kind}", outsider)) == []
    assert get(site, "R5/AuditEvent", COURIER).status_code == 403
    assert get(site, "R5/Subscription", COURIER).status_code == 403
    assert resources(get(site, "R5/ResearchStudy", None))
    looks = resources(get(site, "R5/AuditEvent", ADMIN, params={"_count": "500"}))
    assert any(treated in json.dumps(look) for look in looks)


def bundle(version: str, **change: Any) -> dict[str, Any]:
    """Give an order as a transaction."""
    code = {
        "coding": [
            {"system": "urn:stafett:protocol", "code": PROTOCOL},
            {"system": "urn:stafett:product", "code": "kymriah"},
        ]
    }
    request: dict[str, Any] = {
        "resourceType": "ServiceRequest", "status": "active", "intent": "order",
        "code": {"concept": code} if version == "R5" else code,
        "subject": {"reference": "urn:uuid:patient"},
        "performer": [{"identifier": {"system": "urn:stafett:network", "value": NETWORK}}],
        "requester": {"identifier": {"system": "urn:stafett:role", "value": "treating_clinic"}},
    }  # fmt: skip
    patient: dict[str, Any] = {
        "resourceType": "Patient", "id": "p",
        "identifier": [{"system": "urn:stafett:wristband", "value": uuid.uuid4().hex[:12]}],
    }  # fmt: skip
    patient |= change.pop("patient", {})
    request |= change
    return {
        "resourceType": "Bundle", "type": "transaction",
        "entry": [
            {"fullUrl": "urn:uuid:patient", "resource": patient,
             "request": {"method": "POST", "url": "Patient"}},
            {"fullUrl": "urn:uuid:order", "resource": request,
             "request": {"method": "POST", "url": "ServiceRequest"}},
        ],
    }  # fmt: skip


def post(site: Site, version: str, body: Any, login: str = CLINIC, **headers: str) -> Any:
    """Send a transaction."""
    kind = {"Content-Type": "application/fhir+json", **headers}
    return site.call(login, "POST", f"/fhir/{version}", content=json.dumps(body), headers=kind)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_order_opens_one_journey_and_sent_again_none(site: Site, version: str) -> None:
    """The transaction's answer leads to the order; the same bundle again gives the same one."""
    body = bundle(version)
    first = post(site, version, body)
    assert first.status_code == 200, first.text
    valid(version, first.json())
    entries = [e["response"] for e in first.json()["entry"]]
    assert [e["status"] for e in entries] == ["201 Created"] * 2
    where = entries[1]["location"].partition("/_history")[0]
    order = get(site, f"{version}/{where}").json()
    assert order["status"] == "active"
    journey = next(i["value"] for i in order["identifier"] if i["system"] == "urn:stafett:journey")
    wristband = body["entry"][0]["resource"]["identifier"][0]["value"]
    assert wristband not in site.call(CLINIC, "GET", f"/api/journeys/{journey}/events").text
    again = post(site, version, body).json()["entry"]
    assert [e["response"]["status"] for e in again] == ["200 OK"] * 2
    assert [e["response"]["location"].partition("/_h")[0] for e in again] == [
        e["location"].partition("/_h")[0] for e in entries
    ]


def test_a_wrong_order_opens_nothing_and_each_mistake_is_named(site: Site) -> None:
    """Direct identifiers, no wristband, another subject, a draft, other resources: refused."""
    before = get(site, "R5/ServiceRequest", params={"_summary": "count"}).json()["total"]
    wrong: list[tuple[Any, int, str]] = [
        (bundle("R5", patient={"name": [{"family": "Lind"}]}), 422, "vault"),
        (bundle("R5", patient={"identifier": [{"value": "1234"}]}), 422, "wristband"),
        (bundle("R5", subject={"reference": "Patient/other"}), 422, "/subject"),
        (bundle("R5", status="draft"), 422, "active"),
        (bundle("R5", intent="plan"), 422, "order"),
        (bundle("R5", code={"concept": {"text": "CAR-T"}}), 422, "/code"),
        ({**bundle("R5"), "type": "batch"}, 422, "transaction"),
        ({**bundle("R5"), "entry": "x"}, 400, "list"),
        ({**bundle("R5"), "entry": bundle("R5")["entry"] * 2}, 422, "exactly one"),
        ([], 400, "object"),
    ]
    more = bundle("R5")
    more["entry"].append(
        {"resource": {"resourceType": "Device"}, "request": {"method": "POST", "url": "Device"}}
    )
    wrong.append((more, 422, "no part of an order"))
    unknown = bundle("R5")
    unknown["entry"][1]["resource"]["code"]["concept"]["coding"][0]["code"] = "no-such"
    wrong.append((unknown, 422, "no-such"))
    bands = [{"system": "urn:stafett:wristband", "value": v} for v in ("11112222", "33334444")]
    two = bundle("R5")
    codings = two["entry"][1]["resource"]["code"]["concept"]["coding"]
    codings.append({"system": "urn:stafett:product", "code": "yescarta"})
    conditional = bundle("R5")
    conditional["entry"][0]["request"]["ifNoneExist"] = "identifier=x"
    wrong += [
        (bundle("R5", patient={"identifier": bands}), 422, "which one"),
        (bundle("R5", patient={"identifier": [bands[0] | {"use": "old"}]}), 422, "missing"),
        (bundle("R5", patient={"active": False}), 422, "not in use"),
        (bundle("R5", doNotPerform=True), 422, "doNotPerform"),
        (bundle("R5", occurrenceDateTime="2027-01-01"), 422, "occurrenceDateTime"),
        (bundle("R5", modifierExtension=[{"url": "urn:x", "valueBoolean": True}]), 422, "modifier"),
        (two, 422, "which one"),
        (conditional, 422, "ifNoneExist"),
    ]
    for body, status, says in wrong:
        answer = post(site, "R5", body)
        assert answer.status_code == status, (says, answer.text)
        assert says in answer.text
        valid("R5", answer.json())
    assert post(site, "R5", bundle("R5"), ADMIN).status_code == 403
    kind = {"Content-Type": "text/plain"}
    assert site.call(CLINIC, "POST", "/fhir/R5", content="{}", headers=kind).status_code == 415
    kind = {"Content-Type": "application/fhir+json; fhirVersion=4.0"}
    answer = site.call(CLINIC, "POST", "/fhir/R5", content=json.dumps(bundle("R5")), headers=kind)
    assert answer.status_code == 415 and "FHIR 5.0" in answer.text
    for accept, status in (("application/fhir+json; fhirVersion=4.0", 406),
                           ("application/fhir+json; fhirVersion=4.0, application/json", 200),
                           ('application/fhir+json; fhirVersion="5.0"', 200)):  # fmt: skip
        answer = get(site, "R5/Task?_count=1", headers={"Accept": accept})
        assert answer.status_code == status, accept
    kind = {"Content-Type": "application/fhir+json", "Content-Encoding": "gzip"}
    packed = site.call(CLINIC, "POST", "/fhir/R5", content=b"\x1f\x8b", headers=kind)
    assert packed.status_code == 415 and "Content-Encoding" in packed.text
    after = get(site, "R5/ServiceRequest", params={"_summary": "count"}).json()["total"]
    assert after == before


@pytest.mark.parametrize("version", VERSIONS)
def test_a_rest_hook_is_told_which_journey_changed_and_no_more(site: Site, version: str) -> None:
    """The notification is valid, signed, and names the order; what is in it is read by its id."""
    got: list[tuple[dict[str, str], dict[str, Any]]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            got.append(({k.lower(): v for k, v in self.headers.items()}, json.loads(data)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    deliveries = site.tower.exchange.deliveries
    deliveries._refuse_host = None  # loopback is refused, except for this test
    site.tower.exchange.subscriptions.refuse = None
    dest = f"http://127.0.0.1:{server.server_port}/hook"
    topic, secret = "urn:stafett:topic:journey", "s" * 20
    wish: dict[str, Any] = (
        {"status": "requested", "topic": topic, "endpoint": dest, "content": "id-only",
         "channelType": {"code": "rest-hook"}, "parameter": [{"name": "secret", "value": secret}]}
        if version == "R5"
        else {"status": "requested", "reason": "test", "criteria": topic,
              "channel": {"type": "rest-hook", "endpoint": dest,
                          "header": [f"Stafett-Secret: {secret}"]}}
    )  # fmt: skip
    wish["resourceType"] = "Subscription"
    try:
        path = f"/fhir/{version}/Subscription"
        made = site.call(ADMIN, "POST", path, json=wish)
        assert made.status_code == 201, made.text
        valid(version, made.json())
        assert secret not in made.text
        journey = site.order()
        for _ in range(100):
            named = [b for _, b in got if journey in json.dumps(b)]
            if named:
                break
            time.sleep(0.1)
        valid(version, named[0])
        status = named[0]["entry"][0]["resource"]
        focus = status["notificationEvent"][0]["focus"]["reference"]
        assert get(site, f"{version}/{focus}").json()["resourceType"] == "ServiceRequest"
        assert '"P-' not in json.dumps(named[0]) and "stafett-signature" in got[0][0]
        listed = resources(get(site, f"{version}/Subscription", ADMIN))
        assert made.json()["id"] in [s["id"] for s in listed]
        assert site.call(COURIER, "DELETE", f"{path}/{made.json()['id']}").status_code == 403
        assert site.call(ADMIN, "DELETE", f"{path}/{made.json()['id']}").status_code == 204
        assert get(site, f"{version}/Subscription/{made.json()['id']}", ADMIN).status_code == 404
    finally:
        deliveries._refuse_host = refused_host
        site.tower.exchange.subscriptions.refuse = refused_name
        server.shutdown()
    twice = site.call(ADMIN, "POST", path, json=wish, headers={"If-None-Exist": "url=x"})
    assert twice.status_code == 400 and "If-None-Exist" in twice.text
    for change in ({}, {"endpoint": "ftp://x", "channel": {"type": "rest-hook", "endpoint": "x"}},
                   {"topic": "x", "criteria": "Task?"}):  # fmt: skip
        wrong = site.call(ADMIN, "POST", path, json={**wish, **change})
        assert wrong.status_code in (400, 422), wrong.text


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "Task/x/_history"), ("GET", "_history"), ("GET", "ResearchStudy/x/_history"),
     ("GET", "Task/x/_history/1"), ("DELETE", "Task/x/_history/1"), ("GET", "Task/_history"),
     ("GET", ""),
     ("GET", "Task/$validate"), ("GET", "a/b/c/d"), ("PUT", "Task/x"), ("PATCH", "Task/x"),
     ("DELETE", "Task/x"), ("PUT", "metadata"), ("GET", "Task?_include=Task:nothing"),
     ("GET", "Task?_include=Patient:focus"),
     ("GET", "Task?status:not=completed"), ("GET", "Observation")],
)  # fmt: skip
def test_what_is_not_claimed_is_refused_as_fhir(
    site: Site, version: str, method: str, path: str
) -> None:
    """Neither done nor claimed: an OperationOutcome says so, and no answer is of another form."""
    claimed = json.dumps(get(site, f"{version}/metadata", None).json())
    assert not [w for w in ("history-type", "history-system", "patch", "update") if w in claimed]
    answer = site.call(CLINIC, method, f"/fhir/{version}/{path}")
    assert answer.status_code in (400, 404, 405), answer.text
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert answer.json()["resourceType"] == "OperationOutcome"
    valid(version, answer.json())


@pytest.mark.parametrize("version", VERSIONS)
def test_every_search_the_server_claims_has_an_answer_whatever_is_asked(
    site: Site, treated: str, version: str
) -> None:
    """Values are drawn for each parameter of the CapabilityStatement: a Bundle or an outcome."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    rest = get(site, f"{version}/metadata", None).json()["rest"][0]["resource"]
    names = [(r["type"], p["name"]) for r in rest for p in r["searchParam"]]
    odd = st.text(st.characters(codec="utf-8"), max_size=20)
    value = st.one_of(
        odd, st.dates().map(str), st.datetimes().map(str), st.builds("{}|{}".format, odd, odd),
        st.sampled_from(("9999", "0001-01", "ge9999-12-31", "lt", "|", "Patient/", treated, ",,",
                         "2026-02-30", "-1", "1e9", "sa2026-11-25T24:00:00Z", "\\,", "%00")),
    )  # fmt: skip
    controls = ("_count", "_total", "_summary", "_page", "_id", "_format", "_sort", "_include",
                "_revinclude:iterate")  # fmt: skip
    more = st.lists(
        st.tuples(st.sampled_from(controls), value),
        max_size=2,
    )

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(names), value, more)
    def each(name: tuple[str, str], text: str, extra: list[tuple[str, str]]) -> None:
        answer = get(site, f"{version}/{name[0]}", ADMIN, params=[(name[1], text), *extra])
        assert answer.status_code in (200, 400, 404, 406, 422), (name, text, answer.text)
        kind = "Bundle" if answer.status_code == 200 else "OperationOutcome"
        assert answer.json()["resourceType"] == kind

    each()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_index_answers_as_a_look_at_every_resource_does(
    site: Site, treated: str, version: Version
) -> None:
    """By every value there is, in every spelling, alone and two together: the same, in order."""
    site.order("19121219-1212")
    site.inside(site.tower.board.caught_up())
    every = naive_fhir.everything(site, version, organisation(site))
    dice, tried = random.Random(20261126), 0
    for kind in [t for t in types(version) if t not in OTHERS]:
        asked = sorted(set(naive_fhir.questions(every, kind)))
        single = [[one] for one in dice.sample(asked, min(len(asked), 40))]
        pairs = [dice.sample(asked, 2) for _ in range(10)] if len(asked) > 1 else []
        known = {**parameters(kind), "patient.identifier": BY_PATIENT}
        either = [[(n, f"nothing,{v}")] for ((n, v),) in single if known[n][0] != "date"]
        for given in [*single, *pairs, *either[:10]]:
            path = f"{version}/{naive_fhir.url(kind, given)}"
            found = [r["id"] for r in resources(get(site, path + "&_count=500"))]
            wanted = naive_fhir.search(every, kind, given)
            assert found == wanted[:500], given
            assert get(site, path + "&_summary=count").json()["total"] == len(wanted), given
            tried += 1
    assert tried > 200


def test_what_was_made_once_is_found_by_a_process_that_has_just_started(
    site: Site, treated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes nothing anew; with nothing kept in the database it makes all, and finds the same."""
    fhir = site.tower.outside.fhir
    own = fhir._index
    asked = [f"R5/Task?identifier={treated}", f"R4B/Specimen?_summary=count&identifier={treated}",
             "R5/Provenance?_count=5", "R5/BiologicallyDerivedProduct?_count=500"]  # fmt: skip
    before = [get(site, one).json() for one in asked]
    made: list[str] = []

    def anew() -> None:
        tower = site.tower
        other = FhirIndex(tower.ledger, tower.board, tower.library, FhirStore(tower.pool))
        other.made = made.append
        monkeypatch.setattr(fhir, "_index", other)

    anew()
    assert [get(site, one).json() for one in asked] == before
    assert made == []
    site.inside(fhir._index.store.clear())
    own._asked.clear()
    anew()
    assert [get(site, one).json() for one in asked] == before
    assert treated in made and before[2]["entry"]


def test_only_what_has_changed_is_made_anew_and_it_is_found_at_once(
    site: Site, treated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new order is in the first answer after it; the journeys of before stay as they are."""
    get(site, "R5/ServiceRequest?status=active")
    index = site.tower.outside.fhir._index
    made: list[str] = []
    monkeypatch.setattr(index, "made", made.append)
    new = site.order("19121231-1212")
    (found,) = resources(get(site, f"R5/ServiceRequest?identifier={new}"))
    assert any(i["value"] == new for i in found["identifier"])
    assert made == [new] or made == []  # the loop in between may have been first
    made.clear()
    get(site, f"R5/Task?identifier={new}")
    assert made == []


def test_what_follows_the_record_comes_as_far_as_the_board(site: Site, treated: str) -> None:
    """After it nothing is left to make, and the database knows up to which event that holds."""
    index = site.tower.outside.fhir._index
    get(site, "R4B/Task?_count=1")
    site.order("19121230-1212")
    for _ in range(200):
        site.inside(index.advance("R4B"))
        if index._position["R4B"] >= site.tower.board.position:
            break
    row = max(site.tower.board.rows.values(), key=lambda r: r.position)
    kept = site.inside(index.store.positions("R4B", [row.journey]))
    assert kept[row.journey] >= row.position


def test_the_rows_are_read_by_those_who_take_part_and_no_one_else(site: Site, treated: str) -> None:
    """As an organisation, under row-level security: a party's journey is there, not a stranger's;
    neither may write."""
    get(site, "R5/Task?_count=1")

    async def seen(organisation: str) -> tuple[int, int]:
        async with site.tower.pool.connection() as connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE stafett_read")
            await connection.execute(
                "SELECT set_config('stafett.organisation', %s, true)", [organisation]
            )
            counts = []
            for table in ("fhir_journey", "fhir_resource"):
                query = f"SELECT count(*) FROM exchange.{table} WHERE journey = %s"
                row = await (await connection.execute(query.encode(), [treated])).fetchone()
                counts.append(int(row[0]))
            return counts[0], counts[1]

    async def write() -> None:
        async with site.tower.pool.connection() as connection:
            await connection.execute("SET ROLE stafett_read")
            try:
                await connection.execute("DELETE FROM exchange.fhir_resource")
            finally:
                await connection.rollback()

    journeys, rows = site.inside(seen(organisation(site)))
    assert journeys >= 1 and rows > 20
    assert site.inside(seen("elsewhere")) == (0, 0)
    assert site.inside(seen("")) == (0, 0)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        site.inside(write())


def test_a_search_goes_by_an_index(site: Site, treated: str) -> None:
    """With the choice taken from the planner of reading all rows, none of these reads all rows."""
    get(site, "R5/Task?_count=1")
    mine = organisation(site)
    asked = [
        ("Task", "identifier", treated),
        ("Task", "status", "completed"),
        ("Provenance", "_lastUpdated", "ge2026-01-01"),
        ("Task", "owner", "Organization/x"),
        ("Provenance", "_sort", "-_lastUpdated"),
    ]

    async def plans(kind: str, name: str, value: str) -> list[str]:
        search = wanted(read_search(kind, [(name, value)]))
        where, values = conditions("R5", kind, mine, search)
        shown = []
        async with site.tower.pool.connection() as connection, connection.transaction():
            await connection.execute("SET LOCAL enable_seqscan = off")
            for query, of in ways(where, values, None, 50, search.sorts):
                rows = await connection.execute(f"EXPLAIN {query}".encode(), of)
                shown.append("\n".join(row[0] for row in await rows.fetchall()))
        return shown

    for one in asked:
        for shown in site.inside(plans(*one)):
            assert "Index Scan" in shown and "Seq Scan" not in shown, shown


def test_after_many_were_made_the_planner_knows_of_them(
    site: Site, treated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table without statistics is searched as if it were empty: by the wrong index."""
    index = site.tower.outside.fhir._index

    async def known() -> int:
        async with site.tower.pool.connection() as connection:
            rows = await connection.execute(
                "SELECT last_analyze FROM pg_stat_all_tables WHERE relname = 'fhir_resource'"
            )
            return (await rows.fetchone())[0]

    before = site.inside(known())
    monkeypatch.setattr(fhir_index, "MANY", 1)
    site.inside(index.store.clear())
    index._asked.clear()  # every version, or those after this test would find nothing
    get(site, "R5/Task?_count=1")
    after = site.inside(known())
    assert after is not None and after != before


def test_looks_at_many_journeys_are_noted_each_once(site: Site, treated: str) -> None:
    """A page that shows two journeys leaves a line for each; the page again leaves none."""
    new = [site.order("19121229-1212"), site.order("19121228-1212")]

    async def lines() -> list[str]:
        async with site.tower.pool.connection() as connection:
            rows = await connection.execute(
                "SELECT journey FROM service.reading WHERE what = ANY(%s)",
                [[f"journey {one}" for one in new]],
            )
            return sorted(row[0] for row in await rows.fetchall())

    before = site.inside(lines())
    for _ in range(2):
        get(site, "R5/ServiceRequest?_count=500")
    assert before == [] and site.inside(lines()) == sorted(new)


@pytest.mark.parametrize(
    ("kind", "login"), [("AuditEvent", ADMIN), ("ResearchStudy", None), ("Subscription", ADMIN)]
)
def test_what_is_no_journeys_is_paged_without_loss_or_repetition(
    site: Site, treated: str, kind: str, login: str | None
) -> None:
    """Looks come the latest first, pages go on where the last one ended; each is read by its id."""
    if kind == "Subscription":
        for _ in range(3):
            wish = {
                "resourceType": "Subscription", "status": "requested", "content": "id-only",
                "topic": "urn:stafett:topic:journey", "channelType": {"code": "rest-hook"},
                "endpoint": "https://ward.invalid/hook",
                "parameter": [{"name": "secret", "value": "s" * 20}],
            }  # fmt: skip
            made = site.call(ADMIN, "POST", "/fhir/R5/Subscription", json=wish)
            assert made.status_code == 201, made.text
    if kind == "AuditEvent":
        for _ in range(6):
            get(site, "R5/ServiceRequest")
    every = [r["id"] for r in resources(get(site, f"R5/{kind}?_count=500", login))]
    assert len(every) > 2
    seen: list[str] = []
    size, url = max(1, len(every) // 3), f"R5/{kind}?_count={max(1, len(every) // 3)}"
    for _ in range(6):
        page = get(site, url, login).json()
        seen += [e["resource"]["id"] for e in page["entry"]]
        link = next((k["url"] for k in page["link"] if k["relation"] == "next"), None)
        if link is None or len(seen) >= len(every):
            break
        url = link.partition("/fhir/")[2]
    assert len(seen) >= len(every) - size and seen == every[: len(seen)]
    assert get(site, f"R5/{kind}/{every[-1]}", login).json()["id"] == every[-1]
    assert get(site, f"R5/{kind}/read-0", login).status_code == 404
    for one in every if kind == "Subscription" else ():
        assert site.call(ADMIN, "DELETE", f"/fhir/R5/{kind}/{one}").status_code == 204


def test_looks_at_one_journey_since_a_moment_are_found(site: Site, treated: str) -> None:
    """By entity and date: the same as choosing among all."""
    order = next(r for r in resources(get(site, "R5/ServiceRequest?_count=500")))
    every = resources(get(site, "R5/AuditEvent?_count=500", ADMIN))
    entity = f"ServiceRequest/{order['id']}"
    about = [r["id"] for r in every if r["entity"][0]["what"].get("reference") == entity]
    found = resources(get(site, f"R5/AuditEvent?entity={entity}&_count=500", ADMIN))
    assert about and [r["id"] for r in found][: len(about)] == about
    moment = every[len(every) // 2]["recorded"]
    since = [r["id"] for r in every if r["recorded"] >= moment]
    found = resources(get(site, f"R5/AuditEvent?date=ge{quote(moment)}&_count=500", ADMIN))
    assert [r["id"] for r in found] == since


def nested(levels: int) -> bytes:
    """Give an order whose patient has an extension that nests."""
    whole = json.dumps(bundle("R5", patient={"extension": "@"})).encode()
    return whole.replace(b'"@"', b'[{"extension":' * levels + b"[]" + b"}]" * levels)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (json.dumps({"resourceType": "Bundle", "entry": [1]})[:-3].encode(), "/entry/0"),
        (b'{"resourceType": "Bundle", "id": "\\u0000"}', "/id"),
        (b'{"resourceType": "Bundle", "id": "\xff"}', "/id"),
        (b"<!DOCTYPE l [<!ENTITY a 'ha'>]><Bundle>&a;</Bundle>", "byte 0"),
        (nested(30), "/extension/0/extension/0"),
        (nested(450), "/extension/0/extension/0"),
        (nested(100_000), "/extension/0/extension/0"),
    ],
)
def test_a_hostile_body_is_refused_at_its_place_and_opens_nothing(
    site: Site, data: bytes, place: str
) -> None:
    """400 with an OperationOutcome that says where; the orders are those from before."""
    count = "R5/ServiceRequest?_summary=count"
    before = get(site, count).json()["total"]
    kind = {"Content-Type": "application/fhir+json"}
    answer = site.call(CLINIC, "POST", "/fhir/R5", content=data, headers=kind)
    assert answer.status_code == 400, answer.text[:300]
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome" and place in answer.text
    assert get(site, count).json()["total"] == before


# -- parts of resources, and whether they are right ------------------------------------------------

SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED",
}  # fmt: skip


def tagged(resource: dict[str, Any]) -> bool:
    """Say whether a resource says that it is not whole."""
    return SUBSETTED in resource["meta"].get("tag", [])


@pytest.mark.parametrize("version", ["R5", "R4B", "R4"])
@pytest.mark.parametrize("asked", ["_elements=focus", "_summary=true", "_summary=text",
                                   "_summary=data"])  # fmt: skip
def test_a_part_of_a_resource_is_valid_and_says_that_it_is_a_part(
    site: Site, treated: str, version: str, asked: str
) -> None:
    """Of every type, in a search and in a read: what must be there is, and the tag."""
    model = "R4B" if version == "R4" else version
    types = [
        r["type"] for r in get(site, f"{version}/metadata", None).json()["rest"][0]["resource"]
    ]
    seen = 0
    for kind in types:
        if kind in ("Subscription", "ResearchStudy"):
            continue
        whole = resources(get(site, f"{version}/{kind}?_count=5", ADMIN))
        for one, full in zip(
            resources(get(site, f"{version}/{kind}?_count=5&{asked}", ADMIN)), whole, strict=True
        ):
            assert tagged(one) and not tagged(full)
            valid(model, one)
            assert set(one) <= set(full) and one["id"] == full["id"]
            assert all(one[name] == full[name] for name in one if name != "meta")
            seen += 1
    assert seen >= 8
    read = get(site, f"{version}/Task/{resources(get(site, f'{version}/Task'))[0]['id']}?{asked}")
    assert tagged(read.json())


def test_what_was_asked_for_is_there_and_little_else(site: Site, treated: str) -> None:
    """`_elements` gives those, and what must be; a summary what the definition marks."""
    (one,) = resources(get(site, "R5/ServiceRequest?_count=1&_elements=authoredOn"))
    assert set(one) <= {"resourceType", "id", "meta", "status", "intent", "subject", "authoredOn"}
    assert "authoredOn" in one
    (short,) = resources(get(site, "R5/BiologicallyDerivedProduct?_count=1&_summary=true"))
    assert set(short) <= {"resourceType", "id", "meta", "identifier", "biologicalSourceEvent"}
    page = get(site, "R5/Task?_count=3&_elements=focus").json()
    following = next(link["url"] for link in page["link"] if link["relation"] == "next")
    assert "_elements=focus" in following


def test_a_whole_resource_has_no_tag_and_a_counted_one_is_no_read(site: Site, treated: str) -> None:
    """`_summary=false` is the whole; one resource is not counted."""
    (whole,) = resources(get(site, "R5/Task?_count=1&_summary=false"))
    assert not tagged(whole)
    answer = get(site, f"R5/Task/{whole['id']}?_summary=count")
    assert answer.status_code == 400 and answer.json()["resourceType"] == "OperationOutcome"


def judged(site: Site, path: str, body: Any, login: str = CLINIC) -> list[dict[str, Any]]:
    """Have a resource judged; return the issues."""
    answer = site.call(login, "POST", f"/fhir/{path}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    return list(answer.json()["issue"])


@pytest.mark.parametrize("version", ["R5", "R4B", "R4"])
def test_what_the_server_tells_is_valid_by_its_own_validation(
    site: Site, treated: str, version: str
) -> None:
    """By id (GET and an empty POST), and sent back to the type and to the instance."""
    for kind in ("Task", "Specimen", "ServiceRequest", "Provenance"):
        one = resources(get(site, f"{version}/{kind}?_count=1"))[0]
        where = f"{version}/{kind}/{one['id']}/$validate"
        for issues in (
            get(site, where).json()["issue"],
            judged(site, where, one),
            judged(site, f"{version}/{kind}/$validate", one),
            judged(site, f"{version}/{kind}/$validate", {
                "resourceType": "Parameters", "parameter": [{"name": "resource", "resource": one},
                {"name": "mode", "valueCode": "create"}]}),
        ):  # fmt: skip
            assert [i["severity"] for i in issues] == ["information"], issues
        empty = site.call(CLINIC, "POST", f"/fhir/{where}", content=b"")
        assert empty.json()["issue"][0]["severity"] == "information"


def test_what_is_wrong_is_said_with_its_place_and_nothing_is_kept(site: Site, treated: str) -> None:
    """A missing element, another type or id, a name of a patient: each is an error, and 200."""
    one = resources(get(site, "R5/Task?_count=1"))[0]
    before = get(site, "R5/Task?_summary=count").json()["total"]
    lacking = {k: v for k, v in one.items() if k != "intent"}
    for body, path, says in (
        (lacking, "R5/Task/$validate", "Task.intent"),
        ({**one, "colour": "red"}, "R5/Task/$validate", "Task.colour"),
        (one, "R5/Specimen/$validate", "Specimen.resourceType"),
        ({**one, "id": "other"}, f"R5/Task/{one['id']}/$validate", "Task.id"),
        (
            {"resourceType": "Patient", "name": [{"family": "A"}]},
            "R5/Patient/$validate",
            "Patient.name",
        ),
    ):
        issues = judged(site, path, body)
        assert any(
            i["severity"] == "error" and says in i.get("expression", [""])[0] for i in issues
        )
    assert get(site, "R5/Task?_summary=count").json()["total"] == before


@pytest.mark.parametrize("version", ["R5", "R4B"])
def test_an_order_is_judged_before_it_is_sent(site: Site, treated: str, version: str) -> None:
    """A Bundle that would be taken is valid; one that would be refused is not; no journey opens."""
    before = get(site, f"{version}/ServiceRequest?_summary=count").json()["total"]
    good = bundle(version)
    assert not [i for i in judged(site, f"{version}/Bundle/$validate", good)
                if i["severity"] == "error"]  # fmt: skip
    bad = {**good, "entry": good["entry"][:1]}
    assert [i for i in judged(site, f"{version}/Bundle/$validate", bad) if i["severity"] == "error"]
    assert get(site, f"{version}/ServiceRequest?_summary=count").json()["total"] == before


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("R5/Task/$validate?mode=delete", 400),
        ("R5/Task/$validate?profile=http://x.example/p", 400),
        ("R5/Task/$validate?colour=red", 400),
        ("R5/Observation/$validate", 404),
        ("R5/Task/nobody/$validate", 404),
        ("R5/$validate", 404),
    ],
)
def test_what_is_not_validated_here_is_refused(
    site: Site, treated: str, path: str, status: int
) -> None:
    """A profile, a mode, a type or a resource that there is not: never a judgement by half."""
    answer = site.call(CLINIC, "POST", f"/fhir/{path}", json={"resourceType": "Task"})
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_who_is_not_signed_in_has_nothing_validated(site: Site) -> None:
    """401, and nobody finds by it what is not theirs."""
    assert site.call(None, "POST", "/fhir/R5/Task/$validate", json={}).status_code == 401


def test_the_capability_statement_names_parts_and_validation(site: Site) -> None:
    """`metadata` lists the operation for each type, and the two parameters."""
    rest = get(site, "R5/metadata", None).json()["rest"][0]
    assert {p["name"] for p in rest["searchParam"]} == {"_elements", "_summary"}
    assert all(r["operation"][0]["name"] == "validate" for r in rest["resource"])
