"""Changing a network as it is written: sites and lanes come, change and go, one act at a time.

Pure functions over the plain value of a network file, so that what nobody touched stays as it was.
An act may leave a network that is not whole (a role that nobody plays): the checks of `reading` say
so, and the next act mends it. What an editor makes up is an assumption with a range, also where
a published figure stood before.
"""

from __future__ import annotations

import copy
import math
import re
import unicodedata
from typing import Any

import msgspec

from stafett.design.acts import (
    AddLane,
    AddSite,
    Any_,
    ChangeLane,
    ChangeSite,
    GiveRole,
    RemoveLane,
    RemoveSite,
)
from stafett.design.network import CENTRE

Value = dict[str, Any]
NOTE = "weighed anew when a centre came, went or took another share"
CHANGED = "changed in the studio"
REPLACED = "changed in the studio, where a published figure stood"
NOTES = (NOTE, CHANGED, REPLACED)


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
        case ChangeSite():
            _change_site(n, act)
        case RemoveSite():
            _remove_site(n, act.site)
        case AddLane():
            _add_lane(n, act)
        case ChangeLane():
            _change_lane(_lane(n, act), act)
        case RemoveLane():
            _lane(n, act)
            del n[act.kind][act.lane]
        case GiveRole():
            n["roles"][act.role] = act.who
    return n


def assumed(before: Value, after: Value) -> list[str]:
    """Paths (with dots) of the figures that had a source in `before` and are assumptions now."""
    found = []
    for key, old in before.items():
        new = after.get(key)
        if not (isinstance(old, dict) and isinstance(new, dict)):
            continue
        if "value" not in old:
            found += [f"{key}.{rest}" for rest in assumed(old, new)]
        elif old.get("source") is not None and new.get("assumption"):
            found.append(key)
    return found


def _add_site(n: Value, act: AddSite) -> None:
    title, owner = _titled(act.title), _owned(n, act.owner)
    if not act.roles:
        raise Wrong("roles", "a site plays a role", "choose at least one")
    key = _key(title, {*n["centres"], *n["organisations"], CENTRE})
    site: Value = {"title": title, "owner": owner}
    _put(site, act.at)
    if CENTRE not in act.roles:
        n["organisations"][key] = site
        n["roles"].update(dict.fromkeys(act.roles, key))
        return
    if len(act.roles) > 1:
        raise Wrong("roles", "a treating centre plays no other role here", "add a site for it")
    _weigh(n["centres"], 1 - _share(act.share))
    site["share"] = _guess(act.share, 0.0, 1.0)
    site["places"] = {p: _guess(act.places.get(p, 1.0), 1.0, 12.0) for p in _pools(n)}
    n["centres"][key] = site


def _change_site(n: Value, act: ChangeSite) -> None:
    section = "centres" if act.site in n["centres"] else "organisations"
    site = n[section].get(act.site)
    if site is None:
        raise Wrong("site", f"there is no site {act.site!r}")
    if act.title is not msgspec.UNSET:
        site["title"] = _titled(act.title)
    if act.owner is not msgspec.UNSET:
        site["owner"] = _owned(n, act.owner)
    if act.at is not msgspec.UNSET:
        _put(site, act.at)
    if section == "organisations":
        if act.share is not msgspec.UNSET or act.places:
            what = "only a treating centre has a share and places"
            raise Wrong("share" if act.share is not msgspec.UNSET else "places", what)
        return
    if act.share is not msgspec.UNSET and _other(site["share"], act.share):
        others = {k: c for k, c in n["centres"].items() if k != act.site}
        if not others:
            raise Wrong("share", "the only centre treats everybody", "add another centre first")
        _weigh(others, 1 - _share(act.share))
        site["share"] = _anew(site["share"], act.share, 0.0, 1.0)
    for pool, places in act.places.items():
        if pool not in _pools(n):
            raise Wrong("places", f"centres have no pool {pool!r}")
        here = site["places"].get(pool, {})
        if _other(here, places):
            site["places"][pool] = _anew(here, places, 1.0, 12.0)


def _remove_site(n: Value, key: str) -> None:
    if key in n["centres"]:
        del n["centres"][key]
        _weigh(n["centres"], 1.0)
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


def _lane(n: Value, act: ChangeLane | RemoveLane) -> Value:
    """A lane that is there."""
    lanes: Value = n.get(act.kind, {})
    if act.lane not in lanes:
        raise Wrong("lane", f"there is no lane {act.lane!r}")
    return lanes[act.lane]  # type: ignore[no-any-return]


def _change_lane(lane: Value, act: ChangeLane) -> None:
    if act.km is not msgspec.UNSET and act.kind == "lanes":
        what = "a lane of all treating centres has no length of its own"
        raise Wrong("km", what, "add a lane for one centre")
    if act.days is not msgspec.UNSET and _other(lane["median"], act.days):
        lane["median"] = _anew(lane["median"], act.days, act.days / 2, act.days * 2)
    for key, value in (("mode", act.mode), ("km", act.km)):
        if value is None:
            lane.pop(key, None)
        elif value is not msgspec.UNSET:
            lane[key] = value


def _titled(title: str) -> str:
    """A site's name, without needless space."""
    if not (title := " ".join(title.split())):
        raise Wrong("title", "a site needs a name")
    return title


def _put(site: Value, at: tuple[float | None, float | None] | None) -> None:
    """Say where a site is, or that it has no one place."""
    if at is None:
        site.pop("at", None)
    elif None in at:
        raise Wrong("at", "a place needs both degrees", "or neither")
    else:
        site["at"] = list(at)


def _share(share: float) -> float:
    """A share that leaves something to others."""
    if not 0 < share < 1:
        raise Wrong("share", f"{share:g} is no share", "above 0 and below 1")
    return share


def _pools(n: Value) -> list[str]:
    """The pools in which each centre has places of its own."""
    return [k for k, pool in n["pools"].items() if pool.get("per") == "centre"]


def _weigh(centres: Value, total: float) -> None:
    """Weigh the shares of centres so that they add up to `total`."""
    now = sum(c["share"]["value"] for c in centres.values())
    for c in centres.values():
        value = c["share"]["value"] * total / now if now else total / len(centres)
        old = c["share"]
        c["share"] = {**_guess(value, old.get("low") or value, old.get("high") or value),
                      "note": NOTE}  # fmt: skip


def _other(old: Value, value: float) -> bool:
    """Whether a figure becomes another one; one that was only written anew keeps its source."""
    return not ("value" in old and math.isclose(old["value"], value, rel_tol=1e-9))


def _anew(old: Value, value: float, low: float, high: float) -> Value:
    """A figure instead of another: an assumption; its note says if a published one stood there."""
    return {**_guess(value, low, high), "note": REPLACED if old.get("source") else CHANGED}


def _guess(value: float, low: float, high: float) -> Value:
    """A figure that nobody measured, with a range that holds it."""
    return {"value": value, "low": min(low, value), "high": max(high, value), "assumption": True}


def _owned(n: Value, owner: str) -> str:
    """The key of an owner; one that is not known is added."""
    if not (owner := " ".join(owner.split())):
        raise Wrong("owner", "a site belongs to somebody", "choose an owner, or name a new one")
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
