"""What else a FHIR search brings: `_include`, `_revinclude`, and either again and again. Pure.

FHIR R4 and R5, 3.2.1 (Search), "Including other resources in result". What a parameter cannot
bring is refused, not left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from stafett.exchange.fhir_parameters import (
    Json,
    parameters,
    references,
    types,
    values_at,
    wrong,
)

# What is no journey's is not found by what it refers to: it is read by other rules.
_NOT_BACK = frozenset({"AuditEvent", "ResearchStudy", "Subscription"})


class Along(msgspec.Struct, frozen=True):
    """Bring what `source`'s parameter refers to, of one type or ("") of any.

    `back`: bring the resources of type `source` that refer to what is there already. `again`: also
    from what was brought along, until nothing is new.
    """

    source: str
    name: str
    paths: tuple[str, ...]
    target: str
    back: bool
    again: bool

    def references(self, resource: Json, about: Mapping[str, Any]) -> Iterable[str]:
        """Give the references ("Type/id") of a resource that this follows."""
        if self.back or resource["resourceType"] != self.source:
            return
        for value in values_at(resource, self.paths, about):
            name = value.get("reference", "") if isinstance(value, dict) else str(value)
            kind, slash, _ = name.partition("/")
            if slash and (not self.target or kind == self.target):
                yield name

    def leads_to(self, kind: str) -> bool:
        """Say whether its references may lead to a type."""
        return kind in references(self.source)[self.name] and self.target in ("", kind)


def includable(kind: str) -> tuple[str, ...]:
    """Return what `_include` follows from a type, as `Type:parameter`."""
    return tuple(f"{kind}:{name}" for name in references(kind))


def revincludable(kind: str, version: str) -> tuple[str, ...]:
    """Return what `_revinclude` follows back to a type, as `Type:parameter`."""
    return tuple(
        f"{source}:{name}"
        for source in types(version)
        if source not in _NOT_BACK
        for name, targets in references(source).items()
        if kind in targets
    )


def read_along(kind: str, name: str, value: str, version: str) -> list[Along]:
    """Read one `_include` or `_revinclude` of a search for `kind`; raise `Problem` 400."""
    base, _, modifier = name.partition(":")
    if base not in ("_include", "_revinclude") or modifier not in ("", "iterate"):
        raise wrong(name[:80], "only _include and _revinclude, each with :iterate or nothing")
    back, again = base == "_revinclude", modifier == "iterate"
    source, _, rest = value.partition(":")
    parameter, colon, target = rest.partition(":")
    known = _known(kind, version, back, again)
    if parameter == "*":
        chosen = [one for one in known if one.partition(":")[0] == source]
    elif value == "*" and not back:
        chosen = list(known)
    else:
        chosen = [one for one in known if one == f"{source}:{parameter}"]
    found = [_along(one, target, back, again) for one in chosen]
    if target:
        found = [one for one in found if one.leads_to(target)]
    elsewhere = back and not again and target not in ("", kind)
    if not found or elsewhere or bool(colon) != bool(target):
        told = ", ".join(known) or "none of this type"
        raise wrong(name, f"{value[:80]!r} is not brought along here; known: {told}")
    return found


def _known(kind: str, version: str, back: bool, again: bool) -> tuple[str, ...]:
    if not again:
        return revincludable(kind, version) if back else includable(kind)
    every = types(version)
    if back:
        return tuple(dict.fromkeys(one for t in every for one in revincludable(t, version)))
    return tuple(one for t in every for one in includable(t))


def _along(one: str, target: str, back: bool, again: bool) -> Along:
    source, _, name = one.partition(":")
    return Along(source, name, parameters(source)[name][1], target, back, again)
