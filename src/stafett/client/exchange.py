"""What partners exchange, through the typed client: EPCIS in and out, dossiers, release, tracing.

async with Client("https://tower.example") as client:
    await client.sign_in("courier-1", "...")
    exchange = Exchange(client)
    job = await exchange.capture(document)
    async for event in exchange.events(EQ_bizStep="shipping"):
        ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

import httpx
import msgspec

from stafett.client.client import Client
from stafett.exchange.release import Release
from stafett.service.traceability import Found

Json = dict[str, Any]
POLL_S = 0.5


class CaptureJob(msgspec.Struct, frozen=True, rename="camel"):
    """A capture job: finished when not `running`; `errors` and `remarks` name their places."""

    capture_id: str = msgspec.field(name="captureID")
    created_at: datetime
    running: bool
    success: bool
    capture_error_behaviour: str
    captured: int
    duplicates: int
    errors: list[Json]
    remarks: list[Json] = []
    finished_at: datetime | None = None


class Exchange:
    """The exchange of one tower, as the person that `client` is signed in as."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def capture(self, document: Json, *, proceed: bool = False) -> CaptureJob:
        """Capture an EPCIS document; return its job, which may still run (`finished` waits).

        `proceed` keeps the right events of a document that has wrong ones. Raises Refused.
        """
        headers = {"GS1-Capture-Error-Behaviour": "proceed" if proceed else "rollback"}
        answer = await self._client.send("POST", "/epcis/capture", document, headers=headers)
        return await self.job(answer.headers["location"].rpartition("/")[2])

    async def job(self, capture_id: str) -> CaptureJob:
        """Return a capture job of the own organisation."""
        path = f"/epcis/capture/{quote(capture_id, safe='')}"
        job: CaptureJob = await self._client.get(path, CaptureJob)
        return job

    async def finished(self, job: CaptureJob) -> CaptureJob:
        """Wait until a job has ended; return it as it is then."""
        while job.running:
            await asyncio.sleep(POLL_S)
            job = await self.job(job.capture_id)
        return job

    async def events(self, **parameters: str | int | list[str]) -> AsyncIterator[Json]:
        """Yield the captured events that a query finds, page by page, in order.

        Parameters as EPCIS 2.0 names them (`EQ_bizStep="shipping"`); a list is any of its values.
        Identifiers come as they were captured, URNs or links.
        """
        given = {k: "|".join(v) if isinstance(v, list) else str(v) for k, v in parameters.items()}
        path = f"/epcis/events?{httpx.QueryParams(given)}"
        as_captured = {"GS1-EPC-Format": "Never_Translates"}
        while path:
            answer = await self._client.send("GET", path, headers=as_captured)
            for event in answer.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]:
                yield event
            following = answer.links.get("next", {}).get("url", "")
            path = httpx.URL(following).raw_path.decode() if following else ""

    async def epcis(self, journey: str) -> Json:
        """Return a journey as an EPCIS 2.0 document."""
        return await self._json(f"/api/journeys/{quote(journey, safe='')}/epcis")

    async def fhir(self, journey: str) -> Json:
        """Return a journey as a FHIR R5 bundle."""
        return await self._json(f"/api/journeys/{quote(journey, safe='')}/fhir")

    async def captured(self, journey: str) -> Json:
        """Return what partners captured about a journey: the first thousand events, as EPCIS.

        `documents` gives all of them.
        """
        return await self._json(f"/api/journeys/{quote(journey, safe='')}/captured")

    async def waiting(self) -> Json:
        """Return the captured events that no journey is known for yet: the first thousand.

        `documents` gives all of them.
        """
        return await self._json("/api/exchange/waiting")

    async def documents(self, path: str) -> AsyncIterator[Json]:
        """Yield the EPCIS documents of an address (`/api/exchange/waiting`), page by page."""
        while path:
            answer = await self._client.send("GET", path)
            yield answer.json()
            following = answer.links.get("next", {}).get("url", "")
            path = httpx.URL(following).raw_path.decode() if following else ""

    async def release(self, journey: str) -> list[Release]:
        """Return for each certification what blocks it, what is open, and its evidence."""
        path = f"/api/journeys/{quote(journey, safe='')}/release"
        found: list[Release] = await self._client.get(path, list[Release])
        return found

    async def trace(self, by: Literal["patient", "product"], value: str) -> Found:
        """Return the 30-year record: a patient's products, or a product's patient and hospital."""
        path = f"/api/traceability?{httpx.QueryParams({by: value})}"
        found: Found = await self._client.get(path, Found)
        return found

    async def dossier(self, journey: str, form: Literal["pdf", "zip"] = "zip") -> bytes:
        """Return a journey's dossier: as PDF/A, or as a package with its proof."""
        path = f"/api/journeys/{quote(journey, safe='')}/dossier.{form}"
        return (await self._client.send("GET", path)).content

    async def _json(self, path: str) -> Json:
        found: Json = await self._client.get(path, Json)
        return found
