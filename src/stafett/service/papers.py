"""The documents of a journey: who may open one, and that they did.

A document that is attached at a handoff is handed over with it: both sides may open it. What is
attached inside a step stays with the organisation that attached it, as it may name the patient
(GDPR article 5(1)(c)). Which document belongs to which handoff is what the record says; nothing is
kept beside it that could differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stafett.protocol.net import Net
from stafett.service.accounts import Person
from stafett.service.documents import Documents
from stafett.service.journeys import Journeys
from stafett.service.readings import Readings
from stafett.service.record import Entry, Record
from stafett.service.refusal import unknown

ATTACHED = "DocumentAttached"


def handed_over(
    net: Net, parties: Mapping[str, str], entries: Iterable[Entry], organisation: str
) -> frozenset[str]:
    """Return the SHA-256 of each document that was attached where `organisation` is a side."""
    found = set()
    for entry in entries:
        if entry.kind != ATTACHED:
            continue
        handoff = net.protocol.handoffs.get(entry.event["activity"])
        if handoff and organisation in (parties.get(handoff.giver), parties.get(handoff.receiver)):
            found.add(str(entry.event["sha256"]))
    return frozenset(found)


class Papers:
    """Opening documents. Each look is noted before anything is shown."""

    def __init__(
        self, documents: Documents, journeys: Journeys, record: Record, readings: Readings
    ) -> None:
        self._documents, self._journeys = documents, journeys
        self._record, self._readings = record, readings

    async def open(self, person: Person, sha256: str, journey: str = "") -> tuple[str, bytes]:
        """Return media type and bytes. Raises No: there is none, or it is not theirs to open.

        With `journey` it is opened as a document of that journey: what was handed over to the
        person's organisation opens so.
        """
        if not journey:
            found = await self._documents.get(sha256, person.organisation)
        else:
            live = await self._journeys.see(person, journey)
            entries = await self._record.entries(journey, person.organisation)
            attached = any(e.kind == ATTACHED and e.event["sha256"] == sha256 for e in entries)
            handed = handed_over(live.net, live.state.parties, entries, person.organisation)
            if not attached:
                raise unknown("document", sha256)
            found = (
                await self._documents.of(sha256)
                if sha256 in handed
                else await self._documents.get(sha256, person.organisation)
            )
        if found is None:
            raise unknown("document", sha256)
        await self._readings.note(person, "document", sha256, journey)
        return found

    async def openable(
        self, person: Person, net: Net, parties: Mapping[str, str], entries: Iterable[Entry]
    ) -> frozenset[str]:
        """Return which of the documents attached in `entries` the person may open."""
        entries = [entry for entry in entries if entry.kind == ATTACHED]
        names = frozenset(str(entry.event["sha256"]) for entry in entries)
        handed = handed_over(net, parties, entries, person.organisation)
        return await self._documents.known(names, names & handed, person.organisation)
