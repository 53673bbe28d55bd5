"""Laboratory results over HL7 v2: taken whole, or kept as a dead letter and refused in words.

A mapping for each laboratory lies in the folder `hl7` beside the vault's key; it is read again when
it changes, so that mending it needs no restart. What is taken becomes captured events of the
mapping's organisation, which join their journeys by specimen or order number.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from stafett.exchange import epcis, hl7, hl7_mapping
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.hl7_mapping import Mapping
from stafett.exchange.mllp import Listener, secured
from stafett.exchange.problem import Finding, Problem
from stafett.protocol.read import ReadError
from stafett.service.letters import Letters

log = logging.getLogger(__name__)
CHANNEL: Final = "hl7"
VARIABLE: Final = "STAFETT_MLLP"
TLS: Final = "STAFETT_MLLP_TLS"
ENDINGS: Final = ("*.yaml", "*.yml")


class Taken(NamedTuple):
    """What a message came to: events captured, events known already, results not final yet."""

    captured: int
    duplicates: int
    waiting: int


class Results:
    """The intake of laboratory results. One instance per process."""

    def __init__(
        self,
        folder: Path,
        store: EpcisStore,
        letters: Letters,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_stopped = is_stopped
        self.folder, self._store, self._letters = folder / "hl7", store, letters
        self._read: dict[Path, tuple[int, Mapping | None, list[ReadError]]] = {}
        letters.ways[CHANNEL] = lambda data, _: self.take(data)

    def mappings(self) -> tuple[list[Mapping], list[ReadError]]:
        """Return the mappings as their files are now, and all that is wrong with those that are."""
        files = sorted(f for ending in ENDINGS for f in self.folder.glob(ending))
        for gone in self._read.keys() - set(files):
            del self._read[gone]
        for file in files:
            changed = file.stat().st_mtime_ns
            if file not in self._read or self._read[file][0] != changed:
                mapping, wrong = hl7_mapping.read_mapping(file.read_bytes(), file.name)
                self._read[file] = changed, mapping, wrong
                for error in wrong:
                    log.warning("a mapping of HL7 is not used: %s", error)
        good = [m for _, m, _ in self._read.values() if m is not None]
        return good, [e for _, _, wrong in self._read.values() for e in wrong]

    async def receive(self, data: bytes, peer: str) -> bytes:
        """Take a message and give its answer; what is refused is kept before it is answered.

        Raises ConnectionError where the record is stopped: without an answer the laboratory keeps
        the message and sends it again, and nothing is acknowledged that would be lost.
        """
        if self._is_stopped():
            log.error("a message of %s is not taken: the record is stopped", peer)
            raise ConnectionError("the record is stopped")
        head = hl7.head_of(data)
        note, wrong = "", None
        try:
            taken = await self.take(data)
            if taken.waiting:
                note = f"{taken.waiting} result(s) are not final and were left out"
        except hl7.Unread as refused:
            wrong = refused
            owner = self._owner(f"{head.application}|{head.facility}")
            await self._letters.keep(CHANNEL, owner, peer, head.control, data, refused)
        return hl7.acknowledge(head, uuid.uuid4().hex[:20], datetime.now(UTC), wrong, note)

    async def take(self, data: bytes) -> Taken:
        """Capture the results of a message; raise Unread, and then nothing of it was captured."""
        # The first message of a version reads that version's definitions, for up to a second.
        message = await asyncio.to_thread(hl7.read, data)
        mapping = self._mapping(message.sender)
        made, waiting = hl7_mapping.events(message, mapping)
        if not made:
            return Taken(0, 0, waiting)
        value = epcis.document(made, hl7_mapping.CONTEXT, created=datetime.now(UTC).isoformat())
        try:
            got = await self._store.capture(epcis.judge(value), owner=mapping.organisation)
        except Problem as refused:
            if refused.status == 409:
                what = "a message of this control number came before, with other content"
                raise hl7.Unread(205, what, (Finding("MSH-10", message.control),)) from None
            raise hl7.Unread(102, refused.detail, refused.findings) from None
        return Taken(got.captured, got.duplicates, waiting)

    def _mapping(self, sender: str) -> Mapping:
        found, wrong = self.mappings()
        mine = [m for m in found if sender in m.senders]
        if len(mine) == 1:
            return mine[0]
        if mine:
            what = f"{len(mine)} mappings claim the sender {sender}: it must be one"
        elif wrong:
            what = f"no mapping that can be used names the sender {sender}; {wrong[0]}"
        else:
            what = f"no mapping names the sender {sender}"
        raise hl7.Unread(207, what, (Finding("MSH-3", sender),))

    def _owner(self, sender: str) -> str:
        mine = [m for m in self.mappings()[0] if sender in m.senders]
        return mine[0].organisation if len(mine) == 1 else ""


def listener(results: Results) -> Listener | None:
    """Return the listener that the environment asks for; None if it asks for none.

    STAFETT_MLLP=HOST:PORT, and STAFETT_MLLP_TLS=FOLDER for encrypted lines (see `mllp.secured`).
    Raises ValueError.
    """
    wish = os.environ.get(VARIABLE)
    if not wish:
        return None
    host, _, port = wish.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) < 65536:
        raise ValueError(f"{VARIABLE}: {wish!r} is no address; write HOST:PORT, as 127.0.0.1:2575")
    tls = secured(Path(os.environ[TLS])) if os.environ.get(TLS) else None
    return Listener(host.strip("[]"), int(port), results.receive, tls=tls)
