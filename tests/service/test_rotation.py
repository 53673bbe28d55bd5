"""The vault's master key is replaced while all goes on, and again after whatever ended it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg_pool import AsyncConnectionPool

from site_ import Site
from stafett.cli.main import main
from stafett.ledger.unfit import Unfit
from stafett.service.belongings import examine
from stafett.service.factors import Box
from stafett.service.master import NAME, NEXT, KeyElsewhere, Master, key_id
from stafett.service.refusal import No
from stafett.service.rotation import STAGES, rotate
from stafett.service.vault import Vault, opens

pytestmark = pytest.mark.anyio

HOSPITAL, WHY, AT_ONCE = "hospital", "yearly", 4


class Died(Exception):
    """The process ends here."""


def quiet(stage: str, done: int, of: int) -> None:
    """Take no notice."""


def dying_at(stage: str, after: int = 0) -> Callable[[str, int, int], None]:
    """Give a step that ends the process at a stage, once `after` are done."""

    def step(now: str, done: int, of: int) -> None:
        if now == stage and done >= after:
            raise Died(now)

    return step


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncConnectionPool[Any]]:
    """Connections to a fresh database."""
    async with AsyncConnectionPool(database, min_size=1, max_size=4, open=False) as opened:
        yield opened


@pytest.fixture
async def vault(pool: AsyncConnectionPool[Any], tmp_path: Path) -> Vault:
    """A vault with ten patients, one of them erased: the process that serves."""
    made = Vault(pool, Master(tmp_path))
    for n in range(10):
        await made.enrol(HOSPITAL, {"wristband": f"W-{n}"}, f"J-{n}")
    async with pool.connection() as connection:
        (one,) = await made.sought(HOSPITAL, "W-9") or await made.sought(HOSPITAL, "J-9")
        await made.erase(connection, one.pseudonym, HOSPITAL)
    return made


async def bands(vault: Vault) -> list[str]:
    """Read every patient's wristband."""
    found = [*await vault.sought(HOSPITAL, "W-"), *await vault.sought(HOSPITAL, "W")]
    return sorted({(one.identifiers or {})["wristband"] for one in found})


def under(url: str, key: bytes) -> int:
    """Return how many patients' keys open under a master key."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT pseudonym, wrapped_key FROM vault.patient WHERE wrapped_key IS NOT NULL"
        ).fetchall()
    return sum(opens(AESGCM(key), *row) for row in rows)


EVERY = [f"W-{n}" for n in range(9)]


async def test_all_is_sealed_anew_and_the_old_key_is_gone(
    vault: Vault, database: str, tmp_path: Path, pool: AsyncConnectionPool[Any]
) -> None:
    """A serving process reads, writes and compares as before; the hospital's trail says so."""
    old, (one, *_) = (tmp_path / NAME).read_bytes(), await vault.sought(HOSPITAL, "W-3")
    commitment, device = await vault.commitment(one.pseudonym, "x"), await vault.device_key("me")
    done = rotate(database, tmp_path, WHY, quiet, AT_ONCE)
    new = (tmp_path / NAME).read_bytes()
    assert (done.before, done.key) == (key_id(old), key_id(new)) and new != old
    assert done.kept["patients"] == 9 and not (tmp_path / NEXT).exists()
    assert (under(database, old), under(database, new)) == (0, 9)
    assert await bands(vault) == EVERY
    assert await vault.commitment(one.pseudonym, "x") == commitment
    assert await vault.device_key("me") == device  # what a device keeps is read as before
    await vault.enrol(HOSPITAL, {"wristband": "W-new"}, "J-new")
    assert under(database, new) == 10
    with psycopg.connect(database) as connection:
        (row,) = connection.execute(
            "SELECT organisation, reason, before, after FROM service.change"
            " WHERE what = 'vault key rotated'"
        ).fetchall()
    assert row == (HOSPITAL, WHY, {"keys": [done.before]}, {"keys": [done.key], "patients": 9})
    again = rotate(database, tmp_path, WHY, quiet, AT_ONCE)
    assert again.before == done.key and len(await bands(vault)) == 10
    assert await vault.device_key("me") == device


@pytest.mark.parametrize(
    ("stage", "after"),
    [*((stage, 0) for stage in STAGES if stage != "replaced"), ("wrapping", 8), ("checking", 8)],
)
async def test_whatever_ends_it_all_is_read_meanwhile_and_it_goes_on(
    vault: Vault, database: str, tmp_path: Path, stage: str, after: int
) -> None:
    """At every stage: both keys are read, what is written stays, the rest is done later."""
    old = (tmp_path / NAME).read_bytes()
    with pytest.raises(Died):
        rotate(database, tmp_path, WHY, dying_at(stage, after), AT_ONCE)
    assert (tmp_path / NAME).read_bytes() == old and (tmp_path / NEXT).exists()
    examine(database, tmp_path)  # a tower starts on it
    assert await bands(vault) == EVERY
    await vault.enrol(HOSPITAL, {"wristband": "W-meanwhile"}, "J-meanwhile")
    rotate(database, tmp_path, WHY, quiet, AT_ONCE)
    assert (under(database, old), under(database, (tmp_path / NAME).read_bytes())) == (0, 10)
    assert await bands(vault) == [*EVERY, "W-meanwhile"]
    with psycopg.connect(database) as connection:
        query = "SELECT count(*) FROM service.change WHERE what = 'vault key rotated'"
        assert connection.execute(query).fetchone() == (1,)


async def test_a_process_that_is_killed_in_the_middle_of_a_batch(
    vault: Vault, database: str, tmp_path: Path
) -> None:
    """kill -9: some patients are under one key and some under the other, and none is lost."""
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom stafett.service.rotation import rotate\n"
        "def step(stage, done, of):\n"
        "    print(stage, done, flush=True)\n"
        "    stage == 'wrapping' and done >= 8 and time.sleep(600)\n"
        "rotate(sys.argv[1], Path(sys.argv[2]), 'yearly', step, 4)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, database, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert any(line == "wrapping 8\n" for line in child.stdout)
    with pytest.raises(Unfit, match="by another process"):
        rotate(database, tmp_path, WHY, quiet)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    old, new = (tmp_path / NAME).read_bytes(), (tmp_path / NEXT).read_bytes()
    assert (under(database, old), under(database, new)) == (5, 4)
    assert await bands(vault) == EVERY
    rotate(database, tmp_path, WHY, quiet, AT_ONCE)
    assert (under(database, old), under(database, new)) == (0, 9)


async def test_nothing_is_destroyed_while_something_opens_under_neither_key(
    vault: Vault, database: str, tmp_path: Path
) -> None:
    """A row of another installation's is named, and the old key stays."""
    old = (tmp_path / NAME).read_bytes()
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO vault.patient (pseudonym, organisation, wrapped_key, sealed, journey)"
            " VALUES ('P-STRANGER', 'hospital', %s, %s, 'J')",
            [os.urandom(60), os.urandom(60)],
        )
    with pytest.raises(Unfit, match="P-STRANGER opens neither under"):
        rotate(database, tmp_path, WHY, quiet, AT_ONCE)
    assert (tmp_path / NAME).read_bytes() == old and (tmp_path / NEXT).exists()
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM vault.patient WHERE pseudonym = 'P-STRANGER'")
    rotate(database, tmp_path, WHY, quiet, AT_ONCE)
    assert await bands(vault) == EVERY


async def test_small_secrets_are_sealed_anew_too(
    pool: AsyncConnectionPool[Any], vault: Vault, database: str, tmp_path: Path
) -> None:
    """Second factors, sealed under a key that is derived from the master key."""
    box = Box(Master(tmp_path), "second factor")
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO service.organisation (id, name, kind, country,"
            " time_zone) VALUES ('hospital', 'Hospital', 'hospital', 'SE', 'Europe/Stockholm')"
        )
        sealed = await box.seal(connection, "SECRET", "p-1")
        await connection.execute(
            "INSERT INTO service.person (id, organisation, login, name, password, roles, totp)"
            " VALUES ('p-1', 'hospital', 'p-1', 'P', 'x', '{}', %s)",
            [sealed],
        )
    assert rotate(database, tmp_path, WHY, quiet).kept["second factors"] == 1
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT totp FROM service.person").fetchone()
    assert row is not None and bytes(row[0]) != sealed
    assert box.open(bytes(row[0]), "p-1") == "SECRET"
    with pytest.raises(ValueError, match="no master key in the folder opens"):
        box.open(sealed, "p-1")


async def test_an_older_key_is_told_at_the_start_and_writes_nothing(
    vault: Vault, pool: AsyncConnectionPool[Any], database: str, tmp_path: Path
) -> None:
    """A folder that was put back from before the rotation, or another machine's: said which."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / NAME).write_bytes((tmp_path / NAME).read_bytes())
    done = rotate(database, tmp_path, WHY, quiet)
    with pytest.raises(KeyElsewhere, match=done.key):
        await Vault(pool, Master(elsewhere)).enrol(HOSPITAL, {"wristband": "W"}, "J")
    with pytest.raises(Unfit, match=f"the key {done.before}, and .* under {done.key}"):
        examine(database, elsewhere)
    with pytest.raises(Unfit, match="put back the one that was kept after the last rotation"):
        rotate(database, elsewhere, WHY, quiet)
    with psycopg.connect(database) as connection:  # a backup from before, beside the new key
        connection.execute("DELETE FROM vault.master")
        connection.execute("UPDATE vault.patient SET wrapped_key = %s", [os.urandom(60)])
    with pytest.raises(Unfit, match="from before it was replaced opens with the one of then"):
        examine(database, tmp_path)
    with pytest.raises(No):
        rotate(database, tmp_path, " ", quiet)


def test_the_command_replaces_it_beside_a_tower_that_serves(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders before, during and after are read; the record hears of it."""
    before = site.order("19470809-1011")
    monkeypatch.setenv("STAFETT_DATABASE_URL", site.tower.url)
    command = ["vault", "rotate-key", "--reason", "yearly", "--folder", str(site.tower.folder)]
    told = CliRunner().invoke(main, command)
    assert told.exit_code == 0, told.output
    assert "the master key is" in told.output and "is destroyed" in told.output
    after = site.order("19470809-1011")
    found = site.call(
        "administrator", "POST", "/api/erasures/search", json={"patient": "19470809-1011"}
    )
    assert {one["journey"] for one in found.json()} == {before, after}
    site.inside(site.tower.changes.relay())
    trail = site.inside(site.tower.ledger.stream("administration/university-hospital"))
    assert trail[-1].body["change"]["what"] == "vault key rotated"
    page = site.call("administrator", "GET", "/audit/changes").text
    assert "master key replaced" in page
