"""What every test may use."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from site_ import Site, serving
from stafett.ledger.schema import migrate
from stafett.ledger.server import Server

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of published data and vectors, which stays out of the repository."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared (published data and vectors) is not here")
    return SHARED


@pytest.fixture
def anyio_backend() -> str:
    """Run `async def` tests marked `anyio` on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run one embedded server for this test process, with a migrated template database.

    It does not wait for the disk: tests of crashes start servers of their own.
    """
    settings = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"}
    with Server(tmp_path_factory.mktemp("postgres") / "server", settings) as server:
        migrate(server.url)
        with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
            connection.execute("ALTER DATABASE stafett RENAME TO template_stafett")
        yield server


_numbers = itertools.count(1)


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """Give the address of a fresh, migrated database of this test's own."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template_stafett STRATEGY FILE_COPY")
        yield postgres.url_of(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def site(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve the whole control tower, with the demo network, to the tests of one module."""
    name = f"site_{next(_numbers)}"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template_stafett STRATEGY FILE_COPY")
        with serving(postgres.url_of(name), tmp_path_factory.mktemp("site")) as running:
            yield running
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
