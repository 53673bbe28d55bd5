"""The events that this process has just appended, for those here who follow the ledger.

They are the very bytes whose commit was answered; asking the database for them is a round trip that
reads, sends and decodes what is here already. Nothing else is ever served from here: where another
process has appended in between, or not every event up to the ledger's size is here, the database
is asked.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence

EVENTS, BYTES = 4_096, 8 * 2**20  # at most; the oldest go first

Row = tuple[int, bytes, bytes]  # position, leaf, leaf hash


class Recent:
    """A run of events without gaps, the newest at its end."""

    def __init__(self) -> None:
        self._rows: deque[Row] = deque()
        self._bytes = 0

    def forget(self) -> None:
        """Keep nothing: somebody else may have appended."""
        self._rows.clear()
        self._bytes = 0

    def put(self, size: int, leaves: Sequence[bytes], hashes: Sequence[bytes]) -> None:
        """Keep events that have committed; with them the ledger has `size`."""
        first = size - len(leaves) + 1
        if self._rows and self._rows[-1][0] != first - 1:
            self.forget()
        self._rows.extend(zip(range(first, size + 1), leaves, hashes, strict=True))
        self._bytes += sum(map(len, leaves))
        while len(self._rows) > EVENTS or self._bytes > BYTES:
            self._bytes -= len(self._rows.popleft()[1])

    def beyond(self, after: int, size: int, limit: int) -> list[Row] | None:
        """Return at most `limit` events beyond position `after`, in order.

        None unless every event beyond it, up to a ledger of `size` at least, is here.
        """
        rows = self._rows
        if not rows or rows[0][0] > after + 1 or rows[-1][0] < max(size, after + 1):
            return None
        start = after + 1 - rows[0][0]
        return list(itertools.islice(rows, start, start + limit))
