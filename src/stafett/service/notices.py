"""Notices: mail to people about what waits for them and is no alert of a journey.

Queued in the transaction of what waits, so neither is there without the other; sent by whichever
process is free; gone when what it is about is over. A mail names no patient, not by pseudonym
either: it says what waits, until when, and where.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection

ERASURE: Final = "erasure"
# What a mail says: its subject, its sentence, where what waits is seen.
WORDS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    ERASURE: {
        "en": ("An erasure waits for a second person",
               "A colleague has asked that a patient's identity be erased for good. It is done only"
               " if a second person confirms it, until {until}."),
        "sv": ("En radering väntar på en andra person",
               "En kollega har begärt att en patients identitet raderas för gott. Det görs bara om"
               " en andra person bekräftar det, senast {until}."),
        "es": ("Un borrado espera a una segunda persona",
               "Un colega ha pedido que se borre para siempre la identidad de un paciente. Solo"
               " se hace si una segunda persona lo confirma, hasta el {until}."),
    },
}  # fmt: skip
PATHS: Final = {ERASURE: "/admin/erasure"}

# The one that is due longest, with the address that its person has now.
DUE: Final = (
    "SELECT n.id, n.kind, n.until, n.attempt, d.mail, p.language FROM alerts.notice n"
    " JOIN service.person p ON p.id = n.person AND p.active"
    " JOIN alerts.address d ON d.person = n.person"
    " WHERE n.sent IS NULL AND n.next_try <= clock_timestamp() AND n.until > clock_timestamp()"
    " ORDER BY n.next_try LIMIT 1 FOR UPDATE OF n SKIP LOCKED"
)


async def queue(
    connection: AsyncConnection[Any],
    kind: str,
    about: str,
    until: datetime,
    organisation: str,
    duties: Iterable[str],
    besides: str,
) -> None:
    """Let everybody of an organisation who has one of `duties` be told, but for `besides`."""
    await connection.execute(
        "INSERT INTO alerts.notice (kind, about, person, until) SELECT %s, %s, id, %s"
        " FROM service.person WHERE organisation = %s AND active AND id <> %s AND duties && %s",
        (kind, about, until, organisation, besides, list(duties)),
    )


async def over(connection: AsyncConnection[Any], kind: str, about: str) -> None:
    """Tell nobody any more: it is done, or was taken back."""
    await connection.execute(
        "DELETE FROM alerts.notice WHERE kind = %s AND about = %s", (kind, about)
    )
