"""The archive: a ledger as plain files, for a reader thirty years from now who has no database.

    README.md                  what all this is, and how to check it by hand
    about.json                 size, root, origin, whose view it is, how many entries are in it
    checkpoint                 the signed tree head, with cosignatures (C2SP tlog-checkpoint)
    log.vkey                   the log's public key (to be compared with one from elsewhere)
    policy                     the trust policy, where there is one (C2SP tlog-policy)
    tile/<level>/<N>[.p/<W>]   the hashes of the tree (C2SP tlog-tiles)
    entries/<K>.txt            the entries K·65536 … : one a line, "<index> <leaf>"
    documents/<sha256>         documents that entries name by their hash

A folder, or one .zip with the same names. Writing works on a stream: memory does not grow with the
ledger, and the tree is computed from the leaf hashes once more on the way.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from stafett.ledger import note, tiles
from stafett.ledger.checkpoint import parse_text
from stafett.ledger.finding import Finding
from stafett.ledger.merkle import Frontier, leaf_hash, subtree_root
from stafett.ledger.source import Leaves, Missing, Unreadable
from stafett.ledger.tiles import Tile

FORMAT = "stafett-archive/1"
PER_FILE = 65_536
# What is read from an archive that somebody else has made is bounded, whatever it unpacks to.
LONGEST_ENTRIES = 1 << 30
LONGEST_TILE = tiles.WIDTH * 32
LONGEST = 1 << 24  # of any other file; documents are hashed as they are read
PIECE = 1 << 20
MOST_ODD = 100  # lines of one file that are told
README = Path(__file__).with_name("archive-readme.md")

Row = tuple[bytes, bytes | None]
"""Leaf hash, and the entry's bytes where the reader may see them."""


class BadArchive(ValueError):
    """What should be an archive can't be read as one; the text says where."""


class Sink(Protocol):
    """Where an archive is written to."""

    def open(self, name: str) -> IO[bytes]:
        """Begin a file; one at a time."""

    def close(self) -> None:
        """Finish."""


class FolderSink:
    """Writes into a folder, which must not exist or be empty."""

    def __init__(self, root: Path) -> None:
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise BadArchive(f"{root} exists already: name a new one")
        self.root = root

    def open(self, name: str) -> IO[bytes]:
        """Begin a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")

    def close(self) -> None:
        """Nothing is left to do."""


class ZipSink:
    """Writes one .zip, whole or not at all."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise BadArchive(f"{path} exists already: name a new one")
        self.path = path
        self._fresh = path.with_name(f".{path.name}.part")
        self._zip = zipfile.ZipFile(self._fresh, "w", allowZip64=True)

    def open(self, name: str) -> IO[bytes]:
        """Begin a file; hashes don't shrink, text does."""
        info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        plain = name.startswith("tile/")
        info.compress_type = zipfile.ZIP_STORED if plain else zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        return self._zip.open(info, "w", force_zip64=name.startswith("entries/"))

    def close(self) -> None:
        """Put the finished file in its place."""
        self._zip.close()
        self._fresh.rename(self.path)


def sink(path: Path) -> Sink:
    """Return a writer for a .zip or a folder."""
    return ZipSink(path) if path.suffix == ".zip" else FolderSink(path)


@dataclass(frozen=True, slots=True)
class About:
    """What an archive says of itself: for orientation, nothing rests on it."""

    size: int
    entries: int
    reader: str | None
    """The organisation whose view it is; None: everything."""
    documents: int | None = None
    """How many documents are in it; None: made before November 2026, which did not say."""


def write(
    target: Sink,
    rows: Iterable[Row],
    checkpoint: str,
    vkey: str,
    *,
    reader: str | None = None,
    documents: Iterable[tuple[str, bytes]] = (),
    policy: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> About:
    """Write an archive of the tree of `checkpoint` (a signed note); return what is in it.

    `rows` are all leaves in order. Raises BadArchive if their root is not the checkpoint's: nothing
    that does not verify is called an archive.
    """
    head = parse_text(note.parse(checkpoint).text)
    writer = _Writer(target)
    for row in rows:
        writer.add(row)
        if writer.size % 1024 == 0:
            progress(writer.size)
    frontier = writer.finish()
    if (frontier.size, frontier.root) != (head.size, head.root):
        raise BadArchive(
            f"the {frontier.size} stored entries do not have the root that was signed for "
            f"{head.size}: the store was changed"
        )
    _file(target, "checkpoint", checkpoint.encode())
    _file(target, "log.vkey", f"{vkey}\n".encode())
    if policy is not None:
        _file(target, "policy", policy.encode())
    kept = 0
    for name, data in documents:
        _file(target, f"documents/{name}", data)
        kept += 1
    described = {
        "format": FORMAT, "origin": head.origin, "size": head.size, "root": head.root.hex(),
        "entries": writer.entries, "reader": reader, "documents": kept,
    }  # fmt: skip
    _file(target, "about.json", json.dumps(described, indent=1).encode() + b"\n")
    _file(target, "README.md", README.read_bytes())
    progress(writer.size)
    target.close()
    return About(head.size, writer.entries, reader, kept)


class _Writer:
    """Writes tiles and entries as leaves come."""

    def __init__(self, target: Sink) -> None:
        self.target = target
        self.size = self.entries = 0
        self._levels: list[list[bytes]] = [[]]  # hashes of the unfinished tile of each level
        self._done: list[int] = [0]  # finished tiles of each level
        self._file: IO[bytes] | None = None
        self._lines: list[bytes] = []

    def add(self, row: Row) -> None:
        """Take the next leaf."""
        hashed, entry = row
        if entry is not None:
            self._lines.append(b"%d %b\n" % (self.size, entry))
            self.entries += 1
        self.size += 1
        self._levels[0].append(hashed)
        if len(self._levels[0]) == tiles.WIDTH:
            self._full(0)
        if self.size % PER_FILE == 0:
            self._end_file()

    def _full(self, level: int) -> None:
        """Write a finished tile and hand its root upwards."""
        hashes = self._levels[level]
        _file(self.target, Tile(level, self._done[level]).path, tiles.encode_hashes(hashes))
        self._done[level] += 1
        self._levels[level] = []
        if level + 1 == len(self._levels):
            self._levels.append([])
            self._done.append(0)
        self._levels[level + 1].append(subtree_root(hashes))
        if len(self._levels[level + 1]) == tiles.WIDTH:
            self._full(level + 1)

    def _end_file(self) -> None:
        number = (self.size - 1) // PER_FILE
        _file(self.target, entries_name(number), b"".join(self._lines))
        self._lines = []

    def finish(self) -> Frontier:
        """Write what is unfinished; return the frontier, computed from the tiles."""
        if self.size % PER_FILE:
            self._end_file()
        frontier = Frontier()
        for level in reversed(range(len(self._levels))):
            hashes = self._levels[level]
            if hashes:
                place = Tile(level, self._done[level], len(hashes))
                _file(self.target, place.path, tiles.encode_hashes(hashes))
            for value in hashes:
                frontier = frontier.append_subtree(level * tiles.HEIGHT, value)
        return frontier


def entries_name(number: int) -> str:
    """Return the name of the file with the entries number·65536 and on."""
    return f"entries/{number:05d}.txt"


def _file(target: Sink, name: str, data: bytes) -> None:
    with target.open(name) as file:
        file.write(data)


class Archive:
    """An archive to read: a folder or a .zip. A `source.Source`."""

    together = PER_FILE // tiles.WIDTH

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._file: tuple[int, dict[int, bytes], tuple[Finding, ...]] | None = None
        if path.is_dir():
            return
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise BadArchive(f"{path} does not exist") from None
        except (zipfile.BadZipFile, OSError) as error:
            raise BadArchive(f"{path} is neither a folder nor a .zip: {error}") from None

    def __reduce__(self) -> tuple[object, ...]:
        return _opened, (self.path,)

    @property
    def complete(self) -> bool:
        """Whether it is nobody's view: every entry should be here."""
        return self.about.reader is None

    def read(self, path: str) -> bytes:
        """Return a file's bytes. Raises Missing, or Unreadable: it is damaged or too long."""
        most = LONGEST_ENTRIES if path.startswith("entries/") else LONGEST
        most = LONGEST_TILE if path.startswith("tile/") else most
        data = b"".join(self._pieces(path, most + 1))
        if len(data) > most:
            raise Unreadable(f"{path} is longer than {most:,} bytes")
        return data

    def digest(self, path: str) -> str:
        """Return the SHA-256 of a file of any length. Raises Missing or Unreadable."""
        hashed = hashlib.sha256()
        for piece in self._pieces(path, None):
            hashed.update(piece)
        return hashed.hexdigest()

    def _pieces(self, path: str, most: int | None) -> Iterator[bytes]:
        """Yield a file in pieces, at most the first `most` bytes."""
        try:
            with self._open(path) as file:
                left = most
                while piece := file.read(PIECE if left is None else min(PIECE, left)):
                    yield piece
                    left = None if left is None else left - len(piece)
        except (KeyError, FileNotFoundError, NotADirectoryError):
            raise Missing(path) from None
        except Unreadable:
            raise
        except (zipfile.BadZipFile, EOFError, ValueError, zlib.error, RuntimeError) as error:
            raise Unreadable(f"{path} is damaged: {error}") from None
        except OSError as error:
            raise Unreadable(f"{path}: {error.strerror or error}") from None

    def _open(self, path: str) -> IO[bytes]:
        if self._zip is not None:
            return self._zip.open(path)
        # Whoever made the folder may have put a device or a pipe there, which never ends.
        file = os.open(self.path / path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise Unreadable(f"{path} is no plain file")
        return os.fdopen(file, "rb")

    def strangers(self, size: int) -> Iterator[str]:
        """Say what is among the entries, tiles and documents and is none of a tree of `size`.

        Whoever reads the archive with other tools would take it for a part of the record.
        """
        names = self._names()
        for name, count in Counter(names).items():
            if count > 1:
                yield f"{name} stands {count} times in the .zip"
        for name in dict.fromkeys(names):
            if name.startswith("documents/"):
                is_part = is_document_name(name.removeprefix("documents/"))
            elif name.startswith("entries/"):
                found = _ENTRIES.fullmatch(name)
                is_part = found is not None and int(found[1]) * PER_FILE < size
            else:
                is_part = not name.startswith("tile/") or _is_tile(name, size)
            if not is_part:
                yield f"{name} belongs to no tree of {size} entries"

    def _names(self) -> list[str]:
        if self._zip is not None:
            return [name for name in self._zip.namelist() if not name.endswith("/")]
        found = []
        for top in ("documents", "entries", "tile"):
            for folder, _, names in os.walk(self.path / top):
                where = Path(folder).relative_to(self.path).as_posix()
                found += [f"{where}/{name}" for name in sorted(names)]
        return found

    def part(self, name: str) -> bytes:
        """Return a file without which this is no archive. Raises BadArchive."""
        try:
            return self.read(name)
        except Missing:
            what = "a ledger archive has it at its top"
            raise BadArchive(f"{self.path}: {name} is missing ({what})") from None
        except Unreadable as error:
            raise BadArchive(str(error)) from None

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""
        if self._zip is not None:
            return name in self._zip.NameToInfo
        return (self.path / name).is_file()

    def leaves(self, index: int, width: int) -> Leaves:
        """Return the leaf hashes of 256 entries; what is odd in their file, with its first ones."""
        entries, odd = self._lines(index // self.together)
        first = index * tiles.WIDTH
        found = [entries.get(at) for at in range(first, first + width)]
        hashes = [None if entry is None else leaf_hash(entry) for entry in found]
        return Leaves(hashes, odd if index % self.together == 0 else ())

    def entries(self, index: int, width: int) -> Iterator[tuple[int, bytes]]:
        """Yield the entries of a bundle that are here."""
        entries, _ = self._lines(index // self.together)
        first = index * tiles.WIDTH
        for at in range(first, first + width):
            if (entry := entries.get(at)) is not None:
                yield at, entry

    def _lines(self, number: int) -> tuple[dict[int, bytes], tuple[Finding, ...]]:
        """Return the entries of one file, by index, and what else is in it. The last is kept."""
        if self._file is None or self._file[0] != number:
            self._file = None
            self._file = (number, *self._parsed(number))
        return self._file[1], self._file[2]

    def _parsed(self, number: int) -> tuple[dict[int, bytes], tuple[Finding, ...]]:
        name = entries_name(number)
        entries: dict[int, bytes] = {}
        odd: list[Finding] = []
        after, end = number * PER_FILE, min(self.about.size, (number + 1) * PER_FILE)
        try:
            lines = io.BytesIO(self.read(name))  # a line at a time
        except (Missing, Unreadable) as error:
            what = f"{name} is missing" if isinstance(error, Missing) else str(error)
            return {}, (Finding("bundle", after, what),)
        for place, line in enumerate(lines, 1):
            if len(odd) == MOST_ODD:
                odd.append(Finding("inserted", None, f"{name} line {place} and on: not read"))
                break
            digits, blank, entry = line.removesuffix(b"\n").partition(b" ")
            if not blank or not digits.isdigit() or len(digits) > 18:
                odd.append(Finding("inserted", None, f"{name} line {place}: no index and entry"))
            elif not after <= (index := int(digits)) < end:
                what = f"{name} line {place}: entry {index} is out of place: inserted, repeated or"
                odd.append(Finding("inserted", None, f"{what} moved"))
            else:
                entries[index] = entry
                after = index + 1
        return entries, tuple(odd)

    def documents(self) -> Iterator[str]:
        """Yield the names (hashes) of the documents."""
        if self._zip is not None:
            names: Iterable[str] = (n for n in self._zip.namelist() if n.startswith("documents/"))
        else:
            names = (f"documents/{p.name}" for p in sorted((self.path / "documents").glob("*")))
        for name in names:
            yield name.removeprefix("documents/")

    @functools.cached_property
    def about(self) -> About:
        """What the archive says of itself. Raises BadArchive."""
        try:
            found = json.loads(self.part("about.json"))
            if found["format"] != FORMAT:
                raise BadArchive(f"about.json: format {found['format']!r} is not {FORMAT}")
            kept = found.get("documents")
            return About(
                int(found["size"]), int(found["entries"]), found["reader"],
                None if kept is None else int(kept),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            if isinstance(error, BadArchive):
                raise
            raise BadArchive(f"about.json is no description of an archive: {error!r}") from None


@functools.lru_cache(maxsize=1)
def _opened(path: Path) -> Archive:
    """Open an archive once in each process that helps to check it."""
    return Archive(path)


_DOCUMENT = re.compile("[0-9a-f]{64}")
_ENTRIES = re.compile("entries/([0-9]{5,18})[.]txt", re.ASCII)


def _is_tile(name: str, size: int) -> bool:
    try:
        tile = tiles.parse_path(name)
    except tiles.BadTile:
        return False
    return tile.level is not None and tile.width == tiles.width_at(tile.level, tile.index, size)


def is_document_name(name: str) -> bool:
    """Return whether `name` is a SHA-256 in hexadecimal."""
    return _DOCUMENT.fullmatch(name) is not None
