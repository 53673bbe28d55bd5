"""`stafett exchange`: the field's documents in and out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from stafett.exchange.problem import Problem

FORMS = ("epcis", "fhir-r5", "fhir-r4b", "ocel-json", "ocel-xml", "ocel-sqlite", "xes")


@click.group()
def exchange() -> None:
    """Read and write the field's documents: EPCIS, FHIR, OCEL, XES, partners' tables."""


@exchange.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--mapping", type=click.Path(path_type=Path, dir_okay=False),
              help="What the columns of a table mean (YAML).")  # fmt: skip
@click.option("--database", help="Capture what is right into this database (else: dry run).")
@click.option("--folder", type=click.Path(path_type=Path),
              help="Capture into the control tower's folder (its embedded database).")  # fmt: skip
@click.option("--owner", default="import", show_default=True, help="Who captures.")
@click.option("--proceed", is_flag=True, help="Keep the right rows of a file that has wrong ones.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON.")
def import_(
    files: tuple[Path, ...],
    mapping: Path | None,
    database: str | None,
    folder: Path | None,
    owner: str,
    proceed: bool,
    as_json: bool,
) -> None:
    """Say what FILES are and hold, and what is wrong with them; capture them if asked to.

    Knows EPCIS 2.0 (JSON; XML, also of 1.2; queries), FHIR R5 and R4B bundles, OCEL 2.0 (JSON),
    XES, HL7 v2 results (ORU^R01) and tables (CSV), these two with a mapping. Without --database or
    --folder nothing is changed anywhere.

    Exit status: 0 all is right; 1 something is not; 2 a file cannot be read.
    """
    from stafett.exchange.importing import Report, inspect

    plan = _bytes(mapping) if mapping else None
    reports: list[Report] = []
    status, shown = 0, []
    for path in files:
        try:
            if not path.is_file():
                raise Problem(404, "ValidationException", f"there is no file {str(path)!r}")
            reports.append(inspect(path, plan))
        except (Problem, OSError) as wrong:
            status = 2
            found = getattr(wrong, "findings", ())
            shown.append(
                {"file": path.name, "ok": False, "detail": str(wrong),
                 "errors": [str(f) for f in found]}
            )  # fmt: skip
    outcomes: dict[str, Any] = {}
    if (database or folder) and reports:
        good = [r for r in reports if r.document is not None and (r.ok or proceed)]
        with _database(database, folder) as url:
            outcomes = asyncio.run(_capture(url, good, owner, proceed))
    for report in reports:
        status = max(status, 0 if report.ok else 1)
        body = {
            "file": report.file, "kind": report.kind, "ok": report.ok, **report.summary,
            "errors": [str(f) for f in report.errors], "remarks": [str(f) for f in report.remarks],
        }  # fmt: skip
        outcome = outcomes.get(report.file)
        if outcome is not None:
            body["capture"] = outcome
            status = max(status, 1 if outcome.get("error") else 0)
        elif report.document is not None:
            body["capture"] = "dry run: nothing was captured"
        shown.append(body)
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False, indent=1))
    else:
        for body in shown:
            _tell(body)
    sys.exit(status)


@exchange.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--to", "form", type=click.Choice(FORMS), required=True)
@click.option("--log", type=click.Path(path_type=Path), help="An event log (CSV, XES, OCEL).")
@click.option("--record", type=click.Path(path_type=Path),
              help="A journey's events as JSON: a list, or one a line.")  # fmt: skip
@click.option("--journey", help="One journey of the database (default: all, for OCEL and XES).")
@click.option("--database", help="The database to read journeys from.")
@click.option("--folder", type=click.Path(path_type=Path), help="The control tower's folder.")
@click.option("--captured", is_flag=True, help="Write the captured EPCIS events, no journeys.")
def export(
    out: Path,
    form: str,
    log: Path | None,
    record: Path | None,
    journey: str | None,
    database: str | None,
    folder: Path | None,
    captured: bool,
) -> None:
    """Write journeys, an event log or captured events to OUT in a standard form.

    Exit status: 0 written; 1 there is nothing to write; 2 the input cannot be read.
    """
    sources = [s for s in (log, record, database or folder) if s]
    if len(sources) != 1:
        raise click.UsageError("say where from: one of --log, --record, --database, --folder")
    try:
        if log is not None:
            count = _export_log(out, form, log)
        elif record is not None:
            count = _write(out, form, [(journey or record.stem, _record(record))])
        else:
            with _database(database, folder) as url:
                count = asyncio.run(_export_database(out, form, url, journey, captured))
    except (Problem, OSError, ValueError, msgspec.MsgspecError) as wrong:
        click.echo(f"error: {wrong}", err=True)
        sys.exit(2)
    click.echo(f"{out}: {count:,} events as {form}")
    sys.exit(0 if count else 1)


@exchange.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print what is found as JSON.")
def mapping(file: Path, as_json: bool) -> None:
    """Check a mapping of laboratory codes (HL7) or of a table, before it is used.

    Each mistake is named with its line. Exit status: 0 it can be used; 1 it cannot.
    """
    from stafett.exchange import hl7_mapping, tables
    from stafett.protocol.read import ReadError, parse

    data = _bytes(file)
    lines: list[str] = []
    what = ""
    try:
        if "stafett_import" in parse(data, str(file)).value:
            what = f"table of {tables.read_mapping(data).kind}"
        else:
            found, wrong = hl7_mapping.read_mapping(data, str(file))
            lines = [str(error) for error in wrong]
            if found is not None:
                what = (
                    f"{', '.join(found.senders)}: {len(found.tests)} codes, for "
                    f"{found.organisation}"
                )
    except (ReadError, Problem) as error:
        lines = [str(error)]
    if as_json:
        click.echo(json.dumps({"ok": not lines, "what": what, "errors": lines}, ensure_ascii=False))
    else:
        for line in lines:
            click.echo(line)
        if not lines:
            click.echo(f"{file}: can be used ({what})")
    sys.exit(1 if lines else 0)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as wrong:
        raise click.UsageError(f"{path}: {wrong.strerror}") from None


@contextlib.contextmanager
def _database(url: str | None, folder: Path | None) -> Iterator[str]:
    from stafett.ledger.schema import migrate
    from stafett.ledger.server import database

    if url is None and folder is not None and "STAFETT_DATABASE_URL" not in os.environ:
        with database(folder / "postgres") as server:
            migrate(server.url)
            yield server.url
        return
    url = url or os.environ["STAFETT_DATABASE_URL"]
    migrate(url)
    yield url


async def _capture(url: str, reports: list[Any], owner: str, proceed: bool) -> dict[str, Any]:
    from stafett.exchange.epcis_store import EpcisStore

    out: dict[str, Any] = {}
    async with EpcisStore(url) as store:
        for report in reports:
            try:
                got = await store.capture(report.document, owner=owner, proceed=proceed)
            except Problem as refused:
                out[report.file] = {
                    "captured": 0, "error": refused.detail,
                    "errors": [str(f) for f in refused.findings[:20]],
                }  # fmt: skip
            else:
                out[report.file] = {
                    "captured": got.captured, "duplicates": got.duplicates,
                    "left out": [str(f) for f in got.errors[:20]],
                }  # fmt: skip
    return out


def _tell(body: dict[str, Any]) -> None:
    mark = "ok" if body["ok"] else "WRONG"
    click.secho(f"{body['file']}: {mark}  {body.get('kind', '')}", bold=True)
    if "detail" in body:
        click.echo(f"  {body['detail']}")
    for name, value in body.items():
        if name in ("file", "ok", "kind", "detail", "errors", "remarks") or value in (None, {}, []):
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        click.echo(f"  {name + ':':22s} {value}")
    for title in ("errors", "remarks"):
        lines = body.get(title, ())
        for line in lines[:5]:
            click.echo(f"  {title[:-1]}: {line}")
        if len(lines) > 5:
            click.echo(f"  {title}: {len(lines) - 5} more like these (--json shows them)")


def _record(path: Path) -> list[tuple[int, dict[str, Any]]]:
    data = path.read_bytes()
    found = (
        msgspec.json.decode(data, type=list[dict[str, Any]])
        if data.lstrip()[:1] == b"["
        else [msgspec.json.decode(line, type=dict[str, Any]) for line in data.splitlines() if line]
    )
    events = [e.get("event", e) for e in found]
    for n, event in enumerate(events, 1):
        if not isinstance(event, dict) or "type" not in event or "occurred_at" not in event:
            raise ValueError(f"{path.name}: event {n} is no journey event (type, occurred_at)")
    return list(enumerate(events, 1))


def _export_log(out: Path, form: str, path: Path) -> int:
    from stafett.eventlog.problems import LogUnreadableError
    from stafett.eventlog.reading import read_log
    from stafett.exchange.mining import log_to_ocel, log_to_xes
    from stafett.exchange.ocel import writer
    from stafett.exchange.xes import write_xes

    try:
        log = read_log(path)
    except LogUnreadableError as wrong:
        raise ValueError(str(wrong)) from None
    if form == "xes":
        return write_xes(out, log_to_xes(log))[1]
    if not form.startswith("ocel-"):
        raise ValueError("an event log can be written as OCEL or XES only")
    with writer(out, form.removeprefix("ocel-")) as sink:
        return log_to_ocel(log, sink)


Journeys = list[tuple[str, list[tuple[int, dict[str, Any]]]]]


def _write(out: Path, form: str, journeys: Journeys) -> int:
    from stafett.exchange.fhir_write import journey_bundle
    from stafett.exchange.mining import journey_to_ocel, journey_to_xes
    from stafett.exchange.ocel import writer
    from stafett.exchange.views import journey_document
    from stafett.exchange.xes import write_xes

    if form == "xes":
        return write_xes(out, (journey_to_xes(n, [e for _, e in r]) for n, r in journeys))[1]
    if form.startswith("ocel-"):
        with writer(out, form.removeprefix("ocel-")) as sink:
            return sum(journey_to_ocel(n, (e for _, e in r), sink) for n, r in journeys)
    if len(journeys) != 1:
        raise ValueError(f"{form} is written one journey at a time: say --journey")
    name, record = journeys[0]
    if form == "epcis":
        value = journey_document(
            name, record, created=datetime.now(UTC).isoformat(),
            administering=_administering(record),
        )  # fmt: skip
        count = len(value["epcisBody"]["eventList"])
    else:
        value = journey_bundle(
            name, record, "R4B" if form == "fhir-r4b" else "R5", _administering(record)
        )
        count = len(value["entry"])
    _put(out, value)
    return count


def _administering(record: list[tuple[int, dict[str, Any]]]) -> frozenset[str]:
    from stafett.exchange.views import ADMINISTERING, administering_steps
    from stafett.protocol import builtin

    found = ADMINISTERING
    for _, event in record:
        if event["type"] == "JourneyOpened" and event["protocol"] in builtin.names():
            found |= administering_steps(builtin.builtin(event["protocol"]).value)
    return found


def _put(out: Path, value: Any) -> None:
    partial = out.with_name(out.name + ".partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1))
    partial.replace(out)


async def _export_database(
    out: Path, form: str, url: str, journey: str | None, captured: bool
) -> int:
    from stafett.ledger import Ledger

    if captured:
        return await _export_captured(out, url)
    journeys: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    async with Ledger(url) as ledger:
        after = 0
        while True:
            if journey is not None:
                events = await ledger.stream(journey)
            else:
                events = await ledger.read(after, 5000)
            for event in events:
                body = event.body.get("event")
                if isinstance(body, dict) and "type" in body and "occurred_at" in body:
                    journeys.setdefault(event.stream, []).append((event.version, body))
            if journey is not None or len(events) < 5000:
                break
            after = events[-1].position
    if not journeys:
        return 0
    return _write(out, form, list(journeys.items()))


async def _export_captured(out: Path, url: str) -> int:
    from stafett.exchange.epcis import document
    from stafett.exchange.epcis_answers import merge
    from stafett.exchange.epcis_pages import Stored
    from stafett.exchange.epcis_query import read_query
    from stafett.exchange.epcis_store import EpcisStore

    async with EpcisStore(url) as store:
        stored: list[Stored] = []
        token = None
        while True:
            page = await store.query(read_query({}), limit=1000, token=token)
            stored += page.events
            token = page.next_token
            if token is None:
                break
    context, events = merge(stored)
    _put(out, document(events, context, created=datetime.now(UTC).isoformat()))
    return len(events)
