"""The vault of direct identifiers: its master key."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from stafett.cli.ledger import _bar, _errors, _folder, _json, _say


@click.group()
def vault() -> None:
    """Keep the vault of patients' direct identifiers."""


@vault.command("rotate-key")
@click.option("--reason", required=True, help="Why; it is recorded in each hospital's trail.")
@_folder
@_json
def rotate_key(reason: str, folder: Path, as_json: bool) -> None:
    """Replace the master key, and destroy the old one.

    Every patient's key is sealed anew, and all of it is checked before the old one is destroyed.
    The tower may go on meanwhile. Whatever ends it (kill -9 too), the same command goes on where
    it was; until everything opens under the new key alone, the old one stays. Copies of vault.key
    elsewhere are yours to replace: backups from before open with the old one only.
    """
    from stafett.ledger.database import database
    from stafett.ledger.schema import migrate
    from stafett.service.refusal import No
    from stafett.service.rotation import rotate

    with _errors(), database(folder / "postgres", existing=True) as server:
        migrate(server.url)
        with _bar("sealing anew", None) as step:
            try:
                done = rotate(
                    server.url, folder, reason,
                    lambda stage, n, of: step(n + of * (stage == "checking"), 2 * of or None),
                )  # fmt: skip
            except No as no:
                click.echo(f"stafett vault: {no.reasons[0].what}", err=True)
                sys.exit(2)
        waits = asyncio.run(_tell(server.url, folder))
    kept = ", ".join(f"{kind} {n:,}" for kind, n in done.kept.items() if n) or "nothing yet"
    lines = [
        f"the master key is {done.key} now; under it: {kept}",
        f"the key {done.before} is destroyed in {folder}. Back up vault.key anew; while backups "
        "from before must be restorable keep the old key with them, and destroy it after the last",
    ]
    if waits:
        lines.append(f"{waits} changes wait for the record: the tower tells it by itself")
    told = {"before": done.before, "key": done.key, "kept": done.kept, "waits": waits}
    _say("\n".join(lines), told, as_json)


async def _tell(url: str, folder: Path) -> int:
    """Tell the record what waits; return how much still does."""
    from psycopg_pool import AsyncConnectionPool

    from stafett.ledger import Ledger, NotAcknowledged
    from stafett.service.author_keys import AuthorKeys
    from stafett.service.changes import Changes

    async with (
        AsyncConnectionPool(url, min_size=1, max_size=2, open=False) as pool,
        Ledger(url) as ledger,
    ):
        ledger.signing = AuthorKeys(folder / "author-keys", ledger).sign
        try:
            return await Changes(pool, ledger).relay()
        except NotAcknowledged:
            return 1
