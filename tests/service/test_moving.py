"""The how-to "Move to another machine", as it is written: killed, backed up, restored, served."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import http_
from stafett.service import demo

STAFETT = Path(sys.executable).with_name("stafett")


@contextlib.contextmanager
def tower(verb: str, folder: Path, *more: str) -> Iterator[tuple[str, int]]:
    """Run a tower; give its address and process number."""
    said = folder.with_suffix(".said")
    with said.open("w") as out:
        running = subprocess.Popen(
            [STAFETT, verb, "--folder", folder, "--port", "0", *more], stdout=out, stderr=out
        )
    try:
        end = time.monotonic() + 120
        while not (found := re.search(r"Stafett is at (\S+)", said.read_text())):
            assert running.poll() is None and time.monotonic() < end, said.read_text()
            time.sleep(0.1)
        yield found[1], running.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.send_signal(signal.SIGTERM)
        running.wait(60)


def ledger(*words: object) -> str:
    """Run `stafett ledger ...`; it must succeed."""
    done = subprocess.run(
        [STAFETT, "ledger", *map(str, words)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def order(address: str) -> str:
    """Open a journey as the treating clinic; return its identifier."""
    who = {"login": "treating-clinic-1", "password": demo.PASSWORD}
    token = http_.post(f"{address}/api/session", json=who, timeout=60).json()["token"]
    body = {
        "key": uuid.uuid4().hex, "role": "treating_clinic", "protocol": "autologous-car-t",
        "network": demo.NETWORK, "wristband": "19121212-1212",
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {token}"}
    answer: httpx.Response = http_.post(
        f"{address}/api/journeys", json=body, headers=headers, timeout=60
    )
    assert answer.status_code == 201, answer.text
    made = str(answer.json()["journey"])
    listed = http_.get(f"{address}/api/journeys", headers=headers, timeout=60)
    assert made in listed.text
    return made


@pytest.fixture
def place() -> Iterator[Path]:
    """Give a short path (sockets need one)."""
    with tempfile.TemporaryDirectory(prefix="stafett-move-") as name:
        yield Path(name)


def test_a_killed_tower_goes_on_elsewhere_with_its_keys(place: Path) -> None:
    """kill -9; backup; restore; the keys put back: the record continues, sound, and is signed."""
    old, new = place / "old", place / "new"
    with tower("demo", old, "--no-day") as (address, process):
        journey = order(address)
        os.kill(process, signal.SIGKILL)
    assert "trust-policy" in ledger("backup", place / "backup", "--folder", old)
    ledger("restore", place / "backup", new)

    for words in (["serve", "--port", "0"], ["rebuild"], ["journey", "proof", journey]):
        refused = subprocess.run(
            [STAFETT, *words, "--folder", new], cwd=place,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert refused.returncode == 2 and "log.key is missing" in refused.stderr, words
        assert [part.name for part in new.iterdir()] == ["postgres"]

    keys = place / "keys.tar"
    subprocess.run(["tar", "-C", old, "--exclude", "postgres", "-cf", keys, "."], check=True)
    subprocess.run(["tar", "-C", new, "-xpf", keys], check=True)
    assert "are as they were" in ledger("scrub", "--folder", new)
    with tower("demo", new, "--no-day") as (address, _):  # the demo's witnesses run inside it
        again = order(address)
        time.sleep(3)  # sealed once a second at most, and cosigned
    assert journey != again
    ledger("export", place / "export.zip", "--folder", new)
    assert ledger("verify", place / "export.zip").startswith("sound")
