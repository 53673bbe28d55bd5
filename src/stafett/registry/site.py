"""What a site can do: as it says itself, with what vouches for it and until when."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec

from stafett.registry.trial import Latitude, Link, Long, Longitude, Short

Day = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]


class Accreditation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A standing given by a body, with the day on which it ends."""

    name: Short
    body: Short
    until: Day
    reference: Short | None = None


class Qualification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The site may carry out `protocol` in `version` (in these roles) until `until`."""

    protocol: Short
    version: Short
    roles: tuple[Short, ...]
    until: Day
    by: Short


class Capacity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is open for booking: slots in the four weeks from `on`, and the first free day."""

    resource: Short
    slots: Annotated[int, msgspec.Meta(ge=0, le=10_000)]
    first_free: Day | None = None
    on: Day


class SiteEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A site of the registry. `id` is its organisation's, or the organisation's and the site's."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")]
    name: Short
    organisation: Short
    kind: Short
    city: Short
    region: Short | None = None
    country: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$")]
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    url: Link | None = None
    contact: Long | None = None
    accreditations: tuple[Accreditation, ...] = ()
    qualifications: tuple[Qualification, ...] = ()
    capacity: tuple[Capacity, ...] = ()
    sources: tuple[Long, ...] = ()
    made_up: bool = False


def current(until: str, today: date) -> bool:
    """Say whether something that ends on `until` still holds on `today` (that day included)."""
    return date.fromisoformat(until) >= today


def expires_soon(until: str, today: date, days: int = 90) -> bool:
    """Say whether it holds, but ends within `days`."""
    left = (date.fromisoformat(until) - today).days
    return 0 <= left <= days
