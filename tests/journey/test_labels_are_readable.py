"""Labels that the scripted people print can be read."""

from __future__ import annotations

from typing import get_args

import pytest

from stafett.identity.scan import read
from stafett.journey.label import make
from stafett.protocol.model import Identification


@pytest.mark.parametrize("structure", [s for s in get_args(Identification) if s != "plain"])
def test_a_label_of_every_structure_is_read_back_for_small_and_large_seeds(structure: str) -> None:
    """Whatever patient and label number, the symbol is well formed."""
    for seed in (1, 500_001, 899_999, 1_300_000):
        for number in (1, 999):
            assert read(make(structure, seed, number)) is not None  # type: ignore[arg-type]
