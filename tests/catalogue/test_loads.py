"""The built-in protocols load, for every product."""

from __future__ import annotations

from pathlib import Path

import pytest

import stafett
from stafett.protocol.read import read

PROTOCOLS = Path(stafett.__file__).parent / "catalogue" / "protocols"


@pytest.mark.parametrize("file", sorted(PROTOCOLS.glob("*.yaml")), ids=lambda f: f.stem)
def test_binds_to_every_product(file: Path) -> None:
    """Each product fills in every parameter, and the result has the types of the language."""
    document = read(file)
    for product in document.products or (None,):
        assert document.bind(product).protocol == file.stem
