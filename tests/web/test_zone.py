"""Moments are written with the day first, in the site's zone, under the zone's own short name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stafett.web import zone

SUMMER = datetime(2026, 7, 2, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("place", "language", "written"),
    [
        ("Europe/Stockholm", "en", "2 Jul 2026 12:00:00 CEST"),
        ("Europe/Stockholm", "sv", "2 juli 2026 12:00:00 CEST"),
        ("Europe/Madrid", "es", "2 jul 2026 12:00:00 CEST"),
        ("Europe/London", "sv", "2 juli 2026 11:00:00 BST"),
        ("America/New_York", "es", "2 jul 2026 06:00:00 EDT"),
        ("America/Sao_Paulo", "en", "2 Jul 2026 07:00:00 -03"),
    ],
)
def test_a_moment_names_its_zone_in_every_language(place: str, language: str, written: str) -> None:
    """Nobody is left to guess which zone an offset belongs to where the zone has a name."""
    zone.stand_in(place)
    try:
        assert zone.written(SUMMER, language) == written
    finally:
        zone.stand_in(zone.NOWHERE)
