"""The Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1): roots, proofs, and their checks.

A tree over n leaves is hashed as MTH: a leaf is SHA-256(0x00 || entry), a node SHA-256(0x01 ||
left || right), and the split is at the largest power of two below n. So every *complete* subtree
(2**level leaves, aligned) has a hash that never changes again; `hash_at(level, index)` reads one,
wherever they are kept. The newest root needs at most 63 of them, the *frontier*: appending never
rereads the tree.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()
_LEAF, _NODE = sha256(b"\x00"), sha256(b"\x01")
LARGEST = 2**63 - 1
AT_ONCE = 4_096  # leaves, where there may be very many

HashAt = Callable[[int, int], bytes]
"""Hash of the complete subtree over leaves [index·2**level, (index+1)·2**level)."""

Keep = Callable[[int, int, bytes], None]
"""Told (level, index, hash) of each subtree as it becomes complete."""


Row = tuple[int, list[bytes]]
"""Hashes of neighbouring complete subtrees of one size: the index of the first, and they."""


class BadProof(ValueError):
    """A proof that does not show what it claims; the text says in which way."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf's bytes."""
    # Copying a prepared state is faster than making one: half of the time goes into the making.
    state = _LEAF.copy()
    state.update(entry)
    return state.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over two subtrees."""
    state = _NODE.copy()
    state.update(left + right)
    return state.digest()


def bundle_hashes(data: bytes) -> list[bytes]:
    """Return the leaf hashes of a tlog-tiles entry bundle, however many entries there are.

    One pass, since this and `subtree_root` are where an audit spends its time. Raises ValueError
    naming the entry in which the bundle is cut.
    """
    hashes: list[bytes] = []
    position, end, prepared = 0, len(data), _LEAF.copy
    try:
        while position < end:
            start = position + 2
            position = start + (data[position] << 8 | data[start - 1])
            state = prepared()
            state.update(data[start:position])
            hashes.append(state.digest())
    except IndexError:
        position = end + 1
    if position != end:
        raise ValueError(f"the bundle is cut in entry {max(len(hashes) - 1, 0)}")
    return hashes


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: one hash for each complete subtree, from the largest down.

    `peaks` has as many hashes as `size` has one-bits (at most 63). It is all that an appender must
    remember: from it come the root, and the next frontier.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= LARGEST or len(self.peaks) != self.size.bit_count():
            raise ValueError(
                f"a frontier of size {self.size} has {self.size.bit_count()} peaks, "
                f"not {len(self.peaks)}: rebuild it from the stored leaves"
            )

    @property
    def root(self) -> bytes:
        """The root hash; of an empty tree SHA-256 of nothing."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def append(self, leaf_hashes: Iterable[bytes], keep: Keep | None = None) -> Frontier:
        """Return the frontier after these leaf hashes; `keep` hears of each complete subtree.

        About two hashes a leaf; memory does not grow with the tree.
        """
        frontier, leaves = self, iter(leaf_hashes)
        while some := list(itertools.islice(leaves, AT_ONCE)):
            frontier, complete = frontier.grown(some)
            if keep is not None:
                for level, (first, hashes) in enumerate(complete):
                    for index, value in enumerate(hashes, first):
                        keep(level, index, value)
        return frontier

    def grown(self, leaf_hashes: Sequence[bytes]) -> tuple[Frontier, list[Row]]:
        """Return the frontier after these leaf hashes, and the subtrees that became complete.

        Of these one row for each level, the leaves' first: level by level, a hash costs half of
        what it costs leaf by leaf.
        """
        peaks, fresh = list(self.peaks), []
        complete: list[Row] = []
        first, row = self.size, list(leaf_hashes)
        while row:
            complete.append((first, row))
            pairs = row
            if first & 1:  # there is a peak of this level: a left sibling
                pairs = [peaks.pop(), *row]
            if len(pairs) & 1:
                fresh.append(pairs[-1])
            row = list(map(node_hash, pairs[::2], pairs[1::2]))
            first >>= 1
        return Frontier(self.size + len(leaf_hashes), (*peaks, *reversed(fresh))), complete

    def append_subtree(self, level: int, root: bytes) -> Frontier:
        """Return the frontier after a complete subtree of 2**level leaves, aligned at the end.

        This is how a tile's root (level 8) enters without its leaves. Raises ValueError when the
        size is no multiple of 2**level.
        """
        if self.size & ((1 << level) - 1):
            raise ValueError(f"a subtree of level {level} cannot follow {self.size} leaves")
        index, peaks, current = self.size >> level, list(self.peaks), root
        while index & 1:
            current = node_hash(peaks.pop(), current)
            index >>= 1
        return Frontier(self.size + (1 << level), (*peaks, current))


def subtree_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of hashes (a tile), level by level: fast and flat."""
    if not leaf_hashes or len(leaf_hashes) & (len(leaf_hashes) - 1):
        raise ValueError(f"{len(leaf_hashes)} hashes are no complete subtree")
    row, prepared = list(leaf_hashes), _NODE.copy
    while len(row) > 1:
        above = []
        for left, right in zip(row[::2], row[1::2], strict=True):
            state = prepared()  # node_hash, without the price of a call: the audit's inner loop
            state.update(left + right)
            above.append(state.digest())
        row = above
    return row[0]


def frontier_at(size: int, hash_at: HashAt) -> Frontier:
    """Return the frontier of the first `size` leaves, from stored hashes (at most 63 reads)."""
    peaks, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            peaks.append(hash_at(level, start >> level))
            start += 1 << level
    return Frontier(size, tuple(peaks))


def root_at(size: int, hash_at: HashAt) -> bytes:
    """Return the root of the first `size` leaves."""
    return frontier_at(size, hash_at).root


def inclusion_proof(index: int, size: int, hash_at: HashAt) -> list[bytes]:
    """Return PATH(index, D[size]): the sibling hashes from the leaf up to the root's child."""
    if not 0 <= index < size:
        raise BadProof(f"leaf {index} is not in a tree of {size}: ask for 0 to {size - 1}")
    proof, low, high = [], 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(_range_root(middle, high, hash_at))
            high = middle
        else:
            proof.append(_range_root(low, middle, hash_at))
            low = middle
    proof.reverse()
    return proof


def consistency_proof(old: int, size: int, hash_at: HashAt) -> list[bytes]:
    """Return PROOF(old, D[size]): that the tree of `size` only added to the one of `old`.

    Empty when `old` is 0 or equals `size`.
    """
    if not 0 <= old <= size:
        raise BadProof(f"a tree of {size} cannot continue one of {old}")
    if old in (0, size):
        return []
    proof, low, high, whole = [], 0, size, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(_range_root(middle, high, hash_at))
            high = middle
        else:
            proof.append(_range_root(low, middle, hash_at))
            low, whole = middle, False
    if not whole:
        proof.append(_range_root(low, high, hash_at))
    proof.reverse()
    return proof


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that `leaf` (a leaf hash) is at `index` of the tree of `size` with `root`.

    RFC 9162 section 2.1.3.2. Raises BadProof saying what is wrong.
    """
    if not 0 <= index < size:
        raise BadProof(f"leaf {index} is not in a tree of {size}")
    if len(leaf) != HASH_SIZE:
        raise BadProof("the leaf hash has not 32 bytes")
    _check_hashes(proof, "inclusion")
    first, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise BadProof(f"the inclusion proof is too long ({len(proof)} hashes)")
        if first & 1 or first == last:
            current = node_hash(sibling, current)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        first, last = first >> 1, last >> 1
    if last:
        raise BadProof(f"the inclusion proof is too short ({len(proof)} hashes)")
    if current != root:
        raise BadProof(f"leaf {index} with this proof does not lead to the root of size {size}")


def verify_consistency(
    old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree (`size`, `root`) only added leaves to the tree (`old`, `old_root`).

    RFC 9162 section 2.1.4.2. Raises BadProof saying what is wrong.
    """
    if not 0 <= old <= size:
        raise BadProof(f"a tree of {size} cannot continue one of {old}")
    _check_hashes(proof, "consistency")
    if old in (0, size):
        if proof:
            raise BadProof("the consistency proof must be empty")
        if old == size and old_root != root:
            raise BadProof(f"two different roots at size {size}")
        if old == 0 and old_root != EMPTY_ROOT:
            raise BadProof("the root of size 0 is not the hash of nothing")
        return
    rest = list(proof)
    if old & (old - 1) == 0:
        rest.insert(0, old_root)
    if not rest:
        raise BadProof("the consistency proof is empty")
    first, last = old - 1, size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    before = after = rest[0]
    for sibling in rest[1:]:
        if last == 0:
            raise BadProof(f"the consistency proof is too long ({len(proof)} hashes)")
        if first & 1 or first == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        first, last = first >> 1, last >> 1
    if last:
        raise BadProof(f"the consistency proof is too short ({len(proof)} hashes)")
    if before != old_root:
        raise BadProof(f"the consistency proof does not lead to the old root of size {old}")
    if after != root:
        raise BadProof(f"the consistency proof does not lead to the new root of size {size}")


def _split(count: int) -> int:
    """Return the largest power of two below `count` (at least 2)."""
    return 1 << (count - 1).bit_length() - 1


def _range_root(low: int, high: int, hash_at: HashAt) -> bytes:
    """Return the hash of leaves [low, high), `low` being aligned as in a Merkle tree's split."""
    count = high - low
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return hash_at(level, low >> level)
    middle = low + _split(count)
    return node_hash(_range_root(low, middle, hash_at), _range_root(middle, high, hash_at))


def _check_hashes(proof: Sequence[bytes], what: str) -> None:
    if len(proof) > 63:
        raise BadProof(f"the {what} proof is too long ({len(proof)} hashes, at most 63)")
    for place, sibling in enumerate(proof):
        if len(sibling) != HASH_SIZE:
            raise BadProof(f"hash {place} of the {what} proof has not 32 bytes")
