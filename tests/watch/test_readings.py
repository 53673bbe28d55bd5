"""Readings on their way: from the device's key to the record, the page and the deviation."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest

from site_ import Site
from stafett.journey.label import Labels
from stafett.service import demo
from stafett.service.demo import NETWORK, train
from stafett.watch.reading import encode
from stafett.watch.shipment import number_of
from web_walk import walk

CAR_T = "tecartus"  # 2 to 8 °C to the plant (S134)


def shipment(site: Site, seed: int) -> tuple[str, str]:
    """Bring a journey to where its starting material travels; return journey and logger number."""
    labels = Labels(seed)
    journey = site.order(labels.patient, coi=labels.coi, product=CAR_T)
    site.inside(walk(site, journey, labels, ("H08", "accept")))
    live = site.inside(site.tower.journeys.live(journey))
    return journey, number_of(live.state.lot("shipper_out").identifiers["logger"])


def register(site: Site, number: str, login: str = "courier-1", **more: Any) -> dict[str, Any]:
    """Register a logger for the organisation of `login`."""
    body = {"number": number, "calibrated_until": "2036-01-01T00:00:00Z", **more}
    answer = site.call(login, "POST", "/api/loggers", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def send(
    site: Site, logger: dict[str, Any], payload: bytes, key: str | None = None, kind: str = ""
) -> httpx.Response:
    """Send one payload as the logger."""
    path = f"/api/loggers/{logger['organisation']}/{logger['number']}/readings"
    headers = {"Authorization": f"Bearer {key or logger['key']}"}
    headers |= {"Content-Type": kind} if kind else {}
    return site.call(None, "POST", path, content=payload, headers=headers)


def chunk(sequence: int, values: list[float], start: float, every: float = 0.5) -> bytes:
    """Return a binary chunk of temperatures."""
    channels = {"temperature_c": np.array(values), "tilt_deg": np.full(len(values), 3.0)}
    return encode(sequence, start, every, channels, time.time())


def row_of(site: Site, journey: str, login: str = "courier-1") -> dict[str, Any]:
    """Return the shipment of the starting material as the API tells it."""
    answer = site.call(login, "GET", f"/api/shipments/{journey}/shipper_out/1")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def deviations(site: Site, journey: str) -> list[dict[str, Any]]:
    """Return the temperature deviations that the record has of a journey."""
    entries = site.call("treating-clinic-1", "GET", f"/api/journeys/{journey}/events").json()
    found = [e["event"] for e in entries if e["kind"] == "DeviationRaised"]
    return [event for event in found if event["code"] == "TEMP_EXCURSION"]


def wait_for(what: Any, seconds: float = 40) -> None:
    """Wait until `what()` is true."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def quick(site: Site) -> Site:
    """Let an excursion take two seconds, so that a test can wait for one."""
    watch = site.tower.conditions
    import msgspec

    watch.profile = msgspec.structs.replace(watch.profile, sustained_s=2.0, cumulative_s=4.0)
    return site


def test_an_excursion_becomes_one_deviation_and_a_second_after_it_is_decided(quick: Site) -> None:
    """Duration, not a point: two warm readings raise nothing, two seconds raise one deviation."""
    journey, number = shipment(quick, 810_001)
    logger = register(quick, number)
    start = datetime.fromisoformat(row_of(quick, journey)["since"]).timestamp() + 1
    # The material has travelled for a moment only: readings of the near future stand for hours.
    wait_until = start + 4.5
    assert send(quick, logger, chunk(1, [5.0, 5.1, 11.0, 11.0], start)).status_code == 201
    wait_for(lambda: row_of(quick, journey)["readings"] >= 3)
    assert row_of(quick, journey)["verdict"] in ("attention", "unknown")
    assert deviations(quick, journey) == []
    time.sleep(max(wait_until - time.time(), 0))
    values = [11.0] * 6
    assert send(quick, logger, chunk(2, values, start + 2)).status_code == 201
    wait_for(lambda: deviations(quick, journey))
    found = deviations(quick, journey)
    assert len(found) == 1 and found[0]["kind"] == "condition"
    assert found[0]["about"] == "shipper_out" and number in found[0]["note"]
    row = row_of(quick, journey)
    assert row["verdict"] == "alarm" and row["high_c"] == 8.0 and row["low_c"] == 2.0
    # The same again, and more of the same: no second deviation while one is open.
    send(quick, logger, chunk(2, values, start + 2))
    time.sleep(1.5)
    assert len(deviations(quick, journey)) == 1


def test_what_has_a_logger_of_its_own_is_watched_without_a_shipper(quick: Site) -> None:
    """A bag in a refrigerator whose logger was scanned at its labelling: too warm, it is raised."""
    folder = resources.files("stafett") / "catalogue" / "protocols"
    text = (folder / "autologous-car-t.yaml").read_text("utf-8")
    for old, new in (
        ("protocol: autologous-car-t", "protocol: watched-car-t"),
        ("    purpose: starting\n    identifiers: [din]\n", "    purpose: starting\n"
         "    identifiers: [din, logger]\n    conditions: [{of: temperature, min: 2, max: 25,"
         " at_most: 2 s, deviation: TEMP_EXCURSION, proposal: true}]\n"),
        ("      - {id: coi, kind: scan, identifies: patient, by: coi, critical: true, people: 2,"
         " when: after, deviation: IDENTITY_MISMATCH,",
         "      - {id: fridge, kind: scan, records: apheresis_bag, by: logger, when: after,\n"
         "          ask: The logger of the refrigerator}\n"
         "      - {id: coi, kind: scan, identifies: patient, by: coi, critical: true, people: 2,"
         " when: after, deviation: IDENTITY_MISMATCH,"),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new, 1)
    quick.inside(quick.tower.library.admit(text.encode()))
    quick.inside(train(quick.tower, quick.people))
    labels = Labels(810_077)
    journey = quick.order(
        labels.patient, coi=labels.coi, product=CAR_T, protocol="watched-car-t", network=NETWORK
    )
    quick.inside(walk(quick, journey, labels, ("H07", "release")))
    live = quick.inside(quick.tower.journeys.live(journey))
    bag = live.state.lot("apheresis_bag")
    logger = register(quick, number_of(bag.identifiers["logger"]), "apheresis-unit-1")

    def row() -> dict[str, Any]:
        path = f"/api/shipments/{journey}/{bag.lot}"
        return dict(quick.call("apheresis-unit-1", "GET", path).json())

    start = bag.made_at.timestamp() + 0.1
    time.sleep(max(start + 3.5 - time.time(), 0))
    assert send(quick, logger, chunk(1, [22.0] + [31.0] * 6, start)).status_code == 201
    wait_for(lambda: deviations(quick, journey))
    (found,) = deviations(quick, journey)
    assert found["about"] == "apheresis_bag" and logger["number"] in found["note"]
    assert (row()["verdict"], row()["high_c"], row()["hold_left_most_s"]) == ("alarm", 25.0, None)


def test_every_chunk_is_a_row_and_a_leaf_of_its_digest(quick: Site) -> None:
    """The record vouches for the very bytes; the same chunk twice is one row and one leaf."""
    logger = register(quick, "LEAF-1")
    payload = chunk(1, [4.0] * 60, time.time() - 60)
    days = {f"watch.chunk_{datetime.now(UTC):%Y%m%d}"}
    first, again = send(quick, logger, payload), send(quick, logger, payload)
    assert first.json() == {"chunks": 1, "readings": 60, "known": 0}
    assert again.json() == {"chunks": 1, "readings": 60, "known": 1}
    stream = quick.inside(quick.tower.ledger.stream("logger/nordic-cryo-courier.LEAF-1"))
    assert len(stream) == 1
    assert stream[0].body["readings"]["sha256"] == hashlib.sha256(payload).hexdigest()
    with psycopg.connect(quick.tower.url) as connection:
        rows = connection.execute(
            "SELECT payload, tableoid::regclass::text FROM watch.chunk WHERE number = 'LEAF-1'"
        ).fetchall()
    assert [bytes(row[0]) for row in rows] == [payload]
    assert rows[0][1] in days | {f"watch.chunk_{datetime.now(UTC):%Y%m%d}"}  # it may be midnight


def test_lines_of_json_are_taken_together_or_not_at_all(quick: Site) -> None:
    """One wrong line is named, and none of the others is kept."""
    logger = register(quick, "LINES-1")

    def line(n: int, **more: Any) -> str:
        said = {"v": 1, "sequence": n, "start": f"2026-02-02T0{n}:00:00Z", "every_s": 60,
                "temperature_c": [5, None, 6], **more}  # fmt: skip
        return json.dumps(said)

    bad = f"{line(1)}\n{line(2, temperature_c=[5000])}\n".encode()
    answer = send(quick, logger, bad, kind="application/x-ndjson")
    assert answer.status_code == 422
    assert answer.json()["reasons"][0]["field"] == "2/temperature_c"
    assert quick.inside(quick.tower.ledger.stream("logger/nordic-cryo-courier.LINES-1")) == []
    good = f"{line(1)}\n{line(2)}\n".encode()
    answer = send(quick, logger, good, kind="application/x-ndjson")
    assert answer.json() == {"chunks": 2, "readings": 6, "known": 0}


@pytest.mark.parametrize("key", ["", "wrong", "x" * 5000])
def test_a_wrong_key_is_told_nothing(quick: Site, key: str) -> None:
    """Whether the logger exists or only the key is wrong, the answer is the same."""
    register(quick, "KEY-1")
    known = {"organisation": "nordic-cryo-courier", "number": "KEY-1", "key": "x"}
    nobody = {"organisation": "nordic-cryo-courier", "number": "NOBODY", "key": "x"}
    payload = chunk(1, [4.0], time.time())
    one, other = send(quick, known, payload, key or "-"), send(quick, nobody, payload, key or "-")
    assert one.status_code == other.status_code == 401
    assert one.json() == other.json()


def test_a_flood_from_one_logger_is_refused_and_others_are_not(quick: Site) -> None:
    """Beyond its allowance a logger is told to wait; it shows; the next logger is served."""
    flooding, quiet = register(quick, "FLOOD-1"), register(quick, "QUIET-1")
    lines = "\n".join(
        json.dumps({"v": 1, "sequence": n, "start": "2026-02-02T00:00:00Z", "every_s": 1,
                    "temperature_c": [n % 7]})
        for n in range(400)
    ).encode()  # fmt: skip
    statuses = [
        send(quick, flooding, lines, kind="application/x-ndjson").status_code for _ in range(3)
    ]
    assert statuses[0] == 201 and statuses[-1] == 429
    assert send(quick, quiet, chunk(1, [4.0], time.time())).status_code == 201
    wait_for(lambda: any(
        line["number"] == "FLOOD-1" and line["refused"] >= 400
        for line in quick.call("courier-1", "GET", "/api/loggers").json()
    ))  # fmt: skip


def test_no_organisation_sees_what_is_not_its_own(quick: Site) -> None:
    """Lists, rows under the restricted role, shipments: only for owners and parties."""
    journey, number = shipment(quick, 810_002)
    logger = register(quick, number)
    since = datetime.fromisoformat(row_of(quick, journey)["since"]).timestamp()
    time.sleep(max(0.0, since + 1.5 - time.time()))  # what is told has happened
    before = chunk(1, [4.0] * 5, since - 7200)
    during = chunk(2, [4.0] * 5, since + 0.5, 0.1)
    assert send(quick, logger, before).status_code == 201
    assert send(quick, logger, during).status_code == 201
    others = quick.call("plant-receiving-1", "GET", "/api/loggers").json()
    assert all(line["organisation"] == "malaren-cell-works" for line in others)

    def readable(organisation: str) -> list[int]:
        with psycopg.connect(quick.tower.url) as connection:
            connection.execute("SET ROLE stafett_read")
            connection.execute(
                "SELECT set_config('stafett.organisation', %s, false)", [organisation]
            )
            rows = connection.execute(
                "SELECT sequence FROM watch.chunk WHERE number = %s ORDER BY 1", [number]
            ).fetchall()
        return [row[0] for row in rows]

    wait_for(lambda: readable("malaren-cell-works") == [2])
    assert readable("nordic-cryo-courier") == [1, 2]
    assert readable("university-hospital") == [2]
    assert readable("somebody-else") == readable("") == []
    wait_for(lambda: row_of(quick, journey, "plant-receiving-1")["readings"] == 5)


def test_an_unregistered_or_doubtful_logger_is_unknown(quick: Site) -> None:
    """A number that nobody, or more than one party, has registered vouches for nothing."""
    journey, number = shipment(quick, 810_003)
    row = row_of(quick, journey)
    assert (row["verdict"], row["findings"][0]["kind"]) == ("unknown", "unregistered")
    register(quick, number)
    wait_for(lambda: row_of(quick, journey)["findings"][:1] != row["findings"])
    theirs = register(quick, number, "plant-receiving-1")
    wait_for(lambda: row_of(quick, journey)["findings"][-1]["kind"] == "ambiguous")
    assert row_of(quick, journey)["verdict"] == "unknown"
    # Either may be the one: what any of them says is raised.
    start = datetime.fromisoformat(row["since"]).timestamp()
    time.sleep(max(start + 4.6 - time.time(), 0))
    assert send(quick, theirs, chunk(1, [11.0] * 6, start + 0.1, 0.9)).status_code == 201
    wait_for(lambda: deviations(quick, journey))
    found = row_of(quick, journey)
    assert {f["kind"] for f in found["findings"]} >= {"sustained", "ambiguous"}
    assert (found["verdict"], found["warmest_c"]) == ("alarm", 11.0)


def test_a_logger_that_stores_says_so(quick: Site) -> None:
    """How a logger is heard is kept when it is registered, and can be said anew."""
    _, number = shipment(quick, 810_091)
    register(quick, number, live=False)
    mine = quick.call("courier-1", "GET", "/api/loggers").json()
    assert [one["live"] for one in mine if one["number"] == number] == [False]
    register(quick, number, live=True)
    mine = quick.call("courier-1", "GET", "/api/loggers").json()
    assert [one["live"] for one in mine if one["number"] == number] == [True]


def test_the_stored_series_is_the_loggers_report(quick: Site) -> None:
    """What was received becomes the document of the handoff, with its coldest and warmest."""
    journey, number = shipment(quick, 810_004)
    logger = register(quick, number)
    start = datetime.fromisoformat(row_of(quick, journey)["since"]).timestamp()
    path = f"/api/shipments/{journey}/shipper_out/1"
    assert quick.call("plant-receiving-1", "POST", f"{path}/report").status_code == 409
    assert send(quick, logger, chunk(1, [4.0, 5.5, 4.5], start + 0.1, 0.2)).status_code == 201
    wait_for(lambda: row_of(quick, journey)["readings"] == 3)
    made = quick.call("plant-receiving-1", "POST", f"{path}/report")
    assert made.status_code == 201, made.text
    fields = made.json()["fields"]
    assert (fields["minimum_c"], fields["maximum_c"]) == ("4.0", "5.5")
    text = quick.call("courier-1", "GET", f"/api/documents/{made.json()['sha256']}").text
    assert text.splitlines()[0] == "time,temperature_c,tilt_deg,believed"
    assert len(text.splitlines()) == 4
    assert quick.call("courier-1", "GET", f"{path}/readings.csv").text == text


def test_a_wrong_clock_is_corrected_and_said(quick: Site) -> None:
    """A logger that lives two hours ago still covers the shipment, and the page says so."""
    journey, number = shipment(quick, 810_005)
    logger = register(quick, number)
    time.sleep(1.0)  # all four readings are of the time after packing
    now = time.time()
    told = {"v": 1, "sequence": 1, "every_s": 0.1, "temperature_c": [4.0] * 4,
            "start": (datetime.now(UTC) - timedelta(hours=2, seconds=0.4)).isoformat(),
            "sent": (datetime.now(UTC) - timedelta(hours=2)).isoformat()}  # fmt: skip
    assert send(quick, logger, json.dumps(told).encode()).status_code == 201
    wait_for(lambda: row_of(quick, journey)["readings"] >= 3)
    row = row_of(quick, journey)
    assert [f["kind"] for f in row["findings"]].count("clock-wrong") == 1
    assert abs(datetime.fromisoformat(row["latest_at"]).timestamp() - now) < 2


def test_two_processes_raise_one_deviation(quick: Site) -> None:
    """A second server hears the same leaves, judges the same, and finds it raised."""
    from stafett.service.tower import Tower

    async def other() -> Tower:
        tower = Tower(quick.tower.url, quick.tower.folder, cheap_hashing=True)
        tower.conditions.profile = quick.tower.conditions.profile
        await tower.__aenter__()
        return tower

    second = quick.inside(other())
    try:
        journey, number = shipment(quick, 810_006)
        logger = register(quick, number)
        quick.inside(second.conditions.rebind())
        start = datetime.fromisoformat(row_of(quick, journey)["since"]).timestamp()
        time.sleep(max(start + 3 - time.time(), 0))
        assert send(quick, logger, chunk(1, [11.0] * 6, start + 0.2)).status_code == 201
        wait_for(lambda: deviations(quick, journey))
        time.sleep(2)
        assert len(deviations(quick, journey)) == 1
        # Both judged it; only one of them was the first.
        live = quick.inside(second.journeys.live(journey))
        from stafett.watch.shipment import shipments

        place = shipments(live.net, live.state)[0]
        wait_for(lambda: second.conditions.latest(place) is not None)
        wait_for(lambda: second.conditions.latest(place).judgement.verdict == "alarm")
        assert second.conditions.raised + quick.tower.conditions.raised >= 1
    finally:
        quick.inside(second.__aexit__(None, None, None))


def test_a_decided_excursion_is_not_raised_again_by_its_own_past(quick: Site) -> None:
    """After a person has closed it, only what comes later counts."""
    journey, number = shipment(quick, 810_007)
    logger = register(quick, number)
    start = datetime.fromisoformat(row_of(quick, journey)["since"]).timestamp()
    time.sleep(max(start + 3 - time.time(), 0))
    assert send(quick, logger, chunk(1, [11.0] * 6, start + 0.2)).status_code == 201
    wait_for(lambda: deviations(quick, journey))
    name = deviations(quick, journey)[0]["deviation"]
    impact = dict.fromkeys(("identity", "custody", "product", "patient"), "none")
    for command in (
        {"type": "AcknowledgeDeviation"},
        {
            "type": "TriageDeviation",
            "criteria": ["no-effect-shown"],
            "impact": impact,
            "note": "data",
        },
        {"type": "DecideDeviation", "disposition": "no-effect", "reason": "stable at 11 °C"},
    ):
        moment = datetime.now(UTC).isoformat()
        body = {"key": uuid.uuid4().hex, "role": "treating_clinic", "password": demo.PASSWORD,
                "command": {**command, "deviation": name, "occurred_at": moment}}  # fmt: skip
        path = f"/api/journeys/{journey}/commands"
        answer = quick.call("treating-clinic-1", "POST", path, json=body)
        assert answer.status_code == 200, answer.text
    send(quick, logger, chunk(2, [5.0] * 3, start + 3.2, 0.2))
    time.sleep(2)
    assert len(deviations(quick, journey)) == 1
    assert row_of(quick, journey)["verdict"] != "alarm"


def raised(site: Site, journey: str, code: str) -> list[dict[str, Any]]:
    """Return the deviations of `code` that the record has of a journey."""
    entries = site.call("treating-clinic-1", "GET", f"/api/journeys/{journey}/events").json()
    found = [e["event"] for e in entries if e["kind"] == "DeviationRaised"]
    return [event for event in found if event["code"] == code]


def work(site: Site, journey: str, deviation: str, *commands: dict[str, Any]) -> None:
    """Work on a deviation as the qualified person."""
    for command in commands:
        body = {
            "key": uuid.uuid4().hex, "role": "qualified_person", "password": demo.PASSWORD,
            "command": {**command, "deviation": deviation,
                        "occurred_at": datetime.now(UTC).isoformat()},
        }  # fmt: skip
        path = f"/api/journeys/{journey}/commands"
        answer = site.call("qualified-person-1", "POST", path, json=body)
        assert answer.status_code == 200, answer.text


def test_what_a_logger_found_in_doubt_is_not_used_until_a_person_decides(quick: Site) -> None:
    """From the logger's readings over the public API to the refused step, and to the taken one."""
    labels = Labels(810_021)
    journey = quick.order(labels.patient, coi=labels.coi, product=CAR_T)
    quick.inside(walk(quick, journey, labels, ("H08", "accept")))
    live = quick.inside(quick.tower.journeys.live(journey))
    logger = register(quick, number_of(live.state.lot("shipper_out").identifiers["logger"]))
    start = datetime.fromisoformat(row_of(quick, journey)["since"]).timestamp()
    time.sleep(max(start + 3 - time.time(), 0))
    assert send(quick, logger, chunk(1, [11.0] * 6, start + 0.2)).status_code == 201
    wait_for(lambda: deviations(quick, journey))
    name = deviations(quick, journey)[0]["deviation"]
    quick.inside(walk(quick, journey, labels, ("H11b", "accept")))
    quick.inside(walk(quick, journey, labels, ("H12a", "step"), blocked=True))
    begin = {"type": "Start", "step": "H12a", "occurred_at": datetime.now(UTC).isoformat()}
    refused = quick.send("manufacturing-1", journey, begin)
    assert refused.status_code == 409 and name in refused.text, refused.text
    assert "unknown-blocks" in refused.text
    station = quick.call(
        "manufacturing-1", "GET", f"/api/journeys/{journey}/stations/H12a/step"
    ).json()
    assert any("undecided" in why for why in station["blocked"])
    impact = dict.fromkeys(("identity", "custody", "product", "patient"), "none")
    assess = {"type": "TriageDeviation", "criteria": ["no-effect-shown"], "impact": impact,
              "note": "stability data"}  # fmt: skip
    decide = {"type": "DecideDeviation", "disposition": "use-as-is", "reason": "stable at 11 °C"}
    work(quick, journey, name, assess)
    assert quick.send("manufacturing-1", journey, begin).status_code == 409
    work(quick, journey, name, decide)
    begin["occurred_at"] = datetime.now(UTC).isoformat()
    taken = quick.send("manufacturing-1", journey, begin)
    assert taken.status_code == 200, taken.text


def test_an_opened_door_is_raised_as_the_protocol_says(quick: Site) -> None:
    """Under the protocol's own code, once, and it stands in the way of use like any excursion."""
    journey, number = shipment(quick, 810_022)
    logger = register(quick, number)
    start = datetime.fromisoformat(row_of(quick, journey)["since"]).timestamp()
    time.sleep(max(start + 2 - time.time(), 0))
    channels = {"temperature_c": np.full(3, 5.0), "door": np.array([0.0, 1.0, 0.0])}
    payload = encode(1, start + 0.2, 0.5, channels, time.time())
    assert send(quick, logger, payload).status_code == 201
    wait_for(lambda: raised(quick, journey, "SHIPPER_OPENED"))
    assert "opened on the way" in raised(quick, journey, "SHIPPER_OPENED")[0]["note"]
    time.sleep(2)
    assert len(raised(quick, journey, "SHIPPER_OPENED")) == 1
