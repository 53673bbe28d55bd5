"""Capture jobs: a document is accepted, then captured, and the job says what came of it.

A small document is captured before the answer goes out; a large one is stored whole with its job
first, so that what was accepted survives a crash, and is captured by `work`, in any process.
Behaviour `rollback` keeps all events or none; `proceed` keeps the right ones and names the others.
What was accepted and then not captured whole is handed to `keep` before its job says so: a job is
read by a machine that may have gone, so the document waits where its owner looks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg

from stafett.exchange import epcis, epcis_xml
from stafett.exchange.epcis_store import Connection, EpcisStore, Outcome
from stafett.exchange.problem import Finding, Problem
from stafett.exchange.xml_place import Places

log = logging.getLogger(__name__)

INLINE: Final = 2_000  # events that are captured before the request is answered
BEHAVIOURS: Final = ("rollback", "proceed")

_FAILED: Final = (
    "the server failed on this document, and wrote down why; nothing of it was captured, and the "
    "document is kept: try it again when the server was mended"
)

# Keeps an accepted document that was not captured whole: (owner, job, the bytes, why). Durable when
# it returns. After a crash the same document may come again.
Keep = Callable[[str, uuid.UUID, bytes, Problem], Awaitable[object]]

_INSERT: Final = """
INSERT INTO exchange.capture_job
  (id, owner, running, success, behaviour, finished, captured, duplicates, errors, remarks, payload)
VALUES (%s, %s, %s, %s, %s, CASE WHEN %s THEN NULL ELSE clock_timestamp() END, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET running = excluded.running, success = excluded.success,
  finished = excluded.finished, captured = excluded.captured,
  duplicates = excluded.duplicates, errors = excluded.errors, remarks = excluded.remarks,
  payload = NULL
"""
_SELECT: Final = """
SELECT id, owner, created, finished, running, success, behaviour, captured, duplicates, errors,
  remarks
FROM exchange.capture_job
"""


class Job(msgspec.Struct, frozen=True):
    """What a capture job says. `success` is false as soon as one event was not captured.

    `remarks` (an addition of Stafett's) name what is odd about events that were captured.
    """

    id: uuid.UUID
    owner: str
    created: datetime
    finished: datetime | None
    running: bool
    success: bool
    behaviour: str
    captured: int
    duplicates: int
    errors: tuple[dict[str, Any], ...]
    remarks: tuple[dict[str, Any], ...] = ()

    def body(self) -> dict[str, Any]:
        """Give the job as the REST binding writes it."""
        out: dict[str, Any] = {
            "captureID": str(self.id),
            "createdAt": self.created.isoformat(),
            "running": self.running,
            "success": self.success,
            "captureErrorBehaviour": self.behaviour,
            "captured": self.captured,
            "duplicates": self.duplicates,
            "errors": list(self.errors),
        }
        if self.remarks:
            out["remarks"] = list(self.remarks)
        if self.finished is not None:
            out["finishedAt"] = self.finished.isoformat()
        return out


class Captures:
    """The capture interface over a store. `keep` takes what was accepted and not captured."""

    def __init__(self, store: EpcisStore, keep: Keep | None = None) -> None:
        self.store = store
        self.keep = keep

    async def submit(
        self, data: bytes, *, owner: str, behaviour: str = "rollback", xml: bytes = b""
    ) -> uuid.UUID:
        """Accept a document and give its job's number; raise `Problem` 400 or 413 if it is wrong.

        When this returns, the document is captured, or stored and sure to be captured, or its
        job says why not. `xml` is what the document was made of, if it came in XML: findings name
        their places in it.
        """
        if behaviour not in BEHAVIOURS:
            why = f"{behaviour!r} is neither rollback nor proceed"
            raise Problem(400, "ValidationException", f"GS1-Capture-Error-Behaviour: {why}")
        document, findings = _read(data, behaviour, xml)
        job = uuid.uuid4()
        if len(document.events) > INLINE:
            async with self.store.pool.connection() as connection, connection.transaction():
                await _write(connection, job, owner, behaviour, running=True, payload=xml or data)
            return job
        await self._run(job, owner, behaviour, data, document, findings)
        return job

    async def take(self, data: bytes, owner: str) -> Outcome:
        """Capture a kept document after mending: all of it, or raise `Problem` and none.

        What of it was captured before is a duplicate, and no second event.
        """
        return await self.store.capture(epcis.read(data), owner=owner)

    async def get(self, job: uuid.UUID, owners: list[str] | None = None) -> Job:
        """Give one job; raise `Problem` 404 if there is none that `owners` may see."""
        rows = await self._select("WHERE id = %s", [job])
        if not rows or (owners is not None and rows[0].owner not in owners):
            raise Problem(404, "NoSuchResourceException", f"there is no capture job {job}")
        return rows[0]

    async def page(
        self, *, limit: int, after: str | None = None, owners: list[str] | None = None
    ) -> tuple[list[Job], str | None]:
        """Give jobs in the order they were accepted, and the token of the next page."""
        values: list[Any] = []
        where = "WHERE true"
        if owners is not None:
            where += " AND owner = ANY(%s)"
            values.append(owners)
        if after is not None:
            try:
                moment, _, number = after.partition("~")
                values += [datetime.fromisoformat(moment), uuid.UUID(number)]
            except ValueError:
                raise Problem(
                    400, "QueryParameterException", "nextPageToken is none of this server"
                ) from None
            where += " AND (created, id) > (%s, %s)"
        jobs = await self._select(f"{where} ORDER BY created, id LIMIT %s", [*values, limit + 1])
        if len(jobs) <= limit:
            return jobs, None
        last = jobs[limit - 1]
        return jobs[:limit], f"{last.created.isoformat()}~{last.id}"

    async def work_once(self) -> bool:
        """Capture one waiting document, if there is one; False if there was none."""
        async with self.store.pool.connection() as connection, connection.transaction():
            cursor = await connection.execute(
                "SELECT id, owner, behaviour, payload FROM exchange.capture_job WHERE running"
                " AND payload IS NOT NULL ORDER BY created LIMIT 1 FOR UPDATE SKIP LOCKED"
            )
            row = await cursor.fetchone()
            if row is None:
                return False
            job, owner, behaviour, payload = row
            data = payload = bytes(payload)
            # The claim is the row lock: if this process dies, the next one finds it free.
            try:
                data, xml = _both(payload)
                document, findings = _read(data, behaviour, xml)
                outcome = await self._capture(job, owner, behaviour, document, None)
                await self._partly(job, owner, data, (*findings, *outcome.errors))
                await _finish(connection, job, owner, behaviour, outcome, findings)
            except Problem as refused:
                await self._kept(job, owner, data, refused)
                await _fail(connection, job, owner, behaviour, refused)
            except (psycopg.OperationalError, psycopg.InterfaceError, OSError):
                raise  # the database or the disk is away; the document waits for it
            except Exception:
                # Whatever this document provokes must not keep the next one waiting for ever.
                log.exception("capture job %s failed; its document is kept", job)
                failed = Problem(500, "ImplementationException", _FAILED)
                await self._kept(job, owner, data, failed)
                await _fail(connection, job, owner, behaviour, failed)
        return True

    async def work(self, stop: asyncio.Event, every_s: float = 1.0) -> None:
        """Capture waiting documents until told to stop."""
        while not stop.is_set():
            if not await self.work_once():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), every_s)

    async def _run(
        self,
        job: uuid.UUID,
        owner: str,
        behaviour: str,
        data: bytes,
        document: epcis.Document,
        findings: list[Finding],
    ) -> None:
        async def note(connection: Connection, outcome: Outcome) -> None:
            await self._partly(job, owner, data, (*findings, *outcome.errors))
            await _finish(connection, job, owner, behaviour, outcome, findings)

        try:
            await self._capture(job, owner, behaviour, document, note)
        except Problem as refused:
            await self._kept(job, owner, data, refused)
            async with self.store.pool.connection() as connection:
                await _fail(connection, job, owner, behaviour, refused)

    async def _partly(
        self, job: uuid.UUID, owner: str, data: bytes, findings: Sequence[Finding]
    ) -> None:
        """Keep a document of which these events were left out; all the others are captured."""
        if findings:
            why = f"{len(findings)} of its events were not captured"
            await self._kept(job, owner, data, Problem(400, "ValidationException", why, findings))

    async def _kept(self, job: uuid.UUID, owner: str, data: bytes, why: Problem) -> None:
        if self.keep is not None:
            await self.keep(owner, job, data, why)

    async def _capture(
        self, job: uuid.UUID, owner: str, behaviour: str, document: epcis.Document, also: Any
    ) -> Outcome:
        return await self.store.capture(
            document, owner=owner, job=job, proceed=behaviour == "proceed", also=also
        )

    async def _select(self, rest: str, values: list[Any]) -> list[Job]:
        async with self.store.pool.connection() as connection:
            cursor = await connection.execute((_SELECT + rest).encode(), values)
            rows = await cursor.fetchall()
        return [
            Job(*row[:-2], *(tuple(msgspec.json.decode(told)) for told in row[-2:])) for row in rows
        ]


def _both(payload: bytes) -> tuple[bytes, bytes]:
    """Give a stored document in JSON, and the XML if it came so; it can be read."""
    if payload.lstrip()[:1] == b"{":
        return payload, b""
    return msgspec.json.encode(epcis_xml.read_xml(payload)), payload


def _read(data: bytes, behaviour: str, xml: bytes) -> tuple[epcis.Document, list[Finding]]:
    places = Places(xml)
    try:
        proceed = behaviour == "proceed"
        document, findings = epcis.read_tolerant(data) if proceed else (epcis.read(data), [])
    except Problem as wrong:
        raise places.refusal(wrong) from None
    return places.document(document), places.of(findings)


def _error(finding: Finding) -> dict[str, Any]:
    return {
        "type": "epcisException:ValidationException",
        "title": "The event was not captured",
        "status": 400,
        "detail": str(finding),
        "pointer": finding.pointer,
    }


async def _finish(
    connection: Connection,
    job: uuid.UUID,
    owner: str,
    behaviour: str,
    outcome: Outcome,
    findings: list[Finding],
) -> None:
    errors = [_error(f) for f in (*findings, *outcome.errors)]
    await _write(
        connection, job, owner, behaviour, success=not errors, captured=outcome.captured,
        duplicates=outcome.duplicates, errors=errors, remarks=outcome.remarks,
    )  # fmt: skip


async def _fail(
    connection: Connection, job: uuid.UUID, owner: str, behaviour: str, refused: Problem
) -> None:
    await _write(connection, job, owner, behaviour, success=False, errors=[refused.body()])


async def _write(
    connection: Connection,
    job: uuid.UUID,
    owner: str,
    behaviour: str,
    *,
    running: bool = False,
    success: bool = True,
    captured: int = 0,
    duplicates: int = 0,
    errors: list[dict[str, Any]] | None = None,
    remarks: Sequence[Finding] = (),
    payload: bytes | None = None,
) -> None:
    text = msgspec.json.encode(errors or []).decode()
    odd = msgspec.json.encode([{"pointer": f.pointer, "detail": f.detail} for f in remarks])
    await connection.execute(
        _INSERT.encode(),
        [
            job,
            owner,
            running,
            success,
            behaviour,
            running,
            captured,
            duplicates,
            text,
            odd.decode(),
            payload,
        ],
    )
