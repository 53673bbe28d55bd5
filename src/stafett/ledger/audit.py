"""The audit: hash every stored entry again, up to the signed root, and name what is wrong.

It reads a record's files (an export, a mirror, a log's prefix), 256 entries at a time, on all
cores, in memory that does not grow with the record:

    entries → leaf hashes → compared with the level-0 tile → its root → compared one level up → … →
    the checkpoint's root → checked against the log's key and the witnesses' cosignatures

A difference is named by entry: changed, swapped, dropped, inserted, repeated. What the audit cannot
see from one copy alone is a record that was rewritten whole and signed again: for that there are
witnesses, mirrors, and the checkpoint that the reader kept from last time (`known`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from stafett.ledger import merkle, tiles
from stafett.ledger.checkpoint import Checkpoint
from stafett.ledger.merkle import BadProof, Frontier, subtree_root
from stafett.ledger.note import BadNote
from stafett.ledger.policy import Policy, Verdict
from stafett.ledger.source import Missing, Source, Unreadable, read_tile
from stafett.ledger.tiles import HEIGHT, WIDTH, BadTile, Tile

CHUNK = 64
"""Bundles in one task: 16,384 entries, tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: its kind, the first entry it concerns (if any), and the sentence."""

    kind: str
    entry: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found. `sound` is the answer."""

    size: int
    verdict: Verdict | None
    findings: tuple[Finding, ...] = field(default=())

    @property
    def sound(self) -> bool:
        """Whether every entry hashes up to the signed root, cosigned by a quorum."""
        return not self.findings


def audit(
    source: Source,
    policy: Policy,
    *,
    known: Checkpoint | None = None,
    entries: bool = True,
    jobs: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> Report:
    """Audit the record of `source` under `policy`.

    `known` is a checkpoint that the reader saw earlier: the record must continue it. With
    `entries` false only hash tiles are read (for a reader who may not see all entries). `jobs`
    is the number of processes; `progress` hears how many entries are done.
    """
    try:
        raw = source.read("checkpoint")
        verdict = policy.judge(raw)
    except Missing:
        return Report(0, None, (Finding("checkpoint", None, "there is no checkpoint"),))
    except BadNote as error:
        return Report(0, None, (Finding("checkpoint", None, str(error)),))
    head = verdict.checkpoint
    findings = [] if verdict.quorum else [_no_quorum(verdict)]
    frontier = Frontier()
    upper = _Upper(source, head.size)
    done = 0
    for part in _parts(source, head.size, entries, jobs):
        findings += part.findings
        for root in part.roots:
            findings += upper.check(1, frontier.size // WIDTH, root)
            frontier = frontier.append_subtree(HEIGHT, root)
        frontier = frontier.append(part.tail)
        done += part.count
        progress(done)
    findings += upper.check_rest()
    if frontier.size == head.size and frontier.root != head.root:
        what = f"the entries do not hash to the root that was signed for size {head.size}"
        findings.append(Finding("root", None, what))
    if known is not None:
        findings += _continues(source, known, head)
    return Report(head.size, verdict, tuple(findings))


@dataclass(frozen=True, slots=True)
class _Part:
    """The outcome of a run of bundles: roots of full tiles, leaf hashes of a partial last one."""

    count: int
    roots: tuple[bytes, ...]
    tail: tuple[bytes, ...]
    findings: tuple[Finding, ...]


def _parts(source: Source, size: int, entries: bool, jobs: int) -> Iterator[_Part]:
    bundles = (size + WIDTH - 1) // WIDTH
    tasks = [
        (source, size, entries, first, min(first + CHUNK, bundles))
        for first in range(0, bundles, CHUNK)
    ]
    if jobs <= 1 or len(tasks) < 2:
        yield from map(_part, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_part, tasks)


def _part(task: tuple[Source, int, bool, int, int]) -> _Part:
    source, size, entries, first, last = task
    roots: list[bytes] = []
    tail: tuple[bytes, ...] = ()
    findings: list[Finding] = []
    count = 0
    for index in range(first, last):
        width = tiles.width_at(0, index, size)
        hashes, found, _ = check_bundle(source, index, width, entries)
        findings += found
        count += width
        if width == WIDTH:
            roots.append(subtree_root(hashes))
        else:
            tail = tuple(hashes)
    return _Part(count, tuple(roots), tail, tuple(findings))


def check_bundle(
    source: Source, index: int, width: int, entries: bool = True
) -> tuple[list[bytes], list[Finding], bytes]:
    """Return the `width` leaf hashes of bundle `index`, what is wrong with it, and its bytes.

    The hashes are the tile's where there is a readable tile (so that one wrong entry is one
    finding and the rest of the tree can still be judged), else the entries'.
    """
    start = index * WIDTH
    findings: list[Finding] = []
    expected: list[bytes] | None = None
    try:
        expected = tiles.decode_hashes(read_tile(source, Tile(0, index, width)), width)
    except (Missing, Unreadable, BadTile) as error:
        findings.append(Finding("tile", start, _tile_trouble(Tile(0, index, width), error)))
    if not entries:
        return expected or [b"\x00" * 32] * width, findings, b""
    path = Tile(None, index, width).path
    try:
        data = source.read(path)
        found = merkle.bundle_hashes(data)
    except (Missing, Unreadable, ValueError) as error:
        findings.append(Finding("bundle", start, _tile_trouble(Tile(None, index, width), error)))
        return expected or [b"\x00" * 32] * width, findings, b""
    if expected is None:
        padded = (found + [b"\x00" * 32] * width)[:width]
        return padded, findings, data
    if found != expected:
        findings.append(_explain(expected, found, start))
    return expected, findings, data


def _explain(expected: Sequence[bytes], found: Sequence[bytes], start: int) -> Finding:
    """Say how the found leaves differ from the expected ones, and from which entry on."""
    both = zip(expected, found, strict=False)
    first = next((i for i, (a, b) in enumerate(both) if a != b), min(len(expected), len(found)))
    entry = start + first
    missing, extra = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
    if not missing and not extra:
        return Finding(
            "swapped", entry, f"entry {entry} and a later one stand in each other's place"
        )
    if not missing:
        repeated = set(extra) <= set(expected)
        kind = "repeated" if repeated else "inserted"
        return Finding(
            kind, entry, f"at entry {entry} something was {kind} that was never recorded"
        )
    if not extra:
        return Finding("dropped", entry, f"entry {entry} is missing from its bundle")
    if len(expected) == len(found) and sum(missing.values()) == 1 and expected[first] in missing:
        repeated = set(extra) <= set(expected)
        if repeated:
            return Finding(
                "repeated", entry, f"another entry was put in the place of entry {entry}"
            )
        return Finding("changed", entry, f"entry {entry} was changed: it does not hash to its leaf")
    return Finding("changed", entry, f"from entry {entry} on, entries do not hash to their leaves")


class _Upper:
    """Compares the roots of tiles with the hashes one level up, reading each upper tile once."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._size = size
        self._place = Tile(1, 0, 1)
        self._hashes: list[bytes] | None = None

    def check(self, level: int, position: int, root: bytes) -> list[Finding]:
        """Compare `root`, the root of tile `position` of the level below, with its hash above."""
        findings: list[Finding] = []
        index, place = divmod(position, WIDTH)
        tile = Tile(level, index, tiles.width_at(level, index, self._size))
        if self._hashes is None or tile != self._place:
            self._place, self._hashes = tile, []
            try:
                data = read_tile(self._source, tile)
                self._hashes = tiles.decode_hashes(data, tile.width)
            except (Missing, Unreadable, BadTile) as error:
                entry = index * WIDTH ** (level + 1)
                findings.append(Finding("tile", entry, _tile_trouble(tile, error)))
        if self._hashes and self._hashes[place] != root:
            below = Tile(level - 1, position)
            first, count = position * WIDTH**level, WIDTH**level
            what = (
                f"{below.path} was rewritten (entries {first} to {first + count - 1}): "
                f"{tile.path} has another hash for it"
            )
            findings.append(Finding("rewritten", first, what))
        return findings

    def check_rest(self) -> list[Finding]:
        """Compare the full tiles from level 1 up with the hashes above them."""
        findings = []
        for below in tiles.tiles_of(self._size):
            if below.level and below.full:
                try:
                    data = self._source.read(below.path)
                    root = subtree_root(tiles.decode_hashes(data, WIDTH))
                except (Missing, Unreadable, BadTile):
                    continue  # Said when the tile itself was read.
                findings += self.check(below.level + 1, below.index, root)
        return findings


def _continues(source: Source, known: Checkpoint, head: Checkpoint) -> list[Finding]:
    """Check that the record at `head` continues the checkpoint that the reader kept."""
    if known.origin != head.origin:
        return [Finding("origin", None, f"this is the log {head.origin!r}, not {known.origin!r}")]
    if head.size < known.size:
        what = f"the log was rolled back from {known.size} to {head.size} entries"
        return [Finding("rollback", head.size, what)]
    try:
        at = tiles.hash_reader(head.size, lambda tile: read_tile(source, tile))
        proof = merkle.consistency_proof(known.size, head.size, at)
        merkle.verify_consistency(known.size, head.size, known.root, head.root, proof)
    except (BadProof, Missing, Unreadable, BadTile) as error:
        what = f"the record does not continue the checkpoint known at size {known.size}: {error}"
        return [Finding("fork", None, what)]
    return []


def _no_quorum(verdict: Verdict) -> Finding:
    have, lack = ", ".join(verdict.cosigned) or "nobody", ", ".join(verdict.missing)
    return Finding("quorum", None, f"too few cosignatures: {have} cosigned; missing: {lack}")


def _tile_trouble(tile: Tile, error: Exception) -> str:
    if isinstance(error, Missing):
        return f"{tile.path} is missing"
    return f"{tile.path}: {error}"
