"""Passkeys that were taken away: the record says that they sign nothing more, sooner or later.

Here they sign nothing from the moment that they are taken away. What the record is to say waits in
`service.passkey_gone`, written in the transaction that took them away.
"""

from __future__ import annotations

import logging
from typing import Final

from stafett.ledger import NotAcknowledged
from stafett.ledger.tending import said
from stafett.service import sql
from stafett.service.author_keys import AuthorKeys, KeyLost

log = logging.getLogger(__name__)
REASON: Final = "the passkey was taken away"
# The record knows a passkey only from its first signature on. One that was about to sign when it
# was taken away may become known a moment later: so long it is looked at again.
SURE_S: Final = 600.0


class Retirements:
    """Tells the record of passkeys that are gone. One instance per process."""

    def __init__(self, pool: sql.Pool, keys: AuthorKeys, sure_s: float = SURE_S) -> None:
        self._pool, self._keys, self._sure_s = pool, keys, sure_s

    async def relay(self) -> int:
        """Tell what waits; return how much of what the record knows could not be told."""
        found = await sql.rows(
            self._pool,
            "SELECT organisation, array_agg(public_key), array_agg(public_key)"
            " FILTER (WHERE at < now() - make_interval(secs => %s))"
            " FROM service.passkey_gone WHERE told IS NULL GROUP BY organisation",
            [self._sure_s],
        )
        left = 0
        for organisation, publics, old in found:
            every, settled = {bytes(one) for one in publics}, {bytes(one) for one in old or ()}
            try:
                known = await self._keys.retire(organisation, every, REASON)
            except KeyLost as lost:  # another organisation's may be told all the same
                left += len(every)
                log.error("passkeys of %s are gone, and cannot be told: %s", organisation, lost)
                continue
            except NotAcknowledged as why:
                log.warning("%d passkeys wait for the record: %s", len(every), said(why))
                return left + len(every)
            await sql.done(
                self._pool,
                "UPDATE service.passkey_gone SET told = now()"
                " WHERE organisation = %s AND public_key = ANY(%s) AND told IS NULL",
                (organisation, list(known | settled)),
            )
        return left
