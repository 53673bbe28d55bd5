"""Check an archive: every entry against its hash, every hash against the tree, the tree against the
signatures. No database, no network.

What is wrong is named as narrowly as the evidence allows: an entry whose bytes were changed by its
position; where entry and hash were changed together, the 256 positions of the tile; where
everything below was made anew, that the signed root is not theirs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stafett.ledger import tiles
from stafett.ledger.archive import PER_FILE, BadArchive, Source, entries_name, is_document_name
from stafett.ledger.checkpoint import Checkpoint, open_checkpoint
from stafett.ledger.cosignature import verifier
from stafett.ledger.merkle import Frontier, leaf_hash, subtree_root
from stafett.ledger.policy import Policy, Verdict
from stafett.ledger.tiles import HEIGHT, WIDTH, Tile, width_at

TILES_PER_FILE = PER_FILE // WIDTH


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong. `position` is the event's (from 1), where it is a single one."""

    where: str
    what: str
    position: int | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(slots=True)
class Report:
    """What an archive was found to be."""

    checkpoint: Checkpoint
    trusted: bool
    """The log's key came from the caller, not from the archive itself."""
    verdict: Verdict | None = None
    """Who cosigned, where a policy was given."""
    entries: int = 0
    documents: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def hidden(self) -> int:
        """Entries that are there as hashes only."""
        return self.checkpoint.size - self.entries

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass(slots=True)
class _Chunk:
    """What one file of entries and its tiles came to."""

    roots: list[bytes] = field(default_factory=list)  # of the full tiles
    rest: list[bytes] = field(default_factory=list)  # leaf hashes of a partial tile
    entries: int = 0
    problems: list[Problem] = field(default_factory=list)


def verify(
    path: Path,
    *,
    keys: Sequence[str] = (),
    policy: Policy | None = None,
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, size: None,
) -> Report:
    """Check the archive at `path`; return what was found, good or bad.

    `keys` are the log's vkeys as the caller knows them; without them, or a policy, the archive's
    own key is used, which shows only that the archive fits itself. `progress` hears (done, size).
    Raises BadArchive or BadNote when it can't be read at all or the log did not sign it.
    """
    source = Source(path)
    about = source.about()
    raw = source.read("checkpoint")
    verdict = policy.judge(raw) if policy is not None else None
    own = [source.read("log.vkey").decode(errors="replace").strip()]
    trusted = bool(keys) or policy is not None
    known = list(keys) or ([str(p.vkey) for p in policy.logs] if policy else own)
    signed = open_checkpoint(raw, [verifier(key) for key in known])
    report = Report(signed.checkpoint, trusted, verdict)
    size = signed.checkpoint.size
    if about.size != size:
        report.problems.append(
            Problem("about.json", f"it says {about.size} entries, the signed checkpoint {size}")
        )
    chunks = _chunks(path, size, processes)
    roots: list[bytes] = []
    frontier = Frontier()
    done = 0
    for chunk in chunks:
        report.entries += chunk.entries
        report.problems += chunk.problems
        roots += chunk.roots
        for value in chunk.roots:
            frontier = frontier.append_subtree(HEIGHT, value)
        frontier = frontier.append(chunk.rest)
        done = min(size, done + PER_FILE)
        progress(done, size)
    _check_upper_tiles(source, roots, size, report)
    if frontier.root != signed.checkpoint.root or frontier.size != size:
        report.problems.append(
            Problem("checkpoint", f"the root over the {size} entries is not the signed one")
        )
    if about.entries != report.entries:
        report.problems.append(
            Problem("entries", f"{report.entries} are here, {about.entries} were exported")
        )
    if verdict is not None and not verdict.quorum:
        missing = ", ".join(verdict.missing) or "nobody else is listed"
        report.problems.append(Problem("checkpoint", f"too few cosignatures; missing: {missing}"))
    _check_documents(source, report)
    return report


def _chunks(path: Path, size: int, processes: int | None) -> Iterator[_Chunk]:
    """Check all files of entries, on all cores where it is worth it; yield them in order."""
    count = (size + PER_FILE - 1) // PER_FILE
    workers = min(count, processes or os.cpu_count() or 1)
    if workers <= 1:
        source = Source(path)
        yield from (_check_file(source, number, size) for number in range(count))
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from _bounded(pool, path, count, size, workers * 2)


def _bounded(pool: Executor, path: Path, count: int, size: int, ahead: int) -> Iterator[_Chunk]:
    """Run the chunks in order, only `ahead` of them beyond the one that is wanted."""
    running = [pool.submit(_check_path, path, n, size) for n in range(min(ahead, count))]
    for number in range(count):
        if number + ahead < count:
            running.append(pool.submit(_check_path, path, number + ahead, size))
        yield running.pop(0).result()


def _check_path(path: Path, number: int, size: int) -> _Chunk:
    """Check one file in a process of its own."""
    return _check_file(Source(path), number, size)


def _check_file(source: Source, number: int, size: int) -> _Chunk:
    """Check the entries and tiles from entry number·65536 on."""
    chunk = _Chunk()
    first = number * PER_FILE
    complete = source.about().reader is None
    lines = _Lines(source, number, min(size, first + PER_FILE), chunk)
    above = _stored(source, 1, number, size, chunk)
    for place in range(TILES_PER_FILE):
        index = number * TILES_PER_FILE + place
        width = width_at(0, index, size)
        if width == 0:
            break
        stored = _tile(source, Tile(0, index, width), chunk)
        entries = lines.until(index * WIDTH + width)
        hashes = {at: leaf_hash(entry) for at, entry in entries.items()}
        chunk.entries += len(entries)
        leaves = _settle(index, width, stored, hashes, above.get(index), chunk)
        if complete and len(hashes) < width:
            _name_missing(index * WIDTH, width, hashes, chunk)
        if width == WIDTH:
            chunk.roots.append(subtree_root(leaves))
        else:
            chunk.rest = leaves
    lines.until(1 << 62)
    return chunk


def _settle(
    index: int,
    width: int,
    stored: list[bytes] | None,
    hashes: dict[int, bytes],
    above: bytes | None,
    chunk: _Chunk,
) -> list[bytes]:
    """Compare a tile with its entries; return the leaf hashes that the tree is computed from."""
    first = index * WIDTH
    if stored is None:  # then the entries must speak for themselves
        return [hashes.get(first + at, bytes(32)) for at in range(width)]
    differing = [at for at, value in hashes.items() if stored[at - first] != value]
    if not differing:
        return stored
    mended = list(stored)
    for at in differing:
        mended[at - first] = hashes[at]
    if above is not None and subtree_root(stored) != above and subtree_root(mended) == above:
        what = "its hash in the tree was changed (the entry is as it was)"
        stored = mended
    else:
        what = "the entry was changed: its bytes do not have the hash that is in the tree"
    for at in differing:
        chunk.problems.append(Problem(f"position {at + 1}", what, at + 1))
    return stored


def _name_missing(first: int, width: int, hashes: dict[int, bytes], chunk: _Chunk) -> None:
    for at in range(first, first + width):
        if at not in hashes:
            chunk.problems.append(Problem(f"position {at + 1}", "the entry is missing", at + 1))


class _Lines:
    """The entries of one file, in order."""

    def __init__(self, source: Source, number: int, end: int, chunk: _Chunk) -> None:
        self.name = entries_name(number)
        self.chunk = chunk
        self.next, self.end = number * PER_FILE, end
        try:
            self.lines = iter(source.read(self.name).split(b"\n"))
        except BadArchive as error:
            chunk.problems.append(Problem(self.name, str(error)))
            self.lines = iter(())
        self.held: tuple[int, bytes] | None = None
        self.line = 0

    def until(self, end: int) -> dict[int, bytes]:
        """Return the entries with an index below `end`; say what else there is."""
        found: dict[int, bytes] = {}
        while True:
            if self.held is None:
                self.held = self._read()
            if self.held is None or self.held[0] >= end:
                return found
            found[self.held[0]] = self.held[1]
            self.held = None

    def _read(self) -> tuple[int, bytes] | None:
        for line in self.lines:
            self.line += 1
            if not line:
                continue
            number, blank, entry = line.partition(b" ")
            where = f"{self.name} line {self.line}"
            if not blank or not number.isdigit() or len(number) > 18:
                self.chunk.problems.append(Problem(where, "no index and entry"))
            elif not self.next <= int(number) < self.end:
                what = f"entry {int(number)} is out of place: inserted, repeated or moved"
                self.chunk.problems.append(Problem(where, what))
            else:
                self.next = int(number) + 1
                return int(number), entry
        return None


def _tile(source: Source, place: Tile, chunk: _Chunk) -> list[bytes] | None:
    try:
        return tiles.decode_hashes(source.read(place.path), place.width)
    except (BadArchive, tiles.BadTile) as error:
        chunk.problems.append(Problem(place.path, str(error)))
        return None


def _stored(source: Source, level: int, index: int, size: int, chunk: _Chunk) -> dict[int, bytes]:
    """Return the hashes of a tile by the index of the tile below that each stands for."""
    width = width_at(level, index, size)
    if width == 0:
        return {}
    found = _tile(source, Tile(level, index, width), chunk)
    return dict(enumerate(found, index * WIDTH)) if found else {}


def _check_upper_tiles(source: Source, computed: list[bytes], size: int, report: Report) -> None:
    """Compare the tiles from level 1 up with what was computed from the leaf hashes."""
    level = 1
    while computed:
        roots = []
        for index in range((len(computed) + WIDTH - 1) // WIDTH):
            part = computed[index * WIDTH : (index + 1) * WIDTH]
            seen = _Chunk()  # a missing tile of level 1 was named with its entries
            stored = _stored(source, level, index, size, seen)
            report.problems += seen.problems if level > 1 else []
            for place, value in enumerate(part, index * WIDTH):
                if stored and stored[place] != value:
                    _name_span(level, place, size, report)
            if len(part) == WIDTH:
                roots.append(subtree_root(part))
        computed = roots
        level += 1


def _name_span(level: int, place: int, size: int, report: Report) -> None:
    span = WIDTH**level
    first, last = place * span + 1, min(size, (place + 1) * span)
    report.problems.append(
        Problem(
            f"positions {first} to {last}",
            f"{Tile(level - 1, place).path} does not have the hash that level {level} holds: an "
            "entry and its hash were changed together, or the upper hash was",
        )
    )


def _check_documents(source: Source, report: Report) -> None:
    for name in source.documents():
        report.documents += 1
        if not is_document_name(name):
            report.problems.append(Problem(f"documents/{name}", "the name is no SHA-256"))
        elif hashlib.sha256(source.read(f"documents/{name}")).hexdigest() != name:
            report.problems.append(Problem(f"documents/{name}", "the document was changed"))
