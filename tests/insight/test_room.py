"""Names beside a picture's bars have the room that they need."""

from __future__ import annotations

import re

import pytest

from stafett.insight.pictures.bars import Bar, forest, interval_bars
from stafett.insight.pictures.svg import measure

NAMES = [
    "Godsmottagning vid anläggningen → Tillverkningsrum",
    "Ärendehantering → Behandlande klinik",
    "MWMWMWMWMWMWMWMWMWMWMWMWMWMWMWMWMWMWMW",
    "a",
]
END = re.compile(r'<text x="([\d.]+)"[^>]*text-anchor="end"[^>]*>([^<]*)</text>')


@pytest.mark.parametrize("kind", ["ranking", "forest"])
def test_no_name_is_cut_off_by_the_pictures_edge(kind: str) -> None:
    """It ends at its bar and begins inside the picture, in the widest of the common faces."""
    bars = [Bar(name, 1.0, 0.5, 2.0) for name in NAMES]
    if kind == "ranking":
        svg = interval_bars(bars, title="t", unit="h")
    else:
        svg = forest(bars, title="t", unit="h", centre=1.0)
    names = END.findall(svg)
    assert len(names) == len(NAMES)
    for x, name in names:
        assert float(x) - measure(name) >= 0, name
