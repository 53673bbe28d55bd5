"""One bundle of a record: its entries against the hashes in the tree, and what differs, in words.

256 entries have 256 leaf hashes in one level-0 tile, whose root is one hash in a level-1 tile. So a
difference is told apart: with the hash above, whether the entry was changed or its hash in the
tree was; with the other hashes, whether an entry was changed, swapped, dropped, inserted or
repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stafett.ledger import tiles
from stafett.ledger.finding import Finding
from stafett.ledger.merkle import subtree_root
from stafett.ledger.source import Leaves, Missing, Source, Unreadable, read_tile
from stafett.ledger.tiles import WIDTH, BadTile, Tile

NONE = bytes(32)
MANY = 16
"""So many differences in one bundle are named together."""


def check_bundle(
    source: Source, index: int, size: int, entries: bool = True
) -> tuple[list[bytes], list[Finding], Leaves]:
    """Return the leaf hashes of bundle `index` in a tree of `size`, what is wrong, and the leaves.

    The hashes are the tile's where there is a readable tile (so that one wrong entry is one
    finding and the rest of the tree can still be judged), else the entries'. With `entries` false
    only the tile is read.
    """
    width, start = tiles.width_at(0, index, size), index * WIDTH
    findings: list[Finding] = []
    expected = tile_hashes(source, Tile(0, index, width), findings)
    if not entries:
        return expected or [NONE] * width, findings, Leaves([])
    try:
        leaves = source.leaves(index, width)
    except (Missing, Unreadable) as error:
        findings.append(Finding("bundle", start, trouble(Tile(None, index, width), error)))
        return expected or [NONE] * width, findings, Leaves([])
    findings += leaves.odd
    found = leaves.hashes
    if expected is None:
        padded = [value or NONE for value in found] + [NONE] * width
        return padded[:width], findings, leaves
    if found != expected:
        settled = _settled(source, index, size, expected, found)
        if settled is not None:
            for place in _differing(expected, found):
                what = "its hash in the tree was changed (the entry is as it was)"
                findings.append(Finding("tile", start + place, what))
            return settled, findings, leaves
        findings += differences(start, expected, found, complete=source.complete)
    return expected, findings, leaves


def differences(
    start: int, expected: Sequence[bytes], found: Sequence[bytes | None], *, complete: bool = True
) -> list[Finding]:
    """Say how the found leaf hashes differ from the expected ones, by entry.

    None is an entry that is not here, which is right unless everything should be (`complete`).
    """
    if len(found) != len(expected):
        return [_shifted(start, expected, found)]
    gone = [place for place, value in enumerate(found) if value is None] if complete else []
    wrong = _differing(expected, found)
    if len(gone) + len(wrong) > MANY:
        return _named_together(start, len(expected), gone, wrong)
    findings = [Finding("dropped", start + place, "the entry is missing") for place in gone]
    swapped = Counter(found[p] for p in wrong) == Counter[bytes | None](expected[p] for p in wrong)
    known = set(expected)
    for place in wrong:
        if swapped:
            kind, what = "swapped", "another entry stands here: entries were swapped"
        elif found[place] in known:
            kind, what = "repeated", "another entry was put in its place once more"
        else:
            kind = "changed"
            what = "the entry was changed: its bytes do not have the hash that is in the tree"
        findings.append(Finding(kind, start + place, what))
    return findings


def _named_together(start: int, width: int, gone: list[int], wrong: list[int]) -> list[Finding]:
    whole = f"of the {width} entries from position {start + 1} on"
    findings = []
    if gone:
        what = f"{len(gone)} {whole} are missing"
        findings.append(Finding("dropped", start + gone[0], what))
    if wrong:
        what = f"{len(wrong)} {whole} do not have their hashes: changed, or moved"
        findings.append(Finding("changed", start + wrong[0], what))
    return findings


def _shifted(start: int, expected: Sequence[bytes], found: Sequence[bytes | None]) -> Finding:
    """Say what a bundle with more or fewer entries than hashes comes from."""
    both = zip(expected, found, strict=False)
    first = next((i for i, (a, b) in enumerate(both) if a != b), min(len(expected), len(found)))
    due, here = Counter[bytes | None](expected), Counter(found)
    missing, extra = due - here, here - due
    entry = start + first
    if not missing:
        kind = "repeated" if set(extra) <= set(expected) else "inserted"
        return Finding(kind, entry, f"something was {kind} here that was never recorded")
    if not extra:
        return Finding("dropped", entry, "the entry is missing from its bundle")
    return Finding("changed", entry, "from here on, entries do not have their hashes")


def _settled(
    source: Source,
    index: int,
    size: int,
    expected: Sequence[bytes],
    found: Sequence[bytes | None],
) -> list[bytes] | None:
    """Return the true hashes if it is the tile that is wrong: the hash above says so."""
    if len(expected) != WIDTH or len(found) != WIDTH:
        return None
    above = Tile(1, index // WIDTH, tiles.width_at(1, index // WIDTH, size))
    hashes = tile_hashes(source, above, [])
    if hashes is None or subtree_root(expected) == hashes[index % WIDTH]:
        return None
    mended = [a if b is None else b for a, b in zip(expected, found, strict=True)]
    return mended if subtree_root(mended) == hashes[index % WIDTH] else None


def _differing(expected: Sequence[bytes], found: Sequence[bytes | None]) -> list[int]:
    both = zip(expected, found, strict=True)
    return [place for place, (a, b) in enumerate(both) if b is not None and a != b]


def tile_hashes(source: Source, tile: Tile, findings: list[Finding]) -> list[bytes] | None:
    """Return a tile's hashes; where it cannot be read, add that to `findings` and return None."""
    try:
        return tiles.decode_hashes(read_tile(source, tile), tile.width)
    except (Missing, Unreadable, BadTile) as error:
        entry = tile.index * WIDTH ** ((tile.level or 0) + 1)
        findings.append(Finding("tile", entry, trouble(tile, error)))
        return None


def trouble(tile: Tile, error: Exception) -> str:
    """Say why a tile cannot be used."""
    if isinstance(error, Missing):
        return f"{tile.path} is missing"
    return f"{tile.path}: {error}"
