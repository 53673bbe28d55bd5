"""The acts of whoever edits a network, as they come in: one change each. `edit` does them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(max_length=120)]


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """One change."""


class AddSite(Act, frozen=True, tag="add-site"):
    """A site: what it is called, whose it is, where (both degrees, or no place), what it does.

    `owner`: a key of the network's owners, or the name of a new one. `roles`: what it plays instead
    of whoever does now; `centre` alone makes a treating centre, with its `share` of the patients
    (above 0, below 1) and its places in each pool of centres.
    """

    title: Name
    owner: Name
    roles: list[Name]
    at: tuple[float | None, float | None] | None = None
    share: float = 0.1
    places: dict[Name, float] = {}


class RemoveSite(Act, frozen=True, tag="remove-site"):
    """Take a site away, and with it the lanes of its own. `site`: its key."""

    site: Name


class ChangeSite(Act, frozen=True, tag="change-site"):
    """Change a site where it stands; what is not said stays. `site`: its key, which it keeps.

    `owner`: as in `add-site`. `at`: both degrees, or null for no place. `share` (above 0, below 1;
    the other shares are weighed anew) and `places` are a treating centre's.
    """

    site: Name
    title: Name | msgspec.UnsetType = msgspec.UNSET
    owner: Name | msgspec.UnsetType = msgspec.UNSET
    at: tuple[float | None, float | None] | msgspec.UnsetType | None = msgspec.UNSET
    share: float | msgspec.UnsetType = msgspec.UNSET
    places: dict[Name, float] = {}


class AddLane(Act, frozen=True, tag="add-lane"):
    """A lane of a centre's own, from one site's key to another's: median days, and km if known.

    One that is there between the two is replaced.
    """

    origin: Name
    to: Name
    days: float
    mode: Literal["road", "air"] | None = None
    km: float | None = None


class RemoveLane(Act, frozen=True, tag="remove-lane"):
    """Take a lane away: one of a centre's own (`routes`) or that of all (`lanes`)."""

    kind: Literal["routes", "lanes"]
    lane: Name


class ChangeLane(Act, frozen=True, tag="change-lane"):
    """Change a lane where it stands; what is not said stays. `kind`, `lane`: as in `remove-lane`.

    `days`: median. `mode`, `km`: null takes them away; only a lane of a centre's own has `km`.
    """

    kind: Literal["routes", "lanes"]
    lane: Name
    days: float | msgspec.UnsetType = msgspec.UNSET
    mode: Literal["road", "air"] | msgspec.UnsetType | None = msgspec.UNSET
    km: float | msgspec.UnsetType | None = msgspec.UNSET


class GiveRole(Act, frozen=True, tag="give-role"):
    """Say who plays a role: an organisation's key, or `centre`."""

    role: Name
    who: Name


Any_ = AddSite | ChangeSite | RemoveSite | AddLane | ChangeLane | RemoveLane | GiveRole
