"""The built-in protocols, as parsed."""

from __future__ import annotations

from pathlib import Path

import pytest

import stafett
from stafett.protocol.read import Document, read

FOLDER = Path(stafett.__file__).parent / "catalogue" / "protocols"
_READ = {file.stem: read(file) for file in sorted(FOLDER.glob("*.yaml"))}


@pytest.fixture(params=_READ)
def document(request: pytest.FixtureRequest) -> Document:
    """Each protocol of the catalogue."""
    return _READ[request.param]


@pytest.fixture(scope="session")
def autologous() -> Document:
    """The protocol for autologous CAR-T."""
    return _READ["autologous-car-t"]
