"""What the tests of the ledger share."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from stafett.ledger import Author, Draft, Ledger, Submission

_keys = itertools.count(1)
Submit = Callable[..., Submission]


@pytest.fixture
def submission() -> Submit:
    """Make submissions that differ only in what a test says."""

    def make(
        stream: str = "journey-1",
        expected: int | None = None,
        key: str | None = None,
        drafts: int = 1,
        audience: tuple[str, ...] = ("hospital", "maker"),
        body: dict[str, Any] | None = None,
    ) -> Submission:
        content = body if body is not None else {"n": 1}
        return Submission(
            stream=stream,
            expected_version=expected,
            drafts=[Draft("noted", content, datetime(2026, 11, 23, tzinfo=UTC))] * drafts,
            audience=audience,
            author=Author("hospital", "nurse"),
            key=key or f"key-{next(_keys)}",
            request_hash=hashlib.sha256(repr((stream, content, drafts)).encode()).digest(),
        )

    return make


@pytest.fixture
async def ledger(database: str, anyio_backend: str) -> AsyncIterator[Ledger]:
    """Open a ledger on a fresh database."""
    async with Ledger(database, patience_s=10) as opened:
        yield opened
