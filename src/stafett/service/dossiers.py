"""Dossiers and release views for whoever takes part in a journey; each look is noted."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime

import anyio.to_thread

from stafett.exchange import dossier_making
from stafett.exchange.dossier import Condition, Dossier
from stafett.exchange.dossier_pdf import WORDS, pdf
from stafett.exchange.release import Release, releases
from stafett.ledger import bundle
from stafett.ledger.publish import NotYet
from stafett.service.accounts import Accounts, Person
from stafett.service.conditions import Conditions, Seen
from stafett.service.journeys import Journeys
from stafett.service.papers import Papers
from stafett.service.publishing import Publishing
from stafett.service.readings import Readings
from stafett.service.record import Record
from stafett.service.refusal import No, unknown

TRIES = 3
DOCUMENTS_BYTES = 200 * 2**20  # of attached documents in one package


class Dossiers:
    """What one journey's record says, arranged."""

    def __init__(
        self,
        journeys: Journeys,
        record: Record,
        accounts: Accounts,
        conditions: Conditions,
        documents: Papers,
        publishing: Publishing,
        readings: Readings,
    ) -> None:
        self._journeys, self._record, self._accounts = journeys, record, accounts
        self._conditions, self._documents = conditions, documents
        self._publishing, self._readings = publishing, readings

    async def of(self, person: Person, journey: str, language: str = "en") -> Dossier:
        """Return the dossier as of now. Raises No: there is no such journey, or it is not yours."""
        return (await self._made(person, journey, language))[0]

    async def release(
        self, person: Person, journey: str, language: str = "en"
    ) -> tuple[Release, ...]:
        """Return the release view of each certification. Raises No."""
        return (await self._made(person, journey, language))[1]

    async def _made(
        self, person: Person, journey: str, language: str
    ) -> tuple[Dossier, tuple[Release, ...]]:
        live = await self._journeys.see(person, journey)
        await self._readings.note(person, "dossier", journey, journey)
        seen = await self._conditions.of_journey(person, live)
        entries = await self._record.entries(journey, person.organisation)
        if not entries:
            raise unknown("journey", journey)
        if entries[-1].version != live.state.position:
            live = await self._journeys.load(journey)
            entries = [e for e in await self._record.entries(journey, person.organisation)
                       if e.version <= live.state.position]  # fmt: skip
        organisations = await self._accounts.organisations()
        made = dossier_making.build(
            live.net, live.state, entries, pinned=live.pinned, pseudonym=live.pseudonym,
            reader=person.organisation, names={o.id: o.name for o in organisations.values()},
            conditions=[condition(one) for one in seen], language=language,
        )  # fmt: skip
        return made, releases(live.net, live.state, made, datetime.now(UTC), language)

    async def pdf(
        self,
        person: Person,
        journey: str,
        words: Mapping[str, str] = WORDS,
        language: str = "en",
    ) -> bytes:
        """Return the dossier as PDF/A-2a. Raises No."""
        made = await self.of(person, journey, language)
        return await anyio.to_thread.run_sync(pdf, made, words, language)

    async def package(
        self,
        person: Person,
        journey: str,
        words: Mapping[str, str] = WORDS,
        language: str = "en",
    ) -> bytes:
        """Return the zip: dossier, PDF, proof, protocol, documents. Raises No and publish.NotYet.

        The proof is of exactly the events in the dossier.
        """
        for _ in range(TRIES):
            made = await self.of(person, journey, language)
            proof = (await self._publishing.journey_proof(journey, person.organisation)).text
            if len(bundle.parse(proof).entries) == len(made.events):
                break
        else:
            raise NotYet(f"{journey} changes faster than it is sealed")
        documents = await self._attached(person, made)
        page = await anyio.to_thread.run_sync(pdf, made, words, language)
        protocol = await self._journeys.library.text(made.protocol_sha256)
        return await anyio.to_thread.run_sync(
            dossier_making.package, made, page, proof, documents, protocol
        )

    async def _attached(self, person: Person, made: Dossier) -> dict[str, bytes]:
        """Return the documents that the organisation may read; the others are named by hash."""
        found: dict[str, bytes] = {}
        for name in sorted({d.sha256 for d in made.documents}):
            with contextlib.suppress(No):
                _, data = await self._documents.open(person, name, made.journey)
                if sum(map(len, found.values())) + len(data) <= DOCUMENTS_BYTES:
                    found[name] = data
        return found


def condition(seen: Seen) -> Condition:
    """Say what the loggers of one shipment tell, or that they tell nothing."""
    shipment, made = seen.shipment, seen.judgement
    limit = seen.rules.limit
    low, high = (f"{x:g}" if x is not None else "" for x in (limit.low_c, limit.high_c))
    known = made.readings > 0
    findings = [f"{f.kind} ({f.verdict})" for f in made.findings if f.verdict != "ok"]
    if not known:
        findings.append("no readings")
    return Condition(
        lot=shipment.lot,
        logger=shipment.logger,
        since=shipment.since,
        until=shipment.until,
        verdict=made.verdict if known else "unknown",
        readings=made.readings,
        coldest=_rounded(made.coldest),
        warmest=_rounded(made.warmest),
        limits=f"{low} to {high}".strip(),
        findings=tuple(findings),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
