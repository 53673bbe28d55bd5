"""`stafett exchange`: the field's documents in and out."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from stafett.cli.bars import progress
from stafett.cli.exchange_export import export, opened
from stafett.cli.group import Sentences
from stafett.exchange.problem import Problem

DRY = "dry run: nothing was captured"


@click.group(cls=Sentences)
def exchange() -> None:
    """Read and write the field's documents: EPCIS, FHIR, OCEL, XES, partners' tables."""


exchange.add_command(export)


@exchange.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--mapping", type=click.Path(path_type=Path, dir_okay=False),
              help="What the columns of a table mean (YAML).")  # fmt: skip
@click.option("--database", help="Capture what is right into this database (else: dry run).")
@click.option("--folder", type=click.Path(path_type=Path),
              help="Capture into the control tower's folder (its embedded database).")  # fmt: skip
@click.option("--owner", default="import", show_default=True, help="Who captures.")
@click.option(
    "--dry-run",
    "dry",
    is_flag=True,
    help="With --database or --folder: try it there, say what would happen, keep nothing.",
)
@click.option("--proceed", is_flag=True, help="Keep the right rows of a file that has wrong ones.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON.")
def import_(
    files: tuple[Path, ...],
    mapping: Path | None,
    database: str | None,
    folder: Path | None,
    owner: str,
    dry: bool,
    proceed: bool,
    as_json: bool,
) -> None:
    """Say what FILES are and hold, and what is wrong with them; capture them if asked to.

    Knows EPCIS 2.0 (JSON; XML, also of 1.2; queries, and files of them with
    the answers expected, which are asked of the store), FHIR R5 and R4B bundles,
    OCEL 2.0 (JSON, XML, SQLite), XES, HL7 v2 results (ORU^R01) and tables (CSV),
    these two with a mapping. Without --database or --folder nothing is changed
    anywhere; with one of them and --dry-run it is said what is new,
    which journeys it belongs to and what would wait, and nothing is kept.

    Exit status: 0 all is right; 1 something is not; 2 a file cannot be read.
    """
    from stafett.exchange.importing import Report, inspect

    if dry and not (database or folder):
        raise click.UsageError("--dry-run tries it in a store: name it, --database or --folder")
    plan = _bytes(mapping) if mapping else None
    reports: dict[Path, Report] = {}
    refused: dict[Path, dict[str, Any]] = {}
    status = 0
    with progress(len(files), "files read") as tick:
        for path in files:
            try:
                if not path.is_file():
                    raise Problem(404, "ValidationException", f"there is no file {str(path)!r}")
                reports[path] = inspect(path, plan)
            except (Problem, OSError) as wrong:
                status = 2
                found = getattr(wrong, "findings", ())
                refused[path] = {
                    "file": str(path), "ok": False, "detail": str(wrong),
                    "errors": [str(f) for f in found],
                }  # fmt: skip
            tick(1)
    outcomes: dict[Path, Any] = {}
    answers: dict[Path, list[str]] = {}
    if (database or folder) and reports:
        good = {p: r for p, r in reports.items() if r.document is not None and (r.ok or proceed)}
        with opened(database, folder) as url, progress(len(good), "files captured") as tick:
            outcomes = asyncio.run(_capture(url, good, owner, proceed, dry, tick))
            asked = {p: r.queries for p, r in reports.items() if r.queries}
            answers = asyncio.run(_ask(url, asked)) if asked else {}
    shown = []
    for path in dict.fromkeys(files):
        if path in refused:
            shown.append(refused[path])
            continue
        report = reports[path]
        status = max(status, 0 if report.ok else 1)
        body = {
            "file": str(path), "kind": report.kind, "ok": report.ok, **report.summary,
            "errors": [str(f) for f in report.errors], "remarks": [str(f) for f in report.remarks],
        }  # fmt: skip
        outcome = outcomes.get(path)
        if outcome is not None:
            body["capture"] = outcome
            status = max(status, 1 if outcome.get("error") else 0)
        elif report.document is not None:
            body["capture"] = DRY
        if path in answers:
            wrong_answers = answers[path]
            body["answered as expected"] = len(report.queries) - len(wrong_answers)
            body["answered otherwise"] = wrong_answers
            status = max(status, 1 if wrong_answers else 0)
        elif report.queries:
            body["answers"] = "not asked for (--folder or --database asks the store)"
        shown.append(body)
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False, indent=1))
    else:
        for body in shown:
            _tell(body)
    sys.exit(status)


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


async def _capture(
    url: str, reports: dict[Path, Any], owner: str, proceed: bool, dry: bool,
    tick: Callable[[int], None],
) -> dict[Path, Any]:  # fmt: skip
    from stafett.exchange.epcis_store import EpcisStore
    from stafett.exchange.rehearsal import capture

    out: dict[Path, Any] = {}
    async with EpcisStore(url) as store:
        for path, report in reports.items():
            try:
                got = await capture(store, report.document, owner=owner, proceed=proceed, dry=dry)
            except Problem as refused:
                out[path] = {
                    "captured": 0, "error": refused.detail,
                    "errors": [str(f) for f in refused.findings[:20]],
                }  # fmt: skip
            else:
                new = got.outcome.captured
                out[path] = {
                    **({"dry run": True, "would capture": new} if dry else {"captured": new}),
                    "duplicates": got.outcome.duplicates, "journeys": got.journeys,
                    "waiting": got.waiting,
                    "left out": [str(f) for f in got.outcome.errors[:20]],
                }  # fmt: skip
            tick(1)
    return out


async def _ask(url: str, files: dict[Path, Any]) -> dict[Path, list[str]]:
    from stafett.exchange.epcis_store import EpcisStore
    from stafett.exchange.query_file import ask

    async with EpcisStore(url) as store:
        return {path: await ask(store, asked) for path, asked in files.items()}


def _plain(value: Any) -> str:
    """Say a value of a report in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        inner = (
            f"{k} ({_plain(v)})" if isinstance(v, dict) else f"{k} {_plain(v)}"
            for k, v in value.items()
            if v not in ({}, [])
        )
        return ", ".join(inner)
    return str(value)


def _tell(body: dict[str, Any]) -> None:
    mark = "ok" if body["ok"] else "WRONG"
    click.secho(f"{body['file']}: {mark}  {body.get('kind', '')}".rstrip(), bold=True)
    detail, errors = body.get("detail", ""), body.get("errors", ())
    if detail and not (len(errors) == 1 and errors[0] in detail):  # else it is said below
        click.echo(f"  {detail}")
    for name, value in body.items():
        if name in ("file", "ok", "kind", "detail", "errors", "remarks") or value in (None, {}, []):
            continue
        more = " (--folder or --database captures)" if value == DRY else ""
        click.echo(f"  {name + ':':22s} {_plain(value)}{more}")
    for title in ("errors", "remarks"):
        lines = body.get(title, ())
        for line in lines[:5]:
            click.echo(f"  {title[:-1]}: {line}")
        if len(lines) > 5:
            click.echo(f"  {title}: {len(lines) - 5} more like these (--json shows them)")
