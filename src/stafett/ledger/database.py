"""The database of a folder: the one that STAFETT_DATABASE_URL names, or an embedded server's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from psycopg.conninfo import conninfo_to_dict

from stafett.ledger.launch import ServerFailed
from stafett.ledger.server import Server

# libpq: what was sent has no acknowledgement for so long, or nothing has come and nobody answers.
VANISHED = {
    "tcp_user_timeout": 10_000, "keepalives_idle": 5, "keepalives_interval": 2,
    "keepalives_count": 3,
}  # fmt: skip


class Database(Protocol):
    """Something with the address of a database."""

    @property
    def url(self) -> str:
        """The address, as libpq understands it."""
        ...


def lasting(url: str) -> str:
    """Return the address with what makes a machine that has vanished be noticed, unless it says.

    A machine that loses its power ends no connection: whoever waits for an answer waits for as long
    as the system tries to reach it, a quarter of an hour and more, and whoever only listens for two
    hours. Neither makes a difference where the server is on this machine.
    """
    said = conninfo_to_dict(url)
    more = [f"{name}={value}" for name, value in VANISHED.items() if name not in said]
    if not url.startswith(("postgresql://", "postgres://")):
        return " ".join([url, *more])
    return url + ("&" if "?" in url else "?") + "&".join(more) if more else url


class Configured:
    """The database that STAFETT_DATABASE_URL names; someone else runs it."""

    def __init__(self, url: str) -> None:
        self.url = lasting(url)


@contextlib.contextmanager
def database(
    folder: Path, settings: Mapping[str, str] | None = None, *, existing: bool = False
) -> Iterator[Database]:
    """Yield the database of `folder`: the configured one, or an embedded server's.

    Raises ServerFailed or binaries.NoBinaries with what to do. `settings` are PostgreSQL settings
    for the embedded server. With `existing` none is made where there is none.
    """
    configured = os.environ.get("STAFETT_DATABASE_URL")
    if configured:
        yield Configured(configured)
        return
    if existing and not (folder / "data" / "PG_VERSION").exists():
        raise ServerFailed(
            f"{folder.parent} holds no record: name the folder of the control tower with --folder"
        )
    with Server(folder, settings) as server:
        yield server
