"""What the outside is given: dossiers, FHIR and traceability, over one tower."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stafett.exchange.fhir_store import FhirStore
from stafett.service.dossiers import Dossiers
from stafett.service.fhir import Fhir
from stafett.service.fhir_index import FhirIndex
from stafett.service.traceability import Traceability

if TYPE_CHECKING:
    from stafett.service.tower import Tower


class Outside:
    """The use cases of the exchange that tie several rooms together."""

    def __init__(self, tower: Tower) -> None:
        self.dossiers = Dossiers(
            tower.journeys,
            tower.record,
            tower.accounts,
            tower.conditions,
            tower.papers,
            tower.publishing,
            tower.readings,
        )
        self.fhir_index = FhirIndex(tower.ledger, tower.board, tower.library, FhirStore(tower.pool))
        self.fhir = Fhir(
            tower.ledger,
            tower.board,
            tower.journeys,
            tower.networks,
            tower.registry,
            tower.readings,
            tower.exchange.subscriptions,
            self.fhir_index,
        )
        self.traceability = Traceability(
            tower.journeys, tower.record, tower.exchange.joins, tower.accounts, tower.readings
        )
