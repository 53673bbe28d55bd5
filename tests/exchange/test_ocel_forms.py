"""OCEL 2.0 in its three forms: what is written is read back, and every mangling is refused."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from stafett.eventlog import LogUnreadableError, read_log
from stafett.eventlog.ocel import _parsed
from stafett.exchange.importing import inspect
from stafett.exchange.ocel import OcelEvent, OcelObject, writer

FORMS = {"json": "log.jsonocel", "xml": "log.xmlocel", "sqlite": "log.sqlite"}
BEGAN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def written(folder: Path, form: str) -> Path:
    """Write a log of two therapies at two sites, with names that need quoting."""
    path = folder / FORMS[form]
    with writer(path) as out:
        for name, kind in (("T1", "therapy"), ("T2", "therapy"), ("S<1>", "site"), ("S2", "site")):
            out.object(OcelObject(name, kind, {"size": 3}, links=(("S2", "near"),)))
        for n in range(8):
            site = ("S<1>", "S2")[n // 2 % 2]
            out.event(
                OcelEvent(
                    f"e{n}", ("collect & label", 'ship "it"')[n % 2], BEGAN + timedelta(hours=n),
                    {"note": "a <b> & 'c'\nå", "count": n, "share": n / 7},
                    ((f"T{n % 2 + 1}", "of"), (site, "at")),
                )
            )  # fmt: skip
    return path


def refused(path: Path) -> str:
    """Return why a file is refused."""
    with pytest.raises(LogUnreadableError) as error:
        read_log(path, case_type="therapy", group_type="site")
    return str(error.value)


@pytest.mark.parametrize("form", FORMS)
def test_our_own_export_is_read_back(tmp_path: Path, form: str) -> None:
    """Events, what they touch and their values are those of the JSON, in the same order."""
    kinds: dict[str, str] = {e.id: e.type for e in _parsed(written(tmp_path, form), form).events}
    found = _parsed(tmp_path / FORMS[form], form)
    want = _parsed(written(tmp_path, "json"), "json")
    assert [(o.id, o.type) for o in found.objects] == [(o.id, o.type) for o in want.objects]
    assert [e.id for e in found.events] == [e.id for e in want.events]
    for one, other in zip(found.events, want.events, strict=True):
        assert (one.type, one.time) == (other.type, other.time)
        assert {(r.objectId, r.qualifier) for r in one.relationships} == {
            (r.objectId, r.qualifier) for r in other.relationships
        }
        assert {a.name: str(a.value) for a in one.attributes} == {
            a.name: str(a.value) for a in other.attributes
        }
    assert kinds["e1"] == 'ship "it"'


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True])
def test_the_three_forms_are_one_log(tmp_path: Path, form: str, packed: bool) -> None:
    """The same table comes of each, also from a packed file, and `import` calls it OCEL 2.0."""
    path = written(tmp_path, form)
    if packed:
        path = path.with_name(path.name + ".gz")
        path.write_bytes(gzip.compress((tmp_path / FORMS[form]).read_bytes()))
    log = read_log(path, case_type="therapy", group_type="site")
    plain = read_log(written(tmp_path, "json"), case_type="therapy", group_type="site")
    columns = ["case", "activity", "giver", "receiver", "start", "note"]
    assert log.frame.select(columns).equals(plain.frame.select(columns))
    assert log.cases == 2 and log.steps.height == 8
    report = inspect(path)
    assert (report.kind, report.ok, report.summary["cases"]) == ("OCEL 2.0", True, 2)


def test_a_database_is_known_by_what_it_is(tmp_path: Path) -> None:
    """A database of SQLite is read whatever its name."""
    path = tmp_path / "export.bin"
    shutil.copy(written(tmp_path, "sqlite"), path)
    assert read_log(path, case_type="therapy", group_type="site").cases == 2


def test_a_plain_xml_name_is_enough(tmp_path: Path) -> None:
    """`import` tells OCEL from EPCIS by the root."""
    path = tmp_path / "log.xml"
    shutil.copy(written(tmp_path, "xml"), path)
    assert inspect(path).kind == "OCEL 2.0"


XML: dict[str, tuple[Callable[[str], str], str]] = {
    "cut off": (lambda t: t[: len(t) // 2], "the XML is broken"),
    "another root": (lambda t: t.replace("<log>", "<lag>").replace("</log>", "</lag>"), "a <lag>"),
    "an XES log": (lambda t: t.replace("<log>", '<log xes.version="1.0">'), "an XES log"),
    "no id": (lambda t: t.replace('<event id="e1" ', "<event "), "<event> has no id"),
    "no time": (lambda t: t.replace("<event id", "<event ID").replace("ID", "id").replace(
        ' time="2026-03-02T09:00:00Z"', ""), "<event> has no time"),
    "a misspelt tag": (lambda t: t.replace("relationship ", "relation "), "OCEL has no <relation>"),
    "a misspelt attribute": (lambda t: t.replace("object-id=", "objectid="), "has no object-id"),
    "an attribute too many": (lambda t: t.replace("<event id", '<event role="x" id'), "has a role"),
    "text between": (lambda t: t.replace("<events>", "<events>and so on"),
        "text stands in <events>"),
    "no events": (lambda t: t[: t.index("<events>")] + "</log>", "the log has no <events>"),
    "an object that is not there": (lambda t: t.replace('object-id="T1" qualifier="of"',
        'object-id="T9" qualifier="of"'), "which is no object"),
    "an event twice": (lambda t: t.replace('id="e1"', 'id="e0"'), "there are two events 'e0'"),
    "an object twice": (lambda t: t.replace('<object id="T2"', '<object id="T1"'), "two objects"),
    "no time at all": (lambda t: t.replace("2026-03-02T09", "the second of March"), ""),
    "a byte of no text": (lambda t: t.replace("collect", "coll\x01ect"), "the XML is broken"),
    "an unknown encoding": (lambda t: t.replace("UTF-8", "EBCDIC-99"), "encoding"),
}  # fmt: skip


@pytest.mark.parametrize("name", XML)
def test_mangled_xml_is_refused(tmp_path: Path, name: str) -> None:
    """Each mangling is refused, with the line where it stands."""
    path = written(tmp_path, "xml")
    mangle, why = XML[name]
    text = path.read_text("utf-8")
    assert mangle(text) != text
    path.write_text(mangle(text), "utf-8")
    assert why in refused(path)


def test_a_billion_laughs_are_not_laughed(tmp_path: Path) -> None:
    """A document type is refused before any entity is expanded."""
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    text = f'<!DOCTYPE log [<!ENTITY l0 "lol">{lol}]><log><events>&l9;</events></log>'
    path = tmp_path / "log.xmlocel"
    path.write_text(text)
    assert "document type" in refused(path)


@pytest.mark.parametrize("where", range(0, 100, 7))
def test_xml_cut_anywhere_is_refused(tmp_path: Path, where: int) -> None:
    """A download that broke off is no shorter log."""
    path = written(tmp_path, "xml")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * where // 100])
    refused(path)


SQL: dict[str, tuple[str, str]] = {
    "no events": ("DROP TABLE event", "no table 'event'"),
    "a view for a table": (
        "ALTER TABLE event RENAME TO e; CREATE VIEW event AS SELECT * FROM e", "no table 'event'"),
    "a virtual table": (
        "DROP TABLE event_object; CREATE VIRTUAL TABLE event_object USING fts5(a)",
        "no table 'event_object'"),
    "a computed column": (
        "ALTER TABLE event ADD COLUMN x AS (hex(ocel_id))", "a column that is computed"),
    "a column that is not there": (
        "ALTER TABLE object RENAME COLUMN ocel_type TO kind", "no column 'ocel_type'"),
    "an event without a row": ("DELETE FROM event_Shipit WHERE ocel_id = 'e1'", "no time"),
    "an event with two rows": (
        "INSERT INTO event_Shipit SELECT * FROM event_Shipit WHERE ocel_id = 'e1'", "two rows"),
    "a type that is not mapped": ("DELETE FROM event_map_type WHERE rowid = 1", "not mapped"),
    "a map to nowhere": ("UPDATE event_map_type SET ocel_type_map = 'Gone'", "no table"),
    "a row of nobody": ("DELETE FROM event WHERE ocel_id = 'e1'", "no event"),
    "an object that is not there": (
        "UPDATE event_object SET ocel_object_id = 'T9' WHERE ocel_object_id = 'T1'", "no object"),
    "a name of bytes": ("UPDATE object SET ocel_id = x'00ff' WHERE ocel_id = 'T1'", "no text"),
    "a type of nothing": ("UPDATE event SET ocel_type = NULL WHERE ocel_id = 'e1'", "no text"),
    "a value of bytes": ("UPDATE event_Shipit SET note = x'00ff'", "bytes"),
    "a time of no text": ("UPDATE event_Shipit SET ocel_time = x'00'", "no text"),
}  # fmt: skip


@pytest.mark.parametrize("name", SQL)
def test_a_mangled_database_is_refused(tmp_path: Path, name: str) -> None:
    """Each mangling is refused, with the table where it stands."""
    path = written(tmp_path, "sqlite")
    with closing(sqlite3.connect(path)) as base:
        base.executescript(SQL[name][0])
        base.commit()
    assert SQL[name][1] in refused(path)


def test_nothing_of_the_file_runs_and_nothing_is_written(tmp_path: Path) -> None:
    """Triggers and odd views stay asleep; the file is as it was, and nothing stands beside it."""
    path = written(tmp_path, "sqlite")
    with closing(sqlite3.connect(path)) as base:
        base.executescript(
            "CREATE VIEW bomb AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)"
            " SELECT * FROM r;"
            "CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM object; END;"
        )
    before = path.read_bytes()
    assert read_log(path, case_type="therapy", group_type="site").cases == 2
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("where", range(1, 100, 7))
def test_a_database_cut_anywhere_is_refused(tmp_path: Path, where: int) -> None:
    """Half a file is no log."""
    path = written(tmp_path, "sqlite")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * where // 100])
    refused(path)


def test_a_database_that_somebody_writes_is_refused(tmp_path: Path) -> None:
    """What is in the journal beside it would be missing."""
    path = written(tmp_path, "sqlite")
    path.with_name(path.name + "-wal").write_bytes(b"x")
    assert "Close the program" in refused(path)


def test_numbers_of_a_database_stay_numbers(tmp_path: Path) -> None:
    """The values of a type's columns are those that were written."""
    log = read_log(written(tmp_path, "sqlite"), case_type="therapy", group_type="site")
    assert sorted(log.steps["count"].cast(pl.Int64)) == list(range(8))
