"""A small delivery chain for the tests of the language."""

from __future__ import annotations

from pathlib import Path

import pytest

SMALL = Path(__file__).with_name("small.yaml").read_text()


@pytest.fixture
def small() -> str:
    """Return the text of a protocol with one step, one handoff and one decision."""
    return SMALL


@pytest.fixture
def sound() -> str:
    """Return the text of a small but complete chain that checks clean."""
    return Path(__file__).with_name("sound.yaml").read_text()
