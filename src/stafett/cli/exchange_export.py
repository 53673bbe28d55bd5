"""`stafett exchange export`: journeys, event logs and captured events in the field's forms."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from stafett.cli.bars import progress
from stafett.exchange.problem import Problem
from stafett.protocol.fit import plain

if TYPE_CHECKING:
    from stafett.ledger import Ledger

FORMS = ("epcis", "fhir-r5", "fhir-r4b", "ocel-json", "ocel-xml", "ocel-sqlite", "xes")
BATCH = 5000  # events that are read at a time

Journey = tuple[str, list[tuple[int, dict[str, Any]]]]


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--to", "form", type=click.Choice(FORMS), required=True)
@click.option("--log", type=click.Path(path_type=Path), help="An event log (CSV, XES, OCEL).")
@click.option("--record", type=click.Path(path_type=Path),
              help="A journey's events as JSON: a list, or one a line.")  # fmt: skip
@click.option("--journey", help="One journey of the database (default: all, for OCEL and XES).")
@click.option("--database", help="The database to read journeys from.")
@click.option("--folder", type=click.Path(path_type=Path), help="The control tower's folder.")
@click.option("--captured", is_flag=True, help="Write the captured EPCIS events, no journeys.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def export(
    out: Path,
    form: str,
    log: Path | None,
    record: Path | None,
    journey: str | None,
    database: str | None,
    folder: Path | None,
    captured: bool,
    as_json: bool,
) -> None:
    """Write journeys, an event log or captured events to OUT in a standard form.

    Exit status: 0 written; 1 there was nothing to write, and OUT is as it was; 2 the input cannot
    be read, or there is no such journey.
    """
    sources = [s for s in (log, record, database or folder) if s]
    if len(sources) != 1:
        raise click.UsageError("say where from: one of --log, --record, --database, --folder")
    try:
        if log is not None:
            count = _export_log(out, form, log)
        elif record is not None:
            count = _write(out, form, iter([(journey or record.stem, _record(record))]))
        else:
            with opened(database, folder) as url:
                if captured:
                    count = asyncio.run(_export_captured(out, url))
                else:
                    count = _write(out, form, _journeys(url, journey))
    except (Problem, OSError, ValueError, msgspec.MsgspecError) as wrong:
        if isinstance(wrong, OSError) and wrong.filename is not None:
            raise  # the command says which file, and why
        click.echo(f"stafett exchange: {plain(wrong)}", err=True)
        sys.exit(2)
    if as_json:
        click.echo(msgspec.json.encode({"file": str(out), "form": form, "events": count}))
    else:
        kept = "" if count else ": nothing was written"
        click.echo(f"{out}: {count:,} events as {form}{kept}")
    sys.exit(0 if count else 1)


@contextlib.contextmanager
def opened(url: str | None, folder: Path | None) -> Iterator[str]:
    """Give the address of the database that was named, or of a tower's folder, migrated."""
    from stafett.ledger.database import database
    from stafett.ledger.schema import migrate

    if url is None and folder is not None and "STAFETT_DATABASE_URL" not in os.environ:
        with database(folder / "postgres", existing=True) as server:
            migrate(server.url)
            yield server.url
        return
    url = url or os.environ["STAFETT_DATABASE_URL"]
    migrate(url)
    yield url


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


def _write(out: Path, form: str, journeys: Iterator[Journey]) -> int:
    from stafett.exchange.fhir_write import journey_bundle
    from stafett.exchange.mining import journey_to_ocel, journey_to_xes
    from stafett.exchange.ocel import writer
    from stafett.exchange.views import journey_document
    from stafett.exchange.xes import write_xes

    first = next(journeys, None)
    if first is None:
        return 0  # what is there from another time is worth more than an empty file
    every = itertools.chain((first,), journeys)
    if form == "xes":
        return write_xes(out, (journey_to_xes(n, [e for _, e in r]) for n, r in every))[1]
    if form.startswith("ocel-"):
        with writer(out, form.removeprefix("ocel-")) as sink:
            return sum(journey_to_ocel(n, (e for _, e in r), sink) for n, r in every)
    if next(journeys, None) is not None:
        raise ValueError(f"{form} is written one journey at a time: say --journey")
    name, record = first
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


def _journeys(url: str, only: str | None) -> Iterator[Journey]:
    """Give the journeys of a ledger, one at a time in memory, with a bar where somebody looks."""
    from stafett.ledger import Ledger

    with asyncio.Runner() as runner:
        ledger = runner.run(_open(Ledger(url)))
        try:
            if only is not None:
                events = runner.run(ledger.stream(only))
                found = list(_of_journeys([(e.stream, e.version, e.body) for e in events]))
                if not found:
                    raise ValueError(f"there is no journey {only!r} in this database")
                yield from found
                return
            size = runner.run(_size(ledger))
            with progress(size, "events read") as tick:
                yield from _of_journeys(_leaves(runner, ledger, size, tick))
        finally:
            runner.run(ledger.__aexit__(None, None, None))


async def _open(ledger: Ledger) -> Ledger:
    return await ledger.__aenter__()


async def _size(ledger: Ledger) -> int:
    return await ledger.size()


def _leaves(
    runner: asyncio.Runner, ledger: Ledger, size: int, tick: Callable[[int], None]
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    from stafett.ledger import leaf

    batches = ledger.leaves_by_stream(size, BATCH)

    async def following() -> list[tuple[int, str, bytes]]:
        return await anext(batches, [])

    while batch := runner.run(following()):
        for position, name, stored in batch:
            event = leaf.read(position, stored, b"")
            yield name, event.version, event.body
        tick(len(batch))


def _of_journeys(events: Iterable[tuple[str, int, dict[str, Any]]]) -> Iterator[Journey]:
    """Give each stream that holds journey events, with these."""
    for name, members in itertools.groupby(events, key=lambda e: e[0]):
        record = [
            (version, body)
            for _, version, outer in members
            if isinstance(body := outer.get("event"), dict)
            and "type" in body and "occurred_at" in body
        ]  # fmt: skip
        if record:
            yield name, record


async def _export_captured(out: Path, url: str) -> int:
    from stafett.exchange.epcis import document
    from stafett.exchange.epcis_answers import merge
    from stafett.exchange.epcis_pages import Stored
    from stafett.exchange.epcis_query import read_query
    from stafett.exchange.epcis_store import EpcisStore

    async with EpcisStore(url) as store:
        stored: list[Stored] = []
        token = None
        with progress(await store.size(), "events read") as tick:
            while True:
                page = await store.query(read_query({}), limit=1000, token=token)
                stored += page.events
                tick(len(page.events))
                token = page.next_token
                if token is None:
                    break
    if not stored:
        return 0
    context, events = merge(stored)
    _put(out, document(events, context, created=datetime.now(UTC).isoformat()))
    return len(events)
