"""What must not be in the vault: patients erased before a restore, and orders that came to nothing.

A backup from before an erasure holds the patient's key. Where one is restored, the record still
says what was erased, wherever it came from, so it is erased again at the start.

A patient is enrolled before the journey's first event can be recorded. Where that never came to be
(the process died, the record was away, the act was sent again under a pseudonym of its own) nobody
would ever ask for the erasure: an enrolment that the record does not know after a day is erased.
"""

from __future__ import annotations

import logging
from typing import Final

from stafett.ledger import Ledger
from stafett.service import sql
from stafett.service.changes import CHANGED
from stafett.service.documents import Documents
from stafett.service.vault import Vault

log = logging.getLogger(__name__)
ERASED: Final = "patient-erased"
# No submission is under way for so long; and who restores a record beside its vault has the time.
SURE_S: Final = 86_400.0
AT_ONCE: Final = 500


class Erasures:
    """Keeps the vault to what the record says. One instance per process."""

    def __init__(
        self,
        pool: sql.Pool,
        ledger: Ledger,
        vault: Vault,
        documents: Documents,
        sure_s: float = SURE_S,
    ) -> None:
        self._pool, self._ledger, self._vault = pool, ledger, vault
        self._documents, self._sure_s = documents, sure_s
        self._looked = False

    async def relay(self) -> int:
        """Erase what must not be there; nothing ever waits."""
        if self._ledger.halted:
            return 0  # a record that was rolled back says nothing of what is not in it
        if not self._looked:
            await self.again()
            self._looked = True
        while await self.forget_unopened() == AT_ONCE:
            pass
        return 0

    async def again(self) -> int:
        """Erase again what the record says was erased; return how many patients came back."""
        found = await sql.rows(
            self._pool,
            "SELECT c ->> 'about', c ->> 'organisation', coalesce(c #> '{after,documents}', '[]'),"
            " c #>> '{before,journey}'"
            " FROM (SELECT convert_from(leaf, 'UTF8')::jsonb #> '{body,change}' AS c"
            " FROM ledger.event_store WHERE kind = %s AND stream LIKE 'administration/%%') AS s"
            " WHERE c ->> 'what' = %s",
            (CHANGED, ERASED),
        )
        here = await self._documents.here([name for _, _, those, _ in found for name in those])
        # The same bytes may have been attached to another journey since: that one rests on them.
        rests = await self._documents.attached_to(here) if here else {}
        back = 0
        async with self._pool.connection() as connection:
            for pseudonym, organisation, documents, journey in found:
                back += await self._vault.destroy(connection, pseudonym, organisation)
                gone = [
                    name
                    for name in documents
                    if {other for other, _ in rests.get(name, [])} <= {journey}
                ]
                await self._documents.erase(connection, gone)
        if back:
            log.warning("%d patients that were erased were here again, and are erased again", back)
        return back

    async def forget_unopened(self) -> int:
        """Erase enrolments that the record does not know; return how many were looked at."""
        waiting = await sql.rows(
            self._pool,
            "SELECT pseudonym, organisation, journey FROM vault.patient WHERE NOT opened"
            " AND erased IS NULL AND enrolled < now() - make_interval(secs => %s)"
            " ORDER BY enrolled LIMIT %s",
            (self._sure_s, AT_ONCE),
        )
        if not waiting:
            return 0
        known = await self._known([journey for _, _, journey in waiting])
        async with self._pool.connection() as connection:
            for pseudonym, organisation, _ in waiting:
                if pseudonym in known:
                    await connection.execute(
                        "UPDATE vault.patient SET opened = true WHERE pseudonym = %s", (pseudonym,)
                    )
                elif await self._vault.destroy(connection, pseudonym, organisation):
                    log.warning("the order of %s came to nothing: its patient is erased", pseudonym)
        return len(waiting)

    async def _known(self, journeys: list[str | None]) -> set[str]:
        """Return the pseudonyms of these journeys; of all, where one is from before we noted it."""
        every = None in journeys
        found = await sql.rows(
            self._pool,
            "SELECT convert_from(leaf, 'UTF8')::jsonb #>> '{body,pseudonym}'"
            " FROM ledger.event_store WHERE kind = 'JourneyOpened' AND (%s OR stream = ANY(%s))",
            (every, [name for name in journeys if name is not None]),
        )
        return {str(row[0]) for row in found}
