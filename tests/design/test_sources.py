"""A source's address leads to the source, not to the front page of whoever keeps it."""

from __future__ import annotations

from urllib.parse import urlparse

from stafett.design.capital.reading import load as load_capital
from stafett.design.incentives.reading import load as load_game
from stafett.design.reading import interface_model, load, names
from stafett.protocol.model import Source


def test_no_address_is_a_front_page() -> None:
    """Every source of the networks, the interface model, the game and the capital catalogue."""
    every: dict[str, Source] = {}
    for name in names():
        every |= {f"{name}: {k}": s for k, s in load(name).network.sources.items()}
    every |= {f"interfaces: {k}": s for k, s in interface_model().sources.items()}
    every |= {f"game: {k}": s for k, s in load_game().spec.sources.items()}
    every |= {f"capital: {k}": s for k, s in load_capital().sources.items()}
    fronts = [k for k, s in every.items() if s.url and urlparse(s.url).path in ("", "/")]
    assert fronts == []
