"""`stafett serve` where it cannot serve: status 2, what, where and what to do; nothing is made."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stafett.cli import serve as serving
from stafett.cli.main import main


@pytest.fixture
def taken() -> Iterator[int]:
    """Give a port at which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def serve(folder: Path, *more: object) -> Result:
    """Run `stafett serve` on `folder`."""
    return CliRunner().invoke(main, ["serve", "--folder", str(folder), *map(str, more)])


def refused(done: Result, *said: str) -> None:
    """Check that it was refused in one line that says all of `said`."""
    assert done.exit_code == 2 and isinstance(done.exception, SystemExit), done.exception
    assert all(part in done.output for part in said), done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("verb", ["serve", "demo"])
def test_a_port_that_was_asked_for_and_is_taken_is_not_exchanged(
    taken: int, tmp_path: Path, verb: str
) -> None:
    """A proxy would go on asking the other program."""
    called = [verb, "--folder", str(tmp_path / "t"), "--port", str(taken)]
    refused(CliRunner().invoke(main, called), f"port {taken}", "taken", "--port")
    assert not (tmp_path / "t").exists()


def test_the_demo_takes_the_next_port_and_says_so(
    taken: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who asked for no port in particular gets one that is free."""
    with serving._listen("127.0.0.1", taken, instead=True) as listening:
        assert listening.getsockname()[1] != taken
    assert f"Port {taken} is taken" in capsys.readouterr().err


def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    """192.0.2.1 is nobody's (RFC 5737)."""
    refused(serve(tmp_path / "t", "--host", "192.0.2.1", "--port", 0), "192.0.2.1", "0.0.0.0")


def test_a_folder_of_programs_that_holds_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STAFETT_POSTGRES_BIN is a folder with `postgres` and `initdb`, or left away."""
    monkeypatch.setenv("STAFETT_POSTGRES_BIN", str(tmp_path))
    refused(serve(tmp_path / "t", "--port", 0), "STAFETT_POSTGRES_BIN", str(tmp_path))


def test_a_damaged_data_folder_is_left_as_it_is(tmp_path: Path) -> None:
    """Without its PG_VERSION it is no database; nothing new is made over it."""
    data = tmp_path / "t" / "postgres" / "data"
    (data / "base").mkdir(parents=True)
    refused(serve(tmp_path / "t", "--port", 0), str(data), "ledger restore")
    assert [path.name for path in data.iterdir()] == ["base"]


def test_a_database_of_another_version_is_left_as_it_is(tmp_path: Path) -> None:
    """Its version and the way over are named."""
    data = tmp_path / "t" / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("14\n")
    refused(serve(tmp_path / "t", "--port", 0), "PostgreSQL 14", "pg_dumpall 14")


@pytest.mark.parametrize("address", ["postgresql://127.0.0.1:9/none", "no address"])
def test_a_database_that_does_not_answer_makes_no_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Where its address is written is said, and the folder stays empty."""
    monkeypatch.setenv("STAFETT_DATABASE_URL", address)
    refused(serve(tmp_path / "t", "--port", 0), "STAFETT_DATABASE_URL")
    assert not (tmp_path / "t").exists()
