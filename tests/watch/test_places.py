"""Loggers fixed to a place: a tank's readings count for each lot while it stands there."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest

from site_ import Site
from stafett.journey.label import Labels
from stafett.journey.state import Spell, State
from stafett.protocol.net import Net
from stafett.service.demo import NETWORK, train
from stafett.watch.reading import encode
from stafett.watch.stay import Stand, Stay, in_places, stays, unheard
from web_walk import walk

T0 = datetime(2026, 3, 2, 7, tzinfo=UTC)
PROTOCOL = "kept-car-t"


# -- where a lot stands --------------------------------------------------------------------------


def test_the_product_stands_where_the_record_has_it_but_for_its_time_in_the_shipper(
    states: tuple[Net, list[State]],
) -> None:
    """In the plant's stores and the hospital's, with who has custody; packed, it is nowhere."""
    net, found = states
    last = found[-1]
    cassette = last.lots["cassette/1"]
    there = [one for one in stays(net, last) if one.lot == cassette.lot]
    assert [one.spell.role for one in there] == [
        "manufacturing", "supply", "cell_laboratory", "pharmacy"
    ]  # fmt: skip
    assert there[1].spell.until == last.done["PACK_BACK"]
    assert there[2].spell.since == last.done["UNPACK_BACK"]
    assert there[3].spell.until == cassette.ended_at
    assert {one.material for one in stays(net, last)} == {"cassette"}


def stay(place: str | None = None) -> Stay:
    """Return an hour of a lot in a pharmacy, from T0 on."""
    spell = Spell(role="pharmacy", organisation="h", since=T0, until=T0 + timedelta(hours=1))
    return Stay("J", "cassette/1", "cassette", 4, spell, place, frozenset({"h", "m"}))


def stand(id: int, place: str = "Tank 1", **more: Any) -> Stand:
    """Return a logger that has stood in a tank since long before."""
    said = {"role": "pharmacy", "since": T0 - timedelta(days=9), "organisation": "h", **more}
    return Stand(id, number=f"T-{id}", place=place, **said)


def test_a_logger_that_is_exchanged_tells_of_its_own_time_only() -> None:
    """The old one until it was taken out, the new one from then on; each by its own readings."""
    change = T0 + timedelta(minutes=20)
    old, new = in_places(stay(), [stand(1, until=change), stand(2, since=change)])
    assert (old.logger, old.since, old.until) == ("T-1", T0, change)
    assert (new.logger, new.since, new.until) == ("T-2", change, T0 + timedelta(hours=1))
    assert old.id != new.id and old.fixed == (("h", "T-1"),)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"role": "cell_laboratory"},
        {"organisation": "other"},
        {"until": T0},
        {"since": T0 + timedelta(hours=1)},
    ],
)
def test_a_logger_elsewhere_or_at_another_time_tells_nothing(elsewhere: dict[str, Any]) -> None:
    """Another role's or organisation's store, gone before it came, put there after it left."""
    assert in_places(stay(), [stand(1, **elsewhere)]) == []


def test_two_loggers_of_one_tank_are_judged_each_for_itself() -> None:
    """Neither speaks for the other: a probe that fails does not hide what the other says."""
    assert [one.logger for one in in_places(stay(), [stand(1), stand(2)])] == ["T-1", "T-2"]


def test_of_two_tanks_the_lots_own_scan_decides_and_without_it_neither_is_judged() -> None:
    """Nobody guesses which tank: the stay is shown in doubt, with both loggers named."""
    both = [stand(1), stand(2, "Tank 2")]
    assert [one.logger for one in in_places(stay("Tank 2"), both)] == ["T-2"]
    (doubt,) = in_places(stay(), both)
    assert (doubt.place, doubt.fixed) == (None, (("h", "T-1"), ("h", "T-2")))
    (doubt,) = in_places(stay("Tank 3"), both)
    assert doubt.place is None


def test_a_store_sends_nothing_while_no_logger_is_fixed_in_it_and_something_stands_there() -> None:
    """Unheard since the lot came, or since the last logger was taken away; heard while one is in
    it, in doubt as well; what has left is in no store."""
    there = stay()._replace(spell=Spell(role="pharmacy", organisation="h", since=T0))
    gone = T0 + timedelta(minutes=20)
    alone = unheard(there, [stand(1, role="cell_laboratory"), stand(2, organisation="other")])
    assert alone is not None and (alone.lot, alone.since) == ("cassette/1", T0)
    since = unheard(there, [stand(1, until=gone), stand(2, until=gone - timedelta(minutes=5))])
    assert since is not None and since.since == gone
    assert unheard(there, [stand(1)]) is None
    assert unheard(there, [stand(1, until=gone), stand(2), stand(3, "Tank 2")]) is None
    assert unheard(stay(), []) is None


# -- on a running tower --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tank(site: Site) -> Site:
    """Run a protocol whose limit on the store is two seconds, so that a test can wait for it."""
    folder = resources.files("stafett") / "catalogue" / "protocols"
    text = (folder / "autologous-car-t.yaml").read_text("utf-8")
    for old, new in (
        ("protocol: autologous-car-t", f"protocol: {PROTOCOL}"),
        ("at_most: 10 min, in_all: 30 min, deviation: TEMP_EXCURSION",
         "at_most: 2 s, in_all: 30 min, deviation: TEMP_EXCURSION"),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new, 1)
    site.inside(site.tower.library.admit(text.encode()))
    site.inside(train(site.tower, site.people))
    return site


def test_a_warm_tank_is_a_deviation_of_each_lot_that_stands_there_and_of_no_other(
    tank: Site,
) -> None:
    """Fixed before they came: two products are told of, a third still at the plant is not."""
    first, second, third = (Labels(seed) for seed in (820_001, 820_002, 820_003))
    logger = fixed(tank, "TANK-7", "Cryo tank 7")
    assert send(tank, logger, 1, [-60.0] * 8, time.time() - 60).status_code == 201
    arrived = [carried(tank, labels, ("THAW", "step")) for labels in (first, second)]
    away = carried(tank, third, ("H12f", "release"))
    start = time.time()
    time.sleep(4)
    assert [raised(tank, journey) for journey in arrived] == [
        [],
        [],
    ]  # it was warm before they came
    assert send(tank, logger, 2, [-155.0] + [-60.0] * 6, start).status_code == 201
    for journey in arrived:
        wait_for(lambda journey=journey: raised(tank, journey))
        (found,) = raised(tank, journey)
        assert found["about"] == "cassette" and found["severity"] == "major"
        assert "cassette/1 in Cryo tank 7" in found["note"] and "TANK-7" in found["note"]
    assert raised(tank, away) == [] and rows(tank, away) == []
    # The manufacturer takes part in the journey: it sees the same, under the database's own rule.
    (row,) = rows(tank, arrived[0], "manufacturing-1")
    assert (row["place"], row["verdict"], row["high_c"]) == ("Cryo tank 7", "alarm", -150.0)
    answer = tank.call(
        "manufacturing-1", "GET", f"/api/shipments/{arrived[0]}/{row['lot']}/readings.csv"
    )
    assert answer.status_code == 200 and "-60" in answer.text
    with_page = tank.call("pharmacy-1", "GET", f"/api/shipments/{arrived[0]}/{row['lot']}")
    assert with_page.json()["verdict"] == "alarm"


def test_a_store_without_a_logger_is_listed_for_every_party_until_one_is_fixed_there(
    tank: Site,
) -> None:
    """The hospital's store and the manufacturer's view of it; a stranger sees neither."""
    clear(tank)
    journey = carried(tank, Labels(820_005), ("THAW", "step"))

    def silent(login: str) -> list[tuple[str, str]]:
        told = tank.call(login, "GET", "/api/shipments/unheard").json()
        return [(one["lot"], one["role"]) for one in told if one["journey"] == journey]

    wait_for(lambda: silent("pharmacy-1") == [("cassette/1", "pharmacy")])
    assert silent("manufacturing-1") == [("cassette/1", "pharmacy")]
    assert silent("peer-quality-1") == []
    fixed(tank, "HEARD-1", "Cryo tank 7")
    assert silent("pharmacy-1") == []
    clear(tank)
    assert silent("pharmacy-1") == [("cassette/1", "pharmacy")]


def test_a_logger_fixed_later_tells_from_then_on_and_nothing_once_it_is_taken_away(
    tank: Site,
) -> None:
    """What stands there already is watched from that moment; the stay ends with the logger."""
    journey = carried(tank, Labels(820_011), ("THAW", "step"))
    logger = fixed(tank, "TANK-9", "Cryo tank 7")
    wait_for(lambda: any(row["logger"] == "TANK-9" for row in rows(tank, journey)))
    (row,) = [r for r in rows(tank, journey) if r["logger"] == "TANK-9"]
    assert datetime.fromisoformat(row["since"]) > datetime.now(UTC) - timedelta(seconds=30)
    answer = tank.call("pharmacy-1", "POST", "/api/loggers/TANK-9/place", json={})
    assert answer.status_code == 200 and answer.json() is None
    wait_for(lambda: [r for r in rows(tank, journey) if r["logger"] == "TANK-9" and r["until"]])
    ended = time.time()
    assert send(tank, logger, 1, [-60.0] * 8, ended + 1).status_code == 201
    time.sleep(1.5)
    assert raised(tank, journey) == []


def test_a_second_tank_of_the_role_puts_the_stay_in_doubt_until_it_is_gone(tank: Site) -> None:
    """Nobody says in which tank it is: unknown, with the reason, and a warm tank raises nothing."""
    clear(tank)
    journey = carried(tank, Labels(820_021), ("THAW", "step"))
    fixed(tank, "DOUBT-1", "Tank A")
    wait_for(lambda: [r["place"] for r in kept(tank, journey)] == ["Tank A"])
    logger = fixed(tank, "DOUBT-2", "Tank B")
    wait_for(lambda: [r["place"] for r in kept(tank, journey)] == [None])
    (row,) = kept(tank, journey)
    assert send(tank, logger, 1, [-60.0] * 8, time.time()).status_code == 201
    path = f"/api/shipments/{journey}/{row['lot']}"
    told = tank.call("pharmacy-1", "GET", path).json()
    assert told["verdict"] == "unknown" and told["readings"] == 0
    assert [one["kind"] for one in told["findings"]] == ["which-place"]
    time.sleep(4.5)
    assert raised(tank, journey) == []
    assert tank.call("pharmacy-1", "POST", "/api/loggers/DOUBT-2/place", json={}).status_code == 200
    clear(tank)


def test_a_second_process_learns_where_a_logger_stands(
    tank: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Placed by another process, it is found at the next look at what does not come."""
    clear(tank)
    monkeypatch.setattr("stafett.service.conditions.SILENCE_S", 0.5)
    journey = carried(tank, Labels(820_031), ("THAW", "step"))
    body = {"number": "OTHER-1", "calibrated_until": "2036-01-01T00:00:00Z"}
    assert tank.call("pharmacy-1", "POST", "/api/loggers", json=body).status_code == 201
    (person,) = [p for p in tank.people if p.login == "pharmacy-1"]
    # As the other process does it: the row and the leaf, and this one is told nothing.
    tank.inside(tank.tower.stands.place(person, "OTHER-1", "pharmacy", "Tank C", None))
    wait_for(lambda: [r["logger"] for r in kept(tank, journey)] == ["OTHER-1"])
    clear(tank)


def test_where_a_logger_stands_is_in_the_record_with_who_said_so(tank: Site) -> None:
    """A leaf in the logger's own stream, readable by its owner; the list has what was before."""
    logger = fixed(tank, "MOVED-1", "Shelf A")
    fixed(tank, "MOVED-1", "Shelf  B")
    stream = tank.inside(tank.tower.ledger.stream(f"logger/{logger['organisation']}.MOVED-1"))
    assert [(e.kind, e.body["placed"]["place"]) for e in stream] == [
        ("LoggerPlaced", "Shelf A"), ("LoggerPlaced", "Shelf B")
    ]  # fmt: skip
    told = tank.call("pharmacy-1", "GET", "/api/loggers/places").json()
    mine = [(r["place"], r["until"] is None) for r in told if r["number"] == "MOVED-1"]
    assert mine == [("Shelf B", True), ("Shelf A", False)]
    assert "MOVED-1" not in tank.call("courier-1", "GET", "/api/loggers/places").text


def test_a_placing_whose_leaf_is_missing_gets_it_from_the_next_process(
    tank: Site,
) -> None:
    """Rows with no leaf, as a process leaves them that dies in between, are recorded once."""

    def placed() -> list[tuple[str | None, str | None]]:
        stream = tank.inside(tank.tower.ledger.stream(f"logger/{logger['organisation']}.DIED-1"))
        return [(e.body["placed"]["place"], e.author.person) for e in stream]

    logger = fixed(tank, "DIED-1", "Shelf A")
    (who,) = {person for _, person in placed()}
    with psycopg.connect(tank.tower.url) as connection:  # what a killed process leaves behind
        connection.execute("UPDATE watch.stand SET until = now() WHERE number = 'DIED-1'")
        connection.execute(
            "INSERT INTO watch.stand (organisation, number, role, place, since, until, fixed_by)"
            " SELECT organisation, number, role, 'Shelf B', until, until + interval '1 ms',"
            " fixed_by"
            " FROM watch.stand WHERE number = 'DIED-1'"
        )
    assert [tank.inside(tank.tower.stands.heal()) for _ in range(2)] == [2, 0]
    assert placed() == [("Shelf A", who), ("Shelf B", who), (None, None)]


@pytest.mark.parametrize(
    ("login", "body", "field"),
    [
        ("pharmacy-1", {"place": "T", "role": "courier"}, "role"),
        ("pharmacy-1", {"place": "  ", "role": "pharmacy"}, "place"),
        ("pharmacy-1", {"place": "T\x07", "role": "pharmacy"}, "place"),
        (
            "pharmacy-1",
            {"place": "T", "role": "pharmacy", "since": "2099-01-01T00:00:00Z"},
            "since",
        ),
        (
            "pharmacy-1",
            {"place": "T", "role": "pharmacy", "since": "2001-01-01T00:00:00Z"},
            "since",
        ),
        ("courier-1", {"place": "T", "role": "courier"}, "logger"),
    ],
)
def test_a_place_that_cannot_be_is_refused_by_its_field(
    tank: Site, login: str, body: dict[str, Any], field: str
) -> None:
    """Another's role or logger, no name, a moment to come, one while it stood elsewhere."""
    fixed(tank, "STAYS-1", "Shelf C")
    answer = tank.call(login, "POST", "/api/loggers/STAYS-1/place", json=body)
    assert answer.status_code in (404, 422), answer.text
    assert [reason["field"] for reason in answer.json()["reasons"]] == [field]


def fixed(site: Site, number: str, place: str) -> dict[str, Any]:
    """Register a logger of the hospital and fix it in the pharmacy's store."""
    body = {"number": number, "calibrated_until": "2036-01-01T00:00:00Z", "renew": True}
    logger = site.call("pharmacy-1", "POST", "/api/loggers", json=body).json()
    said = {"place": place, "role": "pharmacy"}
    answer = site.call("pharmacy-1", "POST", f"/api/loggers/{number}/place", json=said)
    assert answer.status_code == 200, answer.text
    return dict(logger)


def carried(site: Site, labels: Labels, goal: tuple[str, str]) -> str:
    """Bring a journey to `goal`."""
    journey = site.order(
        labels.patient, coi=labels.coi, product="tecartus", protocol=PROTOCOL, network=NETWORK
    )
    site.inside(walk(site, journey, labels, goal))
    return journey


def send(
    site: Site, logger: dict[str, Any], sequence: int, values: list[float], start: float
) -> httpx.Response:
    """Send two readings a second, as the logger."""
    payload = encode(sequence, start, 0.5, {"temperature_c": np.array(values)}, time.time())
    path = f"/api/loggers/{logger['organisation']}/{logger['number']}/readings"
    headers = {"Authorization": f"Bearer {logger['key']}"}
    return site.call(None, "POST", path, content=payload, headers=headers)


def rows(site: Site, journey: str, login: str = "pharmacy-1") -> list[dict[str, Any]]:
    """Return what the list says of lots that stand in a place."""
    every = site.call(login, "GET", "/api/shipments").json()
    return [r for r in every if r["journey"] == journey and r["place"]]


def kept(site: Site, journey: str) -> list[dict[str, Any]]:
    """Return what the list says of the stays that are not over, in doubt or not."""
    every = site.call("pharmacy-1", "GET", "/api/shipments").json()
    return [r for r in every if r["journey"] == journey and "@" in r["lot"] and not r["until"]]


def clear(site: Site) -> None:
    """Take every logger away from where it stands."""
    for one in site.call("pharmacy-1", "GET", "/api/loggers/places").json():
        if one["until"] is None:
            site.call("pharmacy-1", "POST", f"/api/loggers/{one['number']}/place", json={})


def raised(site: Site, journey: str) -> list[dict[str, Any]]:
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
