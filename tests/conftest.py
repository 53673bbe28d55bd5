"""What every test may use."""

from __future__ import annotations

import contextlib
import gc
import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import pytest_timeout
from _pytest.runner import runtestprotocol

from site_ import Site, serving
from stafett.cli.serve import steady
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
def in_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder that is in memory, where there is room for databases; else one on disk."""
    memory = Path("/dev/shm")
    if not (memory.is_dir() and shutil.disk_usage(memory).free > 4e9):
        yield tmp_path_factory.mktemp("postgres")
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="stafett-test-") as folder:
        Path(folder).chmod(0o755)  # the server gives up root
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(in_memory: Path) -> Iterator[Server]:
    """Run one embedded server for this test process, with a migrated template database.

    It does not wait for the disk: tests of crashes start servers of their own.
    """
    settings = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"}
    with Server(in_memory / "server", settings) as server:
        migrate(server.url)
        with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
            connection.execute("ALTER DATABASE stafett RENAME TO template_stafett")
        yield server


_numbers = itertools.count(1)


@contextlib.contextmanager
def _copy(postgres: Server, template: str, name: str) -> Iterator[str]:
    """Give the address of a new database, a copy of `template`, that goes away again."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        yield postgres.url_of(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """Give the address of a fresh, migrated database of this test's own."""
    with _copy(postgres, "template_stafett", f"test_{next(_numbers)}") as url:
        yield url


@pytest.fixture(scope="session")
def furnished(postgres: Server, in_memory: Path) -> Iterator[Path]:
    """Furnish the demo network once: in the database `furnished`, and in the folder given."""
    folder = in_memory / "furnished"
    with _copy(postgres, "template_stafett", "furnished") as url:
        with serving(url, folder):
            pass
        yield folder


@pytest.fixture(scope="module")
def site(postgres: Server, in_memory: Path, furnished: Path) -> Iterator[Site]:
    """Serve the whole control tower, with the demo network, to the tests of one module."""
    name = f"site_{next(_numbers)}"
    folder = Path(shutil.copytree(furnished, in_memory / name))
    with _copy(postgres, "furnished", name) as url, serving(url, folder) as running:
        yield running


# Files that take longest begin first, so that all workers end together: those that keep a core
# busy in turn with those that wait for clocks and for servers to come back.
LONG = (
    "test_by_hand.py",
    "test_no_english.py",
    "test_readings.py",
    "test_every_page.py",
    "test_machine.py",
    "test_crashes.py",
    "test_fuzz.py",
    "test_failover.py",
    "test_offline.py",
    "test_mqtt.py",
    "test_mutations.py",
    "test_computing.py",
    "test_design_edit.py",
    "test_report.py",
    "test_design_pages.py",
    "test_keeping.py",
    "test_board_rows.py",
    "test_isolation.py",
    "test_recovery.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; the others keep their order."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def pytest_collectstart() -> None:
    """Look for no cyclic garbage while modules are loaded: what they make stays.

    It was a quarter of the time that each worker takes to collect.
    """
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Look for cyclic garbage as seldom as a served tower does."""
    gc.enable()
    steady()


# Where a real clock, broker or browser is in play, a machine with other work may be too slow once.
# Such a test is tried once more, and the second attempt is named in the output: never silently.
TIMED = ("watch", "service", "web", "cli", "tlog")


def _timed(item: pytest.Item) -> bool:
    """Say whether a server, a broker or a browser is at work in a test."""
    return any(part in TIMED for part in item.path.parts) or "postgres" in getattr(
        item, "fixturenames", ()
    )


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Try a test of real time once more when it fails; every other test has one attempt."""
    if not _timed(item):
        return None
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    failed = [report for report in reports if report.failed]
    if failed:
        why = "\n".join(report.longreprtext[-3000:] for report in failed)
        warnings.warn(f"tried a second time: {item.nodeid}: at first:\n{why}", stacklevel=1)
        # The second attempt has as long as the first; the clock of the first must not stop it.
        hook.pytest_timeout_cancel_timer(item=item)
        hook.pytest_timeout_set_timer(item=item, settings=pytest_timeout._get_item_settings(item))
        # What its file shares is made anew too: the first attempt has left something there.
        module = item.getparent(pytest.Module)
        if module is not None and module.parent is not None:
            item.session._setupstate.teardown_exact(module.parent)  # type: ignore[arg-type]
        item._initrequest()  # type: ignore[attr-defined]
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
