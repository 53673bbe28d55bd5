"""What an administrator of a hospital sees before and after a patient is erased.

Before: who it is, what would be destroyed, what stays, on which basis in law it may be done now.
After: that it is done, by whom and why, and where the record says so. Nothing here changes
anything: `keeping` erases. Each look is noted, by journey; never what was searched for.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from stafett.ledger import Event
from stafett.protocol.model import text
from stafett.service import policy, sql
from stafett.service.accounts import Person
from stafett.service.asked import Asked, Asking, Basis
from stafett.service.changes import CHANGED
from stafett.service.documents import Documents
from stafett.service.erasures import ERASED
from stafett.service.journeys import Journeys
from stafett.service.keeping import Retention, Why, forbids, retention
from stafett.service.live import Live
from stafett.service.papers import ATTACHED
from stafett.service.readings import Readings
from stafett.service.refusal import No, Reason, unknown
from stafett.service.vault import Held, Unknown, Vault

SHORTEST = 4


class Sought(msgspec.Struct, frozen=True):
    """One patient of the own hospital. `journey` is None where none is in the record.

    An enrolment whose order came to nothing is erased by itself a day after it was `enrolled`.
    """

    pseudonym: str
    journey: str | None
    enrolled: datetime
    identifiers: dict[str, str] | None
    erased: datetime | None


class Paper(msgspec.Struct, frozen=True):
    """A document that the own hospital attached to the journey.

    `here`: its bytes are kept. `elsewhere`: how many other journeys rest on it; while there is one
    it cannot be erased.
    """

    sha256: str
    title: str
    activity: str
    at: datetime
    here: bool
    elsewhere: int


class Told(msgspec.Struct, frozen=True):
    """An erasure as the record tells it; `position` is None while it waits to be told.

    `name` and `method` are of the signature; "" where none was asked for yet.
    """

    at: datetime
    person: str
    pseudonym: str
    journey: str
    basis: str
    reason: str
    documents: tuple[str, ...]
    position: int | None
    name: str = ""
    method: str = ""
    asked_by: str = ""
    """The name of who had asked for it; "" where one person's signature was enough (until 2026)."""


class Waits(msgspec.Struct, frozen=True):
    """An erasure that one person has asked for: it is done once a second one confirms it."""

    journey: str
    pseudonym: str
    person: str
    name: str
    basis: Basis
    reason: str
    documents: tuple[str, ...]
    at: datetime
    until: datetime


class Prospect(msgspec.Struct, frozen=True):
    """What erasing the patient of a journey comes to.

    `forbidden` says for each basis why it does not allow it now ("": it does). `foreign` counts the
    documents that others attached: the ones to ask are `holders`. `others` are enrolments of the
    same wristband. `told` are erasures done already, the latest first; `back`: a restored backup
    had brought the patient back, and they were erased again then.
    """

    patient: Sought
    keep: Retention
    forbidden: dict[Basis, Why]
    open: bool
    papers: tuple[Paper, ...]
    foreign: int
    holders: tuple[str, ...]
    others: tuple[Sought, ...]
    told: tuple[Told, ...]
    back: datetime | None
    waits: Waits | None = None


class Erasing:
    """Looking at who may be erased, and who was."""

    def __init__(
        self,
        pool: sql.Pool,
        journeys: Journeys,
        vault: Vault,
        documents: Documents,
        readings: Readings,
        asking: Asking,
    ) -> None:
        self._pool, self._journeys, self._vault = pool, journeys, vault
        self._documents, self._readings, self._asking = documents, readings, asking

    async def find(self, person: Person, said: str) -> list[Sought]:
        """Return the own hospital's patients of whom `said` is true. Raises No: too short."""
        if len("".join(said.split()).replace("-", "")) < SHORTEST:
            what = f"at least {SHORTEST} characters of what the hospital knows"
            raise No("bad-value", "Say who it is", Reason("patient", what))
        found = await self._vault.sought(person.organisation, said)
        for one in found:
            await self._readings.note(person, "vault", one.pseudonym, one.journey or "")
        return await self._known(found)

    async def prospect(self, person: Person, journey: str, language: str = "en") -> Prospect:
        """Return what erasing the patient of `journey` comes to. Raises No: unknown.

        Who may confirm only is shown a patient for whom it was asked, and no other.
        """
        live = await self._journeys.see(person, journey)
        asked = await self._asking.of(live.pseudonym, person.organisation)
        if asked is not None and asked.until <= datetime.now(UTC):
            asked = None
        if asked is None and not policy.allows("erase", person):
            raise unknown("patient", journey)
        try:
            held = await self._vault.held(live.pseudonym, person.organisation)
        except Unknown:
            raise unknown("patient", journey) from None
        await self._readings.note(person, "vault", held.pseudonym, journey)
        papers, foreign = await self._papers(person, live, language)
        keep, told = retention(live.net, live.state), await self.told(person, held.pseudonym)
        # An erasure and what is told of it are one transaction, and so have one moment.
        again = bool(told) and held.erased not in {one.at for one in told}
        return Prospect(
            Sought(held.pseudonym, journey, held.enrolled, held.identifiers, held.erased),
            keep,
            forbids(live.state, keep, datetime.now(UTC)),
            live.state.ended_at is None,
            papers,
            len(foreign),
            tuple(sorted({event.author.organisation for event in foreign})),
            tuple(await self._same(person, held)),
            tuple(told),
            held.erased if again else None,
            _waits(asked) if asked else None,
        )

    async def waiting(self, person: Person) -> list[Waits]:
        """Return the own hospital's erasures that wait for a second person, the oldest first."""
        return [_waits(one) for one in await self._asking.all(person.organisation)]

    async def waiting_for(self, person: Person) -> list[Waits]:
        """Return those of them that this person may confirm: asked by somebody else."""
        if not policy.allows("confirm-erasure", person):
            return []
        return [one for one in await self.waiting(person) if one.person != person.id]

    async def told(self, person: Person, pseudonym: str = "", limit: int = 50) -> list[Told]:
        """Return the own hospital's erasures, the latest first; `pseudonym` narrows them to one."""
        own = person.organisation
        waiting = await sql.rows(
            self._pool,
            "SELECT at, person, about, before, after, reason FROM service.change"
            " WHERE organisation = %s AND what = %s AND recorded IS NULL AND %s IN ('', about)"
            " ORDER BY id DESC LIMIT %s",
            (own, ERASED, pseudonym, limit),
        )
        recorded = await sql.rows(
            self._pool,
            "SELECT c ->> 'at', c ->> 'person', c ->> 'about', c -> 'before', c -> 'after',"
            " c ->> 'reason', position FROM (SELECT position,"
            " convert_from(leaf, 'UTF8')::jsonb #> '{body,change}' AS c FROM ledger.event_store"
            " WHERE kind = %s AND stream = %s) AS s WHERE c ->> 'what' = %s"
            " AND %s IN ('', c ->> 'about') ORDER BY position DESC LIMIT %s",
            (CHANGED, f"administration/{own}", ERASED, pseudonym, limit),
        )
        found = [_told(*row) for row in [*((*row, None) for row in waiting), *recorded]]
        return found[:limit]

    async def _papers(
        self, person: Person, live: Live, language: str
    ) -> tuple[tuple[Paper, ...], list[Event]]:
        """Return what the own hospital attached, and what others did."""
        events = [e for e in await self._journeys.stream(live.state.journey) if e.kind == ATTACHED]
        own = [e for e in events if e.author.organisation == person.organisation]
        names = sorted({str(e.body["event"]["sha256"]) for e in own})
        here, places = set(await self._documents.here(names)), {}
        if names:
            places = await self._documents.attached_to(names)
        made, known = live.net.protocol.documents, {}
        for event in own:
            one = event.body["event"]
            sha256, paper = str(one["sha256"]), made.get(one["document"])
            others = {name for name, _ in places[sha256]} - {live.state.journey}
            title = text(paper.title, language) if paper else str(one["document"])
            known[sha256] = Paper(
                sha256, title, one["activity"], event.occurred_at, sha256 in here, len(others)
            )
        return tuple(known.values()), [e for e in events if e not in own]

    async def _same(self, person: Person, held: Held) -> list[Sought]:
        """Return the other enrolments of the same wristband."""
        wristband = (held.identifiers or {}).get("wristband", "")
        if not wristband:
            return []
        found = await self._vault.sought(person.organisation, wristband)
        same = [
            one
            for one in found
            if one.pseudonym != held.pseudonym
            and (one.identifiers or {}).get("wristband") == wristband
        ]
        return await self._known(same)

    async def _known(self, found: Iterable[Held]) -> list[Sought]:
        """Say of each enrolment which journey of the record is its own, if any."""
        every = list(found)
        rows = await sql.rows(
            self._pool,
            "SELECT convert_from(leaf, 'UTF8')::jsonb #>> '{body,pseudonym}', stream"
            " FROM ledger.event_store WHERE kind = 'JourneyOpened' AND (%s OR stream = ANY(%s))",
            (any(one.journey is None for one in every), [one.journey for one in every]),
        )
        opened: dict[str, str] = dict(rows)
        return [
            Sought(o.pseudonym, opened.get(o.pseudonym), o.enrolled, o.identifiers, o.erased)
            for o in every
        ]


def _waits(one: Asked) -> Waits:
    return Waits(
        one.journey, one.pseudonym, one.person, one.signature.name, one.basis, one.reason,
        one.documents, one.at, one.until,
    )  # fmt: skip


def _told(
    at: Any, person: str, about: str, before: Any, after: Any, reason: str, position: int | None
) -> Told:
    signature = after.get("signature") or {}
    return Told(
        at if isinstance(at, datetime) else datetime.fromisoformat(at),
        person,
        about,
        before.get("journey", ""),
        before.get("basis", ""),
        reason,
        tuple(after.get("documents") or ()),
        position,
        signature.get("name", ""),
        signature.get("method", ""),
        ((after.get("asked") or {}).get("signature") or {}).get("name", ""),
    )
