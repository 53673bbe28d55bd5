"""A chain with every kind of thing in it, and people who walk it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from stafett.protocol.net import Net
from stafett.protocol.read import read

HERE = Path(__file__).parent
START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def net() -> Net:
    """Return the net of `rich.yaml`: six handoffs, three decisions, all kinds of checks."""
    return Net(read(HERE / "rich.yaml").bind())


@pytest.fixture
def start() -> datetime:
    """Return the moment at which the journeys of these tests begin."""
    return START
