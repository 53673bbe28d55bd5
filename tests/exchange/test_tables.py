from __future__ import annotations

from typing import Any

import pytest

from stafett.exchange import epcis, tables
from stafett.exchange.problem import Problem
from stafett.exchange.tables import read_mapping, read_table
from stafett.identity.din import Din

COURIER = """
stafett_import: 1
kind: milestones
delimiter: ";"
time: {column: Time, format: "%d.%m.%Y %H:%M", zone: Europe/Stockholm}
about: {column: AWB, as: sscc}
step: {column: Event, words: {PU: shipping, DEL: receiving}}
place: {column: Depot}
keep: [Driver]
"""
LOGGER = """
stafett_import: 1
kind: readings
time: {column: utc}
about: {column: box, as: giai}
value: {column: temp, type: Temperature, uom: CEL, decimal: ","}
device: {column: logger}
delimiter: "\\t"
chunk: 3
"""
RESULTS = """
stafett_import: 1
kind: results
time: {column: when}
about: {column: batch, as: coi}
test: {column: test}
value: {column: value, type: Dimensionless, uom: P1}
verdict: {column: verdict, words: {OK: conformant, OOS: non_conformant}}
"""


def judged(table: tables.Table) -> list[dict[str, Any]]:
    """Give the events of a table after they were judged as an EPCIS document."""
    value = epcis.document(table.events, tables.CONTEXT, created="2026-01-01T00:00:00Z")
    return epcis.judge(value).events


def test_a_couriers_milestones_become_events_and_wrong_rows_are_named() -> None:
    """Words are translated, local times get their zone, five kinds of wrong row are told apart."""
    data = (
        "Time;AWB;Event;Depot;Driver\n"
        "23.11.2026 08:30;095290030037165080;PU;Arlanda 3;Åsa\n"
        "23.11.2026 18:00;(00)095290030037165080;DEL;;\n"
        "23.11.2026 18:00;095290030037165081;DEL;;\n"
        "23.11.2026;095290030037165080;DEL;;\n"
        "29.03.2026 02:30;095290030037165080;PU;;\n"
        "25.10.2026 02:30;095290030037165080;PU;;\n"
        "23.11.2026 18:00;095290030037165080;LOST;;\n"
        ";;;;\n"
    ).encode()
    table = read_table(data, read_mapping(COURIER))
    first, second = judged(table)
    assert (first["bizStep"], second["bizStep"]) == ("shipping", "receiving")
    assert first["eventTime"] == "2026-11-23T08:30:00.000+01:00"
    assert first["epcList"] == second["epcList"] == ["https://id.gs1.org/00/095290030037165080"]
    assert first["readPoint"] == {"id": "urn:stafett:place:Arlanda%203"}
    assert first["table:Driver"] == "Åsa"
    assert [f.pointer for f in table.refused] == [f"/row/{n}" for n in range(3, 9)]
    for found, words in zip(
        table.refused,
        ("check digit", "no time of the form", "ambiguous or absent", "ambiguous or absent",
         "not in the mapping", "is empty"), strict=True,
    ):  # fmt: skip
        assert words in found.detail


def test_a_logger_file_becomes_one_event_for_each_stretch() -> None:
    """Seven readings of two boxes, out of order, with a decimal comma: chunks in time order."""
    rows = [f"2026-11-23T08:0{m}:00Z\tBOX{m % 2}\t-15{m},5\tLOG1" for m in (5, 1, 3, 0, 2, 4, 6)]
    data = "\n".join(["utc\tbox\ttemp\tlogger", *rows]).encode()
    events = judged(read_table(data, read_mapping(LOGGER)))
    sizes = [len(e["sensorElementList"][0]["sensorReport"]) for e in events]
    assert sorted(sizes) == [1, 3, 3]
    for event in events:
        element = event["sensorElementList"][0]
        times = [r["time"] for r in element["sensorReport"]]
        assert times == sorted(times)
        assert element["sensorMetadata"]["endTime"] == times[-1] == event["eventTime"]
    values = {r["value"] for e in events for r in e["sensorElementList"][0]["sensorReport"]}
    assert values == {-150.5 - m for m in range(7)}


def test_laboratory_results_carry_test_value_and_verdict() -> None:
    """A result is an inspection with a value; the verdict is its disposition."""
    data = b"when,batch,test,value,verdict\n2026-11-23T08:00:00+01:00,CHA1,viability,77.5,OOS\n"
    (event,) = judged(read_table(data, read_mapping(RESULTS)))
    report = event["sensorElementList"][0]["sensorReport"][0]
    assert (event["disposition"], report["table:test"], report["value"]) == (
        "non_conformant", "viability", 77.5,
    )  # fmt: skip
    assert event["epcList"] == ["urn:stafett:coi:CHA1"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("kind: milestones", "kind: stones"), "kind"),
        (("stafett_import: 1", "stafett_import: 2"), "stafett_import"),
        (("shipping", "shipped"), "no business step"),
        (("Europe/Stockholm", "Europe/Atlantis"), "no zone"),
        (("keep: [Driver]", "extra: 1"), "extra"),
        (("step: {column: Event, words: {PU: shipping, DEL: receiving}}", ""), "needs 'step'"),
        (("kind: milestones", "kind: [}"), "expected node content"),
        (("kind: milestones", "kind: milestones\nkind: milestones"), "here twice"),
    ],
)
def test_a_wrong_mapping_is_refused_by_its_field(change: tuple[str, str], words: str) -> None:
    """Unknown fields, kinds, words and zones are told before a row is read."""
    with pytest.raises(Problem, match=words):
        read_mapping(COURIER.replace(*change))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a;b\n1;2\n", "no column 'Time'"),
        (b"\xff\xfe\x00", "not utf-8"),
        (b"Time;AWB\x00;Event;Depot;Driver\n", "NUL"),
        (b"", "no column"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(data: bytes, words: str) -> None:
    """Missing columns, other encodings and spreadsheets are told apart."""
    with pytest.raises(Problem, match=words):
        read_table(data, read_mapping(COURIER))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2026-11-23T08:00:00Z\tBOX\t-150\t5\tLOG1", "5 cells, the table 4 columns"),
        ("2026-11-23T08:00:00Z\tBOX\t1.234\tLOG1", "no number with a decimal ','"),
        ("2026-11-23T08:00:00Z\tBOX\t1_000\tLOG1", "no number"),
        ("2026-11-23\tBOX\t4\tLOG1", "no time"),
    ],
)
def test_a_row_that_could_be_read_in_two_ways_is_refused(row: str, words: str) -> None:
    """A cell too many shifts the rest, a point may part thousands, a day is no hour."""
    table = read_table(f"utc\tbox\ttemp\tlogger\n{row}\n".encode(), read_mapping(LOGGER))
    assert table.events == []
    assert words in table.refused[0].detail


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("utc\tbox\ttemp\tlogger\n2026-11-23T08:00:00Z\t\"BOX\t4\tL\n2026-11-23T08:01:00Z\tB\t5\tL\n",
         "no CSV"),
        ("utc\tbox\ttemp\ttemp\tlogger\n", "2 columns 'temp'"),
    ],
)  # fmt: skip
def test_a_table_that_swallows_rows_or_columns_is_refused(data: str, words: str) -> None:
    """An open quote takes the rows after it, of two columns of one name the last one counted."""
    with pytest.raises(Problem, match=words):
        read_table(data.encode(), read_mapping(LOGGER))


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("din", "A999926000001", "A999926000001"),
        ("din", "=A99992600000100", "A999926000001"),
        ("din", f"A9999 26 000001 {Din('A999926000001').check}", "A999926000001"),
        ("coi", "&/CHA9999263AFAE8", "CHA9999263AFAE8"),
        ("coi", "COI%7", "COI%257"),
    ],
)
def test_an_identifier_is_one_however_it_is_written(kind: str, text: str, found: str) -> None:
    """As its symbol, with its check character or bare: the same donation, the same chain."""
    assert tables.identifier(text, kind, "column") == f"urn:stafett:{kind}:{found}"


@pytest.mark.parametrize(
    ("kind", "text"),
    [("din", "A999926000001?"), ("din", "A99992600001"), ("din", "=A99992600000161"),
     ("coi", "CHA9999263AFAE8?"), ("sscc", "095290030037165081")],
)  # fmt: skip
def test_an_identifier_whose_check_does_not_fit_is_refused(kind: str, text: str) -> None:
    """A mistyped number never joins somebody else's journey."""
    with pytest.raises(ValueError, match="column"):
        tables.identifier(text, kind, "column")
