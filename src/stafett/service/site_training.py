"""A site's training, read from the grants of competence that its people sign by."""

from __future__ import annotations

from datetime import UTC, datetime

from stafett.registry.dryrun import is_of
from stafett.registry.requirement import Requirement, RequirementList
from stafett.registry.trained import Trained, trained
from stafett.service.accounts import Accounts
from stafett.service.competence import Competences
from stafett.service.library import Library


class SiteTraining:
    """Counts who may sign now at an organisation."""

    def __init__(self, library: Library, competences: Competences, accounts: Accounts) -> None:
        self._library, self._competences, self._accounts = library, competences, accounts

    async def of(
        self, organisation: str, asks: RequirementList, asked: Requirement
    ) -> Trained | None:
        """Return the training of an organisation; None where none is asked for, or the protocol is
        not run here and its competence so not kept here."""
        pinned = self._library.current().get(asks.protocol)
        if asked.kind != "training" or pinned is None or not is_of(pinned.version, asks.version):
            return None
        people = await self._accounts.people(organisation)
        roles = {person.id: frozenset(person.roles) for person in people}
        grants = await self._competences.of_organisation(organisation)
        now = datetime.now(UTC)
        return trained(asked, grants, roles, asks.protocol, pinned.version, now)
