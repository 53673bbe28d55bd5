"""A file that is made once is never seen half made, by whoever else begins at the same moment."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stafett.ledger.once import made_once
from stafett.ledger.seal import log_key
from stafett.service.master import make as master_key

# Two that begin at once on one folder, round after round, as two servers do.
RACE = """
import sys, time
from pathlib import Path
from stafett.service.master import make as master_key
folder, begin = Path(sys.argv[1]), float(sys.argv[2])
for n in range(100):
    while time.time() < begin + n / 100:
        pass
    print(master_key(folder / f"{n}").hex())
"""


def test_two_servers_that_begin_at_once_have_one_key(tmp_path: Path) -> None:
    """Each reads a whole key, and it is the same one: half a key ended a server that began."""
    begin = str(time.time() + 3)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path), begin], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    one, other = (process.communicate()[0].split() for process in both)
    assert len(one) == 100 and {len(key) for key in one} == {64}
    assert one == other


def test_many_threads_find_what_the_first_has_made(tmp_path: Path) -> None:
    """One of them makes it; nothing is left beside it."""
    found: list[bytes] = []
    gate = threading.Barrier(8)

    def want(n: int) -> None:
        gate.wait()
        found.append(made_once(tmp_path / "key", lambda: str(n).encode() * 1000))

    threads = [threading.Thread(target=want, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and len(found) == 8
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_a_process_that_dies_while_it_makes_one_leaves_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one makes it: an empty key file would be found for ever after."""

    def died(handle: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "fsync", died)
        master_key(tmp_path / "vault.key")
    assert not (tmp_path / "vault.key").exists()
    assert len(master_key(tmp_path / "vault.key")) == 32


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    """Nobody else on the machine reads them."""
    master_key(tmp_path / "vault.key")
    log_key(tmp_path / "log.key")
    for name in ("vault.key", "log.key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
