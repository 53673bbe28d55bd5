"""A database that is away for a while: every connection is cut, and no new one is let in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo


def cut(url: str) -> None:
    """Cut every connection to the database at `url`; new ones are let in."""
    _in_its_server(url, sql.SQL("SELECT"))


@contextmanager
def away(url: str) -> Iterator[None]:
    """Keep the database at `url` out of reach meanwhile."""
    _in_its_server(url, sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false"))
    try:
        yield
    finally:
        _in_its_server(url, sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true"), end=False)


def _in_its_server(url: str, statement: sql.SQL, *, end: bool = True) -> None:
    name = str(conninfo_to_dict(url)["dbname"])
    with psycopg.connect(make_conninfo(url, dbname="postgres"), autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(name)))
        if end:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
