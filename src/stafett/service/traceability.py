"""The 30-year traceability record, both ways: patient to products, product to patient and hospital.

Regulation (EC) 1394/2007, article 15: from the source of each tissue and cell to the hospital where
the product is used, with the link to the patient, kept for at least 30 years after the product's
expiry date; Directive 2004/23/EC, article 8(4): 30 years after clinical use. The patient is known
here by pseudonym only: who that is, the hospital's own vault says. An organisation finds only
journeys that it takes part in, and each search is noted.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from stafett.exchange.joins import Joins
from stafett.journey.state import ancestors
from stafett.protocol.model import text
from stafett.service.accounts import Accounts, Person
from stafett.service.journeys import Journeys
from stafett.service.keeping import YEARS, retention, years_after
from stafett.service.live import Live
from stafett.service.readings import Readings
from stafett.service.record import Record
from stafett.service.refusal import No, Reason

SHORTEST = 4


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation that had it in hand, in which role, from when until when."""

    role: str
    organisation: str
    name: str
    since: datetime
    until: datetime | None


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """One material of the journey. `administered_at` is None where it was not given."""

    lot: str
    title: str
    identifiers: dict[str, str]
    made_from: tuple[str, ...]
    made_at: datetime
    administered_at: datetime | None
    fate: str | None
    held: tuple[Holder, ...]
    matches: bool = False


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """One journey: the patient, the hospital, and every material between them.

    `keep_until`: 30 years after the product's expiry (see `keeping`) or after use, whichever is
    later; None while it runs and nothing was given.
    """

    journey: str
    coi: str
    patient: str
    hospital: str
    hospital_name: str
    protocol: str
    product: str | None
    opened_at: datetime
    ended_at: datetime | None
    outcome: str | None
    products: tuple[Product, ...]
    keep_until: datetime | None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a search found, in the record up to `position`."""

    by: Literal["patient", "product"]
    value: str
    position: int
    traces: tuple[Trace, ...]


class Traceability:
    """Searches of the record by patient and by product."""

    def __init__(
        self,
        journeys: Journeys,
        record: Record,
        joins: Joins,
        accounts: Accounts,
        readings: Readings,
    ) -> None:
        self._journeys, self._record, self._joins = journeys, record, joins
        self._accounts, self._readings = accounts, readings

    async def find(
        self, person: Person, patient: str = "", product: str = "", language: str = "en"
    ) -> Found:
        """Return the journeys of a patient, or those that a product's identifier belongs to.

        Raises No where not exactly one is given, or it is too short to name anything.
        """
        patient, product = patient.strip(), product.strip()
        value = patient or product
        if bool(patient) == bool(product) or len(value) < SHORTEST:
            raise No(
                "bad-value",
                "Say a patient or a product",
                Reason(
                    "product" if product else "patient",
                    f"exactly one of the two, of at least {SHORTEST} characters",
                    "a pseudonym such as P-ABCDEFGH, or an identifier from a label",
                ),
            )
        by: Literal["patient", "product"] = "patient" if patient else "product"
        await self._readings.note(person, f"traceability by {by}", value)
        position, names = await self._joins.journeys(value)
        traces = []
        for name in names:
            try:
                live = await self._journeys.see(person, name)
            except No:
                continue  # somebody else's: not there for this organisation
            if patient and live.pseudonym != patient:
                continue
            traces.append(await self._trace(person, live, product, language))
        return Found(by=by, value=value, position=position, traces=tuple(traces))

    async def _trace(self, person: Person, live: Live, wanted: str, language: str) -> Trace:
        state, net = live.state, live.net
        organisations = await self._accounts.organisations()
        names = {o.id: o.name for o in organisations.values()}
        giving = [name for name, step in net.protocol.steps.items() if step.kind == "administer"]
        hospital = _hospital(live, giving)
        given = {
            entry.event["lot"]: entry.occurred_at
            for entry in await self._record.entries(state.journey, person.organisation)
            if entry.kind == "MaterialConsumed" and entry.event["used_in"] in giving
        }
        spoken = self._joins.spoken(wanted) if wanted else frozenset()
        outcome = None
        if state.ended_at is not None and state.marking.outcome >= 0:
            name = net.outcomes[state.marking.outcome]
            outcome = text(net.protocol.outcomes[name].title, language)
        products = []
        for lot in state.lots.values():
            products.append(
                Product(
                    lot=lot.lot,
                    title=text(net.protocol.materials[lot.material].title, language),
                    identifiers=dict(lot.identifiers),
                    made_from=ancestors(state, lot.lot),
                    made_at=lot.made_at,
                    administered_at=given.get(lot.lot),
                    fate="administered" if lot.lot in given else lot.ended,
                    held=tuple(
                        Holder(role=s.role, organisation=s.organisation,
                               name=names.get(s.organisation, s.organisation),
                               since=s.since, until=s.until)
                        for s in lot.custody
                    ),
                    matches=any(self._joins.spoken(v) & spoken for v in lot.identifiers.values()),
                )
            )  # fmt: skip
        # Whichever is later: after the product's expiry, or after it was used.
        law = [retention(net, state).until]
        law += [years_after(at, YEARS) for at in given.values()]
        return Trace(
            journey=state.journey, coi=state.coi, patient=live.pseudonym, hospital=hospital,
            hospital_name=names.get(hospital, hospital),
            protocol=f"{state.protocol} {state.version}", product=state.product,
            opened_at=state.opened_at, ended_at=state.ended_at, outcome=outcome,
            products=tuple(products), keep_until=max(filter(None, law), default=None),
        )  # fmt: skip


def _hospital(live: Live, giving: list[str]) -> str:
    """Return the organisation that gives the product to the patient in this journey."""
    protocol, parties = live.net.protocol, live.state.parties
    roles = [protocol.steps[name].role for name in giving]
    roles += [name for name, role in protocol.roles.items() if role.organisation == "hospital"]
    return next((parties[role] for role in roles if role in parties), "")
