"""Changing a network as it is written: sites and lanes added and taken away, one act at a time.

Pure functions over the plain value of a network file, so that what nobody touched stays as it was.
An act may leave a network that is not whole (a role that nobody plays): the checks of `reading` say
so, and the next act mends it. What an editor makes up is an assumption with a range.
"""

from __future__ import annotations

import copy
import re
import unicodedata
from typing import Annotated, Any, Literal

import msgspec

from stafett.design.network import CENTRE

Value = dict[str, Any]
Name = Annotated[str, msgspec.Meta(max_length=120)]
NOTE = "weighed anew when a centre came or went"


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


class GiveRole(Act, frozen=True, tag="give-role"):
    """Say who plays a role: an organisation's key, or `centre`."""

    role: Name
    who: Name


Any_ = AddSite | RemoveSite | AddLane | RemoveLane | GiveRole


class Wrong(ValueError):
    """An act that cannot be done at all: `field` of it, what is wrong, what to do."""

    def __init__(self, field: str, what: str, todo: str = "") -> None:
        super().__init__(what)
        self.field, self.what, self.todo = field, what, todo


def done(network: Value, act: Any_) -> Value:
    """The network after an act; raises Wrong. `network` fits the types of a network file."""
    n = copy.deepcopy(network)
    match act:
        case AddSite():
            _add_site(n, act)
        case RemoveSite():
            _remove_site(n, act.site)
        case AddLane():
            _add_lane(n, act)
        case RemoveLane():
            if act.lane not in n.get(act.kind, {}):
                raise Wrong("lane", f"there is no lane {act.lane!r}")
            del n[act.kind][act.lane]
        case GiveRole():
            n["roles"][act.role] = act.who
    return n


def _add_site(n: Value, act: AddSite) -> None:
    title, owner = " ".join(act.title.split()), " ".join(act.owner.split())
    if not title:
        raise Wrong("title", "a site needs a name")
    if not owner:
        raise Wrong("owner", "a site belongs to somebody", "choose an owner, or name a new one")
    if not act.roles:
        raise Wrong("roles", "a site plays a role", "choose at least one")
    key = _key(title, {*n["centres"], *n["organisations"], CENTRE})
    site: Value = {"title": title, "owner": _owner(n, owner)}
    if act.at is not None and None in act.at:
        raise Wrong("at", "a place needs both degrees", "or neither")
    if act.at is not None:
        site["at"] = list(act.at)
    if CENTRE not in act.roles:
        n["organisations"][key] = site
        n["roles"].update(dict.fromkeys(act.roles, key))
        return
    if len(act.roles) > 1:
        raise Wrong("roles", "a treating centre plays no other role here", "add a site for it")
    if not 0 < act.share < 1:
        raise Wrong("share", f"{act.share:g} is no share", "above 0 and below 1")
    _weigh(n, 1 - act.share)
    pools = [k for k, pool in n["pools"].items() if pool.get("per") == "centre"]
    site["share"] = _guess(act.share, 0.0, 1.0)
    site["places"] = {p: _guess(act.places.get(p, 1.0), 1.0, 12.0) for p in pools}
    n["centres"][key] = site


def _remove_site(n: Value, key: str) -> None:
    if key in n["centres"]:
        del n["centres"][key]
        _weigh(n, 1.0)
    elif key in n["organisations"]:
        del n["organisations"][key]
        n["roles"] = {role: who for role, who in n["roles"].items() if who != key}
    else:
        raise Wrong("site", f"there is no site {key!r}")
    routes = n.get("routes", {})
    n["routes"] = {k: r for k, r in routes.items() if key not in (r["from"], r["to"])}


def _add_lane(n: Value, act: AddLane) -> None:
    routes = n.setdefault("routes", {})
    same = (k for k, r in routes.items() if (r["from"], r["to"]) == (act.origin, act.to))
    key = next(same, None) or _key(f"{act.origin}-{act.to}", set(routes))
    lane: Value = {"from": act.origin, "to": act.to}
    if act.mode is not None:
        lane["mode"] = act.mode
    if act.km is not None:
        lane["km"] = act.km
    routes[key] = {
        **lane, "median": _guess(act.days, act.days / 2, act.days * 2),
        "spread": _guess(0.35, 0.2, 0.6),
    }  # fmt: skip


def _weigh(n: Value, total: float) -> None:
    """Weigh the shares of the centres so that they add up to `total`."""
    now = sum(c["share"]["value"] for c in n["centres"].values())
    for c in n["centres"].values():
        value = c["share"]["value"] * total / now if now else total / len(n["centres"])
        old = c["share"]
        c["share"] = {**_guess(value, old.get("low") or value, old.get("high") or value),
                      "note": NOTE}  # fmt: skip


def _guess(value: float, low: float, high: float) -> Value:
    """A figure that nobody measured, with a range that holds it."""
    return {"value": value, "low": min(low, value), "high": max(high, value), "assumption": True}


def _owner(n: Value, owner: str) -> str:
    """The key of an owner; one that is not known is added."""
    if owner in n["owners"]:
        return owner
    for key, title in n["owners"].items():
        if title == owner:
            return str(key)
    key = _key(owner, set(n["owners"]))
    n["owners"][key] = owner
    return key


def _key(title: str, taken: set[str]) -> str:
    """A key that is not taken, made of a name."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:40] or "site"
    return next(
        k for i in range(1, 10_000) if (k := base if i == 1 else f"{base}_{i}") not in taken
    )
