"""Where a record's files are read from: a folder (an export, a mirror) or a log's HTTP prefix.

Both hold the paths of C2SP tlog-tiles. Nothing read from a source is believed before it is checked
against a signed checkpoint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from stafett.ledger.tiles import Tile, parse_path

_PLAIN = re.compile(r"tile/(?:entries|[0-9])/(?:x[0-9]{3}/)*[0-9]{3}", re.ASCII)
LONGEST_BUNDLE = 256 * (2 + 0xFFFF)


class Missing(LookupError):
    """The source does not have this file."""


class Unreadable(RuntimeError):
    """The source cannot be read at all (network, permissions); try again later."""


class Source(Protocol):
    """Read access to a record's files, by their tlog-tiles path."""

    def read(self, path: str) -> bytes:
        """Return the content at `path`; raises Missing or Unreadable."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with the files of a record."""

    root: Path

    def read(self, path: str) -> bytes:
        """Return the content at `path`."""
        _check_path(path)
        try:
            # Without pathlib and without a buffer: an audit opens two files for 256 entries.
            with open(f"{self.root}/{path}", "rb", buffering=0) as file:  # noqa: PTH123
                return file.readall()
        except (FileNotFoundError, NotADirectoryError):
            raise Missing(path) from None
        except OSError as error:
            raise Unreadable(f"{self.root / path}: {error.strerror}") from None


class Http:
    """A log's prefix, read over HTTP with one connection kept open."""

    def __init__(self, prefix: str, client: httpx.Client | None = None) -> None:
        self._prefix = prefix.rstrip("/")
        self._client = client or httpx.Client(timeout=30, follow_redirects=True)

    def read(self, path: str) -> bytes:
        """Return the content at `path`."""
        _check_path(path)
        url = f"{self._prefix}/{path}"
        try:
            answer = self._client.get(url)
        except httpx.HTTPError as error:
            raise Unreadable(f"{url}: {error}") from None
        if answer.status_code in (404, 410):
            raise Missing(path)
        if answer.status_code != 200:
            raise Unreadable(f"{url}: status {answer.status_code}")
        if len(answer.content) > LONGEST_BUNDLE:
            raise Unreadable(f"{url}: {len(answer.content)} bytes are more than any tile has")
        return answer.content


def read_tile(source: Source, tile: Tile) -> bytes:
    """Return a tile's content; of a partial tile that is gone, the beginning of the full one.

    A log may delete a partial hash tile once the full one is there (tlog-tiles, Partial Tiles).
    """
    try:
        return source.read(tile.path)
    except Missing:
        if tile.full or tile.level is None:
            raise
        return source.read(Tile(tile.level, tile.index).path)[: 32 * tile.width]


def _check_path(path: str) -> None:
    """Only the paths of the specification: no path from outside can name another file."""
    if path != "checkpoint" and not _PLAIN.fullmatch(path):
        parse_path(path)
