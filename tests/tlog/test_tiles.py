"""Tiles: paths, widths, bundles, and the tree read from them."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.ledger import merkle, tiles
from stafett.ledger.merkle import Frontier
from stafett.ledger.tiles import BadTile, Tile, parse_path


@pytest.fixture(scope="module")
def vectors(shared: Path) -> dict[str, Any]:
    """The vectors of tessera and of the specification."""
    found: dict[str, Any] = json.loads((shared / "standards/tlog/tiles/paths.json").read_text())
    return found


def test_published_entry_bundle_paths(vectors: dict[str, Any]) -> None:
    """The bundle of an entry in a tree of a size has the published path."""
    for case in vectors["entries_for_index"]:
        index = case["index"] // tiles.WIDTH
        width = tiles.width_at(0, index, case["size"])
        assert Tile(None, index, width).path == case["path"]


def test_published_tile_paths(vectors: dict[str, Any]) -> None:
    """Each published tile has its path, both ways."""
    for case in vectors["tile_path"]:
        tile = Tile(case["level"], case["index"], case["partial"] or tiles.WIDTH)
        assert tile.path == case["path"]
        assert parse_path(case["path"]) == tile
    for case in vectors["c2sp_example"]:
        assert Tile(0, case["index"]).path == f"tile/0/{case['path']}"


def test_published_parse_cases(vectors: dict[str, Any]) -> None:
    """Each of the nineteen paths is read or refused as published."""
    assert len(vectors["parse"]) == 19
    for case in vectors["parse"]:
        path = f"tile/{case['level']}/{case['index']}"
        if case["error"]:
            with pytest.raises(BadTile):
                parse_path(path)
        else:
            tile = parse_path(path)
            assert (tile.level, tile.index) == (case["want_level"], case["want_index"])
            assert tile.width % 256 == case["want_partial"]


def test_specification_example_of_70000_leaves(vectors: dict[str, Any]) -> None:
    """A tree of 70,000 has 273 full tiles and the partial ones that the specification lists."""
    want = vectors["c2sp_size_70000"]
    found = list(tiles.tiles_of(70_000))
    full = Counter(t.level for t in found if t.full)
    assert full == {0: want["level0_full"], 1: want["level1_full"]}
    partial = {t.level: t.width for t in found if not t.full}
    assert partial == {
        0: want["level0_partial"], 1: want["level1_partial"], 2: want["level2_partial"]
    }  # fmt: skip
    assert sum(t.width for t in tiles.bundles_of(70_000)) == 70_000
    assert [t.index for t in tiles.bundles_of(70_000, start=69_900)] == [273]


def test_tree_of_256_has_one_full_tile_and_one_above() -> None:
    """No tile of width 0 is ever listed."""
    assert list(tiles.tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles.tiles_of(0)) == list(tiles.bundles_of(0)) == []


@pytest.mark.parametrize("width", [0, -1, 257])
def test_no_tile_without_width(width: int) -> None:
    """A tile of width 0 cannot even be named."""
    with pytest.raises(BadTile):
        Tile(0, 0, width)
    with pytest.raises(BadTile):
        tiles.encode_hashes([b"h" * 32] * max(width, 0))


@given(st.none() | st.integers(0, 63), st.integers(0, 2**63 - 1), st.integers(1, 256))
def test_paths_read_back(level: int | None, index: int, width: int) -> None:
    """Every tile has one path, and the path one tile."""
    tile = Tile(level, index, width)
    assert parse_path(tile.path) == tile


@given(st.text(alphabet="tile/entris0123456789x.p", max_size=40))
def test_path_parser_never_crashes(text: str) -> None:
    """Anything is the canonical path of a tile or is refused."""
    for path in (text, "tile/" + text, "tile/0/" + text):
        try:
            assert parse_path(path).path == path
        except BadTile as error:
            assert "tile" in str(error)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=12))
def test_bundles_read_back(entries: list[bytes]) -> None:
    """Entries of any length come back as they were; every cut is refused."""
    data = tiles.encode_bundle(entries)
    assert tiles.decode_bundle(data, len(entries)) == entries
    assert merkle.bundle_hashes(data) == [merkle.leaf_hash(entry) for entry in entries]
    for wrong in (len(entries) - 1, len(entries) + 1):
        with pytest.raises(BadTile):
            tiles.decode_bundle(data, wrong)
    for end in range(len(data)):
        with pytest.raises(BadTile):
            tiles.decode_bundle(data[:end], len(entries))
    ends = list(itertools.accumulate(len(entry) + 2 for entry in entries))
    for end in set(range(len(data))) - {0, *ends}:
        with pytest.raises(ValueError, match="is cut in entry"):
            merkle.bundle_hashes(data[:end])


def test_longest_entry() -> None:
    """65,535 bytes fit; one more is refused with what to do instead."""
    longest = b"x" * 65_535
    assert tiles.decode_bundle(tiles.encode_bundle([longest]), 1) == [longest]
    with pytest.raises(BadTile, match="hash instead"):
        tiles.encode_bundle([b"", longest + b"x"])


def test_cut_hash_tile_is_refused() -> None:
    """A hash tile has exactly 32 bytes a hash."""
    with pytest.raises(BadTile, match="64 bytes, not 63"):
        tiles.decode_hashes(b"x" * 63, 2)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 700, 66_000])
def test_roots_and_proofs_from_tiles_alone(size: int) -> None:
    """What tiles hold is enough for the root and any proof, and equals the tree."""
    hashes: dict[tuple[int, int], bytes] = {}
    leaves = [merkle.leaf_hash(b"%d" % n) for n in range(size)]
    frontier = Frontier().append(leaves, lambda lv, i, h: hashes.update({(lv, i): h}))
    asked: set[Tile] = set()

    def read(tile: Tile) -> bytes:
        asked.add(tile)
        assert tile.level is not None
        first = tile.index * 256
        row = [hashes[8 * tile.level, first + i] for i in range(tile.width)]
        return tiles.encode_hashes(row)

    at = tiles.hash_reader(size, read)
    assert merkle.root_at(size, at) == frontier.root
    for index in {0, size // 2, size - 1}:
        proof = merkle.inclusion_proof(index, size, at)
        merkle.verify_inclusion(index, size, leaves[index], proof, frontier.root)
    for old in {1, size // 2 or 1, max(1, size - 1)}:
        proof = merkle.consistency_proof(old, size, at)
        merkle.verify_consistency(old, size, merkle.root_at(old, at), frontier.root, proof)
    assert asked <= set(tiles.tiles_of(size))
    with pytest.raises(BadTile, match="not complete"):
        at(0, size)
