"""The Merkle tree: roots and proofs against the definition, and every wrong proof refused."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.ledger import merkle
from stafett.ledger.merkle import BadProof, Frontier


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962 section 2.1 writes it, over the entries themselves."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH as RFC 6962 section 2.1.1 writes it."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF as RFC 6962 section 2.1.2 writes it."""
    if m == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*naive_subproof(m, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], False), naive_root(leaves[:k])]


class Tree:
    """A tree in memory: what a store is to the proofs."""

    def __init__(self, count: int) -> None:
        self.leaves = [b"leaf %d" % n for n in range(count)]
        self.hashes: dict[tuple[int, int], bytes] = {}
        self.frontier = Frontier().append(
            map(merkle.leaf_hash, self.leaves), lambda lv, i, h: self.hashes.update({(lv, i): h})
        )

    def hash_at(self, level: int, index: int) -> bytes:
        """Return a stored hash."""
        return self.hashes[level, index]

    def root(self, size: int) -> bytes:
        """Return the root of the first `size` leaves."""
        return merkle.root_at(size, self.hash_at)


TREE = Tree(70)


def test_published_constants(shared: Path) -> None:
    """Leaf, node and root hashes of the reference implementation."""
    known = json.loads((shared / "standards/tlog/merkle/rfc6962-constants.json").read_text())
    leaves = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in known["leaves_hex"]]
    for size, root in enumerate(known["roots_for_size_1_to_8_hex"], 1):
        assert Frontier().append(leaves[:size]).root.hex() == root
    assert Frontier().root.hex() == known["empty_root"]
    for entry, digest in known["leaf_hash"].items():
        assert merkle.leaf_hash(entry.encode()).hex() == digest
    assert merkle.node_hash(b"N123", b"N456").hex() == known["node_hash_N123_N456"]


def test_roots_are_the_definition() -> None:
    """The root of each size, from the frontier and from stored hashes, is MTH."""
    frontier = Frontier()
    for size in range(71):
        expected = naive_root(TREE.leaves[:size])
        assert frontier.root == TREE.root(size) == expected
        assert merkle.frontier_at(size, TREE.hash_at) == frontier
        if size < 70:
            frontier = frontier.append([merkle.leaf_hash(TREE.leaves[size])])


def test_proofs_are_the_definition_and_verify() -> None:
    """Each inclusion and consistency proof is the RFC's list, and each verifies."""
    for size in range(1, 41):
        leaves = TREE.leaves[:size]
        for index in range(size):
            path = merkle.inclusion_proof(index, size, TREE.hash_at)
            assert path == naive_path(index, leaves)
            leaf = merkle.leaf_hash(leaves[index])
            merkle.verify_inclusion(index, size, leaf, path, TREE.root(size))
        for old in range(1, size + 1):
            proof = merkle.consistency_proof(old, size, TREE.hash_at)
            assert proof == naive_subproof(old, leaves, True)
            merkle.verify_consistency(old, size, TREE.root(old), TREE.root(size), proof)
        merkle.verify_consistency(0, size, merkle.EMPTY_ROOT, TREE.root(size), [])


@given(st.lists(st.integers(0, 40), max_size=5))
def test_frontier_does_not_care_how_appends_are_grouped(batches: list[int]) -> None:
    """Batches of any size lead to the frontier of one long append."""
    frontier = Frontier()
    for number, count in enumerate(batches):
        frontier = frontier.append(merkle.leaf_hash(b"%d %d" % (number, n)) for n in range(count))
    leaves = [b"%d %d" % (number, n) for number, count in enumerate(batches) for n in range(count)]
    assert frontier == Frontier().append(map(merkle.leaf_hash, leaves))
    assert frontier.root == naive_root(leaves)


@given(st.integers(0, 70), st.integers(0, 70))
def test_what_becomes_complete_is_told_level_by_level(before: int, count: int) -> None:
    """As leaf by leaf: the same frontier, and each subtree once, with its place and hash."""
    leaves = [merkle.leaf_hash(b"%d" % n) for n in range(before + count)]
    frontier = Frontier().append(leaves[:before])
    grown, rows = frontier.grown(leaves[before:])
    size, peaks = frontier.size, list(frontier.peaks)
    naive: dict[tuple[int, int], bytes] = {}
    for leaf in leaves[before:]:
        current, level, index = leaf, 0, size
        naive[level, index] = current
        while index & 1:
            current = merkle.node_hash(peaks.pop(), current)
            level, index = level + 1, index >> 1
            naive[level, index] = current
        peaks.append(current)
        size += 1
    assert grown == Frontier(size, tuple(peaks))
    told = [
        ((level, index), value)
        for level, (first, hashes) in enumerate(rows)
        for index, value in enumerate(hashes, first)
    ]
    assert len(told) == len(naive)
    assert dict(told) == naive


def test_a_tile_enters_by_its_root() -> None:
    """Appending whole subtrees by their roots gives the same frontier as their leaves."""
    hashes = [merkle.leaf_hash(leaf) for leaf in TREE.leaves[:64]]
    frontier = Frontier()
    for start in range(0, 64, 8):
        frontier = frontier.append_subtree(3, merkle.subtree_root(hashes[start : start + 8]))
    assert frontier == Frontier().append(hashes)
    with pytest.raises(ValueError, match="level 3"):
        Frontier().append(hashes[:4]).append_subtree(3, hashes[0])
    with pytest.raises(ValueError, match="no complete subtree"):
        merkle.subtree_root(hashes[:3])


def test_a_frontier_of_the_wrong_shape_cannot_be_built() -> None:
    """A size with another number of peaks is refused at once."""
    with pytest.raises(ValueError, match="2 peaks"):
        Frontier(3, (b"x" * 32,))


def mangled(proof: list[bytes]) -> list[tuple[str, list[bytes]]]:
    """Return wrong proofs made from a right one, each named after what is wrong."""
    junk = b"\x5a" * 32
    wrong = [
        ("preceding garbage", [junk, *proof]),
        ("trailing garbage", [*proof, junk]),
        ("trailing empty hash", [*proof, b""]),
        ("truncated hash", [*proof[:-1], proof[-1][:-1]] if proof else [b""]),
        ("nothing", []),
        ("reversed", proof[::-1]),
        ("first dropped", proof[1:]),
        ("last dropped", proof[:-1]),
        ("first doubled", proof[:1] + proof),
        ("sixty-four hashes", [junk] * 64),
    ]
    wrong += [
        (f"bit flipped in hash {i}", [*proof[:i], bytes([h[0] ^ 1]) + h[1:], *proof[i + 1 :]])
        for i, h in enumerate(proof)
    ]
    return [(name, other) for name, other in wrong if other != proof]


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (4, 7), (6, 7), (17, 40), (63, 64)])
def test_every_mangled_inclusion_proof_is_refused(index: int, size: int) -> None:
    """Nothing but the proof shows that the leaf is at its index in the tree."""
    leaf, root = merkle.leaf_hash(TREE.leaves[index]), TREE.root(size)
    proof = merkle.inclusion_proof(index, size, TREE.hash_at)
    for name, wrong in mangled(proof):
        with pytest.raises(BadProof):
            merkle.verify_inclusion(index, size, leaf, wrong, root)
            pytest.fail(name)
    for other in {0, index - 1, index + 1, index ^ 2, size, size - 1, -1} - {index}:
        with pytest.raises(BadProof):
            merkle.verify_inclusion(other, size, leaf, proof, root)
    for place, wrong_leaf in (("other leaf", merkle.leaf_hash(b"?")), ("short", leaf[:-1])):
        with pytest.raises(BadProof):
            merkle.verify_inclusion(index, size, wrong_leaf, proof, root)
            pytest.fail(place)
    with pytest.raises(BadProof):
        merkle.verify_inclusion(index, size, leaf, proof, merkle.EMPTY_ROOT)


@pytest.mark.parametrize(
    ("old", "size"), [(1, 2), (2, 3), (3, 7), (4, 7), (6, 8), (8, 64), (21, 40), (64, 70)]
)
def test_every_mangled_consistency_proof_is_refused(old: int, size: int) -> None:
    """Nothing but the proof shows that the new tree continues the old one."""
    before, after = TREE.root(old), TREE.root(size)
    proof = merkle.consistency_proof(old, size, TREE.hash_at)
    for name, wrong in mangled(proof):
        with pytest.raises(BadProof):
            merkle.verify_consistency(old, size, before, after, wrong)
            pytest.fail(name)
    with pytest.raises(BadProof):
        merkle.verify_consistency(old, size, after, before, proof)  # swapped roots
    with pytest.raises(BadProof):
        merkle.verify_consistency(size, old, after, before, proof)  # swapped sizes
    # Consistency from 0 or from the same size carries nothing; other sizes need other proofs.
    for other in {0, old - 1, old + 1, size} - {old}:
        with pytest.raises(BadProof):
            merkle.verify_consistency(other, size, before, after, proof)


def test_two_roots_of_one_size_are_a_fork() -> None:
    """Equal sizes with different roots never pass."""
    with pytest.raises(BadProof, match="two different roots"):
        merkle.verify_consistency(7, 7, TREE.root(7), TREE.root(6), [])
    with pytest.raises(BadProof, match="hash of nothing"):
        merkle.verify_consistency(0, 7, TREE.root(6), TREE.root(7), [])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_proof_of_a_leaf_that_is_not_there(index: int, size: int) -> None:
    """No proof is made for a leaf outside the tree, or backwards in time."""
    with pytest.raises(BadProof):
        merkle.inclusion_proof(index, size, TREE.hash_at)
    with pytest.raises(BadProof):
        merkle.consistency_proof(6, 5, TREE.hash_at)


def test_accumulated_inclusion_vector(shared: Path) -> None:
    """All proofs in all aligned subtrees of a tree of 130 fold into the published digest.

    Source of the folding: draft-ietf-plants-merkle-tree-certs, appendix "Subtree Test Vectors".
    """
    known = json.loads((shared / "standards/tlog/c2sp/examples.json").read_text())
    tree: dict[tuple[int, int], bytes] = {}
    leaves = (merkle.leaf_hash(bytes([n])) for n in range(130))
    Frontier().append(leaves, lambda lv, i, h: tree.update({(lv, i): h}))
    folded = sha256()
    for end in range(1, 131):
        for start in range(end):
            if start % (1 << (end - start - 1).bit_length()):
                continue

            def at(level: int, index: int, start: int = start) -> bytes:
                return tree[level, (start >> level) + index]

            for index in range(start, end):
                proof = merkle.inclusion_proof(index - start, end - start, at)
                line = f"{index} [{start}, {end})" + "".join(f" {h.hex()}" for h in proof)
                folded.update(line.encode() + b"\n")
    assert folded.hexdigest() == known["subtree_accumulated_sha256"]["inclusion"]


@given(
    st.integers(-2, 2**64),
    st.integers(-2, 2**64),
    st.binary(max_size=33),
    st.lists(st.binary(min_size=30, max_size=33), max_size=70),
)
def test_verifiers_never_crash(index: int, size: int, leaf: bytes, proof: list[bytes]) -> None:
    """Any numbers and bytes give the module's own error."""
    with pytest.raises(BadProof):
        merkle.verify_inclusion(index, size, leaf, proof, b"r" * 32)
    with pytest.raises(BadProof):
        merkle.verify_consistency(index, size, leaf, b"r" * 32, proof)
