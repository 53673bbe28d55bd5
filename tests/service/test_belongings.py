"""A tower is not started beside a record without what the record was made with."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from site_ import Site
from stafett.ledger.note import NoteSigner
from stafett.ledger.unfit import Unfit
from stafett.service.belongings import NAMES, examine, examine_log_key, kept


@pytest.fixture
def folder(site: Site, tmp_path: Path) -> Path:
    """Copy what lies beside the database of a tower that has a patient and cosignatures."""
    site.order()
    end = time.monotonic() + 20
    with psycopg.connect(site.tower.url, autocommit=True) as connection:
        while not connection.execute("SELECT 1 FROM ledger.cosignature LIMIT 1").fetchone():
            assert time.monotonic() < end
            time.sleep(0.1)
    return Path(shutil.copytree(site.tower.folder, tmp_path / "kept"))


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_what_was_kept_fits(site: Site, folder: Path) -> None:
    """Keys, policy and authors' keys as they were: nothing to say."""
    examine(site.tower.url, folder)
    examine_log_key(site.tower.url, folder)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_named_and_not_made(site: Site, folder: Path, name: str) -> None:
    """Each part that a restored database lacks is named; none is made in its place."""
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = contents(folder)
    with pytest.raises(Unfit, match=rf"{name}/? is missing.*Put back.*Nothing was changed") as no:
        examine(site.tower.url, folder)
    assert not any(f"{other} is" in str(no.value) for other in NAMES if other != name)
    assert contents(folder) == before


def test_everything_that_is_missing_is_said_at_once(site: Site, tmp_path: Path) -> None:
    """Beside a database alone all four parts are missing, and one message names them."""
    with pytest.raises(Unfit) as no:
        examine(site.tower.url, tmp_path)
    assert all(name in str(no.value) for name in NAMES)
    with pytest.raises(Unfit, match=r"log\.key.*missing"):
        examine_log_key(site.tower.url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def another_log(folder: Path) -> None:
    """Put another log's key there."""
    (folder / "log.key").write_text(NoteSigner.generate("elsewhere.example/log").to_text() + "\n")


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "another log's key": (another_log, r"log\.key is another one than signed it"),
    "a log key that is text": (
        lambda f: (f / "log.key").write_text("hello\n"), r"log\.key cannot be used"),
    "a log key that is no text": (
        lambda f: (f / "log.key").write_bytes(b"\xff\xfe"), r"log\.key cannot be used"),
    "an empty vault key": (
        lambda f: (f / "vault.key").write_bytes(b""), r"vault\.key has 0 bytes and not 32"),
    "another vault's key": (
        lambda f: (f / "vault.key").write_bytes(b"k" * 32), r"vault\.key is another one"),
    "a policy with a misspelt line": (
        lambda f: (f / "trust-policy").write_text("witnes a b\nquorum none\n"),
        r"trust-policy: line 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_named(site: Site, folder: Path, name: str) -> None:
    """A wrong or damaged file is told from a missing one, and stays as it is."""
    spoil, said = WRONG[name]
    spoil(folder)
    before = contents(folder)
    with pytest.raises(Unfit, match=said):
        examine(site.tower.url, folder)
    assert contents(folder) == before


def test_an_empty_database_needs_nothing(database: str, tmp_path: Path) -> None:
    """The first start of all makes its own keys."""
    examine(database, tmp_path)
    examine_log_key(database, tmp_path)


@pytest.mark.parametrize("hours", [1, 48])
def test_a_clock_behind_the_record_is_not_believed(
    database: str, tmp_path: Path, hours: int
) -> None:
    """An entry of tomorrow means that this clock is wrong, or that one was: a person says which."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE ledger.head SET recorded_at = now() + %s", [timedelta(hours=hours)]
        )
    with pytest.raises(Unfit, match=r"clock says.*--trust-clock.*Nothing was changed"):
        examine(database, tmp_path)
    examine(database, tmp_path, trust_clock=True)


def test_what_a_backup_does_not_hold_is_listed(site: Site, folder: Path) -> None:
    """Everything beside the database, by name: none of it is in a backup of the database."""
    (folder / "postgres").mkdir(exist_ok=True)
    found = kept(folder)
    assert {"author-keys/", "log.key", "trust-policy", "vault.key"} <= set(found)
    assert "postgres/" not in found
