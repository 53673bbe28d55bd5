"""The events that this process has just appended, for those here who follow the ledger.

They are the very bytes whose commit was answered; asking the database for them is a round trip that
reads, sends and decodes what is here already. Nothing else is ever served from here: where another
process has appended in between, or not every event up to the ledger's size is here, the database
is asked.

They are kept batch by batch, as they come, for most are never asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

EVENTS, BYTES = 4_096, 8 * 2**20  # at most; the oldest go first

Row = tuple[int, bytes, bytes]  # position, leaf, leaf hash


class _Batch(msgspec.Struct):
    """Neighbouring events."""

    first: int  # position
    leaves: Sequence[bytes]
    hashes: Sequence[bytes]

    def without(self, count: int) -> _Batch:
        """Return what is left when the first `count` have gone."""
        return _Batch(self.first + count, self.leaves[count:], self.hashes[count:])


class Recent:
    """A run of events without gaps, the newest at its end."""

    def __init__(self) -> None:
        self._batches: deque[_Batch] = deque()
        self._size = 0  # of the ledger, with the newest event
        self._bytes = 0

    def forget(self) -> None:
        """Keep nothing: somebody else may have appended."""
        self._batches.clear()
        self._bytes = 0

    def put(self, size: int, leaves: Sequence[bytes], hashes: Sequence[bytes]) -> None:
        """Keep events that have committed; with them the ledger has `size`."""
        if not leaves:
            return
        first = size - len(leaves) + 1
        if self._batches and self._size != first - 1:
            self.forget()
        self._batches.append(_Batch(first, leaves, hashes))
        self._size = size
        self._bytes += sum(map(len, leaves))
        self._drop(size - self._batches[0].first + 1 - EVENTS)
        while self._bytes > BYTES:
            self._drop(1)

    def _drop(self, count: int) -> None:
        """Let go of the oldest `count` events."""
        while count > 0:
            oldest = self._batches.popleft()
            self._bytes -= sum(map(len, oldest.leaves[:count]))
            if count < len(oldest.leaves):
                self._batches.appendleft(oldest.without(count))
            count -= len(oldest.leaves)

    def beyond(self, after: int, size: int, limit: int) -> list[Row] | None:
        """Return at most `limit` events beyond position `after`, in order.

        None unless every event beyond it, up to a ledger of `size` at least, is here.
        """
        batches = self._batches
        if not batches or batches[0].first > after + 1 or self._size < max(size, after + 1):
            return None
        wanted: list[_Batch] = []
        for batch in reversed(batches):  # who follows has seen nearly all
            wanted.append(batch)
            if batch.first <= after + 1:
                break
        wanted[-1] = wanted[-1].without(after + 1 - wanted[-1].first)
        rows: list[Row] = []
        while wanted and len(rows) < limit:
            batch = wanted.pop()
            until = batch.first + len(batch.leaves)
            rows += zip(range(batch.first, until), batch.leaves, batch.hashes, strict=True)
        return rows[:limit]
