"""What every test may use."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from _pytest.runner import runtestprotocol

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


# Files of which one test takes minutes begin first: two workers then end together.
LONG = (
    "test_by_hand.py",
    "test_every_page.py",
    "test_isolation.py",
    "test_mutations.py",
    "test_machine.py",
    "test_report.py",
    "test_offline.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; the others keep their order."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


# Where a real clock, broker or browser is in play, a machine with other work may be too slow once.
# Such a test is tried once more, and the second attempt is named in the output: never silently.
TIMED = ("watch", "service", "web")


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Try a test of real time once more when it fails; every other test has one attempt."""
    if not any(part in TIMED for part in item.path.parts):
        return None
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    failed = [report for report in reports if report.failed]
    if failed:
        why = "\n".join(report.longreprtext[-3000:] for report in failed)
        warnings.warn(f"tried a second time: {item.nodeid}: at first:\n{why}", stacklevel=1)
        item._initrequest()  # type: ignore[attr-defined]
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
