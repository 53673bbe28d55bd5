"""Whether a site's people are trained: counted from the competence that they have now.

A requirement of the kind `training` is met when so many different people as it asks for (one, where
it gives no number) may sign by current competence, and somebody in each role that it names. Counts,
no names: who asks sees what the site can do, not who can. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from stafett.registry.competence import Grant, find
from stafett.registry.requirement import Requirement


class InRole(msgspec.Struct, frozen=True, kw_only=True):
    """How many may sign in a role now."""

    role: str
    people: int


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """The people with current competence for a protocol version, at a moment.

    `needed` different people are asked for; `met` says whether they are there, and `until` when,
    by the grants as they are, they first no longer will be.
    """

    at: datetime
    version: str
    people: int
    needed: int
    met: bool
    roles: tuple[InRole, ...]
    until: datetime | None = None


def trained(
    asked: Requirement,
    grants: Iterable[Grant],
    roles: Mapping[str, frozenset[str]],
    protocol: str,
    version: str,
    at: datetime,
) -> Trained:
    """Count who is competent. `roles` are those that each active person has.

    A grant in a role that the person no longer has counts for nothing.
    """
    mine = [g for g in grants if g.protocol == protocol and g.role in roles.get(g.person, ())]
    found = _count(asked, mine, version, at)
    if not found.met:
        return msgspec.structs.replace(found, version=version)
    ends = sorted({e for g in mine for e in (g.valid_until, g.withdrawn) if e and e > at})
    until = next((e for e in ends if not _count(asked, mine, version, e).met), None)
    return msgspec.structs.replace(found, until=until)


def _count(asked: Requirement, grants: list[Grant], version: str, at: datetime) -> Trained:
    by_person: dict[str, list[Grant]] = {}
    for grant in grants:
        by_person.setdefault(grant.person, []).append(grant)
    able: dict[str, set[str]] = {}
    for person, own in by_person.items():
        for role in {g.role for g in own if not asked.roles or g.role in asked.roles}:
            if isinstance(find(own, own[0].protocol, version, role, at), Grant):
                able.setdefault(role, set()).add(person)
    people = len(set().union(*able.values()))
    needed = round(asked.number) if asked.ask == "at-least" and asked.number else 1
    return Trained(
        at=at,
        version=version,
        people=people,
        needed=needed,
        met=people >= needed and all(able.get(role) for role in asked.roles),
        roles=tuple(InRole(role=role, people=len(who)) for role, who in sorted(able.items())),
    )
