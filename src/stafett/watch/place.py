"""Where a logger is, told against the places a shipment may be at."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from stafett.watch.reading import Array

EARTH_M: Final = 6_371_008.8  # mean radius, IUGG


class Place(NamedTuple):
    """A named circle: degrees (WGS 84) and metres."""

    name: str
    latitude: float
    longitude: float
    radius_m: float


def distance_m(latitude: Array, longitude: Array, place: Place) -> Array:
    """Return the great-circle distance to the centre of `place` (haversine), in metres."""
    a, b = np.radians(latitude), np.radians(place.latitude)
    half = np.radians(longitude - place.longitude) / 2
    inner = np.sin((a - b) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(half) ** 2
    found: Array = 2 * EARTH_M * np.arcsin(np.sqrt(np.clip(inner, 0.0, 1.0)))
    return found


def at(latitude: Array, longitude: Array, places: tuple[Place, ...]) -> list[str | None]:
    """Return the nearest place each position is within; None on the way or where it is unknown."""
    if not places or not len(latitude):
        return [None] * len(latitude)
    far = np.stack([distance_m(latitude, longitude, place) for place in places])
    radii = np.array([place.radius_m for place in places])[:, None]
    inside = np.where(far <= radii, far, np.inf)  # NaN compares false: unknown is nowhere
    best = np.argmin(inside, axis=0)
    return [places[k].name if np.isfinite(inside[k, i]) else None for i, k in enumerate(best)]
