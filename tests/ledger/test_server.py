"""The embedded server: nothing leaks, everything comes back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from stafett.ledger import binaries, server
from stafett.ledger.database import database
from stafett.ledger.launch import ServerFailed
from stafett.ledger.server import Server, wait_until_gone

QUICK = {"fsync": "off"}
HOLDER = """
import sys, time
from pathlib import Path
from stafett.ledger.server import Server
with Server(Path(sys.argv[1]), {"fsync": "off"}) as server:
    print(server.pid or 0, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a short path (sockets need one) that is gone after the test."""
    with tempfile.TemporaryDirectory(prefix="stafett-test-") as name:
        yield Path(name) / "server"


def hold(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """Start a process that holds the server of `folder`; return it and the postmaster's number."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def answer(url: str) -> int:
    """Ask the server something."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT 6 * 7").fetchone()
    assert row is not None
    return int(row[0])


def eventually(url: str) -> int:
    """Ask the server until it answers."""
    for _ in range(500):
        try:
            return answer(url)
        except psycopg.OperationalError:
            time.sleep(0.01)
    return answer(url)


def test_it_starts_stops_and_starts_again(folder):
    """A fresh folder becomes a database; what was written is there at the next start."""
    with Server(folder, QUICK) as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        pid = server.pid
    assert pid and wait_until_gone(pid)
    with Server(folder, QUICK) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_killing_the_holder_leaves_no_server_and_the_next_start_works(folder):
    """kill -9 of the process that runs the server ends the server; the folder is free at once."""
    for _ in range(3):
        process, postmaster = hold(folder)
        process.kill()
        process.communicate()
        with Server(folder, QUICK) as server:
            assert answer(server.url) == 42
            assert wait_until_gone(postmaster)


def test_a_second_process_uses_the_same_server_and_inherits_it(folder):
    """Whoever comes second shares the server, and runs it when the first is gone."""
    process, postmaster = hold(folder)
    with Server(folder, QUICK) as server:
        assert not server.owned and answer(server.url) == 42
        process.kill()
        process.communicate()
        assert wait_until_gone(postmaster)
        assert eventually(server.url) == 42
        assert server.owned


def test_two_that_start_at_once_share_one_server(folder):
    """Of several processes that start on an empty folder one makes it and all can use it."""
    processes = [hold(folder) for _ in range(2)]
    try:
        assert sum(postmaster != 0 for _, postmaster in processes) == 1
    finally:
        for process, _ in processes:
            process.communicate()


def test_a_start_that_fails_once_is_tried_again(folder, monkeypatch):
    """A full disk has room again, a minute later: a server that has run is not given up."""
    with Server(folder, QUICK) as server:
        failed = []
        write = Server._write_authentication

        def full(self):
            if not failed:
                failed.append(1)
                raise OSError(28, "No space left on device")
            write(self)

        monkeypatch.setattr(Server, "_write_authentication", full)
        os.kill(server.pid, signal.SIGKILL)
        while not failed:
            time.sleep(0.01)
        assert eventually(server.url) == 42


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://s@db.example/stafett", "10000"),
        ("postgresql://s@/stafett?host=a,b&tcp_user_timeout=99", "99"),
        ("host=db.example dbname=stafett", "10000"),
    ],
)
def test_a_machine_that_vanishes_is_noticed_unless_the_address_says_otherwise(
    url, said, monkeypatch, tmp_path
):
    """Its power is gone and no connection ends: nobody waits a quarter of an hour for an answer."""
    monkeypatch.setenv("STAFETT_DATABASE_URL", url)
    with database(tmp_path) as configured:
        found = conninfo_to_dict(configured.url)
    assert found["tcp_user_timeout"] == said and found["keepalives_idle"] == "5"
    assert {name: found[name] for name in conninfo_to_dict(url)} == conninfo_to_dict(url)


def test_a_killed_postmaster_is_started_again(folder):
    """The server's own death is mended while someone needs it."""
    with Server(folder, QUICK) as server:
        first = server.pid
        assert first
        os.kill(first, signal.SIGKILL)
        assert wait_until_gone(first)
        assert eventually(server.url) == 42
        assert server.pid != first


def test_leftover_lock_files_of_a_dead_server_are_not_believed(folder):
    """A recorded process number that another process bears by now doesn't stop the start."""
    with Server(folder, QUICK):
        pass
    record = folder / "data" / "postmaster.pid"
    record.write_text(f"{os.getpid()}\n{folder / 'data'}\n0\n5432\n\n\n")
    with Server(folder, QUICK) as server:
        assert answer(server.url) == 42


def test_another_major_version_is_left_alone(folder):
    """A data folder of another PostgreSQL is not touched; the error says what to do."""
    data = folder / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("14\n")
    with pytest.raises(ServerFailed, match=r"made by PostgreSQL 14.*pg_dumpall 14"):
        Server(folder).start()
    assert [p.name for p in data.iterdir()] == ["PG_VERSION"]


def test_a_half_made_folder_is_made_again(folder):
    """A start that was killed during initdb leaves nothing that a later start trips over."""
    (folder / "data.new" / "base").mkdir(parents=True)
    with Server(folder, QUICK) as server:
        assert answer(server.url) == 42
    assert not (folder / "data.new").exists()


def test_a_long_path_gets_its_socket_elsewhere(folder):
    """A folder deeper than a socket's path may be works all the same."""
    deep = folder / ("x" * 60) / ("y" * 60)
    with Server(deep, QUICK) as server:
        assert answer(server.url) == 42
        sockets = server.sockets
        assert len(str(sockets)) < 90
    shutil.rmtree(sockets)


def test_a_server_that_cannot_start_says_why(folder):
    """A wrong setting comes back as an error with the server's own words."""
    with pytest.raises(ServerFailed, match="no_such_setting"):
        Server(folder, {**QUICK, "no_such_setting": "1"}).start()


def test_no_network_and_only_this_user(folder):
    """The server listens on no port, and lets in nobody but the user who runs it."""
    with Server(folder, QUICK) as server:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        hba = (server.data / "pg_hba.conf").read_text()
        assert "trust" not in hba and hba.count(" peer map=") == hba.count("\n") == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to act as another user")
def test_another_user_is_refused(folder):
    """The user that the server's files belong to is not let in by that alone."""
    folder.parent.chmod(0o755)
    with Server(folder, QUICK) as server:
        psql = (
            binaries.runnable_by(binaries.find(), server.runs.uid, folder.parent / "shelf") / "psql"
        )
        done = subprocess.run(
            [psql, "-w", server.url, "-c", "SELECT 1"],
            user=server.runs.uid, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode != 0 and "Peer authentication failed" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_programs_in_a_closed_folder_are_copied_to_where_they_can_run(folder):
    """Root's own folder is closed to the server's user: the programs are copied, not opened up."""
    closed = folder.parent / "closed"
    package = binaries.find().parent.parent
    shutil.copytree(package, closed / package.name)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, closed / libraries.name)
    programs = closed / package.name / binaries.find().parent.name / "bin"
    closed.chmod(0o700)
    shelf = folder.parent / "shelf"
    copy = binaries.runnable_by(programs, 65534, shelf)
    assert copy.is_relative_to(shelf)
    assert binaries.runnable_by(programs, 65534, shelf) == copy
    ran = subprocess.run([copy / "initdb", "--version"], capture_output=True, text=True, check=True)
    assert "PostgreSQL" in ran.stdout  # with its libraries, not only its own file
    assert binaries.major_version(copy) == binaries.major_version(binaries.find())
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_configured_database_is_used_and_missed_soon_when_it_vanishes(monkeypatch, tmp_path):
    """With STAFETT_DATABASE_URL nothing is started; what its address says of keepalives holds."""
    told = "postgresql://somewhere/else?keepalives_idle=60"
    monkeypatch.setenv("STAFETT_DATABASE_URL", told)
    with database(tmp_path / "unused") as found:
        parts = conninfo_to_dict(found.url)
    assert (parts["host"], parts["dbname"]) == ("somewhere", "else")
    assert (parts["keepalives_idle"], parts["tcp_user_timeout"]) == ("60", "10000")
    assert not (tmp_path / "unused").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="is an ordinary user already")
def test_it_works_as_an_ordinary_user():
    """Nothing needs root: another user makes and uses a server of their own."""
    code = (
        "import sys; from pathlib import Path; from stafett.ledger.server import Server\n"
        "import psycopg\n"
        "with Server(Path(sys.argv[1]) / 'server', {'fsync': 'off'}) as s:\n"
        "    print(psycopg.connect(s.url).execute('SELECT 6 * 7').fetchone()[0])\n"
    )
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if subprocess.run(["test", "-r", server.__file__], user=65534, check=False).returncode:
        pytest.skip("this checkout is in a folder that is closed to other users")
    for python in (sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin")):
        try:
            subprocess.run([python or "", "-c", ""], user=65534, check=True)
            break
        except (OSError, subprocess.CalledProcessError):
            continue
    else:
        pytest.skip("no Python here that another user may run")
    with tempfile.TemporaryDirectory() as name:
        shutil.chown(name, 65534)
        done = subprocess.run(
            [python, "-B", "-c", code, name], user=65534, group=65534, extra_groups=[],
            capture_output=True, text=True, check=False, cwd="/",
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
    assert (done.stdout, done.returncode) == ("42\n", 0), done.stderr
