"""The keys that an organisation signs the record with: seen and replaced by its administrator.

Every key there ever was stays in the record (`record/keys`), with the positions it is valid for:
what an old key signed is verified for ever. Replacing one is a change with a reason.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from stafett.ledger.author import PASSKEY
from stafett.ledger.ledger import Ledger
from stafett.service.accounts import Person
from stafett.service.author_keys import AuthorKeys, KeyLost
from stafett.service.changes import Changes
from stafett.service.refusal import No, Reason


@dataclass(frozen=True)
class Shown:
    """One key: from and to which position of the record it is valid (`until` None: still).

    `public` is base64; `vouched` says that its predecessor (or the first registration) speaks for
    it: a key that replaced a lost one has only its own word.
    """

    id: str
    algorithm: str
    public: str
    since: int
    until: int | None
    vouched: bool


class Keys:
    """What administrators see and do about keys. One instance per process."""

    def __init__(self, ledger: Ledger, authors: AuthorKeys, changes: Changes) -> None:
        self._ledger, self._authors, self._changes = ledger, authors, changes

    async def of(self, organisation: str) -> list[Shown]:
        """Return every key that the organisation ever had, newest first."""
        keys = await self._ledger.keys()
        unvouched = {key.id for key in keys.unvouched}
        found = [
            Shown(
                key.id,
                key.algorithm,
                base64.b64encode(key.public).decode(),
                key.since,
                key.until,
                key.id not in unvouched,
            )
            for key in keys.known.values()
            if key.organisation == organisation
        ]
        return sorted(found, key=lambda key: -key.since)

    async def replace(self, by: Person, reason: str) -> str:
        """Give the person's organisation a new key; return its id. Raises No."""
        active = [key for key in await self.of(by.organisation) if key.until is None]
        before = [key.id for key in active if key.algorithm != PASSKEY]  # people's stay as they are
        try:
            async with self._changes.making(
                by, "signing key replaced", by.organisation, reason, {"keys": before}
            ):
                signer = await self._authors.rotate(by.organisation, reason)
        except KeyLost as lost:
            why = Reason("key", str(lost), "an operator restores it, or replaces it as lost")
            raise No("conflict", "The key is not here", why) from None
        return signer.id
