"""The dry run of a site: which of its interfaces a dummy shipment crosses, and what came of it."""

from __future__ import annotations

from datetime import datetime

import anyio.to_thread

from stafett.protocol.model import Handoff
from stafett.registry.dryrun import Leg, is_of, run
from stafett.service.accounts import Accounts
from stafett.service.library import Library
from stafett.service.practice import Practice


class DryRuns:
    """Dry runs, read from the results of practice in the record."""

    def __init__(self, library: Library, practice: Practice, accounts: Accounts) -> None:
        self._library, self._practice, self._accounts = library, practice, accounts

    async def of(
        self, organisation: str, protocol: str, version: str, since: datetime
    ) -> tuple[Leg, ...] | None:
        """Return the legs of an organisation's dry run; None where the protocol is not run here.

        The legs are its sides of the handoffs with others, in the roles that its people have.
        """
        pinned = self._library.current().get(protocol)
        if pinned is None or not is_of(pinned.version, version):
            return None
        people = await self._accounts.people(organisation)
        roles = {role for person in people for role in person.roles}
        places = self._practice.places_of(roles, protocol)
        reached = await anyio.to_thread.run_sync(self._practice.reached, protocol)
        handoffs = pinned.document.bind().handoffs
        legs = [
            Leg(activity=place.activity, side=place.side, role=place.role)
            for place in places
            if (place.activity, place.side) in reached
            and _crosses(handoffs.get(place.activity), roles)
        ]
        done = await self._practice.results(organisation)
        own = [r for r in done if r.protocol == protocol and is_of(r.version, version)]
        return run(legs, own, since) if legs else None

    def titles(self, protocol: str) -> dict[str, object]:
        """Return what the handoffs of a protocol are called; nothing where it is not run here."""
        pinned = self._library.current().get(protocol)
        if pinned is None:
            return {}
        return {name: part.title for name, part in pinned.document.bind().handoffs.items()}

    def roles(self, protocol: str) -> dict[str, object]:
        """Return what the roles of a protocol are called; nothing where it is not run here."""
        pinned = self._library.current().get(protocol)
        if pinned is None:
            return {}
        return {name: role.title for name, role in pinned.document.bind().roles.items()}


def _crosses(handoff: Handoff | None, roles: set[str]) -> bool:
    return handoff is not None and (handoff.giver in roles) != (handoff.receiver in roles)
