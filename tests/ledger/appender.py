"""A process that appends as fast as it can until it is killed: `appender.py URL PREFIX SUBMITTERS`.

Each acknowledged submission is one line on stdout: its key, its first position.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime

from stafett.ledger import Author, Draft, Ledger, Submission


def submission(key: str) -> Submission:
    """Make the submission that belongs to `key` (the same on every call)."""
    stream = f"journey-{hash_of(key) % 20}"
    drafts = [Draft("noted", {"key": key}, datetime(2026, 1, 1, tzinfo=UTC))] * (
        1 + hash_of(key) % 3
    )
    return Submission(stream, None, drafts, ["a"], Author("a"), key, key.encode())


def hash_of(key: str) -> int:
    """Return a number that depends on nothing but the key."""
    return sum(key.encode())


async def main(url: str, prefix: str, submitters: int) -> None:
    """Append for ever."""
    async with Ledger(url) as ledger:

        async def submit(me: int) -> None:
            count = 0
            while True:
                count += 1
                key = f"{prefix}-{me}-{count}"
                receipt = await ledger.append(submission(key))
                os.write(1, f"{key} {receipt.first_position}\n".encode())

        await asyncio.gather(*[submit(n) for n in range(submitters)])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
