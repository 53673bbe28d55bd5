"""`stafett readings`: logger files in, and the broker's files out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import click

from stafett.cli.group import Sentences
from stafett.cli.remote import reason

# What a refusal asks for, and the option that says it.
_OPTIONS = {
    "say which comes first": "say --day-first or --month-first",
    "say which zone": "say which with --zone",
    "say whether it is C, F or K": "say --unit C, F or K",
    "say which it is": "say which with --column",
}


def _zone(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Take a time zone that there is; name the one that was likely meant."""
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return value and ZoneInfo(value).key
    except (KeyError, ValueError, OSError):
        near = get_close_matches(value or "", available_timezones(), 1, 0.5)
        meant = near[0] if near else "Europe/Stockholm"
        raise click.BadParameter(f"no time zone is called {value!r}; such as {meant}") from None


@click.group(cls=Sentences)
def readings() -> None:
    """Bring in what loggers measured; make the files of the MQTT broker."""


@readings.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--logger", help="Whose file it is: ORGANISATION.NUMBER.")
@click.option("--url", "--server", "server", default="http://127.0.0.1:8321", show_default=True,
              help="The tower.")  # fmt: skip
@click.option("--key", envvar="STAFETT_LOGGER_KEY", help="The logger's key (or the variable).")
@click.option("--zone", callback=_zone,
              help="Zone of times that have none, such as Europe/Stockholm.")  # fmt: skip
@click.option("--day-first/--month-first", default=None, help="What 03/04/2026 means.")
@click.option("--unit", type=click.Choice(["C", "F", "K"]), help="Of a temperature without one.")
@click.option("--column", help="The column of the temperature, where there are several.")
@click.option("--dry-run", is_flag=True, help="Say what the file holds; send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def import_(
    file: Path,
    logger: str | None,
    server: str,
    key: str | None,
    zone: str | None,
    day_first: bool | None,
    unit: Literal["C", "F", "K"] | None,
    column: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Read a logger's FILE (CSV) and send it to the control tower.

    What the file does not say (a zone, a unit, which number is the day) is asked for, not guessed.
    The file itself is kept. Sending it twice changes nothing.

    Exit status: 0 it is in (or, with --dry-run, readable); 1 it was refused; 2 it cannot be read.
    """
    import httpx

    from stafett.watch.filechunks import chunks
    from stafett.watch.filetext import text_of
    from stafett.watch.loggerfile import read
    from stafett.watch.reading import BadChunk

    try:
        data = file.read_bytes()
        found = read(text_of(data), zone=zone, day_first=day_first, unit=unit, column=column)
        parts = chunks(found)
    except BadChunk as wrong:
        todo = _OPTIONS.get(wrong.todo, wrong.todo)
        click.echo(f"{file.name}: {BadChunk(wrong.field, wrong.what, todo)}", err=True)
        raise SystemExit(2) from None
    except OSError as wrong:
        click.echo(f"{file.name}: {wrong}", err=True)
        raise SystemExit(2) from None
    told = [v for v in found.channels["temperature_c"] if v == v]
    report: dict[str, object] = {
        "file": file.name,
        "readings": len(found.times),
        "without_value": len(found.times) - len(told),
        "first": datetime.fromtimestamp(min(found.times), UTC).isoformat(),
        "last": datetime.fromtimestamp(max(found.times), UTC).isoformat(),
        "coldest_c": min(told, default=None),
        "warmest_c": max(told, default=None),
        "columns": found.columns,
        "unit": found.unit,
        "zone": found.zone,
        "order": found.order,
        "rows_after": found.after,
        "chunks": len(parts),
        "sent": False,
    }
    if not dry_run:
        if not logger or "." not in logger or not key:
            raise click.UsageError("to send it, give --logger ORGANISATION.NUMBER and --key")
        organisation, _, number = logger.partition(".")
        said = {
            "name": file.name[:200], "zone": zone, "unit": unit, "column": column,
            "order": {None: None, True: "day-first", False: "month-first"}[day_first],
        }  # fmt: skip
        try:
            answer = httpx.post(
                f"{server}/api/loggers/{organisation}/{number}/file",
                params={name: value for name, value in said.items() if value is not None},
                content=data,
                headers={"Authorization": f"Bearer {key}"},
                timeout=60,
            )
        except httpx.HTTPError as error:
            click.echo(f"{server}: {error}; send the file again", err=True)
            raise SystemExit(1) from None
        if answer.status_code != 201:
            no = answer.json() if "json" in answer.headers.get("content-type", "") else {}
            why = "; ".join(map(reason, no.get("reasons", [])))
            click.echo(f"{no.get('title', answer.status_code)} {why}", err=True)
            raise SystemExit(1)
        report["sent"] = True
    if as_json:
        click.echo(json.dumps(report))
        return
    click.echo(
        f"{file.name}: {report['readings']} readings from {report['first']} to {report['last']},"
        f" {report['coldest_c']} to {report['warmest_c']} °C,"
        f" {report['without_value']} without a value"
    )
    for name, header in found.columns.items():
        unit_said = f", in {found.unit}" if name == "temperature_c" else ""
        click.echo(f"  {name:14} from column {header!r}{unit_said}")
    how = f"{found.order}, " if found.order else ""
    left = f"; {found.after} rows below the table left out" if found.after else ""
    click.echo(f"  times: {how}zone {found.zone}{left}")
    click.echo("Sent." if report["sent"] else "Nothing was sent (--dry-run).")


@readings.command("broker")
@click.argument("target", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path))
@click.option("--folder", "tower", type=click.Path(path_type=Path, file_okay=False),
              default=Path(".stafett"), show_default=True,
              help="Where the control tower keeps its data.")  # fmt: skip
@click.option("--database", help="The control tower's database, instead of that of its folder.")
@click.option("--port", default=1883, show_default=True)
@click.option("--password", envvar="STAFETT_MQTT_PASSWORD", prompt=True, hide_input=True,
              help="What the tower signs in with, as user `stafett`; asked for.")  # fmt: skip
def broker(target: Path, tower: Path, database: str | None, port: int, password: str) -> None:
    """Write Mosquitto's files into FOLDER: configuration, passwords, who may use which topic.

    Run it again when loggers were registered, and send Mosquitto SIGHUP. The control tower connects
    with STAFETT_MQTT_URL=mqtt://stafett:PASSWORD@127.0.0.1:PORT.
    """
    import psycopg
    from psycopg_pool import AsyncConnectionPool

    from stafett.ledger.database import database as server
    from stafett.service.loggers import Loggers, seal
    from stafett.service.mqtt import broker_files
    from stafett.service.tower import _as_service

    async def lines(url: str) -> list[str]:
        async with AsyncConnectionPool(url, open=False, configure=_as_service) as pool:
            return await Loggers(pool).passwords()

    with contextlib.ExitStack() as open_:
        url = database or open_.enter_context(server(tower / "postgres", existing=True)).url
        psycopg.connect(url, connect_timeout=10).close()  # a pool would try for half a minute
        passwords = asyncio.run(lines(url))
    target.mkdir(parents=True, exist_ok=True)
    files = broker_files(passwords, f"stafett:{seal(password)}", port, str(target.resolve()))
    for name, text in files.items():
        path = target / name
        path.touch(mode=0o600)
        path.write_text(text)
        os.chmod(path, 0o600)  # noqa: PTH101
    click.echo(f"{len(passwords)} loggers; start it with: mosquitto -c {target / 'mosquitto.conf'}")
