"""`stafett rebuild`: throw the board's rows away and make them anew from the record."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import click

FOLDER = Path(".stafett")


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    help="Where the control tower keeps its data.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def rebuild(folder: Path, as_json: bool) -> None:
    """Make the board's rows anew from the record.

    Never needed for a new release (its rows are told apart from the old ones, and made anew at its
    first start), and nothing is lost by it: the rows say nothing that the record does not.
    """
    from stafett.ledger.database import database
    from stafett.ledger.schema import migrate
    from stafett.service.belongings import examine

    started = time.monotonic()
    with database(folder / "postgres", existing=True) as server:
        migrate(server.url)
        examine(server.url, folder, trust_clock=True)
        events, journeys, failed = asyncio.run(_rebuild(server.url, folder))
    answer = {"events": events, "journeys": journeys, "failed": failed}
    if as_json:
        click.echo(json.dumps(answer))
    else:
        click.echo(
            f"{journeys:,} rows made from {events:,} events"
            f" in {time.monotonic() - started:.1f} s; {len(failed)} could not be made"
            + "".join(f"\n  {name}" for name in failed)
        )
    if failed:
        raise SystemExit(1)


async def _rebuild(url: str, folder: Path) -> tuple[int, int, list[str]]:
    from stafett.service.kept import KeptRows
    from stafett.service.tower import Tower

    tower = Tower(url, folder)
    async with tower.pool, tower.ledger:
        await tower.library.open()
        await KeptRows(tower.pool).clear()
        await tower.outside.fhir_index.store.clear()  # made again as they are asked for
        size = await tower.ledger.size()
        click.echo(f"Reading {size:,} events ...", err=True)
        await tower.board.rebuild(size)
        await tower.board.save()
        return size, len(tower.board.rows), sorted(tower.board.broken)
