"""A logger's file comes in, by its key or at its shipment; a wrong one is withdrawn there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec

from stafett.ledger import Author
from stafett.service.conditions import Seen
from stafett.service.loggerfiles import FileRead, How
from stafett.service.loggers import Id
from stafett.service.read_in import ReadIn
from stafett.service.refusal import No, unknown
from stafett.service.request import Signed
from stafett.service.tower import Tower
from stafett.watch.clocks import TOLERANCE_S
from stafett.watch.loggerfile import Unit
from stafett.watch.shipment import Shipment
from stafett.web.api import Signing, ask_passkey, problem, site_of, tower_of
from stafett.web.conditions import find, proven
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.problem import Part, Problem

AHEAD: Final = timedelta(seconds=TOLERANCE_S)  # a logger's clock may be ahead by so much
Word = Annotated[str, msgspec.Meta(max_length=200)]


class Brought(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file's name, and what it does not say itself: zone, order, unit, column of the temperature.

    `dry_run`: say what it holds, and keep nothing.
    """

    name: Word = ""
    zone: Word | None = None
    order: Literal["day-first", "month-first"] | None = None
    unit: Unit | None = None
    column: Word | None = None
    dry_run: bool = False

    @property
    def how(self) -> How:
        """Return what is said of the file."""
        return How(self.zone or None, self.order, self.unit, self.column or None)


async def by_key(call: Call[bytes, Brought]) -> FileRead:
    """Read a file in for the logger whose key is given."""
    tower, id = tower_of(call.request), await proven(call)
    try:
        said = await tower.logger_files.look(id, call.body, call.query.name, call.query.how)
        if call.query.dry_run:
            return said
        whose = [one for one in tower.conditions.told_by(id) if _overlaps(said, one)]
        readers = {name for one in whose for name in one.readers}
        return await tower.logger_files.take(
            id, call.body, call.query.name, call.query.how,
            by=Author(id.organisation), readers=readers,
        )  # fmt: skip
    except No as no:
        raise problem(no) from None


async def by_person(call: Call[bytes, Brought]) -> FileRead:
    """Read a file in for the logger that travelled with a shipment."""
    tower, person = tower_of(call.request), call.request.state.person
    _, seen = await find(call.request, person)
    if len(seen.loggers) != 1:
        part = Part("logger", "it is not known which logger told of it", "register the logger")
        raise Problem(409, "no-logger", "Nothing can be read in for this shipment", part)
    (id,) = seen.loggers
    try:
        said = await tower.logger_files.look(id, call.body, call.query.name, call.query.how)
        _is_of(said, seen.shipment)
        if call.query.dry_run:
            return said
        taken = await tower.logger_files.take(
            id, call.body, call.query.name, call.query.how,
            by=Author(person.organisation, person.id), readers=seen.shipment.readers,
        )  # fmt: skip
        await tower.conditions.again(seen.shipment.journey)
        return taken
    except No as no:
        raise problem(no) from None


class Withdrawing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a file is withdrawn. `password` signs, or `passkey` answers what `.../signing` gave."""

    reason: Annotated[str, msgspec.Meta(max_length=1000)]
    password: str | None = None
    passkey: Signed | None = None


async def files(call: Call[Nothing, Nothing]) -> list[ReadIn]:
    """Return the files that told of a shipment, the withdrawn ones too."""
    _, seen = await find(call.request, call.request.state.person)
    return await files_of(tower_of(call.request), seen)


async def files_of(tower: Tower, seen: Seen) -> list[ReadIn]:
    """Return the files of a shipment's logger with readings of its time, the first first."""
    if len(seen.loggers) != 1:
        return []
    found = await tower.withdrawals.files(seen.loggers[0])
    return [one for one in found if _overlaps(one, seen.shipment)]


async def signing(call: Call[Withdrawing, Nothing]) -> Signing:
    """Return what withdrawing would sign, and the question to the person's passkey."""
    person = call.request.state.person
    _, id, read = await _file(call)
    try:
        due = await tower_of(call.request).withdrawals.signing(person, id, read, call.body.reason)
    except No as no:
        raise problem(no) from None
    return await ask_passkey(call.request, person, due, due.content)


async def withdraw(call: Call[Withdrawing, Nothing]) -> ReadIn:
    """Withdraw a file that was read in for a shipment's logger."""
    seen, id, read = await _file(call)
    body = call.body
    try:
        return await tower_of(call.request).withdrawals.withdraw(
            call.request.state.person, id, read, body.reason, seen.shipment.readers,
            body.password, body.passkey, site_of(call.request) if body.passkey else None,
        )  # fmt: skip
    except No as no:
        raise problem(no) from None


async def _file(call: Call[Any, Any]) -> tuple[Seen, Id, int]:
    """Return the shipment, its logger and the file that the path names."""
    _, seen = await find(call.request, call.request.state.person)
    read = call.path["read"]
    if read not in {str(one.read) for one in await files_of(tower_of(call.request), seen)}:
        raise problem(unknown("file", read))
    return seen, seen.loggers[0], int(read)


def _is_of(said: FileRead, shipment: Shipment) -> None:
    """Raise a problem where a file cannot be that of this shipment, as it was read."""
    what = ""
    if said.last > datetime.now(UTC) + AHEAD:
        what = "its last reading lies in the future"
    elif not _overlaps(said, shipment):
        what = "none of its readings lies in the time of this shipment"
    if what:
        todo = "choose the file of this trip; look at the zone and the order of the date"
        raise Problem(422, "another-trip", "This is another trip's file", Part("file", what, todo))


def _overlaps(said: FileRead | ReadIn, shipment: Shipment) -> bool:
    begins_before = shipment.until is None or said.first <= shipment.until
    return begins_before and said.last >= shipment.since


UNREADABLE = {422: "It cannot be read as it is; the reasons say what to say."}
MISSING = "No such shipment, or not one of your organisation's."
ONE = "/api/shipments/{journey}/{material}/{number}/files/{read}"
REFUSED = {
    403: "Neither brought by your organisation nor of its logger; or the signature does not hold.",
    404: "No such shipment or file.",
    409: "It is withdrawn already.",
    422: "There is no reason.",
}
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST", "/api/loggers/{organisation}/{number}/file", by_key,
        "Read a logger's file in (with its key)", "anyone", bytes, Brought, answer=FileRead,
        status=201, answers={401: "The key is not this logger's.", **UNREADABLE},
        tag="conditions",
    ),
    Endpoint(
        "POST", "/api/shipments/{journey}/{material}/{number}/file", by_person,
        "Read in the file of a shipment's logger", "act", bytes, Brought, answer=FileRead,
        status=201, tag="conditions",
        answers={409: "It is not known which logger told of the shipment.", **UNREADABLE},
    ),
    Endpoint(
        "GET", "/api/shipments/{journey}/{material}/{number}/files", files,
        "The files that told of a shipment", "see", answer=list[ReadIn], tag="conditions",
        answers={404: MISSING},
    ),
    Endpoint(
        "POST", f"{ONE}/withdrawal/signing", signing, "What a passkey would sign", "act",
        Withdrawing, answer=Signing, tag="conditions", answers=REFUSED,
    ),
    Endpoint(
        "POST", f"{ONE}/withdrawal", withdraw, "Withdraw a file that was read in by mistake", "act",
        Withdrawing, answer=ReadIn, tag="conditions", answers=REFUSED,
    ),
)  # fmt: skip
