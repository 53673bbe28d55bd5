"""An area of the web application: what one room shows, as one value.

`app` puts every area's endpoints, routes and menu lines together; nothing else lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.routing import BaseRoute

from stafett.service import policy
from stafett.service.accounts import Person
from stafett.service.tower import Tower
from stafett.web.endpoint import Endpoint

# The headings of the menu, in their order; others follow.
GROUPS = tuple(
    f"menu.{name}" for name in ("work", "watch", "learn", "design", "record", "registry", "admin")
)


@dataclass(frozen=True)
class Line:
    """A line of the menu: the message that names it, its address, and who sees it.

    `group` is the message of the heading it stands under; `may` a line of the policy table
    ("anyone": also who is not signed in).
    """

    name: str
    path: str
    group: str = "menu.work"
    may: str = "see"


@dataclass(frozen=True)
class Area:
    """One room's part of the application; `mounts` are routes that need the tower.

    `described` gives what `/openapi.json` says of those: a part of an OpenAPI document.
    """

    name: str
    endpoints: Sequence[Endpoint] = ()
    routes: Sequence[BaseRoute] = ()
    mounts: Callable[[Tower], Sequence[BaseRoute]] | None = None
    menu: Sequence[Line] = ()
    described: Callable[[], dict[str, Any]] | None = None


def seen_by(person: Person | None, areas: Sequence[Area]) -> list[tuple[str, list[Line]]]:
    """Return the menu of `person`: (group, its lines in the order of the areas), by GROUPS."""
    groups: dict[str, list[Line]] = {group: [] for group in GROUPS}
    for area in areas:
        for line in area.menu:
            if policy.allows(line.may, person):
                groups.setdefault(line.group, []).append(line)
    return [(group, lines) for group, lines in groups.items() if lines]
