"""Tiles (C2SP tlog-tiles): the tree and its entries as files that never change once full.

    checkpoint                          the newest signed tree head
    tile/<level>/<N>[.p/<width>]        256 hashes (a partial tile: 1 to 255)
    tile/entries/<N>[.p/<width>]        the entries under one level-0 tile, each with its length

`N` is written in groups of three digits, all but the last after an `x`: 1234067 → x001/x234/067.
A tile of level l holds the hashes of the complete subtrees of 256**l leaves. There are no tiles
of width 0, and an entry has at most 65,535 bytes: a longer document goes in by its hash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from stafett.ledger.merkle import HASH_SIZE, LARGEST, HashAt, node_hash

HEIGHT = 8
WIDTH = 1 << HEIGHT
LONGEST_ENTRY = 0xFFFF
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


class BadTile(ValueError):
    """A path or a content that is no tile; the text says why."""


@dataclass(frozen=True, slots=True)
class Tile:
    """The place of a tile: level 0–63, or None for an entry bundle; index; width 1–256."""

    level: int | None
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= 63:
            raise BadTile(f"there is no tile level {self.level} (0 to 63)")
        if not 0 <= self.index <= LARGEST:
            raise BadTile(f"there is no tile {self.index}")
        if not 1 <= self.width <= WIDTH:
            raise BadTile(f"a tile of width {self.width} is never served (1 to {WIDTH})")

    @property
    def full(self) -> bool:
        """Whether it has all 256 hashes or entries: then it is immutable and may be cached."""
        return self.width == WIDTH

    @property
    def path(self) -> str:
        """The path below the log's prefix."""
        groups = [f"{self.index % 1000:03d}"]
        rest = self.index // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        level = "entries" if self.level is None else str(self.level)
        partial = "" if self.full else f".p/{self.width}"
        return f"tile/{level}/{'/'.join(groups)}{partial}"


def parse_path(path: str) -> Tile:
    """Read a path; refuse any that is not exactly as `Tile.path` writes it."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise BadTile(f"{path[:100]!r} is no tile path: tile/<level>/<index>[.p/<width>]")
    level = None if match["level"] == "entries" else int(match["level"])
    index = int(match["index"].replace("x", "").replace("/", ""))
    width = int(match["width"]) if match["width"] else WIDTH
    if match["width"] and width >= WIDTH:
        raise BadTile(f"{path[:100]!r}: a partial tile has a width of 1 to 255")
    tile = Tile(level, index, width)
    if tile.path != path:
        raise BadTile(f"{path[:100]!r} is not the canonical path {tile.path!r}")
    return tile


def width_at(level: int, index: int, size: int) -> int:
    """Return how many hashes tile (level, index) has in a tree of `size`: 0 to 256."""
    return max(0, min(WIDTH, (size >> HEIGHT * level) - index * WIDTH))


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield all hash tiles of a tree of `size`, level by level, partial ones last in each."""
    level = 0
    while size >> HEIGHT * level:
        hashes = size >> HEIGHT * level
        for index in range((hashes + WIDTH - 1) // WIDTH):
            yield Tile(level, index, width_at(level, index, size))
        level += 1


def bundle_count(size: int) -> int:
    """Return how many bundles the entries of a tree of `size` fill, a partial one included."""
    return (size + WIDTH - 1) // WIDTH


def bundles_of(size: int, start: int = 0) -> Iterator[Tile]:
    """Yield the entry bundles of a tree of `size`, from the one that holds entry `start`."""
    for index in range(start // WIDTH, bundle_count(size)):
        yield Tile(None, index, width_at(0, index, size))


def encode_hashes(hashes: Sequence[bytes]) -> bytes:
    """Return the content of a hash tile."""
    if not 1 <= len(hashes) <= WIDTH:
        raise BadTile(f"a tile of width {len(hashes)} is never served (1 to {WIDTH})")
    return b"".join(hashes)


def decode_hashes(data: bytes, width: int) -> list[bytes]:
    """Return the `width` hashes of a tile's content."""
    if len(data) != width * HASH_SIZE:
        raise BadTile(f"a tile of width {width} has {width * HASH_SIZE} bytes, not {len(data)}")
    return [data[i : i + HASH_SIZE] for i in range(0, len(data), HASH_SIZE)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the content of an entry bundle: each entry after its length in two bytes."""
    if not 1 <= len(entries) <= WIDTH:
        raise BadTile(f"a bundle of {len(entries)} entries is never served (1 to {WIDTH})")
    parts = []
    for place, entry in enumerate(entries):
        if len(entry) > LONGEST_ENTRY:
            raise BadTile(
                f"entry {place} of the bundle has {len(entry)} bytes (at most {LONGEST_ENTRY}): "
                "log the document's hash instead"
            )
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)


def decode_bundle(data: bytes, width: int) -> list[bytes]:
    """Return the `width` entries of a bundle; refuse one that is cut, longer, or has others."""
    entries: list[bytes] = []
    position = 0
    while position < len(data):
        start = position + 2
        position = start + int.from_bytes(data[position:start], "big")
        if position > len(data) or start > len(data):
            raise BadTile(f"the bundle is cut in entry {len(entries)}")
        entries.append(data[start:position])
        if len(entries) > width:
            raise BadTile(f"the bundle has more than {width} entries")
    if len(entries) != width:
        raise BadTile(f"the bundle has {len(entries)} entries instead of {width}")
    return entries


def hash_reader(size: int, read: Callable[[Tile], bytes], cache: int = 64) -> HashAt:
    """Return `hash_at` over tiles: what roots and proofs of trees up to `size` need.

    `read` gets the content of a tile (the partial one that a tree of `size` has at the edge). The
    last `cache` tiles are kept. The hashes are as trustworthy as `read`: check what comes out of
    them against a signed root.
    """

    @lru_cache(maxsize=cache)
    def rows(level: int, index: int) -> list[list[bytes]]:
        """All complete subtrees within a tile, row by row from its hashes up."""
        width = width_at(level, index, size)
        row = decode_hashes(read(Tile(level, index, width)), width)
        found = [row]
        while len(row) > 1:
            row = [node_hash(a, b) for a, b in zip(row[::2], row[1::2], strict=False)]
            found.append(row)
        return found

    def hash_at(level: int, index: int) -> bytes:
        if (index + 1) << level > size:
            raise BadTile(f"the subtree {index} of level {level} is not complete at size {size}")
        above, within = divmod(level, HEIGHT)
        first = index << within
        return rows(above, first // WIDTH)[within][first % WIDTH >> within]

    return hash_at
