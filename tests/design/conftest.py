"""The four systems, read once; a small plan."""

from __future__ import annotations

import pytest

from stafett.design.experiment import Plan
from stafett.design.reading import System, load

FOUR = ("sweden", "spain", "us", "uk")


@pytest.fixture(scope="session")
def four() -> dict[str, System]:
    """The built-in systems."""
    return {name: load(name) for name in FOUR}


@pytest.fixture(scope="session")
def small() -> Plan:
    """Enough to see an effect, little enough to wait for."""
    return Plan(replications=10, years=1.0, warmup=0.75, seed=7)
