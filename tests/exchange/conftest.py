"""What the tests of the exchange share."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stafett.exchange import epcis
from stafett.exchange.epcis_store import EpcisStore


@pytest.fixture(scope="session")
def corpus(shared: Path) -> epcis.Document:
    """Return the vein-to-vein corpus of 82 events."""
    return epcis.read((shared / "standards/celltherapy/corpus.json").read_bytes())


@pytest.fixture(scope="session")
def asked(shared: Path) -> list[dict[str, Any]]:
    """Return the 69 published queries with their answers."""
    found: list[dict[str, Any]] = json.loads(
        (shared / "standards/celltherapy/queries.json").read_text()
    )["queries"]
    return found


@pytest.fixture
async def store(database: str, anyio_backend: str) -> AsyncIterator[EpcisStore]:
    """Open an event store on a fresh database."""
    async with EpcisStore(database) as opened:
        yield opened
