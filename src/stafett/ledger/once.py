"""A file that is made once: keys, above all. Several processes may want it at the same moment.

Whoever finds the file finds all of it: it is written beside its place, durable there, and only then
given its name, which succeeds for one process. A crash before that leaves nothing that counts.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def made_once(path: Path, make: Callable[[], bytes], mode: int = 0o600) -> bytes:
    """Return what is in `path`; what `make` gives, for good, if there was nothing yet."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was quicker
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    _durable(path.parent)
    return path.read_bytes()


def _durable(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
