"""Where a journey counts: one region of one country, by the sites that the registry lists.

Places are nested (everywhere, a country, a region of it) and never overlap, so that each figure of
a place is the sum of the figures of its parts, and what is hidden in one can be guarded in all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from stafett.registry.site import SiteEntry

NOWHERE = "-"  # a country, or a region, that the registry does not know: never shown by itself


class Place(msgspec.Struct, frozen=True, order=True):
    """A region, a country (no region), or everywhere (neither)."""

    country: str = ""
    region: str = ""

    def __str__(self) -> str:
        """Write it as it stands in an address: "SE/Norra", "SE", or nothing for everywhere."""
        return "/".join(part for part in (self.country, self.region) if part)

    @property
    def shown(self) -> bool:
        """Whether it has a page: the rest of a country, or of everything, has none."""
        return NOWHERE not in (self.country, self.region)

    @property
    def around(self) -> tuple[Place, ...]:
        """The places that it lies in, the widest first, itself last."""
        if not self.country:
            return (self,)
        whole = (EVERYWHERE, Place(self.country))
        return (*whole, self) if self.region else whole

    def holds(self, other: Place) -> bool:
        """Whether `other` lies in it."""
        return self in other.around


EVERYWHERE = Place()
UNKNOWN = Place(NOWHERE, NOWHERE)


def of_organisations(sites: Iterable[SiteEntry]) -> dict[str, Place]:
    """Return the one place of each organisation that has a site.

    One with sites in several regions counts in the rest of their country, one with sites in several
    countries in no country: its journeys cannot be told apart.
    """
    found: dict[str, set[Place]] = defaultdict(set)
    for site in sites:
        found[site.organisation].add(Place(site.country, site.region or NOWHERE))
    return {name: _one(places) for name, places in found.items()}


def _one(places: set[Place]) -> Place:
    countries = {p.country for p in places}
    if len(places) == 1:
        return next(iter(places))
    return Place(countries.pop(), NOWHERE) if len(countries) == 1 else UNKNOWN


def known(organisations: Mapping[str, Place]) -> list[Place]:
    """Return every place that can be chosen, each country before its regions."""
    found = {place for one in organisations.values() for place in one.around}
    return sorted(place for place in found if place.country and place.shown)
