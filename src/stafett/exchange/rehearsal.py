"""What capturing a document would do in this very store: tried, told, and taken back."""

from __future__ import annotations

import contextlib

import msgspec

from stafett.exchange.epcis import Document
from stafett.exchange.epcis_store import Connection, EpcisStore, Outcome

JOINS = """
SELECT s.journey, count(DISTINCT e.seq)
FROM exchange.epcis_event e
LEFT JOIN LATERAL (
  SELECT DISTINCT subject.journey FROM unnest(e.keys) AS named (key)
  JOIN exchange.subject USING (key)
) s ON true
WHERE e.seq BETWEEN %s AND %s
GROUP BY s.journey ORDER BY s.journey
"""


class Capture(msgspec.Struct, frozen=True):
    """What became of a document: the store's outcome, and where its new events belong.

    `journeys` counts new events by journey; `waiting` those that no journey is known for yet.
    """

    outcome: Outcome
    journeys: dict[str, int]
    waiting: int


class _TakeBack(Exception):
    pass


async def capture(
    store: EpcisStore, document: Document, *, owner: str, proceed: bool = False, dry: bool = False
) -> Capture:
    """Capture a document and say where its events belong; `dry` takes it all back.

    A rehearsal is the capture itself in a transaction that is not kept: what it tells is what the
    store would do now. Raises `Problem` as the capture does.
    """
    found: list[Capture] = []

    async def told(connection: Connection, outcome: Outcome) -> None:
        rows: dict[str | None, int] = {}
        if outcome.captured:
            cursor = await connection.execute(JOINS, [outcome.first_seq, outcome.last_seq])
            rows = dict(await cursor.fetchall())
        waiting = rows.pop(None, 0)
        found.append(Capture(outcome, {str(k): n for k, n in rows.items()}, waiting))
        if dry:
            raise _TakeBack

    with contextlib.suppress(_TakeBack):
        await store.capture(document, owner=owner, proceed=proceed, also=told)
    return found[0]
