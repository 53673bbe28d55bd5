"""Where a record is read from: a folder (a mirror), a log's HTTP prefix, or an archive.

All hold the paths of C2SP tlog-tiles; an archive (`archive.Archive`) has its entries as text.
Nothing read from a source is believed before it is checked against a signed checkpoint.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from stafett.ledger import merkle, tiles
from stafett.ledger.finding import Finding
from stafett.ledger.tiles import Tile, parse_path

_PLAIN = re.compile(r"tile/(?:entries|[0-9])/(?:x[0-9]{3}/)*[0-9]{3}", re.ASCII)
LONGEST_BUNDLE = 256 * (2 + 0xFFFF)
PATIENCE_S = 300.0
_PLAINLY = {"Accept-Encoding": "identity"}


class Missing(LookupError):
    """The source does not have this file."""


class Unreadable(RuntimeError):
    """The source cannot be read at all (network, permissions); try again later."""


@dataclass(frozen=True, slots=True)
class Leaves:
    """The leaf hashes of one bundle's entries."""

    hashes: list[bytes | None]
    """By place; None where the entry is not here. As many as there are, even if that is wrong."""
    odd: tuple[Finding, ...] = ()
    """What is wrong already with how the entries are written down."""
    raw: bytes = b""
    """The bundle's bytes, where it is one."""


class Source(Protocol):
    """Read access to a record, by tlog-tiles paths and by bundles of 256 entries."""

    @property
    def complete(self) -> bool:
        """Whether every entry should be here."""

    @property
    def together(self) -> int:
        """How many bundles are best read in one go."""

    def read(self, path: str) -> bytes:
        """Return the content at `path`; raises Missing or Unreadable."""

    def leaves(self, index: int, width: int) -> Leaves:
        """Return the leaf hashes of bundle `index`. Raises Missing or Unreadable."""

    def entries(self, index: int, width: int) -> Iterator[tuple[int, bytes]]:
        """Yield the entries of bundle `index` that are here and readable, with their index."""


class Tiled:
    """A source whose entries are in tlog-tiles bundles."""

    __slots__ = ()
    complete = True
    together = 64  # 16,384 entries, tens of milliseconds

    def read(self, path: str) -> bytes:
        """Return the content at `path`."""
        raise NotImplementedError

    def leaves(self, index: int, width: int) -> Leaves:
        """Return the leaf hashes of bundle `index`."""
        data = self.read(Tile(None, index, width).path)
        try:
            return Leaves(list(merkle.bundle_hashes(data)), raw=data)
        except ValueError as error:
            raise Unreadable(str(error)) from None

    def entries(self, index: int, width: int) -> Iterator[tuple[int, bytes]]:
        """Yield the entries of bundle `index`."""
        try:
            found = tiles.decode_bundle(self.read(Tile(None, index, width).path), width)
        except (Missing, Unreadable, tiles.BadTile):
            return  # said where its hashes were asked for
        yield from enumerate(found, index * tiles.WIDTH)


@dataclass(frozen=True, slots=True)
class Folder(Tiled):
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


class Http(Tiled):
    """A log's prefix, read over HTTP with one connection kept open."""

    def __init__(
        self,
        prefix: str,
        client: httpx.Client | None = None,
        *,
        newest: bool = False,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`newest`: take the newest checkpoint, before a quorum has cosigned (to cosign it).

        `patience_s`: so long one file may take.
        """
        self._patience_s = patience_s
        self._prefix = prefix.rstrip("/")
        self._newest = newest
        self._client = client or httpx.Client(timeout=30, follow_redirects=True)

    def read(self, path: str) -> bytes:
        """Return the content at `path`."""
        _check_path(path)
        wanted = "checkpoint/newest" if self._newest and path == "checkpoint" else path
        url = f"{self._prefix}/{wanted}"
        until = time.monotonic() + self._patience_s
        data = bytearray()
        try:
            # Piece by piece: a server may send without end, slowly, or packed a thousand times.
            with self._client.stream("GET", url, headers=_PLAINLY) as answer:
                if answer.status_code in (404, 410):
                    raise Missing(path)
                if answer.status_code != 200:
                    raise Unreadable(f"{url}: status {answer.status_code}")
                for piece in answer.iter_bytes(1 << 16):
                    data += piece
                    if len(data) > LONGEST_BUNDLE:
                        raise Unreadable(f"{url}: it is longer than any tile")
                    if time.monotonic() > until:
                        raise Unreadable(f"{url}: not there after {self._patience_s:g} s")
        except httpx.HTTPError as error:
            raise Unreadable(f"{url}: {error}") from None
        return bytes(data)


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
