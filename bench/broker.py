"""A Mosquitto of a bench's own: the service's account, and one that publishes for all loggers."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from stafett.service.loggers import seal
from stafett.service.mqtt import broker_files


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def mosquitto(folder: Path, port: int) -> Iterator[None]:
    """Run a broker whose users are `stafett` and `bench`, each with its name as password."""
    folder.mkdir()
    lines = [f"bench:{seal('bench')}"]
    files = broker_files(lines, f"stafett:{seal('stafett')}", port, str(folder))
    files["acl"] = "user stafett\ntopic readwrite #\nuser bench\ntopic readwrite #\n"
    files["mosquitto.conf"] += "user root\n" if os.geteuid() == 0 else ""
    for file, text in files.items():
        (folder / file).write_text(text)
        (folder / file).chmod(0o600)
    command = ["mosquitto", "-c", str(folder / "mosquitto.conf")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield
    finally:
        process.terminate()
        process.wait()
