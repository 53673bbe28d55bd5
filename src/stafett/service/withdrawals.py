"""A logger's file that was read in by mistake is withdrawn: signed, with a reason, in the record.

The file stays, and so does what the record says of it. Its readings count no more: every shipment
that they told of is judged anew, and a deviation blocks each until a person has decided, for what
was thought to be known is not, and a file is not to vanish because of what it shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec

from stafett.ledger import Author, Draft, KeyReused, Ledger, NotAcknowledged, Submission
from stafett.service.accounts import Accounts, Person
from stafett.service.changes import check_reason
from stafett.service.loggers import Id
from stafett.service.passkeys import Passkeys, Site
from stafett.service.read_in import WITHDRAWN, FilesRead, ReadIn
from stafett.service.recording import unreached
from stafett.service.refusal import No, Reason, unknown
from stafett.service.request import Signed
from stafett.service.signer import signature_of, signed_at
from stafett.service.signing import ToSign

MEANING: Final = "I withdraw this file: its readings are not this logger's, or not of this trip"


class Withdrawals:
    """Withdrawing files, as a use case. One instance per process."""

    def __init__(
        self, ledger: Ledger, files: FilesRead, accounts: Accounts, passkeys: Passkeys
    ) -> None:
        self._ledger, self._files = ledger, files
        self._accounts, self._passkeys = accounts, passkeys

    async def files(self, id: Id) -> tuple[ReadIn, ...]:
        """Return the files that were read in for a logger, the first first."""
        return (await self._files.of(id)).files

    async def signing(self, person: Person, id: Id, read: int, reason: str) -> ToSign:
        """Return what withdrawing a file signs now. Raises No as `withdraw` does."""
        one = await self._allowed(person, id, read, reason)
        return _to_sign(person, id, one, reason, datetime.now(UTC))

    async def withdraw(
        self,
        person: Person,
        id: Id,
        read: int,
        reason: str,
        readers: Iterable[str],
        password: str | None = None,
        passkey: Signed | None = None,
        site: Site | None = None,
    ) -> ReadIn:
        """Withdraw the file that stands in the record at `read`, and return it so.

        Signed by `password` or `passkey` (which answers what `signing` gave). `readers` may read
        of it besides those whom it is about. Raises No: unknown, wrong-organisation (neither theirs
        who brought it nor theirs whose logger it is), taken (it is withdrawn already),
        reason-missing, signature, not-acknowledged.
        """
        one = await self._allowed(person, id, read, reason)
        due = _to_sign(person, id, one, reason, signed_at(passkey))
        signature = await signature_of(
            self._accounts, self._passkeys, person, due, password, passkey, site
        )
        body = {
            **_named(id, one),
            "name": one.file,
            "readings": one.readings,
            "first": one.first.isoformat(),
            "last": one.last.isoformat(),
            "reason": reason.strip(),
            "signature": msgspec.to_builtins(signature),
            "signed": due.value,
        }
        try:
            await self._ledger.append(
                Submission(
                    stream=f"logger/{id.user}",
                    expected_version=None,
                    drafts=[Draft(WITHDRAWN, {"withdrawal": body}, due.at)],
                    audience=sorted({id.organisation, one.organisation, *readers}),
                    author=Author(person.organisation, person.id),
                    key=f"loggerfile.withdrawn.{read}",
                    request_hash=hashlib.sha256(due.content).digest(),
                )
            )
        except KeyReused:
            raise _already() from None
        except NotAcknowledged as error:
            raise unreached(error) from None
        finally:
            self._files.forget(id)
        return await self._one(id, read)

    async def _allowed(self, person: Person, id: Id, read: int, reason: str) -> ReadIn:
        self._files.forget(id)  # another process may have withdrawn it
        one = await self._one(id, read)
        if person.organisation not in (id.organisation, one.organisation):
            what = "whoever brought it withdraws it, or whose logger it is"
            raise No("wrong-organisation", "Not yours", Reason("file", what, "ask them"))
        if one.withdrawn is not None:
            raise _already()
        check_reason(reason)
        return one

    async def _one(self, id: Id, read: int) -> ReadIn:
        found = [one for one in await self.files(id) if one.read == read]
        if not found:
            raise unknown("file", str(read))
        return found[0]


def _already() -> No:
    what = "its readings count no more"
    return No("taken", "It is withdrawn already", Reason("file", what, "load the page again"))


def _named(id: Id, one: ReadIn) -> dict[str, str | int]:
    return {
        "organisation": id.organisation,
        "logger": id.number,
        "sha256": one.sha256,
        "read": one.read,
    }


def _to_sign(person: Person, id: Id, one: ReadIn, reason: str, now: datetime) -> ToSign:
    value = {
        **_named(id, one),
        "reason": reason.strip(),
        "by": {"organisation": person.organisation, "person": person.id},
        "meaning": MEANING,
        "signed_at": now,
    }
    return ToSign(MEANING, now, msgspec.json.decode(msgspec.json.encode(value)))  # as it is kept
