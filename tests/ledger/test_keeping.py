"""Backup, restore, scrub and the commands around them."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from stafett.cli.ledger import ledger as command
from stafett.ledger import Ledger
from stafett.ledger.schema import migrate
from stafett.ledger.server import Server
from stafett.ledger.tamper import demonstrate


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a data folder with a ledger of 300 events in it."""
    from datetime import UTC, datetime

    from stafett.ledger import Author, Draft, Submission

    folder = tmp_path_factory.mktemp("tower") / "stafett"
    drafts = [Draft("noted", {"n": n}, datetime(2026, 1, 1, tzinfo=UTC)) for n in range(300)]
    made = Submission("j", 0, drafts, ["hospital"], Author("hospital"), "k", b"h")

    async def fill(url: str) -> None:
        async with Ledger(url) as ledger:
            await ledger.append(made)

    with Server(folder / "postgres") as server:
        migrate(server.url)
        asyncio.run(fill(server.url))
    return folder


def run(*words: object) -> tuple[int, str]:
    """Run `stafett ledger ...`; return status and output."""
    done = CliRunner().invoke(command, [str(w) for w in words])
    return done.exit_code, done.output


def test_export_then_verify_then_tamper(tower, tmp_path):
    """The commands work on a tower's folder; verification names the edited entry with status 1."""
    target = tmp_path / "export"
    status, said = run("export", target, "--folder", tower, "--json")
    assert status == 0, said
    answer = json.loads(said)
    assert (answer["size"], answer["entries"]) == (300, 300)
    status, said = run("verify", target, "--key", answer["key"], "--json")
    assert status == 0 and json.loads(said)["sound"]
    file = target / "entries/00000.txt"
    file.write_bytes(file.read_bytes().replace(b'{"n":41}', b'{"n":47}'))
    status, said = run("verify", target, "--key", answer["key"])
    assert status == 1 and "WRONG  position 42: the entry was changed" in said
    assert run("verify", tmp_path / "nothing")[0] == 2


def test_nobody_unknown_gets_a_key_in_the_record(tower, tmp_path):
    """A misspelt organisation is refused; what was written would stay for ever."""
    status, said = run("rotate-key", "hospitl", "--reason", "yearly", "--folder", tower)
    assert status == 2 and "no organisation 'hospitl'" in said
    assert not (tower / "author-keys").exists()


def test_many_faults_are_counted_and_not_all_told(tower, tmp_path, monkeypatch):
    """The first are named, the rest counted; --json has all of them."""
    target = tmp_path / "export"
    assert run("export", target, "--folder", tower)[0] == 0
    file = target / "entries/00000.txt"
    file.write_bytes(re.sub(rb'"n":(\d*7)\}', rb'"m":\1}', file.read_bytes()))
    monkeypatch.setattr("stafett.cli.ledger.MOST_TOLD", 2)
    every = len(json.loads(run("verify", target, "--json")[1])["problems"])
    status, said = run("verify", target)
    assert status == 1 and every > 2
    assert said.count("WRONG") == 2 and f"... and {every - 2} more" in said


def test_a_stranger_exports_hashes_only(tower, tmp_path):
    """An organisation outside every audience gets the tree and no entry."""
    target = tmp_path / "export.zip"
    status, said = run("export", target, "--folder", tower, "--as", "stranger", "--json")
    assert status == 0 and json.loads(said)["entries"] == 0
    status, said = run("verify", target, "--json")
    assert status == 0 and json.loads(said)["hidden"] == 300


def test_backup_and_restore_end_in_a_verification(tower, tmp_path):
    """A backup of the running database is restored elsewhere with the same root."""
    with Server(tower / "postgres") as server:
        status, said = run("backup", tmp_path / "backup", "--folder", tower)
        assert status == 0, said
        with psycopg.connect(server.url) as connection:
            (root,) = connection.execute("SELECT root FROM ledger.head").fetchone()
    status, said = run("restore", tmp_path / "backup", tmp_path / "again", "--json")
    assert status == 0, said
    assert json.loads(said) == {
        "folder": str(tmp_path / "again"),
        "size": 300,
        "root": root.hex(),
    }
    assert run("restore", tmp_path / "backup", tmp_path / "again")[0] == 2  # it is taken


def test_a_damaged_backup_is_not_restored(tower, tmp_path):
    """One changed byte in a file of the backup is found before anything starts."""
    with Server(tower / "postgres"):
        assert run("backup", tmp_path / "backup", "--folder", tower)[0] == 0
    largest = max((tmp_path / "backup" / "base").rglob("*"), key=lambda p: p.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[5000] ^= 1
    largest.write_bytes(data)
    status, said = run("restore", tmp_path / "backup", tmp_path / "again")
    assert status == 2 and "checksum mismatch" in said


def test_scrub_names_what_was_changed(tower, tmp_path):
    """A byte changed in the database itself is named, with status 1."""
    assert run("scrub", "--folder", tower)[0] == 0
    with Server(tower / "postgres"):
        assert run("backup", tmp_path / "backup", "--folder", tower)[0] == 0
    assert run("restore", tmp_path / "backup", tmp_path / "copy")[0] == 0
    folder = tmp_path / "copy"
    with Server(folder / "postgres") as server, psycopg.connect(server.url) as connection:
        connection.execute("ALTER TABLE ledger.event_store DISABLE TRIGGER append_only")
        connection.execute("ALTER TABLE ledger.event DROP CONSTRAINT event_check")
        connection.execute(
            "UPDATE ledger.event_store SET leaf = set_byte(leaf, 30, 64) WHERE position = 77"
        )
    status, said = run("scrub", "--folder", folder)
    assert status == 1 and "the event at position 77 was changed" in said


def test_the_demonstration_shows_who_notices_what(tmp_path):
    """Each crime is found by someone, the last one not by who trusts the host alone."""
    crimes = demonstrate(tmp_path, bytes(range(32)))
    assert [[c.found for c in crime.checks] for crime in crimes] == [
        [True],
        [True],
        [False, True, True, True],
    ]
    assert "position 42: the entry was changed" in crimes[0].checks[0].said
    assert "two roots at size 300" in crimes[2].checks[2].said
    assert run("demo-tamper")[0] == 0
