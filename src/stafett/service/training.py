"""Read and understood: what changed for you in a protocol's new version, checked, then granted.

Whoever was competent for an earlier version and answers every question rightly is competent for the
new one until their old grant ends. Who never was needs an administrator who has seen the training.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from stafett.protocol.diff import Change, diff
from stafett.registry.competence import Gap, Grant, find
from stafett.registry.quiz import Question, make, mine, passed
from stafett.service.accounts import Person
from stafett.service.competence import Competences, Wanted
from stafett.service.library import Library, Pinned
from stafett.service.refusal import No, Reason, unknown


class Reading(msgspec.Struct, frozen=True):
    """What one person has to read for one role: the changes for them, and the questions."""

    protocol: str
    role: str
    old: str
    new: str
    changes: tuple[Change, ...]
    questions: tuple[Question, ...]


class Standing(msgspec.Struct, frozen=True):
    """Where a person stands in one role of one protocol: competent until, or what is to do."""

    protocol: str
    version: str
    role: str
    until: datetime | None
    gap: str | None
    can_read: bool


class Training:
    """Use cases of reading and understanding."""

    def __init__(self, library: Library, competences: Competences) -> None:
        self._library, self._competences = library, competences

    async def standing(self, person: Person) -> list[Standing]:
        """Return where the person stands in each of their roles of each current protocol."""
        grants = await self._competences.of(person.id)
        now = datetime.now(UTC)
        found = []
        for pinned in self._library.current().values():
            roles = pinned.document.bind().roles
            for role in person.roles:
                if role not in roles:
                    continue
                got = find(grants, pinned.name, pinned.version, role, now)
                until = got.valid_until if isinstance(got, Grant) else None
                gap = got.kind if isinstance(got, Gap) else None
                can = gap == "other-version" and self._old(grants, pinned, role, now) is not None
                found.append(Standing(pinned.name, pinned.version, role, until, gap, can))
        return found

    async def reading(
        self, person: Person, protocol: str, role: str, language: str = "en"
    ) -> Reading:
        """Return what the person has to read. Raises No where there is nothing."""
        old, new, _ = await self._pair(person, protocol, role)
        changes = diff(old.document.bind(), new.document.bind(), language)
        quiz = make(changes, role, f"{person.id} {new.sha256} {role}")
        return Reading(
            protocol, role, old.version, new.version, tuple(mine(changes, role)), quiz.questions
        )

    async def answer(
        self,
        person: Person,
        protocol: str,
        role: str,
        answers: tuple[int, ...],
        language: str = "en",
    ) -> list[int]:
        """Check the answers; return the questions answered wrongly, and grant when there is none.

        `language` is the one in which the questions were read. Raises No where there is nothing
        to read.
        """
        old, new, grant = await self._pair(person, protocol, role)
        changes = diff(old.document.bind(), new.document.bind(), language)
        quiz = make(changes, role, f"{person.id} {new.sha256} {role}")
        wrong = passed(quiz, answers)
        if not wrong:
            reason = (
                f"read and understood {old.version} to {new.version}:"
                f" {len(quiz.right)} of {len(quiz.right)} right"
            )
            wanted = Wanted(person.id, protocol, new.version, role, grant.valid_until)
            await self._competences.grant(person, [wanted], reason)
        return wrong

    async def _pair(self, person: Person, protocol: str, role: str) -> tuple[Pinned, Pinned, Grant]:
        new = self._library.current().get(protocol)
        if new is None or role not in person.roles:
            raise unknown("training", f"{protocol} {role}")
        grants, now = await self._competences.of(person.id), datetime.now(UTC)
        if isinstance(find(grants, protocol, new.version, role, now), Grant):
            what = f"you are competent for {new.version} already"
            raise No("already-answered", "Nothing to read", Reason("protocol", what))
        found = self._old(grants, new, role, now)
        if found is None:
            what = "you hold no competence for an earlier version that is known here"
            todo = "take the training; an administrator of your organisation grants it"
            raise No("not-now", "Reading is not enough", Reason("protocol", what, todo))
        return found[0], new, found[1]

    def _old(
        self, grants: list[Grant], new: Pinned, role: str, now: datetime
    ) -> tuple[Pinned, Grant] | None:
        """Return the newest version that the person is competent for now, with the grant."""
        known = self._library.versions(new.name)
        versions = {v: self._library.pinned(sha) for v, sha in known.items()}
        holding = [
            g for g in grants
            if (g.protocol, g.role) == (new.name, role) and g.covers(now) and g.version in versions
        ]  # fmt: skip
        if not holding:
            return None
        order = list(versions)
        best = max(holding, key=lambda g: order.index(g.version))
        return versions[best.version], best
