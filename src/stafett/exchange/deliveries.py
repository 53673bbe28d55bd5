"""Telling receivers: one loop that brings each due webhook up to date, in order, with signatures.

EPCIS subscriptions get EPCISQueryDocuments of what their owner may read (`may_read`: whose
captures, by default its own); subscribers of the ledger or of alerts get one CloudEvent a message,
those of FHIR one notification that names the journey.
An outgoing request follows no redirect and is given up after ten seconds; a host that must not be
reached (`refuse_host`) counts as a failure with its reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import httpx
import msgspec
import psycopg

from stafett.exchange import cloudevents
from stafett.exchange.cloudevents import CloudEvent, Message
from stafett.exchange.epcis_answers import query_document
from stafett.exchange.epcis_identifiers import URNS
from stafett.exchange.fhir_extra import NUMBER, notification
from stafett.exchange.fhir_write import Version
from stafett.exchange.problem import Problem
from stafett.exchange.subscriptions import Subscriptions, Webhook

log = logging.getLogger(__name__)
PAGE: Final = 500
TIMEOUT_S: Final = 10.0
# Gives the ledger's events beyond a position that the webhook's owner may read, with theirs.
LedgerFeed = Callable[[str, int, int], Awaitable[list[tuple[int, CloudEvent]]]]


class Deliveries:
    """The sending side of all webhooks. Several processes may run it on one database."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        *,
        client: httpx.AsyncClient | None = None,
        ledger: LedgerFeed | None = None,
        alerts: LedgerFeed | None = None,
        refuse_host: Callable[[str], Awaitable[str | None]] | None = None,
        may_read: Callable[[str], Sequence[str] | None] = lambda owner: [owner],
    ) -> None:
        self.subscriptions = subscriptions
        self._client = client
        self._feeds = {"ledger": ledger, "alerts": alerts}
        self._refuse_host = refuse_host
        self._may_read = may_read

    async def run(self, stop: asyncio.Event, every_s: float = 0.25) -> None:
        """Bring webhooks up to date until told to stop."""
        while not stop.is_set():
            if not await self.once():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), every_s)

    async def once(self) -> bool:
        """Serve the webhook that is due longest; False if none is."""
        store = self.subscriptions.store
        async with store.pool.connection() as connection, connection.transaction():
            hook = await self.subscriptions.due(connection)
            if hook is None:
                return False
            try:
                position, told, more = await self._serve(hook)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                raise  # the database; nothing is wrong with the receiver
            except Exception as failure:
                why = str(failure) or type(failure).__name__
                if not isinstance(failure, EXPECTED):
                    # A fault of this program must not keep the other receivers waiting for ever.
                    log.exception("webhook %s could not be served", hook.id)
                await self.subscriptions.failed(connection, hook, why)
            else:
                await self.subscriptions.arrived(connection, hook, position, told, more=more)
        return True

    async def _serve(self, hook: Webhook) -> tuple[int, bool, bool]:
        """Tell what is new; give up to where, whether anything was told, and whether more is."""
        if hook.source in self._feeds:
            return await self._serve_feed(hook)
        store = self.subscriptions.store
        assert hook.query_name is not None
        named = await self.subscriptions.query(hook.query_name, hook.owner)
        top = await store.size()
        page = await store.query(
            self.subscriptions.read(named),
            limit=PAGE,
            after_seq=hook.position,
            upto_seq=top,
            owners=self._may_read(hook.owner),
        )
        if not page.events and not (hook.report_if_empty and hook.schedule):
            return top, False, False
        prefixes = (
            await store.companies(self._may_read(hook.owner)) if hook.epc_format == URNS else ()
        )
        document = query_document(
            page.events, name=hook.query_name, subscription=str(hook.id), wanted=hook.epc_format,
            prefixes=prefixes,
        )  # fmt: skip
        body = msgspec.json.encode(document)
        reached = page.events[-1].seq if page.next_token else top
        await self._send(hook, Message(_epcis_headers(hook, body), body))
        return reached, True, page.next_token is not None

    async def _serve_feed(self, hook: Webhook) -> tuple[int, bool, bool]:
        feed = self._feeds[hook.source]
        if feed is None:
            raise Refused(f"this process does not follow the {hook.source}")
        position, told = hook.position, False
        for reached, event in await feed(hook.owner, hook.position, 50):
            message = _message(hook, reached, event)
            if hook.secret:
                signature = cloudevents.sign(hook.secret, event.id, message.body)
                message.headers["stafett-signature"] = signature
            try:
                await self._send(hook, message)
            except Exception:
                if not told:
                    raise
                break  # what was taken is not sent again; what failed is tried, and counted, next
            position, told = reached, True
        return position, told, told

    async def _send(self, hook: Webhook, message: Message) -> None:
        host = httpx.URL(hook.dest).host
        why = await self._refuse_host(host) if self._refuse_host else None
        if why is not None:
            raise Refused(f"{host} is not to be reached: {why}")
        async with self._borrow() as client:
            answer = await client.post(
                hook.dest, content=message.body, headers=message.headers, follow_redirects=False
            )
        if not 200 <= answer.status_code < 300:
            raise Refused(f"{hook.dest} answered {answer.status_code}")

    @contextlib.asynccontextmanager
    async def _borrow(self) -> AsyncIterator[httpx.AsyncClient]:
        if self._client is not None:
            yield self._client
            return
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            yield client


class Refused(Exception):
    """The receiver did not take a message, or may not be sent one."""


EXPECTED: Final = (httpx.HTTPError, httpx.InvalidURL, Refused, Problem, UnicodeError)


def _message(hook: Webhook, position: int, event: CloudEvent) -> Message:
    if hook.mode in ("fhir-r5", "fhir-r4b"):
        version: Version = "R5" if hook.mode == "fhir-r5" else "R4B"
        body = notification(version, hook, position, event.subject or "", event.time.isoformat())
        kind = f"application/fhir+json; fhirVersion={NUMBER[version][:3]}"
        return Message({"content-type": kind}, msgspec.json.encode(body))
    make = cloudevents.binary if hook.mode == "binary" else cloudevents.structured
    return make(event)


def _epcis_headers(hook: Webhook, body: bytes) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "gs1-epcis-version": "2.0.0",
        "gs1-cbv-version": "2.0.0",
        "gs1-epc-format": hook.epc_format,
    }
    if hook.secret:
        mac = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
        headers["gs1-signature"] = f"sha256={mac}"
    return headers


def ledger_event(event: Any, source: str) -> CloudEvent:
    """Give a ledger event as a CloudEvent: its position is its id, its stream the subject."""
    return CloudEvent(
        id=str(event.position),
        source=source,
        type=f"org.stafett.{event.kind}",
        time=event.occurred_at,
        subject=event.stream,
        data=dict(event.body),
        extensions={"recordedat": event.recorded_at.isoformat(), "leafhash": event.leaf_hash.hex()},
    )
