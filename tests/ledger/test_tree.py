"""The stored tree against the definition of RFC 6962."""

from __future__ import annotations

import asyncio
import random

import psycopg
import pytest

from stafett.ledger import Ledger, merkle, tree

pytestmark = pytest.mark.anyio


def mth(leaves: list[bytes]) -> bytes:
    """Hash a tree as RFC 6962 section 2.1 defines it."""
    if not leaves:
        return merkle.EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return merkle.node_hash(mth(leaves[:split]), mth(leaves[split:]))


async def test_head_holds_the_root_of_what_was_appended(database, ledger, submission):
    """After each batch the head's root is the tree hash of all leaves, across restarts too."""
    leaves: list[bytes] = []
    for count in (1, 2, 5, 300, 1, 260):
        async with Ledger(database) as again:
            await again.append(submission(drafts=count))
        leaves = [e.leaf_hash for e in await ledger.read(0, 10_000)]
        with psycopg.connect(database) as connection:
            root, frontier = connection.execute("SELECT root, frontier FROM ledger.head").fetchone()
        assert root == mth(leaves)
        assert len(frontier) == 32 * len(leaves).bit_count()
    assert len(leaves) == 569


async def test_proofs_between_any_sizes_hold(database, ledger, submission):
    """Inclusion and consistency proofs from stored hashes verify, beyond one tile and at edges."""
    await asyncio.gather(*[ledger.append(submission(drafts=97)) for _ in range(8)])
    leaves = [e.leaf_hash for e in await ledger.read(0, 10_000)]
    sizes = [1, 2, 255, 256, 257, 511, 512, 513, 768, 769, len(leaves)]
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    async with await psycopg.AsyncConnection.connect(database) as connection:
        for size in sizes:
            assert await tree.root(connection, size) == mth(leaves[:size])
            index = rng.randrange(size)
            proof = await tree.inclusion(connection, index, size)
            merkle.verify_inclusion(index, size, leaves[index], proof, mth(leaves[:size]))
            old = rng.choice([s for s in sizes if s <= size])
            proof = await tree.consistency(connection, old, size)
            merkle.verify_consistency(old, size, mth(leaves[:old]), mth(leaves[:size]), proof)
        assert await tree.tile(connection, 1, 0, 3) == [
            mth(leaves[n * 256 : (n + 1) * 256]) for n in range(3)
        ]


async def test_asking_beyond_the_tree_says_what_is_missing(database, ledger, submission):
    """A tile that isn't there is an error, not an empty answer."""
    await ledger.append(submission(drafts=3))
    async with await psycopg.AsyncConnection.connect(database) as connection:
        with pytest.raises(tree.MissingHashes, match="3 of the hashes 0 to 255"):
            await tree.tile(connection, 0, 0, 256)
