from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.eventlog.reading import read_log
from stafett.exchange.mining import journey_to_ocel, journey_to_xes, log_to_ocel, log_to_xes
from stafett.exchange.ocel import OcelEvent, OcelJson, OcelObject, writer, xml_text
from stafett.exchange.xes import write_xes
from stafett.journey.event import to_json
from stafett.journey.script import Fault, play
from stafett.protocol.net import Net
from stafett.protocol.read import read

NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
NASTY = "<a & 'b' \"c\"> \x0b \ufffe åß漢"


@pytest.fixture(scope="session")
def record() -> list[dict[str, Any]]:
    """Return a walked journey with a wrong label and an out-of-specification result, as JSON."""
    net = Net(read(Path(__file__).parents[1] / "journey/rich.yaml").bind())
    faults = (Fault("WRONG_LABEL", "H1"), Fault("OOS_RESULT", "test"), Fault("TEMP_EXCURSION"))
    return [to_json(e) for e in play(net, NOW, faults=faults).events]


def test_a_journey_as_ocel_json_is_valid_and_can_be_read_back(
    record: list[dict[str, Any]], tmp_path: Path, shared: Path
) -> None:
    """The published schema takes it (with formats), and our own reader finds every event."""
    path = tmp_path / "j.jsonocel"
    with OcelJson(path) as sink:
        count = journey_to_ocel("J1", record, sink)
    schema = json.loads((shared / "standards/ocel/ocel20-schema-json.json").read_bytes())
    value = json.loads(path.read_bytes())
    jsonschema_rs.Draft7Validator(schema, validate_formats=True).validate(value)
    assert count == len(record) == len(value["events"])
    assert {o["type"] for o in value["objects"]} == {
        "journey", "material", "organisation", "person",
    }  # fmt: skip
    log = read_log(path, case_type="journey")
    assert log.cases == 1
    dose = next(o for o in value["objects"] if o["id"] == "J1/dose/1")
    assert dose["relationships"] == [{"objectId": "J1/bag/1", "qualifier": "made from"}]


def test_the_three_forms_hold_the_same_log(record: list[dict[str, Any]], tmp_path: Path) -> None:
    """Events, objects and links are the same in JSON, XML and SQLite."""
    for name in ("j.json", "j.xml", "j.sqlite"):
        with writer(tmp_path / name) as sink:
            journey_to_ocel("J1", record, sink)
    value = json.loads((tmp_path / "j.json").read_bytes())
    links = {
        (e["id"], r["objectId"], r["qualifier"])
        for e in value["events"]
        for r in e["relationships"]
    }
    tree = ElementTree.parse(tmp_path / "j.xml")
    in_xml = {
        (e.get("id"), r.get("object-id"), r.get("qualifier"))
        for e in tree.iterfind("events/event")
        for r in e.iterfind("objects/relationship")
    }
    base = sqlite3.connect(tmp_path / "j.sqlite")
    in_sqlite = set(base.execute("SELECT * FROM event_object"))
    assert links == in_xml == in_sqlite
    types = dict(base.execute("SELECT ocel_type, ocel_type_map FROM event_map_type"))
    rows = sum(
        base.execute(f'SELECT count(*) FROM "event_{t}"').fetchone()[0] for t in types.values()
    )
    base.close()
    assert rows == len(value["events"]) == len(record)


def test_a_journey_as_xes_can_be_read_back(record: list[dict[str, Any]], tmp_path: Path) -> None:
    """Two traces of a journey come back with all their events; compressed too."""
    for name in ("j.xes", "j.xes.gz"):
        path = tmp_path / name
        wrote = write_xes(path, [journey_to_xes(j, record) for j in ("J1", "J2")])
        assert wrote == (2, 2 * len(record))
        log = read_log(path)
        assert log.cases == 2


def test_an_analytic_table_survives_the_way_out_and_in(shared: Path, tmp_path: Path) -> None:
    """150 cases as XES and OCEL: the same cases and activities come back."""
    log = read_log(shared / "standards/process_mining/log.csv")
    steps = log.frame.filter(log.frame["kind"] == "step")
    cases, _ = write_xes(tmp_path / "log.xes", log_to_xes(log))
    assert cases == log.cases == 150
    with OcelJson(tmp_path / "log.json") as sink:
        assert log_to_ocel(log, sink) == log.frame.height
    back = read_log(tmp_path / "log.xes")
    assert back.cases == 150
    assert set(steps["activity"]) <= set(back.frame["activity"])


@given(text=st.text(max_size=40))
def test_any_text_makes_well_formed_xml(text: str) -> None:
    """Markup, control characters and non-characters cannot break the document."""
    ElementTree.fromstring(f"<a>{xml_text(text)}</a>")


@pytest.mark.parametrize("name", ["n.json", "n.xml", "n.sqlite"])
def test_hostile_names_are_kept_or_mended_in_each_form(tmp_path: Path, name: str) -> None:
    """Types and attributes named after markup, quotes, keywords or each other do no harm."""
    path = tmp_path / name
    names = [NASTY, 'x"; DROP TABLE event; --', "Select", "select", "ocel_id2", "", "äö"]
    with writer(path) as sink:
        for i, kind in enumerate(names):
            sink.object(OcelObject(f"o{i}", kind or "t", {"a b": NASTY, "n": i, "t": NOW}))
            sink.event(OcelEvent(f"e{i}", kind or "t", NOW, {kind or "t": True}, ((f"o{i}", "x"),)))
    if name == "n.sqlite":
        base = sqlite3.connect(path)
        assert base.execute("SELECT count(*) FROM event").fetchone() == (len(names),)
        base.close()
    elif name == "n.xml":
        assert len(ElementTree.parse(path).findall("events/event")) == len(names)
    else:
        assert len(json.loads(path.read_bytes())["events"]) == len(names)


@pytest.mark.parametrize("name", ["n.json", "n.xml", "n.sqlite"])
def test_a_log_that_fails_leaves_no_file(tmp_path: Path, name: str) -> None:
    """An object that was never told, or one of two types, ends in an error and an empty folder."""
    with pytest.raises(ValueError, match="never told"), writer(tmp_path / name) as sink:
        sink.event(OcelEvent("e", "t", NOW, {}, (("nobody", "x"),)))
    with pytest.raises(ValueError, match="of type 'a' and of 'b'"), writer(tmp_path / name) as sink:
        sink.object(OcelObject("o", "a"))
        sink.object(OcelObject("o", "b"))
    with pytest.raises(ValueError, match="no time:timestamp"):
        write_xes(tmp_path / "x.xes", [("c", [{"concept:name": "a"}])])
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_unknown_kind_is_asked_about(tmp_path: Path) -> None:
    """Without an ending that tells, the form must be said."""
    with pytest.raises(ValueError, match="json, xml, sqlite"):
        writer(tmp_path / "log.txt")
