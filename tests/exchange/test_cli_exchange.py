from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

import stafett
from stafett.cli.main import main
from stafett.exchange import epcis
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.joins import Joins
from stafett.journey.event import to_json
from stafett.journey.script import play
from stafett.ledger import Author, Draft, Ledger, Submission
from stafett.protocol.net import Net
from stafett.protocol.read import read


def run(*arguments: object) -> Result:
    """Run the command as a person would."""
    return CliRunner().invoke(main, ["exchange", *map(str, arguments)])


def reports(result: Result) -> list[dict[str, Any]]:
    """Give what --json printed."""
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_each_published_kind_of_document_is_recognised(shared: Path) -> None:
    """EPCIS, FHIR R5 and R4B and OCEL files are told apart and summed up, with status 0."""
    folder = shared / "standards"
    result = run(
        "import", "--json", folder / "celltherapy/corpus.json",
        folder / "fhir/fhir_r5_bundle.json", folder / "fhir/fhir_r4_bundle.json",
        folder / "ocel/example.jsonocel", folder / "process_mining/log.csv",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = reports(result)
    assert [r["kind"] for r in found] == [
        "EPCIS 2.0", "FHIR R5", "FHIR R4B", "OCEL 2.0", "event log",
    ]  # fmt: skip
    assert found[0]["events"] == 82
    assert found[0]["capture"].startswith("dry run")


def test_all_published_examples_get_their_verdict(shared: Path) -> None:
    """The valid ones end with 0, the invalid ones with 1 and a place."""
    folder = shared / "standards/examples"
    said = json.loads((folder / "expected_validity.json").read_text())
    for valid in (True, False):
        names = [n for n, v in said.items() if v["gs1_repo_schema_with_formats"] is valid]
        result = run("import", "--json", *(folder / n for n in names))
        assert result.exit_code == (0 if valid else 1)
        assert all(r["ok"] is valid for r in reports(result))
        if not valid:
            assert all(r["errors"] for r in reports(result))


def test_each_file_of_the_standards_is_taken_by_one_command(shared: Path) -> None:
    """Every publisher's document, one command each: what it is and holds, or what is wrong."""
    folder = shared / "standards"
    said = json.loads((folder / "examples/expected_validity.json").read_text())
    expected: dict[Path, tuple[str | None, int]] = {
        folder / "examples" / name: ("EPCIS 2.0", 0) if v["gs1_repo_schema_with_formats"] is True
        else ("EPCIS 2.0", 1)
        for name, v in said.items()
    }  # fmt: skip
    for path in (folder / "hash_reference").rglob("*.jsonld"):
        expected[path] = "EPCIS 2.0", 0
    for path in (folder / "hash_reference").rglob("*.xml"):
        expected[path] = "EPCIS in XML", 0
    for name, kind in {
        "examples/openepcis/JSON/Query/Queries/SimpleEventQuery.json": "EPCIS query",
        "celltherapy/corpus.json": "EPCIS 2.0",
        "celltherapy/queries.json": "EPCIS queries with answers",
        "fhir/fhir_r5_bundle.json": "FHIR R5",
        "fhir/fhir_r4_bundle.json": "FHIR R4B",
        "ocel/example.jsonocel": "OCEL 2.0",
        "ocel/ocel20-schema-json.json": "JSON schema",
        "process_mining/log.csv": "event log",
    }.items():
        expected[folder / name] = kind, 0
    documents = {
        p for p in (folder / "examples").rglob("*.json*") if p.parent != folder / "examples"
    }
    assert documents <= expected.keys() and len(expected) > 75
    for path, (kind, status) in expected.items():
        result = run("import", "--json", path)
        (report,) = reports(result)
        assert (result.exit_code, report.get("kind")) == (status, kind), (path, report)
        if status:
            assert report["errors"], path
        else:
            assert any(
                report.get(n)
                for n in ("events", "resources", "cases", "conditions", "queries", "requires")
            ), path


def test_a_message_of_an_unknown_sender_is_refused_with_the_reason(tmp_path: Path) -> None:
    """The line says which sender, and before it what is wrong with it."""
    path = tmp_path / "result.hl7"
    segments = (
        "MSH|^~\\&|LAB|QC|STAFETT|T|20261101080000+0100||ORU^R01^ORU_R01|MSG1|P|2.5.1",
        "PID|1||P1", "OBR|1|ORD1|F1|CD3^CD3", "OBX|1|NM|CD3^CD3||82.5|%|||||F",
    )  # fmt: skip
    path.write_text("\r".join(segments))
    mapping = Path(stafett.__file__).parent / "catalogue/hl7/laboratory.yaml"
    result = run("import", "--mapping", mapping, path)
    assert result.exit_code == 1  # it can be read
    assert "sender" in result.output and "LAB|QC" in result.output


def test_a_schema_is_held_to_our_own_export(shared: Path, tmp_path: Path) -> None:
    """OCEL's takes what Stafett exports; a stricter one names the place; none is fetched."""
    published = json.loads((shared / "standards/ocel/ocel20-schema-json.json").read_text())
    strict = {**published, "required": [*published["required"], "licence"]}
    elsewhere = {**published, "$ref": "http://127.0.0.1:9/other.json"}
    none = {"$schema": published["$schema"], "type": 7, "properties": {}}
    for n, (schema, status, said) in enumerate((
        (published, 0, '"our own export is valid":true'), (strict, 1, "licence"),
        (elsewhere, 2, "not fetched"), (none, 2, "is no JSON schema"),
    )):  # fmt: skip
        path = tmp_path / f"{n}.json"
        path.write_text(json.dumps(schema))
        result = run("import", "--json", path)
        assert result.exit_code == status, result.output
        assert said in result.output.replace(": ", ":").replace("export:", "export: "), said


def test_queries_with_answers_are_asked_of_the_store_and_differences_named(
    shared: Path, database: str, tmp_path: Path
) -> None:
    """All 69 as published, in one command with their corpus; a changed answer is found."""
    folder = shared / "standards/celltherapy"
    result = run(
        "import", "--json", "--database", database, folder / "corpus.json", folder / "queries.json"
    )
    corpus, asked = reports(result)
    assert corpus["capture"]["captured"] == 82 and result.exit_code == 0
    assert (asked["queries"], asked["answered as expected"]) == (69, 69)
    changed = json.loads((folder / "queries.json").read_text())
    first = changed["queries"][0]
    gone = {**first, "id": "gone", "expect": {**first["expect"], "events": ["urn:uuid:0"]}}
    fewer = {**first, "id": "fewer",
             "expect": {**first["expect"], "events": first["expect"]["events"][1:]}}  # fmt: skip
    odd = {**first, "id": "odd", "query": {"EQ_nothing": ["x"]}}
    ordered = next(q for q in changed["queries"] if q["expect"].get("ordered")
                   and len(q["expect"]["events"]) > 2)  # fmt: skip
    turned = ordered["expect"]["events"][::-1]
    back = {**ordered, "id": "back", "expect": {**ordered["expect"], "events": turned}}
    path = tmp_path / "queries.json"
    path.write_text(json.dumps({"queries": [gone, fewer, odd, back, first]}))
    result = run("import", "--json", "--database", database, path)
    (asked,) = reports(result)
    assert result.exit_code == 1 and not asked["ok"]
    assert [line.partition(":")[0] for line in asked["answered otherwise"]] == [
        "gone", "fewer", "odd", "back"
    ]  # fmt: skip
    assert asked["errors"][0].startswith("/queries/2: odd")


def test_import_with_a_database_captures_once(shared: Path, database: str, tmp_path: Path) -> None:
    """The first import captures 82 events, the second none; export gives them back."""
    corpus = shared / "standards/celltherapy/corpus.json"
    for expected in ((82, 0), (0, 82)):
        result = run("import", "--json", "--database", database, corpus)
        assert result.exit_code == 0, result.output
        capture = reports(result)[0]["capture"]
        assert (capture["captured"], capture["duplicates"]) == expected
    out = tmp_path / "all.json"
    assert run("export", out, "--to", "epcis", "--database", database, "--captured").exit_code == 0
    assert reports(run("import", "--json", out))[0]["events"] == 82


def test_a_table_is_a_dry_run_until_it_is_captured(tmp_path: Path, database: str) -> None:
    """One row of three is wrong: status 1; with --proceed the other two are captured."""
    (tmp_path / "m.yaml").write_text(
        "stafett_import: 1\nkind: milestones\ntime: {column: t}\nabout: {column: id}\n"
        "step: {column: s}\n"
    )
    (tmp_path / "c.csv").write_text(
        "t,id,s\n2026-01-01T00:00:00Z,A,shipping\n2026-01-02T00:00:00Z,A,receiving\nnever,A,x\n"
    )
    arguments = ["import", "--json", tmp_path / "c.csv", "--mapping", tmp_path / "m.yaml"]
    result = run(*arguments)
    assert result.exit_code == 1
    assert reports(result)[0]["errors"][0].startswith("/row/3: t: 'never' is no time")
    kept = reports(run(*arguments, "--database", database))[0]["capture"]
    assert kept == "dry run: nothing was captured"
    result = run(*arguments, "--database", database, "--proceed")
    assert reports(result)[0]["capture"]["captured"] == 2


def test_the_right_events_of_a_wrong_document_are_kept_by_who_proceeds(
    shared: Path, database: str
) -> None:
    """Five mistakes in three events, told in the order of the events; the rest is taken."""
    path = shared / (
        "standards/examples/openepcis/JSON/Capture/Documents/SensorData_with_combined_events.json"
    )
    told = run("import", "--json", path, "--database", database)
    (report,) = reports(told)
    places = [int(e.split("/")[3]) for e in report["errors"]]
    assert told.exit_code == 1 and places == sorted(places) and {7, 8, 10} == set(places)
    assert report["capture"] == "dry run: nothing was captured"
    (kept,) = reports(run("import", "--json", path, "--database", database, "--proceed"))
    assert kept["events left out"] == 3
    assert kept["capture"]["captured"] == kept["events"] > 0


def test_a_folder_without_a_tower_takes_and_gives_nothing(tmp_path: Path) -> None:
    """A misspelt folder gets no database of its own, in which nobody would look."""
    elsewhere = tmp_path / "misspelt"
    document = tmp_path / "x.json"
    document.write_text('{"resourceType": "Bundle", "type": "collection"}')
    for told in (
        run("import", document, "--folder", elsewhere),
        run("export", "--to", "epcis", "--folder", elsewhere, tmp_path / "out.json"),
    ):
        assert told.exit_code == 2 and "holds no record" in told.output
    assert not elsewhere.exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.json", "{", "not JSON"),
        ("x.json", '[{"uri": "urn:epc:id:sgln:1"}]', "a list in JSON"),
        ("x.xml", '<!DOCTYPE l [<!ENTITY a "ha">]><l>&a;</l>', "XML"),
        ("x.xes", '<!DOCTYPE l [<!ENTITY a "ha">]><log>&a;</log>', "document type"),
        ("x.csv", "", ""),
        (None, "", "there is no file"),
    ],
)
def test_what_cannot_be_read_ends_with_2_and_says_why(
    tmp_path: Path, name: str | None, content: str, words: str
) -> None:
    """Broken files, entity bombs and absent files: status 2, one clear sentence."""
    path = tmp_path / (name or "absent.json")
    if name:
        path.write_text(content)
    result = run("import", "--json", path)
    assert result.exit_code == 2
    assert words in json.dumps(reports(result))


def test_a_stranger_is_told_what_to_do(tmp_path: Path, shared: Path) -> None:
    """In the order of the call; each mistake once, with its place; what would help is named."""
    (tmp_path / "a.json").write_text('{"a": [1,\n tru')
    (tmp_path / "notes.md").write_text("# Notes")
    (tmp_path / "m.csv").write_text("t;AWB;Event\n02.03.2026 10:00;7;PU\n")
    folder = shared / "standards/examples/openepcis/JSON/Capture/Documents"
    files = [
        folder / "AggregationEvent_with_persistentDisposition.json", tmp_path / "a.json",
        shared / "standards/fhir/fhir_r5_bundle.json", tmp_path / "notes.md", tmp_path / "m.csv",
    ]  # fmt: skip
    said = run("import", *files)
    assert said.exit_code == 2
    heads = [line for line in said.output.splitlines() if line[:1] not in (" ", "")]
    assert [h.rpartition(": ")[0] for h in heads] == [str(f) for f in files]
    assert said.output.count("a field of ObjectEvent, TransformationEvent only") == 1
    assert said.output.count("/a/1: it ends here (line 2, column 5, byte 14)") == 1
    assert "BiologicallyDerivedProduct/aph (coi CHA999925000041, din A" in said.output
    assert "None" not in said.output and "validated by fhir.resources: yes" in said.output
    assert "notes.md is none of what is read here" in said.output
    assert "--mapping FILE" in said.output


def test_files_of_one_name_are_told_apart(tmp_path: Path, shared: Path, database: str) -> None:
    """Each has its own outcome: the second of the same content is the one with duplicates."""
    corpus = (shared / "standards/celltherapy/corpus.json").read_bytes()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.json").write_bytes(corpus)
    files = [tmp_path / name / "x.json" for name in ("a", "b")]
    found = reports(run("import", "--json", "--database", database, *files))
    assert [r["file"] for r in found] == [str(f) for f in files]
    assert [r["capture"]["captured"] for r in found] == [82, 0]


def test_a_dry_run_in_a_store_says_what_would_happen_and_keeps_nothing(
    tmp_path: Path, database: str
) -> None:
    """What is new, known, of which journey and what would wait; then the same, for good."""

    def event(n: int, about: str) -> dict[str, Any]:
        return {
            "type": "ObjectEvent", "eventTime": f"2026-01-01T00:00:{n:02d}Z",
            "eventTimeZoneOffset": "+00:00", "action": "OBSERVE", "epcList": [about],
        }  # fmt: skip

    def import_(*events: dict[str, Any], dry: bool) -> dict[str, Any]:
        document = epcis.document(list(events), created="2026-01-01T00:00:00Z")
        (tmp_path / "x.json").write_text(json.dumps(document))
        arguments = ["--json", "--database", database, tmp_path / "x.json"]
        result = run("import", *(["--dry-run"] if dry else []), *arguments)
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = reports(result)[0]["capture"]
        return found

    async def known() -> None:
        async with EpcisStore(database) as store:
            await Joins(store).register("J1", ["urn:a:bag"])

    first = event(1, "urn:a:other")
    assert import_(first, dry=False)["waiting"] == 1
    asyncio.run(known())
    events = [first, event(2, "urn:a:bag"), event(3, "urn:a:bag"), event(4, "urn:a:nobody")]
    expected = {"duplicates": 1, "journeys": {"J1": 2}, "waiting": 1, "left out": []}
    for _ in range(2):
        assert import_(*events, dry=True) == {"dry run": True, "would capture": 3, **expected}
    assert import_(*events, dry=False) == {"captured": 3, **expected}
    assert import_(*events, dry=True)["would capture"] == 0
    said = run("import", "--database", database, "--dry-run", tmp_path / "x.json").output
    assert "dry run yes, would capture 0, duplicates 4" in said
    assert run("import", "--dry-run", tmp_path / "x.json").exit_code == 2


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a walked journey's events, one a line."""
    net = Net(read(Path(__file__).parents[1] / "journey/rich.yaml").bind())
    path = tmp_path_factory.mktemp("record") / "J1.jsonl"
    events = play(net, datetime(2026, 3, 2, 7, 30, tzinfo=UTC)).events
    path.write_bytes(b"\n".join(msgspec.json.encode(to_json(e)) for e in events))
    return path


@pytest.mark.parametrize(
    ("form", "name", "kind"),
    [
        ("epcis", "j.json", "EPCIS 2.0"), ("fhir-r5", "j.json", "FHIR R5"),
        ("fhir-r4b", "j.json", "FHIR R4B"), ("ocel-json", "j.jsonocel", "OCEL 2.0"),
        ("xes", "j.xes", "event log"),
    ],
)  # fmt: skip
def test_what_is_exported_can_be_imported(
    record: Path, tmp_path: Path, form: str, name: str, kind: str
) -> None:
    """A journey in each form is taken by our own import without error."""
    result = run("export", tmp_path / name, "--to", form, "--record", record)
    assert result.exit_code == 0, result.output
    (report,) = reports(run("import", "--json", tmp_path / name))
    assert (report["ok"], report["kind"]) == (True, kind)


def test_an_event_log_is_exported_and_wrong_wishes_are_refused(
    shared: Path, tmp_path: Path
) -> None:
    """A CSV log becomes SQLite; a log cannot become FHIR; two sources are a wrong call."""
    log = shared / "standards/process_mining/log.csv"
    assert run("export", tmp_path / "l.sqlite", "--to", "ocel-sqlite", "--log", log).exit_code == 0
    assert run("export", tmp_path / "l.json", "--to", "fhir-r5", "--log", log).exit_code == 2
    assert run("export", tmp_path / "l.json", "--to", "xes").exit_code == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l.sqlite"]


def test_a_ledger_is_exported_journey_by_journey(
    record: Path, tmp_path: Path, database: str
) -> None:
    """All journeys of a ledger, as one from its file; an unknown one is named, and no file is."""
    events = [json.loads(line) for line in record.read_text().splitlines() if line]
    events = [e.get("event", e) for e in events]

    async def fill() -> None:
        async with Ledger(database) as ledger:
            for stream in ("j1", "room/x", "j2"):
                for n, body in enumerate(events):
                    kept = body if stream == "room/x" else {"event": body}
                    draft = Draft(body["type"], kept, datetime.fromisoformat(body["occurred_at"]))
                    key = f"{stream}-{n}"
                    await ledger.append(
                        Submission(stream, n, [draft], ["a"], Author("a"), key, key.encode())
                    )

    asyncio.run(fill())
    told = run("export", tmp_path / "all.jsonocel", "--to", "ocel-json", "--database", database)
    assert f"{2 * len(events):,} events" in told.output, told.output
    (report,) = reports(run("import", "--json", tmp_path / "all.jsonocel"))
    assert report["ok"]
    refused = run("export", tmp_path / "j.json", "--to", "epcis", "--database", database)
    assert refused.exit_code == 2 and "say --journey" in refused.output
    one = ["--to", "epcis", "--database", database, "--journey", "j2"]
    assert run("export", tmp_path / "j.json", *one).exit_code == 0
    for form in ("epcis", "ocel-json", "ocel-sqlite", "xes"):
        unknown = run("export", tmp_path / "j.json", *one[2:-1], "J-9", "--to", form)
        assert unknown.exit_code == 2 and "no journey 'J-9'" in unknown.output, unknown.output
    assert b"epcisBody" in (tmp_path / "j.json").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.jsonocel", "j.json"]


@pytest.mark.parametrize("form", ["ocel-json", "ocel-xml", "xes"])
def test_nothing_is_written_over_what_is_there(form: str, tmp_path: Path, database: str) -> None:
    """A record without a journey gives no file, and leaves that of another time as it was."""
    out = tmp_path / "kept"
    out.write_text("yesterday's")
    told = run("export", out, "--to", form, "--database", database)
    assert told.exit_code == 1 and "nothing was written" in told.output, told.output
    assert [p.read_text() for p in tmp_path.iterdir()] == ["yesterday's"]
