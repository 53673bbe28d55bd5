"""What every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of published data and vectors, which stays out of the repository."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared (published data and vectors) is not here")
    return SHARED
